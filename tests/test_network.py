"""Networks: how they are made, stored, changed and moved, and what they refuse."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

import glassnet
from cases.activations import CASES, Case
from glassnet.activations import Identity, Logistic, ReLU, Tanh
from glassnet.backprop import backprop
from glassnet.errors import ConfigError, InputError, ShapeError
from glassnet.layers import KINDS, Dense, Dropout
from glassnet.losses import LOSSES
from glassnet.losses import loss as make_loss
from glassnet.network import Network, check_targets, parameter_values
from oracle import one_thread  # noqa: F401

X = np.random.default_rng(0).normal(size=(6, 4))


def small_network(**options: Any) -> Network:
    return Network.dense([4, 5, 3], **{"dtype": "float64", "bias": "normal", "seed": 1, **options})


def assert_equal_parameters(one: Network, other: Network) -> None:
    for (name, theta), (other_name, expected) in zip(one.parameters(), other.parameters(), strict=True):
        assert name == other_name
        np.testing.assert_array_equal(theta, expected, err_msg=name)


# Making one


def test_what_it_is():
    network = Network.dense([784, 30, 10])
    assert network.sizes == (784, 30, 10)
    assert network.n_parameters == 784 * 30 + 30 + 30 * 10 + 10
    assert network.dtype == "float32"
    assert network.seed == 0
    assert [name for name, _ in network.parameters()] == ["1.W", "1.b", "2.W", "2.b"]
    assert [theta.shape for _, theta in network.parameters()] == [(30, 784), (30,), (10, 30), (10,)]
    assert [layer.activation for layer in network.layers] == [ReLU(), Identity()]
    assert repr(network) == "Network(Dense(784, 30, ReLU()), Dense(30, 10, Identity()))"
    assert glassnet.Network is Network


def test_it_computes_by_hand():
    """z¹ = (2, −1), a¹ = (2, 0), z² = 2·2 + 0 − 1."""
    first = Dense(np.array([[1.0, 1.0], [1.0, -2.0]]), np.array([0.0, 0.0]), "relu")
    network = Network([first, Dense(np.array([[2.0, 5.0]]), np.array([-1.0]))])
    assert network.forward(np.array([[1.0, 1.0]])).tolist() == [[3.0]]
    assert network(np.array([[1.0, 1.0]])).tolist() == [[3.0]]
    assert network([[1, 1]]).tolist() == [[3.0]]


def test_lists_layer_by_layer():
    network = Network.dense(
        [4, 5, 6, 3],
        ["tanh", "logistic"],
        output="softmax",
        init=["zeros", 0.5, "he"],
        dropout=[0.0, 0.25],
        bias=False,
        dtype="float64",
    )
    assert [layer.activation.name for layer in network.layers if layer.params] == ["tanh", "logistic", "softmax"]
    assert [layer.keep for layer in network.layers if isinstance(layer, Dropout)] == [0.75]
    assert not network.layer(1).params["W"].any()
    assert (network.layer(2).params["W"] == 0.5).all()
    assert len(np.unique(network.layer(3).params["W"])) == 18


def test_a_pair_of_functions_is_one_activation_for_all_hidden_layers():
    network = Network.dense([4, 5, 6, 3], (np.sin, np.cos))
    assert [layer.activation.name for layer in network.layers] == ["custom", "custom", "identity"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_both_precisions_start_from_the_same_draws(dtype: str):
    network, wide = small_network(dtype=dtype), small_network()
    assert network.dtype == dtype
    for (_, theta), (_, exact) in zip(network.parameters(), wide.parameters(), strict=True):
        assert theta.dtype == dtype
        np.testing.assert_array_equal(theta, exact.astype(dtype))
    assert network(X).dtype == dtype
    assert network(X.astype(np.float32)).dtype == dtype


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sizes": [4]}, "at least two whole numbers above 0"),
        ({"sizes": [4, 0, 2]}, r"at least two whole numbers above 0 .*not \(4, 0, 2\)"),
        ({"sizes": [4, 2.5]}, "at least two whole numbers above 0"),
        ({"sizes": [True, 2]}, "at least two whole numbers above 0"),
        ({"activation": ["relu"]}, "activation has 1 entries, but 2 are needed"),
        ({"init": ["he", "he"]}, "init has 2 entries, but 3 are needed"),
        ({"dropout": [0.5]}, "dropout has 1 entries, but 2 are needed"),
        ({"dropout": (0.5, 0.5, 0.5)}, "dropout has 3 entries, but 2 are needed"),
        ({"dtype": "float16"}, "dtype must be one of float32, float64, not 'float16'"),
        ({"activation": "rleu"}, "Did you mean 'relu'"),
        ({"output": "sofmax"}, "Did you mean 'softmax'"),
        ({"init": "hee"}, "unknown initialiser 'hee'"),
        ({"dropout": 0.5, "dropout_variant": "alpha"}, "variant must be 'inverted' or 'plain'"),
        ({"activation": None}, "activation"),
    ],
    ids=str,
)
def test_bad_networks(options: dict[str, Any], message: str):
    options = {"sizes": [4, 5, 6, 3], **options}
    with pytest.raises(ConfigError, match=message):
        Network.dense(options.pop("sizes"), **options)


def test_bad_layers():
    with pytest.raises(ShapeError, match=r"W of shape \(n_out, n_in\) and b .*; got \(3, 2\) and \(2,\)"):
        Dense(np.ones((3, 2)), np.ones(2))
    with pytest.raises(ShapeError, match=r"got \(3,\) and None"):
        Dense(np.ones(3), None)
    with pytest.raises(ShapeError, match="layer 2 takes 4 inputs, but 3 come"):
        Network([Dense(np.ones((3, 2)), None), Dropout(0.5), Dense(np.ones((1, 4)), None)])
    for layers in ([], [Dropout(0.5)]):
        with pytest.raises(ConfigError, match="at least one layer with parameters"):
            Network(layers)


def test_layers_are_numbered_from_one_and_dropout_has_the_number_of_the_layer_below():
    network = small_network(dropout=0.5, input_dropout=0.5)
    assert [layer.number for layer in network.layers] == [0, 1, 1, 2]
    assert network.layer(2) is network.layers[3]
    for number in (0, 3, -1):
        with pytest.raises(InputError, match=f"there is no layer {number}; the network has layers 1 to 2"):
            network.layer(number)


# Storing


@pytest.mark.parametrize("case", CASES, ids=str)
def test_config_and_back(case: Case):
    """Through JSON, with the parameters apart."""
    network = Network.dense(
        [4, 5, 5, 3], case.given, output=case.given, dropout=[0.5, 0.0], input_dropout=0.25, dtype="float64", seed=2**63
    )
    network.freeze([2])
    config = json.loads(json.dumps(network.config()))
    again = Network.from_config(config, parameter_values(network))
    assert again.config() == network.config()
    assert_equal_parameters(again, network)
    assert [layer.frozen for layer in again.layers] == [layer.frozen for layer in network.layers]
    np.testing.assert_array_equal(again(X), network(X))
    np.testing.assert_array_equal(again.forward(X, draws=again.draws(6)), network.forward(X, draws=network.draws(6)))


def test_config_of_a_network_of_many_layers_without_biases():
    """Layer 1 is not mixed up with layers 10 and 11."""
    network = Network.dense([2] * 13, "tanh", bias=False)
    again = Network.from_config(network.config(), parameter_values(network))
    assert_equal_parameters(again, network)
    assert "b" not in again.layer(11).params


@pytest.mark.parametrize("variant", ["inverted", "plain"])
def test_config_of_dropout(variant: str):
    network = small_network(dropout=0.25, dropout_variant=variant)
    again = Network.from_config(network.config(), parameter_values(network))
    assert (again.layers[1].keep, again.layers[1].variant) == (0.75, variant)


def test_every_kind_of_layer_can_be_stored():
    network = small_network(dropout=0.5)
    assert {entry["kind"] for entry in network.config()["layers"]} == set(KINDS)


def test_a_users_own_activation_cannot_be_stored():
    with pytest.raises(ConfigError, match="a user's own activation cannot be stored"):
        Network.dense([2, 3, 1], (np.sin, np.cos)).config()


# Copying and moving


@pytest.mark.parametrize("dtype", [None, "float32", "float64"])
def test_a_copy_is_a_network_of_its_own(dtype: str | None):
    network = small_network(dropout=0.5)
    network.freeze([2])
    other = network.copy(dtype=dtype)
    assert other.dtype == (dtype or "float64")
    assert other.config()["layers"] == network.config()["layers"]
    for (_, theta), (_, copied) in zip(network.parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(copied, theta.astype(other.dtype))
        assert not np.shares_memory(theta, copied)
    other.freeze([])
    assert network.layer(2).frozen


def test_on_torch_shares_its_memory_on_the_cpu():
    network = small_network(dropout=0.5)
    network.freeze([1])
    moved = network.on_torch("cpu")
    assert moved.dtype == network.dtype == "float64"
    assert moved.config() == network.config()
    assert all(isinstance(theta, torch.Tensor) for _, theta in moved.parameters())
    moved.layer(1).params["W"][0, 0] = 42.0
    assert network.layer(1).params["W"][0, 0] == 42.0
    network.layer(2).params["b"][1] = -7.0
    assert moved.layer(2).params["b"][1] == -7.0


def test_what_goes_in_decides_nothing_and_the_network_decides_what_comes_out():
    network = small_network()
    moved = network.on_torch("cpu")
    for x in (X, torch.from_numpy(X), X.tolist(), X.astype(np.float32)):
        assert isinstance(network(x), np.ndarray)
        if not isinstance(x, list):
            assert isinstance(moved(x), torch.Tensor)
            np.testing.assert_allclose(moved(x).numpy(), network(x), rtol=1e-12, atol=1e-15)
    value, grads = backprop(network, "cross_entropy", X, [0, 1, 2, 0, 1, 2])
    assert isinstance(value, np.floating)
    assert all(isinstance(g, np.ndarray) for layer in grads for g in (layer.delta, *layer.params.values()))
    value, grads = backprop(moved, "cross_entropy", X, np.array([0, 1, 2, 0, 1, 2]), weight=np.ones(6))
    assert isinstance(value, torch.Tensor)
    assert all(isinstance(g, torch.Tensor) for layer in grads for g in (layer.delta, *layer.params.values()))


def test_read_only_and_strided_data_are_taken_as_they_are():
    network = small_network()
    locked = X.copy()
    locked.flags.writeable = False
    wide = np.repeat(X, 2, axis=1)[:, ::2]
    for x in (locked, wide, np.asfortranarray(X)):
        np.testing.assert_allclose(network(x), network(X), rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(network.on_torch("cpu")(x).numpy(), network(X), rtol=1e-12, atol=1e-15)


def test_no_rows():
    network = small_network(dropout=0.5)
    assert network(np.empty((0, 4))).shape == (0, 3)
    assert network.forward(np.empty((0, 4)), draws=network.draws(0)).shape == (0, 3)


# Changing


def test_set_parameters_copies_into_the_networks_own_arrays():
    network, other = small_network(), small_network(seed=2)
    arrays = dict(network.parameters())
    values = parameter_values(other)
    network.set_parameters(values)
    assert_equal_parameters(network, other)
    assert all(theta is arrays[name] for name, theta in network.parameters())
    values["1.W"][:] = 0
    assert_equal_parameters(network, other)
    network.set_parameters({name: torch.from_numpy(theta) for name, theta in values.items()})
    assert not network.layer(1).params["W"].any()


@pytest.mark.parametrize(("layers", "loaded"), [(None, [1, 2, 3]), ([2], [2]), ((1, 3), [1, 3]), ([], [])])
def test_load_layers(layers: Any, loaded: list[int]):
    network, trained = (Network.dense([4, 5, 5, 3], bias="normal", seed=seed) for seed in (1, 2))
    before = parameter_values(network)
    assert network.load_layers(trained, layers) == loaded
    for name, theta in network.parameters():
        source = dict(trained.parameters()) if int(name[0]) in loaded else before
        np.testing.assert_array_equal(theta, source[name])


def test_load_layers_from_another_precision_and_library():
    network, trained = small_network(dtype="float32"), small_network(seed=2)
    network.load_layers(trained.on_torch("cpu"))
    assert network.dtype == "float32"
    assert_equal_parameters(network, trained.copy(dtype="float32"))


@pytest.mark.parametrize(
    ("other", "layers", "number"),
    [
        (Network.dense([4, 5, 2], seed=2), None, 2),
        (Network.dense([3, 5, 3], seed=2), None, 1),
        (Network.dense([4, 5, 3], bias=False, seed=2), [2, 1], 2),
    ],
)
def test_layers_that_do_not_match_are_named_and_nothing_changes(other: Network, layers: Any, number: int):
    network = small_network()
    before = parameter_values(network)
    with pytest.raises(ShapeError, match=rf"layer {number} does not match: this network has .* choose the layers"):
        network.load_layers(other, layers)
    for name, theta in network.parameters():
        np.testing.assert_array_equal(theta, before[name])


def test_load_layers_that_are_not_there():
    with pytest.raises(InputError, match="there is no layer 3"):
        small_network().load_layers(Network.dense([4, 5, 5, 3]), [3])
    with pytest.raises(InputError, match="there is no layer 3"):
        Network.dense([4, 5, 5, 3]).load_layers(small_network())


def test_freeze():
    network = Network.dense([4, 5, 5, 3], dropout=0.5)
    network.freeze([1, 3])
    assert [layer.number for layer in network.layers if layer.frozen] == [1, 3]
    assert [name for name, _ in network.parameters(trainable=True)] == ["2.W", "2.b"]
    network.freeze([2])
    assert [name for name, _ in network.parameters(trainable=True)] == ["1.W", "1.b", "3.W", "3.b"]
    network.freeze([])
    assert len(list(network.parameters(trainable=True))) == 6
    with pytest.raises(InputError, match="there is no layer 4"):
        network.freeze([1, 4])
    assert not any(layer.frozen for layer in network.layers)


def test_layers_with_other_parameters_leave_the_first_alone():
    layer = Dense(np.ones((2, 2)), None, Tanh())
    other = layer.with_params({"W": np.zeros((2, 2))})
    assert layer.params["W"].all()
    assert not other.params["W"].any()
    assert other.activation == Tanh()


# The border


@pytest.mark.parametrize(
    ("x", "came"), [(np.ones((6, 5)), r"\(6, 5\)"), (np.ones(4), r"\(4,\)"), (np.ones((2, 2, 4)), r"\(2, 2, 4\)")]
)
def test_x_that_does_not_fit(x: np.ndarray, came: str):
    network = small_network()
    with pytest.raises(ShapeError, match=rf"x must have the shape \(N, 4\), not {came}"):
        network(x)
    with pytest.raises(ShapeError, match=r"x must have the shape \(N, 4\)"):
        backprop(network, "squared_error", x, np.ones((len(x), 3)))


@pytest.mark.parametrize(
    ("loss", "y", "error", "message"),
    [
        ("cross_entropy", [0, 1, 2, 3, 0, 1], InputError, "class indices must be 0 to 2 for 3 outputs; .* 0 to 3"),
        ("cross_entropy", [0, 1, 2, -1, 0, 1], InputError, "class indices must be 0 to 2 for 3 outputs; .* -1 to 2"),
        ("log_loss", [0, 0.5, 2, 1, 0, 1], InputError, "class indices must be whole numbers"),
        ("cross_entropy", [0, np.nan, 2, 1, 0, 1], InputError, "class indices must be whole numbers"),
        ("cross_entropy", [0, np.inf, 2, 1, 0, 1], InputError, "class indices must be whole numbers"),
        ("cross_entropy", [0, 1, 2], ShapeError, "there are 6 rows of x but 3 of y"),
        (
            "cross_entropy",
            np.ones((6, 2)),
            ShapeError,
            r"y must have the shape \(6, 3\) .*'cross_entropy', not \(6, 2\)",
        ),
        ("squared_error", np.ones((6, 4)), ShapeError, r"y must have the shape \(6, 3\) for the loss 'squared_error'"),
        ("squared_error", np.ones((5, 3)), ShapeError, "there are 6 rows of x but 5 of y"),
        ("binary_cross_entropy", np.ones((6, 3, 1)), ShapeError, r"not \(6, 3, 1\)"),
    ],
)
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_y_that_does_not_fit(library: str, loss: str, y: Any, error: type[Exception], message: str):
    network, y = small_network(), np.array(y)
    if library == "torch":
        network, y = network.on_torch("cpu"), torch.from_numpy(y)
    with pytest.raises(error, match=message):
        backprop(network, loss, X, y)


@pytest.mark.parametrize("weight", [np.ones(5), np.ones((6, 1)), np.ones((6, 3))], ids=lambda w: str(w.shape))
def test_weights_that_do_not_fit(weight: np.ndarray):
    with pytest.raises(ShapeError, match=r"sample weights must have the shape \(6,\), not"):
        backprop(small_network(), "squared_error", X, np.ones((6, 3)), weight=weight)


@pytest.mark.parametrize("y", [[0, 1, 2, 0, 1, 2], [0.0, 1.0, 2.0, 0.0, 1.0, 2.0], np.array([0, 1, 2] * 2, np.uint8)])
@pytest.mark.parametrize("loss", LOSSES.names())
def test_class_indices_are_rows_of_a_unit_matrix(loss: str, y: Any):
    network = small_network(output="softmax" if loss == "log_loss" else "identity")
    value, grads = backprop(network, loss, X, y)
    expected_value, expected = backprop(network, loss, X, np.eye(3)[np.array(y, int)])
    assert value == pytest.approx(float(expected_value), rel=1e-14)
    np.testing.assert_allclose(grads[0].params["W"], expected[0].params["W"], rtol=1e-12, atol=1e-16)


def test_one_output_takes_values_in_one_dimension():
    network = Network.dense([4, 5, 1], dtype="float64")
    value, _ = backprop(network, "squared_error", X, np.arange(6.0))
    assert value == backprop(network, "squared_error", X, np.arange(6.0)[:, None])[0]


def test_with_one_class_there_is_nothing_to_learn():
    """Softmax of one output is 1: indices are indices there too, and no gradient is left."""
    value, grads = backprop(Network.dense([4, 5, 1], dtype="float64"), "cross_entropy", X, np.zeros(6, int))
    assert value == 0
    assert not any(g.any() for layer in grads for g in layer.params.values())
    with pytest.raises(InputError, match="class indices must be 0 to 0 for 1 outputs"):
        backprop(Network.dense([4, 5, 1]), "cross_entropy", X, [0, 1, 0, 1, 0, 1])


def test_targets_take_the_precision_of_the_network():
    loss = make_loss("squared_error")
    y = check_targets(np.ones((6, 3), np.int8), n=6, outputs=3, loss=loss, dtype=np.float32)
    assert y.dtype == np.float32
    classes = check_targets(np.array([0.0, 2.0]), n=2, outputs=3, loss=make_loss("cross_entropy"), dtype=np.float32)
    assert classes.dtype == np.int64


def test_an_unknown_loss():
    with pytest.raises(ConfigError, match="Did you mean 'squared_error'"):
        backprop(small_network(), "square_error", X, np.ones((6, 3)))


def test_components_given_as_objects():
    network = Network.dense([4, 5, 3], Logistic(), output=Tanh())
    assert [layer.activation for layer in network.layers] == [Logistic(), Tanh()]


def test_of_parameters_keeps_the_arrays():
    W, b = [np.ones((3, 2)), np.full((1, 3), 2.0)], [np.zeros(3), None]
    network = Network.of_parameters(W, b, "tanh", output="logistic", dropout=[0.5], input_dropout=0.1, seed=4)
    assert [layer.kind for layer in network.layers] == ["dropout", "dense", "dropout", "dense"]
    assert (network.sizes, network.seed, network.layers[2].keep) == ((2, 3, 1), 4, 0.5)
    assert network.layer(1).params["W"] is W[0]
    assert "b" not in network.layer(2).params
    x = np.array([[0.3, -0.1]])
    np.testing.assert_allclose(network(x), 1 / (1 + np.exp(-6 * np.tanh(0.2))))
    with pytest.raises(ConfigError, match="activation has 2 entries"):
        Network.of_parameters(W, b, ["relu", "relu"])
    with pytest.raises(ShapeError):
        Network.of_parameters([W[0], np.ones((1, 4))], b)
