"""What several commands share."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glassnet.errors import ConfigError
from glassnet.messages import say

if TYPE_CHECKING:
    import numpy as np
    from rich.console import Console

    from glassnet.losses import Loss
    from glassnet.network import Network
    from glassnet.optimisers import Updater
    from glassnet.regularisers import Regularisation


def _not_empty(given: Any) -> Any:
    """Refuse "", which a path would take for the current folder."""
    if given is not None and not str(given).strip():
        raise ConfigError(say("the path or name is empty"))
    return given


RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help=say("A run's folder, such as runs/digits."))]
SOURCE: Any = typer.Argument(
    metavar="SOURCE",
    callback=_not_empty,
    show_default=False,
    help=say(
        "A file (.csv, .tsv, .parquet, .npz, .npy, idx), a folder of Parquet or of MNIST's four files, or a set "
        "that comes with scikit-learn: digits, iris, wine, breast_cancer, diabetes."
    ),
)
SourceArgument = Annotated[str, SOURCE]
JsonOption = Annotated[bool, typer.Option("--json", help=say("Print JSON instead of tables, one object a line."))]

CheckpointEvery = Annotated[
    str | None,
    typer.Option(
        "--checkpoint-every",
        show_default=False,
        rich_help_panel=say("Checkpoints"),
        help=say("Save all that is needed to go on every 30s, 5m, 200-steps, epoch or 3-epochs."),
    ),
]
CheckpointKeep = Annotated[
    int,
    typer.Option("--checkpoint-keep", rich_help_panel=say("Checkpoints"), help=say("How many of these are kept.")),
]


def stored_config(run: Path) -> dict[str, Any]:
    """The configuration of a run that is to go on."""
    from glassnet.lock import check_free
    from glassnet.training.resuming import check_resumable, stored

    check_free(run)
    check_resumable(run)
    config: dict[str, Any] = stored(run)[1]["config"]
    return config


def console() -> Console:
    """Standard output, with colours where it is a terminal."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def print_note(text: str) -> None:
    """A sentence about what is done meanwhile."""
    console().print(f"· {text}", markup=False)


def print_json(content: dict[str, Any]) -> None:
    """One JSON object on a line; NaN and infinity as null."""
    print(json_text(content), flush=True)


def json_text(content: dict[str, Any]) -> str:
    """One JSON object on a line; NaN and infinity as null."""
    return json.dumps(_jsonable(content), ensure_ascii=False)


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table: the first column to the left, the others, numbers mostly, to the right."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title) if title else None, title_justify="left")
    for k, column in enumerate(columns):
        table.add_column(Text(str(column)), justify="left" if k == 0 else "right")
    for row in rows:
        table.add_row(*(Text(str(value)) for value in row))
    console().print(table)


def numbers(text: str, option: str) -> tuple[int, ...]:
    """Whole numbers above 0 from "256,128"; none from "" or "none"."""
    if text.strip().lower() in ("", "none"):
        return ()
    try:
        values = tuple(int(part) for part in text.split(","))
    except ValueError:
        values = (0,)
    if min(values) < 1:
        raise ConfigError(
            say("{option} takes whole numbers above 0, such as 256,128, not {text!r}", option=option, text=text)
        )
    return values


def shares(text: str, option: str) -> float | list[float]:
    """One number, or one for each layer, from "0.5" or "0.2,0.5"."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(
            say("{option} takes numbers such as 0.5 or 0.2,0.5, not {text!r}", option=option, text=text)
        ) from None
    return values[0] if len(values) == 1 else values


def components(text: str) -> str | list[str]:
    """One component, or one for each layer, from "relu", "elu(alpha=0.5)" or "relu,tanh"."""
    parts, depth, start = [], 0, 0
    for k, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append(text[start:k])
            start = k + 1
    parts.append(text[start:])
    return parts[0].strip() if len(parts) == 1 else [part.strip() for part in parts]


def share_or_path(text: str) -> float | str:
    """A share of the rows, or the path of a file."""
    try:
        return float(text)
    except ValueError:
        return text


def batch_of_run(
    run: Path, source: str | None, rows: int | None = None
) -> tuple[Network, Loss, np.ndarray, np.ndarray, Regularisation]:
    """A run's network and loss, the first rows of the source (all if None; else of its own data), and its penalties."""
    from glassnet.folders import config_of, is_run, load_model
    from glassnet.regularisers import Regularisation

    model, training = load_model(run), None
    if is_run(run):  # else a model without a run
        config = config_of(run)
        training, source = config.training, source or config.data.source
    if source is None:
        raise ConfigError(say("give a SOURCE: {run} does not say which data it was trained on", run=run))
    examples = model.examples(source).take(slice(rows))
    rules = Regularisation()
    if training is not None:
        l2 = training.l2 + training.alpha / max(len(examples), 1)
        rules = Regularisation(l1=training.l1, l2=l2, biases=training.regularise_biases)
    return model.network, model.loss, examples.x, examples.y, rules


def updater_of_run(run: Path) -> tuple[Updater, float | None, Any]:
    """A run's rules for a step, without what its optimiser remembered; its learning rate; and its data's source."""
    from glassnet.folders import config_of, is_run
    from glassnet.optimisers import SGD, Updater
    from glassnet.training.trainer import make_updater

    if not is_run(run):
        return Updater(SGD()), None, None
    config = config_of(run)
    return make_updater(config.training), config.training.lr, config.data.source


def print_figures(figures: dict[str, Any]) -> None:
    """A model's figures on some rows as tables: the figures, each class, the confusion matrix."""
    names = {
        "rows": say("rows"),
        "accuracy": say("accuracy"),
        "log_loss": say("log-loss"),
        "rmse": "RMSE",
        "mae": "MAE",
        "r2": "R²",
    }
    rows = [(names[key], _figure(value)) for key, value in figures.items() if key in names]
    print_table("", (say("figure"), say("value")), rows)
    if "classes" in figures:
        columns = (say("class"), say("precision"), say("recall"), "F1", say("rows"))
        lines = [
            (c["label"], f"{c['precision']:.4f}", f"{c['recall']:.4f}", f"{c['f1']:.4f}", c["support"])
            for c in figures["classes"][:_CLASSES]
        ]
        print_table("", columns, lines)
    if "confusion" in figures and len(figures["confusion"]) <= _CLASSES:
        labels = [str(c["label"]) for c in figures["classes"]]
        lines = [(label, *row) for label, row in zip(labels, figures["confusion"], strict=True)]
        print_table(say("confusion matrix"), (say("true \\ predicted"), *labels), lines)


_CLASSES = 30  # tables of more would not be read


def _figure(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"
