"""What a source of data is read into: a table of named columns, or plain arrays.

Shapes: N rows, K targets of a row.
    x (N, ...)    y (N,) or (N, K)    index (n,)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from glassnet.errors import DataError
from glassnet.messages import say
from glassnet.reading import shortened

Index: TypeAlias = Any
"""Row numbers: a NumPy array of integers, or a sequence of them."""

_SHOWN = 20  # names that a message lists


@dataclass(frozen=True, eq=False)
class Table:
    """Named columns, one of which may be the target.

    Parameters
    ----------
    columns : pyarrow.Table
    target : str or None, default None
        The name of the column that is to be predicted; None where there is none, at prediction time.
    row_numbers : ndarray of int, (N,), or None, default None
        Where each row stood in the source, after :meth:`take`; None if that is its place here.
    """

    columns: pa.Table
    target: str | None = None
    row_numbers: np.ndarray | None = None

    @property
    def rows(self) -> int:
        """The number of rows, N."""
        return int(self.columns.num_rows)

    @property
    def y(self) -> pa.ChunkedArray | None:
        """The target column, (N,), or None."""
        return None if self.target is None else self.columns.column(self.target)

    @property
    def feature_columns(self) -> list[str]:
        """The names of all columns but the target."""
        return [name for name in self.columns.column_names if name != self.target]

    def take(self, index: Index) -> Table:
        """The rows that ``index`` names, in its order."""
        index = _as_index(index)
        return Table(self.columns.take(pa.array(index)), self.target, _numbers(self.row_numbers, index))


@dataclass(frozen=True, eq=False)
class Arrays:
    """Inputs as one array of numbers, and the targets beside it.

    Parameters
    ----------
    x : ndarray of real numbers, (N, ...)
        One row for each sample: (N, features), or (N, height, width) for images.
    y : ndarray, (N,) or (N, K), or None, default None
    class_names : tuple of str or None, default None
        Names for people of the classes 0, 1, 2, ...
    row_numbers : ndarray of int, (N,), or None, default None
        As in :class:`Table`.

    Raises
    ------
    DataError
        If ``x`` is not an array of real numbers with a row for each sample, or ``y`` does not fit it.
    """

    x: np.ndarray
    y: np.ndarray | None = None
    class_names: tuple[str, ...] | None = None
    row_numbers: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.x.dtype.kind not in "biuf":
            text = say(
                "the inputs must be real numbers, but the array has dtype {dtype}; convert it (and make sparse "
                "arrays dense)",
                dtype=self.x.dtype,
            )
            raise DataError(text)
        if self.x.ndim < 2:
            text = say(
                "the inputs must have the shape (rows, features), but have {shape}; for one feature use "
                "x.reshape(-1, 1)",
                shape=self.x.shape,
            )
            raise DataError(text)
        if self.y is None:
            return
        if self.y.ndim not in (1, 2):
            raise DataError(
                say("the targets must have the shape (rows,) or (rows, outputs), but have {shape}", shape=self.y.shape)
            )
        if len(self.y) != len(self.x):
            text = say(
                "there are {x_rows:,} rows of inputs but {y_rows:,} targets; each row needs its target",
                x_rows=len(self.x),
                y_rows=len(self.y),
            )
            raise DataError(text)

    @property
    def rows(self) -> int:
        """The number of rows, N."""
        return len(self.x)

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """The shape of one row of ``x``: (features,), or (height, width) for images."""
        return tuple(self.x.shape[1:])

    def take(self, index: Index) -> Arrays:
        """The rows that ``index`` names, in its order."""
        index = _as_index(index)
        y = None if self.y is None else self.y[index]
        return Arrays(self.x[index], y, self.class_names, _numbers(self.row_numbers, index))


@dataclass(frozen=True)
class Source:
    """Data as a source gives them: what to train on and, where the source says so, what to test on.

    Parameters
    ----------
    name : str
        What to call the data in reports: the file's name without its endings, or the set's name.
    train : Table or Arrays
    test : Table or Arrays or None, default None
    """

    name: str
    train: Table | Arrays
    test: Table | Arrays | None = None


def row_number(part: Table | Arrays, row: int) -> int:
    """Where row ``row`` of ``part`` stood in the source, counting from 0."""
    return row if part.row_numbers is None else int(part.row_numbers[row])


def listed(names: Iterable[object]) -> str:
    """Names for a message, the first twenty where there are more."""
    texts = [shortened(str(name)) for name in names]
    if len(texts) <= _SHOWN:
        return ", ".join(texts) or say("none")
    return say("{names}, ... ({count:,} in all)", names=", ".join(texts[:_SHOWN]), count=len(texts))


def _as_index(index: Index) -> np.ndarray:
    rows: np.ndarray = np.asarray(index)
    return rows.astype(np.int64) if rows.size == 0 else rows


def _numbers(row_numbers: np.ndarray | None, index: np.ndarray) -> np.ndarray:
    return index if row_numbers is None else row_numbers[index]
