"""Checkpoints: everything that a run needs to go on as if it had never been stopped, to the bit.

One file holds one checkpoint::

    glassnet checkpoint 2 <SHA-256 of all that follows this line> <its length>
    <length of the JSON, 8 bytes> <JSON: plain data> <safetensors: arrays>

It is written under a temporary name, flushed to the disk, and then gets its name in one step; so it is whole or not
there, whenever the process is killed. The last few are kept, and a damaged one is noticed and passed over. Nothing that
is read can run code.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.numpy

from glassnet.arrays import is_sparse
from glassnet.data.examples import Examples
from glassnet.errors import ConfigError, GlassnetWarning, ModelFileError
from glassnet.messages import say
from glassnet.reading import opened, refused_as
from glassnet.storage import damaged, digest, read_json, remove_leftovers, write_bytes
from glassnet.training.callbacks import Callback

if TYPE_CHECKING:
    from glassnet.training.trainer import Trainer

VERSION = 2
KEEP = 2
"""How many checkpoints are kept."""

_MAGIC = b"glassnet checkpoint %d " % VERSION
_NAME = re.compile(r"checkpoint-(\d{6,})\.ckpt")
_ARRAY = "\x00array"  # the key under which the plain data name an array
_LONGEST_HEAD = 200
_LOOK_SECONDS = 0.2  # so often, about, the clock is looked at


@dataclass(frozen=True)
class Checkpoint:
    """What is kept.

    Attributes
    ----------
    state : dict
        :meth:`Trainer.state <glassnet.training.Trainer.state>`: plain data and NumPy arrays.
    about : dict
        Plain data about the run: its configuration, the fingerprint of its data, what trains it.
    """

    state: dict[str, Any]
    about: dict[str, Any] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The content of its file."""
        arrays: dict[str, np.ndarray] = {}
        text = json.dumps({"state": _split(self.state, arrays), "about": self.about}, ensure_ascii=True).encode()
        body = len(text).to_bytes(8, "little") + text + safetensors.numpy.save(arrays)
        return _head(body) + body

    @classmethod
    def from_bytes(cls, content: bytes, path: Path) -> Checkpoint:
        """What :meth:`to_bytes` gave; ModelFileError naming ``path`` if a single byte differs."""
        head, _, body = content.partition(b"\n")
        with damaged(path):
            if not head.startswith(_MAGIC):
                raise ValueError(say("it does not begin as a checkpoint does"))
            if head + b"\n" != _head(body):
                raise ValueError(say("its checksum does not match its content"))
            length = int.from_bytes(body[:8], "little")
            tree = read_json(body[8 : 8 + length])
            arrays = safetensors.numpy.load(body[8 + length :])
            return cls(_join(tree["state"], arrays), tree["about"])


def _head(body: bytes) -> bytes:
    return b"%s%s %d\n" % (_MAGIC, digest(body).encode(), len(body))


def _split(tree: Any, arrays: dict[str, np.ndarray]) -> Any:
    """The tree as plain data, with its arrays put into ``arrays``."""
    if isinstance(tree, Mapping):
        return {str(key): _split(value, arrays) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_split(value, arrays) for value in tree]
    if isinstance(tree, np.ndarray):
        name = str(len(arrays))
        arrays[name] = np.asarray(tree, order="C")
        return {_ARRAY: name}
    return tree.item() if isinstance(tree, np.generic) else tree


def _join(tree: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """The tree with its arrays back in their places, each a copy of its own."""
    if isinstance(tree, dict):
        if set(tree) == {_ARRAY}:
            return np.array(arrays[tree[_ARRAY]])
        return {key: _join(value, arrays) for key, value in tree.items()}
    return [_join(value, arrays) for value in tree] if isinstance(tree, list) else tree


# A folder of them


def files(folder: Path) -> list[Path]:
    """The checkpoints in a folder, newest first."""
    with refused_as(ModelFileError, folder), suppress(FileNotFoundError):
        found = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
        return sorted(found, key=_number, reverse=True)
    return []


def _number(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    assert match is not None
    return int(match[1])


def load(path: Path) -> Checkpoint:
    """A checkpoint, or ModelFileError if it is missing or damaged."""
    with damaged(path), opened(path, follow=False) as file:
        head = file.readline(_LONGEST_HEAD)
        length = head.split()[-1] if head.startswith(_MAGIC) and head.endswith(b"\n") else b""
        if length != b"%d" % (os.fstat(file.fileno()).st_size - len(head)):
            raise ValueError(say("it does not begin as a checkpoint does, or its length is another"))
        file.seek(0)
        return Checkpoint.from_bytes(file.read(), path)


def newest(folder: Path, note: Callable[[str], None] = lambda text: None) -> tuple[Path, Checkpoint] | None:
    """The newest good checkpoint of a folder and its file, or None; ``note`` hears of those that are damaged."""
    for path in files(folder):
        try:
            return path, load(path)
        except ModelFileError as error:
            if path not in files(folder):  # it was pruned meanwhile
                return newest(folder, note)
            note(str(error))
    return None


def latest(folder: Path, note: Callable[[str], None] = lambda text: None) -> Checkpoint | None:
    """The checkpoint of :func:`newest`."""
    found = newest(folder, note)
    return None if found is None else found[1]


def fingerprint(*sets: Examples | None) -> str:
    """A SHA-256 of encoded examples: of all their bytes, or of arrays above 64 MiB evenly spaced blocks, 64 MiB in all.

    So it takes a fraction of a second however many rows there are. Shapes and dtypes count.
    """
    digest = hashlib.sha256()
    for examples in sets:
        parts: list[Any] = [None]
        if examples is not None:
            x = examples.x
            parts = [x.data, x.indices, x.indptr] if is_sparse(x) else [x]
            parts += [examples.y, examples.weight]
        for part in parts:
            digest.update(b"none" if part is None else f"{part.dtype.str}{part.shape}".encode())
            if part is not None:
                _digest_array(digest, part)
    return digest.hexdigest()


_DIGESTED = 64 << 20
_BLOCKS = 64


def _digest_array(digest: Any, array: np.ndarray) -> None:
    if array.nbytes <= _DIGESTED or array.ndim == 0:
        digest.update(np.ascontiguousarray(array).data)
        return
    rows = max(1, _DIGESTED // _BLOCKS * len(array) // array.nbytes)
    for start in np.linspace(0, len(array) - rows, _BLOCKS).astype(int):
        digest.update(np.ascontiguousarray(array[start : start + rows]).data)


# Writing them while a network is trained

_EVERY = re.compile(r"(?:(?P<seconds>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|m|h)|(?:(?P<count>\d+)-)?(?P<what>steps?|epochs?))")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Interval:
    """When a checkpoint is due: after so many seconds, steps or epochs, of which one is given."""

    seconds: float = 0.0
    steps: int = 0
    epochs: int = 0

    @classmethod
    def of(cls, given: Any) -> Interval:
        """From "30s", "5m", "200-steps", "epoch", "3-epochs", or a number of seconds; ConfigError for any other."""
        text = f"{given}s" if isinstance(given, (int, float)) else str(given).strip().lower()
        match = _EVERY.fullmatch(text)
        interval = None
        if match and match["unit"]:
            interval = cls(seconds=float(match["seconds"]) * _UNITS[match["unit"]])
        elif match:
            count = int(match["count"] or 1)
            interval = cls(epochs=count) if match["what"].startswith("epoch") else cls(steps=count)
        if interval is None or interval == cls():
            raise ConfigError(
                say("checkpoints are written every 30s, 5m, 200-steps, epoch or 3-epochs, not {given!r}", given=given)
            )
        return interval


class CheckpointWriter(Callback):
    """Writes a checkpoint at every interval, at the end, and when training is told to end at once.

    It should be the last of the callbacks, so that what the others do after an epoch is in it. A checkpoint that cannot
    be written is a warning, and training goes on: the last one stands, and at the next interval another is tried.

    Parameters
    ----------
    folder : Path
        Where to; it is made if need be.
    every : str or number, optional
        "30s", "5m", "200-steps", "epoch", "3-epochs"; a number stands for seconds. None: only when training is told to
        end at once.
    keep : int ≥ 1, default 2
        How many to keep.
    about : dict, optional
        Of :class:`Checkpoint`.
    fresh : bool, default False
        Whether those that are there already are another run's, which the first one replaces.
    """

    def __init__(
        self,
        folder: str | Path,
        every: Any = None,
        *,
        keep: int = KEEP,
        about: dict[str, Any] | None = None,
        fresh: bool = False,
    ) -> None:
        self.folder = Path(folder)
        self.interval = None if every is None else Interval.of(every)
        if not isinstance(keep, int) or keep < 1:
            raise ConfigError(say("at least 1 checkpoint is kept, not {keep!r}", keep=keep))
        self.keep = keep
        self.about = about or {}
        self.fresh = fresh
        self.written: Path | None = None
        self._written_at: tuple[Any, ...] = ()
        self._last = 0.0  # when it was written, or tried
        self._due = 0  # the step of the next one
        self._looked = (0.0, 0)  # when the clock was last looked at, and at which step

    def on_train_begin(self, trainer: Trainer) -> None:
        """Remove what a killed process left half written; from now on the time counts."""
        remove_leftovers(self.folder, ["checkpoint-*.ckpt", "run.json"])
        self._last = time.monotonic()
        self._looked = (self._last, trainer.step)
        self._plan(trainer)

    def on_epoch_begin(self, trainer: Trainer) -> None:
        """Plan anew: positions are counted from the epoch's beginning."""
        self._plan(trainer)

    def on_batch_end(self, trainer: Trainer) -> None:
        """Write, if it is time, within an epoch; at its end :meth:`on_epoch_end` does."""
        if trainer.done < trainer.steps_per_epoch and self._is_time(trainer):
            self.write(trainer)
        self._plan(trainer)

    def on_epoch_end(self, trainer: Trainer, record: dict[str, Any]) -> None:
        """Write, if it is time or training has come to its end."""
        if self.interval is None and self.fresh:
            return
        ends = bool(trainer.history.stop_code) or trainer.epoch >= trainer.config.epochs
        every = 0 if self.interval is None else self.interval.epochs
        if ends or (every and trainer.epoch % every == 0) or self._is_time(trainer):
            self.write(trainer)

    def on_halt(self, trainer: Trainer) -> None:
        """Write, whatever the time."""
        self.write(trainer)

    def on_failure(self, trainer: Trainer, error: Exception) -> None:
        """Write the last good parameters, where checkpoints were asked for at all."""
        if self.interval is not None:
            self.write(trainer)

    def write(self, trainer: Trainer) -> None:
        """Write a checkpoint of this moment, and remove those that are too old; a warning if it cannot be done."""
        moment = (trainer.epoch, trainer.done, trainer.step)
        self._last = time.monotonic()
        if self.interval is not None and self.interval.steps:
            self._due = (trainer.step // self.interval.steps + 1) * self.interval.steps
        if moment == self._written_at:
            return
        trainer.engine.sync()
        there: list[Path] = []
        try:
            there = files(self.folder)
            path = self.folder / f"checkpoint-{_number(there[0]) + 1 if there else 1:06d}.ckpt"
            write_bytes(path, Checkpoint(trainer.state(), self.about).to_bytes())
        except (OSError, ModelFileError, MemoryError) as error:
            last = say("the last one is {path}", path=there[0]) if there else say("there is none yet")
            text = say("no checkpoint was written ({error}); {last}", error=error, last=last)
            warnings.warn(text, GlassnetWarning, stacklevel=2)
            return
        self.written, self._written_at = path, moment
        for old in there[0 if self.fresh else self.keep - 1 :]:
            with suppress(OSError):
                old.unlink()
        self.fresh = False

    def _is_time(self, trainer: Trainer) -> bool:
        if self.interval is None:
            return False
        if self.interval.steps:
            return trainer.step >= self._due
        return bool(self.interval.seconds) and time.monotonic() - self._last >= self.interval.seconds

    def _plan(self, trainer: Trainer) -> None:
        """At which step of the epoch to be asked next."""
        ahead = trainer.steps_per_epoch
        if self.interval is not None and self.interval.steps:
            if not self._due:
                self._due = (trainer.step // self.interval.steps + 1) * self.interval.steps
            ahead = max(1, self._due - trainer.step)
        elif self.interval is not None and self.interval.seconds:
            now, (then, step) = time.monotonic(), self._looked
            seconds = min(_LOOK_SECONDS, self.interval.seconds / 4)
            made = trainer.step - step
            ahead = max(1, round(made * seconds / max(now - then, 1e-9))) if made > 0 else 1
            self._looked = (now, trainer.step)
        self.every = min(trainer.done + ahead, trainer.steps_per_epoch) or 1
