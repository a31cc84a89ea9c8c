"""Every kind of source gives the same rows, and every bad one an error that says what is wrong."""

from __future__ import annotations

import csv
import gzip
import struct
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from glassnet import reading
from glassnet.data import BUNDLED, Arrays, Table, load_source
from glassnet.errors import DataError

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="data folder not here")

COLUMNS = {"size": [1.5, 2.5, None], "rooms": [1, 2, 3], "city": ["Bonn", None, "Köln"], "price": [10, 20, 30]}
CSV = "size,rooms,city,price\n1.5,1,Bonn,10\n2.5,2,?,20\n,3,Köln,30\n"

X = np.arange(12, dtype=np.float64).reshape(4, 3)
Y = np.array([0, 1, 1, 0])


def idx_bytes(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_mnist(folder: Path, *, ending: str = "") -> None:
    for prefix, rows in (("train", 6), ("t10k", 2)):
        for kind, array in (
            ("images-idx3", np.arange(rows * 6, dtype=np.uint8).reshape(rows, 2, 3)),
            ("labels-idx1", np.arange(rows, dtype=np.uint8)),
        ):
            body = idx_bytes(array)
            path = folder / f"{prefix}-{kind}-ubyte{ending}"
            path.write_bytes(gzip.compress(body) if ending else body)


# ---------------------------------------------------------------------------------------------------- tables


def write_table(kind: str, folder: Path) -> object:
    """The table of ``COLUMNS`` in one of the forms that a source can have."""
    table = pa.table(COLUMNS)
    path = folder / f"houses.{kind}"
    match kind:
        case "csv":
            path.write_text(CSV, encoding="utf-8")
        case "csv.gz":
            path.write_bytes(gzip.compress(CSV.encode()))
        case "tsv":
            path.write_text(CSV.replace(",", "\t"), encoding="utf-8")
        case "semicolons":
            path = folder / "houses.csv"
            path.write_text(CSV.replace(",", ";"), encoding="utf-8")
        case "byte order mark":
            path = folder / "houses.csv"
            path.write_text(CSV, encoding="utf-8-sig")
        case "parquet":
            pq.write_table(table, path)
        case "parquet folder":
            path = folder / "houses"
            path.mkdir()
            pq.write_table(table.slice(0, 1), path / "part-0.parquet")
            pq.write_table(table.slice(1), path / "part-1.parquet")
        case "pandas":
            return pd.DataFrame(COLUMNS)
        case "polars":
            return pl.DataFrame(COLUMNS)
        case "arrow":
            return table
        case "record batch":
            return table.to_batches()[0]
        case "string path":
            path = folder / "houses.csv"
            path.write_text(CSV, encoding="utf-8")
            return str(path)
    return path


TABLE_KINDS = [
    "csv",
    "csv.gz",
    "tsv",
    "semicolons",
    "byte order mark",
    "parquet",
    "parquet folder",
    "pandas",
    "polars",
    "arrow",
    "record batch",
    "string path",
]


@pytest.mark.parametrize("kind", TABLE_KINDS)
def test_tables_of_every_form(kind: str, tmp_path: Path) -> None:
    source = load_source(write_table(kind, tmp_path), target="price")
    assert isinstance(source.train, Table)
    assert source.test is None
    assert source.train.rows == 3
    assert source.train.target == "price"
    assert source.train.feature_columns == ["size", "rooms", "city"]
    assert source.train.columns.to_pydict() == COLUMNS
    assert source.train.y.to_pylist() == [10, 20, 30]


def test_a_pair_of_a_frame_and_a_series() -> None:
    frame = pd.DataFrame(COLUMNS)
    named = load_source((frame[["size", "city"]], frame["price"])).train
    assert (named.target, named.y.to_pylist()) == ("price", [10, 20, 30])
    unnamed = load_source((pl.DataFrame({"a": [1, 2]}), ["x", "y"])).train
    assert (unnamed.target, unnamed.y.to_pylist()) == ("target", ["x", "y"])


def test_take_remembers_where_the_rows_stood() -> None:
    table = load_source(pa.table(COLUMNS), target="price").train
    taken = table.take([2, 0]).take([0])
    assert taken.columns.to_pydict() == {name: [values[2]] for name, values in COLUMNS.items()}
    assert taken.row_numbers.tolist() == [2]
    assert table.take([]).rows == 0


@pytest.mark.parametrize("name", ["target", "y", "label", "Class"])
def test_a_column_of_the_usual_name_is_the_target(name: str) -> None:
    assert load_source({"a": [1, 2], name: [0, 1]}).train.target == name


def test_at_prediction_no_target_is_needed() -> None:
    frame = pd.DataFrame({"a": [1], "y": [2]})
    assert load_source(frame, need_target=False).train.target is None
    assert load_source(frame, target="y", need_target=False).train.target == "y"
    assert load_source(frame, target="b", need_target=False).train.target is None
    assert load_source(X, need_target=False).train.y is None


def test_a_csv_file_with_newlines_in_quotes_and_numbers_late(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('a,y\n"one\ntwo",1\nthree,2.5\n')
    assert load_source(path).train.columns.to_pydict() == {"a": ["one\ntwo", "three"], "y": [1.0, 2.5]}


# ---------------------------------------------------------------------------------------------------- arrays


def write_arrays(kind: str, folder: Path) -> tuple[object, dict[str, object]]:
    path = folder / "data.npz"
    both = np.column_stack([X, Y])
    match kind:
        case "npz x y":
            np.savez(path, x=X, y=Y)
        case "npz X labels":
            np.savez(path, X=X, labels=Y)
        case "npz train only":
            np.savez(path, x_train=X, y_train=Y)
        case "npz with a column":
            np.savez(path, data=both)
            return path, {"target": -1}
        case "npy with a column":
            path = folder / "data.npy"
            np.save(path, both)
            return path, {"target": "-1"}
        case "first column":
            return np.column_stack([Y, X]), {"target": 0}
        case "pair":
            return (X, Y), {}
        case "pair of lists":
            return (X.tolist(), Y.tolist()), {}
        case "dict":
            return {"features": X, "targets": Y}, {}
    return path, {}


ARRAY_KINDS = [
    "npz x y",
    "npz X labels",
    "npz train only",
    "npz with a column",
    "npy with a column",
    "first column",
    "pair",
    "pair of lists",
    "dict",
]


@pytest.mark.parametrize("kind", ARRAY_KINDS)
def test_arrays_of_every_form(kind: str, tmp_path: Path) -> None:
    source, options = write_arrays(kind, tmp_path)
    part = load_source(source, **options).train
    assert isinstance(part, Arrays)
    assert (part.rows, part.feature_shape) == (4, (3,))
    assert np.array_equal(part.x, X)
    assert np.array_equal(part.y, Y)
    assert part.take([3, 1]).take([1]).row_numbers.tolist() == [1]


def test_an_archive_with_a_test_set(tmp_path: Path) -> None:
    path = tmp_path / "mnist.npz"
    np.savez(path, x_train=X, y_train=Y, x_test=X[:1], y_test=Y[:1])
    source = load_source(path)
    assert (source.train.rows, source.test.rows) == (4, 1)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_the_four_files_of_mnist(ending: str, tmp_path: Path) -> None:
    write_mnist(tmp_path, ending=ending)
    source = load_source(tmp_path)
    assert (source.train.rows, source.test.rows, source.train.feature_shape) == (6, 2, (2, 3))
    alone = load_source(tmp_path / f"train-images-idx3-ubyte{ending}")
    assert alone.test is None
    assert np.array_equal(alone.train.x, np.arange(36, dtype=np.uint8).reshape(6, 2, 3))
    assert alone.train.y.tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_sets(name: str) -> None:
    part = load_source(name.replace("_", "-")).train
    if name == "digits":
        assert isinstance(part, Arrays)
        assert (part.rows, part.feature_shape, part.x.dtype, int(part.x.max())) == (1797, (8, 8), np.uint8, 16)
    else:
        assert part.target == "target"
        assert pa.types.is_string(part.y.type) == (name != "diabetes")


@needs_shared
def test_shared_data() -> None:
    mnist = load_source(SHARED / "mnist")
    assert (mnist.train.rows, mnist.test.rows, mnist.train.feature_shape) == (60000, 10000, (28, 28))
    csv = load_source(SHARED / "california-housing" / "california-housing.csv", target="median_house_value").train
    parquet = load_source(
        SHARED / "california-housing" / "california-housing.parquet", target="median_house_value"
    ).train
    assert csv.rows == parquet.rows == 20640
    assert csv.columns.equals(parquet.columns)
    fashion = load_source(SHARED / "fashion-mnist-2k" / "fashion-mnist-2k.npz").train
    assert fashion.feature_shape == (28, 28)


# ---------------------------------------------------------------------------------------------------- bad files

BAD_FILES: list[tuple[str, str, bytes, str]] = [
    ("empty", "a.csv", b"", "is empty"),
    ("blank", "a.csv", b"\n\n", "is empty"),
    ("header only", "a.csv", b"a,y\n", "no rows"),
    ("no target column", "a.csv", b"a,b\n1,2\n", "target=.*columns are: a, b"),
    ("too few values", "a.csv", b"a,y\n1,2\n\n3\n4,5\n", "line 4: 1 values, but the first line names 2"),
    ("too many values", "a.csv", b'a,y\n"x\nx",2\n3,4,5\n', "line 4: 3 values, but the first line names 2"),
    ("too many from the start", "a.csv", b"a,y\n1,2,3\n", "line 2: 3 values"),
    ("latin-1 value", "a.csv", "a,y\nx,1\né,1\n".encode("latin-1"), r"not UTF-8 text \(line 3\)"),
    ("latin-1 name", "a.csv", "é,y\nx,1\n".encode("latin-1"), r"not UTF-8 text \(line 1\)"),
    ("utf-16", "a.csv", "a,y\nx,1\n".encode("utf-16"), "not UTF-8"),
    ("two columns of a name", "a.csv", b"a,b,a,y\n1,2,3,4\n", "more than one column called 'a'"),
    ("no line of names", "a.csv", b"1.5,2\n3,4\n", "holds numbers"),
    ("corrupt gzip", "a.csv.gz", b"not gzip at all", "cannot read .* as CSV"),
    ("truncated gzip", "a.csv.gz", gzip.compress(b"a,y\n" + b"1,2\n" * 9999)[:-20], "cannot read .* as CSV"),
    ("not Parquet", "a.parquet", b"PAR1 and then nothing of use", "cannot read .*a.parquet as Parquet"),
    ("empty Parquet", "a.parquet", b"", "cannot read .*a.parquet as Parquet"),
    ("not npz", "a.npz", b"PK\x03\x04 broken", "cannot read .*a.npz as NumPy"),
    ("not npy", "a.npy", b"\x93NUMPY\x01\x00broken", "cannot read .*a.npy as NumPy"),
    ("empty npy", "a.npy", b"", "cannot read .*a.npy as NumPy"),
    ("a pickle as npy", "a.npy", b"\x80\x04]\x94.", "Python objects"),
    ("unknown ending", "a.xlsx", b"PK", "cannot tell what .* is"),
    (
        "wrong magic",
        "train-images-idx3-ubyte",
        b"\x01\x02\x03\x04" + b"\0" * 20,
        "not an idx file: it begins with 01 02 03 04",
    ),
    ("short magic", "train-images-idx3-ubyte", b"\0\0", "not an idx file"),
    ("empty idx", "train-images-idx3-ubyte", b"", "not an idx file"),
    ("short header", "train-images-idx3-ubyte", b"\0\0\x08\x03\0\0\0\x02", "cut short: 12 bytes expected, 4 found"),
    (
        "short body",
        "train-images-idx3-ubyte",
        idx_bytes(np.zeros((2, 2, 2), np.uint8))[:-3],
        "cut short: 8 bytes expected, 5",
    ),
    ("long body", "train-images-idx3-ubyte", idx_bytes(np.zeros((2, 2, 2), np.uint8)) + b"0", "longer than its header"),
    ("no labels", "train-images-idx3-ubyte", idx_bytes(np.zeros((2, 2, 2), np.uint8)), "no file of labels"),
    ("labels alone", "train-labels-idx1-ubyte", idx_bytes(np.zeros(2, np.uint8)), "holds labels, not images"),
    ("corrupt idx gzip", "train-images-idx3-ubyte.gz", b"not gzip", "cannot read .* as idx"),
    ("huge idx", "train-images-idx3-ubyte", b"\0\0\x08\x03" + b"\xff" * 12, "does not fit into memory"),
]


@pytest.mark.parametrize(
    ("name", "body", "message"), [case[1:] for case in BAD_FILES], ids=[case[0] for case in BAD_FILES]
)
def test_bad_files(name: str, body: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(body)
    with pytest.raises(DataError, match=message):
        load_source(path)


@pytest.mark.parametrize("share", [0.3, 0.99])
def test_truncated_parquet(share: float, tmp_path: Path) -> None:
    path = tmp_path / "cut.parquet"
    pq.write_table(pa.table({"a": range(1000), "y": range(1000)}), path)
    body = path.read_bytes()
    path.write_bytes(body[: int(len(body) * share)])
    with pytest.raises(DataError, match=r"cut\.parquet as Parquet"):
        load_source(path)


def test_damaged_parquet_pages(tmp_path: Path) -> None:
    path = tmp_path / "bad.parquet"
    pq.write_table(pa.table({"a": range(1000), "y": range(1000)}), path)
    body = bytearray(path.read_bytes())
    body[4:400] = b"\xff" * 396
    path.write_bytes(body)
    with pytest.raises(DataError, match=r"bad\.parquet as Parquet"):
        load_source(path)


@pytest.mark.parametrize("save", [np.save, lambda path, array: np.savez(path, x=array, y=Y)])
def test_object_arrays_are_never_unpickled(save: object, tmp_path: Path) -> None:
    path = tmp_path / ("objects.npy" if save is np.save else "objects.npz")
    save(path, np.array([{"code": 1}, None], dtype=object))
    with pytest.raises(DataError, match="Python objects"):
        load_source(path)


def test_npy_and_npz_with_the_other_ending(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", X)
    (tmp_path / "a.npy").rename(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", x=X)
    (tmp_path / "b.npz").rename(tmp_path / "b.npy")
    for name, message in (("a.npz", "is a .npy array"), ("b.npy", "is a .npz archive")):
        with pytest.raises(DataError, match=message):
            load_source(tmp_path / name)


def test_parquet_files_of_a_folder_need_the_same_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1], "y": [1]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"b": [1], "y": [1]}), tmp_path / "2.parquet")
    with pytest.raises(DataError, match=r"2\.parquet has the columns b, y, but 1\.parquet has a, y"):
        load_source(tmp_path)
    pq.write_table(pa.table({"a": ["x"], "y": [1]}), tmp_path / "2.parquet")
    with pytest.raises(DataError, match="do not fit together"):
        load_source(tmp_path)


def test_folders_that_hold_nothing_of_use(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="neither Parquet"):
        load_source(tmp_path)
    write_mnist(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").unlink()
    with pytest.raises(DataError, match="no file of training images"):
        load_source(tmp_path)


def test_labels_that_do_not_fit_the_images(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(5, np.uint8)))
    with pytest.raises(DataError, match="6 images"):
        load_source(tmp_path)


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "houses.csv").write_text(CSV)
    for source, message in [
        ("irsi", "Did you mean 'iris'"),
        (tmp_path / "house.csv", "Did you mean '.*houses.csv'"),
        (tmp_path / "nowhere" / "at.csv", "files must exist"),
        ("bad\0name", "files must exist"),
        ("n" * 5000, "files must exist"),
    ]:
        with pytest.raises(DataError, match=message):
            load_source(source)


# ---------------------------------------------------------------------------------------------------- bad objects

NESTED = pa.table({"a": [1], "tags": [["x", "y"]], "y": [1]})

BAD_OBJECTS: list[tuple[str, object, dict[str, object], str]] = [
    ("missing target", pd.DataFrame({"size": [1]}), {"target": "sise"}, "no column 'sise'.*Did you mean 'size'"),
    ("two columns of a name", pd.DataFrame([[1, 2]], columns=["a", "a"]), {}, "Duplicate column names"),
    ("mixed column", pd.DataFrame({"a": [1, "x"]}), {}, "cannot use the table: .*column a"),
    ("nested column", NESTED, {}, "column 'tags' .* holds list"),
    ("binary column", pa.table({"a": [b"x"], "y": [1]}), {}, "column 'a' .* holds binary"),
    ("no rows", pa.table({"a": pa.array([], pa.int64())}), {"target": "a"}, "no rows"),
    ("no columns", pd.DataFrame(), {}, "no rows"),
    ("array without target", X, {}, "single array without targets"),
    ("array with a name", X, {"target": "price"}, "not a whole number"),
    ("column out of range", X, {"target": 3}, "no column 3"),
    ("column of images", np.zeros((2, 3, 3)), {"target": 0}, "no column 0"),
    ("one-dimensional inputs", (np.arange(3), np.arange(3)), {}, "reshape"),
    ("text inputs", (np.array([["a"]]), [1]), {}, "real numbers"),
    ("complex inputs", (np.zeros((1, 1), complex), [1]), {}, "real numbers"),
    ("object inputs", (np.array([[None]]), [1]), {}, "real numbers"),
    ("ragged list", ([[1], [1, 2]], [1, 2]), {}, "cannot use list as an array"),
    ("masked array", (np.ma.masked_less(X, 2), Y), {}, "masked values"),
    ("rows differ", (X, Y[:3]), {}, "4 rows of inputs but 3 targets"),
    ("targets of three dimensions", (X, np.zeros((4, 1, 1))), {}, "targets must have the shape"),
    ("no rows in arrays", (X[:0], Y[:0]), {}, "no rows"),
    ("three in a tuple", (X, Y, Y), {}, "3 entries"),
    ("frame and rows differ", (pd.DataFrame({"a": [1, 2]}), [1]), {}, "2 rows of inputs but 1 targets"),
    ("frame and two targets", (pd.DataFrame({"a": [1]}), [[1, 2]]), {}, "beside a table"),
    ("target named as a column", (pd.DataFrame({"a": [1]}), pd.Series([1], name="a")), {}, "rename one"),
    ("target of mixed things", (pd.DataFrame({"a": [1, 2]}), pd.Series([1, "x"])), {}, "cannot use the targets"),
    ("unknown keys", {"inputs": X, "y": Y}, {}, "it holds inputs, y"),
    ("ambiguous keys", {"x": X, "data": X, "y": Y}, {}, "x and data could each be meant, of the arrays x, data, y"),
    ("sparse matrix", {"data": X, "indices": Y, "indptr": Y}, {}, "sparse"),
    ("columns of two lengths", {"a": [1, 2], "y": [1]}, {}, "cannot use the table"),
    ("lazy frame", pl.LazyFrame({"a": [1]}), {}, "polars.*LazyFrame"),
    ("a number", 3, {}, "cannot read data from an object of type builtins.int"),
]


@pytest.mark.parametrize(
    ("source", "options", "message"), [case[1:] for case in BAD_OBJECTS], ids=[case[0] for case in BAD_OBJECTS]
)
def test_bad_objects(source: object, options: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_source(source, **options)


def test_a_long_list_of_columns_is_cut() -> None:
    with pytest.raises(DataError, match=r"c18, c19, \.\.\. \(50 in all\)"):
        load_source({f"c{place}": [1] for place in range(50)}, target="price")


def test_a_folder_without_data_does_not_hide_a_bundled_set(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("iris").mkdir()
    (Path("iris") / "config.json").write_text("{}")
    assert load_source("iris").train.rows == 150
    (Path("iris") / "rows.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="rows"):
        load_source("iris")


# ---------------------------------------------------------------------------------------------------- odd but right

TEXTS = pa.table(
    {
        "t": pa.array(["a", "bb", None, ""] * 500),
        "l": pa.array(["long"] * 2000, pa.large_string()),
        "y": np.arange(2000),
    }
)
DIFFERENCES = {
    "use_dictionary": False,
    "column_encoding": {"t": "DELTA_BYTE_ARRAY", "l": "DELTA_LENGTH_BYTE_ARRAY", "y": "PLAIN"},
}


@pytest.mark.parametrize(
    "options", [{}, {"row_group_size": 300}, {"data_page_version": "2.0"}, {"write_page_checksum": True}, DIFFERENCES]
)
def test_parquet_texts_keep_their_type_whatever_their_encoding(options, tmp_path: Path) -> None:
    pq.write_table(TEXTS, tmp_path / "a.parquet", **options)
    assert load_source(tmp_path / "a.parquet").train.columns.equals(TEXTS)


def test_an_archive_may_hold_other_files_beside_its_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=X, y=Y)
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.writestr("readme.txt", "what this is")
        archive.writestr("folder/", "")
    assert (load_source(tmp_path / "a.npz").train.x == X).all()


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ('"total\n(USD)";b;y\n1;2;0\n', {"total\n(USD)": [1], "b": [2], "y": [0]}),
        ('\ufeff"a","b ""c""",y\r\n1,"2\n3",0\r\n', {"a": [1], 'b "c"': ["2\n3"], "y": [0]}),
        ('a,y\n5" pipe,1\n6,0\n', {"a": ['5" pipe', "6"], "y": [1, 0]}),
        ("a,y\r1,2\r3,4\r", {"a": [1, 3], "y": [2, 4]}),
        ("a,y\n" + "x" * 200_000 + ",1\n", {"a": ["x" * 200_000], "y": [1]}),
        ('a,y\n"' + "x" * 200_000 + '",1\n', {"a": ["x" * 200_000], "y": [1]}),
    ],
)
def test_odd_csv_files_that_are_right(text: str, columns: dict[str, list[object]], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(text.encode())
    assert load_source(tmp_path / "a.csv").train.columns.to_pydict() == columns


@pytest.mark.parametrize("free", [None, 10**9, 10**6])
def test_arrays_that_shrink_well_may_take_a_quarter_of_the_memory(
    free: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros((1000, 500)), y=np.arange(1000) % 2)
    monkeypatch.setattr(reading, "UNPACKED_FREELY", 1 << 20)
    monkeypatch.setattr(reading, "available_memory", lambda: free)
    if free == 10**9:
        assert load_source(tmp_path / "a.npz").train.rows == 1000
        return
    with pytest.raises(DataError, match=r"a\.npz as NumPy: it unpacks to more than .* store it without packing"):
        load_source(tmp_path / "a.npz")


def test_links_are_followed_where_the_user_names_them_and_within_a_folder(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "data").mkdir()
    pq.write_table(TEXTS, tmp_path / "store" / "a.parquet")
    (tmp_path / "named.parquet").symlink_to(tmp_path / "store" / "a.parquet")
    assert load_source(tmp_path / "named.parquet", target="y").train.rows == 2000
    (tmp_path / "data" / "b.parquet").symlink_to(tmp_path / "store" / "a.parquet")
    with pytest.raises(DataError, match=r"b\.parquet is a symbolic link that leads out of its folder"):
        load_source(tmp_path / "data", target="y")
    (tmp_path / "data" / "b.parquet").unlink()
    pq.write_table(TEXTS, tmp_path / "data" / "a.parquet")
    (tmp_path / "data" / "b.parquet").symlink_to("a.parquet")
    assert load_source(tmp_path / "data", target="y").train.rows == 4000


@pytest.mark.slow
def test_a_process_ends_after_a_file_that_was_refused_while_it_was_read(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.csv.gz", "wb", compresslevel=1) as file:
        file.write(b"a,b,y\n" + b"1.5,2.5,0\n" * 20_000_000)
    code = f"from glassnet.data import load_source\nload_source({str(tmp_path / 'a.csv.gz')!r})"
    for _ in range(5):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
        assert "it unpacks to more than" in done.stderr
        assert done.returncode == 1


def test_the_limit_of_the_csv_module_stays_the_users(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('a,y\n"' + "x" * 200_000 + '\n",1\n')
    before = csv.field_size_limit()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: load_source(tmp_path / "a.csv").train.rows, range(40)))
    assert found == [1] * 40
    assert csv.field_size_limit() == before
