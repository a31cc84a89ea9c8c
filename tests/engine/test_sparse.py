"""Sparse rows: the same path as the dense ones, whoever trains, and the same answers to what is wrong with them."""

import numpy as np
import pytest
import scipy.sparse as sp

import glassnet
from glassnet import Model, Network
from glassnet.arrays import as_csr
from glassnet.data.examples import Examples
from glassnet.engine import native as module
from glassnet.errors import DataError, NotFiniteError, ShapeError
from glassnet.training import pretrain

RNG = np.random.default_rng(2)
X = RNG.normal(size=(90, 12)) * (RNG.random((90, 12)) < 0.25)
Y = RNG.integers(0, 3, 90)

FORMATS = ["csr_array", "csr_matrix", "coo_array", "coo_matrix", "csc_array", "lil_array", "dok_array", "bsr_matrix"]


def twice(x):
    """Each entry as the sum of two, rows' columns out of order."""
    coo = sp.coo_array(x)
    order = np.random.default_rng(0).permutation(2 * coo.nnz)
    rows, columns = (np.tile(part, 2)[order] for part in coo.coords)
    data = np.tile(coo.data / 2, 2)[order]
    counts = np.bincount(rows, minlength=x.shape[0])
    by_row = np.argsort(rows, kind="stable")
    return sp.csr_array((data[by_row], columns[by_row], np.append(0, np.cumsum(counts))), shape=x.shape)


@pytest.fixture(params=["numpy", "torch", "native"])
def train(request):
    """``glassnet.train`` by each engine."""
    if request.param == "native" and module.missing():
        pytest.skip(module.missing())
    options = {"device": "torch" if request.param == "torch" else "cpu", "threads": 1}
    options["engine"] = "native" if request.param == "native" else "reference"

    def run(x, y=Y, **config):
        network = Network.dense([12, 6, 3], "tanh", dropout=0.2, input_dropout=0.1, dtype="float64")
        history = glassnet.train(network, x, y, **(options | {"epochs": 2, "batch_size": 16} | config))
        return network, history

    return run


CONVERSIONS = [*(getattr(sp, name) for name in FORMATS), twice]


@pytest.mark.parametrize("convert", CONVERSIONS, ids=[*FORMATS, "doubled"])
def test_sparse_rows_are_the_dense_ones(train, convert):
    (dense, dense_history), (sparse, history) = (
        train(x, validation=0.2, class_weight="balanced") for x in (X, convert(X))
    )
    for (_, one), (_, other) in zip(dense.parameters(), sparse.parameters(), strict=True):
        assert one == pytest.approx(other, rel=1e-12, abs=1e-14)
    for figure in ("loss", "val_loss", "accuracy", "val_accuracy"):
        assert dense_history[figure] == pytest.approx(history[figure], rel=1e-12)


def test_a_validation_set_of_ones_own(train):
    figures = [train(sp.csr_array(X), validation=(x, Y))[1]["val_loss"] for x in (X, sp.csr_array(X))]
    assert figures[0] == pytest.approx(figures[1], rel=1e-12)


def test_what_is_given_is_not_changed():
    given = twice(X)
    before = [part.copy() for part in (given.data, given.indices, given.indptr)]
    assert np.allclose(as_csr(given).toarray(), X)
    assert all(np.array_equal(*pair) for pair in zip(before, (given.data, given.indices, given.indptr), strict=True))


def test_what_is_csr_is_not_copied():
    given = sp.csr_matrix(X)
    assert np.shares_memory(as_csr(given).data, given.data)


def with_entry(value, dtype="f8"):
    x = X.astype(dtype)
    x[7, 5] = value
    return sp.csr_array(x)


def broken():
    x = sp.csr_array(X)
    x.indices[3] = 99
    return x


WRONG = [
    (lambda: with_entry(np.nan), DataError, r"x holds nan at \(7, 5\)"),
    (lambda: with_entry(-np.inf), DataError, r"x holds -inf at \(7, 5\)"),
    (lambda: sp.csr_array(X.astype(complex)), DataError, "x must hold real numbers, not complex128"),
    (lambda: sp.csr_array(X[:, :11]), ShapeError, r"x must have the shape \(N, 12\), not \(90, 11\)"),
    (lambda: sp.csr_array(X[:80]), ShapeError, "there are 80 rows of x but 90 of y"),
    (broken, DataError, "cannot use the sparse array: .*indices"),
]


@pytest.mark.parametrize(("make", "error", "message"), WRONG, ids=[message for *_, message in WRONG])
def test_what_is_wrong_is_named(train, make, error, message):
    with pytest.raises(error, match=message):
        train(make())


def test_pretraining_takes_them():
    ends = []
    for x in (X, sp.coo_array(X)):
        network = Network.dense([12, 6, 4, 3])
        pretrain(network, x, epochs=1, device="cpu", threads=1)
        ends.append(network.layer(2).params["W"])
    assert np.array_equal(*ends)


@pytest.mark.parametrize("rows", [5, 90])
def test_prediction_and_evaluation(rows):
    model = Model(Network.dense([12, 6, 3]), "cross_entropy")
    dense, sparse = X[:rows], sp.csc_array(X[:rows])
    for predict in (model.predict, model.predict_features):
        assert predict(sparse).probabilities == pytest.approx(predict(dense).probabilities, abs=1e-6)
    for one, other in ((sparse, Y[:rows]), (dense, Y[:rows])), (Examples(sparse, Y[:rows]), Examples(dense, Y[:rows])):
        assert model.evaluate(one)["log_loss"] == pytest.approx(model.evaluate(other)["log_loss"], rel=1e-6)
    with pytest.raises(ShapeError, match="x must have the shape"):
        model.predict(sparse[:, :11])


def test_monte_carlo_dropout():
    model = Model(Network.dense([12, 6, 3], dropout=0.5), "cross_entropy")
    spreads = [model.predict(x, samples=3).spread for x in (X, sp.csr_array(X))]
    assert np.array_equal(*spreads)


def test_a_model_with_an_encoding_says_so():
    model = glassnet.fit((X, Y), epochs=1, threads=1).model
    with pytest.raises(DataError, match="has an encoding, which takes no sparse rows"):
        model.predict(sp.csr_array(X))


# A first layer that is large: its inputs in parts, its entries sorted by several threads, copies in bfloat16

WIDE = np.random.default_rng(3)
WIDE_X = (WIDE.random((150, 900)) * (WIDE.random((150, 900)) < 0.2)).astype(np.float32)
WIDE_X[:, 17] = 0  # a column without entries
WIDE_Y = WIDE.integers(0, 3, 150)


def wide(*, dtype="float32", frozen=False, **config):
    network = Network.dense([900, 100, 3], "relu", seed=4, dtype=dtype)
    network.layer(1).frozen = frozen
    history = glassnet.train(
        network, WIDE_X, WIDE_Y, **({"epochs": 2, "batch_size": 64, "optimiser": "sgd", "lr": 0.1} | config)
    )
    return network, history


RULES = [
    {},
    {"optimiser": "adam", "lr": 0.001},
    {"l1": 0.001, "clip_norm": 0.5},
    {"max_norm": 0.8},
    {"clip_value": 0.01, "l2": 0.01},
    {"frozen": True},
    {"batch_size": 1},
]


@pytest.mark.parametrize("rules", RULES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
def test_a_large_first_layer_follows_the_reference_engine(isa, four_cores, rules, dtype):
    expected, _ = wide(engine="reference", dtype=dtype, **rules)
    tolerance = {"float32": {"rel": 1e-3, "abs": 2e-5}, "float64": {"rel": 1e-9, "abs": 1e-12}}[dtype]
    runs = [wide(engine="native", threads=threads, dtype=dtype, **rules)[0] for threads in (1, 2, 3)]
    for (_, one), *others in zip(expected.parameters(), *(run.parameters() for run in runs), strict=True):
        assert others[0][1] == pytest.approx(one, **tolerance)
        assert all(np.array_equal(others[0][1], other) for _, other in others)


@pytest.mark.parametrize("rules", [rules for rules in RULES if "batch_size" not in rules], ids=str)
def test_a_large_first_layer_in_bfloat16_takes_nearly_the_same_step(isa, bfloat16, four_cores, rules):
    options = {"engine": "native", "epochs": 1, "batch_size": 150} | rules
    first = Network.dense([900, 100, 3], "relu", seed=4)
    exact, *fast = (
        wide(threads=threads, precision=precision, **options)[0]
        for threads, precision in ((1, "exact"), (1, "fast"), (2, "fast"))
    )
    assert all(np.array_equal(one, other) for (_, one), (_, other) in zip(*(f.parameters() for f in fast), strict=True))
    for (name, start), (_, one), (_, other) in zip(
        first.parameters(), exact.parameters(), fast[0].parameters(), strict=True
    ):
        step, off = np.linalg.norm(one - start), np.linalg.norm(one - other)
        frozen = "frozen" in rules and name.startswith("1")
        assert (step == 0) == frozen
        # Adam's first step goes by the sign of a gradient, and where that is hardly more than 0 it may be the other one
        assert off <= (0.2 if "optimiser" in rules else 0.02) * step
        assert off > 0 or name != "1.W" or frozen  # bfloat16 was in fact used


def test_a_large_first_layer_in_bfloat16_does_not_show_where_an_epoch_is_split(isa, bfloat16):
    class Look(glassnet.training.Callback):
        every = 1

        def on_batch_end(self, trainer):
            pass

    options = {"engine": "native", "precision": "fast", "validation": 0.2}
    (whole, history), (split, other) = wide(**options), wide(callbacks=[Look()], **options)
    pairs = zip(whole.parameters(), split.parameters(), strict=True)
    assert all(np.array_equal(one, other) for (_, one), (_, other) in pairs)
    assert history["val_loss"] == other["val_loss"]


# Small steps: each thread with a network of its own

SMALL = np.random.default_rng(8)
SMALL_X = (SMALL.integers(1, 256, (405, 784)) / 255 * (SMALL.random((405, 784)) < 0.2)).astype(np.float32)
SMALL_Y = SMALL.integers(0, 10, 405)


def small(*, sizes=(30,), activation="logistic", dropout=0.0, input_dropout=0.0, dtype="float32", y=SMALL_Y, **config):
    outputs = 10 if y.ndim == 1 else y.shape[1]
    network = Network.dense(
        [784, *sizes, outputs], activation, dropout=dropout, input_dropout=input_dropout, seed=4, dtype=dtype
    )
    history = glassnet.train(
        network, SMALL_X, y, **({"epochs": 2, "batch_size": 10, "optimiser": "sgd", "lr": 0.1} | config)
    )
    return network, history


SMALL_JOBS = {
    "one hidden layer": {},
    "wider": {"sizes": (100,), "activation": "tanh"},
    "deeper": {"sizes": (60, 20, 9), "activation": "relu"},
    "dropout": {"dropout": 0.3, "input_dropout": 0.2},
    "weights": {"sample_weight": SMALL.random(405) * (SMALL.random(405) < 0.8)},
    "numbers": {"y": SMALL.normal(size=(405, 2)), "lr": 0.01},
    "a single row last": {"batch_size": 4, "sizes": (70,)},
}


@pytest.mark.parametrize("name", SMALL_JOBS)
@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
def test_small_steps_follow_the_reference_engine(isa, four_cores, name, dtype):
    job = SMALL_JOBS[name] | {"dtype": dtype}
    expected, told = small(engine="reference", **job)
    runs = [small(engine="native", threads=threads, **job) for threads in (1, 2, 3, 4)]
    for (_, one), *others in zip(expected.parameters(), *(run.parameters() for run, _ in runs), strict=True):
        assert np.linalg.norm(others[0][1] - one) <= {"float32": 1e-4, "float64": 1e-11}[dtype] * np.linalg.norm(one)
        assert all(np.array_equal(others[0][1], other) for _, other in others)
    for _, history in runs:
        assert history["loss"] == runs[0][1]["loss"] == pytest.approx(told["loss"], rel=1e-4)


@pytest.mark.parametrize("name", SMALL_JOBS)
def test_small_steps_in_bfloat16(isa, bfloat16, four_cores, name):
    exact, one, *others = (
        small(engine="native", threads=threads, precision=precision, **SMALL_JOBS[name])[0]
        for threads, precision in ((1, "exact"), (1, "fast"), (2, "fast"), (3, "fast"))
    )
    exact, one, *others = (
        np.concatenate([theta.ravel() for _, theta in network.parameters()]) for network in (exact, one, *others)
    )
    assert all(np.array_equal(one, other) for other in others)
    assert 1e-6 < np.linalg.norm(exact - one) / np.linalg.norm(exact) < 0.1


class Every(glassnet.training.Callback):
    """Cuts an epoch into calls of so many steps."""

    def __init__(self, every):
        self.every = every

    def on_batch_end(self, trainer):
        trainer.engine.sync()


@pytest.mark.parametrize("every", [1, 33, 35])
def test_small_steps_do_not_show_where_an_epoch_is_split(isa, every):
    job = {"engine": "native", "threads": 2, "validation": 0.1}
    (whole, history), (split, other) = small(**job), small(callbacks=[Every(every)], **job)
    pairs = zip(whole.parameters(), split.parameters(), strict=True)
    assert all(np.array_equal(one, other) for (_, one), (_, other) in pairs)
    assert history["val_loss"] == other["val_loss"]
    assert history["loss"] == pytest.approx(other["loss"], rel=1e-12)


@pytest.mark.parametrize("sizes", [(30,), (40, 20)])
@pytest.mark.parametrize("activation", ["relu", "logistic"])
@pytest.mark.parametrize("lr", [3, 1e10, 1e20, 1e37, 1e39])
def test_small_steps_that_diverge_do_so_at_the_same_step(isa, four_cores, sizes, activation, lr):
    def message(threads):
        y = 1e3 * SMALL_X[:, :2]
        with pytest.raises(NotFiniteError) as raised:
            small(y=y, sizes=sizes, activation=activation, lr=lr, engine="native", threads=threads, epochs=400)
        return str(raised.value)

    assert message(2) == message(3) == message(1)


LEVELS = np.random.default_rng(6).normal(size=600)


def some_of(levels):
    return lambda rng, n: LEVELS[rng.integers(*levels, n)]


PARTS = {  # what the first rows and the last ones hold
    "few values": (some_of((0, 20)), some_of((0, 20))),
    "few values, others further down": (some_of((0, 100)), some_of((80, 200))),
    "few values in each part, many together": (some_of((0, 200)), some_of((200, 400))),
    "many values further down": (some_of((0, 20)), some_of((0, 600))),
    "many values": (lambda rng, n: rng.normal(size=n), lambda rng, n: rng.normal(size=n)),
}


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_rows_that_several_threads_compress_are_the_same(four_cores, name, dtype):
    rng = np.random.default_rng(7)
    x = np.zeros((9000, 400), dtype)
    there = rng.random(x.shape) < 0.05
    for half, values in zip((slice(0, 4000), slice(4000, None)), PARTS[name], strict=True):
        x[half][there[half]] = values(rng, np.count_nonzero(there[half])) * (20 if dtype == "uint8" else 1)
    network = Network.dense([400, 5, 3], "tanh", seed=1, dtype="float64" if dtype == "float64" else "float32")
    one, *others = (module.Forward(network, sparse=True, threads=threads)(x) for threads in (1, 2, 3, 4))
    assert all(np.array_equal(one, other) for other in others)
    assert one == pytest.approx(network.forward(x.astype(network.dtype)), rel=1e-4, abs=1e-4)


def test_a_prediction_does_not_depend_on_the_other_rows(isa):
    network = Network.dense([900, 100, 3], "relu", seed=4)
    predict = module.Forward(network, sparse=True, threads=2)
    whole = predict(WIDE_X)
    assert all(np.array_equal(whole[rows], predict(WIDE_X[rows])) for rows in (slice(5), slice(3, 70), slice(99, None)))
