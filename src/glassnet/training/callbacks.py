"""Callbacks: what else happens while a network is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glassnet.training.trainer import Trainer


class Callback:
    """Override what you need. Every hook gets the trainer, with its network, epoch, step, history and ``stop``.

    An engine may have arrays of its own while it makes steps. The network's are brought up to date after each epoch; in
    ``on_batch_end`` call ``trainer.engine.sync()`` before you read or change them.

    Attributes
    ----------
    every : int ≥ 1
        After how many steps ``on_batch_end`` is called.
    """

    every: int = 1

    def on_train_begin(self, trainer: Trainer) -> None:
        """Before the first epoch."""

    def on_epoch_begin(self, trainer: Trainer) -> None:
        """Before an epoch's first step."""

    def on_batch_end(self, trainer: Trainer) -> None:
        """After every ``every`` steps, and after the epoch's last."""

    def on_epoch_end(self, trainer: Trainer, record: dict[str, Any]) -> None:
        """After validation, with the epoch's figures (which a callback may add to)."""

    def on_halt(self, trainer: Trainer) -> None:
        """When training is told to end at once, perhaps within an epoch; before ``on_train_end``."""

    def state(self) -> dict[str, Any]:
        """What has to be kept in a checkpoint, as plain data and NumPy arrays; empty if nothing."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a :meth:`state`; called after ``on_train_begin``."""

    def on_train_end(self, trainer: Trainer) -> None:
        """After the last epoch."""

    def on_failure(self, trainer: Trainer, error: Exception) -> None:
        """When training ends with a NotFiniteError, in place of ``on_train_end``."""
