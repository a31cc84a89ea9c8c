"""When an estimator stops: scikit-learn's rule, or a criterion of early stopping."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import shuffle

from glassnet.messages import say
from glassnet.network import parameter_values
from glassnet.training import Callback, Trainer
from glassnet.training.early_stopping import criterion

if TYPE_CHECKING:
    from glassnet.estimators.base import BaseMLP

_GENERATORS = {bits.__name__: bits for bits in (np.random.MT19937, np.random.PCG64, np.random.Philox, np.random.SFC64)}

LEAST_RATE = 1e-6
"""The "adaptive" learning rate stops here."""


@dataclass
class Memory:
    """What goes on from one call of ``fit`` or ``partial_fit`` to the next, besides the fitted attributes.

    Attributes
    ----------
    epochs : int
        Trained in all; dropout's masks go on from there.
    seed : int
        Of dropout's masks.
    optimiser : dict or None
        The state of its updater.
    lr : float or None
        The learning rate that ``partial_fit`` goes on with.
    schedule : dict or None
        What its schedule remembers, likewise.
    waited : int
        Epochs in a row without improvement.
    va, tr : list of float
        Validation and training errors, for a criterion.
    best : dict
        The parameters of the best epoch, where early stopping keeps them.
    stopped : bool
        Whether the last call ended by a rule; the next one counts anew.
    """

    epochs: int = 0
    seed: int = 0
    optimiser: dict[str, Any] | None = None
    lr: float | None = None
    schedule: dict[str, Any] | None = None
    waited: int = 0
    va: list[float] = field(default_factory=list)
    tr: list[float] = field(default_factory=list)
    best: dict[str, np.ndarray] = field(default_factory=dict)
    stopped: bool = False


class EstimatorTrainer(Trainer):
    """A trainer whose orders come from the estimator's ``random_state``, as scikit-learn draws them."""

    random: np.random.RandomState
    _index: np.ndarray | None = None
    _before: tuple[np.ndarray | None, Any] | None = None

    def order(self, n: int) -> np.ndarray:
        """Each epoch shuffles the order of the one before."""
        self._before = self._index, self.random.get_state(legacy=False)
        if self._index is None or len(self._index) != n:
            self._index = np.arange(n)
        if self.config.shuffle:
            self._index = shuffle(self._index, random_state=self.random)
        return self._index

    def state(self) -> dict[str, Any]:
        """Also what the epoch's order was drawn from, and the dropout masks' seed."""
        index, random = self._index, self.random.get_state(legacy=False)
        if self._within and self._before is not None:  # the order of the epoch under way will be drawn once more
            index, random = self._before
        return {
            **super().state(),
            "index": index,
            "random": random,
            "first_epoch": self.first_epoch,
            "seed": self.network.seed,
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from a :meth:`state`; the orders are then drawn by a generator of its own."""
        super().resume(state)
        index = state["index"]
        if index is not None and not np.array_equal(np.sort(index), np.arange(len(index))):
            raise ValueError(say("{name} has a value of another kind", name="index"))
        self._index, self.first_epoch, self.network.seed = index, state["first_epoch"], state["seed"]
        self.random = np.random.RandomState(_GENERATORS[state["random"]["bit_generator"]]())
        self.random.set_state(state["random"])


class Progress(Callback):
    """Keeps the estimator's figures after each epoch, says when to stop, and keeps the best parameters.

    Without a schedule or criterion this is scikit-learn's rule: stop after more than ``n_iter_no_change`` epochs in a
    row in which the loss (or, with early stopping, the validation score) has not improved by ``tol``.

    Parameters
    ----------
    estimator : BaseMLP
    rows : int
        Trained on in an epoch.
    constant : float
        What the loss leaves out and scikit-learn's does not.
    incremental : bool
        Whether to stop after one epoch, for ``partial_fit``.
    begun : callable
        Called when everything has been checked and training begins.
    """

    def __init__(
        self, estimator: BaseMLP, *, rows: int, constant: float, incremental: bool, begun: Callable[[], None]
    ) -> None:
        self.estimator = estimator
        self.rows = rows
        self.constant = constant
        self.incremental = incremental
        plain = isinstance(estimator.early_stopping, (bool, np.bool_))
        self.scores = plain and estimator._stops_early
        self.criterion = None if plain else criterion(estimator.early_stopping)
        self.stopped = False
        self.begun = begun

    def on_train_begin(self, trainer: Trainer) -> None:
        """Say so."""
        self.begun()

    def state(self) -> dict[str, Any]:
        """The estimator's figures, and what its memory counts."""
        figures = {name: getattr(self.estimator, name) for name in FIGURES if hasattr(self.estimator, name)}
        memory = {name: getattr(self.estimator._memory, name) for name in COUNTED}
        return {"figures": figures, "memory": memory, "stopped": self.stopped}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from them."""
        for name, value in state["figures"].items():
            setattr(self.estimator, name, value)
        for name, value in state["memory"].items():
            setattr(self.estimator._memory, name, value)
        self.stopped = state["stopped"]

    def on_epoch_end(self, trainer: Trainer, record: dict[str, Any]) -> None:
        """The figures under scikit-learn's names, and whether to go on."""
        estimator, memory = self.estimator, self.estimator._memory
        estimator.n_iter_ += 1
        estimator.t_ += self.rows
        memory.epochs += 1
        loss = record["loss"] + record.get("penalty", 0.0) + self.constant
        estimator.loss_ = loss
        estimator.loss_curve_.append(loss)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")
        score = record.get("val_accuracy", record.get("val_r2"))
        if score is not None:
            if estimator.validation_scores_ is None:
                estimator.validation_scores_ = []
            estimator.validation_scores_.append(score)
            if estimator.verbose:
                print(f"Validation score: {score:f}")
        if self.criterion is not None:
            self._ask_criterion(trainer, record, score)
        else:
            self._count(trainer, loss, score)
        if self.incremental and not self.stopped:
            trainer.stop("partial_fit", "one epoch")

    def _ask_criterion(self, trainer: Trainer, record: dict[str, Any], score: float | None) -> None:
        estimator, memory = self.estimator, self.estimator._memory
        assert self.criterion is not None
        if not memory.va or record["val_loss"] < min(memory.va):
            memory.best = parameter_values(trainer.network)
            estimator.best_validation_score_ = score
        memory.va.append(record["val_loss"])
        memory.tr.append(record["loss"])
        reason = self.criterion(memory.va, memory.tr)
        if reason:
            self._stop(trainer, reason)

    def _count(self, trainer: Trainer, loss: float, score: float | None) -> None:
        estimator, memory = self.estimator, self.estimator._memory
        if self.scores:
            assert score is not None
            improved = not score < estimator.best_validation_score_ + estimator.tol
            if score > estimator.best_validation_score_:
                estimator.best_validation_score_ = score
                memory.best = parameter_values(trainer.network)
        else:
            improved = not loss > estimator.best_loss_ - estimator.tol
            estimator.best_loss_ = min(estimator.best_loss_, loss)
        if estimator.schedule is not None:
            return
        memory.waited = 0 if improved else memory.waited + 1
        if estimator.learning_rate == "invscaling" and estimator._uses_sgd():
            trainer.base_lr = estimator.learning_rate_init / (estimator.t_ + 1) ** estimator.power_t
        if memory.waited <= estimator.n_iter_no_change:
            return
        what = "Validation score" if self.scores else "Training loss"
        text = (
            f"{what} did not improve more than tol={estimator.tol:f} for "
            f"{estimator.n_iter_no_change} consecutive epochs."
        )
        if estimator.learning_rate == "adaptive" and estimator._uses_sgd() and trainer.base_lr > LEAST_RATE:
            trainer.base_lr /= 5.0
            memory.waited = 0
            if estimator.verbose:
                print(f"{text} Setting learning rate to {trainer.base_lr:f}")
            return
        small = estimator.learning_rate == "adaptive" and estimator._uses_sgd()
        self._stop(trainer, f"{text} Learning rate too small." if small else text)

    def _stop(self, trainer: Trainer, reason: str) -> None:
        self.stopped = True
        trainer.stop("converged" if self.criterion is None else "early_stopping", reason)
        if self.estimator.verbose:
            print(f"{reason} Stopping.")


COUNTED = ("epochs", "seed", "waited", "va", "tr", "best")
FIGURES = (*("n_iter_", "t_", "loss_", "loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_"),)
CURVES = ("loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_")


def fresh_figures(estimator: BaseMLP) -> None:
    """The fitted attributes as they are before the first epoch."""
    early = estimator._stops_early
    estimator.loss_curve_ = []
    estimator.best_loss_ = None if early else math.inf
    estimator.validation_scores_ = [] if early else None
    estimator.best_validation_score_ = -math.inf if early else None
