"""Plots of runs: what happened while a network was trained, and how good its predictions are.

Each kind takes data, which can be had by itself (``kind.data(shown)``), and draws them.
"""

from glassnet.drawing.plots.kinds import KINDS, Kind, check_layer, checked, plot, that_apply
from glassnet.drawing.plots.shown import Shown

__all__ = ["KINDS", "Kind", "Shown", "check_layer", "checked", "plot", "that_apply"]
