"""The error of one unit, term by term."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glassnet.drawing import canvas
from glassnet.drawing.canvas import Axes, Figure, Theme
from glassnet.drawing.sample import LayerPass, Names, Sample, follow, treats_units_alone
from glassnet.errors import ConfigError
from glassnet.losses import Loss
from glassnet.messages import say
from glassnet.network import Network

TERMS = 8  # shown one by one; the rest is summed


@dataclass(frozen=True)
class Term:
    """One summand: ``factor`` times ``error``.

    Attributes
    ----------
    unit : int
        k: a unit of the layer above; where the activation mixes units, one of the unit's own layer.
    factor : float
        W[k, j]; where the activation mixes units, ∂a_k/∂z_j.
    error : float
        δ_k; where the activation mixes units, ∂C/∂a_k.
    product : float
    """

    unit: int
    factor: float
    error: float
    product: float


@dataclass(frozen=True)
class UnitError:
    """Where a unit's δ comes from.

    A hidden unit's ∂C/∂a is Σ W δ over the layer above (BP.2), an output unit's comes from the loss (BP.1); times
    σ′(z) it is δ. Where the activation mixes units, as softmax does, δ is the sum Σ ∂a_k/∂z_j · ∂C/∂a_k instead.

    Attributes
    ----------
    row : int
        The sample's.
    layer, unit : int
        l from 1 and j from 0.
    last : int
        L.
    activation, loss : str
        Their names.
    curve : tuple of two ndarrays, or None
        z around the unit's and σ(z); None where the activation mixes units.
    output : {"p", "a"}
        The symbol of the prediction: p where the loss takes logits, else a.
    z, a, delta : float
    grad_a : float
        ∂C/∂a.
    slope : float or None
        σ′(z); None where the activation mixes units.
    keep : float
        What a is multiplied by on its way up: p for dropout of the variant "plain", else 1.
    terms : tuple of Term
        The largest products, largest first; none for an output unit with an activation of its own.
    rest, rest_sum : int, float
        How many products are not shown, and their sum.
    prediction, target : float
        Of an output unit; NaN for a hidden one.
    """

    row: int
    layer: int
    unit: int
    last: int
    activation: str
    loss: str
    curve: tuple[np.ndarray, np.ndarray] | None
    output: str
    z: float
    a: float
    delta: float
    grad_a: float
    slope: float | None
    keep: float
    terms: tuple[Term, ...]
    rest: int
    rest_sum: float
    prediction: float
    target: float

    @property
    def is_output(self) -> bool:
        """Whether it is a unit of layer L."""
        return self.layer == self.last

    @property
    def is_difference(self) -> bool:
        """Whether an output unit's ∂C/∂a is p − y, or a − y: so for cross-entropy and the squared error."""
        return bool(np.isclose(self.prediction - self.target, self.grad_a, rtol=1e-5, atol=1e-7))

    @property
    def total(self) -> float:
        """The sum of all products."""
        return sum(term.product for term in self.terms) + self.rest_sum


def unit_error(
    network: Network, loss: Loss | str, x: Any, y: Any, *, row: int = 0, unit: tuple[int, int] = (1, 0)
) -> UnitError:
    """What :func:`draw_unit` shows."""
    sample = follow(network, loss, x, y, row)
    l, j = unit
    layer = sample.layer(l)
    if not 0 <= j < len(layer.z):
        text = say(
            "there is no unit {unit} in layer {layer}: its units are 0 to {last}",
            unit=j,
            layer=l,
            last=len(layer.z) - 1,
        )
        raise ConfigError(text)
    slope = float(layer.activation.pull_back(np.ones_like(layer.z)[None], layer.z[None])[0, j])
    own = treats_units_alone(layer.activation)
    factors, errors = _factors(sample, layer, j, own)
    products = factors.astype(np.float64) * errors.astype(np.float64)
    order = np.argsort(-np.abs(products), kind="stable")
    room = TERMS if len(order) > TERMS + 1 else len(order)  # a rest of one would take the same place
    others = order[room:]
    is_output = l == len(sample.layers)
    return UnitError(
        row=row,
        layer=l,
        unit=j,
        last=len(sample.layers),
        activation=layer.activation.name,
        loss=sample.loss.name,
        curve=_curve(layer, j) if own else None,
        output="p" if sample.loss.takes_logits else "a",
        z=float(layer.z[j]),
        a=float(layer.a[j]),
        delta=float(layer.delta[j]),
        grad_a=float(layer.grad_a[j]),
        slope=slope if own else None,
        keep=layer.keep,
        terms=tuple(Term(int(k), float(factors[k]), float(errors[k]), float(products[k])) for k in order[:room]),
        rest=len(others),
        rest_sum=float(products[others].sum()),
        prediction=float(sample.prediction[j]) if is_output else float("nan"),
        target=float(sample.target[j]) if is_output else float("nan"),
    )


def _curve(layer: LayerPass, j: int) -> tuple[np.ndarray, np.ndarray]:
    """σ from −r to r, with the unit's z well inside."""
    z = float(layer.z[j])
    reach = max(3.0, 1.4 * abs(z)) if np.isfinite(z) else 3.0
    zs = np.linspace(-reach, reach, 201)
    return zs, np.asarray(layer.activation(zs[None])[0])


def _factors(sample: Sample, layer: LayerPass, j: int, own: bool) -> tuple[np.ndarray, np.ndarray]:
    """The factors and errors whose products are summed."""
    if not own:
        units = np.eye(len(layer.z), dtype=layer.z.dtype)  # row k: ∂C/∂a that is 1 at unit k
        jacobian = layer.activation.pull_back(units, np.tile(layer.z, (len(units), 1)))
        return jacobian[:, j], layer.grad_a
    if layer.number == len(sample.layers):
        return np.zeros(0), np.zeros(0)
    above = sample.layers[layer.number]
    return above.W[:, j], above.delta


def draw_unit(
    network: Network,
    loss: Loss | str,
    x: Any,
    y: Any,
    path: str | Path,
    *,
    row: int = 0,
    unit: tuple[int, int] = (1, 0),
    names: Names | None = None,
    dark: bool = False,
) -> Path:
    """Draw where the error δ of one unit comes from, with every number written out, and where its σ′ is read.

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
    unit : (int, int), default (1, 0)
        (l, j): layer l from 1 to L, and its unit j from 0.
    names : Names, optional
        What the outputs are called.
    dark : bool, default False
        Light on dark.

    Raises
    ------
    ConfigError
        If there is no such row or unit, there are not as many names as units, or the file's ending is not one
        that can be drawn.
    MissingExtraError
        If matplotlib is not installed (the extra ``plot``).
    """
    path = canvas.check_file(path)
    names = (names or Names()).check(network)
    data = unit_error(network, loss, x, y, row=row, unit=unit)
    with canvas.themed(dark) as theme:
        return canvas.save(paint(data, theme, names), path)


WIDTH = 9.8
UNIT_X, ABOVE_X = 3.9, 5.9  # the unit, and the units that its error comes from
COLUMNS = (7.2, 8.4, 9.5)  # right edges of the factors, errors and products
LINE = 0.3  # from line to line below the products
PITCH = 0.46  # from unit to unit
LEAST = 2.5  # the height that the plot of σ takes
TOP, BOTTOM = 1.75, 0.85


def paint(data: UnitError, theme: Theme, names: Names | None = None) -> Figure:
    """The picture."""
    names = names or Names()
    rows = max(len(data.terms) + (data.rest > 0), 2)
    lines = _conclusion(data)
    conclusion = LINE * len(lines) + 0.1
    least = LEAST if data.curve is not None else 1.6
    height = TOP + max(PITCH * rows + conclusion, least) + BOTTOM
    figure, axes = canvas.sheet(WIDTH, height)
    equation = "BP.1" if data.is_output else "BP.2"
    title = canvas.say(
        "The error of unit {unit} in layer {layer} for sample {row} ({equation})",
        layer=data.layer,
        unit=data.unit,
        row=data.row,
        equation=equation,
    )
    canvas.headline(axes, 0.4, height - 0.35, title)
    axes.text(0.4, height - 0.85, _formula(data), fontsize=14, va="center")
    heights = height - TOP - PITCH * (0.5 + np.arange(rows))
    middle = float(heights.mean())
    if data.terms:
        _terms(axes, data, heights, middle, names, theme)
        mapping = canvas.scale(theme, canvas.largest([np.array([term.error for term in data.terms])]))
        symbol = r"$\delta$" if data.slope is not None else r"$\partial C/\partial a$"
        canvas.scale_bar(figure, mapping, ABOVE_X - 0.75, 0.3, symbol)
    else:
        _source(axes, data, middle, theme)
    _unit(axes, data, middle, names, theme)
    if data.curve is not None:
        _slope(figure, data, height - TOP - 0.05, theme)
    else:
        text = canvas.say("σ mixes the units of its layer:\neach {a} depends on this {z}", a="$a_k$", z="$z$")
        axes.text(0.4, middle, text, fontsize=9, va="center", linespacing=1.6)
    for i, (label, value) in enumerate(lines):
        y = heights[-1] - PITCH / 2 - 0.1 - LINE * (i + 0.5)
        axes.text(COLUMNS[2] - 0.9, y, label, ha="right", va="center", fontsize=11)
        weight = "bold" if i == len(lines) - 1 else "normal"
        axes.text(COLUMNS[2], y, canvas.number(value, 4), ha="right", va="center", fontsize=10, fontweight=weight)
    note = canvas.say("the sample's own δ: N times that of a batch of N; units are numbered from 0")
    if data.terms:
        note = canvas.say("edges: orange above 0, blue below; the wider the larger the product") + "\n" + note
    axes.text(0.4, 0.36, note, fontsize=7.5, va="center", color=theme.faint, linespacing=1.5)
    return figure


def _formula(data: UnitError) -> str:
    l, j = data.layer, data.unit
    delta = f"\\delta^{{{l}}}_{{{j}}}"
    slope = f"\\sigma\\prime(z^{{{l}}}_{{{j}}})"
    if data.slope is None:
        jacobian = f"\\partial a^{{{l}}}_k / \\partial z^{{{l}}}_{{{j}}}"
        return f"${delta} = \\sum_k \\; {jacobian} \\cdot \\partial C / \\partial a^{{{l}}}_k$"
    if data.is_output:
        grad_a = f"({data.output} - y)" if data.is_difference else f"\\partial C / \\partial a^{{{l}}}_{{{j}}}"
        return f"${delta} = {grad_a} \\cdot {slope}$"
    kept = "" if data.keep == 1 else "p \\, "
    return f"${delta} = {kept}(\\sum_k \\; w^{{{l + 1}}}_{{k,{j}}} \\; \\delta^{{{l + 1}}}_k) \\cdot {slope}$"


def _conclusion(data: UnitError) -> list[tuple[str, float]]:
    """From the sum to δ, line by line."""
    l, j = data.layer, data.unit
    delta = (f"$=\\; \\delta^{{{l}}}_{{{j}}}$", data.delta)
    if data.slope is None:
        return [(f"$\\Sigma \\;=\\; \\delta^{{{l}}}_{{{j}}}$", data.delta)]
    grad_a = f"\\partial C / \\partial a^{{{l}}}_{{{j}}}"
    slope = (f"$\\times\\; \\sigma\\prime(z^{{{l}}}_{{{j}}})$", data.slope)
    if data.is_output:
        label = f"${grad_a}{f' = {data.output} - y' if data.is_difference else ''}$"
        return [(f"${data.output}$", data.prediction), ("$y$", data.target), (label, data.grad_a), slope, delta]
    if data.keep == 1:
        return [(f"$\\Sigma \\;=\\; {grad_a}$", data.grad_a), slope, delta]
    return [("$\\Sigma$", data.total), ("$\\times\\; p$", data.keep), (f"$=\\; {grad_a}$", data.grad_a), slope, delta]


def _unit(axes: Axes, data: UnitError, middle: float, names: Names, theme: Theme) -> None:
    """The unit itself, with its error."""
    mapping = canvas.scale(theme, canvas.largest([np.array(data.delta)]))
    canvas.draw_unit_circle(axes, UNIT_X, middle, fill=mapping.to_rgba(data.delta / 2), edge=theme.ink, size=2.0)
    ink = canvas.ink_on(mapping.to_rgba(data.delta / 2))
    symbol = f"$\\delta^{{{data.layer}}}_{{{data.unit}}}$"
    axes.text(UNIT_X, middle + 0.12, symbol, ha="center", va="center", fontsize=13, color=ink)
    axes.text(UNIT_X, middle - 0.13, canvas.number(data.delta), ha="center", va="center", fontsize=8, color=ink)
    lines = [canvas.say("unit {unit} of layer {layer}", unit=data.unit, layer=data.layer)]
    lines += [canvas.shortened(names.outputs[data.unit], 20)] if data.is_output and names.outputs else []
    if data.slope is None:
        lines += [f"σ: {data.activation}", f"z = {canvas.number(data.z)}, a = {canvas.number(data.a)}"]
    for i, line in enumerate(lines):
        y = middle - 2 * canvas.RADIUS - 0.14 - 0.17 * i
        axes.text(UNIT_X, y, line, ha="center", va="center", fontsize=8, parse_math=False)


def _slope(figure: Figure, data: UnitError, top: float, theme: Theme) -> None:
    """σ around the unit's z, and its tangent there, whose slope is σ′(z)."""
    assert data.curve is not None
    assert data.slope is not None
    l, j = data.layer, data.unit
    zs, values = data.curve
    axes = canvas.inset(figure, 0.75, top - 1.5, 2.0, 1.5)
    axes.plot(zs, values, color=theme.ink, linewidth=1.4)
    with np.errstate(over="ignore", invalid="ignore"):
        tangent = data.a + data.slope * (zs - data.z)
    low, high = float(np.min(values)), float(np.max(values))
    room = 0.12 * (high - low) or 1.0
    seen = np.where((tangent > low - room) & (tangent < high + room), tangent, np.nan)
    axes.plot(zs, seen, color=theme.positive, linewidth=1.4, dashes=(3, 1.5))
    axes.plot([data.z], [data.a], "o", color=theme.positive, markersize=5)
    axes.set(xlim=(zs[0], zs[-1]), ylim=(low - room, high + room))
    axes.spines[["top", "right"]].set_visible(False)
    axes.locator_params(nbins=4)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: canvas.number(value))
    axes.tick_params(labelsize=7)
    axes.set_title(f"$\\sigma$: {data.activation.replace('_', ' ')}", fontsize=9)
    facts = ((f"z^{{{l}}}_{{{j}}}", data.z), (f"a^{{{l}}}_{{{j}}}", data.a))
    text = ",  ".join(f"${symbol}$ = {canvas.beside_math(canvas.number(value))}" for symbol, value in facts)
    slope = f"$\\sigma\\prime(z^{{{l}}}_{{{j}}})$ = {canvas.beside_math(canvas.number(data.slope))}"
    axes.set_xlabel(f"{text}\n{slope}", fontsize=9, linespacing=1.6)


def _terms(axes: Axes, data: UnitError, heights: np.ndarray, middle: float, names: Names, theme: Theme) -> None:
    """The units that the error comes from, and the table of the products."""
    l = data.layer
    heads = (f"$w^{{{l + 1}}}_{{k,{data.unit}}}$", f"$\\delta^{{{l + 1}}}_k$", r"$w\,\delta$")
    above = l + 1
    if data.slope is None:
        heads = (
            f"$\\partial a_k / \\partial z_{{{data.unit}}}$",
            r"$\partial C / \partial a_k$",
            canvas.say("product"),
        )
        above = l
    y = heights[0] + 0.42
    text = canvas.say("units {k} of layer {layer}", k="$k$", layer=above)
    axes.text(ABOVE_X, y, text, ha="center", va="center", fontsize=8)
    for x, head in zip(COLUMNS, heads, strict=True):
        axes.text(x, y, head, ha="right", va="center", fontsize=12 if head.startswith("$") else 9)
    products = np.array([term.product for term in data.terms])
    edge = UNIT_X + 2 * canvas.RADIUS
    ends = np.array([((edge, middle), (ABOVE_X, y)) for y in heights[: len(data.terms)]])
    colours = [theme.positive if product > 0 else theme.negative for product in products]
    canvas.draw_lines(axes, ends, colours, np.abs(products) / canvas.largest([products]))
    canvas.draw_arrow(axes, [(edge + 0.2, middle), (edge, middle)], theme.ink)
    mapping = canvas.scale(theme, canvas.largest([np.array([term.error for term in data.terms])]))
    for term, y in zip(data.terms, heights, strict=False):
        fill = mapping.to_rgba(term.error)
        canvas.draw_unit_circle(axes, ABOVE_X, y, fill=fill, edge=theme.faint, text=f"{term.unit}", size=0.85)
        for x, value in zip(COLUMNS, (term.factor, term.error, term.product), strict=True):
            axes.text(x, y, canvas.number(value, 4), ha="right", va="center", fontsize=9)
        for x, sign in zip(COLUMNS, ("×", "="), strict=False):
            axes.text(x + 0.12, y, sign, ha="center", va="center", fontsize=9, color=theme.faint)
    if data.rest:
        canvas.draw_more(axes, ABOVE_X, heights[-1], canvas.say("{n} more", n=f"{data.rest:,}"))
        axes.text(COLUMNS[2], heights[-1], canvas.number(data.rest_sum, 4), ha="right", va="center", fontsize=9)
    line = heights[-1] - PITCH / 2
    axes.plot([COLUMNS[2] - 0.9, COLUMNS[2]], [line, line], color=theme.ink, linewidth=0.8)


def _source(axes: Axes, data: UnitError, middle: float, theme: Theme) -> None:
    """The loss, from which an output unit's error comes."""
    left, right = ABOVE_X, COLUMNS[2]
    start, end = (left, middle), (UNIT_X + 2 * canvas.RADIUS, middle)
    canvas.draw_arrow(axes, [start, end], theme.positive if data.grad_a > 0 else theme.negative, width=1.8)
    text = f"$C$: {data.loss.replace('_', ' ')}"
    canvas.draw_box(axes, (left + right) / 2, middle, right - left, 0.5, text, theme)
    label = f"$\\partial C / \\partial a^{{{data.layer}}}_{{{data.unit}}}$"
    axes.text((start[0] + end[0]) / 2, middle + 0.17, label, ha="center", va="center", fontsize=10)
