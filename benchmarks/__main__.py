"""Time the training of a 784-256-10 ReLU network: glassnet beside scikit-learn's MLPClassifier.

Run: ``python -m benchmarks`` (``--help`` lists the options), or ``make bench``.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

import glassnet
from glassnet.engine import available_cores

SIZES = (784, 256, 10)
BATCH_SIZE = 256
LR = 0.1


def make_data(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Float32 rows in [0, 1), (rows, 784), and the classes that a random linear teacher gives them."""
    rng = np.random.default_rng(seed)
    x = rng.random((rows, SIZES[0]), dtype=np.float32)
    teacher = rng.normal(size=(SIZES[0], SIZES[-1]))
    return x, np.argmax((x - 0.5) @ teacher, axis=1)


def train_glassnet(x: np.ndarray, y: np.ndarray, *, epochs: int, seed: int, threads: int, engine: str) -> None:
    """Plain SGD on softmax and cross-entropy."""
    network = glassnet.Network.dense(SIZES, activation="relu", seed=seed)
    glassnet.train(
        network,
        x,
        y,
        loss="cross_entropy",
        optimiser="sgd",
        lr=LR,
        batch_size=BATCH_SIZE,
        epochs=epochs,
        seed=seed,
        device="cpu",
        engine=engine,
        threads=threads,
    )


def train_sklearn(x: np.ndarray, y: np.ndarray, *, epochs: int, seed: int) -> None:
    """The same work: no momentum, no penalty, and no stopping before the epochs are done."""
    model = MLPClassifier(
        SIZES[1:-1],
        activation="relu",
        solver="sgd",
        learning_rate_init=LR,
        momentum=0.0,
        nesterovs_momentum=False,
        alpha=0.0,
        batch_size=BATCH_SIZE,
        max_iter=epochs,
        tol=0.0,
        n_iter_no_change=epochs + 1,
        random_state=seed,
    )
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        model.fit(x, y)
    assert model.n_iter_ == epochs


def take_turns(jobs: dict[str, Callable[[], None]], repeats: int) -> dict[str, list[float]]:
    """Wall-clock seconds of each job: one of each in a round, in changing order. The first round does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for repeat in range(repeats + 1):
        for name, job in list(jobs.items())[:: 1 if repeat % 2 else -1]:
            started = time.perf_counter()
            job()
            if repeat:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def main() -> None:
    """Read the options, run, print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rows", type=int, default=20_000, help="samples in an epoch (default 20000)")
    parser.add_argument("--epochs", type=int, default=3, help="epochs in a run (default 3)")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each that count (default 5)")
    parser.add_argument("--threads", type=int, default=available_cores(), help="threads for both (default: all cores)")
    parser.add_argument("--engine", default="reference", help="glassnet's engine (default reference)")
    parser.add_argument("--seed", type=int, default=0, help="of the data and the networks (default 0)")
    options = parser.parse_args()

    x, y = make_data(options.rows, options.seed)
    common = {"epochs": options.epochs, "seed": options.seed}
    name = f"glassnet {glassnet.__version__}, {options.engine} engine"
    peer = f"scikit-learn {sklearn.__version__}, MLPClassifier"
    with threadpool_limits(limits=options.threads):
        seconds = take_turns(
            {
                name: lambda: train_glassnet(x, y, threads=options.threads, engine=options.engine, **common),
                peer: lambda: train_sklearn(x, y, **common),
            },
            options.repeats,
        )

    print(f"{'-'.join(map(str, SIZES))} ReLU, SGD, batch {BATCH_SIZE}, float32, {options.rows} rows an epoch.")
    python = f"Python {platform.python_version()} on {platform.machine()}"
    print(f"{options.threads} thread(s) of {available_cores()} cores; {python}.")
    print(f"Seconds per epoch, over {options.repeats} runs of {options.epochs} epochs each, by turns:\n")
    print(f"{'':44}{'median':>9}{'lowest':>9}{'highest':>9}")
    medians = {}
    for row, values in seconds.items():
        per_epoch = [value / options.epochs for value in values]
        medians[row] = statistics.median(per_epoch)
        print(f"{row:44}{medians[row]:9.4f}{min(per_epoch):9.4f}{max(per_epoch):9.4f}")
    rounds = [b / a for a, b in zip(seconds[name], seconds[peer], strict=True)]
    print(f"\nscikit-learn's median is {medians[peer] / medians[name]:.2f} times glassnet's", end="")
    print(f" ({min(rounds):.2f} to {max(rounds):.2f} in single rounds).")


if __name__ == "__main__":
    main()
