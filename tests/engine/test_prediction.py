"""Prediction through the native engine: the network's own outputs, of its parameters as they are."""

import numpy as np
import pytest

import glassnet
from glassnet import Model, Network
from glassnet.engine import native as module
from glassnet.errors import ShapeError

RNG = np.random.default_rng(3)
X = RNG.normal(size=(5000, 7))


@pytest.fixture
def calls(native, monkeypatch):
    """How often rows went through the native engine."""
    seen, forward = [], module.Forward.__call__

    def count(self, x):
        seen.append(x.shape[0])
        return forward(self, x)

    monkeypatch.setattr(module.Forward, "__call__", count)
    return seen


@pytest.mark.parametrize(("rows", "parts"), [(0, []), (1, []), (63, []), (64, [64]), (5000, [4096, 904])])
@pytest.mark.parametrize("x", [X, X.astype("f4"), X > 0, (X * 9).astype(int)], ids=lambda x: str(x.dtype))
def test_many_rows_go_through_it(calls, rows, parts, x):
    network = Network.dense([7, 9, 3], "gelu", dropout=0.5, input_dropout=0.1, dropout_variant="plain", bias=0.1)
    model = Model(network, "cross_entropy")
    a = network.forward(x[:rows]).astype(float)
    probabilities = np.exp(a) / np.exp(a).sum(axis=1, keepdims=True)
    assert model.predict_features(x[:rows]).probabilities == pytest.approx(probabilities, abs=1e-6)
    assert calls == parts


def test_in_double_precision(calls):
    model = Model(Network.dense([7, 9, 2], dtype="float64"), "squared_error")
    assert model.predict(X).values == pytest.approx(model.network.forward(X), rel=1e-12, abs=1e-14)
    assert calls


def test_the_parameters_are_those_of_the_moment(calls):
    model = Model(Network.dense([7, 9, 1]), "squared_error")
    before = model.predict(X).values
    model.network.layer(2).params["W"] *= 2
    assert model.predict(X).values == pytest.approx(2 * before, rel=1e-5)
    assert len(calls) == 4


def test_nan_is_nan(calls):
    x = X[:100].copy()
    x[3, 2] = np.nan
    for activation in ("relu", "tanh", "logistic", "gelu"):
        values = Model(Network.dense([7, 9, 1], activation), "squared_error").predict_features(x).values
        assert np.flatnonzero(np.isnan(values)).tolist() == [3]


def test_what_it_cannot_carry_goes_through_the_network(calls):
    model = Model(Network.dense([7, 9, 1], (np.sin, np.cos)), "squared_error")
    assert model.predict(X).values == pytest.approx(model.network.forward(X)[:, 0])
    assert not calls


def test_dropout_masks_are_the_networks(calls):
    model = Model(Network.dense([7, 9, 1], dropout=0.5), "squared_error")
    assert model.predict(X, samples=2).spread.any()
    assert not calls


def test_wrong_columns(calls):
    with pytest.raises(ShapeError, match=r"x must have the shape \(N, 7\), not \(4096, 6\)"):
        Model(Network.dense([7, 1]), "squared_error").predict_features(X[:, :6])


def test_evaluation(calls):
    y = RNG.integers(0, 3, len(X))
    network = Network.dense([7, 9, 3])
    glassnet.train(network, X, y, epochs=1, device="cpu", threads=1)
    figures = Model(network, "cross_entropy").evaluate((X, y))
    a = network.forward(X)
    assert figures["accuracy"] == pytest.approx(np.mean(a.argmax(axis=1) == y), abs=2e-4)
    assert sum(calls) == len(X)
