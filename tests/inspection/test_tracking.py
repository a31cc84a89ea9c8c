"""TensorBoard's event files, read back by TensorBoard."""

import sys

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import glassnet
from cases.halting import HaltAt
from glassnet.cli import main
from glassnet.errors import ConfigError, MissingExtraError, NotFiniteError
from glassnet.inspection import Tracker
from glassnet.network import Network

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard", "ignore::DeprecationWarning:google")


def read(folder):
    events = EventAccumulator(str(folder), size_guidance={"histograms": 0, "scalars": 0})
    events.Reload()
    return events


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("events")
    tracker = Tracker(folder=folder)
    run = glassnet.fit("iris", epochs=5, hidden=(6, 4), dropout=0.2, callbacks=[tracker])
    return run, tracker, read(folder)


def test_the_figures_of_every_epoch(tracked):
    run, _, events = tracked
    found = events.Scalars("loss/training")
    assert [event.step for event in found] == [1, 2, 3, 4, 5]
    assert [event.value for event in found] == pytest.approx(run.history["loss"], rel=1e-6)
    assert [event.value for event in events.Scalars("lr")] == pytest.approx(run.history["lr"], rel=1e-6)


def test_the_snapshots(tracked):
    _, tracker, events = tracked
    for number in (1, 2, 3):
        norms = [snapshot.layer(number).delta.norm for snapshot in tracker.snapshots]
        found = events.Scalars(f"norm of delta/layer {number}")
        assert [event.step for event in found] == [0, 1, 2, 3, 4, 5]
        assert [event.value for event in found] == pytest.approx(norms, rel=1e-6)
    last = events.Histograms("layer 1/W")[-1].histogram_value
    weights = tracker.snapshots[-1].layer(1).W
    assert (last.min, last.max) == (weights.least, weights.most)
    assert tuple(last.bucket) == weights.counts
    assert last.bucket_limit[-1] == weights.most


def test_the_graph(tracked):
    _, _, events = tracked
    graph = events.Graph()
    nodes = {node.name: node for node in graph.node}
    shapes = {name: [dim.size for dim in node.attr["_output_shapes"].list.shape[0].dim] for name, node in nodes.items()}
    assert list(nodes["layer_1/product"].input) == ["x", "layer_1/W"]
    assert shapes["layer_1/W"] == [6, 4]
    assert shapes["layer_3/z"] == [-1, 3]
    assert list(nodes["layer_2/product"].input) == ["dropout_1", "layer_2/W"]
    assert list(nodes["C"].input) == ["layer_3/a", "y"]
    assert nodes["C"].op == "cross_entropy"
    known = set(nodes)
    assert all(set(node.input) <= known for node in nodes.values())


def test_a_training_that_diverges_leaves_what_was_written(tmp_path):
    tracker = Tracker(folder=tmp_path)
    with pytest.raises(NotFiniteError):
        glassnet.fit("iris", epochs=3, optimiser="sgd", lr=1e30, callbacks=[tracker])
    assert [event.step for event in read(tmp_path).Scalars("norm of delta/layer 1")] == [0]


def test_the_command(tmp_path, capsys):
    run = tmp_path / "run"
    words = ["train", "iris", "--epochs", "2", "--quiet", "--track", "--out", str(run)]
    assert main(words) == 0
    first = list((run / "tensorboard").iterdir())
    assert len(first) == 1
    assert main([*words, "--overwrite"]) == 0
    second = list((run / "tensorboard").iterdir())
    assert len(second) == 1
    assert first != second
    assert len(read(run / "tensorboard").Scalars("loss/training")) == 2


def test_a_run_that_goes_on_is_tracked_from_there(tmp_path):
    options = {"epochs": 5, "early_stopping": "none", "out": tmp_path / "run"}
    glassnet.fit("iris", callbacks=[HaltAt(20)], **options)  # of 7 steps an epoch
    glassnet.fit("iris", callbacks=[Tracker(folder=tmp_path / "events")], resume=True, **options)
    steps = [event.step for event in read(tmp_path / "events").Scalars("norm of delta/layer 1")]
    assert steps == [2, 3, 4, 5]


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot write"):
        glassnet.fit("iris", epochs=1, callbacks=[Tracker(folder=tmp_path / "file" / "events")])


def test_without_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboard.summary.writer.event_file_writer", None)
    with pytest.raises(MissingExtraError, match="track"):
        glassnet.train(Network.dense((2, 2)), [[0.0, 1.0]], [1], epochs=1, callbacks=[Tracker(folder=tmp_path)])
