"""Around the native engine: interruptions, bad numbers, arrays of any form, sizes at the limits, processes, memory."""

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import coo_array, csc_array, csr_array, csr_matrix

import glassnet
from glassnet import Network
from glassnet.config import TrainingConfig
from glassnet.data.examples import Examples
from glassnet.errors import DataError, NotFiniteError
from glassnet.layers import Dropout
from glassnet.network import parameter_values
from glassnet.training import Trainer

pytestmark = pytest.mark.usefixtures("four_cores")

RNG = np.random.default_rng(4)
X = RNG.normal(size=(60, 8))
HOLES = X * (RNG.random(X.shape) < 0.2)
Y = RNG.integers(0, 3, 60)
WEIGHT = RNG.random(60)


def dense(*sizes, dtype="float64", **options):
    return Network.dense(sizes or (8, 6, 3), "tanh", dtype=dtype, **options)


def train(network, x=X, y=Y, **config):
    return glassnet.train(network, x, y, **({"engine": "native", "device": "cpu", "threads": 2, "epochs": 2} | config))


def bits(network):
    return b"".join(theta.tobytes() for _, theta in network.parameters())


def start(code, *arguments):
    """Another process that runs this, with its output to be read."""
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)


# Interruptions

INTERRUPTED = """
import json, sys
import numpy as np
import glassnet
from glassnet.training import Callback

class Tell(Callback):
    def on_epoch_begin(self, trainer):
        print("epoch", flush=True)

where, dtype = sys.argv[1:]
rng = np.random.default_rng(0)
rows = 128 if where == "evaluation" else 50_000
x, y = rng.normal(size=(rows, 64)).astype(dtype), rng.integers(0, 10, rows)
sizes, batch, config = [64, 512, 512, 10], 128, {}
if where == "small steps":
    x = np.repeat(x, 8, axis=1) * (rng.random((rows, 512)) < 0.1)
    sizes, batch, config = [512, 60, 10], 10, {"optimiser": "sgd"}
many = np.zeros((500_000, 64), np.uint8), np.zeros(500_000, np.int64)
network = glassnet.Network.dense(sizes, dtype=dtype)
history = glassnet.train(
    network, x, y, validation=many if where == "evaluation" else None, epochs=10_000, batch_size=batch, lr=1e-6,
    engine="native", device="cpu", threads=2, callbacks=[Tell()], **config,
)
finite = all(np.isfinite(theta).all() for _, theta in network.parameters())
outputs = np.isfinite(network(x[:5])).all()
print(json.dumps([history.stop_code, bool(finite), bool(outputs)]), flush=True)
"""


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("where", ["training", "small steps", "evaluation"])
def test_an_interruption_ends_training_at_once(where, dtype):
    """At once at least in one of three runs: another process may have taken the processor."""
    delays = []
    while not delays or (min(delays) > 0.3 and len(delays) < 3):
        with start(INTERRUPTED, where, dtype) as process:
            assert process.stdout.readline() == "epoch\n"
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            sent = time.perf_counter()
            while (line := process.stdout.readline()) == "epoch\n":
                pass
            delays.append(time.perf_counter() - sent)
        assert json.loads(line) == ["interrupted", True, True]
        assert process.returncode == 0
    assert min(delays) < 0.3


def test_an_interrupted_command_stores_its_run_and_ends_well(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("a,b,y\n" + "".join(f"{a},{b},{'no' if a * b < 0 else 'yes'}\n" for a, b in X[:, :2]))
    options = ["--engine", "native", "--epochs", "1000000", "--early-stopping", "none", "--out", str(tmp_path / "run")]
    command = [sys.executable, "-m", "glassnet", "train", str(table), "--json", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        next(line for line in process.stdout if json.loads(line)["event"] == "epoch")
        process.send_signal(signal.SIGINT)
        last = json.loads(process.stdout.read().splitlines()[-1])
    assert (process.returncode, last["stop_code"]) == (0, "interrupted")
    assert (tmp_path / "run" / "model.safetensors").exists()


# Bad numbers


def put(array, index, value):
    array = array.astype(float)
    array[index] = value
    return array


BAD = [
    (put(X, (9, 2), np.nan), Y, None, r"x holds nan at \(9, 2\)"),
    (put(X, (9, 2), -np.inf), Y, None, r"x holds -inf at \(9, 2\)"),
    (put(X, (9, 2), 1e39), Y, None, r"x holds 1e\+39 at \(9, 2\)"),
    (csr_array(put(HOLES, (9, 2), np.nan)), Y, None, "x holds nan"),
    (csr_array(put(HOLES, (9, 2), np.inf)), Y, None, "x holds inf"),
    (X, put(X[:, :3], (5, 1), np.nan), None, r"y holds nan at \(5, 1\)"),
    (X, put(X[:, :3], (5, 1), np.inf), None, r"y holds inf at \(5, 1\)"),
    (X, put(Y, 5, np.nan), None, r"y holds nan at \(5,\)"),
    (X, Y, put(WEIGHT, 7, np.nan), r"weight holds nan at \(7,\)"),
    (X, Y, put(WEIGHT, 7, np.inf), r"weight holds inf at \(7,\)"),
    (X, Y, put(WEIGHT, 7, -1), "must not be negative"),
]


@pytest.mark.parametrize(("x", "y", "weight", "message"), BAD)
def test_bad_numbers_are_refused_before_anything_changes(x, y, weight, message):
    for name in ("reference", "native"):
        network = dense(dtype="float32")
        before = bits(network)
        with pytest.raises(DataError, match=message):
            train(network, x, y, sample_weight=weight, engine=name)
        assert bits(network) == before


@pytest.mark.parametrize("x", [X, HOLES], ids=["dense", "zeros"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_divergence_is_an_error(x, dtype, isa):
    for name in ("reference", "native"):
        with pytest.raises(NotFiniteError, match=r"training diverged in epoch \d+"):
            train(dense(8, 5, 3, dtype=dtype), x, 1e3 * X[:, :3], optimiser="sgd", lr=1e30, epochs=200, engine=name)


# What is the caller's


def test_what_the_caller_gave_is_not_changed_and_need_not_be_writeable(isa):
    expected, network = dense(input_dropout=0.3), dense(input_dropout=0.3)
    train(expected, X.copy(), Y.copy(), sample_weight=WEIGHT.copy())
    x, y, weight = (np.frombuffer(array.tobytes(), array.dtype).reshape(array.shape) for array in (X, Y, WEIGHT))
    train(network, x, y, sample_weight=weight)
    assert bits(network) == bits(expected)
    for given, before in ((x, X), (y, Y), (weight, WEIGHT)):
        assert given.tobytes() == before.tobytes()


STRIDED = [
    ("columns first", np.asfortranarray, lambda v: v),
    ("every other row", lambda x: np.repeat(x, 2, axis=0)[::2], lambda v: np.repeat(v, 2)[::2]),
    ("backwards", lambda x: x[::-1].copy()[::-1], lambda v: v[::-1].copy()[::-1]),
    ("part of a wider one", lambda x: np.hstack([x, x])[:, 8:], lambda v: np.stack([v, v], axis=1)[:, 1]),
    ("big-endian", lambda x: x.astype(">f8"), lambda v: v.astype(v.dtype.newbyteorder(">"))),
]


@pytest.mark.parametrize(("rows", "values"), [form[1:] for form in STRIDED], ids=[form[0] for form in STRIDED])
def test_rows_that_do_not_lie_side_by_side(rows, values):
    expected, network = dense(), dense()
    for x in (X, HOLES):
        train(expected, x, Y, sample_weight=WEIGHT)
        train(network, rows(x), values(Y), sample_weight=values(WEIGHT))
        assert bits(network) == bits(expected)


def unsorted(x):
    """CSR with each row's columns from the last to the first."""
    csr = csr_array(x)
    for first, last in zip(csr.indptr[:-1], csr.indptr[1:], strict=True):
        csr.data[first:last], csr.indices[first:last] = csr.data[first:last][::-1], csr.indices[first:last][::-1]
    csr.has_sorted_indices = False
    return csr


def with_explicit_zeros(x):
    csr = csr_array(np.where(x == 0, 7.0, x))
    csr.data[csr.data == 7.0] = 0.0
    return csr


def with_wide_indices(x):
    csr = csr_array(x)
    csr.indices, csr.indptr = csr.indices.astype(np.int64), csr.indptr.astype(np.int64)
    return csr


def in_halves(x):
    """COO in which every entry stands twice, half as large."""
    coo = coo_array(x / 2)
    return coo_array((np.tile(coo.data, 2), (np.tile(coo.coords[0], 2), np.tile(coo.coords[1], 2))), shape=coo.shape)


SPARSE = [csr_array, csr_matrix, csc_array, unsorted, with_explicit_zeros, with_wide_indices, in_halves]


@pytest.mark.parametrize("form", SPARSE)
def test_sparse_rows_in_any_form(form, isa):
    expected, network = dense(), dense()
    train(expected, HOLES, Y)
    x = form(HOLES)
    parts = {name: part.tobytes() for name, part in vars(x).items() if isinstance(part, np.ndarray)}
    train(network, x, Y)
    for (_, mine), (_, theirs) in zip(network.parameters(), expected.parameters(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-11)  # a zero that is stored is added as well
    assert parts == {name: part.tobytes() for name, part in vars(x).items() if isinstance(part, np.ndarray)}


# Sizes at the limits


def holed(rows, columns):
    """Rows with 5 entries each, one of them in the last column; the third row is empty."""
    x = np.zeros((rows, columns))
    for row in x:
        row[RNG.integers(0, columns, 4)] = RNG.normal(size=4)
        row[-1] = 1.5
    x[2:3] = 0
    return x


LIMITS = [
    ("one of everything", X[:1, :1], (1, 1), {}),
    ("one unit in a layer", X, (8, 1, 3), {}),
    ("one row", X[:1], (8, 6, 3), {}),
    ("a batch of more rows than there are", X, (8, 6, 3), {"batch_size": 1_000_000}),
    ("a row with nothing in it", holed(8, 5), (5, 4, 3), {}),
    ("nothing at all", np.zeros((20, 8)), (8, 6, 3), {}),
    ("65,536 columns", holed(8, 65_536), (65_536, 3, 2), {}),
    ("65,537 columns", holed(8, 65_537), (65_537, 3, 2), {}),
    ("70,000 columns", csr_array(holed(8, 70_000)), (70_000, 3, 2), {}),
    ("70,000 columns, dense", RNG.normal(size=(8, 70_000)), (70_000, 3, 2), {}),
    ("5,000 units", X, (8, 5000, 3), {}),
    ("5,000 classes", X, (8, 4, 5000), {}),
    ("40 layers", X, (8, *[3] * 40, 3), {}),
    ("the last seed", X, (8, 6, 3), {"seed": 2**64 - 1}),
]


@pytest.mark.parametrize(("x", "sizes", "config"), [case[1:] for case in LIMITS], ids=[case[0] for case in LIMITS])
def test_sizes_at_the_limits(x, sizes, config, isa):
    y = np.arange(x.shape[0]) % sizes[-1]
    ends = []
    for name in ("reference", "native"):
        network = dense(*sizes, dropout=0.3, input_dropout=0.2, seed=config.get("seed", 0))
        history = train(network, x, y, validation=(x, y), engine=name, **config)
        ends.append((parameter_values(network), history))
    for name, theta in ends[0][0].items():
        np.testing.assert_allclose(ends[1][0][name], theta, rtol=1e-9, atol=1e-9, err_msg=name)
    for figure in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert ends[1][1][figure] == pytest.approx(ends[0][1][figure], rel=1e-9)


# the probability is held to 2⁻¹⁶, and halves are rounded to the even neighbour
@pytest.mark.parametrize("keep", [2**-16, 0.5 + 2**-17, 0.5 + 3 * 2**-17, 1 - 2**-16, 1 - 2**-17])
@pytest.mark.parametrize("variant", ["inverted", "plain"])
def test_keep_probabilities_at_the_limits(keep, variant, isa):
    ends = []
    for name in ("reference", "native"):
        layers = dense(8, 300, 3).layers
        network = Network([Dropout(keep, variant), layers[0], Dropout(keep, variant), layers[1]])
        train(network, np.tile(X, (5, 1)), np.tile(Y, 5), engine=name, optimiser="sgd")
        ends.append(parameter_values(network))
    for name, theta in ends[0].items():
        np.testing.assert_allclose(ends[1][name], theta, rtol=1e-9, atol=1e-12, err_msg=name)


def test_no_step_at_all(isa):
    network = dense()
    before = bits(network)
    trainer = Trainer(network, TrainingConfig(loss="cross_entropy", engine="native"))
    placed = trainer.engine.place(Examples(X, Y))
    totals = trainer.engine.train(placed, np.arange(60), first=0, epoch=0, batch_size=10, lrs=np.empty(0))
    trainer.engine.sync()
    assert (float(totals.weight), float(totals.loss), trainer.updater.t) == (0.0, 0.0, 0)
    assert bits(network) == before


# Processes, threads, memory

FORKED = """
import os
import numpy as np
import glassnet

rng = np.random.default_rng(0)
x, y = rng.normal(size=(200, 8)), rng.integers(0, 3, 200)

def fit():
    network = glassnet.Network.dense([8, 64, 3], dropout=0.5, dtype="float64")
    glassnet.train(network, x, y, epochs=5, engine="native", device="cpu", threads=2)
    return network

network = fit()
expected = glassnet.Model(network, "cross_entropy").predict(x).probabilities
child = os.fork()
if child == 0:
    same = np.array_equal(glassnet.Model(network, "cross_entropy").predict(x).probabilities, expected)
    trained = all(np.array_equal(a, b) for (_, a), (_, b) in zip(fit().parameters(), network.parameters()))
    os._exit(0 if same and trained else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_after_training_predicts_and_trains():
    with start(FORKED) as process:
        output, _ = process.communicate(timeout=120)
    assert output == "0\n"


def test_two_threads_of_python_train_at_once():
    def fit(seed):
        network = dense(8, 64, 64, 3, dropout=0.3, seed=seed)
        train(network, np.tile(X, (10, 1)), np.tile(Y, 10), epochs=10)
        return bits(network)

    alone = [fit(seed) for seed in range(6)]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(fit, range(6))) == alone


class Count(threading.Thread):
    """Counts the process's threads until it is told to stop."""

    def __init__(self):
        super().__init__()
        self.most = 0
        self.stopped = threading.Event()

    def run(self):
        while not self.stopped.wait(0.001):
            self.most = max(self.most, threads_now() - 1)  # but for this one

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        self.stopped.set()
        self.join()


def threads_now():
    return sum(1 for _ in Path("/proc/self/task").iterdir())


def threads_left():
    """Those that are left; one that has ended may stay in the list for a moment."""
    time.sleep(0.2)
    return threads_now()


needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="there is no /proc here")


@needs_proc
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_there_are_never_more_threads_than_were_asked_for(threads):
    before = threads_left()
    x, y = np.tile(X, (250, 1)), np.tile(Y, 250)
    with Count() as count:
        train(dense(8, 200, 200, 3), x, y, epochs=1, batch_size=100, threads=threads)
    assert count.most - before == threads - 1
    assert threads_left() == before


def sparse_rows(rows):
    return (RNG.random((rows, 784)) * (RNG.random((rows, 784)) < 0.2)).astype(np.float32)


@needs_proc
@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, 1),
        ({"threads": 1}, 0),
        ({"batch_size": 2}, 0),  # too little work
        ({"sizes": (784, 30, 400, 3)}, 0),  # most of it in the layers above
        ({"optimiser": "momentum"}, 0),
        ({"max_norm": 2.0}, 0),
    ],
    ids=str,
)
def test_small_steps_have_their_threads_where_it_pays(four_cores, config, expected):
    before = threads_left()
    options = {"threads": 2, "epochs": 100, "batch_size": 10, "optimiser": "sgd", "lr": 0.1} | config
    x = sparse_rows(1000)  # so few that one thread compresses them
    network = dense(*options.pop("sizes", (784, 30, 3)), dtype="float32")
    with Count() as count:
        train(network, x, RNG.integers(0, 3, len(x)), **options)
    assert count.most - before == expected


@needs_proc
def test_a_thousand_fits_leave_nothing_behind():
    def fit(k):
        network = Network.dense([64, 64, 3], dropout=0.2, dtype=("float32", "float64")[k % 2], seed=k)
        x = (x_dense, x_zeros, x_csr)[k % 3]
        train(network, x, Y, validation=(x, Y), epochs=1, batch_size=20)

    x_dense = RNG.normal(size=(60, 64))
    x_zeros = x_dense * (RNG.random(x_dense.shape) < 0.1)
    x_csr = csr_array(x_zeros)
    for k in range(100):
        fit(k)
    gc.collect()
    before = resident()
    for k in range(1000):
        fit(k)
    gc.collect()
    assert resident() - before < 4 * 2**20  # a single array of weights each would be 16 MiB


def resident():
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_beside_busy_processes_the_bits_are_the_same_and_it_ends():
    """Members of the team step aside there, and come back."""
    rng = np.random.default_rng(0)
    dense, zeros, y = rng.normal(size=(4000, 64)).astype(np.float32), sparse_rows(4000), rng.integers(0, 3, 4000)
    jobs = [(dense, (256, 256), {"batch_size": 128, "epochs": 12}), (zeros, (30,), {"batch_size": 10, "epochs": 60})]

    def trained(threads):
        found = []
        for x, hidden, config in jobs:
            network = Network.dense((x.shape[1], *hidden, 3), seed=1, dropout=0.2)
            glassnet.train(network, x, y, threads=threads, engine="native", optimiser="sgd", lr=0.01, **config)
            found += [theta.tobytes() for _, theta in network.parameters()]
        return found

    alone = trained(1)
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(3)]
    try:
        assert all(trained(threads) == alone for threads in (2, 3, 4))
    finally:
        for process in busy:
            process.kill()
            process.wait()


def test_who_sleeps_is_woken_only_by_a_store_that_is_done():
    """Otherwise it may sleep for ever, once in hours: so nothing but ``tell`` wakes, and in this order."""
    source = (Path(glassnet.__file__).parent / "engine" / "csrc" / "threads.hpp").read_text(encoding="utf-8")
    tell = source[source.index("void tell(") :].split("}", 1)[0]
    assert tell.index("what.store(value, std::memory_order_seq_cst);") < tell.index("what.notify_all();")
    assert source.count("notify_") == 1
