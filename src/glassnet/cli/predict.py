"""``glassnet predict``: a model's word on raw rows."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glassnet.cli.common import RunArgument, SourceArgument
from glassnet.errors import ConfigError
from glassnet.messages import say

if TYPE_CHECKING:
    from glassnet.model import Prediction

NAME = "predict"


def help_text() -> str:
    """What the command does."""
    return say("Predict raw rows with a run's model: classes with probabilities, or values.")


def command(
    run: RunArgument,
    source: SourceArgument,
    out: Annotated[
        Path | None, typer.Option("--out", help=say("A .csv or .parquet file to write; else CSV to standard output."))
    ] = None,
    samples: Annotated[
        int, typer.Option("--samples", help=say("Average over so many dropout masks, and give the spread."))
    ] = 0,
) -> int:
    """Predict and write a table with one row for each row of the source."""
    from pyarrow import csv, parquet

    from glassnet.model import load
    from glassnet.storage import write_bytes

    if out is not None and out.suffix not in (".csv", ".parquet"):
        raise ConfigError(say("--out must end in .csv or .parquet, not {suffix!r}", suffix=out.suffix))
    model = load(run)
    table = _table(model.predict(source, samples=samples), model.network.dtype)
    buffer = io.BytesIO()
    if out is not None and out.suffix == ".parquet":
        parquet.write_table(table, buffer)
    else:
        csv.write_csv(table, buffer)
    if out is None:
        sys.stdout.buffer.write(buffer.getvalue())
        sys.stdout.buffer.flush()
    else:
        write_bytes(out, buffer.getvalue())
        print(say("{rows:,} predictions in {path}", rows=table.num_rows, path=out))
    return 0


def _table(prediction: Prediction, dtype: str) -> Any:
    """Columns ``prediction``, ``p_CLASS`` and ``spread`` or ``spread_CLASS``, with the digits that the network has."""
    import pyarrow as pa

    columns: dict[str, Any] = {}
    values = prediction.values.astype(dtype) if prediction.values.dtype.kind == "f" else prediction.values
    if values.ndim == 1:
        columns["prediction"] = values
    else:
        columns.update({f"prediction_{k}": values[:, k] for k in range(values.shape[1])})
    if prediction.probabilities is not None:
        for k, name in enumerate(prediction.classes):
            columns[f"p_{name}"] = prediction.probabilities[:, k].astype(dtype)
    if prediction.spread is not None:
        names = prediction.classes or range(prediction.spread.shape[1])
        for k, name in enumerate(names):
            columns["spread" if len(names) == 1 else f"spread_{name}"] = prediction.spread[:, k].astype(dtype)
    return pa.table(columns)
