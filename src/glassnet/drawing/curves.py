"""Loss and metric, epoch by epoch."""

from __future__ import annotations

from pathlib import Path

from glassnet.drawing import canvas
from glassnet.drawing.canvas import Axes, Theme
from glassnet.errors import require
from glassnet.training.history import History


def draw_curves(history: History, path: str | Path, *, title: str = "", dark: bool = False) -> Path:
    """Draw training and validation loss and metric over the epochs, with the best epoch marked.

    Parameters
    ----------
    history : History
    path : str or Path
        The picture's file; its ending decides the form (``.png``, ``.svg``, ``.pdf``).
    title : str, default ""
    dark : bool, default False
        Light on dark.

    Raises
    ------
    ConfigError
        If the file's ending is not one that can be drawn, or it cannot be written.
    MissingExtraError
        If matplotlib is not installed (the extra ``plot``).
    """
    path = canvas.check_file(path)
    metric = "accuracy" if history["accuracy"] else "r2"
    names = {"loss": canvas.say("loss"), "accuracy": canvas.say("accuracy"), "r2": "R²"}
    with canvas.themed(dark) as theme:
        figure = require("matplotlib.figure", extra="plot").Figure(figsize=(9, 3.6), layout="constrained")
        for axes, key in zip(figure.subplots(1, 2), ("loss", metric), strict=True):
            _panel(axes, history, key, names[key], theme)
        if title:
            figure.suptitle(title, parse_math=False)
        return canvas.save(figure, path)


def _panel(axes: Axes, history: History, key: str, name: str, theme: Theme) -> None:
    epochs = history["epoch"]
    marker = "o" if len(epochs) == 1 else None  # a line of one point cannot be seen
    axes.plot(epochs, history[key], marker=marker, color=theme.negative, label=canvas.say("training"))
    if history[f"val_{key}"]:
        axes.plot(epochs, history[f"val_{key}"], marker=marker, color=theme.positive, label=canvas.say("validation"))
    if history.best_epoch is not None:
        label = f"{canvas.say('best epoch')} ({history.best_epoch})"
        axes.axvline(history.best_epoch, color=theme.faint, linestyle="--", linewidth=1, label=label)
    if key == "loss" and min(history[key] + history[f"val_{key}"]) > 0:
        axes.set_yscale("log")
    axes.xaxis.set_major_locator(require("matplotlib.ticker", extra="plot").MaxNLocator(integer=True))
    axes.set_xlabel(canvas.say("epoch"))
    axes.set_ylabel(name)
    axes.grid(alpha=0.25, which="both")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend()
