"""``glassnet explain``: the arithmetic of one unit or weight."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glassnet.cli import common
from glassnet.cli.common import RunArgument
from glassnet.errors import ConfigError, unwritable
from glassnet.messages import say

NAME = "explain"

FORMATS = ("text", "markdown", "latex", "html", "json")


def help_text() -> str:
    """What the command does."""
    return say(
        "Write out the arithmetic of one unit for one row: the sum that makes z, the activation, its error by BP.1 or "
        "BP.2, BP.3, with --weight BP.4, and the update; beside each derivative the same by central differences. As "
        "text, Markdown, LaTeX, a page of HTML that needs no network, or JSON."
    )


def command(
    run: RunArgument,
    source: Annotated[
        str | None,
        typer.Argument(metavar="[SOURCE]", help=say("Rows with targets; else the run's own data."), show_default=False),
    ] = None,
    row: Annotated[int, typer.Option("--row", help=say("The row, from 0."))] = 0,
    unit: Annotated[
        str | None,
        typer.Option(
            "--unit",
            help=say("Its layer from 1, a dot, its number from 0: 2.7; else the output unit with the largest error."),
            show_default=False,
        ),
    ] = None,
    weight: Annotated[
        str | None,
        typer.Option(
            "--weight", help=say("A weight into the unit: 2.7.4 is from unit 4 below to unit 2.7."), show_default=False
        ),
    ] = None,
    terms: Annotated[int, typer.Option("--terms", min=1, help=say("Terms of a sum that are written out."))] = 5,
    form: Annotated[str, typer.Option("--format", help=say("text, markdown, latex, html or json."))] = "text",
    out: Annotated[
        Path | None, typer.Option("--out", help=say("A file to write; else it is printed."), show_default=False)
    ] = None,
) -> int:
    """Explain and print."""
    from glassnet.arrays import as_dense
    from glassnet.folders import load_model
    from glassnet.inspection import explain

    if form not in FORMATS:
        raise ConfigError(say("unknown format {name!r}; choose one of: {known}", name=form, known=", ".join(FORMATS)))
    where = None if unit is None else _place("--unit", unit, 2)
    into = None if weight is None else _place("--weight", weight, 3)
    if where is not None and into is not None and into[:2] != where:
        raise ConfigError(say("--unit and --weight name different units; give one of them"))
    model = load_model(run)
    updater, lr, own = common.updater_of_run(run)
    if source is None and own is None:
        raise ConfigError(say("give a SOURCE: {run} does not say which data it was trained on", run=run))
    examples = model.examples(source if source is not None else own)
    explanation = explain(
        model.network,
        model.loss,
        as_dense(examples.x),
        examples.y,
        row=row,
        unit=where,  # type: ignore[arg-type]
        weight=into,  # type: ignore[arg-type]
        updater=updater,
        lr=lr,
        terms=terms,
    )
    json_text = common.json_text(explanation.to_json()) + "\n"
    text = json_text if form == "json" else getattr(explanation, f"to_{form}")()
    if out is None:
        print(text, end="")
    else:
        _write(out, text)
        print(out)
    return 0


def _place(option: str, text: str, count: int) -> tuple[int, ...]:
    parts = text.split(".")
    if len(parts) != count or not all(part.isdecimal() for part in parts):
        example = "2.7" if count == 2 else "2.7.4"
        raise ConfigError(
            say(
                "{option} takes {count} numbers such as {example}, not {text!r}",
                option=option,
                count=count,
                example=example,
                text=text,
            )
        )
    return tuple(map(int, parts))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise unwritable(ConfigError, path, error) from error
