"""Regularisers of the parameters: penalties that join the loss, and rules that act on the parameters themselves.

    ℓ1, ℓ2       C ← C + λ‖θ‖₁  or  C + ½λ‖θ‖²; the gradient gains λ sign(θ) or λθ
    decay        θ ← (1 − β) θ − (the optimiser's step): as taught, a factor per step; or β = lr · decay (AdamW)
    max-norm     after each step, the weights into a unit are scaled back to a norm of at most c
                 (Srivastava et al. 2014)

They act on weights, and on biases only by choice. Only ``alpha`` depends on the batch's size.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from glassnet.arrays import Array, namespace
from glassnet.errors import ConfigError
from glassnet.messages import say


@dataclass(frozen=True)
class Regularisation:
    """What is added to the loss and done to the parameters. Everything is off by default.

    Parameters
    ----------
    l1 : float ≥ 0, default 0.0
        λ of λ‖W‖₁. Its subgradient at 0 is 0.
    l2 : float ≥ 0, default 0.0
        λ of ½λ‖W‖².
    weight_decay : float in [0, 1), default 0.0
        β. 0.0005 per step is a factor of 0.889 over an epoch of 235 steps.
    decay_form : {"step", "lr"}, default "step"
        "step": W shrinks by the factor 1 − β at each step, as taught. "lr": by 1 − lr·β, the decoupled decay of AdamW
        (Loshchilov and Hutter 2019), which follows the learning rate's schedule.
    max_norm : float > 0 or None, default None
        c, the largest norm of the weights into one unit.
    biases : bool, default False
        Whether ℓ1, ℓ2 and decay act on biases too. Max-norm never does.
    alpha : float ≥ 0, default 0.0
        α of ½α‖W‖² / Σ w, with the sum of the batch's sample weights, which is its size without weights: an ℓ2 penalty
        that joins the sum of the batch's losses, not their mean, as scikit-learn has it.
    """

    l1: float = 0.0
    l2: float = 0.0
    weight_decay: float = 0.0
    decay_form: Literal["step", "lr"] = "step"
    max_norm: float | None = None
    biases: bool = False
    alpha: float = 0.0

    def __post_init__(self) -> None:
        for field in ("l1", "l2", "alpha", "weight_decay"):
            value = getattr(self, field)
            if not 0 <= value < float("inf"):
                raise ConfigError(say("{field} must be finite and not negative, not {value}", field=field, value=value))
        if self.decay_form not in ("step", "lr"):
            raise ConfigError(say("decay_form must be 'step' or 'lr', not {value!r}", value=self.decay_form))
        if self.decay_form == "step" and self.weight_decay >= 1:
            raise ConfigError(
                say("weight_decay is a share of W per step and must be below 1, not {value}", value=self.weight_decay)
            )
        if self.max_norm is not None and not self.max_norm > 0:
            raise ConfigError(say("max_norm must be above 0, not {value}", value=self.max_norm))

    def applies_to(self, name: str) -> bool:
        """Whether ℓ1, ℓ2 and decay act on the parameter of this name."""
        return self.biases or name != "b"

    @property
    def penalises(self) -> bool:
        """Whether anything joins the loss."""
        return bool(self.l1 or self.l2 or self.alpha)

    def penalty(self, name: str, theta: Array, weight: float = 1.0) -> Array | float:
        """λ₁‖θ‖₁ + ½λ₂‖θ‖² of one parameter, α / Σ w included in λ₂; ``weight`` is the batch's Σ w."""
        if not self.applies_to(name):
            return 0.0
        xp = namespace(theta)
        value = 0.0
        if self.l1:
            value = value + self.l1 * xp.sum(xp.abs(theta))
        if l2 := self._l2(weight):
            value = value + 0.5 * l2 * xp.sum(xp.square(theta))
        return value

    def total(self, parameters: Iterable[tuple[str, Array]], weight: float = 1.0) -> float:
        """The penalties of a whole network, from its parameters under names such as "1.W"."""
        if not self.penalises:
            return 0.0
        return float(sum(float(self.penalty(name.split(".")[1], theta, weight)) for name, theta in parameters))

    def penalty_gradient(self, name: str, theta: Array, weight: float = 1.0) -> Array | float:
        """λ₁ sign(θ) + λ₂ θ."""
        if not self.applies_to(name):
            return 0.0
        gradient: Array | float = 0.0
        if self.l1:
            gradient = gradient + self.l1 * namespace(theta).sign(theta)
        if l2 := self._l2(weight):
            gradient = gradient + l2 * theta
        return gradient

    def _l2(self, weight: float) -> float:
        """λ₂ of a batch with the sum of weights ``weight``; without any weight there is no sum for α to join."""
        return self.l2 + (self.alpha / weight if weight > 0 else 0.0)

    def decay(self, name: str, theta: Array, lr: float) -> None:
        """θ ← (1 − β) θ, in place, with β = weight_decay, or lr · weight_decay."""
        if self.weight_decay and self.applies_to(name):
            theta *= 1.0 - (self.weight_decay * lr if self.decay_form == "lr" else self.weight_decay)

    def constrain(self, name: str, theta: Array) -> None:
        """Scale the weights into each unit back to the norm c, in place, where they exceed it."""
        if self.max_norm is not None and name != "b":
            xp = namespace(theta)
            norms = xp.sqrt(xp.sum(xp.square(theta), axis=-1, keepdims=True))
            theta *= xp.clip(self.max_norm / xp.clip(norms, min=self.max_norm), max=1.0)
