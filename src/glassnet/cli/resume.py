"""``glassnet resume``: a run that was broken off goes on from its newest checkpoint."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from glassnet.cli import common
from glassnet.cli.common import JsonOption, RunArgument
from glassnet.cli.train import execute_and_report
from glassnet.errors import ConfigError
from glassnet.messages import say

NAME = "resume"


def help_text() -> str:
    """What the command does."""
    return say(
        "Go on with a run that was broken off, from its newest checkpoint: it ends as it would have without the break, "
        "to the bit."
    )


def command(
    run: RunArgument,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            "--allow",
            metavar="NAME[=VALUE]",
            show_default=False,
            help=say("An option that may differ, with its new value if it has one: epochs=300, data. May be repeated."),
        ),
    ] = None,
    checkpoint_every: common.CheckpointEvery = None,
    checkpoint_keep: common.CheckpointKeep = 2,
    quiet: Annotated[bool, typer.Option("--quiet", help=say("Print the result only."))] = False,
    as_json: JsonOption = False,
) -> int:
    """Take the run's own configuration, change what is allowed, and go on."""
    from glassnet.config import RunConfig, merge

    tree = common.stored_config(run)
    names = []
    for word in allow or []:
        name, given, value = word.partition("=")
        names.append(name)
        if given:
            tree = merge(tree, _change(name, value))
    config = RunConfig.make(**tree)
    if config.data.source is None:
        text = say("{run} was trained on objects of Python: go on with glassnet.fit(…, resume=True)", run=run)
        raise ConfigError(text)
    return execute_and_report(
        config,
        run,
        quiet=quiet,
        as_json=as_json,
        resume=True,
        allow=names,
        checkpoint_every=checkpoint_every,
        checkpoint_keep=checkpoint_keep,
    )


def _change(name: str, value: str) -> dict[str, Any]:
    """The tree with this option, given by its name ("lr") or its path ("training.lr")."""
    from glassnet.config import BRANCHES, RunConfig, branch_of

    branch, _, leaf = name.rpartition(".")
    branch = branch or branch_of(leaf) or ""
    if leaf not in BRANCHES.get(branch, RunConfig).model_fields:
        raise ConfigError(say("there is no option {name!r} to allow", name=name))
    try:
        parsed = json.loads(value)
    except ValueError:
        parsed = value
    return {branch: {leaf: parsed}} if branch else {leaf: parsed}
