"""Crashes of the checkpoint writer, one at each of its system calls.

``python -m reliability.crashes [every]`` (with tests/ in PYTHONPATH) tries every so many of the crash points and prints
the figures as JSON.

A crash ends the process at once, before or after the call, or in the middle of a write. In the mode "process" the files
are left as they are then, as after SIGKILL. In the mode "power" what was not flushed is lost as well: of a file whose
content was not synced the half is cut off, and a rename is undone where the folder was not synced.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import sys
import tempfile
from pathlib import Path

from glassnet.training import checkpoint
from glassnet.training.checkpoint import CheckpointWriter, files
from reliability.jobs import Position, in_a_child, model_bits, train

CRASHED = 70
INTERVAL = 5
MODES = ("process", "power")


class Faults:
    """Counts the calls of the armed part, and crashes at one of them."""

    def __init__(self, at: int | None, mode: str) -> None:
        self.at, self.mode = at, mode
        self.count, self.armed = 0, False
        self.names: list[str] = []
        self.unsynced: dict[str, int] = {}  # path to descriptor
        self.renames: list[tuple[str, str]] = []
        self.unlink = os.unlink

    def point(self, name: str) -> bool:
        """Count one; True if it is the one to crash at."""
        if not self.armed:
            return False
        self.count += 1
        self.names.append(name)
        return self.count == self.at

    def crash(self) -> None:
        if self.mode == "power":
            for path in filter(Path.exists, map(Path, self.unsynced)):
                os.truncate(path, path.stat().st_size // 2)
            for source, target in reversed(self.renames):
                if Path(target).exists():
                    os.link(target, source)
                    self.unlink(target)
        os._exit(CRASHED)

    def around(self, name: str, call, after=lambda: None):
        """The call, with a crash point before it and one behind it."""
        if self.point(f"before {name}"):
            self.crash()
        result = call()
        after()
        if self.point(f"after {name}"):
            self.crash()
        return result

    def install(self) -> None:
        """Put the faults into the process's system calls."""
        real = {name: getattr(os, name) for name in ("open", "fsync", "replace", "rename", "unlink", "fdopen")}
        paths: dict[int, str] = {}

        def opened(path, flags, *rest, **options):
            handle = self.around(
                f"open {'folder' if Path(path).is_dir() else 'file'}",
                lambda: real["open"](path, flags, *rest, **options),
            )
            paths[handle] = str(path)
            if self.armed and not Path(path).is_dir():
                self.unsynced[str(path)] = handle
            return handle

        def synced(handle):
            path = paths.get(handle, "nothing")
            folder = Path(path).is_dir()

            def done():
                if folder:
                    self.renames.clear()
                else:
                    self.unsynced.pop(path, None)

            return self.around(f"fsync {'folder' if folder else 'file'}", lambda: real["fsync"](handle), done)

        def replaced(source, target, **options):
            def done():
                if self.armed:
                    self.renames.append((str(source), str(target)))
                    if str(source) in self.unsynced:
                        self.unsynced[str(target)] = self.unsynced.pop(str(source))

            return self.around("rename", lambda: real["replace"](source, target, **options), done)

        def unlinked(path, **options):
            return self.around("prune", lambda: real["unlink"](path, **options))

        faults = self

        class File:
            """A file whose write can be cut in the middle."""

            def __init__(self, handle, mode):
                self.file = real["fdopen"](handle, mode)

            def __enter__(self):
                return self

            def __exit__(self, *_):
                self.file.close()

            def __getattr__(self, name):
                return getattr(self.file, name)

            def write(self, content):
                if faults.point("partial write"):
                    self.file.write(content[: len(content) // 3])
                    self.file.flush()
                    faults.crash()
                return faults.around("write", lambda: (self.file.write(content), self.file.flush()))

        os.open, os.fsync, os.replace, os.unlink, os.fdopen = opened, synced, replaced, unlinked, File

        write = CheckpointWriter.write

        def armed(writer, trainer):
            self.armed = True
            write(writer, trainer)
            self.armed = False

        CheckpointWriter.write = armed


def attempt(folder: Path, at: int | None, mode: str, shared: mmap.mmap) -> tuple[int, Faults]:
    """Train in a child that crashes at a point; its status."""
    faults = Faults(at, mode)

    def work():
        faults.install()
        train(folder, every=f"{INTERVAL}-steps", callbacks=[Position(memoryview(shared).cast("q"))])
        (folder.parent / "points.json").write_text(json.dumps(faults.names))

    return in_a_child(work), faults


def main(every: int = 1) -> dict:
    """Crash at every so many of the points, and go on after each."""
    figures = {"points": 0, "kinds": 0, "unloadable": 0, "different": 0, "most_lost": 0, "interval": INTERVAL}
    kinds = set()
    with tempfile.TemporaryDirectory() as place:
        root, shared = Path(place), mmap.mmap(-1, 8)
        assert attempt(root / "whole", None, "process", shared)[0] == 0
        expected = model_bits(root / "whole")
        names = json.loads((root / "points.json").read_text())
        for mode in MODES:
            for at in range(1 + MODES.index(mode) * (every // 2), len(names) + 1, every):
                folder = root / f"{mode}-{at}"
                status = attempt(folder, at, mode, shared)[0]
                assert os.waitstatus_to_exitcode(status) == CRASHED, (mode, at, names[at - 1])
                figures["points"] += 1
                kinds.add(names[at - 1])
                crashed_at = struct.unpack("q", shared[:8])[0]
                try:
                    newest = checkpoint.latest(folder / "checkpoints")
                    whole = newest is not None or not files(folder / "checkpoints")
                except ValueError:
                    newest, whole = None, False
                figures["unloadable"] += not whole
                lost = crashed_at - (newest.state["step"] if newest is not None else 0)
                figures["most_lost"] = max(figures["most_lost"], lost)
                train(folder, every=f"{INTERVAL}-steps")
                figures["different"] += model_bits(folder) != expected
        figures["kinds"] = len(kinds)
    return figures


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*map(int, sys.argv[1:]))))
