"""The gradients of a batch: a map of ∂C/∂W and bars of ∂C/∂b for each layer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glassnet.arrays import to_numpy
from glassnet.backprop import backward_pass, forward_pass
from glassnet.drawing import canvas
from glassnet.drawing.canvas import Axes, Figure, Theme
from glassnet.drawing.sample import check_kinds, has_dropout
from glassnet.errors import ConfigError, require
from glassnet.losses import Loss
from glassnet.messages import say
from glassnet.network import Network


@dataclass(frozen=True)
class LayerGradients:
    """The gradients of one layer.

    Attributes
    ----------
    number : int
        l, from 1.
    weight_gradient : ndarray (M, K)
        ∂C/∂W.
    bias_gradient : ndarray (M,) or None
        ∂C/∂b; None: the layer has no biases.
    """

    number: int
    weight_gradient: np.ndarray
    bias_gradient: np.ndarray | None


@dataclass(frozen=True)
class Gradients:
    """The gradients of a batch.

    Attributes
    ----------
    rows : int
        N.
    value : float
        C, the mean over the batch.
    layers : tuple of LayerGradients
        Layers 1 to L.
    leaves_out_dropout : bool
        Whether the network has dropout, which is off here.
    """

    rows: int
    value: float
    layers: tuple[LayerGradients, ...]
    leaves_out_dropout: bool


def gradients(network: Network, loss: Loss | str, x: Any, y: Any) -> Gradients:
    """What :func:`draw_gradients` shows."""
    check_kinds(network)
    x, y, _, loss = network.checked_batch(x, y, None, loss)
    if len(x) == 0:
        raise ConfigError(say("there are no rows: gradients need a batch of at least one"))
    output, caches = forward_pass(network, x, None)
    grads = backward_pass(network, caches, loss.gradient(output, y))
    layers = []
    for layer, own in zip(network.layers, grads, strict=True):
        if layer.params:
            params = {name: to_numpy(gradient) for name, gradient in own.params.items()}
            layers.append(LayerGradients(layer.number, params["W"], params.get("b")))
    return Gradients(len(x), float(loss.value(output, y)), tuple(layers), has_dropout(network))


def draw_gradients(network: Network, loss: Loss | str, x: Any, y: Any, path: str | Path, *, dark: bool = False) -> Path:
    """Draw the gradients of a batch's mean loss, without dropout: a map of ∂C/∂W and bars of ∂C/∂b for each layer.

    Parameters
    ----------
    network : Network
    loss : Loss or its name
    x, y : array
        A batch, as :func:`glassnet.backprop` takes it.
    path : str or Path
        The picture's file; its ending decides the form (``.png``, ``.svg``, ``.pdf``).
    dark : bool, default False
        Light on dark.

    Raises
    ------
    ConfigError
        If there are no rows, or the file's ending is not one that can be drawn.
    MissingExtraError
        If matplotlib is not installed (the extra ``plot``).
    """
    path = canvas.check_file(path)
    data = gradients(network, loss, x, y)
    with canvas.themed(dark) as theme:
        return canvas.save(paint(data, theme), path)


def paint(data: Gradients, theme: Theme) -> Figure:
    """The picture."""
    depth = len(data.layers)
    size = (10, 0.9 + 2.4 * depth)
    figure = require("matplotlib.figure", extra="plot").Figure(figsize=size, layout="constrained")
    title = canvas.say(
        "gradients of a batch of {rows}: C = {value}", rows=data.rows, value=canvas.number(data.value, 4)
    )
    if data.leaves_out_dropout:
        title += canvas.say(", without dropout")
    figure.suptitle(title, fontsize=12, fontweight="bold")
    panels = figure.subplots(depth, 2, width_ratios=(3, 1), squeeze=False)
    for layer, (left, right) in zip(data.layers, panels, strict=True):
        _weights(figure, left, layer, theme)
        _biases(right, layer, theme)
    return figure


def _weights(figure: Figure, axes: Axes, layer: LayerGradients, theme: Theme) -> None:
    mapping = canvas.scale(theme, canvas.largest([layer.weight_gradient]))
    (M, K), blocks = layer.weight_gradient.shape, strongest(layer.weight_gradient, DOTS)
    extent = (-0.5, K - 0.5, M - 0.5, -0.5)
    axes.imshow(blocks, cmap=mapping.cmap, norm=mapping.norm, aspect="auto", extent=extent, interpolation="nearest")
    bar = figure.colorbar(mapping, ax=axes, pad=0.02)
    bar.ax.tick_params(labelsize=7)
    l = layer.number
    title = f"$\\partial C / \\partial W^{{{l}}}$   {canvas.shape(M, K)}"
    if blocks.shape != (M, K):
        title += "   " + canvas.say("(each dot: the largest of several)")
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(canvas.say("unit of layer {layer}", layer=l - 1), fontsize=8)
    axes.set_ylabel(canvas.say("unit of layer {layer}", layer=l), fontsize=8)
    _whole_ticks(axes.xaxis)
    _whole_ticks(axes.yaxis)
    axes.tick_params(labelsize=7)


DOTS = (120, 480)  # rows and columns that a map can show


def strongest(matrix: np.ndarray, most: tuple[int, int]) -> np.ndarray:
    """A matrix of at most so many rows and columns: of each block of entries the one with the largest |value|."""
    (M, K), (rows, columns) = matrix.shape, most
    height, width = -(-M // rows), -(-K // columns)
    padded = np.pad(matrix, ((0, -M % height), (0, -K % width)))
    down, across = padded.shape[0] // height, padded.shape[1] // width
    blocks = padded.reshape(down, height, across, width).swapaxes(1, 2)
    entries = blocks.reshape(down, across, height * width)
    where = np.abs(entries).argmax(axis=2)
    return np.asarray(np.take_along_axis(entries, where[:, :, None], axis=2)[:, :, 0])


def _biases(axes: Axes, layer: LayerGradients, theme: Theme) -> None:
    l, units = layer.number, len(layer.weight_gradient)
    axes.set_title(f"$\\partial C / \\partial b^{{{l}}}$   {canvas.shape(units)}", fontsize=10)
    axes.set_ylim(units - 0.5, -0.5)  # as the map beside it
    axes.spines[["top", "right"]].set_visible(False)
    _whole_ticks(axes.yaxis)
    axes.tick_params(labelsize=7)
    if layer.bias_gradient is None:
        axes.set_xticks([])
        axes.text(0.5, 0.5, canvas.say("no biases"), transform=axes.transAxes, ha="center", va="center", fontsize=9)
        return
    colours = [theme.positive if value > 0 else theme.negative for value in layer.bias_gradient]
    axes.add_collection(_bars(layer.bias_gradient, colours), autolim=False)
    limit = 1.08 * canvas.largest([layer.bias_gradient])
    axes.set_xlim(-limit, limit)
    axes.axvline(0, color=theme.faint, linewidth=0.7)
    axes.locator_params(axis="x", nbins=4)


def _bars(values: np.ndarray, colours: list[str]) -> Any:
    """Horizontal bars from 0, as one object: a thousand of them cost no more than ten."""
    ends = np.arange(len(values))[:, None] + np.array([-0.4, -0.4, 0.4, 0.4])
    corners = np.stack([values[:, None] * np.array([0, 1, 1, 0]), ends], axis=2)
    collections = require("matplotlib.collections", extra="plot")
    return collections.PolyCollection(corners, facecolors=colours, edgecolors=colours, linewidths=0.4)


def _whole_ticks(axis: Any) -> None:
    axis.set_major_locator(require("matplotlib.ticker", extra="plot").MaxNLocator(nbins=6, integer=True))
