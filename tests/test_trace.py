"""A trace shows the very numbers of forward and backward pass."""

from __future__ import annotations

import numpy as np
import pytest

from glassnet.backprop import backprop
from glassnet.inspection import trace
from glassnet.network import Network


def test_by_hand():
    """1-1-1, identity and squared error: every quantity is a short product."""
    network = Network.of_parameters([np.array([[2.0]]), np.array([[3.0]])], [np.array([1.0]), np.array([0.0])], "relu")
    traced = trace(network, "squared_error", np.array([[1.0], [2.0]]), np.array([[10.0], [10.0]]))
    hidden, output = traced.layers
    assert hidden.z.tolist() == hidden.a.tolist() == [[3.0], [5.0]]
    assert output.a.tolist() == [[9.0], [15.0]]
    assert traced.terms.tolist() == [0.5, 12.5]
    assert traced.loss == 6.5
    assert output.delta.tolist() == output.grad_a.tolist() == [[-0.5], [2.5]]
    assert hidden.grad_a.tolist() == hidden.delta.tolist() == [[-1.5], [7.5]]
    assert output.grads["W"].tolist() == [[-0.5 * 3 + 2.5 * 5]]
    assert hidden.grads["W"].tolist() == [[-1.5 * 1 + 7.5 * 2]]
    assert hidden.grads["b"].tolist() == [6.0]
    assert traced.layer(2) is output
    with pytest.raises(KeyError):
        traced.layer(3)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dropout", [False, True])
def test_as_backprop_has_it(weighted: bool, dropout: bool):
    rng = np.random.default_rng(0)
    network = Network.dense([4, 6, 5, 3], "tanh", dropout=0.4, input_dropout=0.2, dtype="float64", seed=3)
    x, y = rng.normal(size=(7, 4)), rng.integers(0, 3, 7)
    weight = rng.uniform(0.5, 2, 7) if weighted else None
    draws = network.draws(7, first=20, epoch=2) if dropout else None
    traced = trace(network, "cross_entropy", x, y, weight=weight, draws=draws)
    plain = network if dropout else Network([layer for layer in network.layers if layer.params], seed=3)
    value, grads = backprop(plain, "cross_entropy", x, y, weight=weight, draws=draws)
    assert traced.loss == value
    dense = [layer for layer in traced.layers if layer.kind == "dense"]
    for layer, expected in zip(dense, [grad for grad in grads if grad.params], strict=True):
        np.testing.assert_array_equal(layer.delta, expected.delta)
        np.testing.assert_array_equal(layer.grads["W"], expected.params["W"])
        np.testing.assert_array_equal(layer.grads["b"], expected.params["b"])
    masks = [layer.mask for layer in traced.layers if layer.kind == "dropout"]
    assert all((mask is not None) == dropout for mask in masks)
    if dropout:
        assert set(np.unique(masks[1])) == {0.0, 1 / 0.6}
    np.testing.assert_array_equal(traced.layers[-1].a, network.forward(x, draws=draws))
