"""Valid small files, made anew and always the same: ``python -m reliability.malformed.seeds FOLDER``."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import itertools
import os
import struct
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from reliability.malformed.mutations import tree_text

ROWS = 24
FAST = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
"""Where files are in memory, if there is such a place."""

OPTIONS: dict[str, Any] = {
    **{"hidden": (4, 3), "epochs": 3, "dropout": 0.2, "early_stopping": "patience2"},
    **{"threads": 1, "engine": "reference"},
}
Files = dict[str, bytes]
"""A folder: contents by the files' names, which may have folders in them."""


def csv_text(separator: str = ",", rows: int = ROWS) -> str:
    """A table with numbers, text in quotes, dates, booleans and missing values; the target is y."""
    lines = [separator.join(("n", "area", "city", "garden", "built", "y"))]
    for k in range(rows):
        city = ("Bern", '"Basel, ""Stadt"""', "Zug", "", '"two\nlines"', "Zürich")[k % 6]
        area = "" if k % 7 == 3 else f"{3.25 * k + 1:g}"
        day = f"20{k % 25:02}-0{k % 9 + 1}-{k % 27 + 1:02}"
        lines.append(separator.join((str(k), area, city, str(k % 2 == 0).lower(), day, "ab"[k * k % 7 % 2])))
    return "\n".join(lines) + "\n"


def frame(rows: int = ROWS) -> pa.Table:
    """The same kind of table in Arrow's types."""
    rng = np.random.default_rng(3)
    k = np.arange(rows)
    return pa.table(
        {
            "n": pa.array(k),
            "area": pa.array(rng.normal(size=rows), mask=k % 7 == 3),
            "small": pa.array((k % 5).astype(np.uint8)),
            "city": pa.array(np.array(["Bern", "Basel", "Zug", "Zürich"])[k % 4]),
            "kind": pa.array(np.array(["x", "y"])[k % 2]).dictionary_encode(),
            "garden": pa.array(k % 2 == 0),
            "built": pa.array(k.astype("datetime64[D]") + np.timedelta64(9000, "D")),
            "at": pa.array(k.astype("datetime64[us]") + np.timedelta64(10**15, "us")),
            "y": pa.array(np.array(["a", "b"])[k * k % 7 % 2]),
        }
    )


def parquet_bytes(table: pa.Table, **options: Any) -> bytes:
    """A Parquet file with checksums of its pages."""
    buffer = io.BytesIO()
    parquet.write_table(table, buffer, **{"write_page_checksum": True, **options})
    return buffer.getvalue()


def images(kind: str = "u1", shape: tuple[int, ...] = (12, 3, 4)) -> np.ndarray:
    """Small images."""
    return np.random.default_rng(1).integers(0, 100, shape).astype(kind)


def labels(rows: int = 12) -> np.ndarray:
    """Their classes."""
    return (np.arange(rows) % 3).astype(np.uint8)


def idx_bytes(array: np.ndarray) -> bytes:
    """An idx file."""
    code = {"u1": 8, "i1": 9, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}[array.dtype.str[1:]]
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


def npy_bytes(array: np.ndarray, **options: Any) -> bytes:
    """A .npy file."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, **options)
    return buffer.getvalue()


def npz_bytes(*, compressed: bool = False, **arrays: np.ndarray) -> bytes:
    """A .npz file."""
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def named_arrays() -> dict[str, np.ndarray]:
    """Training and test arrays as an archive names them."""
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(14, 3)).astype(np.float32), (np.arange(14) % 2).astype(np.int64)
    return {"x_train": x[:9], "y_train": y[:9], "x_test": x[9:], "y_test": y[9:]}


def gz(content: bytes) -> bytes:
    """Packed with gzip, without the time."""
    return gzip.compress(content, mtime=0)


# What glassnet itself writes


def document(tree: Any) -> bytes:
    """A document as glassnet writes it, with its checksum."""
    if not isinstance(tree, dict):
        return tree_text(tree)
    form: dict[str, Any] = {"ensure_ascii": False, "indent": 1, "sort_keys": True}
    body = {key: value for key, value in tree.items() if key != "sha256"}
    digest = hashlib.sha256(tree_text(body, **form) + b"\n").hexdigest()
    return tree_text({**body, "sha256": digest}, **form) + b"\n"


@contextlib.contextmanager
def a_clock_of_its_own() -> Iterator[None]:
    """Times that are always the same, so that what is written is, too."""
    ticks = (number / 1024 for number in itertools.count())
    with mock.patch("time.perf_counter", ticks.__next__), mock.patch("time.monotonic", return_value=0.0):
        yield


def make_run(folder: Path) -> None:
    """A run on ``table.csv``, whose folder is ``run``, and an estimator in ``estimator``."""
    import glassnet
    from glassnet import MLPClassifier

    (folder / "table.csv").write_text(csv_text(), encoding="utf-8")
    here = Path.cwd()
    os.chdir(folder)  # so that the configuration names the table without the folder
    try:
        with a_clock_of_its_own(), warnings.catch_warnings(action="ignore"):
            glassnet.fit("table.csv", out="run", checkpoint_every="epoch", record=True, **OPTIONS)
            network = glassnet.Network.dense([3, 4, 2], activation="elu(alpha=0.5)", dtype="float64", input_dropout=0.1)
            glassnet.Model(network, "squared_error").save("plain")
            network = glassnet.Network.dense([3, 4, 4, 2], activation=["tanh", "relu"], output="logistic", seed=1)
            glassnet.Model(network, "binary_cross_entropy").save("labels")
            x = images().reshape(12, -1) / 100
            estimator = MLPClassifier((4,), max_iter=3, standardize=True, early_stopping=True, random_state=0)
            estimator.fit(x, np.array(["one", "two", "three"])[labels()]).save("estimator")
    finally:
        os.chdir(here)


def written(folder: Path) -> Files:
    """All files of a folder, at whatever depth."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def put(folder: Path, files: Files) -> None:
    """Write a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


if __name__ == "__main__":
    make_run(Path(sys.argv[1]))
