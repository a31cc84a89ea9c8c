"""A run that is read again and again while another process overwrites and resumes it.

``python -m reliability.readers [seconds] [seed]`` (with tests/ in PYTHONPATH) prints the figures as JSON.

The writer goes through a few runs, each of which is broken off, gone on with to its end, and overwritten by the next.
Whoever reads must find one of the states that they end in, whole, or hear that the folder is in use. Which state is
which is known beforehand from folders in which nothing else happened.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cases.halting import HaltAt
from glassnet.cli import main as glassnet
from glassnet.errors import InputError
from glassnet.model import Model
from glassnet.network import parameter_values
from glassnet.runs import config_of, fit, look_into, plain, read_history
from glassnet.training import checkpoint

IN_USE = "is in use by process"
VARIANTS = (
    {"hidden": (4,), "seed": 1, "engine": "native"},
    {"hidden": (5, 3), "seed": 2, "engine": "reference"},
    {"hidden": (6,), "seed": 3, "engine": "native", "optimiser": "sgd"},
)
STOP_AT = 10  # of 3 epochs of 8 steps


def write_table(path: Path) -> None:
    """Rows to learn from."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(160, 3))
    lines = [",".join([*(f"{value:.5f}" for value in row), "no" if row[0] * row[1] > 0 else "yes"]) for row in rows]
    path.write_text("a,b,c,y\n" + "\n".join(lines) + "\n", encoding="utf-8")


def write(folder: Path, table: Path, variant: dict[str, Any], *, whole: bool) -> None:
    """A run, broken off in its second epoch; or one that was, gone on with to its end."""
    fit(
        str(table),
        out=folder,
        overwrite=not whole,
        resume=whole,
        checkpoint_every="3-steps",
        callbacks=[] if whole else [HaltAt(STOP_AT)],
        **{"epochs": 3, "batch_size": 16, "early_stopping": "none", "lr": 0.01, **variant},
    )


# What is read, as text that is the same for the same state


def told(*words: object) -> str:
    """What a command prints, without the lines that tell of time and place; InputError if it refuses."""
    out, errors = io.StringIO(), io.StringIO()
    out.buffer = io.BytesIO()  # type: ignore[attr-defined] # predictions are written as bytes
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        code = glassnet([*map(str, words)])
    if code == 2:
        raise InputError(errors.getvalue().strip())
    assert (code, errors.getvalue()) == (0, ""), errors.getvalue()
    text = out.getvalue() + out.buffer.getvalue().decode()  # type: ignore[attr-defined]
    return "\n".join(line for line in text.splitlines() if "seconds" not in line)


def model_text(model: Model) -> str:
    """All of a model."""
    return str({name: theta.tobytes() for name, theta in parameter_values(model.network).items()}) + str(
        model.manifest()
    )


def history_text(folder: Path) -> str:
    """All of a history but the time."""
    history = read_history(folder)
    epochs = [{name: value for name, value in record.items() if name != "seconds"} for record in history]
    return f"{epochs} {history.stop_code}"


def inside_text(folder: Path) -> str:
    """What pictures and diagnosis are made of."""
    inside = look_into(folder)
    epochs = [record["loss"] for record in inside.history]
    return f"{model_text(inside.model)} {epochs} {plain(inside.config)}"


READS: dict[str, Callable[[Path, Path], str]] = {
    "info": lambda folder, table: told("info", folder).replace(str(folder), ""),
    "Model.load": lambda folder, table: model_text(Model.load(folder)),
    "read_history": lambda folder, table: history_text(folder),
    "config_of": lambda folder, table: str(plain(config_of(folder))),
    "look_into": lambda folder, table: inside_text(folder),
    "predict": lambda folder, table: told("predict", folder, table),
    "evaluate": lambda folder, table: told("evaluate", folder, table),
}


def newest(folder: Path) -> None:
    """The newest checkpoint, if there is one, is whole: what it says of its run is true of its state."""
    found = checkpoint.newest(folder / "checkpoints", note=hear)
    if found is None:
        return
    about, state = found[1].about, found[1].state
    assert str(list(about["config"]["network"]["hidden"])) in {str(list(variant["hidden"])) for variant in VARIANTS}
    assert 0 <= state["step"] <= 24


def hear(text: str) -> None:
    """A checkpoint that is removed while it is about to be read is no damage."""
    raise AssertionError(text)


# Both at once


def writing(folder: Path, table: Path) -> int:
    """The id of a process that writes until it is killed."""
    pid = os.fork()
    if pid == 0:
        try:
            k = 0
            while True:
                write(folder, table, VARIANTS[k % len(VARIANTS)], whole=False)
                write(folder, table, VARIANTS[k % len(VARIANTS)], whole=True)
                k += 1
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(1)
    return pid


def states(root: Path, table: Path) -> dict[str, list[str]]:
    """What each way of reading finds in each of the states."""
    found: dict[str, list[str]] = {name: [] for name in READS}
    for k, variant in enumerate(VARIANTS):
        for whole in (False, True):
            write(root / f"alone-{k}", table, variant, whole=whole)
            for name, read in READS.items():
                found[name].append(read(root / f"alone-{k}", table))
    return found


def main(seconds: float = 30.0, seed: int = 0) -> dict[str, Any]:
    """Read for so long."""
    chance = random.Random(seed)
    figures: dict[str, Any] = {"reads": Counter(), "whole": Counter(), "in_use": Counter(), "slowest": 0.0, "bad": []}
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        table, folder = root / "table.csv", root / "run"
        write_table(table)
        known = states(root, table)
        seen: dict[str, set[int]] = {name: set() for name in READS}
        write(folder, table, VARIANTS[0], whole=False)
        pid = writing(folder, table)
        try:
            ends = time.perf_counter() + seconds
            while time.perf_counter() < ends:
                name = chance.choice([*READS, "newest"])
                begun = time.perf_counter()
                figures["reads"][name] += 1
                try:
                    if name == "newest":
                        newest(folder)
                    else:
                        text = READS[name](folder, table)
                        assert text in known[name], "a mixture of states"
                        seen[name].add(known[name].index(text))
                    figures["whole"][name] += 1
                except InputError as error:
                    if IN_USE in str(error):
                        figures["in_use"][name] += 1
                    else:
                        figures["bad"].append(f"{name}: {error}")
                except Exception as error:
                    figures["bad"].append(f"{name}: {type(error).__name__}: {str(error)[:300]}")
                figures["slowest"] = max(figures["slowest"], time.perf_counter() - begun)
            if os.waitpid(pid, os.WNOHANG) != (0, 0):
                figures["bad"].append("the writer has ended before its time")
        finally:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
    figures["states"] = {name: len(numbers) for name, numbers in seen.items()}
    return figures


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*map(float, sys.argv[1:]))))
