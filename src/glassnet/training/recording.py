"""What passes through a network while it is trained, in few numbers, epoch after epoch.

A :class:`Recorder` takes a :class:`Snapshot` before training and after epochs: it traces the same rows of the training
set each time (:func:`glassnet.trace.trace`), under the masks of dropout as in training, with the step that the
optimiser would make. Curves, diagnosis and tracking read snapshots.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

import numpy as np
from pydantic import TypeAdapter
from threadpoolctl import ThreadpoolController

from glassnet.activations import Logistic, ReLU, Tanh
from glassnet.arrays import evenly, to_numpy
from glassnet.errors import ConfigError
from glassnet.layers import Dense
from glassnet.messages import say
from glassnet.trace import LayerTrace, Trace
from glassnet.training.callbacks import Callback
from glassnet.training.trainer import Trainer

ROWS = 128
"""Rows of the training set that are traced, spread evenly over it."""
BINS = 32
SAMPLE = 8192  # entries of a quantity that its quantiles and counts are taken from, spread evenly over it
SHARES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
"""The quantiles of a :class:`Distribution`."""
FLAT = 0.05
"""A unit is saturated where its σ′ is below this share of the largest that σ has."""


@dataclass(frozen=True)
class Distribution:
    """The values of a quantity.

    Attributes
    ----------
    norm : float
        √Σ v².
    rms : float
        √(Σ v² / n).
    mean, least, most : float
    quantiles : tuple of float
        At :data:`SHARES`.
    counts : tuple of int
        Entries in each of :data:`BINS` equal bins from ``least`` to ``most``, of a sample of at most 8,192.
    """

    norm: float
    rms: float
    mean: float
    least: float
    most: float
    quantiles: tuple[float, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, values: np.ndarray) -> Distribution:
        """That of an array of any shape; NaN and infinity make its figures NaN."""
        flat = values.ravel()
        squares = float(np.dot(flat, flat)) if flat.dtype == np.float64 else float(np.vdot(flat, flat))
        step = -(-flat.size // SAMPLE)
        if step > 1 and values.shape[-1] % step == 0:
            step += 1  # else it would look at the same columns in every row
        sample = np.sort(flat[::step].astype(np.float64))
        least, most = float(flat.min()), float(flat.max())
        if not np.isfinite([squares, least, most]).all():
            nan = float("nan")
            return cls(nan, nan, nan, least, most, (nan,) * len(SHARES), (0,) * BINS)
        at = np.array(SHARES) * (len(sample) - 1)
        quantiles = sample[np.round(at).astype(int)]
        edges = np.searchsorted(sample, np.linspace(least, most, BINS + 1)[1:-1])
        counts = np.diff([0, *edges, len(sample)])
        mean = float(flat.mean(dtype=np.float64))
        return cls(
            norm=squares**0.5,
            rms=(squares / flat.size) ** 0.5,
            mean=mean,
            least=least,
            most=most,
            quantiles=tuple(quantiles.tolist()),
            counts=tuple(counts.tolist()),
        )


@dataclass(frozen=True)
class LayerSnapshot:
    """One layer with parameters.

    Attributes
    ----------
    number : int
        l.
    z, a, delta : Distribution
        Over rows and units. δ is each row's own, as the lecture has it.
    W : Distribution
    gradient : Distribution
        ∂C/∂W of the rows, without penalties.
    gradient_norm : float
        Of ∂C/∂W and ∂C/∂b together.
    update_norm : float
        Of the change that the optimiser's next step makes to W.
    still : float
        The share of W's entries with a gradient that this step leaves as they are: the change is below the precision
        of the number.
    dead : float or None
        The share of units with σ′ = 0 in all rows; None where σ is no ReLU.
    saturated : float or None
        The share of entries with σ′ below :data:`FLAT` of the largest; None where σ is not bounded.
    twins : float
        The share of units whose incoming weights and bias are those of another unit.
    """

    number: int
    z: Distribution
    a: Distribution
    delta: Distribution
    W: Distribution
    gradient: Distribution
    gradient_norm: float
    update_norm: float
    still: float
    dead: float | None
    saturated: float | None
    twins: float

    @property
    def update_ratio(self) -> float:
        """‖ΔW‖ / ‖W‖ of a step; infinite where W is 0."""
        return self.update_norm / self.W.norm if self.W.norm else float("inf" if self.update_norm else 0)


@dataclass(frozen=True)
class Snapshot:
    """A network at a moment of its training.

    Attributes
    ----------
    epoch : int
        Epochs that are done; 0 before training.
    step : int
        Steps that are done.
    lr : float
    loss : float
        C of the traced rows, without penalties.
    noise : float or None
        tr Σ / ‖∇C‖²: the batch size at which the gradient's noise is as large as the gradient (McCandlish et al. 2018);
        None where no gradient stands out from the noise.
    layers : tuple of LayerSnapshot
    """

    epoch: int
    step: int
    lr: float
    loss: float
    noise: float | None
    layers: tuple[LayerSnapshot, ...]

    def layer(self, number: int) -> LayerSnapshot:
        """Layer l, from 1."""
        return self.layers[number - 1]


def snapshot(traced: Trace, dense: Sequence[Dense], *, epoch: int, step: int) -> Snapshot:
    """The numbers of a trace with an update.

    Parameters
    ----------
    traced : Trace
    dense : sequence of Dense
        The network's layers with parameters, from below.
    epoch, step : int
        Those that are done.
    """
    assert traced.update is not None
    layers = []
    squares = np.zeros(len(traced.x))  # ‖∇C_n‖² of each row
    total = 0.0
    passed = {layer.number: layer for layer in traced.layers if layer.kind == "dense"}
    inputs = _inputs(traced)
    for layer in dense:
        own = passed[layer.number]
        a_in = inputs[layer.number]
        with_bias = "b" in own.grads
        squares += _row_squares(own.own_delta) * (_row_squares(a_in) + with_bias)
        norm2 = sum(float(np.vdot(gradient, gradient)) for gradient in own.grads.values())
        total += norm2
        layers.append(_layer(own, layer, traced.update.change[f"{layer.number}.W"], norm2**0.5))
    return Snapshot(
        epoch=epoch,
        step=step,
        lr=traced.update.lr,
        loss=traced.loss,
        noise=_noise(squares, total, traced.share),
        layers=tuple(layers),
    )


def _inputs(traced: Trace) -> dict[int, np.ndarray]:
    """What goes into each layer with parameters: the output of whatever is below it."""
    a, inputs = traced.x, {}
    for layer in traced.layers:
        if layer.kind == "dense":
            inputs[layer.number] = a
        a = layer.a
    return inputs


def _row_squares(values: np.ndarray) -> np.ndarray:
    squares: np.ndarray = np.einsum("ij,ij->i", values, values, dtype=np.float64)
    return squares


def _noise(squares: np.ndarray, total: float, share: np.ndarray) -> float | None:
    """tr Σ / ‖∇C‖², both without the bias of estimating them from the same rows."""
    n = 1.0 / float(np.square(share).sum())  # rows, as weights count them
    if n <= 1:
        return None
    spread = max(float(share @ squares) - total, 0.0) * n / (n - 1)
    gradient = total - spread / n
    return spread / gradient if gradient > 0 else None


def _layer(own: LayerTrace, layer: Dense, change: np.ndarray, gradient_norm: float) -> LayerSnapshot:
    z, W, gradient = own.z, to_numpy(layer.params["W"]), own.grads["W"]
    assert z is not None
    return LayerSnapshot(
        number=own.number,
        z=Distribution.of(z),
        a=Distribution.of(own.a),
        delta=Distribution.of(own.own_delta),
        W=Distribution.of(W),
        gradient=Distribution.of(gradient),
        gradient_norm=gradient_norm,
        update_norm=float(np.linalg.norm(change)),
        still=_still(change, gradient),
        dead=float((z <= 0).all(axis=0).mean()) if isinstance(layer.activation, ReLU) else None,
        saturated=_saturated(layer.activation, z, own.a),
        twins=twins(W, layer.params.get("b")),
    )


def _still(change: np.ndarray, gradient: np.ndarray) -> float:
    moved, pulled = np.count_nonzero(change), np.count_nonzero(gradient)
    return max(0.0, 1 - moved / pulled) if pulled else 0.0


def _saturated(activation: Any, z: np.ndarray, a: np.ndarray) -> float | None:
    """The share of entries where σ is flat, of a σ that is flat on both sides."""
    if isinstance(activation, Logistic):
        return float((a * (1 - a) < FLAT / 4).mean())
    if isinstance(activation, Tanh):
        return float((a * a > 1 - FLAT).mean())
    return None


def twins(W: np.ndarray, b: Any = None) -> float:
    """The share of units (rows of W, and b) that another unit equals but for rounding."""
    if len(W) < 2:
        return 0.0
    # two numbers of each row, of which equal rows have equal ones, and others hardly ever
    rng = np.random.default_rng(0)
    marks = W @ rng.normal(size=(W.shape[1], 2)).astype(W.dtype)
    if b is not None:
        marks = marks + to_numpy(b)[:, None] * rng.normal(size=2)
    marks = marks[np.lexsort(marks.T)]
    reach = 1e-5 * np.abs(marks).max()
    same = (np.abs(np.diff(marks, axis=0)) <= reach).all(axis=1)
    return float((np.r_[same, False] | np.r_[False, same]).mean())


@dataclass
class Recorder(Callback):
    """Takes snapshots: before training, and after epochs.

    It changes nothing, and training goes the same way with it to the bit.

    Parameters
    ----------
    interval : int ≥ 1 or None, default None
        Epochs from one to the next. None: one after each of the first 20, and then whenever there are 5 % more epochs.
    rows : int ≥ 1, default 128
        Rows of the training set to trace.

    Attributes
    ----------
    snapshots : list of Snapshot
    seconds : float
        That taking them took.
    """

    interval: int | None = None
    rows: int = ROWS
    snapshots: list[Snapshot] = field(default_factory=list)
    seconds: float = 0.0
    _blas: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name, value in (("interval", self.interval), ("rows", self.rows)):
            if value is not None and value < 1:
                raise ConfigError(say("{name} must be 1 or more, not {value}", name=name, value=value))

    def on_train_begin(self, trainer: Trainer) -> None:
        """Take the first: of the start, or of where a run that was broken off goes on."""
        self.snapshots.clear()
        self.seconds = 0.0
        self._blas = ThreadpoolController().select(user_api="blas")
        self._take(trainer, trainer.epoch)

    def state(self) -> dict[str, Any]:
        """The snapshots so far."""
        return {"snapshots": to_jsonl(self.snapshots), "seconds": self.seconds}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from them."""
        self.snapshots[:] = from_jsonl(state["snapshots"])
        self.seconds = state["seconds"]

    def on_epoch_end(self, trainer: Trainer, record: dict[str, Any]) -> None:
        """Take one if it is time."""
        last = self.snapshots[-1].epoch
        gap = self.interval or max(1, last // 20)
        if trainer.epoch - last >= gap:
            self._take(trainer, trainer.epoch)

    def on_train_end(self, trainer: Trainer) -> None:
        """Take the last, if it is not there yet: of the parameters that training leaves."""
        if self.snapshots[-1].epoch != trainer.epoch:
            self._take(trainer, trainer.epoch)

    def _take(self, trainer: Trainer, epoch: int) -> None:
        started = time.perf_counter()
        examples, dense = trainer.examples, [layer for layer in trainer.network.layers if isinstance(layer, Dense)]
        assert examples is not None
        rows = examples.take(evenly(len(examples), self.rows))
        # BLAS's threads wait awake for more work: where training does without them they would be in its way
        with nullcontext() if trainer.engine.name == "reference" else self._blas.limit(limits=1):
            traced = trainer.trace(rows, first=0, epoch=trainer.first_epoch + epoch, lr=trainer.lr)
            with np.errstate(all="ignore"):  # numbers that are not finite are what a snapshot is to show
                self.snapshots.append(snapshot(traced, dense, epoch=epoch, step=trainer.step))
        self.seconds += time.perf_counter() - started


def to_jsonl(snapshots: Iterable[Snapshot]) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(asdict(snapshot)) + "\n" for snapshot in snapshots)


def from_jsonl(text: str) -> list[Snapshot]:
    """What :func:`to_jsonl` wrote; ValueError if it is anything else."""
    return [_adapter().validate_json(line) for line in text.splitlines() if line.strip()]


@cache
def _adapter() -> TypeAdapter[Snapshot]:
    return TypeAdapter(Snapshot)
