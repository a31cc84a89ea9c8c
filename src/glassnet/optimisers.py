"""Optimisers: how gradients change parameters. Each class's docstring is its update rule.

Notation: θ one parameter, g = ∂C/∂θ (penalties included), η the learning rate of the step, t the step from 1.

An optimiser is pure: its hyperparameters are fixed, and what it remembers of a parameter is a dict of arrays, its
slots, which the caller keeps and can save. To add one: subclass :class:`Optimiser`, name the slots, write ``step``,
register it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from glassnet.arrays import Array, dtype_name, like, namespace, to_numpy
from glassnet.errors import ConfigError
from glassnet.layers import LayerGrads
from glassnet.messages import say
from glassnet.network import Network
from glassnet.registry import Registry
from glassnet.regularisers import Regularisation


class Optimiser(ABC):
    """An update rule. Name the ``slots`` that it remembers and write ``step``."""

    name: ClassVar[str]
    slots: ClassVar[tuple[str, ...]] = ()
    """What it remembers of each parameter, as arrays of the parameter's shape that start at 0."""
    default_lr: ClassVar[float] = 0.001

    @abstractmethod
    def step(self, theta: Array, gradient: Array, slots: Mapping[str, Array], lr: float, t: int) -> None:
        """Change ``theta`` and its slots in place."""

    def regularisation(self, given: Regularisation, weight_decay: float | None = None) -> Regularisation:
        """The regularisation that goes with this rule: the given one, with ``weight_decay`` if that is not None."""
        return given if weight_decay is None else replace(given, weight_decay=weight_decay)


OPTIMISERS: Registry[Optimiser] = Registry("optimiser", Optimiser)


@OPTIMISERS.register("gradient_descent")
@dataclass(frozen=True)
class SGD(Optimiser):
    """θ ← θ − η g."""

    name: ClassVar[str] = "sgd"
    default_lr: ClassVar[float] = 0.1

    def step(self, theta: Array, gradient: Array, slots: Mapping[str, Array], lr: float, t: int) -> None:
        theta -= lr * gradient


@OPTIMISERS.register()
@dataclass(frozen=True)
class Momentum(Optimiser):
    """v ← μ v − η g;  θ ← θ + v (Polyak 1964).

    Parameters
    ----------
    momentum : float in [0, 1], default 0.9
        μ.
    """

    momentum: float = 0.9
    name: ClassVar[str] = "momentum"
    slots: ClassVar[tuple[str, ...]] = ("velocity",)
    default_lr: ClassVar[float] = 0.01

    def __post_init__(self) -> None:
        if not 0 <= self.momentum <= 1:
            raise ConfigError(say("momentum must be from 0 to 1, not {value}", value=self.momentum))

    def step(self, theta: Array, gradient: Array, slots: Mapping[str, Array], lr: float, t: int) -> None:
        v = slots["velocity"]
        v *= self.momentum
        v -= lr * gradient
        theta += v


@OPTIMISERS.register("nag")
@dataclass(frozen=True)
class Nesterov(Momentum):
    """v ← μ v − η g;  θ ← θ + μ v − η g (Nesterov 1983, in the form of Sutskever et al. 2013).

    Parameters
    ----------
    momentum : float in [0, 1], default 0.9
        μ.
    """

    name: ClassVar[str] = "nesterov"

    def step(self, theta: Array, gradient: Array, slots: Mapping[str, Array], lr: float, t: int) -> None:
        v = slots["velocity"]
        v *= self.momentum
        v -= lr * gradient
        theta += self.momentum * v - lr * gradient


@OPTIMISERS.register()
@dataclass(frozen=True)
class RMSprop(Optimiser):
    """s ← ρ s + (1 − ρ) g²;  θ ← θ − η g / (√s + ε) (Tieleman and Hinton 2012).

    Parameters
    ----------
    rho : float in [0, 1), default 0.9
        ρ.
    epsilon : float > 0, default 1e-8
        ε.
    """

    rho: float = 0.9
    epsilon: float = 1e-8
    name: ClassVar[str] = "rmsprop"
    slots: ClassVar[tuple[str, ...]] = ("square",)

    def __post_init__(self) -> None:
        _check_share("rho", self.rho)
        _check_epsilon(self.epsilon)

    def step(self, theta: Array, gradient: Array, slots: Mapping[str, Array], lr: float, t: int) -> None:
        s = slots["square"]
        s *= self.rho
        s += (1.0 - self.rho) * gradient * gradient
        theta -= lr * gradient / (namespace(s).sqrt(s) + self.epsilon)


@OPTIMISERS.register()
@dataclass(frozen=True)
class Adam(Optimiser):
    """m ← β₁ m + (1 − β₁) g;  v ← β₂ v + (1 − β₂) g²;  θ ← θ − η m̂ / (√v̂ + ε) (Kingma and Ba 2015, algorithm 1).

    With m̂ = m / (1 − β₁ᵗ) and v̂ = v / (1 − β₂ᵗ).

    Parameters
    ----------
    beta_1, beta_2 : float in [0, 1), default 0.9 and 0.999
    epsilon : float > 0, default 1e-8
        ε.
    epsilon_hat : bool, default False
        Add ε to √v, before v's correction, and not to √v̂: the form at the end of the paper's section 2, which
        scikit-learn has.
    """

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    epsilon_hat: bool = False
    name: ClassVar[str] = "adam"
    slots: ClassVar[tuple[str, ...]] = ("mean", "square")

    def __post_init__(self) -> None:
        _check_share("beta_1", self.beta_1)
        _check_share("beta_2", self.beta_2)
        _check_epsilon(self.epsilon)

    def step(self, theta: Array, gradient: Array, slots: Mapping[str, Array], lr: float, t: int) -> None:
        m, v = slots["mean"], slots["square"]
        m *= self.beta_1
        m += (1.0 - self.beta_1) * gradient
        v *= self.beta_2
        v += (1.0 - self.beta_2) * gradient * gradient
        m_hat = m / (1.0 - self.beta_1**t)
        square_share = 1.0 - self.beta_2**t
        epsilon = self.epsilon / square_share**0.5 if self.epsilon_hat else self.epsilon
        theta -= lr * m_hat / (namespace(v).sqrt(v / square_share) + epsilon)


@OPTIMISERS.register()
@dataclass(frozen=True)
class AdamW(Adam):
    """Adam, and decay apart from it: θ ← (1 − η λ) θ before the step (Loshchilov and Hutter 2019).

    Parameters
    ----------
    beta_1, beta_2, epsilon, epsilon_hat : as in Adam
    weight_decay : float ≥ 0, default 0.01
        λ, unless the run's own ``weight_decay`` gives another.
    """

    weight_decay: float = 0.01
    name: ClassVar[str] = "adamw"

    def regularisation(self, given: Regularisation, weight_decay: float | None = None) -> Regularisation:
        """The given one, with decay scaled by the learning rate: ``weight_decay``, or else this rule's own."""
        own = given.weight_decay or self.weight_decay
        return replace(given, weight_decay=own if weight_decay is None else weight_decay, decay_form="lr")


def _check_share(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise ConfigError(say("{name} must be at least 0 and below 1, not {value}", name=name, value=value))


def _check_epsilon(value: float) -> None:
    if not value > 0:
        raise ConfigError(say("epsilon must be above 0, not {value}", value=value))


@dataclass(frozen=True)
class Clip:
    """Gradient clipping, of the whole gradient (penalties included) before the optimiser sees it.

    Parameters
    ----------
    norm : float > 0 or None, default None
        The largest Euclidean norm of all gradients together (Pascanu, Mikolov and Bengio 2013).
    value : float > 0 or None, default None
        The largest absolute value of a single entry; taken before the norm.
    """

    norm: float | None = None
    value: float | None = None

    def __post_init__(self) -> None:
        for name, limit in (("clip_norm", self.norm), ("clip_value", self.value)):
            if limit is not None and not limit > 0:
                raise ConfigError(say("{name} must be above 0, not {value}", name=name, value=limit))

    def __call__(self, gradients: dict[str, Array]) -> dict[str, Array]:
        """The clipped gradients."""
        if self.value is not None:
            gradients = {name: namespace(g).clip(g, min=-self.value, max=self.value) for name, g in gradients.items()}
        if self.norm is not None and gradients:
            largest = max(float(namespace(g).max(namespace(g).abs(g))) for g in gradients.values())
            if largest == 0:
                return gradients
            squares = [float(namespace(g).sum(namespace(g).square(g / largest))) for g in gradients.values()]
            norm = largest * sum(squares) ** 0.5  # the squares of large entries alone would overflow
            if norm > self.norm:
                gradients = {name: g * (self.norm / norm) for name, g in gradients.items()}
        return gradients


@dataclass
class Updater:
    """The one place where gradients, penalties, clipping, decay, the optimiser and max-norm meet.

    For every parameter θ of a layer that is not frozen, in this order::

        g ← ∂C/∂θ + the penalties' gradient
        g ← clip(g), all parameters together
        θ ← (1 − β) θ
        θ ← the optimiser's step with g
        θ ← max-norm(θ)

    Attributes
    ----------
    t : int
        Steps made.
    slots : dict of dict of Array
        What the optimiser remembers, by parameter and slot.
    """

    optimiser: Optimiser
    regularisation: Regularisation = field(default_factory=Regularisation)
    clip: Clip = field(default_factory=Clip)
    t: int = 0
    slots: dict[str, dict[str, Array]] = field(default_factory=dict)

    def __call__(self, network: Network, grads: list[LayerGrads], lr: float, weight: float = 1.0) -> None:
        """One step of the whole network, in place; ``weight`` is the batch's sum of sample weights."""
        rules = self.regularisation
        thetas, gradients = {}, {}
        for layer, layer_grads in zip(network.layers, grads, strict=True):
            if not layer.frozen:
                for name, theta in layer.params.items():
                    key = f"{layer.number}.{name}"
                    thetas[key] = theta
                    gradients[key] = layer_grads.params[name]
                    if rules.penalises:
                        gradients[key] = gradients[key] + rules.penalty_gradient(name, theta, weight)
        gradients = self.clip(gradients)
        self.t += 1
        for key, theta in thetas.items():
            name = key.split(".")[1]
            if key not in self.slots:
                self.slots[key] = {slot: namespace(theta).zeros_like(theta) for slot in self.optimiser.slots}
            rules.decay(name, theta, lr)
            self.optimiser.step(theta, gradients[key], self.slots[key], lr, self.t)
            rules.constrain(name, theta)

    def state(self) -> dict[str, Any]:
        """What a later :meth:`restore` needs: steps made and slots, as NumPy arrays named "1.W.velocity"."""
        flat = {f"{key}.{slot}": to_numpy(a).copy() for key, slots in self.slots.items() for slot, a in slots.items()}
        return {"t": self.t, "slots": flat}

    def restore(self, state: dict[str, Any], network: Network) -> None:
        """Go on from a :meth:`state`."""
        self.t = int(state["t"])
        self.slots = {}
        for name, theta in network.parameters():
            slots = {slot: state["slots"].get(f"{name}.{slot}") for slot in self.optimiser.slots}
            if all(values is not None and values.shape == tuple(theta.shape) for values in slots.values()):
                self.slots[name] = {
                    slot: like(values.astype(dtype_name(theta.dtype)), theta) for slot, values in slots.items()
                }
