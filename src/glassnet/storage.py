"""Files that are whole or not there, and that show when they are damaged.

A write goes to a temporary name in the same folder, is flushed to the disk, and then takes the place of the old file
in one step. A document is JSON in one fixed form with a SHA-256 of itself; arrays are safetensors, whose SHA-256 the
document holds. Nothing that is read can run code.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from glassnet.errors import ModelFileError, unwritable
from glassnet.messages import say
from glassnet.reading import opened, read_all, refused_as, shortened


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically: temporary name, fsync, rename, fsync of the folder.

    Raises
    ------
    ModelFileError
        If it cannot be written; a file that was there before stands unchanged.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not mkstemp, whose files only their owner may read: the system takes the umask into account here.
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        handle = os.open(temporary, flags, 0o666)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise unwritable(ModelFileError, path, error) from error


def remove_leftovers(folder: Path, names: Iterable[str]) -> None:
    """Remove the temporary files of killed processes that wrote files of these names, or patterns of names."""
    for name in names:
        for path in folder.glob(f".{name}.*"):
            with suppress(OSError):
                path.unlink()


MOST_TEXT = 256 << 20
"""The most bytes of a document, a history and their like."""


def read_bytes(path: Path) -> bytes:
    """A plain file's content; ModelFileError if it has more than 256 MiB, or is a symbolic link."""
    with refused_as(ModelFileError, path):
        return read_all(path, follow=False, most=MOST_TEXT)


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
    write_bytes(path, _text({**body, "sha256": digest(_text(body))}))


def read_document(path: Path) -> dict[str, Any]:
    """Read what :func:`write_document` wrote; ModelFileError if a single byte differs."""
    raw = read_bytes(path)
    with damaged(path):
        content = read_json(raw)
        body = {key: value for key, value in content.items() if key != "sha256"}
        if content.get("sha256") != digest(_text(body)) or raw != _text({**body, "sha256": content["sha256"]}):
            raise ValueError(say("its checksum does not match its content"))
        return body


def read_json(content: bytes) -> dict[str, Any]:
    """The mapping that a JSON text holds; ValueError if it is none."""
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(say("it is not valid JSON ({error})", error=error)) from error
    if not isinstance(tree, dict):
        raise ValueError(say("it does not hold a mapping"))
    return tree


def damaged(path: Path) -> AbstractContextManager[None]:
    """Whatever goes wrong within the block is a ModelFileError that says the file is damaged."""
    return refused_as(ModelFileError, path, damaged=True)


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Write arrays as safetensors; what :func:`read_arrays` wants to know of the file."""
    content = safetensors.numpy.save({name: np.asarray(array, order="C") for name, array in arrays.items()})
    write_bytes(path, content)
    return {"sha256": digest(content), "bytes": len(content)}


def read_arrays(path: Path, about: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Read what :func:`write_arrays` wrote; ModelFileError unless it is the same to the byte."""
    with refused_as(ModelFileError, path):
        file = opened(path, follow=False)
    with file, damaged(path):
        found, expected = os.fstat(file.fileno()).st_size, about["bytes"]
        if found != expected:  # so that no more is read than there should be
            raise ValueError(say("it has {found:,} bytes, not {expected:,}", found=found, expected=expected))
        content = file.read()
        if digest(content) != about["sha256"]:
            raise ValueError(say("its checksum does not match its content"))
        return {name: np.array(array) for name, array in safetensors.numpy.load(content).items()}


def write_pair(manifest: Path, content: Mapping[str, Any], file: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a document, and beside it arrays whose SHA-256 it holds under "arrays", in place of those that were there.

    Both are replaced in one step: the new arrays wait under another name until the document asks for them. Whenever the
    process is killed, either the old pair can be read or the new one.
    """
    place = manifest.with_name(file)
    about = write_arrays(_waiting(place), arrays)
    write_document(manifest, {**content, "arrays": {"file": file, **about}})
    try:
        _waiting(place).replace(place)
        _sync_folder(place.parent)
    except OSError as error:
        raise unwritable(ModelFileError, place, error) from error


def read_pair(manifest: Path, file: str, form: str, version: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read what :func:`write_pair` wrote.

    Raises
    ------
    ModelFileError
        If a single byte differs, or the document's "format" and "version" are not these.
    """
    content = read_document(manifest)
    if content.get("format") != form or content.get("version") != version:
        text = say(
            "{path} is of the format {format} {version}; this version of glassnet reads {ours} {our_version}",
            path=manifest,
            format=shortened(str(content.get("format"))),
            version=shortened(str(content.get("version"))),
            ours=form,
            our_version=version,
        )
        raise ModelFileError(text)
    with damaged(manifest):
        about = content["arrays"]
        if about["file"] != file:
            raise ValueError(say("it names the file {name!r}, not {file!r}", name=about["file"], file=file))
        if not isinstance(about["bytes"], int) or not isinstance(about["sha256"], str):
            raise ValueError(say("{name} has a value of another kind", name="arrays"))
    place = manifest.with_name(file)
    for path in (place, _waiting(place), place):  # once more: meanwhile they may have come to their place
        with suppress(ModelFileError):
            return content, read_arrays(path, about)
    if read_document(manifest) != content:  # both were replaced
        return read_pair(manifest, file, form, version)
    return content, read_arrays(place, about)  # it says what is wrong


def _waiting(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


def _text(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode(errors="surrogatepass")


def digest(content: bytes) -> str:
    """The SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
