"""A contest: every contestant makes a turn in each round, in changing order."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.worker import Answer, Worker, WorkerError
from benchmarks.workloads import DATA, Workload, load

LONGEST_TURN = 2.0  # seconds; a slower contestant makes a part of the turn, and its time is scaled


@dataclass
class Result:
    """Of one contestant in one contest.

    Attributes
    ----------
    seconds : of an epoch, from each turn
    disturbed : of each turn, whether another process held a core
    cores : how many cores were busy, in the middle of the turns
    setup : seconds of the set-up
    part : the share of the turn that it made
    accuracy : on the test set, after ``epochs`` epochs
    """

    key: str
    name: str
    ours: bool
    note: str = ""
    missing: str = ""
    seconds: list[float] = field(default_factory=list)
    disturbed: list[bool] = field(default_factory=list)
    cores: float = 0.0
    setup: float = 0.0
    part: float = 1.0
    accuracy: float | None = None
    epochs: float = 0.0

    @property
    def quiet(self) -> list[float]:
        """The times that count: of undisturbed turns, or of all of them where none was undisturbed."""
        return [s for s, d in zip(self.seconds, self.disturbed, strict=True) if not d] or self.seconds

    @property
    def median(self) -> float:
        """Seconds of an epoch."""
        return statistics.median(self.quiet)

    def to_json(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


class Arena:
    """Workers for contestants, kept from contest to contest.

    Parameters
    ----------
    threads : int
    folder : of the data
    emulate : whether bfloat16 is computed on a processor that lacks it
    """

    def __init__(self, threads: int, folder: Path = DATA, *, emulate: bool = False) -> None:
        self.threads = threads
        self.folder = folder
        self.emulate = emulate
        self.workers: dict[str, Worker] = {}

    def __enter__(self) -> Arena:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self.workers.values():
            worker.close()

    def worker(self, key: str) -> Worker:
        """The contestant's worker, started if there is none or it has died."""
        worker = self.workers.get(key)
        if worker is None or worker.process.poll() is not None:
            worker = self.workers[key] = Worker(key, self.threads, emulate=self.emulate)
        return worker

    def whole(self, key: str, workload: Workload, seed: int, epochs: int) -> Answer:
        """A whole training of so many epochs, set-up included; its value is the test accuracy."""
        tree = {"workload": workload.to_json(), "folder": str(self.folder), "seed": seed}
        self.worker(key).ask("fetch", **tree)
        answer = self.worker(key).ask("whole", epochs=epochs)
        answer.value = self.worker(key).ask("accuracy").value
        return answer

    def contest(self, workload: Workload, keys: Iterable[str], seed: int = 0, accuracy: bool = True) -> list[Result]:
        """Let the contestants train the workload by turns.

        A turn is ``workload.turns``-th of an epoch. One turn warms up; then there are ``workload.rounds`` rounds, and
        at the most as many more turns, for those that were disturbed.
        """
        from benchmarks.peers import CONTESTANTS

        rows = len(load(workload, self.folder).x)
        whole = workload.steps(rows)
        turn = max(1, whole // workload.turns)
        results = []
        for key in keys:
            kind = CONTESTANTS[key]
            result = Result(key, kind.name, kind.ours, kind().note(workload))
            results.append(result)
            with guarded(result):
                self._prepare(result, workload, seed, turn, whole)
        running = [result for result in results if not result.missing]
        for round_ in range(workload.rounds):
            for result in in_order(running, round_):
                if not result.missing:
                    with guarded(result):
                        self._turn(result, turn, whole)
            say(".")
        for result in running:
            if not result.missing and accuracy:
                with guarded(result):
                    result.accuracy = self.worker(result.key).ask("accuracy").value
        for again in range(workload.rounds):
            for result in in_order(running, again):
                if not result.missing and sum(not d for d in result.disturbed) < workload.rounds:
                    with guarded(result):
                        self._turn(result, turn, whole, repeat=True)
        for result in running:
            if not result.missing:
                self.worker(result.key).ask("rest")
        return results

    def _prepare(self, result: Result, workload: Workload, seed: int, turn: int, whole: int) -> None:
        worker = self.worker(result.key)
        if worker.missing:
            result.missing = worker.missing
            return
        worker.ask("fetch", workload=workload.to_json(), folder=str(self.folder), seed=seed)
        result.setup = worker.ask("setup").wall
        probe = max(1, turn // 20)
        self._advance(result, probe)
        expected = min(self._advance(result, probe).wall for _ in range(2)) / probe * turn
        steps = turn
        if expected > LONGEST_TURN:
            steps = max(1, int(turn * LONGEST_TURN / expected))
            result.part = steps / turn
        rest = max(1, steps - 3 * probe)
        self._advance(result, rest)
        result.epochs = (3 * probe + rest) / whole
        say(f" {result.key}")

    def _advance(self, result: Result, steps: int) -> Answer:
        worker = self.worker(result.key)
        worker.ask("ready", steps=steps)
        return worker.ask("advance", steps=steps)

    def _turn(self, result: Result, turn: int, whole: int, repeat: bool = False) -> None:
        steps = max(1, round(turn * result.part))
        answer = self._advance(result, steps)
        result.seconds.append(answer.wall / steps * whole)
        result.disturbed.append(answer.disturbed(self.threads, machine.cores()))
        result.cores = max(result.cores, answer.cpu / answer.wall)
        if not repeat:
            result.epochs += steps / whole


class guarded:  # noqa: N801 - used as a statement
    """Within it, the failure of a contestant is noted as what is missing, and the contest goes on."""

    def __init__(self, result: Result) -> None:
        self.result = result

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, WorkerError):
            self.result.missing = f"failed: {error}"
            return True
        return False


def in_order(results: list[Result], round_: int) -> list[Result]:
    """Each round begins with another contestant, and every other one goes backwards."""
    start = round_ % max(1, len(results))
    turned = results[start:] + results[:start]
    return turned if round_ % 2 == 0 else turned[:1] + turned[:0:-1]


def say(text: str) -> None:
    """Progress, on the error stream."""
    sys.stderr.write(text)
    sys.stderr.flush()
