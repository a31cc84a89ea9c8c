"""How one column of a table becomes features: numbers are scaled, dates are spread out, categories are one-hot.

Shapes: N rows, F features of the column.
    values (N, F)    fill, shift, scale (F,)    out (N, F)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from glassnet.data.parts import Table, row_number
from glassnet.errors import DataError
from glassnet.messages import say

Scaling: TypeAlias = Literal["standard", "minmax", "none"]
Kind: TypeAlias = Literal["number", "boolean", "date", "timestamp", "time"]

LARGEST = 1e150
"""Numbers beyond ±LARGEST are refused as infinity is: their squares would overflow."""

_NUMBER = r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$"

_CALENDAR = (".year", ".month_sin", ".month_cos", ".weekday_sin", ".weekday_cos", ".day", ".days")
_CLOCK = (".hour_sin", ".hour_cos")
_PARTS: dict[str, tuple[str, ...]] = {
    "number": ("",),
    "boolean": ("",),
    "date": _CALENDAR,
    "timestamp": (*_CALENDAR, *_CLOCK),
    "time": _CLOCK,
}


@dataclass(frozen=True)
class ScaledColumn:
    """A column of numbers, booleans, dates or times: ``(values - shift) / scale``.

    Parameters
    ----------
    name : str
    kind : "number", "boolean", "date", "timestamp" or "time"
    fill : tuple of float, (F,)
        The means of the training values, which stand in for missing ones.
    shift, scale : tuple of float, (F,)
        A scale of 0 marks a feature that was constant in training: it is always 0.
    missing : bool
        Whether a last feature says, with 0 or 1, that the value is missing.
    """

    name: str
    kind: Kind
    fill: tuple[float, ...]
    shift: tuple[float, ...]
    scale: tuple[float, ...]
    missing: bool

    def __post_init__(self) -> None:
        count = len(_PARTS[self.kind])
        if not len(self.fill) == len(self.shift) == len(self.scale) == count or min(self.scale) < 0:
            raise ValueError(f"column {self.name!r} needs {count} fill, shift and scale values, no scale below 0")

    @classmethod
    def fit(cls, part: Table, name: str, scaling: Scaling) -> ScaledColumn:
        """Means and scales of the training rows. Numbers are scaled as ``scaling`` says, booleans stay 0 and 1."""
        kind = kind_of(part.columns.schema.field(name).type)
        assert kind in _PARTS
        values, missing = _numbers(part, name, kind)
        known = values[~missing]
        check_range(known, part, name, np.flatnonzero(~missing))
        fill, shift, scale = scaling_of(known, "none" if kind == "boolean" else scaling)
        return cls(
            name,
            cast(Kind, kind),
            tuple(fill.tolist()),
            tuple(shift.tolist()),
            tuple(scale.tolist()),
            bool(missing.any()),
        )

    def encode(self, part: Table, out: np.ndarray) -> None:
        """Fill ``out`` (N, F) from the rows of ``part``."""
        values, missing = _numbers(part, self.name, self.kind)
        values[missing] = self.fill
        with np.errstate(over="ignore", invalid="ignore"):
            count = values.shape[1]
            out[:, :count] = standardise(values, np.asarray(self.shift), np.asarray(self.scale))
        if not np.isfinite(out[:, :count]).all():
            bad = np.flatnonzero(~np.isfinite(out[:, :count]).all(axis=1))[:1]
            raise not_a_number(part, self.name, int(bad[0]), values[bad[0], 0])
        if self.missing:
            out[:, count] = missing

    @property
    def feature_names(self) -> list[str]:
        """The column's name, with ``.year`` and so on for the parts of a date, and ``.missing`` for the flag."""
        return [self.name + part for part in _PARTS[self.kind]] + [self.name + ".missing"] * self.missing


@dataclass(frozen=True)
class CategoryColumn:
    """A column of text: one feature for each category, then one for "missing" if need be, then one for "other".

    Parameters
    ----------
    name : str
    categories : tuple of str
        In sorted order. All other values go to the slot "other", among them those that training did not see.
    missing : bool
        Whether missing values have a slot; if not, they go to "other".
    """

    name: str
    categories: tuple[str, ...]
    missing: bool
    kind: Literal["category"] = "category"

    def __post_init__(self) -> None:
        if len(set(self.categories)) < len(self.categories):
            raise ValueError(f"column {self.name!r} has a category twice")

    def encode(self, part: Table, out: np.ndarray) -> None:
        """Fill ``out`` (N, F) from the rows of ``part``."""
        try:
            values = as_text(part.columns.column(self.name))
        except pa.ArrowException as error:
            raise _other_kind(part, self.name, "category", 0) from error
        codes = pc.index_in(values, value_set=pa.array(self.categories, pa.large_string()))
        other = len(self.categories) + self.missing
        slot = pc.fill_null(codes, other).to_numpy()
        if self.missing:
            slot = np.where(pc.is_null(values).to_numpy(), len(self.categories), slot)
        out[:] = 0
        out[np.arange(len(out)), slot] = 1

    @property
    def feature_names(self) -> list[str]:
        """``column=category``, then ``column.missing`` if there is such a slot, then ``column.other``."""
        names = [f"{self.name}={category}" for category in self.categories]
        return [*names, *[self.name + ".missing"] * self.missing, self.name + ".other"]


Column: TypeAlias = ScaledColumn | CategoryColumn


# ---------------------------------------------------------------------------------------------------- scaling


def scaling_of(values: np.ndarray, scaling: Scaling) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, shift and scale of each column of ``values`` (N, F), float64 (F,) each; the scale of a constant is 0.

    "standard" shifts by the mean and scales by the standard deviation, "minmax" by the least value and the range.
    The rows are read in blocks, so that no copy of ``values`` is made.
    """
    rows, features = values.shape
    lowest, highest = values.min(axis=0).astype(np.float64), values.max(axis=0).astype(np.float64)
    constant = lowest == highest
    if scaling == "none":
        mean = values.mean(axis=0, dtype=np.float64)
        return mean, np.zeros(features), np.ones(features)
    if scaling == "minmax":
        return np.clip(values.mean(axis=0, dtype=np.float64), lowest, highest), lowest, highest - lowest
    mean = np.where(constant, lowest, values.mean(axis=0, dtype=np.float64))
    # Deviations are divided by the greatest one before they are squared, so that tiny ones do not vanish.
    greatest = np.where(constant, 1.0, np.maximum(highest - mean, mean - lowest))
    squares = np.zeros(features)
    for start, stop in blocks(rows, features):
        squares += np.square((values[start:stop] - mean) / greatest).sum(axis=0)
    return mean, mean, np.where(constant, 0.0, greatest * np.sqrt(squares / rows))


def standardise(values: np.ndarray, shift: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """``(values - shift) / scale``, and 0 where the scale is 0 (but NaN for what is not finite)."""
    constant = scale == 0
    scaled: np.ndarray = (values - shift) / np.where(constant, 1.0, scale)
    return np.where(constant, scaled * 0, scaled) if constant.any() else scaled


def blocks(rows: int, features: int, least: int = 1) -> list[tuple[int, int]]:
    """Ranges of ``least`` rows or more, so that a block of that many rows stays in the processor's cache."""
    step = max(least, 2**19 // max(1, features))
    return [(start, min(rows, start + step)) for start in range(0, rows, step)]


def check_range(values: np.ndarray, part: Table, name: str, rows: np.ndarray) -> None:
    """Refuse infinity, and what is too large to compute with, among the ``values`` (n, F) of those ``rows``."""
    usable = np.abs(values) <= LARGEST
    if not usable.all():
        first = int(np.flatnonzero(~usable.all(axis=1))[0])
        raise not_a_number(part, name, int(rows[first]), values[first, 0])


def not_a_number(part: Table, name: str, row: int, value: float) -> DataError:
    """The error for infinity, and for numbers that are too large."""
    text = say(
        "column {column!r} holds {value} in row {row:,} (counting from 0); expected finite numbers: "
        "correct the value, remove the row or leave the field empty",
        column=name,
        value=value,
        row=row_number(part, row),
    )
    return DataError(text)


# ---------------------------------------------------------------------------------------------------- from Arrow


def kind_of(kind: pa.DataType) -> str:
    """What a column of an Arrow type is to the encoding: a :data:`Kind`, "category" or "null"."""
    types = pa.types
    if types.is_null(kind):
        return "null"
    if types.is_boolean(kind):
        return "boolean"
    if types.is_timestamp(kind):
        return "timestamp"
    if types.is_date(kind):
        return "date"
    if types.is_time(kind):
        return "time"
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_duration(kind):
        return "number"
    return "category"


def as_text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Any column as text, with NaN as missing."""
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), None, values)
    return values.cast(pa.large_string())


def looks_numeric(values: pa.Array) -> np.ndarray:
    """Which texts could be read as numbers, bool (N,)."""
    found: np.ndarray = pc.fill_null(pc.match_substring_regex(values, _NUMBER), True).to_numpy(zero_copy_only=False)
    return found


def _numbers(part: Table, name: str, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """A column as float64 (N, F), and which rows are missing, bool (N,); those hold 0."""
    column = part.columns.column(name)
    given = kind_of(column.type)
    calendar = {"date", "timestamp"}
    fits = given in ("null", kind) or {given, kind} <= {"number", "boolean"} or {given, kind} <= calendar
    if not fits and not (given == "category" and kind == "number"):
        raise _other_kind(part, name, kind, 0)
    if kind in calendar:
        seconds = column.cast(pa.timestamp("s"), safe=False).cast(pa.int64())
        values = _as_floats(seconds)
    elif kind == "time":
        values = _as_floats(column.cast(pa.time64("us"), safe=False).cast(pa.int64())) / 1e6
    elif pa.types.is_duration(column.type):
        values = _as_floats(column.cast(pa.duration("us"), safe=False).cast(pa.int64())) / 1e6
    elif given == "category":
        texts = as_text(column)
        try:
            values = _as_floats(pc.utf8_trim_whitespace(texts))
        except pa.ArrowInvalid:
            bad = np.flatnonzero(~looks_numeric(texts))
            raise _other_kind(part, name, kind, int(bad[0]) if len(bad) else 0) from None
    else:
        values = _as_floats(column)
    missing = np.isnan(values)
    values = np.where(missing, 0.0, values)
    if kind in calendar:
        return _calendar(values, clock=kind == "timestamp"), missing
    return (_clock(values) if kind == "time" else values[:, None]), missing


def _as_floats(column: pa.ChunkedArray) -> np.ndarray:
    """Float64 (N,), NaN where missing."""
    floats: np.ndarray = column.cast(pa.float64(), safe=False).to_numpy()
    return floats


def _calendar(seconds: np.ndarray, *, clock: bool) -> np.ndarray:
    """Seconds since 1970 (N,) as the features of a date (N, 7), and of a time of day as well (N, 9)."""
    days = np.floor(seconds / 86400).astype(np.int64)
    months = days.astype("datetime64[D]").astype("datetime64[M]")
    day = days - months.astype("datetime64[D]").astype(np.int64)
    month = months.astype(np.int64) % 12
    year = months.astype("datetime64[Y]").astype(np.int64) + 1970
    weekday = (days + 3) % 7  # 1970-01-01 was a Thursday; Monday is 0
    parts = [year, *_circle(month / 12), *_circle(weekday / 7), day + 1, days]
    return np.column_stack([*parts, *_clock(seconds).T] if clock else parts)


def _clock(seconds: np.ndarray) -> np.ndarray:
    """Seconds (N,) as the place of the hour hand of a 24-hour clock, (N, 2)."""
    return np.column_stack(_circle(seconds % 86400 / 86400))


def _circle(turns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.sin(2 * np.pi * turns), np.cos(2 * np.pi * turns)


def _other_kind(part: Table, name: str, kind: str, row: int) -> DataError:
    text = say(
        "column {column!r} held {expected} in training but holds {found} now, as in row {row:,} (counting from 0): "
        "{value!r}; "
        "correct the value, or train again on data like these",
        column=name,
        expected=_kind_text(kind),
        found=_kind_text(kind_of(part.columns.schema.field(name).type)),
        row=row_number(part, row),
        value=part.columns.column(name)[row].as_py(),
    )
    return DataError(text)


def _kind_text(kind: str) -> str:
    texts = {
        "number": say("numbers"),
        "boolean": say("true or false"),
        "date": say("dates"),
        "timestamp": say("times with dates"),
        "time": say("times of day"),
        "category": say("text"),
        "null": say("nothing"),
    }
    return texts[kind]
