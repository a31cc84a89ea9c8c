"""The native engine follows the reference engine's path, dropout on, and by the same bits however it is run."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.sparse import issparse

from cases import activations, losses
from cases.engine import Job, Outcome, Setup, covering_setups, options, possible_pairs, random_setup
from glassnet.data.examples import Examples
from glassnet.layers import Dense
from glassnet.network import Network, parameter_values
from glassnet.training import Callback, train

pytestmark = pytest.mark.usefixtures("four_cores")

SETUPS = covering_setups()
SOME = SETUPS[::10]

TOLERANCE = {"float64": 1e-10, "float32": 3e-4}
"""Of all measured differences between NumPy and torch 99 in 100 are below 1e-12 and 5e-5."""

CLOSE = {"float64": 1e-12, "float32": 2e-6}
"""Of single outputs, losses and derivatives."""


# Agreement with the reference engine


def differences(one: Outcome, other: Outcome) -> dict[str, float]:
    """The largest difference of each array, relative to its largest entry, and of each figure.

    Of the parameters only what training has changed is compared, which is more than to compare what they are.
    """
    assert one.arrays().keys() == other.arrays().keys()
    result = {name: relative(array, other.arrays()[name]) for name, array in one.arrays().items()}
    for mine, theirs in zip(one.history, other.history, strict=True):
        assert list(mine) == list(theirs)
        for figure in set(theirs) - {"epoch", "seconds"}:
            difference = abs(mine[figure] - theirs[figure]) / (1 + abs(theirs[figure]))
            result[figure] = max(difference, result.get(figure, 0.0))
    return result


def relative(a: np.ndarray, b: np.ndarray) -> float:
    assert (a.shape, a.dtype) == (b.shape, b.dtype)
    largest = np.abs(a - b).max()
    return float(largest / max(np.abs(b).max(), np.finfo(b.dtype).tiny)) if largest else 0.0


def check_agreement(setup: Setup, isa: str) -> None:
    """What the native engine leaves is what the reference engine leaves, but for rounding."""
    expected = reference(setup)
    outcome = setup.job().run(engine="native")
    assert outcome.state["t"] == expected.state["t"]
    found = differences(outcome, expected)
    if max(found.values()) > TOLERANCE[setup.dtype]:
        allowed = what_rounding_does(setup)
        wrong = {name: (found[name], allowed[name]) for name in found if not found[name] <= allowed[name]}
        assert not wrong, f"{isa}: {setup!r}"


@cache
def reference(setup: Setup) -> Outcome:
    return setup.job().reference()


@cache
def what_rounding_does(setup: Setup) -> dict[str, float]:
    """The differences to be allowed: the tolerance, or what torch makes, or a few units in the weights' last place.

    A net input next to a kink, or a gradient of which nothing but rounding is left and which Adam makes a full step
    of, let two paths part that are both right. Then the reference engine's own paths part as well.
    """
    others = [setup.job().reference(device="torch")]
    for seed in range(8):
        rng, job = np.random.default_rng(seed), setup.job()
        for _, theta in job.network.parameters(trainable=True):
            theta *= 1 + rng.integers(-4, 5, theta.shape) * np.finfo(theta.dtype).eps
        others.append(job.reference())
    found = [differences(other, reference(setup)) for other in others]
    return {name: max(TOLERANCE[setup.dtype], *(10 * each[name] for each in found)) for name in found[0]}


def test_any_two_options_that_go_together_occur_together():
    occurring = [{kind: getattr(setup, kind) for kind in vars(setup)} for setup in SETUPS]
    for two in possible_pairs():
        wanted = options(dict(two)).items()
        assert any(all(setup[kind] is option for kind, option in wanted) for setup in occurring), dict(two)


@pytest.mark.parametrize("setup", SETUPS, ids=str)
def test_the_engines_agree(setup, isa):
    check_agreement(setup, isa)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(400))
def test_the_engines_agree_on_what_chance_brings(seed, isa):
    check_agreement(random_setup(seed), isa)


# Products in bfloat16


def test_in_bfloat16_the_first_step_is_nearly_the_same_and_the_path_leads_to_the_same_loss(isa, bfloat16):
    steps, losses = [], []
    for setup in SETUPS[::2]:
        if setup.dtype == "float32":
            job = one_plain_step(setup).job()
            fast, exact = job.run(engine="native", precision="fast").arrays(), job.reference().arrays()
            steps += [np.linalg.norm(fast[name] - exact[name]) / np.linalg.norm(exact[name]) for name in moved(exact)]
            history = setup.job().run(engine="native", precision="fast").history
            pairs = zip(history["loss"], reference(setup).history["loss"], strict=True)
            losses += [abs(mine - theirs) / (1 + abs(theirs)) for mine, theirs in pairs]
    assert max(steps) < 0.15
    assert 1e-4 < np.median(steps) < 0.01  # an operand of 8 bits is off by 2⁻⁹ at most: bfloat16 was in fact used
    assert max(losses) < 0.05


def one_plain_step(setup: Setup) -> Setup:
    """A single step of the gradient alone, over all rows."""
    shape = replace(setup.shape, batch=setup.shape.rows)
    sgd = {"optimiser": "sgd", "lr": 0.001}
    return replace(setup, shape=shape, optimiser=sgd, penalty={}, decay={}, clip={}, max_norm=None, epochs=1)


def moved(arrays: dict[str, np.ndarray]) -> list[str]:
    return [name for name, array in arrays.items() if np.linalg.norm(array) > 1e-6]


# The same bits


@pytest.mark.parametrize("setup", SOME, ids=str)
def test_any_number_of_threads_and_any_run_give_the_same_bits(setup, isa):
    outcomes = [setup.job().run(engine="native", threads=threads) for threads in (1, 2, 3, 4, 4)]
    assert all(outcome.bits() == outcomes[0].bits() for outcome in outcomes)
    assert all(figures(outcome) == figures(outcomes[0]) for outcome in outcomes)


@pytest.mark.parametrize("precision", ["exact", "fast"])
def test_large_weights_are_shared_out_by_units_with_the_same_bits(isa, bfloat16, precision):
    """Where a batch is so small that each thread would read all of them for a few samples."""
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(100, 500)).astype(np.float32), rng.integers(0, 3, 100)

    def run(**config):
        network = Network.dense([500, 1100, 900, 3], "relu", dropout=0.3, seed=1)
        train(network, x, y, **({"optimiser": "sgd", "lr": 0.05, "batch_size": 60, "epochs": 2} | config))
        return [theta for _, theta in network.parameters()]

    one, *others = (run(engine="native", precision=precision, threads=threads) for threads in (1, 2, 3, 4))
    assert all(np.array_equal(*pair) for other in others for pair in zip(one, other, strict=True))
    expected = run(engine="reference")
    most = {"exact": 1e-3, "fast": 0.15}[precision]
    for mine, theirs, start in zip(one, expected, run(engine="reference", epochs=1, lr=1e-30), strict=True):
        assert np.linalg.norm(mine - theirs) < most * np.linalg.norm(theirs - start)


CHUNKED = [
    {"optimiser": "sgd", "lr": 0.1},
    {"optimiser": "adam", "lr": 0.001, "l2": 0.01},
    {"optimiser": "sgd", "lr": 0.1, "clip_norm": 0.1, "max_norm": 0.9},
    {"optimiser": "sgd", "lr": 0.1, "frozen": 1},
    {"optimiser": "sgd", "lr": 0.1, "frozen": 2},
]


@pytest.mark.parametrize("rules", CHUNKED, ids=str)
@pytest.mark.parametrize("precision", ["float32", "float64", "fast"])
@pytest.mark.parametrize("batch", [257, 600, 1500])
def test_the_chunks_of_a_large_batch_add_up_to_its_gradient(isa, bfloat16, rules, precision, batch):
    """Each by one thread, and the same chunks whatever the threads; small batches come last."""
    rng = np.random.default_rng(5)
    x, y, weight = rng.normal(size=(1600, 5)), rng.integers(0, 3, 1600), rng.random(1600)

    def run(*, frozen=None, **config):
        network = Network.dense([5, 33, 7, 3], "tanh", dropout=0.2, seed=1, dtype=config.pop("dtype"))
        if frozen is not None:
            network.layer(frozen).frozen = True
        start = [theta.copy() for _, theta in network.parameters()]
        train(network, x, y, sample_weight=weight, batch_size=batch, epochs=2, **config)
        return [theta for _, theta in network.parameters()], start

    how = {"dtype": "float64" if precision == "float64" else "float32", **rules}
    native = {"engine": "native", "precision": "fast" if precision == "fast" else "exact"}
    one, *others = (run(**how, **native, threads=threads)[0] for threads in (1, 2, 3, 4))
    assert all(np.array_equal(*pair) for other in others for pair in zip(one, other, strict=True))
    most = {"float32": 2e-3, "float64": 1e-9, "fast": 0.2}[precision]
    for mine, theirs, start in zip(one, *run(**how, engine="reference"), strict=True):
        assert np.linalg.norm(mine - theirs) <= most * np.linalg.norm(theirs - start)


@pytest.mark.parametrize("setup", [setup for setup in SOME if setup.dtype == "float32"], ids=str)
def test_in_bfloat16_each_run_gives_the_same_bits(setup, isa, bfloat16):
    one, other = (setup.job().run(engine="native", precision="fast", threads=3) for _ in range(2))
    assert one.bits() == other.bits()
    assert figures(one) == figures(other)


def figures(outcome: Outcome) -> list[dict[str, float]]:
    return [{name: value for name, value in record.items() if name != "seconds"} for record in outcome.history]


class Sync(Callback):
    """Cuts an epoch into calls of so many steps."""

    def __init__(self, every):
        self.every = every

    def on_batch_end(self, trainer):
        trainer.engine.sync()


class Evaluate(Sync):
    """Looks at the figures of other examples on the way."""

    def on_batch_end(self, trainer):
        trainer.engine.evaluate(trainer.engine.place(trainer.validation))


@pytest.mark.parametrize("setup", SOME, ids=str)
def test_training_in_pieces_and_evaluation_in_between_change_no_bit(setup, isa):
    whole = setup.job().run(engine="native")
    for listener in (Sync(1), Sync(7), Evaluate(2)):
        cut = setup.job().run(listener, engine="native")
        assert cut.bits() == whole.bits()
        for mine, theirs in zip(figures(cut), figures(whole), strict=True):
            assert mine == pytest.approx(theirs, rel=1e-12, abs=1e-12)


# What is seen on the way, and going on


class Watch(Sync):
    """Keeps the parameters of every step."""

    def __init__(self, every=1):
        super().__init__(every)
        self.seen = []

    def on_batch_end(self, trainer):
        trainer.engine.sync()
        self.seen.append(parameter_values(trainer.network))


DOUBLE = [setup for setup in SOME if setup.dtype == "float64"]


@pytest.mark.parametrize("setup", DOUBLE, ids=str)
def test_a_callback_sees_the_parameters_of_its_step(setup, isa):
    mine, theirs = Watch(), Watch()
    setup.job().run(mine, engine="native")
    setup.job().reference(theirs)
    assert len(mine.seen) == len(theirs.seen)
    for one, other in zip(mine.seen, theirs.seen, strict=True):
        assert all(np.allclose(one[name], other[name], rtol=1e-9, atol=1e-12) for name in other)


@pytest.mark.parametrize("setup", SOME, ids=str)
def test_another_engine_goes_on_where_one_has_stopped(setup, isa):
    whole, first = (setup.job().trainer(engine="native") for _ in range(2))
    for epoch in range(2):
        train_epoch(whole, setup, epoch)
    train_epoch(first, setup, 0)
    second = replace(setup.job(), network=first.network).trainer(engine="native")
    second.updater.restore(first.updater.state(), second.network)
    train_epoch(second, setup, 1)
    assert same_arrays(parameter_values(second.network), parameter_values(whole.network))
    assert same_arrays(second.updater.state()["slots"], whole.updater.state()["slots"])
    assert second.updater.t == whole.updater.t


def train_epoch(trainer, setup, epoch):
    """One epoch by the trainer's engine."""
    examples = trainer.engine.place(trainer.prepare(setup.job().train))
    order, batch = np.random.default_rng(epoch).permutation(len(examples)), setup.shape.batch
    lrs = np.full(-(-len(examples) // batch), 0.01)
    trainer.engine.train(examples, order, first=0, epoch=epoch, batch_size=batch, lrs=lrs)
    trainer.engine.sync()


def same_arrays(one, other):
    return one.keys() == other.keys() and all(one[name].tobytes() == other[name].tobytes() for name in other)


# Outputs


@pytest.mark.parametrize("setup", SOME, ids=str)
def test_the_outputs_are_the_networks(setup, isa, native):
    job = setup.job()
    x, network = job.train.x, job.network
    expected = network.forward(x.toarray() if issparse(x) else x)
    for sparse in (True, False):
        outputs = [native.Forward(network, sparse=sparse, threads=threads)(x) for threads in (1, 2, 3, 4)]
        close = CLOSE[setup.dtype] * max(1.0, np.abs(expected).max())
        np.testing.assert_allclose(outputs[0], expected, rtol=10 * close, atol=10 * close)
        assert all(output.tobytes() == outputs[0].tobytes() for output in outputs)


# Far out

FAR = [0.0, 1e-30, 1e-6, 0.3, 1.0, 6.0, 20.0, 87.0, 89.0, 104.0, 700.0, 3e3, 1e4]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", activations.CASES, ids=str)
def test_activations_far_out(case, dtype, isa, native):
    z = np.array([[sign * value for value in [*FAR, 1e30] for sign in (1, -1)]])
    expected = Network([Dense(np.eye(z.size), None, case.given)]).forward(z)
    output = native.Forward(Network([Dense(np.eye(z.size, dtype=dtype), None, case.given)]), sparse=False)(z)
    np.testing.assert_allclose(output, expected, rtol=CLOSE[dtype], atol=CLOSE[dtype])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", losses.CASES, ids=str)
def test_losses_far_out(case, dtype, isa):
    """Value and gradient of a single row whose outputs are far from one another."""
    rng = np.random.default_rng(0)
    layer = Dense(np.eye(3, dtype=dtype), np.zeros(3, dtype), "softmax" if case.takes_probabilities else "identity")
    config = {"loss": case.given, "optimiser": "sgd", "lr": 0.1, "epochs": 1}
    for value in FAR[::2]:
        row = Examples(np.array([[value, -value, 0.5]]), case.targets(rng, 1, 3))
        job = Job(Network([layer]), row, row, config)
        mine, theirs = job.run(engine="native"), job.reference()
        assert mine.history["loss"] == pytest.approx(theirs.history["loss"], rel=CLOSE[dtype], abs=CLOSE[dtype])
        b, expected = mine.arrays()["1.b"], theirs.arrays()["1.b"]
        np.testing.assert_allclose(b, expected, rtol=CLOSE[dtype], atol=CLOSE[dtype])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", activations.CASES, ids=str)
def test_derivatives_far_out(case, dtype, isa):
    """What reaches the biases of a layer whose net inputs are far from one another."""
    z = np.array([[sign * value for value in FAR for sign in (1, -1)]])
    layers = [Dense(np.eye(z.size, dtype=dtype), np.zeros(z.size, dtype), case.given)]
    layers.append(Dense(np.full((1, z.size), 0.25, dtype), None))
    config = {"loss": "huber", "optimiser": "sgd", "lr": 1.0, "epochs": 1}
    job = Job(Network(layers), Examples(z, [[1e6]]), Examples(z, [[1e6]]), config)
    mine, theirs = job.run(engine="native").arrays(), job.reference().arrays()
    np.testing.assert_allclose(mine["1.b"], theirs["1.b"], rtol=CLOSE[dtype], atol=CLOSE[dtype])
