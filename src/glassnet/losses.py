"""Loss functions: the value of C and, directly below it, its gradient ∂C/∂a.

Shapes: N samples, M outputs.
    a (N, M) outputs of the network    weight (N,) of the samples, or None for equal ones
    y (N, M) targets; class indices (N,) stand for rows with a 1 in the class's column

C is the weighted mean of each sample's own loss c_n: C = Σ w_n c_n / Σ w_n. So the gradient carries the factor
w_n / Σ w, which is 1/N when all weights are equal, and every later sum over the batch is a plain sum. A batch whose
weights are all zero has C = 0 and no gradient.

Losses for classes take logits, the net inputs of the output layer: the softmax or logistic function is part of the
loss, and δ^L = (p − y)/N follows with no special case in back-propagation. ``link`` turns logits into predictions.

To add one: subclass :class:`Loss`, write ``terms`` and ``term_gradient``, register it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from glassnet.activations import logistic, softmax, softplus
from glassnet.arrays import Array, WrittenFor, call_with, namespace, one_hot
from glassnet.errors import ConfigError, ShapeError
from glassnet.messages import say
from glassnet.registry import Registry


class Loss(ABC):
    """C and ∂C/∂a of a batch. Write ``terms`` (each sample's loss) and ``term_gradient`` (its derivative)."""

    name: ClassVar[str]
    takes_logits: ClassVar[bool] = False
    """Whether the loss contains the output's softmax, logistic or exponential function."""
    target: ClassVar[str] = "values"
    """What y is meant to hold: "classes" (rows that sum to 1), "labels" (0 or 1 each), "counts" (≥ 0) or "values"."""

    @property
    def kinks(self) -> tuple[float, ...]:
        """The residuals a − y at which the loss is not smooth: there a numerical derivative says nothing."""
        return ()

    @abstractmethod
    def terms(self, a: Array, y: Array) -> Array:
        """Each sample's loss c_n, (N,), for targets (N, M)."""

    @abstractmethod
    def term_gradient(self, a: Array, y: Array) -> Array:
        """∂c_n/∂a_n for each sample, (N, M), for targets (N, M)."""

    def value(self, a: Array, y: Array, weight: Array | None = None) -> Array:
        """C = Σ w_n c_n / Σ w_n, a scalar."""
        xp = namespace(a)
        terms = self.terms(a, dense_targets(y, a))
        return xp.mean(terms) if weight is None else xp.sum(_shares(weight) * terms)

    def gradient(self, a: Array, y: Array, weight: Array | None = None) -> Array:
        """∂C/∂a, (N, M): each sample's gradient times w_n / Σ w."""
        gradient = self.term_gradient(a, dense_targets(y, a))
        return gradient / a.shape[0] if weight is None else _shares(weight)[:, None] * gradient

    def link(self, a: Array) -> Array:
        """The network's output as a prediction, (N, M): probabilities or a mean, where the loss takes logits."""
        return a


def dense_targets(y: Array, a: Array) -> Array:
    """Targets (N, M), from class indices if that is what they are."""
    return one_hot(y, a.shape[1], a.dtype) if y.ndim == 1 else y


def _shares(weight: Array) -> Array:
    """w_n / Σ w, (N,); all zero if the weights are."""
    xp = namespace(weight)
    total = xp.sum(weight)
    return weight / xp.where(total > 0, total, xp.ones_like(total))


LOSSES: Registry[Loss] = Registry("loss", Loss)


@LOSSES.register("squared", "mse", "quadratic")
@dataclass(frozen=True)
class SquaredError(Loss):
    """c = ½ ‖a − y‖²."""

    name: ClassVar[str] = "squared_error"

    def terms(self, a: Array, y: Array) -> Array:
        """½ Σ_k (a_k − y_k)²."""
        xp = namespace(a)
        return 0.5 * xp.sum(xp.square(a - y), axis=1)

    def term_gradient(self, a: Array, y: Array) -> Array:
        """a − y."""
        return a - y


@LOSSES.register("absolute", "mae")
@dataclass(frozen=True)
class AbsoluteError(Loss):
    """c = Σ_k |a_k − y_k|. At 0 the subgradient 0 is taken."""

    name: ClassVar[str] = "absolute_error"

    @property
    def kinks(self) -> tuple[float, ...]:
        """Residual 0."""
        return (0.0,)

    def terms(self, a: Array, y: Array) -> Array:
        """Σ_k |a_k − y_k|."""
        xp = namespace(a)
        return xp.sum(xp.abs(a - y), axis=1)

    def term_gradient(self, a: Array, y: Array) -> Array:
        """sign(a − y)."""
        return namespace(a).sign(a - y)


@LOSSES.register()
@dataclass(frozen=True)
class Huber(Loss):
    """Quadratic near the target, linear beyond ``threshold`` (Huber 1964).

    c = Σ_k h(a_k − y_k) with h(r) = ½ r² where |r| ≤ t, else t (|r| − ½ t).

    Parameters
    ----------
    threshold : float > 0, default 1.0
        t, in units of the target.
    """

    threshold: float = 1.0
    name: ClassVar[str] = "huber"

    def __post_init__(self) -> None:
        if not self.threshold > 0:
            raise ConfigError(say("the Huber loss's threshold must be above 0, not {value}", value=self.threshold))

    @property
    def kinks(self) -> tuple[float, ...]:
        """The residuals −t and t, where the second derivative jumps."""
        return (-self.threshold, self.threshold)

    def terms(self, a: Array, y: Array) -> Array:
        """Σ_k h(a_k − y_k), written with q = min(|r|, t): h = q (|r| − ½ q)."""
        xp = namespace(a)
        r = xp.abs(a - y)
        q = xp.clip(r, max=self.threshold)
        return xp.sum(q * (r - 0.5 * q), axis=1)

    def term_gradient(self, a: Array, y: Array) -> Array:
        """a − y, clipped to [−t, t]."""
        return namespace(a).clip(a - y, min=-self.threshold, max=self.threshold)


@LOSSES.register("softmax_cross_entropy", "softmax")
@dataclass(frozen=True)
class CrossEntropy(Loss):
    """Softmax and cross-entropy in one, on logits: c = −Σ_k t_k ln p_k with p = softmax(a).

    In natural logarithms and computed by log-sum-exp, so 0 · ln 0 never occurs. Rows of targets sum to 1.

    Parameters
    ----------
    label_smoothing : float in [0, 1), default 0.0
        ε: the target becomes t = (1 − ε) y + ε / M (Szegedy et al. 2016).
    """

    label_smoothing: float = 0.0
    name: ClassVar[str] = "cross_entropy"
    takes_logits: ClassVar[bool] = True
    target: ClassVar[str] = "classes"

    def __post_init__(self) -> None:
        _check_smoothing(self.label_smoothing)

    def _smooth(self, y: Array) -> Array:
        return y if self.label_smoothing == 0 else (1 - self.label_smoothing) * y + self.label_smoothing / y.shape[1]

    def terms(self, a: Array, y: Array) -> Array:
        """ln Σ_k e^a_k − Σ_k t_k a_k, from a minus its row's maximum."""
        xp = namespace(a)
        a = a - xp.max(a, axis=1, keepdims=True)
        return xp.log(xp.sum(xp.exp(a), axis=1)) - xp.sum(self._smooth(y) * a, axis=1)

    def term_gradient(self, a: Array, y: Array) -> Array:
        """p − t."""
        return softmax(a) - self._smooth(y)

    def link(self, a: Array) -> Array:
        """p = softmax(a)."""
        return softmax(a)


@LOSSES.register("logistic_cross_entropy", "bce")
@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """Logistic function and cross-entropy in one, on logits, summed over labels that can all be 0 or 1 at once.

    c = −Σ_k (t_k ln p_k + (1 − t_k) ln(1 − p_k)) with p = logistic(a).

    Parameters
    ----------
    label_smoothing : float in [0, 1), default 0.0
        ε: the target becomes t = (1 − ε) y + ε / 2.
    """

    label_smoothing: float = 0.0
    name: ClassVar[str] = "binary_cross_entropy"
    takes_logits: ClassVar[bool] = True
    target: ClassVar[str] = "labels"

    def __post_init__(self) -> None:
        _check_smoothing(self.label_smoothing)

    def _smooth(self, y: Array) -> Array:
        return y if self.label_smoothing == 0 else (1 - self.label_smoothing) * y + 0.5 * self.label_smoothing

    def terms(self, a: Array, y: Array) -> Array:
        """Σ_k ln(1 + e^a_k) − t_k a_k."""
        return namespace(a).sum(softplus(a) - self._smooth(y) * a, axis=1)

    def term_gradient(self, a: Array, y: Array) -> Array:
        """p − t."""
        return logistic(a) - self._smooth(y)

    def link(self, a: Array) -> Array:
        """p = logistic(a)."""
        return logistic(a)


def _check_smoothing(value: float) -> None:
    if not 0 <= value < 1:
        raise ConfigError(say("label_smoothing must be at least 0 and below 1, not {value}", value=value))


@LOSSES.register()
@dataclass(frozen=True)
class LogLoss(Loss):
    """Cross-entropy of probabilities, for a network that ends in softmax: c = −Σ_k y_k ln a_k.

    The general form of BP.1 on display: ∂C/∂a = −y/a goes through softmax's Jacobian and comes out as a − y.
    Probabilities below ``floor`` count as ``floor``; to train in earnest use :class:`CrossEntropy`, which is exact.

    Parameters
    ----------
    floor : float > 0, default 1e-30
    """

    floor: float = 1e-30
    name: ClassVar[str] = "log_loss"
    target: ClassVar[str] = "classes"

    def __post_init__(self) -> None:
        if not 0 < self.floor < 1:
            raise ConfigError(say("log_loss's floor must be above 0 and below 1, not {value}", value=self.floor))

    def terms(self, a: Array, y: Array) -> Array:
        """−Σ_k y_k ln a_k."""
        xp = namespace(a)
        return -xp.sum(y * xp.log(xp.clip(a, min=self.floor)), axis=1)

    def term_gradient(self, a: Array, y: Array) -> Array:
        """−y / a."""
        return -y / namespace(a).clip(a, min=self.floor)


@LOSSES.register()
@dataclass(frozen=True)
class Poisson(Loss):
    """Negative log-likelihood of counts with rate λ = eᵃ, on the logarithm of the rate: c = Σ_k e^a_k − y_k a_k.

    The constant ln y! is left out. Beyond ``limit`` the exponential goes on as its tangent, so that one wild output
    cannot overflow.

    Parameters
    ----------
    limit : float, default 30.0
    """

    limit: float = 30.0
    name: ClassVar[str] = "poisson"
    takes_logits: ClassVar[bool] = True
    target: ClassVar[str] = "counts"

    def terms(self, a: Array, y: Array) -> Array:
        """Σ_k e^a_k − y_k a_k."""
        xp = namespace(a)
        low = xp.clip(a, max=self.limit)
        return xp.sum(xp.exp(low) * (1.0 + a - low) - y * a, axis=1)

    def term_gradient(self, a: Array, y: Array) -> Array:
        """eᵃ − y."""
        return self.link(a) - y

    def link(self, a: Array) -> Array:
        """λ = eᵃ, at most e^limit."""
        xp = namespace(a)
        return xp.exp(xp.clip(a, max=self.limit))


@dataclass(frozen=True)
class Custom(Loss):
    """A user's own loss.

    Parameters
    ----------
    function : callable
        ``(a, y)`` to each sample's loss, (N, M) and (N, M) to (N,).
    derivative : callable
        ``(a, y)`` to the derivative of each sample's loss by its outputs, (N, M). No 1/N: the mean is taken here.
    arrays : {"any", "torch", "numpy"}, default "any"
        The arrays that the functions were written for; "any": NumPy on the CPU, torch elsewhere.
    """

    function: Callable[[Array, Array], Array]
    derivative: Callable[[Array, Array], Array]
    arrays: WrittenFor = "any"
    name: ClassVar[str] = "custom"

    def terms(self, a: Array, y: Array) -> Array:
        """The user's function; ShapeError if it does not give (N,)."""
        return self._of_shape(call_with(self.arrays, self.function, a, y), (a.shape[0],))

    def term_gradient(self, a: Array, y: Array) -> Array:
        """The user's derivative; ShapeError if it does not give (N, M)."""
        return self._of_shape(call_with(self.arrays, self.derivative, a, y), tuple(a.shape))

    @staticmethod
    def _of_shape(result: Array, shape: tuple[int, ...]) -> Array:
        if tuple(result.shape) != shape:
            text = say("a custom loss must give the shape {shape}, not {came}", shape=shape, came=tuple(result.shape))
            raise ShapeError(text)
        return result


def loss(given: str | dict[str, Any] | Loss | tuple[Callable[..., Array], Callable[..., Array]]) -> Loss:
    """The loss that ``given`` stands for: a name, a mapping, an object, or a pair (value, derivative) of functions."""
    if isinstance(given, tuple):
        return Custom(*given)
    return LOSSES.make(given)


def balanced_weights(classes: np.ndarray) -> dict[int, float]:
    """Class weights N / (K · N_k), under which every class counts alike (King and Zeng 2001)."""
    index, counts = np.unique(classes, return_counts=True)
    return {int(k): len(classes) / (len(index) * int(count)) for k, count in zip(index, counts, strict=True)}


def class_tables(y: np.ndarray, class_weight: Any) -> list[dict[int, float]]:
    """The weight of each class by its index: one table for class indices (N,), one a column for labels (N, K)."""
    columns = y[:, None] if y.ndim == 1 else y
    if isinstance(class_weight, str) and class_weight == "balanced":
        return [balanced_weights(column.astype(np.int64)) for column in columns.T]
    if not isinstance(class_weight, Mapping):
        raise ConfigError(say("class_weight is 'balanced' or weights by class, not {value!r}", value=class_weight))
    table = {int(k): float(v) for k, v in class_weight.items()}
    if any(not np.isfinite(v) or v < 0 for v in table.values()):
        raise ConfigError(say("class weights must be finite and not negative: {value!r}", value=class_weight))
    return [table] * columns.shape[1]


def sample_weights(y: np.ndarray, class_weight: Any, weight: np.ndarray | None = None) -> np.ndarray:
    """Sample weights that give each class its weight: w_n times the weight of the class of sample n.

    Parameters
    ----------
    y : ndarray of int, (N,), or of 0 and 1, (N, K)
        Class indices, or many labels; with many labels a sample's weight is the product over its labels' weights.
    class_weight : "balanced", dict, or list of dict as :func:`class_tables` gives
        Weight by class index (classes left out weigh 1); for many labels the classes are 0 and 1 of every label.
    weight : ndarray (N,), optional
        The samples' own weights.

    Returns
    -------
    ndarray of float64, (N,)

    Raises
    ------
    ConfigError
        If ``class_weight`` is of another form, or a weight is negative or not finite.
    """
    tables = class_weight if isinstance(class_weight, list) else class_tables(y, class_weight)
    result = np.ones(len(y)) if weight is None else np.array(weight, dtype=np.float64)
    columns = y[:, None] if y.ndim == 1 else y
    for column, table in zip(columns.T, tables, strict=True):
        known, index = np.unique(column.astype(np.int64), return_inverse=True)
        result *= np.array([table.get(int(k), 1.0) for k in known])[index]
    return result
