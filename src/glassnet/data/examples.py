"""Examples: what engines train on and evaluate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Examples:
    """Encoded rows with their targets and weights.

    Shapes: x (N, n_features)    y (N,) class indices or (N, K) values    weight (N,) or None

    Attributes
    ----------
    x : ndarray, or CSR array of SciPy
    y : ndarray
    weight : ndarray or None
    """

    x: Any
    y: np.ndarray
    weight: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.y)

    def take(self, index: np.ndarray | slice) -> Examples:
        """The examples of these rows."""
        return Examples(self.x[index], self.y[index], None if self.weight is None else self.weight[index])
