"""Run parts of the benchmark, print their tables, keep their figures, and write the page.

``python -m benchmarks --help`` lists the options; the README of this folder says how it measures.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from benchmarks import machine, report
from benchmarks.options import Options
from benchmarks.sections import SECTIONS
from benchmarks.workloads import DATA


def main(arguments: list[str] | None = None) -> int:
    """Read the options, run the sections that are asked for, print, and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n", maxsplit=1)[0])
    lines = [f"{name}: {section.TITLE}" for name, section in SECTIONS.items()]
    parser.add_argument(
        "sections", nargs="*", metavar="SECTION", help=f"all (but precision, which takes long), or {'; '.join(lines)}"
    )
    parser.add_argument("--quick", action="store_true", help="short turns and few of them: a look, not a measurement")
    parser.add_argument("--threads", type=int, default=min(2, machine.cores()), help="for everyone (2)")
    parser.add_argument("--data", type=Path, default=DATA, metavar="DIR", help="where mnist/ and the like lie")
    parser.add_argument("--only", metavar="KEYS", help="contestants by key, with commas between")
    parser.add_argument("--workloads", metavar="NAMES", help="W1,W2,W3,W4 or some of them")
    parser.add_argument("--seed", type=int, default=0, help="of data orders and first weights (0)")
    parser.add_argument(
        "--emulate", action="store_true", help="bfloat16 computed without instructions for it: right, but slow"
    )
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write the page of all kept figures, and its figure")
    given = parser.parse_args(arguments)

    wanted = given.sections or ([] if given.write else ["all"])
    if unknown := [name for name in wanted if name not in (*SECTIONS, "all")]:
        parser.error(f"there is no section {unknown[0]!r}; choose from: {', '.join([*SECTIONS, 'all'])}")
    if "all" in wanted:
        wanted = [name for name in SECTIONS if name != "precision"]
    options = Options.of(given)
    for name in wanted:
        section = SECTIONS[name]
        print(f"\n## {section.TITLE}\n", flush=True)
        started = time.perf_counter()
        figures = section.run(options)
        sys.stderr.write("\n")
        kept = report.keep(name, figures, options, time.perf_counter() - started)
        print(section.text(kept), flush=True)
    if given.write:
        report.write(given.write)
        print(f"written: {given.write}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
