"""The accuracy of ``fast`` beside that of ``exact``: the same seeds, weights, orders and masks, trained to the end."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contest import Arena, say
from benchmarks.options import Options
from benchmarks.tables import seconds, table
from benchmarks.workloads import W1, W3, W4, Workload

TITLE = "Fast and exact"

NETWORKS = {
    "W1": (replace(W1, schedule="linear", epochs=10), 6),
    "W3": (replace(W3, schedule="linear", epochs=12, lr=0.2), 3),
    "W4": (replace(W4, schedule="linear", epochs=5), 4),
}
"""Trained as in the contest but with a learning rate that falls to zero, so that the end does not swing; seeds."""


def run(options: Options) -> dict[str, Any]:
    """Pairs of trainings, seed by seed."""
    entries: dict[str, Any] = {}
    with Arena(options.threads, options.folder, emulate=options.emulate) as arena:
        if missing := arena.worker("glassnet-fast").missing:
            return {"missing": missing, "emulated": False, "entries": {}}
        for name in options.names:
            if name in NETWORKS:
                entries[name] = _networks(arena, *NETWORKS[name], options)
        for name, make in SMALL.items():
            split = make(options.folder)
            if split is not None:
                entries[name] = _small(arena, split, options)
    return {"entries": entries, "emulated": options.emulate}


def _networks(arena: Arena, workload: Workload, seeds: int, options: Options) -> dict[str, Any]:
    if options.quick:
        workload, seeds = replace(workload, epochs=1), 2
    pairs = []
    for seed in range(seeds):
        pair = {}
        for precision in ("exact", "fast"):
            answer = arena.whole(f"glassnet-{precision}", workload, seed, workload.epochs)
            pair[precision] = {"score": answer.value, "seconds": answer.wall}
            say(".")
        pairs.append(pair)
    return {
        "what": f"{workload.title}, linearly to zero, {workload.epochs} epochs",
        "measure": "accuracy",
        "pairs": pairs,
    }


def _small(arena: Arena, split: dict[str, Any], options: Options) -> dict[str, Any]:
    pairs = []
    for seed in range(2 if options.quick else 6):
        pair = {}
        for precision in ("exact", "fast"):
            answer = arena.worker(f"glassnet-{precision}").ask(
                "small", name=split["name"], folder=str(options.folder), precision=precision, seed=seed
            )
            pair[precision] = {"score": answer.value, "seconds": answer.wall}
        pairs.append(pair)
        say(".")
    return {"what": split["what"], "measure": split["measure"], "pairs": pairs}


def california_housing(folder: Path) -> dict[str, Any] | None:
    """Features and target standardised; None where the file is not."""
    path = folder / "california-housing" / "california-housing.csv"
    if not path.exists():
        return None
    with path.open(encoding="utf-8", newline="") as file:
        heads, *rows = csv.reader(file)
    values = np.array(rows, np.float64)
    target = heads.index("median_house_value")
    y = values[:, target]
    return {
        "name": "California housing",
        "what": "8-64-64-1 ReLU, squared error, batch 64, Adam lr 0.003 linearly to zero, 30 epochs; a fifth to test",
        "measure": "R²",
        "x": np.delete(values, target, axis=1),
        "y": (y - y.mean()) / y.std(),
        "options": {"sizes": (8, 64, 64, 1), "lr": 0.003, "epochs": 30, "batch_size": 64},
    }


def breast_cancer(folder: Path) -> dict[str, Any]:
    """scikit-learn's."""
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    return {
        "name": "breast cancer",
        "what": "30-32-2 ReLU, batch 16, Adam lr 0.003 linearly to zero, 60 epochs; a fifth to test",
        "measure": "accuracy",
        "x": x,
        "y": y.astype(np.int64),
        "options": {"sizes": (30, 32, 2), "lr": 0.003, "epochs": 60, "batch_size": 16},
    }


SMALL: dict[str, Callable[[Path], dict[str, Any] | None]] = {
    "California housing": california_housing,
    "breast cancer": breast_cancer,
}


def train_small(name: str, folder: Path, precision: str, seed: int, threads: int) -> float:
    """Train on four fifths of a small set and test on the rest, chosen by the seed: R² or accuracy."""
    import glassnet

    split = SMALL[name](folder)
    assert split is not None
    rows = np.random.default_rng(seed).permutation(len(split["x"]))
    test, train = np.split(rows, [len(rows) // 5])
    mean, spread = split["x"][train].mean(axis=0), split["x"][train].std(axis=0)
    x = ((split["x"] - mean) / spread).astype(np.float32)
    y = split["y"] if split["measure"] == "accuracy" else split["y"].astype(np.float32)
    options = dict(split["options"])
    network = glassnet.Network.dense(options.pop("sizes"), seed=seed)
    glassnet.train(
        network,
        x[train],
        y[train],
        schedule="linear",
        seed=seed,
        device="cpu",
        engine="native",
        precision=precision,
        threads=threads,
        **options,
    )
    a = network.forward(x[test])
    if split["measure"] == "accuracy":
        return float(np.mean(a.argmax(axis=1) == y[test]))
    residual = y[test] - a[:, 0]
    return float(1 - np.mean(residual**2) / np.var(y[test]))


def text(kept: dict[str, Any]) -> str:
    """Means, the mean difference of the pairs with its standard error, and the spread over seeds."""
    figures = kept["figures"]
    if figures.get("missing"):
        return f"Not measured: {figures['missing']}."
    rows = []
    for name, entry in figures["entries"].items():
        exact, fast = ([pair[p]["score"] for pair in entry["pairs"]] for p in ("exact", "fast"))
        differences = [b - a for a, b in zip(exact, fast, strict=True)]
        n = len(differences)
        error = statistics.stdev(differences) / n**0.5
        times = {p: statistics.fmean(pair[p]["seconds"] for pair in entry["pairs"]) for p in ("exact", "fast")}
        rows.append(
            [
                name,
                entry["what"],
                n,
                entry["measure"],
                f"{statistics.fmean(exact):.5f}",
                f"{statistics.fmean(fast):.5f}",
                f"{statistics.fmean(differences):+.5f} ± {error:.5f}".replace("-", "−"),
                f"{statistics.stdev(exact):.5f}",
                f"{seconds(times['exact'])}, {seconds(times['fast'])}",
            ]
        )
    heads = [
        *("", "training", "seeds", "measure", "exact", "fast"),
        *("fast − exact, ± standard error", "spread of exact over seeds", "s of training, exact, fast"),
    ]
    emulated = " bfloat16 was emulated here, so the times mean nothing." if figures["emulated"] else ""
    return (
        "Pairs of trainings with the same seeds, first weights, orders and masks, measured on test rows."
        f"{emulated}\n\n" + table(heads, rows)
    )
