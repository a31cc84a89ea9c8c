"""From rows of data to rows of features, the same way in training and at prediction.

Shapes: N rows, F features.
    part.x (N, ...)    encoded (N, F)    shift, scale (F,) or (1,)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import DTypeLike
from pydantic import ConfigDict, Field, TypeAdapter

from glassnet.data.columns import (
    LARGEST,
    CategoryColumn,
    ScaledColumn,
    Scaling,
    as_text,
    blocks,
    kind_of,
    looks_numeric,
    scaling_of,
    standardise,
)
from glassnet.data.parts import Arrays, Table, listed, row_number
from glassnet.data.stored import from_plain, to_plain
from glassnet.errors import ConfigError, DataError, ShapeError
from glassnet.memory import check_memory
from glassnet.messages import say

ScalingChoice: TypeAlias = Literal["auto", "standard", "minmax", "none"]

_IDENTIFIER_SHARE = 0.5  # a text column with more distinct values than this share of its rows identifies rows


@dataclass(frozen=True)
class ArrayScaling:
    """How arrays become features: flattened, then ``(x - shift) / scale``.

    Shift and scale have one value for each feature, or one for all. A scale of 0 marks a feature
    that was constant in training: it is always 0.
    """

    feature_shape: tuple[int, ...]
    shift: tuple[float, ...]
    scale: tuple[float, ...]

    def __post_init__(self) -> None:
        count = math.prod(self.feature_shape)
        if min(self.feature_shape, default=0) < 1 or not len(self.shift) == len(self.scale) in (1, count):
            raise ValueError(f"the shape {self.feature_shape} needs 1 or {count} shift and scale values")
        if min(self.scale) < 0:
            raise ValueError("no scale is below 0")


@dataclass(frozen=True)
class Encoding:
    """What was learned from the training rows about turning rows into features.

    Made by :meth:`fit`, stored by :meth:`to_json`.

    Parameters
    ----------
    scaling : {"auto", "standard", "minmax", "none"}
    columns : tuple of ScaledColumn and CategoryColumn
        For tables; empty for arrays.
    arrays : ArrayScaling or None
        For arrays; None for tables.
    notes : tuple of str
        What was decided, in sentences for people.
    """

    scaling: ScalingChoice
    columns: tuple[Annotated[ScaledColumn | CategoryColumn, Field(discriminator="kind")], ...]
    arrays: ArrayScaling | None
    notes: tuple[str, ...]

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    def __post_init__(self) -> None:
        if (self.arrays is None) == (not self.columns):
            raise ValueError("an encoding has either columns or arrays")
        if len({column.name for column in self.columns}) < len(self.columns):
            raise ValueError("two columns have the same name")

    @classmethod
    def fit(cls, part: Table | Arrays, *, scaling: ScalingChoice = "auto", max_categories: int = 100) -> Encoding:
        """Learn the encoding from the training rows, and from these only.

        Parameters
        ----------
        part : Table or Arrays
        scaling : {"auto", "standard", "minmax", "none"}, default "auto"
            For numbers: "standard" gives mean 0 and standard deviation 1, "minmax" the range from 0 to 1, "none" leaves
            them. "auto" is "standard", but divides arrays of bytes (images) by the end of their natural range.
        max_categories : int, default 100
            The most categories of a text column that get a feature of their own; the most frequent are kept.

        Raises
        ------
        DataError
            If no column can be used, or values are infinite; in arrays also if they are NaN.
        """
        if scaling not in get_args(ScalingChoice):
            choices = ", ".join(get_args(ScalingChoice))
            raise ConfigError(
                say("unknown scaling {scaling!r}; choose one of: {choices}", scaling=scaling, choices=choices)
            )
        if max_categories < 1:
            raise ConfigError(say("max_categories must be 1 or more, not {count}", count=max_categories))
        if part.rows == 0:
            raise DataError(say("there are no rows to learn the encoding from"))
        if isinstance(part, Arrays):
            return _fit_arrays(part, scaling)
        return _fit_table(part, scaling, max_categories)

    def encode(self, part: Table | Arrays, dtype: DTypeLike = "float32") -> np.ndarray:
        """The rows of ``part`` as features, (N, n_features), C-contiguous.

        Columns that training did not see are ignored; :meth:`ignored` lists them.

        Raises
        ------
        DataError
            If columns are missing, hold another kind of values than in training, or hold infinity; if arrays hold NaN
            or infinity; if the result does not fit into memory.
        ShapeError
            If the rows of an array have another shape than in training.
        """
        if isinstance(part, Arrays):
            if self.arrays is None:
                text = say(
                    "the training data were a table with named columns, these are arrays; give a table with the "
                    "columns {columns}",
                    columns=listed(column.name for column in self.columns),
                )
                raise DataError(text)
            return _encode_arrays(self.arrays, part, np.dtype(dtype))
        if self.arrays is not None:
            text = say(
                "the training data were arrays with rows of the shape {shape}, this is a table; give an array",
                shape=self.arrays.feature_shape,
            )
            raise DataError(text)
        return self._encode_table(part, np.dtype(dtype))

    def _encode_table(self, part: Table, dtype: np.dtype[Any]) -> np.ndarray:
        names = [column.name for column in self.columns]
        absent = [name for name in names if name not in part.columns.column_names]
        if absent:
            text = say(
                "columns that training used are missing: {absent}; the columns given are: {columns}",
                absent=listed(absent),
                columns=listed(part.columns.column_names),
            )
            raise DataError(text)
        check_memory((part.rows, self.n_features), dtype, say("the encoded table (rows × features)"))
        out = np.empty((part.rows, self.n_features), dtype)
        columns = part.columns.select(names)
        rows = np.arange(part.rows) if part.row_numbers is None else part.row_numbers
        for start, stop in blocks(part.rows, self.n_features, least=8192):
            block = Table(columns.slice(start, stop - start), row_numbers=rows[start:stop])
            place = 0
            for column in self.columns:
                width = len(column.feature_names)
                column.encode(block, out[start:stop, place : place + width])
                place += width
        return out

    def ignored(self, part: Table | Arrays) -> list[str]:
        """The columns of ``part`` that are not used: extra ones, and those that were dropped in training."""
        if isinstance(part, Arrays):
            return []
        used = {column.name for column in self.columns}
        return [name for name in part.feature_columns if name not in used]

    @property
    def n_features(self) -> int:
        """The number of features, F."""
        if self.arrays is not None:
            return math.prod(self.arrays.feature_shape)
        return sum(len(column.feature_names) for column in self.columns)

    @property
    def feature_shape(self) -> tuple[int, ...] | None:
        """The shape of an image, (height, width); None where features have no such order."""
        if self.arrays is None or len(self.arrays.feature_shape) == 1:
            return None
        return self.arrays.feature_shape

    @property
    def feature_names(self) -> list[str]:
        """A name for each feature: ``age``, ``color=red``, ``sold.year``; ``x3`` or ``x[4,5]`` for arrays."""
        if self.arrays is None:
            return [name for column in self.columns for name in column.feature_names]
        shape = self.arrays.feature_shape
        if len(shape) == 1:
            return [f"x{place}" for place in range(shape[0])]
        return [f"x[{','.join(map(str, place))}]" for place in np.ndindex(*shape)]

    def to_json(self) -> dict[str, Any]:
        """The encoding as plain JSON values, exactly."""
        return to_plain(_adapter(), self)

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Encoding:
        """The encoding that :meth:`to_json` wrote; ModelFileError if it is not one."""
        return from_plain(_adapter(), plain, say("encoding"))


@cache
def _adapter() -> TypeAdapter[Encoding]:
    return TypeAdapter(Encoding)


# ---------------------------------------------------------------------------------------------------- tables


def _fit_table(part: Table, scaling: ScalingChoice, max_categories: int) -> Encoding:
    numbers: Scaling = "standard" if scaling == "auto" else scaling
    columns: list[ScaledColumn | CategoryColumn] = []
    notes: list[str] = []
    for name in part.feature_columns:
        values = part.columns.column(name)
        if not name or name.startswith("__index_level_"):
            notes.append(say("column {name!r} is left out: it has no name of its own and holds row numbers", name=name))
        elif pc.all(pc.is_null(values, nan_is_null=True)).as_py():
            notes.append(say("column {name!r} is left out: it is empty", name=name))
        elif kind_of(values.type) == "category":
            column = _fit_category(name, as_text(values), max_categories, notes)
            columns += [] if column is None else [column]
        else:
            columns.append(ScaledColumn.fit(part, name, numbers))
    if not columns:
        text = say(
            "no column can be used as a feature. {notes}", notes="; ".join(notes) or say("There is only the target.")
        )
        raise DataError(text)
    return Encoding(scaling, tuple(columns), None, (*_notes_on_numbers(columns, numbers, part), *notes))


def _fit_category(name: str, texts: pa.ChunkedArray, most: int, notes: list[str]) -> CategoryColumn | None:
    """The categories of a text column, or None if its values only tell rows apart; decisions go to ``notes``."""
    counted = pc.value_counts(texts.drop_null())
    values, counts = counted.field("values"), counted.field("counts").to_numpy()
    is_text = ~looks_numeric(values)
    if len(values) > 1 and 0 < is_text.sum() < 0.1 * len(values):
        example = values[int(np.flatnonzero(is_text)[0])].as_py()
        note = say(
            "column {name!r} counts as text because of values such as {example!r}; leave those fields empty to use "
            "it as numbers",
            name=name,
            example=example,
        )
        notes.append(note)
    rows = int(counts.sum())
    if len(values) > most and len(values) > _IDENTIFIER_SHARE * rows:
        note = say(
            "column {name!r} is left out: {distinct:,} of its {rows:,} values are distinct, so it identifies rows",
            name=name,
            distinct=len(values),
            rows=rows,
        )
        notes.append(note)
        return None
    if len(values) > most:
        by_name = np.asarray(pc.sort_indices(values))
        kept = by_name[np.argsort(-counts[by_name], kind="stable")[:most]]
        note = say(
            "column {name!r}: the {most:,} most frequent of {distinct:,} categories are kept, "
            "the others ({share:.1%} of its values) share one feature",
            name=name,
            most=most,
            distinct=len(values),
            share=1 - counts[kept].sum() / rows,
        )
        notes.append(note)
        values = values.take(pa.array(kept))
    return CategoryColumn(name, tuple(sorted(values.to_pylist())), missing=texts.null_count > 0)


def _notes_on_numbers(columns: list[ScaledColumn | CategoryColumn], scaling: Scaling, part: Table) -> list[str]:
    """What was done to all columns of one kind, in a sentence each."""
    scaled = [column for column in columns if isinstance(column, ScaledColumn)]
    how = {
        "standard": say("scaled to mean 0 and standard deviation 1"),
        "minmax": say("scaled to the range from 0 to 1"),
        "none": say("left as they are"),
    }
    groups = [
        (say("columns of numbers, {how}: {names}"), [c.name for c in scaled if c.kind == "number"]),
        (say("columns of true and false, as 1 and 0: {names}"), [c.name for c in scaled if c.kind == "boolean"]),
        (
            say("columns of dates and times, spread over their parts, {how}: {names}"),
            [c.name for c in scaled if c.kind not in ("number", "boolean")],
        ),
        (
            say("columns of text, one feature for each category: {names}"),
            [c.name for c in columns if isinstance(c, CategoryColumn)],
        ),
        (
            say("missing values are filled with the mean, and flagged by a feature of their own: {names}"),
            [c.name for c in scaled if c.missing],
        ),
        (
            say("constant columns, always 0: {names}"),
            [c.name for c in scaled if c.kind == "number" and c.scale == (0.0,)],
        ),
        (
            say("times with a time zone are counted in UTC: {names}"),
            [c.name for c in scaled if c.kind == "timestamp" and part.columns.schema.field(c.name).type.tz],
        ),
    ]
    return [text.format(how=how[scaling], names=listed(names)) for text, names in groups if names]


# ---------------------------------------------------------------------------------------------------- arrays


def _fit_arrays(part: Arrays, scaling: ScalingChoice) -> Encoding:
    x = part.x.reshape(part.rows, -1)
    if x.shape[1] == 0:
        raise DataError(say("the inputs have no features: their shape is {shape}", shape=part.x.shape))
    if scaling == "auto" and x.dtype.kind in "bu" and x.dtype.itemsize == 1:
        most = int(x.max())
        end = 255.0 if most > 16 else 16.0 if most > 1 else 1.0
        note = say("the inputs are whole numbers up to {most}, divided by {end:g}", most=most, end=end)
        return Encoding(scaling, (), ArrayScaling(part.feature_shape, (0.0,), (end,)), (note,))
    if scaling == "none":
        return Encoding(
            scaling, (), ArrayScaling(part.feature_shape, (0.0,), (1.0,)), (say("the inputs are left as they are"),)
        )
    if x.dtype.kind == "f":
        for start, stop in blocks(*x.shape):
            _check_finite(np.abs(x[start:stop]) <= np.float64(LARGEST), part, start)
    how: Scaling = "minmax" if scaling == "minmax" else "standard"
    _, shift, scale = scaling_of(x, how)
    notes = [say("each feature is scaled to the range from 0 to 1")]
    if how == "standard":
        notes = [say("each feature is scaled to mean 0 and standard deviation 1")]
    constant = int((scale == 0).sum())
    if constant:
        notes.append(
            say("{count:,} of {features:,} features are constant, always 0", count=constant, features=x.shape[1])
        )
    fitted = ArrayScaling(part.feature_shape, tuple(shift.tolist()), tuple(scale.tolist()))
    return Encoding(scaling, (), fitted, tuple(notes))


def _encode_arrays(scaling: ArrayScaling, part: Arrays, dtype: np.dtype[Any]) -> np.ndarray:
    features = math.prod(scaling.feature_shape)
    if math.prod(part.feature_shape) != features:
        text = say(
            "rows have the shape {shape} ({count:,} features), but had {expected} ({features:,} features) in training",
            shape=part.feature_shape,
            count=math.prod(part.feature_shape),
            expected=scaling.feature_shape,
            features=features,
        )
        raise ShapeError(text)
    check_memory((part.rows, features), dtype, say("the encoded array (rows × features)"))
    x = part.x.reshape(part.rows, features)
    out = np.empty((part.rows, features), dtype)
    shift, scale = np.asarray(scaling.shift), np.asarray(scaling.scale)
    for start, stop in blocks(part.rows, features):
        with np.errstate(over="ignore", invalid="ignore"):
            out[start:stop] = standardise(x[start:stop], shift, scale)
        _check_finite(np.isfinite(out[start:stop]), part, start)
    return out


def _check_finite(fine: np.ndarray, part: Arrays, start: int) -> None:
    """Refuse NaN and infinity, naming the first place that is not ``fine`` (n, F), whose rows begin at ``start``."""
    if fine.all():
        return
    row, column = (int(place) for place in np.argwhere(~fine)[0])
    place = np.unravel_index(column, part.feature_shape)
    text = say(
        "the inputs hold {value} in row {row:,}, column {column} (counting from 0); expected finite numbers: "
        "replace the value or remove the row",
        value=part.x[start + row].reshape(-1)[column],
        row=row_number(part, start + row),
        column=", ".join(str(int(number)) for number in place),
    )
    raise DataError(text)
