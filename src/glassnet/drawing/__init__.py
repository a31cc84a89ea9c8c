"""Pictures: curves of training, and the network at work. They need the extra ``plot``.

Each is drawn from the numbers that back-propagation computes. ``draw_passes``, ``draw_unit`` and ``draw_gradients``
follow real rows, without dropout; ``draw_dropout`` shows a mask of training, ``draw_graph`` what is computed of what.
``Names`` says what inputs and outputs are called, ``names_of`` finds that in a model.
"""

from glassnet.drawing.costs import draw_costs
from glassnet.drawing.curves import draw_curves
from glassnet.drawing.dropout import draw_dropout
from glassnet.drawing.gradients import draw_gradients
from glassnet.drawing.graph import draw_graph
from glassnet.drawing.passes import draw_passes
from glassnet.drawing.sample import Names, names_of
from glassnet.drawing.unit import draw_unit

__all__ = [
    "Names",
    "draw_costs",
    "draw_curves",
    "draw_dropout",
    "draw_gradients",
    "draw_graph",
    "draw_passes",
    "draw_unit",
    "names_of",
]
