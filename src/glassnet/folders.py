"""Reading a run's folder: every file is what the run wrote, and all are of the same run.

``results.json`` holds the SHA-256 of the others. A run that is overwritten while it is read is read again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from glassnet.config import RunConfig, parse_config
from glassnet.errors import ConfigError, InputError, ModelFileError
from glassnet.lock import check_free
from glassnet.messages import say
from glassnet.model import MANIFEST, Model
from glassnet.reading import refused_as
from glassnet.storage import damaged, digest, read_bytes, read_document
from glassnet.training.history import History
from glassnet.training.recording import Snapshot, from_jsonl
from glassnet.training.resuming import CHECKPOINTS

CONFIG, HISTORY, RESULTS, SNAPSHOTS = "config.json", "history.jsonl", "results.json", "snapshots.jsonl"

T = TypeVar("T")

_PATIENCE = 1.0  # seconds in which a run that is being written should be whole again
_PAUSE = 0.02


def is_run(folder: Path) -> bool:
    """Whether the folder holds a run, or only a model."""
    return (folder / CONFIG).exists()


def check_run(folder: Path) -> None:
    """ConfigError if the folder holds no run."""
    if not is_run(folder):
        raise ConfigError(say("{folder} holds no run: there is no {name}", folder=folder, name=CONFIG))


def whole(folder: Path, read: Callable[[], T]) -> T:
    """What ``read()`` gives of a run's files, all of them of the same run.

    Raises
    ------
    InputError
        What ``read`` raises, where no other process is writing; else that the folder is in use.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        was_free, before = _is_free(folder), _state(folder)
        error: InputError | None = None
        try:
            value = read()
        except InputError as failure:
            error = failure
        # In this order: whoever wrote meanwhile, and has let go of the folder, has changed the results.
        is_free, after = _is_free(folder), _state(folder)
        if error is None and after == before:
            return value
        if error is not None and was_free and is_free and after == before:
            raise error
        if time.monotonic() > deadline:
            check_free(folder)
            raise error or _foreign(folder / RESULTS)
        time.sleep(_PAUSE)


def _state(folder: Path) -> bytes:
    with suppress(ModelFileError):
        return read_bytes(folder / RESULTS)
    return b""


def _is_free(folder: Path) -> bool:
    try:
        check_free(folder)
    except ConfigError:
        return False
    return True


def config_of(folder: Path) -> RunConfig:
    """A run's configuration, with every choice made; InputError if the folder holds no run, or it is damaged."""
    tree = tree_of(folder)
    with refused_as(ConfigError, folder / CONFIG):
        return RunConfig.make(**tree)


def tree_of(folder: Path) -> dict[str, Any]:
    """The same as plain data."""
    check_run(folder)
    return parse_config(_recorded(folder, CONFIG), folder / CONFIG)


def read_results(folder: Path) -> dict[str, Any]:
    """A run's ``results.json``: the figures of its test set, and the SHA-256 of its other files."""
    return read_document(folder / RESULTS)


def read_history(folder: Path) -> History:
    """A run's history, or ModelFileError."""
    content = _recorded(folder, HISTORY)
    with damaged(folder / HISTORY):
        history = History.from_jsonl(content.decode())
        _ = history.seconds
        return history


def read_snapshots(folder: Path) -> list[Snapshot]:
    """A run's snapshots, none if it took none; ModelFileError if they cannot be read."""
    if not (folder / SNAPSHOTS).exists():
        return []
    content = _recorded(folder, SNAPSHOTS)
    with damaged(folder / SNAPSHOTS):
        return from_jsonl(content.decode())


def load_model(folder: Path) -> Model:
    """A run's model, or ModelFileError if it is damaged or of another run than the rest of the folder."""
    if not is_run(folder):
        return Model.load(folder)

    def read() -> Model:
        model = Model.load(folder)
        _checked(folder, MANIFEST)
        return model

    return whole(folder, read)


def _recorded(folder: Path, name: str) -> bytes:
    """The content of one of a run's files; ModelFileError unless it is what the run wrote."""
    return whole(folder, lambda: _checked(folder, name))


def _checked(folder: Path, name: str) -> bytes:
    content = read_bytes(folder / name)
    results = read_results(folder)
    if "files" not in results:
        raise ModelFileError(say("{path} was written by an older glassnet; train the run again", path=folder / RESULTS))
    with damaged(folder / RESULTS):
        expected = results["files"].get(name)
    if digest(content) != expected:
        raise _foreign(folder / name)
    return content


def _foreign(path: Path) -> ModelFileError:
    text = say(
        "{path} is damaged or was changed: it is not what the run wrote ({results} has its SHA-256); put the right "
        "file there, or train the run again",
        path=path,
        results=RESULTS,
    )
    if (path.parent / CHECKPOINTS).is_dir():
        text += say(
            "; if it was broken off while it was written, this mends it: glassnet resume {run}", run=path.parent
        )
    return ModelFileError(text)
