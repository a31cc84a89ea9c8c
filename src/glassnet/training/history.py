"""What happened, epoch by epoch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from glassnet.messages import say

FIGURES = (
    *("epoch", "loss", "accuracy", "r2", "penalty"),
    *("val_loss", "val_accuracy", "val_r2", "lr", "seconds"),
)
"""What an epoch's record may hold, besides what callbacks add."""


@dataclass
class History:
    """The figures of every epoch and why training ended.

    Attributes
    ----------
    epochs : list of dict
        One for each epoch: ``epoch`` (from 1), ``loss``, ``accuracy`` or ``r2``, ``val_loss``, ``val_accuracy`` or
        ``val_r2``, ``penalty`` where there is one, ``lr`` (of the last step) and ``seconds``.
    stop_reason : str
        Why training ended, in words.
    stop_code : str
        The same for programs: "epochs", "early_stopping", "interrupted", "terminated", "diverged", or what a callback
        gave.
    best_epoch : int or None
        The epoch whose parameters the network has, if they were restored.
    engine : str
        What trained, in words.
    seconds : float
        Of all epochs.
    """

    epochs: list[dict[str, Any]] = field(default_factory=list)
    stop_reason: str = ""
    stop_code: str = ""
    best_epoch: int | None = None
    engine: str = ""

    @property
    def seconds(self) -> float:
        """Training time of all epochs, validation included."""
        return float(sum(record["seconds"] for record in self.epochs))

    def __getitem__(self, key: str) -> list[Any]:
        """One figure over the epochs, ``history["val_loss"]``: empty if it was not taken; KeyError for any other."""
        if key not in FIGURES and not any(key in record for record in self.epochs):
            raise KeyError(say("there is no figure {key!r}; there are: {known}", key=key, known=", ".join(FIGURES)))
        return [record[key] for record in self.epochs if key in record]

    def __len__(self) -> int:
        return len(self.epochs)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.epochs)

    def to_jsonl(self) -> str:
        """One JSON object a line: the epochs, then how it ended."""
        end = {
            "stop_code": self.stop_code,
            "stop_reason": self.stop_reason,
            "best_epoch": self.best_epoch,
            "engine": self.engine,
        }
        return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in [*self.epochs, end])

    @classmethod
    def from_jsonl(cls, text: str) -> History:
        """What :meth:`to_jsonl` wrote."""
        records = [json.loads(line) for line in text.splitlines() if line.strip()]
        end = records.pop() if records and "stop_code" in records[-1] else {}
        return cls(
            records,
            end.get("stop_reason", ""),
            end.get("stop_code", ""),
            end.get("best_epoch"),
            end.get("engine", ""),
        )
