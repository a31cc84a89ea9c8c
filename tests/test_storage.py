"""Files that are whole or not there, and that show when they are damaged."""

import json
import os
import re
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from glassnet import storage
from glassnet.errors import ModelFileError
from glassnet.storage import (
    read_arrays,
    read_bytes,
    read_document,
    read_pair,
    write_arrays,
    write_bytes,
    write_document,
    write_pair,
)

DOCUMENTS = [
    {},
    {"name": "glassnet", "sizes": [784, 30, 10], "lr": 0.1, "nothing": None, "yes": True},
    {"text": "误差反向传播 σ′ \n \x00 \ud800", "deep": {"a": {"b": [1, [2, {"c": 3}]]}}},
    {"floats": [0.1 + 0.2, 1e-300, 1.7976931348623157e308, -0.0, float("inf")], "big": 10**30},
]


@pytest.mark.parametrize("content", DOCUMENTS)
def test_a_document_comes_back(tmp_path, content):
    path = tmp_path / "run" / "config.json"
    write_document(path, content)
    assert read_document(path) == content


def test_the_same_content_is_the_same_bytes(tmp_path):
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    write_document(first, {"x": 1, "y": [2]})
    write_document(second, {"y": [2], "x": 1, "sha256": "one of its own is not kept"})
    assert first.read_bytes() == second.read_bytes()


def test_a_document_is_json_that_others_can_read(tmp_path):
    path = tmp_path / "a.json"
    write_document(path, {"名": "网络"})
    text = path.read_text(encoding="utf-8")
    assert json.loads(text)["名"] == "网络"
    assert "网络" in text


ARRAYS = [
    {},
    {"W": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros(2, dtype=np.float64)},
    {
        "scalar": np.array(3.5),
        "empty": np.zeros((0, 4)),
        "ints": np.array([-1, 2**62]),
        "bools": np.array([True, False]),
    },
    {"column order": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "strided": np.arange(10.0)[::3]},
    {"not finite": np.array([np.nan, np.inf, -np.inf, -0.0])},
]


@pytest.mark.parametrize("arrays", ARRAYS)
def test_arrays_come_back_bit_for_bit(tmp_path, arrays):
    path = tmp_path / "model.safetensors"
    back = read_arrays(path, write_arrays(path, arrays))
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        assert (back[name].dtype, back[name].shape) == (array.dtype, array.shape)
        assert back[name].tobytes() == array.tobytes()
        back[name][...] = 0  # they are the caller's own


def test_arrays_need_the_checksum_of_their_file(tmp_path):
    path = tmp_path / "a.safetensors"
    first = write_arrays(path, {"a": np.zeros(3)})
    second = write_arrays(path, {"a": np.ones(3)})
    assert first != second
    with pytest.raises(ModelFileError, match=r"a\.safetensors is damaged: its checksum"):
        read_arrays(path, first)
    assert (read_arrays(path, second)["a"] == 1).all()


# Damage


def document(path):
    write_document(path, {"name": "glassnet", "sizes": [4, 3], "text": "误差\n", "lr": 0.25})
    return lambda: read_document(path)


def arrays(path):
    about = write_arrays(path, {"1.W": np.arange(6.0).reshape(2, 3), "1.b": np.zeros(2, dtype=np.float32)})
    return lambda: read_arrays(path, about)


KINDS = pytest.mark.parametrize("write", [document, arrays], ids=lambda write: write.__name__)


@KINDS
@pytest.mark.parametrize("flip", [0x01, 0x20, 0x80, 0xFF], ids=hex)
def test_every_flipped_byte_is_found(tmp_path, write, flip):
    path = tmp_path / "file"
    read = write(path)
    whole = path.read_bytes()
    read()
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= flip
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError, match="file is damaged"):
            read()


@KINDS
def test_every_truncation_and_any_addition_is_found(tmp_path, write):
    path = tmp_path / "file"
    read = write(path)
    whole = path.read_bytes()
    for content in [*(whole[:length] for length in range(len(whole))), whole + b"\n", b" " + whole, whole * 2]:
        path.write_bytes(content)
        with pytest.raises(ModelFileError, match="file is damaged"):
            read()


NOT_DOCUMENTS = [
    (b"", "not valid JSON"),
    (b"\x89PNG\r\n", "not valid JSON"),
    (b"{'a': 1}", "not valid JSON"),
    (b"[" * 200_000, "not valid JSON"),
    (b"[1, 2]", "does not hold a mapping"),
    (b"null", "does not hold a mapping"),
    (b"{}", "checksum does not match"),
    (b'{"a": 1}', "checksum does not match"),
    (b'{"a": 1, "sha256": null}', "checksum does not match"),
    (b'{"a": 1, "sha256": "' + b"0" * 64 + b'"}', "checksum does not match"),
    (b'{"a": "\\ud800", "sha256": "0"}', "checksum does not match"),
]


@pytest.mark.parametrize(("content", "message"), NOT_DOCUMENTS, ids=lambda value: str(value)[:30])
def test_what_is_no_document(tmp_path, content, message):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=rf"x\.json is damaged: .*{message}"):
        read_document(path)


def test_a_document_written_otherwise_is_refused(tmp_path):
    """The same content in another form is not what was written, so it is not trusted."""
    path = tmp_path / "x.json"
    write_document(path, {"a": 1, "b": 2})
    path.write_text(json.dumps(json.loads(path.read_text())))
    with pytest.raises(ModelFileError, match="checksum"):
        read_document(path)


def test_bytes_with_the_right_checksum_that_are_no_arrays(tmp_path):
    path = tmp_path / "x.safetensors"
    write_bytes(path, b"not safetensors")
    with pytest.raises(ModelFileError, match=r"x\.safetensors is damaged"):
        read_arrays(path, {"sha256": storage.digest(b"not safetensors"), "bytes": 15})


READERS = [read_bytes, read_document, lambda path: read_arrays(path, {"sha256": "0", "bytes": 0})]


@pytest.mark.parametrize("read", READERS)
def test_what_is_missing_or_a_folder_is_named(tmp_path, read):
    with pytest.raises(ModelFileError, match=r"cannot read .*gone\.json: No such file"):
        read(tmp_path / "gone.json")
    with pytest.raises(ModelFileError, match=r"cannot read .*directory"):
        read(tmp_path)


# Writing


def failing(number):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    return fail


FAILURES = [("replace", 28), ("fsync", 28), ("open", 13), ("fdopen", 24)]


@pytest.mark.parametrize(("function", "number"), FAILURES)
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, function, number):
    path = tmp_path / "model.json"
    write_document(path, {"version": 1})
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(storage.os, function, failing(number))
        with pytest.raises(ModelFileError, match=rf"cannot write .*model\.json: {os.strerror(number)}"):
            write_document(path, {"version": 2})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, ValueError])
def test_an_interrupted_write_leaves_nothing_behind(tmp_path, monkeypatch, error):
    def interrupt(*_):
        raise error

    monkeypatch.setattr(storage.os, "replace", interrupt)
    with pytest.raises(error):
        write_bytes(tmp_path / "a", b"new")
    assert list(tmp_path.iterdir()) == []


def test_content_that_is_not_json_is_refused_before_anything_is_written(tmp_path):
    path = tmp_path / "a.json"
    write_document(path, {"version": 1})
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_document(path, {"version": object()})
    assert read_document(path) == {"version": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(storage.os, "open", failing(13))
    with pytest.raises(ModelFileError, match=r"cannot write .*model\.json: Permission denied"):
        write_document(tmp_path / "model.json", {})


def test_a_path_below_a_file_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelFileError, match=r"cannot write .*model\.json: (Not a directory|File exists)"):
        write_document(tmp_path / "file" / "model.json", {})


def test_a_name_that_is_a_folder_is_named(tmp_path):
    path = tmp_path / "model.json"
    path.mkdir()
    with pytest.raises(ModelFileError, match=r"cannot write .*model\.json: Is a directory"):
        write_document(path, {})
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_file_has_the_rights_that_the_umask_leaves(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write_bytes(tmp_path / "a", b"")
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode
        assert os.umask(mask) == mask
    finally:
        os.umask(before)


def test_the_content_is_on_the_disk_before_the_name_is(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(storage.os, name, lambda *given, name=name, real=real: calls.append(name) or real(*given))
    write_bytes(tmp_path / "a", b"content")
    assert calls == ["fsync", "replace", "fsync"]


def test_files_are_as_readable_as_the_umask_says_from_any_thread(tmp_path):
    before = os.umask(0o027)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda k: write_document(tmp_path / f"{k}.json", {"k": k}), range(200)))
        assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o640}
    finally:
        assert os.umask(before) == 0o027


# Pairs


class KilledError(BaseException):
    """The process ends here."""


def pair(folder):
    content, arrays = read_pair(folder / "m.json", "m.safetensors", "form", 1)
    assert content["number"] == arrays["a"][0]
    return content["number"]


def write(folder, number):
    content = {"format": "form", "version": 1, "number": number}
    write_pair(folder / "m.json", content, "m.safetensors", {"a": np.full(3, number)})


@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_a_pair_is_the_old_one_or_the_new_one_wherever_its_writer_is_killed(tmp_path, monkeypatch, call, late):
    real, seen = getattr(os, call), set()
    for number in range(2, 12):
        write(tmp_path, 1)
        left = iter(range(number - 2))

        def killed(*arguments, left=left, **options):
            if next(left, None) is not None:
                return real(*arguments, **options)
            if late:
                real(*arguments, **options)
            raise KilledError

        ended = True
        with monkeypatch.context() as patch:
            patch.setattr(os, call, killed)
            patch.setattr(Path, "unlink", lambda *_, **__: None)  # a killed process tidies nothing up
            try:
                write(tmp_path, number)
            except KilledError:
                ended = False
        seen.add(pair(tmp_path))
        assert pair(tmp_path) in (1, number)
        if ended:
            assert pair(tmp_path) == number
            break
    else:
        pytest.fail("it was never written")
    assert 1 in seen


def test_arrays_of_another_document_are_refused(tmp_path):
    write(tmp_path, 1)
    old = (tmp_path / "m.safetensors").read_bytes()
    write(tmp_path, 2)
    (tmp_path / "m.safetensors").write_bytes(old)
    with pytest.raises(ModelFileError, match=r"m\.safetensors is damaged: its checksum"):
        pair(tmp_path)


def test_a_document_cannot_name_a_file_elsewhere(tmp_path):
    write(tmp_path, 1)
    content = read_document(tmp_path / "m.json")
    write_document(tmp_path / "m.json", {**content, "arrays": {**content["arrays"], "file": "../m.safetensors"}})
    with pytest.raises(ModelFileError, match=r"it names the file '\.\./m\.safetensors'"):
        pair(tmp_path)


@pytest.mark.parametrize("name", ["m.json", "m.safetensors"])
def test_symbolic_links_are_refused(tmp_path, name):
    write(tmp_path / "from", 1)
    shutil.copytree(tmp_path / "from", tmp_path / "to")
    (tmp_path / "to" / name).unlink()
    (tmp_path / "to" / name).symlink_to(tmp_path / "from" / name)
    with pytest.raises(ModelFileError, match=rf"cannot read .*{re.escape(name)}: it is a symbolic link"):
        pair(tmp_path / "to")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "m.json")
    with pytest.raises(ModelFileError, match=r"m\.json: it is a pipe or a device"):
        read_document(tmp_path / "m.json")
