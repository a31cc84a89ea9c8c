"""Engines: what makes the steps of training. One function chooses."""

from __future__ import annotations

from typing import NamedTuple

from glassnet.engine import native
from glassnet.engine.base import Engine, Totals
from glassnet.engine.devices import accelerator, available_cores, limited_threads, resolve_device
from glassnet.engine.native import NativeEngine
from glassnet.engine.reference import ReferenceEngine
from glassnet.errors import ConfigError
from glassnet.losses import Loss
from glassnet.messages import say
from glassnet.network import Network
from glassnet.optimisers import Updater

ENGINES: dict[str, type[Engine]] = {engine.name: engine for engine in (NativeEngine, ReferenceEngine)}


class Choice(NamedTuple):
    """An engine, and why it is not the native one ("" if it is, or if another was asked for)."""

    engine: type[Engine]
    reason: str


def choose(network: Network, loss: Loss, updater: Updater, device: str, engine: str = "auto") -> Choice:
    """The engine for a job.

    Parameters
    ----------
    network : Network
    loss : Loss
    updater : Updater
    device : str
        From :func:`resolve_device`.
    engine : {"auto", "native", "reference"}, default "auto"
        "auto": the native engine if it can carry the job, else the reference engine.

    Raises
    ------
    ConfigError
        If there is no engine of that name, or the native engine is asked for a job that it cannot carry.
    """
    if engine != "auto" and engine not in ENGINES:
        known = ", ".join(["auto", *ENGINES])
        raise ConfigError(say("unknown engine {name!r}; choose one of: {known}", name=engine, known=known))
    if engine == ReferenceEngine.name:
        return Choice(ReferenceEngine, "")
    reason = native.cannot_carry(network, loss, updater, device)
    if reason is None:
        return Choice(NativeEngine, "")
    if engine == NativeEngine.name:
        text = say("the native engine cannot train this, because {reason}; leave the engine to 'auto'", reason=reason)
        raise ConfigError(text)
    return Choice(ReferenceEngine, reason)


__all__ = [
    "ENGINES",
    "Choice",
    "Engine",
    "NativeEngine",
    "ReferenceEngine",
    "Totals",
    "accelerator",
    "available_cores",
    "choose",
    "limited_threads",
    "native",
    "resolve_device",
]
