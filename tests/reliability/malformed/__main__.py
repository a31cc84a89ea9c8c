"""Thousands of damaged files of every format, and how glassnet takes each.

``python -m reliability.malformed [--format NAME] [--count N] [--seed S] [--keep FOLDER]`` (with tests/ in PYTHONPATH)
prints the figures as JSON. With ``--keep`` the files that fail are kept, each in a folder with what was seen.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from reliability.malformed.formats import FORMATS
from reliability.malformed.judge import mutant
from reliability.malformed.pool import Watched, judge_format, make_seeds
from reliability.malformed.seeds import put


def main() -> int:
    """Judge, print, keep."""
    options = argparse.ArgumentParser(prog="python -m reliability.malformed", description=__doc__)
    options.add_argument("--format", choices=FORMATS, action="append", help="a format; may be repeated")
    options.add_argument("--count", type=int, default=10_000, help="files of each format")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--workers", type=int, default=2, help="processes")
    options.add_argument("--keep", type=Path, help="a folder for the files that fail")
    chosen = options.parse_args()
    figures = {}
    with tempfile.TemporaryDirectory() as place:
        made = Path(place)
        make_seeds(made)
        watched = [Watched(made) for _ in range(chosen.workers)]
        for name in chosen.format or FORMATS:
            figures[name] = judge_format(name, watched, count=chosen.count, seed=chosen.seed)
            if chosen.keep:
                seeds = FORMATS[name].seeds(made)
                for found in figures[name]["found"]:
                    case = mutant(FORMATS[name], seeds, chosen.seed, found["index"])
                    folder = chosen.keep / f"{name} {found['verdict']} {found['index']}".replace(" ", "-")
                    put(folder, {**case.base, **case.changed, "seen.txt": json.dumps(found, indent=1).encode()})
        for one in watched:
            one.close()
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
