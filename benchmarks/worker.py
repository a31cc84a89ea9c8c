"""A process of its own for each contestant, told what to do over a pipe.

So thread pools do not meet, only one contestant computes at a time, and what a library does to a process stays there.
A request is a line of JSON, ``{"call": method of Session, "arguments": {…}}``; so is the answer,
``{"value": …, "wall": seconds, "cpu": seconds of all threads}`` or ``{"error": …}``.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.workloads import Workload, accuracy, first_weights, load

ROOT = Path(__file__).parents[1]


class Session:
    """What a worker can be asked for."""

    def __init__(self, key: str, threads: int) -> None:
        from benchmarks.peers import CONTESTANTS

        machine.pin(threads)
        self.threads = threads
        self.kind = CONTESTANTS[key]
        self.contestant = self.kind()

    def hello(self) -> dict[str, Any]:
        """Whether it can run, and with which versions."""
        missing = self.kind.missing()
        if not missing:
            self.kind.imports()
        return {"missing": missing, "versions": {} if missing else self.kind.versions()}

    def fetch(self, workload: dict[str, Any], folder: str, seed: int) -> None:
        """Load a workload's data and draw its first weights."""
        self.rest()
        self.seed = seed
        self.workload = Workload.from_json(workload)
        self.data = load(self.workload, Path(folder))
        self.first = first_weights(self.workload, seed)

    def setup(self) -> None:
        """Everything before the first epoch."""
        self.contestant.setup(self.workload, self.data, self.first, self.seed, self.threads)

    def whole(self, epochs: int) -> float:
        """A training from set-up to end; the seconds of the set-up."""
        return self.contestant.whole(self.workload, self.data, self.first, self.seed, self.threads, epochs)

    def ready(self, steps: int) -> None:
        """Compile what so many steps need."""
        self.contestant.ready(steps)

    def advance(self, steps: int) -> None:
        """Make steps."""
        self.contestant.advance(steps)

    def accuracy(self) -> float:
        """On the test set, of the weights as they are."""
        return accuracy(self.workload, self.contestant.parameters(), self.data.test_x, self.data.test_y)

    def rest(self) -> None:
        """Let go of the training, and of its memory."""
        self.contestant.close()
        self.contestant = self.kind()
        gc.collect()

    def predictor(self, key: str) -> list[list[float]]:
        """Make a predictor with the first weights; its probabilities of a few test rows."""
        from benchmarks.predictors import PREDICTORS

        self.predictor_ = PREDICTORS[key]()
        self.predictor_.setup(self.workload, self.first, self.threads)
        return [[float(p) for p in row] for row in self.predictor_.predict(self.data.test_x[:50])]

    def predict_rate(self, batch: int, seconds: float) -> float:
        """Rows a second of predictions of ``batch`` test rows each, made for so many seconds."""
        predict, x = self.predictor_.predict, self.data.test_x[:batch]
        predict(x)
        done, started = 0, time.perf_counter()
        while (taken := time.perf_counter() - started) < seconds:
            predict(x)
            done += len(x)
        return done / taken

    def small(self, name: str, folder: str, precision: str, seed: int) -> float:
        """Train glassnet on a small set; its test score."""
        from benchmarks.sections.precision import train_small

        return train_small(name, Path(folder), precision, seed, self.threads)

    def peaks(self) -> dict[str, float]:
        """GFLOP/s: of multiply-adds in registers, as far as the native engine can tell, and of NumPy's product."""
        return machine.peaks(self.threads)

    def blas(self) -> list[str]:
        """The BLAS libraries in this process."""
        return machine.blas()


def main() -> None:
    """Answer requests until the pipe closes. What libraries print goes to the error stream."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    session = None
    for line in sys.stdin:
        request = json.loads(line)
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            if session is None:
                session = Session(**request["arguments"])
                value = session.hello()
            else:
                value = getattr(session, request["call"])(**request["arguments"])
            answer = {"value": value, "wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        except Exception as error:  # the contest goes on without this one
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}".split("\n")[0][:200]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


class WorkerError(Exception):
    """A contestant failed; its message says at what."""


@dataclass
class Answer:
    """Of a worker.

    Attributes
    ----------
    value : whatever was asked for
    wall, cpu : seconds, the second of all the worker's threads
    others : CPU seconds of all other processes meanwhile, on the cores that the benchmark may use
    stolen : seconds that a hypervisor took
    """

    value: Any
    wall: float
    cpu: float
    others: float
    stolen: float

    def disturbed(self, threads: int, cores: int) -> bool:
        """Whether others took more of the cores than the contestant left free."""
        return disturbed(self.wall, self.others, self.stolen, threads, cores)


def disturbed(wall: float, others: float, stolen: float, threads: int, cores: int) -> bool:
    """Whether other processes took more than 5 % of a core from so many threads (and more than the clocks' grain)."""
    return others + stolen > (cores - threads) * wall + 0.05 * wall + 0.03


class Worker:
    """The other end of the pipe.

    Parameters
    ----------
    key : of the contestant
    threads : int
    emulate : whether bfloat16 is computed on a processor that lacks it
    """

    def __init__(self, key: str, threads: int, *, emulate: bool = False) -> None:
        self.key = key
        self.threads = threads
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            cwd=ROOT,
            env=machine.environment(threads, emulate=emulate),
        )
        hello = self.ask("hello", key=key, threads=threads).value
        self.missing: str = hello["missing"]
        self.versions: dict[str, str] = hello["versions"]

    def ask(self, call: str, **arguments: Any) -> Answer:
        """Send a request and wait; WorkerError if it fails or the process ends."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        mine, (busy, stolen) = time.process_time(), machine.busy_seconds()
        try:
            self.process.stdin.write(json.dumps({"call": call, "arguments": arguments}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise WorkerError(f"the process ended with {self.process.wait()} at {call}")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        now_busy, now_stolen = machine.busy_seconds()
        others = now_busy - busy - answer["cpu"] - (time.process_time() - mine)
        return Answer(answer["value"], answer["wall"], answer["cpu"], max(0.0, others), now_stolen - stolen)

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


if __name__ == "__main__":
    main()
