"""The formats that glassnet reads: valid files, readers, what a file says, and how else it can be damaged.

Three kinds of damage are told apart. *Guarded* damage is under a checksum: the file is refused, or reads as if it were
whole. Damage in formats without checksums is *plain*: what is read must be what an independent strict reader finds in
the file. *Resigned* files have wrong content under a right checksum: they are refused, or what is read can be used.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import struct
import tomllib
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa

from reliability.malformed import mutations as m
from reliability.malformed import readers, strict
from reliability.malformed import seeds as s
from reliability.malformed.seeds import Files


@dataclass(frozen=True)
class Format:
    """One kind of file.

    Attributes
    ----------
    name : str
    files : tuple of str
        Those of a folder that are damaged, one at a time.
    seeds : callable
        From a folder with what glassnet wrote to valid folders.
    load : callable
        From a folder to what glassnet reads in it.
    tell : callable
        From what was loaded to something whose repr tells all of it; may raise glassnet's errors only.
    words : callable
        A command line that reads the folder.
    use : callable
        Does with what was loaded what it is there for; may raise glassnet's errors only.
    changes : tuple of Change
        Damage that knows the format, besides :data:`mutations.BYTES`.
    says : callable, optional
        Whether the strict reader finds in the files what was loaded; ValueError if it finds nothing that is valid.
    guarded : callable
        Whether checksums guard all that differs between a file and its seed.
    sealed : tuple of Change
        Damage to what is behind a checksum, which is then computed anew.
    unseal : callable
        From a file to what its checksum guards.
    seal : callable
        From a valid folder, a file's name and what is to be in it to what is other in the folder: right checksums.
    """

    name: str
    files: tuple[str, ...]
    seeds: Callable[[Path], list[Files]]
    load: Callable[[Path], Any]
    tell: Callable[[Any], Any]
    words: Callable[[Path], list[str]]
    use: Callable[[Any], Any] = lambda loaded: None
    changes: tuple[m.Change, ...] = ()
    says: Callable[[Any, Files], bool] | None = None
    guarded: Callable[[bytes, bytes], bool] = field(default=lambda seed, changed: False)
    sealed: tuple[m.Change, ...] = ()
    unseal: Callable[[bytes], bytes] = bytes
    seal: Callable[[Files, str, bytes], Files] = field(default=lambda base, name, content: {name: content})


def always(seed: bytes, changed: bytes) -> bool:
    """The format has a checksum over everything."""
    return True


# Data: what a source holds


def source(name: str) -> Callable[[Path], Any]:
    """Loads the file or folder of this name."""
    return lambda folder: readers.source(folder / name)


def held(found: Any) -> list[Any]:
    """All that a source holds, as plain Python objects."""
    parts: list[Any] = []
    for part in (found.train, found.test):
        if part is not None and hasattr(part, "columns"):
            parts += [[(column.name, str(column.type)) for column in part.columns.schema]]
            parts += [plain_values(column) for column in part.columns.columns]
        elif part is not None:
            parts += [
                (array.dtype.str, array.shape, array.tobytes()) for array in (part.x, part.y) if array is not None
            ]
    return parts


def plain_values(column: pa.ChunkedArray) -> list[Any]:
    """A column as plain Python objects; dates and times, which may be beyond Python's, as numbers."""
    kinds = {32: pa.int32(), 64: pa.int64()}
    return (column.cast(kinds[column.type.bit_width]) if pa.types.is_temporal(column.type) else column).to_pylist()


def moments(column: pa.ChunkedArray) -> list[Any]:
    """A column as Python objects, dates and times in ISO's form."""
    if not pa.types.is_temporal(column.type):
        return column.to_pylist()
    return [None if text is None else strict.Moment(text) for text in column.cast(pa.string()).to_pylist()]


def same_columns(
    separator: str | None = None, unpack: Callable[[bytes], bytes] = bytes
) -> Callable[[Any, Files], bool]:
    """Whether a table is what the strict reader of CSV finds."""

    def says(found: Any, files: Files) -> bool:
        try:
            content = unpack(next(iter(files.values())))
        except (OSError, EOFError) as error:
            raise ValueError(str(error)) from error
        table = found.train.columns
        return strict.same_table({name: moments(table.column(name)) for name in table.column_names}, content, separator)

    return says


def same_single_array(found: Any, files: Files) -> bool:
    """Whether an array is what the strict reader of .npy finds."""
    return strict.same_array(found.train.x, strict.npy(files["x.npy"]))


def same_archive(found: Any, files: Files) -> bool:
    """Whether arrays are what an archive says."""
    try:
        with zipfile.ZipFile(io.BytesIO(files["x.npz"])) as archive:
            said = {
                name.removesuffix(".npy").lower(): strict.npy(archive.read(name), "biufcSUMmV")
                for name in archive.namelist()
            }
    except (zipfile.BadZipFile, KeyError, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(str(error)) from error
    x = next((said[key] for key in ("x_train", "x", "data", "features", "images") if key in said), None)
    y = next((said[key] for key in ("y_train", "y", "target", "targets", "label", "labels") if key in said), None)
    same = x is not None and strict.same_array(found.train.x, x)
    return same and (found.train.y is None or (y is not None and strict.same_array(found.train.y, y)))


def same_images(suffix: str, unpack: Callable[[bytes], bytes] = bytes) -> Callable[[Any, Files], bool]:
    """Whether images and labels are what the strict reader of idx finds."""

    def says(found: Any, files: Files) -> bool:
        try:
            x, y = (strict.idx(unpack(files[f"set/{name}{suffix}"])) for name in (IMAGES, LABELS))
        except (OSError, EOFError) as error:
            raise ValueError(str(error)) from error
        return strict.same_array(found.train.x, x) and strict.same_array(found.train.y, y)

    return says


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def pack(base: Files, name: str, content: bytes) -> Files:
    """A gzip file of this content."""
    return {name: s.gz(content)}


def npy_header(rng: Random, content: bytes, seeds: Any) -> bytes:
    """A .npy file whose header says something else."""
    begin = 10 if content[6] == 1 else 12
    (length,) = struct.unpack("<H" if begin == 10 else "<I", content[8:begin])
    text, body = content[begin : begin + length].decode("latin1"), content[begin + length :]
    number = str(rng.choice((*m.NUMBERS, "None", "True", "1.5", "-3", "()", "(2,)", "'3'", "9" * 5000)))
    kinds = ("<f4", ">f8", "<i8", "|u1", "|b1", "<f2", "<c16", "|O", "|S3", "<U4", "|V8", "<M8[s]", "<m8[D]", "f8")
    kinds += ("float", "object", "<f16", "<f99", "=f8", "<i3", ",f8")
    kind = rng.choice(
        (*(repr(kind) for kind in kinds), "[('a', '<f8')]", "[('a', '|O')]", "('<f8', (2,))", "None", "8")
    )
    text = rng.choice(
        (
            lambda: re.sub(r"\d+(?=,|\))", number, text, count=rng.choice((1, 2)), flags=0),
            lambda: re.sub(r"'descr': '[^']*'", lambda _: f"'descr': {kind}", text),
            lambda: re.sub(r"True|False", rng.choice(("True", "False", "1", "None", "'x'")), text),
            lambda: re.sub(
                r"\(.*?\)", rng.choice((number, "()", "[]", "(" * 3000, f"({number},) * 9", "(1,) * 40")), text
            ),
            lambda: text.replace("'shape'", rng.choice(("'size'", "'descr'", "5", "'shape': (), 'shape'"))),
            lambda: rng.choice(
                ("{}", "", "[", "(" * 9000, "{'a':" * 3000, "__import__('os')", "-" * 9000 + "1", "\0", "5")
            ),
            lambda: text.strip() + " " * rng.choice((1, 9000)) + "\n",
        )
    )()
    version = rng.choice((content[6], content[6], 1, 2, 3, rng.randrange(256)))
    head = text.encode("utf-8" if version == 3 else "latin1", "replace")
    size = rng.choice((len(head), len(head), len(head), 0, 1, 2**16 - 1, 2**31))
    packed = struct.pack("<I", size % 2**32) if version in (2, 3) else struct.pack("<H", size % 2**16)
    return b"\x93NUMPY" + bytes((version, 0)) + packed + head + body


def idx_header(rng: Random, content: bytes, seeds: Any) -> bytes:
    """An idx file whose header says something else."""
    dims = content[3]
    body = content[4 + 4 * dims :]
    sizes = list(struct.unpack(f">{dims}I", content[4 : 4 + 4 * dims]))
    how = rng.randrange(5)
    if how == 0:
        sizes[rng.randrange(dims)] = rng.choice(m.NUMBERS) % 2**32
    elif how == 1:
        sizes = [rng.choice((0, 1, 2, 2**16, 2**31, 2**32 - 1)) for _ in range(rng.choice((0, 1, 2, 3, 8, 9, 255)))]
    elif how == 2:
        rng.shuffle(sizes)
    elif how == 3:
        k = rng.randrange(dims)
        sizes[k] += rng.choice((-1, 1))
        body = body[: max(0, len(body) + rng.choice((-1, 0, 1)) * len(body) // max(1, sizes[k]))]
    kind = rng.choice((content[2], content[2], 8, 9, 10, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F, 255))
    return struct.pack(">BBBB", 0, 0, kind, len(sizes)) + b"".join(struct.pack(">I", n % 2**32) for n in sizes) + body


def zip_fields(rng: Random, content: bytes, seeds: Any) -> bytes:
    """An archive with another number in a header, its directory or its end."""
    heads = [match.start() for match in re.finditer(rb"PK(?:\x03\x04|\x01\x02|\x05\x06)", content)]
    if not heads:
        return content + b"\0"
    at = rng.choice(heads) + rng.randrange(4, 30, 2)
    size = rng.choice((2, 4))
    value = rng.choice((*m.NUMBERS, 1, 8, 12, 14, 99)) % 2 ** (8 * size)
    return (content[:at] + value.to_bytes(size, "little") + content[at + size :])[: max(len(content), at)]


def zip_anew(rng: Random, content: bytes, seeds: Any) -> bytes:
    """An archive, whole as such, with other members or other content."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    k = rng.randrange(len(members))
    name, member = members[k]
    how = rng.randrange(6)
    if how == 0:
        del members[k]
    elif how == 1:
        names = (
            "y.npy",
            "X_TRAIN.npy",
            "../x.npy",
            "/x.npy",
            "x_train",
            "a/b.npy",
            "x_train.npy.npy",
            "é.npy",
            "x.txt",
            ".npy",
        )
        members[k] = rng.choice(names), member
    elif how == 2:
        members.append((rng.choice((name, "more.npy", "readme.txt", "indptr.npy", "X.npy")), rng.choice(members)[1]))
    else:
        change = rng.choice((npy_header, npy_header, *m.BYTES))
        members[k] = name, change(rng, member, [member])
    buffer = io.BytesIO()
    members = list({name: (name, body) for name, body in members}.values()) if rng.random() < 0.9 else members
    kind = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    with (
        zipfile.ZipFile(buffer, "w", kind) as archive,
        warnings.catch_warnings(action="ignore"),
    ):  # names that are twice
        for name, member in members:
            archive.writestr(zipfile.ZipInfo(name), member, kind)
    return buffer.getvalue()


def parquet_footer(rng: Random, content: bytes, seeds: Any) -> bytes:
    """A Parquet file with another length of its footer, or bytes of the footer changed."""
    (length,) = struct.unpack("<I", content[-8:-4])
    if rng.random() < 0.2:
        return content[:-8] + struct.pack("<I", rng.choice((*m.NUMBERS, length - 1, length + 1)) % 2**32) + content[-4:]
    start = len(content) - 8 - length
    change = rng.choice(
        (m.flip_bits, m.set_bytes, m.delete, m.insert, m.duplicate, m.swap, m.blank, m.number_in_binary)
    )
    footer = change(rng, content[start:-8], [content[start:-8]])
    return content[:start] + footer + struct.pack("<I", len(footer)) + content[-4:]


def parquet_pages(rng: Random, content: bytes, seeds: Any) -> bytes:
    """A Parquet file with bytes of its pages changed."""
    (length,) = struct.unpack("<I", content[-8:-4])
    start = len(content) - 8 - length
    change = rng.choice((m.flip_bits, m.set_bytes, m.blank, m.number_in_binary))
    return (change(rng, content[:start], [content[:start]]) + content[start:]) if start else content + b"\0"


def footer_is_whole(seed: bytes, changed: bytes) -> bool:
    """Whether only pages, which have checksums, differ."""
    (length,) = struct.unpack("<I", seed[-8:-4])
    return changed.endswith(seed[-8 - length :]) and len(changed) >= len(seed)


def _tables(**options: Any) -> list[bytes]:
    kinds: tuple[dict[str, Any], ...] = (
        {"compression": "none", "use_dictionary": False},
        {"compression": "zstd"},
        {"compression": "gzip", "data_page_version": "2.0"},
        {"compression": "snappy", "row_group_size": 10},
        {"column_encoding": "DELTA_BINARY_PACKED", "use_dictionary": False},
    )
    table = s.frame()
    whole = table.select(["n", "small"])
    return [s.parquet_bytes(whole if "column_encoding" in kind else table, **kind, **options) for kind in kinds]


_ROWS = (("csv", ","), ("csv", ";"), ("tsv", "\t"))
_MORE_CSV = (
    "a\n1\n2\n",
    "a,b\r\n1,2\r\n3,4\r\n",
    '\ufeff"a","b, c"\n"1 ""x""",2\n,\n',
    "date,time,at\n2020-01-02,03:04:05,2020-01-02 03:04:05\n2021-11-30,23:59:59,1999-12-31 00:00:00\n",
    "x,y\n" + "".join(f"{k * 0.1:.17g},{-k}e-{k}\n" for k in range(20)),
)


def predict(name: str) -> Callable[[Path], list[str]]:
    """Predict the rows of a file."""
    return lambda folder: ["predict", "run", str(folder / name)]


def train(name: str) -> Callable[[Path], list[str]]:
    """Train on the rows of a file."""
    options = [*("--epochs", "1", "--hidden", "2", "--threads", "1", "--out", "trained", "--overwrite", "--json")]
    return lambda folder: ["train", str(folder / name), *options]


TABLES = [
    Format(
        "csv",
        ("x.csv",),
        lambda made: [{"x.csv": text.encode()} for text in (s.csv_text(), s.csv_text(";"), *_MORE_CSV)],
        source("x.csv"),
        held,
        predict("x.csv"),
        readers.encoded,
        (m.swap_lines,),
        same_columns(),
    ),
    Format(
        "tsv",
        ("x.tsv",),
        lambda made: [{"x.tsv": s.csv_text("\t").encode()}, {"x.tsv": b"a\tb,c\n1\t2\n3\t4\n"}],
        source("x.tsv"),
        held,
        predict("x.tsv"),
        readers.encoded,
        (m.swap_lines,),
        same_columns("\t"),
    ),
    Format(
        "csv.gz",
        ("x.csv.gz",),
        lambda made: [{"x.csv.gz": s.gz(text.encode())} for text in (s.csv_text(), *_MORE_CSV)],
        source("x.csv.gz"),
        held,
        predict("x.csv.gz"),
        readers.encoded,
        (m.gzip_structure, m.gzip_structure),
        same_columns(None, gzip.decompress),
        sealed=(m.swap_lines, m.set_bytes, m.number_in_text),
        unseal=gzip.decompress,
        seal=pack,
    ),
    Format(
        "parquet",
        ("x.parquet",),
        lambda made: [{"x.parquet": content} for content in _tables()],
        source("x.parquet"),
        held,
        train("x.parquet"),
        readers.encoded,
        (parquet_footer, parquet_footer, parquet_pages, parquet_pages),
        None,
        footer_is_whole,
    ),
    Format(
        "parquet without checksums",
        ("x.parquet",),
        lambda made: [{"x.parquet": content} for content in _tables(write_page_checksum=False)],
        source("x.parquet"),
        held,
        train("x.parquet"),
        readers.encoded,
        (parquet_footer, parquet_pages, parquet_pages, parquet_pages),
    ),
    Format(
        "folder of parquet",
        ("set/a.parquet", "set/b.parquet"),
        lambda made: [dict(zip(("set/a.parquet", "set/b.parquet"), pair, strict=True)) for pair in _pairs()],
        source("set"),
        held,
        train("set"),
        readers.encoded,
        (parquet_footer, parquet_footer, parquet_pages, parquet_pages),
        None,
        footer_is_whole,
    ),
]


def _pairs() -> list[tuple[bytes, bytes]]:
    first, second, *_ = _tables()
    return [(first, second), (second, first)]


def _single_arrays() -> list[Files]:
    arrays = (np.arange(12.0).reshape(4, 3), s.images(), np.asfortranarray(s.images(">i2")), np.ones((5, 2), bool))
    newer = s.npy_bytes(np.arange(8.0).reshape(4, 2), version=(2, 0))
    return [{"x.npy": content} for content in (*map(s.npy_bytes, arrays), newer)]


def _archives() -> list[Files]:
    named = s.named_arrays()
    pair = {"x": s.images(), "y": s.labels()}
    return [{"x.npz": s.npz_bytes(compressed=small, **arrays)} for arrays in (named, pair) for small in (False, True)]


def _image_sets(suffix: str = "", pack: Callable[[bytes], bytes] = bytes) -> Callable[[Path], list[Files]]:
    def seeds(made: Path) -> list[Files]:
        return [
            {
                f"set/{IMAGES}{suffix}": pack(s.idx_bytes(s.images(kind))),
                f"set/{LABELS}{suffix}": pack(s.idx_bytes(s.labels())),
            }
            for kind in ("u1", "f4", "i2")
        ]

    return seeds


ARRAYS = [
    Format(
        "npy",
        ("x.npy",),
        lambda made: _single_arrays(),
        source("x.npy"),
        held,
        lambda folder: [*train("x.npy")(folder), "--target", "-1"],
        readers.encoded,
        (npy_header,) * 6,
        same_single_array,
    ),
    Format(
        "npz",
        ("x.npz",),
        lambda made: _archives(),
        source("x.npz"),
        held,
        train("x.npz"),
        readers.encoded,
        (zip_fields,) * 8,
        same_archive,
        always,
        sealed=(zip_anew,),
    ),
    Format(
        "idx",
        (f"set/{IMAGES}", f"set/{LABELS}"),
        _image_sets(),
        source("set"),
        held,
        train("set"),
        readers.encoded,
        (idx_header,) * 6,
        same_images(""),
    ),
    Format(
        "idx.gz",
        (f"set/{IMAGES}.gz", f"set/{LABELS}.gz"),
        _image_sets(".gz", s.gz),
        source("set"),
        held,
        train("set"),
        readers.encoded,
        (m.gzip_structure,) * 3,
        same_images(".gz", gzip.decompress),
        sealed=(idx_header, idx_header, m.set_bytes),
        unseal=gzip.decompress,
        seal=pack,
    ),
]

# What glassnet writes


def tensors(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The header and the data of safetensors."""
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def safetensors(header: Any, body: bytes) -> bytes:
    """Safetensors of this header."""
    text = m.tree_text(header)
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + body


def tensor_header(rng: Random, content: bytes, seeds: Any) -> bytes:
    """Safetensors whose header says something else."""
    header, body = tensors(content)
    if rng.random() < 0.1:
        return struct.pack("<Q", rng.choice(m.NUMBERS) % 2**64) + content[8:]
    return safetensors(m.change_tree(rng, header), body)


_SIZES = {"F32": 4, "F64": 8, "I64": 8, "I32": 4, "U8": 1, "BOOL": 1, "F16": 2, "BF16": 2, "F8_E4M3": 1, "C64": 8}


def tensors_anew(rng: Random, content: bytes, seeds: Any) -> bytes:
    """Safetensors, valid as such, of which an array is missing, too much, or of other numbers, shape or dtype."""
    header, body = tensors(content)
    metadata = header.pop("__metadata__", None)
    parts = {name: (e["dtype"], e["shape"], body[slice(*e["data_offsets"])]) for name, e in header.items()}
    for _ in range(rng.choice((1, 1, 2))):
        if not parts:
            break
        name = rng.choice(sorted(parts))
        kind, shape, data = parts[name]
        count = len(data) // _SIZES[kind]
        how = rng.randrange(8)
        if how == 0:
            del parts[name]
        elif how == 1:
            parts[rng.choice(("more", "9.W", "1.W ", "", "0.W", "1.more", name.upper()))] = parts[name]
        elif how == 2:
            parts[name] = kind, rng.choice((shape[::-1], [count], [1, *shape], [*shape, 1], [count, 1])), data
        elif how == 3:
            parts[name] = kind, [0], b""
        elif how == 4:
            parts[name] = kind, [], data[: _SIZES[kind]] or bytes(_SIZES[kind])
        elif how == 5:
            kind = rng.choice(sorted(_SIZES))
            parts[name] = kind, shape, rng.randbytes(count * _SIZES[kind])
        elif how == 6:
            parts[name] = kind, shape, rng.choice((b"\xff", b"\x7f", b"\0")) * len(data)
        else:
            parts[name] = kind, [count + 1], data + bytes(_SIZES[kind])
    header, body = {} if metadata is None else {"__metadata__": metadata}, b""
    for name, (kind, shape, data) in parts.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    return safetensors(header, body)


def sign(base: Files, name: str, content: bytes) -> Files:
    """A document with its right checksum, if it is one."""
    try:
        return {name: s.document(json.loads(content))}
    except (ValueError, RecursionError):
        return {name: content}


def sign_in(manifest: str) -> Callable[[Files, str, bytes], Files]:
    """Arrays with their right checksum in the manifest."""

    def seal(base: Files, name: str, content: bytes) -> Files:
        tree = json.loads(base[manifest])
        tree["arrays"].update(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
        return {name: content, manifest: s.document(tree)}

    return seal


def sign_in_results(base: Files, name: str, content: bytes) -> Files:
    """A file of a run with its right checksum among the results."""
    results = json.loads(base["results.json"])
    results["files"][name] = hashlib.sha256(content).hexdigest()
    return {name: content, "results.json": s.document(results)}


def checkpoint_body(rng: Random, content: bytes, seeds: Any) -> bytes:
    """What follows the first line of a checkpoint, with another tree or other arrays."""
    (length,) = struct.unpack("<Q", content[:8])
    text, arrays = content[8 : 8 + length], content[8 + length :]
    if rng.random() < 0.8:
        text = m.tree_text(m.change_tree(rng, json.loads(text)))
    else:
        arrays = rng.choice((tensor_header, tensors_anew))(rng, arrays, [arrays])
    size = len(text) if rng.random() < 0.95 else rng.choice(m.NUMBERS) % 2**64
    return struct.pack("<Q", size) + text + arrays


def sign_checkpoint(base: Files, name: str, content: bytes) -> Files:
    """A checkpoint with its right checksum."""
    digest = hashlib.sha256(content).hexdigest().encode()
    return {name: b"glassnet checkpoint 2 %s %d\n%s" % (digest, len(content), content)}


def run_files(made: Path) -> list[Files]:
    """A run without its checkpoints."""
    return [{name: content for name, content in s.written(made / "run").items() if "/" not in name}]


def models(made: Path) -> list[Files]:
    """Three models."""
    return [
        {name: (made / folder / name).read_bytes() for name in ("model.json", "model.safetensors")}
        for folder in ("run", "plain", "labels")
    ]


def checkpoints(made: Path) -> list[Files]:
    """Checkpoints of a run in its midst and at its end."""
    found = sorted((made / "run" / "checkpoints").glob("*.ckpt"))
    return [{"checkpoint-000003.ckpt": path.read_bytes()} for path in found]


def begun(made: Path) -> list[Files]:
    """What a run without a checkpoint leaves."""
    return [{"checkpoints/run.json": (made / "run" / "checkpoints" / "run.json").read_bytes()}]


def configurations(made: Path) -> list[Files]:
    """Configurations that people write."""
    trees: list[dict[str, Any]] = [
        {"data": {"source": "table.csv", "target": "y", "validation": 0.2}, "network": {"hidden": [4, 3]}},
        {
            "data": {"source": "table.csv", "test": "table.csv", "scaling": "minmax"},
            "network": {"hidden": [4], "activation": ["tanh"], "dropout": [0.1], "dtype": "float64"},
            "training": {"optimiser": {"name": "momentum", "mu": 0.5}, "lr": 0.1, "epochs": 2, "loss": "log_loss"},
            "freeze": [1],
        },
    ]
    return [{"x.toml": m.toml_text(tree)} for tree in trees]


def toml_tree(rng: Random, content: bytes, seeds: Any) -> bytes:
    """A configuration of another tree."""
    tree = m.change_tree(rng, tomllib.loads(content.decode()))
    return m.toml_text(tree) if isinstance(tree, dict) else m.toml_text({"a": tree})


def info(folder: Path) -> list[str]:
    """Look at a run."""
    return ["info", str(folder)]


def diagnose(folder: Path) -> list[str]:
    """Look at a run's snapshots."""
    return ["diagnose", str(folder)]


STORED = [
    Format(
        "model.json",
        ("model.json",),
        models,
        readers.model,
        readers.predicted,
        info,
        changes=(m.json_tree, m.swap_lines, m.repeat_key),
        guarded=always,
        sealed=(m.json_tree, m.json_tree, m.swap_lines, m.number_in_text),
        seal=sign,
    ),
    Format(
        "model.safetensors",
        ("model.safetensors",),
        models,
        readers.model,
        readers.predicted,
        lambda folder: ["predict", str(folder), "table.csv"],
        changes=(tensor_header, tensors_anew),
        guarded=always,
        sealed=(tensor_header, tensors_anew, *m.BYTES),
        seal=sign_in("model.json"),
    ),
    *(
        Format(
            name,
            (name,),
            run_files,
            load,
            tell,
            diagnose if name == "snapshots.jsonl" else info,
            use,
            changes=changes,
            guarded=always,
            sealed=changes,
            seal=sign_in_results,
        )
        for name, load, tell, use, changes in (
            ("config.json", readers.config, readers.plain, readers.nothing, (m.json_tree,) * 6),
            (
                "history.jsonl",
                readers.history,
                readers.told,
                readers.nothing,
                (m.json_lines, m.json_lines, m.swap_lines),
            ),
            ("snapshots.jsonl", readers.snapshots, repr, readers.nothing, (m.json_lines, m.json_lines, m.swap_lines)),
        )
    ),
    Format(
        "results.json",
        ("results.json",),
        run_files,
        readers.results,
        repr,
        info,
        changes=(m.json_tree, m.json_tree),
        guarded=always,
        sealed=(m.json_tree,),
        seal=sign,
    ),
    Format(
        "config.toml",
        ("x.toml",),
        configurations,
        lambda folder: readers.configuration(folder / "x.toml"),
        repr,
        lambda folder: [*train("table.csv")(Path()), "--config", str(folder / "x.toml")],
        readers.made,
        changes=(toml_tree,) * 8,
    ),
    Format(
        "checkpoint",
        ("checkpoint-000003.ckpt",),
        checkpoints,
        lambda folder: readers.checkpoint(folder / "checkpoint-000003.ckpt"),
        lambda loaded: readers.held([loaded.state, loaded.about]),
        info,
        readers.resumed,
        guarded=always,
        sealed=(checkpoint_body, checkpoint_body, *m.BYTES),
        unseal=lambda content: content.partition(b"\n")[2],
        seal=sign_checkpoint,
    ),
    Format(
        "run.json",
        ("checkpoints/run.json",),
        begun,
        readers.begun,
        repr,
        lambda folder: ["resume", str(folder)],
        readers.begun_anew,
        changes=(m.json_tree,),
        guarded=always,
        sealed=(m.json_tree,),
        seal=sign,
    ),
    *(
        Format(
            name,
            (name,),
            lambda made: [s.written(made / "estimator")],
            readers.estimator,
            readers.estimated,
            info,
            changes=changes,
            guarded=always,
            sealed=sealed,
            seal=seal,
        )
        for name, changes, sealed, seal in (
            ("estimator.json", (m.json_tree, m.repeat_key), (m.json_tree, m.number_in_text), sign),
            (
                "estimator.safetensors",
                (tensor_header, tensors_anew),
                (tensor_header, tensors_anew, *m.BYTES),
                sign_in("estimator.json"),
            ),
        )
    ),
]

FORMATS: dict[str, Format] = {one.name: one for one in (*TABLES, *ARRAYS, *STORED)}
