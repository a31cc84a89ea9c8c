"""The task that targets suggest, their way to numbers and back, and targets that are of no use."""

from __future__ import annotations

import decimal
import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassnet.data import TargetEncoding
from glassnet.errors import ConfigError, DataError, ModelFileError, ShapeError

quick = settings(deadline=None, max_examples=60, database=None)

INFERRED: list[tuple[str, object, str, list[object]]] = [
    ("text", ["b", "a", "b"], "classification", ["a", "b"]),
    ("text in arrow", pa.chunked_array([["b"], ["a"]]), "classification", ["a", "b"]),
    ("dictionary", pa.array(["b", "a"]).dictionary_encode(), "classification", ["a", "b"]),
    ("categorical", pd.Series(["b", "a"], dtype="category"), "classification", ["a", "b"]),
    ("polars", pl.Series(["b", "a"]), "classification", ["a", "b"]),
    ("boolean", [True, False], "classification", [False, True]),
    ("boolean in arrow", pa.array([True, False]), "classification", [False, True]),
    ("exclusive or", [0, 1, 1, 0], "classification", [0, 1]),
    ("not contiguous", [42, 3, 7, 3, 7, 42], "classification", [3, 7, 42]),
    ("negative", [-1, 1, -1], "classification", [-1, 1]),
    ("whole floats", [1.0, 2.0, 1.0, 2.0], "classification", [1, 2]),
    ("one column", np.array([[1], [0]]), "classification", [0, 1]),
    ("bytes", np.array([0, 255, 0], np.uint8), "classification", [0, 255]),
    ("a hundred classes", np.arange(2000) % 100, "classification", list(range(100))),
    ("fractions", [0.5, 1.0, 2.0], "regression", []),
    ("decimals", pa.array([decimal.Decimal("1.5"), decimal.Decimal("2")]), "regression", []),
    ("many numbers", np.arange(2000) % 100 * 3, "regression", []),
    ("all different", list(range(10)), "regression", []),
    ("two numbers a row", np.array([[0.5, 1.0], [2.0, 3.0]]), "regression", []),
    ("two counts a row", np.array([[5, 1], [2, 3]]), "regression", []),
    ("labels", np.array([[0, 1, 1], [1, 0, 0]]), "multilabel", [0, 1, 2]),
    ("labels as floats", np.array([[0.0, 1.0], [1.0, 1.0]]), "multilabel", [0, 1]),
]


@pytest.mark.parametrize(
    ("values", "task", "classes"), [case[1:] for case in INFERRED], ids=[case[0] for case in INFERRED]
)
def test_the_task_follows_from_the_values(values: object, task: str, classes: list[object]) -> None:
    target = TargetEncoding.fit(values)
    assert target.task == task
    assert target.note
    assert target.classes == classes
    assert [type(label) for label in target.classes] == [type(label) for label in classes]
    assert target.n_outputs == (len(classes) or np.asarray(values).reshape(len(values), -1).shape[1])
    assert TargetEncoding.from_json(json.loads(json.dumps(target.to_json()))) == target


@pytest.mark.parametrize("values", [["z", "a", "m"], [7, 3, 42], [True, False, True], [0.5, 0.25, 0.125]])
def test_classes_and_back(values: list[object]) -> None:
    target = TargetEncoding.fit(values, task="classification")
    y = target.encode(values)
    assert y.dtype == np.int64
    assert y.tolist() == [sorted(set(values)).index(value) for value in values]
    assert target.decode(np.eye(target.n_outputs)[y]).tolist() == values


def test_labels_of_another_type_that_mean_the_same() -> None:
    assert TargetEncoding.fit(["1", "2", "x"]).encode([2, 1]).tolist() == [1, 0]
    assert TargetEncoding.fit([1, 2, 1, 2]).encode([2.0, 1.0]).tolist() == [1, 0]
    assert TargetEncoding.fit([True, False]).encode([0, 1]).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("values", "unseen", "message"),
    [
        (["a", "b"], ["a", "c"], "'c' in row 1 .*classes are: a, b"),
        ([3, 7, 3, 7], [7, 5], "5 in row 1"),
        ([3, 7, 3, 7], [99], "99 in row 0"),
        ([3, 7, 3, 7], ["seven"], "'seven' in row 0"),
    ],
)
def test_a_label_that_training_did_not_see(values: object, unseen: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        TargetEncoding.fit(values).encode(unseen)


def test_regression_is_standardised() -> None:
    values = np.array([[1.0, 100.0], [3.0, 500.0], [5.0, 300.5]])
    target = TargetEncoding.fit(values)
    y = target.encode(values, dtype="float64")
    assert np.allclose(y.mean(axis=0), 0)
    assert np.allclose(y.std(axis=0), 1)
    assert np.allclose(target.decode(y), values)
    assert target.encode(values).dtype == np.float32
    single = TargetEncoding.fit(values[:, 0], task="regression")
    assert single.encode(values[:, 0]).shape == (3, 1)
    assert np.allclose(single.decode(single.encode(values[:, 0], dtype="float64")), values[:, 0])
    assert single.decode(np.zeros(2)).tolist() == [3.0, 3.0]


def test_a_constant_regression_target_is_kept() -> None:
    target = TargetEncoding.fit([2.5, 2.5])
    assert target.encode([2.5, 3.5]).tolist() == [[0.0], [1.0]]


def test_several_labels_a_row() -> None:
    values = np.array([[0, 1, 1], [1, 0, 0]])
    target = TargetEncoding.fit(values, class_names=("red", "green", "blue"))
    assert target.class_names == ("red", "green", "blue")
    assert target.encode(values).dtype == np.float32
    logits = np.where(values == 1, 2.0, -2.0)
    assert np.array_equal(target.decode(logits), values)
    assert target.decode(np.array([[0.4, 0.6, 0.5]]), threshold=0.5).tolist() == [[0, 1, 0]]


def test_class_names() -> None:
    names = ("zero", "one", "two", "three")
    assert TargetEncoding.fit([1, 3, 1, 3], class_names=names).class_names == ("one", "three")
    assert TargetEncoding.fit([30, 10, 10, 30], class_names=("low", "high")).class_names == ("low", "high")
    assert TargetEncoding.fit(["a", "b"]).class_names == ("a", "b")
    with pytest.raises(DataError, match="1 class names for 2 classes"):
        TargetEncoding.fit(["a", "b"], class_names=("a",))


BAD: list[tuple[str, object, str | None, type[Exception], str]] = [
    ("one class only", ["a", "a"], None, DataError, "all 2 targets are 'a'"),
    ("one number only", [1, 1, 1], None, DataError, "at least two classes"),
    ("missing text", pa.array(["a", None, "b"]), None, DataError, "1 of 3 targets are missing, the first in row 1"),
    ("missing in pandas", pd.Series(["a", None]), None, DataError, "missing"),
    ("NaN", [1.0, float("nan")], None, DataError, "missing, the first in row 1"),
    ("NaN in arrow", pa.array([1.0, float("nan")]), None, DataError, "missing"),
    ("NaN in columns", np.array([[1.0, 2.0], [np.nan, 0.5]]), None, DataError, "missing, the first in row 1"),
    ("infinity", [1.5, float("inf")], None, DataError, "row 1 .* is inf"),
    ("infinite class", [1.0, float("inf")], "classification", DataError, "infinite"),
    ("text in a regression", ["1.5", "x"], "regression", DataError, "the target is text such as '1.5'"),
    ("100,000 categories", [f"id{i}" for i in range(100_000)], None, DataError, "100,000 distinct values"),
    ("100,000 numbers", np.arange(100_000), "classification", DataError, "looks like an identifier or a regression"),
    ("dates", np.array(["2020-01-01"], "datetime64[D]"), None, DataError, "not date32"),
    ("nested", pa.array([[1], [2]]), None, DataError, "not list"),
    ("mixed objects", np.array([1, "x", {}], object), None, DataError, "neither numbers nor text"),
    ("columns of text", np.array([["a", "b"]]), None, DataError, "several columns must be numbers"),
    ("three dimensions", np.zeros((2, 2, 2)), None, DataError, "shape"),
    ("nothing", [], None, DataError, "targets"),
    ("columns as classes", np.array([[0, 1], [1, 0]]), "classification", DataError, "argmax"),
    ("one column as labels", [0, 1], "multilabel", ShapeError, "several labels"),
    ("text as labels", ["a", "b"], "multilabel", ShapeError, "several labels"),
    ("other numbers as labels", np.array([[0, 2]]), "multilabel", DataError, "0 and 1"),
    ("unknown task", [0, 1], "ranking", ConfigError, "unknown task 'ranking'"),
]


@pytest.mark.parametrize(
    ("values", "task", "kind", "message"), [case[1:] for case in BAD], ids=[case[0] for case in BAD]
)
def test_bad_targets(values: object, task: str | None, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        TargetEncoding.fit(values, task=task)


def test_100_000_different_whole_numbers_are_a_regression() -> None:
    assert TargetEncoding.fit(np.arange(100_000)).task == "regression"


def test_shapes_that_do_not_fit() -> None:
    target = TargetEncoding.fit(["a", "b"])
    with pytest.raises(ShapeError, match=r"\(rows, 2\)"):
        target.decode(np.zeros((3, 4)))
    with pytest.raises(ShapeError, match="classes"):
        target.encode(np.zeros((2, 2)))
    with pytest.raises(ShapeError, match="2 numbers a row, but had 1"):
        TargetEncoding.fit([0.5, 1.5]).encode(np.zeros((2, 2)))


finite = st.floats(-1e100, 1e100)
WITHOUT_NUL = st.characters(exclude_characters="\0", codec="utf-8")  # NumPy drops NUL at the end of a text


@quick
@given(st.lists(finite, min_size=1, max_size=20))
def test_any_regression_round_trips(values: list[float]) -> None:
    target = TargetEncoding.fit(values, task="regression")
    stored = TargetEncoding.from_json(json.loads(json.dumps(target.to_json())))
    assert stored == target
    y = stored.encode(values, dtype="float64")
    assert np.isfinite(y).all()
    assert np.allclose(stored.decode(y), values, rtol=1e-9, atol=1e-9 * max(map(abs, values)))


@quick
@given(st.lists(st.text(WITHOUT_NUL, max_size=5), min_size=2, max_size=20).filter(lambda values: len(set(values)) > 1))
def test_any_text_round_trips(values: list[str]) -> None:
    target = TargetEncoding.fit(values)
    stored = TargetEncoding.from_json(json.loads(json.dumps(target.to_json())))
    assert stored == target
    assert stored.decode(np.eye(stored.n_outputs)[stored.encode(values)]).tolist() == values


GOOD = TargetEncoding.fit(["a", "b"]).to_json()
DAMAGED = [
    None,
    [],
    {},
    GOOD | {"task": "other"},
    GOOD | {"n_outputs": 3},
    GOOD | {"n_outputs": "2"},
    GOOD | {"classes": ["b", "a"]},
    GOOD | {"classes": ["a", "a"]},
    GOOD | {"classes": ["a", 1]},
    GOOD | {"classes": ["a", None]},
    GOOD | {"class_names": ["a"]},
    GOOD | {"mean": [0.0]},
    GOOD | {"extra": 1},
    GOOD | {"note": object()},
    TargetEncoding.fit([0.5, 1.5]).to_json() | {"scale": [0.0]},
    TargetEncoding.fit([0.5, 1.5]).to_json() | {"mean": [float("nan")]},
]


@pytest.mark.parametrize("plain", DAMAGED)
def test_nonsense_is_not_an_encoding(plain: object) -> None:
    with pytest.raises(ModelFileError, match="holds no valid encoding of targets"):
        TargetEncoding.from_json(plain)
