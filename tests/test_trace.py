"""A trace shows the very numbers of forward and backward pass."""

from __future__ import annotations

import numpy as np
import pytest

import glassnet
from glassnet.arrays import to_numpy
from glassnet.backprop import backprop
from glassnet.config import RunConfig
from glassnet.errors import ConfigError, InputError
from glassnet.inspection import trace
from glassnet.network import Network, parameter_values
from glassnet.optimisers import OPTIMISERS, Clip, Updater
from glassnet.regularisers import Regularisation
from glassnet.runs import replay


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
    assert output.own_delta.tolist() == [[-1.0], [5.0]]
    assert traced.share.tolist() == [0.5, 0.5]
    assert traced.update is None
    assert traced.layer(2) is output
    with pytest.raises(InputError, match="layers 1 to 2"):
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


@pytest.mark.parametrize("weight", [None, np.array([2.0, 0.0, 1.0])])
def test_own_delta_is_that_of_the_sample_alone(weight: np.ndarray | None):
    rng = np.random.default_rng(0)
    network = Network.dense([4, 5, 3], "tanh", dtype="float64", seed=3)
    x, y = rng.normal(size=(3, 4)), np.array([0, 2, 1])
    traced = trace(network, "cross_entropy", x, y, weight=weight)
    for n in range(3):
        alone = trace(network, "cross_entropy", x[n : n + 1], y[n : n + 1])
        for layer, own in zip(traced.layers, alone.layers, strict=True):
            expected = own.delta if weight is None or weight[n] > 0 else np.zeros_like(own.delta)
            np.testing.assert_allclose(layer.own_delta[n : n + 1], expected, atol=1e-15)
    sums = sum(share * own for share, own in zip(traced.share, traced.layers[0].own_delta, strict=True))
    np.testing.assert_allclose(sums, traced.layers[0].grads["b"], atol=1e-15)


@pytest.mark.parametrize("optimiser", OPTIMISERS.names())
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_the_update_is_the_updaters_and_changes_nothing(optimiser: str, library: str):
    rng = np.random.default_rng(0)
    network = Network.dense([4, 5, 3], "tanh", dtype="float64", seed=3)
    network.freeze(1)
    own = network if library == "numpy" else network.on_torch("cpu")
    x, y = rng.normal(size=(6, 4)), rng.integers(0, 3, 6)
    rules = OPTIMISERS.make(optimiser).regularisation(Regularisation(l1=0.1, alpha=2.0, max_norm=0.7))
    updater = Updater(OPTIMISERS.make(optimiser), rules, Clip(norm=0.5))
    for _ in range(2):  # the second with something to remember
        before, t = parameter_values(own), updater.t
        slots = {name: {k: to_numpy(v).copy() for k, v in slot.items()} for name, slot in updater.slots.items()}
        traced = trace(own, "cross_entropy", x, y, updater=updater, lr=0.05)
        assert traced.update is not None
        assert (updater.t, traced.update.t, traced.update.lr) == (t, t + 1, 0.05)
        for name, value in parameter_values(own).items():
            np.testing.assert_array_equal(value, before[name])
        for name, slot in slots.items():
            for k, value in slot.items():
                np.testing.assert_array_equal(to_numpy(updater.slots[name][k]), value)
        updater(own, backprop(own, "cross_entropy", x, y)[1], 0.05, 6)
        for name, value in parameter_values(own).items():
            np.testing.assert_array_equal(traced.update.after[name], value)
            np.testing.assert_array_equal(traced.update.change[name], value - before[name])


# A step of a run

RUN = {
    "data": {"source": "digits"},
    "network": {"hidden": (12, 9), "dropout": 0.3, "input_dropout": 0.1},
    "training": {
        "epochs": 3,
        "batch_size": 200,
        "l2": 1e-3,
        "clip_norm": 1.0,
        "schedule": "cosine",
        "class_weight": "balanced",
        "early_stopping": "none",
    },
}


def config(**changes: dict[str, object]) -> RunConfig:
    return RunConfig.make(**{key: {**branch, **changes.get(key, {})} for key, branch in RUN.items()})


@pytest.mark.parametrize("optimiser", ["sgd", "nesterov", "adam"])
@pytest.mark.parametrize("engine", ["native", "reference"])
def test_a_traced_step_is_what_training_computes(engine: str, optimiser: str):
    """The parameters after the traced step are those that the run has before the next one, dropout on."""
    job = config(network={"dtype": "float64"}, training={"engine": engine, "optimiser": optimiser})
    for step, epoch, position, size in (
        (0, 1, 0, 200),
        (3, 1, 600, 200),
        (6, 1, 1200, 94),
        (7, 2, 0, 200),
        (17, 3, 600, 200),
    ):
        moment = replay(job, step)
        assert (moment.step, moment.epoch, moment.position, len(moment.rows)) == (step, epoch, position, size)
        traced = moment.trace()
        assert {layer.kind for layer in traced.layers if layer.mask is not None} == {"dropout"}
        assert traced.update is not None
        for name, value in replay(job, step + 1).model.network.parameters():
            np.testing.assert_allclose(traced.update.after[name], value, rtol=1e-12, atol=1e-15)


def test_a_replayed_run_is_the_run():
    run = glassnet.fit("digits", hidden=(8,), epochs=2, batch_size=100, early_stopping="none", seed=4)
    job = run.config.replaced(data=run.config.data.replaced(source="digits"))
    last = replay(job, 2 * 13 - 1)
    traced = last.trace()
    assert traced.update is not None
    for name, value in run.model.network.parameters():
        np.testing.assert_allclose(traced.update.after[name], value, rtol=1e-5, atol=1e-7)


def test_steps_that_are_not_there():
    with pytest.raises(ConfigError, match="steps 0 to 20, but no step 21"):
        replay(config(), 21)
    with pytest.raises(ConfigError, match="numbered from 0"):
        replay(config(), -1)
    with pytest.raises(ConfigError, match="does not say which data"):
        replay(config(data={"source": None}), 0)


def test_a_model_traces_raw_rows():
    model = glassnet.fit("iris", hidden=(5,), epochs=3, dropout=0.2).model
    traced = model.trace("iris", rows=[3, 77])
    examples = model.examples("iris")
    np.testing.assert_array_equal(traced.x, examples.x[[3, 77]])
    assert [layer.kind for layer in traced.layers] == ["dense", "dropout", "dense"]
    assert "1.delta" in traced.arrays()
    assert "1.W.change" not in traced.arrays()
    for rows in ([150], [-1], []):
        with pytest.raises(InputError, match="rows are 0 to 149"):
            model.trace("iris", rows=rows)
