"""What the command line decides."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers import CONTESTANTS
from benchmarks.workloads import DATA, WORKLOADS, Workload, quick

SLOW = ("lecture", "torch-loader", "torch-fused", "torch-compile", "torch-bf16")


@dataclass(frozen=True)
class Options:
    """For all sections.

    Attributes
    ----------
    threads : of every contestant
    folder : of the data
    keys : of the contestants that may take part
    names : of the workloads
    quick : whether only a look is wanted
    emulate : whether bfloat16 is computed on a processor that lacks it
    seed : of orders and first weights
    """

    threads: int = 2
    folder: Path = DATA
    keys: tuple[str, ...] = tuple(CONTESTANTS)
    names: tuple[str, ...] = tuple(WORKLOADS)
    quick: bool = False
    emulate: bool = False
    seed: int = 0

    @classmethod
    def of(cls, given: argparse.Namespace) -> Options:
        """From the parsed command line; ValueError names what is unknown."""
        keys = tuple(given.only.split(",")) if given.only else cls.keys
        names = tuple(given.workloads.split(",")) if given.workloads else cls.names
        if unknown := [name for name in (*keys, *names) if name not in (*CONTESTANTS, *WORKLOADS)]:
            raise SystemExit(f"unknown: {unknown[0]}; contestants: {', '.join(CONTESTANTS)}")
        return cls(given.threads, given.data.resolve(), keys, names, given.quick, given.emulate, given.seed)

    def contestants(self) -> list[str]:
        """Those that take part; for a look not those that are slow to start or slower than a like one."""
        return [key for key in self.keys if not (self.quick and key in SLOW)]

    def workloads(self) -> list[Workload]:
        """Those that are asked for, short ones if only a look is wanted."""
        chosen = [WORKLOADS[name] for name in self.names]
        return [quick(workload) for workload in chosen] if self.quick else chosen

    def among(self, *keys: str) -> list[str]:
        """Those of the keys that may take part."""
        return [key for key in keys if key in self.keys]
