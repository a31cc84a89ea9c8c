"""Ways to damage a file: its bytes, its tree, its numbers. Each draws from the generator it is given."""

from __future__ import annotations

import copy
import gzip
import json
import re
import struct
import zlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

Change = Callable[[Random, bytes, Sequence[bytes]], bytes]
"""From a generator, a file's content and those of all seeds to other content."""

NUMBERS = (0, -1, 1, 2**31, 2**31 - 1, 2**32, 2**53 + 1, 2**60, 2**63 - 1, 2**63, 2**64 - 1, 10**30)
DEEP, MOST_DEEP = 100_000, 1_000_000
_MARKS = {
    '"@deep list@"': "[" * DEEP + "]" * DEEP,
    '"@deep mapping@"': '{"a":' * DEEP + "1" + "}" * DEEP,
    '"@open list@"': "[" * DEEP,
    '"@huge text@"': '"' + "x" * 100_000 + '"',
    '"@long number@"': "9" * 5_000,
    '"@1e999@"': "1e999",
    '"@lone surrogate@"': '"\\ud800"',
}


def place(rng: Random, content: bytes) -> int:
    """A place in a file; its two ends, where headers and footers are, more often than others."""
    near = rng.random()
    if near < 0.2:
        return rng.randrange(min(len(content), 64) or 1)
    if near < 0.4:
        return max(0, len(content) - 1 - rng.randrange(min(len(content), 64) or 1))
    return rng.randrange(len(content) or 1)


def block(rng: Random, content: bytes) -> tuple[int, int]:
    """Where a block begins and ends."""
    start = place(rng, content)
    return start, min(len(content), start + rng.choice((1, 2, 3, 4, 8, 16, 64, 256)))


# Bytes


def flip_bits(rng: Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    """One bit, or a few."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        changed[place(rng, content)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def set_bytes(rng: Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    """One byte, or a few, to other values; often those that mean something in text."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4))):
        common = b"\x00\xff\x80\n\r\t\",;'{}[]():\\-+.eE019NaNx \xef\xbb\xbf"
        changed[place(rng, content)] = rng.choice(common) if rng.random() < 0.6 else rng.randrange(256)
    return bytes(changed)


def truncate(rng: Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    """The beginning only."""
    return content[: place(rng, content)]


def delete(rng: Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    """Without a block."""
    start, end = block(rng, content)
    return content[:start] + content[end:]


def insert(rng: Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    """With a few bytes more."""
    at = place(rng, content)
    return content[:at] + rng.randbytes(rng.choice((1, 2, 4, 16, 100))) + content[at:]


def append(rng: Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    """With something behind its end."""
    return content + rng.choice((rng.randbytes(rng.randint(1, 40)), b"\0" * rng.randint(1, 600), content, b"\n", b" "))


def duplicate(rng: Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    """With a block twice or more, there or elsewhere."""
    start, end = block(rng, content)
    at = end if rng.random() < 0.5 else place(rng, content)
    return content[:at] + content[start:end] * rng.choice((1, 1, 2, 50)) + content[at:]


def swap(rng: Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    """Two blocks in each other's place."""
    (a, b), (c, d) = sorted((block(rng, content), block(rng, content)))
    return content if c < b else content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


def splice(rng: Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    """The beginning of one seed and the end of another, or of itself."""
    other = rng.choice(seeds)
    return content[: place(rng, content)] + other[place(rng, other) :]


def blank(rng: Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    """A run of 00 or FF in place of a block, as a disk leaves it."""
    start, end = block(rng, content)
    return content[:start] + rng.choice((b"\0", b"\xff")) * (end - start) + content[end:]


def number_in_binary(rng: Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    """Two, four or eight bytes that are a number nobody expects."""
    size, order = rng.choice((2, 4, 8)), rng.choice(("little", "big"))
    if len(content) < size:
        return content + b"\0"
    at = min(place(rng, content), len(content) - size)
    value = rng.choice(NUMBERS) % 2 ** (8 * size)
    return content[:at] + value.to_bytes(size, order) + content[at + size :]


def number_in_text(rng: Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    """A number nobody expects in place of digits."""
    digits = [match.span() for match in re.finditer(rb"\d+", content)]
    if not digits:
        return insert(rng, content, seeds)
    start, end = rng.choice(digits)
    longer = b"9" * rng.choice((20, 400, 5_000, 20_000))
    return content[:start] + (longer if rng.random() < 0.2 else str(rng.choice(NUMBERS)).encode()) + content[end:]


def swap_lines(rng: Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    """Lines that are missing, twice, in another order, or another file's."""
    lines = content.splitlines(keepends=True) or [b""]
    k, other = rng.randrange(len(lines)), rng.choice(seeds).splitlines(keepends=True) or [b""]
    how = rng.randrange(4)
    if how == 0:
        del lines[k]
    elif how == 1:
        lines.insert(rng.randrange(len(lines) + 1), lines[k])
    elif how == 2:
        rng.shuffle(lines)
    else:
        lines[k] = rng.choice(other)
    return b"".join(lines)


BYTES: tuple[Change, ...] = (
    *(flip_bits, flip_bits, set_bytes, set_bytes, truncate, delete, insert, append),
    *(duplicate, swap, splice, blank, number_in_binary, number_in_text),
)


# Trees of plain data


def paths(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places in a tree."""
    found = [path]
    if isinstance(tree, dict):
        for key, value in tree.items():
            found += paths(value, (*path, key))
    elif isinstance(tree, list):
        for key, value in enumerate(tree):
            found += paths(value, (*path, key))
    return found


def change_tree(rng: Random, tree: Any) -> Any:
    """A copy of a tree in which something is missing, of another type, size or length, or too much."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        path = rng.choice(paths(tree))
        if not path:
            if rng.random() < 0.9:
                continue
            return rng.choice(([], None, 5, "text", {}, [tree], "@deep list@"))
        *way, key = path
        parent = tree
        for step in way:
            parent = parent[step]
        _change_entry(rng, parent, key)
    return tree


def _change_entry(rng: Random, parent: Any, key: Any) -> None:
    value, how = parent[key], rng.randrange(10)
    if how == 0:
        del parent[key]
    elif how == 1 and isinstance(parent, dict):
        parent[rng.choice(("unknown", "", "name", "a.b", "0", "cls", "self", f"{key}\u202e", "__class__"))] = value
    elif how == 1:
        parent.insert(key, value)
    elif how == 2 and isinstance(value, list):
        parent[key] = rng.choice((value[:-1], value + value[:1], value * 2, [], [value], value[::-1]))
    elif how == 3:
        parent[key] = rng.choice(NUMBERS)
    elif how == 4:
        parent[key] = rng.choice((float("nan"), float("inf"), -float("inf"), 1e308, -0.0, 0.5, 1e-320))
    elif how == 5:
        parent[key] = rng.choice(list(_MARKS)).strip('"')
    elif how == 6 and isinstance(value, str):
        parent[key] = rng.choice(
            (value + "x", value.upper(), value[:-1], "", "\0", "../" + value, "/dev/zero", "é" * 99)
        )
    elif how == 7 and isinstance(value, (int, float)) and not isinstance(value, bool):
        parent[key] = rng.choice((-value, value + 1, value * 2, str(value), value / 3, bool(value)))
    else:
        parent[key] = rng.choice(
            (None, True, False, 0, -1, 1.5, "text", [], {}, [value], {"name": value}, [[]], {"a": 1})
        )


def tree_text(tree: Any, **options: Any) -> bytes:
    """A changed tree as JSON, with what JSON's writer could not write in its places."""
    text = json.dumps(tree, **options)
    for mark, content in _MARKS.items():
        text = text.replace(mark, content)
    return text.encode(errors="surrogatepass")


def json_tree(rng: Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    """A document of JSON whose tree is another."""
    text = tree_text(change_tree(rng, json.loads(content)), ensure_ascii=False, indent=1)
    return repeat_key(rng, text, seeds) if rng.random() < 0.1 else text


def json_lines(rng: Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    """Lines of JSON of which one has another tree."""
    lines = content.splitlines()
    k = rng.randrange(len(lines))
    lines[k] = tree_text(change_tree(rng, json.loads(lines[k])), ensure_ascii=False)
    return b"\n".join(lines) + b"\n"


def repeat_key(rng: Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    """A key that is there twice, with two values."""
    keys = [match.span() for match in re.finditer(rb'"\w+": ', content)]
    if not keys:
        return content + b" "
    start, end = rng.choice(keys)
    return content[:start] + content[start:end] + rng.choice((b"null, ", b"1, ", b'"x", ', b"[], ")) + content[start:]


def toml_text(tree: dict[str, Any]) -> bytes:
    """A tree as TOML: values first, then tables."""
    lines = [f"{_toml_key(key)} = {_toml_value(value)}" for key, value in tree.items() if not isinstance(value, dict)]
    for key, value in tree.items():
        if isinstance(value, dict):
            lines.append(f"[{_toml_key(key)}]")
            lines += [f"{_toml_key(inner)} = {_toml_value(entry)}" for inner, entry in value.items()]
    text = "\n".join(lines) + "\n"
    for mark, content in _MARKS.items():
        text = text.replace(mark, content.replace(":", " = ").replace('"a"', "a"))
    return text.encode(errors="surrogatepass")


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[\w-]+", key, re.ASCII) else json.dumps(key)


def _toml_value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml_key(key)} = {_toml_value(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    if value is None:
        return '"none"'
    text = json.dumps(value)
    return {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}.get(text, text)


# Containers


def gzip_structure(rng: Random, content: bytes, seeds: Sequence[bytes]) -> bytes:
    """Members, header fields and trailers of gzip that are not as they should be."""
    plain = gzip.decompress(content)
    cut = rng.randrange(len(plain) or 1)
    first, second = gzip.compress(plain[:cut], mtime=0), gzip.compress(plain[cut:], mtime=0)
    crc, size = zlib.crc32(plain), len(plain)
    return rng.choice(
        (
            lambda: content[:-8] + struct.pack("<II", crc ^ 1 << rng.randrange(32), size),
            lambda: content[:-8] + struct.pack("<II", crc, rng.choice(NUMBERS) % 2**32),
            lambda: content + rng.randbytes(rng.randint(1, 30)),
            lambda: content + b"\0" * rng.randint(1, 600),
            lambda: content + gzip.compress(b"", mtime=0),
            lambda: first + second[: rng.randrange(len(second))],
            lambda: first + b"\0" * rng.randint(1, 9) + second,
            lambda: first + rng.randbytes(3) + second,
            lambda: content[:3] + bytes([rng.randrange(256)]) + content[4:],
            lambda: content[:2] + bytes([rng.randrange(256)]) + content[3:],
            lambda: zlib.compress(plain),
            lambda: content[10:],
        )
    )()
