"""The four equations of back-propagation, as pure functions of a batch.

Shapes: N samples in rows, M units in this layer, K units in the layer below.
    a_in (N, K)    W (M, K)    b (M,)    z, a, grad_a, delta (N, M)

C is the batch's loss, a (weighted) mean over its samples. The mean's 1/N enters once, in the gradient of the loss;
from there on every sum over the batch is a plain sum.
"""

from __future__ import annotations

from typing import Protocol

from glassnet.arrays import Array, namespace


class HasPullBack(Protocol):
    """An activation, as the equations need it."""

    def pull_back(self, grad_a: Array, z: Array, /) -> Array:
        """J_σ(z)ᵀ ∂C/∂a."""


def net_input(a_in: Array, W: Array, b: Array | None) -> Array:
    """The forward step before σ: z = W a_in + b, for every row."""
    z = a_in @ W.T
    return z if b is None else z + b


def error(grad_a: Array, activation: HasPullBack, z: Array) -> Array:
    """BP.1 and BP.2: δ = ∂C/∂z = J_σ(z)ᵀ ∂C/∂a, which is ∂C/∂a ⊙ σ′(z) where σ works on each element.

    For the output layer ∂C/∂a comes from the loss (BP.1); for a hidden layer from :func:`propagate` (BP.2).
    """
    return activation.pull_back(grad_a, z)


def propagate(delta: Array, W: Array) -> Array:
    """The first factor of BP.2: ∂C/∂a of the layer below = Wᵀ δ, for every row."""
    return delta @ W


def bias_gradient(delta: Array) -> Array:
    """BP.3: ∂C/∂b = Σ over the batch of δ."""
    return namespace(delta).sum(delta, axis=0)


def weight_gradient(delta: Array, a_in: Array) -> Array:
    """BP.4: ∂C/∂W = Σ over the batch of δ a_inᵀ."""
    return delta.T @ a_in
