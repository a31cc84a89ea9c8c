"""Back-propagation, the chapter in one function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glassnet.arrays import Array

if TYPE_CHECKING:
    from glassnet.layers import LayerGrads
    from glassnet.losses import Loss
    from glassnet.network import Network
    from glassnet.random import Draws


def backprop(
    network: Network, loss: Loss | str, x: Array, y: Array, *, weight: Array | None = None, draws: Draws | None = None
) -> tuple[Array, list[LayerGrads]]:
    """Mean loss of a batch and, for every layer, its gradients (BP.1 to BP.4).

    Shapes: N samples, n[l] units in layer l, L layers.
        x (N, n[0])    y (N, n[L]), or (N,) class indices    weight (N,)    a and grad_a at layer l (N, n[l])

    The 1/N of the mean enters once, in loss.gradient; every layer only sums.

    Parameters
    ----------
    network : Network
    loss : Loss or its name
    x, y : array
        NumPy arrays give NumPy gradients; a network on torch takes and gives tensors.
    weight : array (N,), optional
        Sample weights; C is then the weighted mean.
    draws : Draws, optional
        Where the batch stands in the run, which decides the dropout masks. By default the masks of the network's
        seed, epoch 0, positions 0 to N − 1.

    Returns
    -------
    value : scalar array
        C.
    grads : list of LayerGrads
        One for each entry of ``network.layers``: ``grads[i].params["W"]``, ``grads[i].params["b"]`` and
        ``grads[i].delta``.

    Raises
    ------
    ShapeError
        If x, y or weight do not fit the network or one another.
    """
    x, y, weight, loss = network.checked_batch(x, y, weight, loss)
    a, caches = forward_pass(network, x, draws or network.draws(len(x)))
    return loss.value(a, y, weight), backward_pass(network, caches, loss.gradient(a, y, weight))


def forward_pass(network: Network, x: Array, draws: Draws | None) -> tuple[Array, list[Any]]:
    """The output a^L (N, n[L]) and what each layer keeps for the way back; ``draws`` is None outside training."""
    a, caches = x, []
    for layer in network.layers:
        a, cache = layer.forward(a, training=draws)
        caches.append(cache)
    return a, caches


def backward_pass(network: Network, caches: list[Any], grad_a: Array) -> list[LayerGrads]:
    """From ∂C/∂a^L (N, n[L]) to every layer's gradients. Nothing below the first layer needs its ∂C/∂a_in."""
    grads = []
    for layer, cache in zip(reversed(network.layers), reversed(caches), strict=True):
        grad_a, layer_grads = layer.backward(grad_a, cache, grad_in=layer is not network.layers[0])
        grads.append(layer_grads)
    return grads[::-1]
