"""Whole processes of a small job: digits with the defaults, from start to exit."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.contest import say
from benchmarks.options import Options
from benchmarks.tables import seconds, table

TITLE = "A small job, from start to exit"
SCRIPTS = Path(__file__).parents[1] / "scripts"


def commands(folder: str) -> dict[str, tuple[list[str], Callable[[str], float | None]]]:
    """Each process, and how its test accuracy is read from what it prints."""
    glassnet = [sys.executable, "-m", "glassnet", "train", "digits", "--out", f"{folder}/run", "--overwrite", "--json"]
    return {
        "python -c pass": ([sys.executable, "-c", "pass"], lambda printed: None),
        "scikit-learn, MLPClassifier in a script": ([sys.executable, str(SCRIPTS / "sklearn_digits.py")], float),
        "glassnet.fit in a script": ([sys.executable, str(SCRIPTS / "fit_digits.py")], float),
        "glassnet train digits": (glassnet, _accuracy),
    }


def _accuracy(printed: str) -> float | None:
    """From the last line of JSON."""
    figure = json.loads(printed.splitlines()[-1]).get("test_accuracy")
    return None if figure is None else float(figure)


def run(options: Options) -> dict[str, Any]:
    """Each once in every round."""
    entries: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for round_ in range(2 if options.quick else 7):
            for name, (command, accuracy) in list(commands(folder).items())[:: 1 if round_ % 2 else -1]:
                started = time.perf_counter()
                done = subprocess.run(
                    command,
                    env=machine.environment(options.threads),
                    cwd=folder,
                    capture_output=True,
                    text=True,
                    check=True,
                )
                wall = time.perf_counter() - started
                entry = entries.setdefault(name, {"seconds": [], "accuracy": accuracy(done.stdout)})
                if round_:  # the first one finds files not read yet
                    entry["seconds"].append(wall)
            say(".")
    return {"entries": entries}


def text(kept: dict[str, Any]) -> str:
    """Medians and test accuracies."""
    rows = [
        [
            f"`{name}`" if name.split()[0] in ("python", "glassnet") else name,
            seconds(statistics.median(entry["seconds"])),
            seconds(min(entry["seconds"])),
            seconds(max(entry["seconds"])),
            "" if entry["accuracy"] is None else f"{entry['accuracy']:.4f}",
        ]
        for name, entry in kept["figures"]["entries"].items()
    ]
    return (
        "scikit-learn's digits (1,797 images of 8 × 8), a fifth of them to test. Both with their defaults, which "
        "differ: glassnet also holds out rows for early stopping, and the command line writes a run's folder with a "
        "figure.\n\n" + table(["", "s, median", "least", "most", "test accuracy"], rows)
    )
