"""Learning-rate schedules: the factor by which the learning rate is multiplied, step by step.

A schedule is a pure function of where training stands, so it can be laid out ahead for an engine and taken up again
after a stop. Only reduce-on-plateau listens to how training goes; what it has heard is a dict that can be saved.

Notation: e = step / steps_per_epoch, the epochs done so far, as a fraction; T, the epochs in all.
To add one: subclass :class:`Schedule`, write ``shape``, register it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from glassnet.errors import ConfigError
from glassnet.messages import say
from glassnet.registry import Registry


@dataclass(frozen=True, kw_only=True)
class Schedule(ABC):
    """A schedule. Write ``shape``.

    Parameters
    ----------
    warmup : float ≥ 0, default 0.0
        Epochs in which the factor also climbs linearly from near 0 to 1 (Goyal et al. 2017); the shape starts after.
    """

    name: ClassVar[str]
    warmup: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.warmup < math.inf:
            raise ConfigError(say("warmup must be finite and not negative, not {value}", value=self.warmup))

    @abstractmethod
    def shape(self, e: float, T: float) -> float:
        """The factor ``e`` epochs into ``T`` epochs, warm-up left out."""

    def factor(self, step: int, steps_per_epoch: int, epochs: int, state: dict[str, Any] | None = None) -> float:
        """The factor of step ``step``, from 0."""
        e = step / steps_per_epoch
        if e < self.warmup:
            return min(1.0, (step + 1) / (self.warmup * steps_per_epoch)) * self.shape(0.0, epochs - self.warmup)
        return self.shape(e - self.warmup, epochs - self.warmup)

    def factors(
        self, first: int, count: int, steps_per_epoch: int, epochs: int, state: dict[str, Any] | None = None
    ) -> np.ndarray:
        """The factors of ``count`` steps from ``first``, float64 (count,)."""
        steps = range(first, first + count)
        return np.array([self.factor(step, steps_per_epoch, epochs, state) for step in steps])

    def start(self) -> dict[str, Any]:
        """What the schedule remembers at the start."""
        return {}

    def epoch_end(self, state: dict[str, Any], error: float) -> None:
        """Hear the epoch's error, the validation loss or else the training loss."""


SCHEDULES: Registry[Schedule] = Registry("schedule", Schedule)


@SCHEDULES.register()
@dataclass(frozen=True, kw_only=True)
class Constant(Schedule):
    """1."""

    name: ClassVar[str] = "constant"

    def shape(self, e: float, T: float) -> float:
        return 1.0

    def factors(
        self, first: int, count: int, steps_per_epoch: int, epochs: int, state: dict[str, Any] | None = None
    ) -> np.ndarray:
        if first / steps_per_epoch >= self.warmup:
            return np.ones(count)
        return super().factors(first, count, steps_per_epoch, epochs, state)


@SCHEDULES.register()
@dataclass(frozen=True, kw_only=True)
class Step(Schedule):
    """gamma^⌊e / every⌋: falls by the factor ``gamma`` every ``every`` epochs.

    Parameters
    ----------
    every : float > 0, default 10
    gamma : float > 0, default 0.5
    """

    every: float = 10
    gamma: float = 0.5
    name: ClassVar[str] = "step"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_positive("every", self.every)
        _check_positive("gamma", self.gamma)

    def shape(self, e: float, T: float) -> float:
        return float(self.gamma ** math.floor(e / self.every))


@SCHEDULES.register()
@dataclass(frozen=True, kw_only=True)
class Exponential(Schedule):
    """gamma^e: falls by the factor ``gamma`` in an epoch, smoothly.

    Parameters
    ----------
    gamma : float > 0, default 0.95
    """

    gamma: float = 0.95
    name: ClassVar[str] = "exponential"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_positive("gamma", self.gamma)

    def shape(self, e: float, T: float) -> float:
        return float(self.gamma**e)


@SCHEDULES.register("invscaling")
@dataclass(frozen=True, kw_only=True)
class InverseScaling(Schedule):
    """1 / (1 + e / scale)^power.

    Parameters
    ----------
    power : float > 0, default 0.5
    scale : float > 0, default 1.0
        Epochs until the factor is 2^−power.
    """

    power: float = 0.5
    scale: float = 1.0
    name: ClassVar[str] = "inverse_scaling"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_positive("power", self.power)
        _check_positive("scale", self.scale)

    def shape(self, e: float, T: float) -> float:
        return float((1.0 + e / self.scale) ** -self.power)


@SCHEDULES.register()
@dataclass(frozen=True, kw_only=True)
class Linear(Schedule):
    """1 − (1 − floor) e/T.

    Parameters
    ----------
    floor : float in [0, 1], default 0.0
        The factor at the end.
    """

    floor: float = 0.0
    name: ClassVar[str] = "linear"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_floor(self.floor)

    def shape(self, e: float, T: float) -> float:
        return 1.0 - (1.0 - self.floor) * _share(e, T)


@SCHEDULES.register()
@dataclass(frozen=True, kw_only=True)
class Cosine(Schedule):
    """floor + (1 − floor) · ½ (1 + cos(π e/T)) (Loshchilov and Hutter 2017, without restarts).

    Parameters
    ----------
    floor : float in [0, 1], default 0.0
        The factor at the end.
    """

    floor: float = 0.0
    name: ClassVar[str] = "cosine"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_floor(self.floor)

    def shape(self, e: float, T: float) -> float:
        return _cosine(1.0, self.floor, _share(e, T))


@SCHEDULES.register("onecycle")
@dataclass(frozen=True, kw_only=True)
class OneCycle(Schedule):
    """Up from ``start_at`` to 1 over the first ``rise`` of the epochs, then down to ``floor``, both along a cosine.

    The run's learning rate is the peak (Smith and Topin 2019; the momentum is left alone).

    Parameters
    ----------
    rise : float in (0, 1), default 0.3
    start_at : float in (0, 1], default 0.04
    floor : float in [0, 1], default 0.0001
    """

    rise: float = 0.3
    start_at: float = 0.04
    floor: float = 0.0001
    name: ClassVar[str] = "one_cycle"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_floor(self.floor)
        if not 0 < self.rise < 1:
            raise ConfigError(say("{name} must be above 0 and below 1, not {value}", name="rise", value=self.rise))
        if not 0 < self.start_at <= 1:
            raise ConfigError(say("start_at must be above 0 and at most 1, not {value}", value=self.start_at))

    def shape(self, e: float, T: float) -> float:
        share = _share(e, T)
        if share < self.rise:
            return _cosine(self.start_at, 1.0, share / self.rise)
        return _cosine(1.0, self.floor, (share - self.rise) / (1.0 - self.rise))


@SCHEDULES.register("plateau")
@dataclass(frozen=True, kw_only=True)
class ReduceOnPlateau(Schedule):
    """Multiply by ``gamma`` whenever the error has not fallen for ``patience`` epochs.

    The error is the validation loss where there is one, else the training loss. It has fallen if it is below the best
    so far by more than the share ``tolerance`` of it.

    Parameters
    ----------
    gamma : float in (0, 1), default 0.5
    patience : int ≥ 1, default 5
    tolerance : float ≥ 0, default 1e-4
    floor : float in [0, 1], default 0.0
        The least factor.
    """

    gamma: float = 0.5
    patience: int = 5
    tolerance: float = 1e-4
    floor: float = 0.0
    name: ClassVar[str] = "reduce_on_plateau"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_floor(self.floor)
        if not 0 < self.gamma < 1:
            raise ConfigError(say("{name} must be above 0 and below 1, not {value}", name="gamma", value=self.gamma))
        if self.patience < 1:
            raise ConfigError(say("patience must be at least 1 epoch, not {value}", value=self.patience))

    def shape(self, e: float, T: float) -> float:
        return 1.0

    def factor(self, step: int, steps_per_epoch: int, epochs: int, state: dict[str, Any] | None = None) -> float:
        """The warm-up's factor times what the plateaus have left."""
        return super().factor(step, steps_per_epoch, epochs) * float((state or self.start())["factor"])

    def start(self) -> dict[str, Any]:
        """Factor 1, nothing heard."""
        return {"factor": 1.0, "best": math.inf, "waited": 0}

    def epoch_end(self, state: dict[str, Any], error: float) -> None:
        """Count the epochs without a fall; at the ``patience``-th, reduce."""
        if state["best"] == math.inf or error < state["best"] - self.tolerance * abs(state["best"]):
            state.update(best=error, waited=0)
            return
        state["waited"] += 1
        if state["waited"] >= self.patience:
            state.update(factor=max(self.floor, state["factor"] * self.gamma), waited=0)


def _share(e: float, T: float) -> float:
    if e <= 0:  # the start, also of a run that ends within its warm-up (T ≤ 0)
        return 0.0
    return min(1.0, e / T) if T > 0 else 1.0


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * share))


def _check_positive(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise ConfigError(say("{name} must be finite and above 0, not {value}", name=name, value=value))


def _check_floor(value: float) -> None:
    if not 0 <= value <= 1:
        raise ConfigError(say("floor must be from 0 to 1, not {value}", value=value))
