"""A folder that one process writes to at a time.

The lock is the system's own (flock), on a file in the folder that says who holds it. It vanishes with the process, so
what a killed process leaves behind is only a file that nobody holds, and the next one takes it over.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from glassnet.errors import ConfigError
from glassnet.messages import say

try:
    import fcntl
except ImportError:  # pragma: no cover - not on Windows, where two runs are not told apart
    fcntl = None  # type: ignore[assignment]

LOCK = "run.lock"


def check_free(folder: Path) -> None:
    """ConfigError with process id and host if another process holds this folder."""
    if fcntl is None or not (folder / LOCK).exists():
        return
    try:
        handle = os.open(folder / LOCK, os.O_RDONLY)
    except OSError:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _in_use(folder) from None
    except OSError:
        pass  # a file system without locks
    finally:
        os.close(handle)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder that is there, within a block.

    Raises
    ------
    ConfigError
        If another process holds it, with its process id and host.
    """
    if fcntl is None:
        yield
        return
    path = folder / LOCK
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise _in_use(folder) from None
        except OSError:
            pass  # a file system without locks: better without than not at all
        with suppress(FileNotFoundError):
            if path.stat().st_ino == os.fstat(handle).st_ino:
                break
        os.close(handle)  # whoever held it has just removed the file
    try:
        os.ftruncate(handle, 0)
        os.write(handle, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode())
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(handle)


def _in_use(folder: Path) -> ConfigError:
    holder = {}
    with suppress(OSError, ValueError):
        holder = json.loads((folder / LOCK).read_text(encoding="utf-8"))
    text = say(
        "{folder} is in use by process {pid} on {host}: wait until it has ended, or choose another name",
        folder=folder,
        pid=holder.get("pid", "?"),
        host=holder.get("host", "?"),
    )
    return ConfigError(text)
