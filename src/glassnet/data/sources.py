"""From whatever holds the data to rows and columns: files, folders, bundled sets, data frames and arrays.

Shapes: N rows, K targets of a row.
    x (N, ...)    y (N,) or (N, K)
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from glassnet.data import files
from glassnet.data.parts import Arrays, Source, Table, listed
from glassnet.errors import DataError
from glassnet.messages import say

BUNDLED = ("digits", "iris", "wine", "breast_cancer", "diabetes")
"""The sets that come with scikit-learn and need no network."""

_TARGET_NAMES = ("target", "y", "label", "class")  # looked for where no target is given


def load_source(source: Any, *, target: str | int | None = None, need_target: bool = True) -> Source:
    """Read data from a file, a folder, a bundled set, a data frame or arrays.

    Parameters
    ----------
    source : str, Path or object
        - a path: CSV (``.csv``, ``.csv.gz``, ``.tsv``), Parquet, a folder of Parquet files, ``.npz``, ``.npy``, an idx
          file of images, a folder with MNIST's four idx files;
        - the name of a bundled set: digits, iris, wine, breast_cancer, diabetes;
        - a pandas or polars DataFrame, a pyarrow Table, a NumPy array, a pair ``(x, y)``, a dict of arrays.
    target : str, int or None, default None
        What is to be predicted: the name of a column; for a single 2-D array the number of a column, from 0, or from
        the end if negative (``-1`` is the last). If None, a column called target, y, label or class is used.
    need_target : bool, default True
        False at prediction time: the source may then come without targets, and none is looked for by the usual names.

    Returns
    -------
    Source

    Raises
    ------
    DataError
        If the source is not found or cannot be read, or ``need_target`` and it has no targets.
    """
    try:
        load = _load_named if isinstance(source, (str, Path)) else _load_object
        loaded = load(source, target, need_target)
    except OSError as error:
        raise DataError(say("cannot read {source}: {error}", source=source, error=error.strerror or error)) from error
    return loaded


def _load_named(source: str | Path, target: str | int | None, need_target: bool) -> Source:
    path = Path(source)
    try:
        path = path.expanduser()
        is_there = path.exists()
    except (OSError, RuntimeError, ValueError):  # no such home, a name that is too long
        is_there = False
    name = str(source).replace("-", "_").lower()
    is_folder = is_there and path.is_dir()
    if is_folder and name in BUNDLED and not _holds_data(path):
        is_there = False  # a run's folder, say, that has the set's name
    if is_there:
        with _named(path):
            load = _load_folder if is_folder else _load_file
            return _with_rows(load(path, target, need_target))
    if name in BUNDLED:
        return _load_bundled(name, target, need_target)
    candidates = {known: known for known in BUNDLED}
    if path.parent.is_dir():
        candidates.update((beside.name, str(path.with_name(beside.name))) for beside in path.parent.iterdir())
    close = difflib.get_close_matches(path.name, candidates, n=1)
    text = say(
        "there is no file or folder {source!r}, and no bundled set of that name ({known}); "
        "check the path: files must exist on this machine.{hint}",
        source=str(source),
        known=", ".join(BUNDLED),
        hint=say(" Did you mean {close!r}?", close=candidates[close[0]]) if close else "",
    )
    raise DataError(text)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """A DataError within the block names the file."""
    try:
        yield
    except DataError as error:
        if str(path) in str(error):
            raise
        raise DataError(say("{file}: {error}", file=path, error=error)) from error


def _with_rows(source: Source) -> Source:
    """The source, or DataError if it has no rows."""
    for part in (source.train, source.test):
        if part is not None and part.rows == 0:
            raise DataError(say("{name} has no rows", name=source.name))
    return source


def _load_file(path: Path, target: str | int | None, need_target: bool) -> Source:
    ending = path.name.lower()
    name = path.name.split(".")[0] or path.name
    if ending.endswith(files.TABLE_ENDINGS):
        return Source(name, _table(files.read_csv(path), target, need_target, path))
    if ending.endswith(files.PARQUET_ENDINGS):
        return Source(name, _table(files.read_parquet(path), target, need_target, path))
    if ending.endswith(".npz"):
        return _named_arrays(files.read_npz(path), target, need_target, path, name)
    if ending.endswith(".npy"):
        return Source(name, _array(files.read_npy(path), target, need_target, path))
    if files.is_idx(path):
        return Source(name, _images(path, need_target))
    text = say(
        "cannot tell what {file} is from its name; its ending should be one of: {known}",
        file=path,
        known=", ".join((*files.TABLE_ENDINGS, *files.PARQUET_ENDINGS, ".npz", ".npy", "idx3-ubyte", "idx3-ubyte.gz")),
    )
    raise DataError(text)


def _holds_data(folder: Path) -> bool:
    """Whether a folder has a file that :func:`_load_folder` might read."""
    names = [entry.name.lower() for entry in folder.iterdir()]
    return any(
        name.endswith(files.PARQUET_ENDINGS) or name.startswith(("train-images", "t10k-images")) for name in names
    )


def _load_folder(path: Path, target: str | int | None, need_target: bool) -> Source:
    """A folder with MNIST's four files, or one of Parquet files."""
    entries = sorted(entry for entry in path.iterdir() if entry.is_file() and not entry.name.startswith("."))
    for entry in entries:
        files.check_inside(entry)
    images = {
        prefix: entry
        for prefix in ("train", "t10k")
        for entry in entries
        if entry.name.startswith(f"{prefix}-images") and files.is_idx(entry)
    }
    if images:
        if "train" not in images:
            raise DataError(say("{folder} has no file of training images (train-images-idx3-ubyte)", folder=path))
        test = _images(images["t10k"], need_target) if "t10k" in images else None
        return Source(path.resolve().name, _images(images["train"], need_target), test)
    # also what is no file: it is refused where it is read, not left out
    tables = sorted(entry for entry in path.iterdir() if entry.name.lower().endswith(files.PARQUET_ENDINGS))
    if tables:
        return Source(path.resolve().name, _table(files.read_parquet_folder(tables), target, need_target, path))
    text = say(
        "the folder {folder} holds neither Parquet files nor MNIST's idx files; it holds: {entries}",
        folder=path,
        entries=listed(entry.name for entry in sorted(path.iterdir())),
    )
    raise DataError(text)


def _images(path: Path, need_target: bool) -> Arrays:
    """The images of an idx file, and the labels that lie beside it."""
    x = files.read_idx(path)
    if x.ndim < 2:
        raise DataError(say("{file} holds labels, not images; give the file of images that lies beside it", file=path))
    labels = files.labels_beside(path)
    if labels is None and need_target:
        text = say(
            "there is no file of labels beside {file}; for the name ...-images-idx3-ubyte it is called "
            "...-labels-idx1-ubyte",
            file=path,
        )
        raise DataError(text)
    y = None if labels is None else files.read_idx(labels)
    if y is not None and y.shape != (len(x),):
        text = say(
            "{file} holds {images:,} images, but {labels} holds labels of the shape {shape}",
            file=path,
            images=len(x),
            labels=labels.name if labels else "",
            shape=y.shape,
        )
        raise DataError(text)
    return Arrays(x, y)


def _load_bundled(name: str, target: str | int | None, need_target: bool) -> Source:
    from sklearn import datasets

    if name == "digits":
        digits = datasets.load_digits()
        return Source(name, Arrays(digits.images.astype(np.uint8), digits.target))
    options = {"scaled": False} if name == "diabetes" else {}
    bunch = getattr(datasets, f"load_{name}")(**options)
    y = bunch.target if name == "diabetes" else np.asarray(bunch.target_names).astype(str)[bunch.target]
    columns = {str(column): bunch.data[:, place] for place, column in enumerate(bunch.feature_names)}
    return Source(name, _table(pa.table({**columns, "target": y}), target, need_target, name))


# ---------------------------------------------------------------------------------------------------- Python objects


def _load_object(source: Any, target: str | int | None, need_target: bool) -> Source:
    return _with_rows(_read_object(source, target, need_target))


def _read_object(source: Any, target: str | int | None, need_target: bool) -> Source:
    if isinstance(source, tuple):
        return _load_pair(source, need_target)
    if _is_table(source):
        name = say("the table")
        return Source(name, _table(_to_table(source), target, need_target, name))
    name = say("the array")
    if isinstance(source, Mapping):
        name = say("the dict of arrays")
        arrays = {str(key): _to_array(value) for key, value in source.items()}
        if arrays and all(array.ndim == 1 for array in arrays.values()):
            return Source(name, _table(_to_table(dict(source)), target, need_target, name))
        return _named_arrays(arrays, target, need_target, name, name)
    if hasattr(source, "__array__") or isinstance(source, list):
        return Source(name, _array(_to_array(source), target, need_target, name))
    text = say(
        "cannot read data from an object of type {type}; expected a path, a bundled set ({known}), "
        "a DataFrame, an array, a pair (x, y) or a dict of arrays",
        type=f"{type(source).__module__}.{type(source).__qualname__}",
        known=", ".join(BUNDLED),
    )
    raise DataError(text)


def _load_pair(source: tuple[Any, ...], need_target: bool) -> Source:
    if len(source) != 2:
        raise DataError(say("expected a pair (x, y), but the tuple has {count} entries", count=len(source)))
    x, y = source
    if y is None:
        return _load_object(x, None, need_target)
    if not _is_table(x):
        return Source(say("the arrays"), Arrays(_to_array(x), _to_array(y)))
    table = _with_target(_to_table(x), y)
    name = say("the table")
    return Source(name, _table(table, table.column_names[-1], need_target, name))


def _with_target(table: pa.Table, y: Any) -> pa.Table:
    """The table with ``y`` as its last column, called as ``y`` is, or else ``target``."""
    name = str(getattr(y, "name", None) or "target")
    values = y.to_arrow() if type(y).__module__.startswith("polars") else _to_array(y)
    if isinstance(values, np.ndarray) and values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if isinstance(values, np.ndarray) and values.ndim != 1:
        text = say(
            "the targets beside a table must have the shape (rows,), but have {shape}; give the inputs as an array "
            "for more",
            shape=values.shape,
        )
        raise DataError(text)
    if len(values) != table.num_rows:
        text = say(
            "there are {x_rows:,} rows of inputs but {y_rows:,} targets; each row needs its target",
            x_rows=table.num_rows,
            y_rows=len(values),
        )
        raise DataError(text)
    if name in table.column_names:
        raise DataError(say("the targets are called {name!r}, as a column of the inputs is; rename one", name=name))
    try:
        return table.append_column(name, values if isinstance(values, pa.Array) else pa.array(values, from_pandas=True))
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataError(say("cannot use the targets: {error}", error=error)) from error


def _is_table(source: Any) -> bool:
    """Whether it is a pyarrow Table or a data frame; neither pandas nor polars is imported to see."""
    if isinstance(source, (pa.Table, pa.RecordBatch)):
        return True
    return hasattr(source, "__dataframe__") or (hasattr(source, "__arrow_c_stream__") and hasattr(source, "columns"))


def _to_table(source: Any) -> pa.Table:
    library = type(source).__module__.split(".")[0]
    try:
        if library == "pandas":
            return pa.Table.from_pandas(source, preserve_index=False)
        if library == "polars":
            return source.to_arrow()
        if isinstance(source, pa.RecordBatch):
            return pa.Table.from_batches([source])
        return source if isinstance(source, pa.Table) else pa.table(source)
    except (pa.ArrowException, TypeError, ValueError) as error:
        reason = ": ".join(str(part) for part in reversed(error.args)) or type(error).__name__
        raise DataError(say("cannot use the table: {error}", error=reason.splitlines()[0])) from error


def _to_array(values: Any) -> np.ndarray:
    if isinstance(values, np.ma.MaskedArray) and values.mask.any():
        raise DataError(say("the array has masked values; fill them in, or give a table, where values may be missing"))
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(
            say("cannot use {type} as an array: {error}", type=type(values).__name__, error=reason)
        ) from error


# ---------------------------------------------------------------------------------------------------- targets


def _table(table: pa.Table, target: str | int | None, need_target: bool, name: object) -> Table:
    """The table with its target found."""
    table = files.check_table(table, name)
    columns = table.column_names
    if target is not None:
        if str(target) in columns:
            return Table(table, str(target))
        if not need_target:
            return Table(table)
        close = difflib.get_close_matches(str(target), columns, n=1)
        text = say(
            "{name} has no column {target!r} to predict; its columns are: {columns}.{hint}",
            name=name,
            target=str(target),
            columns=listed(columns),
            hint=say(" Did you mean {close!r}?", close=close[0]) if close else "",
        )
        raise DataError(text)
    if not need_target:
        return Table(table)
    for usual in _TARGET_NAMES:
        found = [column for column in columns if column.lower() == usual]
        if len(found) == 1:
            return Table(table, found[0])
    text = say(
        "which column of {name} is to be predicted? Name it with target=... (--target on the command line); "
        "the columns are: {columns}",
        name=name,
        columns=listed(columns),
    )
    raise DataError(text)


def _named_arrays(
    arrays: Mapping[str, np.ndarray], target: str | int | None, need_target: bool, file: object, name: str
) -> Source:
    train, test = files.arrays_by_name(arrays, file)
    if train.y is None:
        return Source(name, _array(train.x, target, need_target, file))
    return Source(name, train, test)


def _array(array: np.ndarray, target: str | int | None, need_target: bool, name: object) -> Arrays:
    """A single array: with ``target`` the number of a column, that column is taken out of the inputs."""
    if target is None:
        if need_target:
            text = say(
                "{name} is a single array without targets; give the number of the column to predict with target=... "
                "(--target -1 for the last), or a pair (x, y)",
                name=name,
            )
            raise DataError(text)
        return Arrays(array)
    try:
        column = int(target)
    except ValueError:
        text = say(
            "the columns of {name} have numbers, not names; {target!r} is not a whole number", name=name, target=target
        )
        raise DataError(text) from None
    x = Arrays(array).x
    if x.ndim != 2 or not -x.shape[1] <= column < x.shape[1]:
        text = say(
            "{name} has no column {column} to predict: its shape is {shape}, expected (rows, columns)",
            name=name,
            column=column,
            shape=x.shape,
        )
        raise DataError(text)
    return Arrays(np.delete(x, column, axis=1), x[:, column])
