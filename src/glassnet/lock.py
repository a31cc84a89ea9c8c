"""A folder that one process writes to at a time.

The lock is the system's own (flock; on Windows LockFile), on a file in the folder that says who holds it. It vanishes
with the process, so what a killed process leaves behind is only a file that nobody holds, and the next one takes it
over.
"""

from __future__ import annotations

import errno
import importlib
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from glassnet.errors import ConfigError, unwritable
from glassnet.messages import say

fcntl: Any = None
msvcrt: Any = None
if os.name == "nt":  # pragma: no cover
    msvcrt = importlib.import_module("msvcrt")
else:
    fcntl = importlib.import_module("fcntl")

LOCK = "run.lock"

_BYTE = 1 << 30
"""Which byte is locked on Windows: one beyond the end, as nobody else can read what is locked there."""
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # in a folder from elsewhere the lock's file might lead to another
_HELD = {errno.EAGAIN, errno.EACCES, errno.EDEADLK}
_GLANCE, _PAUSE = 0.2, 0.002  # seconds in which those have gone that only looked whether the folder is free
_MOMENT = 0.05  # seconds in which a process that has just taken the lock writes down who it is


def check_free(folder: Path) -> None:
    """ConfigError with process id and host if another process holds this folder."""
    try:
        handle = os.open(folder / LOCK, os.O_RDONLY | _NO_LINK)
    except OSError:
        return  # there is none, or :func:`locked` will say what is wrong with it
    try:
        if not _take(handle, shared=True):
            raise _in_use(folder)
    finally:
        os.close(handle)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder that is there, within a block.

    Raises
    ------
    ConfigError
        If another process holds it, with its process id and host; or it cannot be locked.
    """
    path = folder / LOCK
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | _NO_LINK, 0o666)
        except OSError as error:
            raise unwritable(ConfigError, path, error) from error
        if not _take(handle):
            os.close(handle)
            raise _in_use(folder)
        with suppress(FileNotFoundError):
            if path.stat().st_ino == os.fstat(handle).st_ino:
                break
        os.close(handle)  # whoever held it has just removed the file
    try:
        os.ftruncate(handle, 0)
        os.write(handle, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode())
        yield
    finally:
        if msvcrt is None:
            with suppress(OSError):
                path.unlink()
            os.close(handle)
        else:  # there no open file can be removed, neither ours nor that of a process which takes it over now
            os.close(handle)
            with suppress(OSError):
                path.unlink()


def _take(handle: int, *, shared: bool = False) -> bool:
    """Lock an open file until it is closed; False if another process holds it, and not only for a moment to look at it.

    On a file system without locks it is True: better without than not at all.
    """
    deadline = time.monotonic() + _GLANCE
    while not _taken(handle, shared=shared):
        if time.monotonic() > deadline or (shared and msvcrt is None):  # whoever looks shares it
            return False
        time.sleep(_PAUSE)
    return True


def _taken(handle: int, *, shared: bool) -> bool:
    try:
        if msvcrt is None:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        else:
            os.lseek(handle, _BYTE, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            os.lseek(handle, 0, os.SEEK_SET)
    except OSError as error:
        return error.errno not in _HELD
    return True


def _in_use(folder: Path) -> ConfigError:
    holder = _holder(folder)
    if not holder:
        time.sleep(_MOMENT)
        holder = _holder(folder)
    text = say(
        "{folder} is in use by process {pid} on {host}: wait until it has ended, or choose another name",
        folder=folder,
        pid=holder.get("pid", "?"),
        host=holder.get("host", "?"),
    )
    return ConfigError(text)


def _holder(folder: Path) -> dict[str, Any]:
    """What the process that holds the folder wrote down; empty if it has not yet."""
    with suppress(OSError, ValueError):
        holder: dict[str, Any] = json.loads((folder / LOCK).read_text(encoding="utf-8"))
        return holder
    return {}
