"""The reference engine: the core's own equations, step by step, with NumPy on the CPU and torch elsewhere."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from glassnet.arrays import Array, as_dense, is_sparse, like, namespace
from glassnet.backprop import backward_pass, forward_pass
from glassnet.data.examples import Examples
from glassnet.engine.base import Engine, Totals, threads_text
from glassnet.engine.devices import CPU, TORCH_CPU
from glassnet.layers import Dense, LayerGrads
from glassnet.losses import Loss
from glassnet.messages import say
from glassnet.network import Network, check_targets, parameter_values
from glassnet.optimisers import Updater
from glassnet.random import Draws

_EVALUATION_ROWS = 4096
_UNSEEN_STEPS = 32


class ReferenceEngine(Engine):
    """Runs :func:`forward_pass`, :func:`backward_pass` and the updater for each batch, and nothing else."""

    name: ClassVar[str] = "reference"

    def __init__(self, network: Network, loss: Loss, updater: Updater, device: str, **options: Any) -> None:
        super().__init__(network, loss, updater, device, **options)
        self._own = network if device == CPU else network.on_torch("cpu" if device == TORCH_CPU else device)
        self._like = next(self._own.parameters())[1]
        self.patient = not isinstance(self._like, np.ndarray)  # to look at a number is to wait for the device
        self._unseen: Array = 0.0  # what has not been looked at yet
        self._held: tuple[dict[str, np.ndarray], dict[str, Any]] = ({}, {})

    def describe(self) -> str:
        """The library, and its threads or device."""
        if self.device not in (CPU, TORCH_CPU):
            return say("reference (torch on {device})", device=self.device)
        library = "numpy" if self.device == CPU else "torch"
        return say("reference ({library}, {threads})", library=library, threads=threads_text(self.threads))

    def place(self, examples: Examples) -> Examples:
        """Move the examples to the device, in the network's precision."""
        dtype = self.network.dtype  # taken here already: not every device has float64
        x, n, outputs = examples.x, len(examples), self.network.sizes[-1]
        y = check_targets(np.ascontiguousarray(examples.y), n=n, outputs=outputs, loss=self.loss, dtype=dtype)
        weight = examples.weight
        return Examples(
            x.astype(dtype) if is_sparse(x) else like(np.ascontiguousarray(x, dtype=dtype), self._like),
            like(y, self._like),
            None if weight is None else like(np.ascontiguousarray(weight, dtype=dtype), self._like),
        )

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")  # the trainer says what became of the loss
    def train(
        self,
        examples: Examples,
        order: np.ndarray,
        *,
        first: int,
        epoch: int,
        batch_size: int,
        lrs: np.ndarray,
        totals: Totals | None = None,
    ) -> Totals:
        """Forward pass, loss, backward pass, update: one batch after another."""
        totals = Totals() if totals is None else self._here(totals)
        self.steps_made, self.failed, self._unseen = 0, False, 0.0
        rows = order if is_sparse(examples.x) else like(order, self._like)
        for k, lr in enumerate(lrs.tolist()):
            start = first + k * batch_size
            batch = self._dense(examples.take(rows[start : start + batch_size]))
            draws = self._own.draws(len(batch), first=start, epoch=epoch)
            step = self._step(batch, draws, lr)
            if self.failed:
                break
            totals = totals + Totals.of(self.loss, *step)
            self.steps_made += 1
            if self.halted:
                break
        if self.steps_made and not self.failed:
            self.failed = not (math.isfinite(self._unseen) and self._parameters_finite())
            self.steps_made -= self.failed  # or earlier: the trainer finds out
        return totals

    def _step(self, batch: Examples, draws: Draws, lr: float) -> tuple[Array, Array, Array, Array | None]:
        """One batch: the loss's value, the outputs, the targets and the weights."""
        x, y, weight = batch.x, batch.y, batch.weight
        a, caches = forward_pass(self._own, x, draws)
        value = self.loss.value(a, y, weight)
        grads = backward_pass(self._own, caches, self.loss.gradient(a, y, weight))
        self.updater(self._own, grads, lr, len(x) if weight is None else float(weight.sum()))
        self.failed = not self._finite(value, caches, grads, weight)
        return value, a, y, weight

    def _finite(self, value: Array, caches: list[Any], grads: list[LayerGrads], weight: Array | None) -> bool:
        """Whether the step's loss and z are finite; a parameter that is not shows in the next step's z."""
        z = [cache[1] for layer, cache in zip(self._own.layers, caches, strict=True) if type(layer) is Dense]
        others = []
        if self.updater.clip.value is not None:  # clipped, infinity would not be seen
            others = [gradient for own in grads for gradient in own.params.values()]
        squares = _squares([*z, *others]) + value
        if self.patient:
            self._unseen = self._unseen + squares
            if (self.steps_made + 1) % _UNSEEN_STEPS or math.isfinite(self._unseen):
                return True
        elif math.isfinite(squares):
            return True
        if weight is not None:  # samples that do not count may hold what they will
            z = [array[weight > 0] for array in z]
        return math.isfinite(value) and _all_finite([*z, *others])

    def _parameters_finite(self) -> bool:
        """Whether parameters and slots are."""
        arrays = [theta for layer in self._own.layers if not layer.frozen for theta in layer.params.values()]
        arrays += [slot for slots in self.updater.slots.values() for slot in slots.values()]
        return math.isfinite(_squares(arrays)) or _all_finite(arrays)

    def _here(self, totals: Totals) -> Totals:
        """The totals where the engine computes."""
        if isinstance(self._like, np.ndarray):
            return totals
        sums = {
            name: like(value, self._like) for name, value in totals.state().items() if isinstance(value, np.ndarray)
        }
        return replace(totals, **sums)

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def evaluate(self, examples: Examples) -> Totals:
        """Forward passes over slices of the rows."""
        totals = Totals()
        for start in range(0, len(examples), _EVALUATION_ROWS):
            part = self._dense(examples.take(slice(start, start + _EVALUATION_ROWS)))
            a = self._own.forward(part.x)
            value = self.loss.value(a, part.y, part.weight)
            totals = totals + Totals.of(self.loss, value, a, part.y, part.weight)
        return totals

    def _dense(self, batch: Examples) -> Examples:
        """The batch with the zeros of a CSR array written out."""
        return replace(batch, x=like(as_dense(batch.x), self._like)) if is_sparse(batch.x) else batch

    def sync(self) -> None:
        """On the CPU the arrays are the network's own; from elsewhere they are copied."""
        self.syncs += 1
        if self._own is not self.network:
            self.network.set_parameters(dict(self._own.parameters()))

    def reload(self) -> None:
        """On the CPU there is nothing to do; elsewhere parameters and slots are copied."""
        if self._own is not self.network:
            self._own.set_parameters(dict(self.network.parameters()))
            for slots in self.updater.slots.values():
                slots.update({name: like(values, self._like) for name, values in slots.items()})

    def hold(self) -> None:
        """Copies: the steps change the arrays in place."""
        self._held = parameter_values(self._own), self.updater.state()

    def back(self) -> None:
        """Copy them back."""
        parameters, state = self._held
        self._own.set_parameters(parameters)
        self.updater.restore(state, self._own)


def _squares(arrays: list[Array]) -> Any:
    """Σ θ² over all arrays, which is finite only if they are: cheaper than to look at each number."""
    total: Any = 0.0
    for array in arrays:
        flat = array.ravel(order="K") if isinstance(array, np.ndarray) else array.reshape(-1)
        total = total + flat @ flat
    return total


def _all_finite(arrays: list[Array]) -> bool:
    return all(bool(namespace(array).all(namespace(array).isfinite(array))) for array in arrays)
