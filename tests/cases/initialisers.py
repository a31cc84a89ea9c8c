"""Every initialiser with its formula: the mean, and the variance σ² of a layer with n_in inputs and n_out units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    given: str
    variance: Callable[[int, int], float]
    kind: str
    """Of the draw: "uniform", "normal", "orthogonal" or "fixed"."""
    mean: float = 0.0

    @property
    def name(self) -> str:
        return self.given.split("(")[0]

    def __str__(self) -> str:
        return self.given


CASES = [
    Case("zeros", lambda n_in, n_out: 0.0, "fixed"),
    Case("constant", lambda n_in, n_out: 0.0, "fixed", mean=0.01),
    Case("constant(value=-2)", lambda n_in, n_out: 0.0, "fixed", mean=-2.0),
    Case("normal", lambda n_in, n_out: 0.01, "normal"),
    Case("normal(variance=4, mean=-1)", lambda n_in, n_out: 4.0, "normal", mean=-1.0),
    Case("uniform", lambda n_in, n_out: 0.01, "uniform"),
    Case("uniform(variance=0.5)", lambda n_in, n_out: 0.5, "uniform"),
    Case("xavier", lambda n_in, n_out: 2 / (n_in + n_out), "uniform"),
    Case("xavier(distribution='normal')", lambda n_in, n_out: 2 / (n_in + n_out), "normal"),
    Case("xavier_logistic", lambda n_in, n_out: 16 * 2 / (n_in + n_out), "uniform"),
    Case("xavier_logistic(distribution='normal')", lambda n_in, n_out: 16 * 2 / (n_in + n_out), "normal"),
    Case("he", lambda n_in, n_out: 2 / n_in, "uniform"),
    Case("he(distribution='normal')", lambda n_in, n_out: 2 / n_in, "normal"),
    Case("he(gain=0.5)", lambda n_in, n_out: 0.25 * 2 / n_in, "uniform"),
    Case("lecun", lambda n_in, n_out: 1 / n_in, "uniform"),
    Case("lecun(distribution='normal', gain=3)", lambda n_in, n_out: 9 / n_in, "normal"),
    # rows or columns of length 1, whichever are fewer: each entry has the mean square 1/max(n_in, n_out)
    Case("orthogonal", lambda n_in, n_out: 1 / max(n_in, n_out), "orthogonal"),
    Case("orthogonal(gain=2)", lambda n_in, n_out: 4 / max(n_in, n_out), "orthogonal"),
]
