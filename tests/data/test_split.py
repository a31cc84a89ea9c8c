"""A split is a partition, the same every time, with each class in its share."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassnet.data import split
from glassnet.errors import ConfigError, DataError


@settings(deadline=None, max_examples=60, database=None)
@given(st.integers(10, 300), st.floats(0.1, 0.9), st.integers(0, 2**64 - 1), st.booleans())
def test_a_split_is_a_partition(n: int, share: float, seed: int, stratified: bool) -> None:
    labels = np.arange(n) % 2 if stratified else None
    train, held = split(n, share, seed=seed, labels=labels)
    assert train.dtype == held.dtype == np.int64
    assert np.array_equal(np.sort(np.concatenate([train, held])), np.arange(n))
    assert np.all(np.diff(train) > 0)
    assert np.all(np.diff(held) > 0)
    assert abs(len(held) - n * share) <= 1
    assert np.array_equal(split(n, share, seed=seed, labels=labels)[1], held)


def test_another_seed_is_another_split() -> None:
    assert not np.array_equal(split(100, 0.2, seed=1)[1], split(100, 0.2, seed=2)[1])


def test_these_rows_stay_these_rows() -> None:
    assert split(12, 0.25, seed=7)[1].tolist() == split(12, 0.25, seed=7, labels=np.zeros(12))[1].tolist()


LABELS = {
    "numbers": np.repeat([3, 7, 42], [50, 30, 20]),
    "strings": np.repeat(["c", "a", "b"], [50, 30, 20]),
    "list": [True] * 50 + [False] * 50,
    "arrow": pa.chunked_array([["x"] * 60, ["y"] * 20, ["x", "y"] * 10]),
    "dictionary": pa.array(["x"] * 50 + [None] * 50).dictionary_encode(),
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_each_class_gets_its_share(labels: object) -> None:
    _, held = split(100, 0.1, seed=3, labels=labels)
    values = np.asarray(labels.to_pylist() if isinstance(labels, (pa.Array, pa.ChunkedArray)) else labels).astype(str)
    for label in np.unique(values):
        assert (values[held] == label).sum() == (values == label).sum() / 10


def test_the_largest_remainders_get_the_rows_left() -> None:
    labels = np.repeat([0, 1, 2], [14, 13, 3])  # shares of 2.8, 2.6 and 0.6 rows, 6 in all
    _, held = split(30, 0.2, seed=0, labels=labels)
    assert np.bincount(labels[held], minlength=3).tolist() == [3, 3, 0]


def test_a_class_of_one_row_stays_in_training() -> None:
    labels = np.array([0] * 9 + [1])
    for seed in range(20):
        train, held = split(10, 0.5, seed=seed, labels=labels)
        assert 9 in train
        assert len(held) == 5


BAD = [
    (10, 0.0, {}, "between 0 and 1"),
    (10, 1.0, {}, "between 0 and 1"),
    (10, float("nan"), {}, "between 0 and 1"),
    (1, 0.5, {}, "no row on one side"),
    (0, 0.5, {}, "no row on one side"),
    (10, 0.01, {}, "no row on one side"),
    (3, 0.5, {"labels": ["a", "b", "c"]}, "no row on one side"),
    (3, 0.5, {"labels": [1, 2]}, "3 rows but 2 labels"),
    (2, 0.5, {"labels": np.zeros((2, 2))}, "shape"),
]


@pytest.mark.parametrize(("n", "share", "options", "message"), BAD)
def test_bad_splits(n: int, share: float, options: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        split(n, share, seed=0, **options)


def test_a_bad_seed() -> None:
    with pytest.raises(ConfigError, match="seed"):
        split(10, 0.5, seed=-1)
