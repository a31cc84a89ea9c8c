"""Files that are damaged, cut short, forged or made to hurt: refused in one line that names them, or read rightly.

The formats, the damage and the verdicts are :mod:`reliability.malformed`'s; ``python -m reliability.malformed`` tries
many more of each.
"""

import csv
import io
import json
import struct
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glassnet.errors import DataError
from reliability.malformed import seeds as s
from reliability.malformed import strict
from reliability.malformed.formats import FORMATS
from reliability.malformed.judge import (
    CRASH,
    DAMAGED,
    FAILURES,
    GUARDED,
    HANG,
    MEMORY,
    MESSAGE,
    OTHER,
    PLAIN,
    REFUSED,
    RESIGNED,
    SAME,
    TRACEBACK,
    Judge,
    Mutant,
    mutant,
    run_command,
)
from reliability.malformed.nasty import NASTY
from reliability.malformed.pool import Watched, Worker

PROTECTED = ["model.json", "model.safetensors", "config.json", "history.jsonl", "results.json"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with what glassnet writes."""
    folder = tmp_path_factory.mktemp("made")
    s.make_run(folder)
    return folder


@pytest.fixture(scope="module")
def watched(made):
    """A process that reads what might crash it."""
    one = Watched(made)
    yield one
    one.close()


def slow_where(condition, value):
    """A parameter that is slow under a condition."""
    return pytest.param(value, marks=pytest.mark.slow) if condition else value


@pytest.mark.parametrize("name", [slow_where(case.slow, name) for name, case in NASTY.items()])
def test_files_made_by_hand(watched, name):
    found = watched.by_hand(name)
    assert found["good"], (found["verdict"], found["seen"])


@pytest.mark.parametrize("count", [50, slow_where(True, 500)])
@pytest.mark.parametrize("name", FORMATS)
def test_some_damaged_files_of_each_format(watched, name, count):
    request = {"format": name, "count": count, "seed": 7, "share": 0, "shares": 1, "first": 0, "last": 10_000}
    counts, failures = watched.share(request)
    assert failures == []
    assert counts.total() == count


@pytest.mark.parametrize("every_bit", [False, slow_where(True, True)], ids=["a bit of each", "every bit"])
@pytest.mark.parametrize("name", PROTECTED)
def test_every_byte_of_what_is_protected(watched, name, every_bit):
    size, counts, failures = watched.flips(name, every_bit=every_bit)
    assert failures == []
    assert counts["refused"] == size * (8 if every_bit else 1)


# The harness itself: that it sees what it is there to see


@pytest.mark.parametrize("how", [CRASH, HANG])
def test_what_ends_or_blocks_a_process_is_seen(how):
    worker = Worker()
    try:
        assert worker.ask({"what": "trial", "how": how}, limit=0.3) == how
    finally:
        worker.close()


def raises(error):
    """A reader that fails."""

    def load(folder):
        raise error

    return load


def reads_the_seed(folder):
    """A reader that takes no notice of damage."""
    (folder / "x.csv").write_bytes(CSV)
    return FORMATS["csv"].load(folder)


CSV = b"a,b\n1,2\n3,4\n"


@pytest.mark.parametrize(
    ("content", "kind", "load", "verdict"),
    [
        (CSV, PLAIN, FORMATS["csv"].load, SAME),
        (b"a,b\n1,2\n3,5\n", PLAIN, FORMATS["csv"].load, SAME),
        (b"a,b\n1,2\n3\n", PLAIN, FORMATS["csv"].load, REFUSED),
        (b"a,b\n1,2\n3,5\n", GUARDED, FORMATS["csv"].load, DAMAGED),
        (b"a,b\n1,2\n3\n", PLAIN, raises(ZeroDivisionError("no")), TRACEBACK),
        (b"a,b\n1,2\n3\n", PLAIN, raises(RecursionError("no")), TRACEBACK),
        (b"a,b\n1,2\n3\n", PLAIN, raises(MemoryError()), TRACEBACK),
        (b"a,b\n1,2\n3\n", PLAIN, raises(DataError("something is wrong")), MESSAGE),
        (b"a,b\n1,2\n3\n", PLAIN, raises(DataError("x.csv is\nwrong")), MESSAGE),
        (b"a,b\n1,2\n3\n", PLAIN, raises(DataError("x.csv is wrong" * 1000)), MESSAGE),
        (b"a,b\n1,2\n3\n", PLAIN, raises(DataError("x.csv is wrong")), REFUSED),
    ],
)
def test_verdicts(tmp_path, content, kind, load, verdict):
    form, base = FORMATS["csv"], {"x.csv": CSV}
    judge = Judge(form, [base], tmp_path)
    judge.form = replace(form, load=load)
    assert judge.judge(Mutant(base, {"x.csv": content}, kind, "by hand"))[0] == verdict


def test_a_reader_that_takes_no_notice_of_damage_is_seen(tmp_path):
    base = {"x.csv": CSV}
    judge = Judge(replace(FORMATS["csv"], load=reads_the_seed), [base], tmp_path)
    judge.whole[id(base)] = "what another file says"
    for content in (b"a,b\n1,2\n3,5\n", b"a,b\n1,2\n", b'a,b\n1,"2\n3,4\n'):
        assert judge.judge(Mutant(base, {"x.csv": content}, PLAIN, "by hand"))[0] == DAMAGED


def test_memory_is_seen(tmp_path, monkeypatch):
    base = {"x.csv": CSV}
    judge = Judge(FORMATS["csv"], [base], tmp_path)
    case = Mutant(base, {"x.csv": b"a\n1\n"}, PLAIN, "by hand")
    for kib, verdict in ((1 << 19, SAME), (1 << 21, MEMORY)):
        monkeypatch.setattr("reliability.malformed.judge.memory", lambda kib=kib: judge.ground + kib)
        assert judge.judge(case)[0] == verdict


@pytest.mark.parametrize(
    ("answer", "must_fail", "seen"),
    [
        (0, False, ""),
        (2, True, ""),
        (2, False, ""),
        (0, True, "exit status 0"),
        (ZeroDivisionError("no"), True, "ZeroDivisionError"),
        (SystemExit(2), True, ""),
        ("Traceback (most recent call last):", True, "Traceback"),
        ("this should not happen; --debug shows where it did", False, "should not happen"),
    ],
)
def test_commands_that_go_wrong_are_seen(monkeypatch, answer, must_fail, seen):
    def main(words):
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, str):
            sys.stdout.write(answer)
        return answer if isinstance(answer, int) else 1

    monkeypatch.setattr("glassnet.cli.main", main)
    found = run_command(["info", "run"], must_fail=must_fail)
    assert (seen in found) if seen else found == ""


def test_damaged_files_are_the_same_each_time(made):
    for form in FORMATS.values():
        seeds = form.seeds(made)
        first, again, other = (mutant(form, seeds, seed, 5).changed for seed in (0, 0, 1))
        assert first == again
        assert first != other


@pytest.mark.parametrize("name", FORMATS)
def test_valid_files_are_read(made, tmp_path, monkeypatch, name):
    monkeypatch.chdir(made)
    form = FORMATS[name]
    judge = Judge(form, form.seeds(made), tmp_path)
    for base in form.seeds(made):
        files = {file: content for file, content in base.items() if file in form.files}
        sealed = {}
        for file, content in files.items():
            sealed.update(form.seal(base, file, form.unseal(content)))
        judge.whole[id(base)] = judge.tell(base)
        for kind in (GUARDED, PLAIN):
            assert judge.judge(Mutant(base, files, kind, "not at all")) == (SAME, "")
        assert judge.judge(Mutant(base, sealed, RESIGNED, "sealed again")) == (SAME, "")


@pytest.mark.parametrize("name", [name for name, form in FORMATS.items() if form.sealed])
def test_what_is_sealed_anew_is_past_its_checksum(judges, made, name):
    judge, _ = judges[name]
    seeds, taken = judge.form.seeds(made), []
    for base in seeds:
        judge.whole[id(base)] = judge.tell(base)
    for index in range(60):
        case = mutant(judge.form, seeds, 3, index)
        if case.kind == RESIGNED:
            verdict, seen = judge.judge(case)
            assert f"{judge.form.files[0]} is damaged: its checksum" not in seen
            taken.append(verdict)
    assert {SAME, OTHER} & set(taken)


# The strict readers, with which glassnet's are compared


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("a,b\n1,2\n", {"a": ["1"], "b": ["2"]}),
        ('\ufeffa;"b ""x"""\r\n1;"2\n3"\r\n', {"a": ["1"], 'b "x"': ["2\n3"]}),
        ("a\n\n1\n\n2", {"a": ["1", "2"]}),
    ],
)
def test_the_strict_reader_of_tables(text, columns):
    assert strict.table(text.encode()) == columns


@pytest.mark.parametrize("text", ['a,b\n"1"2,3\n', 'a,b\n1,"2\n', "a,b\n1\n", "a,a\n1,2\n", "a,b\n1,2,3\n"])
def test_the_strict_reader_refuses_tables(text):
    with pytest.raises(ValueError, match=r"."):
        strict.table(text.encode())


@pytest.mark.parametrize(
    ("text", "value", "right"),
    [
        *(("", None, True), ("?", None, True), ("0", None, False), ("x", "x", True), ("x ", "x", False)),
        *(("7", 7, True), ("-0", 0, True), ("7", 8, False), ("7.0", 7, False), ("1e2", 100.0, True)),
        *(("nan", float("nan"), True), ("0.1", 0.1, True), ("0.1", 0.2, False), ("true", True, True)),
        *(("True", False, False), ("2020-01-02", np.datetime64("2020-01-02").item(), True)),
        *(("2020-01-02", np.datetime64("2020-01-03").item(), False), ("x", 1.0, False)),
    ],
)
def test_what_a_field_denotes(text, value, right):
    assert strict.denotes(text, value) is right


@pytest.mark.parametrize("array", [np.arange(6.0).reshape(2, 3), np.zeros((2, 0)), np.ones((3, 1), bool)])
def test_the_strict_readers_of_arrays(array):
    np.testing.assert_array_equal(strict.npy(s.npy_bytes(np.asfortranarray(array))), array)
    with pytest.raises(ValueError, match="content"):
        strict.npy(s.npy_bytes(array) + b"\0")
    np.testing.assert_array_equal(strict.idx(s.idx_bytes(s.images())), s.images())
    with pytest.raises(ValueError, match="content"):
        strict.idx(s.idx_bytes(s.images())[:-1])


# Whatever comes


class Judges(dict):
    """Judges by their formats, each with a valid folder; short where a test shows its arguments."""

    def __repr__(self):
        return "judges"


@pytest.fixture(scope="module")
def judges(made):
    """A judge of each format, in this process."""
    with tempfile.TemporaryDirectory(dir=s.FAST) as place, pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        found = Judges()
        for name, form in FORMATS.items():
            folder = Path(place) / name
            folder.mkdir()
            seeds = form.seeds(made)
            found[name] = Judge(form, seeds, folder), seeds[0]
        yield found


def assert_taken(judges, name, content, *, sealed=False):
    judge, base = judges[name]
    form, file = judge.form, judge.form.files[0]
    changed = form.seal(base, file, content) if sealed else {file: content}
    kind = RESIGNED if sealed else GUARDED if form.guarded(base[file], content) else PLAIN
    verdict, seen = judge.judge(Mutant(base, changed, kind, "hypothesis"))
    assert verdict not in FAILURES, (verdict, seen)


few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("sealed", [False, True], ids=["as it is", "with its checksum"])
@pytest.mark.parametrize("name", FORMATS)
@few
@given(content=st.binary(max_size=300))
def test_any_bytes(judges, name, sealed, content):
    assert_taken(judges, name, content, sealed=sealed)


cells = st.one_of(
    st.sampled_from(["", "NA", "nan", "true", "1", "-0", "1e400", "0x1F", "2020-01-01", "2020-13-01", "12:00", "inf"]),
    st.integers().map(str),
    st.floats().map(repr),
    st.text(max_size=5),
)
plain_rows = st.lists(st.lists(cells, min_size=1, max_size=4), min_size=1, max_size=6)


@settings(few, max_examples=150)
@given(names=st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=4), rows=plain_rows)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_any_table_that_csv_writes(judges, separator, names, rows):
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=separator).writerows([names, *rows])
    assert_taken(judges, "csv", buffer.getvalue().encode(errors="surrogatepass"))


@settings(few, max_examples=150)
@given(text=st.text(alphabet='ab1.,;\t"\r\n\0é', max_size=60))
def test_any_text_of_the_letters_that_mean_something(judges, text):
    assert_taken(judges, "csv", text.encode())
    assert_taken(judges, "tsv", text.encode())


trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = ["model.json", "config.json", "results.json", "run.json", "estimator.json"]


@settings(few, max_examples=40)
@given(data=st.data())
@pytest.mark.parametrize("name", DOCUMENTS)
def test_any_tree_in_a_document(judges, name, data):
    """A document in which one of the branches is any tree."""
    judge, base = judges[name]
    document = json.loads(base[judge.form.files[0]])
    branch = document
    while isinstance(branch, dict) and branch:
        key = data.draw(st.sampled_from(sorted(branch)))
        if not isinstance(branch[key], dict) or data.draw(st.booleans()):
            branch[key] = data.draw(trees)
            break
        branch = branch[key]
    assert_taken(judges, name, json.dumps(document).encode(), sealed=True)


headers = st.fixed_dictionaries(
    {
        "descr": st.sampled_from(["<f8", ">i2", "|u1", "|b1", "<f2", "|O", "<U3", "<c16", "|V3", "f8", "?"]) | trees,
        "fortran_order": st.booleans() | trees,
        "shape": st.lists(st.integers(-1, 5) | st.integers(), max_size=4).map(tuple) | trees,
    }
)


@settings(few, max_examples=150)
@given(header=headers, version=st.sampled_from([1, 2, 3]), body=st.binary(max_size=48), claim=st.integers(-3, 3))
def test_any_header_of_an_array(judges, header, version, body, claim):
    text = repr(header).encode("utf-8" if version == 3 else "latin1", "replace")
    length = struct.pack("<H" if version == 1 else "<I", max(0, len(text) + (claim if claim > 1 else 0)))
    content = b"\x93NUMPY" + bytes([version, 0]) + length + text + body
    assert_taken(judges, "npy", content)


@settings(few, max_examples=100)
@given(
    sizes=st.lists(st.integers(0, 4) | st.integers(0, 2**32 - 1), max_size=5),
    kind=st.integers(7, 15),
    body=st.binary(max_size=64),
)
def test_any_header_of_images(judges, sizes, kind, body):
    content = bytes([0, 0, kind, len(sizes)]) + b"".join(struct.pack(">I", size) for size in sizes) + body
    assert_taken(judges, "idx", content)
    assert_taken(judges, "idx.gz", content, sealed=True)
