"""``glassnet draw``: pictures of a run's network at work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glassnet.cli import common
from glassnet.cli.common import RunArgument
from glassnet.errors import ConfigError
from glassnet.messages import say

NAME = "draw"

KINDS = ("passes", "unit", "gradients", "graph", "dropout", "curves")


def help_text() -> str:
    """What the command does."""
    return say(
        "Draw a run's network on real rows: one sample's forward and backward pass (passes), the error of one unit "
        "(unit), the gradients of a batch (gradients), the computational graph (graph), the network thinned by a "
        "dropout mask (dropout); or the curves of its training (curves). Prints the picture's path."
    )


def command(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help=say("passes, unit, gradients, graph, dropout or curves."))
    ],
    run: RunArgument,
    source: Annotated[
        str | None,
        typer.Argument(metavar="[SOURCE]", help=say("Rows with targets; else the run's own data."), show_default=False),
    ] = None,
    row: Annotated[int, typer.Option("--row", help=say("The row that passes and unit follow, from 0."))] = 0,
    unit: Annotated[
        str, typer.Option("--unit", help=say("The unit: its layer from 1, a dot, and its number from 0."))
    ] = "1.0",
    rows: Annotated[int, typer.Option("--rows", min=1, help=say("Rows in the batch of gradients and graph."))] = 16,
    epoch: Annotated[int, typer.Option("--epoch", help=say("The epoch of the dropout mask, from 0."))] = 0,
    position: Annotated[
        int, typer.Option("--position", help=say("The place of the dropout mask in its epoch, from 0."))
    ] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help=say("The picture's file (.png, .svg, .pdf); else figures/KIND.png in the run's folder."),
            show_default=False,
        ),
    ] = None,
    dark: Annotated[bool, typer.Option("--dark", help=say("Light on dark."))] = False,
) -> int:
    """Draw and print the picture's path."""
    from glassnet import drawing
    from glassnet.model import load
    from glassnet.runs import FIGURES, read_history

    if kind not in KINDS:
        raise ConfigError(say("cannot draw {kind!r}; choose one of: {known}", kind=kind, known=", ".join(KINDS)))
    path = out if out is not None else run / FIGURES / f"{kind}.png"
    if kind == "curves":
        drawing.draw_curves(read_history(run), path, title=run.resolve().name, dark=dark)
    elif kind in ("graph", "dropout"):
        model = load(run)
        if kind == "graph":
            drawing.draw_graph(model.network, model.loss, path, rows=rows, dark=dark)
        else:
            drawing.draw_dropout(model.network, path, epoch=epoch, position=position, dark=dark)
    else:
        _draw_rows(kind, run, source, path, row=row, rows=rows, unit=unit, dark=dark)
    print(path)
    return 0


def _draw_rows(
    kind: str, run: Path, source: str | None, path: Path, *, row: int, rows: int, unit: str, dark: bool
) -> None:
    """The pictures that follow rows of data."""
    from glassnet import drawing

    place = _unit(unit)
    network, loss, x, y, _ = common.batch_of_run(run, source)
    if kind == "gradients":
        drawing.draw_gradients(network, loss, x[:rows], y[:rows], path, dark=dark)
    elif kind == "passes":
        drawing.draw_passes(network, loss, x, y, path, row=row, dark=dark)
    else:
        drawing.draw_unit(network, loss, x, y, path, row=row, unit=place, dark=dark)


def _unit(text: str) -> tuple[int, int]:
    """(l, j) from "2.7"."""
    layer, dot, unit = text.partition(".")
    if not (dot and layer.isdecimal() and unit.isdecimal()):
        raise ConfigError(
            say("--unit takes a layer and a unit of it, such as 2.7 for unit 7 of layer 2, not {text!r}", text=text)
        )
    return int(layer), int(unit)
