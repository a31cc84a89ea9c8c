"""``glassnet trace``: everything that passes through a network for chosen rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glassnet.cli import common
from glassnet.cli.common import JsonOption, RunArgument
from glassnet.errors import ConfigError, unwritable
from glassnet.messages import say

if TYPE_CHECKING:
    import numpy as np

    from glassnet.model import Model
    from glassnet.trace import LayerTrace, Trace

NAME = "trace"

_SMALL = 8  # units of a layer up to which each value is shown
_ROWS = "0,1,2"


def help_text() -> str:
    """What the command does."""
    return say(
        "Show what passes through a run's network: for chosen rows every z, a, dropout mask, ∂C/∂a and δ, for their "
        "batch the gradients, the update that the optimiser makes of them, and the parameters after it. With --step, "
        "the very batch of that step of training, which is repeated up to there. Layers of more than 8 units are "
        "summed up; --json has every value, --npz every array."
    )


def command(
    run: RunArgument,
    source: Annotated[
        str | None,
        typer.Argument(metavar="[SOURCE]", help=say("Rows with targets; else the run's own data."), show_default=False),
    ] = None,
    rows: Annotated[
        str, typer.Option("--rows", help=say("Rows, from 0; with --step by their place in the batch."))
    ] = _ROWS,
    step: Annotated[
        int | None, typer.Option("--step", help=say("A step of training, from 0."), show_default=False)
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, help=say("Units of a large layer that are named."))] = 3,
    npz: Annotated[
        Path | None, typer.Option("--npz", help=say("Write all arrays of the batch to this file."), show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Trace and print."""
    chosen = _numbers(rows)
    if step is None:
        traced, names, places, model = _of_rows(run, source, chosen)
        title = say("the rows as a batch, without dropout; the optimiser begins anew")
    else:
        if source is not None:
            raise ConfigError(say("a step of training has its own rows: leave SOURCE out, or --step"))
        traced, names, places, model, title = _of_step(run, step, chosen)
    if npz is not None:
        _write(npz, traced)
    if as_json:
        common.print_json(_content(traced, names, places, model, title))
    else:
        _show(traced, names, places, model, title, top)
    return 0


def _numbers(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isdecimal() for part in parts):
        raise ConfigError(say("--rows takes row numbers from 0, such as 3,17, not {text!r}", text=text))
    return [int(part) for part in parts]


def _of_rows(run: Path, source: str | None, rows: list[int]) -> tuple[Trace, list[int], list[int], Model]:
    from glassnet.arrays import as_dense
    from glassnet.folders import load_model
    from glassnet.trace import checked_rows, trace

    model = load_model(run)
    updater, lr, own = common.updater_of_run(run)
    source = source or own
    if source is None:
        raise ConfigError(say("give a SOURCE: {run} does not say which data it was trained on", run=run))
    examples = model.examples(source)
    batch = examples.take(checked_rows(rows, len(examples)))
    traced = trace(model.network, model.loss, as_dense(batch.x), batch.y, updater=updater, lr=lr)
    return traced, rows, list(range(len(rows))), model


def _of_step(run: Path, step: int, places: list[int]) -> tuple[Trace, list[int], list[int], Model, str]:
    from glassnet.folders import config_of
    from glassnet.runs import replay
    from glassnet.trace import checked_rows

    moment = replay(config_of(run), step)
    if places == _numbers(_ROWS):
        places = [place for place in places if place < len(moment.rows)]
    checked_rows(places, len(moment.rows))
    title = say(
        "step {step}: epoch {epoch}, rows {first} to {last} of its order, learning rate {lr:.6g}",
        step=step,
        epoch=moment.epoch,
        first=moment.position,
        last=moment.position + len(moment.rows) - 1,
        lr=moment.lr,
    )
    return moment.trace(), [int(moment.rows[place]) for place in places], places, moment.model, title


def _write(path: Path, traced: Trace) -> None:
    import numpy as np

    try:
        with path.open("wb") as file:
            np.savez(file, **traced.arrays())  # type: ignore[arg-type]
    except OSError as error:
        raise unwritable(ConfigError, path, error) from error


# What is shown


def _content(traced: Trace, names: list[int], places: list[int], model: Model, title: str) -> dict[str, Any]:
    return {
        "batch": title,
        "loss": traced.loss,
        "samples": [
            {
                "row": name,
                "loss": float(traced.terms[place]),
                "share": float(traced.share[place]),
                "x": traced.x[place].tolist(),
                "y": traced.y[place].tolist(),
                "prediction": traced.prediction[place].tolist(),
                "layers": [
                    {
                        "layer": layer.number,
                        "kind": layer.kind,
                        **{
                            key: None if value is None else value[place].tolist()
                            for key, value in (
                                ("z", layer.z),
                                ("a", layer.a),
                                ("mask", layer.mask),
                                ("grad_a", layer.grad_a),
                                ("delta", layer.delta),
                                ("own_delta", layer.own_delta),
                            )
                        },
                    }
                    for layer in traced.layers
                ],
            }
            for name, place in zip(names, places, strict=True)
        ],
        "parameters": [
            {"parameter": name, "gradient": g, "change": change, "before": before, "after": after}
            for name, (g, change, before, after) in _norms(traced, model)
        ],
    }


def _norms(traced: Trace, model: Model) -> list[tuple[str, list[float]]]:
    """For each parameter the norms of gradient, change, and the values before and after."""
    import numpy as np

    assert traced.update is not None
    gradients = {f"{layer.number}.{name}": g for layer in traced.layers for name, g in layer.grads.items()}
    return [
        (
            name,
            [
                float(np.linalg.norm(array))
                for array in (gradients[name], traced.update.change[name], theta, traced.update.after[name])
            ],
        )
        for name, theta in model.network.parameters()
    ]


def _show(traced: Trace, names: list[int], places: list[int], model: Model, title: str, top: int) -> None:
    console = common.console()
    console.print(title, markup=False)
    columns = (say("layer"), say("norm"), say("least"), say("median"), say("most"), say("values"))
    for name, place in zip(names, places, strict=True):
        head = say(
            "row {row}: C = {loss:.6g}, target {target}, output {output}",
            row=name,
            loss=float(traced.terms[place]),
            target=_target(traced.y[place], model, top),
            output=_vector(traced.prediction[place], top),
        )
        lines = [line for layer in traced.layers for line in _lines(layer, place, float(traced.share[place]), top)]
        common.print_table(head, columns, lines)
    rows = [
        (
            name,
            f"{g:.4e}",
            f"{change:.4e}",
            f"{change / before:.1e}" if before else "–",
            f"{before:.6g}",
            f"{after:.6g}",
        )
        for name, (g, change, before, after) in _norms(traced, model)
    ]
    heads = (say("parameter"), say("‖gradient‖"), say("‖change‖"), say("of ‖value‖"), say("‖before‖"), say("‖after‖"))
    common.print_table(say("the batch, of {n} rows: C = {loss:.6g}", n=len(traced.x), loss=traced.loss), heads, rows)


def _lines(layer: LayerTrace, place: int, share: float, top: int) -> list[tuple[str, ...]]:
    """One line for each of a sample's quantities at a layer; ∂C/∂a and δ are those of its own loss."""
    own = layer.grad_a[place] / share if share > 0 else layer.grad_a[place] * 0.0
    if layer.kind == "dense":
        assert layer.z is not None
        shown = [("z", layer.z[place]), ("a", layer.a[place]), ("∂C/∂a", own), ("δ", layer.own_delta[place])]
    elif layer.mask is None:
        return []
    else:
        kept = layer.mask[place] > 0
        text = say(
            "{kept} of {units} units stay, times {factor:.4g}",
            kept=int(kept.sum()),
            units=len(kept),
            factor=float(layer.mask[place].max()),
        )
        return [(f"{layer.number} " + say("mask"), "", "", "", "", text)]
    return [(f"{layer.number} {name}", *_summary(values, top)) for name, values in shown]


def _summary(values: np.ndarray, top: int) -> tuple[str, ...]:
    """Norm, quantiles, and the values themselves, or the largest of them by their unit."""
    import numpy as np

    quantiles = (f"{value:.3g}" for value in np.quantile(values, [0, 0.5, 1]))
    return (f"{np.linalg.norm(values):.4g}", *quantiles, _vector(values, top))


def _vector(values: np.ndarray, top: int) -> str:
    """The values of a small layer; of a large one the largest, with their units."""
    if len(values) <= _SMALL:
        return "  ".join(f"{value:.3g}" for value in values)
    largest = (-abs(values)).argsort(kind="stable")[:top]
    return "  ".join(f"{k}: {values[k]:.3g}" for k in largest)


def _target(y: np.ndarray, model: Model, top: int) -> str:
    """A class by its label; other targets as they are."""
    if model.task != "classification" or y.max() != 1 or (y != 0).sum() != 1:
        return _vector(y, top)
    k = int(y.argmax())
    return str(model.target.classes[k]) if model.target is not None else str(k)
