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
from glassnet.drawing.sample import dense_layers
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
    grad_W : ndarray (M, K)
        ∂C/∂W.
    grad_b : ndarray (M,) or None
        ∂C/∂b; None: the layer has no biases.
    """

    number: int
    grad_W: np.ndarray
    grad_b: np.ndarray | None


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
    """

    rows: int
    value: float
    layers: tuple[LayerGradients, ...]


def gradients(network: Network, loss: Loss | str, x: Any, y: Any) -> Gradients:
    """What :func:`draw_gradients` shows."""
    dense_layers(network)
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
    return Gradients(len(x), float(loss.value(output, y)), tuple(layers))


def draw_gradients(
    network: Network, loss: Loss | str, x: Any, y: Any, path: str | Path, *, dark: bool = False
) -> Path:
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
    figure.suptitle(title, fontsize=12, fontweight="bold")
    panels = figure.subplots(depth, 2, width_ratios=(3, 1), squeeze=False)
    for layer, (left, right) in zip(data.layers, panels, strict=True):
        _weights(figure, left, layer, theme)
        _biases(right, layer, theme)
    return figure


def _weights(figure: Figure, axes: Axes, layer: LayerGradients, theme: Theme) -> None:
    mapping = canvas.scale(theme, canvas.largest([layer.grad_W]))
    axes.imshow(layer.grad_W, cmap=mapping.cmap, norm=mapping.norm, aspect="auto")
    bar = figure.colorbar(mapping, ax=axes, pad=0.02)
    bar.ax.tick_params(labelsize=7)
    l = layer.number
    axes.set_title(f"$\\partial C / \\partial W^{{{l}}}$   {canvas.shape(*layer.grad_W.shape)}", fontsize=10)
    axes.set_xlabel(canvas.say("unit of layer {layer}", layer=l - 1), fontsize=8)
    axes.set_ylabel(canvas.say("unit of layer {layer}", layer=l), fontsize=8)
    _whole_ticks(axes.xaxis)
    _whole_ticks(axes.yaxis)
    axes.tick_params(labelsize=7)


def _biases(axes: Axes, layer: LayerGradients, theme: Theme) -> None:
    l, units = layer.number, len(layer.grad_W)
    axes.set_title(f"$\\partial C / \\partial b^{{{l}}}$   {canvas.shape(units)}", fontsize=10)
    axes.set_ylim(units - 0.5, -0.5)  # as the map beside it
    axes.spines[["top", "right"]].set_visible(False)
    _whole_ticks(axes.yaxis)
    axes.tick_params(labelsize=7)
    if layer.grad_b is None:
        axes.set_xticks([])
        axes.text(0.5, 0.5, canvas.say("no biases"), transform=axes.transAxes, ha="center", va="center", fontsize=9)
        return
    colours = [theme.positive if value > 0 else theme.negative for value in layer.grad_b]
    axes.barh(range(units), layer.grad_b, color=colours, height=0.8)
    limit = 1.08 * canvas.largest([layer.grad_b])
    axes.set_xlim(-limit, limit)
    axes.axvline(0, color=theme.faint, linewidth=0.7)
    axes.locator_params(axis="x", nbins=4)


def _whole_ticks(axis: Any) -> None:
    axis.set_major_locator(require("matplotlib.ticker", extra="plot").MaxNLocator(nbins=6, integer=True))
