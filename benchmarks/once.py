"""One training in a process of its own, from start to exit: ``python -m benchmarks.once '{"key": …}'``.

Prints a line of JSON. What is timed as training starts with the data in memory and ends with the trained network.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.workloads import Workload, accuracy, first_weights, load

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Train as the argument says."""
    job = json.loads(sys.argv[1])
    from benchmarks.peers import CONTESTANTS

    machine.pin(job["threads"])
    contestant = CONTESTANTS[job["key"]]()
    if not job["steps"]:
        contestant.imports()  # not a part of training; of the memory that it takes it is one
    workload = Workload.from_json(job["workload"])
    data = load(workload, Path(job["folder"]))
    first = first_weights(workload, job["seed"])
    memory = Memory()
    taken = 0.0
    started = time.perf_counter()
    if job["steps"]:
        contestant.setup(workload, data, first, job["seed"], job["threads"])
        contestant.ready(job["steps"])
        contestant.advance(job["steps"])
    else:
        taken = contestant.whole(workload, data, first, job["seed"], job["threads"], workload.epochs)
    answer = {"seconds": time.perf_counter() - started, "setup": taken, **memory.used()}
    if not job["steps"]:
        answer["accuracy"] = accuracy(workload, contestant.parameters(), data.test_x, data.test_y)
    print(json.dumps(answer))
    contestant.close()


class Memory:
    """What a process takes from here on, in MiB, as Linux counts it: resident memory, its peak less that of now."""

    def __init__(self) -> None:
        self.before = None
        try:
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forgets the peak so far
            self.before = _status("VmRSS")
        except OSError:
            pass

    def used(self) -> dict[str, float | None]:
        """``base`` and ``peak``, None where the system does not tell."""
        if self.before is None:
            return {"base": None, "peak": None}
        return {"base": self.before, "peak": _status("VmHWM")}


def _status(name: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    line = next(line for line in lines if line.startswith(name + ":"))
    return int(line.split()[1]) / 1024


def once(
    key: str, workload: Workload, folder: Path, seed: int, threads: int, *, steps: int = 0, emulate: bool = False
) -> dict[str, Any]:
    """Run it; its figures, and ``process``, the seconds from start to exit. With ``missing``, why there are none.

    ``steps`` 0 trains for ``workload.epochs`` epochs.
    """
    from benchmarks.peers import CONTESTANTS

    if missing := CONTESTANTS[key].missing():
        return {"missing": missing}
    job = {
        "key": key,
        "workload": workload.to_json(),
        "folder": str(folder),
        "seed": seed,
        "threads": threads,
        "steps": steps,
    }
    command = [sys.executable, "-m", "benchmarks.once", json.dumps(job)]
    started = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=machine.environment(threads, emulate=emulate),
        capture_output=True,
        text=True,
        check=False,
    )
    wall = time.perf_counter() - started
    if done.returncode:
        said = done.stderr.strip().splitlines()
        return {"missing": f"failed: {said[-1][:200] if said else f'the process ended with {done.returncode}'}"}
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**answer, "process": wall}


if __name__ == "__main__":
    main()
