"""The arithmetic of one unit or weight, written out: how back-propagation comes to its numbers for one sample.

Everything is of the sample's own loss C, without dropout, in float64; beside each derivative stands the same by central
differences, found by running the network forward only.
"""

from __future__ import annotations

import html
import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glassnet.arrays import to_numpy
from glassnet.errors import ConfigError, InputError
from glassnet.layers import Dense, Dropout
from glassnet.losses import Loss
from glassnet.messages import language, say
from glassnet.network import Network
from glassnet.optimisers import Updater
from glassnet.trace import LayerTrace, Trace, trace

_STEP = 1e-5  # of the central differences, relative to 1 + |value|
_ABREAST = 3  # terms in a row of LaTeX: more would not fit on a page
_LARGE = 1e-12  # below this share of the largest term a term is 0 to the eye


@dataclass(frozen=True)
class Symbol:
    """A quantity of the lecture: ``Symbol("W", 2, (7, 4))`` is W²₇₄.

    Attributes
    ----------
    base : str
        "z", "a", "b", "W", "ΔW", "W⁺", "δ", "σ", "σ′", "C", "y", "p".
    layer : int or str, optional
        The superscript.
    index : tuple of int or str
        The subscripts.
    above, below : Symbol, optional
        For a derivative ∂above/∂below, in place of ``base``.
    of : Symbol, optional
        For a function, what it is taken of: σ′(z).
    """

    base: str = ""
    layer: int | str | None = None
    index: tuple[int | str, ...] = ()
    above: Symbol | None = None
    below: Symbol | None = None
    of: Symbol | None = None

    def text(self) -> str:
        """In plain text: W^2_7,4."""
        if self.above is not None and self.below is not None:
            return f"∂{self.above.text()}/∂{self.below.text()}"
        superscript = "" if self.layer is None else f"^{self.layer}"
        text = self.base + superscript + ("_" + ",".join(map(str, self.index)) if self.index else "")
        return text if self.of is None else f"{text}({self.of.text()})"

    def latex(self) -> str:
        """In LaTeX: W^{2}_{7,4}."""
        if self.above is not None and self.below is not None:
            return rf"\frac{{\partial {self.above.latex()}}}{{\partial {self.below.latex()}}}"
        base = {"δ": r"\delta", "σ": r"\sigma", "σ′": r"\sigma'"}.get(self.base, self.base).replace("Δ", r"\Delta ")
        upper = "" if self.layer is None else str(self.layer)
        if base.endswith("⁺"):
            base, upper = base[:-1], rf"{upper}\,+"
        text = base + (f"^{{{upper}}}" if upper else "")
        text += "_{" + ",".join(map(str, self.index)) + "}" if self.index else ""
        return text if self.of is None else f"{text}({self.of.latex()})"

    def mathml(self) -> str:
        """In MathML, which browsers draw by themselves."""
        if self.above is not None and self.below is not None:
            parts = (f"<mrow><mi>∂</mi>{part.mathml()}</mrow>" for part in (self.above, self.below))
            return f"<mfrac>{''.join(parts)}</mfrac>"
        new, changed = self.base.endswith("⁺"), self.base.startswith("Δ")
        base = f"<mi>{html.escape(self.base.strip('⁺Δ′'))}</mi>" + "<mo>′</mo>" * self.base.endswith("′")
        lower = "<mrow>" + "<mo>,</mo>".join(f"<mi>{i}</mi>" for i in self.index) + "</mrow>"
        upper = f"<mi>{self.layer}</mi>" if not new else f"<mrow><mi>{self.layer}</mi><mo>+</mo></mrow>"
        text = base
        if self.layer is not None:
            text = f"<msubsup>{base}{lower}{upper}</msubsup>" if self.index else f"<msup>{base}{upper}</msup>"
        elif self.index:
            text = f"<msub>{base}{lower}</msub>"
        text = "<mi>Δ</mi>" * changed + text
        return text if self.of is None else f"{text}<mo>(</mo>{self.of.mathml()}<mo>)</mo>"


Token = Symbol | str | float
"""A piece of a formula: a symbol, a number, or an operator ("=", "+", "·", "(", ")", "Σ_k" and such)."""

Part = tuple[tuple[Token, ...], float]
"""A term of a sum, in numbers, and its value."""


@dataclass(frozen=True)
class Line:
    """One quantity, how it comes about, and what numerical differentiation says.

    Attributes
    ----------
    name : str
        For programs: "z", "a", "grad_a", "delta", "grad_b", "grad_W", "change".
    title : str
        What it is, in words.
    symbol : Symbol
    formula : tuple of Token
        In symbols, behind "=".
    terms : tuple of Part
        The same in numbers: the terms of the sum, the largest first, each with its value.
    left_out : int
        Terms that are summed up in ``rest``.
    rest : float
    value : float
    numerical : float or None
        By central differences; None where nothing is differentiated.
    """

    name: str
    title: str
    symbol: Symbol
    formula: tuple[Token, ...]
    terms: tuple[Part, ...]
    left_out: int
    rest: float
    value: float
    numerical: float | None = None


@dataclass(frozen=True)
class Explanation:
    """The lines of a unit, and of a weight into it if one was asked for.

    Attributes
    ----------
    row : int
    loss : float
        The sample's own C.
    lines : tuple of Line
    notes : tuple of str
        What is left out or assumed.
    """

    row: int
    loss: float
    lines: tuple[Line, ...]
    notes: tuple[str, ...]

    def line(self, name: str) -> Line:
        """The line of that name; KeyError if there is none."""
        return next(line for line in self.lines if line.name == name)

    def to_json(self) -> dict[str, Any]:
        """Pure JSON; formulas as text."""
        return {
            "row": self.row,
            "loss": self.loss,
            "notes": list(self.notes),
            "lines": [
                {
                    "name": line.name,
                    "title": line.title,
                    "symbol": line.symbol.text(),
                    "formula": _text(line.formula),
                    "terms": [{"text": _text(tokens), "value": value} for tokens, value in line.terms],
                    "left_out": line.left_out,
                    "rest": line.rest,
                    "value": line.value,
                    "numerical": line.numerical,
                }
                for line in self.lines
            ],
        }

    def to_text(self) -> str:
        """Plain text, a paragraph a line."""
        parts = [self._head()]
        for line in self.lines:
            part = f"{line.title}\n  {line.symbol.text()} = {_text(line.formula)}"
            numbers = _numbers(line, _text)
            part += f"\n    = {numbers}" if numbers else ""
            part += f"\n    = {_number(line.value)}"
            if line.numerical is not None:
                part += "\n  " + say("numerically: {value}", value=_number(line.numerical))
            parts.append(part)
        return "\n\n".join([*parts, *self.notes]) + "\n"

    def to_markdown(self) -> str:
        """Markdown, with the formulas between dollar signs."""
        parts = [f"## {self._head()}"]
        for line in self.lines:
            parts.append(f"**{line.title}**\n\n$$\n{_chain(line)}\n$$")
            if line.numerical is not None:
                parts.append(say("numerically: {value}", value=f"${_number(line.numerical)}$"))
        return "\n\n".join([*parts, *self.notes]) + "\n"

    def to_latex(self) -> str:
        """A LaTeX document (XeLaTeX for Chinese)."""
        package = "\\usepackage{ctex}\n" if language() == "zh" else ""
        parts = [rf"\section*{{{latex_words(self._head())}}}"]
        for line in self.lines:
            check = ""
            if line.numerical is not None:
                check = "\n\n" + latex_words(say("numerically: {value}", value=_number(line.numerical)))
            parts.append(rf"\paragraph{{{latex_words(line.title)}}}" + f"\n\\[\n{_chain(line)}\n\\]{check}")
        body = "\n\n".join([*parts, *map(latex_words, self.notes)])
        return (
            f"\\documentclass{{article}}\n\\usepackage{{amsmath}}\n{package}\\begin{{document}}\n{body}\n"
            "\\end{document}\n"
        )

    def to_html(self) -> str:
        """A page of its own: the equations are MathML, nothing is loaded."""
        parts = [f"<h1>{html.escape(self._head())}</h1>"]
        for line in self.lines:
            numbers = _numbers(line, _mathml)
            rows = [line.symbol.mathml() + "<mo>=</mo>" + _mathml(line.formula)]
            rows += ["<mo>=</mo>" + numbers] if numbers else []
            rows.append(f"<mo>=</mo><mn>{_number(line.value)}</mn>")
            table = "".join(f"<mtr><mtd style='text-align:left'>{row}</mtd></mtr>" for row in rows)
            parts.append(
                f"<h2>{html.escape(line.title)}</h2>\n<div><math display='block'><mtable>{table}</mtable></math></div>"
            )
            if line.numerical is not None:
                parts.append(f"<p>{html.escape(say('numerically: {value}', value=_number(line.numerical)))}</p>")
        parts += [f"<p>{html.escape(note)}</p>" for note in self.notes]
        style = (
            "body{font-family:system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;line-height:1.5}"
            "h2{font-size:1rem;margin:1.5rem 0 .5rem}div{overflow-x:auto;padding:.3rem 2rem}math{width:fit-content}"
            "@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}}"
        )
        return (
            f"<!doctype html>\n<html lang='{language()}'>\n<head><meta charset='utf-8'>"
            f"<title>{html.escape(self._head())}</title><style>{style}</style></head>\n<body>\n"
            + "\n".join(parts)
            + "\n</body>\n</html>\n"
        )

    def _head(self) -> str:
        return say("row {row}: C = {loss:.6g}", row=self.row, loss=self.loss)


def explain(
    network: Network,
    loss: Loss | str,
    x: Any,
    y: Any,
    *,
    row: int = 0,
    unit: tuple[int, int] | None = None,
    weight: tuple[int, int, int] | None = None,
    updater: Updater | None = None,
    lr: float | None = None,
    terms: int = 5,
) -> Explanation:
    """Write out how one unit's z, a, δ and gradients come about, and the update of its bias or of one weight.

    Parameters
    ----------
    network : Network
        Of dense layers and dropout, which is off.
    loss : Loss or its name
    x : array (N, n[0])
    y : array (N, n[L]), or class indices (N,)
    row : int, default 0
    unit : (l, j), optional
        The layer, from 1, and the unit of it, from 0; by default the output unit with the largest error.
    weight : (l, j, k), optional
        The weight from unit k below to that unit; ``unit`` then follows from it.
    updater : Updater, optional
        Makes the update, of this one sample as a batch; without it none is shown.
    lr : float, optional
        By default the optimiser's own.
    terms : int, default 5
        Of a sum are shown, the largest; the rest is summed up.

    Raises
    ------
    InputError
        If there is no such row, layer, unit or weight; the message names those that there are.
    ConfigError
        If the network has layers of another kind.
    """
    _check_kinds(network)
    double = network.copy(dtype="float64")
    x, y, _, loss = double.checked_batch(x, y, None, loss)
    if not 0 <= row < len(x):
        raise InputError(say("there is no row {row}: the rows are 0 to {last}", row=row, last=len(x) - 1))
    x, y = x[row : row + 1], y[row : row + 1]
    traced = trace(double, loss, x, y, updater=updater, lr=lr)
    l, j, k = _place(double, traced, unit, weight)
    teller = _Teller(double, loss, traced, x, y, l, j, terms)
    lines = [teller.z(), teller.a(), teller.grad_a(), teller.delta(), teller.grad_b()]
    if k is not None:
        lines.append(teller.grad_weight(k))
    if traced.update is not None:
        assert updater is not None
        lines.append(teller.change(k, updater))
    notes = []
    if any(isinstance(layer, Dropout) for layer in network.layers):
        notes.append(say("Dropout is off here, as outside training."))
    return Explanation(row, traced.loss, tuple(line for line in lines if line is not None), tuple(notes))


def _check_kinds(network: Network) -> None:
    other = [layer for layer in network.layers if not isinstance(layer, (Dense, Dropout))]
    if other:
        raise ConfigError(say("only dense layers and dropout can be explained, not {layer!r}", layer=other[0]))


def _place(
    network: Network, traced: Trace, unit: tuple[int, int] | None, weight: tuple[int, int, int] | None
) -> tuple[int, int, int | None]:
    """(l, j, k) that exist; k is None without a weight."""
    sizes = network.sizes
    if weight is not None:
        unit = weight[:2]
    if unit is None:
        return len(sizes) - 1, int(np.abs(traced.layer(len(sizes) - 1).delta[0]).argmax()), None
    l, j = unit
    traced.layer(l)
    if not 0 <= j < sizes[l]:
        text = say(
            "there is no unit {unit} in layer {layer}; its units are 0 to {last}", unit=j, layer=l, last=sizes[l] - 1
        )
        raise InputError(text)
    if weight is None:
        return l, j, None
    if not 0 <= weight[2] < sizes[l - 1]:
        text = say(
            "there is no weight {k} into a unit of layer {layer}; they are numbered 0 to {last}",
            k=weight[2],
            layer=l,
            last=sizes[l - 1] - 1,
        )
        raise InputError(text)
    return l, j, weight[2]


class _Teller:
    """Writes the lines of one unit."""

    def __init__(self, network: Network, loss: Loss, traced: Trace, x: Any, y: Any, l: int, j: int, terms: int) -> None:
        self.network, self.loss, self.traced, self.x, self.y = network, loss, traced, x, y
        self.l, self.j, self.most = l, j, terms
        self.last = len(network.sizes) - 1
        self.dense = [layer for layer in network.layers if isinstance(layer, Dense)]
        self.layer: LayerTrace = traced.layer(l)
        self.own = self.dense[l - 1]
        self.W, self.b = self.own.params["W"], self.own.params.get("b")
        place = network.layers.index(self.own)
        self.a_in = traced.x[0] if place == 0 else traced.layers[place - 1].a[0]
        self.scale = 1.0  # what plain dropout makes of a on its way up
        if place + 1 < len(network.layers) and isinstance(drop := network.layers[place + 1], Dropout):
            self.scale = drop.keep if drop.variant == "plain" else 1.0

    # The quantities, in their order

    def z(self) -> Line:
        """The net input."""
        k, l, j = "k", self.l, self.j
        formula: list[Token] = ["Σ_k", Symbol("W", l, (j, k)), Symbol("a", l - 1, (k,))]
        parts: list[Part] = [
            ((float(w), "·", float(a)), float(w * a)) for w, a in zip(self.W[j], self.a_in, strict=True)
        ]
        if self.b is not None:
            formula += ["+", Symbol("b", l, (j,))]
            parts.append(((float(self.b[j]),), float(self.b[j])))
        assert self.layer.z is not None
        title = say("The net input of unit {unit} in layer {layer}", unit=j, layer=l)
        return self._line("z", title, Symbol("z", l, (j,)), formula, parts, float(self.layer.z[0, j]))

    def a(self) -> Line:
        """The activation."""
        assert self.layer.z is not None
        z, value = float(self.layer.z[0, self.j]), float(self.layer.a[0, self.j])
        formula = (Symbol("σ"), "(", Symbol("z", self.l, (self.j,)), ")")
        title = say("Its activation, by the function {name}", name=self.own.activation.name)
        terms = (((Symbol("σ"), "(", z, ")"), value),)
        return Line("a", title, Symbol("a", self.l, (self.j,)), formula, terms, 0, 0.0, value)

    def grad_a(self) -> Line:
        """∂C/∂a: from the loss, or from the errors above."""
        l, j = self.l, self.j
        symbol = _derivative(Symbol("a", l, (j,)))
        value = float(self.layer.grad_a[0, j])
        numerical = self._numerical(self._above, self.layer.a[0, j], "a")
        if l == self.last:
            title = say("BP.1, first factor: how the loss {name} feels the output", name=self.loss.name)
            p, y = float(self.traced.prediction[0, j]), float(self.traced.y[0, j])
            if self.loss.takes_logits and np.isclose(p - y, value, rtol=1e-9, atol=1e-12):
                formula: tuple[Token, ...] = (Symbol("p", None, (j,)), "−", Symbol("y", None, (j,)))
                return Line("grad_a", title, symbol, formula, (((p, "−", y), value),), 0, 0.0, value, numerical)
            return Line("grad_a", title, symbol, (symbol,), (), 0, 0.0, value, numerical)
        above = self.traced.layer(l + 1)
        weights, delta = self.dense[l].params["W"][:, j] * self.scale, above.delta[0]
        formula_tokens: list[Token] = ["Σ_i", Symbol("W", l + 1, ("i", j)), Symbol("δ", l + 1, ("i",))]
        if self.scale != 1:
            formula_tokens = [self.scale, "·", *formula_tokens]
        parts: list[Part] = [((float(w), "·", float(d)), float(w * d)) for w, d in zip(weights, delta, strict=True)]
        title = say("BP.2, first factor: the errors of the layer above, through the weights")
        return self._line("grad_a", title, symbol, formula_tokens, parts, value, numerical)

    def delta(self) -> Line:
        """δ: ∂C/∂a times σ′(z)."""
        l, j = self.l, self.j
        value, grad = float(self.layer.delta[0, j]), float(self.layer.grad_a[0, j])
        assert self.layer.z is not None
        title = say("BP.1: its error") if l == self.last else say("BP.2: its error")
        numerical = self._numerical(lambda z: self._above(self.own.activation(z[None])[0]), self.layer.z[0, j], "z")
        derivative = getattr(self.own.activation, "derivative", None)
        if not callable(derivative):  # mixes the units of a row
            formula: tuple[Token, ...] = ("Σ_i", _derivative(Symbol("a", l, ("i",))), "·", _jacobian(l, j))
            return Line("delta", title, Symbol("δ", l, (j,)), formula, (), 0, 0.0, value, numerical)
        slope = float(to_numpy(derivative(self.layer.z))[0, j])
        formula = (_derivative(Symbol("a", l, (j,))), "·", Symbol("σ′", of=Symbol("z", l, (j,))))
        terms = (((grad, "·", slope), value),)
        return Line("delta", title, Symbol("δ", l, (j,)), formula, terms, 0, 0.0, value, numerical)

    def grad_b(self) -> Line | None:
        """BP.3."""
        if self.b is None:
            return None
        value = float(self.layer.grads["b"][self.j])
        title = say("BP.3: the gradient of its bias")
        numerical = self._of_parameter("b", (self.j,))
        symbol = _derivative(Symbol("b", self.l, (self.j,)))
        return Line("grad_b", title, symbol, (Symbol("δ", self.l, (self.j,)),), (), 0, 0.0, value, numerical)

    def grad_weight(self, k: int) -> Line:
        """BP.4."""
        l, j = self.l, self.j
        value = float(self.layer.grads["W"][j, k])
        terms = (((float(self.layer.delta[0, j]), "·", float(self.a_in[k])), value),)
        title = say("BP.4: the gradient of its weight from unit {k} below", k=k)
        formula = (Symbol("δ", l, (j,)), "·", Symbol("a", l - 1, (k,)))
        symbol = _derivative(Symbol("W", l, (j, k)))
        return Line("grad_W", title, symbol, formula, terms, 0, 0.0, value, self._of_parameter("W", (j, k)))

    def change(self, k: int | None, updater: Updater) -> Line | None:
        """What the optimiser makes of the gradient."""
        name = "b" if k is None else "W"
        if name not in self.own.params:
            return None
        index: Any = self.j if k is None else (self.j, k)
        update = self.traced.update
        assert update is not None
        before = float(self.own.params[name][index])
        after = float(update.after[f"{self.l}.{name}"][index])
        rule = (inspect.getdoc(type(updater.optimiser)) or "").split("\n")[0]
        title = say(
            "The update by {optimiser} with learning rate {lr:g}: {rule}",
            optimiser=updater.optimiser.name,
            lr=update.lr,
            rule=rule,
        )
        symbol = Symbol(name, self.l, (self.j,) if k is None else (self.j, k))
        change = after - before
        terms: tuple[Part, ...] = (((before,), before), ((change,), change))
        new = Symbol(f"{name}⁺", symbol.layer, symbol.index)
        step = Symbol(f"Δ{name}", symbol.layer, symbol.index)
        return Line("change", title, new, (symbol, "+", step), terms, 0, 0.0, after)

    # Helpers

    def _line(
        self,
        name: str,
        title: str,
        symbol: Symbol,
        formula: Sequence[Token],
        parts: list[Part],
        value: float,
        numerical: float | None = None,
    ) -> Line:
        """A sum: the largest terms, and the rest in one."""
        ordered = sorted(parts, key=lambda part: -abs(part[1]))
        shown = [part for part in ordered[: self.most] if abs(part[1]) > _LARGE * abs(ordered[0][1])]
        rest = ordered[len(shown) :]
        left = sum(part[1] for part in rest)
        return Line(name, title, symbol, tuple(formula), tuple(shown), len(rest), left, value, numerical)

    def _numerical(self, cost: Callable[[np.ndarray], float], at: float, what: str) -> float:
        """∂C/∂z or ∂C/∂a of the unit by central differences, running the layers above forward."""
        values = self.layer.a[0] if what == "a" else self.layer.z[0]  # type: ignore[index]
        h = _STEP * (1 + abs(float(at)))
        up, down = values.copy(), values.copy()
        up[self.j] += h
        down[self.j] -= h
        return (cost(up) - cost(down)) / (2 * h)

    def _above(self, a: np.ndarray) -> float:
        """C from the activations of this layer on."""
        out: Any = a[None]
        for layer in self.network.layers[self.network.layers.index(self.own) + 1 :]:
            out, _ = layer.forward(out, training=None)
        return float(self.loss.value(out, self.y))

    def _of_parameter(self, name: str, index: tuple[int, ...]) -> float:
        theta = self.own.params[name]
        kept = float(theta[index])
        h = _STEP * (1 + abs(kept))
        values = []
        for moved in (kept + h, kept - h):
            theta[index] = moved
            values.append(float(self.loss.value(self.network.forward(self.x), self.y)))
        theta[index] = kept
        return (values[0] - values[1]) / (2 * h)


def _derivative(below: Symbol) -> Symbol:
    return Symbol(above=Symbol("C"), below=below)


def _jacobian(l: int, j: int) -> Symbol:
    return Symbol(above=Symbol("a", l, ("i",)), below=Symbol("z", l, (j,)))


# Writing


def _number(value: float) -> str:
    text = f"{value:.6g}"
    return text.replace("-", "−") if "e" not in text else text


def _terms(line: Line) -> list[list[Token]]:
    """The terms in numbers, and the rest; all but the first begin with a plus."""
    terms: list[list[Token]] = [list(part) for part, _ in line.terms]
    if line.left_out:
        terms.append([say("({count} more: {rest})", count=line.left_out, rest=_number(line.rest))])
    return [["+", *term] if k else term for k, term in enumerate(terms)]


def _numbers(line: Line, write: Callable[[Sequence[Token]], str]) -> str:
    """The terms in one."""
    return write([token for term in _terms(line) for token in term]) if _terms(line) else ""


def _text(tokens: Sequence[Token]) -> str:
    parts = []
    for token in tokens:
        if isinstance(token, Symbol):
            parts.append(token.text())
        elif isinstance(token, str):
            parts.append(token)
        else:
            parts.append(_signed(token))
    text = " ".join(parts).replace("( ", "(").replace(" )", ")").replace("σ (", "σ(").replace("σ′ (", "σ′(")
    return text.replace("((", "(").replace("))", ")")


def _signed(value: float) -> str:
    return f"({_number(value)})" if value < 0 else _number(value)


def _latex(tokens: Sequence[Token]) -> str:
    operators = {"·": r"\cdot", "−": "-", "Σ_k": r"\sum_k", "Σ_i": r"\sum_i"}
    parts = []
    for token in tokens:
        if isinstance(token, Symbol):
            parts.append(token.latex())
        elif not isinstance(token, str):
            parts.append(_signed(token).replace("−", "-"))
        elif token in operators or len(token) == 1:
            parts.append(operators.get(token, token))
        else:
            parts.append(rf"\text{{{latex_words(token)}}}")
    return " ".join(parts).replace("( (", "(").replace(") )", ")")


_LATEX_LETTERS = {
    **{"θ": r"$\theta$", "η": r"$\eta$", "β": r"$\beta$", "ρ": r"$\rho$", "μ": r"$\mu$", "ε": r"$\varepsilon$"},
    **{"λ": r"$\lambda$", "δ": r"$\delta$", "σ": r"$\sigma$", "Δ": r"$\Delta$", "∂": r"$\partial$", "·": r"$\cdot$"},
    **{"←": r"$\leftarrow$", "−": "$-$", "√": r"$\surd$", "₁": "$_1$", "₂": "$_2$", "²": "$^2$", "ᵗ": "$^t$"},
    **{"_": r"\_", "^": r"\^{}", "%": r"\%", "&": r"\&", "#": r"\#", "′": "$'$"},
}


def latex_words(text: str) -> str:
    """Words for LaTeX: Greek and signs as mathematics, special characters escaped."""
    parts = re.split("(.\u0302)", text)  # letters with a hat are two characters
    hats = {part: rf"$\hat {part[0]}$" for part in parts[1::2]}
    return "".join(hats.get(part) or "".join(_LATEX_LETTERS.get(letter, letter) for letter in part) for part in parts)


def _chain(line: Line) -> str:
    """The formula, the numbers and the value, one below the other."""
    terms = _terms(line)
    rows = [rf"{line.symbol.latex()} &= {_latex(line.formula)}"]
    for start in range(0, len(terms), _ABREAST):
        numbers = _latex([token for term in terms[start : start + _ABREAST] for token in term])
        rows.append((r"&\quad " if start else "&= ") + numbers)
    rows.append(f"&= {_number(line.value).replace('−', '-')}")
    return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


def _mathml(tokens: Sequence[Token]) -> str:
    parts = []
    for token in tokens:
        if isinstance(token, Symbol):
            parts.append(token.mathml())
        elif not isinstance(token, str):
            parts.append(f"<mn>{_signed(token)}</mn>")
        elif token.startswith("Σ_"):
            parts.append(f"<munder><mo>∑</mo><mi>{token[2:]}</mi></munder>")
        elif len(token) == 1:
            parts.append(f"<mo>{html.escape(token)}</mo>")
        else:
            parts.append(f"<mtext>{html.escape(token)}</mtext>")
    return "<mrow>" + "".join(parts) + "</mrow>"
