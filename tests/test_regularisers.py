"""Penalties, decay and max-norm, as formulas and in training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from glassnet.backprop import backprop
from glassnet.errors import ConfigError
from glassnet.network import Network, parameter_values
from glassnet.optimisers import SGD, Adam, AdamW, Momentum, Optimiser, Updater
from glassnet.regularisers import Regularisation
from glassnet.training import train
from oracle import one_thread  # noqa: F401

W = np.array([[3.0, -4.0, 0.0], [0.5, 0.0, -1.0]])
B = np.array([2.0, -1.0])


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    x, y = load_digits(return_X_y=True)
    return x[:240] / 16.0, y[:240]


@pytest.mark.parametrize("library", [np.array, torch.tensor])
def test_penalties_and_their_gradients(library: Any):
    """λ‖θ‖₁ and ½λ‖θ‖²; the sum of |W| is 8.5, of W² 26.25; sign(0) = 0."""
    w = library(W.tolist())
    assert float(Regularisation(l1=2.0).penalty("W", w)) == 17.0
    assert float(Regularisation(l2=2.0).penalty("W", w)) == 26.25
    assert float(Regularisation(l1=2.0, l2=4.0).penalty("W", w)) == 17.0 + 2 * 26.25
    assert Regularisation(l1=2.0).penalty_gradient("W", w).tolist() == [[2.0, -2.0, 0.0], [2.0, 0.0, -2.0]]
    assert Regularisation(l2=2.0).penalty_gradient("W", w).tolist() == [[6.0, -8.0, 0.0], [1.0, 0.0, -2.0]]
    both = Regularisation(l1=2.0, l2=2.0).penalty_gradient("W", w).tolist()
    assert both == [[8.0, -10.0, 0.0], [3.0, 0.0, -4.0]]
    assert w.tolist() == W.tolist()


def test_biases_only_by_choice():
    without, with_them = Regularisation(l1=1.0, l2=2.0, weight_decay=0.5), Regularisation(1.0, 2.0, 0.5, biases=True)
    assert without.penalty("b", B) == without.penalty_gradient("b", B) == 0.0
    assert with_them.penalty("b", B) == 3.0 + 5.0
    assert with_them.penalty_gradient("b", B).tolist() == [1 + 4.0, -1 - 2.0]
    b = B.copy()
    without.decay("b", b, 0.1)
    assert b.tolist() == [2.0, -1.0]
    with_them.decay("b", b, 0.1)
    assert b.tolist() == [1.0, -0.5]


def test_alpha_joins_the_sum_of_the_losses():
    """½α‖W‖² / Σ w: an ℓ2 whose strength falls with the batch's weight."""
    both = Regularisation(l2=2.0, alpha=6.0)
    assert float(both.penalty("W", W, 3.0)) == Regularisation(l2=4.0).penalty("W", W)
    np.testing.assert_array_equal(both.penalty_gradient("W", W, 3.0), 4.0 * W)
    assert both.total([("1.W", W), ("1.b", B)], 12.0) == 0.5 * 2.5 * 26.25
    assert float(both.penalty("W", W, 0.0)) == 26.25  # a batch without weight has no sum


@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("weights", [None, [2.0, 0.0, 1.0, 0.5, 3.0]])
def test_alpha_in_training(engine: str, weights: list[float] | None):
    """A step of plain descent on inputs of 0 moves W by the penalty alone: W ← W (1 − lr α / Σ w), batch by batch."""
    network = Network.dense([3, 2], dtype="float64", seed=1)
    W = network.layers[0].params["W"].copy()
    train(
        *(network, np.zeros((5, 3)), np.zeros((5, 2))),
        **{"sample_weight": weights, "optimiser": "sgd", "lr": 0.1, "alpha": 0.3, "batch_size": 3, "epochs": 1},
        **{"loss": "squared_error", "shuffle": False, "engine": engine},
    )
    w = np.ones(5) if weights is None else np.array(weights)
    factor = (1 - 0.1 * 0.3 / w[:3].sum()) * (1 - 0.1 * 0.3 / w[3:].sum())
    np.testing.assert_allclose(network.layers[0].params["W"], W * factor, rtol=1e-12)


def test_nothing_is_on_by_default():
    rules, w = Regularisation(), W.copy()
    assert rules.penalty("W", w) == rules.penalty_gradient("W", w) == 0.0
    rules.decay("W", w, 0.1)
    rules.constrain("W", w)
    np.testing.assert_array_equal(w, W)


@pytest.mark.parametrize(("form", "factor"), [("step", 1 - 0.2), ("lr", 1 - 0.2 * 0.1)])
def test_the_two_forms_of_decay(form: str, factor: float):
    w = W.copy()
    Regularisation(weight_decay=0.2, decay_form=form).decay("W", w, lr=0.1)
    np.testing.assert_array_equal(w, W * factor)


def test_the_unit_of_decay_is_the_step():
    """0.0005 per step is 0.889 over an epoch of 235 steps, whatever the learning rate."""
    w, rules = np.ones((1, 1)), Regularisation(weight_decay=0.0005)
    for _ in range(235):
        rules.decay("W", w, lr=0.123)
    assert round(w[0, 0], 3) == 0.889


@pytest.mark.parametrize("library", [np.array, torch.tensor])
@pytest.mark.parametrize("c", [0.5, 2.0, 100.0])
def test_max_norm(library: Any, c: float):
    """Rows above c are scaled to c and keep their direction; rows below are not touched, nor are biases."""
    w, b = library(W.tolist()), library(B.tolist())
    Regularisation(max_norm=c).constrain("W", w)
    Regularisation(max_norm=c).constrain("b", b)
    assert b.tolist() == B.tolist()
    for row, before in zip(np.asarray(w), W, strict=True):
        norm = np.linalg.norm(before)
        if norm <= c:
            assert row.tolist() == before.tolist()
        else:
            assert np.linalg.norm(row) == pytest.approx(c, rel=1e-6)
            np.testing.assert_allclose(row * norm, before * c, rtol=1e-6)


def test_max_norm_leaves_zero_rows():
    w = np.zeros((2, 3))
    Regularisation(max_norm=1.0).constrain("W", w)
    assert not w.any()


def test_max_norm_holds_after_every_step(digits: tuple[np.ndarray, np.ndarray]):
    x, y = digits
    network, c = Network.dense([64, 16, 10], dtype="float64"), 1.6
    updater = Updater(Momentum(), Regularisation(max_norm=c))
    for _ in range(10):
        updater(network, backprop(network, "cross_entropy", x, y)[1], 0.2)
        norms = [np.linalg.norm(layer.params["W"], axis=1) for layer in network.layers]
        assert max(n.max() for n in norms) <= c * (1 + 1e-14)
    assert max(n.max() for n in norms) > 0.999 * c
    assert min(n.min() for n in norms) < 0.99 * c


def trained(
    optimiser: Optimiser, rules: Regularisation, data: tuple[np.ndarray, np.ndarray], lr: float, batch: int = 60
) -> dict[str, np.ndarray]:
    """The parameters after three epochs from the same start."""
    network = Network.dense([64, 12, 10], "tanh", dtype="float64", seed=1)
    updater, (x, y) = Updater(optimiser, optimiser.regularisation(rules)), data
    for step in range(3 * len(x) // batch):
        rows = np.arange(step * batch, (step + 1) * batch) % len(x)
        updater(network, backprop(network, "cross_entropy", x[rows], y[rows])[1], lr)
    return parameter_values(network)


def distance(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> float:
    return max(float(np.abs(one[name] - other[name]).max()) for name in one)


LR, LAMBDA = 0.2, 0.05


def test_decay_is_l2_under_plain_gradient_descent_at_beta_lr_lambda(digits: tuple[np.ndarray, np.ndarray]):
    l2 = trained(SGD(), Regularisation(l2=LAMBDA), digits, LR)
    assert distance(trained(SGD(), Regularisation(weight_decay=LR * LAMBDA), digits, LR), l2) < 1e-13
    assert distance(trained(SGD(), Regularisation(weight_decay=LAMBDA, decay_form="lr"), digits, LR), l2) < 1e-13
    assert distance(trained(SGD(), Regularisation(), digits, LR), l2) > 0.01


def test_decay_is_not_l2_under_adam(digits: tuple[np.ndarray, np.ndarray]):
    lr = 0.01
    l2 = trained(Adam(), Regularisation(l2=LAMBDA), digits, lr)
    assert distance(trained(Adam(), Regularisation(weight_decay=lr * LAMBDA), digits, lr), l2) > 0.01


def test_adamw_is_adam_with_decay_scaled_by_the_learning_rate(digits: tuple[np.ndarray, np.ndarray]):
    lr = 0.01
    adamw = trained(AdamW(weight_decay=0.3), Regularisation(), digits, lr)
    assert distance(trained(Adam(), Regularisation(weight_decay=0.3, decay_form="lr"), digits, lr), adamw) == 0
    assert distance(trained(AdamW(), Regularisation(weight_decay=0.3), digits, lr), adamw) == 0  # the run's own wins
    assert distance(trained(Adam(), Regularisation(), digits, lr), adamw) > 0.01


def test_the_strength_does_not_depend_on_the_size_of_the_batch(digits: tuple[np.ndarray, np.ndarray]):
    """A step on a batch and a step on the same batch five times over are one."""
    rules = Regularisation(l1=0.01, l2=0.05, weight_decay=0.01, biases=True)
    x, y = digits
    once = trained(SGD(), rules, (x[:20], y[:20]), LR, batch=20)
    many = (np.tile(x[:20], (5, 1)), np.tile(y[:20], 5))
    assert distance(trained(SGD(), rules, many, LR, batch=100), once) < 1e-13


def test_l1_leaves_a_weight_of_zero_without_gradient_at_zero():
    network = Network.dense([3, 2], init="zeros", dtype="float64")
    updater = Updater(SGD(), Regularisation(l1=1.0))
    updater(network, backprop(network, "squared_error", np.zeros((4, 3)), np.ones((4, 2)))[1], 0.1)
    assert not network.layer(1).params["W"].any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"l1": -1.0}, "l1 must be finite and not negative, not -1.0"),
        ({"l2": float("nan")}, "l2 must be finite"),
        ({"l2": float("inf")}, "l2 must be finite"),
        ({"weight_decay": 1.0}, "share of W per step and must be below 1"),
        ({"weight_decay": -0.1}, "weight_decay must be finite and not negative"),
        ({"decay_form": "epoch"}, "decay_form must be 'step' or 'lr', not 'epoch'"),
        ({"max_norm": 0.0}, "max_norm must be above 0"),
        ({"max_norm": float("nan")}, "max_norm must be above 0"),
    ],
    ids=str,
)
def test_bad_options(options: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=message):
        Regularisation(**options)


def test_decay_scaled_by_the_learning_rate_may_be_above_one():
    assert Regularisation(weight_decay=2.0, decay_form="lr").weight_decay == 2.0
