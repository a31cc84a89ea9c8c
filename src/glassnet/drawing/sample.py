"""One sample's way through a network and back, exactly as back-propagation computes it; and what its units are called.

Shapes: M units in a layer, K units in the layer below.
    a_in (K,)    W, weight_gradient (M, K)    b, z, a, grad_a, delta (M,)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glassnet.activations import Activation, Custom, Elementwise
from glassnet.arrays import to_numpy
from glassnet.backprop import backward_pass, forward_pass
from glassnet.equations import propagate
from glassnet.errors import ConfigError
from glassnet.layers import Dense, Dropout
from glassnet.losses import Loss, dense_targets
from glassnet.messages import say
from glassnet.model import Model
from glassnet.network import Network


@dataclass(frozen=True)
class Names:
    """What a network's inputs and outputs are called in pictures.

    Attributes
    ----------
    inputs, outputs : sequence of str
        A name for each unit; empty: they have numbers only.
    image : (int, int) or None
        Height and width, if the inputs are the pixels of an image, row by row.
    """

    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()
    image: tuple[int, int] | None = None

    def check(self, network: Network) -> Names:
        """These names, or ConfigError if they are not as many as the network's units."""
        first, last = network.sizes[0], network.sizes[-1]
        pixels = first if self.image is None else self.image[0] * self.image[1]
        for given, units in ((len(self.inputs), first), (pixels, first), (len(self.outputs), last)):
            if given not in (0, units):
                text = say("there are {given} names or pixels for {units} units", given=given, units=units)
                raise ConfigError(text)
        return self


def names_of(model: Model) -> Names:
    """A model's features and classes, for pictures of its network."""
    outputs: Sequence[str] = () if model.target is None else model.target.class_names
    if not outputs and model.target_name and model.network.sizes[-1] == 1:
        outputs = (model.target_name,)
    if model.encoding is None:
        return Names(outputs=outputs)
    if model.encoding.arrays is None:
        return Names(model.encoding.feature_names, outputs)
    sides = [side for side in model.encoding.arrays.feature_shape if side > 1]
    return Names(outputs=outputs, image=(sides[0], sides[1]) if len(sides) == 2 else None)


@dataclass(frozen=True)
class LayerPass:
    """One layer on the sample's way.

    Attributes
    ----------
    number : int
        l, from 1.
    activation : Activation
    a_in : ndarray (K,)
        What the layer reads: a of the layer below, scaled by p there if the dropout variant is "plain".
    W : ndarray (M, K)
    has_biases : bool
    z, a : ndarray (M,)
    grad_a, delta : ndarray (M,)
        ∂C/∂a and δ = ∂C/∂z of the sample's own C.
    weight_gradient : ndarray (M, K)
        ∂C/∂W of the sample's own C; its ∂C/∂b is ``delta``.
    keep : float
        What a is multiplied by before the layer above reads it: p for dropout of the variant "plain", else 1.
    """

    number: int
    activation: Activation
    a_in: np.ndarray
    W: np.ndarray
    has_biases: bool
    z: np.ndarray
    a: np.ndarray
    grad_a: np.ndarray
    delta: np.ndarray
    weight_gradient: np.ndarray
    keep: float


@dataclass(frozen=True)
class Sample:
    """One sample's forward and backward pass.

    Attributes
    ----------
    row : int
    x : ndarray (n[0],)
        a⁰.
    layers : tuple of LayerPass
        Layers 1 to L.
    loss : Loss
    value : float
        The sample's own C.
    prediction, target : ndarray (n[L],)
        The output behind the loss's link (p for logits), and y.
    leaves_out_dropout : bool
        Whether the network has dropout, which is off here.
    """

    row: int
    x: np.ndarray
    layers: tuple[LayerPass, ...]
    loss: Loss
    value: float
    prediction: np.ndarray
    target: np.ndarray
    leaves_out_dropout: bool

    @property
    def scales(self) -> bool:
        """Whether some layer reads p a of the layer below, as it does where dropout is of the variant "plain"."""
        inputs = np.array_equal(self.layers[0].a_in, self.x, equal_nan=True)
        return not inputs or any(layer.keep != 1 for layer in self.layers)

    def layer(self, number: int) -> LayerPass:
        """Layer l, from 1; ConfigError if there is none."""
        if not 1 <= number <= len(self.layers):
            text = say(
                "there is no layer {number}; the network has layers 1 to {last}", number=number, last=len(self.layers)
            )
            raise ConfigError(text)
        return self.layers[number - 1]


def follow(network: Network, loss: Loss | str, x: Any, y: Any, row: int = 0) -> Sample:
    """The forward and backward pass of one row, without dropout.

    The row is a batch of its own, so its δ carries no 1/N: it is the lecture's, and N times that of a batch.

    Raises
    ------
    ConfigError
        If there is no such row, or the network has other layers than dense ones and dropout.
    """
    check_kinds(network)
    x, y, _, loss = network.checked_batch(x, y, None, loss)
    check_row(row, len(x))
    x, y = x[row : row + 1], y[row : row + 1]
    output, caches = forward_pass(network, x, None)
    grad_a = loss.gradient(output, y)
    grads = backward_pass(network, caches, grad_a)
    layers: list[LayerPass] = []
    keep = 1.0
    for layer, cache, own in zip(reversed(network.layers), reversed(caches), reversed(grads), strict=True):
        if isinstance(layer, Dropout):
            keep = layer.keep if layer.variant == "plain" else 1.0
            grad_a, _ = layer.backward(grad_a, cache)
            continue
        assert isinstance(layer, Dense)
        a_in, z = cache
        look = LayerPass(
            number=layer.number,
            activation=layer.activation,
            a_in=to_numpy(a_in)[0],
            W=to_numpy(layer.params["W"]),
            has_biases="b" in layer.params,
            z=to_numpy(z)[0],
            a=to_numpy(layer.activation(z))[0],
            grad_a=to_numpy(grad_a)[0],
            delta=to_numpy(own.delta)[0],
            weight_gradient=to_numpy(own.params["W"]),
            keep=keep,
        )
        layers.insert(0, look)
        grad_a, keep = propagate(own.delta, layer.params["W"]), 1.0
    return Sample(
        row=row,
        x=to_numpy(x)[0],
        layers=tuple(layers),
        loss=loss,
        value=float(loss.value(output, y)),
        prediction=to_numpy(loss.link(output))[0],
        target=to_numpy(dense_targets(y, output))[0],
        leaves_out_dropout=has_dropout(network),
    )


def treats_units_alone(activation: Activation) -> bool:
    """Whether σ works on each unit by itself, so that it has a σ′."""
    return isinstance(activation, Elementwise) or (isinstance(activation, Custom) and activation.derivative is not None)


def check_row(row: int, rows: int) -> None:
    """ConfigError unless there is a row of that number, from 0."""
    if not 0 <= row < rows:
        raise ConfigError(say("there is no row {row}: the rows are 0 to {last}", row=row, last=rows - 1))


def has_dropout(network: Network) -> bool:
    """Whether some layer drops units in training."""
    return any(isinstance(layer, Dropout) for layer in network.layers)


def check_kinds(network: Network) -> None:
    """ConfigError if there are other layers than dense ones and dropout."""
    other = [layer for layer in network.layers if not isinstance(layer, (Dense, Dropout))]
    if other:
        raise ConfigError(say("only dense layers and dropout can be drawn, not {layer!r}", layer=other[0]))
