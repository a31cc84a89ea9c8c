"""What a diagnosis looks at, and what it finds.

Shapes: N rows, n[l] units in layer l, K outputs
    x (N, n[0])    targets, outputs (N, K)    labels (N,)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np

from glassnet.arrays import as_dense, evenly, to_numpy
from glassnet.config import TrainingConfig
from glassnet.data.encoding import Encoding
from glassnet.data.examples import Examples
from glassnet.layers import Dense, Dropout
from glassnet.losses import LOSSES, Loss, dense_targets
from glassnet.messages import say
from glassnet.network import Network
from glassnet.runs import Inside
from glassnet.training import History, Snapshot, Trainer

ROWS = 2000
"""Of each set, at most so many rows are looked at, spread evenly over it."""
NEIGHBOURS = 10


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, or is likely to be.

    Attributes
    ----------
    code : str
        Of the disease: "vanishing_delta", "dead_units", …; see :data:`glassnet.inspection.rules.RULES`.
    title : str
        In a few words.
    layer : int or None
        l, if it is one layer's.
    epoch : int or None
        The epoch of the evidence.
    evidence : dict
        The numbers that it rests on, by name.
    reason : str
        Why, in terms of the equations.
    remedy : str
        What to try.
    """

    code: str
    title: str
    layer: int | None
    epoch: int | None
    evidence: Mapping[str, float | int | str]
    reason: str
    remedy: str

    def to_json(self) -> dict[str, Any]:
        """As pure JSON types."""
        return {**vars(self), "evidence": dict(self.evidence)}

    def text(self) -> str:
        """In a few lines."""
        places = [] if self.layer is None else [say("layer {layer}", layer=self.layer)]
        places += [] if self.epoch is None else [say("epoch {epoch}", epoch=self.epoch)]
        head = self.title + (f" ({', '.join(places)})" if places else "")
        numbers = ", ".join(f"{name} {_shown(value)}" for name, value in self.evidence.items())
        return "\n".join([head, f"  {numbers}", f"  {self.reason}", f"  → {self.remedy}"])


def _shown(value: float | int | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Column:
    """Features that come of one column of the data.

    Attributes
    ----------
    name : str
    places : tuple of int
        Of its features.
    constant : bool
        Whether it was constant before it was scaled.
    """

    name: str
    places: tuple[int, ...]
    constant: bool = False


@dataclass
class Case:
    """A network in or after training, with everything that tells how it went.

    Attributes
    ----------
    network : Network
        As it is now.
    loss : Loss
    training : TrainingConfig
    history : History
    snapshots : list of Snapshot
    train_set : Examples
        Encoded.
    validation_set : Examples or None
    batch_size : int
    encoding : Encoding or None
        Of the data, where it is known.
    found : dict
        What the rules that were asked already have found, by their names.
    """

    network: Network
    loss: Loss
    training: TrainingConfig
    history: History
    snapshots: Sequence[Snapshot]
    train_set: Examples
    validation_set: Examples | None
    batch_size: int
    encoding: Encoding | None = None
    found: dict[str, Finding | None] = field(default_factory=dict)

    @classmethod
    def of_run(cls, inside: Inside) -> Self:
        """The case of a run."""
        training = inside.config.training
        batch_size = min(training.batch_size or len(inside.train_set), len(inside.train_set))
        return cls(
            network=inside.model.network,
            loss=inside.model.loss,
            training=training,
            history=inside.history,
            snapshots=inside.snapshots,
            train_set=inside.train_set,
            validation_set=inside.validation_set,
            batch_size=batch_size,
            encoding=inside.model.encoding,
        )

    @classmethod
    def of_trainer(cls, trainer: Trainer, snapshots: Sequence[Snapshot]) -> Self:
        """The case of a network that is being trained, or has been."""
        assert trainer.examples is not None
        return cls(
            network=trainer.network,
            loss=trainer.loss,
            training=trainer.config,
            history=trainer.history,
            snapshots=snapshots,
            train_set=trainer.examples,
            validation_set=trainer.validation,
            batch_size=trainer.batch_size,
            encoding=trainer.encoding,
        )

    # The network

    @cached_property
    def dense(self) -> list[Dense]:
        """The layers with parameters, from below."""
        return [layer for layer in self.network.layers if isinstance(layer, Dense)]

    @cached_property
    def keeps(self) -> list[float]:
        """The keep probabilities of its dropout layers."""
        return [layer.keep for layer in self.network.layers if isinstance(layer, Dropout)]

    @property
    def steps_per_epoch(self) -> int:
        """Steps in an epoch."""
        return -(-len(self.train_set) // self.batch_size)

    @property
    def early(self) -> list[Snapshot]:
        """Those of the first five epochs, the start included."""
        return [snapshot for snapshot in self.snapshots if snapshot.epoch <= 5]

    @property
    def kept_epoch(self) -> int:
        """The epoch whose parameters the network has."""
        return self.history.best_epoch or len(self.history)

    # The data

    @cached_property
    def rows(self) -> Examples:
        """Training rows to look at."""
        return _some(self.train_set)

    @cached_property
    def held_out(self) -> Examples | None:
        """Validation rows to look at."""
        return None if self.validation_set is None else _some(self.validation_set)

    @cached_property
    def x(self) -> np.ndarray:
        """Of :attr:`rows`, (N, n[0])."""
        return np.asarray(as_dense(self.rows.x), dtype=np.float64)

    @cached_property
    def labels(self) -> np.ndarray | None:
        """Classes of :attr:`rows`, (N,), if there are classes."""
        return self.labels_of(self.rows)

    def labels_of(self, examples: Examples) -> np.ndarray | None:
        """Classes of some rows, (N,), if there are classes: one for each row."""
        y = np.asarray(examples.y)
        if y.ndim == 1:
            return y.astype(np.int64)
        one_hot = y.shape[1] > 1 and bool(((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all())
        return y.argmax(axis=1) if one_hot else None

    @cached_property
    def numbers(self) -> np.ndarray | None:
        """Targets of :attr:`rows`, (N, K), if they are numbers to be met."""
        y = np.asarray(self.rows.y, dtype=np.float64)
        return y if self.labels is None and self.loss.target in ("values", "counts") else None

    @cached_property
    def is_image(self) -> bool:
        """Whether the features are pixels or the like, of one scale, many of them 0 in most rows."""
        if self.encoding is not None and (self.encoding.arrays is None or self.encoding.feature_shape is not None):
            return self.encoding.arrays is not None
        return self.x.shape[1] >= 20 and float((self.x == 0).mean()) > 0.2

    @cached_property
    def columns(self) -> list[Column]:
        """The features, by the column that they come of."""
        if self.encoding is None:
            return [Column(f"x{k}", (k,)) for k in range(self.x.shape[1])]
        if self.encoding.arrays is not None:
            arrays, width = self.encoding.arrays, self.x.shape[1]
            scale, shift = np.resize(arrays.scale, width), np.resize(arrays.shift, width)
            constant = (scale == 0) & (shift != 0) & (not self.is_image)  # one that was always 0 does no harm
            names = self.encoding.feature_names
            return [Column(name, (k,), bool(constant[k])) for k, name in enumerate(names)]
        columns, at = [], 0
        for column in self.encoding.columns:
            count = len(column.feature_names)
            places = tuple(range(at, at + count))
            constant = column.kind != "category" and not self.x[:, places].any(axis=0).any()
            columns.append(Column(column.name, places, constant))
            at += count
        return columns

    @cached_property
    def standard(self) -> np.ndarray:
        """x with every feature at mean 0 and standard deviation 1 (constants at 0); pixels keep their scale."""
        centred = self.x - self.x.mean(axis=0)
        scale = centred.std() if self.is_image else centred.std(axis=0)
        standard: np.ndarray = centred / np.where(scale > 0, scale, 1.0)
        return standard

    # What others make of the data

    @cached_property
    def neighbours(self) -> np.ndarray:
        """For each of :attr:`rows` the nearest others, (N, NEIGHBOURS)."""
        from sklearn.neighbors import NearestNeighbors

        count = min(NEIGHBOURS, len(self.standard) - 1)
        search = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(self.standard)
        found: np.ndarray = search.kneighbors(return_distance=False)
        return found

    @cached_property
    def baseline(self) -> tuple[str, float]:
        """The better of two methods without any training, and its accuracy or R² on rows that it has not seen.

        Ten nearest neighbours, and least squares with a little ℓ2; each row is left out when it is predicted.
        """
        targets = self.targets
        means = targets[self.neighbours].mean(axis=1)
        found = [(say("10 nearest neighbours"), self.score(means, self.rows))]
        rows, width = self.standard.shape
        if rows > 2 * width:
            found.append((say("least squares"), self.score(_left_out(self.standard, targets), self.rows)))
        return max(found, key=lambda pair: pair[1])

    @cached_property
    def targets(self) -> np.ndarray:
        """Of :attr:`rows` as numbers, classes one-hot, (N, K)."""
        if self.labels is not None:
            one_hot: np.ndarray = np.eye(max(self.network.sizes[-1], 2))[self.labels]
            return one_hot
        return np.asarray(self.rows.y, dtype=np.float64).reshape(len(self.rows), -1)

    def score(self, outputs: np.ndarray, examples: Examples) -> float:
        """The accuracy of outputs (N, K) behind the link, or their R²."""
        labels = self.labels_of(examples)
        if labels is not None:
            return float((outputs.argmax(axis=1) == labels).mean())
        y = np.asarray(examples.y, dtype=np.float64).reshape(len(outputs), -1)
        if self.loss.target == "labels":
            return float(((outputs > 0.5) == (y > 0.5)).mean())
        spread = np.square(y - y.mean(axis=0)).sum()
        return float(1 - np.square(y - outputs).sum() / spread) if spread else 1.0

    # What the network makes of them, without dropout

    def outputs(self, examples: Examples) -> np.ndarray:
        """Behind the link, (N, K)."""
        return self._linked(self._net_outputs(examples))

    @cached_property
    def own_outputs(self) -> np.ndarray:
        """Of :attr:`rows`, behind the link, (N, K)."""
        return self._linked(self._own_net_outputs)

    @cached_property
    def _own_net_outputs(self) -> np.ndarray:
        return self._net_outputs(self.rows)

    def _linked(self, a: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray(self.loss.link(a), dtype=np.float64)

    def _net_outputs(self, examples: Examples) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray(to_numpy(self.network.forward(as_dense(examples.x).astype(self.network.dtype))))

    @cached_property
    def trained_score(self) -> float:
        """The network's accuracy or R² on :attr:`rows`."""
        return self.score(self.own_outputs, self.rows)

    @cached_property
    def trained_loss(self) -> float:
        """The network's loss on :attr:`rows`."""
        with np.errstate(all="ignore"):
            a = self._own_net_outputs
            return float(self.loss.value(a, dense_targets(np.asarray(self.rows.y), a)))

    @cached_property
    def constant_loss(self) -> float:
        """The loss of the best constant output, about: what a network reaches that looks at no feature."""
        with np.errstate(all="ignore"):
            y = self.targets
            mean = np.broadcast_to(y.mean(axis=0), y.shape)
            if self.loss.target == "classes":
                p = np.clip(mean, 1e-12, None)
                return float(-(y * np.log(p)).sum(axis=1).mean())
            if self.loss.target == "labels":
                p = np.clip(mean, 1e-12, 1 - 1e-12)
                return float(-(y * np.log(p) + (1 - y) * np.log(1 - p)).sum(axis=1).mean())
            a = mean if not self.loss.takes_logits else np.log(np.clip(mean, 1e-12, None))
            return float(self.loss.value(a, y))

    def height(self, loss: float) -> float:
        """A loss as a share of that of a constant output; NaN where that says nothing: it is 0, or may be negative."""
        known = getattr(self.loss, "name", None) in LOSSES.names()
        sensible = known and self.loss.target != "counts" and self.constant_loss > 1e-9
        return loss / self.constant_loss if sensible else float("nan")

    @cached_property
    def diverged(self) -> bool:
        """Whether training ended so, or a loss or a parameter is not finite."""
        losses = [record["loss"] for record in self.history]
        finite = all(np.isfinite(theta).all() for _, theta in self.network.parameters())
        return self.history.stop_code == "diverged" or not (finite and all(map(math.isfinite, losses)))


def _some(examples: Examples) -> Examples:
    return examples if len(examples) <= ROWS else examples.take(evenly(len(examples), ROWS))


def _left_out(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The predictions of least squares for each row, without that row: y − e / (1 − h), with h the leverages."""
    rows = len(x)
    design = np.column_stack([x, np.ones(rows)])
    gram = design.T @ design + 1e-3 * rows * np.eye(design.shape[1])
    solved = np.linalg.solve(gram, design.T)
    leverage = np.einsum("ij,ji->i", design, solved)
    residual = y - design @ (solved @ y)
    predicted: np.ndarray = y - residual / np.maximum(1 - leverage, 1e-3)[:, None]
    return predicted
