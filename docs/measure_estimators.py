"""Measure the estimators beside scikit-learn's, print the tables, and write them into docs/from-scikit-learn.md.

Run from anywhere: ``python docs/measure_estimators.py``; ``--only agreement,scores,memory`` takes some of the sections.
The whole takes under ten minutes on two cores; each table tells with what it was made.

California housing is read from ``../shared/data`` beside the repository, or from ``--data``.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pages
import sklearn
from sklearn import datasets, neural_network
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, StratifiedKFold
from threadpoolctl import threadpool_limits

import glassnet

THREADS = 2
PAGE = Path(__file__).parent / "from-scikit-learn.md"
SCRIPT = Path(__file__).name
DATA = Path(__file__).parents[2] / "shared/data"


def signed(started):
    """What was measured when, with what."""
    versions = f"glassnet {glassnet.__version__}, scikit-learn {sklearn.__version__}, NumPy {np.__version__}"
    when, took = datetime.date.today().isoformat(), time.perf_counter() - started
    return f"{versions}; {processor()}, {THREADS} threads; {when}, in {took:.0f} s."


def processor():
    """The processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.machine())


# Agreement: the same path

CLASSES = {
    "MLPClassifier": (neural_network.MLPClassifier, glassnet.MLPClassifier),
    "MLPRegressor": (neural_network.MLPRegressor, glassnet.MLPRegressor),
}
ACTIVATIONS = ("identity", "logistic", "tanh", "relu")
MOMENTA = {
    "none": {"momentum": 0.0},
    "0.9": {"momentum": 0.9, "nesterovs_momentum": False},
    "0.9, Nesterov": {"momentum": 0.9},
}
POLICIES = {  # each so that within 20 epochs it does something
    "constant": {},
    "invscaling": {"learning_rate": "invscaling", "power_t": 0.25, "learning_rate_init": 0.05},
    "adaptive": {"learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 0.1, "learning_rate_init": 0.05},
}
ADAM, SGD = "adam", "sgd, 0.9, Nesterov, constant"
PATHS = {
    ADAM: {"solver": "adam"},
    **{
        f"sgd, {momentum}, {policy}": {"solver": "sgd", "learning_rate_init": 0.01, **MOMENTA[momentum], **rate}
        for momentum in MOMENTA
        for policy, rate in POLICIES.items()
    },
}
VARIATIONS = {
    "sample weights": {},
    "alpha=1": {"alpha": 1.0},
    "early stopping": {"early_stopping": True},
    "shuffle=False": {"shuffle": False},
    "batches of 37": {"batch_size": 37},
    "hidden layers (30, 20)": {"hidden_layer_sizes": (30, 20)},
    "early stopping, sample weights, alpha=1": {"early_stopping": True, "alpha": 1.0},
}


def digits():
    """Rows of 64 grey values from 0 to 1."""
    X, y = datasets.load_digits(return_X_y=True)
    return X / 16, y


def diabetes():
    """Features and target with mean 0 and variance 1."""
    X, y = datasets.load_diabetes(return_X_y=True)
    return (X - X.mean(axis=0)) / X.std(axis=0), (y - y.mean()) / y.std()


def fitted(cls, settings, X, y, weight=None):
    """An estimator after ``fit``; that 20 epochs are few is known."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return cls(random_state=0, **settings).fit(X, y, weight)


def furthest(theirs, ours):
    """The largest difference of two fitted estimators' weights and biases."""
    pairs = zip(theirs.coefs_ + theirs.intercepts_, ours.coefs_ + ours.intercepts_, strict=True)
    return max(float(np.abs(a - b).max()) for a, b in pairs)


def path_difference(name, X, y, settings, weight=None):
    """After 20 epochs, 30 hidden units; infinite if one of the two ends sooner than the other."""
    settings = {"hidden_layer_sizes": (30,), "max_iter": 20, "n_iter_no_change": 100, **settings}
    theirs, ours = (fitted(cls, settings, X, y, weight) for cls in CLASSES[name])
    return furthest(theirs, ours) if theirs.n_iter_ == ours.n_iter_ else np.inf


def agreement(_):
    """Section a: the paths that training can take, and where lbfgs ends."""
    started = time.perf_counter()
    rng = np.random.default_rng(0)
    parts = []
    for name, (X, y) in {"MLPClassifier": digits(), "MLPRegressor": diabetes()}.items():
        weights = rng.uniform(0.1, 3, len(y))
        cases = {path: (PATHS[path], None) for path in PATHS}
        for what, more in VARIATIONS.items():
            for path in (ADAM, SGD):
                cases[f"{path}; {what}"] = ({**PATHS[path], **more}, weights if "sample weights" in what else None)
        rows = [
            [
                case,
                *(f"{path_difference(name, X, y, {**given, 'activation': s}, weight):.0e}" for s in ACTIVATIONS),
            ]
            for case, (given, weight) in cases.items()
        ]
        parts.append(pages.table([f"`{name}`", *ACTIVATIONS], rows))
    parts.append(pages.table(["other targets (adam, relu)", "difference"], other_targets()))
    parts.append(pages.table(["lbfgs", "loss", "difference of the loss", "of the predictions"], lbfgs()))
    pages.write(PAGE, SCRIPT, "agreement", "\n\n".join([*parts, signed(started)]))


def other_targets():
    """Two classes, many labels, several outputs, counts."""
    X, y = digits()
    Z, t = diabetes()
    cases = {
        "two classes": ("MLPClassifier", X, y % 2, {}),
        "three labels a row": ("MLPClassifier", X, np.stack([y % 2, y > 4, y % 3 == 0], axis=1).astype(int), {}),
        "three outputs": ("MLPRegressor", Z, np.stack([t, t**2, -t], axis=1), {}),
        "counts, `loss='poisson'`": ("MLPRegressor", Z, np.round(np.exp(t)), {"loss": "poisson"}),
    }
    return [[what, f"{path_difference(*case):.0e}"] for what, case in cases.items()]


def lbfgs():
    """A convex case, whose optimum is one, and small networks, which both follow to the same one."""
    Z, t = diabetes()
    flowers, kinds = datasets.load_iris(return_X_y=True)
    flowers = (flowers - flowers.mean(axis=0)) / flowers.std(axis=0)
    common = {"solver": "lbfgs", "tol": 1e-10, "max_iter": 5000, "max_fun": 10**6}
    rows = []
    for name, what, X, y in (
        ("MLPClassifier", "iris, standardised", flowers, kinds),
        ("MLPRegressor", "diabetes, standardised", Z, t),
    ):
        for activation in ("logistic", "tanh"):
            settings = {**common, "activation": activation, "hidden_layer_sizes": (3,), "alpha": 1.0}
            theirs, ours = (fitted(cls, settings, X, y) for cls in CLASSES[name])
            method = "predict_proba" if name == "MLPClassifier" else "predict"
            apart = np.abs(getattr(theirs, method)(X) - getattr(ours, method)(X)).max()
            case = f"`{name}`, {what}, 3 {activation} units, alpha=1"
            rows.append([case, f"{ours.loss_:.6f}", f"{abs(theirs.loss_ - ours.loss_):.0e}", f"{apart:.0e}"])
    return rows


# Scores: the same folds

SEEDS = (0, 1, 2)


def california(folder):
    """Districts and the median house value, in dollars."""
    path = folder / "california-housing/california-housing.csv"
    with path.open(encoding="utf-8") as file:
        rows = np.array(list(csv.reader(file))[1:], dtype=np.float64)
    return rows[:, :-1], rows[:, -1]


def scores(options):
    """Section b: 5 folds × 3 seeds, both with their defaults, taking turns."""
    started = time.perf_counter()
    sets = {
        "digits": ("MLPClassifier", datasets.load_digits(return_X_y=True)),
        "breast cancer": ("MLPClassifier", datasets.load_breast_cancer(return_X_y=True)),
        "wine": ("MLPClassifier", datasets.load_wine(return_X_y=True)),
        "iris": ("MLPClassifier", datasets.load_iris(return_X_y=True)),
        "diabetes": ("MLPRegressor", datasets.load_diabetes(return_X_y=True)),
        "California housing": ("MLPRegressor", california(options.data)),
    }
    rows = []
    for name, (kind, (X, y)) in sets.items():
        theirs, ours = CLASSES[kind]
        contestants = {
            "scikit-learn": lambda seed, cls=theirs: cls(random_state=seed),
            "glassnet": lambda seed, cls=ours: cls(random_state=seed),
            "glassnet, `standardize=True`": lambda seed, cls=ours: cls(random_state=seed, standardize=True),
        }
        found = {contestant: [] for contestant in contestants}
        for turn, (seed, train, test) in enumerate(folds(kind, X, y)):
            for contestant in rotated(list(contestants), turn):
                found[contestant].append(fold(contestants[contestant](seed), X[train], y[train], X[test], y[test]))
        for contestant, figures in found.items():
            score, seconds, epochs = (np.array(column) for column in zip(*figures, strict=True))
            shown = f"{score.mean():.4f} ± {score.std():.4f}"
            rows.append([name, contestant, shown, f"{statistics.median(seconds):.3g}", int(np.median(epochs))])
        print(pages.table(["", "", "", "", ""], rows[-3:]), flush=True)
    heads = ["", "", "accuracy or R², mean ± standard deviation", "fit, s", "epochs"]
    pages.write(PAGE, SCRIPT, "scores", f"{pages.table(heads, rows)}\n\n{signed(started)}")


def folds(kind, X, y):
    """Seed, rows to train on and rows to test on: 5 folds for each of 3 seeds."""
    cls = StratifiedKFold if kind == "MLPClassifier" else KFold
    for seed in SEEDS:
        for train, test in cls(5, shuffle=True, random_state=seed).split(X, y):
            yield seed, train, test


def rotated(names, turn):
    """Each turn begins with another."""
    start = turn % len(names)
    return names[start:] + names[:start]


def fold(estimator, X, y, X_test, y_test):
    """Score on the test rows, seconds of ``fit``, epochs."""
    begun = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        estimator.fit(X, y)
    seconds = time.perf_counter() - begun
    return estimator.score(X_test, y_test), seconds, estimator.n_iter_


# Memory: a fresh process each

ROWS, COLUMNS = 200_000, 50
MEMORY_CASES = {
    "defaults": {},
    "`early_stopping=True`": {"early_stopping": True},
    "`standardize=True`": {"standardize": True},
}


def peak():
    """The largest memory that this process has had, in bytes.

    Linux hands the parent's figure of ``getrusage`` on to the child, but not that of /proc.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except OSError:
        found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return found if sys.platform == "darwin" else found * 1024


def growth(kind, library, dtype, settings):
    """By how much ``fit`` raises the peak, in bytes. Small data first, so that everything is loaded."""
    cls = CLASSES[kind][library == "glassnet"]
    rng = np.random.default_rng(0)
    X = rng.standard_normal((ROWS, COLUMNS), dtype=dtype)
    y = (X[:, 0] > 0).astype(np.int64) if kind == "MLPClassifier" else X[:, 0].copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        cls(max_iter=1, random_state=0, **settings).fit(X[:1000], y[:1000])
        before = peak()
        cls(max_iter=1, random_state=0, **settings).fit(X, y)
    return peak() - before


def memory(_):
    """Section c: what ``fit`` needs beside the caller's arrays."""
    started = time.perf_counter()
    rows = []
    for kind in CLASSES:
        for case, settings in MEMORY_CASES.items():
            cells = []
            for dtype in ("float32", "float64"):
                for library in ("scikit-learn", "glassnet"):
                    if library == "scikit-learn" and "standardize" in settings:
                        cells.append("")
                        continue
                    asked = json.dumps([kind, library, dtype, settings])
                    command = [sys.executable, __file__, "--growth", asked]
                    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                    cells.append(f"{int(said) / 2**20:.0f}")
            rows.append([f"`{kind}`, {case}", *cells])
    size = [ROWS * COLUMNS * width / 2**20 for width in (4, 8)]
    heads = ["MiB"]
    for dtype, mebibytes in zip(("float32", "float64"), size, strict=True):
        heads += [f"{dtype} (X: {mebibytes:.0f}), scikit-learn", f"{dtype}, glassnet"]
    pages.write(PAGE, SCRIPT, "memory", f"{pages.table(heads, rows)}\n\n{signed(started)}")


SECTIONS = {"agreement": agreement, "scores": scores, "memory": memory}


def main():
    """The sections asked for, in order."""
    parser = argparse.ArgumentParser(description="Measure the estimators beside scikit-learn's.")
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, with commas between them")
    parser.add_argument("--data", type=Path, default=DATA, help="the folder that holds california-housing/")
    parser.add_argument("--growth", help=argparse.SUPPRESS)  # what a process of the section on memory is asked for
    options = parser.parse_args()
    names = options.only.split(",")
    if unknown := set(names) - set(SECTIONS):
        parser.error(f"no section {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    os.environ["OMP_NUM_THREADS"] = str(THREADS)  # for glassnet, and for processes that this one starts
    with threadpool_limits(THREADS):
        if options.growth:
            print(growth(*json.loads(options.growth)))
            return
        for name in names:
            SECTIONS[name](options)


if __name__ == "__main__":
    main()
