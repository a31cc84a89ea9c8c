"""The benchmark's own arithmetic, and that its contestants train what they are told to."""

from dataclasses import replace

import numpy as np
import pytest
from benchmarks import workloads
from benchmarks.__main__ import main
from benchmarks.contest import Result, in_order
from benchmarks.options import Options
from benchmarks.peers import CONTESTANTS, Contestant
from benchmarks.tables import best_peer, contest_table
from benchmarks.worker import disturbed
from benchmarks.workloads import Data, Workload, accuracy, first_weights, flops


def test_floating_point_operations_by_hand():
    # 3-2-1, 5 rows: z 3·2 + 2·1 multiply-adds, ∂C/∂W as many, the error of the hidden layer 2·1
    assert flops((3, 2, 1), rows=5) == 2 * 5 * (8 + 8 + 2)
    assert flops((3, 2, 1), rows=5, density=0.5) == 2 * 5 * (5 + 5 + 2)
    assert flops((784, 256, 10), rows=60_000) == pytest.approx(49.09e9, rel=1e-3)


def result(key: str, seconds: list[float], **values: object) -> Result:
    fields = {"disturbed": [False] * len(seconds), "ours": CONTESTANTS[key].ours, **values}
    return Result(key, CONTESTANTS[key].name, seconds=seconds, **fields)


def test_ratios_are_to_the_fastest_peer_that_does_the_whole_workload():
    results = [
        result("jax", [2.0, 4.0, 3.0], accuracy=0.9),
        result("torch-memory", [6.0]),
        result("sklearn", [1.0], note="without dropout"),
        result("glassnet-exact", [0.5]),
        result("numpy", [], missing="not installed"),
    ]
    assert best_peer(results).key == "jax"
    ratios = {line.split("|")[1].strip(): line.split("|")[5].strip() for line in contest_table(results).splitlines()}
    assert ratios["JAX, jit and scan over the epoch"] == "1.00"
    assert ratios["PyTorch, in-memory batches"] == "0.50"
    assert ratios["glassnet, native engine, exact"] == "6.00"
    assert "missing: not installed" in contest_table(results)


def test_a_turn_is_disturbed_if_others_take_a_core_that_it_needs():
    assert not disturbed(wall=1.0, others=0.05, stolen=0.0, threads=2, cores=2)
    assert disturbed(wall=1.0, others=0.2, stolen=0.0, threads=2, cores=2)
    assert disturbed(wall=1.0, others=0.0, stolen=0.2, threads=2, cores=2)
    assert not disturbed(wall=1.0, others=1.9, stolen=0.0, threads=2, cores=4)


def test_disturbed_turns_do_not_count_if_others_do():
    mixed = result("jax", [1.0, 9.0, 2.0], disturbed=[False, True, False])
    assert mixed.median == 1.5
    assert result("jax", [1.0, 9.0], disturbed=[True, True]).median == 5.0


def test_each_round_begins_with_another_contestant():
    results = [result(key, [1.0]) for key in ("jax", "numpy", "sklearn")]
    assert {in_order(results, round_)[0].key for round_ in range(3)} == {"jax", "numpy", "sklearn"}


def test_learning_rates_of_the_schedules():
    recipe = Workload("", (4, 3), "relu", 8, "sgd", 2.0, epochs=2)
    assert recipe.rates(0, 3, 5).tolist() == [2.0, 2.0, 2.0]
    linear = replace(recipe, schedule="linear").rates(0, 10, 5)
    np.testing.assert_allclose(linear, 2.0 * (1 - np.arange(10) / 10), rtol=1e-6)
    cycle = replace(recipe, schedule="one_cycle").rates(0, 10, 5)
    assert cycle.argmax() == 3
    assert cycle[0] == pytest.approx(0.08)


TINY = Workload("tiny", (20, 16, 3), "relu", 32, "sgd", 0.3, keep_hidden=0.9)


@pytest.fixture(scope="module")
def data() -> Data:
    rng = np.random.default_rng(0)
    x = rng.random((1050, 20), dtype=np.float32)
    y = np.argmax(x[:, :3], axis=1)
    return Data(x[:850], y[:850], x[850:], y[850:], "the largest of three columns")


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize("key", ["numpy", "glassnet-reference", "glassnet-exact"])
def test_a_contestant_learns(key, optimiser, data):
    learns(CONTESTANTS[key], replace(TINY, optimiser=optimiser, lr=0.3 if optimiser == "sgd" else 0.02), data)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # libraries' own
@pytest.mark.parametrize("key", sorted({*CONTESTANTS} - {"numpy", "glassnet-reference", "glassnet-exact"}))
def test_the_others_learn_too(key, data):
    learns(CONTESTANTS[key], TINY, data)


def learns(kind: type[Contestant], workload: Workload, data: Data) -> None:
    if kind.missing():
        assert kind.missing().endswith(("not installed", "here"))
        return
    contestant = kind()
    contestant.setup(workload, data, first_weights(workload, 0), 0, 1)
    steps = workload.steps(len(data.x))
    for part in (5, steps - 5, 24 * steps + 3):  # turns need not end with an epoch
        contestant.ready(part)
        contestant.advance(part)
    reached = accuracy(workload, contestant.parameters(), data.test_x, data.test_y)
    contestant.close()
    assert reached > 0.7


def test_glassnet_makes_the_steps_that_it_is_told_to(data):
    contestant = CONTESTANTS["glassnet-reference"]()
    contestant.setup(TINY, data, first_weights(TINY, 0), 0, 1)
    before = contestant.parameters()
    again = contestant.parameters()
    assert all((W == V).all() for (W, _), (V, _) in zip(before, again, strict=True))  # it waits
    contestant.advance(3)
    assert contestant.turns.left == 0
    assert contestant.turns.position == 3
    contestant.advance(TINY.steps(len(data.x)) - 3 + 2)
    contestant.close()
    assert contestant.turns.position == 2


@pytest.mark.slow
def test_numpy_and_torch_compute_the_same(data):
    parameters = []
    for key in ("numpy", "torch-memory"):
        contestant = CONTESTANTS[key]()
        workload = replace(TINY, keep_hidden=1.0, batch=len(data.x))  # one batch: no order to differ in
        contestant.setup(workload, data, first_weights(workload, 0), 0, 1)
        contestant.advance(5)
        parameters.append(contestant.parameters())
    for (W, b), (V, c) in zip(*parameters, strict=True):
        np.testing.assert_allclose(W, V, atol=2e-5)
        np.testing.assert_allclose(b, c, atol=2e-5)


def test_data_of_the_shape_of_mnist_where_it_is_not(tmp_path):
    small = workloads.synthetic_images(rows=2000, test_rows=10)
    assert small.x.shape == (2000, 784)
    assert small.x.dtype == np.float32
    assert np.count_nonzero(small.x) / small.x.size == pytest.approx(0.19, abs=0.01)
    assert "not found" in small.what


def test_an_unknown_section_or_contestant_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["trian"])
    assert "trian" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="nobody"):
        main(["train", "--only", "nobody"])
    assert Options().among("jax", "numpy") == ["jax", "numpy"]


def test_a_section_is_kept_and_written(tmp_path, monkeypatch, capsys):
    from benchmarks import report

    monkeypatch.setattr(report, "KEPT", tmp_path / "results")
    small = workloads.table(rows=2000, test_rows=100)
    assert small.x.shape == (2000, 32)
    figures = {
        "contests": [
            {
                "workload": TINY.to_json(),
                "data": "a table",
                "results": [result(key, [1.0], accuracy=0.5).to_json() for key in ("jax", "glassnet-exact")],
                "whole": {},
            }
        ],
        "versions": {"numpy": "2"},
        "blas": ["openblas"],
    }
    report.keep("train", figures, Options(), 1.0)
    assert main(["--write", str(tmp_path / "page.md")]) == 0
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "glassnet, native engine, exact" in page
    assert "page.svg" in page
    assert (tmp_path / "page.svg").stat().st_size < 300_000
