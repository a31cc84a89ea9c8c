"""A run that is broken off and taken up again ends with the bits of one that was not."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from glassnet.config import TrainingConfig
from glassnet.data.examples import Examples
from glassnet.network import Network
from glassnet.training import Callback, Trainer
from glassnet.training.checkpoint import CheckpointWriter
from reliability.jobs import CLASSES, PRODUCT, RNG, VALUES, WEIGHT, X, compare, outcome, product_case, trainer_of


@pytest.mark.parametrize(("optimiser", "dropout", "engine", "where", "stopping"), PRODUCT)
def test_the_full_product(tmp_path, optimiser, dropout, engine, where, stopping):
    assert product_case(tmp_path, optimiser, dropout, engine, where, stopping)


MORE = [
    {"schedule": "cosine(warmup=0.5)"},
    {"schedule": "reduce_on_plateau(patience=1)", "lr": 0.5},
    {"schedule": "one_cycle", "optimiser": "momentum"},
    {"l1": 1e-3, "l2": 1e-3, "weight_decay": 1e-4, "max_norm": 1.0, "regularise_biases": True},
    {"clip_norm": 0.1, "optimiser": "sgd"},
    {"clip_value": 0.01, "alpha": 0.1},
    {"loss": "squared_error", "y": VALUES, "weight": WEIGHT},
    {"loss": "squared_error", "y": VALUES, "dtype": "float64"},
    {"x": csr_array(X * (X > 0.8)), "optimiser": "sgd"},
    {"x": csr_array(X * (X > 0.8)), "optimiser": "adam", "class_weight": "balanced"},
    {"train_figures": "after", "monitor": "metric", "early_stopping": "GL5"},
    {"precision": "fast"},
    {"shuffle": False, "threads": 1},
    {"batch_size": 1000},
    {"on_nonfinite": "halve"},
]


@pytest.mark.parametrize("engine", ["native", "reference", pytest.param("torch", marks=pytest.mark.slow)])
@pytest.mark.parametrize("options", MORE, ids=lambda options: "-".join(options))
def test_other_choices_broken_off_again_and_again(tmp_path, engine, options):
    where = {"device": "torch", "engine": "reference"} if engine == "torch" else {"engine": engine}
    one_batch = options.get("batch_size") == 1000
    halts = [1, 2] if one_batch else [1, 2, 10, 11, 12, 30, 32, 43]
    breaks, same = compare(tmp_path, halts, **where, **options)
    assert breaks >= min(len(halts), 4)
    assert same


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize(("y", "loss"), [(CLASSES, "cross_entropy"), (VALUES, "squared_error")])
@pytest.mark.parametrize("every", [1, 3, 4])
def test_figures_and_parameters_do_not_show_where_an_epoch_was_split(engine, dtype, y, loss, every):
    class Listener(Callback):
        def on_batch_end(self, trainer):
            if every == 4:
                trainer.engine.sync()

    listener = Listener()
    listener.every = every
    ends = []
    for callbacks in ([], [listener]):
        trainer = trainer_of(callbacks, engine=engine, dtype=dtype, loss=loss)
        trainer.fit(Examples(X, y))
        ends.append(outcome(trainer))
    assert ends[0] == ends[1]


# Determinism

WITH = [
    {"validation": Examples(X[:20], CLASSES[:20])},
    {"threads": 1},
    {"threads": 2},
    {"callbacks": [CheckpointWriter("/nowhere")]},
]


def global_state():
    return np.random.get_state()[1].tobytes(), bytes(torch.get_rng_state().numpy())  # noqa: NPY002


@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("given", WITH, ids=lambda given: "-".join(given))
def test_the_same_seed_gives_the_same_bits(engine, given):
    """Run to run; with evaluation on or off; whatever the global random state; of the native engine, any threads."""
    if engine == "reference" and "threads" in given:
        given = {"threads": None}
    ends = []
    for k, options in enumerate(({}, given)):
        np.random.seed(k)  # noqa: NPY002 - that it has no effect is what is tested
        torch.manual_seed(k)
        before = global_state()
        trainer = trainer_of(options.get("callbacks", ()), engine=engine, threads=options.get("threads"))
        trainer.fit(Examples(X, CLASSES), options.get("validation"))
        ends.append(outcome(trainer)[:2])
        assert global_state() == before
    assert ends[0] == ends[1]


def test_a_large_network_gives_the_same_bits_with_any_number_of_threads():
    x, y = RNG.normal(size=(600, 300)).astype(np.float32), RNG.integers(0, 3, 600)
    ends = []
    for threads in (1, 2, 4):
        network = Network.dense([300, 200, 100, 3], dropout=0.2, seed=1)
        trainer = Trainer(
            network, TrainingConfig(loss="cross_entropy", epochs=2, batch_size=256, engine="native", threads=threads)
        )
        trainer.fit(Examples(x, y))
        ends.append(outcome(trainer)[:2])
    assert ends[0] == ends[1] == ends[2]
