"""Engines: what makes the steps of training. One function chooses."""

from __future__ import annotations

from glassnet.engine.base import Engine, Totals
from glassnet.engine.devices import accelerator, available_cores, limited_threads, resolve_device
from glassnet.engine.reference import ReferenceEngine
from glassnet.errors import ConfigError
from glassnet.messages import say

ENGINES: dict[str, type[Engine]] = {ReferenceEngine.name: ReferenceEngine}


def choose(engine: str = "auto") -> type[Engine]:
    """The engine class for a name; "auto" takes the fastest that can carry the job.

    Raises
    ------
    ConfigError
        If there is no engine of that name.
    """
    if engine == "auto":
        return ReferenceEngine
    if engine not in ENGINES:
        known = ", ".join(["auto", *ENGINES])
        raise ConfigError(say("unknown engine {name!r}; choose one of: {known}", name=engine, known=known))
    return ENGINES[engine]


__all__ = [
    "ENGINES",
    "Engine",
    "ReferenceEngine",
    "Totals",
    "accelerator",
    "available_cores",
    "choose",
    "limited_threads",
    "resolve_device",
]
