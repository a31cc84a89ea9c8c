"""Arrays of any library: the equations run on NumPy arrays and on torch tensors of any device.

Everything that computes is written against the array API standard, through :func:`namespace`. NumPy arrays are what
enters and leaves (parameters, data, results); torch is imported only when a tensor or a device asks for it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import Any, Literal, TypeAlias

import array_api_compat.numpy
import numpy as np
import scipy.special
from array_api_compat import array_namespace, is_torch_array

from glassnet.errors import DataError, InputError
from glassnet.messages import say

Array: TypeAlias = Any
"""A NumPy array or a torch tensor."""


def namespace(*arrays: Array) -> Any:
    """The array API functions for these arrays: NumPy's or torch's."""
    if isinstance(arrays[0], np.ndarray):  # the look-up of any library takes longer than a small batch's product
        return array_api_compat.numpy
    return array_namespace(*arrays)


@cache
def dtype_name(dtype: Any) -> str:
    """The name of a dtype of any library: "float32", "int64" and so on."""
    return str(dtype).removeprefix("torch.")


def at_least(array: Array, floor: float) -> Array:
    """The larger of each element and ``floor``; NaN stays."""
    # the array API's clip takes 50 µs to begin
    return np.maximum(array, floor) if isinstance(array, np.ndarray) else array.clamp(min=floor)


def to_numpy(array: Array) -> np.ndarray:
    """As a NumPy array: without a copy on the CPU, with one from another device."""
    return array.detach().cpu().numpy() if is_torch_array(array) else np.asarray(array)


def to_torch(array: Array, device: Any = None) -> Array:
    """As a torch tensor on ``device`` (by default where it is); no copy if it is writeable and stays on the CPU."""
    import torch

    if not is_torch_array(array):
        array = np.asarray(array)
        array = torch.from_numpy(array if array.flags.writeable else array.copy())
    return array if device is None else array.to(device)


def like(values: Any, other: Array) -> Array:
    """``values`` as an array of the library and device of ``other``, its own dtype kept."""
    return to_torch(values, other.device) if is_torch_array(other) else to_numpy(values)


def is_sparse(x: Any) -> bool:
    """Whether it is a sparse array or matrix of SciPy, whose module is imported if there is one."""
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and bool(sparse.issparse(x))


def as_csr(x: Any) -> Any:
    """A sparse array of any format as a CSR array with each row's columns in order and no entry twice.

    What is so already is not copied, and what is not is left as it is.

    Raises
    ------
    DataError
        If its parts do not fit one another.
    """
    from scipy.sparse import csr_array

    try:
        csr = csr_array(x)
        csr.check_format()
    except (ValueError, TypeError) as error:
        raise DataError(say("cannot use the sparse array: {error}", error=error)) from error
    if csr.ndim == 2 and not csr.has_canonical_format:
        csr = csr.copy()
        csr.sum_duplicates()
    return csr


def as_dense(x: Any) -> Array:
    """A sparse array with its zeros written out; any other as it is."""
    return x.toarray() if is_sparse(x) else x


def evenly(n: int, most: int) -> np.ndarray:
    """At most so many of n rows, spread evenly over them: their numbers, rising."""
    count = min(n, most)
    return np.arange(count) * n // max(count, 1)


WrittenFor: TypeAlias = Literal["any", "torch", "numpy"]
"""The arrays that a user's function was written for; "any": whatever the engine computes with."""


def call_with(arrays: WrittenFor, function: Callable[..., Array], *inputs: Array) -> Array:
    """Call a user's function with the arrays that it was written for; the result is like the first input."""
    convert = {"any": lambda x: x, "torch": to_torch, "numpy": to_numpy}[arrays]
    try:
        result = like(function(*map(convert, inputs)), inputs[0])
    except (TypeError, AttributeError) as error:
        text = say(
            "{function} could not be called with {library} arrays: {error}. Say what it was written for: "
            "arrays='torch' or arrays='numpy'",
            function=getattr(function, "__name__", function),
            library=type(convert(inputs[0])).__module__,
            error=error,
        )
        raise InputError(text) from error
    return namespace(result).astype(result, inputs[0].dtype, copy=False)


def one_hot(y: Array, classes: int, dtype: Any) -> Array:
    """Class indices (N,) as rows of a unit matrix, (N, classes)."""
    xp = namespace(y)
    return xp.astype(y[:, None] == xp.arange(classes, dtype=y.dtype, device=y.device)[None, :], dtype)


def erf(z: Array) -> Array:
    """The error function, which the array API lacks."""
    return z.erf() if is_torch_array(z) else scipy.special.erf(z)
