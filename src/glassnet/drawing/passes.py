"""The forward and the backward pass of one sample, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glassnet.drawing import canvas
from glassnet.drawing.canvas import Axes, Figure, Fold, Numbers, Theme
from glassnet.drawing.sample import LayerPass, Names, Sample, follow, treats_units_alone
from glassnet.errors import require
from glassnet.losses import Loss
from glassnet.network import Network

GAP, NARROW = 1.7, 1.4  # from layer to layer, in inches; in deep networks
RIGHT, HEAD, FOOT = 1.4, 1.5, 1.55  # a panel's margins
LEFT = {"numbers": 0.55, "names": 1.6, "image": 2.35}
IMAGE = 1.4  # the longer side of the inputs' image


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

    def forward_edges(self, l: int) -> np.ndarray:
        """W between the shown units of layers l − 1 and l, (units of l, units of l − 1)."""
        return self.sample.layer(l).W[np.ix_(self.folds[l].units, self.folds[l - 1].units)]

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
    network: Network,
    loss: Loss | str,
    x: Any,
    y: Any,
    path: str | Path,
    *,
    row: int = 0,
    names: Names | None = None,
    dark: bool = False,
) -> Path:
    """Draw the forward and the backward pass of one sample, in two pictures of the same network.

    Forward, units are coloured by a, and edges by the sign of their weight, the wider the larger it is. Backward, units
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
    names : Names, optional
        What the inputs and outputs are called, or the image that the inputs are.
    dark : bool, default False
        Light on dark.

    Raises
    ------
    ConfigError
        If there is no such row, there are not as many names as units, or the file's ending is not one that can be
        drawn.
    MissingExtraError
        If matplotlib is not installed (the extra ``plot``).
    """
    path = canvas.check_file(path)
    names = (names or Names()).check(network)
    data = passes(network, loss, x, y, row=row)
    with canvas.themed(dark) as theme:
        return canvas.save(paint(data, theme, names), path)


@dataclass(frozen=True)
class _Panel:
    """One of the two pictures of the network: where it stands, and with it each unit. In inches."""

    left: float
    bottom: float
    top: float
    xs: tuple[float, ...]
    heights: tuple[np.ndarray, ...]

    @property
    def middle(self) -> float:
        return (self.bottom + FOOT + self.top - HEAD) / 2


def paint(data: Passes, theme: Theme, names: Names | None = None) -> Figure:
    """The picture."""
    names = names or Names()
    depth = len(data.sample.layers)
    beside = depth <= 3  # else one below the other
    height = HEAD + canvas.height_of(data.folds) + FOOT
    gap = GAP if depth <= 4 else NARROW
    first = LEFT["image" if names.image else "names" if names.inputs else "numbers"]
    lefts = (first, LEFT["numbers"] if beside else first)
    widths = [max(left + gap * depth + RIGHT, 5.3) for left in lefts]  # the equations below are as wide
    total = (sum(widths), height) if beside else (max(widths), 2 * height)
    figure, axes = canvas.sheet(total[0], total[1] + 0.4)
    value = canvas.number(data.sample.value)
    title = canvas.say("Forward and backward pass of sample {row}: C = {value}", row=data.sample.row, value=value)
    if data.sample.leaves_out_dropout:
        title += canvas.say(", without dropout")
    canvas.headline(axes, 0.3, total[1] + 0.12, title)
    corners = ((0.0, 0.0 if beside else height), (widths[0] if beside else 0.0, 0.0))
    for (x, y), left, draw in zip(corners, lefts, (_forward, _backward), strict=True):
        middle = y + FOOT + (height - HEAD - FOOT) / 2
        xs = tuple(x + left + gap * l for l in range(depth + 1))
        panel = _Panel(x + 0.3, y, y + height, xs, tuple(canvas.column(fold, middle) for fold in data.folds))
        draw(figure, axes, data, panel, names, theme)
    return figure


def _forward(figure: Figure, axes: Axes, data: Passes, panel: _Panel, names: Names, theme: Theme) -> None:
    sample = data.sample
    values = [sample.x, *(layer.a for layer in sample.layers)]
    mapping = canvas.scale(theme, canvas.largest([v[list(f.units)] for v, f in zip(values, data.folds, strict=True)]))
    numbers = Numbers.up_to(mapping.norm.vmax)
    if names.image:
        _image(axes, data, panel, names.image, theme)
    for layer in sample.layers:
        symbols = (f"$W^{{{layer.number}}}$", "|w|")
        _edges(axes, panel, layer.number, data.forward_edges(layer.number), symbols, theme, back=False)
    for l, fold in enumerate(data.folds):
        texts = [numbers(values[l][unit]) for unit in fold.units]
        zs = None if l == 0 else sample.layers[l - 1].z
        labels = [f"$x_{{{k}}}$" if zs is None else f"$z_{{{k}}}$ = {numbers(zs[k])}" for k in fold.units]
        fills = [mapping.to_rgba(values[l][unit]) for unit in fold.units]
        _units(axes, fold, panel, l, fills, texts, labels, theme)
        symbol = f"$z^{{{l}}},\\, a^{{{l}}}$" if l else "$x = a^{0}$"
        _head(axes, panel, l, symbol, _about(sample, l))
        if l:
            name = sample.layer(l).activation.name.replace("_", " ")
            axes.text(panel.xs[l], panel.top - 1.3, f"$\\sigma$: {name}", ha="center", va="center", fontsize=7.5)
    for unit, y in zip(data.folds[0].units, panel.heights[0], strict=False):
        if names.inputs:
            text = canvas.shortened(names.inputs[unit], 20)
            axes.text(panel.xs[0] - 0.3, y, text, ha="right", va="center", fontsize=7.5, parse_math=False)
    _outputs(axes, data, panel, names)
    below = "p^{l-1} a^{l-1}" if sample.scales else "a^{l-1}"
    biases = " + b^l" if any(layer.has_biases for layer in sample.layers) else ""
    equations = [("", f"$z^l = W^l {below}{biases}$"), ("", "$a^l = \\sigma(z^l)$")]
    note = canvas.say("{y}: target", y="$y$")
    if sample.loss.takes_logits:
        outputs = f"$a^{{{len(sample.layers)}}}$"
        note = canvas.say("{p}: prediction made of {outputs}", p="$p$", outputs=outputs) + "; " + note
    _frame(axes, panel, canvas.say("Forward pass: values"), equations, note, theme)
    canvas.scale_bar(figure, mapping, panel.left + 0.05, panel.bottom + 0.3, "$a$")
    text = canvas.say("{w}: weights between two layers", w="$w$")
    canvas.width_bar(axes, panel.left + 2.3, panel.bottom + 0.3, text, theme)


def _backward(figure: Figure, axes: Axes, data: Passes, panel: _Panel, names: Names, theme: Theme) -> None:
    layers = data.sample.layers
    deltas = [layer.delta[list(f.units)] for layer, f in zip(layers, data.folds[1:], strict=True)]
    mapping = canvas.scale(theme, canvas.largest(deltas))
    numbers = Numbers.up_to(mapping.norm.vmax)
    for layer in layers:
        symbols = (f"$\\partial C/\\partial W^{{{layer.number}}}$", "|·|")
        _edges(axes, panel, layer.number, data.backward_edges(layer.number), symbols, theme, back=True)
    inputs = data.folds[0]
    of_inputs = Numbers.up_to(canvas.largest([data.sample.x[list(inputs.units)]]))
    texts = [of_inputs(data.sample.x[unit]) for unit in inputs.units]
    labels = [f"$x_{{{unit}}}$" for unit in inputs.units]
    _units(axes, inputs, panel, 0, [theme.paper] * len(texts), texts, labels, theme)
    _head(axes, panel, 0, "$x = a^{0}$", _about(data.sample, 0))
    for l, (layer, fold) in enumerate(zip(layers, data.folds[1:], strict=True), 1):
        texts = [numbers(layer.delta[unit]) for unit in fold.units]
        labels = [f"$\\delta_{{{unit}}}$" for unit in fold.units]
        _units(axes, fold, panel, l, [mapping.to_rgba(layer.delta[k]) for k in fold.units], texts, labels, theme)
        _head(axes, panel, l, f"$\\delta^{{{l}}}$", _about(data.sample, l))
        tag = ("BP.1" if l == len(layers) else "BP.2") + (", BP.3" if layer.has_biases else "")
        canvas.draw_tag(axes, panel.xs[l], panel.top - 1.3, tag, theme)
        canvas.draw_tag(axes, (panel.xs[l - 1] + panel.xs[l]) / 2, panel.top - 1.3, "BP.4", theme)
    for unit, y in zip(data.folds[-1].units, panel.heights[-1], strict=False):
        if names.outputs:
            text = canvas.shortened(names.outputs[unit], 18)
            axes.text(panel.xs[-1] + 0.3, y, text, va="center", fontsize=7.5, parse_math=False)
    note = canvas.say("the sample's own δ: N times that of a batch of N")
    _frame(axes, panel, canvas.say("Backward pass: errors"), _backward_equations(data.sample), note, theme)
    canvas.scale_bar(figure, mapping, panel.left + 0.05, panel.bottom + 0.3, r"$\delta$")
    text = canvas.say("{w}: gradients between two layers", w=r"$\partial C/\partial w$")
    canvas.width_bar(axes, panel.left + 2.3, panel.bottom + 0.3, text, theme)


def _backward_equations(sample: Sample) -> list[tuple[str, str]]:
    """BP.1 to BP.4 as they hold for this network."""
    layers = sample.layers
    *hidden, last = [treats_units_alone(layer.activation) for layer in layers]
    scaled = any(layer.keep != 1 for layer in layers)  # not only the inputs
    bp1 = r"\nabla_a C \odot \sigma\prime(z^L)" if last else r"J_\sigma(z^L)^\top \, \nabla_a C"
    above = ("p^l " if scaled else "") + r"(W^{l+1})^\top \delta^{l+1}"
    bp2 = rf"{above} \odot \sigma\prime(z^l)" if all(hidden) else rf"J_\sigma(z^l)^\top \, {above}"
    below = "p^{l-1} a^{l-1}" if sample.scales else "a^{l-1}"
    equations = [("BP.1", rf"$\delta^L = {bp1}$")]
    equations += [("BP.2", rf"$\delta^l = {bp2}$")] if hidden else []
    equations += [("BP.3", r"$\partial C/\partial b^l = \delta^l$")] if any(l.has_biases for l in layers) else []
    return [*equations, ("BP.4", rf"$\partial C/\partial W^l = \delta^l ({below})^\top$")]


def _about(sample: Sample, l: int) -> str:
    """How many units a layer has."""
    if l == 0:
        return canvas.say("{n} inputs", n=f"{len(sample.x):,}")
    units = len(sample.layer(l).z)
    return canvas.say("{n} units", n=f"{units:,}") if units > 1 else canvas.say("1 unit")


def _image(axes: Axes, data: Passes, panel: _Panel, shape: tuple[int, int], theme: Theme) -> None:
    """The inputs as the image that they are, the pixels marked that are shown as units."""
    colours = require("matplotlib.colors", extra="plot")
    patches = require("matplotlib.patches", extra="plot")
    x, (rows, columns) = data.sample.x, shape
    side = IMAGE / max(shape)
    left, top = panel.left + 0.05, panel.middle + side * rows / 2
    extent = (left, left + side * columns, top - side * rows, top)
    grey = colours.LinearSegmentedColormap.from_list("grey", [theme.paper, theme.ink])
    axes.imshow(x.reshape(shape), cmap=grey, vmin=min(0.0, x.min()), extent=extent, aspect="auto", interpolation="none")
    frame = {"facecolor": "none", "linewidth": 0.6}
    axes.add_patch(patches.Rectangle(extent[::2], side * columns, side * rows, edgecolor=theme.faint, **frame))
    for unit, y in zip(data.folds[0].units, panel.heights[0], strict=False):
        corner = (left + side * (unit % columns), top - side * (unit // columns + 1))
        axes.add_patch(patches.Rectangle(corner, side, side, edgecolor=theme.positive, **frame))
        ends = [corner[0] + side, panel.xs[0] - canvas.RADIUS], [corner[1] + side / 2, y]
        axes.plot(*ends, color=theme.faint, linewidth=0.6, alpha=0.7)


def _edges(
    axes: Axes, panel: _Panel, l: int, values: np.ndarray, symbols: tuple[str, str], theme: Theme, *, back: bool
) -> None:
    """From the shown units of layer l − 1 to those of layer l, and above them an arrow with what they are."""
    (above, below), heights = values.shape, panel.heights
    x0, x1 = panel.xs[l - 1 : l + 1]
    ends = [((x0, heights[l - 1][k]), (x1, heights[l][j])) for j in range(above) for k in range(below)]
    colours = [theme.positive if value > 0 else theme.negative for value in values.ravel()]
    most = canvas.largest([values])
    canvas.draw_lines(axes, np.array(ends), colours, np.abs(values.ravel()) / most)
    x, y = (x0 + x1) / 2, panel.top - 0.8
    arrow = [(x - 0.3, y), (x + 0.3, y)]
    canvas.draw_arrow(axes, arrow[::-1] if back else arrow, theme.ink, dashed=back)
    axes.text(x, y + 0.07, symbols[0], ha="center", va="bottom", fontsize=10)
    text = f"{symbols[1]} ≤ {canvas.number(most, 2)}"
    axes.text(x, y - 0.07, text, ha="center", va="top", fontsize=7, color=theme.faint)


def _units(
    axes: Axes,
    fold: Fold,
    panel: _Panel,
    l: int,
    fills: list[Any],
    texts: list[str],
    labels: list[str],
    theme: Theme,
) -> None:
    """A column of units with their values, each with a label above it."""
    x, heights = panel.xs[l], panel.heights[l]
    for fill, text, label, y in zip(fills, texts, labels, heights, strict=False):
        canvas.draw_unit_circle(axes, x, y, fill=fill, edge=theme.faint, text=text)
        canvas.draw_label(axes, x, y + canvas.RADIUS + 0.075, label, theme)
    if fold.more:
        canvas.draw_more(axes, x, heights[-1], canvas.say("{n} more", n=f"{fold.more:,}"))


def _outputs(axes: Axes, data: Passes, panel: _Panel, names: Names) -> None:
    """Beside each output its name, prediction and target."""
    sample = data.sample
    x = panel.xs[-1] + canvas.RADIUS + 0.09
    for unit, y in zip(data.folds[-1].units, panel.heights[-1], strict=False):
        target = canvas.beside_math(canvas.number(sample.target[unit]))
        text = f"$y$ = {target}"
        if sample.loss.takes_logits:
            text = f"$p$ = {_share(sample.prediction[unit])}, {text}"
        shift = 0.08 if names.outputs else 0.0
        axes.text(x, y - shift, text, fontsize=7, va="center")
        if names.outputs:
            name = canvas.shortened(names.outputs[unit], 18)
            axes.text(x, y + 0.07, name, fontsize=7.5, va="center", parse_math=False)


def _share(value: float) -> str:
    """A probability in three decimals; other predictions as they are."""
    return f"{value:.3f}" if 0 < value < 1 else canvas.beside_math(canvas.number(value))


def _head(axes: Axes, panel: _Panel, l: int, symbol: str, about: str) -> None:
    """Above a column what it shows and how many units it has."""
    axes.text(panel.xs[l], panel.top - 0.8, symbol, ha="center", va="center", fontsize=12)
    axes.text(panel.xs[l], panel.top - 1.05, about, ha="center", va="center", fontsize=7.5)


def _frame(axes: Axes, panel: _Panel, title: str, equations: list[tuple[str, str]], note: str, theme: Theme) -> None:
    """A panel's title, its equations and a note."""
    axes.text(panel.left, panel.top - 0.3, title, fontsize=11, va="center")
    for i, (tag, equation) in enumerate(equations):
        x, y = panel.left + 2.3 * (i % 2), panel.bottom + FOOT - 0.3 - 0.27 * (i // 2)
        if tag:
            canvas.draw_tag(axes, x + 0.16, y, tag, theme)
        axes.text(x + (0.4 if tag else 0.0), y, equation, fontsize=9.5, va="center")
    y = panel.bottom + FOOT - 0.3 - 0.27 * ((len(equations) + 1) // 2)
    axes.text(panel.left, y, note, fontsize=7.5, va="center", color=theme.faint)
