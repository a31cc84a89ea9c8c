"""Small runs that the programmes of this folder break off, kill and crash."""

from __future__ import annotations

import hashlib
import itertools
import os
from pathlib import Path

import numpy as np

from glassnet.config import TrainingConfig
from glassnet.data.examples import Examples
from glassnet.network import Network
from glassnet.runs import fit
from glassnet.training import Callback, Trainer
from glassnet.training.checkpoint import CheckpointWriter, latest
from glassnet.training.resuming import check_resumable

RNG = np.random.default_rng(0)
X = RNG.normal(size=(103, 6))
CLASSES = RNG.integers(0, 3, 103)
VALUES = np.tanh(X[:, :3])
WEIGHT = RNG.uniform(0.1, 2.0, 103)
STEPS = 11  # an epoch, the last batch of 3 rows

OPTIMISERS = ("sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw")
PRODUCT = list(
    itertools.product(OPTIMISERS, (0.0, 0.3), ("native", "reference"), ("within", "at the end"), (None, "patience1"))
)


# A trainer that is broken off and taken up again


class HaltAt(Callback):
    """Has training end at a step, within an epoch or after it."""

    def __init__(self, step):
        self.step = step

    def on_batch_end(self, trainer):
        if trainer.step == self.step and trainer.done < trainer.steps_per_epoch:
            trainer.halt("interrupted")

    def on_epoch_end(self, trainer, record):
        if trainer.step == self.step:
            trainer.halt("interrupted")


def trainer_of(callbacks=(), *, dropout=0.3, dtype="float32", loss="cross_entropy", **options):
    network = Network.dense([6, 8, 5, 3], dropout=dropout, dtype=dtype, seed=2)
    config = TrainingConfig(**{"loss": loss, "epochs": 4, "batch_size": 10, "seed": 5, **options})
    return Trainer(network, config, callbacks)


def outcome(trainer):
    """Parameters, what the optimiser remembers, figures, and how it ended: all but the time."""
    history = trainer.history
    figures = [{name: value for name, value in record.items() if name != "seconds"} for record in history]
    return (
        {name: theta.tobytes() for name, theta in trainer.network.parameters()},
        {name: slot.tobytes() for name, slot in trainer.updater.state()["slots"].items()},
        figures,
        (history.stop_code, history.stop_reason, history.best_epoch),
    )


def compare(folder, halts, *, x=X, y=CLASSES, weight=None, **options):
    """A run without a break beside one that is broken off at each of these steps: the number of breaks, and whether
    they end alike."""
    sets = Examples(x, y, weight), Examples(x[:20], y[:20], None if weight is None else weight[:20])
    whole = trainer_of(**options)
    whole.fit(*sets)
    state, breaks = None, 0
    for step in (*halts, None):
        trainer = trainer_of([HaltAt(step), CheckpointWriter(folder)], **options)
        if state is not None:
            trainer.resume(state)
        trainer.fit(*sets)
        if trainer.history.stop_code != "interrupted":
            break
        state, breaks = latest(folder).state, breaks + 1
    return breaks, outcome(trainer) == outcome(whole)


def product_case(folder, optimiser, dropout, engine, where, stopping):
    """One case of the product, broken off once: whether the ends are alike."""
    step = STEPS + 6 if where == "within" else 2 * STEPS
    options = {"optimiser": optimiser, "dropout": dropout, "engine": engine, "early_stopping": stopping, "lr": 1e-3}
    breaks, same = compare(folder, [step], **options)
    return breaks == 1 and same


# A run with a folder


class Position(Callback):
    """Tells how far training has come, in memory that outlives the process."""

    def __init__(self, shared):
        self.shared = shared

    def on_batch_end(self, trainer):
        self.shared[0] = trainer.step


def train(folder, *, every, callbacks=(), **options):
    """Train, or go on where there is something to go on from."""
    try:
        check_resumable(folder)
        resume = True
    except ValueError:
        resume = False
    settings = {"epochs": 6, "hidden": (8, 5), "batch_size": 10, "dropout": 0.2, "early_stopping": "patience5"}
    return fit(
        (X, CLASSES), out=folder, resume=resume, checkpoint_every=every, callbacks=callbacks, **{**settings, **options}
    )


def model_bits(folder: Path) -> str:
    """SHA-256 of a run's parameters."""
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def in_a_child(work) -> int:
    """Run work() in a process of its own that is left without any tidying up; its exit status, as waitpid gives it."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(1)
    return os.waitpid(pid, 0)[1]
