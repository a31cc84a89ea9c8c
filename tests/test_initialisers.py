"""Each initialiser against its formula, and what the formulas are for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cases.initialisers import CASES, Case
from glassnet.activations import ACTIVATIONS, activation
from glassnet.backprop import backprop
from glassnet.errors import ConfigError
from glassnet.initialisers import (
    INITIALISERS,
    Constant,
    He,
    Initialiser,
    Normal,
    Orthogonal,
    Xavier,
    XavierLogistic,
    initialiser,
)
from glassnet.network import Network
from glassnet.optimisers import SGD, Updater
from oracle import one_thread  # noqa: F401

N_OUT, N_IN = 240, 160
N = N_OUT * N_IN
SIGMAS = 5.0  # how far a figure may stray from its formula, in standard errors
every_case = pytest.mark.parametrize("case", CASES, ids=str)
drawn = pytest.mark.parametrize("case", [case for case in CASES if case.kind in {"uniform", "normal"}], ids=str)


def draw(given: Any, shape: tuple[int, ...] = (N_OUT, N_IN), seed: int = 0) -> np.ndarray:
    return initialiser(given)(shape, np.random.default_rng(seed))


def test_the_table_has_every_initialiser():
    assert {case.name for case in CASES} == set(INITIALISERS.names())
    assert {case.name for case in CASES if case.kind == "normal"} == {
        "normal", "xavier", "xavier_logistic", "he", "lecun"
    }  # fmt: skip


@every_case
def test_shape_and_mean(case: Case):
    W = draw(case.given)
    assert W.shape == (N_OUT, N_IN)
    assert W.dtype == np.float64
    assert abs(W.mean() - case.mean) <= SIGMAS * np.sqrt(case.variance(N_IN, N_OUT) / N)


@every_case
@pytest.mark.parametrize("shape", [(N_OUT, N_IN), (N_IN, N_OUT)], ids=str)
def test_variance(case: Case, shape: tuple[int, int]):
    """The mean square strays by σ² √((κ − 1)/N) with the kurtosis κ: 3 if normal, 9/5 if uniform."""
    n_out, n_in = shape
    expected = case.variance(n_in, n_out)
    stray = {"normal": 2.0, "uniform": 0.8, "orthogonal": 1e-20, "fixed": 0.0}[case.kind]
    found = np.square(draw(case.given, shape) - case.mean).mean()
    assert abs(found - expected) <= SIGMAS * expected * np.sqrt(stray / N)


@drawn
def test_support(case: Case):
    """A uniform draw fills [−r, r] with r = √(3σ²); a normal one goes beyond and has no bound."""
    W = np.abs(draw(case.given) - case.mean)
    sigma = np.sqrt(case.variance(N_IN, N_OUT))
    if case.kind == "uniform":
        r = np.sqrt(3) * sigma
        assert 0.999 * r < W.max() <= r
    else:
        assert 3.8 * sigma < W.max() < 6 * sigma  # of 38,400 normal draws the largest lies near 4.2 σ


@drawn
def test_both_signs_are_as_likely(case: Case):
    assert abs((draw(case.given) > case.mean).mean() - 0.5) < SIGMAS * 0.5 / np.sqrt(N)


@every_case
def test_seeds_repeat_and_differ(case: Case):
    once, again, other = (draw(case.given, (20, 10), seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(once, again)
    same = np.array_equal(once, other)
    assert same == (case.kind == "fixed")


def test_networks_of_one_seed_start_alike_and_layers_differ():
    one, same, other = (Network.dense([6, 6, 6], seed=seed) for seed in (1, 1, 2))
    for a, b, c in zip(one.layers, same.layers, other.layers, strict=True):
        np.testing.assert_array_equal(a.params["W"], b.params["W"])
        assert not np.array_equal(a.params["W"], c.params["W"])
    assert not np.array_equal(one.layers[0].params["W"] / one.layers[1].params["W"], np.ones((6, 6)))


# Orthogonal


@pytest.mark.parametrize("gain", [1.0, 2.0])
@pytest.mark.parametrize("shape", [(30, 50), (50, 30), (40, 40), (1, 7), (7, 1)], ids=str)
def test_orthogonal(shape: tuple[int, int], gain: float):
    """W Wᵀ = gain² I where W is wide, Wᵀ W = gain² I where it is tall."""
    W = draw(Orthogonal(gain), shape)
    product = W @ W.T if shape[0] <= shape[1] else W.T @ W
    np.testing.assert_allclose(product, gain**2 * np.eye(min(shape)), atol=1e-13)
    np.testing.assert_allclose(np.linalg.svd(W, compute_uv=False), gain, rtol=1e-13)


def test_orthogonal_is_uniform_over_rotations():
    """Without the signs of R's diagonal the first column would always point one way; the trace has mean 0."""
    firsts = np.array([draw("orthogonal", (3, 3), seed) for seed in range(2000)])
    assert np.abs(firsts.mean(axis=0)).max() < SIGMAS * np.sqrt(1 / 3 / 2000)
    assert abs(np.sign(np.linalg.det(firsts)).mean()) < SIGMAS / np.sqrt(2000)


def test_a_product_of_100_orthogonal_layers_neither_grows_nor_shrinks():
    """Saxe et al. 2014: its singular values are all 1. Those of 100 Xavier layers are far from it."""
    layers = Network.dense([30] * 101, "identity", init="orthogonal", dtype="float64").layers
    product = np.linalg.multi_dot([layer.params["W"] for layer in layers])
    np.testing.assert_allclose(np.linalg.svd(product, compute_uv=False), 1.0, rtol=1e-12)
    layers = Network.dense([30] * 101, "identity", init="xavier", dtype="float64").layers
    values = np.linalg.svd(np.linalg.multi_dot([layer.params["W"] for layer in layers]), compute_uv=False)
    assert values[0] > 1e3 * values[4]


# What variance scaling is for


def log2_of_the_variance_ratio(init: str, width: int = 300, seeds: int = 3) -> float:
    """log₂ of the variance of z at layer 30 over that at layer 1, ReLU between, averaged over seeds."""
    ratios = []
    for seed in range(seeds):
        network = Network.dense([width] * 31, "relu", init=init, dtype="float64", seed=seed)
        a, variances = np.random.default_rng(seed).normal(size=(20, width)), []
        for layer in network.layers:
            a, (_, z) = layer.forward(a)
            variances.append(np.square(z).mean())
        ratios.append(np.log2(variances[-1] / variances[0]))
    return float(np.mean(ratios))


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_he_keeps_the_variance_of_30_relu_layers_and_xavier_halves_it_29_times(distribution: str):
    """He et al. 2015: about 1 against about 2⁻²⁹."""
    he = log2_of_the_variance_ratio(f"he(distribution='{distribution}')")
    xavier = log2_of_the_variance_ratio(f"xavier(distribution='{distribution}')")
    assert abs(he) < 1.5
    assert abs(xavier + 29) < 1.5
    assert he - xavier == pytest.approx(29, abs=1e-9)  # the same draws, each times √½


def test_from_zero_weights_a_relu_network_trains_its_output_biases_only():
    """The units of a layer are all alike, and dead: symmetry must be broken."""
    network = Network.dense([4, 5, 3], "relu", init="zeros", dtype="float64")
    x, y = np.random.default_rng(0).normal(size=(12, 4)), np.arange(12) ** 2 % 3
    updater, values = Updater(SGD()), []
    for _ in range(5):
        value, grads = backprop(network, "cross_entropy", x, y)
        updater(network, grads, 0.5)
        values.append(float(value))
    moved = {name for name, theta in network.parameters() if theta.any()}
    assert moved == {"2.b"}
    assert values == sorted(values, reverse=True)


def test_from_equal_weights_the_units_of_a_layer_stay_equal():
    network = Network.dense([4, 5, 3], "tanh", init=0.3, dtype="float64")
    x, y = np.random.default_rng(0).normal(size=(12, 4)), np.arange(12) ** 2 % 3
    updater = Updater(SGD())
    for _ in range(20):
        updater(network, backprop(network, "cross_entropy", x, y)[1], 0.5)
    W = network.layer(1).params["W"]
    np.testing.assert_allclose(W, np.broadcast_to(W[0], W.shape), rtol=1e-12)
    assert not np.allclose(W, 0.3)


# Choices and forms

AUTO: dict[str, Initialiser] = {
    "relu": He(), "leaky_relu": He(), "elu": He(), "gelu": He(), "silu": He(), "softplus": He(),
    "logistic": XavierLogistic(), "tanh": Xavier(), "identity": Xavier(), "softmax": Xavier(),
}  # fmt: skip


def test_auto_is_settled_for_every_activation():
    assert AUTO.keys() == set(ACTIVATIONS.names())


@pytest.mark.parametrize("name", AUTO)
def test_auto_chooses_by_the_activation(name: str):
    assert initialiser("auto", activation(name)) == AUTO[name]
    assert initialiser("auto", activation((np.sin, np.cos))) == Xavier()


def test_the_network_takes_auto_by_default():
    auto, he = Network.dense([9, 8, 7], "relu", seed=1), Network.dense([9, 8, 7], init=["he", "xavier"], seed=1)
    for a, b in zip(auto.layers, he.layers, strict=True):
        np.testing.assert_array_equal(a.params["W"], b.params["W"])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("he(distribution='normal')", He("normal")),
        ("kaiming", He()),
        ("glorot(gain=2)", Xavier(gain=2)),
        ({"name": "normal", "variance": 2.0}, Normal(2.0)),
        (0.01, Constant(0.01)),
        (0, Constant(0.0)),
        (Orthogonal(), Orthogonal()),
    ],
    ids=str,
)
def test_forms_in_which_an_initialiser_is_given(given: Any, expected: Initialiser):
    assert initialiser(given) == expected


@every_case
def test_the_stored_form_gives_the_same_back(case: Case):
    assert INITIALISERS.make(INITIALISERS.spec(initialiser(case.given))) == initialiser(case.given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("normal(variance=-1)", "variance must be finite and not negative, not -1"),
        ("uniform(variance=1e999)", "variance must be finite and not negative, not inf"),
        ("he(distribution='cauchy')", "distribution must be 'uniform' or 'normal', not 'cauchy'"),
        ("xavier(gain=0)", "gain must be finite and above 0, not 0"),
        ("orthogonal(gain=-1)", "gain must be finite and above 0, not -1"),
        ("xavir", "Did you mean 'xavier'"),
    ],
)
def test_bad_initialisers(given: str, message: str):
    with pytest.raises(ConfigError, match=message):
        initialiser(given)


# Biases


@pytest.mark.parametrize(
    ("bias", "expected"), [(0.0, 0.0), (0.01, 0.01), (True, 0.0), ("zeros", 0.0), ("constant(value=0.5)", 0.5)]
)
def test_biases(bias: Any, expected: float):
    network = Network.dense([3, 50, 2], bias=bias, dtype="float64")
    for layer in network.layers:
        np.testing.assert_array_equal(layer.params["b"], np.full(layer.n_out, expected))


def test_drawn_biases_leave_the_weights_as_they_are():
    network = Network.dense([3, 4000, 2], bias="normal(variance=4)", dtype="float64")
    b = network.layer(1).params["b"]
    assert abs(b.var() - 4) < SIGMAS * 4 * np.sqrt(2 / 4000)
    np.testing.assert_array_equal(
        network.layer(1).params["W"], Network.dense([3, 4000, 2], dtype="float64").layer(1).params["W"]
    )


@pytest.mark.parametrize("bias", ["he", "orthogonal", "xavier(distribution='normal')"])
def test_an_initialiser_for_matrices_is_refused_for_biases(bias: str):
    with pytest.raises(ConfigError, match="biases"):
        Network.dense([3, 4, 2], bias=bias)


def test_no_biases():
    assert {name for name, _ in Network.dense([3, 4, 2], bias=False).parameters()} == {"1.W", "2.W"}
