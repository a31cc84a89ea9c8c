"""A training written down for TensorBoard: figures, snapshots and the network's graph. Needs the extra ``track``.

Only TensorBoard's own writer of event files is used; neither TensorFlow nor torch is imported.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from glassnet.errors import ConfigError, require, unwritable
from glassnet.layers import Dense, Dropout
from glassnet.losses import Loss
from glassnet.network import Network
from glassnet.training.recording import BINS, Distribution, Recorder, Snapshot
from glassnet.training.trainer import Trainer

_FIGURES = {  # in an epoch's record, and where TensorBoard shows them
    "loss": "loss/training",
    "val_loss": "loss/validation",
    "accuracy": "accuracy/training",
    "val_accuracy": "accuracy/validation",
    "r2": "r2/training",
    "val_r2": "r2/validation",
    "penalty": "loss/penalty",
    "lr": "lr",
    "seconds": "seconds",
}


@dataclass
class Tracker(Recorder):
    """Writes event files for TensorBoard while a network is trained.

    Every epoch's figures, of every snapshot the norms and distributions of each layer, and once the graph. The axis is
    the epoch.

    Parameters
    ----------
    interval, rows : as in Recorder
    folder : str or Path
        Where the event files go; ``tensorboard --logdir`` wants it, or a folder above it.

    Raises
    ------
    MissingExtraError
        If tensorboard is not installed (the extra ``track``), when training begins.
    ConfigError
        If the folder cannot be written.

    Examples
    --------
    >>> import glassnet, tempfile
    >>> from glassnet.inspection import Tracker
    >>> folder = tempfile.mkdtemp()
    >>> run = glassnet.fit("iris", epochs=5, callbacks=[Tracker(folder=folder)])  # doctest: +SKIP
    """

    folder: str | Path = "tensorboard"
    _writer: Any = field(default=None, repr=False)

    def on_train_begin(self, trainer: Trainer) -> None:
        """Open the file, and write the graph and the first snapshot."""
        writers = require("tensorboard.summary.writer.event_file_writer", extra="track")
        try:
            Path(self.folder).mkdir(parents=True, exist_ok=True)
            self._writer = writers.EventFileWriter(str(self.folder))
        except OSError as error:
            raise unwritable(ConfigError, self.folder, error) from error
        events = require("tensorboard.compat.proto.event_pb2", extra="track")
        graph = _graph(trainer.network, trainer.loss)
        self._writer.add_event(events.Event(wall_time=time.time(), graph_def=graph.SerializeToString()))
        super().on_train_begin(trainer)

    def on_epoch_end(self, trainer: Trainer, record: dict[str, Any]) -> None:
        """Write the figures, and a snapshot if one is taken."""
        super().on_epoch_end(trainer, record)
        started = time.perf_counter()
        self._write([_scalar(tag, record[key]) for key, tag in _FIGURES.items() if key in record], record["epoch"])
        self.seconds += time.perf_counter() - started

    def on_train_end(self, trainer: Trainer) -> None:
        """Write the last snapshot and close the file."""
        super().on_train_end(trainer)
        self._writer.close()

    def on_failure(self, trainer: Trainer, error: Exception) -> None:
        """Close the file: what was written stands."""
        self._writer.close()

    def _take(self, trainer: Trainer, epoch: int) -> None:
        super()._take(trainer, epoch)
        started = time.perf_counter()
        self._write(list(_values(self.snapshots[-1])), epoch)
        self.seconds += time.perf_counter() - started

    def _write(self, values: list[Any], epoch: int) -> None:
        events = require("tensorboard.compat.proto.event_pb2", extra="track")
        summaries = require("tensorboard.compat.proto.summary_pb2", extra="track")
        summary = summaries.Summary(value=values)
        self._writer.add_event(events.Event(wall_time=time.time(), step=epoch, summary=summary))


def _values(snapshot: Snapshot) -> Iterator[Any]:
    """What a snapshot holds, by layer."""
    if snapshot.noise is not None:
        yield _scalar("gradient noise scale", snapshot.noise)
    for layer in snapshot.layers:
        yield _scalar(f"norm of delta/layer {layer.number}", layer.delta.norm)
        yield _scalar(f"norm of the gradient/layer {layer.number}", layer.gradient_norm)
        yield _scalar(f"norm of the update/layer {layer.number}", layer.update_norm)
        yield _scalar(f"update by weight/layer {layer.number}", layer.update_ratio)
        if layer.dead is not None:
            yield _scalar(f"dead units/layer {layer.number}", layer.dead)
        if layer.saturated is not None:
            yield _scalar(f"saturated/layer {layer.number}", layer.saturated)
        for name in ("z", "a", "delta", "W", "gradient"):
            yield _histogram(f"layer {layer.number}/{name}", getattr(layer, name))


def _scalar(tag: str, value: float) -> Any:
    summaries = require("tensorboard.compat.proto.summary_pb2", extra="track")
    return summaries.Summary.Value(tag=tag, simple_value=value)


def _histogram(tag: str, values: Distribution) -> Any:
    summaries = require("tensorboard.compat.proto.summary_pb2", extra="track")
    count = sum(values.counts)
    histogram = summaries.HistogramProto(
        min=values.least,
        max=values.most,
        num=count,
        sum=values.mean * count,
        sum_squares=values.rms**2 * count,
        bucket_limit=np.linspace(values.least, values.most, BINS + 1)[1:],
        bucket=values.counts,
    )
    return summaries.Summary.Value(tag=tag, histo=histogram)


# The graph


def _graph(network: Network, loss: Loss) -> Any:
    """The forward pass as TensorBoard draws graphs: operations, with the shapes of what they put out."""
    graphs = require("tensorboard.compat.proto.graph_pb2", extra="track")
    graph = graphs.GraphDef()
    graph.versions.producer = 22
    above = _node(graph, "x", "Placeholder", (), (-1, network.sizes[0]))
    width = network.sizes[0]
    for layer in network.layers:
        if isinstance(layer, Dropout):
            name = f"dropout_{layer.number}"
            above = _node(graph, name, f"Dropout(keep={layer.keep:g})", (above,), (-1, width))
        elif isinstance(layer, Dense):
            scope, width = f"layer_{layer.number}", layer.params["W"].shape[0]
            W = _node(graph, f"{scope}/W", "Variable", (), tuple(layer.params["W"].shape))
            above = _node(graph, f"{scope}/product", "MatMul", (above, W), (-1, width))
            if "b" in layer.params:
                b = _node(graph, f"{scope}/b", "Variable", (), (width,))
                above = _node(graph, f"{scope}/z", "Add", (above, b), (-1, width))
            above = _node(graph, f"{scope}/a", layer.activation.name, (above,), (-1, width))
    y = _node(graph, "y", "Placeholder", (), (-1, width))
    _node(graph, "C", loss.name, (above, y), ())
    return graph


def _node(graph: Any, name: str, operation: str, inputs: tuple[str, ...], shape: tuple[int, ...]) -> str:
    node = graph.node.add(name=name, op=operation, input=inputs)
    output = node.attr["_output_shapes"].list.shape.add()
    for size in shape:
        output.dim.add(size=size)
    return name
