"""Everything that back-propagation computes for some samples, kept for a look."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from glassnet.arrays import Array, to_numpy
from glassnet.layers import Dense
from glassnet.losses import Loss, dense_targets
from glassnet.network import Network
from glassnet.random import Draws


@dataclass(frozen=True)
class LayerTrace:
    """One layer's quantities.

    Shapes: N samples, M units

    Attributes
    ----------
    number : int
        l; of a dropout layer, that of the layer below it.
    kind : str
        "dense" or "dropout".
    z : ndarray (N, M) or None
        Net inputs; None for dropout.
    a : ndarray (N, M)
        What the layer puts out.
    mask : ndarray (N, M) or None
        Dropout's factors; None elsewhere, and outside training.
    grad_a : ndarray (N, M)
        ∂C/∂a, from above.
    delta : ndarray (N, M)
        δ = ∂C/∂z, with the sample's share of the mean: N times a row is the sample's own δ.
    grads : dict of ndarray
        ∂C/∂W and ∂C/∂b, under "W" and "b".
    """

    number: int
    kind: str
    z: np.ndarray | None
    a: np.ndarray
    mask: np.ndarray | None
    grad_a: np.ndarray
    delta: np.ndarray
    grads: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Trace:
    """A forward and a backward pass over some samples.

    Attributes
    ----------
    x : ndarray (N, n[0])
    layers : list of LayerTrace
        One for each of the network's layers, from below.
    loss : float
        C, the weighted mean of ``terms``.
    terms : ndarray (N,)
        Each sample's loss.
    """

    x: np.ndarray
    layers: list[LayerTrace]
    loss: float
    terms: np.ndarray

    def layer(self, number: int) -> LayerTrace:
        """Layer l, from 1: the l-th with parameters; KeyError if there is none."""
        for layer in self.layers:
            if layer.grads and layer.number == number:
                return layer
        raise KeyError(number)


def trace(
    network: Network,
    loss: Loss | str,
    x: Array,
    y: Array,
    *,
    weight: Array | None = None,
    draws: Draws | None = None,
) -> Trace:
    """The forward and backward pass of :func:`glassnet.backprop`, with all that passes on the way.

    Parameters
    ----------
    network : Network
    loss : Loss or its name
    x : array (N, n[0])
    y : array (N, n[L]), or class indices (N,)
    weight : array (N,), optional
    draws : Draws, optional
        Where the batch stands in the run, which decides dropout's masks; without it there is no dropout.

    Raises
    ------
    ShapeError
        If x, y or weight do not fit the network or one another.
    """
    x, y, weight, loss = network.checked_batch(x, y, weight, loss)
    a, passed = x, []
    for layer in network.layers:
        a, cache = layer.forward(a, training=draws)
        passed.append((a, cache))
    terms = loss.terms(a, dense_targets(y, a))
    grad_a = loss.gradient(a, y, weight)
    layers: list[LayerTrace] = []
    for layer, (out, cache) in zip(reversed(network.layers), reversed(passed), strict=True):
        below, grads = layer.backward(grad_a, cache, grad_in=layer is not network.layers[0])
        dense = isinstance(layer, Dense)
        layers.append(
            LayerTrace(
                number=layer.number,
                kind=layer.kind,
                z=to_numpy(cache[1]) if dense else None,
                a=to_numpy(out),
                mask=None if dense or cache is None else to_numpy(cache),
                grad_a=to_numpy(grad_a),
                delta=to_numpy(grads.delta),
                grads={name: to_numpy(gradient) for name, gradient in grads.params.items()},
            )
        )
        grad_a = below
    return Trace(to_numpy(x), layers[::-1], float(loss.value(a, y, weight)), to_numpy(terms))
