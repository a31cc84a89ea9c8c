"""BP.1 to BP.4 on a network of two inputs, two hidden units and one output, worked out by hand.

σ(z) = z² in the hidden layer, so that every number is whole; the output is linear, C = ½ (a − y)².

    W¹ = ( 1  1)   b¹ = (−1)   W² = (1  −2)   b² = 1
         ( 2 −1)        ( 1)

    sample 1: x = (1, 2)   z¹ = (2, 1)   a¹ = (4, 1)   z² =  3   y =  1   a − y = 2   C = 2
    sample 2: x = (1, 1)   z¹ = (1, 2)   a¹ = (1, 4)   z² = −6   y = −8   a − y = 2   C = 2
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from glassnet.activations import Custom, Softmax
from glassnet.backprop import backprop
from glassnet.equations import bias_gradient, error, net_input, propagate, weight_gradient
from glassnet.layers import Dense
from glassnet.network import Network

SQUARE = Custom(lambda z: z * z, lambda z: 2 * z)

W1 = [[1.0, 1.0], [2.0, -1.0]]
B1 = [-1.0, 1.0]
W2 = [[1.0, -2.0]]
B2 = [1.0]
X = [[1.0, 2.0], [1.0, 1.0]]
Y = [[1.0], [-8.0]]
Z1 = [[2.0, 1.0], [1.0, 2.0]]
A1 = [[4.0, 1.0], [1.0, 4.0]]
Z2 = [[3.0], [-6.0]]
# the mean over two samples halves each residual
DELTA2 = [[1.0], [1.0]]
GRAD_A1 = [[1.0, -2.0], [1.0, -2.0]]
DELTA1 = [[4.0, -4.0], [2.0, -8.0]]
GRAD_W2 = [[5.0, 5.0]]  # 1·(4, 1) + 1·(1, 4)
GRAD_B2 = [2.0]
GRAD_W1 = [[6.0, 10.0], [-12.0, -16.0]]  # (4, −4)ᵀ(1, 2) + (2, −8)ᵀ(1, 1)
GRAD_B1 = [6.0, -12.0]

Library = Callable[[object], object]


@pytest.fixture(params=["numpy", "torch"])
def array(request: pytest.FixtureRequest) -> Library:
    if request.param == "numpy":
        return lambda values: np.array(values, dtype=np.float64)
    return lambda values: torch.tensor(values, dtype=torch.float64)


def test_net_input(array: Library):
    assert net_input(array(X), array(W1), array(B1)).tolist() == Z1
    assert net_input(array(A1), array(W2), array(B2)).tolist() == Z2
    assert net_input(array(A1), array(W2), None).tolist() == [[2.0], [-7.0]]


def test_bp1_of_an_elementwise_activation(array: Library):
    """δ^L = ∇_a C ⊙ σ′(z^L)."""
    assert error(array([[3.0, -1.0]]), SQUARE, array([[2.0, 5.0]])).tolist() == [[12.0, -10.0]]


def test_bp1_of_softmax_takes_the_whole_jacobian(array: Library):
    """z = (0, ln 3): a = (1/4, 3/4), J = (3/16 −3/16; −3/16 3/16). Its diagonal alone would give (3/16, 0)."""
    delta = error(array([[1.0, 0.0]]), Softmax(), array([[0.0, np.log(3.0)]]))
    assert delta.tolist() == [pytest.approx([3 / 16, -3 / 16], rel=1e-14)]


def test_bp2(array: Library):
    """δ^l = (W^{l+1})ᵀ δ^{l+1} ⊙ σ′(z^l)."""
    grad_a = propagate(array(DELTA2), array(W2))
    assert grad_a.tolist() == GRAD_A1
    assert error(grad_a, SQUARE, array(Z1)).tolist() == DELTA1


def test_bp3(array: Library):
    assert bias_gradient(array(DELTA2)).tolist() == GRAD_B2
    assert bias_gradient(array(DELTA1)).tolist() == GRAD_B1


def test_bp4(array: Library):
    assert weight_gradient(array(DELTA2), array(A1)).tolist() == GRAD_W2
    assert weight_gradient(array(DELTA1), array(X)).tolist() == GRAD_W1


def test_bp4_is_not_the_product_of_averages(array: Library):
    """Two samples whose δ and a cancel on average still have a gradient."""
    assert weight_gradient(array([[1.0], [-1.0]]), array([[1.0], [-1.0]])).tolist() == [[2.0]]


def test_the_four_together(array: Library):
    network = Network([Dense(array(W1), array(B1), SQUARE), Dense(array(W2), array(B2))])
    value, (first, second) = backprop(network, "squared_error", array(X), array(Y))
    assert float(value) == 2.0
    assert second.delta.tolist() == DELTA2
    assert first.delta.tolist() == DELTA1
    assert {name: grad.tolist() for name, grad in first.params.items()} == {"W": GRAD_W1, "b": GRAD_B1}
    assert {name: grad.tolist() for name, grad in second.params.items()} == {"W": GRAD_W2, "b": GRAD_B2}


def test_the_inputs_gradient_is_left_out_where_nobody_needs_it():
    layer = Dense(np.array(W1), np.array(B1), SQUARE)
    _, cache = layer.forward(np.array(X))
    grad_in, grads = layer.backward(np.array(GRAD_A1), cache, grad_in=False)
    assert grad_in is None
    assert grads.params["W"].tolist() == GRAD_W1
    grad_in, _ = layer.backward(np.array(GRAD_A1), cache)
    assert grad_in.tolist() == [[4.0 - 8.0, 4.0 + 4.0], [2.0 - 16.0, 2.0 + 8.0]]  # W¹ᵀ δ¹
