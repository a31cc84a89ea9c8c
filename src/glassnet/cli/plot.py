"""``glassnet plot``: what happened in one run or in several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glassnet.cli import common
from glassnet.cli.common import JsonOption
from glassnet.errors import ConfigError
from glassnet.messages import say

if TYPE_CHECKING:
    from glassnet.drawing.plots import Shown

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
        int | None,
        typer.Option("--layer", help=say("Of norms, distributions and health: the only layer."), show_default=False),
    ] = None,
    dark: Annotated[bool, typer.Option("--dark", help=say("Light on dark."))] = False,
    as_json: JsonOption = False,
) -> int:
    """Plot, and print the pictures' paths; or print the data."""
    from glassnet.drawing.canvas import ENDINGS, check_file
    from glassnet.drawing.plots import KINDS, Shown, check_layer, checked, plot, that_apply
    from glassnet.runs import FIGURES

    note = common.print_note if not as_json else lambda text: None
    shown = [Shown(run, note) for run in runs]
    if ending not in FORMATS:
        raise ConfigError(say("cannot draw {kind!r}; choose one of: {known}", kind=ending, known=", ".join(FORMATS)))
    names = list(dict.fromkeys(name.strip() for name in kind.split(",") if name.strip()))
    if kind == "all":
        names = _at_hand(that_apply(shown), shown, note)
    unknown = [name for name in names if name not in KINDS]
    if unknown or not names:
        known = ", ".join(KINDS)
        raise ConfigError(
            say("cannot plot {kind!r}; choose one of: {known}", kind=unknown[0] if unknown else kind, known=known)
        )
    flat = [name for name in names if not KINDS[name].layered]
    if layer is not None and flat and kind != "all":
        known = ", ".join(k.name for k in KINDS.values() if k.layered)
        raise ConfigError(say("{kind} shows no layers; --layer goes with: {known}", kind=flat[0], known=known))
    if as_json:
        for name in names:
            for run in shown:
                data = checked(name, [run]).data(run)
                if layer is not None and KINDS[name].layered:
                    check_layer(layer, [data])
                common.print_json({"run": str(run.folder), "kind": name, "data": _plain(data)})
        return 0
    is_file = out is not None and out.suffix.lower() in ENDINGS
    if is_file and len(names) > 1:
        raise ConfigError(say("several pictures do not go into one file: give a folder, or one --kind"))
    if out is not None and len(names) == 1 and not is_file and out.suffix[1:].isalpha() and not out.is_dir():
        check_file(out)  # else a picture.gif would become a folder
    folder = out or (runs[0] / FIGURES if len(runs) == 1 else Path("runs") / "plots")
    for name in names:
        path = folder if is_file else folder / f"{name}.{ending}"
        print(plot(name, shown, path, dark=dark, layer=layer))
    return 0


def _at_hand(names: list[str], shown: Sequence[Shown], note: Callable[[str], None]) -> list[str]:
    """Those of the kinds whose data are at hand; ConfigError if there are none."""
    from glassnet.drawing.plots import KINDS

    kept, reason = [], ""
    for name in names:
        missing = next((run.gone for run in shown if KINDS[name].needs_data(run) and run.gone), "")
        if missing and not reason:
            note(say("what needs the run's data is left out: {reason}", reason=missing))
        reason = reason or missing
        kept += [] if missing else [name]
    if names and not kept:
        raise ConfigError(reason)
    return kept


def _plain(value: Any) -> Any:
    """Data as pure JSON types."""
    from dataclasses import asdict, is_dataclass

    if isinstance(value, list):
        return [_plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {key: _plain(item) for key, item in asdict(value).items()}
    return value.tolist() if hasattr(value, "tolist") else value
