"""Files from elsewhere, read so that none of them can crash, hang or exhaust what reads it."""

from __future__ import annotations

import codecs
import errno
import gzip
import io
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from glassnet.errors import InputError
from glassnet.memory import available_memory, size_text
from glassnet.messages import say

UNPACKED_FREELY = 128 << 20
UNPACKED_RATIO = 50
UNPACKED_SHARE = 0.25
"""What is packed may unpack to 128 MiB, or to 50 times its size if that is more (text shrinks to a tenth or so); where
it is known before how much it is, as of arrays, also to a quarter of the free memory."""

_LONGEST = 200  # characters of another library's message that are shown


@contextmanager
def refused_as(kind: type[InputError], what: object, form: str = "", *, damaged: bool = False) -> Iterator[None]:
    """Whatever goes wrong within the block is an error of this kind, in one line that names the file.

    The libraries that read files raise nearly anything when the content is not what they expect.

    Parameters
    ----------
    kind : subclass of InputError
    what : Path or str
        The file.
    form : str, optional
        What it was read as: "CSV", "Parquet", …
    damaged : bool, default False
        Whether that it goes wrong means that the file was damaged since glassnet wrote it.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, kind) and str(what) in str(error):
            raise
        if damaged:
            raise kind(say("{path} is damaged: {error}", path=what, error=_reason(error))) from error
        raise unreadable(kind, what, error, form) from error


def unreadable(kind: type[InputError], what: object, error: BaseException, form: str = "") -> InputError:
    """The error that says why a file cannot be read."""
    if form:
        return kind(say("cannot read {file} as {form}: {error}", file=what, form=form, error=_reason(error)))
    return kind(say("cannot read {path}: {reason}", path=what, reason=_reason(error)))


def _reason(error: BaseException) -> str:
    """Why, in one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, InputError):
        return shortened(str(error), 5 * _LONGEST)
    if isinstance(error, KeyError):
        return say("{name} is missing", name=shortened(str(error)))
    if isinstance(error, RecursionError):
        return say("it is nested too deeply")
    return shortened(str(error).strip() or type(error).__name__)


def shortened(text: str, longest: int = _LONGEST) -> str:
    """The first line of a text from elsewhere, as it can be shown: not too long, and without control characters."""
    line = "".join(
        sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in (text.splitlines() or [""])[0]
    )
    return line if len(line) <= longest else line[:longest] + "…"


def opened(path: Path, *, follow: bool = True) -> IO[bytes]:
    """A plain file, opened for reading.

    Pipes, devices and folders are refused: they may never end, or wait for ever. So are symbolic links, unless
    ``follow``: in a folder that came from elsewhere they may lead anywhere.

    Raises
    ------
    OSError
        If it is none, or cannot be opened.
    """
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    if not follow and path.is_symlink():
        target = str(path.readlink())
        raise OSError(errno.ELOOP, say("it is a symbolic link (to {target}); put the file itself there", target=target))
    handle = os.open(path, flags | (0 if follow else getattr(os, "O_NOFOLLOW", 0)))
    try:
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, say("it is a pipe or a device, not a plain file"))
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_all(path: Path, *, most: int, follow: bool = True) -> bytes:
    """A plain file's content; OSError if it is none, or has more than ``most`` bytes."""
    with opened(path, follow=follow) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            text = say("it has {size}, more than {most}", size=size_text(size), most=size_text(most))
            raise OSError(errno.EFBIG, text)
        return file.read()


class Stream(io.RawIOBase):
    """What is read of a file, and ends with OSError if that is more than is possible.

    Parameters
    ----------
    file : binary file
    most : callable, optional
        The most bytes that may have been read so far.

    Attributes
    ----------
    keeps_failure : bool
        Whether what goes wrong is kept as ``failure``, and the stream ends there, for readers that must not be left in
        the middle of their work.
    """

    keeps_failure = False
    failure: Exception | None = None

    def __init__(self, file: IO[bytes], most: Callable[[], int] | None = None) -> None:
        super().__init__()
        self._file, self._most = file, most
        self._bytes = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer, or less of it."""
        try:
            content = self._next(len(buffer))
        except Exception as error:
            if not self.keeps_failure:
                raise
            self.failure = error
            return 0
        buffer[: len(content)] = content
        return len(content)

    def _next(self, most: int) -> bytes:
        content = b"" if self.failure else self._file.read(most)
        self._bytes += len(content)
        if self._most is not None and self._bytes > (possible := self._most()):
            raise too_much(possible)
        self._look_at(content)
        return content

    def _look_at(self, content: bytes) -> None:
        """Called with all that is read, and with nothing at the end."""


class TextStream(Stream):
    """A table's text, which is looked at as it is read.

    Parameters
    ----------
    file, most : as of :class:`Stream`
    separator : str, default ","
    longest_line : int
        The most bytes between two ends of lines.

    Attributes
    ----------
    lines : int
        Ends of lines so far, a last line without one included.
    quotes : int
        Quotation marks so far.
    stray_quotes : bool
        Whether one of them is out of place. Every other one, from the first on, begins a value or follows on another
        one; those between end a value or are followed by another one.
    """

    def __init__(
        self,
        file: IO[bytes],
        most: Callable[[], int] | None = None,
        *,
        separator: str = ",",
        longest_line: int,
    ) -> None:
        super().__init__(file, most)
        self._longest_line = longest_line
        self._line = 0  # bytes since the last end of a line
        self._carry = b"\n"
        self._neighbours = np.zeros(256, dtype=bool)
        self._neighbours[[*separator.encode(), *b'"\r\n']] = True
        self.lines = self.quotes = 0
        self.stray_quotes = False

    def _look_at(self, content: bytes) -> None:
        if self._bytes == len(content):
            content = content.removeprefix(codecs.BOM_UTF8)
        self.lines += content.count(b"\n")
        end = max(content.rfind(b"\n"), content.rfind(b"\r"))
        self._line = len(content) - end - 1 + (self._line if end < 0 else 0)
        if self._line > self._longest_line:
            raise OSError(errno.EFBIG, say("a line is longer than {size}", size=size_text(self._longest_line)))
        if not content and self._carry[-1:] not in b"\r\n":
            self.lines += 1
        block = self._carry + (content or b"\n")
        self._carry = block[-2:]
        if b'"' in block[1:-1]:
            signs = np.frombuffer(block, np.uint8)
            before = np.flatnonzero(signs[1:-1] == ord('"'))
            first = before[self.quotes % 2 :: 2]  # of a pair
            second = before[1 - self.quotes % 2 :: 2]
            neighbours = self._neighbours
            self.stray_quotes |= not (neighbours[signs[first]].all() and neighbours[signs[second + 2]].all())
            self.quotes += len(before)


def most_unpacked(packed: int) -> int:
    """How many bytes ``packed`` bytes may unpack to."""
    most = max(UNPACKED_FREELY, UNPACKED_RATIO * packed)
    free = available_memory()
    return most if free is None else min(most, free)


def check_unpacked(packed: int, unpacked: int) -> None:
    """OSError if ``packed`` bytes unpack to more than is possible."""
    most, free = most_unpacked(packed), available_memory()
    if free is not None:
        most = max(most, int(UNPACKED_SHARE * free))
    if unpacked > most:
        raise too_much(most)


def too_much(most: int) -> OSError:
    """Why unpacking was given up."""
    text = say(
        "it unpacks to more than {most}, over {ratio} times its size, as files do that are made to fill up memory; "
        "if it is not one, store it without packing",
        most=size_text(most),
        ratio=UNPACKED_RATIO,
    )
    return OSError(errno.EFBIG, text)


@contextmanager
def unpacked(path: Path) -> Iterator[tuple[IO[bytes], Callable[[], int] | None]]:
    """A plain file, unpacked if the name ends with .gz, and how many bytes may have been read of it so far.

    That goes by how much of the file was unpacked, so that a bomb is noticed early.
    """
    with opened(path) as file:
        if not path.name.lower().endswith(".gz"):
            yield file, None
            return
        with gzip.GzipFile(fileobj=file) as content:
            yield content, lambda: most_unpacked(file.tell())  # type: ignore[misc]
