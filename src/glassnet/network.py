"""A network: layers in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from glassnet.arrays import Array, dtype_name, like, namespace, to_numpy, to_torch
from glassnet.errors import ConfigError, InputError, ShapeError
from glassnet.layers import KINDS, Dense, Dropout, Layer
from glassnet.losses import Loss
from glassnet.losses import loss as make_loss
from glassnet.memory import check_memory
from glassnet.messages import say
from glassnet.random import Draws, Purpose, check_seed, generator

DTYPES = ("float32", "float64")


class Network:
    """Layers in their order, from the input to the output.

    Parameters
    ----------
    layers : sequence of Layer
        At least one with parameters.
    seed : int, default 0
        Decides the dropout masks (and, in :meth:`dense`, the initial weights).

    Attributes
    ----------
    layers : list of Layer

    See Also
    --------
    Network.dense : the usual multilayer perceptron, in one call.
    """

    def __init__(self, layers: Sequence[Layer], *, seed: int = 0) -> None:
        self.layers = list(layers)
        self.seed = check_seed(seed)
        number = 0
        for below, layer in zip([None, *self.layers], self.layers, strict=False):
            number += bool(layer.params)
            layer.number = number
            if isinstance(layer, Dropout) and isinstance(below, Dropout):
                raise ConfigError(say("two dropout layers in a row would drop the same units; keep one"))
        if number == 0:
            raise ConfigError(say("a network needs at least one layer with parameters"))
        _ = self.sizes

    @classmethod
    def dense(
        cls,
        sizes: Sequence[int],
        activation: Any = "relu",
        *,
        output: Any = "identity",
        init: Any = "auto",
        bias: Any = 0.0,
        dropout: float | Sequence[float] = 0.0,
        input_dropout: float = 0.0,
        dropout_variant: str = "inverted",
        dtype: str = "float32",
        seed: int = 0,
    ) -> Network:
        """A multilayer perceptron with units n[0], n[1], …, n[L].

        Parameters
        ----------
        sizes : sequence of int
            (n[0], …, n[L]): inputs, hidden layers, outputs.
        activation : str, dict, Activation or pair of functions; or a list of them, default "relu"
            Of the hidden layers; a list has one for each.
        output : str, dict, Activation or pair of functions, default "identity"
            Activation of the output layer. Losses for classes take logits, so theirs is the identity.
        init : str, dict, Initialiser; or a list of them, default "auto"
            Of the weights; a list has one for each of the L layers. "auto" chooses by the activation.
        bias : float, str, dict, Initialiser, or False, default 0.0
            Initial biases; False: no biases.
        dropout : float in [0, 1) or list of float, default 0.0
            Probability of dropping a unit, for all hidden layers or one by one (1 − the lecture's keep probability p).
        input_dropout : float in [0, 1), default 0.0
            Probability of dropping an input.
        dropout_variant : {"inverted", "plain"}, default "inverted"
        dtype : {"float32", "float64"}, default "float32"
        seed : int, default 0

        Raises
        ------
        ConfigError
            If an argument is out of its range, or a list has the wrong length.
        DataError
            If the weights would not fit into memory.
        """
        sizes = check_sizes(sizes)
        depth = len(sizes) - 1
        if dtype not in DTYPES:
            raise ConfigError(say("dtype must be one of {known}, not {dtype!r}", known=", ".join(DTYPES), dtype=dtype))
        activations = [*one_each(activation, depth - 1, "activation"), output]
        inits = one_each(init, depth, "init")
        weights = sum(n_in * n_out for n_in, n_out in pairwise(sizes))
        text = say("a network of {sizes} units (drawing takes 3 times the weights)", sizes="-".join(map(str, sizes)))
        check_memory((3, weights), dtype, text)
        rngs = [generator(check_seed(seed), Purpose.INITIALISE, l + 1) for l in range(depth)]
        layers = [
            Dense.draw(sizes[l], sizes[l + 1], activations[l], rng=rngs[l], init=inits[l], bias=bias, dtype=dtype)
            for l in range(depth)
        ]
        return cls._with_dropout(layers, dropout, input_dropout, dropout_variant, seed)

    @classmethod
    def of_parameters(
        cls,
        weights: Sequence[Array],
        biases: Sequence[Array | None],
        activation: Any = "relu",
        *,
        output: Any = "identity",
        dropout: float | Sequence[float] = 0.0,
        input_dropout: float = 0.0,
        dropout_variant: str = "inverted",
        seed: int = 0,
    ) -> Network:
        """A multilayer perceptron with given parameters, which it keeps and does not copy.

        Parameters
        ----------
        weights : sequence of array
            W of each layer, (n[l], n[l − 1]).
        biases : sequence of array or None
            b of each layer, (n[l],).
        activation, output, dropout, input_dropout, dropout_variant, seed : as in :meth:`dense`

        Raises
        ------
        ConfigError, ShapeError
            If an argument is out of its range, or shapes do not fit.
        """
        activations = [*one_each(activation, len(weights) - 1, "activation"), output]
        layers = [Dense(W, b, sigma) for W, b, sigma in zip(weights, biases, activations, strict=True)]
        return cls._with_dropout(layers, dropout, input_dropout, dropout_variant, seed)

    @classmethod
    def _with_dropout(
        cls, dense: Sequence[Dense], dropout: Any, input_dropout: float, dropout_variant: str, seed: int
    ) -> Network:
        drops = [input_dropout, *one_each(dropout, len(dense) - 1, "dropout")]
        layers: list[Layer] = []
        for drop, layer in zip(drops, dense, strict=True):
            if drop != 0:
                layers.append(Dropout(_keep(drop), dropout_variant))  # type: ignore[arg-type]
            layers.append(layer)
        return cls(layers, seed=seed)

    # What it is

    @property
    def sizes(self) -> tuple[int, ...]:
        """(n[0], n[1], …, n[L])."""
        sizes: list[int] = []
        for layer in self.layers:
            if not layer.params:
                continue
            if not sizes:
                sizes.append(int(layer.params["W"].shape[1]))
            sizes.append(layer.output_size(sizes[-1]))
        return tuple(sizes)

    @property
    def dtype(self) -> str:
        """Of the parameters: "float32" or "float64"."""
        return dtype_name(next(self.parameters())[1].dtype)

    @property
    def n_parameters(self) -> int:
        """How many numbers there are to learn."""
        return sum(int(np.prod(theta.shape)) for _, theta in self.parameters())

    def parameters(self, *, trainable: bool = False) -> Iterator[tuple[str, Array]]:
        """(name, array) of each parameter: "1.W", "1.b", "2.W", …; only those of layers not frozen if ``trainable``."""
        for layer in self.layers:
            if not (trainable and layer.frozen):
                for name, theta in layer.params.items():
                    yield f"{layer.number}.{name}", theta

    def layer(self, number: int) -> Layer:
        """Layer l, from 1: the l-th layer with parameters."""
        for layer in self.layers:
            if layer.params and layer.number == number:
                return layer
        text = say(
            "there is no layer {number}; the network has layers 1 to {last}", number=number, last=len(self.sizes) - 1
        )
        raise InputError(text)

    def __repr__(self) -> str:
        return f"Network({', '.join(map(repr, self.layers))})"

    # Using it

    def forward(self, x: Array, *, draws: Draws | None = None) -> Array:
        """The output a^L (N, n[L]) for x (N, n[0]), without dropout unless ``draws`` says which masks.

        Raises
        ------
        ShapeError
            If x does not have n[0] columns.
        """
        a = self.checked_x(x)
        for layer in self.layers:
            a, _ = layer.forward(a, training=draws)
        return a

    __call__ = forward

    def draws(self, n: int, *, first: int = 0, epoch: int = 0, purpose: Purpose = Purpose.DROPOUT) -> Draws:
        """The draws of ``n`` rows at positions ``first`` to ``first`` + n − 1 of an epoch's order."""
        positions = like(np.arange(first, first + n, dtype=np.int64), next(self.parameters())[1])
        return Draws(self.seed, positions, epoch, purpose)

    def sample(self, x: Array, samples: int, *, first: int = 0) -> Iterator[Array]:
        """Monte-Carlo dropout: outputs (N, n[L]) under ``samples`` random masks (Gal and Ghahramani 2016).

        The mask of row n and sample t depends on (seed, t, ``first`` + n) only.
        """
        for t in range(samples):
            yield self.forward(x, draws=self.draws(len(x), first=first, epoch=t, purpose=Purpose.PREDICT))

    # Changing it

    def mapped(self, change: Callable[[Array], Array]) -> Network:
        """The same network with other parameter arrays: ``change`` of each."""
        layers = [
            layer.with_params({name: change(theta) for name, theta in layer.params.items()}) for layer in self.layers
        ]
        return Network(layers, seed=self.seed)

    def copy(self, *, dtype: str | None = None) -> Network:
        """A network of its own with the same values, in another precision if ``dtype`` says so."""

        def change(theta: Array) -> Array:
            xp = namespace(theta)
            return xp.astype(theta, getattr(xp, dtype or self.dtype), copy=True)

        return self.mapped(change)

    def on_torch(self, device: str) -> Network:
        """The network with its parameters as tensors on ``device``; on the CPU they share memory with this one's."""
        return self.mapped(lambda theta: to_torch(theta, device))

    def set_parameters(self, values: dict[str, Array]) -> None:
        """Copy values, named as in :meth:`parameters`, into the network's own arrays; InputError if one is missing."""
        missing = [name for name, _ in self.parameters() if name not in values]
        if missing:
            raise InputError(say("there are no values for the parameters {names}", names=", ".join(missing)))
        for name, theta in self.parameters():
            if tuple(values[name].shape) != tuple(theta.shape):
                shapes = {"have": tuple(theta.shape), "come": tuple(values[name].shape)}
                raise ShapeError(say("parameter {name} has the shape {have}, but {come} comes", name=name, **shapes))
        for name, theta in self.parameters():
            theta[...] = like(values[name], theta)

    def load_layers(self, other: Network, layers: Iterable[int] | None = None) -> list[int]:
        """Start from a trained network: copy its parameters into the layers of the same numbers.

        Parameters
        ----------
        other : Network
        layers : iterable of int, optional
            Which layers, from 1; all by default.

        Returns
        -------
        list of int
            The layers that were loaded.

        Raises
        ------
        ShapeError
            If a layer's shapes differ; the message names it, and nothing is changed.
        """
        numbers = list(layers) if layers is not None else list(range(1, len(self.sizes)))
        pairs = [(number, self.layer(number).params, other.layer(number).params) for number in numbers]
        for number, mine, theirs in pairs:
            have = {name: tuple(theta.shape) for name, theta in mine.items()}
            come = {name: tuple(theta.shape) for name, theta in theirs.items()}
            if have != come:
                text = say(
                    "layer {number} does not match: this network has {have}, the other {come}; "
                    "choose the layers to load",
                    number=number,
                    have=have,
                    come=come,
                )
                raise ShapeError(text)
        for _, mine, theirs in pairs:
            for name, theta in mine.items():
                theta[...] = like(theirs[name], theta)
        return numbers

    def freeze(self, layers: Iterable[int] | int) -> None:
        """Let training leave these layers, or this one, numbered from 1, as they are; all others are trained."""
        numbers = {layers} if isinstance(layers, int) else set(layers)
        for number in numbers:
            self.layer(number)
        for layer in self.layers:
            layer.frozen = bool(layer.params) and layer.number in numbers

    # Files

    def config(self) -> dict[str, Any]:
        """Everything but the parameters' values, as pure JSON. ConfigError if an activation is a user's own."""
        return {"layers": [layer.config() for layer in self.layers], "dtype": self.dtype, "seed": self.seed}

    @classmethod
    def from_config(cls, config: dict[str, Any], values: dict[str, np.ndarray]) -> Network:
        """The network of a :meth:`config` with the parameters named as in :meth:`parameters`.

        What is not such a configuration is a KeyError, TypeError, ValueError or InputError.
        """
        layers, number = [], 0
        for entry in config["layers"]:
            kind = KINDS[entry["kind"]]
            number += kind is not Dropout
            prefix = f"{number}."
            own = (
                {}
                if kind is Dropout
                else {k.removeprefix(prefix): v for k, v in values.items() if k.startswith(prefix)}
            )
            layers.append(kind.from_config(entry, own))
        network = cls(layers, seed=config["seed"])
        unused = set(values) - {name for name, _ in network.parameters()}
        if unused:
            raise ConfigError(say("the network has no parameters {names}", names=", ".join(sorted(unused))))
        return network

    # Checks at the border

    def check_shape(self, x: Array) -> None:
        """ShapeError unless x, which may be sparse, is (N, n[0])."""
        if x.ndim != 2 or x.shape[1] != self.sizes[0]:
            text = say("x must have the shape (N, {n}), not {shape}", n=self.sizes[0], shape=tuple(x.shape))
            raise ShapeError(text)

    def checked_x(self, x: Any) -> Array:
        """x (N, n[0]) as the equations need it, or ShapeError."""
        theta = next(self.parameters())[1]
        x = like(x, theta)
        self.check_shape(x)
        return namespace(x).astype(x, theta.dtype, copy=False)

    def checked_batch(self, x: Any, y: Any, weight: Any, loss: Loss | str) -> tuple[Array, Array, Array | None, Loss]:
        """x, y, weight and loss of a batch as the equations need them, or ShapeError."""
        loss = make_loss(loss)
        x = self.checked_x(x)
        y = check_targets(like(y, x), n=len(x), outputs=self.sizes[-1], loss=loss, dtype=x.dtype)
        if weight is not None:
            weight = namespace(x).astype(like(weight, x), x.dtype, copy=False)
            if tuple(weight.shape) != (len(x),):
                text = say(
                    "sample weights must have the shape ({n},), not {shape}", n=len(x), shape=tuple(weight.shape)
                )
                raise ShapeError(text)
        return x, y, weight, loss


def check_targets(y: Array, *, n: int, outputs: int, loss: Loss, dtype: Any) -> Array:
    """y as losses need it: class indices (N,) as int64, or values (N, outputs) of ``dtype``; else InputError."""
    xp = namespace(y)
    if len(y) != n:
        raise ShapeError(say("there are {n} rows of x but {m} of y", n=n, m=len(y)))
    if y.ndim == 1 and (outputs > 1 or loss.target == "classes"):
        if xp.isdtype(y.dtype, "real floating") and not bool(xp.all(xp.isfinite(y) & (xp.floor(y) == y))):
            raise InputError(say("class indices must be whole numbers"))
        classes = xp.astype(y, xp.int64, copy=False)
        if n and not 0 <= int(xp.min(classes)) <= int(xp.max(classes)) < outputs:
            text = say(
                "class indices must be 0 to {last} for {outputs} outputs; they go from {low} to {high}",
                last=outputs - 1,
                outputs=outputs,
                low=int(xp.min(classes)),
                high=int(xp.max(classes)),
            )
            raise InputError(text)
        return classes
    if y.ndim == 1 and outputs == 1:
        y = y[:, None]
    if tuple(y.shape) != (n, outputs):
        text = say(
            "y must have the shape ({n}, {outputs}) for the loss {loss!r}, not {shape}",
            n=n,
            outputs=outputs,
            loss=loss.name,
            shape=tuple(y.shape),
        )
        raise ShapeError(text)
    return xp.astype(y, dtype, copy=False)


def check_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    """Layer sizes as a tuple of int, or ConfigError."""
    sizes = tuple(sizes) if isinstance(sizes, Iterable) else (sizes,)
    whole = all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n > 0 for n in sizes)
    if len(sizes) < 2 or not whole:
        text = say("sizes must be at least two whole numbers above 0 (inputs, …, outputs), not {sizes!r}", sizes=sizes)
        raise ConfigError(text)
    return tuple(int(n) for n in sizes)


def one_each(given: Any, count: int, what: str) -> list[Any]:
    """A list of ``count``: the given list, or the one value repeated."""
    if not isinstance(given, list) and not (isinstance(given, tuple) and what == "dropout"):
        return [given] * count
    if len(given) != count:
        text = say(
            "{what} has {came} entries, but {count} are needed, one a layer", what=what, came=len(given), count=count
        )
        raise ConfigError(text)
    return list(given)


def _keep(dropout: float) -> float:
    if not 0 <= dropout < 1:
        raise ConfigError(say("a dropout probability must be at least 0 and below 1, not {value}", value=dropout))
    return 1.0 - dropout


def parameter_values(network: Network) -> dict[str, np.ndarray]:
    """A copy of all parameters as NumPy arrays, named as in :meth:`Network.parameters`."""
    return {name: np.array(to_numpy(theta)) for name, theta in network.parameters()}
