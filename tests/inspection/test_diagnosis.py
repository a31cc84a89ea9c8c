"""Diagnosis: each disease is planted in real data and found, and healthy networks get no finding."""

import json
import math
from contextlib import suppress

import numpy as np
import pytest

import glassnet
from cases.diagnosis import HEALTHY, PLANTED, table
from glassnet.cli import main
from glassnet.errors import NotFiniteError
from glassnet.inspection import Case, Diagnosis, diagnose
from glassnet.inspection.rules import RULES
from glassnet.messages import use_language
from glassnet.runs import look_into

pytestmark = pytest.mark.filterwarnings("ignore::glassnet.errors.GlassnetWarning")

SEED = 1


def findings_of(make, options):
    source, target = make(np.random.default_rng(SEED))
    watch = Diagnosis()
    with suppress(NotFiniteError):
        glassnet.fit(source, target, callbacks=[watch], seed=SEED, **options)
    return watch.findings


def names(cases):
    return [f"{k}-{case[0] if isinstance(case[0], str) else 'healthy'}" for k, case in enumerate(cases)]


FIRST = [k for k, case in enumerate(PLANTED) if case[0] not in [other[0] for other in PLANTED[:k]]]
"""One case of each disease, which are not marked slow."""
MARKED = [case if k in FIRST else pytest.param(*case, marks=pytest.mark.slow) for k, case in enumerate(PLANTED)]


@pytest.mark.parametrize(("code", "make", "options"), MARKED, ids=names(PLANTED))
def test_a_planted_disease_is_found(code, make, options):
    found = findings_of(make, options)
    assert code in [finding.code for finding in found]
    finding = next(finding for finding in found if finding.code == code)
    assert finding.evidence
    assert all(isinstance(value, (int, float, str)) for value in finding.evidence.values())
    json.dumps(finding.to_json())


@pytest.mark.parametrize(("make", "options"), HEALTHY, ids=names(HEALTHY))
def test_a_healthy_network_gets_no_finding(make, options):
    assert [finding.text() for finding in findings_of(make, options)] == []


def test_every_rule_has_a_planted_disease():
    assert {code for code, _, _ in PLANTED} == {rule.__name__ for rule in RULES}
    assert len(RULES) == 21


def test_causes_come_before_what_they_bring_about():
    found = [f.code for f in findings_of(table("breast_cancer"), {"init": "zeros", "activation": "tanh", "epochs": 10})]
    assert found[0] == "symmetric_units"


# Commands


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    glassnet.fit("iris", epochs=30, init="zeros", out=root / "ill", record=True)
    glassnet.fit("iris", epochs=100, out=root / "well", record=True)
    return root


def test_the_callback_and_the_run_say_the_same(runs):
    watch = Diagnosis()
    glassnet.fit("iris", epochs=30, init="zeros", callbacks=[watch])
    assert watch.findings == diagnose(look_into(runs / "ill"))
    assert watch.findings == diagnose(Case.of_run(look_into(runs / "ill")))


def test_the_command(runs, capsys):
    assert main(["diagnose", str(runs / "ill")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("the units of a layer are the same (layer 1, epoch 30)\n")
    assert "share of units that equal another 1" in out
    assert "BP.3 and BP.4 give them the same gradients" in out
    assert "→ Start from random weights" in out


def test_the_command_finds_nothing(runs, capsys):
    assert main(["diagnose", str(runs / "well")]) == 0
    assert capsys.readouterr().out == "nothing found: the network learns as networks do\n"


def test_json(runs, capsys):
    assert main(["diagnose", str(runs / "ill"), "--json"]) == 0
    first = json.loads(capsys.readouterr().out)["findings"][0]
    assert (first["code"], first["layer"], first["epoch"]) == ("symmetric_units", 1, 30)
    assert set(first) == {"code", "title", "layer", "epoch", "evidence", "reason", "remedy"}


def test_chinese(runs, capsys):
    assert main(["--lang", "zh", "diagnose", str(runs / "ill")]) == 0
    use_language("en")
    assert capsys.readouterr().out.startswith("一层的单元彼此相同 (第 1 层, 第 30 回合)")


def test_no_run(tmp_path, capsys):
    assert main(["diagnose", str(tmp_path / "none")]) == 2
    assert "holds no run" in capsys.readouterr().err


def test_a_training_that_diverges_is_diagnosed(tmp_path, capsys):
    words = [
        "train",
        "iris",
        "--optimizer",
        "sgd",
        "--lr",
        "1e20",
        "--quiet",
        "--diagnose",
        "--out",
        str(tmp_path / "r"),
    ]
    assert main(words) != 0
    assert "the learning rate is too high" in capsys.readouterr().out


def test_the_callback_reports():
    said = []
    glassnet.fit("iris", epochs=5, init="zeros", callbacks=[Diagnosis(report=said.append)])
    assert said[0].code == "symmetric_units"


def test_a_baseline_by_hand():
    """Least squares with each row left out, against doing just that."""
    from glassnet.inspection.case import _left_out

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 3)), rng.normal(size=(20, 2))
    design = np.column_stack([x, np.ones(20)])
    expected = np.empty_like(y)
    for n in range(20):
        rest = np.delete(np.arange(20), n)
        gram = design[rest].T @ design[rest] + 1e-3 * 20 * np.eye(4)
        expected[n] = design[n] @ np.linalg.solve(gram, design[rest].T @ y[rest])
    np.testing.assert_allclose(_left_out(x, y), expected)


def test_the_loss_of_a_constant_output():
    x = np.random.default_rng(0).normal(size=(40, 3))
    y = np.array([0] * 30 + [1] * 10)
    network = glassnet.Network.dense((3, 4, 2))
    watch = Diagnosis()
    glassnet.train(network, x, y, epochs=1, callbacks=[watch])
    trainer = glassnet.training.Trainer(network, glassnet.training.trainer.TrainingConfig.make(loss="cross_entropy"))
    trainer.fit(glassnet.data.examples.Examples(x, y))
    case = Case.of_trainer(trainer, watch.snapshots)
    assert case.constant_loss == pytest.approx(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))


@pytest.mark.parametrize("y", [np.zeros(60, int), np.zeros(60), np.arange(60) % 2], ids=["class", "number", "classes"])
@pytest.mark.parametrize("rows", [60, 2, 1])
def test_data_with_nothing_to_learn_are_no_error(y, rows):
    x = np.random.default_rng(0).normal(size=(60, 4))
    watch = Diagnosis()
    network = glassnet.Network.dense([4, 8, 2 if y.dtype == int else 1])
    glassnet.train(network, x[:rows], y[:rows], epochs=4, callbacks=[watch])
    assert "learning_rate_too_high" not in [finding.code for finding in watch.findings]
    for finding in watch.findings:
        json.dumps(finding.to_json(), allow_nan=False)


def test_a_frozen_layer_is_not_lost_in_rounding():
    x = np.random.default_rng(0).normal(size=(200, 6))
    network = glassnet.Network.dense([6, 32, 16, 2], seed=1)
    network.freeze([1])
    watch = Diagnosis()
    glassnet.train(network, x, (x[:, 0] + x[:, 1] > 0).astype(int), epochs=20, callbacks=[watch])
    assert [finding.code for finding in watch.findings] == []


@pytest.mark.parametrize(
    ("loss", "output"), [("log_loss", "logistic"), ("cross_entropy", "tanh"), ("cross_entropy", "relu")]
)
def test_outputs_that_a_loss_for_classes_cannot_use(loss, output):
    watch = Diagnosis()
    glassnet.fit("iris", epochs=5, loss=loss, output=output, callbacks=[watch])
    assert watch.findings[0].code == "wrong_loss"
