"""Where the reference engine computes."""

from __future__ import annotations

import importlib.metadata
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from threadpoolctl import OpenBLASController, threadpool_info, threadpool_limits

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

    Yields the number of threads in force. These numbers are the whole process's: of blocks that are open at once, in
    several threads of Python, the smallest holds, and after the last of them all is as it was before the first.
    """
    pool = {CPU: _BLAS, TORCH_CPU: _TORCH}.get(device)
    if pool is None:
        yield 1
    elif threads is None:
        yield pool.threads()
    else:
        with pool.limited(threads):
            yield pool.threads()


class _Blas:
    """The libraries that NumPy and SciPy multiply with."""

    def threads(self) -> int:
        return max((pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"), default=1)

    def limit(self, threads: int) -> Callable[[], None]:
        """Hold them to so many threads; what undoes it."""
        limits = threadpool_limits(limits=threads, user_api="blas")
        self._release()

        def undo() -> None:
            limits.restore_original_limits()
            self._release()

        return undo

    def _release(self) -> None:
        """Newer versions of threadpoolctl listen to one thread of Python only, until it says that it is done."""
        release = getattr(OpenBLASController, "clear_controlling_thread", None)
        if release is not None:
            release()


class _Torch:
    """torch on the CPU."""

    def threads(self) -> int:
        import torch

        return torch.get_num_threads()

    def limit(self, threads: int) -> Callable[[], None]:
        """The same."""
        import torch

        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        return lambda: torch.set_num_threads(before)


class _Pool:
    """Threads of a library, which blocks in several threads of Python may limit at once."""

    def __init__(self, library: _Blas | _Torch) -> None:
        self.threads = library.threads
        self._limit = library.limit
        self._open: dict[object, tuple[int, int]] = {}  # of each block the thread of Python and the limit
        self._smallest: int | None = None
        self._undo: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    @contextmanager
    def limited(self, threads: int) -> Iterator[None]:
        """Within a block there are at most so many threads."""
        block = object()
        with self._lock:
            self._open[block] = threading.get_ident(), threads
            self._enforce()
        try:
            yield
        finally:
            with self._lock:
                self._open.pop(block, None)
                self._enforce()

    def _enforce(self) -> None:
        """The smallest limit of the open blocks, or what was before the first."""
        smallest = min((limit for _, limit in self._open.values()), default=None)
        if smallest is None:
            while self._undo:
                self._undo.pop()()
        elif smallest != self._smallest:
            self._undo.append(self._limit(smallest))
        self._smallest = smallest

    def _after_fork(self) -> None:
        """In a forked process no other thread is there to close its block."""
        self._lock = threading.Lock()
        mine = {block: held for block, held in self._open.items() if held[0] == threading.get_ident()}
        if mine != self._open:
            self._open = mine
            self._enforce()


_BLAS, _TORCH = _Pool(_Blas()), _Pool(_Torch())
