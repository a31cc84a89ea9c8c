"""Run the programmes of this folder in full, keep their figures, and write docs/reliability.md.

``make reliability``, or ``python -m reliability [--only PART] [--page]`` with tests/ in PYTHONPATH. ``--page`` only
writes the page of what was measured before. Every part ends within ten minutes.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from reliability.malformed.formats import ARRAYS, STORED, TABLES, Format
from reliability.malformed.judge import FAILURES, OTHER, REFUSED, SAME

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RESULTS, PAGE, TEXT = HERE / "results", ROOT / "docs" / "reliability.md", HERE / "page.md"
LIMIT = 600  # seconds of a part


def programme(name: str, *arguments: object) -> dict:
    """The figures that a programme prints, from a process of its own with one thread."""
    done = subprocess.run(
        [sys.executable, "-m", f"reliability.{name}", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(HERE.parent), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=LIMIT,
    )
    return json.loads(done.stdout)


def tests(*words: str) -> dict:
    """How many of these tests there are, and how many fail."""
    with tempfile.TemporaryDirectory() as place:
        report = Path(place) / "report.xml"
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *words],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            check=False,
            timeout=LIMIT,
        )
        suite = ElementTree.parse(report).getroot().find("testsuite")
        assert suite is not None
        bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        return {"cases": int(suite.get("tests", 0)), "failed": bad, "skipped": int(suite.get("skipped", 0))}


def malformed(*formats: Format) -> dict:
    """How 10,000 damaged files of each format are taken."""
    names = [word for form in formats for word in ("--format", form.name)]
    return programme("malformed", "--count", 10_000, *names)


OWN = "tests/reliability"
PARTS = {
    "crashes": lambda: programme("crashes"),
    "kills": lambda: programme("kills", 300),
    "product": lambda: tests(f"{OWN}/test_resume.py", "-k", "full_product"),
    "more": lambda: tests(f"{OWN}/test_resume.py", "-k", "broken_off_again"),
    "estimators": lambda: tests("tests/estimators/test_checkpoints.py"),
    "runs": lambda: tests(f"{OWN}/test_runs.py"),
    "disks": lambda: tests(f"{OWN}/test_faults.py", "-k", "failing_disk or folder_that_is_gone"),
    "damage": lambda: programme("damage"),
    "determinism": lambda: tests(f"{OWN}/test_resume.py", "-k", "same_bits or where_an_epoch_was_split"),
    "numbers": lambda: tests(f"{OWN}/test_numbers.py", "-k", "named_and_undone"),
    "policies": lambda: tests(f"{OWN}/test_numbers.py", "-k", "not named_and_undone"),
    "reads": lambda: programme("readers", 60),
    "at_once": lambda: tests(f"{OWN}/test_at_once.py"),
    "costs": lambda: programme("costs"),
    "malformed-data": lambda: malformed(*TABLES, *ARRAYS),
    "malformed-runs": lambda: malformed(*STORED),
    "hand": lambda: tests(f"{OWN}/test_malformed.py", "-k", "made_by_hand"),
    "flips": lambda: tests(f"{OWN}/test_malformed.py", "-k", "every_byte"),
    "fuzz": lambda: programme("fuzz", "--seconds", 30),
}


def of_tests(what: str):
    """The row of a part that counts tests."""
    return lambda f: (what, f"{f['cases']} cases", "all as promised" if not f["failed"] else f"{f['failed']} NOT")


def of_breaks(what: str, count: str):
    """The row of a part that breaks runs off."""

    def row(f: dict) -> tuple[str, str, str]:
        result = f"unloadable {f['unloadable']}, ends that differ {f['different']}"
        result += f", failed {f['failed']}" if "failed" in f else ""
        return what, f"{f[count]:,}", f"{result}; most steps lost {f['most_lost']} of an interval of {f['interval']}"

    return row


ROWS = {
    "crashes": of_breaks("crashes of the writer, at every call (two kinds of loss)", "points"),
    "kills": of_breaks("SIGKILL at random instants of training", "kills"),
    "product": of_tests("{optimiser} × {dropout} × {engine} × {mid-epoch, end} × {early stopping}: same bits"),
    "more": of_tests(
        "schedules, penalties, clipping, float64, sparse, weights, torch; broken off up to 8 times: same bits"
    ),
    "estimators": of_tests("`MLPClassifier`, `MLPRegressor` with `checkpoint=`"),
    "runs": of_tests("runs: refusals with the difference, signals, locks, damage, overwriting"),
    "disks": of_tests("ENOSPC, EIO, read-only, no permission, folder gone: a warning, and the last one stands"),
    "damage": lambda f: (
        "single bits of a checkpoint changed, and every length cut off",
        f"{f['changed']:,} and {f['cut']:,}",
        f"accepted {f['accepted']}",
    ),
    "determinism": of_tests("run to run, threads, evaluation on or off, global random state, splits: same bits"),
    "numbers": of_tests("NaN and infinity at every layer and quantity: named, and undone to the bit"),
    "reads": lambda f: (
        "reads of a run that another process overwrites and resumes all the time",
        f"{sum(f['reads'].values()):,}",
        f"whole {sum(f['whole'].values()):,}, told that it is in use {sum(f['in_use'].values())}, bad {len(f['bad'])}",
    ),
    "at_once": of_tests("predictions, traces, trainings from threads and processes of all kinds: same bits"),
    "policies": of_tests("skip, halve, checkpoints of failed runs, sparse inputs"),
    "malformed-data": lambda f: ("damaged files of data (above)", f"{_total(f, 'files'):,} files", _failing(f)),
    "malformed-runs": lambda f: (
        "damaged models, runs, checkpoints, estimators and configurations (above)",
        f"{_total(f, 'files'):,} files",
        _failing(f),
    ),
    "hand": of_tests("files made by hand: bombs, headers of 2⁶⁰ rows, pickles, links, pipes, 10⁶ levels of JSON"),
    "flips": of_tests("model, manifest, configuration, history, results: a bit of each byte, and every bit"),
    "fuzz": lambda f: (
        "search for such files, guided by coverage",
        f"{_total(f, 'executions'):,} files",
        _failing(f),
    ),
}


def _total(figures: dict, key: str) -> int:
    """A count over all formats."""
    return sum(found[key] for found in figures.values())


def _failing(figures: dict) -> str:
    """How many files were not taken as promised."""
    failures = sum(_total(figures, verdict) for verdict in FAILURES)
    return f"{failures:,} NOT as promised" if failures else "all as promised"


def searched(figures: dict) -> str:
    """What the search came to, in a sentence."""
    failures = sum(_total(figures, verdict) for verdict in FAILURES)
    return (
        f"A search guided by what it covers of glassnet's code (`python -m reliability.fuzz`) read "
        f"{_total(figures, 'executions'):,} more; {failures or 'none'} of them not as promised."
    )


def malformed_table(figures: dict) -> str:
    """How damaged files of each format were taken."""
    columns = (SAME, OTHER, REFUSED, *FAILURES)
    lines = ["| " + " | ".join(("format", "files", *columns)) + " |", "| --- |" + " ---: |" * (len(columns) + 1)]
    rows = [*figures.items(), ("all", {key: _total(figures, key) for key in ("files", *columns)})]
    for name, found in rows:
        lines.append(f"| {name} | " + " | ".join(f"{found[key]:,}" for key in ("files", *columns)) + " |")
    return "\n".join(lines)


def main() -> int:
    """Measure, keep, write."""
    options = argparse.ArgumentParser(prog="python -m reliability", description=__doc__)
    options.add_argument("--only", choices=PARTS, action="append", help="a part; may be repeated")
    options.add_argument("--page", action="store_true", help="only write the page")
    chosen = options.parse_args()
    RESULTS.mkdir(exist_ok=True)
    for name in [] if chosen.page else chosen.only or PARTS:
        begun = time.perf_counter()
        figures = PARTS[name]()
        kept = {
            "day": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
            "seconds": round(time.perf_counter() - begun, 1),
            "figures": figures,
        }
        (RESULTS / f"{name}.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        sys.stdout.write(f"{name}: {json.dumps(figures)} ({kept['seconds']} s)\n")
        sys.stdout.flush()
    PAGE.write_text(page(), encoding="utf-8")
    return 0


def page() -> str:
    """The text of this folder's page.md with the tables in their places."""
    kept = {name: json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")) for name in PARTS}
    lines = ["| what was tried | how often | result | seconds |", "| --- | --- | --- | --- |"]
    for name, row in ROWS.items():
        lines.append("| " + " | ".join(map(str, (*row(kept[name]["figures"]), kept[name]["seconds"]))) + " |")
    costs = ["| what | size | time |", "| --- | --- | --- |"]
    costs += [f"| {what} | {size} | {time} |" for what, size, time in kept["costs"]["figures"]["rows"]]
    days = sorted({found["day"] for found in kept.values()})
    machines = sorted({found["machine"] for found in kept.values()})
    measured = f"Measured from {days[0]} to {days[-1]}" if len(days) > 1 else f"Measured on {days[0]}"
    text = TEXT.read_text(encoding="utf-8")
    places = {
        "{RESULTS}": "\n".join(lines),
        "{FORMATS}": malformed_table(kept["malformed-data"]["figures"] | kept["malformed-runs"]["figures"]),
        "{FUZZ}": searched(kept["fuzz"]["figures"]),
        "{COSTS}": "\n".join(costs),
        "{WHEN}": f"{measured}; {'; '.join(machines)}.",
    }
    for place, content in places.items():
        assert place in text, place
        text = text.replace(place, content)
    return text


if __name__ == "__main__":
    sys.exit(main())
