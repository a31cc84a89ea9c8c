"""The layers, each a forward pass and its backward pass."""

from glassnet.layers.base import Layer, LayerGrads
from glassnet.layers.dense import Dense
from glassnet.layers.dropout import Dropout

KINDS: dict[str, type[Layer]] = {layer.kind: layer for layer in (Dense, Dropout)}
"""The layers that a model file can name."""

__all__ = ["KINDS", "Dense", "Dropout", "Layer", "LayerGrads"]
