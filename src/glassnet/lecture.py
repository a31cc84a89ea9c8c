"""The lecture's classes ``FNN`` and ``FNN2``, on the core and therefore right.

The lecture's script runs with its import line changed to ``from glassnet.lecture import FNN, FNN2``; constructors,
methods, attributes and the printed line are the lecture's. What differs from the slides:

====  ==================================  ==========================================================================
 no.  slides                              here
====  ==================================  ==========================================================================
   1  δ^l takes σ′ of the layer above     δ^l = ((W^{l+1})ᵀ δ^{l+1}) ⊙ σ′_l(z^l), each layer's own derivative
   2  softmax by the ⊙ form               softmax is recognised by what it computes and pulled back as a whole
   3  log10 in the cross-entropy          natural logarithm, by log-sum-exp of z^L
   4  ``cross_entropy`` runs the network  a pure function of labels and outputs, in both classes: (labels, hat)
   5  a global ``labels``, ten classes,   the arguments' own labels and classes, any number of them, one precision,
      bytes, the caller's tensors         ``batch_size`` obeyed, copies of the caller's tensors
      changed
   6  averages of δ times averages of a   ∂C/∂W = Δᵀ A / N, N being the actual batch's length
   8  biases decay too                    weights decay, biases do not
  11  z masked, the input mask unused,    ã = m ⊙ a in training, p·a in testing, for the input too; the masks are
      masks forgotten on the way back     kept, and the errors pass through them
====  ==================================  ==========================================================================

The functions that a script passes as activation and derivative are checked by central differences at the start; a
derivative that does not belong to its activation is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch

from glassnet.activations import Activation, Custom, Identity, Softmax
from glassnet.activations import softmax as core_softmax
from glassnet.backprop import backward_pass, forward_pass
from glassnet.errors import ConfigError, ShapeError
from glassnet.layers import Dense, Dropout, Layer, LayerGrads
from glassnet.losses import CrossEntropy, LogLoss, Loss
from glassnet.messages import say
from glassnet.network import Network
from glassnet.optimisers import SGD, Updater
from glassnet.random import permutation
from glassnet.regularisers import Regularisation

Function: TypeAlias = Callable[[torch.Tensor], torch.Tensor]
Params: TypeAlias = Sequence[tuple[torch.Tensor, torch.Tensor, Function, Function]]


# The lecture's activations, each with its derivative below it, for scripts that do not bring their own


def identity(z: torch.Tensor) -> torch.Tensor:
    """z."""
    return z


def identity_derivative(z: torch.Tensor) -> torch.Tensor:
    """1."""
    return torch.ones_like(z)


def logistic(z: torch.Tensor) -> torch.Tensor:
    """1 / (1 + e⁻ᶻ)."""
    return torch.sigmoid(z)


def logistic_derivative(z: torch.Tensor) -> torch.Tensor:
    """σ(z) (1 − σ(z))."""
    a = torch.sigmoid(z)
    return a * (1 - a)


def tanh(z: torch.Tensor) -> torch.Tensor:
    """tanh z."""
    return torch.tanh(z)


def tanh_derivative(z: torch.Tensor) -> torch.Tensor:
    """1 − tanh² z."""
    return 1 - torch.tanh(z) ** 2


def relu(z: torch.Tensor) -> torch.Tensor:
    """max(z, 0)."""
    return torch.clamp(z, min=0)


def relu_derivative(z: torch.Tensor) -> torch.Tensor:
    """1 where z > 0, else 0."""
    return (z > 0).to(z.dtype)


def softmax(z: torch.Tensor) -> torch.Tensor:
    """e^z_k / Σ_j e^z_j along each row."""
    return torch.softmax(z, dim=1)


def softmax_derivative(z: torch.Tensor) -> torch.Tensor:
    """The Jacobian diag(a) − a aᵀ of each row: (N, M) to (N, M, M)."""
    a = torch.softmax(z, dim=1)
    return torch.diag_embed(a) - a[:, :, None] * a[:, None, :]


class FNN:
    """The lecture's network, trained by mini-batch gradient descent on the cross-entropy.

    Shapes: N samples of a batch, M_l units in layer l, L layers.

    Parameters
    ----------
    features : tensor (rows, M_0), or (rows, …), which is flattened
    labels : tensor (rows,) of class indices, or (rows, M_L) one-hot
    params : list of (weight, bias, activation, derivative)
        For each layer: weight (M_l, M_{l-1}), bias (M_l,), and two functions of z (N, M_l). An activation that computes
        softmax is recognised by its values. Any other one goes through the general form of BP.1 with its derivative,
        (N, M_l), or Jacobians, (N, M_l, M_l).
    batch_size : int, default 256
    seed : int, default 0
        Of the order of the samples and of the dropout masks.

    Attributes
    ----------
    z_list : list of tensor
        z^1 … z^L of the last forward pass, (N, M_l).
    a_list : list of tensor
        a^0 … a^L; a^0 is the input and a^L the output.
    error_list : list of tensor
        δ^1 … δ^L, one row for each sample, as the lecture has it: no 1/N.
    der_weight_list, der_bias_list : list of tensor
        ∂C/∂W^l and ∂C/∂b^l, averaged over the batch.
    weights, biases : list of tensor
        The parameters as they are now.

    Raises
    ------
    ShapeError
        If features, labels and parameters do not fit one another.
    ConfigError
        If a derivative is not that of its activation.
    """

    def __init__(self, features: Any, labels: Any, params: Params, batch_size: int = 256, *, seed: int = 0) -> None:
        if not params:
            raise ConfigError(say("params needs at least one (weight, bias, activation, derivative)"))
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ConfigError(say("batch_size must be a whole number above 0, not {value!r}", value=batch_size))
        dtype = torch.as_tensor(params[0][0]).dtype
        self.features = torch.as_tensor(features).detach().to(dtype).flatten(start_dim=1)
        self.batch_size = batch_size
        self.seed = seed
        self._network = Network(self._layers(params, dtype), seed=seed)
        self._classes = self._network.sizes[-1]
        output = self._network.layer(len(params))
        assert isinstance(output, Dense)
        self._softmax = isinstance(output.activation, Softmax)
        self._loss: Loss = CrossEntropy() if self._softmax else LogLoss()
        if self._softmax:
            output.activation = Identity()  # the loss takes z^L and contains the softmax
        self.labels = self._indices(labels)
        if len(self.labels) != len(self.features):
            raise ShapeError(say("there are {n} rows of x but {m} of y", n=len(self.features), m=len(self.labels)))
        self._network.forward(self.features[:1])
        self._caches: list[Any] = []
        self._output = torch.empty(0)
        self._grads: list[LayerGrads] = []
        self.z_list: list[torch.Tensor] = []
        self.a_list: list[torch.Tensor] = []
        self.error_list: list[torch.Tensor] = []
        self.der_weight_list: list[torch.Tensor] = []
        self.der_bias_list: list[torch.Tensor] = []

    def _layers(self, params: Params, dtype: torch.dtype) -> list[Layer]:
        layers: list[Layer] = []
        for l, (weight, bias, function, derivative) in enumerate(params, start=1):
            W = torch.as_tensor(weight).detach().to(dtype).clone()
            b = torch.as_tensor(bias).detach().to(dtype).flatten().clone()
            layers.append(Dense(W, b, _recognise(function, derivative, len(b), l)))
        return layers

    @property
    def weights(self) -> list[torch.Tensor]:
        """W^1 … W^L."""
        return [layer.params["W"] for layer in self._network.layers if layer.params]

    @property
    def biases(self) -> list[torch.Tensor]:
        """b^1 … b^L."""
        return [layer.params["b"] for layer in self._network.layers if layer.params]

    def data_loader(self, epoch: int = 0) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """The samples in the epoch's random order, in batches of ``batch_size``; the last may be shorter."""
        order = torch.from_numpy(permutation(len(self.features), seed=self.seed, epoch=epoch))
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            yield self.features[rows], self.labels[rows]

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """The output a^L (N, M_L) for X (N, M_0); fills ``z_list`` and ``a_list``."""
        return self._forward(X, draws=None)

    def _forward(self, X: torch.Tensor, draws: Any) -> torch.Tensor:
        x = torch.as_tensor(X).to(self.features.dtype).flatten(start_dim=1)
        if x.shape[1] != self._network.sizes[0]:
            text = say("x must have the shape (N, {n}), not {shape}", n=self._network.sizes[0], shape=tuple(x.shape))
            raise ShapeError(text)
        output, self._caches = forward_pass(self._network, x, draws)
        self._output = output
        dense = [c for layer, c in zip(self._network.layers, self._caches, strict=True) if isinstance(layer, Dense)]
        hat: torch.Tensor = core_softmax(output) if self._softmax else output
        self.z_list = [z for _, z in dense]
        self.a_list = [a_in for a_in, _ in dense] + [hat]
        return hat

    def cross_entropy(self, labels: Any, hat: torch.Tensor) -> float:
        """Mean of −ln hat[n, label n] over the samples; ``hat`` are outputs (N, M_L) of :meth:`forward`.

        For the outputs of the last forward pass it is computed from z^L, so that it is exact however small hat is.
        """
        hat = torch.as_tensor(hat)
        if hat.ndim != 2 or hat.shape[1] != self._classes:
            text = say(
                "cross_entropy takes (labels, outputs): outputs must have the shape (N, {n}), not {shape}",
                n=self._classes,
                shape=tuple(hat.shape),
            )
            raise ShapeError(text)
        if not self._softmax:
            return float(self._loss.value(hat, self._indices(labels)))
        last = bool(self.a_list) and hat is self.a_list[-1]
        logits = self._output if last else torch.log(hat.clamp(min=torch.finfo(hat.dtype).tiny))
        return float(self._loss.value(logits, self._indices(labels)))

    def cal_neuron_errors(self, labels: Any) -> list[torch.Tensor]:
        """δ^1 … δ^L of the last forward pass, for each sample (BP.1, BP.2); fills ``error_list``."""
        if not self._caches:
            raise ConfigError(say("call forward first: the errors need its net inputs"))
        y = self._indices(labels)
        output = self._output  # z^L if the loss contains the softmax, else a^L; masked where the output is
        if len(y) != len(output):
            raise ShapeError(say("there are {n} rows of x but {m} of y", n=len(output), m=len(y)))
        self._grads = backward_pass(self._network, self._caches, self._loss.gradient(output, y))
        self.error_list = [g.delta * len(y) for g in self._grads if g.params]
        return self.error_list

    def cal_params_partial(self) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """∂C/∂W^l and ∂C/∂b^l averaged over the batch (BP.3, BP.4) of the errors last computed; fills both lists."""
        if not self._grads:
            raise ConfigError(say("call cal_neuron_errors first: the gradients are made of the errors"))
        self.der_weight_list = [g.params["W"] for g in self._grads if g.params]
        self.der_bias_list = [g.params["b"] for g in self._grads if g.params]
        return self.der_weight_list, self.der_bias_list

    def backward(self, labels: Any) -> None:
        """Errors and gradients of the last forward pass; fills the three lists."""
        self.cal_neuron_errors(labels)
        self.cal_params_partial()

    def accuracy(self, labels: Any, hat: torch.Tensor) -> float:
        """The share of samples whose largest output is their label's."""
        return float((torch.as_tensor(hat).argmax(dim=1) == self._indices(labels)).double().mean())

    def minibatch_sgd_trainer(self, max_epochs: int = 10, lr: float = 0.1) -> None:
        """Train by mini-batch gradient descent; after each epoch print loss and accuracy of the whole training set."""
        self._train(max_epochs, lr, decay=0.0)

    def _train(self, max_epochs: int, lr: float, decay: float) -> None:
        if not lr >= 0:
            raise ConfigError(say("the learning rate must not be negative: {lr}", lr=lr))
        update = Updater(SGD(), Regularisation(weight_decay=decay))
        for epoch in range(max_epochs):
            first = 0
            for X, y in self.data_loader(epoch):
                self._forward(X, self._network.draws(len(X), first=first, epoch=epoch))
                self.backward(y)
                update(self._network, self._grads, lr)
                first += len(X)
            output = self._network.forward(self.features)
            loss = float(self._loss.value(output, self.labels))
            accuracy = self.accuracy(self.labels, output)
            print(f"第{epoch + 1}个回合, 训练集交叉熵损失为:{loss:.4f}, 分类准确率{accuracy:.4f}")

    def _indices(self, labels: Any) -> torch.Tensor:
        """Class indices (N,) int64 from indices or one-hot rows."""
        y = torch.as_tensor(labels).detach()
        if y.ndim == 2 and y.shape[1] == self._classes and self._classes > 1:
            y = y.argmax(dim=1)
        indices = y.flatten().to(torch.int64)
        if not torch.equal(indices.to(y.dtype), y.flatten()):
            raise ShapeError(say("class indices must be whole numbers"))
        y = indices
        if len(y) and not 0 <= int(y.min()) <= int(y.max()) < self._classes:
            text = say(
                "class indices must be 0 to {last} for {outputs} outputs; they go from {low} to {high}",
                last=self._classes - 1,
                outputs=self._classes,
                low=int(y.min()),
                high=int(y.max()),
            )
            raise ShapeError(text)
        return y


class FNN2(FNN):
    """:class:`FNN` with dropout (the lecture's first variant) and weight decay.

    Parameters
    ----------
    features, labels, params, batch_size, seed : as in FNN
    prob_dropout : sequence of float, default (0.95, 0.5, 1)
        Keep probabilities p of the input, the hidden layers and the output; or one for each of the layers 0 to L.
        In training ã = m ⊙ a, in testing p·a. With p = 1 for the output, as in the lecture, nothing is dropped there;
        another value masks the net input of the softmax.
    """

    def __init__(
        self,
        features: Any,
        labels: Any,
        params: Params,
        prob_dropout: Sequence[float] = (0.95, 0.5, 1.0),
        batch_size: int = 256,
        *,
        seed: int = 0,
    ) -> None:
        if isinstance(prob_dropout, int) and not isinstance(batch_size, int):
            prob_dropout, batch_size = batch_size, prob_dropout  # given in the other order
        self.prob_dropout = tuple(float(p) for p in prob_dropout)
        super().__init__(features, labels, params, batch_size, seed=seed)

    def _layers(self, params: Params, dtype: torch.dtype) -> list[Layer]:
        dense = super()._layers(params, dtype)
        keeps = self.prob_dropout
        if len(keeps) == 3:
            keeps = (keeps[0], *[keeps[1]] * (len(dense) - 1), keeps[2])
        if len(keeps) != len(dense) + 1:
            text = say(
                "prob_dropout needs 3 entries, or one for each of the {n} layers from the input on, not {came}",
                n=len(dense) + 1,
                came=len(self.prob_dropout),
            )
            raise ConfigError(text)
        layers: list[Layer] = []
        for keep, layer in zip(keeps, [*dense, None], strict=True):
            masks = Dropout(keep, "plain")
            layers += [masks] if keep < 1 else []
            layers += [layer] if layer is not None else []
        return layers

    def mask(self, x: torch.Tensor, p: float, *, training: bool = True, epoch: int = 0) -> torch.Tensor:
        """m ⊙ x with P(m = 1) = p in training, p·x in testing; x (N, M)."""
        draws = self._network.draws(len(x), epoch=epoch) if training else None
        masked: torch.Tensor = Dropout(p, "plain").forward(x, training=draws)[0]
        return masked

    def train_forward(self, X: torch.Tensor, *, epoch: int = 0) -> torch.Tensor:
        """The output under the masks of the batch's first samples in ``epoch``; fills the lists."""
        return self._forward(X, self._network.draws(len(X), epoch=epoch))

    def predict_forward(self, X: torch.Tensor) -> torch.Tensor:
        """The output with every unit present and scaled by its p; fills the lists."""
        return self._forward(X, None)

    def minibatch_sgd_trainer(self, max_epochs: int = 10, lr: float = 0.1, decay: float = 0.0005) -> None:
        """As FNN's, with the weights multiplied by 1 − ``decay`` at each step (0.889 over 235 steps of 0.0005)."""
        self._train(max_epochs, lr, decay)


def _recognise(function: Function, derivative: Function, units: int, l: int) -> Activation:
    """Softmax if the function computes it; else the pair, its derivative checked by central differences."""
    z, direction = _probe(units), _probe(units).flip(0)
    a = function(z.clone()).to(z.dtype)
    if a.shape != z.shape:
        text = say(
            "the activation of layer {l} must keep the shape {came}, but gives {result}",
            l=l,
            came=tuple(z.shape),
            result=tuple(a.shape),
        )
        raise ShapeError(text)
    if units > 1 and torch.allclose(a, torch.softmax(z, dim=1)):
        return Softmax()
    epsilon = 6e-6
    numerical = (function(z + epsilon * direction) - function(z - epsilon * direction)) / (2 * epsilon)
    slope = derivative(z.clone())
    jacobian = slope.ndim == 3
    given = torch.einsum("nij,nj->ni", slope, direction) if jacobian else slope * direction
    if not torch.allclose(given.to(numerical.dtype), numerical, rtol=1e-5, atol=1e-6):
        raise ConfigError(say("the derivative given for layer {l} is not that of its activation", l=l))

    def pull_back(grad_a: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        slope = derivative(z.clone())
        return torch.einsum("nij,ni->nj", slope, grad_a) if jacobian else grad_a * slope

    return Custom(lambda z: function(z.clone()), pull_back_function=pull_back, arrays="torch")


def _probe(units: int) -> torch.Tensor:
    """Net inputs on which functions are told apart, (4, units): of both signs and away from 0, where a kink may be."""
    values = np.random.Generator(np.random.Philox(key=units)).uniform(0.1, 2.0, (4, units))
    signs = np.where(np.arange(4 * units).reshape(4, units) % 2, 1.0, -1.0)
    return torch.from_numpy(values * signs)
