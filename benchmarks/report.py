"""What is kept of each section, and the page and the figure that are made of it."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.contest import Result
from benchmarks.options import Options
from benchmarks.workloads import Workload

KEPT = Path(__file__).parent / "results"


def keep(name: str, figures: dict[str, Any], options: Options, seconds: float) -> dict[str, Any]:
    """Write a section's figures, with what is needed to read them, to ``results/NAME.json``."""
    kept = {
        "section": name,
        "day": datetime.date.today().isoformat(),
        "seconds": round(seconds, 1),
        "threads": options.threads,
        "quick": options.quick,
        "machine": machine.describe(),
        "figures": figures,
    }
    KEPT.mkdir(exist_ok=True)
    text = json.dumps(kept, indent=1, ensure_ascii=False)
    (KEPT / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    return json.loads(text)


def kept(name: str) -> dict[str, Any] | None:
    """What :func:`keep` wrote last for a section."""
    path = KEPT / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def write(page: Path) -> None:
    """The page of all sections that were ever run, and beside it the figure."""
    from benchmarks.sections import SECTIONS

    there = {name: found for name in SECTIONS if (found := kept(name)) is not None}
    lines = [INTRODUCTION]
    machines: list[str] = []
    for found in there.values():
        said = machine_text(found["machine"])
        if said not in machines:
            machines.append(said)
    lines += ["## The machine", *machines]
    if "train" in there:
        figure = page.with_suffix(".svg")
        draw(there["train"], figure)
        lines.append(f"![Seconds an epoch of each contestant, by workload]({figure.name})")
    for name, found in there.items():
        lines.append(f"## {SECTIONS[name].TITLE}")
        lines.append(SECTIONS[name].text(found))
        look = ", a quick look" if found["quick"] else ""
        other = f" Machine {machines.index(machine_text(found['machine'])) + 1}." if len(machines) > 1 else ""
        lines.append(
            f"`python -m benchmarks {name}`, {found['day']}, {found['threads']} threads{look}; "
            f"it took {found['seconds']:.0f} s.{other}"
        )
    page.write_text("\n\n".join(lines) + "\n", encoding="utf-8")


INTRODUCTION = """# Benchmarks

Written by `python -m benchmarks --write docs/benchmarks.md` from what was measured last. [How it
measures](../benchmarks/README.md) says who the contestants are and what they are told to do. Times are wall-clock
seconds; numbers are comparable within one table, which was made in one run on one machine, with the contestants taking
turns."""


def machine_text(said: dict[str, Any]) -> str:
    """The machine in a paragraph."""
    caches = ", ".join(f"{name.removesuffix(' cache')} {size}" for name, size in said["caches"].items())
    parts = [
        f"{said['processor']} ({said['model']})",
        f"{said['cores']} cores",
        f"instructions {', '.join(said['instructions']) or 'portable'}",
        *([f"caches {caches}"] if caches else []),
        *([f"{said['memory_gib']} GiB of memory"] if said["memory_gib"] else []),
        said["system"],
    ]
    return "; ".join(parts) + "."


def results_of(tree: list[dict[str, Any]]) -> list[Result]:
    """Results as objects again."""
    return [Result(**entry) for entry in tree]


def draw(train: dict[str, Any], path: Path) -> None:
    """Bars of seconds an epoch, one panel a workload, on a logarithmic axis."""
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "glassnet", "svg.fonttype": "none", "font.size": 8})
    contests = train["figures"]["contests"]
    figure, panels = plt.subplots(2, 2, figsize=(11, 7), layout="constrained")
    for panel, contest in zip(panels.flat, contests, strict=False):
        results = [r for r in results_of(contest["results"]) if not r.missing]
        results.sort(key=lambda result: -result.median)
        times = [result.median for result in results]
        bars = panel.barh(
            [result.name for result in results], times, color=["#c2410c" if r.ours else "#94a3b8" for r in results]
        )
        panel.bar_label(bars, [f" {time:.3g} s" for time in times])
        panel.set_xscale("log")
        panel.set_xlim(min(times) / 2, max(times) * 3)
        workload = Workload.from_json(contest["workload"])
        panel.set_title(f"{workload.name}: {workload.title}", fontsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in panels.flat[len(contests) :]:
        panel.remove()
    figure.supxlabel(f"seconds an epoch, median, {train['threads']} threads (shorter is better)")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
