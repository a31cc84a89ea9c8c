"""What an engine is, and the sums that it returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from glassnet.arrays import Array, namespace, to_numpy
from glassnet.data.examples import Examples
from glassnet.engine.devices import limited_threads
from glassnet.losses import Loss
from glassnet.messages import say
from glassnet.network import Network
from glassnet.optimisers import Updater
from glassnet.random import permutation


@dataclass(slots=True)
class Totals:
    """Weighted sums over examples, from which every reported figure follows.

    Attributes
    ----------
    weight : Σ w_n
    loss : Σ w_n c_n
    right : whether ``hits`` is what is counted: for classes and labels
    hits : Σ w_n [prediction n is right]
    squares : Σ w_n (y_n − ŷ_n)², (K,), for numbers
    mean : Σ w_n y_n / Σ w_n, (K,), likewise
    spread : Σ w_n (y_n − mean)², (K,), likewise
    """

    weight: Any = 0.0
    loss: Any = 0.0
    right: bool = False
    hits: Any = 0.0
    squares: Any = 0.0
    mean: Any = 0.0
    spread: Any = 0.0

    @classmethod
    def of(cls, loss: Loss, value: Array, a: Array, y: Array, weight: Array | None) -> Totals:
        """Those of a batch with the outputs ``a`` (N, M) and the loss ``value``."""
        xp = namespace(a)
        w = None if weight is None else _wide(weight)
        total = float(a.shape[0]) if w is None else xp.sum(w)
        sums = cls(total, _wide(xp.asarray(value)) * total, y.ndim == 1 or loss.target in ("classes", "labels"))
        if not sums.right:
            y, w = _wide(y), 1.0 if w is None else w[:, None]
            sums.squares = xp.sum(w * xp.square(_wide(loss.link(a)) - y), axis=0)
            sums.mean = xp.sum(w * y, axis=0) / (total + (total == 0))
            sums.spread = xp.sum(w * xp.square(y - sums.mean), axis=0)
            return sums
        if y.ndim == 1 or loss.target == "classes":
            hits = xp.argmax(a, axis=1) == (y if y.ndim == 1 else xp.argmax(y, axis=1))
        else:
            hits = xp.all((a > 0) == (y > 0.5), axis=1)
        sums.hits = xp.sum(hits) if w is None else xp.sum(w * hits)
        return sums

    def state(self) -> dict[str, Any]:
        """The sums as NumPy arrays, for :meth:`of_state`."""
        sums = {name: np.array(to_numpy(getattr(self, name))) for name in self.__slots__ if name != "right"}
        return {**sums, "right": self.right}

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> Totals:
        """What :meth:`state` gave."""
        return cls(**state)

    def __add__(self, other: Totals) -> Totals:
        """The sums over both; spreads by the formula of Chan, Golub and LeVeque 1979, in which nothing cancels."""
        weight = self.weight + other.weight
        share = other.weight / (weight + (weight == 0))
        step = other.mean - self.mean
        return Totals(
            weight,
            self.loss + other.loss,
            self.right or other.right,
            self.hits + other.hits,
            self.squares + other.squares,
            self.mean + share * step,
            self.spread + other.spread + self.weight * share * step * step,
        )

    def metrics(self) -> dict[str, float]:
        """The mean loss, and the accuracy or R² (the mean over the outputs)."""
        weight = _number(self.weight)
        figures = {"loss": _number(self.loss) / weight if weight else float("nan")}
        if self.right:
            figures["accuracy"] = _number(self.hits) / weight if weight else float("nan")
        else:
            squares, mean, spread = (
                np.asarray(to_numpy(v), np.float64) for v in (self.squares, self.mean, self.spread)
            )
            figures["r2"] = float(np.mean(r2(squares, mean, spread, weight)))
        return figures


@np.errstate(over="ignore", invalid="ignore")
def r2(squares: np.ndarray, mean: np.ndarray, spread: np.ndarray, weight: float) -> np.ndarray:
    """1 − squares / spread for each output; of a constant one 1 if it is met and else 0, as scikit-learn has it."""
    rounding = weight * np.square(8 * np.finfo(np.float64).eps * mean)
    constant = (spread <= rounding) & np.isfinite(spread)
    return np.where(constant, squares <= rounding, 1.0 - squares / np.where(constant, 1.0, spread))


def _wide(array: Array) -> Array:
    """In float64, where the device has it: the spread is a small difference of large sums."""
    xp = namespace(array)
    return array if str(array.device).startswith("mps") else xp.astype(array, xp.float64, copy=False)


def _number(value: Any) -> float:
    return float(to_numpy(value))


def threads_text(threads: int) -> str:
    """So many threads, in words."""
    return say("1 thread") if threads == 1 else say("{threads} threads", threads=threads)


class Engine(ABC):
    """Trains a network over given batches in a given order.

    Parameters
    ----------
    network : Network
        Trained in place: :meth:`sync` brings its arrays up to date.
    loss : Loss
    updater : Updater
    device : str
        From :func:`glassnet.engine.resolve_device`.
    threads : int, optional
        By default as many as there are.
    precision : {"auto", "exact", "fast"}, default "auto"
        Of the products, for an engine that has a choice.

    Attributes
    ----------
    threads : int
        In force within :meth:`limited`.
    halted : bool
        Set from anywhere: :meth:`train` returns after the step under way.
    steps_made : int
        By the last call of :meth:`train`.
    failed : bool
        Whether after these steps another one was made, in which a number was not finite. :meth:`back` undoes it.
    patient : bool
        Whether numbers are looked at now and then only, so that ``failed`` may come some steps late.
    syncs : int
        How often :meth:`sync` was called.
    """

    name: ClassVar[str]
    holds_copies: ClassVar[bool] = True
    """Whether :meth:`hold` takes memory for another set of parameters and slots."""

    def __init__(
        self,
        network: Network,
        loss: Loss,
        updater: Updater,
        device: str,
        *,
        threads: int | None = None,
        precision: str = "auto",
    ) -> None:
        self.network = network
        self.loss = loss
        self.updater = updater
        self.device = device
        self.precision = precision
        self.threads = 0
        self.halted = False
        self.steps_made = 0
        self.failed = False
        self.patient = False
        self.syncs = 0
        self._asked_threads = threads

    @contextmanager
    def limited(self) -> Iterator[int]:
        """Within a block the engine computes with the threads that were asked for; yields their number."""
        with limited_threads(self.device, self._asked_threads) as self.threads:
            yield self.threads

    @abstractmethod
    def describe(self) -> str:
        """Its name and how it computes, in a few words."""

    @abstractmethod
    def place(self, examples: Examples) -> Examples:
        """The examples where the engine wants them; done once, before training."""

    def order(self, n: int, *, seed: int, epoch: int) -> np.ndarray:
        """The random order of ``n`` rows in an epoch, int64 (n,): that of :func:`glassnet.random.permutation`."""
        return permutation(n, seed=seed, epoch=epoch)

    @abstractmethod
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
        """Make ``len(lrs)`` steps of ``batch_size`` rows each, the last batch perhaps shorter.

        It makes fewer if it is halted, or if a number is not finite: ``steps_made`` and ``failed`` say so.

        Parameters
        ----------
        examples : Examples
            As :meth:`place` gave them.
        order : ndarray of int64
            The epoch's order of the rows, all of it.
        first : int
            The position in ``order`` at which to start.
        epoch : int
            From 0; with the positions it decides the dropout masks.
        lrs : ndarray (steps,)
            The learning rate of each step.
        totals : Totals, optional
            Of the epoch's steps before these, which are added to one by one: the sums do not show where it was split.

        Returns
        -------
        Totals
            Of the outputs as they were in training: before each update, under its masks.
        """

    @abstractmethod
    def evaluate(self, examples: Examples) -> Totals:
        """Totals of the examples without dropout and without training."""

    @abstractmethod
    def sync(self) -> None:
        """Bring the arrays of the network that was given up to date."""

    @abstractmethod
    def reload(self) -> None:
        """Take over what network and updater now hold: they have been changed from outside."""

    @abstractmethod
    def hold(self) -> None:
        """Remember network and updater as they are, in sync."""

    @abstractmethod
    def back(self) -> None:
        """Return to what :meth:`hold` remembered, before the next :meth:`sync`."""
