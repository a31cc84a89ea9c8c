"""Seconds an epoch: every contestant on every workload."""

from __future__ import annotations

from typing import Any

from benchmarks.contest import Arena
from benchmarks.options import Options
from benchmarks.peers import CONTESTANTS
from benchmarks.report import results_of
from benchmarks.tables import best_peer, contest_table, seconds, table
from benchmarks.workloads import Workload, load

TITLE = "Training, seconds an epoch"
WHOLE_EPOCHS = {"W1": 5, "W2": 5, "W3": 1, "W4": 3}


def run(options: Options) -> dict[str, Any]:
    """A contest a workload, and glassnet's whole calls."""
    contests = []
    with Arena(options.threads, options.folder, emulate=options.emulate) as arena:
        for workload in options.workloads():
            results = arena.contest(workload, options.contestants(), options.seed)
            whole = {}
            for result in results:
                if result.ours and not result.missing and not options.quick:
                    epochs = WHOLE_EPOCHS[workload.name]
                    whole[result.name] = arena.whole(result.key, workload, options.seed, epochs).wall / epochs
            contests.append(
                {
                    "workload": workload.to_json(),
                    "data": load(workload, options.folder).what,
                    "results": [result.to_json() for result in results],
                    "whole": whole,
                }
            )
        versions: dict[str, str] = {}
        for key in arena.workers:
            versions |= arena.workers[key].versions
        libraries = sorted({name for worker in arena.workers.values() for name in worker.ask("blas").value})
    return {"contests": contests, "versions": versions, "blas": libraries}


def text(kept: dict[str, Any]) -> str:
    """A table a workload."""
    figures = kept["figures"]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(figures["versions"].items()))
    lines = [
        f"{kept['threads']} threads for everyone. {versions}. BLAS in use: {'; '.join(figures['blas'])}.",
        summary(figures["contests"]),
    ]
    for contest in figures["contests"]:
        workload, results = Workload.from_json(contest["workload"]), results_of(contest["results"])
        epochs = max((r.epochs for r in results if r.part == 1), default=0)
        lines.append(f"### {workload.name}: {workload.title}")
        lines.append(
            f"{contest['data'][0].upper()}{contest['data'][1:]}. {workload.rounds} turns of 1/{workload.turns} of an "
            f"epoch each; accuracy after {epochs:.3g} epochs."
        )
        lines.append(contest_table(results))
        if contest["whole"]:
            said = [f"{name} {seconds(value)} s" for name, value in contest["whole"].items()]
            lines.append(
                f"The whole call of `glassnet.train` for {WHOLE_EPOCHS[workload.name]} epochs, divided by them: "
                f"{'; '.join(said)}."
            )
    return "\n\n".join(lines)


def summary(contests: list[dict[str, Any]]) -> str:
    """How many times faster than the best peer glassnet is, workload by workload."""
    rows = []
    for contest in contests:
        results = results_of(contest["results"])
        best = best_peer(results)
        if best is None:
            continue
        row = [contest["workload"]["name"], f"{best.name}, {seconds(best.median)} s"]
        for kind in CONTESTANTS.values():
            if kind.ours:
                mine = next((r for r in results if r.key == kind.key and not r.missing), None)
                row.append("—" if mine is None else f"{best.median / mine.median:.2f}")
        rows.append(row)
    ours = [kind.name for kind in CONTESTANTS.values() if kind.ours]
    return "Times as fast as the best peer:\n\n" + table(["", "best peer, s an epoch", *ours], rows)
