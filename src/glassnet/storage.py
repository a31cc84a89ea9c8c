"""Files that are whole or not there, and that show when they are damaged.

A write goes to a temporary name in the same folder, is flushed to the disk, and then takes the place of the old file
in one step. A document is JSON in one fixed form with a SHA-256 of itself; arrays are safetensors, whose SHA-256 the
document holds. Nothing that is read can run code.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from glassnet.errors import ModelFileError
from glassnet.messages import say


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically: temporary name, fsync, rename, fsync of the folder.

    Raises
    ------
    ModelFileError
        If it cannot be written; a file that was there before stands unchanged.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o666 & ~_umask())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelFileError(say("cannot write {path}: {reason}", path=path, reason=reason)) from error


def remove_leftovers(folder: Path, names: Iterable[str]) -> None:
    """Remove the temporary files of killed processes that wrote files of these names, or patterns of names."""
    for name in names:
        for path in folder.glob(f".{name}.*"):
            with suppress(OSError):
                path.unlink()


def read_bytes(path: Path) -> bytes:
    """A file's content, or ModelFileError naming it."""
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelFileError(say("cannot read {path}: {reason}", path=path, reason=reason)) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # a folder cannot be opened there
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# Documents and arrays


def write_document(path: Path, content: Mapping[str, Any]) -> None:
    """Write a mapping as JSON that carries its own SHA-256."""
    body = {key: value for key, value in content.items() if key != "sha256"}
    write_bytes(path, _text({**body, "sha256": _digest(_text(body))}))


def read_document(path: Path) -> dict[str, Any]:
    """Read what :func:`write_document` wrote; ModelFileError if a single byte differs."""
    raw = read_bytes(path)
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(
            say("{path} is damaged: it is not valid JSON ({error})", path=path, error=error)
        ) from error
    if not isinstance(content, dict):
        raise ModelFileError(say("{path} is damaged: it does not hold a mapping", path=path))
    body = {key: value for key, value in content.items() if key != "sha256"}
    if content.get("sha256") != _digest(_text(body)) or raw != _text({**body, "sha256": content["sha256"]}):
        raise ModelFileError(say("{path} is damaged: its checksum does not match its content", path=path))
    return body


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> str:
    """Write arrays as safetensors; the file's SHA-256."""
    content = safetensors.numpy.save({name: np.asarray(array, order="C") for name, array in arrays.items()})
    write_bytes(path, content)
    return _digest(content)


def read_arrays(path: Path, sha256: str) -> dict[str, np.ndarray]:
    """Read what :func:`write_arrays` wrote; ModelFileError unless its SHA-256 is the given one."""
    content = read_bytes(path)
    if _digest(content) != sha256:
        raise ModelFileError(say("{path} is damaged: its checksum does not match its content", path=path))
    try:
        arrays = safetensors.numpy.load(content)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise ModelFileError(say("{path} is damaged: {error}", path=path, error=error)) from error
    return {name: np.array(array) for name, array in arrays.items()}


def _text(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode(errors="surrogatepass")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
