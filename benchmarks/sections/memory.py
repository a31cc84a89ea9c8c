"""Peak memory of training, over what the process had with the data loaded."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from benchmarks.contest import say
from benchmarks.once import once
from benchmarks.options import Options
from benchmarks.peers import CONTESTANTS
from benchmarks.tables import table
from benchmarks.workloads import W1, W3, W4, Workload, load

TITLE = "Peak memory"
STEPS = {"W1": 60, "W3": 12, "W4": 120}
SKIPPED = ("torch-loader", "torch-compile", "lecture")


def run(options: Options) -> dict[str, Any]:
    """Some steps of each contestant, in processes of their own."""
    entries = []
    for workload in (W4,) if options.quick else (W1, W3, W4):
        data = load(workload, options.folder)
        for key in options.contestants():
            if key in SKIPPED:
                continue
            done = once(key, workload, options.folder, options.seed, options.threads, steps=STEPS[workload.name])
            entries.append({"name": workload.name, "key": key, **done})
            say(".")
        formula = {
            "data": data.x.nbytes / 2**20,
            "weights": weights(workload) / 2**20,
            "batch": batch(workload) / 2**20,
        }
        entries.append({"name": workload.name, "key": "", **formula})
    return {"entries": entries}


def weights(workload: Workload) -> int:
    """Bytes of the weights and biases in float32."""
    return 4 * sum((n_in + 1) * n_out for n_in, n_out in pairwise(workload.sizes))


def batch(workload: Workload) -> int:
    """Bytes of a batch's activations and errors in float32."""
    return 4 * 2 * workload.batch * sum(workload.sizes)


def text(kept: dict[str, Any]) -> str:
    """MiB over the baseline, a column a workload."""
    entries = kept["figures"]["entries"]
    names = list(dict.fromkeys(entry["name"] for entry in entries))
    rows = []
    for key in dict.fromkeys(entry["key"] for entry in entries if entry["key"]):
        own = {entry["name"]: entry for entry in entries if entry["key"] == key}
        rows.append([CONTESTANTS[key].name, *(_cell(own[name]) for name in names)])
    said = []
    for entry in entries:
        if not entry["key"]:
            states = 3 if entry["name"] == "W4" else 1
            said.append(
                f"{entry['name']}: data {entry['data']:.0f} MiB in the baseline, weights with the optimiser's state "
                f"{states * entry['weights']:.1f}, a batch's activations and errors {entry['batch']:.1f}"
            )
    return "\n\n".join(
        [
            "The peak of resident memory in MiB, less that before training with the data loaded. It includes the "
            "library's own code, which is imported by then only where the benchmark needs it for the data (NumPy).",
            table(["", *names], rows),
            "For comparison, in MiB: " + ". ".join(said) + ".",
        ]
    )


def _cell(entry: dict[str, Any]) -> str:
    if "missing" in entry:
        return f"— ({entry['missing']})"
    return "not told here" if entry["peak"] is None else f"{entry['peak'] - entry['base']:.0f}"
