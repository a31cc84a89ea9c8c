"""What a layer is.

Shapes: N samples; the rest is the layer's own. A dense layer has a_in (N, n_in) and a, grad_a, delta (N, n_out).
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

from glassnet.arrays import Array
from glassnet.random import Draws


@dataclass
class LayerGrads:
    """The gradients of one layer for one batch.

    Attributes
    ----------
    params : dict of Array
        ∂C/∂θ for each parameter, by its name, of its shape.
    delta : Array (N, n_out)
        δ = ∂C/∂z. It carries the 1/N of the mean: N times a row is the sample's own δ.
    """

    params: dict[str, Array] = field(default_factory=dict)
    delta: Array = None


class Layer(ABC):
    """One layer. Write ``forward``, ``backward`` and ``config``; keep no state between the two passes.

    Attributes
    ----------
    params : dict of Array
        The parameters by name: NumPy arrays, or tensors in a network that was moved to a device.
    number : int
        l: its place among the layers with parameters, from 1; for a layer without any, that of the layer below
        it (0: the input). The network sets it.
    frozen : bool
        Whether training leaves the parameters as they are.
    """

    kind: ClassVar[str]

    def __init__(self) -> None:
        self.params: dict[str, Array] = {}
        self.number = 0
        self.frozen = False

    @abstractmethod
    def forward(self, a_in: Array, *, training: Draws | None) -> tuple[Array, Any]:
        """The layer's output and what ``backward`` will need; ``training`` is None outside training."""

    @abstractmethod
    def backward(self, grad_a: Array, cache: Any, *, grad_in: bool = True) -> tuple[Array, LayerGrads]:
        """From ∂C/∂a to ∂C/∂a_in (None if ``grad_in`` is False: nobody below needs it) and this layer's gradients."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """What ``from_config`` rebuilds the layer of, without its parameters' values; pure JSON."""

    @classmethod
    @abstractmethod
    def from_config(cls, config: dict[str, Any], params: dict[str, Array]) -> Layer:
        """The layer of a ``config`` with these parameters."""

    def output_size(self, n_in: int) -> int:
        """How many units the layer has for ``n_in`` inputs; ShapeError if it does not take as many."""
        return n_in

    def with_params(self, params: dict[str, Array]) -> Layer:
        """The same layer with other parameter arrays."""
        other = copy.copy(self)
        other.params = params
        return other
