"""Worker processes that are watched: what crashes or hangs costs a worker, and is its file's verdict."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from reliability.malformed.judge import CRASH, HANG, MEMORY, VERDICTS
from reliability.malformed.seeds import FAST
from reliability.malformed.worker import SHARED, WRONG, Progress

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
            env={
                **os.environ,
                "PYTHONPATH": str(TESTS),
                "OMP_NUM_THREADS": "1",
                "GLASSNET_LANG": "en",
                "COLUMNS": "200",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.answers: SimpleQueue[str] = SimpleQueue()
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.answers.put(line)
        self.answers.put("")

    def ask(self, request: dict[str, Any], limit: float = LONGEST) -> dict[str, Any] | str:
        """The answer; or CRASH or HANG, after which the worker is no more."""
        assert self.process.stdin is not None
        self.progress.reset()
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        at, since = -1, time.monotonic()
        while True:
            try:
                line = self.answers.get(timeout=0.1)
            except Empty:
                if (now := self.progress.numbers[0]) != at:
                    at, since = now, time.monotonic()
                if time.monotonic() - since > (
                    limit if at >= 0 else 60
                ):  # it starts, and makes its seeds, before -1 ends
                    self.process.kill()
                    self.process.wait()
                    return HANG
                continue
            if not line:
                if self.process.wait() == WRONG:
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
        self.listener.join()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.place.cleanup()


class Watched:
    """A worker that is another one after each crash, hang or use of too much memory."""

    def __init__(self, made: Path) -> None:
        self.made = made
        self.worker: Worker | None = None

    def ask(self, request: dict[str, Any]) -> tuple[dict[str, Any] | str, Counter[str], int]:
        """The answer, how many files had each verdict, and the number of the last one."""
        self.worker = self.worker or Worker()
        answer = self.worker.ask({**request, "made": str(self.made)})
        counts = Counter(dict(zip(VERDICTS, self.worker.progress.numbers[1:], strict=True)))
        index = self.worker.progress.numbers[0]
        if isinstance(answer, str) or not answer.get("done", True) or answer.get("verdict") == MEMORY:
            self.close()
        return answer, counts, index

    def by_hand(self, name: str) -> dict[str, Any]:
        """The verdict on a file made by hand, what was seen, and whether it is as it must be."""
        answer, _, _ = self.ask({"what": "nasty", "name": name})
        return {"verdict": answer, "seen": "", "good": False} if isinstance(answer, str) else answer

    def flips(self, name: str, *, every_bit: bool) -> tuple[int, Counter[str], list[dict[str, Any]]]:
        """The bytes of a format's first seed, and the verdicts on it with each of them changed."""
        answer, counts, index = self.ask({"what": "flips", "format": name, "every_bit": every_bit})
        if isinstance(answer, str):
            return index, counts, [{"verdict": answer, "index": index}]
        return answer["bytes"], counts, answer["failures"]

    def share(self, request: dict[str, Any]) -> tuple[Counter[str], list[dict[str, Any]]]:
        """Have a share of a format's damaged files judged, by as many workers as it takes, one after another."""
        counts: Counter[str] = Counter()
        failures: list[dict[str, Any]] = []
        while True:
            answer, found, index = self.ask({"what": "mutants", **request})
            counts.update(found)
            if isinstance(answer, str):
                counts[answer] += 1
                answer = {"failures": [{"verdict": answer, "seen": "", "index": index}], "index": index, "done": False}
            failures += answer["failures"]
            if answer["done"]:
                return counts, failures
            request = {**request, "first": answer["index"] + 1}

    def close(self) -> None:
        """End the worker."""
        if self.worker is not None:
            self.worker.close()
            self.worker = None


def judge_format(name: str, watched: list[Watched], *, count: int, seed: int) -> dict[str, Any]:
    """How so many damaged files of a format are taken, all of them distinct and none of them whole."""
    counts: Counter[str] = Counter()
    failures: list[dict[str, Any]] = []
    begun, workers = time.perf_counter(), len(watched)

    def work(share: int) -> None:
        mine = count // workers + (share < count % workers)
        request = {"format": name, "count": mine, "seed": seed, "share": share, "shares": workers}
        found, bad = watched[share].share({**request, "first": 0, "last": 50 * count + 1000})
        counts.update(found)
        failures.extend(bad)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, range(workers)))
    return {
        "files": counts.total(),
        **{verdict: counts[verdict] for verdict in VERDICTS},
        "seconds": round(time.perf_counter() - begun, 1),
        "found": sorted(failures, key=lambda found: found["index"]),
    }


def make_seeds(folder: Path) -> None:
    """What glassnet writes, made in a process of its own."""
    subprocess.run(
        [sys.executable, "-m", "reliability.malformed.seeds", str(folder)],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        check=True,
    )
