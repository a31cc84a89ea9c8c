"""Processes that share a run: who reads it finds it whole or hears that it is in use; a second writer is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import glassnet
from glassnet import MLPClassifier, MLPRegressor, runs
from glassnet.errors import ConfigError
from reliability import readers

TESTS = Path(__file__).parents[1]
RNG = np.random.default_rng(2)
X = RNG.normal(size=(80, 3))
Y = (X[:, 0] > 0).astype(int)


def read_for(*arguments):
    """The figures of a programme that reads while another process writes."""
    done = subprocess.run(
        [sys.executable, "-m", "reliability.readers", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return json.loads(done.stdout)


def check_reads(figures, least):
    assert figures["bad"] == []
    assert figures["slowest"] < 5
    assert sum(figures["whole"].values()) > least
    assert all(count > 1 for count in figures["states"].values())


def test_what_is_read_while_it_is_written_is_whole():
    check_reads(read_for(2), 20)


@pytest.mark.slow
def test_what_is_read_for_a_minute_is_whole():
    check_reads(read_for(60, 1), 500)


# Two writers

HOLDER = """
import sys
import numpy as np
import glassnet
from glassnet.training import Callback

class Wait(Callback):
    def on_epoch_end(self, trainer, record):
        print("training", flush=True)
        sys.stdin.read()

rng = np.random.default_rng(2)
x = rng.normal(size=(80, 3))
y = (x[:, 0] > 0).astype(int)
kind, folder = sys.argv[1:]
if kind == "fit":
    glassnet.fit((x, y), out=folder, epochs=3, checkpoint_every="epoch", callbacks=[Wait()])
else:
    glassnet.MLPClassifier((4,), max_iter=3, checkpoint=folder, checkpoint_every="epoch", callbacks=[Wait()]).fit(x, y)
"""


def second_fit(folder, **options):
    glassnet.fit((X, Y), out=folder, epochs=3, **options)


def second_estimator(estimator, folder, **options):
    estimator(hidden_layer_sizes=(4,), max_iter=3, checkpoint=folder, **options).fit(X, Y)


SECONDS = [
    ("fit", lambda folder: second_fit(folder)),
    ("fit", lambda folder: second_fit(folder, overwrite=True)),
    ("fit", lambda folder: second_fit(folder, resume=True, checkpoint_every="epoch")),
    ("estimator", lambda folder: second_estimator(MLPClassifier, folder)),
    ("estimator", lambda folder: second_estimator(MLPClassifier, folder, resume=True)),
    ("estimator", lambda folder: second_estimator(MLPRegressor, folder)),
]


@pytest.mark.parametrize("kind", ["fit", pytest.param("estimator", marks=pytest.mark.slow)])
def test_a_second_writer_is_refused_with_the_firsts_process_and_host(tmp_path, kind):
    folder = tmp_path / "run"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, kind, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "training\n"
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for which, second in SECONDS:
            if which == kind:
                with pytest.raises(
                    ConfigError, match=f"is in use by process {process.pid} on {os.uname().nodename}: wait until"
                ):
                    second(folder)
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
        process.stdin.close()
        assert process.wait(60) == 0
    assert not (folder / "run.lock").exists()


@pytest.mark.parametrize("options", [{}, {"checkpoint_every": "epoch"}])
def test_a_run_that_another_trained_while_this_one_began_is_kept(tmp_path, monkeypatch, options):
    """Between the first look at the folder and the lock."""
    folder = tmp_path / "run"
    locked = runs.locked

    def late(path):
        monkeypatch.setattr(runs, "locked", locked)
        second_fit(folder, **options)
        before.update({path: path.read_bytes() for path in folder.rglob("*") if path.is_file()})
        return locked(path)

    before = {}
    monkeypatch.setattr(runs, "locked", late)
    with pytest.raises(ConfigError, match="is there already"):
        second_fit(folder)
    assert before
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


RACER = """
import sys
import numpy as np
import glassnet
from glassnet.errors import ConfigError

rng = np.random.default_rng(2)
x = rng.normal(size=(80, 3))
print("ready", flush=True)
sys.stdin.readline()
try:
    glassnet.fit((x, (x[:, 0] > 0).astype(int)), out=sys.argv[1], epochs=300, early_stopping="none", batch_size=4)
except ConfigError as error:
    print(error)
else:
    print("trained")
"""


@pytest.mark.slow
def test_of_four_that_begin_at_once_one_trains(tmp_path):
    """The others are told who it is, or that its run is there already."""
    folder = tmp_path / "run"
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    assert [racer.stdout.readline() for racer in racers] == ["ready\n"] * 4
    for racer in racers:
        racer.stdin.write("\n")
        racer.stdin.flush()
    said = [racer.communicate(timeout=60)[0].strip() for racer in racers]
    winner = next(racer for racer, text in zip(racers, said, strict=True) if text == "trained")
    refusals = (f"in use by process {winner.pid} on {os.uname().nodename}", f"the run {folder} is there already")
    others = [text for text in said if text != "trained"]
    assert len(others) == 3
    assert all(any(refusal in text for refusal in refusals) for text in others), others
    assert glassnet.load(folder).task == "classification"


def test_what_a_reader_may_find_is_told_apart(tmp_path):
    """Otherwise the test above would hold whatever is read."""
    readers.write_table(tmp_path / "table.csv")
    found = readers.states(tmp_path, tmp_path / "table.csv")
    assert {name: len(set(texts)) for name, texts in found.items()} == {
        **dict.fromkeys(readers.READS, 6),
        "config_of": 3,
    }
