"""Whether an array fits into memory, asked before it is made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from glassnet.errors import DataError
from glassnet.messages import say


def available_memory() -> int | None:
    """Bytes that a new array can take without swapping, or None where the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    for pages in ("SC_AVPHYS_PAGES", "SC_PHYS_PAGES"):
        try:
            return os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE")
        except (AttributeError, OSError, ValueError):
            continue
    return None


def check_memory(shape: Sequence[int], dtype: DTypeLike, what: str) -> None:
    """Refuse an array that would not fit into the free memory, before it is allocated.

    Parameters
    ----------
    shape : sequence of int
        The array's shape, or any numbers whose product is how many values there will be.
    dtype : dtype
    what : str
        What the message calls the array, already in the user's language: ``say("the encoded table")``.

    Raises
    ------
    DataError
        With the arithmetic: the sizes, their product, and what is free.
    """
    itemsize = np.dtype(dtype).itemsize
    needed = itemsize
    for size in shape:
        needed *= int(size)
    free = available_memory()
    if free is None or needed <= free:
        return
    sizes = " × ".join(f"{int(size):,}" for size in shape)
    text = say(
        "{what} does not fit into memory: {sizes} × {itemsize} bytes = {needed}, but {free} are free; "
        "make it smaller, or use a machine with more memory",
        what=what,
        sizes=sizes,
        itemsize=itemsize,
        needed=size_text(needed),
        free=size_text(free),
    )
    raise DataError(text)


def size_text(count: int) -> str:
    """A number of bytes as people read it: ``"186 GiB"``."""
    amount = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.3g} {unit}" if amount < 1000 else f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:,.3g} TiB" if amount < 1000 else f"{amount:,.0f} TiB"
