"""What a gradient costs by each way, over the number of parameters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from glassnet.drawing import canvas
from glassnet.errors import ConfigError, require
from glassnet.messages import say

if TYPE_CHECKING:
    from glassnet.inspection import Cost


def draw_costs(costs: Sequence[Cost], path: str | Path, *, dark: bool = False) -> Path:
    """Draw seconds over parameters, both on logarithmic scales, a line for each way to the gradient.

    Parameters
    ----------
    costs : sequence of Cost
        As :func:`glassnet.inspection.gradient_costs` measures them.
    path : str or Path
        The picture's file; its ending decides the form (``.png``, ``.svg``, ``.pdf``).
    dark : bool, default False
        Light on dark.

    Raises
    ------
    ConfigError
        If there is nothing to draw, the file's ending is not one that can be drawn, or it cannot be written.
    MissingExtraError
        If matplotlib is not installed (the extra ``plot``).
    """
    path = canvas.check_file(path)
    if not costs:
        raise ConfigError(say("there are no costs to draw"))
    with canvas.themed(dark) as theme:
        figure = require("matplotlib.figure", extra="plot").Figure(figsize=(6.4, 4.4), layout="constrained")
        axes = figure.subplots()
        lines = (
            ("derive", canvas.say("symbolic: derive"), theme.positive, "s", "-"),
            ("evaluate", canvas.say("symbolic: evaluate"), theme.positive, "s", ":"),
            ("numerical", canvas.say("numerical"), theme.faint, "^", "-"),
            ("backprop", canvas.say("back-propagation"), theme.negative, "o", "-"),
        )
        for key, label, colour, marker, style in lines:
            points = [(c.parameters, getattr(c, key)) for c in costs if getattr(c, key) is not None]
            axes.plot(*np.array(points).reshape(-1, 2).T, marker=marker, color=colour, linestyle=style, label=label)
        axes.set(xscale="log", yscale="log", xlabel=canvas.say("parameters"), ylabel=canvas.say("seconds"))
        axes.set_title(canvas.say("seconds for the whole gradient of one sample"), fontsize=10)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend()
        return canvas.save(figure, path)
