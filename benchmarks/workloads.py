"""What is trained: the four workloads, their data, their first weights, and the arithmetic that they need."""

from __future__ import annotations

import gzip
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

DATA = Path(__file__).parents[2] / "shared" / "data"
"""Where the real data lie, beside the project; ``--data`` names another folder."""

DENSITY = 0.19  # the share of MNIST's pixels that are not zero


@dataclass(frozen=True)
class Workload:
    """A network, how it is trained, and on what.

    Attributes
    ----------
    sizes : (n[0], …, n[L])
    activation : "relu" or "logistic", of the hidden layers; the output is softmax with cross-entropy
    optimiser : "sgd" or "adam" (β₁ 0.9, β₂ 0.999, ε 1e-8)
    lr : the learning rate, or its peak
    schedule : "constant", "linear" (to zero over ``epochs``), or "one_cycle" (cosine, up over the first 30 %)
    epochs : what a schedule spans
    keep_input, keep_hidden : keep probabilities of dropout
    data : "mnist" or "table"
    rows : how many of the training rows; None: all
    turns : a turn of a contestant is one epoch divided by this
    rounds : turns of each contestant
    """

    name: str
    sizes: tuple[int, ...]
    activation: str
    batch: int
    optimiser: str
    lr: float
    schedule: str = "constant"
    epochs: int = 1
    keep_input: float = 1.0
    keep_hidden: float = 1.0
    data: str = "mnist"
    rows: int | None = None
    turns: int = 1
    rounds: int = 5

    @property
    def dropout(self) -> bool:
        """Whether any unit is dropped."""
        return self.keep_input < 1 or self.keep_hidden < 1

    @property
    def title(self) -> str:
        """In words."""
        keeps = f", keep {self.keep_input:g} input, {self.keep_hidden:g} hidden" if self.dropout else ""
        sizes, activation = "-".join(map(str, self.sizes)), {"relu": "ReLU"}.get(self.activation, self.activation)
        optimiser = {"sgd": "SGD", "adam": "Adam"}[self.optimiser]
        return f"{sizes} {activation}{keeps}, batch {self.batch}, {optimiser} lr {self.lr:g}"

    def keeps(self) -> list[float]:
        """The keep probability of each layer's input, L of them."""
        return [self.keep_input, *[self.keep_hidden] * (len(self.sizes) - 2)]

    def steps(self, rows: int) -> int:
        """Of an epoch of so many rows, the last short batch included."""
        return -(-rows // self.batch)

    def rates(self, first: int, count: int, steps: int) -> np.ndarray:
        """The learning rates of ``count`` steps from step ``first``, where an epoch has ``steps``; float32 (count,)."""
        share = np.arange(first, first + count) / (self.epochs * steps)
        factors = np.ones(count)
        if self.schedule == "linear":
            factors = np.clip(1.0 - share, 0.0, 1.0)
        elif self.schedule == "one_cycle":
            rise, low, floor = 0.3, 0.04, 1e-4
            up = low + (1.0 - low) * 0.5 * (1.0 - np.cos(np.pi * share / rise))
            down = floor + (1.0 - floor) * 0.5 * (1.0 + np.cos(np.pi * np.clip((share - rise) / (1.0 - rise), 0, 1)))
            factors = np.where(share < rise, up, down)
        return (self.lr * factors).astype(np.float32)

    def to_json(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> Workload:
        """What :meth:`to_json` wrote."""
        return cls(**{**tree, "sizes": tuple(tree["sizes"])})


W1 = Workload("W1", (784, 256, 10), "relu", 256, "sgd", 0.5)
W2 = Workload("W2", (784, 30, 10), "logistic", 10, "sgd", 0.5, rounds=5)
W3 = Workload(
    "W3", (784, 1024, 1024, 1024, 10), "relu", 128, "sgd", 0.1, keep_input=0.8, keep_hidden=0.5, turns=10, rounds=5
)
W4 = Workload("W4", (32, 128, 128, 2), "relu", 512, "adam", 0.001, data="table", rounds=5)
WORKLOADS = {workload.name: workload for workload in (W1, W2, W3, W4)}


def quick(workload: Workload) -> Workload:
    """The same with short turns, for a look of a minute."""
    return replace(workload, turns=workload.turns * 4, rounds=3)


# Data


@dataclass(frozen=True)
class Data:
    """Rows to train and to test: x float32 (N, n[0]), y int64 (N,); and what they are."""

    x: np.ndarray
    y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray
    what: str


def load(workload: Workload, folder: Path = DATA) -> Data:
    """The data of a workload, as many rows as it wants."""
    data = mnist(folder) if workload.data == "mnist" else table()
    if workload.rows is None:
        return data
    return replace(data, x=data.x[: workload.rows], y=data.y[: workload.rows])


@lru_cache(1)
def mnist(folder: Path) -> Data:
    """MNIST with pixels from 0 to 1, or where it is missing something of its shape."""
    folder = folder / "mnist"
    if not folder.exists():
        return synthetic_images()
    parts = [_idx(folder / f"{part}-ubyte.gz") for part in _MNIST]
    x, test_x = (part.reshape(len(part), -1) / np.float32(255) for part in parts[::2])
    y, test_y = (part.astype(np.int64) for part in parts[1::2])
    return Data(x, y, test_x, test_y, "MNIST, 60,000 images to train and 10,000 to test")


_MNIST = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


def _idx(path: Path) -> np.ndarray:
    """An array of bytes in the idx format: the number of dimensions in byte 3, then each as a big-endian int32."""
    content = gzip.decompress(path.read_bytes())
    shape = np.frombuffer(content, ">i4", content[3], 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(shape)


def synthetic_images(rows: int = 60_000, test_rows: int = 10_000, seed: int = 0) -> Data:
    """Images of MNIST's shape and density: each class lights pixels of its own often, and others sometimes."""
    rng = np.random.default_rng(seed)
    liked = np.where(rng.random((10, 784)) < DENSITY, 0.5, 0.5 * DENSITY * 0.5 / (1 - DENSITY))
    liked *= DENSITY / liked.mean()
    n = rows + test_rows
    y = rng.integers(0, 10, n)
    x = rng.random((n, 784), dtype=np.float32)
    x = np.where(x < liked[y].astype(np.float32), rng.integers(1, 256, (n, 784), dtype=np.uint8), 0) / np.float32(255)
    what = f"synthetic images of MNIST's shape, {DENSITY:.0%} of the pixels not zero (MNIST was not found)"
    return Data(x[:rows], y[:rows], x[rows:], y[rows:], what)


@lru_cache(1)
def table(rows: int = 500_000, test_rows: int = 50_000, seed: int = 0) -> Data:
    """Normal columns; two classes by the sign of a random network of 16 tanh units, 5 % of the labels turned over."""
    rng = np.random.default_rng(seed)
    n = rows + test_rows
    x = rng.standard_normal((n, 32), dtype=np.float32)
    hidden = np.tanh(x @ rng.standard_normal((32, 16), dtype=np.float32) * np.float32(0.5))
    score = hidden @ rng.standard_normal(16, dtype=np.float32)
    y = ((score > np.median(score)) ^ (rng.random(n) < 0.05)).astype(np.int64)
    what = f"a table of {rows:,} rows and 32 columns made by a seeded rule, {test_rows:,} more to test, 5 % label noise"
    return Data(x[:rows], y[:rows], x[rows:], y[rows:], what)


# Networks

Parameters = list[tuple[np.ndarray, np.ndarray]]
"""W (n_out, n_in) and b (n_out,) of each layer."""


def first_weights(workload: Workload, seed: int) -> Parameters:
    """The same for every contestant that lets them be set: normal, He's variance for ReLU and Xavier's for logistic."""
    rng = np.random.default_rng(seed)
    parameters = []
    for n_in, n_out in pairwise(workload.sizes):
        variance = 2 / n_in if workload.activation == "relu" else 2 / (n_in + n_out)
        W = np.sqrt(variance) * rng.standard_normal((n_out, n_in))
        parameters.append((W.astype(np.float32), np.zeros(n_out, np.float32)))
    return parameters


def accuracy(workload: Workload, parameters: Parameters, x: np.ndarray, y: np.ndarray) -> float:
    """The share of rows whose largest output is their class; for dropout of the inverted kind, so nothing is scaled."""
    a = x
    for W, b in parameters[:-1]:
        z = a @ W.T + b
        a = np.maximum(z, 0) if workload.activation == "relu" else 1 / (1 + np.exp(-z))
    W, b = parameters[-1]
    return float(np.mean(np.argmax(a @ W.T + b, axis=1) == y))


def flops(sizes: tuple[int, ...], rows: int, density: float = 1.0) -> float:
    """Floating-point operations that training on so many rows needs in its matrix products.

    A layer multiplies and adds n_in · n_out times a row for z, as often for ∂C/∂W, and, but for the first layer, as
    often for ∂C/∂a_in. The first layer's two are counted for the share ``density`` of inputs that are not zero.
    """
    first, *others = [n_in * n_out for n_in, n_out in pairwise(sizes)]
    return 2.0 * rows * (2 * first * density + 3 * sum(others))
