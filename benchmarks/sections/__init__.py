"""The parts of the benchmark. Each has ``TITLE``, ``run(options)`` giving JSON, and ``text(kept)`` giving Markdown."""

from __future__ import annotations

from types import ModuleType

from benchmarks.sections import accuracy, floor, growth, inference, memory, polite, precision, process, train

SECTIONS: dict[str, ModuleType] = {
    "train": train,
    "floor": floor,
    "growth": growth,
    "accuracy": accuracy,
    "memory": memory,
    "inference": inference,
    "process": process,
    "polite": polite,
    "precision": precision,
}
