"""``glassnet derive``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import glassnet.layers.dense
from glassnet.inspection import derive


def test_it_prints_what_the_library_says(run):
    result = run("derive", "--sizes", "2,2,2", "--points", "3")
    assert result.code == 0
    assert result.out.startswith(derive([2, 2, 2]).to_text())
    assert "back-propagation gives the same numbers" in result.out


def test_a_wrong_equation_ends_with_1(run, monkeypatch):
    right = glassnet.layers.dense.weight_gradient
    monkeypatch.setattr(glassnet.layers.dense, "weight_gradient", lambda *given: 1.01 * right(*given))
    result = run("derive", "--sizes", "2,2,2", "--points", "3", "--format", "json")
    assert result.code == 1
    assert json.loads(result.out)["check"]["passed"] is False


@pytest.mark.parametrize("form", ["text", "markdown", "latex", "json"])
def test_files(run, form):
    result = run(
        *("derive", "--sizes", "1,2,1", "--loss", "squared_error", "--activation", "relu"),
        *("--format", form, "--out", "file", "--points", "2", "--lang", "zh"),
    )
    assert (result.code, result.out.strip()) == (0, "file")
    assert "前向" in Path("file").read_text(encoding="utf-8")


def test_costs_and_their_picture(run):
    result = run("derive", "--cost", "--cost-seconds", "0.02", "--figure", "costs.svg")
    assert result.code == 0
    assert "2-128-2" in result.out
    assert "–" in result.out  # what took too long
    assert "</svg>" in Path("costs.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "give --sizes"),
        (["--sizes", "2,x"], "--sizes takes whole numbers"),
        (["--sizes", "9,9"], "at most 8 are derived"),
        (["--sizes", "2,2", "--format", "html"], "unknown format 'html'"),
        (["--sizes", "2,2", "--activation", "bogus"], "unknown activation"),
        (["--sizes", "2,2", "--figure", "x.png"], "--figure needs --cost"),
        (["--sizes", "2,2", "--cost"], "--cost goes with"),
        (["--cost", "--cost-seconds", "0"], "above 0"),
        (["--cost", "--figure", "x.doc"], "x.doc"),
        (["--sizes", "2,2", "--points", "2", "--out", "/nowhere/at/all"], "cannot write"),
    ],
)
def test_bad_input(run, words, text):
    result = run("derive", *words)
    assert result.code == 2
    assert text in result.err
