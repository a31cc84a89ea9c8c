"""SIGTERM and Ctrl-C: training ends after the step under way."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from glassnet.signals import raise_terminated

if TYPE_CHECKING:
    from glassnet.training.trainer import Trainer

_CODES = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
_DEFAULTS = (signal.SIG_DFL, signal.default_int_handler, raise_terminated)


@contextmanager
def halted_by_signals(trainer: Trainer) -> Iterator[None]:
    """Within a block, these signals halt the trainer; a second Ctrl-C raises KeyboardInterrupt at once.

    Only in the main thread, where Python takes signals, and only where nobody else has taken them.
    """

    def handle(number: int, frame: Any) -> None:
        if not trainer.halting:
            trainer.halt(_CODES[signal.Signals(number)])
        elif number == signal.SIGINT:
            raise KeyboardInterrupt

    before = {}
    if threading.current_thread() is threading.main_thread():
        free = [number for number in _CODES if signal.getsignal(number) in _DEFAULTS]
        before = {number: signal.signal(number, handle) for number in free}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
