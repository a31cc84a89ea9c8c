"""``glassnet derive``: the four equations of a small network in symbols, and what each way to the gradient costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glassnet.cli import common
from glassnet.errors import ConfigError, unwritable
from glassnet.messages import say

if TYPE_CHECKING:
    from glassnet.inspection import Cost

NAME = "derive"

FORMATS = ("text", "markdown", "latex", "json")
DIFFERENT = 1


def help_text() -> str:
    """What the command does."""
    return say(
        "Derive every gradient of a small network in symbols, twice: by sympy's differentiation of C and by BP.1 to "
        "BP.4, step by step; show that both are the same, and compare them with back-propagation in numbers. Exit code "
        "1 if they differ. With --cost, measure instead what the gradient costs numerically, symbolically and by "
        "back-propagation as the network grows."
    )


def command(
    sizes: Annotated[
        str | None,
        typer.Option("--sizes", help=say("The network: inputs, hidden layers, outputs: 2,3,2."), show_default=False),
    ] = None,
    activation: Annotated[str, typer.Option("--activation", help=say("Of the hidden layers."))] = "tanh",
    output: Annotated[
        str | None,
        typer.Option(
            "--output", help=say("Of the output layer; else softmax for log_loss, or identity."), show_default=False
        ),
    ] = None,
    loss: Annotated[str, typer.Option("--loss", help=say("The loss."))] = "cross_entropy",
    points: Annotated[
        int, typer.Option("--points", min=1, help=say("Random points at which back-propagation is compared."))
    ] = 20,
    seed: Annotated[int, typer.Option("--seed", help=say("Of these points."))] = 0,
    form: Annotated[str, typer.Option("--format", help=say("text, markdown, latex or json."))] = "text",
    out: Annotated[
        Path | None, typer.Option("--out", help=say("A file to write; else it is printed."), show_default=False)
    ] = None,
    cost: Annotated[
        bool, typer.Option("--cost", help=say("Measure what the gradient costs, from 2-2-2 to 2-128-2."))
    ] = False,
    cost_seconds: Annotated[
        float, typer.Option("--cost-seconds", help=say("A way that takes longer for a size is left out from there on."))
    ] = 20.0,
    figure: Annotated[
        Path | None,
        typer.Option("--figure", help=say("Draw the costs into this file (.png, .svg, .pdf)."), show_default=False),
    ] = None,
) -> int:
    """Derive, compare and print."""
    if form not in FORMATS:
        raise ConfigError(say("unknown format {name!r}; choose one of: {known}", name=form, known=", ".join(FORMATS)))
    if cost:
        if sizes is not None or out is not None or form != "text" or output is not None:
            raise ConfigError(say("--cost goes with --activation, --loss, --cost-seconds and --figure only"))
        return _costs(activation, loss, cost_seconds, figure)
    if figure is not None:
        raise ConfigError(say("--figure needs --cost"))
    if sizes is None:
        raise ConfigError(say("give --sizes, such as --sizes 2,3,2, or --cost"))
    return _derive(common.numbers(sizes, "--sizes"), activation, output, loss, points, seed, form, out)


def _derive(
    sizes: tuple[int, ...],
    activation: str,
    output: str | None,
    loss: str,
    points: int,
    seed: int,
    form: str,
    out: Path | None,
) -> int:
    from glassnet.inspection import derive
    from glassnet.inspection.derive import TOLERANCE

    derivation = derive(sizes, activation, loss, output=output)
    error = derivation.check(points, seed)
    passed = error <= TOLERANCE
    values = {"error": error, "points": points, "tolerance": TOLERANCE}
    verdict = (
        say(
            "back-propagation gives the same numbers: largest relative difference {error:.2e} at {points} random "
            "points, tolerance {tolerance:.0e}",
            **values,
        )
        if passed
        else say(
            "BACK-PROPAGATION GIVES OTHER NUMBERS: largest relative difference {error:.2e} at {points} random points, "
            "tolerance {tolerance:.0e}",
            **values,
        )
    )
    if form == "json":
        text = common.json_text({**derivation.to_json(), "check": {"passed": passed, **values}}) + "\n"
    elif form == "latex":
        text = derivation.to_latex().replace("\\end{document}", f"{verdict}\n\\end{{document}}")
    else:
        text = f"{derivation.to_text() if form == 'text' else derivation.to_markdown()}\n{verdict}\n"
    if out is None:
        print(text, end="")
    else:
        _write(out, text)
        print(out)
    return 0 if passed and derivation.same else DIFFERENT


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise unwritable(ConfigError, path, error) from error


def _costs(activation: str, loss: str, seconds: float, figure: Path | None) -> int:
    from glassnet.inspection import gradient_costs

    if figure is not None:
        from glassnet.drawing import canvas, draw_costs

        canvas.check_file(figure)
    costs = list(gradient_costs(activation=activation, loss=loss, seconds=seconds))
    columns = (
        say("network"),
        say("parameters"),
        say("numerical"),
        say("symbolic: derive"),
        say("operations"),
        say("symbolic: evaluate"),
        say("back-propagation"),
    )
    common.print_table(say("seconds for the whole gradient of one sample"), columns, map(_row, costs))
    if figure is not None:
        print(draw_costs(costs, figure))
    return 0


def _row(cost: Cost) -> tuple[object, ...]:
    def seconds(value: float | None) -> str:
        return "–" if value is None else f"{value:.2g}" if value >= 1e-3 else f"{value * 1e6:.0f}e−6"

    return (
        "-".join(map(str, cost.sizes)),
        cost.parameters,
        seconds(cost.numerical),
        seconds(cost.derive),
        "–" if cost.operations is None else f"{cost.operations:,}",
        seconds(cost.evaluate),
        seconds(cost.backprop),
    )
