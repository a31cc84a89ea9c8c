"""Every schedule with its factor after e of T epochs, worked out by hand."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, sqrt


@dataclass(frozen=True)
class Case:
    given: str
    epochs: int
    factors: dict[float, float]
    """The factor by the epochs done."""

    @property
    def name(self) -> str:
        return self.given.split("(")[0]

    def __str__(self) -> str:
        return self.given


CASES = [
    Case("constant", 20, {0: 1, 7.5: 1, 19: 1}),
    Case("step", 40, {0: 1, 9.75: 1, 10: 0.5, 19.75: 0.5, 20: 0.25, 39: 0.125}),
    Case("step(every=3, gamma=0.1)", 9, {2.75: 1, 3: 0.1, 6.5: 0.01}),
    Case("exponential", 20, {0: 1, 1: 0.95, 2: 0.9025, 0.5: sqrt(0.95)}),
    Case("exponential(gamma=0.5)", 20, {3: 0.125, 0.25: 0.5**0.25}),
    Case("inverse_scaling", 20, {0: 1, 3: 1 / 2, 8: 1 / 3}),
    Case("inverse_scaling(power=1, scale=5)", 20, {5: 1 / 2, 10: 1 / 3}),
    Case("linear", 20, {0: 1, 5: 0.75, 10: 0.5, 19.75: 0.0125}),
    Case("linear(floor=0.2)", 10, {0: 1, 5: 0.6, 10: 0.2}),
    Case("cosine", 12, {0: 1, 3: (1 + sqrt(0.5)) / 2, 4: 0.75, 6: 0.5, 8: 0.25, 12: 0}),
    Case("cosine(floor=0.5)", 12, {0: 1, 6: 0.75, 8: 0.625, 12: 0.5}),
    Case("one_cycle", 10, {0: 0.04, 1.5: 0.52, 3: 1, 6.5: (1 + 0.0001) / 2, 10: 0.0001}),
    Case(
        "one_cycle(rise=0.5, start_at=0.2, floor=0)",
        8,
        {0: 0.2, 2: 0.6, 4: 1, 5: (1 + cos(pi / 4)) / 2, 6: 0.5, 8: 0},
    ),
    Case("reduce_on_plateau", 20, {0: 1, 5: 1, 19.75: 1}),  # what it hears has a test of its own
]
