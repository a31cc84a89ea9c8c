"""Nothing that glassnet does needs the network, and nothing that it reads is unpickled (tests/guard watches both)."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent


def guarded(folder, *words):
    """What a Python under guard printed, and what it was kept from."""
    log = folder / "guard.log"
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(TESTS / "guard"), "GUARD_LOG": str(log)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return done, log.read_text() if log.exists() else ""


TRIES = [
    ("import socket; socket.create_connection(('127.0.0.1', 9))", "socket.getaddrinfo"),
    ("import socket; socket.socket()", "socket.__new__"),
    ("import socket; socket.gethostbyname('localhost')", "socket.gethostbyname"),
    ("import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')", "socket."),
    ("import pickle, fractions; pickle.loads(pickle.dumps(fractions.Fraction(1, 2)))", "pickle.find_class"),
    ("import io, numpy; f = io.BytesIO(); numpy.save(f, [{}]); f.seek(0); numpy.load(f, allow_pickle=True)", "pickle."),
]
if sys.platform == "linux":
    TRIES.append(("import ctypes; ctypes.CDLL(None).socket(2, 1, 0)", "killed"))


@pytest.mark.parametrize(("code", "event"), TRIES)
def test_the_guard_notices(tmp_path, code, event):
    done, log = guarded(tmp_path, "-c", code)
    assert done.returncode != 0
    assert log.startswith(event) if event != "killed" else done.returncode == -31


def checked(folder, *words):
    done, log = guarded(folder, *words)
    assert (done.returncode, log) == (0, ""), done.stderr
    return done.stdout


BEGIN = """
import numpy as np
import glassnet
from glassnet.cli import main
from sklearn.datasets import load_iris

def run(*words):
    assert main(list(words)) == 0, words

x, y = load_iris(return_X_y=True)
run("train", "digits", "--epochs", "1", "--hidden", "8", "--out", "run", "--checkpoint-every", "epoch", "--quiet")
run("predict", "run", "digits", "--out", "predicted.csv")
glassnet.load("run").predict(np.zeros((2, 64)))
"""
ESTIMATORS = """
for kind in (glassnet.MLPClassifier, glassnet.MLPRegressor):
    estimator = kind(hidden_layer_sizes=(4,), max_iter=9, checkpoint=kind.__name__)
    estimator.fit(x, y).save("estimator")
    assert (kind.load("estimator").predict(x) == estimator.predict(x)).all()
    kind(hidden_layer_sizes=(4,), max_iter=10, checkpoint=kind.__name__, resume=True).fit(x, y)
"""
EVERYTHING = """
import importlib, pkgutil

for module in pkgutil.walk_packages(glassnet.__path__, "glassnet."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)

run("resume", "run", "--allow", "epochs=2", "--quiet")
run("predict", "run", "digits", "--out", "predicted.parquet")
for suffix in ("csv", "parquet"):
    run("train", f"predicted.{suffix}", "--target", "prediction", "--epochs", "1", "--out", suffix, "--quiet")
for words in (["info"], ["check"], ["explain"], ["trace"], ["diagnose"], ["report"]):
    run(*words, "run")
run("evaluate", "run", "digits")
run("doctor")
np.savez("iris.npz", x=x, y=y)
np.save("iris.npy", np.column_stack([x, y]))
glassnet.fit("iris.npz", epochs=1)
glassnet.fit("iris.npy", target="4", epochs=1)
"""


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(BEGIN, id="train, load and predict"),
        pytest.param(BEGIN + ESTIMATORS + EVERYTHING, id="everything", marks=pytest.mark.slow),
    ],
)
def test_it_works_without_network_and_pickle(tmp_path, code):
    assert checked(tmp_path, "-W", "ignore", "-c", code + "print('done')").endswith("done\n")


@pytest.mark.slow
def test_the_demo_without_network(tmp_path):
    """The commands of ``make demo``, as they stand there."""
    recipe = re.findall(r"^\t\$\(BIN\)/glassnet (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert [shlex.split(line)[0] for line in recipe] == ["train", "check"]
    for line in recipe:
        checked(tmp_path, "-m", "glassnet", *shlex.split(line.replace("$(RUN)", "runs/demo")))
    assert (tmp_path / "runs" / "demo" / "figures").is_dir()
