"""Runs that are killed, told to end, resumed, refused; and their folders."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import glassnet
from cases.halting import HaltAt
from glassnet.cli import main
from glassnet.errors import ConfigError, ModelFileError
from glassnet.training.checkpoint import files

RNG = np.random.default_rng(1)
X = RNG.normal(size=(300, 5))
Y = (X[:, 0] * X[:, 1] > 0).astype(int)
OPTIONS = {"epochs": 4, "hidden": (8,), "early_stopping": "none", "batch_size": 16, "dropout": 0.2}


def bits(run):
    return {name: theta.tobytes() for name, theta in run.model.network.parameters()}


@pytest.fixture
def broken_off(tmp_path):
    """The folder of a run that was told to end in its second epoch, and the bits of one that was not."""
    whole = glassnet.fit((X, Y), **OPTIONS)
    glassnet.fit((X, Y), out=tmp_path / "run", callbacks=[HaltAt(20)], **OPTIONS)
    return tmp_path / "run", bits(whole)


def test_a_run_that_was_told_to_end_goes_on(broken_off):
    folder, whole = broken_off
    resumed = glassnet.fit((X, Y), out=folder, resume=True, **OPTIONS)
    assert bits(resumed) == whole
    assert resumed.history["epoch"] == [1, 2, 3, 4]
    again = glassnet.fit((X, Y), out=folder, resume=True, **OPTIONS)  # nothing is left to be done
    assert bits(again) == whole
    longer = glassnet.fit((X, Y), out=folder, resume=True, allow=["epochs"], **OPTIONS | {"epochs": 6})
    assert bits(longer) == bits(glassnet.fit((X, Y), **OPTIONS | {"epochs": 6}))


def test_snapshots_go_on(tmp_path):
    whole = glassnet.fit((X, Y), record=True, **OPTIONS)
    glassnet.fit((X, Y), out=tmp_path / "run", record=True, callbacks=[HaltAt(20)], **OPTIONS)
    resumed = glassnet.fit((X, Y), out=tmp_path / "run", record=True, resume=True, **OPTIONS)
    assert resumed.snapshots == whole.snapshots


CHANGES = [
    ({"lr": 0.5}, "training.lr: 0.001 then, 0.5 now", "lr"),
    ({"epochs": 9}, "training.epochs: 4 then, 9 now", "epochs"),
    ({"optimiser": "sgd", "lr": 0.001}, "training.optimiser: adam then, sgd now", "training.optimiser"),
    ({"batch_size": 32}, "training.batch_size: 16 then, 32 now", "batch_size"),
    ({"early_stopping": "patience1"}, "training.early_stopping: none then, patience1 now", "training"),
    ({"schedule": "cosine"}, "training.schedule: constant then, cosine now", "training"),
    ({"engine": "reference"}, "training.engine: auto then, reference now", "engine"),
    ({"source": (np.where(X[7, 2] == X, X + 1e-6, X), Y)}, "data: ", "data"),
    ({"source": (X, np.where(np.arange(300) == 9, 1 - Y, Y))}, "data: ", "data"),
    ({"validation": 0.2}, "data.validation: 0.1 then, 0.2 now", "data"),
    (
        {"l2": 0.1, "clip_norm": 1.0},
        "training.l2: 0.0 then, 0.1 now; training.clip_norm: None then, 1.0 now",
        "training",
    ),
]


@pytest.mark.parametrize(("change", "difference", "name"), CHANGES, ids=lambda part: str(part)[:30])
def test_other_data_or_settings_are_refused_with_the_difference_unless_allowed(broken_off, change, difference, name):
    folder, _ = broken_off
    options = {"source": (X, Y), **OPTIONS, **change}
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError) as caught:
        glassnet.fit(**options, out=folder, resume=True)
    assert difference in str(caught.value)
    assert "--allow" in str(caught.value)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    run = glassnet.fit(**options, out=folder, resume=True, allow=[name])
    assert run.history.stop_code in ("epochs", "early_stopping")
    assert run.history["epoch"][:2] == [1, 2]


def test_threads_may_change(broken_off):
    folder, whole = broken_off
    assert bits(glassnet.fit((X, Y), out=folder, resume=True, threads=1, **OPTIONS)) == whole


def test_another_network_is_refused_though_it_is_allowed(broken_off):
    folder, _ = broken_off
    with pytest.raises(glassnet.errors.ShapeError):
        glassnet.fit((X, Y), out=folder, resume=True, allow=["hidden"], **OPTIONS | {"hidden": (9,)})


def test_unknown_names_are_refused(broken_off):
    with pytest.raises(ConfigError, match="there is no option 'learning_rate' to allow"):
        glassnet.fit((X, Y), out=broken_off[0], resume=True, allow=["learning_rate"], **OPTIONS)


NOTHING = [
    ({"out": None, "resume": True}, "checkpoints need a folder"),
    ({"out": None, "checkpoint_every": "epoch"}, "checkpoints need a folder"),
    ({"out": "missing", "resume": True}, "there is no run"),
    ({"out": "finished", "resume": True}, "no checkpoints to go on from"),
    ({"out": "new", "checkpoint_every": "soon"}, "checkpoints are written every 30s"),
    ({"out": "new", "checkpoint_every": "0s"}, "checkpoints are written every 30s"),
    ({"out": "new", "checkpoint_every": "epoch", "checkpoint_keep": 0}, "at least 1 checkpoint is kept"),
]


@pytest.mark.parametrize(("options", "message"), NOTHING)
def test_what_cannot_be_done_is_said(tmp_path, options, message):
    glassnet.fit((X, Y), out=tmp_path / "finished", **OPTIONS)
    if options["out"] is not None:
        options = {**options, "out": tmp_path / options["out"]}
    with pytest.raises(ConfigError, match=message):
        glassnet.fit((X, Y), **options, **OPTIONS)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("every", "keep", "kept"), [("epoch", 3, 3), ("7-steps", 1, 1), ("2-epochs", 9, 2), ("0.001ms", 2, 2)]
)
def test_so_many_are_kept_and_do_not_change_the_numbers(tmp_path, every, keep, kept):
    plain = glassnet.fit((X, Y), **OPTIONS)
    run = glassnet.fit((X, Y), out=tmp_path / "run", checkpoint_every=every, checkpoint_keep=keep, **OPTIONS)
    assert bits(run) == bits(plain)
    assert len(files(tmp_path / "run" / "checkpoints")) == kept
    assert not (tmp_path / "run" / "run.lock").exists()


def test_of_a_damaged_checkpoint_the_one_before_is_taken_and_it_is_said(broken_off, capsys):
    folder, _ = broken_off
    options = {**OPTIONS, "epochs": 6}
    glassnet.fit((X, Y), out=folder, resume=True, allow=["epochs"], checkpoint_every="epoch", **options)
    newest, older = files(folder / "checkpoints")
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    run = glassnet.fit((X, Y), out=folder, resume=True, verbose=True, **options)
    printed = capsys.readouterr().out
    assert f"{newest} is damaged: its checksum does not match its content" in printed
    assert f"the one before it is whole: {older}" in printed
    assert bits(run) == bits(glassnet.fit((X, Y), **options))
    for path in files(folder / "checkpoints"):
        path.write_bytes(b"glassnet")
    (folder / "checkpoints" / "run.json").unlink()
    with pytest.raises(ModelFileError, match="is damaged"):
        glassnet.fit((X, Y), out=folder, resume=True, **options)


def test_without_a_whole_checkpoint_training_begins_anew(tmp_path, capsys):
    folder = tmp_path / "run"
    whole = glassnet.fit((X, Y), out=folder, checkpoint_every="epoch", **OPTIONS)
    for path in files(folder / "checkpoints"):
        path.unlink()
    (folder / "config.json").unlink()
    with pytest.raises(ConfigError, match="was broken off: glassnet resume"):
        glassnet.fit((X, Y), out=folder, **OPTIONS)
    run = glassnet.fit((X, Y), out=folder, resume=True, verbose=True, **OPTIONS)
    assert "there is no whole checkpoint yet: training begins anew" in capsys.readouterr().out
    assert bits(run) == bits(whole)


def test_what_a_killed_process_left_half_written_is_removed(tmp_path):
    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    left = [folder / ".model.safetensors.abcd1234", folder / ".config.json.x", folder / "checkpoints" / ".run.json.y"]
    left.append(folder / "checkpoints" / ".checkpoint-000003.ckpt.z")
    for path in left:
        path.write_bytes(b"half")
    glassnet.fit((X, Y), out=folder, checkpoint_every="epoch", **OPTIONS)
    assert not any(path.exists() for path in left)
    assert len(files(folder / "checkpoints")) == 2


def test_an_overwritten_run_leaves_no_checkpoints_to_go_on_from(broken_off):
    folder, _ = broken_off
    glassnet.fit((X, Y), out=folder, overwrite=True, **OPTIONS | {"seed": 1})
    with pytest.raises(ConfigError, match="no checkpoints to go on from"):
        glassnet.fit((X, Y), out=folder, resume=True, **OPTIONS | {"seed": 1})


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"
    lines = [
        ",".join(f"{value:.6f}" for value in row) + f",{'no' if y else 'yes'}" for row, y in zip(X, Y, strict=True)
    ]
    path.write_text("a,b,c,d,e,y\n" + "\n".join(lines) + "\n")
    return path


def test_a_run_that_diverged_goes_on_with_a_lower_rate(tmp_path, table, capsys):
    run = str(tmp_path / "run")
    words = ["train", str(table), "--optimizer", "sgd", "--epochs", "3", "--checkpoint-every", "epoch", "--out", run]
    assert main([*words, "--lr", "1e30"]) == 1
    printed = capsys.readouterr()
    assert f"what it was before that step is kept: glassnet resume {run} --allow lr=…" in printed.out
    assert "a lower learning rate than 1e+30" in printed.err
    assert main(["resume", run, "--allow", "lr=0.1"]) == 0
    assert "all 3 epochs are done" in capsys.readouterr().out


# Signals, and two at once


LONG = ["--epochs", "1000000", "--early-stopping", "none", "--hidden", "8", "--batch-size", "16", "--dropout", "0.2"]


TAKES_SIGINT = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
"""Also where the shell that started the tests ignores it."""
GLASSNET = TAKES_SIGINT + "import sys; from glassnet.cli import main; sys.exit(main(sys.argv[1:]))"


def started(*words):
    """A process that trains, after its first epochs."""
    process = subprocess.Popen(
        [sys.executable, "-c", GLASSNET, *map(str, words), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if json.loads(line)["event"] == "epoch":
            return process
    raise AssertionError(process.stderr.read())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
@pytest.mark.parametrize("engine", ["native", "reference"])
def test_a_signal_ends_training_with_a_checkpoint_and_the_way_to_go_on(tmp_path, table, number, code, engine):
    run = tmp_path / "run"
    with started("train", table, *LONG, "--out", run, "--engine", engine) as process:
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    events = [json.loads(line) for line in output.splitlines()]
    assert (process.returncode, errors) == (0, "")
    assert events[-1]["stop_code"] == code
    assert events[-2]["text"] == f"go on with: glassnet resume {run}"
    epochs = events[-1]["epochs"] + 2
    assert main(["resume", str(run), "--allow", f"epochs={epochs}", "--quiet"]) == 0
    whole = ["train", table, *LONG, "--out", tmp_path / "whole", "--engine", engine, "--quiet", "--epochs", epochs]
    assert main(list(map(str, whole))) == 0
    assert (run / "model.safetensors").read_bytes() == (tmp_path / "whole" / "model.safetensors").read_bytes()


READS_SLOWLY = (
    TAKES_SIGINT
    + """
import sys, time
from glassnet import runs
from glassnet.cli import main

def load_source(*arguments, **options):
    print("reading", flush=True)
    time.sleep(60)

runs.load_source = load_source
sys.exit(main(sys.argv[1:]))
"""
)
PRETRAIN = ["--pretrain-epochs", "1000000", "--json"]
GREEDY, WHOLE = ["--pretrain", "greedy"], ["--pretrain", "whole", "--engine", "reference"]
READING, IN_PRETRAINING = (READS_SLOWLY, [], "reading"), (GLASSNET, [*PRETRAIN, *GREEDY], "pre-training")
IN_PRETRAINING_BY_REFERENCE = (GLASSNET, [*PRETRAIN, *WHOLE], "pre-training")
INTERRUPT, TERMINATE = (signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")
slow = pytest.mark.slow
BEFORE_TRAINING = [
    pytest.param(*READING, *TERMINATE, id="reading, SIGTERM"),
    pytest.param(*IN_PRETRAINING, *INTERRUPT, id="native, SIGINT"),
    pytest.param(*READING, *INTERRUPT, id="reading, SIGINT", marks=slow),
    pytest.param(*IN_PRETRAINING, *TERMINATE, id="native, SIGTERM", marks=slow),
    pytest.param(*IN_PRETRAINING_BY_REFERENCE, *INTERRUPT, id="reference, SIGINT", marks=slow),
    pytest.param(*IN_PRETRAINING_BY_REFERENCE, *TERMINATE, id="reference, SIGTERM", marks=slow),
]


@pytest.mark.parametrize(("program", "words", "sign", "number", "status", "word"), BEFORE_TRAINING)
def test_a_signal_before_training_ends_it_at_once_and_leaves_nothing(
    tmp_path, table, program, words, sign, number, status, word
):
    run = tmp_path / "deep" / "run"
    words = ["train", table, *words, "--out", run, "--checkpoint-every", "1ms"]
    with subprocess.Popen(
        [sys.executable, "-c", program, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert any(sign in line for line in process.stdout)
        time.sleep(0.2)
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (status, f"{word}\n")
    assert not (tmp_path / "deep").exists()


def test_a_second_ctrl_c_ends_it_at_once(tmp_path):
    """The first waits for the step under way, which here takes ten seconds."""
    program = """
import sys, time, numpy as np, glassnet
from glassnet.training import Callback

class Slow(Callback):
    def on_batch_end(self, trainer):
        print("step", flush=True)
        time.sleep(60)

glassnet.fit((np.ones((50, 2)) * np.arange(50)[:, None], np.arange(50) % 2), out=sys.argv[1], callbacks=[Slow()])
"""
    with subprocess.Popen(
        [sys.executable, "-c", TAKES_SIGINT + program, str(tmp_path / "run")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "step\n"
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)
    assert "KeyboardInterrupt" in errors
    assert process.returncode != 0


def test_two_runs_into_one_folder_are_refused_with_the_firsts_process(tmp_path, table, capsys):
    run = tmp_path / "run"
    with started("train", table, *LONG, "--out", run, "--checkpoint-every", "1ms") as process:
        for words in (["train", table, "--out", run], ["train", table, "--out", run, "--overwrite"], ["resume", run]):
            assert main(list(map(str, words))) == 2
            assert f"{run} is in use by process {process.pid} on {os.uname().nodename}" in capsys.readouterr().err
        process.kill()
    assert (run / "run.lock").exists()  # a stale one
    assert main(["train", str(table), "--out", str(run)]) == 2
    assert "was broken off" in capsys.readouterr().err
    assert main(["resume", str(run), "--allow", "epochs=1", "--quiet"]) == 0
    assert not Path(run, "run.lock").exists()
