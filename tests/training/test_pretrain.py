"""Unsupervised pre-training: autoencoders that learn, what they leave alone, and what they are good for."""

import numpy as np
import pytest

import glassnet
from glassnet.data import load_source
from glassnet.data.split import split
from glassnet.errors import ConfigError, DataError, ShapeError
from glassnet.layers import Dense
from glassnet.network import Network, parameter_values
from glassnet.training import pretrain


@pytest.fixture(scope="module")
def digits():
    part = load_source("digits").train
    return part.x.reshape(len(part.x), -1) / 16.0, part.y


def network(sizes=(64, 32, 16, 10), activation="tanh", **options):
    return Network.dense(list(sizes), activation, seed=1, **options)


def reconstruction(net, x, layers):
    """The least mean squared error with which a linear map of the code gives back what goes in, (N, n) each."""
    a = np.asarray(x)
    for layer in [layer for layer in net.layers if isinstance(layer, Dense)][:layers]:
        a = layer.forward(a)[0]
    code = np.column_stack([a, np.ones(len(a))])
    solution = np.linalg.lstsq(code, x, rcond=None)[0]
    return float(np.square(code @ solution - x).mean())


HOW = ["greedy", "whole"]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("activation", ["tanh", "relu", "logistic", ["relu", "tanh"]], ids=str)
def test_reconstruction_gets_better(digits, how, activation):
    """Greedy training sees its error fall in each autoencoder, whole training in its one; and the codes keep more."""
    x = digits[0][:400]
    net, untouched = network(activation=activation), network(activation=activation)
    histories = pretrain(net, x, how=how, epochs=15, lr=0.005)
    assert len(histories) == (2 if how == "greedy" else 1)
    for history in histories:
        assert history["loss"][-1] < 0.8 * history["loss"][0]
    assert reconstruction(net, x, 2) < 0.9 * reconstruction(untouched, x, 2)


@pytest.mark.parametrize("how", HOW)
def test_only_hidden_layers_change(digits, how):
    net = network()
    before = parameter_values(net)
    pretrain(net, digits[0][:200], how=how, epochs=2)
    after = parameter_values(net)
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {"1.W", "1.b", "2.W", "2.b"}
    assert [layer.number for layer in net.layers] == [1, 2, 3]
    assert all(not layer.frozen for layer in net.layers)


@pytest.mark.parametrize("how", HOW)
def test_frozen_layers_stay(digits, how):
    net = network()
    net.freeze([1])
    before = parameter_values(net)
    pretrain(net, digits[0][:200], how=how, epochs=2)
    after = parameter_values(net)
    assert all(np.array_equal(before[name], after[name]) for name in ("1.W", "1.b", "3.W", "3.b"))
    assert not np.array_equal(before["2.W"], after["2.W"])
    assert [layer.frozen for layer in net.layers] == [True, False, False]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("options", [{}, {"dropout": 0.3, "input_dropout": 0.1}, {"bias": False}], ids=str)
def test_repeatable(digits, how, options):
    nets = [network(dtype="float64", **options) for _ in range(2)]
    histories = [pretrain(net, digits[0][:100], how=how, epochs=2, seed=4) for net in nets]
    values = [parameter_values(net) for net in nets]
    assert all(np.array_equal(values[0][name], values[1][name]) for name in values[0])
    assert [h["loss"] for h in histories[0]] == [h["loss"] for h in histories[1]]


def test_whole_is_greedy_for_one_hidden_layer(digits):
    nets = [network((64, 12, 10)) for _ in HOW]
    for net, how in zip(nets, HOW, strict=True):
        pretrain(net, digits[0][:200], how=how, epochs=3)
    first, second = map(parameter_values, nets)
    assert all(np.array_equal(first[name], second[name]) for name in first)


OPTIONS = [
    {"optimiser": "sgd", "lr": 0.05},
    {"batch_size": 1000},
    {"l2": 1e-4, "schedule": "cosine"},
    {"loss": "cross_entropy"},  # is squared error all the same
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_options_of_training(digits, options):
    (history,) = pretrain(network(), digits[0][:200], how="whole", epochs=4, **options)
    assert len(history) == 4
    assert history["loss"][-1] < history["loss"][0]


ERRORS = [
    ({"sizes": (64, 10)}, {}, ConfigError, "pre-training needs at least one hidden layer"),
    ({}, {"how": "slowly"}, ConfigError, "pre-training is 'greedy' or 'whole', not 'slowly'"),
    ({}, {"epochs": 0}, ConfigError, "bad value for 'epochs'"),
    ({}, {"epoch": 3}, ConfigError, "unknown option 'epoch'"),
    ({}, {"x": np.zeros((5, 63))}, ShapeError, r"x must have the shape \(N, 64\)"),
    ({}, {"x": np.full((5, 64), np.nan)}, DataError, "x holds nan"),
    ({}, {"x": np.zeros((0, 64))}, DataError, "there are no rows"),
]


@pytest.mark.parametrize(("net", "options", "error", "message"), ERRORS, ids=[case[3] for case in ERRORS])
def test_errors(net, options, error, message):
    with pytest.raises(error, match=message):
        pretrain(network(**net), **{"x": np.zeros((5, 64)), **options})


@pytest.mark.parametrize("how", HOW)
def test_fine_tuning(digits, how):
    """With 100 labels, after the rows of all have been seen without theirs."""
    x, y = digits
    few = np.arange(100)
    net = network(activation="relu")
    pretrain(net, x, how=how, epochs=3)
    history = glassnet.train(net, x[few], y[few], epochs=40, lr=0.003)
    accuracy = float((np.asarray(net(x[100:])).argmax(axis=1) == y[100:]).mean())
    assert history["accuracy"][-1] > 0.95
    assert accuracy > 0.6


@pytest.mark.slow
@pytest.mark.parametrize("how", HOW)
def test_pretraining_helps_where_labels_are_few(digits, how, capsys):
    """Mean accuracy over seeds, 5 labelled rows a digit, the others without labels; it must not hurt."""
    x, y = digits
    scores = {False: [], True: []}
    for seed in range(3):
        few, _ = split(len(x), 1 - 50 / len(x), seed=seed, labels=y)
        rest = np.setdiff1d(np.arange(len(x)), few)
        for pretrained in (False, True):
            net = Network.dense([64, 64, 32, 10], "logistic", seed=seed)
            if pretrained:
                pretrain(net, x, how=how, epochs=40, lr=0.003, seed=seed)
            glassnet.train(net, x[few], y[few], epochs=200, lr=0.003, seed=seed)
            scores[pretrained].append(float((np.asarray(net(x[rest])).argmax(axis=1) == y[rest]).mean()))
    plain, helped = np.mean(scores[False]), np.mean(scores[True])
    with capsys.disabled():
        print(f"\n{how}: accuracy {plain:.3f} without, {helped:.3f} with pre-training")  # noqa: T201
    assert helped > plain - 0.01
