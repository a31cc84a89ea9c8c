"""The fully connected layer."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from glassnet.activations import ACTIVATIONS, Activation, activation
from glassnet.arrays import Array, dtype_name
from glassnet.equations import bias_gradient, error, net_input, propagate, weight_gradient
from glassnet.errors import ConfigError, ShapeError
from glassnet.initialisers import Initialiser, Orthogonal, VarianceScaling, initialiser
from glassnet.layers.base import Layer, LayerGrads
from glassnet.messages import say
from glassnet.random import Draws


class Dense(Layer):
    """Fully connected layer: z = W a_in + b for every row, a = σ(z).

    Shapes: a_in (N, n_in)    z, a, delta (N, n_out)    W (n_out, n_in)    b (n_out,)

    Parameters
    ----------
    W : ndarray (n_out, n_in)
    b : ndarray (n_out,) or None
        None: the layer has no biases.
    activation : str, dict, Activation or pair of functions, default "identity"

    See Also
    --------
    Dense.draw : the layer with initial weights from a generator.
    """

    kind: ClassVar[str] = "dense"

    def __init__(self, W: Array, b: Array | None, activation: Any = "identity") -> None:
        super().__init__()
        self.activation: Activation = _activation(activation)
        self.params = {"W": W} if b is None else {"W": W, "b": b}
        if W.ndim != 2 or (b is not None and tuple(b.shape) != (W.shape[0],)):
            text = say(
                "a dense layer needs W of shape (n_out, n_in) and b of shape (n_out,); got {W} and {b}",
                W=tuple(W.shape),
                b=None if b is None else tuple(b.shape),
            )
            raise ShapeError(text)
        dtypes = {dtype_name(theta.dtype) for theta in self.params.values()}
        if len(dtypes) > 1 or not dtypes <= {"float32", "float64"}:
            text = say("W and b must both be float32 or both float64, not {dtypes}", dtypes=", ".join(sorted(dtypes)))
            raise ConfigError(text)

    @classmethod
    def draw(
        cls,
        n_in: int,
        n_out: int,
        activation: Any = "identity",
        *,
        rng: np.random.Generator,
        init: Any = "auto",
        bias: Any = 0.0,
        dtype: str = "float32",
    ) -> Dense:
        """A layer with initial weights.

        Parameters
        ----------
        n_in, n_out : int
        activation : str, dict, Activation or pair of functions, default "identity"
        rng : numpy.random.Generator
        init : str, dict or Initialiser, default "auto"
            "auto": He for the ReLU family, Xavier with the factor 4 for logistic, else Xavier.
        bias : float, str, dict, Initialiser or False, default 0.0
            Initial biases; False: the layer has none.
        dtype : {"float32", "float64"}, default "float32"
        """
        sigma = _activation(activation)
        W = initialiser(init, sigma)((n_out, n_in), rng).astype(dtype)
        b = None if bias is False else _bias(bias)((n_out,), rng).astype(dtype)
        return cls(W, b, sigma)

    @property
    def n_in(self) -> int:
        """Inputs."""
        return int(self.params["W"].shape[1])

    @property
    def n_out(self) -> int:
        """Units."""
        return int(self.params["W"].shape[0])

    def forward(self, a_in: Array, *, training: Draws | None = None) -> tuple[Array, Any]:
        """a = σ(W a_in + b), (N, n_in) to (N, n_out)."""
        z = net_input(a_in, self.params["W"], self.params.get("b"))
        return self.activation(z), (a_in, z)

    def backward(self, grad_a: Array, cache: Any, *, grad_in: bool = True) -> tuple[Array, LayerGrads]:
        """From ∂C/∂a (N, n_out) to ∂C/∂a_in (N, n_in) and this layer's gradients."""
        a_in, z = cache
        delta = error(grad_a, self.activation, z)  # BP.1 (output layer), BP.2 (hidden)
        grads = {"W": weight_gradient(delta, a_in)}  # BP.4
        if "b" in self.params:
            grads["b"] = bias_gradient(delta)  # BP.3
        grad_a_in = propagate(delta, self.params["W"]) if grad_in else None
        return grad_a_in, LayerGrads(grads, delta)

    def config(self) -> dict[str, Any]:
        """Sizes and activation."""
        return {
            "kind": self.kind,
            "n_in": self.n_in,
            "n_out": self.n_out,
            "bias": "b" in self.params,
            "activation": ACTIVATIONS.spec(self.activation),
            "frozen": self.frozen,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], params: dict[str, Array]) -> Dense:
        """The layer of a ``config`` with these parameters."""
        layer = cls(params["W"], params.get("b"), config["activation"])
        if (config["n_in"], config["n_out"], config["bias"]) != (layer.n_in, layer.n_out, "b" in params):
            raise ShapeError(say("the parameters of a layer have not the shapes that its configuration names"))
        layer.frozen = bool(config["frozen"])
        return layer

    def output_size(self, n_in: int) -> int:
        """``n_out``."""
        if n_in != self.n_in:
            text = say(
                "layer {number} takes {expected} inputs, but {came} come",
                number=self.number,
                expected=self.n_in,
                came=n_in,
            )
            raise ShapeError(text)
        return self.n_out

    def __repr__(self) -> str:
        return f"Dense({self.n_in}, {self.n_out}, {self.activation!r})"


_activation = activation  # the parameter of that name hides the function


def _bias(given: Any) -> Initialiser:
    initial = initialiser(0.0 if given is True else given)
    if isinstance(initial, (Orthogonal, VarianceScaling)):
        text = say(
            "{name!r} is for weights; biases take a number, 'zeros', 'constant', 'normal' or 'uniform'",
            name=initial.name,
        )
        raise ConfigError(text)
    return initial
