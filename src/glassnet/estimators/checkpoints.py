"""Checkpoints of an estimator's ``fit``."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glassnet.data.examples import Examples
from glassnet.errors import ConfigError, GlassnetWarning, ModelFileError
from glassnet.lock import check_free, locked
from glassnet.messages import say
from glassnet.reading import refused_as
from glassnet.training.checkpoint import CheckpointWriter, Interval, fingerprint, latest
from glassnet.training.interruption import halted_by_signals
from glassnet.training.resuming import differences, told

if TYPE_CHECKING:
    from glassnet.estimators.base import BaseMLP
    from glassnet.estimators.progress import EstimatorTrainer

NO_MATTER = ("verbose", "threads", "callbacks", "checkpoint", "checkpoint_every", "resume", "warm_start")
"""Parameters that do not decide what training comes to."""


@contextmanager
def checkpoints(
    estimator: BaseMLP,
    trainer: EstimatorTrainer,
    examples: Examples,
    validation: Examples | None,
    rows: np.ndarray | None,
) -> Iterator[None]:
    """Within a block, the trainer's checkpoints are written if the estimator asks for them; before it, one is taken up.

    Raises
    ------
    ConfigError
        If the folder is in use, or its checkpoint is that of other data or parameters.
    """
    if estimator.checkpoint is None:
        yield
        return
    folder = Path(estimator.checkpoint)
    Interval.of(estimator.checkpoint_every)
    check_free(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        about = _about(estimator, trainer, examples, validation, rows)
        newest = latest(folder, _warn) if estimator.resume else None
        if newest is not None:
            _check(folder, newest.about, about, estimator)
            with refused_as(ModelFileError, folder, damaged=True):
                trainer.resume(newest.state)
        writer = CheckpointWriter(folder, estimator.checkpoint_every, about=about, fresh=newest is None)
        trainer.callbacks.append(writer)
        with halted_by_signals(trainer):
            yield


def _about(
    estimator: BaseMLP,
    trainer: EstimatorTrainer,
    examples: Examples,
    validation: Examples | None,
    rows: np.ndarray | None,
) -> dict[str, Any]:
    """What must be the same where a checkpoint is taken up."""
    params = {name: value for name, value in estimator.get_params(deep=False).items() if name not in NO_MATTER}
    trained = None if rows is None else Examples(rows, rows)
    return {
        "config": json.loads(json.dumps(params, default=_plain)),
        "data": fingerprint(examples, validation, trained),
        "engine": trainer.engine.name,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return hashlib.sha256(np.ascontiguousarray(value).data).hexdigest()
    if isinstance(value, np.generic):
        return value.item()
    return type(value).__name__ if isinstance(value, np.random.RandomState) else repr(value)


def _check(folder: Path, before: dict[str, Any], now: dict[str, Any], estimator: BaseMLP) -> None:
    """ConfigError if the checkpoint is that of other data or parameters."""
    changed = {path: (old, new) for path, old, new in differences(before, now)}
    if estimator.schedule is None:  # it then decides only when to end
        changed.pop("config.max_iter", None)
    if not changed:
        return
    hint = say(" random_state=None holds out other rows each time.") if estimator.random_state is None else ""
    text = say(
        "the checkpoint in {folder} is of other parameters or data ({differences}); "
        "leave resume out to begin anew.{hint}",
        folder=folder,
        differences=told({path.removeprefix("config."): pair for path, pair in changed.items()}),
        hint=hint,
    )
    raise ConfigError(text)


def _warn(text: str) -> None:
    warnings.warn(text, GlassnetWarning, stacklevel=2)
