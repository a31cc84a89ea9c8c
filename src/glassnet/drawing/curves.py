"""Loss and metric, epoch by epoch, of any training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from glassnet.drawing import canvas
from glassnet.drawing.plots import series
from glassnet.training.history import History


def draw_curves(
    history: History, path: str | Path, *, title: str = "", criterion: Any = None, dark: bool = False
) -> Path:
    """Draw training and validation loss and metric over the epochs, with the best epoch and the stop marked.

    Parameters
    ----------
    history : History
    path : str or Path
        The picture's file; its ending decides the form (``.png``, ``.svg``, ``.pdf``).
    title : str, default ""
    criterion : str, optional
        That of early stopping, to be named where it ended training.
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
    with canvas.themed(dark) as theme:
        figure = series.draw_curves([(title, series.curves(history, criterion))], theme)
        if title:
            figure.suptitle(canvas.shortened(title, 70), parse_math=False, fontsize=10)
        return canvas.save(figure, path)
