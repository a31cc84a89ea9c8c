"""Pictures: curves of training. They need the extra ``plot``."""

from glassnet.drawing.curves import draw_curves

__all__ = ["draw_curves"]
