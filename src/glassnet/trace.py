"""Everything that back-propagation computes for some samples, kept for a look.

Shapes: N samples, M units in a layer, K units in the layer below
    z, a, mask, grad_a, delta (N, M)    W and its gradient (M, K)    b and its gradient (M,)    share (N,)
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from glassnet.arrays import Array, namespace, to_numpy
from glassnet.errors import InputError
from glassnet.layers import Dense
from glassnet.losses import Loss, dense_targets
from glassnet.messages import say
from glassnet.network import Network, parameter_values
from glassnet.optimisers import Updater
from glassnet.random import Draws


@dataclass(frozen=True)
class LayerTrace:
    """One layer's quantities.

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
        δ = ∂C/∂z of the batch's C, which carries each sample's share of the mean.
    own_delta : ndarray (N, M)
        δ of each sample's own loss, as the lecture has it: ``delta`` over the sample's share; 0 where that is 0.
    grads : dict of ndarray
        ∂C/∂W and ∂C/∂b, under "W" and "b", without penalties.
    """

    number: int
    kind: str
    z: np.ndarray | None
    a: np.ndarray
    mask: np.ndarray | None
    grad_a: np.ndarray
    delta: np.ndarray
    own_delta: np.ndarray
    grads: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Update:
    """What an optimiser makes of the gradients.

    Attributes
    ----------
    lr : float
    t : int
        The number of the step, from 1.
    change : dict of ndarray
        θ after − θ before, of each parameter under its name ("1.W", "1.b", …): penalties, clipping, decay, the
        optimiser's step and max-norm together.
    after : dict of ndarray
        The parameters after the step.
    """

    lr: float
    t: int
    change: dict[str, np.ndarray]
    after: dict[str, np.ndarray]


@dataclass(frozen=True)
class Trace:
    """A forward and a backward pass over a batch, and the step that follows.

    Attributes
    ----------
    x : ndarray (N, n[0])
    y : ndarray (N, n[L])
        Targets; class indices as rows with a 1.
    prediction : ndarray (N, n[L])
        The outputs behind the loss's link: probabilities, where the loss takes logits.
    share : ndarray (N,)
        w_n / Σ w: 1/N without weights.
    layers : list of LayerTrace
        One for each of the network's layers, from below.
    loss : float
        C = Σ share · terms, without penalties.
    terms : ndarray (N,)
        Each sample's loss.
    update : Update or None
        None if no updater was given.
    """

    x: np.ndarray
    y: np.ndarray
    prediction: np.ndarray
    share: np.ndarray
    layers: list[LayerTrace]
    loss: float
    terms: np.ndarray
    update: Update | None = None

    def layer(self, number: int) -> LayerTrace:
        """Layer l, from 1: the l-th with parameters; InputError if there is none."""
        dense = [layer for layer in self.layers if layer.grads]
        for layer in dense:
            if layer.number == number:
                return layer
        text = say(
            "there is no layer {number}; the network has layers 1 to {last}", number=number, last=dense[-1].number
        )
        raise InputError(text)

    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays by name, "1.z", "2.delta", "2.W.gradient", "2.W.change" and so on: what an npz file holds."""
        arrays = {
            "x": self.x,
            "y": self.y,
            "prediction": self.prediction,
            "share": self.share,
            "loss": np.array(self.loss),
            "terms": self.terms,
        }
        for layer in self.layers:
            prefix = f"{layer.number}." if layer.kind == "dense" else f"{layer.number}.{layer.kind}."
            for name in ("z", "a", "mask", "grad_a", "delta", "own_delta"):
                value = getattr(layer, name)
                if value is not None:
                    arrays[prefix + name] = value
            arrays.update({f"{prefix}{name}.gradient": gradient for name, gradient in layer.grads.items()})
        if self.update is not None:
            arrays.update({f"{name}.change": change for name, change in self.update.change.items()})
            arrays.update({f"{name}.after": after for name, after in self.update.after.items()})
            arrays["lr"] = np.array(self.update.lr)
        return arrays


def trace(
    network: Network,
    loss: Loss | str,
    x: Array,
    y: Array,
    *,
    weight: Array | None = None,
    draws: Draws | None = None,
    updater: Updater | None = None,
    lr: float | None = None,
) -> Trace:
    """The forward and backward pass of :func:`glassnet.backprop`, with all that passes on the way.

    Nothing is changed: the step is made on copies of the network and of what the updater remembers.

    Parameters
    ----------
    network : Network
    loss : Loss or its name
    x : array (N, n[0])
    y : array (N, n[L]), or class indices (N,)
    weight : array (N,), optional
    draws : Draws, optional
        Where the batch stands in the run, which decides dropout's masks; without it there is no dropout.
    updater : Updater, optional
        Makes the step; without it there is no ``update``.
    lr : float, optional
        Of the step; by default the optimiser's own.

    Raises
    ------
    ShapeError
        If x, y or weight do not fit the network or one another.

    Examples
    --------
    >>> import numpy as np, glassnet
    >>> network = glassnet.Network.dense([2, 3, 1], "tanh", dtype="float64")
    >>> traced = glassnet.inspection.trace(network, "squared_error", np.array([[0.5, -1.0]]), np.array([[1.0]]))
    >>> hidden = traced.layer(1)
    >>> bool(np.allclose(hidden.delta, hidden.grad_a * (1 - np.tanh(hidden.z) ** 2)))
    True
    """
    x, y, weight, loss = network.checked_batch(x, y, weight, loss)
    a, passed = x, []
    for layer in network.layers:
        a, cache = layer.forward(a, training=draws)
        passed.append((a, cache))
    targets = dense_targets(y, a)
    share = _shares(len(x), weight)
    grad_a = loss.gradient(a, y, weight)
    layers, grads = [], []
    for layer, (out, cache) in zip(reversed(network.layers), reversed(passed), strict=True):
        below, own = layer.backward(grad_a, cache, grad_in=layer is not network.layers[0])
        dense = isinstance(layer, Dense)
        delta = to_numpy(own.delta)
        layers.append(
            LayerTrace(
                number=layer.number,
                kind=layer.kind,
                z=to_numpy(cache[1]) if dense else None,
                a=to_numpy(out),
                mask=None if dense or cache is None else to_numpy(cache),
                grad_a=to_numpy(grad_a),
                delta=delta,
                own_delta=np.divide(delta, share[:, None], out=np.zeros_like(delta), where=share[:, None] > 0),
                grads={name: to_numpy(gradient) for name, gradient in own.params.items()},
            )
        )
        grads.append(own)
        grad_a = below
    return Trace(
        x=to_numpy(x),
        y=to_numpy(targets),
        prediction=to_numpy(loss.link(a)),
        share=share,
        layers=layers[::-1],
        loss=float(loss.value(a, y, weight)),
        terms=to_numpy(loss.terms(a, targets)),
        update=None if updater is None else _step(network, updater, grads[::-1], lr, weight, len(x)),
    )


def checked_rows(rows: Sequence[int] | np.ndarray, n: int) -> np.ndarray:
    """Row numbers as an array, or InputError if one is not 0 to n − 1."""
    given = np.asarray(rows)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        raise InputError(say("rows are given by their numbers, whole ones from 0, not {given!r}", given=rows))
    index = given.astype(np.int64)
    wrong = index[(index < 0) | (index >= n)]
    if len(wrong) or not len(index):
        text = say("there is no row {row}: the rows are 0 to {last}", row=wrong[0] if len(wrong) else "?", last=n - 1)
        raise InputError(text)
    return index


def _shares(n: int, weight: Any) -> np.ndarray:
    if weight is None:
        return np.full(n, 1.0 / n)
    w = np.asarray(to_numpy(weight), dtype=np.float64)
    return w / w.sum() if w.sum() > 0 else w


def _step(network: Network, updater: Updater, grads: list[Any], lr: float | None, weight: Any, n: int) -> Update:
    before = parameter_values(network)
    stepped = network.copy()
    own = copy.copy(updater)
    own.slots = {
        name: {slot: namespace(array).asarray(array, copy=True) for slot, array in slots.items()}
        for name, slots in updater.slots.items()
    }
    lr = updater.optimiser.default_lr if lr is None else lr
    own(stepped, grads, lr, float(n) if weight is None else float(to_numpy(weight).sum()))
    after = parameter_values(stepped)
    return Update(lr, own.t, {name: after[name] - before[name] for name in after}, after)
