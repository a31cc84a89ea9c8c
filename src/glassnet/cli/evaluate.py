"""``glassnet evaluate``: how good a model's predictions are."""

from __future__ import annotations

from pathlib import Path

from glassnet.cli.common import JsonOption, RunArgument, SourceArgument, print_figures, print_json
from glassnet.messages import say

NAME = "evaluate"


def help_text() -> str:
    """What the command does."""
    return say(
        "Compare a run's predictions with known targets: accuracy, log-loss, each class, confusion matrix; "
        "or RMSE, MAE, R²."
    )


def command(run: RunArgument, source: SourceArgument, as_json: JsonOption = False) -> int:
    """Evaluate and print the figures."""
    from glassnet.data import load_source
    from glassnet.model import load

    model = load(run)
    loaded = load_source(source, target=model.target_name)
    figures = model.evaluate(loaded.train if loaded.test is None else loaded.test)
    if as_json:
        print_json(figures)
    else:
        print_figures(figures)
        if loaded.test is not None:
            print(say("these rows are the source's own test set"))
        else:
            _remark(run, source)
    return 0


def _remark(run: Path, source: str) -> None:
    """Say so if the rows are those of the run, most of which it was trained on."""
    from glassnet.folders import is_run, tree_of

    if is_run(run) and tree_of(run).get("data", {}).get("source") == source:
        print(say("these rows include those that the model was trained on; the run's own test figures: glassnet info"))
