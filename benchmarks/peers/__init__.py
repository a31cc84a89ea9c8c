"""The contestants, by name; those whose libraries are missing say so and are named in the output."""

from __future__ import annotations

from benchmarks.peers.base import Contestant
from benchmarks.peers.glass import GlassnetExact, GlassnetFast, GlassnetReference
from benchmarks.peers.jax_scan import Jax
from benchmarks.peers.lecture import Lecture
from benchmarks.peers.numpy_by_hand import Numpy
from benchmarks.peers.pytorch import Autocast, Compiled, Fused, InMemory, WithLoader
from benchmarks.peers.scikit import ScikitLearn

CONTESTANTS: dict[str, type[Contestant]] = {
    contestant.key: contestant
    for contestant in (
        Lecture,
        WithLoader,
        InMemory,
        Fused,
        Compiled,
        Autocast,
        ScikitLearn,
        Jax,
        Numpy,
        GlassnetReference,
        GlassnetExact,
        GlassnetFast,
    )
}
PEERS = [key for key, contestant in CONTESTANTS.items() if not contestant.ours]
OURS = [key for key, contestant in CONTESTANTS.items() if contestant.ours]

__all__ = ["CONTESTANTS", "OURS", "PEERS", "Contestant"]
