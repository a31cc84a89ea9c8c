"""Numbers that go wrong: which one it was, the last good parameters, and how to go on.

An engine notices within the step that a number is not finite, and stops; it does not look which. The step has already
changed parameters. So the trainer returns to what it holds from the beginning of the epoch, makes the steps since once
more (they repeat to the bit), up to the one before, and has the next one traced, which changes nothing.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from glassnet.data.examples import Examples
from glassnet.errors import GlassnetWarning, NotFiniteError
from glassnet.messages import say
from glassnet.network import parameter_values
from glassnet.trace import Trace

if TYPE_CHECKING:
    from glassnet.training.trainer import Trainer

MOST_HALVINGS = 30
"""So often is the learning rate halved: a billionth of it does not help either."""

_Place = tuple[int, int, Any]


def diverged(
    trainer: Trainer,
    what: str,
    value: float,
    *,
    quantity: str,
    layer: int | None = None,
    batch: int | None = None,
) -> NotFiniteError:
    """The error, with a remedy."""
    place = "" if batch is None else say(", batch {batch} of {batches}", batch=batch, batches=trainer.steps_per_epoch)
    text = say(
        "training diverged in epoch {epoch}{place}: {what} is {value:g}; "
        "a lower learning rate than {lr:g}, scaled inputs or clip_norm usually help",
        epoch=trainer.epoch,
        place=place,
        what=what,
        value=value,
        lr=trainer.base_lr,
    )
    return NotFiniteError(text, quantity=quantity, layer=layer, epoch=trainer.epoch, batch=batch)


class OnNonfinite:
    """What a trainer does when a step fails.

    Parameters
    ----------
    name : {"stop", "skip", "halve"}
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.halvings = 0
        self._held: _Place = (0, 0, None)
        self._epoch_start: dict[str, Any] | None = None

    def state(self) -> dict[str, Any]:
        """What has to be kept in a checkpoint: to "halve", also what the epoch began with."""
        return {"halvings": self.halvings, "epoch_start": self._epoch_start}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a :meth:`state`."""
        self.halvings, self._epoch_start = state["halvings"], state["epoch_start"]

    def epoch_begin(self, trainer: Trainer) -> None:
        """Before an epoch's first step, or where an interrupted one goes on."""
        if self.name == "halve" and (trainer.done == 0 or self._epoch_start is None):
            self._epoch_start = {
                "parameters": parameter_values(trainer.network),
                "updater": trainer.updater.state(),
                "step": trainer.step,
            }
        self.hold(trainer)

    def hold(self, trainer: Trainer) -> None:
        """Hold on to what there is, in sync: from here steps are repeated."""
        trainer.engine.hold()
        self._held = trainer.done, trainer.step, trainer.totals

    def recover(self, trainer: Trainer, train_set: Examples, order: np.ndarray) -> bool:
        """After a failed step: go back, and on as it is wished, or raise NotFiniteError.

        Whether the step counts as done.
        """
        if not self._return(trainer, train_set, order):
            return True
        error = self._named(trainer, order)
        if self.name == "skip" and (trainer.totals is not None or trainer.done + 1 < trainer.steps_per_epoch):
            warnings.warn(say("{error}; the batch is left out", error=error), GlassnetWarning, stacklevel=2)
            trainer.done += 1
            trainer.step += 1
            self.hold(trainer)
            return True
        if self.name == "halve" and trainer.done and self.halvings < MOST_HALVINGS:  # of the first step it is not lr
            assert self._epoch_start is not None
            self.halvings += 1
            trainer.base_lr /= 2
            text = say("{error}; the epoch begins again with the learning rate {lr:g}", error=error, lr=trainer.base_lr)
            warnings.warn(text, GlassnetWarning, stacklevel=2)
            self._put(trainer, self._epoch_start)
            trainer.done, trainer.step, trainer.totals = 0, self._epoch_start["step"], None
            self.hold(trainer)
            return False
        raise error

    def _return(self, trainer: Trainer, train_set: Examples, order: np.ndarray) -> bool:
        """To the moment before the step that failed, in sync; False behind it, if it was a false alarm."""
        engine = trainer.engine
        failed = trainer.done
        engine.back()
        start = {"parameters": parameter_values(trainer.network), "updater": trainer.updater.state()}
        halted, engine.halted = engine.halted, False  # an interruption waits
        patient, engine.patient = engine.patient, False

        def repeat(steps: int) -> bool:
            self._put(trainer, start)
            trainer.done, trainer.step, trainer.totals = self._held
            if steps:
                trainer._steps(train_set, order, steps)
                engine.sync()
            return trainer.done == self._held[0] + steps and _all_finite(trainer)

        steps = failed - self._held[0]
        failing = not (patient and repeat(steps + 1))  # squares of large numbers overflow, too
        if failing and not repeat(steps):  # the parameters were no longer finite already, and it did not show at once
            good = 0
            while steps - good > 1:
                middle = (good + steps) // 2
                good, steps = (middle, steps) if repeat(middle) else (good, middle)
            repeat(good)
        engine.halted, engine.patient = halted, patient
        self.hold(trainer)
        return failing

    @staticmethod
    def _put(trainer: Trainer, state: dict[str, Any]) -> None:
        trainer.network.set_parameters(state["parameters"])
        trainer.updater.restore(state["updater"], trainer.network)
        trainer.engine.reload()

    @staticmethod
    def _named(trainer: Trainer, order: np.ndarray) -> NotFiniteError:
        """What is not finite in the next step."""
        first = trainer.done * trainer.batch_size
        rows = order[first : first + trainer.batch_size]
        assert trainer.examples is not None
        batch = trainer.examples.take(rows)
        trained = {own.number for own in trainer.network.layers if own.params and not own.frozen}
        factor = trainer.schedule.factor(
            trainer.step, trainer.steps_per_epoch, trainer.config.epochs, trainer.schedule_state
        )
        epoch = trainer.first_epoch + trainer.epoch - 1
        traced = trainer.trace(batch, first=first, epoch=epoch, lr=trainer.base_lr * factor)
        quantity, layer, what, value = first_nonfinite(traced, trained, trainer.optimiser.slots)
        return diverged(trainer, what, value, quantity=quantity, layer=layer, batch=trainer.done + 1)


def first_nonfinite(traced: Trace, trained: set[int], slots: tuple[str, ...]) -> tuple[str, int | None, str, float]:
    """Of a step the first quantity that is not finite, in the order of computation: name, layer, in words, value.

    Gradients count for the layers that are ``trained``; ``slots`` are the optimiser's, which may hold their squares.
    """
    counts = traced.share > 0
    for layer in traced.layers:
        for name, values in (("z", layer.z), ("a", layer.a)):
            value = math.nan if values is None else _odd(values[counts])
            if values is not None and value is not None:
                what = say("{name} of layer {layer}", name=name, layer=layer.number)
                return name, layer.number, what, value
    if not math.isfinite(traced.loss):
        return "loss", None, say("the loss"), traced.loss
    for layer in reversed(traced.layers):
        if (value := _odd(layer.delta[counts])) is not None:
            return "delta", layer.number, say("δ of layer {layer}", layer=layer.number), value
        for name, gradient in layer.grads.items() if layer.number in trained else ():
            if (value := _odd(gradient)) is not None:
                what = say("the gradient of {name} of layer {layer}", name=name, layer=layer.number)
                return f"{layer.number}.{name}.gradient", layer.number, what, value
    for name, theta in traced.update.after.items() if traced.update is not None else ():
        if (value := _odd(theta)) is not None:
            number, parameter = name.split(".")
            what = say("{name} of layer {layer} after the update", name=parameter, layer=number)
            return name, int(number), what, value
    for layer in traced.layers if "square" in slots else ():
        for name, gradient in layer.grads.items() if layer.number in trained else ():
            with np.errstate(over="ignore"):
                value = _odd(gradient * gradient)
            if value is not None:
                what = say("the square of the gradient of {name} of layer {layer}", name=name, layer=layer.number)
                return f"{layer.number}.{name}.square", layer.number, what, value
    return "step", None, say("a number of this step"), math.nan  # in the engine's rounding only


def _odd(values: np.ndarray) -> float | None:
    """The first value that is not finite, or None."""
    finite = np.isfinite(values)
    return None if finite.all() else float(values[~finite][0])


def _all_finite(trainer: Trainer) -> bool:
    arrays = [theta for _, theta in trainer.network.parameters()]
    arrays += trainer.updater.state()["slots"].values()
    return all(bool(np.isfinite(array).all()) for array in arrays)
