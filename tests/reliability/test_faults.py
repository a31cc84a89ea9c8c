"""Crashes, kills and disks that fail: what is written stands, and what is damaged is noticed."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from glassnet.data.examples import Examples
from glassnet.errors import GlassnetWarning, ModelFileError
from glassnet.training.checkpoint import Checkpoint, CheckpointWriter, files, latest, load
from reliability.jobs import CLASSES, X, outcome, trainer_of

TESTS = Path(__file__).parents[1]


def programme(name, *arguments):
    """The figures of a programme of this folder, in a process of its own that has one thread."""
    done = subprocess.run(
        [sys.executable, "-m", f"reliability.{name}", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def check_crashes(figures, points):
    assert figures["points"] >= points
    assert (figures["unloadable"], figures["different"]) == (0, 0)
    assert figures["most_lost"] <= figures["interval"]


def check_kills(figures, kills):
    assert figures["kills"] >= kills
    assert (figures["unloadable"], figures["failed"], figures["different"]) == (0, 0, 0)
    assert figures["most_lost"] <= figures["interval"]


def test_some_crash_points():
    check_crashes(programme("crashes", 25), 12)


def test_some_kills():
    check_kills(programme("kills", 5), 5)


@pytest.mark.slow
def test_all_crash_points():
    check_crashes(programme("crashes"), 200)


@pytest.mark.slow
def test_many_kills():
    check_kills(programme("kills", 200), 200)


# Disks that fail


FAULTS = [
    ("fsync", errno.ENOSPC, "No space left on device"),
    ("fsync", errno.EIO, "Input/output error"),
    ("open", errno.EROFS, "Read-only file system"),
    ("open", errno.EACCES, "Permission denied"),
    ("replace", errno.EIO, "Input/output error"),
    ("fdopen", errno.ENOSPC, "No space left on device"),
]


@pytest.mark.parametrize(("call", "number", "reason"), FAULTS)
def test_of_a_failing_disk_it_warns_and_goes_on_and_writes_again_later(tmp_path, monkeypatch, call, number, reason):
    whole = trainer_of()
    whole.fit(Examples(X, CLASSES))
    real, failing = getattr(os, call), set(range(3, 6))

    def fail(*arguments, **options):
        if len(attempts) in failing:
            raise OSError(number, os.strerror(number))
        return real(*arguments, **options)

    attempts = []
    writer = CheckpointWriter(tmp_path, "4-steps")
    write = writer.write

    def counted(trainer):
        attempts.append(trainer.step)
        there = {path: path.read_bytes() for path in files(tmp_path)}
        with monkeypatch.context() as patch:
            patch.setattr(f"os.{call}", fail)
            write(trainer)
        if len(attempts) in failing:
            assert {path: path.read_bytes() for path in tmp_path.iterdir()} == there

    writer.write = counted
    trainer = trainer_of([writer])
    with pytest.warns(
        GlassnetWarning, match=rf"no checkpoint was written \(cannot write {tmp_path}/.*: {reason}\)"
    ) as said:
        trainer.fit(Examples(X, CLASSES))
    assert len(said) == 3
    assert "the last one is" in str(said[0].message)
    assert outcome(trainer) == outcome(whole)
    assert latest(tmp_path).state["epochs"] == 4


def test_a_folder_that_is_gone_is_made_again_and_one_that_became_a_file_is_a_warning(tmp_path):
    class Vandal(CheckpointWriter):
        def on_epoch_end(self, trainer, record):
            shutil.rmtree(self.folder, ignore_errors=True)
            if trainer.epoch == 3:
                self.folder.write_text("")
            super().on_epoch_end(trainer, record)
            if trainer.epoch == 3:
                self.folder.unlink()

    trainer = trainer_of([Vandal(tmp_path / "checkpoints", "epoch")])
    with pytest.warns(GlassnetWarning, match="no checkpoint was written"):
        trainer.fit(Examples(X, CLASSES))
    assert latest(tmp_path / "checkpoints").state["epochs"] == 4


# Damage


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """A checkpoint's bytes."""
    folder = tmp_path_factory.mktemp("checkpoints")
    trainer_of([CheckpointWriter(folder, "epoch")], early_stopping="patience3").fit(
        Examples(X, CLASSES), Examples(X, CLASSES)
    )
    return files(folder)[0].read_bytes()


def test_every_damaged_byte_is_noticed(content):
    path, rng = Path("checkpoint-000001.ckpt"), np.random.default_rng(0)
    places = {*range(200), *rng.integers(0, len(content), 400).tolist(), len(content) - 1}
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(8))
        with pytest.raises(ModelFileError, match=r"checkpoint-000001\.ckpt is damaged"):
            Checkpoint.from_bytes(bytes(damaged), path)
    for length in [0, 1, 50, 100, len(content) // 2, len(content) - 1]:
        with pytest.raises(ModelFileError, match="is damaged"):
            Checkpoint.from_bytes(content[:length], path)
    with pytest.raises(ModelFileError, match="is damaged"):
        Checkpoint.from_bytes(content + b"\0", path)


@pytest.mark.slow
def test_every_bit_of_every_byte():
    figures = programme("damage")
    assert figures["changed"] > 10_000
    assert figures["accepted"] == 0


def test_a_checkpoint_keeps_plain_data_and_arrays_to_the_bit(tmp_path):
    state = {
        "numbers": [1, 0.1, -0.0, float("inf"), 2**70, None, True, "ε\ud800"],
        "deep": {"er": [{"array": np.arange(6, dtype=np.uint32).reshape(2, 3).T}, np.float64(0.1)]},
        "nan": np.array([np.nan, 1.0], dtype=np.float32),
        "scalar": np.array(3, dtype=np.int64),
        "none": np.empty((0, 3)),
    }
    path = tmp_path / "checkpoint-000007.ckpt"
    path.write_bytes(Checkpoint(state, {"a": 1}).to_bytes())
    back = load(path)
    assert back.about == {"a": 1}
    assert str(back.state["numbers"]) == str(state["numbers"])
    np.testing.assert_array_equal(back.state["deep"]["er"][0]["array"], state["deep"]["er"][0]["array"])
    assert back.state["deep"]["er"][1] == 0.1
    for name in ("nan", "scalar", "none"):
        assert back.state[name].tobytes() == state[name].tobytes()
        assert (back.state[name].dtype, back.state[name].shape) == (state[name].dtype, state[name].shape)
