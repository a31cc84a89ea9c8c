"""Which engine takes which job, and what is said about it."""

import numpy as np
import pytest

import glassnet
from glassnet import Network, Regularisation
from glassnet.activations import ACTIVATIONS, ReLU
from glassnet.engine import NativeEngine, ReferenceEngine, choose, native
from glassnet.errors import ConfigError
from glassnet.layers import Dense
from glassnet.losses import LOSSES, SquaredError
from glassnet.optimisers import OPTIMISERS, SGD, Clip, Updater

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(30, 4)), RNG.integers(0, 3, 30)
PAIR = (np.tanh, lambda z: 1 - np.tanh(z) ** 2)


class OwnReLU(ReLU):
    pass


class OwnDense(Dense):
    pass


class OwnError(SquaredError):
    pass


class OwnOptimiser(SGD):
    pass


class OwnUpdater(Updater):
    pass


class OwnRules(Regularisation):
    pass


class OwnClip(Clip):
    pass


def network(activation="tanh", **options):
    return Network.dense([4, 5, 3], activation, **options)


def sharing():
    W = np.eye(4, dtype="f4")
    return Network([Dense(W, None), Dense(W, None)])


def of_two_precisions():
    return Network([Dense(np.eye(4, dtype=dtype), None) for dtype in ("f4", "f8")])


def job(net=None, loss="cross_entropy", optimiser="adam", updater=None, device="cpu"):
    updater = updater or Updater(OPTIMISERS.make(optimiser))
    return net or network(), glassnet.losses.loss(loss), updater, device


@pytest.fixture
def built(monkeypatch):
    """As if there were a native engine."""
    monkeypatch.setattr(native, "missing", lambda: None)


@pytest.fixture
def not_built(monkeypatch):
    monkeypatch.setattr(native, "_native", None)
    monkeypatch.setattr(native, "_problem", ModuleNotFoundError("No module named 'glassnet.engine._native'"))


CARRIED = [
    *({"net": network(name)} for name in ACTIVATIONS.names()),
    *({"loss": name} for name in LOSSES.names()),
    *({"optimiser": name} for name in OPTIMISERS.names()),
    {"net": network(dtype="float64", dropout=0.5, input_dropout=0.1, dropout_variant="plain", bias=False)},
    {"updater": Updater(SGD(), Regularisation(l1=0.1, decay_form="lr"), Clip(1.0, 1.0))},
]


@pytest.mark.parametrize("options", CARRIED, ids=lambda options: " ".join(map(str, options.values())))
def test_the_native_engine_carries_the_core(built, options):
    assert choose(*job(**options)) == (NativeEngine, "")


NOT_CARRIED = [
    ({"net": network(PAIR)}, "the activation of layer 1 is a user's own"),
    ({"net": network(OwnReLU())}, "the activation of layer 1 is a user's own"),
    ({"net": network(output=PAIR)}, "the activation of layer 2 is a user's own"),
    ({"net": Network([OwnDense(np.eye(4), None)])}, "layer 1 is a user's own"),
    ({"net": sharing()}, "layers share their parameters"),
    ({"net": of_two_precisions()}, "the parameters are not NumPy arrays of one precision"),
    ({"net": network().on_torch("cpu")}, "the parameters are not NumPy arrays of one precision"),
    ({"loss": (lambda a, y: a[:, 0], lambda a, y: a)}, "the loss is a user's own"),
    ({"loss": OwnError()}, "the loss is a user's own"),
    ({"optimiser": OwnOptimiser()}, "the optimiser is a user's own"),
    ({"updater": OwnUpdater(SGD())}, "the rules of the update are a user's own"),
    ({"updater": Updater(SGD(), OwnRules())}, "the rules of the update are a user's own"),
    ({"updater": Updater(SGD(), clip=OwnClip())}, "the rules of the update are a user's own"),
    ({"device": "cuda"}, "the device is cuda"),
    ({"device": "torch"}, "the device is torch"),
]


@pytest.mark.parametrize(("options", "reason"), NOT_CARRIED, ids=[reason for _, reason in NOT_CARRIED])
def test_what_goes_to_the_reference_engine_and_why(built, options, reason):
    assert choose(*job(**options)) == (ReferenceEngine, reason)
    with pytest.raises(ConfigError, match=f"the native engine cannot train this, because {reason}; leave .* 'auto'"):
        choose(*job(**options), "native")


def test_the_reference_engine_can_be_asked_for(built):
    assert choose(*job(), "reference") == (ReferenceEngine, "")


def test_without_a_native_engine_all_goes_on(not_built):
    net = network()
    history = glassnet.train(net, X, Y, epochs=2, device="cpu", threads=1)
    assert history.engine == "reference (numpy, 1 thread), because the native engine is not built here"
    assert glassnet.Model(net, "cross_entropy").predict(np.zeros((100, 4))).values.shape == (100,)
    with pytest.raises(ConfigError, match="because the native engine is not built here"):
        glassnet.train(net, X, Y, engine="native", device="cpu")


def test_a_native_engine_that_cannot_be_loaded(not_built, monkeypatch):
    monkeypatch.setattr(native, "_problem", ImportError("GLIBCXX_3.4.99 not found"))
    assert native.missing() == "the native engine cannot be loaded: GLIBCXX_3.4.99 not found"


TEXTS = [
    ({"engine": "reference", "threads": 1}, "reference (numpy, 1 thread)"),
    ({"engine": "reference", "device": "torch", "threads": 1}, "reference (torch, 1 thread)"),
    ({"device": "torch", "threads": 1}, "reference (torch, 1 thread), because the device is torch"),
]


@pytest.mark.parametrize(("options", "text"), TEXTS, ids=[text for _, text in TEXTS])
def test_the_history_names_the_engine(built, options, text):
    history = glassnet.train(network(), X, Y, epochs=1, **({"device": "cpu"} | options))
    assert history.engine == text
    assert type(history).from_jsonl(history.to_jsonl()).engine == text
