"""Worker processes that are watched: what crashes or hangs costs a worker, and is its file's verdict."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from reliability.malformed.judge import CRASH, HANG, MEMORY, VERDICTS
from reliability.malformed.seeds import FAST
from reliability.malformed.worker import SHARED, Progress

LONGEST = 10.0  # seconds of a file
TESTS = Path(__file__).parents[2]


class Worker:
    """A process with a folder of its own."""

    def __init__(self) -> None:
        self.place = tempfile.TemporaryDirectory(prefix="malformed-", dir=FAST)
        self.folder = Path(self.place.name) / "folder"
        self.folder.mkdir()
        shared = Path(self.place.name) / "progress"
        shared.write_bytes(bytes(SHARED))
        self.progress = Progress(shared)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "reliability.malformed.worker", str(shared), str(self.folder)],
            env={**os.environ, "PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1", "GLASSNET_LANG": "en", "COLUMNS": "200"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.answers: SimpleQueue[str] = SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.answers.put(line)
        self.answers.put("")

    def ask(self, request: dict[str, Any], limit: float = LONGEST) -> dict[str, Any] | str:
        """The answer; or CRASH or HANG, after which the worker is no more."""
        assert self.process.stdin is not None
        self.progress.begin(-1)
        self.process.stdin.write(json.dumps({**request, "folder": str(self.folder)}) + "\n")
        self.process.stdin.flush()
        at, since = -1, time.monotonic()
        while True:
            try:
                line = self.answers.get(timeout=0.1)
            except Empty:
                if (now := self.progress.numbers[0]) != at:
                    at, since = now, time.monotonic()
                if time.monotonic() - since > (limit if at >= 0 else 60):  # it starts, and makes its seeds, before -1 ends
                    self.process.kill()
                    self.process.wait()
                    return HANG
                continue
            if not line:
                if self.process.wait() == 1 and self.progress.numbers[0] < 0:
                    raise RuntimeError("the harness is wrong; see the traceback above")
                return CRASH
            answer: dict[str, Any] = json.loads(line)
            return answer

    def close(self) -> None:
        """End it."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.place.cleanup()


def share_of(request: dict[str, Any], keep: Path | None) -> tuple[Counter[str], list[dict[str, Any]]]:
    """Have one share of a format's damaged files judged, by as many workers as it takes, one after another."""
    counts: Counter[str] = Counter()
    failures: list[dict[str, Any]] = []
    while True:
        worker = Worker()
        try:
            answer = worker.ask(request)
            counts.update(dict(zip(VERDICTS, worker.progress.numbers[1:], strict=True)))
            if isinstance(answer, str):
                index = worker.progress.numbers[0]
                counts[answer] += 1
                found = {"verdict": answer, "seen": f"exit status {worker.process.returncode}", "index": index}
                answer = {"failures": [found], "index": index, "done": index < 0}
            for found in answer["failures"]:
                failures.append({**found, "format": request["format"], "seed": request["seed"]})
            if answer["done"]:
                return counts, failures
            request = {**request, "first": answer["index"] + 1}
        finally:
            worker.close()


def judge_format(name: str, made: Path, *, count: int, seed: int, workers: int = 2) -> dict[str, Any]:
    """How so many damaged files of a format are taken, all of them distinct and none of them whole."""
    counts: Counter[str] = Counter()
    failures: list[dict[str, Any]] = []
    begun = time.perf_counter()

    def work(share: int) -> None:
        mine = count // workers + (share < count % workers)
        request = {"what": "mutants", "format": name, "made": str(made), "count": mine, "seed": seed}
        found, bad = share_of({**request, "share": share, "shares": workers, "first": 0, "last": 20 * count + 1000}, None)
        counts.update(found)
        failures.extend(bad)

    threads = [threading.Thread(target=work, args=(share,)) for share in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {
        "files": counts.total(),
        **{verdict: counts[verdict] for verdict in VERDICTS},
        "seconds": round(time.perf_counter() - begun, 1),
        "found": sorted(failures, key=lambda found: found["index"]),
    }


class Hand:
    """Judges files made by hand, one at a time; the worker is another one after a crash, a hang or too much memory."""

    def __init__(self, made: Path) -> None:
        self.made = made
        self.worker: Worker | None = None

    def judge(self, name: str) -> dict[str, Any]:
        """The verdict, what was seen, and whether it is as it must be."""
        self.worker = self.worker or Worker()
        answer = self.worker.ask({"what": "nasty", "name": name, "made": str(self.made)})
        if isinstance(answer, str):
            answer = {"verdict": answer, "seen": f"exit status {self.worker.process.returncode}", "good": False}
        if answer["verdict"] in (CRASH, HANG, MEMORY):
            self.close()
        return answer

    def close(self) -> None:
        """End the worker."""
        if self.worker is not None:
            self.worker.close()
            self.worker = None


def make_seeds(folder: Path) -> None:
    """What glassnet writes, made in a process of its own."""
    subprocess.run(
        [sys.executable, "-m", "reliability.malformed.seeds", str(folder)],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        check=True,
    )
