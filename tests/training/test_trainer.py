"""The training loop: what it learns, in which order, with which figures, and what it refuses."""

import math
import random

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import r2_score
from threadpoolctl import threadpool_info

import glassnet
from glassnet import Network
from glassnet.config import TrainingConfig
from glassnet.data.examples import Examples
from glassnet.engine import devices, resolve_device
from glassnet.errors import ConfigError, DataError, GlassnetWarning, InputError, NotFiniteError, ShapeError
from glassnet.losses import balanced_weights
from glassnet.network import parameter_values
from glassnet.random import permutation
from glassnet.training import Callback, History, Trainer


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    return x[order] / 16, y[order]


RNG = np.random.default_rng(3)
X = RNG.normal(size=(50, 4))
Y = RNG.integers(0, 3, 50)


def rng():
    """For draws within a test, the same whichever tests run."""
    return np.random.default_rng(7)


def dense(*sizes, dtype="float64", **options):
    return Network.dense(sizes or (4, 6, 3), "tanh", dtype=dtype, **options)


def train(network, x, y, **config):
    """As ``glassnet.train``, by the reference engine."""
    return glassnet.train(network, x, y, **({"engine": "reference", "device": "cpu", "threads": 1} | config))


def same_bits(one, other):
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(a.tobytes() == b.tobytes() for (_, a), (_, b) in pairs)


def distance(one, other):
    """The largest difference of two networks' parameters, each relative to its array's largest entry."""
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return max(np.abs(a - b).max() / np.abs(b).max() for (_, a), (_, b) in pairs)


# Learning


LEARNS = [
    {"optimiser": "sgd", "lr": 0.5},
    {"optimiser": "momentum", "lr": 0.05},
    {"optimiser": "nesterov", "lr": 0.05},
    {"optimiser": "rmsprop", "lr": 0.003},
    {"optimiser": "adam", "lr": 0.005},
    {"optimiser": "adamw", "lr": 0.005},
    {"optimiser": "adam", "lr": 0.005, "schedule": "cosine", "l2": 1e-4, "clip_norm": 1.0, "max_norm": 3.0},
]


@pytest.mark.parametrize("config", LEARNS, ids=str)
def test_it_learns_digits(digits, config):
    x, y = digits
    network = Network.dense([64, 64, 10])
    history = train(network, x[:1400], y[:1400], validation=(x[1400:], y[1400:]), epochs=10, batch_size=32, **config)
    assert history["val_accuracy"][-1] > 0.95
    assert history["loss"][-1] < 0.3 * history["loss"][0]


def test_it_learns_xor():
    x, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    network = Network.dense([2, 8, 1], "tanh")
    history = train(network, x, y, epochs=300, lr=0.02)
    assert history["loss"][-1] < 0.01
    assert np.round(network(np.array(x)))[:, 0].tolist() == y


def test_it_is_the_loop_written_out():
    ours, by_hand = dense(dropout=0.3, seed=5), dense(dropout=0.3, seed=5)
    history = train(ours, X, Y, optimiser="sgd", lr=0.1, batch_size=16, epochs=3, seed=8)
    losses = []
    for epoch in range(3):
        order, total = permutation(50, seed=8, epoch=epoch), 0.0
        for first in range(0, 50, 16):
            rows = order[first : first + 16]
            draws = by_hand.draws(len(rows), first=first, epoch=epoch)
            value, grads = glassnet.backprop(by_hand, "cross_entropy", X[rows], Y[rows], draws=draws)
            for layer, layer_grads in zip(by_hand.layers, grads, strict=True):
                for name, theta in layer.params.items():
                    theta -= 0.1 * layer_grads.params[name]
            total += float(value) * len(rows)
        losses.append(total / 50)
    assert same_bits(ours, by_hand)
    assert history["loss"] == pytest.approx(losses, rel=1e-14)


TORCH = [
    ({"optimiser": "sgd", "lr": 0.1}, lambda p: torch.optim.SGD(p, lr=0.1)),
    ({"optimiser": "adam", "lr": 0.01}, lambda p: torch.optim.Adam(p, lr=0.01)),
    (
        {"optimiser": "adamw", "lr": 0.01, "weight_decay": 0.1, "regularise_biases": True},
        lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
    ),
    ({"optimiser": "nesterov", "lr": 0.02}, lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9, nesterov=True)),
    (
        {"optimiser": "momentum", "lr": 0.02, "l2": 0.01, "regularise_biases": True},
        lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9, weight_decay=0.01),
    ),
]


@pytest.mark.parametrize(("config", "make"), TORCH, ids=[config["optimiser"] for config, _ in TORCH])
def test_autograd_and_torchs_optimisers_arrive_at_the_same_parameters(config, make):
    network = dense()
    W1, b1, W2, b2 = theirs = [torch.tensor(theta, requires_grad=True) for _, theta in network.copy().parameters()]
    optimiser = make(theirs)
    train(network, X, Y, batch_size=12, epochs=4, seed=2, **config)
    x, y = torch.tensor(X), torch.tensor(Y)
    for epoch in range(4):
        for rows in torch.from_numpy(permutation(50, seed=2, epoch=epoch)).split(12):
            optimiser.zero_grad()
            output = torch.tanh(x[rows] @ W1.T + b1) @ W2.T + b2
            torch.nn.functional.cross_entropy(output, y[rows]).backward()
            optimiser.step()
    for (_, ours), other in zip(network.parameters(), theirs, strict=True):
        np.testing.assert_allclose(ours, other.detach().numpy(), rtol=1e-10, atol=1e-12)


# Seeds


SEEDS = [
    ({}, {}, {}, True),
    ({}, {"seed": 1}, {"seed": 1}, True),
    ({}, {"seed": 1}, {"seed": 2}, False),
    ({"dropout": 0.5}, {"seed": 1}, {"seed": 1}, True),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("options", "first", "second", "same"), SEEDS)
def test_the_seed_decides_every_bit(dtype, options, first, second, same):
    networks = [dense(dtype=dtype, **options) for _ in range(2)]
    one, other = (
        train(network, X, Y, epochs=3, batch_size=8, validation=0.2, **config)
        for network, config in zip(networks, (first, second), strict=True)
    )
    assert same_bits(*networks) is same
    assert (one["loss"] == other["loss"]) is same


def test_the_networks_seed_decides_the_masks():
    networks = [dense(dropout=0.5, seed=seed) for seed in (1, 2)]
    networks[1].set_parameters(parameter_values(networks[0]))
    for network in networks:
        train(network, X, Y, epochs=1)
    assert not same_bits(*networks)


def test_the_global_random_states_are_left_alone():
    def states():
        numpy_state = np.random.get_state(legacy=False)["state"]  # noqa: NPY002
        return random.getstate(), str(numpy_state), torch.get_rng_state().tolist()

    before = states()
    for device in ("cpu", "torch"):
        train(dense(dropout=0.5), X, Y, epochs=1, validation=0.2, device=device)
        assert states() == before
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    seeded, unseeded = dense(dropout=0.5), dense(dropout=0.5)
    train(seeded, X, Y, epochs=1)
    random.seed(2)
    np.random.seed(2)  # noqa: NPY002
    torch.manual_seed(2)
    train(unseeded, X, Y, epochs=1)
    assert same_bits(seeded, unseeded)


# Batches


def rows_of_each_step(n, **config):
    """The rows of every step, seen by a loss whose targets are the rows' numbers."""
    steps = []

    def derivative(a, y):
        steps.append(y[:, 0].astype(int).tolist())
        return np.zeros_like(a)

    loss = (lambda a, y: np.zeros(len(a)), derivative)
    train(dense(1, 1), np.zeros((n, 1)), np.arange(n), loss=loss, lr=0.1, **config)
    return steps


BATCHES = [
    (10, 4, [4, 4, 2]),
    (10, 5, [5, 5]),
    (10, 1, [1] * 10),
    (10, 100, [10]),
    (1, 32, [1]),
    (40, None, [16, 16, 8]),
]


@pytest.mark.parametrize(("n", "batch_size", "sizes"), BATCHES)
def test_every_epoch_has_every_row_once_the_short_last_batch_included(n, batch_size, sizes):
    steps = rows_of_each_step(n, batch_size=batch_size, epochs=3)
    assert [len(rows) for rows in steps] == sizes * 3
    for epoch in range(3):
        rows = [row for step in steps[epoch * len(sizes) : (epoch + 1) * len(sizes)] for row in step]
        assert sorted(rows) == list(range(n))


def test_the_order_is_another_in_each_epoch_and_by_each_seed():
    orders = [tuple(rows) for seed in range(3) for rows in rows_of_each_step(30, batch_size=30, epochs=4, seed=seed)]
    assert len(set(orders)) == 12
    assert tuple(range(30)) not in orders


def test_without_shuffling_the_order_is_the_rows_own():
    assert rows_of_each_step(5, batch_size=2, epochs=2, shuffle=False) == [[0, 1], [2, 3], [4]] * 2


# Devices and engines


AGREE = [
    {"optimiser": "adam", "lr": 0.01, "l1": 1e-4, "l2": 1e-3, "weight_decay": 1e-3, "max_norm": 0.9, "clip_norm": 0.4},
    {
        "optimiser": "momentum",
        "lr": 0.05,
        "clip_value": 0.02,
        "regularise_biases": True,
        "l2": 1e-3,
        "decay_form": "lr",
    },
    {"optimiser": "rmsprop", "lr": 0.01, "class_weight": "balanced", "train_figures": "after"},
]


@pytest.mark.parametrize("variant", ["inverted", "plain"])
@pytest.mark.parametrize("config", AGREE, ids=lambda config: config["optimiser"])
def test_numpy_and_torch_agree(config, variant):
    networks, histories = [], []
    for device in ("cpu", "torch"):
        network = dense(4, 12, 12, 3, dropout=0.4, input_dropout=0.2, dropout_variant=variant)
        histories.append(train(network, X, Y, epochs=3, batch_size=16, validation=0.2, device=device, **config))
        networks.append(network)
    assert distance(*networks) < 1e-12
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert histories[0][name] == pytest.approx(histories[1][name], rel=1e-12)
    assert all(isinstance(theta, np.ndarray) for network in networks for _, theta in network.parameters())


@pytest.mark.parametrize("name", ["gpu", "cuda:banana", "", "cuda:99"])
def test_a_device_that_is_not_there(name):
    with pytest.raises(ConfigError, match=f"the device '{name}' cannot be used: .*'cpu' always can"):
        train(dense(), X, Y, device=name)


DEVICES = [(False, "cuda", "cpu"), (True, "cuda", "cuda"), (True, None, "cpu")]


@pytest.mark.parametrize(("signs", "offered", "chosen"), DEVICES)
def test_auto_takes_the_accelerator_if_there_is_one(monkeypatch, signs, offered, chosen):
    monkeypatch.setattr(devices, "_may_have_accelerator", lambda: signs)
    monkeypatch.setattr(devices, "accelerator", lambda: offered)
    assert resolve_device("auto") == chosen


@pytest.mark.parametrize(("build", "may"), [("2.13.0+cpu", False), ("2.13.0+xpu", True), ("2.13.0", True)])
def test_a_torch_for_the_cpu_alone_is_not_asked(monkeypatch, build, may):
    monkeypatch.setattr(devices.Path, "exists", lambda path: True)
    monkeypatch.setattr(devices.importlib.metadata, "version", lambda package: build)
    assert devices._may_have_accelerator() is may


def test_an_unknown_engine():
    with pytest.raises(ConfigError, match="unknown engine 'warp'; choose one of: auto, native, reference"):
        train(dense(), X, Y, engine="warp")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("device", ["cpu", "torch"])
def test_the_threads_are_as_many_as_were_asked_for(device, threads):
    def count():
        if device == "torch":
            return {torch.get_num_threads()}
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    seen = []

    class Count(Callback):
        def on_batch_end(self, trainer):
            seen.append(count())

    before = count()
    train(dense(), X, Y, epochs=1, device=device, threads=threads, callbacks=[Count()])
    assert seen
    assert all(counts == {threads} for counts in seen)
    assert count() == before


# The learning rate


def learning_rates(epochs=4, steps=3, **config):
    """The rate of every step, and the history: the gradient is 1, so the weight falls by the rate."""
    weights = []

    class Watch(Callback):
        def on_batch_end(self, trainer):
            weights.append(float(trainer.network.layers[0].params["W"][0, 0]))

    network = dense(1, 1, bias=False)
    weights.append(float(network.layers[0].params["W"][0, 0]))
    loss = (lambda a, y: 1.0 + 0.0 * y[:, 0], lambda a, y: np.ones_like(a))
    config = {"optimiser": "sgd", "loss": loss, "batch_size": 2, "callbacks": [Watch()]} | config
    history = train(network, np.ones((2 * steps, 1)), np.zeros(2 * steps), epochs=epochs, **config)
    return -np.diff(weights), history


T = np.arange(12) / 3  # epochs done before each of 12 steps

RATES = [
    ("constant", np.ones(12)),
    ("step(every=2, gamma=0.1)", np.repeat([1, 0.1], 6)),
    ("exponential(gamma=0.5)", 0.5**T),
    ("inverse_scaling", (1 + T) ** -0.5),
    ("linear", 1 - T / 4),
    ("cosine", 0.5 * (1 + np.cos(np.pi * T / 4))),
    ("constant(warmup=2)", np.minimum(1, np.arange(1, 13) / 6)),
    ("linear(warmup=1)", [1 / 3, 2 / 3, 1, *(1 - np.arange(9) / 9)]),
]


@pytest.mark.parametrize(("schedule", "factors"), RATES)
def test_the_schedule_is_the_rate_of_each_step(schedule, factors):
    rates, history = learning_rates(schedule=schedule, lr=0.5)
    assert rates == pytest.approx(0.5 * np.array(factors), abs=1e-14)
    assert history["lr"] == pytest.approx(0.5 * np.array(factors)[2::3], abs=1e-14)


def test_the_default_rate_is_the_optimisers():
    for name, rate in (("sgd", 0.1), ("momentum", 0.01), ("adam", 0.001)):
        assert train(dense(), X, Y, optimiser=name, epochs=1)["lr"] == [rate]


def test_reduce_on_plateau():
    """The loss never falls: the rate halves after every two epochs without a fall."""
    _, history = learning_rates(epochs=7, lr=1.0, schedule="reduce_on_plateau(patience=2)")
    assert history["lr"] == [1, 1, 1, 0.5, 0.5, 0.25, 0.25]


def test_reduce_on_plateau_hears_the_validation_loss():
    """The training loss is constant, the validation loss (targets −1, 0 and so on) falls with the weight."""

    def value(a, y):
        return np.where(y[:, 0] > 5, a[:, 0] + 100.0, 1.0)

    loss = (value, lambda a, y: np.ones_like(a))
    validation = (np.ones((3, 1)), np.full(3, 9.0))
    _, history = learning_rates(7, lr=1.0, schedule="reduce_on_plateau(patience=2)", loss=loss, validation=validation)
    assert history["loss"] == [1.0] * 7
    assert history["lr"] == [1.0] * 7


# Callbacks


class Record(Callback):
    def __init__(self, log, name, every=1):
        self.log, self.name, self.every = log, name, every

    def on_train_begin(self, trainer):
        self.log.append((self.name, "train begin", trainer.epoch, trainer.step))

    def on_epoch_begin(self, trainer):
        self.log.append((self.name, "epoch begin", trainer.epoch, trainer.step))

    def on_batch_end(self, trainer):
        self.log.append((self.name, "batch end", trainer.epoch, trainer.step))

    def on_epoch_end(self, trainer, record):
        self.log.append((self.name, "epoch end", record["epoch"], trainer.step))

    def on_train_end(self, trainer):
        self.log.append((self.name, "train end", trainer.epoch, trainer.step))


def test_the_hooks_in_their_order():
    log = []
    train(dense(), X, Y, epochs=2, batch_size=25, callbacks=[Record(log, "a"), Record(log, "b")])
    a = [
        ("a", "train begin", 0, 0),
        *[("a", "epoch begin", 1, 0), ("a", "batch end", 1, 1), ("a", "batch end", 1, 2), ("a", "epoch end", 1, 2)],
        *[("a", "epoch begin", 2, 2), ("a", "batch end", 2, 3), ("a", "batch end", 2, 4), ("a", "epoch end", 2, 4)],
        ("a", "train end", 2, 4),
    ]
    assert log[::2] == a
    assert log[1::2] == [("b", *rest) for _, *rest in a]


EVERY = [([2], [[2, 4, 5, 7, 9, 10]]), ([99], [[5, 10]]), ([2, 3], [[2, 4, 5, 7, 9, 10], [3, 5, 8, 10]])]


@pytest.mark.parametrize(("every", "steps"), EVERY, ids=str)
def test_on_batch_end_comes_every_so_many_steps_of_an_epoch_and_after_its_last(every, steps):
    log = []
    callbacks = [Record(log, k, every=n) for k, n in enumerate(every)]
    watched, alone = dense(dropout=0.5), dense(dropout=0.5)
    train(watched, X, Y, epochs=2, batch_size=10, callbacks=callbacks)
    for k, expected in enumerate(steps):
        assert [step for name, hook, _, step in log if (name, hook) == (k, "batch end")] == expected
    train(alone, X, Y, epochs=2, batch_size=10)
    assert same_bits(watched, alone)


def test_a_callback_can_add_to_the_record():
    class Add(Callback):
        def on_epoch_end(self, trainer, record):
            record["norm"] = float(np.linalg.norm(trainer.network.layers[0].params["W"]))

    network = dense()
    history = train(network, X, Y, epochs=2, callbacks=[Add()])
    assert len(history["norm"]) == 2
    assert history["norm"][-1] == pytest.approx(np.linalg.norm(network.layers[0].params["W"]))


class Stop(Callback):
    def __init__(self, hook, epoch):
        def stop(trainer, *_):
            if trainer.epoch == epoch:
                trainer.stop("enough", "that will do")

        setattr(self, hook, stop)

    def on_batch_end(self, trainer):  # so that the class has the hook
        pass


STOPS = [("on_epoch_end", 2, 2), ("on_batch_end", 2, 2), ("on_epoch_begin", 3, 3), ("on_train_begin", 0, 0)]


@pytest.mark.parametrize(("hook", "at", "epochs"), STOPS)
def test_a_callback_stops_after_its_epoch(hook, at, epochs):
    log = []
    callbacks = [Stop(hook, at), Record(log, "r", every=1000)]
    history = train(dense(), X, Y, epochs=9, batch_size=10, callbacks=callbacks)
    assert (len(history), history.stop_code, history.stop_reason) == (epochs, "enough", "that will do")
    assert log[-1] == ("r", "train end", epochs, 5 * epochs)


def test_all_epochs_done():
    history = train(dense(), X, Y, epochs=2)
    assert (history.stop_code, history.stop_reason) == ("epochs", "all 2 epochs are done")
    assert history["epoch"] == [1, 2]
    assert history.seconds == sum(history["seconds"]) > 0


@pytest.mark.parametrize("hook", ["on_batch_end", "on_epoch_begin", "on_epoch_end"])
def test_ctrl_c_ends_cleanly(hook):
    def interrupt(self, trainer, *_):
        if trainer.epoch == 3:
            raise KeyboardInterrupt

    log = []
    interrupter = type("Interrupter", (Callback,), {hook: interrupt})()
    network = dense()
    history = train(network, X, Y, epochs=9, callbacks=[interrupter, Record(log, "r")])
    assert (history.stop_code, history.stop_reason) == ("interrupted", "interrupted in epoch 3")
    assert len(history) == (3 if hook == "on_epoch_end" else 2)
    assert log[-1][1] == "train end"
    assert np.isfinite(network(X)).all()


# What is not finite


@pytest.mark.parametrize("device", ["cpu", "torch"])
def test_a_training_that_diverges_names_epoch_and_remedy(device):
    message = r"training diverged in epoch 1, batch \d of 4: z of layer \d is -?inf; a lower learning rate than 1e\+06"
    network = Network.dense([4, 6, 1], "relu")
    with pytest.raises(NotFiniteError, match=message):
        train(network, X, 10 * X[:, :1], optimiser="sgd", lr=1e6, epochs=20, device=device)
    with pytest.raises(ArithmeticError):
        train(network, X, 10 * X[:, :1], optimiser="sgd", lr=1e6, epochs=20, device=device)


# Frozen layers, and networks that go on


@pytest.mark.parametrize("optimiser", ["sgd", "momentum", "adam", "adamw"])
def test_frozen_layers_keep_every_bit_and_the_others_move(optimiser):
    network = dense(4, 8, 6, 3)
    network.freeze([1, 3])
    before = parameter_values(network)
    rules = {"l1": 1e-3, "l2": 1e-2, "weight_decay": 0.01, "max_norm": 0.5, "regularise_biases": True}
    train(network, X, Y, optimiser=optimiser, lr=0.01, epochs=3, **rules)
    for name, theta in network.parameters():
        assert (theta.tobytes() == before[name].tobytes()) is (name[0] in "13"), name


def test_fine_tuning(digits):
    """A layer that was trained on the digits below 5 stays as it is while a new head learns the others."""
    x, y = digits
    low, high = y < 5, y >= 5
    donor, tuned = (dense(64, 32, 5, dtype="float32", seed=seed) for seed in (0, 1))
    train(donor, x[low], y[low], epochs=15, lr=0.01)
    tuned.load_layers(donor, [1])
    tuned.freeze([1])
    few, rest = np.flatnonzero(high)[:100], np.flatnonzero(high)[100:]
    history = train(tuned, x[few], y[few] - 5, epochs=60, lr=0.02, validation=(x[rest], y[rest] - 5))
    assert tuned.layers[0].params["W"].tobytes() == donor.layers[0].params["W"].tobytes()
    assert history["val_accuracy"][-1] > 0.8  # by chance 0.2


def test_training_goes_on_from_where_the_network_is():
    once, twice = dense(), dense()
    config = {"optimiser": "sgd", "lr": 0.1, "batch_size": 50, "shuffle": False}
    train(once, X, Y, epochs=4, **config)
    for _ in range(2):
        train(twice, X, Y, epochs=2, **config)
    assert same_bits(once, twice)


# Weights


WHOLE = {"optimiser": "adam", "lr": 0.01, "epochs": 5, "shuffle": False, "batch_size": 1000}


def test_rows_of_weight_0_have_no_effect():
    kept = np.arange(50) % 3 > 0
    subset, weighted = dense(), dense()
    wild = np.where(kept[:, None], X, 1e3)
    one = train(subset, X[kept], Y[kept], **WHOLE)
    other = train(weighted, wild, Y, sample_weight=kept.astype(float), **WHOLE)
    assert distance(subset, weighted) < 1e-11
    for name in ("loss", "accuracy"):
        assert other[name] == pytest.approx(one[name], rel=1e-12)


@pytest.mark.parametrize(("loss", "y"), [("cross_entropy", Y), ("squared_error", X @ rng().normal(size=(4, 3)))])
def test_weight_2_is_a_row_twice(loss, y):
    repeats = 1 + np.arange(50) % 3
    twice, weighted = dense(), dense()
    one = train(twice, np.repeat(X, repeats, axis=0), np.repeat(y, repeats, axis=0), loss=loss, **WHOLE)
    other = train(weighted, X, y, sample_weight=repeats, loss=loss, **WHOLE)
    assert distance(twice, weighted) < 1e-11
    assert other["loss"] == pytest.approx(one["loss"], rel=1e-12)
    metric = "accuracy" if loss == "cross_entropy" else "r2"
    assert other[metric] == pytest.approx(one[metric], rel=1e-12)


def test_the_scale_of_the_weights_does_not_matter():
    one, other = dense(), dense()
    weight = rng().uniform(0.1, 2, 50)
    train(one, X, Y, sample_weight=weight, **WHOLE)
    train(other, X, Y, sample_weight=weight * 64, **WHOLE)
    assert distance(one, other) < 1e-12


RARE = np.where(np.arange(50) % 10, 0, 1)

CLASS_WEIGHTS = [
    ("balanced", np.where(RARE == 1, 50 / (2 * 5), 50 / (2 * 45)), None),
    ({0: 1, 1: 7}, np.where(RARE == 1, 7.0, 1.0), None),
    ({1: 0.5}, np.where(RARE == 1, 0.5, 1.0), None),
    ("balanced", np.where(RARE == 1, 5.0, 50 / 90) * (1 + np.arange(50)), 1.0 + np.arange(50)),
]


@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize(("class_weight", "sample_weight", "own"), CLASS_WEIGHTS, ids=str)
def test_class_weights_are_sample_weights(class_weight, sample_weight, own, one_hot):
    by_class, by_sample = dense(4, 6, 2), dense(4, 6, 2)
    y = np.eye(2)[RARE] if one_hot else RARE
    config = {"loss": "cross_entropy"} | WHOLE
    train(by_class, X, y, class_weight=class_weight, sample_weight=own, **config)
    train(by_sample, X, y, sample_weight=sample_weight, **config)
    assert distance(by_class, by_sample) < 1e-12
    assert balanced_weights(RARE) == {0: 50 / 90, 1: 5.0}


# Validation


def test_a_share_is_held_out_by_class_and_never_trained_on():
    rows = np.arange(200)
    x, y = np.column_stack([rows / 200, np.ones(200)]), np.repeat([0, 1, 2], [100, 60, 40])
    seen = {"train": set()}

    class Watch(Callback):
        def on_train_begin(self, trainer):
            held = trainer.validation
            seen["held"] = set(np.round(held.x[:, 0] * 200).astype(int).tolist())
            seen["counts"] = np.bincount(held.y).tolist()

    class Spy(type(glassnet.losses.loss("cross_entropy"))):
        def gradient(self, a, y, weight=None):
            seen["train"] |= set(np.round(weight).astype(int).tolist())
            return super().gradient(a, y, weight)

    network = dense(2, 3, 3)
    history = train(network, x, y, sample_weight=rows + 1.0, loss=Spy(), validation=0.2, epochs=2, callbacks=[Watch()])
    assert seen["counts"] == [20, 12, 8]
    assert len(seen["held"]) == 40
    assert seen["train"] == {row + 1 for row in range(200) if row not in seen["held"]}
    assert len(history["val_loss"]) == 2


def test_the_share_follows_the_seed():
    held = []

    class Watch(Callback):
        def on_train_begin(self, trainer):
            held.append(trainer.validation.x.tobytes())

    for seed in (1, 1, 2):
        train(dense(), X, Y, validation=0.3, seed=seed, epochs=1, callbacks=[Watch()])
    assert held[0] == held[1] != held[2]


@pytest.mark.parametrize("form", [tuple, list])
def test_a_validation_set_of_ones_own(form):
    x, y, weight = rng().normal(size=(20, 4)), rng().integers(0, 3, 20), rng().uniform(size=20)
    network = dense()
    history = train(network, X, Y, epochs=2, validation=form((x, y, weight)))
    output = network(x)
    terms = np.log(np.exp(output).sum(axis=1)) - output[np.arange(20), y]
    assert history["val_loss"][-1] == pytest.approx(np.average(terms, weights=weight), rel=1e-12)
    hits = output.argmax(axis=1) == y
    assert history["val_accuracy"][-1] == pytest.approx(np.average(hits, weights=weight), rel=1e-12)
    unweighted = train(dense(), X, Y, epochs=2, validation=form((x, y)))
    assert unweighted["val_accuracy"][-1] == pytest.approx(hits.mean(), rel=1e-12)


def test_the_validation_set_does_not_change_the_training():
    with_one, without = dense(dropout=0.5), dense(dropout=0.5)
    train(with_one, X, Y, epochs=3, validation=(X[:7], Y[:7]))
    train(without, X, Y, epochs=3)
    assert same_bits(with_one, without)


# Figures


def test_figures_after_the_epoch_are_those_of_the_network():
    network = dense(dropout=0.5)
    history = train(network, X, Y, epochs=3, train_figures="after")
    output = network(X)
    terms = np.log(np.exp(output).sum(axis=1)) - output[np.arange(50), Y]
    assert history["loss"][-1] == pytest.approx(terms.mean(), rel=1e-12)
    assert history["accuracy"][-1] == pytest.approx((output.argmax(axis=1) == Y).mean())
    running = train(dense(dropout=0.5), X, Y, epochs=3)
    assert running["loss"] != history["loss"]


@pytest.mark.parametrize("device", ["cpu", "torch"])
@pytest.mark.parametrize(("dtype", "rel"), [("float32", 1e-3), ("float64", 1e-9)])
def test_r2_is_scikit_learns_also_far_from_zero(dtype, rel, device):
    y = 1000 + X @ rng().normal(size=(4, 2)) + 0.1 * rng().normal(size=(50, 2))
    weight = rng().uniform(0.5, 2, 50)
    network = dense(4, 8, 2, dtype=dtype, bias=0.0)
    network.layers[-1].params["b"][...] = 1000
    history = train(
        network, X, y, sample_weight=weight, epochs=20, lr=0.01, train_figures="after", batch_size=16, device=device
    )
    expected = r2_score(y, network(X), sample_weight=weight)
    assert 0.3 < expected < 1
    assert history["r2"][-1] == pytest.approx(expected, rel=rel)


def test_many_labels():
    y = (X[:, :3] > 0).astype(int)
    network = dense(4, 12, 3)
    history = train(network, X, y, loss="binary_cross_entropy", epochs=200, lr=0.02, train_figures="after")
    right = ((network(X) > 0) == y).all(axis=1)
    assert history["accuracy"][-1] == right.mean() > 0.9


def test_counts():
    rate = np.exp(1 + X[:, :1])
    y = np.random.default_rng(0).poisson(rate)
    network = dense(4, 8, 1)
    history = train(network, X, y, loss="poisson", epochs=300, lr=0.02, train_figures="after")
    assert history["r2"][-1] == pytest.approx(r2_score(y, np.exp(network(X))), rel=1e-9)
    assert history["r2"][-1] > 0.8


def test_penalties_are_shown_and_are_not_part_of_the_loss():
    network = dense()
    history = train(network, X, Y, l1=0.01, l2=0.02, epochs=2, train_figures="after")
    weights = [layer.params["W"] for layer in network.layers]
    penalty = sum(0.01 * np.abs(W).sum() + 0.5 * 0.02 * (W**2).sum() for W in weights)
    assert history["penalty"][-1] == pytest.approx(penalty, rel=1e-12)
    value, _ = glassnet.backprop(network, "cross_entropy", X, Y)
    assert history["loss"][-1] == pytest.approx(float(value), rel=1e-12)
    assert "penalty" not in train(dense(), X, Y, epochs=1).epochs[0]


NOT_CLASSES = ["squared_error", "absolute_error", "huber", "binary_cross_entropy", "log_loss", "poisson"]


@pytest.mark.parametrize("loss", NOT_CLASSES)
@pytest.mark.parametrize("weight", [None, 1.0 + np.arange(50)], ids=["equal", "weighted"])
def test_class_indices_stand_for_one_hot_rows_under_every_loss(loss, weight):
    output = "softmax" if loss == "log_loss" else "identity"
    by_index, by_row = dense(output=output), dense(output=output)
    config = {"loss": loss, "epochs": 2, "train_figures": "after", "sample_weight": weight, "validation": (X, Y)}
    history = train(by_index, X, Y, **config)
    train(by_row, X, np.eye(3)[Y], **config)
    assert distance(by_index, by_row) < 1e-14
    accuracy = np.average(by_index(X).argmax(axis=1) == Y, weights=weight)
    assert history["accuracy"][-1] == pytest.approx(accuracy, rel=1e-12)


# The history


def test_a_history_goes_through_json_lines():
    history = train(dense(), X, Y, epochs=3, validation=0.2, l2=0.1, early_stopping="patience9")
    text = history.to_jsonl()
    assert len(text.splitlines()) == 4
    assert History.from_jsonl(text) == history
    assert history.best_epoch is not None
    unfinished = History.from_jsonl("\n".join(text.splitlines()[:2]))
    assert (unfinished.epochs, unfinished.stop_code) == (history.epochs[:2], "")
    assert History.from_jsonl("") == History()


def test_a_history_keeps_every_digit_and_what_is_not_finite():
    history = History(
        [{"epoch": 1, "loss": 0.1 + 0.2, "r2": float("nan"), "val_loss": math.inf, "seconds": 0.0}], "为何"
    )
    back = History.from_jsonl(history.to_jsonl())
    assert "为何" in history.to_jsonl()
    assert (back["loss"], back["val_loss"], back.stop_reason) == ([0.1 + 0.2], [math.inf], "为何")
    assert math.isnan(back["r2"][0])


def test_a_history_is_a_sequence_of_records():
    history = History([{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0, "val_loss": 3.0}])
    assert [record["epoch"] for record in history] == [1, 2]
    assert (history["loss"], history["val_loss"]) == ([2.0, 1.0], [3.0])


# Refusals


def test_softmax_before_a_loss_that_has_its_own_is_warned_of():
    with pytest.warns(GlassnetWarning, match="ends in softmax, but the loss 'cross_entropy' takes net inputs"):
        train(dense(output="softmax"), X, Y, loss="cross_entropy", epochs=1)


def test_softmax_with_log_loss_is_what_auto_takes_and_the_same_as_logits_with_cross_entropy():
    logits, softmax = dense(), dense(output="softmax")
    train(logits, X, Y, epochs=3)
    train(softmax, X, Y, epochs=3)
    assert distance(logits, softmax) < 1e-9


def test_a_trainer_cannot_choose_a_loss():
    with pytest.raises(ConfigError, match="a trainer needs a loss"):
        Trainer(dense(), TrainingConfig.make())


def put(array, index, value):
    copy = np.array(array, dtype=float)
    copy[index] = value
    return copy


BINARY = {"loss": "binary_cross_entropy"}
LABELS = np.eye(3)[Y]

REFUSED = [
    (X[:, :3], Y, {}, ShapeError, r"x must have the shape \(N, 4\), not \(50, 3\)"),
    (X[0], Y, {}, ShapeError, r"x must have the shape \(N, 4\), not \(4,\)"),
    (X[:0], Y[:0], {}, DataError, "there are no rows"),
    (X[:0], Y[:0], {"validation": 0.5}, DataError, "there are no rows"),
    (X, Y[:49], {}, ShapeError, "50 rows of x but 49 of y"),
    (X, X[:49, :3], {"validation": 0.2}, ShapeError, "50 rows of x but 49 of y"),
    (X, np.concatenate([X, X])[:, :3], {"validation": 0.2}, ShapeError, "50 rows of x but 100 of y"),
    (put(X, (7, 2), np.nan), Y, {}, DataError, r"x holds nan at \(7, 2\)"),
    (put(X, (7, 2), np.nan), Y, {"validation": 0.5}, DataError, r"x holds nan at \(7, 2\)"),
    (put(X, (0, 0), -np.inf), Y, {}, DataError, r"x holds -inf at \(0, 0\)"),
    (X, put(X[:, :3], (49, 1), np.inf), {}, DataError, r"y holds inf at \(49, 1\)"),
    (X, put(Y, 5, np.nan), {"loss": "cross_entropy"}, DataError, r"y holds nan at \(5,\)"),
    (X.astype(str), Y, {}, DataError, "x must hold real numbers, not <U"),
    (X * 1j, Y, {}, DataError, "x must hold real numbers, not complex"),
    (X.astype(object) + 1j, Y, {}, DataError, "x must hold real numbers, not object"),
    (X, np.array(["cat", "dog"] * 25), {}, DataError, "y must hold real numbers, not <U3"),
    (X, put(Y, 3, 3).astype(int), {}, InputError, "class indices must be 0 to 2 for 3 outputs; they go from 0 to 3"),
    (X, put(Y, 3, -1).astype(int), {}, InputError, "they go from -1 to 2"),
    (X, put(Y, 3, 0.5), {"loss": "cross_entropy"}, InputError, "class indices must be whole numbers"),
    (X, X[:, 0], {"loss": "squared_error"}, InputError, "class indices must be whole numbers"),
    (X, X[:, :2], {}, ShapeError, r"y must have the shape \(50, 3\) for the loss 'squared_error', not \(50, 2\)"),
    (X, put(LABELS, (2, 1), 1.2), BINARY, DataError, "needs targets from 0 to 1"),
    (X, put(LABELS, (2, 1), -0.1), BINARY, DataError, "needs targets from 0 to 1"),
    (X, put(LABELS, (2, 1), -1), {"loss": "poisson"}, DataError, "needs counts, 0 or above"),
    (X, X[:, :3], {"class_weight": "balanced"}, ConfigError, "class weights need classes, but the targets are numbers"),
    (X, Y, {"class_weight": "balancd"}, ConfigError, "class_weight is 'balanced' or weights by class, not 'balancd'"),
    (X, Y, {"class_weight": 3}, ConfigError, "class_weight is 'balanced' or weights by class, not 3"),
    (X, Y, {"class_weight": {0: -1}}, ConfigError, "class weights must be finite and not negative"),
    (X, Y, {"class_weight": {0: 0, 1: 0, 2: 0}}, DataError, "not all be 0"),
    (X, Y, {"sample_weight": put(np.ones(50), 9, -1)}, DataError, "sample weights must not be negative"),
    (X, Y, {"sample_weight": np.zeros(50)}, DataError, "not all be 0"),
    (X, Y, {"sample_weight": put(np.ones(50), 9, np.nan)}, DataError, r"weight holds nan at \(9,\)"),
    (X, Y, {"sample_weight": np.ones(49)}, ShapeError, r"sample weights must have the shape \(50,\), not \(49,\)"),
    (X, Y, {"sample_weight": np.ones(60), "validation": 0.2}, ShapeError, r"shape \(50,\), not \(60,\)"),
    (X, Y, {"sample_weight": np.ones((50, 1)), "class_weight": "balanced"}, ShapeError, r"not \(50, 1\)"),
    (X, Y, {"validation": (X[:, :2], Y)}, ShapeError, r"x must have the shape \(N, 4\), not \(50, 2\)"),
    (X, Y, {"validation": (X, Y + 3)}, InputError, "class indices must be 0 to 2"),
    (X, Y, {"validation": (X[:0], Y[:0])}, DataError, "there are no rows"),
    (X, Y, {"validation": (X,)}, DataError, r"validation is a share of the rows, or \(x, y\)"),
    (X, Y, {"validation": 1.0}, DataError, "between 0 and 1, not 1.0"),
    (X, Y, {"validation": 0.001}, DataError, "leaves no row on one side"),
    (X, Y, {"epoch": 3}, ConfigError, "unknown option 'epoch'; the options here are: .*epochs, shuffle"),
    (X, Y, {"lr": -1}, ConfigError, "bad value for 'lr': -1"),
    (X, Y, {"loss": "cross entropy"}, ConfigError, "unknown loss 'cross entropy'.*Did you mean 'cross_entropy'"),
    (X, Y, {"optimiser": "adan"}, ConfigError, "unknown optimiser 'adan'.*Did you mean 'adam'"),
    (X, Y, {"optimiser": glassnet.optimisers.SGD}, ConfigError, "cannot use .*SGD.* as the optimiser"),
    (X, Y, {"schedule": "cosin"}, ConfigError, "unknown schedule 'cosin'"),
    (X, Y, {"early_stopping": True, "validation": 0.2}, ConfigError, "cannot use True as the early stopping criterion"),
    (X, Y, {"weight_decay": 1.0}, ConfigError, "weight_decay is a share of W per step and must be below 1"),
    (X, Y, {"device": None}, ConfigError, "bad value for 'device': None"),
]


@pytest.mark.parametrize(("x", "y", "config", "error", "message"), REFUSED, ids=[case[4][:40] for case in REFUSED])
def test_what_is_refused_and_how_and_that_nothing_has_changed(x, y, config, error, message):
    network = dense()
    before = network.copy()
    with pytest.raises(error, match=message):
        train(network, x, y, **config)
    assert same_bits(network, before)


FORMS = [
    ("lists", X.tolist(), Y.tolist()),
    ("float32", X.astype(np.float32).astype(float), Y.astype(np.uint8)),
    ("column order", np.asfortranarray(X), Y),
    ("strided", np.repeat(X, 2, axis=0)[::2], np.repeat(Y, 2)[::2]),
    ("tensors", torch.tensor(X), torch.tensor(Y)),
    ("objects", X.astype(object), Y),
    ("read only", np.frombuffer(X.tobytes()).reshape(50, 4), Y),
]


@pytest.mark.parametrize("device", ["cpu", "torch"])
@pytest.mark.parametrize(("x", "y"), [form[1:] for form in FORMS], ids=[form[0] for form in FORMS])
def test_x_and_y_in_many_forms(x, y, device):
    one, other = dense(), dense()
    train(one, X.astype(np.float32).astype(float) if x is FORMS[1][1] else X, Y, epochs=1)
    train(other, x, y, epochs=1, device=device)
    assert distance(one, other) < 1e-12


def test_what_the_caller_gave_is_not_changed():
    x, y, weight = X.copy(), Y.copy(), np.ones(50)
    for device in ("cpu", "torch"):
        train(dense(input_dropout=0.5), x, y, sample_weight=weight, class_weight="balanced", epochs=2, device=device)
    assert (x == X).all()
    assert (y == Y).all()
    assert (weight == 1).all()


# Going on, and training on some rows


@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("optimiser", ["sgd", "momentum", "adam"])
def test_a_second_trainer_goes_on_where_the_first_ended(engine: str, optimiser: str):
    x, y = np.random.default_rng(0).normal(size=(50, 4)), np.random.default_rng(1).integers(0, 3, 50)
    config = {"loss": "cross_entropy", "optimiser": optimiser, "batch_size": 8, "engine": engine, "seed": 5}

    def network() -> Network:
        return Network.dense([4, 6, 3], dropout=0.3, dtype="float64", seed=2)

    whole, halves = network(), network()
    Trainer(whole, TrainingConfig(epochs=4, **config)).fit(Examples(x, y))
    first = Trainer(halves, TrainingConfig(epochs=2, **config))
    first.fit(Examples(x, y))
    second = Trainer(halves, TrainingConfig(epochs=2, **config), first_epoch=2, memory=first.updater.state())
    second.fit(Examples(x, y))
    for name, theta in whole.parameters():
        np.testing.assert_array_equal(dict(halves.parameters())[name], theta)
    assert (second.updater.t, second.epoch) == (4 * 7, 2)


@pytest.mark.parametrize("figures", ["running", "after"])
@pytest.mark.parametrize("engine", ["native", "reference"])
def test_some_rows_are_trained_as_if_they_were_all(engine: str, figures: str):
    rng = np.random.default_rng(0)
    x, y, weight = rng.normal(size=(50, 4)), rng.normal(size=(50, 2)), rng.uniform(0.5, 2, 50)
    rows = rng.permutation(50)[:30]
    config = TrainingConfig(
        loss="squared_error", epochs=3, batch_size=8, l2=0.1, alpha=0.2, engine=engine, train_figures=figures
    )
    histories, networks = [], [Network.dense([4, 6, 2], dtype="float64", seed=2) for _ in range(2)]
    histories.append(Trainer(networks[0], config).fit(Examples(x, y, weight), rows=rows))
    histories.append(Trainer(networks[1], config).fit(Examples(x, y, weight).take(rows)))
    for (_, one), (_, other) in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        np.testing.assert_array_equal(one, other)
    for figure in ("loss", "r2", "penalty"):
        np.testing.assert_allclose(histories[0][figure], histories[1][figure], rtol=1e-12)
