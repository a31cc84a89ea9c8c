"""How a run goes on from its folder's checkpoints, and what it refuses to go on with."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glassnet.config import RunConfig, branch_of
from glassnet.data.examples import Examples
from glassnet.errors import ConfigError, GlassnetWarning, InputError, ModelFileError
from glassnet.messages import say
from glassnet.reading import unreadable
from glassnet.storage import damaged, read_document, write_document
from glassnet.training.checkpoint import KEEP, Checkpoint, CheckpointWriter, files, fingerprint, load, newest
from glassnet.training.trainer import Trainer

CHECKPOINTS, BEGUN = "checkpoints", "run.json"

HARMLESS = ("training.threads",)
"""What may change without being asked: the native engine's numbers do not depend on it."""

_EPOCH_ANEW = ("data", "training.batch_size", "training.seed", "training.shuffle", "training.class_weight")
_Differences = dict[str, tuple[Any, Any]]


def describe(
    config: dict[str, Any], trainer: Trainer, train_set: Examples, validation_set: Examples | None
) -> dict[str, Any]:
    """What a checkpoint says about its run, as plain data: what must be the same where it goes on."""
    return {
        "config": json.loads(json.dumps(config)),
        "data": fingerprint(train_set, validation_set),
        "engine": trainer.engine.name,
        "instructions": getattr(trainer.engine, "isa", None),
        "version": importlib.metadata.version("glassnet"),
    }


def check_resumable(folder: Path) -> None:
    """ConfigError if there is nothing in this folder to go on from."""
    if not folder.is_dir():
        raise ConfigError(say("there is no run {folder}", folder=folder))
    if not files(folder / CHECKPOINTS) and not (folder / CHECKPOINTS / BEGUN).exists():
        text = say("the run {folder} has no checkpoints to go on from; train it with --checkpoint-every", folder=folder)
        raise ConfigError(text)


def stored(folder: Path, note: Callable[[str], None] = lambda text: None) -> tuple[Checkpoint | None, dict[str, Any]]:
    """A run's newest good checkpoint, if there is one, and what is known about the run.

    Raises
    ------
    ModelFileError
        If all of it is damaged.
    """
    bad: list[str] = []

    def passed_over(text: str) -> None:
        bad.append(text)
        note(text)

    found = newest(folder / CHECKPOINTS, passed_over)
    if found is not None:
        path, checkpoint = found
        if bad:
            note(say("the one before it is whole: {path}", path=path))
        _check_about(checkpoint.about, path)
        return checkpoint, checkpoint.about
    begun = folder / CHECKPOINTS / BEGUN
    if bad and not begun.exists():
        raise ModelFileError(bad[-1])
    about = read_document(begun)
    _check_about(about, begun)
    note(say("there is no whole checkpoint yet: training begins anew"))
    return None, about


def _check_about(about: Any, path: Path) -> None:
    """ModelFileError unless this is what :func:`describe` gives."""
    with damaged(path):
        kinds: dict[str, Any] = {"config": Mapping, "data": str, "engine": str, "instructions": (str, type(None))}
        wrong = [name for name, kind in kinds.items() if not isinstance(about[name], kind)]
        if wrong:
            raise ValueError(say("{name} has a value of another kind", name=wrong[0]))


def differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The places at which two trees of plain data differ."""
    if isinstance(old, Mapping) and isinstance(new, Mapping) and "name" not in old and "name" not in new:
        for key in [*old, *(key for key in new if key not in old)]:
            yield from differences(old.get(key), new.get(key), f"{path}.{key}" if path else key)
    elif old != new:
        yield path, old, new


def told(changed: _Differences) -> str:
    """Differences in words."""
    pairs = changed.items()
    return "; ".join(say("{path}: {old} then, {new} now", path=path, old=old, new=new) for path, (old, new) in pairs)


@dataclass(frozen=True)
class Resuming:
    """What is wanted of a run's checkpoints.

    Attributes
    ----------
    every : str, number or None
        See :class:`CheckpointWriter`.
    keep : int
    resume : bool
        Whether to go on from the newest.
    allow : set of str
        Options that may differ then, by their names or paths, and "data" and "engine".
    """

    every: Any = None
    keep: int = KEEP
    resume: bool = False
    allow: frozenset[str] = frozenset()

    def begin(
        self, folder: Path, trainer: Trainer, about: dict[str, Any], rows: int, note: Callable[[str], None]
    ) -> CheckpointWriter:
        """The writer for a trainer, which is put where the newest checkpoint was if that is wanted."""
        every, place = self.every, folder / CHECKPOINTS
        check_names(self.allow)
        about = {**about, "every": every, "keep": self.keep}
        if self.resume:
            checkpoint, before = stored(folder, note)
            every = before.get("every") if every is None else every
            about["every"] = every
            changed = self._checked(folder, before, about)
            if checkpoint is not None:
                try:
                    _put(trainer, checkpoint.state, changed, rows)
                except InputError:
                    raise
                except Exception as error:
                    raise unreadable(ModelFileError, place, error) from error
                note(_where(trainer))
                _drop_damaged(place)
        writer = CheckpointWriter(place, every, keep=self.keep, about=about, fresh=not self.resume)
        if every is not None:
            if not self.resume:
                shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True, exist_ok=True)
            write_document(place / BEGUN, about)
        trainer.callbacks.append(writer)
        return writer

    def _checked(self, folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> _Differences:
        """What has changed, all of it allowed, or ConfigError."""
        changed = {path: (old, new) for path, old, new in differences(before["config"], now["config"])}
        harmless = (*HARMLESS, "data.source") if before["data"] == now["data"] else HARMLESS  # a file may have moved
        for path in harmless:
            changed.pop(path, None)
        for name in ("data", "engine"):
            if before[name] != now[name]:
                changed[name] = before[name][:12], now[name][:12]
        refused = {path: pair for path, pair in changed.items() if not self._allows(path)}
        if refused:
            text = say(
                "{folder} was begun with other settings or data ({differences}); "
                "to go on all the same: --allow {names}",
                folder=folder,
                differences=told(refused),
                names=",".join(path.rpartition(".")[2] for path in refused),
            )
            raise ConfigError(text)
        if "engine" not in changed and before["instructions"] != now["instructions"]:
            text = say(
                "the run was begun with other instructions of the processor ({old} then, {new} now): its numbers will "
                "agree with those of a run without a break to rounding only",
                old=before["instructions"],
                new=now["instructions"],
            )
            warnings.warn(text, GlassnetWarning, stacklevel=2)
        return changed

    def _allows(self, path: str) -> bool:
        parts = path.split(".")
        return any(name in (*parts, ".".join(parts[:k])) for name in self.allow for k in range(1, len(parts) + 1))


def check_names(names: frozenset[str]) -> None:
    """ConfigError if one of these is no option's name."""
    known = {"data", "engine", *RunConfig.model_fields}
    for name in sorted(names):
        leaf = name.rpartition(".")[2]
        if leaf not in known and branch_of(leaf) is None:
            raise ConfigError(say("there is no option {name!r} to allow", name=name))


def _put(trainer: Trainer, state: dict[str, Any], changed: _Differences, rows: int) -> None:
    """Resume, as far as what has changed leaves the state valid."""
    if any(path == name or path.startswith(f"{name}.") for path in changed for name in _EPOCH_ANEW):
        batch = trainer.config.batch_size
        assert batch is not None  # all choices are made
        state = {**state, "done": 0, "totals": None, "step": state["epochs"] * -(-rows // batch)}
    if "training.early_stopping" in changed or "training.monitor" in changed:
        state = {**state, "stop": ["", ""]}
    if "training.optimiser" in changed:
        state = {**state, "updater": {"t": 0, "slots": {}}}
    if "training.schedule" in changed:
        state = {**state, "schedule": trainer.schedule_state}
    lr = trainer.base_lr
    trainer.resume(state)
    if "training.lr" in changed:
        trainer.base_lr = lr


def _where(trainer: Trainer) -> str:
    if trainer.done:
        return say("going on in epoch {epoch}, after {done} of its steps", epoch=trainer.epoch + 1, done=trainer.done)
    return say("going on after epoch {epoch}", epoch=trainer.epoch)


def _drop_damaged(folder: Path) -> None:
    """Remove checkpoints that are damaged: they must not count among those that are kept."""
    for path in files(folder):
        try:
            load(path)
        except ModelFileError:
            path.unlink(missing_ok=True)
