"""Early stopping: when the validation error says that more training does harm.

The criteria are those of Prechelt 1998, "Early stopping — but when?", and plain patience.

Notation: t epochs done, from 1; E_va(t) the validation error and E_tr(t) the mean training error of epoch t;
E_opt(t) = min over t' ≤ t of E_va(t'). Errors are losses, so they are above 0 in all but the Poisson loss.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from glassnet.errors import ConfigError
from glassnet.messages import say
from glassnet.network import parameter_values
from glassnet.registry import Registry
from glassnet.training.callbacks import Callback

if TYPE_CHECKING:
    from glassnet.training.trainer import Trainer


class Criterion(ABC):
    """When to stop. Write ``__call__``."""

    name: ClassVar[str]

    @abstractmethod
    def __call__(self, va: Sequence[float], tr: Sequence[float]) -> str | None:
        """Why to stop after these validation and training errors (one an epoch), or None to go on."""


CRITERIA: Registry[Criterion] = Registry("early stopping criterion", Criterion)


def generalisation_loss(va: Sequence[float]) -> float:
    """GL(t) = 100 · (E_va(t) / E_opt(t) − 1), in percent."""
    best = min(va)
    return 100.0 * (va[-1] - best) / abs(best) if best else (math.inf if va[-1] > best else 0.0)


def training_progress(tr: Sequence[float], k: int) -> float:
    """P_k(t) = 1000 · (Σ of the last k E_tr / (k · their minimum) − 1), in per mille."""
    last = tr[-k:]
    best = min(last)
    excess = sum(last) / len(last) - best
    return 1000.0 * excess / abs(best) if best else (math.inf if excess > 0 else 0.0)


@CRITERIA.register()
@dataclass(frozen=True)
class GL(Criterion):
    """Stop at the first t with GL(t) > α: the validation error is more than α percent above its best.

    Parameters
    ----------
    alpha : float > 0, default 5.0
        In percent.
    """

    alpha: float = 5.0
    name: ClassVar[str] = "gl"

    def __post_init__(self) -> None:
        _check_positive("alpha", self.alpha)

    def __call__(self, va: Sequence[float], tr: Sequence[float]) -> str | None:
        value = generalisation_loss(va)
        if value > self.alpha:
            return say("GL = {value:.3g} % is above {alpha:g} %", value=value, alpha=self.alpha)
        return None


@CRITERIA.register()
@dataclass(frozen=True)
class PQ(Criterion):
    """Stop at the end of a strip of k epochs with GL(t) / P_k(t) > α: the loss outweighs the progress.

    Parameters
    ----------
    alpha : float > 0, default 0.5
    k : int ≥ 2, default 5
        Epochs in a strip.
    """

    alpha: float = 0.5
    k: int = 5
    name: ClassVar[str] = "pq"

    def __post_init__(self) -> None:
        _check_positive("alpha", self.alpha)
        _check_strip(self.k, least=2)

    def __call__(self, va: Sequence[float], tr: Sequence[float]) -> str | None:
        if len(va) % self.k:
            return None
        loss, progress = generalisation_loss(va), training_progress(tr, self.k)
        if loss > self.alpha * progress:
            return say(
                "GL/P = {loss:.3g} % / {progress:.3g} ‰ is above {alpha:g}",
                loss=loss,
                progress=progress,
                alpha=self.alpha,
            )
        return None


@CRITERIA.register()
@dataclass(frozen=True)
class UP(Criterion):
    """Stop when s strips of k epochs in a row have each ended higher than the one before: E_va(t) > E_va(t − k).

    Parameters
    ----------
    s : int ≥ 1, default 3
    k : int ≥ 1, default 5
        Epochs in a strip.
    """

    s: int = 3
    k: int = 5
    name: ClassVar[str] = "up"

    def __post_init__(self) -> None:
        _check_strip(self.s, least=1)
        _check_strip(self.k, least=1)

    def __call__(self, va: Sequence[float], tr: Sequence[float]) -> str | None:
        ends = list(va[self.k - 1 :: self.k])[-self.s - 1 :]
        if len(va) % self.k or len(ends) <= self.s:
            return None
        if all(later > earlier for earlier, later in pairwise(ends)):
            return say("the validation error rose over {s} strips of {k} epochs in a row", s=self.s, k=self.k)
        return None


@CRITERIA.register()
@dataclass(frozen=True)
class Patience(Criterion):
    """Stop when the validation error has not fallen for ``epochs`` epochs.

    Parameters
    ----------
    epochs : int ≥ 1, default 10
    tolerance : float ≥ 0, default 0.0
        It has fallen if it is below the best so far by more than this share of it.
    """

    epochs: int = 10
    tolerance: float = 0.0
    name: ClassVar[str] = "patience"

    def __post_init__(self) -> None:
        _check_strip(self.epochs, least=1)
        if not 0 <= self.tolerance < 1:
            raise ConfigError(
                say("{name} must be at least 0 and below 1, not {value}", name="tolerance", value=self.tolerance)
            )

    def __call__(self, va: Sequence[float], tr: Sequence[float]) -> str | None:
        best, since = math.inf, 0
        for error in va:
            fell = best == math.inf or error < best - self.tolerance * abs(best)
            best, since = (error, 0) if fell else (best, since + 1)
        if since >= self.epochs:
            return say("the validation error has not fallen for {epochs} epochs", epochs=since)
        return None


def _check_positive(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise ConfigError(say("{name} must be finite and above 0, not {value}", name=name, value=value))


def _check_strip(value: int, *, least: int) -> None:
    if not isinstance(value, int) or value < least:
        raise ConfigError(say("expected a whole number of at least {least}, not {value!r}", least=least, value=value))


_SHORT = re.compile(r"(gl|pq|up|patience)(\d+(?:\.\d+)?)", re.IGNORECASE)
_SHORT_FIELD: dict[str, tuple[str, type]] = {
    "gl": ("alpha", float),
    "pq": ("alpha", float),
    "up": ("s", int),
    "patience": ("epochs", int),
}


def criterion(given: Any) -> Criterion:
    """The criterion that ``given`` stands for: "GL5", "PQ0.5", "UP3", "patience10", or as any component."""
    if isinstance(given, str) and (short := _SHORT.fullmatch(given.strip())):
        name = short[1].lower()
        key, kind = _SHORT_FIELD[name]
        number = float(short[2])
        if kind is int and number != int(number):
            raise ConfigError(say("{given!r} needs a whole number", given=given))
        given = {"name": name, key: kind(number)}
    return CRITERIA.make(given)


class EarlyStopping(Callback):
    """Watch the validation error, stop by a criterion, and go back to the best parameters.

    Parameters
    ----------
    criterion : str, dict or Criterion, default "patience10"
    monitor : {"loss", "metric"}, default "loss"
        The error is the validation loss; or 1 − accuracy, or 1 − R².
    restore_best : bool, default True
        Whether the network ends with the parameters of the epoch with the least error.

    Raises
    ------
    ConfigError
        At the start of training, if there is no validation set.
    """

    def __init__(self, criterion: Any = "patience10", *, monitor: str = "loss", restore_best: bool = True) -> None:
        self.criterion = _criterion(criterion)
        self.monitor = monitor
        self.restore_best = restore_best
        self.va: list[float] = []
        self.tr: list[float] = []
        self.best_epoch: int | None = None
        self._best: dict[str, np.ndarray] = {}

    def on_train_begin(self, trainer: Trainer) -> None:
        """Refuse to watch what is not there."""
        if trainer.validation is None:
            raise ConfigError(
                say("early stopping needs a validation set: give one, or a share of the rows to hold out")
            )
        self.va, self.tr, self.best_epoch, self._best = [], [], None, {}

    def state(self) -> dict[str, Any]:
        """The errors so far, and the best epoch with its parameters."""
        return {"va": list(self.va), "tr": list(self.tr), "best_epoch": self.best_epoch, "best": dict(self._best)}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from them."""
        self.va, self.tr = [float(error) for error in state["va"]], [float(error) for error in state["tr"]]
        self.best_epoch, self._best = state["best_epoch"], dict(state["best"])
        if not all(isinstance(values, np.ndarray) for values in self._best.values()):
            raise TypeError(say("{name} has a value of another kind", name="best"))

    def on_epoch_end(self, trainer: Trainer, record: dict[str, Any]) -> None:
        """Note the errors, keep the best parameters, ask the criterion."""
        error = _error(record, "val_", self.monitor)
        better = error < min(self.va, default=math.inf)
        self.va.append(error)
        self.tr.append(_error(record, "", self.monitor))
        if self.best_epoch is None or better:
            self.best_epoch = record["epoch"]
            if self.restore_best:
                self._best = parameter_values(trainer.network)
        reason = self.criterion(self.va, self.tr)
        if reason:
            trainer.stop("early_stopping", reason)

    def on_train_end(self, trainer: Trainer) -> None:
        """Restore the best parameters, also if training ended for another reason."""
        if self._best:
            trainer.network.set_parameters(self._best)
            trainer.history.best_epoch = self.best_epoch


_criterion = criterion  # the parameter of that name hides the function


def _error(record: dict[str, Any], prefix: str, monitor: str) -> float:
    if monitor == "loss":
        return float(record[f"{prefix}loss"])
    metric = "accuracy" if "accuracy" in record else "r2"
    return 1.0 - float(record[f"{prefix}{metric}"])
