"""SIGKILL at random instants of real training.

``python -m reliability.kills [kills] [seed]`` (with tests/ in PYTHONPATH) prints the figures as JSON.

Each run trains in a process of its own, which is killed after a random time, from before its first step to the writing
of its model at the end; another goes on, and may be killed in its turn. In the end the model must be that of a run that
was never killed.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import signal
import struct
import sys
import tempfile
import time
from pathlib import Path

from glassnet.training import checkpoint
from glassnet.training.checkpoint import files
from reliability.jobs import Position, model_bits, train

INTERVAL, EPOCHS = 4, 30
JOBS = (
    {"engine": "native"},
    {"engine": "native", "dropout": 0.0, "optimiser": "sgd", "early_stopping": "none"},
    {"engine": "reference"},
    {"engine": "reference", "optimiser": "nesterov", "schedule": "cosine", "clip_norm": 1.0},
)
EARLY = 0.1  # the share of processes whose time begins with the process, and not with its first step
MOST_IN_A_ROW = 6  # kills of one run


def started(folder: Path, options: dict, shared: mmap.mmap) -> int:
    """The id of a process that trains, or goes on."""
    shared[:8] = struct.pack("q", -1)
    pid = os.fork()
    if pid == 0:
        try:
            train(
                folder,
                epochs=EPOCHS,
                every=f"{INTERVAL}-steps",
                callbacks=[Position(memoryview(shared).cast("q"))],
                **options,
            )
            os._exit(0)
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(1)
    return pid


def begun(folder: Path, options: dict, shared: mmap.mmap) -> int:
    """The same when it has made its first step."""
    pid = started(folder, options, shared)
    while position(shared) < 0 and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        time.sleep(0.0005)
    return pid


def position(shared: mmap.mmap) -> int:
    """The last step that was told, or -1."""
    return struct.unpack("q", shared[:8])[0]


def main(kills: int = 200, seed: int = 0) -> dict:
    """Kill so many times."""
    chance, figures = random.Random(seed), {"kills": 0, "runs": 0, "unloadable": 0, "failed": 0, "different": 0}
    figures |= {"most_lost": 0, "interval": INTERVAL, "before_the_first": 0, "at_the_end": 0}
    with tempfile.TemporaryDirectory() as place:
        root, shared = Path(place), mmap.mmap(-1, 8)
        known: dict[int, tuple[str, float]] = {}  # of each job the right bits, and how long it trains
        while figures["kills"] < kills:
            k = figures["runs"] % len(JOBS)
            if k not in known:
                pid = begun(root / f"whole-{k}", JOBS[k], shared)
                first_step = time.perf_counter()
                os.waitpid(pid, 0)
                known[k] = model_bits(root / f"whole-{k}"), time.perf_counter() - first_step
            expected, seconds = known[k]
            folder = root / f"run-{figures['runs']}"
            figures["runs"] += 1
            in_a_row = 0
            while True:
                early = chance.random() < EARLY
                pid = (started if early else begun)(folder, JOBS[k], shared)
                if in_a_row < MOST_IN_A_ROW and figures["kills"] < kills:
                    time.sleep(chance.uniform(0.0, 1.1 * seconds))
                    os.kill(pid, signal.SIGKILL)
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                if status == 0:
                    break
                if status != -signal.SIGKILL:
                    figures["failed"] += 1
                    break
                in_a_row += 1
                figures["kills"] += 1
                judge(folder, position(shared), figures)
            figures["different"] += status == 0 and model_bits(folder) != expected
    return figures


def judge(folder: Path, at: int, figures: dict) -> None:
    """Whether what a killed process left can be gone on from, and how many steps are lost."""
    try:
        newest = checkpoint.latest(folder / "checkpoints")
    except ValueError:
        newest = None
    if newest is None and files(folder / "checkpoints"):
        figures["unloadable"] += 1
    step = newest.state["step"] if newest is not None else 0
    figures["before_the_first"] += newest is None
    figures["at_the_end"] += (folder / "model.safetensors").exists()
    figures["most_lost"] = max(figures["most_lost"], at - step)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*map(int, sys.argv[1:]))))
