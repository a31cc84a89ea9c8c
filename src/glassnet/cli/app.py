"""The commands, gathered."""

from __future__ import annotations

from typing import Annotated, Any

import typer
import typer.rich_utils

from glassnet import __version__
from glassnet.messages import say


def build() -> typer.Typer:
    """The application, with its help in the language in use."""
    from glassnet.cli import (
        check,
        derive,
        diagnose,
        doctor,
        draw,
        evaluate,
        explain,
        info,
        plot,
        predict,
        report,
        resume,
        trace,
        train,
    )

    typer.rich_utils.ARGUMENTS_PANEL_TITLE = say("Arguments")
    typer.rich_utils.OPTIONS_PANEL_TITLE = say("Options")
    typer.rich_utils.COMMANDS_PANEL_TITLE = say("Commands")
    typer.rich_utils.DEFAULT_STRING = say("[default: {}]")
    typer.rich_utils.REQUIRED_LONG_STRING = say("[required]")
    app = typer.Typer(
        help=say("Train feed-forward networks by explicit back-propagation, and see everything inside."),
        epilog=say("Everywhere: --lang en|zh chooses the language, --debug shows where an error arose."),
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_globals)
    modules = (
        *(train, resume, predict, evaluate, check, trace, explain, derive),
        *(draw, plot, diagnose, report, info, doctor),
    )
    for module in modules:
        command: Any = module.command
        app.command(module.NAME, help=module.help_text())(command)
    return app


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"glassnet {__version__}")
        raise typer.Exit


def _globals(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help=say("Print the version."))
    ] = False,
) -> None:
    pass
