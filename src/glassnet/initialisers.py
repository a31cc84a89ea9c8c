"""Initial weights: W (n_out, n_in) drawn from an explicit generator.

Each variance-scaling rule comes as uniform on [−r, r] and as normal with variance σ² = r²/3. To add one: subclass
:class:`Initialiser`, write ``__call__``, register it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from glassnet.activations import Activation
from glassnet.errors import ConfigError
from glassnet.messages import say
from glassnet.registry import Registry

Distribution = Literal["uniform", "normal"]


class Initialiser(ABC):
    """Initial values for an array. Write ``__call__``."""

    name: ClassVar[str]

    @abstractmethod
    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Float64 values; the shape is (n_out, n_in) for weights and (n_out,) for biases."""


INITIALISERS: Registry[Initialiser] = Registry("initialiser", Initialiser)


@INITIALISERS.register()
@dataclass(frozen=True)
class Zeros(Initialiser):
    """All zero: the units of a layer then stay alike, and a ReLU network trains its output biases only."""

    name: ClassVar[str] = "zeros"

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        return np.zeros(shape)


@INITIALISERS.register()
@dataclass(frozen=True)
class Constant(Initialiser):
    """One value everywhere.

    Parameters
    ----------
    value : float, default 0.01
        0.01 is the lecture's choice for the biases of ReLU units.
    """

    value: float = 0.01
    name: ClassVar[str] = "constant"

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        return np.full(shape, float(self.value))


@INITIALISERS.register()
@dataclass(frozen=True)
class Normal(Initialiser):
    """N(mean, variance): a fixed variance, whatever the layer's size.

    Parameters
    ----------
    variance : float ≥ 0, default 0.01
        σ², not σ.
    mean : float, default 0.0
    """

    variance: float = 0.01
    mean: float = 0.0
    name: ClassVar[str] = "normal"

    def __post_init__(self) -> None:
        _check_variance(self.variance)

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        return rng.normal(self.mean, math.sqrt(self.variance), shape)


@INITIALISERS.register()
@dataclass(frozen=True)
class Uniform(Initialiser):
    """Uniform on [−r, r] with r = √(3σ²), which has the variance σ².

    Parameters
    ----------
    variance : float ≥ 0, default 0.01
        σ².
    """

    variance: float = 0.01
    name: ClassVar[str] = "uniform"

    def __post_init__(self) -> None:
        _check_variance(self.variance)

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        r = math.sqrt(3.0 * self.variance)
        return rng.uniform(-r, r, shape)


def _check_variance(variance: float) -> None:
    if not 0 <= variance < math.inf:
        raise ConfigError(say("a variance must be finite and not negative, not {value}", value=variance))


@dataclass(frozen=True)
class VarianceScaling(Initialiser):
    """Variance that depends on the layer's size, so that signals and errors keep theirs from layer to layer.

    Parameters
    ----------
    distribution : {"uniform", "normal"}, default "uniform"
    gain : float > 0, default 1.0
        Multiplies every weight.
    """

    distribution: Distribution = "uniform"
    gain: float = 1.0

    def __post_init__(self) -> None:
        if self.distribution not in ("uniform", "normal"):
            text = say("distribution must be 'uniform' or 'normal', not {value!r}", value=self.distribution)
            raise ConfigError(text)
        if not 0 < self.gain < math.inf:
            raise ConfigError(say("gain must be finite and above 0, not {value}", value=self.gain))

    @abstractmethod
    def variance(self, n_in: int, n_out: int) -> float:
        """σ² of a layer with ``n_in`` inputs and ``n_out`` units, at gain 1."""

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        n_out, n_in = shape
        variance = self.gain**2 * self.variance(n_in, n_out)
        fixed = Normal(variance) if self.distribution == "normal" else Uniform(variance)
        return fixed(shape, rng)


@INITIALISERS.register("glorot")
@dataclass(frozen=True)
class Xavier(VarianceScaling):
    """For tanh: r = √(6/(n_in + n_out)), σ² = 2/(n_in + n_out) (Glorot and Bengio 2010)."""

    name: ClassVar[str] = "xavier"

    def variance(self, n_in: int, n_out: int) -> float:
        """2/(n_in + n_out)."""
        return 2.0 / (n_in + n_out)


@INITIALISERS.register("glorot_logistic")
@dataclass(frozen=True)
class XavierLogistic(VarianceScaling):
    """For logistic units: r = 4√(6/(n_in + n_out)), σ² = 16·2/(n_in + n_out) (Glorot and Bengio 2010).

    The factor 4 makes up for the slope σ′(0) = ¼. It is the lecture's; PyTorch's ``calculate_gain("sigmoid")`` is 1.
    """

    name: ClassVar[str] = "xavier_logistic"

    def variance(self, n_in: int, n_out: int) -> float:
        """16·2/(n_in + n_out)."""
        return 32.0 / (n_in + n_out)


@INITIALISERS.register("kaiming")
@dataclass(frozen=True)
class He(VarianceScaling):
    """For ReLU: r = √(6/n_in), σ² = 2/n_in (He et al. 2015)."""

    name: ClassVar[str] = "he"

    def variance(self, n_in: int, n_out: int) -> float:
        """2/n_in."""
        return 2.0 / n_in


@INITIALISERS.register()
@dataclass(frozen=True)
class LeCun(VarianceScaling):
    """σ² = 1/n_in, r = √(3/n_in): z has the variance of the inputs (LeCun et al. 1998)."""

    name: ClassVar[str] = "lecun"

    def variance(self, n_in: int, n_out: int) -> float:
        """1/n_in."""
        return 1.0 / n_in


@INITIALISERS.register()
@dataclass(frozen=True)
class Orthogonal(Initialiser):
    """gain · Q·sign(diag R) of the QR decomposition of a normal matrix, uniform over rotations (Saxe et al. 2014).

    Rows are orthonormal when n_out ≤ n_in, columns when n_out ≥ n_in (times the gain).

    Parameters
    ----------
    gain : float > 0, default 1.0
        √2 suits ReLU.
    """

    gain: float = 1.0
    name: ClassVar[str] = "orthogonal"

    def __post_init__(self) -> None:
        if not 0 < self.gain < math.inf:
            raise ConfigError(say("gain must be finite and above 0, not {value}", value=self.gain))

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        n_out, n_in = shape
        Q, R = np.linalg.qr(rng.normal(size=(max(shape), min(shape))))
        Q = Q * np.sign(np.diag(R))
        W: np.ndarray = self.gain * (Q if n_out >= n_in else Q.T)
        return W


def initialiser(given: str | dict[str, Any] | float | Initialiser, activation: Activation | None = None) -> Initialiser:
    """The initialiser that ``given`` stands for: a name, a mapping, a number (a constant), or an object.

    ``"auto"`` chooses by the activation: He for the ReLU family, Xavier for logistic (with its factor) and the rest.
    """
    if isinstance(given, (int, float)):
        return Constant(float(given))
    if given == "auto":
        by_activation: dict[str, Initialiser] = dict.fromkeys(
            ("relu", "leaky_relu", "elu", "gelu", "silu", "softplus"), He()
        )
        by_activation["logistic"] = XavierLogistic()
        return by_activation.get(getattr(activation, "name", ""), Xavier())
    return INITIALISERS.make(given)
