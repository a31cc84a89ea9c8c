"""``glassnet draw``: pictures of a run's network at work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glassnet.cli import common
from glassnet.cli.common import RunArgument
from glassnet.errors import ConfigError
from glassnet.messages import say

if TYPE_CHECKING:
    from glassnet.model import Model

NAME = "draw"

KINDS = ("passes", "unit", "gradients", "graph", "dropout", "curves")
ALL = "all"


def help_text() -> str:
    """What the command does."""
    return say(
        "Draw a run's network on real rows: one sample's forward and backward pass (passes), the error of one unit "
        "(unit), the gradients of a batch (gradients), the computational graph (graph), the network thinned by a "
        "dropout mask (dropout); or the curves of its training (curves). all draws every kind that applies. Prints the "
        "pictures' paths."
    )


def command(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help=say("passes, unit, gradients, graph, dropout, curves or all."))
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
            help=say(
                "The picture's file (.svg, .png, .pdf); with all or --format the pictures' folder; else the run's own "
                "folder figures."
            ),
            show_default=False,
        ),
    ] = None,
    formats: Annotated[
        str,
        typer.Option("--format", help=say("svg, png, pdf, or several: svg,png; else png."), show_default=False),
    ] = "",
    dark: Annotated[bool, typer.Option("--dark", help=say("Light on dark."))] = False,
) -> int:
    """Draw and print the pictures' paths."""
    from glassnet.model import load

    if kind not in (*KINDS, ALL):
        known = ", ".join((*KINDS, ALL))
        raise ConfigError(say("cannot draw {kind!r}; choose one of: {known}", kind=kind, known=known))
    place = _unit(unit)
    model = None if kind == "curves" else load(run)
    kinds = (kind,) if model is None or kind != ALL else _that_apply(run, model)
    many = kind == ALL or bool(formats.strip())
    jobs = [(each, path) for each in kinds for path in _paths(each, run, out, formats, many=many)]
    for job, path in jobs:
        _draw(job, run, model, source, path, row=row, rows=rows, unit=place, epoch=epoch, position=position, dark=dark)
        print(path)
    return 0


def _that_apply(run: Path, model: Model) -> tuple[str, ...]:
    """All kinds but those that show what the run does not have."""
    from glassnet.folders import HISTORY

    lacks = {"dropout": all(layer.kind != "dropout" for layer in model.network.layers)}
    lacks["curves"] = not (run / HISTORY).exists()
    return tuple(kind for kind in KINDS if not lacks.get(kind))


def _paths(kind: str, run: Path, out: Path | None, formats: str, *, many: bool) -> list[Path]:
    """Where a kind's pictures go, one for each format."""
    from glassnet.drawing.canvas import ENDINGS, check_file
    from glassnet.runs import FIGURES

    if out is not None and not many:
        return [check_file(out)]
    if out is not None and out.suffix.lower() in ENDINGS:
        raise ConfigError(say("with all or --format, --out is a folder, not {out}", out=out))
    folder = run / FIGURES if out is None else out
    endings = [ending.strip().lower() for ending in formats.split(",") if ending.strip()] or ["png"]
    return [check_file(folder / f"{kind}.{ending}") for ending in dict.fromkeys(endings)]


def _draw(
    kind: str,
    run: Path,
    model: Model | None,
    source: str | None,
    path: Path,
    *,
    row: int,
    rows: int,
    unit: tuple[int, int],
    epoch: int,
    position: int,
    dark: bool,
) -> None:
    """One picture."""
    from glassnet import drawing
    from glassnet.folders import config_of, read_history

    if model is None or kind == "curves":
        drawing.draw_curves(
            read_history(run),
            path,
            title=run.resolve().name,
            criterion=config_of(run).training.early_stopping,
            dark=dark,
        )
        return
    names = drawing.names_of(model)
    if kind == "graph":
        drawing.draw_graph(model.network, model.loss, path, rows=rows, dark=dark)
    elif kind == "dropout":
        drawing.draw_dropout(model.network, path, epoch=epoch, position=position, dark=dark)
    else:
        network, loss, x, y, _ = common.batch_of_run(run, source)
        if kind == "gradients":
            drawing.draw_gradients(network, loss, x[:rows], y[:rows], path, names=names, dark=dark)
        elif kind == "passes":
            drawing.draw_passes(network, loss, x, y, path, row=row, names=names, dark=dark)
        else:
            drawing.draw_unit(network, loss, x, y, path, row=row, unit=unit, names=names, dark=dark)


def _unit(text: str) -> tuple[int, int]:
    """(l, j) from "2.7"."""
    layer, dot, unit = text.partition(".")
    if not (dot and layer.isdecimal() and unit.isdecimal()):
        raise ConfigError(
            say("--unit takes a layer and a unit of it, such as 2.7 for unit 7 of layer 2, not {text!r}", text=text)
        )
    return int(layer), int(unit)
