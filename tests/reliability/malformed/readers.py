"""Glassnet's public readers, each as a function of a path that reads all and does with it what it is there for."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from reliability.malformed import seeds as s


def encoded(found: Any) -> None:
    """What training does first with the rows of a source."""
    from glassnet.model import fit_encodings

    if found.train.y is None and hasattr(found.train, "columns"):
        found = replace(found, train=replace(found.train, target=found.train.columns.column_names[-1]))
    if found.train.y is not None:
        encoding, target = fit_encodings(found.train)
        encoding.encode(found.train)
        target.encode(found.train.y)


def source(path: Path) -> Any:
    """A source of data."""
    from glassnet.data import load_source

    return load_source(path, need_target=False)


def model(path: Path) -> Any:
    """A run's model."""
    import glassnet

    return glassnet.load(path)


def config(path: Path) -> Any:
    """A run's configuration."""
    from glassnet.runs import config_of

    return config_of(path)


def configuration(path: Path) -> Any:
    """A configuration in a file of its own, as a tree."""
    from glassnet.config import read_config

    return read_config(path)


def plain(config: Any) -> Any:
    """A configuration as pure JSON."""
    from glassnet.runs import plain

    return plain(config)


def made(tree: Any) -> Any:
    """What the tree of a configuration comes to; the command line puts its options into it first."""
    from glassnet.config import RunConfig

    return plain(RunConfig.make(**tree))


def history(path: Path) -> Any:
    """A run's history."""
    from glassnet.runs import read_history

    return read_history(path)


def snapshots(path: Path) -> Any:
    """A run's snapshots."""
    from glassnet.runs import read_snapshots

    return read_snapshots(path)


def results(path: Path) -> Any:
    """A run's results."""
    from glassnet.storage import read_document

    return read_document(path / "results.json")


def checkpoint(path: Path) -> Any:
    """A checkpoint."""
    from glassnet.training import checkpoint

    return checkpoint.load(path)


def begun(path: Path) -> Any:
    """What is known of a run that has no checkpoint yet."""
    from glassnet.training.resuming import stored

    for whole in (path / "checkpoints").glob("*.ckpt"):
        whole.unlink()
    return stored(path)


def estimator(path: Path) -> Any:
    """An estimator."""
    from glassnet import MLPClassifier

    return MLPClassifier.load(path)


@cache
def rows() -> Any:
    """The rows of the table that the run was trained on."""
    with tempfile.TemporaryDirectory() as place:
        s.put(Path(place), {"table.csv": s.csv_text().encode()})
        return source(Path(place) / "table.csv").train


def predicted(loaded: Any) -> Any:
    """All that a model is, and what it says of the rows it was trained on."""
    width = loaded.network.sizes[0]
    data = rows() if loaded.encoding is not None else np.linspace(-1, 1, 5 * width).reshape(5, width)
    found = loaded.predict(data)
    return loaded.manifest(), found.values.tolist(), found.classes, np.asarray(found.probabilities).tolist()


def held(state: Any) -> Any:
    """Plain data with arrays in them, as plain data."""
    if isinstance(state, dict):
        return {key: held(value) for key, value in state.items()}
    if isinstance(state, list):
        return [held(value) for value in state]
    return (state.dtype.str, state.shape, state.tobytes()) if isinstance(state, np.ndarray) else state


def go_on(name: str, content: bytes) -> None:
    """A run that goes on from a file of its folder ``checkpoints``."""
    import glassnet

    with tempfile.TemporaryDirectory(dir=s.FAST) as place:
        folder = Path(place)
        s.put(folder, {f"checkpoints/{name}": content})
        glassnet.fit("table.csv", out=folder, resume=True, **s.OPTIONS)


def resumed(loaded: Any) -> None:
    """A run that goes on from a checkpoint, whatever it holds."""
    go_on("checkpoint-000003.ckpt", loaded.to_bytes())


def begun_anew(loaded: Any) -> None:
    """A run that begins anew, of which only this is known."""
    go_on("run.json", s.document(loaded[1]))


def estimated(loaded: Any) -> Any:
    """What an estimator says of the rows it was trained on."""
    x = s.images().reshape(12, -1) / 100
    return loaded.predict(x).tolist(), loaded.predict_proba(x).tolist(), repr(loaded)


def told(history: Any) -> Any:
    """All of a history, and what is asked of it."""
    return history.epochs, history.stop_reason, history.stop_code, history.best_epoch, history.engine, history.seconds


def nothing(loaded: Any) -> None:
    """No more than to load it."""


READERS: dict[str, tuple[Callable[[Path], Any], Callable[[Any], Any]]] = {
    "source": (source, encoded),
    "model": (model, predicted),
    "config": (config, nothing),
    "file": (configuration, made),
    "history": (history, told),
    "snapshots": (snapshots, nothing),
    "results": (results, nothing),
    "checkpoint": (checkpoint, nothing),
    "begun": (begun, nothing),
    "estimator": (estimator, estimated),
}
"""What reads a path, and what uses what was read."""
