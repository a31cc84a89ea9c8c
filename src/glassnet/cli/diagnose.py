"""``glassnet diagnose``: why a run's network does not learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from glassnet.cli import common
from glassnet.cli.common import JsonOption, RunArgument
from glassnet.messages import say

if TYPE_CHECKING:
    from glassnet.inspection import Finding

NAME = "diagnose"


def help_text() -> str:
    """What the command does."""
    return say(
        "Say what is wrong with a run: findings, each with its evidence, the reason in terms of the equations, and a "
        "remedy to try. A run that took no snapshots (train --record) is trained again for them."
    )


def command(run: RunArgument, as_json: JsonOption = False) -> int:
    """Look into the run and print what is found."""
    from glassnet.inspection import diagnose
    from glassnet.runs import look_into

    note = common.print_note if not as_json else lambda text: None
    show(diagnose(look_into(run, note)), as_json=as_json)
    return 0


def show(findings: Sequence[Finding], *, as_json: bool) -> None:
    """Print findings, or that there are none."""
    if as_json:
        common.print_json({"findings": [finding.to_json() for finding in findings]})
        return
    console = common.console()
    if not findings:
        console.print(say("nothing found: the network learns as networks do"), markup=False)
    for finding in findings:
        console.print(finding.text(), markup=False)
        console.print()
