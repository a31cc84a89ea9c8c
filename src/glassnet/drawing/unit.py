"""The error of one unit, term by term."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glassnet.activations import Activation, Custom, Elementwise
from glassnet.drawing import canvas
from glassnet.drawing.canvas import Axes, Figure, Theme
from glassnet.drawing.sample import LayerPass, Sample, follow
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
    layer, unit : int
        l from 1 and j from 0.
    last : int
        L.
    activation, loss : str
        Their names.
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

    layer: int
    unit: int
    last: int
    activation: str
    loss: str
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
    own = _treats_units_alone(layer.activation)
    factors, errors = _factors(sample, layer, j, own)
    products = factors.astype(np.float64) * errors.astype(np.float64)
    order = np.argsort(-np.abs(products), kind="stable")
    room = TERMS if len(order) > TERMS + 1 else len(order)  # a rest of one would take the same place
    others = order[room:]
    is_output = l == len(sample.layers)
    return UnitError(
        layer=l,
        unit=j,
        last=len(sample.layers),
        activation=layer.activation.name,
        loss=sample.loss.name,
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


def _treats_units_alone(activation: Activation) -> bool:
    """Whether σ works on each unit by itself, so that it has a σ′."""
    return isinstance(activation, Elementwise) or (isinstance(activation, Custom) and activation.derivative is not None)


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
    dark: bool = False,
) -> Path:
    """Draw where the error δ of one unit comes from, with every number written out.

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
    dark : bool, default False
        Light on dark.

    Raises
    ------
    ConfigError
        If there is no such row or unit, or the file's ending is not one that can be drawn.
    MissingExtraError
        If matplotlib is not installed (the extra ``plot``).
    """
    path = canvas.check_file(path)
    data = unit_error(network, loss, x, y, row=row, unit=unit)
    with canvas.themed(dark) as theme:
        return canvas.save(paint(data, theme), path)


WIDTH = 10.5
UNIT_X, ABOVE_X = 2.5, 5.5  # the unit, and the units that its error comes from
COLUMNS = (7.1, 8.6, 10.1)  # right edges of the factors, errors and products
LINE = 0.36  # from line to line below the products


def paint(data: UnitError, theme: Theme) -> Figure:
    """The picture."""
    rows = max(len(data.terms) + (data.rest > 0), 2)
    lines = _conclusion(data)
    bottom = 0.5 + LINE * len(lines)
    height = bottom + canvas.PITCH * rows + 1.45
    figure, axes = canvas.sheet(WIDTH, height)
    equation = "BP.1" if data.is_output else "BP.2"
    title = canvas.say(
        "the error of unit {layer}.{unit} ({equation})", layer=data.layer, unit=data.unit, equation=equation
    )
    axes.text(0.4, height - 0.35, title, fontsize=12, fontweight="bold", va="center")
    axes.text(0.4, height - 0.78, _formula(data), fontsize=11, va="center")
    middle = bottom + canvas.PITCH * rows / 2
    heights = middle + canvas.PITCH * ((rows - 1) / 2 - np.arange(rows))
    if data.terms:
        _terms(axes, data, heights, middle, theme)
    else:
        _source(axes, data, middle, theme)
    _centre(axes, data, middle, theme)
    for i, (label, value) in enumerate(lines):
        y = bottom - LINE * (i + 0.5)
        axes.text(COLUMNS[1] + 0.15, y, label, ha="right", va="center", fontsize=10)
        last = i == len(lines) - 1
        weight = "bold" if last else "normal"
        axes.text(COLUMNS[2], y, canvas.number(value, 4), ha="right", va="center", fontsize=10, fontweight=weight)
    note = canvas.say("the sample's own δ: N times that of a batch of N; units are numbered from 0")
    axes.text(0.4, 0.25, note, fontsize=7.5, va="center", color=theme.faint)
    return figure


def _formula(data: UnitError) -> str:
    l, j = data.layer, data.unit
    delta = f"\\delta^{{{l}}}_{{{j}}}"
    slope = f"\\sigma'(z^{{{l}}}_{{{j}}})"
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
    slope = (f"$\\times\\; \\sigma'(z^{{{l}}}_{{{j}}})$", data.slope)
    if data.is_output:
        label = f"${grad_a}{f' = {data.output} - y' if data.is_difference else ''}$"
        return [(f"${data.output}$", data.prediction), ("$y$", data.target), (label, data.grad_a), slope, delta]
    if data.keep == 1:
        return [(f"$\\Sigma \\;=\\; {grad_a}$", data.grad_a), slope, delta]
    return [("$\\Sigma$", data.total), ("$\\times\\; p$", data.keep), (f"$=\\; {grad_a}$", data.grad_a), slope, delta]


def _centre(axes: Axes, data: UnitError, middle: float, theme: Theme) -> None:
    """The unit itself, with what is known of it."""
    l, j = data.layer, data.unit
    mapping = canvas.scale(theme, canvas.largest([np.array(data.delta)]))
    canvas.draw_unit_circle(
        axes, UNIT_X, middle, fill=mapping.to_rgba(data.delta / 2), edge=theme.ink, text=f"{l}.{j}", size=2.0
    )
    facts = [(f"z^{{{l}}}_{{{j}}}", data.z), (f"a^{{{l}}}_{{{j}}}", data.a)]
    facts += [] if data.slope is None else [(f"\\sigma'(z^{{{l}}}_{{{j}}})", data.slope)]
    for i, (symbol, value) in enumerate([*facts, (f"\\delta^{{{l}}}_{{{j}}}", data.delta)]):
        y = middle + 0.42 - 0.28 * i
        axes.text(UNIT_X - 0.65, y, f"${symbol}$ = {canvas.number(value, 4)}", ha="right", va="center", fontsize=9)
    name = data.activation.replace("_", " ")
    axes.text(UNIT_X, middle - 0.65, name, ha="center", va="center", fontsize=8, color=theme.faint)


def _terms(axes: Axes, data: UnitError, heights: np.ndarray, middle: float, theme: Theme) -> None:
    """The units that the error comes from, and the table of the products."""
    l = data.layer
    heads = (f"$w^{{{l + 1}}}_{{k,{data.unit}}}$", f"$\\delta^{{{l + 1}}}_k$", r"$w\,\delta$")
    if data.slope is None:
        heads = (
            f"$\\partial a_k / \\partial z_{{{data.unit}}}$",
            r"$\partial C / \partial a_k$",
            canvas.say("product"),
        )
    for x, head in zip(COLUMNS, heads, strict=True):
        axes.text(x, heights[0] + 0.42, head, ha="right", va="center", fontsize=10)
    products = np.array([term.product for term in data.terms])
    ends = np.array([((UNIT_X + 2 * canvas.RADIUS, middle), (ABOVE_X, y)) for y in heights[: len(data.terms)]])
    colours = [theme.positive if product > 0 else theme.negative for product in products]
    canvas.draw_lines(axes, ends, colours, np.abs(products) / canvas.largest([products]))
    mapping = canvas.scale(theme, canvas.largest([np.array([term.error for term in data.terms])]))
    for term, y in zip(data.terms, heights, strict=False):
        fill = mapping.to_rgba(term.error)
        canvas.draw_unit_circle(axes, ABOVE_X, y, fill=fill, edge=theme.faint, text=f"{term.unit}")
        for x, value in zip(COLUMNS, (term.factor, term.error, term.product), strict=True):
            axes.text(x, y, canvas.number(value, 4), ha="right", va="center", fontsize=9)
        for x, sign in zip(COLUMNS, ("×", "="), strict=False):
            axes.text(x + 0.25, y, sign, ha="center", va="center", fontsize=9, color=theme.faint)
    if data.rest:
        canvas.draw_more(axes, ABOVE_X, heights[-1], canvas.say("{n} more", n=f"{data.rest:,}"))
        axes.text(COLUMNS[2], heights[-1], canvas.number(data.rest_sum, 4), ha="right", va="center", fontsize=9)
    line = heights[-1] - canvas.PITCH / 2
    axes.plot([COLUMNS[2] - 0.9, COLUMNS[2]], [line, line], color=theme.ink, linewidth=0.8)


def _source(axes: Axes, data: UnitError, middle: float, theme: Theme) -> None:
    """The loss, from which an output unit's error comes."""
    x, width = (COLUMNS[0] + COLUMNS[2]) / 2, COLUMNS[2] - COLUMNS[0]
    ends = np.array([((UNIT_X + 2 * canvas.RADIUS, middle), (x - width / 2, middle))])
    canvas.draw_lines(axes, ends, [theme.positive if data.grad_a > 0 else theme.negative], np.ones(1))
    canvas.draw_box(axes, x, middle, width, 0.5, f"$C$: {data.loss.replace('_', ' ')}", theme)
