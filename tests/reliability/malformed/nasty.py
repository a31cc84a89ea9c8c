"""Files made by hand to hurt: bombs, headers of 2⁶⁰ rows, pickles, links, pipes, and texts that are no tables.

Each is a row of :data:`NASTY`: its name, what makes it in a folder that holds a good run (``run``), estimator
(``estimator``) and table (``table.csv``), who reads it, and what must come of it.
"""

from __future__ import annotations

import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from reliability.malformed import seeds as s
from reliability.malformed.mutations import MOST_DEEP
from reliability.malformed.readers import READERS

REFUSED, READ, EITHER = "refused", "read", "either"
RAN = "code-was-run"  # the file that a pickle would make in the current folder
HUGE = 2**60


@dataclass(frozen=True)
class Nasty:
    """A file made by hand.

    Attributes
    ----------
    name : str
    make : callable
        Puts it into a folder; the path that is read.
    reader : str
        A key of :data:`reliability.malformed.readers.READERS`.
    expected : str
        "refused", "read" or "either".
    slow : bool
        Whether it takes long to make or read.
    """

    name: str
    make: Callable[[Path], Path]
    reader: str = "source"
    expected: str = REFUSED
    slow: bool = False


def file(name: str, content: bytes | Callable[[], bytes]) -> Callable[[Path], Path]:
    """A file of this content."""

    def make(folder: Path) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(content() if callable(content) else content)
        return path

    return make


def text(name: str, content: str, encoding: str = "utf-8") -> Callable[[Path], Path]:
    """A text."""
    return file(name, content.encode(encoding))


def sparse(name: str, size: int, begin: bytes = b"") -> Callable[[Path], Path]:
    """A file of zeros that takes no place on the disk."""

    def make(folder: Path) -> Path:
        path = file(name, begin)(folder)
        os.truncate(path, size)
        return path

    return make


def link(name: str, target: str, content: bytes | None = None, read: str | None = None) -> Callable[[Path], Path]:
    """A link in place of what was there, to a file outside that has its content; or ``content``."""

    def make(folder: Path) -> Path:
        path, outside = folder / name, (folder / target).resolve()
        path.parent.mkdir(parents=True, exist_ok=True)
        if not outside.exists():
            outside.parent.mkdir(parents=True, exist_ok=True)
            outside.write_bytes(path.read_bytes() if content is None else content)
        path.unlink(missing_ok=True)
        path.symlink_to(outside)
        return folder / (read or name)

    return make


def pipe(name: str, read: str | None = None) -> Callable[[Path], Path]:
    """A named pipe into which nobody writes."""

    def make(folder: Path) -> Path:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)
        return folder / (read or name)

    return make


def folder_named(name: str) -> Callable[[Path], Path]:
    """An empty folder."""

    def make(folder: Path) -> Path:
        (folder / name).unlink(missing_ok=True)
        (folder / name).mkdir(parents=True)
        return folder / name

    return make


def both(*makes: Callable[[Path], Path]) -> Callable[[Path], Path]:
    """One after another; the last one's path."""

    def make(folder: Path) -> Path:
        path = folder
        for one in makes:
            path = one(folder)
        return path

    return make


def broken(path: Path, target: Path = Path("/nowhere/at/all")) -> Path:
    """A link that leads to no file."""
    path.symlink_to(target)
    return path


def linked(path: Path, target: Path) -> Path:
    """A link."""
    path.symlink_to(target)
    return path


# Bombs: small, and many GB when unpacked


def gzip_bomb(head: bytes, piece: bytes, times: int) -> bytes:
    """A gzip file of ``head`` and a piece of 64 MiB so many times, each a member of its own."""
    member = s.gz(piece * ((64 << 20) // len(piece)))
    return s.gz(head) + member * times


def zip_bomb(gigabytes: int) -> bytes:
    """A .npz whose x has so many GB of zeros in a few MB."""
    rows = (gigabytes << 30) // 80
    head = s.npy_bytes(np.zeros((0, 10))).replace(b"(0, 10), }", b"(%d, 10), }" % rows)
    begin = 10 + struct.unpack("<H", head[8:10])[0]
    head = head[:begin].rstrip(b" \n")
    head = head + b" " * (127 - len(head)) + b"\n"
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    zeros = packer.compress(bytes(64 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    body = first + zeros * (gigabytes * 16) + packer.flush()
    size = len(head[:10]) - 10 + 128 + (gigabytes << 30)
    # version, flags, deflate, time, date, CRC, sizes; more than 4 GB need the fields of ZIP64
    extra = struct.pack("<HHQQ", 1, 16, size, len(body))
    common = struct.pack("<HHHHHIIIHH", 45, 0, 8, 0, 33, 0, 2**32 - 1, 2**32 - 1, 5, len(extra))
    local = b"PK\3\4" + common + b"x.npy" + extra + body
    central = b"PK\1\2" + struct.pack("<H", 45) + common + struct.pack("<HHHII", 0, 0, 0, 0, 0) + b"x.npy" + extra
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)
    return local + central + end


def parquet_bomb(times: int = 12) -> bytes:
    """A Parquet file whose pages, 16 MB of zeros when unpacked, are there once and in 4,096 groups of rows."""
    zeros = np.zeros(1 << 20)
    whole = s.parquet_bytes(pa.table({"x": zeros, "y": zeros}), compression="zstd", use_dictionary=False)
    footer = parquet.read_metadata(pa.BufferReader(whole))
    for _ in range(times):
        footer.append_row_groups(footer)
    anew = pa.BufferOutputStream()
    footer.write_metadata_file(anew)
    (length,) = struct.unpack("<I", whole[-8:-4])
    return whole[: -8 - length] + anew.getvalue().to_pybytes()[4:]


def dictionary_bomb() -> bytes:
    """A text of 1 MB, written once, in 10⁶ rows."""
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(10**6, np.int32)), pa.array(["x" * 10**6]))
    return s.parquet_bytes(pa.table({"x": column, "y": np.zeros(10**6)}), store_schema=False)


# Headers that promise too much


def many_rows(version: tuple[int, int] = (1, 0)) -> bytes:
    """A .npy file of three numbers and a header of 2⁶⁰ rows."""
    whole = s.npy_bytes(np.zeros((3, 1)), version=version)
    return whole.replace(b"(3, 1), }                 ", b"(%d, 1), }" % HUGE + b" " * 17)[: len(whole)]


def varint(number: int) -> bytes:
    """A number as Thrift's compact protocol has it."""
    number, out = number << 1, b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def many_parquet_rows(which: str) -> bytes:
    """A Parquet file whose footer says 2⁶⁰ of something."""
    whole = s.parquet_bytes(pa.table({"x": np.arange(24), "y": np.arange(24)}), compression="none")
    length = struct.unpack("<I", whole[-8:-4])[0]
    body, footer = whole[: -8 - length], whole[-8 - length : -8]
    few, many = b"\x16" + varint(24), b"\x16" + varint(HUGE)
    places = {"everywhere": footer.replace(few, many), "first": footer.replace(few, many, 1)}
    at = footer.rindex(few)
    places["last"] = footer[:at] + many + footer[at + len(few) :]
    return body + places[which] + struct.pack("<I", len(places[which])) + b"PAR1"


def idx_head(*sizes: int) -> bytes:
    """An idx file's header without a body."""
    return bytes([0, 0, 8, len(sizes)]) + b"".join(struct.pack(">I", size) for size in sizes)


# Pickles


class Evil:
    """What makes a file as soon as it is unpickled."""

    def __reduce__(self) -> Any:
        return (open, (RAN, "w"))


def objects() -> bytes:
    """A .npy file of Python objects."""
    array = np.empty((3, 2), dtype=object)
    array[:] = Evil()
    return s.npy_bytes(array, allow_pickle=True)


def archive(**members: bytes) -> bytes:
    """A .npz with members of this content, whose names have "." for "__"."""
    path = pa.BufferOutputStream()
    with zipfile.ZipFile(path, "w") as made:
        for name, content in members.items():
            made.writestr(name.replace("__", ".").replace("UP", "../"), content)
    return path.getvalue().to_pybytes()


# A run in which something is other


def rewritten(name: str, change: Callable[[bytes], bytes], read: str = "run") -> Callable[[Path], Path]:
    """A file of the run, changed."""

    def make(folder: Path) -> Path:
        (folder / name).write_bytes(change((folder / name).read_bytes()))
        return folder / read

    return make


def in_run(name: str, make: Callable[[str], Callable[[Path], Path]], read: str = "run") -> Callable[[Path], Path]:
    """Something else in place of a file of the run."""

    def made(folder: Path) -> Path:
        make(name)(folder)
        return folder / read

    return made


DEEP_JSON = b'{"a":' + b"[" * MOST_DEEP + b"]" * MOST_DEEP + b"}"
DEEP_LINE = b'{"epoch": ' + b"[" * MOST_DEEP + b"]" * MOST_DEEP + b', "seconds": 1}\n'
CHECKPOINT = "run/checkpoints/checkpoint-000003.ckpt"
X, Y = s.npy_bytes(np.zeros((4, 2))), s.npy_bytes(np.arange(4))
_GOOD_PARQUET = s.parquet_bytes(s.frame())
_WITHOUT = pa.table({})
_NESTED = pa.table({"x": [[1, 2], [3]], "y": [1, 2]})
_STRUCTS = pa.table({"x": [{"a": 1}, {"a": 2}], "y": [1, 2]})
_IDX = "train-images-idx3-ubyte"

WRITTEN = (
    ("run/model.json", "run", "model"),
    ("run/model.safetensors", "run", "model"),
    ("run/config.json", "run", "config"),
    ("run/history.jsonl", "run", "history"),
    ("run/snapshots.jsonl", "run", "snapshots"),
    ("run/results.json", "run", "results"),
    (CHECKPOINT, CHECKPOINT, "checkpoint"),
    ("run/checkpoints/run.json", "run", "begun"),
    ("estimator/estimator.json", "estimator", "estimator"),
    ("estimator/estimator.safetensors", "estimator", "estimator"),
)
"""What glassnet writes: each file, what is read then, and by which reader."""

CASES = [
    # bombs
    Nasty("gzip bomb in CSV", file("x.csv.gz", lambda: gzip_bomb(b"a,b\n", b"0,1\n", 160)), slow=True),
    Nasty("gzip bomb in one line of CSV", file("x.csv.gz", lambda: gzip_bomb(b"a,b\n", b"0", 160)), slow=True),
    Nasty("gzip bomb in a header of CSV", file("x.csv.gz", lambda: gzip_bomb(b"", b"a,", 160)), slow=True),
    Nasty(
        "gzip bomb behind an idx",
        file(f"{_IDX}.gz", lambda: gzip_bomb(idx_head(1, 2, 2) + b"1234", b"0", 160)),
        slow=True,
    ),
    Nasty("gzip bomb in idx", file(f"{_IDX}.gz", lambda: gzip_bomb(idx_head(48, 8192, 8192), b"\0", 48)), slow=True),
    Nasty("zip bomb in npz", file("x.npz", lambda: zip_bomb(3)), slow=True),
    Nasty("zstd bomb in Parquet", file("x.parquet", parquet_bomb), slow=True),
    Nasty("dictionary bomb in Parquet", file("x.parquet", dictionary_bomb), slow=True),
    # headers
    Nasty("npy of 2^60 rows", file("x.npy", many_rows())),
    Nasty("npy 2.0 of 2^60 rows", file("x.npy", many_rows((2, 0)))),
    Nasty("npz of 2^60 rows", file("x.npz", lambda: archive(x__npy=many_rows(), y__npy=Y))),
    Nasty(
        "npy with a header of 60,000 spaces", file("x.npy", X[:8] + struct.pack("<H", 60_000) + b"(" + b" " * 59_999)
    ),
    Nasty("npy with a header of 4 GB", file("x.npy", b"\x93NUMPY\2\0" + struct.pack("<I", 2**32 - 1) + b" " * 99)),
    Nasty("npy with a deep header", file("x.npy", X[:8] + struct.pack("<H", 60_000) + b"(" * 60_000)),
    Nasty("npy of -1 rows", file("x.npy", X.replace(b"(4, 2)", b"(-4,2)"))),
    Nasty("npy of no rows", file("x.npy", s.npy_bytes(np.zeros((0, 3))))),
    Nasty("npy of no columns", file("x.npy", s.npy_bytes(np.zeros((3, 0)))), expected=EITHER),
    Nasty("npy of complex numbers", file("x.npy", s.npy_bytes(np.zeros((3, 2), complex)))),
    Nasty("npy of text", file("x.npy", s.npy_bytes(np.array([["a", "b"]])))),
    Nasty("npy of records", file("x.npy", s.npy_bytes(np.zeros(3, [("a", "f8"), ("b", "i4")])))),
    Nasty("npy of one number", file("x.npy", s.npy_bytes(np.array(5.0)))),
    Nasty("npy with more behind its end", file("x.npy", X + b"\0")),
    Nasty("idx of 2^32-1 images", file(_IDX, idx_head(2**32 - 1, 28, 28) + b"\0" * 99)),
    Nasty("idx of 2^96 bytes", file(_IDX, idx_head(2**32 - 1, 2**32 - 1, 2**32 - 1) + b"\0" * 99)),
    Nasty("idx of 0 images of 2^64", file(_IDX, idx_head(0, 2**32 - 1, 2**32 - 1))),
    Nasty("idx of 255 dimensions", file(_IDX, bytes([0, 0, 8, 255]) + bytes(1020))),
    Nasty("idx.gz of 2^96 bytes", file(f"{_IDX}.gz", s.gz(idx_head(2**32 - 1, 2**32 - 1, 2**32 - 1)))),
    *(
        Nasty(f"Parquet of 2^60 rows, {which}", file("x.parquet", many_parquet_rows(which)))
        for which in ("everywhere", "first", "last")
    ),
    Nasty("Parquet with a footer of 4 GB", file("x.parquet", _GOOD_PARQUET[:-8] + b"\xff\xff\xff\xffPAR1")),
    Nasty("Parquet of its magic only", file("x.parquet", b"PAR1PAR1")),
    Nasty("Parquet without columns", file("x.parquet", lambda: s.parquet_bytes(_WITHOUT))),
    Nasty("Parquet without rows", file("x.parquet", lambda: s.parquet_bytes(s.frame().slice(0, 0)))),
    Nasty("Parquet of lists", file("x.parquet", lambda: s.parquet_bytes(_NESTED))),
    Nasty("Parquet of structs", file("x.parquet", lambda: s.parquet_bytes(_STRUCTS))),
    Nasty(
        "Parquet of nulls", file("x.parquet", lambda: s.parquet_bytes(pa.table({"x": pa.nulls(3)}))), expected=EITHER
    ),
    Nasty("encrypted Parquet", file("x.parquet", _GOOD_PARQUET[:-4] + b"PARE")),
    # code
    Nasty("pickle in npy", file("x.npy", objects)),
    Nasty("pickle in npz", file("x.npz", lambda: archive(x__npy=objects(), y__npy=Y))),
    Nasty("pickle named npy", file("x.npy", lambda: pickle.dumps(Evil()))),
    Nasty("pickle named npz", file("x.npz", lambda: pickle.dumps(Evil()))),
    Nasty("pickle as a member of npz", file("x.npz", lambda: archive(x__npy=pickle.dumps(Evil()), y__npy=Y))),
    Nasty(
        "pickle behind a zip's names",
        file("x.npz", lambda: archive(x__npy=X, y__npy=Y, z__pkl=pickle.dumps(Evil()))),
        expected=EITHER,
    ),
    # archives
    Nasty("npz with ../ in a name", file("x.npz", lambda: archive(UPx__npy=X, y__npy=Y))),
    Nasty(
        "npz with ../ beside good names",
        file("x.npz", lambda: archive(x__npy=X, y__npy=Y, UPz__npy=X)),
        expected=EITHER,
    ),
    Nasty("npz without members", file("x.npz", lambda: archive())),
    Nasty("npz of other rows in x and y", file("x.npz", lambda: archive(x__npy=X, y__npy=s.npy_bytes(np.arange(9))))),
    Nasty("npz that is a npy", file("x.npz", X)),
    Nasty("npy that is a npz", file("x.npy", lambda: archive(x__npy=X))),
    # texts that are no tables
    *(
        Nasty(f"empty {name}", file(name, b""))
        for name in ("x.csv", "x.csv.gz", "x.tsv", "x.parquet", "x.npz", "x.npy", _IDX, f"{_IDX}.gz")
    ),
    *(
        Nasty(f"a sentence in {name}", file(name, b"This is not it.\n"))
        for name in ("x.csv.gz", "x.parquet", "x.npz", "x.npy", _IDX, f"{_IDX}.gz")
    ),
    *(
        Nasty(f"zeros in {name}", file(name, bytes(5000)))
        for name in ("x.csv", "x.csv.gz", "x.tsv", "x.parquet", "x.npz", "x.npy", _IDX, f"{_IDX}.gz")
    ),
    Nasty("Parquet named CSV", file("x.csv", _GOOD_PARQUET)),
    Nasty("gzip named CSV", file("x.csv", s.gz(s.csv_text().encode()))),
    Nasty("one line of 16 MB", file("x.csv", lambda: b"a," * (8 << 20))),
    Nasty(
        "one value of 20 MB", file("x.csv", lambda: b"a,b\n1," + b"x" * (20 << 20) + b"\n"), expected=EITHER, slow=True
    ),
    Nasty(
        "1,000,000 columns",
        file("x.csv", lambda: b",".join(b"c%d" % k for k in range(10**6)) + b"\n" + b"1," * 999_999 + b"1\n"),
        expected=EITHER,
        slow=True,
    ),
    Nasty("a name of 10 MB", file("x.csv", lambda: b"a" * 10**7 + b",b\n1,2\n"), expected=EITHER, slow=True),
    Nasty("quotes that never end", text("x.csv", 'a,b\n1,"2\n3,4\n5,6\n')),
    Nasty("quotes that never end in 32 MB", file("x.csv", lambda: b'a,b\n1,"2\n' + b"3,4\n" * (8 << 20)), slow=True),
    Nasty("quotes that never end in the names", text("x.csv", 'a,"b\n1,2\n3,4\n')),
    Nasty("quotes that never end at the end", text("x.csv", 'a,b\n1,2\n3,"')),
    Nasty("text behind quotes", text("x.csv", 'a,b\n"1"2,3\n4,5\n')),
    Nasty("NUL among names", file("x.csv", b"a,b\0\n1,2\n"), expected=EITHER),
    Nasty("NUL among values", file("x.csv", b"a,b\n1,\0\n"), expected=EITHER),
    Nasty("UTF-16", text("x.csv", "a,b\n1,2\n", "utf-16")),
    Nasty("UTF-16 without a mark", text("x.csv", "a,b\n1,é\n", "utf-16-be"), expected=EITHER),
    Nasty("Latin-1", text("x.csv", "a,b\n1,é\n", "latin-1")),
    Nasty("Latin-1 in the names", text("x.csv", "a,é\n1,2\n", "latin-1")),
    Nasty("UTF-8 with its mark", text("x.csv", "a,b\n1,2\n", "utf-8-sig"), expected=READ),
    Nasty("a mark and an empty line", text("x.csv", "\n1,2\n3,4\n", "utf-8-sig")),
    Nasty("a lone carriage return ends each line", file("x.csv", b"a,b\r1,2\r3,4\r"), expected=EITHER),
    Nasty("a lone carriage return in the names", file("x.csv", b"a\rc,b\n1,2\n"), expected=EITHER),
    Nasty("rows that are too short", text("x.csv", "a,b,c\n1,2,3\n4,5\n")),
    Nasty("rows that are too long", text("x.csv", "a,b\n1,2\n4,5,6\n")),
    Nasty("names only", text("x.csv", "a,b\n")),
    Nasty("names without an end of line", text("x.csv", "a,b")),
    Nasty("names that are twice", text("x.csv", "a,a\n1,2\n")),
    Nasty("names that are empty", text("x.csv", ",\n1,2\n")),
    Nasty("an integer of 4 MB", file("x.csv", lambda: b"a,b\n" + b"9" * (4 << 20) + b",1\n"), expected=EITHER),
    Nasty("a fraction of 4 MB", file("x.csv", lambda: b"a,b\n0." + b"3" * (4 << 20) + b",1\n"), expected=EITHER),
    Nasty("an exponent of 4 MB", file("x.csv", lambda: b"a,b\n1e" + b"9" * (4 << 20) + b",1\n"), expected=EITHER),
    Nasty("escape sequences in names", text("x.csv", "a\x1b[31mred,b\n1,2\n3,x,y\n")),
    Nasty("letters that turn the line", text("x.csv", "a\u202eb,c\n1,2\n3\n")),
    # what is no file, or another one
    *(Nasty(f"a folder named {name}", folder_named(name)) for name in ("x.csv", "x.parquet", "x.npz", "x.npy", _IDX)),
    *(Nasty(f"a pipe named {name}", pipe(name)) for name in ("x.csv", "x.csv.gz", "x.parquet", "x.npz", "x.npy", _IDX)),
    *(
        Nasty(f"/dev/zero named {name}", link(name, "/dev/zero"))
        for name in ("x.csv", "x.csv.gz", "x.tsv", "x.parquet", "x.npz", "x.npy", _IDX, f"{_IDX}.gz")
    ),
    Nasty("/dev/null named x.csv", link("x.csv", "/dev/null")),
    Nasty("a pipe in a folder of Parquet", both(file("set/a.parquet", _GOOD_PARQUET), pipe("set/b.parquet", "set"))),
    Nasty("a link that leads nowhere", lambda folder: broken(folder / "x.csv")),
    Nasty("a link to itself", lambda folder: broken(folder / "x.csv", folder / "x.csv")),
    Nasty("a name of 300 letters", lambda folder: folder / ("x" * 300 + ".csv")),
    Nasty("a name with NUL", lambda folder: Path(f"{folder}/x\0.csv")),
    Nasty("CSV of 8 GiB of zeros", sparse("x.csv", 8 << 30, b"a,b\n1,2\n"), slow=True),
    Nasty("Parquet of 8 GiB of zeros", sparse("x.parquet", 8 << 30, b"PAR1")),
    Nasty("npy of 8 GiB of zeros", sparse("x.npy", 8 << 30, b"\x93NUMPY")),
    Nasty("a link that the user names", link("x.csv", "outside/x.csv", s.csv_text().encode()), expected=READ),
    Nasty(
        "a link to a folder that the user names", lambda folder: linked(folder / "named", folder / "run"), "model", READ
    ),
    Nasty(
        "a link out of a folder of Parquet",
        both(file("set/a.parquet", _GOOD_PARQUET), link("set/b.parquet", "outside/b.parquet", _GOOD_PARQUET, "set")),
    ),
    Nasty("a link out of a folder of images", link(f"set/{_IDX}", "outside/images", idx_head(2, 1, 1) + b"ab", "set")),
    # models, checkpoints and what else a run holds
    *(
        Nasty(f"a link out of the folder: {name}", link(name, f"outside/{Path(name).name}", read=read), reader)
        for name, read, reader in WRITTEN
    ),
    *(
        Nasty(
            f"{what}: {name}",
            in_run(name, make, read),
            reader,
            EITHER if name.endswith("toml") and what == "empty" else REFUSED,
            slow=what == "3 GiB of zeros",
        )
        for what, make in (
            ("empty", lambda name: file(name, b"")),
            ("a pipe", pipe),
            ("a folder", folder_named),
            ("3 GiB of zeros", lambda name: sparse(name, 3 << 30)),
            ("JSON 10^6 deep", lambda name: file(name, DEEP_JSON)),
            ("an open bracket, 10^6 times", lambda name: file(name, b"[" * MOST_DEEP)),
            ("a sentence", lambda name: file(name, b"This is not it.\n")),
            ("a number", lambda name: file(name, b"5\n")),
            ("text that is not UTF-8", lambda name: file(name, b'{"a": "\xff"}\n')),
        )
        for name, read, reader in (
            *WRITTEN,
            ("other/config.toml", "other/config.toml", "file"),
            ("other/config.json", "other/config.json", "file"),
        )
    ),
    Nasty("epochs 10^6 deep", rewritten("run/history.jsonl", lambda whole: DEEP_LINE + whole), "history"),
    Nasty(
        "an integer of 1 MB in JSON",
        rewritten("run/config.json", lambda whole: whole.replace(b'"epochs": 3', b'"epochs": ' + b"9" * 10**6)),
        "config",
    ),
    Nasty("an integer of 1 MB in TOML", text("x.toml", "[training]\nepochs = " + "9" * 10**6), "file"),
    Nasty("a key of 100,000 parts in TOML", text("x.toml", ".".join("a" * 100_000) + " = 1\n"), "file"),
    Nasty(
        "a table of 100,000 parts in TOML", text("x.toml", "[" + ".".join("a" * 100_000) + "]\nb = 1\n"), "file", EITHER
    ),
    Nasty("lists 100,000 deep in TOML", text("x.toml", "a = " + "[" * 100_000 + "]" * 100_000 + "\n"), "file"),
    Nasty("TOML tables 100,000 deep", text("x.toml", "a = " + "{a=" * 100_000 + "1" + "}" * 100_000 + "\n"), "file"),
    Nasty(
        "TOML of 100,000 tables", text("x.toml", "".join(f"[[a]]\nb = {k}\n" for k in range(100_000))), "file", EITHER
    ),
    Nasty("a TOML text that never ends", text("x.toml", 'a = """' + "\\" * 10**6), "file"),
    Nasty("TOML keys named as Python's arguments", text("x.toml", "cls = 1\nself = 2\n"), "file", EITHER),
]


NASTY: dict[str, Nasty] = {case.name: case for case in CASES}
assert len(NASTY) == len(CASES)
assert all(case.reader in READERS for case in CASES)
