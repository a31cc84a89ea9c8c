"""``glassnet trace``."""

from __future__ import annotations

import json

import numpy as np
import pytest

import glassnet


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("traced")
    glassnet.fit("digits", hidden=(20, 6), epochs=2, dropout=0.3, batch_size=100, out=folder / "digits")
    glassnet.fit("diabetes", hidden=(4,), epochs=2, out=folder / "diabetes")
    return folder


def test_tables(run, runs, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    result = run("trace", runs / "digits", "--rows", "3,17")
    assert result.code == 0
    assert "row 3: C = " in result.out
    assert "row 17: C = " in result.out
    model = glassnet.load(runs / "digits")
    traced = model.trace("digits", rows=[3, 17])
    assert f"C = {traced.terms[0]:.6g}, target 3" in result.out
    assert f"the batch, of 2 rows: C = {traced.loss:.6g}" in result.out
    assert f"{np.linalg.norm(traced.layer(1).z[0]):.4g}" in result.out
    assert f"{np.linalg.norm(traced.layer(1).own_delta[1]):.4g}" in result.out
    assert "  ".join(f"{value:.3g}" for value in traced.layer(2).a[0]) in result.out  # 6 units: all of them
    assert "mask" not in result.out
    assert f"{np.linalg.norm(traced.layer(3).grads['W']):.4e}" in result.out


def test_json_and_npz(run, runs):
    result = run("trace", runs / "digits", "--rows", "5", "--json", "--npz", "all.npz")
    content = json.loads(result.out)
    traced = glassnet.load(runs / "digits").trace("digits", rows=[5])
    assert content["loss"] == traced.loss
    layers = content["samples"][0]["layers"]
    assert [layer["kind"] for layer in layers] == ["dense", "dropout", "dense", "dropout", "dense"]
    assert layers[0]["own_delta"] == traced.layer(1).own_delta[0].tolist()
    assert [entry["parameter"] for entry in content["parameters"]] == ["1.W", "1.b", "2.W", "2.b", "3.W", "3.b"]
    with np.load("all.npz") as arrays:
        np.testing.assert_array_equal(arrays["1.delta"], traced.layer(1).delta)
        W = glassnet.load(runs / "digits").network.layer(1).params["W"]
        np.testing.assert_allclose(arrays["1.W.after"], W + arrays["1.W.change"], atol=1e-6)


def test_a_step_of_training(run, runs, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    result = run("trace", runs / "digits", "--step", "15", "--rows", "0,1")
    assert result.code == 0
    assert "step 15: epoch 2, rows 200 to 299 of its order" in result.out
    assert "of 20 units stay, times 1.429" in result.out
    content = json.loads(run("trace", runs / "digits", "--step", "15", "--json").out)
    assert len(content["samples"]) == 3
    masks = [layer["mask"] for layer in content["samples"][0]["layers"] if layer["kind"] == "dropout"]
    assert {round(value, 6) for value in masks[0]} == {0.0, round(1 / 0.7, 6)}


def test_numbers_as_targets(run, runs):
    result = run("trace", runs / "diabetes", "diabetes", "--rows", "0")
    assert result.code == 0
    assert "row 0: C = " in result.out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--rows", "3,x"], "takes row numbers from 0"),
        (["--rows", ""], "takes row numbers from 0"),
        (["--rows", "9999"], "there is no row 9999: the rows are 0 to 1796"),
        (["--step", "999"], "but no step 999"),
        (["--step", "-1"], "numbered from 0"),
        (["--step", "0", "--rows", "100"], "the rows are 0 to 99"),
        (["digits", "--step", "0"], "leave SOURCE out"),
        (["--npz", "/nowhere/at/all.npz"], "cannot write"),
        (["iris"], "rows of the shape (8, 8)"),
    ],
)
def test_bad_input(run, runs, words, text):
    result = run("trace", runs / "digits", *words)
    assert result.code == 2
    assert text in result.err
    assert "Traceback" not in result.err


def test_in_chinese(run, runs):
    out = run("trace", runs / "digits", "--rows", "3", "--lang", "zh").out
    assert "第 3 行" in out
    assert "row 3" not in out
