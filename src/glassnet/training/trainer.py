"""The training loop, in small steps that a subclass can override."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from glassnet.arrays import as_csr, as_dense, is_sparse
from glassnet.config import TrainingConfig
from glassnet.data.encoding import Encoding
from glassnet.data.examples import Examples
from glassnet.data.split import split
from glassnet.engine import choose, resolve_device
from glassnet.engine.base import Totals
from glassnet.errors import ConfigError, DataError, GlassnetWarning, ModelFileError, NotFiniteError
from glassnet.losses import Loss
from glassnet.losses import loss as make_loss
from glassnet.memory import check_memory
from glassnet.messages import say
from glassnet.network import Network, parameter_values
from glassnet.optimisers import OPTIMISERS, Clip, Updater
from glassnet.reading import refused_as
from glassnet.regularisers import Regularisation
from glassnet.schedules import SCHEDULES
from glassnet.trace import Trace, checked_rows, trace
from glassnet.training.callbacks import Callback
from glassnet.training.early_stopping import EarlyStopping
from glassnet.training.history import FIGURES, History
from glassnet.training.nonfinite import OnNonfinite, diverged
from glassnet.training.preparation import Preparation, default_batch_size, default_loss, surplus_output

HALTED = ("interrupted", "terminated")
"""The codes of a history that ended before its time, and can go on."""


class Trainer:
    """Trains a network: each epoch in a new order, batch by batch, with figures after each.

    Parameters
    ----------
    network : Network
        Trained in place.
    config : TrainingConfig
    callbacks : iterable of Callback, default ()
    first_epoch : int, default 0
        Epochs that this network was trained before: the orders and the dropout masks go on from there.
    memory : dict, optional
        What an earlier trainer's ``updater.state()`` gave: the optimiser goes on with it.

    Raises
    ------
    ConfigError
        If an option is unknown or does not go with the network.
    DataError
        If training would not fit into memory.

    Attributes
    ----------
    epoch : int
        From 1; the epoch under way or last done, of this trainer's own.
    step : int
        Steps made in all.
    done : int
        Steps made in the epoch under way.
    lr : float
        Of the last step.
    device : str
    engine : Engine
    engine_reason : str
        Why it is not the native one, if that was not asked for.
    threads : int
    history : History
    examples, validation : Examples or None
        As :meth:`fit` got them, checked and weighed.
    encoding : Encoding or None
        What made the examples of the data, if a run did; for callbacks.
    """

    def __init__(
        self,
        network: Network,
        config: TrainingConfig,
        callbacks: Iterable[Callback] = (),
        *,
        first_epoch: int = 0,
        memory: dict[str, Any] | None = None,
    ) -> None:
        _check_network(network)
        if isinstance(callbacks, Callback) or not all(isinstance(callback, Callback) for callback in callbacks):
            raise ConfigError(say("callbacks is a list of Callback objects"))
        if all(layer.frozen for layer in network.layers if layer.params):
            raise ConfigError(say("all layers are frozen: there is nothing to train"))
        self.network = network
        self.config = config
        self.callbacks = list(callbacks)
        if config.early_stopping is not None:
            stopping = EarlyStopping(config.early_stopping, monitor=config.monitor, restore_best=config.restore_best)
            self.callbacks.insert(0, stopping)
        if config.loss == "auto":
            raise ConfigError(say("a trainer needs a loss; only train() can choose one by looking at y"))
        self.loss: Loss = make_loss(config.loss)
        self.updater = make_updater(config)
        self.optimiser, self.regularisation = self.updater.optimiser, self.updater.regularisation
        self.schedule = SCHEDULES.make("constant" if config.schedule == "auto" else config.schedule)
        self.base_lr = config.lr if config.lr is not None else self.optimiser.default_lr
        if memory is not None:
            self.updater.restore(memory, network)
        self.policy = OnNonfinite(config.on_nonfinite)
        self.device = resolve_device(config.device, network.dtype)
        self.prepare = Preparation(network, self.loss, config.class_weight)
        engine, self.engine_reason = choose(network, self.loss, self.updater, self.device, config.engine)
        self.engine = engine(
            network, self.loss, self.updater, self.device, threads=config.threads, precision=config.precision
        )
        self.engine.reload()
        state = 1 + len(self.optimiser.slots)
        copies = state * (1 + self.engine.holds_copies) + (config.early_stopping is not None)
        check_memory(
            (copies, network.n_parameters), network.dtype, say("training (gradients, optimiser and best weights)")
        )
        self.history = History()
        self.examples: Examples | None = None
        self.validation: Examples | None = None
        self.encoding: Encoding | None = None
        self.threads = 0
        self.first_epoch = first_epoch
        self.epoch = 0
        self.step = 0
        self.lr = self.base_lr
        self.schedule_state = self.schedule.start()
        self.done = 0
        self.totals: Totals | None = None
        self.halting: tuple[str, str] | None = None
        self._begun = False
        self._within = False  # an epoch, between its beginning and its figures
        self._seconds = 0.0  # of the epoch under way, in the run that was interrupted
        self._started = 0.0
        self._callback_states: list[Any] = []
        self._check_output()

    def fit(self, examples: Examples, validation: Examples | None = None, *, rows: np.ndarray | None = None) -> History:
        """Train until the epochs are done or a callback stops it.

        Parameters
        ----------
        examples : Examples
            x (N, n[0]), y, weights.
        validation : Examples, optional
            Examples of the same form that are not trained on; their figures are reported.
        rows : ndarray of int64, optional
            Train on these rows of the examples only.

        Returns
        -------
        History

        Raises
        ------
        DataError, ShapeError
            If the examples do not fit the network and the loss, or hold NaN or infinity.
        NotFiniteError
            If a number is no longer finite: it names which. The network has the parameters from before that step.
        """
        if self._begun:
            raise ConfigError(say("a trainer trains once; make a new one to go on"))
        examples = self.prepare(examples)
        self.examples = examples
        self.validation = None if validation is None else self.prepare(validation)
        rows = None if rows is None else checked_rows(rows, len(examples))
        if rows is not None and self.config.train_figures == "after":
            examples, rows = examples.take(rows), None
            self.examples = examples
        n = len(examples) if rows is None else len(rows)
        self.batch_size = min(self.config.batch_size or default_batch_size(n), n)
        self.steps_per_epoch = -(-n // self.batch_size)
        if self.done > self.steps_per_epoch:
            text = say(
                "{done} steps of the epoch are done, but it has {steps}", done=self.done, steps=self.steps_per_epoch
            )
            raise DataError(text)
        weight = examples.weight if rows is None or examples.weight is None else examples.weight[rows]
        self.weight = float(n if weight is None else weight.sum(dtype=np.float64))
        with self.engine.limited() as self.threads:
            self.history.engine = self.engine_text()
            train_set = self.engine.place(examples)
            validation_set = None if self.validation is None else self.engine.place(self.validation)
            self._begun = True
            self._call("on_train_begin")
            self._restore_callbacks()
            try:
                while self.epoch < self.config.epochs and not self.history.stop_code and not self.halting:
                    self._epoch(train_set, validation_set, rows)
                self._end()
            except NotFiniteError as error:
                self.stop("diverged", str(error))
                self._call("on_failure", error)
                raise
            except KeyboardInterrupt:
                if self.halting:  # it was asked for twice
                    raise
                self.stop("interrupted", say("interrupted in epoch {epoch}", epoch=self.epoch))
            self.engine.sync()
            self._call("on_train_end")
        return self.history

    def stop(self, code: str, reason: str) -> None:
        """End training after this epoch; ``code`` (not empty) and ``reason`` are kept in the history."""
        self.history.stop_code, self.history.stop_reason = code, reason

    def halt(self, code: str, reason: str = "") -> None:
        """End training after the step under way; may be called from a signal's handler or another thread."""
        self.halting = code, reason
        self.engine.halted = True

    def _end(self) -> None:
        """Say why there is no further epoch."""
        if self.history.stop_code:
            return
        if self.epoch >= self.config.epochs and not self._within:
            self.stop("epochs", say("all {epochs} epochs are done", epochs=self.config.epochs))
        elif self.halting:
            self.engine.sync()
            self._call("on_halt")
            code, reason = self.halting
            own = {"terminated": say("told to end (SIGTERM) in epoch {epoch}", epoch=self.epoch)}
            self.stop(code, reason or own.get(code, say("interrupted in epoch {epoch}", epoch=self.epoch)))

    # What has to be known to go on

    def state(self) -> dict[str, Any]:
        """Everything that a new trainer of the same configuration needs to :meth:`resume`: plain data and arrays.

        The engine must be in sync, and no step under way: a callback calls ``trainer.engine.sync()`` first.
        """
        history = self.history
        ended = history.stop_code not in ("", "epochs", "diverged", *HALTED)
        return {
            "epochs": self.epoch - self._within,
            "done": self.done,
            "step": self.step,
            "base_lr": self.base_lr,
            "lr": self.lr,
            "schedule": dict(self.schedule_state),
            "seconds": self._seconds + (time.perf_counter() - self._started if self._within else 0.0),
            "totals": None if self.totals is None else self.totals.state(),
            "parameters": parameter_values(self.network),
            "updater": self.updater.state(),
            "policy": self.policy.state(),
            "history": [dict(record) for record in history.epochs],
            "stop": [history.stop_code, history.stop_reason] if ended else ["", ""],
            "callbacks": [[type(c).__name__, state] for c in self.callbacks if (state := c.state())],
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from a :meth:`state`, before :meth:`fit`; the numbers are then those of a run without a break.

        Raises
        ------
        InputError
            If it is the state of another network.
        ValueError, KeyError or TypeError
            If it is no state at all.
        """
        counts = [state[name] for name in ("epochs", "done", "step")]
        if any(type(count) is not int or not 0 <= count < 2**62 for count in counts):
            raise ValueError(say("the numbers of epochs and steps are not whole numbers from 0 on"))
        if state["done"] and state["totals"] is None:
            raise ValueError(say("{name} is missing", name="totals"))
        schedule = dict(state["schedule"])
        if schedule.keys() != self.schedule_state.keys() or not all(map(_is_number, schedule.values())):
            raise ValueError(say("{name} has a value of another kind", name="schedule"))
        self.network.set_parameters(state["parameters"])
        self.updater.restore(state["updater"], self.network)
        self.engine.reload()
        self.epoch, self.done, self.step = counts
        self.base_lr, self.lr, self._seconds = (float(state[name]) for name in ("base_lr", "lr", "seconds"))
        self.schedule_state = schedule
        self.totals = None if state["totals"] is None else Totals.of_state(state["totals"])
        self.policy.restore(state["policy"])
        self.history.epochs = [dict(record) for record in state["history"]]
        if not all(_is_number(record[name]) for record in self.history for name in FIGURES if name in record):
            raise ValueError(say("{name} has a value of another kind", name="history"))
        self.history.stop_code, self.history.stop_reason = map(str, state["stop"])
        self._callback_states = [tuple(pair) for pair in state["callbacks"]]

    def _restore_callbacks(self) -> None:
        """Give each callback its state, by its class's name and in their order."""
        for callback in self.callbacks:
            for pair in self._callback_states:
                if pair[0] == type(callback).__name__:
                    with refused_as(ModelFileError, say("the checkpoint"), damaged=True):
                        callback.restore(pair[1])
                    self._callback_states.remove(pair)
                    break

    # The steps of an epoch

    def _epoch(self, train_set: Examples, validation_set: Examples | None, rows: np.ndarray | None) -> None:
        self.epoch += 1
        self._within, self._started = True, time.perf_counter()
        self._call("on_epoch_begin")
        order = self.order(len(train_set) if rows is None else len(rows))
        figures = self.run_epoch(train_set, order if rows is None else rows[order])
        if figures is None:
            return
        self.engine.sync()
        record: dict[str, Any] = {"epoch": self.epoch, **figures}
        penalty = self.penalty()
        if penalty is not None:
            record["penalty"] = penalty
        if validation_set is not None:
            figures = self.engine.evaluate(validation_set).metrics()
            record.update({f"val_{name}": value for name, value in figures.items()})
        record.update(lr=self.lr, seconds=self._seconds + time.perf_counter() - self._started)
        self.history.epochs.append(record)
        self._within, self._seconds, self.done, self.totals = False, 0.0, 0, None
        self._check_finite(record)
        self.schedule.epoch_end(self.schedule_state, record.get("val_loss", record["loss"]))
        self._call("on_epoch_end", record)

    def order(self, n: int) -> np.ndarray:
        """The order of the rows in this epoch, int64 (n,)."""
        if not self.config.shuffle:
            return np.arange(n)
        return self.engine.order(n, seed=self.config.seed, epoch=self.first_epoch + self.epoch - 1)

    def run_epoch(self, train_set: Examples, order: np.ndarray) -> dict[str, float] | None:
        """The batches of an epoch that are left; the training loss and metric, or None if it was halted before."""
        listeners = [c for c in self.callbacks if type(c).on_batch_end is not Callback.on_batch_end]
        self.policy.epoch_begin(self)
        while self.done < self.steps_per_epoch:
            if self.halting:
                return None
            start = self.done
            stops = [start - start % c.every + c.every for c in listeners]
            self._steps(train_set, order, min([*stops, self.steps_per_epoch]) - start)
            if self.engine.failed and not self.policy.recover(self, train_set, order):
                continue
            syncs = self.engine.syncs
            for callback in listeners:
                if self.done % callback.every == 0 or self.done == self.steps_per_epoch:
                    callback.on_batch_end(self)
            if self.engine.syncs > syncs:  # a callback may have changed the network
                self.policy.hold(self)
        if self.config.train_figures == "after":
            return self.engine.evaluate(train_set).metrics()
        assert self.totals is not None
        return self.totals.metrics()

    def _steps(self, train_set: Examples, order: np.ndarray, count: int) -> None:
        """Have the engine make so many steps, or fewer if it is halted or fails, and keep count of them."""
        factors = self.schedule.factors(self.step, count, self.steps_per_epoch, self.config.epochs, self.schedule_state)
        lrs = self.base_lr * factors
        self.totals = self.engine.train(
            train_set,
            order,
            first=self.done * self.batch_size,
            epoch=self.first_epoch + self.epoch - 1,
            batch_size=self.batch_size,
            lrs=lrs,
            totals=self.totals,
        )
        made = self.engine.steps_made
        self.done += made
        self.step += made
        self.lr = float(lrs[made - 1]) if made else self.lr

    def penalty(self) -> float | None:
        """The value of the ℓ1 and ℓ2 penalties, of a batch of average weight, or None without any."""
        rules = self.regularisation
        with np.errstate(over="ignore", invalid="ignore"):  # the check of the figures says so
            weight = self.weight / self.steps_per_epoch
            return rules.total(self.network.parameters(), weight) if rules.penalises else None

    def trace(self, batch: Examples, *, first: int, epoch: int, lr: float) -> Trace:
        """What a step on these examples would compute, with the network in sync; nothing is changed.

        Parameters
        ----------
        batch : Examples
            Of :attr:`examples`.
        first : int
            The position of its first row in the epoch's order; with ``epoch``, from 0, it decides dropout's masks.
        epoch : int
        lr : float
        """
        network = self.network
        updater = Updater(self.optimiser, self.regularisation, self.updater.clip)
        updater.restore(self.updater.state(), network)  # NumPy's arrays, wherever the engine has them
        draws = network.draws(len(batch), first=first, epoch=epoch)
        x = as_dense(batch.x)
        with np.errstate(all="ignore"):  # numbers that are not finite are what may be looked for
            return trace(network, self.loss, x, batch.y, weight=batch.weight, draws=draws, updater=updater, lr=lr)

    # Checks and small things

    def engine_text(self) -> str:
        """The engine in words, and why it is not the native one."""
        engine, reason = self.engine.describe(), self.engine_reason
        return say("{engine}, because {reason}", engine=engine, reason=reason) if reason else engine

    def _call(self, hook: str, *arguments: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(self, *arguments)

    def _check_output(self) -> None:
        """Warn of an output function that is followed by a loss that has its own."""
        surplus = surplus_output(self.network, self.loss)
        if surplus is not None:
            text = say(
                "the network ends in {output}, but the loss {loss!r} takes net inputs and has an output function of "
                "its own; use output='identity', or the loss 'log_loss'",
                output=surplus.name,
                loss=self.loss.name,
            )
            warnings.warn(text, GlassnetWarning, stacklevel=3)

    def _check_finite(self, record: dict[str, Any]) -> None:
        """The figures that are taken between the epochs; what happens in a step is noticed there."""
        names = {"loss": say("the training loss"), "val_loss": say("the validation loss")}
        for name, text in names.items():
            if not math.isfinite(record.get(name, 0.0)):
                raise diverged(self, text, record[name], quantity=name)
        for name, theta in self.network.parameters():
            if not np.isfinite(theta).all():
                raise diverged(self, say("the parameter {name}", name=name), np.nan, quantity=name)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def make_updater(config: TrainingConfig) -> Updater:
    """The rules by which this configuration changes parameters, with nothing remembered yet."""
    optimiser = OPTIMISERS.make(config.optimiser)
    regularisation = Regularisation(
        l1=config.l1,
        l2=config.l2,
        alpha=config.alpha,
        decay_form=config.decay_form,
        max_norm=config.max_norm,
        biases=config.regularise_biases,
    )
    rules = optimiser.regularisation(regularisation, config.weight_decay)
    return Updater(optimiser, rules, Clip(config.clip_norm, config.clip_value))


def _check_network(given: Any) -> None:
    if not isinstance(given, Network):
        raise ConfigError(say("expected a Network, not {given!r}; see Network.dense", given=given))


def train(
    network: Network,
    x: Any,
    y: Any,
    *,
    sample_weight: Any = None,
    validation: float | tuple[Any, ...] | None = None,
    callbacks: Sequence[Callback] = (),
    **config: Any,
) -> History:
    """Train a network in place on arrays.

    Parameters
    ----------
    network : Network
    x : array (N, n[0]), or sparse array of SciPy
    y : array
        Class indices (N,), which stand for one-hot rows; or targets (N, n[L]), for one output also (N,).
    sample_weight : array (N,), optional
    validation : float in (0, 1), or tuple (x, y) or (x, y, weight), optional
        A share of the rows to hold out (stratified by class), or a set of one's own.
    callbacks : sequence of Callback, default ()
    loss : str, dict, Loss or pair of functions, default "auto"
        "auto": for class indices or one-hot rows cross-entropy (log loss after softmax), for other rows of 0 and 1
        binary cross-entropy, else squared error. By name: squared_error, absolute_error, huber, poisson, cross_entropy,
        binary_cross_entropy, log_loss.
    optimiser : str, dict or Optimiser, default "adam"
        sgd, momentum, nesterov, rmsprop, adam, adamw.
    lr : float > 0, optional
        Learning rate; by default 0.1 for SGD, 0.01 with momentum, 0.001 for the others.
    schedule : str, dict or Schedule, default "auto"
        "auto" is constant; step, exponential, inverse_scaling, linear, cosine, one_cycle, reduce_on_plateau; each takes
        ``warmup``, in epochs.
    batch_size : int, optional
        By default about 1 in 100 rows, a power of 2 from 16 to 256.
    epochs : int, default 100
    shuffle : bool, default True
    l1, l2, alpha, weight_decay, decay_form, max_norm, regularise_biases : see Regularisation
    clip_norm, clip_value : see Clip
    early_stopping : str, dict or Criterion, optional
        "GL5", "PQ0.5", "UP3", "patience10"; needs ``validation``.
    monitor : {"loss", "metric"}, default "loss"
    restore_best : bool, default True
    on_nonfinite : {"stop", "skip", "halve"}, default "stop"
        When NaN or infinity arises in a step. "stop": go back to the parameters from before it and raise
        NotFiniteError. "skip": leave its batch out. "halve": go back to the beginning of the epoch and halve the
        learning rate. The last two warn.
    train_figures : {"running", "after"}, default "running"
        Training loss and metric as they were during the epoch (dropout on), or of all rows after it.
    class_weight : "balanced" or dict, optional
        By class index. A batch's loss is its own weighted mean, so in a batch of one row weights have no effect.
    seed : int, default 0
        Of the order of the rows and of the held-out share. The dropout masks follow the network's seed.
    device : str, default "auto"
        "cpu", "cuda" or what torch offers; see :func:`glassnet.engine.resolve_device`.
    engine : {"auto", "native", "reference"}, default "auto"
        "auto": the native engine if it can carry the job, else the reference engine; ``history.engine`` says why.
    precision : {"auto", "exact", "fast"}, default "auto"
        Of the native engine's products for a float32 network. "exact": float32. "fast": bfloat16 where the processor
        has it, with sums and parameters in float32. "auto" is exact.
    threads : int, optional
        At most. By default one a core, or what the library that the reference engine computes with is set to.

    Returns
    -------
    History

    Raises
    ------
    ConfigError
        If an option is unknown or out of its range.
    DataError, ShapeError
        If x, y or the weights cannot be used.
    NotFiniteError
        If the loss does not stay finite.

    Examples
    --------
    >>> import numpy as np, glassnet
    >>> x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> network = glassnet.Network.dense([2, 8, 1], "tanh")
    >>> history = glassnet.train(network, x, [0, 1, 1, 0], epochs=300, lr=0.02)
    >>> bool(history["loss"][-1] < 0.01)
    True
    """
    x, y = as_csr(x) if is_sparse(x) else np.asarray(x), np.asarray(y)
    _check_network(network)
    settings = TrainingConfig.make(**config)
    if settings.loss == "auto":
        settings = settings.replaced(loss=default_loss(network, y))
    trainer = Trainer(network, settings, callbacks)
    weight = None if sample_weight is None else np.asarray(sample_weight)
    examples = Examples(x, y, weight)
    held_out: Examples | None = None
    if isinstance(validation, (tuple, list)):
        if not 2 <= len(validation) <= 3:
            raise DataError(say("validation is a share of the rows, or (x, y) or (x, y, weight)"))
        held_out = Examples(*validation)
    elif validation is not None:
        if not isinstance(validation, (int, float)):
            raise ConfigError(say("validation is a share of the rows, or (x, y) or (x, y, weight)"))
        # the whole first, so that an error names the caller's own rows
        Preparation(network, trainer.loss, settings.class_weight)(examples)
        labels = y if y.ndim == 1 and network.sizes[-1] > 1 else None
        kept, held = split(len(y), validation, seed=settings.seed, labels=labels)
        examples, held_out = examples.take(kept), examples.take(held)
    return trainer.fit(examples, held_out)
