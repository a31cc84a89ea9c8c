"""From targets to what a loss compares with the outputs, and from outputs back to predictions.

Shapes: N rows, K outputs.
    values (N,) or (N, K)    y (N,) class indices or (N, K) numbers    outputs (N, K)    mean, scale (K,)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Literal, TypeAlias, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import DTypeLike
from pydantic import ConfigDict, TypeAdapter

from glassnet.data.columns import LARGEST, as_text, kind_of, scaling_of
from glassnet.data.parts import listed
from glassnet.data.stored import from_plain, to_plain
from glassnet.errors import ConfigError, DataError, ShapeError
from glassnet.messages import say

Task: TypeAlias = Literal["classification", "regression", "multilabel"]
Label: TypeAlias = bool | int | float | str

MOST_CLASSES = 10_000

_FEW = 20  # as many distinct whole numbers are taken for classes
_ROWS_OF_A_CLASS = 10  # with so many rows each, whole numbers without gaps are taken for classes


@dataclass(frozen=True)
class TargetEncoding:
    """What was learned from the training targets.

    Made by :meth:`fit`, stored by :meth:`to_json`.

    Parameters
    ----------
    task : {"classification", "regression", "multilabel"}
    n_outputs : int
        How many outputs the network needs, K: one for each class or label, or one for each number of a regression.
    classes : list of str, int, float or bool
        The labels in sorted order, as they stand in the data; 0 to K - 1 for "multilabel"; empty for "regression".
    class_names : tuple of str
        The classes as people know them.
    mean, scale : tuple of float, (K,)
        Of the training targets, for "regression"; empty otherwise.
    note : str
        Why this task, in a sentence for people.
    """

    task: Task
    n_outputs: int
    classes: list[Label]
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    note: str

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    def __post_init__(self) -> None:
        labels = 0 if self.task == "regression" else self.n_outputs
        numbers = self.n_outputs - labels
        if self.n_outputs < 1 or not len(self.classes) == len(self.class_names) == labels:
            raise ValueError(f"{self.n_outputs} outputs do not fit {len(self.classes)} classes")
        if not len(self.mean) == len(self.scale) == numbers or min(self.scale, default=1.0) <= 0:
            raise ValueError(f"{numbers} means and positive scales expected")
        kinds = {type(label) for label in self.classes}
        if len(kinds) > 1 or self.classes != sorted(set(self.classes)):
            raise ValueError("the classes must be of one kind, sorted and distinct")

    @classmethod
    def fit(cls, values: Any, task: Task | None = None, class_names: tuple[str, ...] | None = None) -> TargetEncoding:
        """Learn from the training targets.

        Parameters
        ----------
        values : array-like or pyarrow column, (N,) or (N, K)
            ``part.y`` of a Table or of Arrays.
        task : {"classification", "regression", "multilabel"} or None, default None
            If None it follows from the values. Text, true/false, up to 20 distinct whole numbers (in at least twice as
            many rows), and whole numbers counted from 0 or 1 without gaps in at least 10 rows each are classes; rows of
            0 and 1 are several labels; other numbers are a regression.
        class_names : tuple of str or None, default None
            Names for people: of the classes 0, 1, 2, ... or else of the classes in sorted order.

        Raises
        ------
        DataError
            If targets are missing, infinite or of no use for the task: one class only, more than 10,000 classes,
            text in a regression.
        """
        if task is not None and task not in get_args(Task):
            choices = ", ".join(get_args(Task))
            raise ConfigError(say("unknown task {task!r}; choose one of: {choices}", task=task, choices=choices))
        plain = _plain(values)
        if len(plain) == 0:
            raise DataError(say("there are no targets to learn from"))
        if task is None:
            task, note = _infer(plain)
        else:
            note = say("{task}, as asked for", task=_task_text(task))
        if task == "regression":
            return cls._fit_regression(plain, note)
        if task == "multilabel":
            return cls._fit_multilabel(plain, class_names, note)
        return cls._fit_classification(plain, class_names, note)

    @classmethod
    def _fit_classification(cls, plain: Any, names: tuple[str, ...] | None, note: str) -> TargetEncoding:
        if plain.ndim != 1:
            text = say(
                "classification needs one class for each row, but the targets have the shape {shape}; "
                "for rows with a single 1 give y.argmax(axis=1), for several labels a row task='multilabel'",
                shape=plain.shape,
            )
            raise DataError(text)
        classes = _distinct(plain)
        if len(classes) < 2:
            text = say(
                "all {rows:,} targets are {label!r}; classification needs at least two classes",
                rows=len(plain),
                label=classes[0],
            )
            raise DataError(text)
        if len(classes) > MOST_CLASSES:
            text = say(
                "the target has {count:,} distinct values, more than the {most:,} classes that are possible; "
                "it looks like an identifier or a regression (task='regression'): choose another target or task",
                count=len(classes),
                most=MOST_CLASSES,
            )
            raise DataError(text)
        return cls("classification", len(classes), classes, _names(classes, names), (), (), note)

    @classmethod
    def _fit_multilabel(cls, plain: Any, names: tuple[str, ...] | None, note: str) -> TargetEncoding:
        _check_labels(plain, None)
        count = plain.shape[1]
        return cls("multilabel", count, list(range(count)), _names(list(range(count)), names), (), (), note)

    @classmethod
    def _fit_regression(cls, plain: Any, note: str) -> TargetEncoding:
        numbers = _as_numbers(plain)
        mean, _, scale = scaling_of(numbers, "standard")
        scale[scale == 0] = 1.0
        return cls("regression", len(mean), [], (), tuple(mean.tolist()), tuple(scale.tolist()), note)

    def encode(self, values: Any, dtype: DTypeLike = "float32") -> np.ndarray:
        """Targets for the loss.

        Returns
        -------
        y : ndarray
            Class indices, int64 (N,), for "classification"; numbers with mean 0 and standard deviation 1 over the
            training rows, (N, K), for "regression"; 0 and 1, (N, K), for "multilabel".

        Raises
        ------
        DataError
            If a label did not occur in training, or values are missing or infinite.
        """
        plain = _plain(values)
        if self.task == "multilabel":
            _check_labels(plain, self.n_outputs)
            labels: np.ndarray = plain.astype(dtype)
            return labels
        if self.task == "classification":
            return self._class_indices(plain)
        numbers = _as_numbers(plain)
        if numbers.shape[1] != self.n_outputs:
            text = say(
                "the targets have {found} numbers a row, but had {expected} in training",
                found=numbers.shape[1],
                expected=self.n_outputs,
            )
            raise ShapeError(text)
        standardised: np.ndarray = ((numbers - np.asarray(self.mean)) / np.asarray(self.scale)).astype(dtype)
        return standardised

    def decode(self, outputs: np.ndarray, *, threshold: float = 0.0) -> np.ndarray:
        """Predictions from the network's outputs.

        Parameters
        ----------
        outputs : ndarray, (N, K)
        threshold : float, default 0.0
            For "multilabel": a label is given where its output is greater; 0 for logits, 0.5 for probabilities.

        Returns
        -------
        predictions : ndarray
            The label with the greatest output, (N,); numbers in the targets' units, (N,) or (N, K) if K > 1; or 0
            and 1, int64 (N, K), for "multilabel".
        """
        outputs = np.asarray(outputs)
        if outputs.ndim == 1 and self.n_outputs == 1:
            outputs = outputs[:, None]
        if outputs.ndim != 2 or outputs.shape[1] != self.n_outputs:
            text = say(
                "outputs must have the shape (rows, {expected}), but have {shape}",
                expected=self.n_outputs,
                shape=outputs.shape,
            )
            raise ShapeError(text)
        if self.task == "classification":
            labels: np.ndarray = np.asarray(self.classes)[outputs.argmax(axis=1)]
            return labels
        if self.task == "multilabel":
            return (outputs > threshold).astype(np.int64)
        numbers: np.ndarray = outputs * np.asarray(self.scale) + np.asarray(self.mean)
        return numbers[:, 0] if self.n_outputs == 1 else numbers

    def to_json(self) -> dict[str, Any]:
        """The encoding as plain JSON values, exactly."""
        return to_plain(_adapter(), self)

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> TargetEncoding:
        """The encoding that :meth:`to_json` wrote; ModelFileError if it is not one."""
        return from_plain(_adapter(), plain, say("encoding of targets"))

    def _class_indices(self, plain: Any) -> np.ndarray:
        if plain.ndim != 1:
            raise ShapeError(say("classes must have the shape (rows,), but have {shape}", shape=plain.shape))
        if isinstance(self.classes[0], str):
            texts = plain if isinstance(plain, _Texts) else _Texts(as_text(pa.chunked_array([pa.array(plain)])))
            found = pc.index_in(texts.values, value_set=pa.array(self.classes, pa.large_string()))
            y: np.ndarray = pc.fill_null(found, -1).to_numpy().astype(np.int64)
        elif isinstance(plain, _Texts):
            y = np.full(len(plain), -1)
        else:
            known = np.asarray(self.classes)
            y = np.searchsorted(known, plain).clip(max=len(known) - 1)
            y = np.where(known[y] == plain, y, -1)
        unseen = np.flatnonzero(y < 0)
        if len(unseen):
            text = say(
                "the target {label!r} in row {row:,} (counting from 0) did not occur in training; the classes are: "
                "{classes}",
                label=plain[int(unseen[0])] if isinstance(plain, _Texts) else plain[unseen[0]].item(),
                row=int(unseen[0]),
                classes=listed(self.classes),
            )
            raise DataError(text)
        return y


@cache
def _adapter() -> TypeAdapter[TargetEncoding]:
    return TypeAdapter(TargetEncoding)


# ---------------------------------------------------------------------------------------------------- plain values


class _Texts:
    """A column of text with the few parts of an array's interface that are used here."""

    ndim = 1

    def __init__(self, values: pa.ChunkedArray) -> None:
        self.values = values
        self.shape = (len(values),)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, row: int) -> str:
        return str(self.values[row].as_py())


def _plain(values: Any) -> Any:
    """Targets as a NumPy array of booleans or numbers, (N,) or (N, K > 1), or as :class:`_Texts`; none is missing."""
    if not isinstance(values, (pa.Array, pa.ChunkedArray)):
        array = np.asarray(values)
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array.ndim not in (1, 2) or array.shape[-1] == 0:
            text = say(
                "the targets must have the shape (rows,) or (rows, outputs), but have {shape}", shape=array.shape
            )
            raise DataError(text)
        if array.dtype.kind in "biuf":
            _check_known(np.isnan(array) if array.dtype.kind == "f" else np.zeros(1, dtype=bool))
            return array
        if array.ndim == 2:
            raise DataError(say("targets with several columns must be numbers, not {dtype}", dtype=array.dtype))
        try:
            values = pa.array(array, from_pandas=True)
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise DataError(say("the targets are neither numbers nor text: {error}", error=error)) from error
    column = values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])
    _check_known(pc.is_null(column, nan_is_null=True).to_numpy())
    kind = kind_of(column.type)
    if kind == "number" and not pa.types.is_duration(column.type):
        return (column.cast(pa.float64()) if pa.types.is_decimal(column.type) else column).to_numpy()
    if kind == "boolean":
        return column.to_numpy()
    try:
        if kind == "category":
            return _Texts(as_text(column))
    except pa.ArrowException:
        pass
    raise DataError(say("the targets must be numbers, true/false or text, not {type}", type=column.type))


def _check_known(missing: np.ndarray) -> None:
    if missing.any():
        rows = np.flatnonzero(missing.reshape(len(missing), -1).any(axis=1))
        text = say(
            "{count:,} of {rows:,} targets are missing, the first in row {row:,} (counting from 0); remove those rows",
            count=len(rows),
            rows=len(missing),
            row=int(rows[0]),
        )
        raise DataError(text)


def _as_numbers(plain: Any) -> np.ndarray:
    """Targets of a regression as float64 (N, K), or DataError for text and infinity."""
    if isinstance(plain, _Texts):
        text = say(
            "regression needs numbers, but the target is text such as {value!r}; use classification", value=plain[0]
        )
        raise DataError(text)
    numbers: np.ndarray = plain.astype(np.float64).reshape(len(plain), -1)
    usable = np.abs(numbers) <= LARGEST
    if not usable.all():
        row, column = np.argwhere(~usable)[0]
        text = say(
            "the target in row {row:,} (counting from 0) is {value}; expected finite numbers: correct it or remove "
            "the row",
            row=int(row),
            value=numbers[row, column],
        )
        raise DataError(text)
    return numbers


def _check_labels(plain: Any, count: int | None) -> None:
    """Refuse what is not an array of 0 and 1, (N, count)."""
    if plain.ndim != 2 or (count is not None and plain.shape[1] != count):
        expected = "K" if count is None else count
        text = say(
            "several labels a row need the shape (rows, {expected}), not {shape}", expected=expected, shape=plain.shape
        )
        raise ShapeError(text)
    if not _is_binary(plain):
        raise DataError(say("several labels a row are given by 0 and 1; other values were found"))


def _is_binary(array: np.ndarray) -> bool:
    return bool(((array == 0) | (array == 1)).all())


# ---------------------------------------------------------------------------------------------------- classes


def _infer(plain: Any) -> tuple[Task, str]:
    """The task that the values suggest, and why."""
    if isinstance(plain, _Texts):
        return "classification", say("classification, because the target is text")
    if plain.ndim == 2:
        if not _is_binary(plain):
            return "regression", say(
                "regression with {count} outputs, because each row has so many numbers", count=plain.shape[1]
            )
        if (plain.sum(axis=1) == 1).all():
            return "multilabel", say(
                "several labels a row, because the target has columns of 0 and 1; each row has a single 1: "
                "if these are classes, give y.argmax(axis=1)"
            )
        return "multilabel", say("several labels a row, because the target has columns of 0 and 1")
    if plain.dtype.kind == "b":
        return "classification", say("classification, because the target is true or false")
    if plain.dtype.kind == "f" and not (plain == np.floor(plain)).all():
        return "regression", say("regression, because the target has fractions")
    distinct, counts = np.unique(plain, return_counts=True)
    few = len(distinct) <= max(2, min(_FEW, len(plain) // 2))
    no_gaps = distinct[0] in (0, 1) and distinct[-1] - distinct[0] == len(distinct) - 1
    if few or (no_gaps and len(distinct) <= MOST_CLASSES and counts.min() >= _ROWS_OF_A_CLASS):
        return "classification", say(
            "classification, because the target has only {count:,} distinct values, all whole numbers",
            count=len(distinct),
        )
    return "regression", say("regression, because the target has {count:,} distinct numbers", count=len(distinct))


def _distinct(plain: Any) -> list[Label]:
    """The distinct labels in sorted order; whole floats as ints."""
    if isinstance(plain, _Texts):
        return sorted(pc.unique(plain.values).to_pylist())
    distinct = np.unique(plain)
    if distinct.dtype.kind == "f":
        if not np.isfinite(distinct).all():
            raise DataError(say("a target is infinite; classes are finite"))
        if (distinct == np.floor(distinct)).all() and np.abs(distinct).max() < 2**53:
            distinct = distinct.astype(np.int64)
    labels: list[Label] = distinct.tolist()
    return labels


def _names(classes: list[Label], names: tuple[str, ...] | None) -> tuple[str, ...]:
    """A name for each class: given for 0, 1, 2, ..., or for the classes in sorted order; or else the label itself."""
    if names is None:
        return tuple(str(label) for label in classes)
    if all(type(label) is int for label in classes) and int(classes[0]) >= 0 and int(classes[-1]) < len(names):
        return tuple(names[int(label)] for label in classes)
    if len(names) == len(classes):
        return tuple(names)
    text = say(
        "there are {names} class names for {classes} classes ({labels})",
        names=len(names),
        classes=len(classes),
        labels=listed(classes),
    )
    raise DataError(text)


def _task_text(task: Task) -> str:
    return {
        "classification": say("classification"),
        "regression": say("regression"),
        "multilabel": say("several labels a row"),
    }[task]
