"""SIGTERM as an exception, so that whoever is told to end leaves nothing half-made behind."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class TerminatedError(BaseException):
    """SIGTERM came. Not an Exception, so that nobody who handles errors takes it for one."""


def raise_terminated(number: int, frame: Any) -> None:
    """What SIGTERM does within :func:`terminable`: the first raises, a second ends the process."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise TerminatedError


@contextmanager
def terminable() -> Iterator[None]:
    """Within a block, SIGTERM raises :class:`TerminatedError`.

    Only in the main thread, where Python takes signals, and only where nobody else has taken it.
    """
    mine = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if mine:
        signal.signal(signal.SIGTERM, raise_terminated)
    try:
        yield
    finally:
        if mine:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
