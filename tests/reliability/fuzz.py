"""A search, guided by what it covers, for files that glassnet does not take as it should.

``python -m reliability.fuzz [--format NAME] [--seconds 30]`` (with tests/ in PYTHONPATH; it needs ``glassnet[fuzz]``)
prints the figures as JSON; two formats are searched at a time. Formats, readers and verdicts are those of
:mod:`reliability.malformed`; the valid files are the first corpus. Where there is a checksum, the search is for what
lies behind it: each file gets the right one.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from reliability.malformed.pool import LONGEST, TESTS, make_seeds
from reliability.malformed.seeds import FAST, put, written

MEMORY = 3 << 10  # MiB that a process may come to before the search in it ends
ENDS = {70: "hang", 71: "memory"}  # how the search says why it ended; any other way is a crash


def search(name: str, place: Path) -> None:
    """Search until the time is over, in this process, which ends then; figures go to files beside the corpus."""
    import atheris

    # An editable installation has a finder of its own, whose modules would not be instrumented.
    sys.meta_path[:] = [finder for finder in sys.meta_path if "Redirecting" not in type(finder).__name__]
    sys.path.insert(0, str(TESTS.parent / "src"))
    with atheris.instrument_imports(include=["glassnet"]):
        for module in ("glassnet.runs", "glassnet.training.resuming", "glassnet.estimators.convert"):
            importlib.import_module(module)

    from reliability.malformed.formats import FORMATS
    from reliability.malformed.judge import FAILURES, GUARDED, MEMORY, PLAIN, RESIGNED, Judge, Mutant, memory
    from reliability.malformed.worker import Progress

    form, seeds = FORMATS[name], FORMATS[name].seeds(place / "made")
    file = form.files[0]
    folder = place / "made" / "case"
    folder.mkdir(exist_ok=True)
    os.chdir(folder.parent)
    judge, progress, seen = Judge(form, seeds, folder), Progress(place / "progress"), set()
    for number, base in enumerate(seeds):
        (place / "corpus" / f"seed-{number}").write_bytes(form.unseal(base[file]) if form.sealed else base[file])
    base = seeds[0]

    def one(content: bytes) -> None:
        if form.sealed:
            case = Mutant(base, form.seal(base, file, content), RESIGNED, "search")
        else:
            case = Mutant(base, {file: content}, GUARDED if form.guarded(base[file], content) else PLAIN, "search")
        verdict, text = judge.judge(case)
        progress.count(verdict)
        if verdict == MEMORY:
            judge.ground = memory()
        kind = verdict, re.sub(r"'.*?'|\d+|/\S+", "", text)[:60]
        if verdict in FAILURES and kind not in seen and len(seen) < 100:
            seen.add(kind)
            with (place / "failures").open("a", encoding="utf-8") as failures:
                failures.write(json.dumps({"verdict": verdict, "seen": text, "content": content[:5000].hex()}) + "\n")

    atheris.Setup([sys.argv[0], *sys.argv[3:]], one)
    atheris.Fuzz()


def searched(name: str, seconds: float, seed: int = 1) -> dict[str, Any]:
    """The figures of a search in processes of its own, one after another if one ends before its time."""
    from reliability.malformed.judge import VERDICTS
    from reliability.malformed.worker import SHARED, Progress

    ended: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=FAST) as where:
        place = Path(where)
        for folder in ("made", "corpus"):
            (place / folder).mkdir()
        (place / "progress").write_bytes(bytes(SHARED))
        (place / "failures").touch()
        make_seeds(place / "made")
        whole, covered, begun = written(place / "made"), "0", time.perf_counter()
        while (left := seconds - (time.perf_counter() - begun)) > 1:
            put(place / "made", whole)
            limits = [f"-max_total_time={left:.0f}", f"-timeout={LONGEST:.0f}", f"-rss_limit_mb={MEMORY}"]
            limits += [f"-seed={seed + len(ended)}", "-max_len=40000", f"-artifact_prefix={place}/", "-verbosity=1"]
            done = subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "reliability.fuzz",
                    "--inside",
                    f"{name}:{place}",
                    *limits,
                    str(place / "corpus"),
                ],
                env={**os.environ, "PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1", "GLASSNET_LANG": "en"},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                check=False,
                timeout=left + 120,
            )
            covered = max([covered, *re.findall(r"cov: (\d+)", done.stderr)], key=int)
            if done.returncode:
                found = [path for path in place.iterdir() if path.name.startswith(("crash-", "timeout-", "oom-"))]
                if not found and "libFuzzer" not in done.stderr:
                    raise RuntimeError(done.stderr[-3000:])
                content = found[0].read_bytes()[:5000].hex() if found else ""
                ended.append({"verdict": ENDS.get(done.returncode, "crash"), "seen": "", "content": content})
                for path in found:
                    path.unlink()
        if covered == "0":
            raise RuntimeError("the search does not see what it covers")
        counts = dict(zip(VERDICTS, Progress(place / "progress").numbers[1:], strict=True))
        failures = [json.loads(line) for line in (place / "failures").read_text(encoding="utf-8").splitlines()]
        return {
            "executions": sum(counts.values()),
            **counts,
            "covered": int(covered),
            "corpus": sum(1 for _ in (place / "corpus").iterdir()),
            "seconds": round(time.perf_counter() - begun, 1),
            "failures": ended + failures,
        }


def main() -> int:
    """Search, print."""
    if sys.argv[1:2] == ["--inside"]:
        name, _, place = sys.argv[2].partition(":")
        search(name, Path(place))
        return 0
    from reliability.malformed.formats import FORMATS

    options = argparse.ArgumentParser(prog="python -m reliability.fuzz", description=__doc__)
    options.add_argument("--format", choices=FORMATS, action="append", help="a format; may be repeated")
    options.add_argument("--seconds", type=float, default=30, help="for each format")
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    names = chosen.format or list(FORMATS)
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(lambda name: searched(name, chosen.seconds, chosen.seed), names)
        figures = dict(zip(names, found, strict=True))
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
