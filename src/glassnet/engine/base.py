"""What an engine is, and the sums that it returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from glassnet.arrays import Array, namespace, to_numpy
from glassnet.data.examples import Examples
from glassnet.losses import Loss
from glassnet.network import Network
from glassnet.optimisers import Updater


@dataclass
class Totals:
    """Weighted sums over examples, from which every reported figure follows.

    Attributes
    ----------
    weight : Σ w_n
    loss : Σ w_n c_n
    right : whether ``hits`` is what is counted: for classes and labels
    hits : Σ w_n [prediction n is right]
    squares : Σ w_n (y_n − ŷ_n)², (K,), for numbers
    y, y2 : Σ w_n y_n and Σ w_n y_n², (K,), likewise
    """

    weight: Any = 0.0
    loss: Any = 0.0
    right: bool = False
    hits: Any = 0.0
    squares: Any = 0.0
    y: Any = 0.0
    y2: Any = 0.0

    def add(self, loss: Loss, value: Array, a: Array, y: Array, weight: Array | None) -> None:
        """Count a batch with the outputs ``a`` (N, M) and the loss ``value``."""
        xp = namespace(a)
        total = len(a) if weight is None else xp.sum(_wide(weight))
        self.weight = self.weight + total
        self.loss = self.loss + value * total
        self.right = y.ndim == 1 or loss.target in ("classes", "labels")
        if self.right:
            if y.ndim == 1 or loss.target == "classes":
                right = xp.argmax(a, axis=1) == (y if y.ndim == 1 else xp.argmax(y, axis=1))
            else:
                right = xp.all((a > 0) == (y > 0.5), axis=1)
            self.hits = self.hits + (xp.sum(right) if weight is None else xp.sum(right * weight))
        else:
            w = 1.0 if weight is None else _wide(weight)[:, None]
            y = _wide(y)
            self.squares = self.squares + xp.sum(w * xp.square(_wide(loss.link(a)) - y), axis=0)
            self.y = self.y + xp.sum(w * y, axis=0)
            self.y2 = self.y2 + xp.sum(w * xp.square(y), axis=0)

    def __add__(self, other: Totals) -> Totals:
        sums = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self) if f.name != "right"}
        return Totals(**sums, right=self.right or other.right)

    def metrics(self) -> dict[str, float]:
        """The mean loss, and the accuracy or R² (the mean over the outputs)."""
        weight = _number(self.weight)
        figures = {"loss": _number(self.loss) / weight if weight else float("nan")}
        if self.right:
            figures["accuracy"] = _number(self.hits) / weight if weight else float("nan")
        else:
            squares, y, y2 = (np.asarray(to_numpy(v), dtype=np.float64) for v in (self.squares, self.y, self.y2))
            spread = y2 - y * y / weight if weight else y2
            perfect = np.where(squares > 0, 0.0, 1.0)  # of a column that is constant, as scikit-learn has it
            figures["r2"] = float(
                np.mean(np.where(spread > 0, 1.0 - squares / np.where(spread > 0, spread, 1), perfect))
            )
        return figures


def _wide(array: Array) -> Array:
    """In float64, where the device has it: the spread is a small difference of large sums."""
    xp = namespace(array)
    return array if str(array.device).startswith("mps") else xp.astype(array, xp.float64, copy=False)


def _number(value: Any) -> float:
    return float(to_numpy(value))


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
    """

    name: ClassVar[str]

    def __init__(self, network: Network, loss: Loss, updater: Updater, device: str) -> None:
        self.network = network
        self.loss = loss
        self.updater = updater
        self.device = device

    @abstractmethod
    def place(self, examples: Examples) -> Examples:
        """The examples where the engine wants them; done once, before training."""

    @abstractmethod
    def train(
        self, examples: Examples, order: np.ndarray, *, first: int, epoch: int, batch_size: int, lrs: np.ndarray
    ) -> Totals:
        """Make ``len(lrs)`` steps of ``batch_size`` rows each, the last batch perhaps shorter.

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
