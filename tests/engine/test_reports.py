"""What the command line says of engines; and that what the native engine carries needs no torch."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import glassnet
from glassnet.cli import main
from glassnet.engine import native as module
from glassnet.storage import read_document


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """A command line run in a folder of its own; what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        capsys.readouterr()
        assert main(list(words)) == 0
        return capsys.readouterr().out

    return run


@pytest.fixture
def not_built(monkeypatch):
    monkeypatch.setattr(module, "_native", None)
    monkeypatch.setattr(module, "_problem", ModuleNotFoundError())


CASES = [
    ((), "native (portable, 1 thread, exact)"),
    (("--precision", "fast"), "native (portable, 1 thread, fast)"),
    (("--engine", "native"), "native (portable, 1 thread, exact)"),
    (("--engine", "reference"), "reference (numpy, 1 thread)"),
]


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize(("words", "engine"), CASES, ids=[" ".join(words) for words, _ in CASES])
def test_a_run_names_its_engine(run, monkeypatch, words, engine):
    monkeypatch.setenv("GLASSNET_NATIVE_ISA", "portable")
    monkeypatch.setenv("GLASSNET_NATIVE_BF16", "1")
    monkeypatch.setattr(module, "AUTO_PRECISION", "exact")
    train = ("train", "iris", "--epochs", "1", "--device", "cpu", "--threads", "1", *words)
    assert f"· engine: {engine}\n" in run(*train)
    assert read_document(Path("runs/iris/results.json"))["engine"] == engine
    assert engine in run("info", "runs/iris")
    assert json.loads(run("info", "runs/iris", "--json"))["engine"] == engine
    lines = [json.loads(line) for line in run(*train, "--json").splitlines()]
    assert {"event": "note", "text": f"engine: {engine}"} in lines
    assert lines[-1]["engine"] == engine


def test_the_reason_for_the_reference_engine(run, not_built):
    out = run("train", "iris", "--epochs", "1", "--device", "cpu", "--threads", "1")
    assert "· engine: reference (numpy, 1 thread), because the native engine is not built here\n" in out


def test_doctor_without_the_native_engine(run, not_built):
    machine = json.loads(run("doctor", "--json"))["machine"]
    assert (machine["engine"], machine["why"]) == ("reference", "the native engine is not built here")
    assert "the native engine is not built here" in run("doctor")


def test_doctor(run, isa, monkeypatch):
    monkeypatch.delenv("GLASSNET_NATIVE_BF16", raising=False)
    machine = json.loads(run("doctor", "--json"))["machine"]
    assert (machine["engine"], machine["instruction_set"]) == ("native", isa)
    assert machine["instruction_sets"].split() == module.instruction_sets()
    assert machine["bfloat16"] is (isa == "avx512_bf16")
    out = run("doctor")
    assert isa in out
    assert "instruction set in use" in out


def test_pretraining_takes_the_engine_and_the_precision(monkeypatch):
    seen = []

    def pretrain(*_, **options):
        seen.append((options["engine"], options["precision"]))

    monkeypatch.setattr("glassnet.runs.pretrain", pretrain)
    glassnet.fit("iris", pretrain="whole", engine="reference", precision="fast", epochs=1, threads=1)
    assert seen == [("reference", "fast")]


@pytest.mark.usefixtures("native")
def test_what_it_carries_needs_no_torch():
    code = (
        "import sys, glassnet; from sklearn.datasets import load_digits; "
        "x, y = load_digits(return_X_y=True); network = glassnet.Network.dense([64, 32, 10], dropout=0.2); "
        "history = glassnet.train(network, x / 16, y, epochs=2, validation=0.2, device='cpu'); "
        "figures = glassnet.Model(network, 'cross_entropy').evaluate((x / 16, y)); "
        "print(history.engine.split()[0], figures['rows'], 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "native 1797 False\n", done.stderr
