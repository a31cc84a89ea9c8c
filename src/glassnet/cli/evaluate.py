"""``glassnet evaluate``: how good a model's predictions are."""

from __future__ import annotations

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
    from glassnet.model import load

    figures = load(run).evaluate(source)
    if as_json:
        print_json(figures)
    else:
        print_figures(figures)
    return 0
