"""Measure the diagnosis and the cost of recording, print the tables, and write them into docs/diagnosis.md.

Run from anywhere: ``python docs/measure_diagnosis.py``; ``--only diseases,healthy,cost`` takes some of the sections.
The whole takes about five minutes on two cores.

The cases are in ``tests/cases``. Those with MNIST, Fashion-MNIST and California housing, and the cost, need
``../shared/data`` beside the repository.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import datetime
import platform
import statistics
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pages

import glassnet
from glassnet.errors import GlassnetWarning, NotFiniteError
from glassnet.inspection import Diagnosis, Tracker
from glassnet.inspection.rules import RULES
from glassnet.training import Recorder

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from cases import diagnosis as cases  # noqa: E402
from cases import diagnosis_unseen as unseen  # noqa: E402

PAGE = Path(__file__).parent / "diagnosis.md"
SCRIPT = Path(__file__).name
SEEDS = range(200, 203)
"""Others than those that the limits of the rules were set with."""
THREADS = 2


def signed():
    """When and with what."""
    today = datetime.date.today().isoformat()
    return f"glassnet {glassnet.__version__}, numpy {np.__version__}, Python {platform.python_version()}, {today}."


def codes(make, options, seed):
    """The findings of one run."""
    source, target = make(np.random.default_rng(seed))
    watch = Diagnosis()
    with contextlib.suppress(NotFiniteError):
        glassnet.fit(source, target, callbacks=[watch], seed=seed, threads=THREADS, **options)
    return [finding.code for finding in watch.findings]


def diseases():
    """How many planted diseases are found."""
    sets = (("known", [*cases.PLANTED, *cases.LONG]), ("other", [*unseen.UNSEEN_PLANTED, *unseen.UNSEEN_LONG]))
    planted, hits = collections.Counter(), collections.Counter()
    for name, rows in sets:
        for code, make, options in rows:
            for seed in SEEDS:
                planted[name, code] += 1
                found = code in codes(make, options, seed)
                hits[name, code] += found
                if not found:
                    print(f"missed ({name}, seed {seed}): {code} {options}", flush=True)
    lines = []
    for rule in RULES:
        code = rule.__name__
        shown = [f"{hits[name, code]} of {planted[name, code]}" for name, _ in sets]
        lines.append([f"`{code}`", rule.__doc__.split("\n")[0].rstrip("."), *shown])
    counted = [[sum(c[key] for key in c if key[0] == name) for c in (hits, planted)] for name, _ in sets]
    total = [f"{found} of {all_}" for found, all_ in counted]
    lines.append(["all", "", *total])
    heads = ["code", "what is looked for", "found, first list", "found, second list"]
    pages.write(PAGE, SCRIPT, "diseases", pages.table(heads, lines) + "\n\n" + signed())


def healthy():
    """How many healthy runs get a finding."""
    lines = []
    sets = (
        ("first list", [*cases.HEALTHY, *cases.HEALTHY_LONG], range(200, 205)),
        ("second list", [*unseen.UNSEEN_HEALTHY, *unseen.UNSEEN_HEALTHY_LONG], range(200, 203)),
    )
    for name, rows, seeds in sets:
        runs, alarms = 0, collections.Counter()
        alarmed = 0
        for make, options in rows:
            for seed in seeds:
                found = codes(make, options, seed)
                runs, alarmed = runs + 1, alarmed + bool(found)
                alarms.update(found)
                if found:
                    print(f"false alarm ({name}, seed {seed}): {found} {options}", flush=True)
        which = ", ".join(f"`{code}` {count}" for code, count in alarms.most_common()) or "none"
        lines.append([name, len(rows), runs, alarmed, which])
    heads = ["healthy runs", "kinds", "runs", "with a finding", "findings"]
    pages.write(PAGE, SCRIPT, "healthy", pages.table(heads, lines) + "\n\n" + signed())


def cost():
    """What recording adds to training, on MNIST 784-256-10."""
    source = cases.DATA / "mnist"
    options = {
        **{"hidden": (256,), "optimiser": "sgd", "lr": 0.5, "batch_size": 256, "validation": 0.0, "test": 0.0},
        **{"early_stopping": "none", "epochs": 10, "threads": THREADS},
    }
    seconds = collections.defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(7):
            ways = {
                "off": None,
                "recorder": Recorder(),
                "tracker": Tracker(folder=Path(folder) / str(turn)),
                "diagnosis": Diagnosis(),
            }
            for name, callback in ways.items():
                run = glassnet.fit(source, callbacks=[] if callback is None else [callback], **options)
                own = 0.0 if callback is None else callback.seconds
                seconds[name].append((own, run.history.seconds))
    lines = []
    for name, text in (("recorder", "snapshots (`--record`)"), ("tracker", "snapshots and event files (`--track`)")):
        shares = [own / epochs for own, epochs in seconds[name]]
        own, epochs = (statistics.median(column) for column in zip(*seconds[name], strict=True))
        lines.append([text, f"{epochs:.3f}", f"{own:.3f}", f"{100 * statistics.median(shares):.1f} %"])
    epochs = statistics.median(e for _, e in seconds["off"])
    lines.insert(0, ["off", f"{epochs:.3f}", "0", "0 %"])
    heads = ["10 epochs of MNIST, 784-256-10, batch 256", "seconds of training", "seconds of recording", "share"]
    text = f"Medians of 7 runs, taken in turns, {THREADS} threads. "
    pages.write(PAGE, SCRIPT, "cost", pages.table(heads, lines) + "\n\n" + text + signed())


def main():
    """Measure the sections that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="diseases,healthy,cost")
    warnings.simplefilter("ignore", GlassnetWarning)
    for name in parser.parse_args().only.split(","):
        {"diseases": diseases, "healthy": healthy, "cost": cost}[name]()


if __name__ == "__main__":
    main()
