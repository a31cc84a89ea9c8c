"""``glassnet plot``: what happened in one run or in several."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from glassnet.cli import common
from glassnet.cli.common import JsonOption
from glassnet.errors import ConfigError
from glassnet.messages import say

NAME = "plot"

FORMATS = ("png", "svg", "pdf")


def help_text() -> str:
    """What the command does."""
    return say(
        "Plot a run: curves, norms, distributions, health, lr, confusion, calibration, residuals, weights, regions; or "
        "curves, norms, health and lr of several runs, laid over each other. Prints the pictures' paths."
    )


def command(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN [RUN]…", help=say("Folders of runs."))],
    kind: Annotated[
        str, typer.Option("--kind", help=say("Which: curves,norms and so on; else all that apply."))
    ] = "all",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help=say(
                "The folder, or for one kind the file; else figures in the run's folder (of several: runs/plots)."
            ),
            show_default=False,
        ),
    ] = None,
    ending: Annotated[str, typer.Option("--format", help=say("png, svg or pdf."))] = "png",
    layer: Annotated[
        int | None, typer.Option("--layer", help=say("Of distributions: the only layer."), show_default=False)
    ] = None,
    dark: Annotated[bool, typer.Option("--dark", help=say("Light on dark."))] = False,
    as_json: JsonOption = False,
) -> int:
    """Plot, and print the pictures' paths; or print the data."""
    from glassnet.drawing.canvas import ENDINGS
    from glassnet.drawing.plots import KINDS, Shown, plot, that_apply
    from glassnet.runs import FIGURES

    def note(text: str) -> None:
        if not as_json:
            common.console().print(f"· {text}", markup=False)

    shown = [Shown(run, note) for run in runs]
    if ending not in FORMATS:
        raise ConfigError(say("cannot draw {kind!r}; choose one of: {known}", kind=ending, known=", ".join(FORMATS)))
    names = that_apply(shown) if kind == "all" else [name.strip() for name in kind.split(",") if name.strip()]
    unknown = [name for name in names if name not in KINDS]
    if unknown or not names:
        known = ", ".join(KINDS)
        raise ConfigError(
            say("cannot plot {kind!r}; choose one of: {known}", kind=unknown[0] if unknown else kind, known=known)
        )
    if as_json:
        for name in names:
            for run in shown:
                common.print_json({"run": str(run.folder), "kind": name, "data": _plain(KINDS[name].data(run))})
        return 0
    is_file = out is not None and out.suffix.lower() in ENDINGS
    if is_file and len(names) > 1:
        raise ConfigError(say("several pictures do not go into one file: give a folder, or one --kind"))
    folder = out or (runs[0] / FIGURES if len(runs) == 1 else Path("runs") / "plots")
    for name in names:
        path = folder if is_file else folder / f"{name}.{ending}"
        print(plot(name, shown, path, dark=dark, layer=layer))
    return 0


def _plain(value: Any) -> Any:
    """Data as pure JSON types."""
    from dataclasses import asdict, is_dataclass

    if isinstance(value, list):
        return [_plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {key: _plain(item) for key, item in asdict(value).items()}
    return value.tolist() if hasattr(value, "tolist") else value
