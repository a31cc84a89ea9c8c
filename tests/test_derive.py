"""The equations in symbols: by hand, against sympy's differentiation, and against back-propagation in numbers."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import sympy

import glassnet.layers.dense
from glassnet.activations import ACTIVATIONS, Activation
from glassnet.errors import ConfigError, InputError
from glassnet.inspection import derive, gradient_costs
from glassnet.inspection.derive import TOLERANCE
from glassnet.losses import LOSSES
from glassnet.messages import use_language

ELEMENTWISE = [name for name in ACTIVATIONS.names() if name != "softmax"]


def test_by_hand():
    """1-1-1, logistic and squared error: ∂C/∂W¹ = (a² − y) W² a¹ (1 − a¹) x."""
    d = derive([1, 1, 1], "logistic", "squared_error")
    x, y = d.symbols["x_0"], d.symbols["y_0"]
    W1, b1, W2, b2 = (d.symbols[name] for name in ("W^1_0,0", "b^1_0", "W^2_0,0", "b^2_0"))
    a1 = 1 / (1 + sympy.exp(-(W1 * x + b1)))
    a2 = W2 * a1 + b2
    by_hand = {
        "W^2_0,0": (a2 - y) * a1,
        "b^2_0": a2 - y,
        "W^1_0,0": (a2 - y) * W2 * a1 * (1 - a1) * x,
        "b^1_0": (a2 - y) * W2 * a1 * (1 - a1),
    }
    assert {gradient.symbol.text() for gradient in d.gradients} == set(by_hand)
    for name, expected in by_hand.items():
        for way in (d.gradient(name).by_sympy, d.gradient(name).by_equations):
            assert sympy.simplify(way - expected) == 0
    assert d.same
    assert all(gradient.way == "algebra" for gradient in d.gradients)
    assert [step.name for step in d.steps] == [
        *("forward", "forward", "loss", "BP.1", "BP.3", "BP.4", "BP.2", "BP.3", "BP.4", "whole"),
    ]


@pytest.mark.parametrize("activation", ELEMENTWISE)
def test_every_activation(activation: str):
    d = derive([2, 2, 1], activation, "squared_error")
    assert d.same
    assert d.check(points=5) < TOLERANCE


@pytest.mark.parametrize("loss", LOSSES.names())
def test_every_loss(loss: str):
    d = derive([2, 2, 2], "tanh", loss)
    assert d.same
    assert d.check(points=5) < TOLERANCE


@pytest.mark.parametrize(
    ("sizes", "options"),
    [
        ([2, 3, 2], {"loss": "cross_entropy(label_smoothing=0.2)"}),
        ([1, 2, 2, 1], {"activation": "elu(alpha=0.5)", "loss": "huber(threshold=0.3)"}),
        ([2, 2], {"output": "softmax", "loss": "log_loss"}),
        ([2, 2, 2], {"output": "logistic", "loss": "squared_error"}),
        ([3, 1], {"loss": "poisson"}),
    ],
)
def test_networks_of_other_forms(sizes: list[int], options: dict[str, Any]):
    d = derive(sizes, **options)
    assert d.same
    assert d.check(points=5) < TOLERANCE
    assert len(d.gradients) == sum(n_in * n_out + n_out for n_in, n_out in pairwise(sizes))


def test_softmax_and_cross_entropy_come_out_as_p_minus_y():
    step = next(step for step in derive([1, 2], loss="cross_entropy").steps if step.name == "BP.1")
    assert "∂C/∂a^1_0 = p_0 − y_0" in "\n".join(f"{line.symbol.text()} = {line.text}" for line in step.lines)
    whole = derive([1, 2], output="softmax", loss="log_loss")
    assert whole.same


@pytest.mark.parametrize("wrong", ["weight_gradient", "bias_gradient", "propagate", "error"])
def test_a_wrong_equation_is_found(wrong: str, monkeypatch: pytest.MonkeyPatch):
    """If back-propagation is off by a percent in one of its equations, the check says so."""
    right = getattr(glassnet.layers.dense, wrong)
    monkeypatch.setattr(glassnet.layers.dense, wrong, lambda *given: 1.01 * right(*given))
    assert derive([2, 2, 2]).check(points=3) > 1e-3


def test_a_wrong_derivative_of_an_activation_is_found(monkeypatch: pytest.MonkeyPatch):
    tanh = type(ACTIVATIONS.make("tanh"))
    monkeypatch.setattr(tanh, "derivative", lambda self, z: 1 - np.tanh(z))
    assert derive([2, 2, 1], "tanh", "squared_error").check(points=3) > 1e-3


class Own(Activation):
    """A user's own."""

    def __call__(self, z: Any) -> Any:
        return z

    def pull_back(self, grad_a: Any, z: Any, /) -> Any:
        return grad_a


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({"sizes": [9, 2]}, InputError, "9 units in a layer, but at most 8"),
        ({"sizes": [2, 2, 2, 2, 2, 2]}, InputError, "5 layers, but at most 4"),
        ({"sizes": [8, 7, 2]}, InputError, "79 parameters, but at most 60"),
        ({"sizes": [2]}, ConfigError, "at least two"),
        ({"sizes": [2, 2], "activation": Own()}, ConfigError, "cannot be written in symbols"),
        ({"sizes": [2, 2], "activation": "softmax"}, ConfigError, "cannot be written in symbols"),
        ({"sizes": [2, 2], "loss": (lambda a, y: a, lambda a, y: a)}, ConfigError, "cannot be written in symbols"),
        ({"sizes": [2, 2], "loss": "log_loss", "output": "tanh"}, ConfigError, "must be softmax or logistic"),
        ({"sizes": [2, 2], "loss": "nothing"}, ConfigError, "unknown loss"),
    ],
)
def test_what_is_refused(given: dict[str, Any], error: type[Exception], text: str):
    with pytest.raises(error, match=text):
        derive(**given)


def test_points_and_parameters_that_are_not_there():
    d = derive([1, 1])
    with pytest.raises(ConfigError, match="points must be at least 1"):
        d.check(points=0)
    with pytest.raises(InputError, match="there is no parameter 'W'"):
        d.gradient("W")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_forms(language: str):
    use_language(language)
    try:
        d = derive([2, 2, 2], "tanh", "cross_entropy")
        text, latex, markdown = d.to_text(), d.to_latex(), d.to_markdown()
        assert "∂C/∂W^1_0,1 = x_1·δ^1_0" in text
        assert r"\frac{\partial C}{\partial W^{1}_{0,1}}" in latex
        shown = latex.count(r"\begin{aligned}") + latex.count(r"{\raggedright")  # long formulas may be broken
        assert shown >= len(d.steps)
        assert latex.count(r"\begin{aligned}") == latex.count(r"\end{aligned}")
        assert latex.isascii() or language == "zh"
        assert latex.count("{") == latex.count("}")
        assert markdown.count("$$") % 2 == 0
        for form in (text, latex, markdown):
            assert ("forward" in form) == (language == "en")
            assert bool(re.search("[\u4e00-\u9fff]", form)) == (language == "zh")
        content = json.loads(json.dumps(d.to_json()))
        assert content["same"] is True
        assert len(content["gradients"]) == 12
    finally:
        use_language("en")


def test_costs():
    costs = list(gradient_costs([(2, 2, 2), (2, 3, 2)], seconds=60))
    assert [cost.parameters for cost in costs] == [12, 17]
    for cost in costs:
        assert cost.numerical is not None
        assert cost.derive is not None
        assert cost.operations is not None
        assert min(cost.numerical, cost.derive, cost.evaluate, cost.backprop) > 0
    assert costs[1].operations > costs[0].operations
    late = list(gradient_costs([(2, 2, 2), (2, 3, 2)], seconds=1e-9))
    assert (late[1].numerical, late[1].derive) == (None, None)
    assert late[1].backprop > 0
    with pytest.raises(ConfigError, match="above 0"):
        next(gradient_costs(seconds=0))
