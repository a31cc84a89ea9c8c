"""``glassnet check``: back-propagation against numerical differentiation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glassnet.cli import common
from glassnet.cli.common import JsonOption
from glassnet.errors import ConfigError
from glassnet.messages import say

if TYPE_CHECKING:
    from glassnet.inspection import GradientCheck
    from glassnet.network import Network

NAME = "check"

WRONG = 1


def help_text() -> str:
    """What the command does."""
    return say(
        "Check every gradient of back-propagation against central differences in float64: of a run's network on its "
        "data, or of a random network (--sizes). Exit code 1 if a gradient is wrong."
    )


def command(
    run: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help=say("A run's folder."), show_default=False)
    ] = None,
    source: Annotated[
        str | None,
        typer.Argument(metavar="[SOURCE]", help=say("Rows with targets; else the run's own data."), show_default=False),
    ] = None,
    sizes: Annotated[
        str | None, typer.Option("--sizes", help=say("A random network instead of a run: 5,4,3."), show_default=False)
    ] = None,
    activation: Annotated[str, typer.Option("--activation", help=say("Of the random network."))] = "tanh",
    loss: Annotated[str, typer.Option("--loss", help=say("Of the random network."))] = "cross_entropy",
    dropout: Annotated[float, typer.Option("--dropout", help=say("Of the random network."))] = 0.0,
    l1: Annotated[
        float | None, typer.Option("--l1", help=say("λ of λ‖W‖₁; else the run's."), show_default=False)
    ] = None,
    l2: Annotated[
        float | None, typer.Option("--l2", help=say("λ of ½λ‖W‖²; else the run's."), show_default=False)
    ] = None,
    rows: Annotated[int, typer.Option("--rows", min=1, help=say("Rows in the batch."))] = 16,
    entries: Annotated[int, typer.Option("--entries", min=0, help=say("Entries of each parameter; 0: all."))] = 200,
    tolerance: Annotated[float, typer.Option("--tolerance", help=say("Largest relative error that passes."))] = 1e-7,
    seed: Annotated[int, typer.Option("--seed", help=say("Of the choice of entries, and of the random network."))] = 0,
    as_json: JsonOption = False,
) -> int:
    """Check and print the verdict."""
    from glassnet.inspection import check_gradients
    from glassnet.regularisers import Regularisation

    if (run is None) == (sizes is None):
        raise ConfigError(say("give a RUN (and a SOURCE), or --sizes"))
    if run is not None:
        network, used_loss, x, y, rules = common.batch_of_run(run, source, rows)
    else:
        assert sizes is not None
        network, used_loss, x, y = _random(common.numbers(sizes, "--sizes"), activation, loss, dropout, rows, seed)
        rules = Regularisation()
    rules = Regularisation(l1=rules.l1 if l1 is None else l1, l2=rules.l2 if l2 is None else l2, biases=rules.biases)
    report = check_gradients(
        network,
        used_loss,
        x,
        y,
        regularisation=rules,
        tolerance=tolerance,
        entries=entries or None,
        seed=seed,
    )
    _show(report, as_json)
    return 0 if report.passed else WRONG


def _random(
    sizes: tuple[int, ...], activation: str, loss: str, dropout: float, rows: int, seed: int
) -> tuple[Network, Any, Any, Any]:
    """A random network with a batch that its loss can take."""
    from glassnet.losses import loss as make_loss
    from glassnet.network import Network
    from glassnet.random import Purpose, generator

    made = make_loss(loss)
    network = Network.dense(
        sizes,
        common.components(activation),
        output="softmax" if made.name == "log_loss" else "identity",
        bias="normal",
        dropout=dropout,
        dtype="float64",
        seed=seed,
    )
    rng = generator(seed, Purpose.CHECK)
    shape = (rows, sizes[-1])
    targets: dict[str, Any] = {
        "classes": rng.integers(0, sizes[-1], rows),
        "labels": rng.integers(0, 2, shape),
        "counts": rng.poisson(2.0, shape),
        "values": rng.normal(size=shape),
    }
    return network, made, rng.normal(size=(rows, sizes[0])), targets[made.target]


def _show(report: GradientCheck, as_json: bool) -> None:
    if as_json:
        parameters = [vars(p) for p in report.parameters]
        common.print_json(
            {"passed": report.passed, "error": report.error, "tolerance": report.tolerance, "parameters": parameters}
        )
        return
    columns = (say("parameter"), say("error"), say("entries"), say("kinks"), say("numerical"), "BP")
    lines = [
        (p.name, f"{p.error:.2e}", p.checked, p.kinks, f"{p.numerical:+.4e}", f"{p.backprop:+.4e}")
        for p in report.parameters
    ]
    common.print_table(say("back-propagation against central differences (the worst entry of each)"), columns, lines)
    common.console().print(report.verdict(), markup=False)
