"""How good predictions are, as what can be drawn: calibration, residuals, confusion, regions.

Shapes: N rows, K classes or outputs
    p (N, K) probabilities    labels (N,)    y, predicted (N, K)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from glassnet.arrays import evenly
from glassnet.data.examples import Examples
from glassnet.engine.base import r2
from glassnet.errors import ConfigError
from glassnet.messages import say
from glassnet.model import Model, confusion
from glassnet.network import Network

BINS = 10
MOST_ROWS = 2000  # that are shown one by one


@dataclass(frozen=True)
class Calibration:
    """How often predictions are right, by how sure they are (Guo et al. 2017).

    Attributes
    ----------
    edges : tuple of float
        Of the bins of confidence, which is the largest probability of a row.
    confidence, accuracy : tuple of float or None
        The means of each bin; None where it is empty.
    counts : tuple of int
    ece : float
        Expected calibration error: the mean |accuracy − confidence| of a row's bin.
    """

    edges: tuple[float, ...]
    confidence: tuple[float | None, ...]
    accuracy: tuple[float | None, ...]
    counts: tuple[int, ...]
    ece: float

    @classmethod
    def of(cls, p: np.ndarray, labels: np.ndarray, bins: int = BINS) -> Calibration:
        """That of probabilities (N, K) and true classes (N,)."""
        sure, right = p.max(axis=1), p.argmax(axis=1) == labels
        place = np.minimum((sure * bins).astype(int), bins - 1)
        counts = np.bincount(place, minlength=bins)
        sums = [np.bincount(place, weights=values, minlength=bins) for values in (sure, right.astype(float))]
        confidence, accuracy = (
            tuple(float(s / n) if n else None for s, n in zip(total, counts, strict=True)) for total in sums
        )
        ece = float(np.abs(sums[1] - sums[0]).sum() / len(labels))
        edges = tuple(np.linspace(0, 1, bins + 1).tolist())
        return cls(edges, confidence, accuracy, tuple(counts.tolist()), ece)


@dataclass(frozen=True)
class Confusion:
    """How many rows of each class were taken for which.

    Attributes
    ----------
    names : tuple of str
    counts : tuple of tuple of int
        Rows: the true class; columns: the predicted one.
    accuracy : float
    """

    names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    accuracy: float

    @classmethod
    def of(cls, p: np.ndarray, labels: np.ndarray, names: tuple[str, ...]) -> Confusion:
        """That of probabilities (N, K) and true classes (N,)."""
        counts = confusion(labels, p)
        accuracy = float(np.trace(counts) / max(len(labels), 1))
        return cls(names, tuple(tuple(row) for row in counts.tolist()), accuracy)


@dataclass(frozen=True)
class Residuals:
    """Predicted numbers beside the true ones, of one output, in the target's units.

    Attributes
    ----------
    name : str
    true, predicted : tuple of float
        Of at most 2,000 rows, spread evenly.
    rmse, r2 : float
        Of all rows.
    """

    name: str
    true: tuple[float, ...]
    predicted: tuple[float, ...]
    rmse: float
    r2: float

    @classmethod
    def of(cls, true: np.ndarray, predicted: np.ndarray, name: str) -> Residuals:
        """Those of true and predicted values, (N,) each."""
        squares = np.square(true - predicted)
        mean = true.mean()
        some = evenly(len(true), MOST_ROWS)
        return cls(
            name,
            tuple(true[some].tolist()),
            tuple(predicted[some].tolist()),
            float(np.sqrt(squares.mean())),
            float(r2(squares.sum(), mean, np.square(true - mean).sum(), len(true))),
        )


@dataclass(frozen=True)
class Filters:
    """The weights into the units of the first layer, as images.

    Attributes
    ----------
    shape : tuple of int
        Of an image.
    units : tuple of int
        Those with the largest norms, in order, at most 64.
    weights : ndarray (units, *shape)
    of : int
        Units that the layer has.
    """

    shape: tuple[int, ...]
    units: tuple[int, ...]
    weights: np.ndarray
    of: int

    @classmethod
    def of_network(cls, network: Network, shape: tuple[int, ...], most: int = 64) -> Filters:
        """Those of a network whose input is an image of that shape."""
        W = np.asarray(network.layer(1).params["W"], dtype=np.float64)
        first = np.sort(np.argsort(-np.linalg.norm(W, axis=1), kind="stable")[:most])
        return cls(shape, tuple(first.tolist()), W[first].reshape(len(first), *shape), len(W))


@dataclass(frozen=True)
class Regions:
    """What a network says everywhere in the plane of its two features.

    Attributes
    ----------
    names : tuple of str
        Of the features.
    first, second : ndarray (G,)
        The grid, in the units of the data.
    classes : tuple of str
        Empty for numbers.
    values : ndarray (G, G)
        The likeliest class, or the predicted number; rows: ``second``.
    surest : ndarray (G, G)
        Its probability; 1 for numbers.
    rows : ndarray (N, 2)
        Of at most 2,000 rows, spread evenly.
    labels : ndarray (N,)
        The class, or the number, of each of them.
    """

    names: tuple[str, ...]
    first: np.ndarray
    second: np.ndarray
    classes: tuple[str, ...]
    values: np.ndarray
    surest: np.ndarray
    rows: np.ndarray
    labels: np.ndarray

    @classmethod
    def of_model(cls, model: Model, examples: Examples, grid: int = 200) -> Regions:
        """Those of a model of two features; ConfigError if it has another number."""
        if model.network.sizes[0] != 2:
            text = say("regions need two features; this network has {n}", n=model.network.sizes[0])
            raise ConfigError(text)
        x = np.asarray(examples.x, dtype=np.float64)
        shift, scale = _scaling(model)
        margin = 0.08 * np.maximum(np.ptp(x, axis=0), 1e-9)
        first, second = (
            np.linspace(low, high, grid)
            for low, high in zip(x.min(axis=0) - margin, x.max(axis=0) + margin, strict=True)
        )
        plane = np.stack(np.meshgrid(first, second), axis=-1).reshape(-1, 2).astype(model.network.dtype)
        said = model.predict_features(plane)
        shape = (grid, grid)
        names = tuple(model.encoding.feature_names) if model.encoding is not None else ("x0", "x1")
        some = evenly(len(x), MOST_ROWS)
        first, second, rows = first * scale[0] + shift[0], second * scale[1] + shift[1], x[some] * scale + shift
        y = np.asarray(examples.y)[some]
        if said.probabilities is not None and model.task == "classification":
            p, labels = said.probabilities, y if y.ndim == 1 else y.argmax(axis=1)
            values, surest = p.argmax(axis=1).reshape(shape), p.max(axis=1).reshape(shape)
            return cls(names, first, second, tuple(map(str, said.classes)), values, surest, rows, labels)
        values = np.asarray(said.values, dtype=np.float64).reshape(len(plane), -1)[:, 0].reshape(shape)
        true = np.asarray(y if model.target is None else model.target.decode(y))
        return cls(names, first, second, (), values, np.ones(shape), rows, true.reshape(len(rows), -1)[:, 0])


def _scaling(model: Model) -> tuple[np.ndarray, np.ndarray]:
    """Shift and scale by which two features were encoded; 0 and 1 where they are no scaled numbers."""
    shift, scale = np.zeros(2), np.ones(2)
    encoding = model.encoding
    if encoding is None:
        return shift, scale
    if encoding.arrays is not None:
        return np.resize(encoding.arrays.shift, 2), np.resize(encoding.arrays.scale, 2)
    if len(encoding.columns) == 2:
        for k, column in enumerate(encoding.columns):
            if column.kind != "category":
                shift[k], scale[k] = column.shift[0], column.scale[0]
    return shift, scale


def classes_of(model: Model, examples: Examples) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Probabilities (N, K), true classes (N,) and their names; ConfigError if the model does not classify."""
    if model.task != "classification":
        raise ConfigError(say("this needs classes, but the task is {task}", task=say(model.task)))
    said = model.predict_features(examples.x)
    assert said.probabilities is not None
    y = np.asarray(examples.y)
    return said.probabilities, y if y.ndim == 1 else y.argmax(axis=1), tuple(map(str, said.classes))


def residuals_of(model: Model, examples: Examples) -> list[Residuals]:
    """Those of each output; ConfigError if the model does not predict numbers."""
    if model.task != "regression":
        raise ConfigError(say("this needs numbers to predict, but the task is {task}", task=say(model.task)))
    said: Any = np.asarray(model.predict_features(examples.x).values, dtype=np.float64).reshape(len(examples), -1)
    y = np.asarray(examples.y)
    true = np.asarray(y if model.target is None else model.target.decode(y), dtype=np.float64).reshape(len(said), -1)
    base = model.target_name or say("target")
    names = [base if said.shape[1] == 1 else f"{base} {k}" for k in range(said.shape[1])]
    return [Residuals.of(true[:, k], said[:, k], name) for k, name in enumerate(names)]
