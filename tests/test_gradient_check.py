"""The gradient check: it passes what is right, finds what is wrong, says where, and leaves kinks out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import glassnet
from glassnet.activations import Custom, Logistic, Tanh
from glassnet.errors import ConfigError, ShapeError
from glassnet.inspection.gradient_check import GradientCheck, ParameterCheck, check_gradients
from glassnet.layers import Dense
from glassnet.losses import Custom as CustomLoss
from glassnet.network import Network, parameter_values
from glassnet.regularisers import Regularisation
from oracle import one_thread  # noqa: F401

X = np.random.default_rng(0).normal(size=(10, 4))
Y = np.random.default_rng(1).normal(size=(10, 3))


def small_network(activation: object = "tanh", **options: object) -> Network:
    return Network.dense([4, 5, 3], activation, **{"dtype": "float64", "seed": 1, **options})


def failing(result: GradientCheck) -> set[str]:
    return {p.name for p in result.parameters if p.error > result.tolerance}


def test_a_right_network_passes():
    result = check_gradients(small_network(), "squared_error", X, Y)
    assert result.passed
    assert result.error < 1e-8
    assert [(p.name, p.checked) for p in result.parameters] == [("1.W", 20), ("1.b", 5), ("2.W", 15), ("2.b", 3)]
    assert (result.checked, result.kinks) == (43, 0)


def wrong_by(factor: float) -> Custom:
    return Custom(np.tanh, lambda z: factor * Tanh().derivative(z))


@pytest.mark.parametrize("factor", [1.01, 0.99, 1.00001, -1.0, 0.0])
def test_a_wrong_derivative_fails_and_the_parameters_below_it_are_named(factor: float):
    result = check_gradients(small_network(wrong_by(factor)), "squared_error", X, Y)
    assert not result.passed
    assert failing(result) == {"1.W", "1.b"}
    worst = max(result.parameters, key=lambda p: p.error)
    assert worst.error == pytest.approx(abs(1 - factor) / max(1, abs(factor)), rel=1e-3)
    assert worst.numerical != worst.backprop


def test_the_worst_entry_is_the_one_that_is_named():
    """A derivative that is wrong for one unit only."""
    wrong = Custom(np.tanh, lambda z: Tanh().derivative(z) * np.array([1, 1, 1, 1.5, 1]))
    result = check_gradients(small_network(wrong), "squared_error", X, Y)
    by_name = {p.name: p for p in result.parameters}
    assert failing(result) == {"1.W", "1.b"}
    assert by_name["1.W"].worst[0] == 3
    assert by_name["1.b"].worst == (3,)
    assert by_name["1.b"].backprop == pytest.approx(1.5 * by_name["1.b"].numerical, rel=1e-6)


def test_the_derivative_of_another_layer_fails():
    """The mistake of taking the derivative of the layer above: right value, wrong slope."""
    network = Network.dense([4, 5, 6, 3], [Custom(np.tanh, Logistic().derivative), "logistic"], dtype="float64")
    assert failing(check_gradients(network, "squared_error", X, Y)) == {"1.W", "1.b"}


def test_softmax_by_its_diagonal_fails():
    softmax = glassnet.activations.Softmax()
    diagonal = Custom(softmax, lambda z: softmax(z) * (1 - softmax(z)))
    network = small_network(output=diagonal)
    assert failing(check_gradients(network, "squared_error", X, Y)) == {"1.W", "1.b", "2.W", "2.b"}
    assert check_gradients(small_network(output="softmax"), "squared_error", X, Y).passed


class ForgetfulDense(Dense):
    """A dense layer with a mistake in BP.2: it hands on δ unweighted by its largest weight's sign."""

    def backward(self, grad_a, cache, *, grad_in=True):
        grad_a_in, grads = super().backward(grad_a, cache, grad_in=grad_in)
        return None if grad_a_in is None else np.abs(grad_a_in), grads


class SummingDense(Dense):
    """A dense layer with a mistake in BP.3: the bias gradient is averaged once more."""

    def backward(self, grad_a, cache, *, grad_in=True):
        grad_a_in, grads = super().backward(grad_a, cache, grad_in=grad_in)
        grads.params["b"] = grads.params["b"] / len(grad_a)
        return grad_a_in, grads


@pytest.mark.parametrize(("kind", "wrong"), [(ForgetfulDense, {"1.W", "1.b"}), (SummingDense, {"2.b"})])
def test_a_wrong_layer_fails_where_it_is_wrong(kind: type[Dense], wrong: set[str]):
    first, second = small_network().layers
    network = Network([first, kind(second.params["W"], second.params["b"])])
    assert failing(check_gradients(network, "squared_error", X, Y)) == wrong


def test_a_wrong_loss_fails_everywhere():
    loss = CustomLoss(lambda a, y: ((a - y) ** 2).sum(1), lambda a, y: a - y)
    result = check_gradients(small_network(), loss, X, Y)
    assert failing(result) == {"1.W", "1.b", "2.W", "2.b"}
    assert result.error == pytest.approx(0.5, rel=1e-3)


def test_a_derivative_that_is_not_a_number_fails():
    result = check_gradients(small_network(wrong_by(float("nan"))), "squared_error", X, Y)
    assert not result.passed
    assert result.error == np.inf


@pytest.mark.parametrize("scale", [1e-9, 1e-6, 1e-3, 1e-2, 1.0, 1e3, 1e6])
def test_targets_and_outputs_far_from_one(scale: float):
    """What is right passes at any scale, and what is wrong is found at any."""
    for factor, passes in ((1.0, True), (1.01, False)):
        network = small_network(wrong_by(factor), init="normal(variance=0.3)")
        network.layer(2).params["W"] *= scale
        assert check_gradients(network, "squared_error", X, scale * Y).passed == passes


# Kinks


def test_a_relu_at_its_kink_is_told_apart():
    """z = (0, 1) and a weight of 1 on: every entry into the first unit crosses the kink, none into the second."""
    network = Network(
        [Dense(np.array([[1.0, -1.0], [0.5, 0.5]]), np.zeros(2), "relu"), Dense(np.array([[1.0, 1.0]]), np.zeros(1))]
    )
    result = check_gradients(network, "squared_error", np.ones((1, 2)), np.zeros((1, 1)))
    assert {p.name: (p.checked, p.kinks) for p in result.parameters} == {
        "1.W": (2, 2), "1.b": (1, 1), "2.W": (2, 0), "2.b": (1, 0),
    }  # fmt: skip
    assert result.passed
    assert "(3 at a kink left out)" in result.verdict()


@pytest.mark.parametrize(("z", "kinks"), [(3e-6, 3), (-3e-6, 3), (1e-5, 0), (-1e-5, 0)])
def test_near_a_kink_is_at_it_if_the_step_crosses_it(z: float, kinks: int):
    """The step is 6e-6."""
    network = Network([Dense(np.array([[1.0, -1.0]]), np.array([z]), "relu")])
    result = check_gradients(network, "squared_error", np.ones((1, 2)), np.ones((1, 1)))
    assert result.kinks == kinks
    assert result.checked == 3 - kinks


def test_without_telling_kinks_apart_the_check_would_fail():
    """The same function as a user's own that does not name its kink."""
    silent = Custom(lambda z: np.maximum(z, 0), lambda z: (z > 0) * 1.0)
    named = replace(silent, kinks=(0.0,))
    for activation, passes in ((silent, False), (named, True)):
        network = Network([Dense(np.array([[1.0, -1.0], [1.0, 1.0]]), np.zeros(2), activation)])
        assert check_gradients(network, "squared_error", np.ones((1, 2)), np.ones((1, 2))).passed == passes


def test_an_absolute_loss_at_a_residual_of_zero_is_told_apart():
    """The first output is 2, as is its target."""
    network = Network([Dense(np.array([[1.0, 1.0], [1.0, 2.0]]), np.zeros(2))])
    result = check_gradients(network, "absolute_error", np.ones((1, 2)), np.array([[2.0, 0.0]]))
    assert {p.name: (p.checked, p.kinks) for p in result.parameters} == {"1.W": (2, 2), "1.b": (1, 1)}
    assert result.passed


def test_the_bend_of_the_huber_loss_is_told_apart():
    network = Network([Dense(np.array([[1.0, 1.0]]), np.zeros(1))])
    result = check_gradients(network, "huber", np.ones((1, 2)), np.array([[1.0]]))
    assert (result.checked, result.kinks) == (0, 3)


def test_a_weight_of_zero_under_l1_is_told_apart():
    network = small_network()
    network.layer(1).params["W"][1, :2] = 0.0
    network.layer(2).params["W"][0, 0] = 3e-6
    kinks = {False: {"1.W": 2, "2.W": 1, "1.b": 0, "2.b": 0}, True: {"1.W": 2, "2.W": 1, "1.b": 5, "2.b": 3}}
    for biases, expected in kinks.items():
        result = check_gradients(network, "squared_error", X, Y, regularisation=Regularisation(l1=0.1, biases=biases))
        assert {p.name: p.kinks for p in result.parameters} == expected
        assert result.passed
    assert check_gradients(network, "squared_error", X, Y, regularisation=Regularisation(l2=0.1)).kinks == 0


def test_nothing_compared_is_nothing_passed():
    network = Network([Dense(np.array([[1.0, -1.0]]), np.zeros(1), "relu")])
    result = check_gradients(network, "squared_error", np.ones((1, 2)), np.ones((1, 1)))
    assert (result.checked, result.kinks, result.passed) == (0, 3, False)
    assert GradientCheck((), 1e-7, 6e-6).passed is False


# Options


@pytest.mark.parametrize("rules", [Regularisation(l1=0.3), Regularisation(l2=0.3, biases=True)], ids=str)
def test_penalties_are_part_of_the_loss(rules: Regularisation):
    network = small_network(bias="normal")
    result = check_gradients(network, "squared_error", X, Y, regularisation=rules)
    assert result.passed
    plain = check_gradients(network, "squared_error", X, Y)
    changed = [p.numerical != q.numerical or p.worst != q.worst for p, q in zip(*both(result, plain), strict=True)]
    assert any(changed)


def both(*results: GradientCheck) -> tuple[tuple[ParameterCheck, ...], ...]:
    return tuple(result.parameters for result in results)


def test_weights_of_the_samples():
    weight = np.arange(10.0)
    assert check_gradients(small_network(), "cross_entropy", X, np.arange(10) % 3, weight=weight).passed


@pytest.mark.parametrize("variant", ["inverted", "plain"])
def test_masks_are_held(variant: str):
    network = small_network(dropout=0.5, input_dropout=0.2, dropout_variant=variant)
    first = check_gradients(network, "squared_error", X, Y)
    other = check_gradients(network, "squared_error", X, Y, draws=network.draws(10, epoch=4))
    assert first.passed
    assert other.passed
    assert [p.numerical for p in first.parameters] != [p.numerical for p in other.parameters]


def test_entries():
    network = Network.dense([4, 30, 3], "tanh", dtype="float64")
    all_of_them = check_gradients(network, "squared_error", X, Y, entries=None)
    assert all_of_them.checked == network.n_parameters == 4 * 30 + 30 + 30 * 3 + 3
    some = check_gradients(network, "squared_error", X, Y, entries=10)
    assert [p.checked for p in some.parameters] == [10, 10, 10, 3]
    assert some == check_gradients(network, "squared_error", X, Y, entries=10)
    seeds = [check_gradients(network, "squared_error", X, Y, entries=3, seed=seed) for seed in range(4)]
    assert len({tuple(p.worst for p in result.parameters) for result in seeds}) > 1
    assert check_gradients(network, "squared_error", X, Y).checked == all_of_them.checked  # at most 200 by default


def test_the_network_is_left_unchanged():
    network = small_network()
    network.freeze([1])
    before, x, y = parameter_values(network), X.copy(), Y.copy()
    result = check_gradients(network, "squared_error", x, y, regularisation=Regularisation(l1=0.1))
    for name, theta in network.parameters():
        np.testing.assert_array_equal(theta, before[name])
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y, Y)
    assert [layer.frozen for layer in network.layers] == [True, False]
    assert result.checked == network.n_parameters  # frozen layers have gradients too


def test_a_float32_network_is_checked_in_float64():
    network = small_network(dtype="float32")
    result = check_gradients(network, "squared_error", X.astype(np.float32), Y.astype(np.float32))
    assert result.passed
    assert result.error < 1e-8
    assert network.dtype == "float32"


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_network_on_torch(dropout: float):
    network = small_network(dropout=dropout)
    moved = network.on_torch("cpu")
    x, y = torch.from_numpy(X), torch.from_numpy(Y)
    expected = check_gradients(network, "squared_error", X, Y, draws=network.draws(10, epoch=2))
    assert check_gradients(moved, "squared_error", x, y, draws=moved.draws(10, epoch=2)) == expected
    assert expected.passed


def test_a_looser_tolerance_passes_more():
    network = small_network(wrong_by(1.01))
    assert not check_gradients(network, "squared_error", X, Y).passed
    assert check_gradients(network, "squared_error", X, Y, tolerance=0.02).passed


def test_a_coarser_step_is_less_exact():
    fine, coarse = (check_gradients(small_network(), "squared_error", X, Y, epsilon=e) for e in (6e-6, 1e-2))
    assert fine.error < 1e-8 < 1e-5 < coarse.error


# What it says


def test_the_verdict():
    right = check_gradients(small_network(), "squared_error", X, Y)
    wrong = check_gradients(small_network(wrong_by(1.01)), "squared_error", X, Y)
    assert right.verdict().startswith(f"the gradients are right: largest relative error {right.error:.2e}")
    assert right.verdict().endswith("tolerance 1e-07, 43 entries")
    assert wrong.verdict().startswith("THE GRADIENTS ARE WRONG: largest relative error 9.9")
    lines = str(wrong).splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == ["1.W", "1.b", "2.W", "2.b"]
    assert lines[1].split()[1:] == [f"{wrong.parameters[0].error:.2e}", "20", "0"]
    assert lines[-1] == wrong.verdict()


@pytest.mark.parametrize("options", [{"epsilon": 0.0}, {"tolerance": -1.0}, {"epsilon": float("nan")}], ids=str)
def test_bad_options(options: dict[str, float]):
    with pytest.raises(ConfigError, match="epsilon and tolerance must be above 0"):
        check_gradients(small_network(), "squared_error", X, Y, **options)


def test_a_batch_that_does_not_fit():
    with pytest.raises(ShapeError, match="x must have the shape"):
        check_gradients(small_network(), "squared_error", X[:, :2], Y)


def test_it_is_public():
    assert glassnet.check_gradients is check_gradients
