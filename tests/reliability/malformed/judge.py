"""One damaged file after another, each with a verdict. A worker of :mod:`reliability.malformed.pool` runs this."""

from __future__ import annotations

import contextlib
import hashlib
import io
import resource
import shutil
import traceback
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from reliability.malformed import mutations
from reliability.malformed.formats import Format
from reliability.malformed.nasty import RAN, Nasty
from reliability.malformed.readers import READERS
from reliability.malformed.seeds import Files, put

SAME, REFUSED, OTHER = "read the same", "refused", "read, not guarded"
TRACEBACK, MEMORY, DAMAGED, MESSAGE, COMMAND = "traceback", "memory", "damaged accepted", "message", "command line"
CRASH, HANG = "crash", "hang"
FAILURES = (CRASH, HANG, MEMORY, TRACEBACK, DAMAGED, MESSAGE, COMMAND)
VERDICTS = (SAME, REFUSED, OTHER, *FAILURES)

MOST_MEMORY = 1 << 30
EVERY_COMMAND = 40
LONGEST_MESSAGE = 4_000
GUARDED, PLAIN, RESIGNED = "guarded", "plain", "resigned"


@dataclass(frozen=True)
class Mutant:
    """A folder in which a file is damaged.

    Attributes
    ----------
    base : dict
        The valid folder.
    changed : dict
        What is other in it.
    kind : str
        Of the damage: see :mod:`reliability.malformed.formats`.
    how : str
        What made it.
    """

    base: Files
    changed: Files
    kind: str
    how: str

    @property
    def is_whole(self) -> bool:
        """Whether nothing is changed after all."""
        return all(self.base[name] == content for name, content in self.changed.items())

    @property
    def mark(self) -> bytes:
        """A hash of the folder."""
        files = {**self.base, **self.changed}
        return hashlib.blake2b(repr(sorted(files.items())).encode(), digest_size=12).digest()


def mutant(form: Format, seeds: list[Files], seed: int, index: int) -> Mutant:
    """The damaged folder of this number: always the same one."""
    rng = Random(f"{form.name} {seed} {index}")
    base = rng.choice(seeds)
    name = rng.choice([name for name in form.files if name in base])
    others = [other[name] for other in seeds if name in other]
    if form.sealed and rng.random() < 0.4:
        change = rng.choice(form.sealed)
        content = change(rng, form.unseal(base[name]), [form.unseal(other) for other in others])
        return Mutant(base, form.seal(base, name, content), RESIGNED, change.__name__)
    changes = [rng.choice((*mutations.BYTES, *form.changes))]
    if rng.random() < 0.25:
        changes.append(rng.choice(mutations.BYTES))  # the format's own find their places in valid files only
    content = base[name]
    for change in changes:
        content = change(rng, content, others) if content else b"\0"
    kind = GUARDED if form.guarded(base[name], content) else PLAIN
    return Mutant(base, {name: content}, kind, "+".join(change.__name__ for change in changes))


def memory() -> int:
    """The most KiB that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class Judge:
    """Reads damaged folders of one format in a folder of its own.

    Parameters
    ----------
    form : Format
    seeds : list of dict
    folder : Path
        Where they are written; it is given to commands as the current folder, with a run in ``run``.
    """

    def __init__(self, form: Format, seeds: list[Files], folder: Path) -> None:
        self.form, self.folder = form, folder
        self.there: Files = {}
        self.whole: dict[int, str] = {}
        for base in seeds:
            self.whole[id(base)] = self.tell(base)
        self.ground = memory()

    def tell(self, files: Files) -> str:
        """All that glassnet reads in a valid folder."""
        self.write(files)
        return repr(self.form.tell(self.form.load(self.folder)))

    def write(self, files: Files) -> None:
        """Have this and nothing else in the folder."""
        for name in self.there.keys() - files.keys():
            (self.folder / name).unlink(missing_ok=True)
        put(self.folder, {name: content for name, content in files.items() if self.there.get(name) != content})
        self.there = dict(files)

    def clear(self) -> None:
        """Remove everything: a command may have written to the folder."""
        shutil.rmtree(self.folder)
        self.folder.mkdir()
        self.there = {}

    def judge(self, case: Mutant, *, command: bool = False) -> tuple[str, str]:
        """The verdict, and what was seen."""
        self.write({**case.base, **case.changed})
        with warnings.catch_warnings(action="ignore"):
            verdict, seen = self.read(case)
            grown = memory() - self.ground
            if grown * 1024 > MOST_MEMORY:
                return MEMORY, f"grew by {grown >> 10:,} MiB; {seen}"
            if command and verdict in (SAME, REFUSED, OTHER):
                said = run_command(self.form.words(self.folder), must_fail=verdict == REFUSED)
                self.clear()
                return (COMMAND, said) if said else (verdict, seen)
        return verdict, seen

    def read(self, case: Mutant) -> tuple[str, str]:
        """What reading comes to."""
        from glassnet.errors import GlassnetError, InputError

        try:
            loaded = self.form.load(self.folder)
        except InputError as error:
            return take_message(str(error), {str(self.folder), *(Path(name).name for name in self.there)})
        except BaseException as error:
            return TRACEBACK, last_lines(error)
        try:
            found = repr(self.form.tell(loaded))
            with contextlib.suppress(GlassnetError):
                self.form.use(loaded)
        except GlassnetError as error:
            return (REFUSED, str(error)) if case.kind == RESIGNED else (DAMAGED, f"loads, but: {error}")
        except BaseException as error:
            return TRACEBACK, last_lines(error)
        if found == self.whole[id(case.base)]:
            return SAME, ""
        if case.kind == GUARDED:
            return DAMAGED, f"read {found[:300]}"
        if self.form.says is None:
            return OTHER, ""
        try:
            agrees = self.form.says(loaded, {**case.base, **case.changed})
        except ValueError as error:
            return DAMAGED, f"a strict reader refuses it ({error}), glassnet read {found[:300]}"
        return (SAME, "") if agrees else (DAMAGED, f"a strict reader reads other values than {found[:300]}")


def take_message(text: str, names: Iterable[str]) -> tuple[str, str]:
    """Whether a message is one line that names the file."""
    if not text.strip() or len(text) > LONGEST_MESSAGE or not any(name in text for name in names):
        return MESSAGE, f"{len(text)} characters: {text[:300]!r}"
    if any(letter in text for letter in "\n\r\x1b\0\u202e"):
        return MESSAGE, f"more than a line: {text[:300]!r}"
    return REFUSED, text


def read_by_hand(case: Nasty, path: Path, ground: int) -> tuple[str, str]:
    """The verdict on a file made by hand, and what was seen; ``ground`` is the process's memory before it is read."""
    from glassnet.errors import GlassnetError, InputError

    load, use = READERS[case.reader]
    verdict, seen = "read", ""
    with warnings.catch_warnings(action="ignore"):
        try:
            loaded = load(path)
        except InputError as error:
            verdict, seen = take_message(str(error), {path.name[:100], path.parent.name, str(path)})
        except BaseException as error:
            verdict, seen = TRACEBACK, last_lines(error)
        else:
            try:
                use(loaded)
            except GlassnetError as error:
                verdict, seen = REFUSED if case.reader == "file" else "read", str(error)
            except BaseException as error:
                verdict, seen = TRACEBACK, last_lines(error)
        if verdict == "read" and case.expected == REFUSED:
            verdict = DAMAGED
        if Path(RAN).exists():
            verdict, seen = DAMAGED, "code was run"
        grown = memory() - ground
        if grown * 1024 > MOST_MEMORY:
            return MEMORY, f"grew by {grown >> 10:,} MiB; {verdict} {seen}"
        words = {"source": ["predict", "run", str(path)], "model": ["info", str(path)]}
        words["file"] = ["train", "table.csv", "--config", str(path), "--out", "trained", "--epochs", "1"]
        words["estimator"] = words["checkpoint"] = words["begun"] = words["results"] = []
        command = words.get(case.reader, ["info", str(path)])
        if command and verdict in ("read", REFUSED) and "\0" not in str(path):
            said = run_command(command, must_fail=verdict == REFUSED and case.reader not in ("snapshots", "file"))
            return (COMMAND, said) if said else (verdict, seen)
    return verdict, seen


def last_lines(error: BaseException) -> str:
    """The end of a traceback."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    where = " > ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames)
    return f"{type(error).__name__}: {str(error)[:200]!r} at {where}"


@contextlib.contextmanager
def captured() -> Iterator[io.TextIOWrapper]:
    """What is printed, together with what goes to the buffer below."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace", write_through=True)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        yield out


def run_command(words: list[str], *, must_fail: bool) -> str:
    """What is wrong with how a command line took a file; "" if nothing is."""
    from glassnet.cli import main

    try:
        with captured() as out:
            code: Any = main(words)
    except SystemExit as error:
        code = error.code
    except BaseException as error:
        return f"{' '.join(words)}: {last_lines(error)}"
    text = out.buffer.getvalue().decode(errors="replace")  # type: ignore[attr-defined]
    for bad in ("Traceback", "should not happen"):
        if bad in text:
            return f"{' '.join(words)}: {text[-600:]}"
    return f"{' '.join(words)}: exit status 0 of a file that is refused" if must_fail and code == 0 else ""
