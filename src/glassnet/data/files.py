"""Reading data files: CSV, Parquet, NumPy's own and MNIST's idx files. Nothing in a file is ever run.

Shapes: N rows.
    x (N, ...)    y (N,) or (N, K)
"""

from __future__ import annotations

import ast
import codecs
import csv
import io
import math
import re
import struct
import sys
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from glassnet.data.parts import Arrays, listed
from glassnet.errors import DataError, InputError
from glassnet.memory import available_memory, check_memory, size_text
from glassnet.messages import say
from glassnet.reading import Stream, TextStream, check_unpacked, opened, refused_as, shortened, unpacked, unreadable

TABLE_ENDINGS = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
PARQUET_ENDINGS = (".parquet", ".pq")

X_KEYS = ("x", "data", "features", "images", "x_train")
Y_KEYS = ("y", "target", "targets", "label", "labels", "y_train")

_NULLS = [*pa.csv.ConvertOptions().null_values, "?"]
MOST_COLUMNS = 100_000
"""So many columns a CSV file may have: each costs its reader some 10 KB."""

_BLOCK = 16 << 20  # bytes that are parsed at once; a line must fit in
_MAGIC = b"\x93NUMPY"
_HEADER = 65_536  # bytes of an array's header
_END = struct.Struct("<4s4H2LH")  # the record at a zip file's end

_BATCH, _FEW_ROWS = 65_536, 1024  # rows of a Parquet file that are read at once

_length_lock = threading.Lock()
_length_before: list[int] = []  # the csv module's limit, once for each block in which it is lifted

_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


# ---------------------------------------------------------------------------------------------------- tables


def read_csv(path: Path) -> pa.Table:
    """A CSV file, packed with gzip or not, whose first line names the columns.

    Empty fields, NA, NaN, null, ? and their like are missing values.
    """
    with refused_as(DataError, path, "CSV"):
        separator = _separator(path)
        content: TextStream | None = None
        try:
            with unpacked(path) as (file, most):
                content = TextStream(file, most, separator=separator, longest_line=_BLOCK)
                content.keeps_failure = True  # raised, it would leave work in Arrow's queue: see _settle
                table = pa.csv.read_csv(
                    io.BufferedReader(content, _BLOCK),
                    read_options=pa.csv.ReadOptions(block_size=_BLOCK),
                    parse_options=pa.csv.ParseOptions(delimiter=separator, newlines_in_values=True),
                    convert_options=pa.csv.ConvertOptions(null_values=_NULLS, strings_can_be_null=True),
                )
        except BaseException as error:
            _settle()
            if content is not None and content.failure is not None:
                raise content.failure from error
            if isinstance(error, UnicodeDecodeError):
                raise _not_utf8(path) from error
            if isinstance(error, pa.ArrowException):
                raise _bad_csv(path, separator, error) from error
            raise
        if content.failure is not None:
            raise content.failure
        # Where each line is a row, no row has vanished into a value.
        if content.quotes % 2 or content.stray_quotes or (content.quotes and content.lines != table.num_rows + 1):
            _check_quotes(path, separator, table.num_rows)
        if any(pa.types.is_binary(field.type) for field in table.schema):
            raise _not_utf8(path)
        if table.num_rows == 0:
            raise DataError(say("{file} has a line of column names but no rows", file=path))
        return table


def _settle() -> None:
    """Wait until Arrow's threads have taken up what a reading left to them that failed.

    A process that ends while some of it still waits in their queue would wait for it for ever.
    """
    pa.csv.read_csv(io.BytesIO(b"a\n1\n"))  # comes behind it


def read_parquet(path: Path) -> pa.Table:
    """One Parquet file; checksums of its pages, if it has any, are verified.

    In a small file a long text may be repeated any number of times. So texts are read some rows at a time, each
    different one once, and written out when it is known that they fit into memory.
    """
    with refused_as(DataError, path, "Parquet"):
        opened(path).close()
        with pa.parquet.ParquetFile(path, page_checksum_verification=True) as file:
            schema, metadata = file.schema_arrow, file.metadata
            _check_columns(schema, path)
            # Not its columns' metadata, which Arrow reads with exceptions that end the process.
            groups = [metadata.row_group(k) for k in range(metadata.num_row_groups)]
            check_unpacked(path.stat().st_size, sum(group.total_byte_size for group in groups))
            texts = [field.name for field in schema if _is_text(field.type)]
            others = [field for field in schema if field.name not in texts]
            check_memory((metadata.num_rows, sum(_width(field.type) for field in others)), np.uint8, str(path))
            numbers = file.read([field.name for field in others])
            columns = {field.name: numbers.column(field.name) for field in others}
        if texts:
            try:
                columns |= _read_texts(path, texts, _BATCH, once=True)
            except (pa.ArrowException, OSError):  # texts that are stored as differences, say, or very long ones
                columns |= _read_texts(path, texts, _FEW_ROWS, once=False)
        table = pa.table([columns[field.name] for field in schema], schema=schema)
        table.validate(full=True)
        for rows in (metadata.num_rows, sum(group.num_rows for group in groups)):
            if table.num_rows != rows:
                raise ValueError(say("it has {found:,} rows, not {expected:,}", found=table.num_rows, expected=rows))
        return table


def _width(kind: pa.DataType) -> int:
    """About how many bytes a value takes."""
    try:
        return max(1, int(kind.bit_width) // 8)
    except ValueError:
        return 8


def _read_texts(path: Path, names: list[str], rows: int, *, once: bool) -> dict[str, pa.ChunkedArray]:
    """Columns of texts of a Parquet file, so many rows at a time, each different text held once or not."""
    free, before = available_memory(), pa.total_allocated_bytes()
    chunks: dict[str, list[pa.Array]] = {name: [] for name in names}
    with pa.parquet.ParquetFile(path, read_dictionary=names if once else [], page_checksum_verification=True) as file:
        for batch in file.iter_batches(rows, columns=names):
            for name in names:
                chunk = batch.column(name)
                if pa.types.is_dictionary(chunk.type):
                    _check_free(pa.total_allocated_bytes() - before + _written_out(chunk), free, path)
                    chunk = chunk.cast(chunk.type.value_type)
                chunks[name].append(chunk)
            _check_free(pa.total_allocated_bytes() - before, free, path)
        kinds = {name: file.schema_arrow.field(name).type for name in names}
    return {name: pa.chunked_array(chunks[name], None if chunks[name] else kinds[name]) for name in names}


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _written_out(chunk: pa.DictionaryArray) -> int:
    """The bytes of texts that are held once each, if they stand where they belong."""
    lengths = pc.cast(pc.binary_length(chunk.dictionary), pa.int64())
    return pc.sum(lengths.take(chunk.indices)).as_py() or 0


def _check_free(needed: int, free: int | None, path: Path) -> None:
    if free is not None and needed > free:
        text = say(
            "{file} does not fit into memory: it unpacks to {needed} or more, but {free} are free",
            file=path,
            needed=size_text(needed),
            free=size_text(free),
        )
        raise DataError(text)


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
            error=shortened(str(error)),
        )
        raise DataError(text) from error


def check_table(table: pa.Table, name: object) -> pa.Table:
    """The table as the encoding can use it; DataError for no rows, two columns of one name, nested types."""
    _check_columns(table.schema, name)
    if table.num_rows == 0 or not table.column_names:
        raise DataError(say("{name} has no rows", name=name))
    for place, field in enumerate(table.schema):
        if pa.types.is_string_view(_value_type(field.type)):
            table = table.set_column(place, field.name, table.column(place).cast(pa.large_string()))
    return table


def _check_columns(schema: pa.Schema, name: object) -> None:
    """DataError for two columns of one name, and for nested types."""
    twice = [column for column, count in Counter(schema.names).items() if count > 1]
    if twice:
        text = say(
            "{name} has more than one column called {columns}; rename them, and see that the first line names the "
            "columns",
            name=name,
            columns=listed(map(repr, twice)),
        )
        raise DataError(text)
    for field in schema:
        value_type = _value_type(field.type)
        if not _is_plain(value_type) and not pa.types.is_string_view(value_type):
            text = say(
                "column {column!r} of {name} holds {type} values; columns must hold numbers, true/false, text or "
                "dates: "
                "spread it over plain columns or remove it",
                column=field.name,
                name=name,
                type=field.type,
            )
            raise DataError(text)


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


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


def _separator(path: Path) -> str:
    """What parts the values of a CSV file, or DataError if its first line cannot hold the names of columns.

    A tab in .tsv files; otherwise the first of comma, semicolon and tab that parts the names; a comma for one column.
    """
    known = "\t" if ".tsv" in path.name.lower() else ",;\t"
    for size in (1 << 16, _BLOCK):
        with _lines(path) as file:
            start = file.read(size)
        try:
            text = codecs.getincrementaldecoder("utf-8-sig")().decode(start)
        except UnicodeDecodeError as error:
            raise _not_utf8(path) from error
        if not re.split(r"[\r\n]", text, maxsplit=1)[0].strip():
            message = say(
                "{file} is empty or begins with an empty line; expected a line of column names, then the rows",
                file=path,
            )
            raise DataError(message)
        found = {separator: _first_row(text, separator) for separator in known}
        separator = next((separator for separator in known if len(found[separator][0]) > 1), known[0])
        fields, is_whole = found[separator]
        if is_whole or len(start) < size:
            break
    if len(fields) > MOST_COLUMNS:
        message = say(
            "{file} has {columns:,} columns, more than the {most:,} that a CSV file may have; an array (.npy, .npz) "
            "may have any number",
            file=path,
            columns=len(fields),
            most=MOST_COLUMNS,
        )
        raise DataError(message)
    if all(map(_is_number, fields)) and not all(field.strip().isdigit() for field in fields):
        message = say(
            "the first line of {file} holds numbers ({line}), not the names of columns; add a line of names above it",
            file=path,
            line=listed(fields[:5]),
        )
        raise DataError(message)
    return separator


def _first_row(text: str, separator: str) -> tuple[list[str], bool]:
    """The first row of a CSV file that begins so, and whether there is more behind it."""
    lines = io.StringIO(text, newline="")
    with _any_length():
        row = next(csv.reader(lines, delimiter=separator))
    return row, bool(lines.read(1))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@contextmanager
def _lines(path: Path) -> Iterator[io.BufferedReader]:
    """A text file as a stream of bytes that can be read by lines."""
    with unpacked(path) as (file, most):
        yield io.BufferedReader(TextStream(file, most, longest_line=_BLOCK))


@contextmanager
def _rows(path: Path, separator: str, *, strict: bool = False) -> Iterator[Any]:
    """The file as Python's csv module reads it."""
    with _lines(path) as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text, _any_length():
        yield csv.reader(text, delimiter=separator, strict=strict)


@contextmanager
def _any_length() -> Iterator[None]:
    """Within a block, Python's csv module reads values of any length, in all threads; the limit is the process's."""
    with _length_lock:
        _length_before.append(_length_before[0] if _length_before else csv.field_size_limit(sys.maxsize))
    try:
        yield
    finally:
        with _length_lock:
            limit = _length_before.pop()
            if not _length_before:
                csv.field_size_limit(limit)


def _bad_csv(path: Path, separator: str, error: Exception) -> InputError:
    """What is wrong with a CSV file that Arrow could not read: the first line with too many or too few values."""
    try:
        with _rows(path, separator) as rows:
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
    except (csv.Error, OSError, StopIteration):
        pass
    return unreadable(DataError, path, error, "CSV")


def _check_quotes(path: Path, separator: str, expected: int) -> None:
    """DataError if quotation marks stand where they cannot: rows then vanish into values.

    Arrow does not mind if one is open at the end of the file, or text follows on one that closes a value.
    """
    with _rows(path, separator, strict=True) as rows:
        try:
            found = sum(1 for row in rows if row) - 1
        except csv.Error as error:
            text = say(
                "{file}, line {line:,}: a quotation mark is out of place or never closed ({error}); a value that "
                "holds one needs quotes around it, and the mark written twice",
                file=path,
                line=rows.line_num,
                error=error,
            )
            raise DataError(text) from error
    if found != expected:
        raise DataError(say("{file}: the quotation marks in it leave open how many rows there are", file=path))


def _not_utf8(path: Path) -> DataError:
    """Says which line of a text file is not UTF-8."""
    number = 0
    with _lines(path) as file:
        for line in file:
            number += 1
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                break
    return DataError(say("{file} is not UTF-8 text (line {line:,}); save it as UTF-8", file=path, line=number))


# ---------------------------------------------------------------------------------------------------- arrays


def read_npy(path: Path) -> np.ndarray:
    """One array from a .npy file. Arrays of Python objects are refused: they are pickles, which can run code."""
    with refused_as(DataError, path, "NumPy"), opened(path) as file:
        if file.peek(2)[:2] == b"PK":  # type: ignore[attr-defined]
            raise DataError(say("{file} is a .npz archive by its content; give it that ending", file=path))
        return _array(file, path.stat().st_size, path)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a .npz file by their names."""
    with refused_as(DataError, path, "NumPy"), opened(path) as file:
        if file.peek(6)[:6] == _MAGIC:  # type: ignore[attr-defined]
            raise DataError(say("{file} is a .npy array by its content; give it that ending", file=path))
        with zipfile.ZipFile(file) as archive:
            _check_directory(file, len(archive.infolist()))
            members = [member for member in archive.infolist() if _is_array(archive, member)]
            check_unpacked(path.stat().st_size, sum(member.file_size for member in members))
            names = [member.filename.removesuffix(".npy") for member in members]
            if len(set(names)) < len(names):
                raise ValueError(say("two of its arrays have the same name"))
            arrays = {}
            for name, member in zip(names, members, strict=True):
                with archive.open(member) as packed:
                    arrays[name] = _array(packed, member.file_size, path)
            return arrays


def _is_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    """Whether a member is an array, by its name or its content; opened, it is seen that its name stands twice alike."""
    with archive.open(member) as packed:
        return packed.read(6) == _MAGIC or member.filename.endswith(".npy")


def _array(file: IO[bytes], size: int, path: Path) -> np.ndarray:
    """The array in NumPy's format that fills a file of so many bytes, read without trust in its header."""
    shape, by_columns, dtype = _header_of_array(file, path)
    needed, there = math.prod(shape) * dtype.itemsize, size - file.tell()
    _check_length(path, needed, there)
    check_memory((needed,), np.uint8, str(path))
    body = np.empty(needed, np.uint8)
    filled = 0
    while filled < needed:
        count = file.readinto(body[filled : filled + _BLOCK])  # type: ignore[attr-defined]
        if not count:
            _check_length(path, needed, filled)
        filled += count
    if file.read(1):  # at its end an archive's checksum is compared
        _check_length(path, needed, needed + 1)
    return body.view(dtype).reshape(shape, order="F" if by_columns else "C")


def _header_of_array(file: IO[bytes], path: Path) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and type of a .npy file's numbers. NumPy's own reader takes minutes for some damaged headers."""
    magic = file.read(8)
    if magic[:1] == b"\x80":  # how a pickle begins
        raise _objects(path)
    if magic[:6] != _MAGIC or magic[6:] not in (b"\x01\0", b"\x02\0", b"\x03\0"):
        raise ValueError(say("it does not begin as an array's file does"))
    length = int.from_bytes(file.read(2 if magic[6] == 1 else 4), "little")
    text = file.read(length) if length <= _HEADER else b""
    if len(text) != length:
        raise ValueError(say("its header is damaged"))
    header = ast.literal_eval(re.sub(rb"(?<=\d)L(?=[,)])", b"", text).decode("latin-1").strip())  # 3L: Python 2
    if type(header) is not dict or header.keys() != {"descr", "fortran_order", "shape"}:
        raise ValueError(say("its header is damaged"))
    shape, by_columns, descr = header["shape"], header["fortran_order"], header["descr"]
    if type(shape) is not tuple or any(type(size) is not int or size < 0 for size in shape):
        raise ValueError(say("its header is damaged"))
    dtype = np.dtype(descr if isinstance(descr, str) else [tuple(field) for field in descr])
    if dtype.hasobject:
        raise _objects(path)
    if dtype.itemsize == 0 or type(by_columns) is not bool:
        raise ValueError(say("its header is damaged"))
    return shape, by_columns, dtype


def _check_directory(file: IO[bytes], count: int) -> None:
    """ValueError unless the record at a zip file's end counts so many members, and the directory lies before it."""
    size = file.seek(0, io.SEEK_END)
    start = file.seek(max(0, size - (1 << 16) - _END.size))
    tail = file.read()
    place = tail.rfind(b"PK\x05\x06")
    _, _, _, _, members, length, offset, _ = _END.unpack_from(tail, place)
    large = members == 0xFFFF or offset == 0xFFFFFFFF
    if not large and (members != count or offset + length != start + place):
        raise ValueError(say("the directory at its end is damaged"))


def _objects(path: Path) -> DataError:
    text = say(
        "{file} holds Python objects (a pickle), which could run code and are never loaded; "
        "save plain arrays of numbers with numpy.save or numpy.savez",
        file=path,
    )
    return DataError(text)


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
    with refused_as(DataError, path, "idx"), unpacked(path) as (content, most):
        file = io.BufferedReader(Stream(content, most))
        magic = file.read(4)
        if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _IDX_TYPES or not 1 <= magic[3] <= 8:
            text = say(
                "{file} is not an idx file: it begins with {bytes}, expected 00 00, a type and a number of dimensions",
                file=path,
                bytes=magic.hex(" ") or say("nothing"),
            )
            raise DataError(text)
        shape = tuple(int(size) for size in np.frombuffer(_exactly(file, 4 * magic[3], path), dtype=">u4"))
        dtype = np.dtype(_IDX_TYPES[magic[2]])
        check_memory(shape, dtype, str(path))
        body = _exactly(file, math.prod(shape) * dtype.itemsize, path)
        if file.read(1):
            _check_length(path, len(body), len(body) + 1)
        return np.frombuffer(body, dtype=dtype).astype(dtype.newbyteorder("=")).reshape(shape)


def labels_beside(path: Path) -> Path | None:
    """The file of labels that belongs to an idx file of images, by MNIST's names; None if it is not there."""
    stem = path.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
    for name in (stem, stem + ".gz"):
        beside = path.with_name(name)
        if beside != path and beside.is_file():
            check_inside(beside)
            return beside
    return None


def check_inside(path: Path) -> None:
    """DataError if a file that was found in a folder, not named by the user, is a link that leads out of it."""
    if path.is_symlink() and path.parent.resolve() not in path.resolve().parents:
        text = say(
            "{file} is a symbolic link that leads out of its folder, to {target}; name that file, or put a copy there",
            file=path,
            target=path.resolve(),
        )
        raise DataError(text)


def _exactly(file: IO[bytes], count: int, path: Path) -> bytes:
    body = file.read(count)
    _check_length(path, count, min(len(body), count))
    return body


def _check_length(path: Path, expected: int, found: int) -> None:
    """DataError unless the file has as many bytes as its header says."""
    if found < expected:
        text = say(
            "{file} is cut short: {expected:,} bytes expected, {found:,} found; copy it again",
            file=path,
            expected=expected,
            found=found,
        )
        raise DataError(text)
    if found > expected:
        raise DataError(say("{file} is longer than its header says; it is damaged", file=path))
