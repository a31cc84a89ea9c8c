"""Questions to models, asked in many threads and processes at once: each answer has the bits that it has alone.

``python -m reliability.at_once WAY [rounds]`` (with tests/ in PYTHONPATH) prints the figures as JSON. The ways are the
functions in WAYS.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import joblib
import numpy as np
from scipy.sparse import csr_array
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_info

import glassnet
from glassnet import MLPClassifier, MLPRegressor, Model, Network
from glassnet.activations import Elementwise
from glassnet.inspection.explain import explain

RNG = np.random.default_rng(6)
X = RNG.normal(size=(300, 12))
HOLES = X * (RNG.random(X.shape) < 0.2)
Y = RNG.integers(0, 3, 300)
FEW = 20  # rows that go through the network itself; all of them go through the native engine


@dataclass(frozen=True)
class Cubic(Elementwise):
    """σ(z) = z³/9, a user's own, which the native engine cannot carry."""

    name: ClassVar[str] = "cubic"

    def __call__(self, z: Any) -> Any:
        return z * z * z / 9

    def derivative(self, z: Any) -> Any:
        """z²/3."""
        return z * z / 3


def network(dtype: str, activation: Any = "tanh", **options: Any) -> Network:
    return Network.dense([12, 64, 32, 3], activation, dtype=dtype, seed=4, **options)


@cache
def models() -> dict[str, Any]:
    """What is asked, made once in a process, or handed over from another."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    classifier = MLPClassifier((16,), dropout=0.3, max_iter=4, random_state=0, tol=0)
    return {
        "float32": Model(network("float32", dropout=0.4), "cross_entropy"),
        "float64": Model(network("float64", dropout=0.4, dropout_variant="plain"), "cross_entropy"),
        "own": Model(Network.dense([12, 400, 400, 3], Cubic(), dtype="float64", seed=4), "cross_entropy"),
        "classifier": classifier.fit(X, Y),
        "sparse": MLPClassifier((16,), max_iter=4, random_state=0, tol=0).fit(csr_array(HOLES), Y),
        "regressor": MLPRegressor(hidden_layer_sizes=(16,), max_iter=4, random_state=0, tol=0, threads=1).fit(
            X, X[:, 0]
        ),
    }


def fitted(engine: str, **options: Any) -> Any:
    """A network trained now."""
    net = Network.dense([12, 200, 200, 3], dtype="float64", dropout=0.3, seed=1)
    glassnet.train(net, X, Y, epochs=1, batch_size=150, engine=engine, device="cpu", **options)
    return [theta for _, theta in net.parameters()]


def estimator_fitted(**options: Any) -> Any:
    return MLPClassifier((8,), max_iter=3, random_state=0, tol=0, **options).fit(X, Y).coefs_


QUESTIONS: dict[str, Callable[[], Any]] = {
    "float32, all": lambda: models()["float32"].predict(X).probabilities,
    "float32, few": lambda: models()["float32"].predict(X[:FEW]).probabilities,
    "float64, all": lambda: models()["float64"].predict(X).probabilities,
    "float64, few": lambda: models()["float64"].predict(X[:FEW]).probabilities,
    "own activation": lambda: models()["own"].predict(X).probabilities,
    "sparse, all": lambda: models()["float32"].predict(csr_array(HOLES)).probabilities,
    "sparse, few": lambda: models()["float64"].predict(csr_array(HOLES[:FEW])).probabilities,
    "samples": lambda: models()["float32"].predict(X[:FEW], samples=7).spread,
    "evaluate": lambda: json.dumps(models()["float64"].evaluate((X, Y))),
    "trace": lambda: [layer.delta for layer in models()["float64"].trace((X[:5], Y[:5])).layers],
    "explain": lambda: explain(network("float64"), "cross_entropy", X[:3], Y[:3], row=1).to_markdown(),
    "classifier": lambda: models()["classifier"].predict_proba(X),
    "classifier, samples": lambda: models()["classifier"].predict_proba(X[:FEW], samples=5),
    "classifier, sparse": lambda: models()["sparse"].predict_proba(csr_array(HOLES)),
    "classifier, transform": lambda: models()["classifier"].transform(X),
    "regressor": lambda: models()["regressor"].predict(X),
    "training, native": lambda: fitted("native"),
    "training, native, 1 thread": lambda: fitted("native", threads=1),
    "training, reference": lambda: fitted("reference"),
    "training, estimator": estimator_fitted,
}


def digest(name: str) -> str:
    """The bits of an answer."""
    answer = QUESTIONS[name]()
    whole = hashlib.sha256()
    for part in answer if isinstance(answer, list) else [answer]:
        whole.update(part.encode() if isinstance(part, str) else np.ascontiguousarray(part).tobytes())
    return whole.hexdigest()


def alone() -> dict[str, str]:
    """The answers with nothing else going on."""
    return {name: digest(name) for name in QUESTIONS}


def from_place(start: int, given: dict[str, Any] | None = None) -> list[tuple[str, str]]:
    """All answers, in an order of its own; of these models, where others are given than this process's."""
    if given is not None:
        models().update(given)
    names = [*QUESTIONS]
    start %= len(names)
    return [(name, digest(name)) for name in names[start:] + names[:start]]


def blas() -> list[int]:
    """How many threads the libraries have."""
    return [pool["num_threads"] for pool in threadpool_info()]


# Ways to ask at once: each gives a list of answers


def threads(rounds: int) -> list[tuple[str, str]]:
    with ThreadPoolExecutor(8) as pool:
        return [pair for pairs in pool.map(from_place, range(8 * rounds)) for pair in pairs]


def joblib_threading(rounds: int) -> list[tuple[str, str]]:
    jobs = joblib.Parallel(4, backend="threading")(joblib.delayed(from_place)(k) for k in range(4 * rounds))
    return [pair for pairs in jobs for pair in pairs]


def joblib_loky(rounds: int) -> list[tuple[str, str]]:
    """With as many threads as here, on which the reference engine's bits depend."""
    with joblib.parallel_config("loky", n_jobs=2, inner_max_num_threads=max(blas())):
        jobs = joblib.Parallel()(joblib.delayed(from_place)(k, models()) for k in range(2 * rounds))
    return [pair for pairs in jobs for pair in pairs]


def processes(method: str) -> Callable[[int], list[tuple[str, str]]]:
    def ask(rounds: int) -> list[tuple[str, str]]:
        with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
            return [
                pair for pairs in pool.map(from_place, range(2 * rounds), [models()] * 2 * rounds) for pair in pairs
            ]

    return ask


def forks_amid_threads(rounds: int) -> list[tuple[str, str]]:
    """Children are forked while two threads of the parent predict and train without a pause.

    NumPy's products hang then if their library shares them among threads, hence OPENBLAS_NUM_THREADS=1.
    """
    ended, answers = threading.Event(), []

    def ask(start: int) -> None:
        while not ended.is_set():
            answers.extend(from_place(start))

    asking = [threading.Thread(target=ask, args=(7 * k,)) for k in range(2)]
    for thread in asking:
        thread.start()
    try:
        for k in range(4 * rounds):
            answers += forked(k)
            time.sleep(0.01 * (k % 7))
    finally:
        ended.set()
        for thread in asking:
            thread.join()
    return answers


def forked(start: int) -> list[tuple[str, str]]:
    """The answers of a forked process; "hung" where there is none within ten seconds."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writing, json.dumps(from_place(start)[:6]).encode())
        finally:
            os._exit(0)
    os.close(writing)
    ends = time.monotonic() + 10
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() > ends:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            return [("float32, all", "hung")]
        time.sleep(0.002)
    with os.fdopen(reading, "rb") as file:
        return [(name, bits) for name, bits in json.loads(file.read() or b'[["float32, all", "crashed"]]')]


WAYS: dict[str, Callable[[int], list[tuple[str, str]]]] = {
    "threads": threads,
    "joblib-threading": joblib_threading,
    "joblib-loky": joblib_loky,
    "fork": processes("fork"),
    "spawn": processes("spawn"),
    "forkserver": processes("forkserver"),
    "forks-amid-threads": forks_amid_threads,
}


def main(way: str, rounds: int = 1) -> dict[str, Any]:
    """Ask alone, ask at once, compare; and ask alone again."""
    expected, pools, running = alone(), blas(), threading.active_count()
    answers = WAYS[way](rounds)
    different = sorted({name for name, bits in answers if bits != expected[name]})
    return {
        "answers": len(answers),
        "questions": len({name for name, _ in answers}),
        "different": different,
        "ends": sorted({bits for _, bits in answers if len(bits) < 64}),
        "again": alone() == expected,
        "pools": blas()[: len(pools)] == pools,
        "threads": threading.active_count() - running,
    }


if __name__ == "__main__":
    from reliability.at_once import main  # so that other processes find what they are to call

    sys.stdout.write(json.dumps(main(sys.argv[1], *map(int, sys.argv[2:]))))
