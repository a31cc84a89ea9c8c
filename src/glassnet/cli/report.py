"""``glassnet report``: all about a run on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glassnet.cli import common
from glassnet.cli.common import RunArgument
from glassnet.messages import say

NAME = "report"


def help_text() -> str:
    """What the command does."""
    return say(
        "Write a page about a run: what it was, how good it is, its plots with how to read them, and what diagnosis "
        "finds. One HTML file, which needs nothing else. Prints its path."
    )


def command(
    run: RunArgument,
    out: Annotated[
        Path | None,
        typer.Option("--out", help=say("The file; else report.html in the run's folder."), show_default=False),
    ] = None,
) -> int:
    """Write the page."""
    from glassnet.drawing.report import write_report

    print(write_report(run, out, note=common.print_note))
    return 0
