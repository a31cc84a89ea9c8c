"""How ``glassnet train`` shows what it does: a bar and a line an epoch, or lines of JSON."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Self

from glassnet.cli.common import console, print_json
from glassnet.messages import say
from glassnet.training import Callback

if TYPE_CHECKING:
    from glassnet.runs import Run
    from glassnet.training import Trainer


class Progress(Callback):
    """A line for each epoch, and below them a bar with loss, metric and time left where there is a terminal."""

    every = 20

    def __init__(self, *, quiet: bool = False) -> None:
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._quiet = quiet
        self._console = console()
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn(say("left")),
            TimeRemainingColumn(),
            console=self._console,
            disable=not sys.stdout.isatty(),
            transient=True,
        )
        self._task: Any = None
        if self._bar.disable:
            self.every = sys.maxsize  # nobody watches: let the engine make a whole epoch at once

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def note(self, text: str) -> None:
        """A sentence about what was chosen."""
        if not self._quiet:
            self._console.print(f"· {text}", markup=False)

    def on_train_begin(self, trainer: Trainer) -> None:
        """Name the engine, start the bar."""
        self.note(_engine(trainer))
        self._task = self._bar.add_task("", total=trainer.config.epochs * trainer.steps_per_epoch)

    def on_batch_end(self, trainer: Trainer) -> None:
        """Move the bar."""
        self._bar.update(self._task, completed=trainer.step)

    def on_epoch_end(self, trainer: Trainer, record: dict[str, Any]) -> None:
        """Print the epoch."""
        self._bar.update(self._task, completed=trainer.step)
        if self._quiet:
            return
        width = len(str(trainer.config.epochs))
        parts = [f"{say('epoch')} {record['epoch']:>{width}}/{trainer.config.epochs}"]
        names = {
            "loss": say("loss"),
            "accuracy": say("accuracy"),
            "r2": "R²",
            "val_loss": say("val. loss"),
            "val_accuracy": say("val. accuracy"),
            "val_r2": say("val. R²"),
        }
        parts += [f"{name} {record[key]:.4f}" for key, name in names.items() if key in record]
        parts.append(f"{record['seconds']:.2f} s")
        self._console.print("  ".join(parts), markup=False)
        self._bar.update(self._task, description="  ".join(parts[:3]))


def _engine(trainer: Trainer) -> str:
    return say("engine: {engine}", engine=trainer.history.engine)


class JsonLines(Callback):
    """One JSON object a line: ``note``, ``epoch`` and at the end ``done``."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def note(self, text: str) -> None:
        """A sentence about what was chosen."""
        print_json({"event": "note", "text": text})

    def on_train_begin(self, trainer: Trainer) -> None:
        """Name the engine."""
        self.note(_engine(trainer))

    def on_epoch_end(self, trainer: Trainer, record: dict[str, Any]) -> None:
        """Print the epoch."""
        print_json({"event": "epoch", **record})

    def done(self, run: Run) -> None:
        """Print how it ended."""
        figures = {f"test_{key}": value for key, value in run.test.items() if isinstance(value, float)}
        print_json(
            {
                "event": "done",
                "run": str(run.folder),
                "stop_code": run.history.stop_code,
                "stop_reason": run.history.stop_reason,
                "epochs": len(run.history),
                "best_epoch": run.history.best_epoch,
                "engine": run.history.engine,
                **figures,
                "seconds": run.seconds,
            }
        )
