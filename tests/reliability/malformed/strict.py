"""Independent readers of formats without checksums: what a file says, read strictly, or ValueError.

A file that glassnet reads must say the very same here. Tables are lists of columns of text; what glassnet made of a
field must be what its text denotes.
"""

from __future__ import annotations

import ast
import csv
import datetime
import io
import math
import struct
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np

NULLS = frozenset(
    (
        *("", "?", "#N/A", "#N/A N/A", "#NA", "N/A", "n/a", "NA", "NULL", "null", "NaN", "nan", "-NaN", "-nan"),
        *("-1.#IND", "-1.#QNAN", "1.#IND", "1.#QNAN"),
    )
)
_IDX = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def table(content: bytes, separator: str | None = None) -> dict[str, list[str]]:
    """The columns of a CSV file by their names."""
    text = content.decode("utf-8-sig")
    csv.field_size_limit(sys.maxsize)
    firsts = {one: next(csv.reader(io.StringIO(text, newline=""), delimiter=one), []) for one in ",;\t"}
    delimiter = separator or next((one for one, names in firsts.items() if len(names) > 1), ",")
    try:
        names, *rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    except csv.Error as error:
        raise ValueError(str(error)) from error
    rows = [row for row in rows if row]
    if len(set(names)) < len(names) or any(len(row) != len(names) for row in rows):
        raise ValueError("columns of one name, or rows of other lengths")
    return {name: [row[k] for row in rows] for k, name in enumerate(names)}


class Moment(str):
    """A date or time in ISO's form; one of Python's could not be before the year 1."""

    __slots__ = ()


def denotes(text: str, value: Any) -> bool:
    """Whether a field of text stands for a value."""
    if value is None:
        return text in NULLS
    if isinstance(value, Moment):
        return text.strip(" \t") == value or _same_moment(text, value)
    if isinstance(value, str):
        return text == value
    text = text.strip(" \t")
    try:
        if isinstance(value, bool):
            return text.lower() in (("true", "1") if value else ("false", "0"))
        if isinstance(value, int):
            return text.isascii() and "_" not in text and int(text, 0 if "x" in text.lower() else 10) == value
        if isinstance(value, float):
            number = float(text) if text.isascii() and "_" not in text else math.nan
            return number == value or (math.isnan(number) and math.isnan(value) and "n" in text.lower())
        return _same_moment(text, str(value))
    except ValueError:
        return False


def _same_moment(text: str, other: str) -> bool:
    """Whether two texts stand for the same date or time."""
    try:
        return bool(_moment(text) == _moment(other))
    except ValueError:
        return False


def _moment(text: str) -> Any:
    """A date or time in ISO's form, as a moment of UTC where it has a zone."""
    kinds = (datetime.datetime, datetime.time)
    for kind in kinds:
        try:
            found = kind.fromisoformat(text.strip())
        except ValueError:
            continue
        return found.astimezone(datetime.UTC).replace(tzinfo=None) if getattr(found, "tzinfo", None) else found
    raise ValueError(text)


def same_table(columns: dict[str, Iterable[Any]], content: bytes, separator: str | None = None) -> bool:
    """Whether these columns are what the file says."""
    said = table(content, separator)
    return list(said) == list(columns) and all(
        len(texts) == len(values := list(columns[name])) and all(map(denotes, texts, values))
        for name, texts in said.items()
    )


def npy(content: bytes, kinds: str = "biuf") -> np.ndarray:
    """The array of a .npy file, of numbers or of other kinds; never of objects."""
    if content[:6] != b"\x93NUMPY" or len(content) < 12:
        raise ValueError("magic")
    wide = {(1, 0): False, (2, 0): True, (3, 0): True}.get((content[6], content[7]))
    if wide is None:
        raise ValueError("version")
    begin = 12 if wide else 10
    (length,) = struct.unpack("<I" if wide else "<H", content[8:begin])
    text, body = content[begin : begin + length], content[begin + length :]
    try:
        header = ast.literal_eval(text.decode("utf-8" if content[6] == 3 else "latin1").strip())
        dtype = np.dtype(header["descr"])
    except (SyntaxError, TypeError, KeyError, RecursionError, MemoryError) as error:
        raise ValueError("header") from error
    shape, turned = header["shape"], header["fortran_order"]
    sizes = isinstance(shape, tuple) and all(type(size) is int and size >= 0 for size in shape)
    if len(text) < length or set(header) != {"descr", "shape", "fortran_order"} or not sizes:
        raise ValueError("header")
    if type(turned) is not bool or dtype.kind not in kinds or len(body) != math.prod(shape) * dtype.itemsize:
        raise ValueError("content")
    return np.frombuffer(body, dtype).reshape(shape, order="F" if turned else "C")


def idx(content: bytes) -> np.ndarray:
    """The array of an idx file."""
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _IDX:
        raise ValueError("magic")
    begin = 4 + 4 * content[3]
    if len(content) < begin:
        raise ValueError("sizes")
    shape = struct.unpack(f">{content[3]}I", content[4:begin])
    dtype = np.dtype(_IDX[content[2]])
    if len(content) - begin != math.prod(shape) * dtype.itemsize:
        raise ValueError("content")
    return np.frombuffer(content[begin:], dtype).reshape(shape)


def same_array(found: np.ndarray, said: np.ndarray) -> bool:
    """Whether two arrays have the same shape and the same numbers, whatever their order of bytes."""
    return found.shape == said.shape and found.astype(said.dtype).tobytes() == said.tobytes()
