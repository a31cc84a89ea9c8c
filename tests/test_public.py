"""The public surface, pinned."""

import importlib
import importlib.metadata
import importlib.resources
import inspect
import types

import pytest

import glassnet

NAMES = [
    "MLPClassifier",
    "MLPRegressor",
    "Model",
    "Network",
    "Regularisation",
    "__version__",
    "activations",
    "backprop",
    "check_gradients",
    "data",
    "errors",
    "estimators",
    "fit",
    "from_sklearn",
    "initialisers",
    "layers",
    "lecture",
    "load",
    "losses",
    "messages",
    "optimisers",
    "random",
    "schedules",
    "train",
    "training",
]


def test_all_is_pinned():
    assert glassnet.__all__ == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_there(name):
    assert getattr(glassnet, name) is not None
    assert getattr(importlib.import_module("glassnet"), name) is getattr(glassnet, name)


def test_dir():
    assert dir(glassnet) == sorted(NAMES)


@pytest.mark.parametrize("name", ["backprop", "train", "load", "check_gradients"])
def test_functions_stay_functions(name):
    """Also after the module of the same name is imported."""
    importlib.import_module("glassnet.backprop")
    importlib.import_module("glassnet.training.trainer")
    assert callable(getattr(glassnet, name))
    assert not isinstance(getattr(glassnet, name), types.ModuleType)


@pytest.mark.parametrize("name", ["nothing", "Netwrok", "torch", "__wrapped__"])
def test_unknown_attribute(name):
    with pytest.raises(AttributeError, match=f"module 'glassnet' has no attribute '{name}'"):
        getattr(glassnet, name)


def test_typed():
    assert importlib.resources.files("glassnet").joinpath("py.typed").is_file()


def test_version():
    assert glassnet.__version__ == importlib.metadata.version("glassnet")


SIGNATURES = [
    (
        glassnet.Network.dense,
        "sizes activation output init bias dropout input_dropout dropout_variant dtype seed",
        {"activation": "relu", "output": "identity", "init": "auto", "bias": 0.0, "dropout": 0.0, "dtype": "float32"},
    ),
    (glassnet.Network, "layers seed", {"seed": 0}),
    (glassnet.backprop, "network loss x y", {}),
    (glassnet.check_gradients, "network loss x y", {}),
    (glassnet.train, "network x y sample_weight validation callbacks config", {"sample_weight": None}),
    (glassnet.load, "path", {}),
    (glassnet.Model, "network loss target encoding target_name", {"target": None, "encoding": None}),
]


@pytest.mark.parametrize(("function", "names", "defaults"), SIGNATURES, ids=[case[1] for case in SIGNATURES])
def test_signature(function, names, defaults):
    """These parameters are there, in this order; others may come."""
    parameters = inspect.signature(function).parameters
    assert [name for name in parameters if name in names.split()] == names.split()
    assert {name: parameters[name].default for name in defaults} == defaults


PROMISED = ["W", "b"]


def test_what_backprop_gives():
    import numpy as np

    network = glassnet.Network.dense([3, 4, 2], seed=1)
    value, grads = glassnet.backprop(network, "cross_entropy", np.ones((5, 3)), np.array([0, 1, 1, 0, 1]))
    assert float(value) > 0
    for layer, gradient in zip(network.layers, grads, strict=True):
        assert list(gradient.params) == PROMISED
        assert all(gradient.params[name].shape == layer.params[name].shape for name in PROMISED)
    assert [gradient.delta.shape for gradient in grads] == [(5, 4), (5, 2)]


DOCUMENTED = [name for name in NAMES if name != "__version__"]


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_name_is_documented(name):
    assert inspect.getdoc(getattr(glassnet, name))
