"""How time grows with width, depth, batch, rows and threads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmarks.contest import Arena, Result
from benchmarks.options import Options
from benchmarks.report import results_of
from benchmarks.tables import seconds, table
from benchmarks.workloads import W1, W3, W4, Workload, flops, load

TITLE = "Growth"
KEYS = ("torch-fused", "jax", "glassnet-exact", "glassnet-fast")


def axes(threads: int) -> dict[str, list[tuple[str, int, Workload]]]:
    """Axis by axis: what is varied, the threads, and the workload. Turns are half of an epoch and shorter.

    They are long enough that what a start costs does not count for the quickest; a slow peer makes a part of one.
    """

    def hidden(*sizes: int, lr: float = W1.lr) -> Workload:
        return replace(W1, sizes=(784, *sizes, 10), lr=lr, turns=2, rounds=3)

    few = {w.name: replace(w, turns=2 * w.turns, rounds=3) for w in (W1, W3, W4)}
    return {
        "width": [(f"784-{256 * k}-10", threads, hidden(256 * k)) for k in (1, 2, 4, 8)],
        "depth": [(f"{k} of 256", threads, hidden(*[256] * k, lr=0.05)) for k in (1, 2, 4, 8)],
        "batch": [
            (str(batch), threads, replace(W1, batch=batch, lr=0.05, turns=2, rounds=3))
            for batch in (10, 32, 128, 512, 4096)
        ],
        "rows": [(f"{rows:,}", threads, replace(W4, rows=rows, turns=2, rounds=3)) for rows in (50_000, 500_000)],
        "threads": [
            (f"{name}, {count}", count, workload) for name, workload in few.items() for count in range(1, threads + 1)
        ],
    }


def run(options: Options) -> dict[str, Any]:
    """A small contest at every point."""
    points = []
    arenas = {count: Arena(count, options.folder) for count in range(1, options.threads + 1)}
    try:
        for axis, entries in axes(options.threads).items():
            for value, count, workload in entries[:2] if options.quick else entries:
                shorter = replace(workload, turns=workload.turns * 3, rounds=1) if options.quick else workload
                results = arenas[count].contest(shorter, options.among(*KEYS), options.seed, accuracy=False)
                points.append(
                    {
                        "axis": axis,
                        "value": value,
                        "threads": count,
                        "flops": flops(workload.sizes, len(load(workload, options.folder).x)),
                        "results": [result.to_json() for result in results],
                    }
                )
    finally:
        for arena in arenas.values():
            arena.__exit__()
    return {"points": points}


def text(kept: dict[str, Any]) -> str:
    """A table an axis: seconds an epoch, and how many times the first point's, beside the arithmetic's growth."""
    lines = [
        "Seconds an epoch, scaled from short turns, for variations of W1 (of W4 for the rows; of W1, W3 and W4 for the "
        "threads). In brackets the time over that of the table's first line (for threads: of one thread), to be "
        "compared with the growth of the arithmetic."
    ]
    points = kept["figures"]["points"]
    for axis in dict.fromkeys(point["axis"] for point in points):
        own = [point for point in points if point["axis"] == axis]
        results = [{r.key: r for r in results_of(point["results"]) if not r.missing} for point in own]
        keys = {key: result.name for found in results for key, result in found.items()}
        rows = []
        for i, (point, found) in enumerate(zip(own, results, strict=True)):
            first = _first(i, own) if axis == "threads" else 0
            growth = point["flops"] / own[first]["flops"]
            cells = [_cell(found.get(key), results[first].get(key)) for key in keys]
            rows.append([point["value"], f"{growth:.2f}", *cells])
        lines += [f"### By {axis}", table([axis, "arithmetic", *keys.values()], rows)]
    return "\n\n".join(lines)


def _first(i: int, own: list[dict[str, Any]]) -> int:
    """The line of the same workload with one thread."""
    name = own[i]["value"].split(",")[0]
    return next(j for j, point in enumerate(own) if point["value"].split(",")[0] == name)


def _cell(result: Result | None, first: Result | None) -> str:
    if result is None or first is None:
        return "—"
    return f"{seconds(result.median)} ({result.median / first.median:.2f})"
