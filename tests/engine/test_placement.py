"""The native engine at its borders: the form in which it takes examples, and when it shares what it has learned."""

import os
import signal
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.metrics import r2_score

import glassnet
from glassnet import Network
from glassnet.config import TrainingConfig
from glassnet.data.examples import Examples
from glassnet.engine import NativeEngine, devices
from glassnet.engine import native as module
from glassnet.errors import ConfigError
from glassnet.layers import Dense
from glassnet.losses import loss as make_loss
from glassnet.network import parameter_values
from glassnet.optimisers import OPTIMISERS, Updater
from glassnet.training import Callback, Trainer

pytestmark = pytest.mark.usefixtures("native")

RNG = np.random.default_rng(1)
X = RNG.normal(size=(60, 8))
HOLES = X * (RNG.random(X.shape) < 0.2)
Y = RNG.integers(0, 3, 60)


def dense(*sizes, dtype="float64", **options):
    return Network.dense(sizes or (8, 6, 3), "tanh", dtype=dtype, **options)


def engine(network=None, loss="cross_entropy", optimiser="sgd", **options):
    return NativeEngine(
        network or dense(dtype="float32"), make_loss(loss), Updater(OPTIMISERS.make(optimiser)), "cpu", **options
    )


def train(network, x=X, y=Y, **config):
    return glassnet.train(network, x, y, **({"engine": "native", "device": "cpu", "threads": 1, "epochs": 3} | config))


def distance(one, other):
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return max(np.abs(a - b).max() / np.abs(b).max() for (_, a), (_, b) in pairs)


# Placing


KEPT = [np.uint8, np.float32, np.float64]


@pytest.mark.parametrize("dtype", KEPT)
def test_what_can_be_read_stays_where_it_is(dtype):
    x = np.ones((5, 8), dtype)
    assert engine().place(Examples(x, np.zeros(5))).x is x


CONVERTED = [
    np.ones((5, 8), np.int64),
    np.ones((5, 8), bool),
    np.ones((5, 8), ">f4"),
    np.ones((5, 8), np.float16),
    np.ones((8, 5), np.float32).T,
    np.ones((10, 8), np.float32)[::2],
    np.frombuffer(b"\0" + np.ones(40, np.float32).tobytes(), np.float32, offset=1).reshape(5, 8),
]


@pytest.mark.parametrize("x", CONVERTED, ids=["int64", "bool", "big-endian", "float16", "transposed", "strided", "odd"])
def test_other_rows_are_converted_once(x):
    placed = engine().place(Examples(x, np.zeros(5))).x
    assert placed.dtype == np.float32
    assert placed.flags.c_contiguous
    assert placed.flags.aligned
    assert (placed == 1).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_targets_and_weights(dtype):
    placed = engine(dense(dtype=dtype)).place(Examples(X, Y.astype(np.uint8), np.ones(60, np.float16)))
    assert (placed.y.dtype, placed.weight.dtype) == (np.int64, dtype)
    placed = engine(dense(8, 2, dtype=dtype), "squared_error").place(Examples(X, np.ones((60, 2), int, order="F")))
    assert (placed.y.dtype, placed.y.flags.c_contiguous) == (dtype, True)


def share(filled, rows=40, columns=100):
    """Rows of which the share ``filled`` of the entries is not zero."""
    x = np.zeros((rows, columns))
    x[:, : round(filled * columns)] = 3.0
    return x


@pytest.mark.parametrize(("filled", "zeros"), [(0, True), (0.2, True), (0.35, True), (0.36, False), (1, False)])
def test_what_is_mostly_zeros(filled, zeros):
    assert module.mostly_zeros(share(filled)) is zeros


def test_the_sample_is_spread_over_all_rows():
    """Of 100,000 rows the first half is empty, and the whole is half full."""
    x = np.concatenate([np.zeros((50_000, 4), np.uint8), np.ones((50_000, 4), np.uint8)])
    assert not module.mostly_zeros(x)


def entries(csr):
    return SimpleNamespace(rows=csr.rows, columns=csr.columns, nnz=csr.nnz)


@pytest.mark.parametrize("first", [HOLES, csr_array(HOLES)], ids=["dense", "CSR"])
@pytest.mark.parametrize("later", [X[:20], csr_array(X[:20])], ids=["dense", "CSR"])
def test_of_sparse_rows_the_later_ones_are_compressed_too(first, later):
    used = engine()
    placed = used.place(Examples(first, Y)).x
    assert entries(placed) == SimpleNamespace(rows=60, columns=8, nnz=np.count_nonzero(HOLES))
    assert entries(used.place(Examples(later, Y[:20])).x).nnz == 160


@pytest.mark.parametrize("later", [HOLES, csr_array(HOLES), csr_array(HOLES.astype(int))])
def test_of_dense_rows_the_later_ones_are_dense_too(later):
    used = engine()
    used.place(Examples(X, Y))
    placed = used.place(Examples(later, Y)).x
    assert isinstance(placed, np.ndarray)
    assert np.allclose(placed, later.astype(float).toarray() if later is not HOLES else later)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64, bool])
def test_csr_of_any_numbers(dtype):
    x = (HOLES * 10).astype(dtype)
    ends = [dense(), dense()]
    for network, rows in zip(ends, (x, csr_array(x)), strict=True):
        train(network, rows)
    assert distance(*ends) == 0


# Training


def test_the_network_changes_when_it_is_synchronised_and_not_before():
    network = dense()
    used = engine(network, optimiser="adam")
    placed = used.place(Examples(X, Y))
    before = parameter_values(network)
    used.train(placed, np.arange(60), first=0, epoch=0, batch_size=20, lrs=np.full(3, 0.1))
    assert used.updater.t == 3
    assert all((theta == before[name]).all() for name, theta in network.parameters())
    used.sync()
    assert not any((theta == before[name]).all() for name, theta in network.parameters())
    assert {key: set(slots) for key, slots in used.updater.slots.items()} == {
        name: {"mean", "square"} for name in before
    }
    assert all(slot.any() for slots in used.updater.slots.values() for slot in slots.values())


def test_a_state_of_the_updater_is_taken_up():
    """Four steps, and two of the reference engine that the native one goes on from, are the same."""
    ends = []
    for engines in (("reference",), ("native",), ("reference", "native"), ("native", "reference")):
        network, updater = dense(), Updater(OPTIMISERS.make("adam"))
        for k, name in enumerate(engines):
            used = glassnet.training.trainer.choose(network, make_loss("cross_entropy"), updater, "cpu", name).engine(
                network, make_loss("cross_entropy"), updater, "cpu"
            )
            placed, steps = used.place(Examples(X, Y)), 4 // len(engines)
            lrs = np.full(steps, 0.1)
            used.train(placed, np.arange(60), first=k * steps * 15, epoch=0, batch_size=15, lrs=lrs)
            used.sync()
        ends.append(network)
    assert all(distance(ends[0], other) < 1e-12 for other in ends[1:])


class Meddler(Callback):
    """Changes what it can between the epochs."""

    def on_epoch_end(self, trainer, record):
        trainer.network.layer(1).params["W"][0] = 0.25
        if record["epoch"] == 1:
            trainer.network.freeze(1)
        if record["epoch"] == 2:
            trainer.network.freeze([])
            trainer.network.layers[0].keep = 0.9


def test_what_a_callback_changes_is_trained_on():
    ends = []
    for name in ("reference", "native"):
        network = dense(input_dropout=0.4)
        history = train(network, engine=name, epochs=4, callbacks=[Meddler()], validation=(X, Y), train_figures="after")
        ends.append((network, history))
    assert distance(ends[0][0], ends[1][0]) < 1e-9
    for figure in ("loss", "val_loss", "accuracy"):
        assert ends[0][1][figure] == pytest.approx(ends[1][1][figure], rel=1e-9)


class Watch(Callback):
    def __init__(self):
        self.seen = []

    def on_batch_end(self, trainer):
        trainer.engine.sync()
        self.seen.append(trainer.network.layer(1).params["W"].copy())


def test_a_callback_sees_every_step():
    watch, alone, watched = Watch(), dense(dtype="float32"), dense(dtype="float32")
    for network, callbacks in ((alone, []), (watched, [watch])):
        train(network, epochs=2, batch_size=10, optimiser="adam", callbacks=callbacks)
    assert len(watch.seen) == 12
    assert len(np.unique([W.tobytes() for W in watch.seen])) == 12
    assert distance(alone, watched) == 0


def test_parameters_in_any_order():
    ends = []
    for order in "CF":
        layers = [Dense(np.asarray(layer.params["W"], order=order), layer.params["b"]) for layer in dense().layers]
        ends.append(Network(layers))
        train(ends[-1], optimiser="momentum", lr=0.1)
    assert ends[1].layer(1).params["W"].flags.f_contiguous
    assert distance(*ends) == 0


@pytest.fixture
def interruptible():
    """SIGINT raises, also where the shell that started the tests ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interruption_keeps_the_steps_that_were_made(interruptible):
    network = dense(8, 300, 300, 3)
    trainer = Trainer(network, TrainingConfig(loss="cross_entropy", engine="native", epochs=10_000, batch_size=1))
    before = parameter_values(network)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    history = trainer.fit(Examples(np.tile(X, (1000, 1)), np.tile(Y, 1000)))
    timer.join()
    assert history.stop_code == "interrupted"
    assert 0 < trainer.updater.t < 60_000
    assert not any((theta == before[name]).all() for name, theta in network.parameters())
    assert all(np.isfinite(theta).all() for _, theta in network.parameters())


# Figures


class Bootstrap(Trainer):
    """Rows drawn with replacement, some of them and not all."""

    def order(self, n):
        return np.random.default_rng(self.epoch).integers(0, n // 2, n)


@pytest.mark.parametrize("kind", [Trainer, Bootstrap])
@pytest.mark.parametrize("weight", [None, RNG.random(60)], ids=["alike", "weighted"])
@pytest.mark.parametrize("every", [1, 3, 100])
def test_figures_of_numbers(kind, weight, every):
    histories = []
    listener = Watch()
    listener.every = every
    y = 1000 + X @ RNG.normal(size=(8, 2))
    for name in ("reference", "native"):
        config = TrainingConfig(loss="squared_error", engine=name, epochs=3, batch_size=16, threads=1)
        trainer = kind(dense(8, 5, 2), config, [listener])
        histories.append(trainer.fit(Examples(X, y, weight), Examples(X[:30], y[:30])))
    for figure in ("loss", "r2", "val_loss", "val_r2"):
        assert histories[0][figure] == pytest.approx(histories[1][figure], rel=1e-9)


def test_r2_is_scikit_learns():
    network, y = dense(8, 2), X[:, :2] * [1.0, 50.0]
    history = train(network, X, y, loss="squared_error", train_figures="after", epochs=2)
    assert history["r2"][-1] == pytest.approx(r2_score(y, network.forward(X)), rel=1e-9)


def test_moments_of_many_rows():
    y = 1e6 + RNG.normal(size=(10_001, 3))
    w = RNG.random(10_001)
    used = engine(dense(8, 3), "squared_error")
    moments = used.place(Examples(np.ones((10_001, 8)), y, w)).moments
    mean = np.average(y, axis=0, weights=w)
    assert moments.mean == pytest.approx(mean, rel=1e-14)
    assert moments.spread == pytest.approx(w @ np.square(y - mean), rel=1e-9)


def test_targets_too_large_to_be_squared():
    """As under the reference engine: R² says nothing, and nobody is warned."""
    y = np.where(X[:, :2] > 0, 1e200, -1e200)
    for name in ("reference", "native"):
        history = train(dense(8, 2), X, y, loss="absolute_error", engine=name, epochs=1)
        assert np.isnan(history["r2"][0])


# How it computes


def test_an_instruction_set_that_is_not_there(monkeypatch):
    monkeypatch.setenv("GLASSNET_NATIVE_ISA", "mmx")
    with pytest.raises(ConfigError, match=r"GLASSNET_NATIVE_ISA is 'mmx'; this machine has: .*portable"):
        train(dense())


def test_an_instruction_set_can_be_forced(isa):
    assert train(dense()).engine == f"native ({isa}, 1 thread, exact)"


@pytest.mark.parametrize(("asked", "used"), [(1, 1), (2, 2), (3, 3), (10_000, 3), (None, 3)])
def test_never_more_threads_than_cores(monkeypatch, asked, used):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(devices, "available_cores", lambda: 3)
    with engine(threads=asked).limited() as threads:
        assert threads == used


PRECISIONS = [
    ("exact", "float32", "exact"),
    ("auto", "float32", module.AUTO_PRECISION),
    ("fast", "float32", "fast"),
    ("fast", "float64", "exact: the network is float64"),
]


@pytest.mark.parametrize(("asked", "dtype", "text"), PRECISIONS)
def test_precision(monkeypatch, asked, dtype, text):
    monkeypatch.setenv("GLASSNET_NATIVE_BF16", "1")
    monkeypatch.setenv("GLASSNET_NATIVE_ISA", "portable")
    assert train(dense(dtype=dtype), precision=asked).engine == f"native (portable, 1 thread, {text})"


def test_fast_without_bfloat16_is_exact(monkeypatch):
    monkeypatch.delenv("GLASSNET_NATIVE_BF16", raising=False)
    monkeypatch.setenv("GLASSNET_NATIVE_ISA", "portable")
    networks = [dense(dtype="float32"), dense(dtype="float32")]
    texts = [train(network, precision=name).engine for network, name in zip(networks, ("exact", "fast"), strict=True)]
    assert texts[1] == "native (portable, 1 thread, exact: the processor has no bfloat16 instructions)"
    assert distance(*networks) == 0


def test_fast_is_another_path_to_nearly_the_same(monkeypatch):
    monkeypatch.setenv("GLASSNET_NATIVE_BF16", "1")
    networks = [dense(dtype="float32"), dense(dtype="float32")]
    for network, name in zip(networks, ("exact", "fast"), strict=True):
        train(network, precision=name, optimiser="sgd", lr=0.1)
    assert 0 < distance(*networks) < 0.05
