"""What the documents say is there, and runs."""

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").glob("*.md")], key=str)


def test_there_are_documents():
    assert {"README.md", "README.zh-CN.md", "architecture.md", "lecture.md"} <= {path.name for path in DOCUMENTS}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:", target):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_tests_that_the_lecture_page_names_are_there():
    names = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / "docs/lecture.md").read_text(encoding="utf-8"))
    assert len(names) > 30
    for file, test in names:
        source = (ROOT / file).read_text(encoding="utf-8")
        assert not test or f"def {test}(" in source, f"{file}::{test}"


def test_the_numbers_of_the_derivations():
    subprocess.run([sys.executable, ROOT / "docs/derivations/verify.py"], check=True, capture_output=True)


def blocks(document, language):
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / document).read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.parametrize("document", ["README.md", "README.zh-CN.md"])
def test_the_python_session_runs(document, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    session, _ = blocks(document, "python")
    exec(compile(session, document, "exec"), {})
    printed = capsys.readouterr().out
    assert "Dense(64, 32" in printed
    assert "the gradients are right" in printed
    assert (tmp_path / "models/digits/model.json").exists()


def test_the_session_with_scikit_learn_runs_and_is_the_same_in_chinese(capsys):
    sessions = [blocks(document, "python")[1] for document in ("README.md", "README.zh-CN.md")]
    english, chinese = (re.sub(" *#.*", "", session) for session in sessions)
    assert english == chinese
    exec(compile(sessions[0], "README.md", "exec"), {})
    assert float(capsys.readouterr().out) > 0.85


def test_the_sessions_with_the_estimators_print_what_the_page_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = "docs/from-scikit-learn.md"
    sessions = "\n".join(blocks(page, "pycon"))
    runner = doctest.DocTestRunner()
    runner.run(doctest.DocTestParser().get_doctest(sessions, {}, page, page, 0))
    result = runner.summarize()
    assert result.attempted > 40
    assert not result.failed


def test_the_page_on_the_estimators_holds_what_was_measured():
    page = (ROOT / "docs/from-scikit-learn.md").read_text(encoding="utf-8")
    for section in ("agreement", "scores", "memory"):
        found = re.findall(f"<!-- {section}: .*?<!-- end of {section} -->", page, re.S)
        assert len(found) == 1
        assert "glassnet" in found[0], f"{section} is empty: run docs/measure_estimators.py"


def test_the_command_lines_are_ones_that_are_understood():
    from glassnet.cli.app import build

    commands = {
        command.name or command.callback.__module__.rsplit(".", 1)[-1] for command in build().registered_commands
    }
    named = set()
    for document in ("README.md", "README.zh-CN.md"):
        for block in blocks(document, "console"):
            named |= set(re.findall(r"^\$ glassnet (\w+)", block, re.M))
    assert named
    assert named <= commands


def test_the_examples_session_is_the_lectures(tmp_path):
    import numpy as np

    rng = np.random.default_rng(0)
    np.savez(tmp_path / "x.npz", images=rng.integers(0, 256, (300, 28, 28), np.uint8), labels=rng.integers(0, 10, 300))
    command = [sys.executable, ROOT / "examples/lecture.py", tmp_path / "x.npz", "2"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8").stdout
    line = r"第[12]个回合, 训练集交叉熵损失为:\d\.\d{4}, 分类准确率0\.\d{4}"
    assert [bool(re.fullmatch(line, text)) for text in printed.splitlines()] == [True] * 4


def test_the_page_on_looking_inside_shows_what_the_commands_print(tmp_path, monkeypatch, capsys):
    """The rows of the table and the lines of the explanation; their last digits depend on the machine."""
    from glassnet.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    shown = 0
    for block in blocks("docs/inside.md", "console"):
        for part in block.split("$ ")[1:]:
            command, _, expected = part.partition("\n")
            capsys.readouterr()
            assert main(command.split()[1:]) == 0, command
            if expected:
                printed = capsys.readouterr().out
                words = [re.sub(r"[-−]?\d[\d.e−+-]*", "0", text).split() for text in (printed, expected)]
                assert words[0] == words[1], command
                numbers = [
                    [float(n.replace("−", "-")) for n in re.findall(r"[-−]?\d+\.\d+", text)]
                    for text in (printed, expected)
                ]
                assert numbers[0] == pytest.approx(numbers[1], rel=0.05, abs=1e-3), command
                shown += 1
    assert shown == 2
