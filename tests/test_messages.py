"""The language of messages, and the catalogue: every text in the code has its Chinese, with the same fields."""

import ast
import string
import tomllib
from pathlib import Path
from typing import get_args

import pytest

import glassnet
from glassnet import messages
from glassnet.data.targets import Task
from glassnet.errors import ConfigError
from glassnet.messages import language, say, use_language
from glassnet.registry import Registry

PACKAGE = Path(glassnet.__file__).parent
VARIABLES = ("GLASSNET_LANG", "LC_ALL", "LC_MESSAGES", "LANG")


@pytest.fixture
def unchosen(monkeypatch):
    """No language chosen, and none in the environment."""
    use_language(None)
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    yield monkeypatch
    use_language("en")


LOCALES = [
    ({}, "en"),
    ({"LANG": "zh_CN.UTF-8"}, "zh"),
    ({"LANG": "ZH"}, "zh"),
    ({"LANG": "de_DE.UTF-8"}, "en"),
    ({"LANG": "C"}, "en"),
    ({"LANG": ""}, "en"),
    ({"LC_MESSAGES": "zh_TW", "LANG": "en_GB"}, "zh"),
    ({"LC_ALL": "en_GB", "LC_MESSAGES": "zh_TW", "LANG": "zh_TW"}, "en"),
    ({"LC_ALL": "", "LANG": "zh_CN"}, "zh"),
    ({"GLASSNET_LANG": "zh", "LC_ALL": "en_GB", "LANG": "en_GB"}, "zh"),
    ({"GLASSNET_LANG": "en", "LC_ALL": "zh_CN"}, "en"),
]


@pytest.mark.parametrize(("environment", "chosen"), LOCALES, ids=str)
def test_language_of_the_environment(unchosen, environment, chosen):
    for variable, value in environment.items():
        unchosen.setenv(variable, value)
    assert language() == chosen


@pytest.mark.parametrize("code", ["en", "zh"])
def test_use_language_comes_before_the_environment(unchosen, code):
    unchosen.setenv("GLASSNET_LANG", "en" if code == "zh" else "zh")
    use_language(code)
    assert language() == code


def test_use_language_none_goes_back_to_the_environment(unchosen):
    unchosen.setenv("LANG", "zh_CN")
    use_language("en")
    use_language(None)
    assert language() == "zh"


@pytest.mark.parametrize("code", ["fr", "", "ZH"])
def test_an_unknown_language_is_refused_and_changes_nothing(unchosen, code):
    use_language("zh")
    with pytest.raises(ValueError, match="en, zh"):
        use_language(code)
    assert language() == "zh"


@pytest.fixture
def catalogue(unchosen):
    """A small catalogue in place of the real one."""
    unchosen.setattr(messages, "_chinese", lambda: {"{n} rows": "{n} 行", "none": "无"})


def test_say(catalogue):
    use_language("en")
    assert (say("{n} rows", n=3), say("none")) == ("3 rows", "none")
    use_language("zh")
    assert (say("{n} rows", n=3), say("none")) == ("3 行", "无")


def test_a_text_without_translation_is_said_in_english(catalogue):
    use_language("zh")
    assert say("{n:.2f} columns", n=3) == "3.00 columns"


def test_the_catalogue_is_the_file(unchosen):
    assert dict(messages._chinese()) == CATALOGUE


# The catalogue against the code


CATALOGUE = tomllib.loads((PACKAGE / "locale" / "zh.toml").read_text(encoding="utf-8"))

VARIABLE_TEXTS = {
    "registry.py: self.kind",  # the kinds of all registries are collected by texts_of
    "runs.py: task",
    "cli/info.py: model.target.task",
    "inspection/measures.py: model.task",
    "drawing/report.py: shown.model.task",
}
"""Calls of ``say`` whose text is not written where it is said, as "file: source": few, and all collected."""


def strings_of(node: ast.expr) -> list[str] | None:
    """The literals that an expression can be, or None if it can be anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.IfExp):
        branches = [strings_of(node.body), strings_of(node.orelse)]
        return None if None in branches else [text for branch in branches for text in branch]
    return None


def calls_in(tree: ast.AST, name: str) -> list[ast.Call]:
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [node for node in found if getattr(node.func, "id", getattr(node.func, "attr", None)) == name]


def texts_of(source: str, file: str) -> tuple[dict[str, str], list[str]]:
    """The texts that a file says, each with its place, and the calls whose text is not a literal."""
    tree = ast.parse(source)
    texts, variable = {}, []
    for call in calls_in(tree, "say"):
        found = strings_of(call.args[0]) if call.args else None
        if found is None:
            variable.append(f"{file}: {ast.unparse(call.args[0]) if call.args else ''}")
        texts.update(dict.fromkeys(found or [], f"{file}:{call.lineno}"))
    for call in calls_in(tree, Registry.__name__):
        texts.update(dict.fromkeys(strings_of(call.args[0]) or [], f"{file}:{call.lineno}"))
    return texts, variable


def all_texts() -> tuple[dict[str, str], set[str]]:
    texts, variable = dict.fromkeys(get_args(Task), "data/targets.py: Task"), set()
    for path in sorted(PACKAGE.rglob("*.py")):
        file = path.relative_to(PACKAGE).as_posix()
        found, others = texts_of(path.read_text(encoding="utf-8"), file)
        texts.update(found)
        variable.update(others)
    return texts, variable


TEXTS, VARIABLE = all_texts()


def fields_of(text: str) -> set[str]:
    """The names in the braces of a text, inside format specifications too."""
    names = set()
    for _, name, spec, _ in string.Formatter().parse(text):
        if name is not None:
            names |= {name.split(".")[0].split("[")[0]} | fields_of(spec or "")
    return names


def test_the_walk_finds_what_is_said():
    source = """
say("one")
messages.say("two " "words {n:>{width}}", n=1, width=2)
say("three" if n else ("four" if m else "five"))
say(f"six {n}")
say(text)
say("seven" if n else text)
KINDS: Registry[int] = Registry("eight")
"""
    texts, variable = texts_of(source, "x.py")
    assert list(texts) == ["one", "two words {n:>{width}}", "three", "four", "five", "eight"]
    assert variable == ["x.py: f'six {n}'", "x.py: text", "x.py: 'seven' if n else text"]
    assert fields_of("{a} {b!r} {c:.2f} {d:>{width}} {{e}}") == {"a", "b", "c", "d", "width"}


def test_the_texts_of_the_package_are_found():
    assert "all {epochs} epochs are done" in TEXTS
    assert "activation" in TEXTS
    assert len(TEXTS) > 100


def test_every_text_is_a_literal():
    assert VARIABLE == VARIABLE_TEXTS


def test_every_text_has_its_chinese():
    missing = [f"{place}: {text!r}" for text, place in TEXTS.items() if text not in CATALOGUE]
    assert not missing, f"{len(missing)} texts have no entry in zh.toml:\n" + "\n".join(missing)


def test_no_chinese_without_its_text():
    unused = [text for text in CATALOGUE if text not in TEXTS]
    assert not unused, f"{len(unused)} entries of zh.toml are said nowhere:\n" + "\n".join(unused)


def test_the_fields_are_the_same():
    wrong = [text for text, chinese in CATALOGUE.items() if fields_of(text) != fields_of(chinese)]
    assert not wrong, "other {fields} in the Chinese than in the English:\n" + "\n".join(wrong)


def test_values_are_given_for_every_field():
    """Where values are given at all: some texts are filled in later."""
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for call in calls_in(ast.parse(path.read_text(encoding="utf-8")), "say"):
            given = {keyword.arg for keyword in call.keywords}
            for text in (call.args and strings_of(call.args[0])) or []:
                if given and None not in given and fields_of(text) != given:
                    wrong.append(f"{path.name}:{call.lineno}: {text!r} is given {sorted(given)}")
    assert not wrong, "\n".join(wrong)


def test_an_error_in_chinese(catalogue):
    use_language("zh")
    with pytest.raises(ConfigError, match="it has: 无"):
        glassnet.optimisers.OPTIMISERS.make("sgd(rate=1)")
