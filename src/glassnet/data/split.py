"""Training rows and held-out rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from glassnet.errors import DataError
from glassnet.messages import say
from glassnet.random import Purpose, check_seed, permutation


def split(n: int, share: float, *, seed: int, labels: Any = None, stream: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Divide ``n`` rows at random into training rows and held-out rows.

    The same arguments give the same rows on every machine. With labels each class gets its share of the held-out
    rows, rounded by the largest remainder, and keeps at least one row in training.

    Parameters
    ----------
    n : int
        The number of rows.
    share : float
        The share of the rows that is held out, between 0 and 1.
    seed : int
        In [0, 2⁶⁴).
    labels : array-like, (n,), or None, default None
        The class of each row, of any type that can be compared; missing values are a class of their own.

    stream : int, default 0
        Splits of different streams are independent.

    Returns
    -------
    train_index, held_index : ndarray of int64
        Both in increasing order; together they are all rows.

    Raises
    ------
    DataError
        If ``share`` is not between 0 and 1, or either side would be empty.
    """
    if not 0 < share < 1:
        text = say(
            "the share of rows to hold out lies between 0 and 1, not {share}; 0.2 holds out a fifth", share=share
        )
        raise DataError(text)
    order = permutation(n, seed=check_seed(seed), epoch=stream, purpose=Purpose.SPLIT)
    codes = np.zeros(n, dtype=np.int64) if labels is None else _class_codes(labels)
    if len(codes) != n:
        raise DataError(say("there are {n:,} rows but {count:,} labels to split by", n=n, count=len(codes)))
    sizes = np.bincount(codes)
    quota = _quotas(sizes, share)
    held_rows = int(quota.sum())
    if held_rows in (0, n):
        text = say(
            "holding out {share:.4g} of {n:,} rows leaves no row on one side; give more rows or another share",
            share=share,
            n=n,
        )
        raise DataError(text)

    # The rows class by class, each class in random order; the first `quota` rows of each are held out.
    by_class = order[np.argsort(codes[order], kind="stable")]
    first = np.repeat(np.cumsum(sizes) - sizes, sizes)
    is_held = np.empty(n, dtype=bool)
    is_held[by_class] = np.arange(n) - first < np.repeat(quota, sizes)
    return np.flatnonzero(~is_held), np.flatnonzero(is_held)


def _quotas(sizes: np.ndarray, share: float) -> np.ndarray:
    """How many rows of each class are held out, (classes,): proportional, by the largest remainder."""
    most = np.maximum(sizes - 1, 0)
    exact = sizes * share
    quota: np.ndarray = np.minimum(np.floor(exact).astype(np.int64), most)
    wanted = round(float(exact.sum()))
    by_remainder = np.argsort(np.floor(exact) - exact, kind="stable")
    can_give = by_remainder[quota[by_remainder] < most[by_remainder]]
    quota[can_give[: max(0, wanted - int(quota.sum()))]] += 1
    return quota


def _class_codes(labels: Any) -> np.ndarray:
    """Classes as 0, 1, 2, ..., int64 (n,), numbered in the order in which they occur."""
    if not isinstance(labels, (pa.Array, pa.ChunkedArray)):
        labels = np.asarray(labels)
        if labels.ndim != 1:
            raise DataError(say("labels to split by must have the shape (rows,), but have {shape}", shape=labels.shape))
        labels = pa.array(labels, from_pandas=True)
    encoded = labels.dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    codes: np.ndarray = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    codes += 1  # missing labels are class 0
    return codes
