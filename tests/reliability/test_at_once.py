"""Many questions at once, from threads and processes: the bits of each answer, no hang, and the threads as before."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from reliability.at_once import QUESTIONS, WAYS

TESTS = Path(__file__).parents[1]
slow = pytest.mark.slow
ROUNDS = [
    ("threads", 1),
    *(pytest.param(way, 1, marks=slow) for way in WAYS if way != "threads"),
    *(pytest.param(way, 6, marks=slow) for way in ("threads", "fork", "forks-amid-threads")),
]


@pytest.mark.parametrize(("way", "rounds"), ROUNDS)
def test_each_answer_has_the_bits_that_it_has_alone(way, rounds):
    alone = {"OPENBLAS_NUM_THREADS": "1"} if way == "forks-amid-threads" else {}
    done = subprocess.run(
        [sys.executable, "-m", "reliability.at_once", way, str(rounds)],
        env={**os.environ, "PYTHONPATH": str(TESTS), **alone},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    figures = json.loads(done.stdout)
    assert figures["answers"] >= 2 * rounds * len(QUESTIONS)
    assert (figures["questions"], figures["different"], figures["ends"]) == (len(QUESTIONS), [], [])
    assert (figures["again"], figures["pools"]) == (True, True)
    assert figures["threads"] <= (2 if way == "joblib-loky" else 0)  # joblib keeps those that mind its processes
