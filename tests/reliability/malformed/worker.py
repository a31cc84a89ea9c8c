"""A process that judges files as it is told: one request a line, JSON, on its input; one answer a line on its output.

Which file it is at stands in a file that it shares with :mod:`reliability.malformed.pool`, so that a crash or a hang is
that file's.
"""

from __future__ import annotations

import json
import mmap
import os
import resource
import shutil
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from reliability.malformed import judge as j
from reliability.malformed.formats import FORMATS
from reliability.malformed.nasty import EITHER, NASTY
from reliability.malformed.seeds import put, written

SHARED = 8 * (1 + len(j.VERDICTS))
"""The number of the file, then how many have each verdict."""
MEMORY = 6 << 30  # bytes of addresses above those at the start

GREW = 1 << 16  # KiB
WRONG = 99  # the exit status where the harness itself is wrong


class Progress:
    """The numbers that a worker shares with the process that watches it."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self.numbers = memoryview(mmap.mmap(file.fileno(), SHARED)).cast("q")

    def reset(self) -> None:
        """No file is read yet, and none has a verdict."""
        for k in range(len(self.numbers)):
            self.numbers[k] = -1 if k == 0 else 0

    def begin(self, index: int) -> None:
        """The file of this number is read now."""
        self.numbers[0] = index

    def count(self, verdict: str) -> None:
        """A file has a verdict."""
        self.numbers[1 + j.VERDICTS.index(verdict)] += 1


def addresses() -> int:
    """The bytes of addresses that this process has."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()


def limit_memory() -> int:
    """Have allocations fail before the machine is short of memory; the bytes of addresses at which this was said."""
    used = addresses()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    return used


class Patience:
    """Tells when a process has taken half of the addresses that it may have: Arrow keeps those of what it read."""

    limit = 0

    @classmethod
    def is_over(cls) -> bool:
        """Whether another process should go on."""
        return addresses() > cls.limit


def begin(request: dict[str, Any]) -> tuple[Path, Path]:
    """The folder with what glassnet wrote, a copy of which is the current folder; and one in it for what is damaged."""
    made, here = Path(request["made"]), Path.cwd()
    for path in here.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    put(here, written(made))
    (here / "case").mkdir()
    return made, here / "case"


def mutants(request: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Judge the damaged files of a format from a number on, those that are this worker's share of all.

    The share is told by a hash, so that no two workers judge the same file, and none does twice.
    """
    (made, folder), form = begin(request), FORMATS[request["format"]]
    seeds = form.seeds(made)
    judge, seen, share, shares = j.Judge(form, seeds, folder), {b""}, request["share"], request["shares"]
    failures: list[dict[str, Any]] = []
    index, judged = -1, 0
    while judged < request["count"] and index < request["last"]:
        index += 1
        case = j.mutant(form, seeds, request["seed"], index)
        mark = case.mark
        if mark in seen or case.is_whole or mark[0] % shares != share:
            continue
        seen.add(mark)
        judged += 1
        if index < request["first"]:
            continue  # judged by the worker before, which is no more
        progress.begin(index)
        verdict, text = judge.judge(case, command=index % j.EVERY_COMMAND == 0)
        progress.count(verdict)
        if verdict in j.FAILURES:
            failures.append({"verdict": verdict, "seen": text, "index": index, "how": case.how, "kind": case.kind})
        if verdict == j.MEMORY or (judged % 50 == 0 and Patience.is_over()):
            return {"failures": failures, "index": index, "done": False}  # a fresh process has a fresh ground
    return {"failures": failures, "index": index, "done": True}


def flips(request: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Judge a file with each of its bytes changed, in one bit or, one after another, in all eight."""
    (made, folder), form = begin(request), FORMATS[request["format"]]
    base = form.seeds(made)[0]
    name = form.files[0]
    judge, content = j.Judge(form, [base], folder), bytearray(base[name])
    failures = []
    for place in range(len(content)):
        for bit in range(8) if request["every_bit"] else (place % 8,):
            content[place] ^= 1 << bit
            progress.begin(place)
            verdict, text = judge.judge(j.Mutant(base, {name: bytes(content)}, j.GUARDED, "flip"))
            progress.count(verdict)
            if verdict in j.FAILURES:
                failures.append({"verdict": verdict, "seen": text, "index": 8 * place + bit})
            content[place] ^= 1 << bit
    return {"failures": failures, "bytes": len(content), "done": not Patience.is_over()}


def nasty(request: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Judge a file made by hand, in a folder of its own with a good run."""
    case, (_, folder) = NASTY[request["name"]], begin(request)
    folder.rmdir()
    folder = folder.parent
    path, ground = case.make(folder), j.memory()
    progress.begin(0)
    verdict, seen = j.read_by_hand(case, path, ground)
    return {
        "verdict": verdict,
        "seen": seen,
        "done": not Patience.is_over() and j.memory() - ground < GREW,  # else what the next one takes would not be seen
        "good": verdict == case.expected or (case.expected == EITHER and verdict not in j.FAILURES),
    }


def trial(request: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Crash or hang as the worst of readers would, so that whoever watches can be tried."""
    progress.begin(0)
    {"crash": os.abort, "hang": threading.Event().wait}[request["how"]]()
    return {}


def main() -> None:
    """Answer requests until there are no more."""
    import glassnet.cli
    import glassnet.runs  # noqa: F401  (what is read by all, before memory is limited)

    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what is printed on the way is no answer
    os.chdir(sys.argv[2])
    progress = Progress(Path(sys.argv[1]))
    Patience.limit = limit_memory() + MEMORY // 2
    answerers = {"mutants": mutants, "flips": flips, "nasty": nasty, "trial": trial}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = answerers[request["what"]](request, progress)
        except BaseException:  # of this harness: what readers raise has a verdict
            traceback.print_exc()
            os._exit(WRONG)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
