"""Where the reference engine computes."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from threadpoolctl import threadpool_info, threadpool_limits

from glassnet.errors import ConfigError
from glassnet.messages import say

CPU = "cpu"
TORCH_CPU = "torch"
LACKING = {("mps", "float64")}


def resolve_device(name: str = "auto", dtype: str = "float32") -> str:
    """The device that ``name`` stands for.

    Parameters
    ----------
    name : str, default "auto"
        "cpu": NumPy on the CPU, which is faster there than torch. "torch": torch on the CPU, the path that an
        accelerator takes. "cuda", "cuda:1", "mps", "xpu" and so on: torch on that device. "auto": the accelerator that
        torch offers, if the machine shows signs of one, else "cpu".
    dtype : {"float32", "float64"}, default "float32"
        Of the network. "auto" does not choose a device that lacks it.

    Raises
    ------
    ConfigError
        If torch does not offer the device.
    """
    if name in (CPU, TORCH_CPU):
        return name
    if name == "auto":
        found = accelerator() if _may_have_accelerator() else None
        return found if found is not None and (found, dtype) not in LACKING else CPU
    if (name.partition(":")[0], dtype) in LACKING:
        raise ConfigError(say("the device {name!r} has no {dtype}; use 'cpu', or float32", name=name, dtype=dtype))
    import torch

    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).split("\n")[0]
        text = say("the device {name!r} cannot be used: {reason}; 'cpu' always can", name=name, reason=reason)
        raise ConfigError(text) from error
    return name


def accelerator() -> str | None:
    """The accelerator that torch offers ("cuda", "mps", "xpu", …), or None."""
    import torch

    if not torch.accelerator.is_available():
        return None
    device = torch.accelerator.current_accelerator()
    return None if device is None else device.type


def _may_have_accelerator() -> bool:
    """A cheap look, so that a machine without an accelerator need not import torch to learn that it has none."""
    signs = sys.platform == "darwin" or any(
        Path(p).exists() for p in ("/dev/nvidiactl", "/dev/kfd", "/dev/dri", "/dev/dxg")
    )
    return signs and not importlib.metadata.version("torch").endswith("+cpu")  # which is built for the CPU alone


def available_cores() -> int:
    """The cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else (os.cpu_count() or 1)


def default_threads() -> int:
    """One a core, or fewer if OMP_NUM_THREADS says so: thus joblib and cluster schedulers share out a machine."""
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return min(available_cores(), int(asked)) if asked.isdecimal() and int(asked) > 0 else available_cores()


@contextmanager
def limited_threads(device: str, threads: int | None) -> Iterator[int]:
    """Hold the library that computes on ``device`` to so many threads, within a block; None leaves it as it is.

    Yields the number of threads in force.
    """
    if device == TORCH_CPU:
        import torch

        before = torch.get_num_threads()
        torch.set_num_threads(threads or before)
        try:
            yield torch.get_num_threads()
        finally:
            torch.set_num_threads(before)
    elif device == CPU:
        with threadpool_limits(limits=threads, user_api="blas"):
            pools = threadpool_info()
            yield max((pool["num_threads"] for pool in pools if pool["user_api"] == "blas"), default=1)
    else:
        yield 1
