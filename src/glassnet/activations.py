"""Activation functions σ, each with its pull-back J_σ(z)ᵀ grad_a directly below it.

Shapes: z, a, grad_a (N, M). An elementwise σ gives its derivative σ′(z), (N, M), and inherits
pull_back = grad_a ⊙ σ′(z); softmax mixes the units of a row and pulls back through its whole Jacobian.

To add one: subclass :class:`Elementwise`, write ``__call__`` and ``derivative``, register it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from glassnet.arrays import Array, WrittenFor, at_least, call_with, erf, namespace
from glassnet.errors import ConfigError, ShapeError
from glassnet.messages import say
from glassnet.registry import Registry


class Activation(ABC):
    """a = σ(z). Write ``__call__`` and ``pull_back``; set ``kinks`` where σ′ jumps."""

    name: ClassVar[str]
    kinks: tuple[float, ...] = ()
    """The z at which σ is not differentiable: there a numerical derivative says nothing."""

    @abstractmethod
    def __call__(self, z: Array) -> Array:
        """a = σ(z), (N, M)."""

    @abstractmethod
    def pull_back(self, grad_a: Array, z: Array, /) -> Array:
        """J_σ(z)ᵀ grad_a, (N, M)."""


class Elementwise(Activation):
    """An activation that treats every unit on its own. Write ``__call__`` and ``derivative``."""

    @abstractmethod
    def derivative(self, z: Array) -> Array:
        """σ′(z), (N, M)."""

    def pull_back(self, grad_a: Array, z: Array, /) -> Array:
        """grad_a ⊙ σ′(z)."""
        return grad_a * self.derivative(z)


ACTIVATIONS: Registry[Activation] = Registry("activation", Activation)


@ACTIVATIONS.register("linear", "none")
@dataclass(frozen=True)
class Identity(Elementwise):
    """σ(z) = z."""

    name: ClassVar[str] = "identity"

    def __call__(self, z: Array) -> Array:
        return z

    def derivative(self, z: Array) -> Array:
        """1."""
        return namespace(z).ones_like(z)

    def pull_back(self, grad_a: Array, z: Array, /) -> Array:
        """grad_a."""
        return grad_a


def logistic(z: Array) -> Array:
    """1 / (1 + e⁻ᶻ), from the exponential of −|z|, which cannot overflow."""
    xp = namespace(z)
    e = xp.exp(-xp.abs(z))
    return xp.where(z >= 0, 1.0, e) / (1.0 + e)


@ACTIVATIONS.register("sigmoid")
@dataclass(frozen=True)
class Logistic(Elementwise):
    """σ(z) = 1 / (1 + e⁻ᶻ)."""

    name: ClassVar[str] = "logistic"

    def __call__(self, z: Array) -> Array:
        return logistic(z)

    def derivative(self, z: Array) -> Array:
        """σ(z) (1 − σ(z)) = e / (1 + e)² with e = e^−|z|, which keeps its digits in both tails."""
        xp = namespace(z)
        e = xp.exp(-xp.abs(z))
        return e / ((1.0 + e) * (1.0 + e))


@ACTIVATIONS.register()
@dataclass(frozen=True)
class Tanh(Elementwise):
    """σ(z) = tanh z."""

    name: ClassVar[str] = "tanh"

    def __call__(self, z: Array) -> Array:
        return namespace(z).tanh(z)

    def derivative(self, z: Array) -> Array:
        """1 − tanh² z."""
        t = namespace(z).tanh(z)
        return 1.0 - t * t


@ACTIVATIONS.register()
@dataclass(frozen=True)
class ReLU(Elementwise):
    """σ(z) = max(z, 0) (Nair and Hinton 2010). At the kink z = 0 the derivative is taken as 0."""

    name: ClassVar[str] = "relu"
    kinks = (0.0,)

    def __call__(self, z: Array) -> Array:
        return at_least(z, 0.0)

    def derivative(self, z: Array) -> Array:
        """1 where z > 0, else 0."""
        return namespace(z).astype(z > 0, z.dtype)

    def pull_back(self, grad_a: Array, z: Array, /) -> Array:
        """grad_a where z > 0, else 0."""
        return grad_a * (z > 0)


@ACTIVATIONS.register()
@dataclass(frozen=True)
class LeakyReLU(Elementwise):
    """σ(z) = z where z > 0, else slope · z (Maas, Hannun and Ng 2013).

    Parameters
    ----------
    slope : float, default 0.01
    """

    slope: float = 0.01
    name: ClassVar[str] = "leaky_relu"
    kinks = (0.0,)

    def __call__(self, z: Array) -> Array:
        return namespace(z).where(z > 0, z, self.slope * z)

    def derivative(self, z: Array) -> Array:
        """1 where z > 0, else slope."""
        xp = namespace(z)
        return xp.where(z > 0, xp.ones_like(z), xp.full_like(z, self.slope))


@ACTIVATIONS.register()
@dataclass(frozen=True)
class ELU(Elementwise):
    """σ(z) = z where z > 0, else α (eᶻ − 1) (Clevert, Unterthiner and Hochreiter 2016).

    Parameters
    ----------
    alpha : float, default 1.0
        Minus the value that σ tends to on the left. With any other value than 1, σ′ jumps at 0.
    """

    alpha: float = 1.0
    name: ClassVar[str] = "elu"
    kinks = (0.0,)

    def __call__(self, z: Array) -> Array:
        xp = namespace(z)
        return xp.where(z > 0, z, self.alpha * xp.expm1(xp.clip(z, max=0.0)))

    def derivative(self, z: Array) -> Array:
        """1 where z > 0, else α eᶻ."""
        xp = namespace(z)
        return xp.where(z > 0, xp.ones_like(z), self.alpha * xp.exp(xp.clip(z, max=0.0)))


@ACTIVATIONS.register()
@dataclass(frozen=True)
class GELU(Elementwise):
    """σ(z) = z Φ(z) with the normal distribution function Φ, exact, not the tanh form (Hendrycks and Gimpel 2016)."""

    name: ClassVar[str] = "gelu"

    def __call__(self, z: Array) -> Array:
        return z * _normal_cdf(z)

    def derivative(self, z: Array) -> Array:
        """Φ(z) + z φ(z) with the normal density φ."""
        xp = namespace(z)
        density = xp.exp(-0.5 * xp.square(xp.clip(z, min=-40.0, max=40.0))) * (1.0 / math.sqrt(2.0 * math.pi))
        return _normal_cdf(z) + z * density


def _normal_cdf(z: Array) -> Array:
    return 0.5 * (1.0 + erf(z * math.sqrt(0.5)))


@ACTIVATIONS.register("swish")
@dataclass(frozen=True)
class SiLU(Elementwise):
    """σ(z) = z · logistic(z) (Elfwing, Uchibe and Doya 2018)."""

    name: ClassVar[str] = "silu"

    def __call__(self, z: Array) -> Array:
        return z * logistic(z)

    def derivative(self, z: Array) -> Array:
        """s + z s (1 − s) with s = logistic(z)."""
        s = logistic(z)
        return s + z * Logistic().derivative(z)


def softplus(z: Array) -> Array:
    """ln(1 + eᶻ) = max(z, 0) + ln(1 + e^−|z|), which cannot overflow."""
    xp = namespace(z)
    return xp.clip(z, min=0.0) + xp.log1p(xp.exp(-xp.abs(z)))


@ACTIVATIONS.register()
@dataclass(frozen=True)
class Softplus(Elementwise):
    """σ(z) = ln(1 + eᶻ) (Dugas et al. 2001)."""

    name: ClassVar[str] = "softplus"

    def __call__(self, z: Array) -> Array:
        return softplus(z)

    def derivative(self, z: Array) -> Array:
        """logistic(z)."""
        return logistic(z)


def softmax(z: Array) -> Array:
    """e^z_k / Σ_j e^z_j along each row, from z minus the row's maximum, which cannot overflow."""
    xp = namespace(z)
    e = xp.exp(z - xp.max(z, axis=1, keepdims=True))
    return e / xp.sum(e, axis=1, keepdims=True)


@ACTIVATIONS.register()
@dataclass(frozen=True)
class Softmax(Activation):
    """σ(z)_k = e^z_k / Σ_j e^z_j. Not elementwise: each output depends on every net input of its row.

    With the loss ``log_loss`` this is the general form of BP.1. To train a classifier, rather end the network with
    the identity and use the loss ``cross_entropy``, which contains the softmax and stays exact at any z.
    """

    name: ClassVar[str] = "softmax"

    def __call__(self, z: Array) -> Array:
        return softmax(z)

    def pull_back(self, grad_a: Array, z: Array, /) -> Array:
        """J grad_a with the Jacobian J = diag(a) − a aᵀ, which is its own transpose: a ⊙ (grad_a − aᵀ grad_a)."""
        xp = namespace(z)
        a = softmax(z)
        return a * (grad_a - xp.sum(a * grad_a, axis=1, keepdims=True))


@dataclass(frozen=True)
class Custom(Activation):
    """A user's own activation: σ and either σ′ (elementwise) or the pull-back.

    The functions get torch tensors when ``arrays="torch"``, NumPy arrays when ``arrays="numpy"``, and whatever the
    engine computes with when ``arrays="any"`` (NumPy on the CPU, torch elsewhere). They must not change them.

    Parameters
    ----------
    function : callable
        σ(z), (N, M) to (N, M).
    derivative : callable, optional
        σ′(z), (N, M) to (N, M). Then σ must be elementwise.
    pull_back_function : callable, optional
        ``(grad_a, z)`` to J_σ(z)ᵀ grad_a, (N, M); instead of ``derivative``.
    arrays : {"any", "torch", "numpy"}, default "any"
    kinks : tuple of float, default ()
        Where σ is not differentiable, for the gradient check.
    """

    function: Callable[[Array], Array]
    derivative: Callable[[Array], Array] | None = None
    pull_back_function: Callable[[Array, Array], Array] | None = None
    arrays: WrittenFor = "any"
    kinks: tuple[float, ...] = ()
    name: ClassVar[str] = "custom"

    def __post_init__(self) -> None:
        if (self.derivative is None) == (self.pull_back_function is None):
            raise ConfigError(say("a custom activation takes either its derivative or its pull_back_function"))

    def __call__(self, z: Array) -> Array:
        return _same_shape(call_with(self.arrays, self.function, z), z)

    def pull_back(self, grad_a: Array, z: Array, /) -> Array:
        """grad_a ⊙ σ′(z), or the user's own pull-back."""
        if self.derivative is not None:
            return grad_a * _same_shape(call_with(self.arrays, self.derivative, z), z)
        assert self.pull_back_function is not None
        return _same_shape(call_with(self.arrays, self.pull_back_function, grad_a, z), z)


def _same_shape(result: Array, z: Array) -> Array:
    if tuple(result.shape) != tuple(z.shape):
        text = say(
            "a custom activation must keep the shape {shape}, but gives {came}",
            shape=tuple(z.shape),
            came=tuple(result.shape),
        )
        raise ShapeError(text)
    return result


def activation(
    given: str | dict[str, object] | Activation | tuple[Callable[..., Array], Callable[..., Array]],
) -> Activation:
    """The activation that ``given`` stands for: a name, a mapping, an object, or a pair (σ, σ′) of functions."""
    if isinstance(given, tuple):
        return Custom(*given)
    return ACTIVATIONS.make(given)
