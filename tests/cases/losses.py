"""Every loss, with an oracle written in torch and the targets that it takes. A new loss is one more line in CASES."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as fn
from torch import Tensor

Rng = np.random.Generator


def values(rng: Rng, n: int, m: int) -> np.ndarray:
    return rng.normal(size=(n, m))


def class_indices(rng: Rng, n: int, m: int) -> np.ndarray:
    return rng.integers(0, m, n)


def distributions(rng: Rng, n: int, m: int) -> np.ndarray:
    y = rng.random((n, m)) + 0.05
    return y / y.sum(axis=1, keepdims=True)


def labels(rng: Rng, n: int, m: int) -> np.ndarray:
    return rng.integers(0, 2, (n, m)).astype(float)


def counts(rng: Rng, n: int, m: int) -> np.ndarray:
    return rng.poisson(2.0, (n, m)).astype(float)


def squared_error(a: Tensor, y: Tensor) -> Tensor:
    return 0.5 * fn.mse_loss(a, y, reduction="none").sum(1)


def absolute_error(a: Tensor, y: Tensor) -> Tensor:
    return fn.l1_loss(a, y, reduction="none").sum(1)


def huber(threshold: float) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda a, y: fn.huber_loss(a, y, delta=threshold, reduction="none").sum(1)


def cross_entropy(smoothing: float) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda a, y: fn.cross_entropy(a, y, reduction="none", label_smoothing=smoothing)


def binary_cross_entropy(smoothing: float) -> Callable[[Tensor, Tensor], Tensor]:
    def terms(a: Tensor, y: Tensor) -> Tensor:
        smooth = torch.lerp(y, torch.full_like(y, 0.5), smoothing)
        return fn.binary_cross_entropy_with_logits(a, smooth, reduction="none").sum(1)

    return terms


def log_loss(a: Tensor, y: Tensor) -> Tensor:
    return fn.nll_loss(a.log(), y, reduction="none") if y.ndim == 1 else -(y * a.log()).sum(1)


def poisson(a: Tensor, y: Tensor) -> Tensor:
    return fn.poisson_nll_loss(a, y, log_input=True, full=False, reduction="none").sum(1)


@dataclass(frozen=True)
class Case:
    """A loss as it is given, each sample's loss in torch, and a maker of targets (n, m) or (n,)."""

    given: str
    oracle: Callable[[Tensor, Tensor], Tensor]
    targets: Callable[[Rng, int, int], np.ndarray]
    takes_probabilities: bool = False

    @property
    def name(self) -> str:
        return self.given.split("(")[0]

    def __str__(self) -> str:
        return f"{self.given}-{self.targets.__name__}"

    def outputs(self, rng: Rng, n: int, m: int) -> np.ndarray:
        return distributions(rng, n, m) if self.takes_probabilities else 1.5 * rng.normal(size=(n, m))


CASES = [
    Case("squared_error", squared_error, values),
    Case("absolute_error", absolute_error, values),
    Case("huber", huber(1.0), values),
    Case("huber(threshold=0.3)", huber(0.3), values),
    Case("cross_entropy", cross_entropy(0.0), class_indices),
    Case("cross_entropy", cross_entropy(0.0), distributions),
    Case("cross_entropy(label_smoothing=0.1)", cross_entropy(0.1), class_indices),
    Case("cross_entropy(label_smoothing=0.3)", cross_entropy(0.3), distributions),
    Case("binary_cross_entropy", binary_cross_entropy(0.0), labels),
    Case("binary_cross_entropy(label_smoothing=0.2)", binary_cross_entropy(0.2), labels),
    Case("log_loss", log_loss, class_indices, takes_probabilities=True),
    Case("log_loss", log_loss, distributions, takes_probabilities=True),
    Case("poisson", poisson, counts),
]
LOGITS = [case for case in CASES if case.name in {"cross_entropy", "binary_cross_entropy", "poisson"}]
