"""Arrays of any library: the equations run on NumPy arrays and on torch tensors of any device.

Everything that computes is written against the array API standard, through :func:`namespace`. NumPy arrays are what
enters and leaves (parameters, data, results); torch is imported only when a tensor or a device asks for it.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import scipy.special
from array_api_compat import array_namespace, is_numpy_array, is_torch_array

Array: TypeAlias = Any
"""A NumPy array or a torch tensor."""


def namespace(*arrays: Array) -> Any:
    """The array API functions for these arrays: NumPy's or torch's."""
    return array_namespace(*arrays)


def to_numpy(array: Array) -> np.ndarray:
    """As a NumPy array: without a copy on the CPU, with one from another device."""
    return array.detach().cpu().numpy() if is_torch_array(array) else np.asarray(array)


def like(values: Any, other: Array) -> Array:
    """``values`` as an array of the library and device of ``other``, its own dtype kept."""
    if is_numpy_array(other):
        return to_numpy(values)
    if is_torch_array(values):
        return values.to(other.device)
    import torch

    return torch.from_numpy(np.ascontiguousarray(values)).to(other.device)


def one_hot(y: Array, classes: int, dtype: Any) -> Array:
    """Class indices (N,) as rows of a unit matrix, (N, classes)."""
    xp = namespace(y)
    return xp.astype(y[:, None] == xp.arange(classes, dtype=y.dtype, device=y.device)[None, :], dtype)


def erf(z: Array) -> Array:
    """The error function, which the array API lacks."""
    return z.erf() if is_torch_array(z) else scipy.special.erf(z)
