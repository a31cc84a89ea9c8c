"""The gradients of a batch: a map of ∂C/∂W and bars of ∂C/∂b for each layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glassnet.arrays import to_numpy
from glassnet.backprop import backward_pass, forward_pass
from glassnet.drawing import canvas
from glassnet.drawing.canvas import Axes, Figure, Theme
from glassnet.drawing.sample import Names, check_kinds, has_dropout
from glassnet.errors import ConfigError, require
from glassnet.layers import Dropout
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
    scales : bool
        Whether that is of the variant "plain", so that p a takes the place of a.
    """

    rows: int
    value: float
    layers: tuple[LayerGradients, ...]
    leaves_out_dropout: bool
    scales: bool


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
    scales = any(isinstance(layer, Dropout) and layer.variant == "plain" for layer in network.layers)
    return Gradients(len(x), float(loss.value(output, y)), tuple(layers), has_dropout(network), scales)


def draw_gradients(
    network: Network,
    loss: Loss | str,
    x: Any,
    y: Any,
    path: str | Path,
    *,
    names: Names | None = None,
    dark: bool = False,
) -> Path:
    """Draw the gradients of a batch's mean loss, without dropout: a map of ∂C/∂W and bars of ∂C/∂b for each layer.

    Where the inputs are images, layer 1 is shown as images, too: each unit's gradient has a pixel for each of its
    weights.

    Parameters
    ----------
    network : Network
    loss : Loss or its name
    x, y : array
        A batch, as :func:`glassnet.backprop` takes it.
    path : str or Path
        The picture's file; its ending decides the form (``.png``, ``.svg``, ``.pdf``).
    names : Names, optional
        What the inputs and outputs are called, or the image that the inputs are.
    dark : bool, default False
        Light on dark.

    Raises
    ------
    ConfigError
        If there are no rows, there are not as many names as units, or the file's ending is not one that can be drawn.
    MissingExtraError
        If matplotlib is not installed (the extra ``plot``).
    """
    path = canvas.check_file(path)
    names = (names or Names()).check(network)
    data = gradients(network, loss, x, y)
    with canvas.themed(dark) as theme:
        return canvas.save(paint(data, theme, names), path)


def paint(data: Gradients, theme: Theme, names: Names | None = None) -> Figure:
    """The picture."""
    names = names or Names()
    depth = len(data.layers)
    head, height = 0.95, depth * min(2.5, max(1.6, 8 / depth))
    figure = require("matplotlib.figure", extra="plot").Figure(figsize=(9.5, head + height), layout="constrained")
    figure.get_layout_engine().set(rect=(0.01, 0.01, 0.98, height / (head + height) - 0.01))
    title = canvas.say("Gradients of a batch of {rows}: C = {value}", rows=data.rows, value=canvas.number(data.value))
    if data.leaves_out_dropout:
        title += canvas.say(", without dropout")
    figure.set_label(title)
    for y, text, size, weight in ((0.25, title, 12, "bold"), (0.65, _equations(data), 11, "normal")):
        figure.text(0.03, 1 - y / (head + height), text, fontsize=size, fontweight=weight, va="center")
    panels = figure.subplots(depth, 2, width_ratios=(3, 1), squeeze=False)
    for layer, (left, right) in zip(data.layers, panels, strict=True):
        if layer.number == 1 and names.image:
            _images(figure, left, layer, names.image, theme, rows=2 if depth <= 3 else 1)
        else:
            _weights(figure, left, layer, theme)
        _biases(right, layer, theme)
        if layer is data.layers[-1]:
            _name_ticks(left.yaxis, names.outputs, canvas.ROOM)
        if layer.number == 1:
            _name_ticks(left.xaxis, names.inputs, 6)
    return figure


def _equations(data: Gradients) -> str:
    below = "(p^{l-1} a_n^{l-1})" if data.scales else "(a_n^{l-1})"
    mean = r"\frac{1}{N} \sum_n \;"
    bp3 = rf"BP.3   $\partial C/\partial b^l = {mean} \, \delta_n^l$"
    bp4 = rf"BP.4   $\partial C/\partial W^l = {mean} \, \delta_n^l {below}^\top$"
    biases = any(layer.bias_gradient is not None for layer in data.layers)
    return f"{bp4}          {bp3}" if biases else bp4


def _bar(figure: Figure, axes: Axes, mapping: Any) -> None:
    """The colour bar of a map."""
    limit = mapping.norm.vmax
    bar = figure.colorbar(mapping, ax=axes, pad=0.02)
    bar.set_ticks([-limit, 0.0, limit], labels=[canvas.number(v) for v in (-limit, 0.0, limit)])
    bar.ax.tick_params(labelsize=7)


def _weights(figure: Figure, axes: Axes, layer: LayerGradients, theme: Theme) -> None:
    mapping = canvas.scale(theme, canvas.largest([layer.weight_gradient]))
    (M, K), blocks = layer.weight_gradient.shape, strongest(layer.weight_gradient, DOTS)
    extent = (-0.5, K - 0.5, M - 0.5, -0.5)
    axes.imshow(blocks, cmap=mapping.cmap, norm=mapping.norm, aspect="auto", extent=extent, interpolation="none")
    _bar(figure, axes, mapping)
    l = layer.number
    title = f"$\\partial C / \\partial W^{{{l}}}$   {canvas.shape(M, K)}"
    if blocks.shape != (M, K):
        title += "   " + canvas.say("(each dot: the largest of several)")
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel(canvas.say("input") if l == 1 else canvas.say("unit of layer {layer}", layer=l - 1), fontsize=8)
    axes.set_ylabel(canvas.say("unit of layer {layer}", layer=l), fontsize=8)
    _whole_ticks(axes.xaxis)
    _whole_ticks(axes.yaxis)
    axes.tick_params(labelsize=7)


def _name_ticks(axis: Any, names: Sequence[str], most: int) -> None:
    """Units' names in place of their numbers, where there is room for all."""
    if 0 < len(names) <= most:
        axis.set_ticks(range(len(names)), [canvas.shortened(name, 16) for name in names], fontsize=7)
        for label in axis.get_ticklabels():
            label.set_parse_math(False)


TILES = 8  # images in a row


def _images(
    figure: Figure, axes: Axes, layer: LayerGradients, image: tuple[int, int], theme: Theme, *, rows: int
) -> None:
    """Each unit's ∂C/∂W as an image; of many units those with the largest."""
    l, (M, K) = layer.number, layer.weight_gradient.shape
    fold = canvas.fold(np.abs(layer.weight_gradient).max(axis=1), rows * TILES)
    units = list(fold.units)
    mapping = canvas.scale(theme, canvas.largest([layer.weight_gradient]))
    sheet, corners = mosaic(layer.weight_gradient[units].reshape(-1, *image), TILES)
    axes.imshow(np.ma.masked_invalid(sheet), cmap=mapping.cmap, norm=mapping.norm, interpolation="none")
    patches = require("matplotlib.patches", extra="plot")
    for unit, (row, column) in zip(units, corners, strict=True):
        frame = (column - 0.5, row - 0.5), image[1], image[0]
        axes.add_patch(patches.Rectangle(*frame, facecolor="none", edgecolor=theme.faint, linewidth=0.6))
        axes.text(column - 0.5, row - 0.8, f"{unit}", fontsize=7, va="bottom", ha="left")
    _bar(figure, axes, mapping)
    title = f"$\\partial C / \\partial W^{{{l}}}$   {canvas.shape(M, K)}   "
    title += canvas.say("an image of {height} × {width} for each unit", height=image[0], width=image[1])
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_axis_off()
    axes.set_anchor("W")
    if fold.more:
        text = canvas.say("{n} more", n=f"{fold.more:,}")
        axes.text(1, -0.02, text, fontsize=7.5, ha="right", va="top", transform=axes.transAxes)


def mosaic(images: np.ndarray, columns: int) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Images (n, height, width) in rows of so many, NaN between them; and where the left upper pixel of each is."""
    n, height, width = images.shape
    columns = min(columns, n)
    down, across = height + max(2, 3 * height // 10), width + max(1, width // 6)
    rows = -(-n // columns)
    sheet = np.full((rows * down, columns * across), np.nan)
    corners = [(down * (i // columns) + down - height, across * (i % columns)) for i in range(n)]
    for image, (row, column) in zip(images, corners, strict=True):
        sheet[row : row + height, column : column + width] = image
    return sheet, corners


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
    axes.set_title(f"$\\partial C / \\partial b^{{{l}}}$   {canvas.shape(units)}", fontsize=10, loc="left")
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
