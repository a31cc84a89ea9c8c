"""Back-propagation against central differences, against automatic differentiation, and against what must not matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import glassnet
from cases.networks import DROPOUTS, REGULARISATIONS, random_problem
from glassnet.activations import ACTIVATIONS
from glassnet.backprop import backprop, backward_pass, forward_pass
from glassnet.inspection.gradient_check import check_gradients
from glassnet.layers import Dropout
from glassnet.losses import LOSSES
from glassnet.losses import loss as make_loss
from glassnet.network import Network
from oracle import gradients, one_thread  # noqa: F401

if TYPE_CHECKING:
    from cases.networks import Problem

FEW = range(60)
ALL = range(400)
SEEDS = st.integers(0, 10_000)


def ours(problem: Problem, network: Network | None = None) -> tuple[float, dict[str, np.ndarray]]:
    """C with its penalties and ∂C/∂θ by parameter, by back-propagation."""
    network = network or problem.network
    value, grads = backprop(
        network, problem.loss.given, problem.x, problem.y, weight=problem.weight, draws=problem.draws
    )
    value, found = float(value), {}
    for layer, layer_grads in zip(network.layers, grads, strict=True):
        for name, theta in layer.params.items():
            value += float(problem.rules.penalty(name, theta))
            found[f"{layer.number}.{name}"] = layer_grads.params[name] + problem.rules.penalty_gradient(name, theta)
    return value, found


def difference(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> float:
    """The largest difference of any entry, relative to its parameter's largest gradient."""
    assert found.keys() == expected.keys()
    worst = 0.0
    for name, grad in expected.items():
        assert found[name].shape == grad.shape
        scale = np.abs(grad).max()
        worst = max(worst, float(np.abs(found[name] - grad).max() / (scale if scale > 0 else 1.0)))
    return worst


def worst_against_central_differences(seeds: range) -> float:
    worst, checked = 0.0, 0
    for seed in seeds:
        p = random_problem(seed)
        result = check_gradients(
            p.network, p.loss.given, p.x, p.y, weight=p.weight, regularisation=p.rules, draws=p.draws, entries=None
        )
        assert result.passed or result.checked == 0, f"problem {seed}: {result}"
        worst, checked = max(worst, result.error), checked + result.checked
    print(f"\ncentral differences: {len(seeds)} networks, {checked} entries, worst {worst:.2e}")  # noqa: T201
    assert checked > 30 * len(seeds)
    return worst


def worst_against_autograd(seeds: range) -> float:
    worst = 0.0
    for seed in seeds:
        p = random_problem(seed)
        (value, found), (expected_value, expected) = ours(p), gradients(p)
        assert value == pytest.approx(expected_value, rel=1e-12, abs=1e-14), f"problem {seed}"
        worst = max(worst, difference(found, expected))
    print(f"\nautograd: {len(seeds)} networks, worst {worst:.2e}")  # noqa: T201
    return worst


def test_a_few_networks_against_central_differences():
    assert worst_against_central_differences(FEW) < 1e-7


@pytest.mark.slow
def test_many_networks_against_central_differences():
    assert worst_against_central_differences(ALL) < 1e-7


def test_many_networks_against_autograd():
    assert worst_against_autograd(ALL) < 1e-12


def test_the_few_networks_have_everything():
    problems = [random_problem(seed) for seed in FEW]
    assert {case.name for p in problems for case in p.activations} == set(ACTIVATIONS.names())
    assert {p.activations[-1].name for p in problems if p.loss.name != "log_loss"} >= {"identity", "relu", "softmax"}
    assert {p.loss.name for p in problems} == set(LOSSES.names())
    assert {len(p.activations) for p in problems} == {1, 2, 3, 4, 5, 6}
    assert {size for p in problems for size in p.network.sizes} == {1, 2, 3, 4, 5, 6}
    assert {p.rules for p in problems} == set(REGULARISATIONS)
    assert {p.weight is None for p in problems} == {True, False}
    assert any(p.weight is not None and (p.weight == 0).any() for p in problems)
    assert {"1.b" in dict(p.network.parameters()) for p in problems} == {True, False}
    dropouts = [layer for p in problems for layer in p.network.layers if isinstance(layer, Dropout)]
    assert {layer.variant for layer in dropouts} == set(DROPOUTS) - {None}
    assert {layer.number == 0 for layer in dropouts} == {True, False}


@pytest.mark.parametrize("seed", range(24))
def test_torch_computes_what_numpy_does(seed: int):
    p = random_problem(seed)
    moved = p.network.on_torch("cpu")
    value, grads = backprop(
        moved,
        p.loss.given,
        torch.from_numpy(p.x),
        torch.from_numpy(p.y),
        weight=p.weight,
        draws=moved.draws(len(p.x), first=int(p.draws.positions[0]), epoch=p.draws.epoch),
    )
    expected_value, expected = backprop(p.network, p.loss.given, p.x, p.y, weight=p.weight, draws=p.draws)
    assert isinstance(value, torch.Tensor)
    assert float(value) == pytest.approx(float(expected_value), rel=1e-13)
    for mine, theirs in zip(grads, expected, strict=True):
        torch.testing.assert_close(mine.delta, torch.from_numpy(theirs.delta), rtol=1e-11, atol=1e-13)
        for name, grad in mine.params.items():
            torch.testing.assert_close(grad, torch.from_numpy(theirs.params[name]), rtol=1e-11, atol=1e-13)


@pytest.mark.gpu
@pytest.mark.parametrize("seed", range(24))
def test_an_accelerator_computes_what_numpy_does(seed: int):
    p = random_problem(seed)
    moved = p.network.on_torch(str(torch.accelerator.current_accelerator()))
    draws = moved.draws(len(p.x), first=int(p.draws.positions[0]), epoch=p.draws.epoch)
    value, grads = backprop(moved, p.loss.given, p.x, p.y, weight=p.weight, draws=draws)
    expected_value, expected = backprop(p.network, p.loss.given, p.x, p.y, weight=p.weight, draws=p.draws)
    assert float(value) == pytest.approx(float(expected_value), rel=1e-12)
    for mine, theirs in zip(grads, expected, strict=True):
        for name, grad in mine.params.items():
            np.testing.assert_allclose(grad.cpu().numpy(), theirs.params[name], rtol=1e-10, atol=1e-12)


def test_float32_is_close_to_float64_and_stays_float32():
    p = random_problem(6)
    value, grads = backprop(p.network.copy(dtype="float32"), p.loss.given, p.x, p.y, weight=p.weight, draws=p.draws)
    expected_value, expected = backprop(p.network, p.loss.given, p.x, p.y, weight=p.weight, draws=p.draws)
    assert value.dtype == np.float32
    assert float(value) == pytest.approx(float(expected_value), rel=1e-5)
    for mine, theirs in zip(grads, expected, strict=True):
        for name, grad in mine.params.items():
            assert grad.dtype == np.float32
            np.testing.assert_allclose(grad, theirs.params[name], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("loss", LOSSES.names())
def test_every_loss_trains_in_float32_without_widening(loss: str):
    network = Network.dense([3, 4, 2], output="softmax" if loss == "log_loss" else "identity", dropout=0.5)
    x, y = np.ones((5, 3), np.float32), np.eye(2)[[0, 1, 0, 1, 0]]
    value, grads = backprop(network, loss, x, y, weight=np.arange(5))
    assert value.dtype == np.float32
    assert {g.delta.dtype for g in grads} == {np.dtype(np.float32)}
    assert {a.dtype for g in grads for a in g.params.values()} == {np.dtype(np.float32)}


@settings(deadline=None, max_examples=40)
@given(SEEDS)
def test_a_batch_twice_over_has_the_gradients_of_the_batch(seed: int):
    p = random_problem(seed)
    twice = p.rows(np.tile(np.arange(len(p.x)), 2))
    (value, found), (expected_value, expected) = ours(twice), ours(p)
    assert value == pytest.approx(expected_value, rel=1e-12, abs=1e-14)
    assert_same(found, expected)


@settings(deadline=None, max_examples=40)
@given(SEEDS, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(seed: int, chance: object):
    p = random_problem(seed)
    order = list(range(len(p.x)))
    chance.shuffle(order)
    (value, found), (expected_value, expected) = ours(p.rows(np.array(order))), ours(p)
    assert value == pytest.approx(expected_value, rel=1e-12, abs=1e-14)
    assert_same(found, expected)


@settings(deadline=None, max_examples=40)
@given(SEEDS, st.data())
def test_the_gradients_of_parts_add_up(seed: int, data: st.DataObject):
    """C of the whole is the mean of the parts' C, each with the weight of its samples; so are the gradients."""
    p = random_problem(seed)
    weight = np.ones(len(p.x)) if p.weight is None else p.weight
    cut = data.draw(st.integers(0, len(p.x)))
    total = {name: np.zeros(theta.shape) for name, theta in p.network.parameters()}
    for rows in (np.arange(cut), np.arange(cut, len(p.x))):
        if len(rows):
            part = p.rows(rows)
            _, grads = backprop(p.network, p.loss.given, part.x, part.y, weight=part.weight, draws=part.draws)
            for name, grad in named(p.network, grads).items():
                total[name] += weight[rows].sum() / weight.sum() * grad
    _, grads = backprop(p.network, p.loss.given, p.x, p.y, weight=p.weight, draws=p.draws)
    assert_same(total, named(p.network, grads))


def named(network: Network, grads: list) -> dict[str, np.ndarray]:
    return {
        f"{layer.number}.{name}": grad
        for layer, layer_grads in zip(network.layers, grads, strict=True)
        for name, grad in layer_grads.params.items()
    }


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, grad in expected.items():
        np.testing.assert_allclose(found[name], grad, rtol=1e-9, atol=1e-12 * (1 + np.abs(grad).max()))


def test_equal_weights_are_no_weights():
    p = random_problem(3)
    (value, found), (expected_value, expected) = (
        ours_weighted(p, np.full(len(p.x), 0.7)),
        ours_weighted(p, None),
    )
    assert value == pytest.approx(expected_value, rel=1e-14)
    assert_same(found, expected)


def ours_weighted(p: Problem, weight: np.ndarray | None) -> tuple[float, dict[str, np.ndarray]]:
    value, grads = backprop(p.network, p.loss.given, p.x, p.y, weight=weight, draws=p.draws)
    return float(value), named(p.network, grads)


def test_a_batch_without_weight_has_no_gradient():
    p = random_problem(3)
    value, found = ours_weighted(p, np.zeros(len(p.x)))
    assert value == 0
    assert all((grad == 0).all() for grad in found.values())


def test_delta_carries_the_mean():
    """With softmax and cross-entropy, N times row n of δ^L is p − y of sample n."""
    network = Network.dense([3, 4, 3], dtype="float64", seed=2)
    x, y = np.random.default_rng(0).normal(size=(5, 3)), np.array([0, 1, 2, 1, 0])
    _, grads = backprop(network, "cross_entropy", x, y)
    p = make_loss("cross_entropy").link(network(x))
    np.testing.assert_allclose(5 * grads[-1].delta, p - np.eye(3)[y], atol=1e-15)
    assert [set(g.params) for g in grads] == [{"W", "b"}, {"W", "b"}]


def test_the_default_masks_are_those_of_epoch_0_and_position_0():
    network = Network.dense([4, 6, 2], dropout=0.5, dtype="float64", seed=9)
    x, y = np.random.default_rng(1).normal(size=(7, 4)), np.zeros((7, 2))
    by_default, _ = backprop(network, "squared_error", x, y)
    same, _ = backprop(network, "squared_error", x, y, draws=network.draws(7))
    other, _ = backprop(network, "squared_error", x, y, draws=network.draws(7, epoch=1))
    assert by_default == same
    assert by_default != other


def test_the_two_passes_keep_nothing_and_change_nothing():
    p = random_problem(14)
    before = {name: theta.copy() for name, theta in p.network.parameters()}
    x, y = p.x.copy(), p.y.copy()
    loss = make_loss(p.loss.given)
    a, caches = forward_pass(p.network, p.x, p.draws)
    grad_a = loss.gradient(a, p.y, p.weight)
    first = backward_pass(p.network, caches, grad_a)
    forward_pass(p.network, 2 * p.x, p.network.draws(len(p.x), epoch=3))  # another batch comes between
    second = backward_pass(p.network, caches, grad_a)
    for one, other in zip(named(p.network, first).values(), named(p.network, second).values(), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(p.x, x)
    np.testing.assert_array_equal(p.y, y)
    for name, theta in p.network.parameters():
        np.testing.assert_array_equal(theta, before[name])


def test_the_public_name_is_the_function_and_not_its_module():
    assert glassnet.backprop is backprop
