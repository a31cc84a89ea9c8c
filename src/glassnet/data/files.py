"""Reading data files: CSV, Parquet, NumPy's own and MNIST's idx files. Nothing in a file is ever run.

Shapes: N rows.
    x (N, ...)    y (N,) or (N, K)
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from glassnet.data.parts import Arrays, listed
from glassnet.errors import DataError
from glassnet.memory import check_memory
from glassnet.messages import say

TABLE_ENDINGS = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
PARQUET_ENDINGS = (".parquet", ".pq")

X_KEYS = ("x", "data", "features", "images", "x_train")
Y_KEYS = ("y", "target", "targets", "label", "labels", "y_train")

_NULLS = [*pa.csv.ConvertOptions().null_values, "?"]
_BLOCK = 16 << 20  # bytes that are parsed at once; a line must fit in
_DAMAGED = (OSError, EOFError, ValueError, KeyError, MemoryError, SyntaxError, zlib.error, zipfile.BadZipFile)

_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


# ---------------------------------------------------------------------------------------------------- tables


def read_csv(path: Path) -> pa.Table:
    """A CSV file, packed with gzip or not, whose first line names the columns.

    Empty fields, NA, NaN, null, ? and their like are missing values.
    """
    separator = _separator(path, _header(path))
    try:
        table = pa.csv.read_csv(
            path,
            read_options=pa.csv.ReadOptions(block_size=_BLOCK),
            parse_options=pa.csv.ParseOptions(delimiter=separator, newlines_in_values=True),
            convert_options=pa.csv.ConvertOptions(null_values=_NULLS, strings_can_be_null=True),
        )
    except UnicodeDecodeError as error:
        raise _not_utf8(path) from error
    except (pa.ArrowException, OSError) as error:
        raise _bad_csv(path, separator, error) from error
    if any(pa.types.is_binary(field.type) for field in table.schema):
        raise _not_utf8(path)
    if table.num_rows == 0:
        raise DataError(say("{file} has a line of column names but no rows", file=path))
    return table


def read_parquet(path: Path) -> pa.Table:
    """One Parquet file."""
    try:
        with pa.parquet.ParquetFile(path) as file:
            return file.read()
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, "Parquet", error) from error


def read_parquet_folder(paths: list[Path]) -> pa.Table:
    """Parquet files with the same columns, one below the other."""
    tables = [read_parquet(path) for path in paths]
    first = tables[0].column_names
    for path, table in zip(paths, tables, strict=True):
        if sorted(table.column_names) != sorted(first):
            text = say(
                "{file} has the columns {columns}, but {first} has {expected}; the files of a folder need the same "
                "columns",
                file=path,
                columns=listed(table.column_names),
                first=paths[0].name,
                expected=listed(first),
            )
            raise DataError(text)
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        text = say(
            "the Parquet files in {folder} do not fit together: {error}",
            folder=paths[0].parent,
            error=_first_line(error),
        )
        raise DataError(text) from error


def check_table(table: pa.Table, name: object) -> pa.Table:
    """The table as the encoding can use it; DataError for no rows, two columns of one name, nested types."""
    names = table.column_names
    twice = [column for column, count in Counter(names).items() if count > 1]
    if twice:
        text = say(
            "{name} has more than one column called {columns}; rename them, and see that the first line names the "
            "columns",
            name=name,
            columns=listed(map(repr, twice)),
        )
        raise DataError(text)
    if table.num_rows == 0 or not names:
        raise DataError(say("{name} has no rows", name=name))
    for place, field in enumerate(table.schema):
        value_type = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if pa.types.is_string_view(value_type):
            table = table.set_column(place, field.name, table.column(place).cast(pa.large_string()))
        elif not _is_plain(value_type):
            text = say(
                "column {column!r} of {name} holds {type} values; columns must hold numbers, true/false, text or "
                "dates: "
                "spread it over plain columns or remove it",
                column=field.name,
                name=name,
                type=field.type,
            )
            raise DataError(text)
    return table


def _is_plain(kind: pa.DataType) -> bool:
    types = pa.types
    tests = (
        types.is_integer,
        types.is_floating,
        types.is_decimal,
        types.is_boolean,
        types.is_string,
        types.is_large_string,
        types.is_temporal,
        types.is_null,
    )
    return any(test(kind) for test in tests) and not types.is_interval(kind)


def _header(path: Path) -> str:
    """The first line of a CSV file, or DataError if it cannot hold the names of columns."""
    try:
        with _open(path) as file:
            line = file.readline(_BLOCK)
    except _DAMAGED as error:
        raise _damaged(path, "CSV", error) from error
    if not line.strip():
        text = say(
            "{file} is empty or begins with an empty line; expected a line of column names, then the rows", file=path
        )
        raise DataError(text)
    try:
        names = line.decode("utf-8-sig").strip("\r\n")
    except UnicodeDecodeError as error:
        raise _not_utf8(path) from error
    fields = next(csv.reader([names], delimiter=_separator(path, names)))
    if all(map(_is_number, fields)) and not all(field.strip().isdigit() for field in fields):
        text = say(
            "the first line of {file} holds numbers ({line}), not the names of columns; add a line of names above it",
            file=path,
            line=listed(fields[:5]),
        )
        raise DataError(text)
    return names


def _separator(path: Path, names: str) -> str:
    """Tab in .tsv files; otherwise a comma, unless the line of names has none and is parted by semicolons or tabs."""
    if ".tsv" in path.name.lower():
        return "\t"
    return next((separator for separator in ",;\t" if separator in names), ",")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")  # type: ignore[return-value]


def _bad_csv(path: Path, separator: str, error: Exception) -> DataError:
    """What is wrong with a CSV file that Arrow could not read: the first line with too many or too few values."""
    try:
        with _open(path) as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
            rows = csv.reader(text, delimiter=separator)
            expected = len(next(rows))
            line = rows.line_num + 1
            for row in rows:
                if row and len(row) != expected:
                    message = say(
                        "{file}, line {line:,}: {found} values, but the first line names {expected} columns; "
                        "a value that holds the separator {separator!r} needs quotes around it",
                        file=path,
                        line=line,
                        found=len(row),
                        expected=expected,
                        separator=separator,
                    )
                    return DataError(message)
                line = rows.line_num + 1
    except UnicodeDecodeError:
        return _not_utf8(path)
    except (*_DAMAGED, csv.Error, StopIteration):
        pass
    return _damaged(path, "CSV", error)


def _not_utf8(path: Path) -> DataError:
    """Says which line of a text file is not UTF-8."""
    number = 0
    with _open(path) as file:
        for line in file:
            number += 1
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                break
    return DataError(say("{file} is not UTF-8 text (line {line:,}); save it as UTF-8", file=path, line=number))


def _damaged(path: Path, form: str, error: BaseException) -> DataError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else _first_line(error)
    return DataError(say("cannot read {file} as {form}: {error}", file=path, form=form, error=reason))


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


# ---------------------------------------------------------------------------------------------------- arrays


def read_npy(path: Path) -> np.ndarray:
    """One array from a .npy file. Arrays of Python objects are refused: they are pickles, which can run code."""
    try:
        with path.open("rb") as file:
            array = np.load(file, allow_pickle=False)
    except _DAMAGED as error:
        raise _bad_array(path, error) from error
    if not isinstance(array, np.ndarray):
        raise DataError(say("{file} is a .npz archive by its content; give it that ending", file=path))
    return array


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a .npz file by their names."""
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.ndarray):
                return {key: archive[key] for key in archive.files}
    except _DAMAGED as error:
        raise _bad_array(path, error) from error
    raise DataError(say("{file} is a .npy array by its content; give it that ending", file=path))


def arrays_by_name(arrays: Mapping[str, Any], name: object) -> tuple[Arrays, Arrays | None]:
    """Inputs and targets among named arrays, and the test set where there are ``x_test`` and ``y_test``.

    The inputs are called x, data, features or images, the targets y, target, targets, label or labels, in upper or
    lower case; ``x_train`` and ``y_train`` go with ``x_test`` and ``y_test``.
    """
    keys = {key.lower(): key for key in arrays}
    if "indptr" in keys:
        raise DataError(say("{name} holds a sparse matrix; save it as a dense array", name=name))
    x = _one_of(arrays, X_KEYS, name)
    y = _one_of(arrays, Y_KEYS, name)
    if x is None:
        text = say(
            "{name} has no array of inputs: it holds {keys}, and inputs are called {expected}; rename the array",
            name=name,
            keys=listed(arrays),
            expected=", ".join(X_KEYS),
        )
        raise DataError(text)
    train = Arrays(np.asarray(arrays[x]), None if y is None else np.asarray(arrays[y]))
    if x.lower() != "x_train" or not {"x_test", "y_test"} <= keys.keys():
        return train, None
    return train, Arrays(np.asarray(arrays[keys["x_test"]]), np.asarray(arrays[keys["y_test"]]))


def _one_of(arrays: Mapping[str, Any], known: tuple[str, ...], name: object) -> str | None:
    found = [key for key in arrays if key.lower() in known]
    if len(found) > 1:
        text = say(
            "{name} is ambiguous: {found} could each be meant, of the arrays {keys}; keep one of them",
            name=name,
            found=" and ".join(found),
            keys=listed(arrays),
        )
        raise DataError(text)
    return found[0] if found else None


def _bad_array(path: Path, error: BaseException) -> DataError:
    if "allow_pickle" in str(error) or "pickle" in str(error).lower():
        text = say(
            "{file} holds Python objects (a pickle), which could run code and are never loaded; "
            "save plain arrays of numbers with numpy.save or numpy.savez",
            file=path,
        )
        return DataError(text)
    return _damaged(path, "NumPy", error)


# ---------------------------------------------------------------------------------------------------- idx


def is_idx(path: Path) -> bool:
    """Whether the name is one of MNIST's idx files, such as ``train-images-idx3-ubyte.gz``."""
    name = path.name.lower()
    return "idx" in name and (
        "ubyte" in name or name.removesuffix(".gz").endswith(("idx", "idx1", "idx2", "idx3", "idx4"))
    )


def read_idx(path: Path) -> np.ndarray:
    """The array of an idx file, packed with gzip or not.

    The file begins with two zero bytes, a byte for the number type, a byte for the number of dimensions and a
    big-endian 32-bit size for each.
    """
    try:
        with _open(path) as file:
            magic = file.read(4)
            if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _IDX_TYPES or not 1 <= magic[3] <= 8:
                text = say(
                    "{file} is not an idx file: it begins with {bytes}, expected 00 00, a type and a number of "
                    "dimensions",
                    file=path,
                    bytes=magic.hex(" ") or say("nothing"),
                )
                raise DataError(text)
            shape = tuple(int(size) for size in np.frombuffer(_exactly(file, 4 * magic[3], path), dtype=">u4"))
            dtype = np.dtype(_IDX_TYPES[magic[2]])
            check_memory(shape, dtype, str(path))
            body = _exactly(file, math.prod(shape) * dtype.itemsize, path)
            if file.read(1):
                text = say(
                    "{file} is longer than its header says (shape {shape}); it is damaged", file=path, shape=shape
                )
                raise DataError(text)
    except DataError:
        raise
    except _DAMAGED as error:
        raise _damaged(path, "idx", error) from error
    return np.frombuffer(body, dtype=dtype).astype(dtype.newbyteorder("=")).reshape(shape)


def labels_beside(path: Path) -> Path | None:
    """The file of labels that belongs to an idx file of images, by MNIST's names; None if it is not there."""
    stem = path.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
    for name in (stem, stem + ".gz"):
        beside = path.with_name(name)
        if beside != path and beside.is_file():
            return beside
    return None


def _exactly(file: IO[bytes], count: int, path: Path) -> bytes:
    body = file.read(count)
    if len(body) < count:
        text = say(
            "{file} is cut short: {expected:,} bytes expected, {found:,} found; copy it again",
            file=path,
            expected=count,
            found=len(body),
        )
        raise DataError(text)
    return body
