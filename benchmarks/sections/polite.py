"""An epoch while another process holds one of the cores, over an epoch without it."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from benchmarks.contest import Arena, say
from benchmarks.options import Options
from benchmarks.peers import CONTESTANTS
from benchmarks.tables import seconds, table
from benchmarks.worker import WorkerError
from benchmarks.workloads import W1, W3, load

TITLE = "Beside a busy process"
KEYS = ("torch-memory", "torch-fused", "jax", "sklearn", "numpy", "glassnet-exact", "glassnet-fast")
PARTS = {"W1": 1, "W3": 20}  # a turn is an epoch divided by this
PAUSE = 0.5  # seconds before a turn, in which what an engine learned of the turn before is no longer true


@contextmanager
def busy_core() -> Iterator[None]:
    """A process that computes on one of the cores, at the same priority, until the block ends."""
    core = max(os.sched_getaffinity(0))
    code = f"import os\nos.sched_setaffinity(0, {{{core}}})\nprint(flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.kill()


def run(options: Options) -> dict[str, Any]:
    """Turns without and with the other process, one after the other."""
    if not hasattr(os, "sched_setaffinity"):
        raise SystemExit("this system does not let a process be held to a core")
    entries = []
    rounds = 2 if options.quick else 5
    with Arena(options.threads, options.folder) as arena:
        for workload in (replace(w, turns=PARTS[w.name]) for w in ((W1,) if options.quick else (W1, W3))):
            whole = workload.steps(len(load(workload, options.folder).x))
            steps = whole // workload.turns
            for key in options.among(*KEYS[:: 3 if options.quick else 1]):
                worker = arena.worker(key)
                entry: dict[str, Any] = {"name": workload.name, "key": key, "alone": [], "beside": []}
                entries.append(entry)
                if worker.missing:
                    entry["missing"] = worker.missing
                    continue
                try:
                    worker.ask("fetch", workload=workload.to_json(), folder=str(options.folder), seed=options.seed)
                    worker.ask("setup")
                    for _ in range(2):
                        worker.ask("advance", steps=steps)
                    for _ in range(rounds):
                        worker.ask("ready", steps=steps)
                        time.sleep(PAUSE)
                        entry["alone"].append(worker.ask("advance", steps=steps).wall / steps * whole)
                        worker.ask("ready", steps=steps)
                        time.sleep(PAUSE)
                        with busy_core():
                            entry["beside"].append(worker.ask("advance", steps=steps).wall / steps * whole)
                    worker.ask("rest")
                except WorkerError as error:
                    entry["missing"] = f"failed: {error}"
                say(".")
    return {"entries": entries}


def text(kept: dict[str, Any]) -> str:
    """Epochs alone and beside, and the ratios."""
    rows = []
    for entry in kept["figures"]["entries"]:
        name = CONTESTANTS[entry["key"]].name
        if entry.get("missing"):
            rows.append([entry["name"], name, *["—"] * 4, entry["missing"]])
            continue
        alone, beside = statistics.median(entry["alone"]), statistics.median(entry["beside"])
        pairs = [b / a for a, b in zip(entry["alone"], entry["beside"], strict=True)]
        rows.append(
            [
                entry["name"],
                name,
                seconds(alone),
                seconds(beside),
                f"{beside / alone:.2f}",
                f"{max(pairs):.2f}",
                "",
            ]
        )
    heads = ["", "", "s an epoch, alone", "beside a busy process", "ratio", "largest of the pairs", "remarks"]
    return (
        f"{kept['threads']} threads; another process computes on one of the cores, at the same priority. Fair shares "
        "of two cores leave 3/4 of them, so a ratio of 1.33 is the least for work that can move, and 2 for work in two "
        "equal parts that cannot. Times are scaled from short turns.\n\n" + table(heads, rows)
    )
