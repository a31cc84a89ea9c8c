"""Each optimiser against torch.optim and by hand; clipping, freezing, and going on from a saved state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from cases.optimisers import CASES, Case
from glassnet.backprop import backprop
from glassnet.errors import ConfigError
from glassnet.layers import LayerGrads
from glassnet.network import Network, parameter_values
from glassnet.optimisers import OPTIMISERS, SGD, Adam, Clip, Momentum, Optimiser, Updater
from glassnet.regularisers import Regularisation
from oracle import one_thread  # noqa: F401

every_case = pytest.mark.parametrize("case", CASES, ids=str)
LR = 0.05


def make(case: Case) -> tuple[Optimiser, Regularisation]:
    optimiser = OPTIMISERS.make(case.given)
    return optimiser, optimiser.regularisation(Regularisation())


def small_network(**options: Any) -> Network:
    return Network.dense([4, 5, 3], "tanh", bias="normal", dtype="float64", seed=1, **options)


def batch(step: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(step)
    return rng.normal(size=(8, 4)), rng.integers(0, 3, 8)


def random_grads(network: Network, seed: int) -> list[LayerGrads]:
    rng = np.random.default_rng(seed)
    return [LayerGrads({name: rng.normal(size=v.shape) for name, v in l.params.items()}) for l in network.layers]


def flat(network: Network, grads: list[LayerGrads]) -> dict[str, np.ndarray]:
    pairs = zip(network.layers, grads, strict=True)
    return {f"{layer.number}.{name}": g for layer, own in pairs for name, g in own.params.items()}


def train(updater: Updater, network: Network, steps: range, lr: float = LR) -> None:
    for step in steps:
        updater(network, backprop(network, "cross_entropy", *batch(step))[1], lr)


def test_the_table_has_every_optimiser():
    assert {case.name for case in CASES} == set(OPTIMISERS.names())


def test_adam_with_the_other_epsilon():
    """Two steps by hand: θ ← θ − η √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + ε), as at the end of the paper's section 2."""
    rule, theta = Adam(epsilon=0.1, epsilon_hat=True), np.array([1.0])
    slots = {"mean": np.zeros(1), "square": np.zeros(1)}
    m = v = 0.0
    expected = 1.0
    for t, g in enumerate([4.0, -1.0], start=1):
        rule.step(theta, np.array([g]), slots, 0.1, t)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        expected -= 0.1 * (1 - 0.999**t) ** 0.5 / (1 - 0.9**t) * m / (v**0.5 + 0.1)
    np.testing.assert_allclose(theta, expected, rtol=1e-14)


@every_case
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_20_steps_against_torch(case: Case, library: str):
    network = small_network()
    theirs = {name: torch.tensor(theta, requires_grad=True) for name, theta in network.parameters()}
    weights = [theta for name, theta in theirs.items() if name.endswith("W")]
    biases = [theta for name, theta in theirs.items() if name.endswith("b")]
    groups = [{"params": weights}, {"params": biases, "weight_decay": 0.0}]  # ours decays no biases
    torch_optimiser = case.torch(groups, lr=LR)
    optimiser, rules = make(case)
    own = network if library == "numpy" else network.on_torch("cpu")
    updater = Updater(optimiser, rules)
    for step in range(20):
        grads = random_grads(network, step)
        for name, gradient in flat(network, grads).items():
            theirs[name].grad = torch.tensor(gradient)
        torch_optimiser.step()
        if library == "torch":
            grads = [LayerGrads({n: torch.tensor(g) for n, g in layer.params.items()}) for layer in grads]
        updater(own, grads, LR)
        for name, theta in network.parameters():  # the tensors share its memory
            np.testing.assert_allclose(theta, theirs[name].detach().numpy(), rtol=1e-12, atol=1e-12)


@every_case
def test_the_first_step_by_hand(case: Case):
    """θ = 1, g = 4, η = 0.1."""
    optimiser, rules = make(case)
    network = Network.dense([1, 1], init=1.0, bias=False, dtype="float64")
    Updater(optimiser, rules)(network, [LayerGrads({"W": np.array([[4.0]])})], 0.1)
    assert network.layer(1).params["W"][0, 0] == pytest.approx(case.first, rel=1e-14)


def test_the_learning_rate_acts_when_the_gradient_comes():
    """v ← μ v − η g: what was learnt at a high rate rolls on undiminished when the rate falls, unlike in torch."""
    theta, slots = np.zeros(1), {"velocity": np.zeros(1)}
    Momentum(0.5).step(theta, np.ones(1), slots, 1.0, 1)
    Momentum(0.5).step(theta, np.zeros(1), slots, 0.001, 2)
    assert theta[0] == -1.0 - 0.5


@every_case
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_dtype_stays(case: Case, dtype: str):
    optimiser, rules = make(case)
    network = small_network().copy(dtype=dtype)
    updater = Updater(optimiser, rules, Clip(norm=1.0, value=0.5))
    train(updater, network, range(2))
    assert {theta.dtype.name for _, theta in network.parameters()} == {dtype}
    assert {a.dtype.name for slots in updater.slots.values() for a in slots.values()} <= {dtype}


@every_case
def test_going_on_from_a_state_is_going_on(case: Case):
    """Bit for bit, through the arrays that a file would hold."""
    optimiser, rules = make(case)
    straight = small_network()
    train(Updater(optimiser, rules), straight, range(9))
    first = small_network()
    stopped = Updater(optimiser, rules)
    train(stopped, first, range(4))
    state, values = stopped.state(), parameter_values(first)
    train(stopped, first, range(4, 6))  # what happens later does not reach the saved state
    second = small_network()
    second.set_parameters(values)
    resumed = Updater(optimiser, rules)
    resumed.restore(state, second)
    assert resumed.t == 4
    train(resumed, second, range(4, 9))
    for (name, theta), (_, expected) in zip(second.parameters(), straight.parameters(), strict=True):
        np.testing.assert_array_equal(theta, expected, err_msg=name)
    assert sorted(state["slots"]) == sorted(
        f"{name}.{slot}" for name, _ in straight.parameters() for slot in optimiser.slots
    )


def test_a_state_can_go_on_on_torch():
    network = small_network()
    updater = Updater(Adam())
    train(updater, network, range(3))
    moved = network.copy().on_torch("cpu")
    resumed = Updater(Adam())
    resumed.restore(updater.state(), moved)
    train(resumed, moved, range(3, 6))
    train(updater, network, range(3, 6))
    for (name, theta), (_, expected) in zip(moved.parameters(), network.parameters(), strict=True):
        np.testing.assert_allclose(theta.numpy(), expected, rtol=1e-12, err_msg=name)


@every_case
def test_frozen_layers_stay_bit_for_bit(case: Case):
    optimiser, _ = make(case)
    network = small_network()
    network.freeze([1])
    before = parameter_values(network)
    rules = Regularisation(l1=0.1, l2=0.1, weight_decay=0.1, max_norm=0.1, biases=True)
    updater = Updater(optimiser, optimiser.regularisation(rules))
    train(updater, network, range(5))
    after = parameter_values(network)
    for name in ("1.W", "1.b"):
        np.testing.assert_array_equal(after[name], before[name])
    for name in ("2.W", "2.b"):
        assert not np.array_equal(after[name], before[name])
    assert set(updater.slots) <= {"2.W", "2.b"}


@every_case
def test_training_lowers_the_loss(case: Case):
    optimiser, rules = make(case)
    network, (x, y) = small_network(), batch()
    updater = Updater(optimiser, rules)
    values = []
    for _ in range(60):
        value, grads = backprop(network, "cross_entropy", x, y)
        values.append(float(value))
        updater(network, grads, LR)
    assert values[-1] < 0.85 * values[0]


# Clipping


def grads_by_name() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"1.W": 3 * rng.normal(size=(3, 4)), "1.b": rng.normal(size=3)}


@pytest.mark.parametrize("limit", [0.1, 1.0, 3.0, 1000.0])
def test_clipping_by_value(limit: float):
    grads = grads_by_name()
    tensors = [torch.nn.Parameter(torch.zeros(g.shape, dtype=torch.float64)) for g in grads.values()]
    for tensor, g in zip(tensors, grads.values(), strict=True):
        tensor.grad = torch.tensor(g)
    torch.nn.utils.clip_grad_value_(tensors, limit)
    for g, tensor in zip(Clip(value=limit)(grads).values(), tensors, strict=True):
        np.testing.assert_array_equal(g, tensor.grad.numpy())


@pytest.mark.parametrize("limit", [0.1, 1.0, 3.0, 1000.0])
def test_clipping_by_norm(limit: float):
    """Torch divides by the norm + 1e-6."""
    grads = grads_by_name()
    tensors = [torch.nn.Parameter(torch.zeros(g.shape, dtype=torch.float64)) for g in grads.values()]
    for tensor, g in zip(tensors, grads.values(), strict=True):
        tensor.grad = torch.tensor(g)
    torch.nn.utils.clip_grad_norm_(tensors, limit)
    clipped = Clip(norm=limit)(grads)
    for g, tensor in zip(clipped.values(), tensors, strict=True):
        np.testing.assert_allclose(g, tensor.grad.numpy(), rtol=1e-6)
    norm = np.sqrt(sum(np.square(g).sum() for g in grads.values()))
    after = np.sqrt(sum(np.square(g).sum() for g in clipped.values()))
    assert after == pytest.approx(min(limit, norm), rel=1e-14)


def test_clipping_by_both_takes_the_value_first():
    clipped = Clip(norm=1.0, value=3.0)({"1.W": np.array([[30.0, 4.0]])})
    np.testing.assert_allclose(clipped["1.W"], [[3 / 18**0.5, 3 / 18**0.5]], rtol=1e-15)


def test_a_gradient_within_the_limits_and_a_gradient_of_zero_stay():
    grads = grads_by_name()
    assert Clip()(grads) is grads
    assert Clip(norm=1e6)(grads) is grads
    assert not Clip(norm=1.0)({"1.W": np.zeros((2, 2))})["1.W"].any()


def test_clipping_takes_penalties_in_and_frozen_layers_out():
    network = small_network()
    network.freeze([1])
    before = parameter_values(network)
    grads = random_grads(network, 0)
    Updater(SGD(), Regularisation(l2=0.7), Clip(norm=0.5))(network, grads, 1.0)
    whole = {name: before[name] - theta for name, theta in network.parameters() if name.startswith("2")}
    assert np.sqrt(sum(np.square(g).sum() for g in whole.values())) == pytest.approx(0.5, rel=1e-12)
    penalised = grads[1].params["W"] + 0.7 * before["2.W"]
    np.testing.assert_allclose(whole["2.W"] / whole["2.W"][0, 0], penalised / penalised[0, 0], rtol=1e-10)


def test_the_order_of_a_step():
    """θ = 2, ∂C/∂θ = 8, ℓ2 of 1: g = 10, clipped to 5; decayed by ½ to 1; minus 0.1·5 is ½; max-norm ¼."""
    network = Network.dense([1, 1], init=2.0, bias=False, dtype="float64")
    rules = Regularisation(l2=1.0, weight_decay=0.5)
    Updater(SGD(), rules, Clip(value=5.0))(network, [LayerGrads({"W": np.array([[8.0]])})], 0.1)
    assert network.layer(1).params["W"][0, 0] == 0.5
    network.set_parameters({"1.W": np.array([[2.0]])})
    rules = Regularisation(l2=1.0, weight_decay=0.5, max_norm=0.25)
    Updater(SGD(), rules, Clip(value=5.0))(network, [LayerGrads({"W": np.array([[8.0]])})], 0.1)
    assert network.layer(1).params["W"][0, 0] == 0.25


def test_a_step_leaves_the_gradients_as_they_are():
    network = small_network()
    grads = random_grads(network, 0)
    before = {name: g.copy() for name, g in flat(network, grads).items()}
    Updater(Adam(), Regularisation(l1=0.1, l2=0.1), Clip(0.1, 0.1))(network, grads, LR)
    for name, g in flat(network, grads).items():
        np.testing.assert_array_equal(g, before[name])


@every_case
def test_the_stored_form_gives_the_same_back(case: Case):
    optimiser = OPTIMISERS.make(case.given)
    assert OPTIMISERS.make(OPTIMISERS.spec(optimiser)) == optimiser


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("momentum(momentum=1.1)", "momentum must be from 0 to 1, not 1.1"),
        ("nesterov(momentum=-0.1)", "momentum must be from 0"),
        ("rmsprop(rho=1.5)", "rho must be at least 0 and below 1"),
        ("rmsprop(epsilon=0)", "epsilon must be above 0"),
        ("adam(beta_1=1)", "beta_1 must be"),
        ("adam(beta_2=1)", "beta_2 must be"),
        ("adamw(epsilon=-1)", "epsilon must be above 0"),
        ("adan", "Did you mean 'adam'"),
        ("sgd(momentum=0.9)", "'sgd' has no parameter 'momentum'; it has: none"),
    ],
)
def test_bad_optimisers(given: str, message: str):
    with pytest.raises(ConfigError, match=message):
        OPTIMISERS.make(given)


@pytest.mark.parametrize("options", [{"norm": 0.0}, {"value": -1.0}, {"norm": float("nan")}], ids=str)
def test_bad_clipping(options: dict[str, float]):
    with pytest.raises(ConfigError, match=r"clip_(norm|value) must be above 0"):
        Clip(**options)
