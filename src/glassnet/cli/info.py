"""``glassnet info``: what a run is."""

from __future__ import annotations

from typing import Any

from glassnet.cli.common import JsonOption, RunArgument, print_figures, print_json, print_table
from glassnet.messages import say
from glassnet.registry import component_text

NAME = "info"


def help_text() -> str:
    """What the command does."""
    return say("Show a run: its network, how it was trained, by which engine, how it ended and how good it is.")


def command(run: RunArgument, as_json: JsonOption = False) -> int:
    """Print the run's network, training and results."""
    from glassnet.folders import (
        RESULTS,
        config_of,
        is_run,
        load_model,
        read_history,
        read_results,
        tree_of,
        whole,
    )
    from glassnet.storage import damaged

    config: dict[str, Any] = {}
    results: dict[str, Any] = {}
    history = None
    if is_run(run):
        config, results, history, model = whole(
            run, lambda: (tree_of(run), read_results(run), read_history(run), load_model(run))
        )
        config_of(run)  # that its values can be used
    else:
        model = load_model(run)
    training = config.get("training", {})
    engine = results.get("engine")
    if as_json:
        network = {"sizes": model.network.sizes, "parameters": model.network.n_parameters, **model.network.config()}
        print_json({"run": str(run), "network": network, "engine": engine, "config": config, "results": results})
        return 0
    rows = []
    for layer in model.network.layers:
        shape = " × ".join(map(str, layer.params["W"].shape)) if layer.params else ""
        size = sum(theta.size for theta in layer.params.values())
        state = say("frozen") if layer.frozen else say("trained") if layer.params else ""
        rows.append((layer.number, repr(layer), shape, f"{size:,}", state))
    print_table(say("network"), ("l", say("layer"), "W", say("parameters"), say("state")), rows)
    facts: list[tuple[str, object]] = [(say("loss"), model.loss.name), (say("engine"), engine or say("not recorded"))]
    if model.target is not None:
        facts.append((say("task"), say(model.target.task)))
        if model.target.classes:
            facts.append((say("classes"), ", ".join(map(str, model.target.classes[:30]))))
    for key in (
        "optimiser",
        "lr",
        "schedule",
        "batch_size",
        "epochs",
        "early_stopping",
        "l1",
        "l2",
        "weight_decay",
        "seed",
    ):
        if training.get(key):
            facts.append((key, component_text(training[key])))
    if config:
        facts.insert(0, (say("data"), config["data"]["source"]))
    if history is not None:
        facts += [(say("epochs done"), len(history)), (say("why it stopped"), history.stop_reason)]
        facts.append((say("seconds of training"), f"{history.seconds:.2f}"))
    print_table(say("training"), (say("fact"), say("value")), facts)
    if results.get("test"):
        with damaged(run / RESULTS):
            print_figures(results["test"])
    return 0
