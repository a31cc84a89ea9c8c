"""Time to an accuracy on MNIST: of the whole process and of training alone, recipe by recipe."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.contest import say
from benchmarks.once import once
from benchmarks.options import Options
from benchmarks.peers import CONTESTANTS
from benchmarks.tables import seconds, table
from benchmarks.workloads import Workload

TITLE = "Time to accuracy"

SGD_980 = Workload("", (784, 256, 10), "relu", 64, "sgd", 0.6, schedule="linear", epochs=6)
ADAM_980 = Workload("", (784, 256, 10), "relu", 128, "adam", 0.006, schedule="linear", epochs=3)
CONSTANT_980 = Workload("", (784, 256, 10), "relu", 128, "adam", 0.001, epochs=10)
ADAM_985 = replace(
    ADAM_980, sizes=(784, 512, 10), lr=0.003, schedule="one_cycle", epochs=12, keep_input=0.9, keep_hidden=0.7
)


@dataclass(frozen=True)
class Trial:
    """A recipe that contestants follow, towards an accuracy; ``peer_seeds`` of them for others than glassnet."""

    target: float
    recipe: Workload
    keys: tuple[str, ...]
    seeds: int = 5
    peer_seeds: int = 2


OURS = ("glassnet-exact", "glassnet-fast")
TRIALS = (
    Trial(0.98, ADAM_980, (*OURS, "torch-memory", "torch-fused", "jax")),
    Trial(0.98, SGD_980, (*OURS, "torch-fused", "jax")),
    Trial(0.98, CONSTANT_980, ("sklearn",)),
    Trial(0.985, ADAM_985, (*OURS, "torch-fused", "jax"), peer_seeds=1),
)
"""The first recipe is the quickest that was found, and so the best for all that can follow it; the third is for
scikit-learn, whose learning rate does not fall; the second is plain SGD."""


def run(options: Options) -> dict[str, Any]:
    """Each in a process of its own, seed by seed."""
    entries = []
    for trial in TRIALS[: 1 if options.quick else None]:
        runs: dict[str, list[dict[str, Any]]] = {key: [] for key in options.among(*trial.keys)}
        for seed in range(1 if options.quick else trial.seeds):
            for key, done in runs.items():
                if CONTESTANTS[key].ours or seed < trial.peer_seeds:
                    done.append(once(key, trial.recipe, options.folder, options.seed + seed, options.threads))
                    say(".")
        entries += [
            {"target": trial.target, "recipe": trial.recipe.to_json(), "key": key, "runs": done}
            for key, done in runs.items()
        ]
    return {"entries": entries}


def text(kept: dict[str, Any]) -> str:
    """A table for each accuracy aimed at."""
    lines = [
        "Training starts with the data in memory and ends with the trained network, compilation included; the whole "
        "process is from start to exit, with imports, reading the data and testing. Means over the seeds."
    ]
    entries = kept["figures"]["entries"]
    for target in dict.fromkeys(entry["target"] for entry in entries):
        rows = []
        for entry in (entry for entry in entries if entry["target"] == target):
            recipe, kind = Workload.from_json(entry["recipe"]), CONTESTANTS[entry["key"]]
            done = [run for run in entry["runs"] if "missing" not in run]
            note = kind().note(recipe)
            if not done:
                rows.append([kind.name, _recipe(recipe), *["—"] * 5, f"missing: {entry['runs'][0]['missing']}"])
                continue
            means = {name: statistics.fmean(run[name] for run in done) for name in ("seconds", "setup", "process")}
            accuracies = [run["accuracy"] for run in done]
            rows.append(
                [
                    kind.name,
                    _recipe(recipe),
                    len(done),
                    f"{statistics.fmean(accuracies):.2%} (least {min(accuracies):.2%})",
                    seconds(means["seconds"]),
                    seconds(means["setup"]) if means["setup"] > 0.05 else "",
                    seconds(means["process"]),
                    note,
                ]
            )
        heads = [
            "",
            "recipe",
            "seeds",
            "test accuracy",
            "training, s",
            "of it set-up, s",
            "whole process, s",
            "remarks",
        ]
        lines += [f"### To {target:.1%}", table(heads, rows)]
    return "\n\n".join(lines)


def _recipe(recipe: Workload) -> str:
    shape = {"constant": "", "linear": " falling linearly to zero", "one_cycle": " at the peak of one cycle"}
    return f"{recipe.title}{shape[recipe.schedule]}, {recipe.epochs} epochs"
