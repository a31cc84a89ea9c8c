"""Examples as a network and a loss can take them, checked at the border of training."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import numpy as np

from glassnet.activations import Logistic, Softmax
from glassnet.arrays import as_csr, is_sparse
from glassnet.data.examples import Examples
from glassnet.errors import ConfigError, DataError, ShapeError
from glassnet.losses import Loss, class_tables, sample_weights
from glassnet.losses import loss as make_loss
from glassnet.messages import say
from glassnet.network import Network, check_targets


class Preparation:
    """Checks examples for a network and a loss, and multiplies class weights in.

    Parameters
    ----------
    network : Network
    loss : Loss
    class_weight : "balanced", dict or None
        "balanced" is settled by the first examples, the training set; the validation set is weighed likewise.
    """

    def __init__(self, network: Network, loss: Loss, class_weight: Any = None) -> None:
        self.network = network
        self.loss = loss
        self.class_weight = class_weight
        if isinstance(class_weight, dict):  # files have text for keys
            self.class_weight = {int(k) if str(k).isdigit() else k: weight for k, weight in class_weight.items()}
        self._tables: list[dict[int, float]] | None = None

    def __call__(self, examples: Examples) -> Examples:
        """The examples, or DataError, ShapeError or ConfigError saying what is wrong with them."""
        x, y = check_numbers("x", examples.x), check_numbers("y", examples.y)
        self.network.check_shape(x)
        n = x.shape[0]
        if n == 0:
            raise DataError(say("there are no rows to learn from"))
        weight = None if examples.weight is None else check_numbers("weight", examples.weight)
        if weight is not None and weight.shape != (n,):
            text = say("sample weights must have the shape ({n},), not {shape}", n=n, shape=weight.shape)
            raise ShapeError(text)
        dtype = self.network.dtype
        for name, array in (("x", x), ("y", y), ("weight", weight)):
            if array is not None:
                check_finite(name, array, dtype)
        y = check_targets(y, n=n, outputs=self.network.sizes[-1], loss=self.loss, dtype=dtype)
        self._check_range(y)
        if self.class_weight is not None:
            labels = self._labels(y)
            if self._tables is None:
                self._tables = class_tables(labels, self.class_weight)
            weight = sample_weights(labels, self._tables, weight)
        if weight is not None:
            weight = np.asarray(weight, dtype=dtype)
            if (weight < 0).any() or not (weight > 0).any():
                raise DataError(say("sample weights must not be negative, and not all be 0"))
        return Examples(x, y, weight)

    def _labels(self, y: np.ndarray) -> np.ndarray:
        """Class indices (N,), or 0 and 1 (N, K), for class weights."""
        if y.ndim == 2 and self.loss.target not in ("classes", "labels"):
            raise ConfigError(say("class weights need classes, but the targets are numbers"))
        one_column = y.ndim == 2 and self.loss.target == "classes"
        labels = np.argmax(y, axis=1) if one_column else y
        if y.ndim == 2 and not ((y == 0) | (y == 1)).all():
            raise ConfigError(say("class weights need classes, but the targets are distributions"))
        known = range(self.network.sizes[-1] if labels.ndim == 1 else 2)
        if isinstance(self.class_weight, dict) and (unknown := [k for k in self.class_weight if k not in known]):
            text = say(
                "class_weight names {unknown!r}; classes are {first} to {last}",
                unknown=unknown[0],
                first=0,
                last=known[-1],
            )
            raise ConfigError(text)
        return labels

    def _check_range(self, y: np.ndarray) -> None:
        if y.ndim == 1:
            return
        name = self.loss.name
        if self.loss.target in ("labels", "classes") and ((y < 0) | (y > 1)).any():
            raise DataError(say("the loss {loss!r} needs targets from 0 to 1", loss=name))
        if self.loss.target == "classes" and not np.allclose(y.sum(axis=1), 1.0, atol=1e-3):
            raise DataError(say("the loss {loss!r} needs class indices, or rows of targets that sum to 1", loss=name))
        if self.loss.target == "counts" and (y < 0).any():
            raise DataError(say("the loss {loss!r} needs counts, 0 or above", loss=name))


def default_loss(network: Network, y: np.ndarray) -> Loss:
    """The loss that goes with the network's output and the targets.

    Class indices or one-hot rows: log loss after softmax, else cross-entropy. Other rows of 0 and 1: binary
    cross-entropy. Anything else: squared error.
    """
    zeros_and_ones = y.ndim == 2 and y.shape[1] > 1 and bool(((y == 0) | (y == 1)).all())
    one_hot = zeros_and_ones and bool((y.sum(axis=1) == 1).all())
    if (y.ndim == 1 and network.sizes[-1] > 1) or one_hot:
        softmax = isinstance(getattr(network.layers[-1], "activation", None), Softmax)
        return make_loss("log_loss" if softmax else "cross_entropy")
    return make_loss("binary_cross_entropy" if zeros_and_ones else "squared_error")


def surplus_output(network: Network, loss: Loss) -> Logistic | Softmax | None:
    """The output function that the network ends in though the loss takes net inputs and has its own, or None."""
    last = getattr(network.layers[-1], "activation", None)
    return last if loss.takes_logits and isinstance(last, (Logistic, Softmax)) else None


def default_batch_size(rows: int) -> int:
    """About 1 in 100 rows, a power of 2 from 16 to 256: few rows need small batches to make enough steps."""
    return int(min(256, max(16, 2 ** round(math.log2(max(rows, 1) / 100)))))


def check_numbers(name: str, given: Any) -> Any:
    """``given`` as an array of numbers, a CSR array if it is sparse, or DataError."""
    array = as_csr(given) if is_sparse(given) else np.asarray(given)
    if array.dtype.kind == "O":
        with suppress(TypeError, ValueError):
            array = array.astype(np.float64)
    if array.dtype.kind not in "biuf":
        raise DataError(say("{name} must hold real numbers, not {dtype}", name=name, dtype=array.dtype))
    return array


def check_finite(name: str, array: Any, dtype: str = "float64") -> None:
    """DataError naming the first entry that is NaN, infinite, or too large for ``dtype``."""
    if array.dtype.kind != "f":
        return
    largest = np.finfo(dtype).max
    values = array.data if is_sparse(array) else array
    if values.size == 0 or -largest <= values.min() <= values.max() <= largest:  # never so if one is NaN
        return
    place = np.argwhere(~(np.abs(values) <= largest))[0]
    if is_sparse(array):
        row = np.searchsorted(array.indptr, place[0], side="right") - 1
        place = (row, array.indices[place[0]])
    index = tuple(int(i) for i in place)
    text = say(
        "{name} holds {value} at {index}; fill, scale or drop such entries first",
        name=name,
        value=array[index],
        index=index,
    )
    raise DataError(text)
