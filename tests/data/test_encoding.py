"""Tables and arrays as features: the same way in training and at prediction, and stored without loss."""

from __future__ import annotations

import datetime
import decimal
import json
import time
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassnet.data import Arrays, Encoding, Table, available_memory, check_memory, load_source
from glassnet.errors import ConfigError, DataError, ModelFileError, ShapeError
from glassnet.memory import size_text
from glassnet.messages import say

quick = settings(deadline=None, max_examples=60, database=None)

INF, NAN = float("inf"), float("nan")


def table(target: str | None = None, **columns: Any) -> Table:
    return Table(pa.table(columns), target)


def fit_encode(part: Table | Arrays, **options: Any) -> tuple[Encoding, np.ndarray]:
    encoding = Encoding.fit(part, **options)
    encoded = encoding.encode(part, dtype="float64")
    assert encoded.shape == (part.rows, encoding.n_features)
    assert len(encoding.feature_names) == encoding.n_features
    assert encoded.flags.c_contiguous
    stored = Encoding.from_json(json.loads(json.dumps(encoding.to_json())))
    assert stored == encoding
    assert np.array_equal(stored.encode(part, dtype="float64"), encoded)
    return encoding, encoded


# ---------------------------------------------------------------------------------------------------- one column

CLOCK = ["a.hour_sin", "a.hour_cos"]
ROOT = 1.5**0.5  # of values one apart, the standardised outer ones

COLUMNS: list[tuple[str, pa.Array, dict[str, Any], list[str], list[list[float]]]] = [
    ("integers", pa.array([1, 2, 3]), {}, ["a"], [[-ROOT], [0], [ROOT]]),
    ("floats", pa.array([0.1, 0.2, 0.3]), {}, ["a"], [[-ROOT], [0], [ROOT]]),
    ("decimals", pa.array([decimal.Decimal("1.5"), decimal.Decimal("2.5")]), {}, ["a"], [[-1], [1]]),
    ("unsigned bytes", pa.array([0, 255], pa.uint8()), {}, ["a"], [[-1], [1]]),
    ("half precision", pa.array([1.0, 2.0], pa.float16()), {}, ["a"], [[-1], [1]]),
    ("durations", pa.array([1, 3], pa.duration("s")), {"scaling": "none"}, ["a"], [[1], [3]]),
    ("constant", pa.array([0.1, 0.1, 0.1]), {}, ["a"], [[0], [0], [0]]),
    ("range", pa.array([2, 4, 3]), {"scaling": "minmax"}, ["a"], [[0], [1], [0.5]]),
    ("as they are", pa.array([2, 4, 3]), {"scaling": "none"}, ["a"], [[2], [4], [3]]),
    ("tiny", pa.array([0.0, 1e-300]), {}, ["a"], [[-1], [1]]),
    ("huge", pa.array([0.0, 1e150]), {}, ["a"], [[-1], [1]]),
    ("null", pa.array([1, None, 3]), {}, ["a", "a.missing"], [[-1, 0], [0, 1], [1, 0]]),
    ("NaN", pa.array([1.0, NAN, 3.0]), {}, ["a", "a.missing"], [[-1, 0], [0, 1], [1, 0]]),
    ("null as they are", pa.array([1, None, 3]), {"scaling": "none"}, ["a", "a.missing"], [[1, 0], [2, 1], [3, 0]]),
    ("booleans", pa.array([True, False]), {}, ["a"], [[1], [0]]),
    ("booleans, null", pa.array([True, None, True, False, False]), {}, ["a", "a.missing"],
     [[1, 0], [0.5, 1], [1, 0], [0, 0], [0, 0]]),
    ("text", pa.array(["b", "a", "b"]), {}, ["a=a", "a=b", "a.other"], [[0, 1, 0], [1, 0, 0], [0, 1, 0]]),
    ("text, null", pa.array(["b", None]), {}, ["a=b", "a.missing", "a.other"], [[1, 0, 0], [0, 1, 0]]),
    ("large text", pa.array(["b", "a"], pa.large_string()), {}, ["a=a", "a=b", "a.other"], [[0, 1, 0], [1, 0, 0]]),
    ("dictionary", pa.array(["b", "a"]).dictionary_encode(), {}, ["a=a", "a=b", "a.other"], [[0, 1, 0], [1, 0, 0]]),
    ("dictionary of numbers", pa.array([2, 1]).dictionary_encode(), {}, ["a=1", "a=2", "a.other"],
     [[0, 1, 0], [1, 0, 0]]),
    ("most frequent", pa.array(["c", "b", "b", "a", "a", "a"]), {"max_categories": 2}, ["a=a", "a=b", "a.other"],
     [[0, 0, 1], [0, 1, 0], [0, 1, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0]]),
    ("times", pa.array([datetime.time(0), datetime.time(6), datetime.time(12)]), {"scaling": "none"}, CLOCK,
     [[0, 1], [1, 0], [0, -1]]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("column", "options", "names", "expected"), [case[1:] for case in COLUMNS], ids=[case[0] for case in COLUMNS]
)
def test_a_column_becomes_features(
    column: pa.Array, options: dict[str, Any], names: list[str], expected: list[list[float]]
) -> None:
    encoding, encoded = fit_encode(table(a=column), **options)
    assert encoding.feature_names == names
    assert encoding.feature_shape is None
    assert np.allclose(encoded, expected, atol=1e-12)
    assert encoding.notes


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC"])
def test_timestamps(unit: str, zone: str | None) -> None:
    moments = [datetime.datetime(1969, 12, 31, 18), datetime.datetime(2024, 2, 29, 6), None]
    encoding, encoded = fit_encode(table(a=pa.array(moments, pa.timestamp(unit, zone))), scaling="none")
    assert encoding.feature_names == [
        *("a.year", "a.month_sin", "a.month_cos", "a.weekday_sin", "a.weekday_cos", "a.day", "a.days"),
        *("a.hour_sin", "a.hour_cos", "a.missing"),
    ]
    for row, moment in enumerate(moments[:2]):
        assert moment is not None
        turn = 2 * np.pi
        month, weekday, hour = (moment.month - 1) / 12 * turn, moment.weekday() / 7 * turn, moment.hour / 24 * turn
        days = (moment.date() - datetime.date(1970, 1, 1)).days
        circles = [np.sin(month), np.cos(month), np.sin(weekday), np.cos(weekday)]
        expected = [moment.year, *circles, moment.day, days, np.sin(hour), np.cos(hour), 0]
        assert np.allclose(encoded[row], expected, atol=1e-12)
    assert np.allclose(encoded[2, :-1], encoded[:2, :-1].mean(axis=0))
    assert encoded[2, -1] == 1
    assert any("UTC" in note for note in encoding.notes) == (zone is not None)


def test_dates_and_timestamps_stand_for_one_another() -> None:
    days = [datetime.date(2020, 1, 1), datetime.date(2021, 7, 9)]
    dates, stamps = table(a=pa.array(days)), table(a=pa.array(days).cast(pa.timestamp("ms")))
    encoding, encoded = fit_encode(dates)
    assert encoding.n_features == 7
    assert np.allclose(encoded.mean(axis=0), 0)
    assert np.array_equal(encoding.encode(stamps, dtype="float64"), encoded)
    assert Encoding.fit(stamps).encode(dates).shape == (2, 9)


# ---------------------------------------------------------------------------------------------------- whole tables


def test_the_target_is_no_feature() -> None:
    assert Encoding.fit(table("y", a=[1, 2], y=[0, 1])).feature_names == ["a"]


def test_values_that_training_did_not_see() -> None:
    encoding = Encoding.fit(table(n=[1.0, 3.0], t=["x", "y"], b=[True, False]))
    encoded = encoding.encode(table(n=[None, 5.0], t=[None, "z"], b=[None, True]))
    assert encoding.feature_names == ["n", "t=x", "t=y", "t.other", "b"]
    assert encoded.tolist() == [[0, 0, 0, 1, 0.5], [3, 0, 0, 1, 1]]


def test_columns_that_are_empty_now() -> None:
    encoding = Encoding.fit(table(n=[1.0, 3.0], t=["x", "y"], d=pa.array([0, 1], pa.date32())))
    encoded = encoding.encode(Table(pa.table({name: pa.nulls(2) for name in "ntd"})))
    assert encoded.tolist() == [[0, 0, 0, 1, *[0] * 7]] * 2


def test_columns_of_a_related_type_now() -> None:
    encoding = Encoding.fit(table(n=[1, 3], t=["1", "x"], b=[True, False]), scaling="none")
    encoded = encoding.encode(table(n=["3", " 1.5 "], t=[1, 2], b=[0, 1]))
    assert encoded.tolist() == [[3, 1, 0, 0, 0], [1.5, 0, 0, 1, 1]]


def test_only_the_training_rows_count() -> None:
    whole = table(a=[0.0, 2.0, 100.0])
    assert Encoding.fit(whole.take([0, 1])).encode(whole).ravel().tolist() == [-1, 1, 99]


def test_frames_of_every_library_are_encoded_alike() -> None:
    columns = {"a": [1.5, None, 2.5], "b": ["x", None, "y"], "y": [0, 1, 0]}
    made = [pd.DataFrame(columns), pl.DataFrame(columns), pa.table(columns)]
    encoded = [Encoding.fit(load_source(frame).train).encode(load_source(frame).train) for frame in made]
    assert np.array_equal(encoded[0], encoded[1])
    assert np.array_equal(encoded[0], encoded[2])


def test_many_rows_in_many_chunks() -> None:
    values = np.random.default_rng(0).normal(size=300_000)
    chunked = pa.chunked_array([values[:7], values[7:200_001], values[200_001:]])
    _encoding, encoded = fit_encode(Table(pa.table({"a": chunked, "b": pa.array(values > 0), "c": pa.array(values)})))
    assert np.allclose(encoded[:, 0], (values - values.mean()) / values.std())
    assert np.array_equal(encoded[:, 1], values > 0)


def test_half_a_million_rows_take_less_than_a_second() -> None:
    values = np.random.default_rng(0).normal(size=500_000)
    part = Table(pa.table({f"c{place}": values for place in range(32)}))
    encoding = Encoding.fit(part.take(np.arange(1000)))
    begin = time.process_time()
    encoding.encode(part)
    assert time.process_time() - begin < 2  # in processor time, with room for a busy machine


def test_100_000_categories() -> None:
    names = [f"id{number}" for number in range(100_000)]
    part = table(a=names, b=range(100_000))
    encoding, _ = fit_encode(part)
    assert encoding.feature_names == ["b"]
    assert any("'a' is left out: 100,000 of its 100,000 values are distinct" in note for note in encoding.notes)
    assert encoding.ignored(part) == ["a"]
    thrice = table(a=names * 3)
    encoding, encoded = fit_encode(thrice)
    assert encoding.n_features == 101
    assert encoding.feature_names[:2] == ["a=id0", "a=id1"]
    assert encoded[:, -1].sum() == 300_000 - 300
    assert any("the 100 most frequent of 100,000 categories" in note for note in encoding.notes)


def test_columns_that_are_left_out() -> None:
    part = Table(
        pa.table({"": [0, 1], "__index_level_0__": [0, 1], "empty": pa.nulls(2), "nan": [NAN, NAN], "a": [1, 2]})
    )
    encoding, _ = fit_encode(part)
    assert encoding.feature_names == ["a"]
    assert encoding.ignored(part) == ["", "__index_level_0__", "empty", "nan"]
    assert sum("left out" in note for note in encoding.notes) == 4


def test_a_note_on_numbers_with_a_stray_text() -> None:
    values = [*map(str, range(50)), "unknown"]
    assert any(
        "'a' counts as text because of values such as 'unknown'" in n for n in Encoding.fit(table(a=values)).notes
    )


def test_extra_columns_are_ignored() -> None:
    encoding = Encoding.fit(table(a=[1, 2]))
    more = table("y", a=[1, 2], b=["x", "y"], y=[0, 1])
    assert encoding.encode(more).shape == (2, 1)
    assert encoding.ignored(more) == ["b"]


LATER: list[tuple[str, Table, Table, str]] = [
    ("missing columns", table(a=[1], b=[1], c=["x"]), table(b=[1]), "missing: a, c; the columns given are: b"),
    ("text for numbers", table(a=[1, 2]), table(a=["1", "two"]), "'a' held numbers .* holds text .*row 1 .*'two'"),
    ("dates for numbers", table(a=[1]), table(a=[datetime.date(2020, 1, 1)]), "held numbers .* holds dates"),
    ("numbers for dates", table(a=[datetime.date(2020, 1, 1)]), table(a=[5]), "held dates .* holds numbers .*: 5"),
    ("text for dates", table(a=[datetime.date(2020, 1, 1)]), table(a=["soon"]), "held dates .* holds text .*'soon'"),
    ("text for booleans", table(a=[True]), table(a=["yes"]), "held true or false .* holds text"),
    ("infinity", table(a=[1, 2]), table(a=[1.0, INF]), "'a' holds inf in row 1"),
    ("too large", table(a=[1, 2]), table(a=[1.0, 1e300]), "'a' holds 1e.300 in row 1"),
    ("infinity, constant", table(a=[1, 1]), table(a=[1.0, -INF]), "'a' holds -inf in row 1"),
]  # fmt: skip


@pytest.mark.parametrize(("first", "then", "message"), [case[1:] for case in LATER], ids=[case[0] for case in LATER])
def test_bad_tables_at_prediction(first: Table, then: Table, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Encoding.fit(first).encode(then)


AT_FIRST: list[tuple[str, Table, str]] = [
    ("infinity", table(a=[1.0, INF]), "'a' holds inf in row 1 "),
    ("minus infinity after null", table(a=[None, 1.0, -INF]), "'a' holds -inf in row 2 "),
    ("too large", table(a=[1.0, -1e200]), "'a' holds -1e.200 in row 1 "),
    ("the row of the source", table(a=[0.0, 1.0, INF]).take([0, 2]), "row 2 "),
    ("only the target", table("y", y=[1, 2]), "no column can be used"),
    ("nothing of use", table("y", a=[None, None], y=[1, 2]), "no column can be used.*'a' is left out: it is empty"),
    ("no rows", table(a=pa.array([], pa.int64())), "no rows"),
]


@pytest.mark.parametrize(("part", "message"), [case[1:] for case in AT_FIRST], ids=[case[0] for case in AT_FIRST])
def test_bad_tables_in_training(part: Table, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Encoding.fit(part)


def test_the_row_that_a_message_names_is_the_source_s() -> None:
    values = np.zeros(1_000_000)
    values[900_000] = INF
    whole = table(a=values)
    with pytest.raises(DataError, match="row 900,000 "):
        Encoding.fit(table(a=[1, 2])).encode(whole)
    with pytest.raises(DataError, match="row 900,000 "):
        Encoding.fit(table(a=[1, 2])).encode(whole.take(np.arange(800_000, 1_000_000)))


@pytest.mark.parametrize("options", [{"scaling": "robust"}, {"max_categories": 0}])
def test_bad_options(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"robust|max_categories"):
        Encoding.fit(table(a=[1]), **options)


# ---------------------------------------------------------------------------------------------------- arrays

IMAGES = np.array([[[0, 255], [51, 102]], [[0, 0], [0, 255]]], dtype=np.uint8)

ARRAYS: list[tuple[str, np.ndarray, dict[str, Any], list[list[float]]]] = [
    ("images", IMAGES, {}, [[0, 1, 0.2, 0.4], [0, 0, 0, 1]]),
    ("sixteen greys", np.array([[0, 16], [4, 8]], np.uint8), {}, [[0, 1], [0.25, 0.5]]),
    ("bits", np.array([[0, 1], [1, 1]], np.uint8), {}, [[0, 1], [1, 1]]),
    ("booleans", np.array([[False, True]]), {}, [[0, 1]]),
    ("floats", np.array([[1.0, 5.0], [3.0, 5.0]]), {}, [[-1, 0], [1, 0]]),
    ("integers", np.array([[1, 5], [3, 5]]), {}, [[-1, 0], [1, 0]]),
    ("single precision", np.array([[1, 5], [3, 5]], np.float32), {}, [[-1, 0], [1, 0]]),
    ("half precision", np.array([[1, 5], [3, 5]], np.float16), {}, [[-1, 0], [1, 0]]),
    ("big endian", np.array([[1, 5], [3, 5]], ">f4"), {}, [[-1, 0], [1, 0]]),
    ("images, standard", IMAGES, {"scaling": "standard"}, [[0, 1, 1, -1], [0, -1, -1, 1]]),
    ("images, range", IMAGES, {"scaling": "minmax"}, [[0, 1, 1, 0], [0, 0, 0, 1]]),
    ("range", np.array([[1.0, 5.0], [3.0, 5.0]]), {"scaling": "minmax"}, [[0, 0], [1, 0]]),
    ("as they are", np.array([[1.0, 5.0], [3.0, 5.0]]), {"scaling": "none"}, [[1, 5], [3, 5]]),
]


@pytest.mark.parametrize(("x", "options", "expected"), [case[1:] for case in ARRAYS], ids=[case[0] for case in ARRAYS])
def test_arrays_become_features(x: np.ndarray, options: dict[str, Any], expected: list[list[float]]) -> None:
    encoding, encoded = fit_encode(Arrays(x), **options)
    assert np.allclose(encoded, expected)
    assert encoding.feature_shape == (x.shape[1:] if x.ndim == 3 else None)
    assert encoding.ignored(Arrays(x)) == []
    assert encoding.notes


def test_names_of_the_features_of_arrays() -> None:
    assert Encoding.fit(Arrays(np.eye(3))).feature_names == ["x0", "x1", "x2"]
    assert Encoding.fit(Arrays(IMAGES)).feature_names == ["x[0,0]", "x[0,1]", "x[1,0]", "x[1,1]"]


def test_images_may_come_flat() -> None:
    encoding = Encoding.fit(Arrays(IMAGES))
    assert np.array_equal(encoding.encode(Arrays(IMAGES.reshape(2, 4))), encoding.encode(Arrays(IMAGES)))
    assert encoding.encode(Arrays(IMAGES)).dtype == np.float32


def with_value(value: float, place: tuple[int, ...], shape: tuple[int, ...]) -> Arrays:
    x = np.random.default_rng(0).normal(size=shape)
    x[place] = value
    return Arrays(x)


@pytest.mark.parametrize("scaling", ["auto", "minmax", "none"])
@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_nan_and_infinity_in_arrays(value: float, scaling: Any) -> None:
    message = rf"hold {value} in row 5, column 2 "
    bad = with_value(value, (5, 2), (8, 3))
    with pytest.raises(DataError, match=message):
        Encoding.fit(bad, scaling=scaling).encode(bad)
    encoding = Encoding.fit(with_value(0.0, (0, 0), (8, 3)), scaling=scaling)
    with pytest.raises(DataError, match=message):
        encoding.encode(with_value(value, (5, 2), (8, 3)))
    with pytest.raises(DataError, match=message):
        encoding.encode(with_value(value, (5, 2), (8, 3)).take([1, 5]))
    with pytest.raises(DataError, match=r"row 5, column 1, 2 "):
        Encoding.fit(with_value(value, (5, 1, 2), (8, 2, 3))).encode(with_value(value, (5, 1, 2), (8, 2, 3)))


def test_arrays_of_another_shape() -> None:
    with pytest.raises(ShapeError, match=r"\(3,\) \(3 features\), but had \(2, 2\) \(4 features\)"):
        Encoding.fit(Arrays(IMAGES)).encode(Arrays(np.zeros((2, 3))))


def test_tables_and_arrays_do_not_mix() -> None:
    with pytest.raises(DataError, match="the training data were arrays"):
        Encoding.fit(Arrays(IMAGES)).encode(table(a=[1]))
    with pytest.raises(DataError, match="with the columns a"):
        Encoding.fit(table(a=[1])).encode(Arrays(IMAGES))
    with pytest.raises(DataError, match="no features"):
        Encoding.fit(Arrays(np.zeros((2, 0))))


# ---------------------------------------------------------------------------------------------------- memory


def test_what_does_not_fit_into_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glassnet.memory.available_memory", lambda: 20 * 2**30)
    message = "1,000,000 × 50,000 × 4 bytes = 186 GiB, but 20 GiB are free"
    with pytest.raises(DataError, match=message):
        check_memory((1_000_000, 50_000), "float32", say("the encoded table"))
    with pytest.raises(DataError, match=r"10 × 20 × 30 × 1,000,000,000 × 8 bytes = 43\.7 TiB"):
        check_memory((10, 20, 30, 10**9), "float64", "x")
    check_memory((1000, 1000), "float32", "x")
    monkeypatch.setattr("glassnet.memory.available_memory", lambda: 11)
    for part in (table(a=[1, 2, 3]), Arrays(np.eye(3)[:, :1])):
        encoding = Encoding.fit(part)
        with pytest.raises(DataError, match="3 × 1 × 4 bytes = 12 bytes, but 11 bytes are free"):
            encoding.encode(part)
    monkeypatch.setattr("glassnet.memory.available_memory", lambda: None)
    check_memory((2**40, 2**20), "float32", "x")


def test_available_memory() -> None:
    free = available_memory()
    assert free is None or 2**20 < free < 2**50


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 bytes"), (1010, "1010 bytes"), (1536, "1.5 KiB"), (2**31, "2 GiB"), (2**52, "4,096 TiB")]
)
def test_sizes_as_text(count: int, text: str) -> None:
    assert size_text(count) == text


# ---------------------------------------------------------------------------------------------------- any table

CELLS = {
    "n": st.one_of(st.none(), st.floats(-1e30, 1e30), st.just(NAN)),
    "i": st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
    "t": st.one_of(st.none(), st.text(max_size=3)),
    "b": st.one_of(st.none(), st.booleans()),
    "d": st.one_of(st.none(), st.dates()),
    "s": st.one_of(st.none(), st.datetimes()),
}
TYPES = {
    "n": pa.float64(),
    "i": pa.int64(),
    "t": pa.string(),
    "b": pa.bool_(),
    "d": pa.date32(),
    "s": pa.timestamp("us"),
}


@st.composite
def tables(draw: st.DrawFn) -> Table:
    rows = draw(st.integers(1, 12))
    columns = {name: draw(st.lists(cell, min_size=rows, max_size=rows)) for name, cell in CELLS.items()}
    made = {name: pa.array(values, TYPES[name]) for name, values in columns.items()}
    return Table(pa.table({**made, "always": pa.array(range(rows))}))


@quick
@given(tables(), st.sampled_from(["auto", "standard", "minmax", "none"]), st.integers(1, 4))
def test_any_table_is_encoded_without_nan_and_stored_exactly(part: Table, scaling: Any, most: int) -> None:
    _encoding, encoded = fit_encode(part, scaling=scaling, max_categories=most)
    assert np.isfinite(encoded).all()
    if scaling in ("auto", "standard"):
        assert np.abs(encoded).max(initial=0) <= part.rows**0.5 + 1e-6


@quick
@given(tables(), st.data())
def test_a_row_is_encoded_the_same_alone_and_among_others(part: Table, data: st.DataObject) -> None:
    encoding, encoded = fit_encode(part)
    row = data.draw(st.integers(0, part.rows - 1))
    assert np.array_equal(encoding.encode(part.take([row]), dtype="float64")[0], encoded[row])


# ---------------------------------------------------------------------------------------------------- files

OF_TABLE = Encoding.fit(table(a=[1, 2], b=["x", "y"])).to_json()
OF_ARRAYS = Encoding.fit(Arrays(np.eye(2))).to_json()
NUMBER, CATEGORY = OF_TABLE["columns"]
DAMAGED = [
    None,
    3,
    {},
    OF_TABLE | {"columns": []},
    OF_TABLE | {"extra": 1},
    OF_TABLE | {"notes": [1]},
    OF_TABLE | {"scaling": "other"},
    OF_TABLE | {"arrays": OF_ARRAYS["arrays"]},
    OF_TABLE | {"columns": [NUMBER | {"kind": "other"}]},
    OF_TABLE | {"columns": [NUMBER | {"kind": "date"}]},
    OF_TABLE | {"columns": [NUMBER | {"scale": [-1.0]}]},
    OF_TABLE | {"columns": [NUMBER | {"scale": ["1"]}]},
    OF_TABLE | {"columns": [NUMBER | {"shift": [NAN]}]},
    OF_TABLE | {"columns": [NUMBER | {"missing": 1}]},
    OF_TABLE | {"columns": [NUMBER, NUMBER]},
    OF_TABLE | {"columns": [CATEGORY | {"categories": ["a", "a"]}]},
    OF_TABLE | {"columns": [CATEGORY | {"categories": None}]},
    OF_ARRAYS | {"arrays": None},
    OF_ARRAYS | {"arrays": OF_ARRAYS["arrays"] | {"feature_shape": [3]}},
    OF_ARRAYS | {"arrays": OF_ARRAYS["arrays"] | {"feature_shape": []}},
    OF_ARRAYS | {"arrays": OF_ARRAYS["arrays"] | {"feature_shape": [-1, -2]}},
    OF_ARRAYS | {"arrays": OF_ARRAYS["arrays"] | {"scale": [1.0, -1.0]}},
]


@pytest.mark.parametrize("plain", DAMAGED)
def test_nonsense_is_not_an_encoding(plain: Any) -> None:
    with pytest.raises(ModelFileError, match="holds no valid encoding"):
        Encoding.from_json(plain)
