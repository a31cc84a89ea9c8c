"""NaN and infinity: noticed in their step, named rightly, and the parameters from before it kept."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from scipy.sparse import csr_array

from glassnet.activations import Elementwise, Identity
from glassnet.config import TrainingConfig
from glassnet.data.examples import Examples
from glassnet.errors import GlassnetWarning, NotFiniteError
from glassnet.losses import SquaredError
from glassnet.network import Network, parameter_values
from glassnet.optimisers import SGD
from glassnet.training import Callback, Trainer
from glassnet.training.checkpoint import CheckpointWriter, latest
from reliability.jobs import CLASSES, HaltAt, X, outcome

RNG = np.random.default_rng(3)
ENGINES = [("native", "cpu"), ("reference", "cpu"), ("reference", "torch")]
LAYERS = (1, 2, 3)
STEP, ROWS = 4, 5  # the step, from 0, whose batch of 5 rows is bad
DATA = RNG.normal(size=(40, 3)).astype(np.float32)


def put(network, layer, values):
    network.layer(layer).params["W"][...] = values


def identity(dtype="float32"):
    network = Network.dense([3, 3, 3, 3], "identity", dtype=dtype)
    for layer in LAYERS:
        put(network, layer, np.eye(3))
    return network


# What each case makes of the bad batch's x and y, and of the network


def large_z(layer):
    """The weights of the layer are large: with x of 0 all goes well, and with another z overflows, which tanh hides."""
    network = Network.dense([3, 3, 3, 3], "tanh")
    for own in network.layers:
        put(network, own.number, np.full((3, 3), 3e38 if own.number == layer else 1.0))
        own.frozen = own.number != (1 if layer == 3 else 3)
    return network, 0 * DATA, 0 * DATA, np.full(3, 10.0), np.zeros(3), ("z", layer), {"lr": 1e-30}


def large_loss(layer):
    """The outputs are finite, their squares are not."""
    network = identity()
    for own in network.layers:
        own.frozen = own.number != layer
    return network, DATA, DATA, np.full(3, 1e25), np.zeros(3), ("loss", None), {}


def large_delta(layer):
    """The error above the layer is finite, and W^l+1 makes it infinite; the output layer's comes from the loss."""
    network = identity()
    if layer == 3:
        return None
    put(network, layer + 1, np.full((3, 3), 3e38))
    x, y = np.zeros_like(DATA), np.zeros_like(DATA)
    for own in network.layers:
        own.frozen = own.number != layer
    return network, x, y, np.zeros(3), np.full(3, -10.0), ("delta", layer), {"lr": 1e-30}


def large_gradient(layer):
    """δ and what comes from below are finite, their product is not."""
    network = identity()
    put(network, layer, 1e-30 * np.eye(3))
    for own in network.layers:
        own.frozen = own.number != layer
    named = (f"{layer}.W.gradient", layer)
    return network, DATA, 0 * DATA, np.full(3, 1e30), np.full(3, -1e15), named, {"lr": 1e-30}


def large_step(layer):
    """The gradient is finite, the step is not."""
    network = identity()
    for own in network.layers:
        own.frozen = own.number != layer
    return network, DATA, DATA, np.full(3, 1e10), np.full(3, 2e10), (f"{layer}.W", layer), {"lr": 1e25}


def large_square(layer):
    """Adam's second moment."""
    network = identity()
    for own in network.layers:
        own.frozen = own.number != layer
    return network, DATA, DATA, np.full(3, 1e12), np.full(3, -1e12), (f"{layer}.W.square", layer), {"optimiser": "adam"}


def large_rate(layer):
    """Steps that grow and grow, until the rate has been halved a few times."""
    network = identity()
    for own in network.layers:
        own.frozen = own.number != layer
    x = np.full_like(DATA, 1e10)
    return network, x, DATA, np.full(3, 1e10), np.ones(3), ("loss", None), {"lr": 4e-18}


CASES = [
    (case, layer)
    for case in (large_z, large_loss, large_delta, large_gradient, large_step, large_square)
    for layer in LAYERS
    if case(layer) is not None
]


def made(case, layer, engine, device, callbacks=(), **more):
    network, x, y, bad_x, bad_y, named, options = case(layer)
    x, y = x.copy(), y.copy()
    rows = slice(STEP * ROWS, STEP * ROWS + ROWS)
    x[rows], y[rows] = bad_x, bad_y
    config = {
        "loss": "squared_error",
        "optimiser": "sgd",
        "lr": 0.01,
        "batch_size": ROWS,
        "epochs": 2,
        "shuffle": False,
        "engine": engine,
        "device": device,
    }
    trainer = Trainer(network, TrainingConfig(**{**config, **options, **more}), callbacks)
    return trainer, Examples(x, y), named


@pytest.mark.parametrize(("engine", "device"), ENGINES)
@pytest.mark.parametrize(("case", "layer"), CASES, ids=lambda part: getattr(part, "__name__", part))
def test_infinity_is_named_and_undone(case, layer, engine, device):
    trainer, examples, (quantity, where) = made(case, layer, engine, device)
    with pytest.raises(NotFiniteError) as caught:
        trainer.fit(examples)
    error = caught.value
    assert (error.quantity, error.layer, error.epoch, error.batch) == (quantity, where, 1, STEP + 1)
    assert f"training diverged in epoch 1, batch {STEP + 1} of 8: " in str(error)
    assert "a lower learning rate" in str(error)
    assert trainer.step == trainer.updater.t == STEP
    expected, examples, _ = made(case, layer, engine, device, [HaltAt(STEP)])
    expected.fit(examples)
    assert outcome(trainer)[:2] == outcome(expected)[:2]


# NaN itself, by functions of a user's own


@dataclass(frozen=True)
class Bad(Elementwise):
    """NaN in its value or in its derivative."""

    where: str = "value"
    name: ClassVar[str] = "bad"

    def __call__(self, z):
        return z * np.nan if self.where == "value" else z

    def derivative(self, z):
        return z * np.nan if self.where == "derivative" else z * 0 + 1


@dataclass(frozen=True)
class OddLoss(SquaredError):  # noqa: N818 - it is no exception
    name: ClassVar[str] = "bad_loss"
    where: str = "value"

    def terms(self, a, y):
        return super().terms(a, y) * (np.nan if self.where == "value" else 1)

    def term_gradient(self, a, y):
        return super().term_gradient(a, y) * (np.nan if self.where == "derivative" else 1)


@dataclass(frozen=True)
class OddRule(SGD):
    name: ClassVar[str] = "bad_rule"
    layer: int = 1

    def step(self, theta, gradient, slots, lr, t):
        super().step(theta, gradient, slots, lr, t)
        theta *= np.nan


NAN = [
    *((f"a{layer}", "a", layer) for layer in LAYERS),
    *((f"d{layer}", "delta", layer) for layer in LAYERS),
    *((f"z{layer}", "z", layer) for layer in LAYERS),
    ("loss", "loss", None),
    ("gradient of the loss", "delta", 3),
    *((f"rule{layer}", f"{layer}.W", layer) for layer in LAYERS),
]


@pytest.mark.parametrize(("where", "quantity", "layer"), NAN)
def test_nan_is_named_and_undone(where, quantity, layer):
    sigmas = [Identity()] * 3
    if where[0] in "ad" and layer is not None and where[1:].isdigit():
        sigmas[layer - 1] = Bad("value" if where[0] == "a" else "derivative")
    network = Network.dense([3, 3, 3, 3], sigmas[:2], output=sigmas[2])
    if where[0] == "z":
        network.layer(layer).params["b"][1] = np.nan
    loss = OddLoss(where="value" if where == "loss" else "derivative" if "loss" in where else "none")
    for own in network.layers if where.startswith("rule") else ():
        own.frozen = own.number != layer
    before = parameter_values(network)
    rule = OddRule() if where.startswith("rule") else SGD()
    trainer = Trainer(network, TrainingConfig(loss=loss, optimiser=rule, engine="reference"))
    with pytest.raises(NotFiniteError) as caught:
        trainer.fit(Examples(DATA, DATA))
    assert (caught.value.quantity, caught.value.layer, caught.value.batch) == (quantity, layer, 1)
    for name, theta in network.parameters():
        np.testing.assert_array_equal(theta, before[name])


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_parameters_that_a_callback_made_nan_are_noticed_in_the_next_step(engine):
    class Vandal(Callback):
        def on_batch_end(self, trainer):
            if trainer.step == 5:
                trainer.engine.sync()
                trainer.network.layer(2).params["W"][0, 0] = np.nan

    network = Network.dense([6, 8, 5, 3], dropout=0.3)
    trainer = Trainer(network, TrainingConfig(loss="cross_entropy", batch_size=10, engine=engine), [Vandal()])
    with pytest.raises(NotFiniteError) as caught:
        trainer.fit(Examples(X, CLASSES))
    assert (caught.value.quantity, caught.value.layer, caught.value.batch) == ("z", 2, 6)


@pytest.mark.parametrize(("engine", "device"), ENGINES)
def test_large_numbers_are_no_false_alarm(engine, device):
    """Their squares overflow, they do not."""
    network = Network.dense([3, 3], "identity")
    put(network, 1, np.full((3, 3), 1e22))
    config = TrainingConfig(
        loss="absolute_error", optimiser="sgd", lr=1e10, batch_size=5, epochs=3, engine=engine, device=device
    )
    trainer = Trainer(network, config)
    trainer.fit(Examples(DATA, DATA))
    assert (trainer.history.stop_code, trainer.step) == ("epochs", 24)
    assert np.isfinite(trainer.history["loss"]).all()


def test_of_a_sample_that_does_not_count_the_output_may_overflow():
    x, weight = DATA.copy(), np.ones(40)
    x[3], weight[3] = 1e30, 0
    network = Network.dense([3, 3], "identity")
    put(network, 1, np.full((3, 3), 1e10))
    options = {"loss": "squared_error", "lr": 1e-30, "optimiser": "sgd", "engine": "native", "epochs": 2}
    trainer = Trainer(network, TrainingConfig(**options))
    trainer.fit(Examples(x, DATA, weight))
    assert trainer.history.stop_code == "epochs"


# Policies


@pytest.mark.parametrize(("engine", "device"), ENGINES)
def test_skip_leaves_the_batch_out(engine, device):
    trainer, examples, _ = made(large_loss, 2, engine, device, on_nonfinite="skip")
    with pytest.warns(GlassnetWarning, match="batch 5 of 8: the loss is inf.*the batch is left out") as said:
        trainer.fit(examples)
    assert len(said) == 2
    good = np.delete(np.arange(40), range(STEP * ROWS, STEP * ROWS + ROWS))
    without, _, _ = made(large_loss, 2, engine, device)
    without.fit(examples.take(good))
    assert outcome(trainer)[:2] == outcome(without)[:2]
    assert trainer.history["loss"] == without.history["loss"]


@pytest.mark.parametrize(("engine", "device"), ENGINES)
def test_halve_goes_back_to_the_beginning_of_the_epoch(engine, device):
    """What it ends with is what a run with the last rate from the start would have, if that was found in epoch 1."""
    trainer, examples, _ = made(large_rate, 2, engine, device, on_nonfinite="halve", epochs=1)
    with pytest.warns(GlassnetWarning, match="the epoch begins again with the learning rate") as said:
        trainer.fit(examples)
    lr = 4e-18 / 2 ** len(said)
    assert 2 < len(said) < 20
    assert trainer.base_lr == lr
    expected, examples, _ = made(large_rate, 2, engine, device, epochs=1, lr=lr)
    expected.fit(examples)
    assert outcome(trainer)[:3] == outcome(expected)[:3]


def test_if_no_batch_is_good_skipping_ends_in_an_error():
    network = identity()
    put(network, 2, np.full((3, 3), 3e38))
    trainer = Trainer(network, TrainingConfig(loss="squared_error", on_nonfinite="skip", batch_size=5))
    with pytest.warns(GlassnetWarning) as said, pytest.raises(NotFiniteError, match=r"batch 8 of 8: z of layer 2"):
        trainer.fit(Examples(DATA, DATA))
    assert len(said) == 7


def test_a_lower_rate_does_not_help_an_epochs_first_step():
    network = identity()
    put(network, 2, np.full((3, 3), 3e38))
    trainer = Trainer(network, TrainingConfig(loss="squared_error", on_nonfinite="halve", batch_size=5))
    with pytest.raises(NotFiniteError, match=r"batch 1 of 8: z of layer 2"):
        trainer.fit(Examples(DATA, DATA))


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize("precision", ["exact", "fast"])
def test_sparse_inputs_too(optimiser, precision):
    x = DATA * (DATA > 1.0)
    x[23] = 1e25
    network = Network.dense([3, 3, 3], "tanh")
    put(network, 1, np.full((3, 3), 1e20))
    options = {"loss": "squared_error", "lr": 1e-30, "batch_size": 5, "shuffle": False, "engine": "native"}
    trainer = Trainer(network, TrainingConfig(**options, optimiser=optimiser, precision=precision))
    with pytest.raises(NotFiniteError, match=r"epoch 1, batch 5 of 8: z of layer 1 is inf"):
        trainer.fit(Examples(csr_array(x), DATA))


class HaltAfter(HaltAt):
    """Halts at a step when the rate has been halved so often."""

    def __init__(self, step, halvings):
        super().__init__(step)
        self.halvings = halvings

    def on_batch_end(self, trainer):
        if trainer.policy.halvings >= self.halvings:
            super().on_batch_end(trainer)


HALTS = [
    *(("skip", large_loss, HaltAt(step)) for step in (2, 4, 6, 8, 11)),
    *(("halve", large_rate, HaltAfter(step, halvings)) for step in (1, 3) for halvings in (0, 1, 3)),
]


@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize(("policy", "case", "halt"), HALTS)
@pytest.mark.filterwarnings("ignore::glassnet.errors.GlassnetWarning")  # that there are some is tested above
def test_a_policys_run_resumes_to_the_bit(tmp_path, engine, policy, case, halt):
    """Broken off before and after the bad batch, and between the attempts."""

    def run(callbacks=(), state=None):
        epochs = 3 if policy == "skip" else 1
        trainer, examples, _ = made(case, 2, engine, "cpu", callbacks, on_nonfinite=policy, epochs=epochs)
        if state is not None:
            trainer.resume(state)
        trainer.fit(examples)
        return trainer

    assert run([halt, CheckpointWriter(tmp_path)]).history.stop_code == "interrupted"
    assert outcome(run(state=latest(tmp_path).state)) == outcome(run())


def test_a_failed_run_has_a_checkpoint_of_the_last_good_parameters(tmp_path):
    trainer, examples, _ = made(large_gradient, 1, "native", "cpu", [CheckpointWriter(tmp_path, "1h")])
    with pytest.raises(NotFiniteError):
        trainer.fit(examples)
    state = latest(tmp_path).state
    assert (state["done"], state["step"]) == (STEP, STEP)
    for name, theta in trainer.network.parameters():
        np.testing.assert_array_equal(state["parameters"][name], theta)
