"""What a contestant is. Modules import their library in their methods only: a worker has one of them."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from benchmarks.workloads import Data, Parameters, Workload


class Contestant(ABC):
    """Trains a workload step by step. Write ``setup``, ``advance`` and ``parameters``.

    Attributes
    ----------
    key : on the command line and in files
    name : in tables
    libraries : distributions that must be installed, with the module of each that is imported before anything is timed
    ours : whether it is glassnet
    """

    key: ClassVar[str]
    name: ClassVar[str]
    libraries: ClassVar[tuple[tuple[str, str], ...]]
    ours: ClassVar[bool] = False

    @classmethod
    def missing(cls) -> str:
        """Why it cannot run here; "" if it can."""
        return absent(cls.libraries)

    @classmethod
    def imports(cls) -> None:
        """Import its libraries."""
        for _, module in cls.libraries:
            importlib.import_module(module)

    @classmethod
    def versions(cls) -> dict[str, str]:
        """Of its libraries."""
        return {name: importlib.metadata.version(name) for name, _ in cls.libraries}

    def note(self, workload: Workload) -> str:
        """What it does otherwise than the workload asks; "" if nothing."""
        return ""

    @abstractmethod
    def setup(self, workload: Workload, data: Data, first: Parameters, seed: int, threads: int) -> None:
        """Everything that is done once, before the first epoch, data already in memory; compilation where there is."""

    def ready(self, steps: int) -> None:
        """Not timed: whatever must be compiled before so many steps can be made."""

    @abstractmethod
    def advance(self, steps: int) -> None:
        """Make so many steps, through the rows in a new order in every epoch."""

    def whole(self, workload: Workload, data: Data, first: Parameters, seed: int, threads: int, epochs: int) -> float:
        """A training of so many epochs from its set-up on; the seconds of the set-up, compilation included."""
        steps = workload.steps(len(data.x))
        started = time.perf_counter()
        self.setup(workload, data, first, seed, threads)
        self.ready(steps)
        taken = time.perf_counter() - started
        for _ in range(epochs):
            self.advance(steps)
        return taken

    @abstractmethod
    def parameters(self) -> Parameters:
        """The weights as they are now."""

    def close(self) -> None:
        """Let go of what the setup made."""


def absent(libraries: tuple[tuple[str, str], ...]) -> str:
    """Which of the distributions are not installed, in words; "" if all are."""
    names = [name for name, module in libraries if importlib.util.find_spec(module.split(".")[0]) is None]
    return f"{', '.join(names)} not installed" if names else ""


class StepByStep(Contestant):
    """A contestant whose loop over batches is Python's. Write ``build``, ``order``, ``step`` and ``parameters``."""

    workload: Workload

    def setup(self, workload: Workload, data: Data, first: Parameters, seed: int, threads: int) -> None:
        self.workload = workload
        self.rows = len(data.x)
        self.made = 0
        self.build(workload, data, first, seed, threads)
        self._batches = self.batches()

    @abstractmethod
    def build(self, workload: Workload, data: Data, first: Parameters, seed: int, threads: int) -> None:
        """Model, optimiser, data where the library wants them."""

    def batches(self) -> Iterator[Any]:
        """Epoch after epoch, the rows of each batch."""
        while True:
            order = self.order()
            for start in range(0, self.rows, self.workload.batch):
                yield order[start : start + self.workload.batch]

    def order(self) -> Any:
        """The order of the rows in the next epoch."""
        raise NotImplementedError

    @abstractmethod
    def step(self, batch: Any, lr: float) -> None:
        """One step on one of the batches."""

    def advance(self, steps: int) -> None:
        """Batch after batch."""
        rates = self.workload.rates(self.made, steps, self.workload.steps(self.rows)).tolist()
        for lr in rates:
            self.step(next(self._batches), lr)
        self.made += steps


def softmax_error(z: np.ndarray, y: np.ndarray, rows: np.ndarray) -> None:
    """In place of the logits z (N, K), the error of softmax and cross-entropy, (p − y)/N; ``rows`` is 0 … N − 1."""
    z -= z.max(axis=1, keepdims=True)
    np.exp(z, out=z)
    z /= z.sum(axis=1, keepdims=True)
    z[rows, y] -= 1
    z *= np.float32(1 / len(z))
