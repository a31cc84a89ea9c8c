"""The floor: what the arithmetic alone would take, at the rate that registers allow, and the share of it reached."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.contest import Arena
from benchmarks.options import Options
from benchmarks.report import results_of
from benchmarks.tables import best_peer, seconds, table
from benchmarks.workloads import Workload, flops, load

TITLE = "The floor"


def run(options: Options) -> dict[str, Any]:
    """Measure the peaks; take the times from the section ``train``."""
    trained = report.kept("train")
    if trained is None:
        raise SystemExit("the floor is compared with the times of training: run `python -m benchmarks train` first")
    with Arena(options.threads, options.folder) as arena:
        worker = arena.worker("glassnet-exact")
        answers = [worker.ask("peaks").value for _ in range(1 if options.quick else 3)]
    peaks = {name: max(answer[name] for answer in answers) for name in answers[0]}
    floors = []
    for contest in trained["figures"]["contests"]:
        workload = Workload.from_json(contest["workload"])
        data = load(workload, options.folder)
        density = float(np.count_nonzero(data.x[::50]) / data.x[::50].size)
        dense = flops(workload.sizes, len(data.x))
        floors.append(
            {
                "name": workload.name,
                "flops": dense,
                "needed": flops(workload.sizes, len(data.x), density),
                "density": density,
                "results": contest["results"],
            }
        )
    return {"peaks": peaks, "floors": floors, "trained": trained["day"], "threads": trained["threads"]}


def text(kept: dict[str, Any]) -> str:
    """The peaks, and for each workload the floor and the shares."""
    figures = kept["figures"]
    peaks = figures["peaks"]
    said = [f"{name} {rate:.0f} GFLOP/s" for name, rate in peaks.items()]
    lines = [
        f"Multiply-adds that stay in registers, {kept['threads']} threads, measured on the spot: {'; '.join(said)}. "
        "The floor is the arithmetic of the matrix products over that rate: 2 operations a weight and row for the "
        "forward pass, 2 for ∂C/∂W, 2 for the error of the layer below. Where zeros of the input are skipped, a share "
        "above 100 % is possible; the last column counts only the products whose input is not zero.",
    ]
    rows = []
    for floor in figures["floors"]:
        results = results_of(floor["results"])
        best = best_peer(results)
        shown = [r for r in results if not r.missing and (r.ours or (best is not None and r.key == best.key))]
        for result in shown:
            rate_name = "bfloat16" if result.key in ("glassnet-fast", "torch-bf16") else "float32"
            peak = peaks.get(rate_name) or peaks.get("NumPy's product")
            if not peak:
                continue
            rows.append(
                [
                    floor["name"],
                    result.name,
                    f"{floor['flops'] / 1e9:.0f}",
                    seconds(floor["flops"] / peak / 1e9),
                    seconds(result.median),
                    f"{floor['flops'] / peak / 1e9 / result.median:.0%}",
                    f"{floor['needed'] / peak / 1e9 / result.median:.0%}",
                ]
            )
    heads = ["", "", "GFLOP an epoch", "floor, s", "measured, s", "share of the peak", "zeros not counted"]
    lines.append(table(heads, rows))
    return "\n\n".join(lines)
