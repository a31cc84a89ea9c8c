"""The forward and the backward pass of one sample, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glassnet.drawing import canvas
from glassnet.drawing.canvas import Axes, Figure, Fold, Theme
from glassnet.drawing.sample import LayerPass, Sample, follow
from glassnet.losses import Loss
from glassnet.network import Network

GAP = 1.75  # from layer to layer, in inches
LEFT, RIGHT, HEAD, FOOT = 0.75, 1.15, 1.25, 1.1  # a panel's margins


@dataclass(frozen=True)
class Passes:
    """What is shown.

    Attributes
    ----------
    sample : Sample
    folds : tuple of Fold
        Of layers 0 to L: the units with the largest values. A unit's value is its |a| or |δ|, each as a share of the
        layer's largest, whichever is larger.
    """

    sample: Sample
    folds: tuple[Fold, ...]

    def forward_edges(self, l: int) -> tuple[np.ndarray, np.ndarray]:
        """W and W a_in between the shown units of layers l − 1 and l, (units of l, units of l − 1) each."""
        layer = self.sample.layer(l)
        W = layer.W[np.ix_(self.folds[l].units, self.folds[l - 1].units)]
        return W, W * layer.a_in[list(self.folds[l - 1].units)]

    def backward_edges(self, l: int) -> np.ndarray:
        """∂C/∂W between the shown units of layers l − 1 and l, (units of l, units of l − 1)."""
        return self.sample.layer(l).weight_gradient[np.ix_(self.folds[l].units, self.folds[l - 1].units)]


def passes(network: Network, loss: Loss | str, x: Any, y: Any, *, row: int = 0) -> Passes:
    """What :func:`draw_passes` shows."""
    sample = follow(network, loss, x, y, row)
    scores = [np.abs(sample.x), *(_score(layer) for layer in sample.layers)]
    return Passes(sample, tuple(canvas.fold(score) for score in scores))


def _score(layer: LayerPass) -> np.ndarray:
    shares = [np.abs(values) / canvas.largest([values]) for values in (layer.a, layer.delta)]
    return np.asarray(np.maximum(*shares))


def draw_passes(
    network: Network, loss: Loss | str, x: Any, y: Any, path: str | Path, *, row: int = 0, dark: bool = False
) -> Path:
    """Draw the forward and the backward pass of one sample, in two pictures of the same network.

    Forward, units are coloured by a, and edges by the sign of their weight, the wider the larger |W a|. Backward, units
    are coloured by δ and edges by ∂C/∂W. Of large layers only the units with the largest values are shown.

    Parameters
    ----------
    network : Network
    loss : Loss or its name
    x, y : array
        A batch, as :func:`glassnet.backprop` takes it.
    path : str or Path
        The picture's file; its ending decides the form (``.png``, ``.svg``, ``.pdf``).
    row : int, default 0
        The sample's place in the batch. δ is the sample's own: N times that of a batch of N.
    dark : bool, default False
        Light on dark.

    Raises
    ------
    ConfigError
        If there is no such row, or the file's ending is not one that can be drawn.
    MissingExtraError
        If matplotlib is not installed (the extra ``plot``).
    """
    path = canvas.check_file(path)
    data = passes(network, loss, x, y, row=row)
    with canvas.themed(dark) as theme:
        return canvas.save(paint(data, theme), path)


def paint(data: Passes, theme: Theme) -> Figure:
    """The picture."""
    depth = len(data.sample.layers)
    width = max(LEFT + GAP * depth + RIGHT, 5.2)  # the note below is as wide
    height = HEAD + canvas.height_of(data.folds) + FOOT
    beside = depth <= 3  # else one below the other
    total = (2 * width, height) if beside else (width, 2 * height)
    figure, axes = canvas.sheet(total[0], total[1] + 0.45)
    title = canvas.say("sample {row}: C = {value}", row=data.sample.row, value=canvas.number(data.sample.value, 4))
    if data.sample.leaves_out_dropout:
        title += canvas.say(", without dropout")
    axes.text(LEFT - 0.4, total[1] + 0.2, title, fontsize=12, fontweight="bold", va="center")
    _forward(figure, axes, data, theme, 0.0, 0.0 if beside else height, height)
    _backward(figure, axes, data, theme, width if beside else 0.0, 0.0, height)
    return figure


def _forward(figure: Figure, axes: Axes, data: Passes, theme: Theme, left: float, bottom: float, height: float) -> None:
    sample = data.sample
    values = [sample.x, *(layer.a for layer in sample.layers)]
    mapping = canvas.scale(theme, canvas.largest([v[list(f.units)] for v, f in zip(values, data.folds, strict=True)]))
    places = _places(data.folds, left, bottom + FOOT, height)
    for l in range(1, len(values)):
        W, products = data.forward_edges(l)
        _edges(axes, places, l, W, products, theme)
    for l, (units, heights) in enumerate(zip(data.folds, places[1], strict=True)):
        zs = None if l == 0 else sample.layers[l - 1].z
        _units(axes, units, places[0][l], heights, values[l], mapping, theme, zs)
    _outputs(axes, data, places, theme)
    _heads(axes, data, places[0], bottom + height, ("$x = a^{0}$", "$z^{LAYER},\\ a^{LAYER}$", "$W^{LAYER}$"), theme)
    title = canvas.say("forward pass →")
    note = canvas.say("edges: the weight's sign, the wider the larger |W·a|")
    _frame(figure, axes, mapping, title, note, "$a$", (left, bottom, height), theme)


def _backward(
    figure: Figure, axes: Axes, data: Passes, theme: Theme, left: float, bottom: float, height: float
) -> None:
    layers = data.sample.layers
    shown = [layer.delta[list(f.units)] for layer, f in zip(layers, data.folds[1:], strict=True)]
    mapping = canvas.scale(theme, canvas.largest(shown))
    places = _places(data.folds, left, bottom + FOOT, height)
    for layer in layers:
        grad_W = data.backward_edges(layer.number)
        _edges(axes, places, layer.number, grad_W, grad_W, theme)
    _units(axes, data.folds[0], places[0][0], places[1][0], None, mapping, theme)
    for layer in layers:
        l = layer.number
        _units(axes, data.folds[l], places[0][l], places[1][l], layer.delta, mapping, theme)
    symbols = ("$a^{0}$", r"$\delta^{LAYER}$", r"$\partial C / \partial W^{LAYER}$")
    _heads(axes, data, places[0], bottom + height, symbols, theme)
    title = canvas.say("← backward pass")
    note = canvas.say("edges: ∂C/∂W; the sample's own δ, N times that of a batch of N; ∂C/∂b = δ")
    _frame(figure, axes, mapping, title, note, r"$\delta$", (left, bottom, height), theme)


Places = tuple[list[float], list[np.ndarray]]
"""Where the columns stand, and their units' heights."""


def _places(folds: Sequence[Fold], left: float, bottom: float, height: float) -> Places:
    middle = bottom + (height - HEAD - FOOT) / 2
    return [left + LEFT + GAP * l for l in range(len(folds))], [canvas.column(fold, middle) for fold in folds]


def _edges(axes: Axes, places: Places, l: int, signs: np.ndarray, values: np.ndarray, theme: Theme) -> None:
    """From the shown units of layer l − 1 to those of layer l."""
    xs, heights = places
    above, below = signs.shape
    ends = [((xs[l - 1], heights[l - 1][k]), (xs[l], heights[l][j])) for j in range(above) for k in range(below)]
    colours = [theme.positive if sign > 0 else theme.negative for sign in signs.ravel()]
    canvas.draw_lines(axes, np.array(ends), colours, np.abs(values.ravel()) / canvas.largest([values]))


def _units(
    axes: Axes,
    fold: Fold,
    x: float,
    heights: np.ndarray,
    values: np.ndarray | None,
    mapping: Any,
    theme: Theme,
    zs: np.ndarray | None = None,
) -> None:
    """A column of units with their values, each with its number (and z) above it."""
    for unit, y in zip(fold.units, heights, strict=False):
        fill = theme.paper if values is None else mapping.to_rgba(values[unit])
        text = "" if values is None else canvas.short(values[unit])
        canvas.draw_unit_circle(axes, x, y, fill=fill, edge=theme.faint, text=text)
        label = f"{unit}" if zs is None else f"{unit}:  z {canvas.number(zs[unit])}"
        canvas.draw_label(axes, x, y + canvas.RADIUS + 0.08, label, theme)
    if fold.more:
        canvas.draw_more(axes, x, heights[-1], canvas.say("{n} more", n=f"{fold.more:,}"))


def _outputs(axes: Axes, data: Passes, places: Places, theme: Theme) -> None:
    """Beside each output its prediction and target."""
    sample = data.sample
    for unit, y in zip(data.folds[-1].units, places[1][-1], strict=False):
        x = places[0][-1] + canvas.RADIUS + 0.12
        if sample.loss.takes_logits:
            axes.text(x, y + 0.08, f"$p$ {canvas.number(sample.prediction[unit])}", fontsize=7, va="center")
        shift = -0.08 if sample.loss.takes_logits else 0.0
        axes.text(x, y + shift, f"$y$ {canvas.number(sample.target[unit])}", fontsize=7, va="center")


def _heads(
    axes: Axes, data: Passes, xs: Sequence[float], top: float, symbols: tuple[str, str, str], theme: Theme
) -> None:
    """Above each column what it shows, how many units it has and their activation; between them the edges' symbol."""
    first, units_symbol, edges_symbol = symbols
    for l, x in enumerate(xs):
        layer = data.sample.layers[l - 1] if l else None
        symbol = units_symbol.replace("LAYER", str(l)) if l else first
        axes.text(x, top - 0.62, symbol, ha="center", va="center", fontsize=12)
        if l:
            symbol = edges_symbol.replace("LAYER", str(l))
            axes.text(x - GAP / 2, top - 0.62, symbol, ha="center", va="center", fontsize=9, color=theme.faint)
        units = len(data.sample.x) if layer is None else len(layer.z)
        about = f"{units:,}" if layer is None else f"{units:,} {layer.activation.name.replace('_', ' ')}"
        axes.text(x, top - 0.87, about, ha="center", va="center", fontsize=7.5)


def _frame(
    figure: Figure,
    axes: Axes,
    mapping: Any,
    title: str,
    note: str,
    label: str,
    place: tuple[float, float, float],
    theme: Theme,
) -> None:
    """A panel's title, note and colour bar."""
    left, bottom, height = place
    axes.text(left + LEFT - 0.4, bottom + height - 0.25, title, fontsize=11, va="center")
    axes.text(left + LEFT - 0.4, bottom + 0.72, note, fontsize=7.5, va="center", color=theme.faint)
    canvas.scale_bar(figure, mapping, left + LEFT - 0.3, bottom + 0.36, 1.6, label)
