"""``glassnet explain``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import glassnet
from glassnet.inspection import explain


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explained")
    glassnet.fit("digits", hidden=(12, 6), epochs=2, out=folder / "digits")
    return folder / "digits"


def test_it_prints_what_the_library_says(run, trained):
    result = run("explain", trained, "--row", "3", "--weight", "2.1.4", "--terms", "2")
    assert result.code == 0
    model = glassnet.load(trained)
    examples = model.examples("digits")
    e = explain(model.network, model.loss, examples.x, examples.y, row=3, weight=(2, 1, 4), terms=2)
    assert result.out.startswith(e.to_text().rstrip())
    assert "The update by adam" in result.out
    content = json.loads(run("explain", trained, "digits", "--row", "3", "--weight", "2.1.4", "--format", "json").out)
    assert content["row"] == 3
    assert content["lines"][3]["value"] == e.line("delta").value


@pytest.mark.parametrize("form", ["text", "markdown", "latex", "html", "json"])
def test_files(run, trained, form):
    result = run("explain", trained, "--unit", "1.3", "--format", form, "--out", "out.file", "--lang", "zh")
    assert (result.code, result.out.strip()) == (0, "out.file")
    assert "净输入" in Path("out.file").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--row", "99999"], "the rows are 0 to 1796"),
        (["--unit", "9.0"], "layers 1 to 3"),
        (["--unit", "1.99"], "units are 0 to 11"),
        (["--weight", "1.0.99"], "numbered 0 to 63"),
        (["--unit", "1"], "--unit takes 2 numbers such as 2.7"),
        (["--weight", "1.2"], "--weight takes 3 numbers such as 2.7.4"),
        (["--unit", "1.0", "--weight", "1.1.0"], "different units"),
        (["--format", "pdf"], "unknown format 'pdf'"),
        (["--out", "/nowhere/at/all.txt"], "cannot write"),
    ],
)
def test_bad_input(run, trained, words, text):
    result = run("explain", trained, *words)
    assert result.code == 2
    assert text in result.err
