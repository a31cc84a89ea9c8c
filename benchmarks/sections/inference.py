"""Rows a second of prediction, one row at a time and 10,000 together."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np

from benchmarks.contest import say
from benchmarks.options import Options
from benchmarks.predictors import PREDICTORS, missing
from benchmarks.tables import table
from benchmarks.worker import Worker, WorkerError
from benchmarks.workloads import W1, W3

TITLE = "Inference"
BATCHES = (1, 10_000)


def run(options: Options) -> dict[str, Any]:
    """Rounds in which each predictor predicts for a while; its probabilities are compared with scikit-learn's."""
    rounds, spell = (2, 0.1) if options.quick else (5, 0.3)
    entries = []
    workers = {key: Worker("numpy", options.threads) for key, kind in PREDICTORS.items() if not missing(kind)}
    try:
        for workload in (W1, W3):
            rates: dict[tuple[str, int], list[float]] = {}
            failed: dict[str, str] = {key: missing(kind) for key, kind in PREDICTORS.items() if missing(kind)}
            checks = {}
            for key, worker in workers.items():
                worker.ask("fetch", workload=workload.to_json(), folder=str(options.folder), seed=options.seed)
                try:
                    checks[key] = worker.ask("predictor", key=key).value
                except WorkerError as error:
                    failed[key] = str(error)
            for round_ in range(rounds):
                for batch in BATCHES:
                    for key in list(checks)[:: 1 if round_ % 2 else -1]:
                        rate = workers[key].ask("predict_rate", batch=batch, seconds=spell).value
                        rates.setdefault((key, batch), []).append(rate)
                say(".")
            for key in PREDICTORS:
                medians = {str(b): statistics.median(rates[key, b]) for b in BATCHES if (key, b) in rates}
                apart = None
                if key in checks and "torch" in checks and key != "glassnet-forward":
                    apart = float(np.abs(np.array(checks[key]) - np.array(checks["torch"])).max())
                entry = {"name": workload.name, "key": key, "rates": medians, "apart": apart}
                entries.append({**entry, "missing": failed.get(key, "")})
    finally:
        for worker in workers.values():
            worker.close()
    return {"entries": entries}


def text(kept: dict[str, Any]) -> str:
    """A line for each predictor, columns for network and batch."""
    entries = kept["figures"]["entries"]
    names = list(dict.fromkeys(entry["name"] for entry in entries))
    rows = []
    for key, kind in PREDICTORS.items():
        row, said = [kind.name], ""
        for name in names:
            entry = next(entry for entry in entries if (entry["name"], entry["key"]) == (name, key))
            row += [f"{entry['rates'][str(b)]:,.0f}" if entry["rates"] else "—" for b in BATCHES]
            said = entry["missing"] or said
        rows.append([*row, said])
    apart = max((entry["apart"] or 0.0 for entry in entries), default=0.0)
    heads = ["", *(f"{name}, {b:,} row{'s' * (b > 1)}" for name in names for b in BATCHES), "remarks"]
    return (
        "Rows a second, from rows in float32 to probabilities, medians; the networks are those of W1 and W3, with the "
        f"same weights for all. Probabilities differ from PyTorch's by at most {apart:.1g}.\n\n" + table(heads, rows)
    )
