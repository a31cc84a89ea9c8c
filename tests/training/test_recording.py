"""Snapshots: their numbers by hand and from the trace, and that taking them changes nothing."""

import numpy as np
import pytest

import glassnet
from glassnet import backprop
from glassnet.errors import ConfigError, ModelFileError
from glassnet.folders import RESULTS, SNAPSHOTS, read_snapshots
from glassnet.network import Network
from glassnet.runs import look_into
from glassnet.storage import digest, write_document
from glassnet.training import Recorder, Trainer
from glassnet.training.recording import BINS, SHARES, Distribution, from_jsonl, to_jsonl, twins


def test_a_distribution_by_hand():
    found = Distribution.of(np.array([[3.0, -4.0], [0.0, 1.0]]))
    assert found.norm == pytest.approx(26**0.5)
    assert found.rms == pytest.approx(6.5**0.5)
    assert (found.mean, found.least, found.most) == (0.0, -4.0, 3.0)
    assert found.quantiles[SHARES.index(0.01)] == -4.0
    assert found.quantiles[SHARES.index(0.99)] == 3.0
    width = 7 / BINS
    expected = [0] * BINS
    for value in (-4.0, 0.0, 1.0):
        expected[int((value + 4) / width)] += 1
    expected[-1] += 1  # the largest is in the last bin
    assert found.counts == tuple(expected)


def test_a_large_array_is_sampled_over_all_of_its_columns():
    values = np.zeros((300, 64), dtype=np.float32)
    values[:, 7] = 1.0
    found = Distribution.of(values)
    assert found.rms == pytest.approx(1 / 8)  # of all
    assert found.counts[-1] / sum(found.counts) == pytest.approx(1 / 64, rel=0.1)


def test_values_that_are_not_finite():
    found = Distribution.of(np.array([1.0, np.inf]))
    assert np.isnan(found.rms)
    assert found.most == np.inf


@pytest.mark.parametrize(
    ("rows", "share"),
    [
        ([[1.0, 2.0], [1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], 0.5),
        ([[1.0, 2.0], [2.0, 1.0], [3.0, 4.0]], 0.0),
        ([[0.0, 0.0]] * 3, 1.0),
        ([[1.0, 2.0]], 0.0),
    ],
)
def test_twins(rows, share):
    assert twins(np.array(rows)) == share


def test_units_with_another_bias_are_no_twins():
    assert twins(np.ones((2, 3)), np.array([0.0, 1.0])) == 0.0


def data(n=60):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 5))
    return x, (x[:, 0] + x[:, 1] ** 2 > 0.5).astype(int)


def recorded(network, recorder, **options):
    x, y = data()
    glassnet.train(network, x, y, callbacks=[recorder], **options)
    return x, y


def test_a_snapshots_numbers_are_those_of_backprop():
    network = Network.dense((5, 4, 2), "tanh", dtype="float64", seed=1)
    before = network.copy()
    recorder = Recorder()
    x, y = recorded(network, recorder, optimiser="sgd", lr=0.25, epochs=1, shuffle=False)
    snapshot = recorder.snapshots[0]
    value, grads = backprop(before, "cross_entropy", x, y)
    assert (snapshot.epoch, snapshot.step, snapshot.lr) == (0, 0, 0.25)
    assert snapshot.loss == pytest.approx(value)
    own = [backprop(before, "cross_entropy", x[n : n + 1], y[n : n + 1])[1] for n in range(len(x))]
    squares = [sum(float((g**2).sum()) for layer in row for g in layer.params.values()) for row in own]
    norm2 = 0.0
    for layer, theirs in zip(snapshot.layers, grads, strict=True):
        norm = sum(float((g**2).sum()) for g in theirs.params.values())
        norm2 += norm
        assert layer.gradient_norm == pytest.approx(norm**0.5)
        assert layer.gradient.norm == pytest.approx(np.linalg.norm(theirs.params["W"]))
        assert layer.update_norm == pytest.approx(0.25 * np.linalg.norm(theirs.params["W"]))
        assert layer.delta.norm == pytest.approx(len(x) * np.linalg.norm(theirs.delta))
        assert layer.update_ratio == pytest.approx(layer.update_norm / layer.W.norm)
    n = len(x)
    spread = (np.mean(squares) - norm2) * n / (n - 1)
    assert snapshot.noise == pytest.approx(spread / (norm2 - spread / n))


def test_dead_and_saturated_units():
    x, y = data()
    network = Network.dense((5, 4, 3, 2), ["relu", "logistic"], dtype="float64")
    network.layer(1).params["W"][:2] = 0.0
    network.layer(1).params["b"][:2] = -1.0
    network.layer(2).params["W"][:] = 0.0
    network.layer(2).params["b"][:] = [0.0, 0.0, 9.0]
    recorder = Recorder()
    glassnet.train(network, x, y, callbacks=[recorder], epochs=1)
    first, second, last = recorder.snapshots[0].layers
    assert first.dead == 0.5
    assert first.saturated is None
    assert second.saturated == pytest.approx(1 / 3)
    assert (second.dead, last.dead, last.saturated) == (None, None, None)


def test_steps_that_are_rounded_away():
    network = Network.dense((5, 4, 2), "tanh", seed=1)
    recorder = Recorder()
    recorded(network, recorder, optimiser="sgd", lr=1e-12, epochs=1)
    assert all(layer.still == 1.0 for layer in recorder.snapshots[-1].layers)


@pytest.mark.parametrize("engine", ["reference", "native"])
@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_training_goes_the_same_way(engine, optimiser):
    x, y = data()
    networks = []
    for callbacks in ([], [Recorder()]):
        network = Network.dense((5, 8, 2), "relu", dropout=0.3, seed=2)
        glassnet.train(network, x, y, epochs=4, optimiser=optimiser, engine=engine, callbacks=callbacks)
        networks.append(network)
    for (_, one), (_, other) in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("interval", "epochs", "expected"),
    [
        (None, 5, [0, 1, 2, 3, 4, 5]),
        (2, 5, [0, 2, 4, 5]),
        (None, 50, [*range(41), 42, 44, 46, 48, 50]),
    ],
)
def test_when_snapshots_are_taken(interval, epochs, expected):
    recorder = Recorder(interval=interval)
    recorded(Network.dense((5, 3, 2)), recorder, epochs=epochs)
    assert [snapshot.epoch for snapshot in recorder.snapshots] == expected
    assert recorder.seconds > 0


def test_lines_of_json_hold_all_of_it():
    recorder = Recorder()
    recorded(Network.dense((5, 3, 2), dropout=0.2), recorder, epochs=3)
    assert from_jsonl(to_jsonl(recorder.snapshots)) == recorder.snapshots


@pytest.mark.parametrize("options", [{"interval": 0}, {"rows": 0}])
def test_what_is_refused(options):
    with pytest.raises(ConfigError, match="must be 1 or more, not 0"):
        Recorder(**options)


def test_a_trainer_shows_its_examples():
    x, y = data()
    trainer = Trainer(Network.dense((5, 3, 2)), glassnet.training.trainer.TrainingConfig.make(loss="cross_entropy"))
    assert trainer.examples is None
    trainer.fit(glassnet.data.examples.Examples(x, y))
    assert len(trainer.examples) == len(x)


# Runs


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A run with snapshots and one without."""
    root = tmp_path_factory.mktemp("runs")
    for name, record in (("with", True), ("without", False)):
        glassnet.fit("iris", epochs=4, out=root / name, record=record)
    return root


def test_a_run_without_snapshots_is_trained_again(folders):
    notes = []
    inside = look_into(folders / "without", notes.append)
    assert "trained again" in notes[0]
    assert len(notes) == 1
    assert inside.snapshots == read_snapshots(folders / "with")
    assert not (folders / "without" / SNAPSHOTS).exists()


def test_a_run_with_snapshots_is_not(folders):
    notes = []
    inside = look_into(folders / "with", notes.append)
    assert notes == []
    assert [snapshot.epoch for snapshot in inside.snapshots] == [0, 1, 2, 3, 4]
    assert (len(inside.train_set), len(inside.validation_set), len(inside.test_set)) == (108, 12, 30)


def test_other_data_than_then(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "rows.npz"
    x = rng.normal(size=(80, 3))
    np.savez(path, x=x, y=(x[:, 0] > 0).astype(int))
    glassnet.fit(path, epochs=2, out=tmp_path / "run")
    np.savez(path, x=x + 1, y=(x[:, 1] > 0).astype(int))
    notes = []
    look_into(tmp_path / "run", notes.append)
    assert "did not go the same way" in notes[1]


def test_no_run(tmp_path):
    with pytest.raises(ConfigError, match="holds no run"):
        look_into(tmp_path)


def test_a_run_on_objects_of_python(tmp_path):
    glassnet.fit(data(), epochs=1, out=tmp_path / "run")
    with pytest.raises(ConfigError, match="does not say which data"):
        look_into(tmp_path / "run")


@pytest.mark.parametrize("text", ["{", "[]\n", '{"epoch": 1}\n', "\xff"])
def test_snapshots_that_cannot_be_read(tmp_path, text):
    content = text.encode("latin-1")
    (tmp_path / SNAPSHOTS).write_bytes(content)
    write_document(tmp_path / RESULTS, {"files": {SNAPSHOTS: digest(content)}})
    with pytest.raises(ModelFileError, match=r"snapshots\.jsonl is damaged"):
        read_snapshots(tmp_path)


def test_an_overwritten_run_has_no_old_snapshots(tmp_path):
    glassnet.fit("iris", epochs=1, out=tmp_path / "run", record=True)
    glassnet.fit("iris", epochs=1, out=tmp_path / "run", overwrite=True)
    assert read_snapshots(tmp_path / "run") == []
