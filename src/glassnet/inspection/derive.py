"""The four equations for one small network, in symbols: every gradient twice, and the proof that both are the same.

One way is sympy's: C, written out in x, y, W and b, is differentiated by each parameter. The other way is that of
back-propagation: BP.1 to BP.4 one after the other, with the derivatives of the activations and of the loss as the
library has them. Layers are numbered from 1, units from 0. Everything is of one sample's own loss C.

It needs the extra ``derive``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any, Literal, TypeAlias

import numpy as np

from glassnet import activations as sigmas
from glassnet import losses
from glassnet.activations import ACTIVATIONS, Activation
from glassnet.backprop import backprop
from glassnet.errors import ConfigError, InputError, require
from glassnet.inspection.explain import Symbol, latex_words
from glassnet.losses import LOSSES, Loss
from glassnet.messages import language, say
from glassnet.network import Network, check_sizes
from glassnet.random import Purpose, generator

Expression: TypeAlias = Any
"""A ``sympy.Expr``."""

PARAMETERS, UNITS, LAYERS = 60, 8, 4
"""A network with more is refused: expressions grow with the product of the layers' widths."""
TOLERANCE = 1e-10
"""Of :meth:`Derivation.check`."""
EQUAL = 1e-12
"""Of the numeric proof, where algebra did not get there."""
OPERATIONS = 4000
"""A longer difference is not put through algebra."""

Way = Literal["algebra", "numbers", "different"]


@dataclass(frozen=True)
class Line:
    """One equation: ``symbol`` = ``expression``, which is in the symbols of its layer."""

    symbol: Symbol
    expression: Expression = field(repr=False)
    text: str
    latex: str


@dataclass(frozen=True)
class Step:
    """One step of the derivation.

    Attributes
    ----------
    name : str
        For programs: "forward", "loss", "BP.1", "BP.2", "BP.3", "BP.4", "whole".
    layer : int
    title : str
        What it is, in words.
    rule_text, rule_latex : str
        The rule for the whole layer, in matrices.
    lines : tuple of Line
        The rule for each unit or weight.
    """

    name: str
    layer: int
    title: str
    rule_text: str
    rule_latex: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Gradient:
    """∂C by one parameter, both ways, in x, y, W and b.

    Attributes
    ----------
    symbol : Symbol
        The parameter.
    by_sympy : sympy.Expr
        C differentiated by it.
    by_equations : sympy.Expr
        By BP.1 to BP.4.
    way : {"algebra", "numbers", "different"}
        How both are known to be the same: their difference is 0 by algebra, or at random points to 1e-12; or not.
    difference : float
        The largest relative difference at those points; 0 by algebra.
    """

    symbol: Symbol
    by_sympy: Expression = field(repr=False)
    by_equations: Expression = field(repr=False)
    way: Way
    difference: float


@dataclass(frozen=True)
class Derivation:
    """A network's equations.

    Attributes
    ----------
    sizes : tuple of int
    activation, output : Activation
    loss : Loss
    symbols : dict of str to sympy.Symbol
        By their text: "x_0", "y_1", "W^1_0,2", "b^2_1".
    z, a : tuple of tuple of sympy.Expr
        Of each unit, ``z[l - 1][j]``, in x, W and b.
    C : sympy.Expr
        In x, y, W and b.
    gradients : tuple of Gradient
        Of W^1, b^1, W^2, …, row by row.
    steps : tuple of Step
    notes : tuple of str
    """

    sizes: tuple[int, ...]
    activation: Activation
    output: Activation
    loss: Loss
    symbols: dict[str, Expression] = field(repr=False)
    z: tuple[tuple[Expression, ...], ...] = field(repr=False)
    a: tuple[tuple[Expression, ...], ...] = field(repr=False)
    C: Expression = field(repr=False)
    gradients: tuple[Gradient, ...] = field(repr=False)
    steps: tuple[Step, ...] = field(repr=False)
    notes: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether both ways gave the same for every parameter."""
        return all(gradient.way != "different" for gradient in self.gradients)

    def gradient(self, text: str) -> Gradient:
        """The gradient by the parameter of that text, such as "W^1_0,2" or "b^2_1"; InputError if there is none."""
        found = [gradient for gradient in self.gradients if gradient.symbol.text() == text]
        if not found:
            known = ", ".join(gradient.symbol.text() for gradient in self.gradients)
            raise InputError(say("there is no parameter {name!r}; there are {known}", name=text, known=known))
        return found[0]

    def check(self, points: int = 20, seed: int = 0) -> float:
        """The largest relative difference between sympy's gradients and ``glassnet.backprop`` in float64.

        Parameters
        ----------
        points : int, default 20
            How many: at each one x, y and all parameters are drawn anew.
        seed : int, default 0

        Returns
        -------
        float
            Of |sympy's − back-propagated|, divided by the largest entry of the layer's W or b in question.
        """
        if points < 1:
            raise ConfigError(say("points must be at least 1, not {points}", points=points))
        function = compiled(self.symbols.values(), [gradient.by_sympy for gradient in self.gradients])
        worst = 0.0
        for x, y, weights, biases in random_points(self.sizes, self.loss, points, seed):
            arguments = [*x, *y, *flat(weights, biases)]
            expected = np.array(function(*map(float, arguments)), dtype=np.float64)
            network = Network.of_parameters(weights, biases, self.activation, output=self.output)
            _, grads = backprop(network, self.loss, x[None], y[None])
            start = 0
            for layer in grads:
                for name in ("W", "b"):
                    ours = np.asarray(layer.params[name]).ravel()
                    worst = max(worst, _relative(expected[start : start + ours.size], ours))
                    start += ours.size
        return worst

    # As text

    def verdict(self) -> str:
        """How the two ways compare, in a line or two."""
        count = {way: sum(g.way == way for g in self.gradients) for way in ("algebra", "numbers", "different")}
        n = len(self.gradients)
        worst = max((g.difference for g in self.gradients), default=0.0)
        parts = []
        if count["algebra"]:
            text = say("{count} of {n} gradients: both ways are the same by algebra", count=count["algebra"], n=n)
            parts.append(text)
        if count["numbers"]:
            text = say(
                "{count} of {n} gradients: both ways are the same at random points, to {difference:.1e}",
                count=count["numbers"],
                n=n,
                difference=worst,
            )
            parts.append(text)
        if count["different"]:
            text = say(
                "{count} of {n} gradients: THE WAYS DIFFER, by {difference:.1e}",
                count=count["different"],
                n=n,
                difference=worst,
            )
            parts.append(text)
        return "\n".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Pure JSON; formulas as text and as LaTeX."""
        write = _Writer()
        return {
            "sizes": list(self.sizes),
            "activation": self.activation.name,
            "output": self.output.name,
            "loss": self.loss.name,
            "notes": list(self.notes),
            "same": self.same,
            "C": write.text(self.C),
            "steps": [
                {
                    "name": step.name,
                    "layer": step.layer,
                    "title": step.title,
                    "rule": {"text": step.rule_text, "latex": step.rule_latex},
                    "lines": [
                        {"symbol": line.symbol.text(), "text": line.text, "latex": line.latex} for line in step.lines
                    ],
                }
                for step in self.steps
            ],
            "gradients": [
                {
                    "symbol": gradient.symbol.text(),
                    "by_sympy": write.text(gradient.by_sympy),
                    "by_equations": write.text(gradient.by_equations),
                    "way": gradient.way,
                    "difference": gradient.difference,
                }
                for gradient in self.gradients
            ],
        }

    def to_text(self) -> str:
        """Plain text, a paragraph a step."""
        parts = [self._head(), *self.notes]
        for step in self.steps:
            rows = [f"  {step.rule_text}"] if step.rule_text else []
            rows += [f"    {line.symbol.text()} = {line.text}" for line in step.lines]
            parts.append("\n".join([step.title, *rows]))
        return "\n\n".join([*parts, self.verdict()]) + "\n"

    def to_markdown(self) -> str:
        """Markdown, with the formulas between dollar signs."""
        parts = [f"## {self._head()}", *self.notes]
        for step in self.steps:
            parts.append(f"**{step.title}**")
            if step.rule_latex:
                parts.append(f"$$\n{step.rule_latex}\n$$")
            parts.append(f"$$\n{_aligned(step.lines)}\n$$")
        return "\n\n".join([*parts, *self.verdict().split("\n")]) + "\n"

    def to_latex(self) -> str:
        """A LaTeX document (XeLaTeX for Chinese)."""
        package = "\\usepackage{ctex}\n" if language() == "zh" else ""
        parts = [rf"\section*{{{latex_words(self._head())}}}", *map(latex_words, self.notes)]
        for step in self.steps:
            short = [line for line in step.lines if len(line.latex) <= _LONG]
            formulas = [step.rule_latex] if step.rule_latex else []
            formulas += [_aligned(short)] if short else []
            shown = "\n".join(f"\\[\n{formula}\n\\]" for formula in formulas)
            shown += "".join(_broken(line) for line in step.lines if len(line.latex) > _LONG)
            parts.append(rf"\paragraph{{{latex_words(step.title)}}}" + f"\n{shown}")
        body = "\n\n".join([*parts, *map(latex_words, self.verdict().split("\n"))])
        return (
            f"\\documentclass{{article}}\n\\usepackage{{amsmath}}\n{package}\\begin{{document}}\n{body}\n"
            "\\end{document}\n"
        )

    def _head(self) -> str:
        return say(
            "{sizes}, {activation}, output {output}, loss {loss}: the gradients of one sample's C",
            sizes="-".join(map(str, self.sizes)),
            activation=self.activation.name,
            output=self.output.name,
            loss=self.loss.name,
        )


def derive(
    sizes: Sequence[int], activation: Any = "tanh", loss: Any = "cross_entropy", *, output: Any = None
) -> Derivation:
    """Derive every gradient of a small network in symbols, by sympy and by BP.1 to BP.4.

    Parameters
    ----------
    sizes : sequence of int
        (n[0], …, n[L]): at most 60 parameters, 8 units a layer, 4 layers.
    activation : str, dict or Activation, default "tanh"
        Of the hidden layers: any of glassnet's own that works on each element.
    loss : str, dict or Loss, default "cross_entropy"
        Any of glassnet's own. That Poisson's exponential goes on as its tangent far out, and that log_loss has a floor,
        is left out.
    output : str, dict or Activation, optional
        By default softmax for log_loss, else the identity.

    Returns
    -------
    Derivation

    Raises
    ------
    InputError
        If the network is too large; the message names the limit.
    ConfigError
        If the activation or loss is a user's own.
    MissingExtraError
        If sympy is not installed (the extra ``derive``).
    """
    sizes = check_sizes(sizes)
    _check_limits(sizes)
    sigma, cost, last = components(activation, loss, output)
    model = Model(sizes, sigma, last, cost)
    steps, equations = _Equations(model).all()
    by_sympy = [model.C.diff(model.of(theta)) for theta in model.parameters]
    gradients = tuple(_compared(model, by_sympy, equations))
    whole = _whole(model, gradients)
    steps += [whole] if whole.lines else []
    notes = [say("Layers are numbered from 1, units from 0.")]
    if model.targets_sum_to_1:
        notes.append(say("The targets sum to 1, which is used in BP.1."))
    return Derivation(
        sizes,
        sigma,
        last,
        cost,
        {symbol.text(): model.of(symbol) for symbol in model.inputs},
        tuple(map(tuple, model.z)),
        tuple(map(tuple, model.a[1:])),
        model.C,
        gradients,
        tuple(steps),
        tuple(notes),
    )


def _check_limits(sizes: Sequence[int]) -> None:
    count = sum(n_in * n_out + n_out for n_in, n_out in pairwise(sizes))
    deep, wide = len(sizes) - 1, max(sizes)
    for value, limit, text in (
        (deep, LAYERS, say("{n} layers", n=deep)),
        (wide, UNITS, say("{n} units in a layer", n=wide)),
        (count, PARAMETERS, say("{n} parameters", n=count)),
    ):
        if value > limit:
            message = say(
                "{sizes} has {what}, but at most {limit} are derived in symbols: the expressions would be too long to "
                "read, and take too long to find",
                sizes="-".join(map(str, sizes)),
                what=text,
                limit=limit,
            )
            raise InputError(message)


def components(activation: Any, loss: Any, output: Any) -> tuple[Activation, Loss, Activation]:
    """The hidden activation, the loss and the output's activation, if sympy can write them; else ConfigError."""
    cost = losses.loss(loss)
    if type(cost) not in _costs():
        raise ConfigError(_own("loss", cost, LOSSES.names()))
    sigma = sigmas.activation(activation)
    if output is None:
        output = "softmax" if isinstance(cost, losses.LogLoss) else "identity"
    last = sigmas.activation(output)
    known = [name for name in ACTIVATIONS.names() if name != "softmax"]
    if type(sigma) not in _elementwise():
        raise ConfigError(_own("activation", sigma, known))
    if type(last) not in _elementwise() and not isinstance(last, sigmas.Softmax):
        raise ConfigError(_own("activation", last, [*known, "softmax"]))
    if isinstance(cost, losses.LogLoss) and not isinstance(last, (sigmas.Softmax, sigmas.Logistic)):
        text = say(
            "log_loss takes the logarithm of the outputs, so their activation must be softmax or logistic, not {name}",
            name=last.name,
        )
        raise ConfigError(text)
    return sigma, cost, last


def _own(kind: str, component: Any, known: Sequence[str]) -> str:
    what = say("loss") if kind == "loss" else say("activation")
    return say(
        "the {kind} {component!r} cannot be written in symbols here; choose one of: {known}",
        kind=what,
        component=getattr(component, "name", type(component).__name__),
        known=", ".join(known),
    )


# The functions in symbols: each activation with its derivative, each loss with its gradient, as the library has them


@dataclass(frozen=True)
class _Sigma:
    """σ(z), and σ′ in z and a = σ(z)."""

    value: Callable[[Expression], Expression]
    slope: Callable[[Expression, Expression], Expression]


@cache
def _step() -> Any:
    """[u > 0], 1 where it holds, else 0, whose derivative is 0: a Piecewise of sympy's would be multiplied out."""
    sp = require("sympy", extra="derive")
    return type("above", (sp.Function,), {"is_real": True, "fdiff": lambda self, argument=1: sp.S.Zero})


def _exact(value: float) -> Expression:
    """A parameter such as 0.01 as the fraction that its digits say."""
    return require("sympy", extra="derive").Rational(repr(float(value)))


def _elementwise() -> dict[type[Activation], Callable[[Any], _Sigma]]:
    """What makes the symbols of each elementwise activation."""
    sp = require("sympy", extra="derive")
    exp, above = sp.exp, _step()

    def cdf(z: Expression) -> Expression:
        return (1 + sp.erf(z / sp.sqrt(2))) / 2

    def density(z: Expression) -> Expression:
        return exp(-(z**2) / 2) / sp.sqrt(2 * sp.pi)

    def logistic(z: Expression) -> Expression:
        return 1 / (1 + exp(-z))

    def leaky(own: sigmas.LeakyReLU) -> _Sigma:
        slope = _exact(own.slope)
        return _Sigma(
            lambda z: z * above(z) + slope * z * (1 - above(z)),
            lambda z, a: above(z) + slope * (1 - above(z)),
        )

    def elu(own: sigmas.ELU) -> _Sigma:
        alpha = _exact(own.alpha)
        return _Sigma(
            lambda z: z * above(z) + alpha * (exp(z) - 1) * (1 - above(z)),
            lambda z, a: above(z) + alpha * exp(z) * (1 - above(z)),
        )

    return {
        sigmas.Identity: lambda own: _Sigma(lambda z: z, lambda z, a: sp.S.One),
        sigmas.Logistic: lambda own: _Sigma(logistic, lambda z, a: a * (1 - a)),
        sigmas.Tanh: lambda own: _Sigma(sp.tanh, lambda z, a: 1 - a**2),
        sigmas.Softplus: lambda own: _Sigma(lambda z: sp.log(1 + exp(z)), lambda z, a: logistic(z)),
        sigmas.SiLU: lambda own: _Sigma(
            lambda z: z * logistic(z), lambda z, a: logistic(z) + z * logistic(z) * (1 - logistic(z))
        ),
        sigmas.GELU: lambda own: _Sigma(lambda z: z * cdf(z), lambda z, a: cdf(z) + z * density(z)),
        sigmas.ReLU: lambda own: _Sigma(lambda z: z * above(z), lambda z, a: above(z)),
        sigmas.LeakyReLU: leaky,
        sigmas.ELU: elu,
    }


@dataclass(frozen=True)
class _Cost:
    """c in the outputs a and targets y, and ∂c/∂a_j in them and p.

    Attributes
    ----------
    value : callable
        ``(a, y)`` to c.
    slope : callable
        ``(a, y, p)`` at unit j to ∂c/∂a_j.
    link : callable or None
        ``(a, j)`` to p_j, where the loss takes logits.
    """

    value: Callable[[Sequence[Expression], Sequence[Expression]], Expression]
    slope: Callable[[Expression, Expression, Expression], Expression]
    link: Callable[[Sequence[Expression], int], Expression] | None = None


def _costs() -> dict[type[Loss], Callable[[Any, int], _Cost]]:
    """What makes the symbols of each loss for so many outputs."""
    sp, above = require("sympy", extra="derive"), _step()

    def total(terms: Iterator[Expression]) -> Expression:
        return sp.Add(*terms)

    def each(value: Callable[[Expression, Expression], Expression]) -> Callable[..., Expression]:
        return lambda a, y: total(value(*pair) for pair in zip(a, y, strict=True))

    def smooth(own: Any, share: Expression) -> Callable[[Expression], Expression]:
        e = _exact(own.label_smoothing)
        return lambda y: (1 - e) * y + e * share

    def cross_entropy(own: losses.CrossEntropy, n: int) -> _Cost:
        t = smooth(own, sp.Rational(1, n))
        return _Cost(
            lambda a, y: sp.log(total(map(sp.exp, a))) - total(t(yj) * aj for aj, yj in zip(a, y, strict=True)),
            lambda a, y, p: p - t(y),
            lambda a, j: sp.exp(a[j]) / total(map(sp.exp, a)),
        )

    def binary(own: losses.BinaryCrossEntropy, n: int) -> _Cost:
        t = smooth(own, sp.Rational(1, 2))
        value = each(lambda a, y: sp.log(1 + sp.exp(a)) - t(y) * a)
        return _Cost(value, lambda a, y, p: p - t(y), lambda a, j: 1 / (1 + sp.exp(-a[j])))

    def huber(own: losses.Huber, n: int) -> _Cost:
        t = _exact(own.threshold)

        def term(a: Expression, y: Expression) -> Expression:
            r, over, under = a - y, above(a - y - t), above(y - a - t)
            return r**2 / 2 * (1 - over - under) + t * (r - t / 2) * over - t * (r + t / 2) * under

        def slope(a: Expression, y: Expression, p: Expression) -> Expression:
            over, under = above(a - y - t), above(y - a - t)
            return (a - y) * (1 - over - under) + t * over - t * under

        return _Cost(each(term), slope)

    def absolute(own: losses.AbsoluteError, n: int) -> _Cost:
        value = each(lambda a, y: (a - y) * (above(a - y) - above(y - a)))
        return _Cost(value, lambda a, y, p: above(a - y) - above(y - a))

    return {
        losses.SquaredError: lambda own, n: _Cost(each(lambda a, y: (a - y) ** 2 / 2), lambda a, y, p: a - y),
        losses.AbsoluteError: absolute,
        losses.Huber: huber,
        losses.CrossEntropy: cross_entropy,
        losses.BinaryCrossEntropy: binary,
        losses.LogLoss: lambda own, n: _Cost(each(lambda a, y: -y * sp.log(a)), lambda a, y, p: -y / a),
        losses.Poisson: lambda own, n: _Cost(
            each(lambda a, y: sp.exp(a) - y * a), lambda a, y, p: p - y, lambda a, j: sp.exp(a[j])
        ),
    }


# The network in symbols


class Model:
    """A network's expressions in x, y, W and b: z and a of each unit, and C.

    Parameters
    ----------
    sizes : tuple of int
    activation, output : Activation
    loss : Loss
    """

    def __init__(self, sizes: tuple[int, ...], activation: Activation, output: Activation, loss: Loss) -> None:
        self.sp = require("sympy", extra="derive")
        self.sizes, self.activations, self.loss = sizes, [*[activation] * (len(sizes) - 2), output], loss
        self._made: dict[Symbol, Expression] = {}
        self.x = [Symbol("x", None, (k,)) for k in range(sizes[0])]
        self.y = [Symbol("y", None, (k,)) for k in range(sizes[-1])]
        self.W = [
            [[Symbol("W", l, (j, k)) for k in range(n_in)] for j in range(n_out)]
            for l, (n_in, n_out) in enumerate(pairwise(sizes), start=1)
        ]
        self.b = [[Symbol("b", l, (j,)) for j in range(n)] for l, n in enumerate(sizes[1:], start=1)]
        self.parameters = flat(self.W, self.b)
        self.inputs = [*self.x, *self.y, *self.parameters]
        self.cost = _costs()[type(loss)](loss, sizes[-1])
        self.softmax = isinstance(output, sigmas.Softmax)
        self.targets_sum_to_1 = self.softmax and isinstance(loss, losses.LogLoss)
        self.a: list[list[Expression]] = [[self.of(x) for x in self.x]]
        self.z: list[list[Expression]] = []
        for l in range(1, len(sizes)):
            self.z.append([self.net_input(l, j, self.a[-1]) for j in range(sizes[l])])
            self.a.append([self.activated(l, j, self.z[-1]) for j in range(sizes[l])])
        self.C = self.cost.value(self.a[-1], [self.of(y) for y in self.y])

    def of(self, symbol: Symbol) -> Expression:
        """sympy's symbol, a real number, whose name is the text of ours."""
        if symbol not in self._made:
            self._made[symbol] = self.sp.Symbol(symbol.text(), real=True)
        return self._made[symbol]

    def row(self, base: str, l: int | None, n: int) -> list[Expression]:
        """A layer's symbols, such as a^1_0 and a^1_1."""
        return [self.of(Symbol(base, l, (j,))) for j in range(n)]

    def net_input(self, l: int, j: int, below: Sequence[Expression]) -> Expression:
        """W a + b of unit j in layer l."""
        products = (self.of(w) * a for w, a in zip(self.W[l - 1][j], below, strict=True))
        return self.sp.Add(*products, self.of(self.b[l - 1][j]))

    def sigma(self, l: int) -> _Sigma:
        """σ of layer l, which is elementwise."""
        own = self.activations[l - 1]
        return _elementwise()[type(own)](own)

    def activated(self, l: int, j: int, z: Sequence[Expression]) -> Expression:
        """σ(z) of unit j in layer l."""
        if l == len(self.sizes) - 1 and self.softmax:
            return self.sp.exp(z[j]) / self.sp.Add(*map(self.sp.exp, z))
        return self.sigma(l).value(z[j])


def flat(weights: Sequence[Any], biases: Sequence[Any]) -> list[Any]:
    """W^1 row by row, b^1, W^2, …: of arrays or of lists of lists."""
    return [item for W, b in zip(weights, biases, strict=True) for item in [*(w for row in W for w in row), *b]]


class _Equations:
    """BP.1 to BP.4, each written for its layer and carried out on the whole expressions."""

    def __init__(self, model: Model) -> None:
        self.model, self.write = model, _Writer()
        self.last = len(model.sizes) - 1

    def all(self) -> tuple[list[Step], list[Expression]]:
        """The steps, and the gradients in the order of the model's parameters."""
        model = self.model
        steps = [self._forward(l) for l in range(1, self.last + 1)]
        steps.append(self._loss())
        found: dict[Symbol, Expression] = {}
        step, delta = self._output_error()
        for l in range(self.last, 0, -1):
            if l < self.last:
                step, delta = self._hidden_error(l, delta)
            steps += [step, self._bias_gradients(l), self._weight_gradients(l)]
            found.update(zip(model.b[l - 1], delta, strict=True))  # BP.3
            for row, d in zip(model.W[l - 1], delta, strict=True):  # BP.4
                found.update((w, d * a) for w, a in zip(row, model.a[l - 1], strict=True))
        return steps, [found[theta] for theta in model.parameters]

    def _line(self, symbol: Symbol, expression: Expression) -> Line:
        return Line(symbol, expression, self.write.text(expression), self.write.latex(expression))

    def _forward(self, l: int) -> Step:
        model, n = self.model, self.model.sizes[l]
        below = model.row("a", l - 1, model.sizes[l - 1]) if l > 1 else model.a[0]
        z = model.row("z", l, n)
        lines = [self._line(Symbol("z", l, (j,)), model.net_input(l, j, below)) for j in range(n)]
        lines += [self._line(Symbol("a", l, (j,)), model.activated(l, j, z)) for j in range(n)]
        a = f"a^{l - 1}" if l > 1 else "x"
        a_latex = f"a^{{{l - 1}}}" if l > 1 else "x"
        name = model.activations[l - 1].name
        title = say("Layer {layer}, forward, by the function {name}", layer=l, name=name)
        return Step(
            "forward",
            l,
            title,
            f"z^{l} = W^{l} {a} + b^{l}, a^{l} = σ(z^{l})",
            rf"z^{{{l}}} = W^{{{l}}} {a_latex} + b^{{{l}}}, \qquad a^{{{l}}} = \sigma(z^{{{l}}})",
            tuple(lines),
        )

    def _loss(self) -> Step:
        model, n = self.model, self.model.sizes[-1]
        expression = model.cost.value(model.row("a", self.last, n), model.row("y", None, n))
        title = say("The loss {name}", name=model.loss.name)
        return Step("loss", self.last, title, "", "", (self._line(Symbol("C"), expression),))

    def _output_error(self) -> tuple[Step, list[Expression]]:
        """BP.1: δ = J_σᵀ ∇_a C, which is ∇_a C ⊙ σ′(z) where σ is elementwise."""
        model, l, n = self.model, self.last, self.model.sizes[-1]
        a, z, y, p = model.row("a", l, n), model.row("z", l, n), model.row("y", None, n), model.row("p", None, n)
        lines, whole = [], dict(zip([*a, *z], [*model.a[-1], *model.z[-1]], strict=True))
        if model.cost.link is not None:
            links = [model.cost.link(a, j) for j in range(n)]
            lines += [self._line(Symbol("p", None, (j,)), links[j]) for j in range(n)]
            whole |= {p[j]: links[j].xreplace(whole) for j in range(n)}
        grad = [model.cost.slope(a[j], y[j], p[j]) for j in range(n)]
        for j in range(n):
            lines.append(self._line(_partial(Symbol("C"), Symbol("a", l, (j,))), grad[j]))
        if model.softmax:
            rule = f"δ^{l} = Jᵀ ∇_a C, J = diag(a^{l}) − a^{l} (a^{l})ᵀ"
            latex = rf"\delta^{{{l}}} = J^\top \nabla_a C, \qquad "
            latex += rf"J = \mathrm{{diag}}(a^{{{l}}}) - a^{{{l}}} (a^{{{l}}})^\top"
            delta = [self._through_softmax(grad, a, y, j) for j in range(n)]
            for j in range(n):
                for k in range(n):
                    symbol = _partial(Symbol("a", l, (k,)), Symbol("z", l, (j,)))
                    lines.append(self._line(symbol, a[k] * (int(k == j) - a[j])))
        else:
            rule = f"δ^{l} = ∇_a C ⊙ σ′(z^{l})"
            latex = rf"\delta^{{{l}}} = \nabla_a C \odot \sigma'(z^{{{l}}})"
            slopes = [model.sigma(l).slope(z[j], a[j]) for j in range(n)]
            lines += self._slopes(l, slopes)
            delta = [grad[j] * slopes[j] for j in range(n)]
        lines += [self._line(Symbol("δ", l, (j,)), delta[j]) for j in range(n)]
        title = say("BP.1: the error of the output layer {layer}", layer=l)
        return Step("BP.1", l, title, rule, latex, tuple(lines)), [d.xreplace(whole) for d in delta]

    def _through_softmax(self, grad: list[Expression], a: list[Expression], y: list[Expression], j: int) -> Expression:
        """Σ_k ∂C/∂a_k ∂a_k/∂z_j; of the log-loss it becomes a_j Σ y − y_j = a_j − y_j."""
        if self.model.targets_sum_to_1:
            return a[j] - y[j]
        return self.model.sp.Add(*(g * a[k] * (int(k == j) - a[j]) for k, g in enumerate(grad)))

    def _slopes(self, l: int, slopes: list[Expression]) -> list[Line]:
        return [self._line(Symbol("σ′", of=Symbol("z", l, (j,))), slope) for j, slope in enumerate(slopes)]

    def _hidden_error(self, l: int, above: list[Expression]) -> tuple[Step, list[Expression]]:
        """BP.2: δ^l = (W^{l+1}ᵀ δ^{l+1}) ⊙ σ′(z^l)."""
        model, n = self.model, self.model.sizes[l]
        a, z, d = model.row("a", l, n), model.row("z", l, n), model.row("δ", l + 1, model.sizes[l + 1])
        slopes = [model.sigma(l).slope(z[j], a[j]) for j in range(n)]
        lines = self._slopes(l, slopes)
        whole = dict(zip([*a, *z, *d], [*model.a[l], *model.z[l - 1], *above], strict=True))
        delta = []
        for j in range(n):
            back = model.sp.Add(*(model.of(row[j]) * d[i] for i, row in enumerate(model.W[l])))
            delta.append(back * slopes[j])
            lines.append(self._line(Symbol("δ", l, (j,)), delta[-1]))
        return Step(
            "BP.2",
            l,
            say("BP.2: the error of layer {layer}", layer=l),
            f"δ^{l} = ((W^{l + 1})ᵀ δ^{l + 1}) ⊙ σ′(z^{l})",
            rf"\delta^{{{l}}} = \left((W^{{{l + 1}}})^\top \delta^{{{l + 1}}}\right) \odot \sigma'(z^{{{l}}})",
            tuple(lines),
        ), [expression.xreplace(whole) for expression in delta]

    def _bias_gradients(self, l: int) -> Step:
        d = self.model.row("δ", l, self.model.sizes[l])
        lines = [self._line(_partial(Symbol("C"), b), d[j]) for j, b in enumerate(self.model.b[l - 1])]
        latex = rf"\frac{{\partial C}}{{\partial b^{{{l}}}}} = \delta^{{{l}}}"
        title = say("BP.3: the gradient of the biases of layer {layer}", layer=l)
        return Step("BP.3", l, title, f"∂C/∂b^{l} = δ^{l}", latex, tuple(lines))

    def _weight_gradients(self, l: int) -> Step:
        model = self.model
        d, below = model.row("δ", l, model.sizes[l]), model.row("a", l - 1, model.sizes[l - 1]) if l > 1 else model.a[0]
        lines = [
            self._line(_partial(Symbol("C"), w), d[j] * below[k])
            for j, row in enumerate(model.W[l - 1])
            for k, w in enumerate(row)
        ]
        a, a_latex = (f"a^{l - 1}", f"a^{{{l - 1}}}") if l > 1 else ("x", "x")
        latex = rf"\frac{{\partial C}}{{\partial W^{{{l}}}}} = \delta^{{{l}}} ({a_latex})^\top"
        title = say("BP.4: the gradient of the weights of layer {layer}", layer=l)
        return Step("BP.4", l, title, f"∂C/∂W^{l} = δ^{l} ({a})ᵀ", latex, tuple(lines))


def _partial(above: Symbol, below: Symbol) -> Symbol:
    return Symbol(above=above, below=below)


def _whole(model: Model, gradients: Sequence[Gradient]) -> Step:
    """The first weight's gradient both ways in full, if it can be read."""
    write, first = _Writer(), gradients[0]
    gradient = _partial(Symbol("C"), first.symbol)
    pairs = [(Symbol("C"), model.C), (gradient, first.by_sympy), (gradient, first.by_equations)]
    lines = [Line(symbol, e, write.text(e), write.latex(e)) for symbol, e in pairs if e.count_ops() <= READABLE]
    title = say("Written out: C, and the gradient of the first weight by sympy's differentiation and by BP.1 to BP.4")
    return Step("whole", 1, title, "", "", tuple(lines))


READABLE = 150
"""Operations of an expression that is still shown in full."""


# The proof


def _compared(model: Model, by_sympy: list[Expression], equations: list[Expression]) -> Iterator[Gradient]:
    """Each parameter's gradient both ways, with how they are known to be the same."""
    rational, whole = _Rational(), {}
    if model.targets_sum_to_1:
        *others, last = (model.of(y) for y in model.y)
        whole = {last: 1 - model.sp.Add(*others)}
    ways: list[Way] = []
    for one, other in zip(by_sympy, equations, strict=True):
        difference = (one - other).xreplace(whole)
        ways.append("algebra" if rational.vanishes(difference) else "numbers")
    left = [i for i, way in enumerate(ways) if way == "numbers"]
    differences = dict.fromkeys(range(len(ways)), 0.0)
    if left:
        differences.update(
            zip(left, _numeric(model, [by_sympy[i] for i in left], [equations[i] for i in left]), strict=True)
        )
    for i, (symbol, one, other) in enumerate(zip(model.parameters, by_sympy, equations, strict=True)):
        way: Way = "different" if not differences[i] <= EQUAL else ways[i]
        yield Gradient(symbol, one, other, way, differences[i])


def _numeric(model: Model, ones: list[Expression], others: list[Expression], points: int = 20) -> list[float]:
    """For each pair the largest |one − other| at random points, relative to the larger of both there."""
    function = compiled([model.of(symbol) for symbol in model.inputs], [*ones, *others])
    worst = np.zeros(len(ones))
    for x, y, weights, biases in random_points(model.sizes, model.loss, points, 0):
        values = np.array(function(*map(float, [*x, *y, *flat(weights, biases)])), dtype=np.float64)
        one, other = values[: len(ones)], values[len(ones) :]
        worst = np.maximum(worst, [_relative(a, b) for a, b in zip(one, other, strict=True)])
    return worst.tolist()


def _relative(one: Any, other: Any) -> float:
    """The largest |one − other| in units of the largest |value|; infinity where a value is not finite."""
    one, other = np.atleast_1d(one), np.atleast_1d(other)
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        return float("inf")
    scale = max(np.abs(one).max(), np.abs(other).max(), np.finfo(np.float64).tiny)
    return float(np.abs(one - other).max() / scale)


class _Rational:
    """Expressions as fractions of polynomials, in which each exp(…), tanh(…) and so on is a letter of its own."""

    def __init__(self) -> None:
        self.sp = require("sympy", extra="derive")
        self.letters: dict[Expression, Expression] = {}
        self.known: dict[Expression, Expression] = {}
        self.units: dict[Expression, Expression] = {}

    def vanishes(self, expression: Expression) -> bool:
        """Whether it is 0 for algebra; False also where that would take too long."""
        if expression == 0:
            return True
        if expression.count_ops() > OPERATIONS:
            return False
        numerator, _ = self.sp.fraction(self.sp.together(self._of(expression)))
        return bool(numerator.expand() == 0)

    def _letter(self, expression: Expression) -> Expression:
        return self.letters.setdefault(expression, self.sp.Dummy(f"f{len(self.letters)}"))

    def _of(self, expression: Expression) -> Expression:
        if expression.is_Atom:
            return expression
        if expression not in self.known:
            self.known[expression] = self._made(expression)
        return self.known[expression]

    def _made(self, expression: Expression) -> Expression:
        sp = self.sp
        if isinstance(expression, sp.exp):
            # exp(z) exp(z) is exp(2z) to sympy: the letter is of the first that was seen, and others are powers of it
            content, rest = expression.args[0].as_content_primitive()
            if rest.could_extract_minus_sign():
                content, rest = -content, -rest
            unit = self.units.setdefault(rest, content)
            if (content / unit).is_Integer:
                return self._letter(sp.exp(unit * rest)) ** (content / unit)
        if isinstance(expression, sp.Function):
            return self._letter(expression)
        return expression.func(*map(self._of, expression.args))


def random_points(
    sizes: Sequence[int], loss: Loss, points: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray, list[np.ndarray], list[np.ndarray]]]:
    """Random x, y, weights and biases, the targets as the loss takes them."""
    rng = generator(seed, Purpose.CHECK)
    for _ in range(points):
        weights = [rng.normal(size=(n_out, n_in)) / np.sqrt(n_in) for n_in, n_out in pairwise(sizes)]
        biases = [rng.normal(size=n) for n in sizes[1:]]
        targets = {
            "classes": rng.dirichlet(np.ones(sizes[-1])),
            "labels": rng.integers(0, 2, sizes[-1]).astype(np.float64),
            "counts": rng.poisson(2.0, sizes[-1]).astype(np.float64),
            "values": rng.normal(size=sizes[-1]),
        }
        yield rng.normal(size=sizes[0]), targets[loss.target], weights, biases


def compiled(symbols: Any, expressions: list[Expression], *, cse: bool = True) -> Callable[..., Any]:
    """A function of the symbols' values that gives those of the expressions."""
    sp = require("sympy", extra="derive")
    modules = [{"above": lambda u: float(u > 0)}, "scipy", "numpy"]
    function: Callable[..., Any] = sp.lambdify(list(symbols), expressions, modules=modules, cse=cse)
    return function


# Writing


class _Writer:
    """Expressions as text and as LaTeX."""

    def __init__(self) -> None:
        self.sp = require("sympy", extra="derive")

    def text(self, expression: Expression) -> str:
        """In plain text: tanh(z^1_0)^2, with [z > 0] for 1 where z > 0, else 0."""
        text = self.sp.sstr(self._named(expression, lambda inner: f"[{self.sp.sstr(inner)} > 0]"))
        return str(text.replace("**", "^").replace("*", "·").replace("log(", "ln(").replace("-", "−"))

    def latex(self, expression: Expression) -> str:
        """In LaTeX."""
        names = {symbol: _latex_of(symbol.name) for symbol in expression.free_symbols}

        def shown(e: Expression) -> str:
            return str(self.sp.latex(e, symbol_names=names, ln_notation=True))

        def name(inner: Expression) -> str:
            text = rf"\left[{shown(inner)} > 0\right]"
            names[self.sp.Symbol(text)] = text
            return text

        return shown(self._named(expression, name))

    def _named(self, expression: Expression, name: Callable[[Expression], str]) -> Expression:
        """Each step [u > 0] as a symbol of that name, the innermost first."""
        return expression.replace(_step(), lambda inner: self.sp.Symbol(name(inner)))


def _latex_of(name: str) -> str:
    """A symbol's LaTeX from its text: W^1_0,2 to W^{1}_{0,2}."""
    base, superscript, index = re.fullmatch(r"([^\W_]+)(?:\^(\d+))?(?:_([\d,]+))?", name).groups()  # type: ignore[union-attr]
    return Symbol(base, superscript, tuple(index.split(",")) if index else ()).latex()


_LONG = 250  # letters of LaTeX that fit on a line, about


def _broken(line: Line) -> str:
    """A long formula in the text, where lines may be broken at its operators."""
    formula = line.latex.replace(r"\left(", "(").replace(r"\right)", ")")
    return f"\n\n{{\\raggedright\\noindent ${line.symbol.latex()} = {formula}$\\par}}\n"


def _aligned(lines: Sequence[Line]) -> str:
    rows = [rf"{line.symbol.latex()} &= {line.latex}" for line in lines]
    return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"
