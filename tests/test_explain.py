"""The arithmetic that ``explain`` writes out is that of back-propagation, and numerical differentiation agrees."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import numpy as np
import pytest

from glassnet.activations import ACTIVATIONS
from glassnet.errors import ConfigError, InputError
from glassnet.inspection import explain, trace
from glassnet.losses import LOSSES
from glassnet.messages import use_language
from glassnet.network import Network
from glassnet.optimisers import OPTIMISERS, SGD, Updater


def network(**options: object) -> Network:
    return Network.dense(
        [4, 6, 5, 3], **{"activation": "tanh", "bias": "normal", "dtype": "float64", "seed": 2, **options}
    )


RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(6, 4)), RNG.integers(0, 3, 6)


def test_by_hand():
    """2-2-1, ReLU, squared error: W¹ = [[1, −2], [3, 0]], b¹ = (½, −1), W² = [2, −1], x = (1, 2), y = 0."""
    W = [np.array([[1.0, -2.0], [3.0, 0.0]]), np.array([[2.0, -1.0]])]
    small = Network.of_parameters(W, [np.array([0.5, -1.0]), np.array([0.25])], "relu")
    x, y = np.array([[1.0, 2.0]]), np.array([[0.0]])
    e = explain(small, "squared_error", x, y, weight=(1, 1, 0), updater=Updater(SGD()), lr=0.1)
    values = {line.name: line.value for line in e.lines}
    # z¹ = (−2.5, 2), a¹ = (0, 2), a² = −2 + 0.25, so δ² = −1.75 and δ¹₁ = −1 · −1.75
    expected = {"z": 2.0, "a": 2.0, "grad_a": 1.75, "delta": 1.75, "grad_b": 1.75, "grad_W": 1.75, "change": 2.825}
    assert values == pytest.approx(expected)
    assert e.loss == 0.5 * 1.75**2
    assert e.line("z").terms == (((3.0, "·", 1.0), 3.0), ((-1.0,), -1.0))
    assert (e.line("z").left_out, e.line("z").rest) == (1, 0.0)  # 0 · 2
    text = e.to_text()
    assert "z^1_1 = Σ_k W^1_1,k a^0_k + b^1_1\n    = 3 · 1 + (−1) + (1 more: 0)\n    = 2" in text
    assert "∂C/∂W^1_1,0 = δ^1_1 · a^0_0\n    = 1.75 · 1\n    = 1.75" in text


@pytest.mark.parametrize("activation", ACTIVATIONS.names())
@pytest.mark.parametrize("layer", [1, 2, 3])
def test_numbers_are_those_of_back_propagation_and_of_central_differences(activation: str, layer: int):
    own = network(activation=activation)
    traced = trace(own, "cross_entropy", X[3:4], Y[3:4])
    for j in range(own.sizes[layer]):
        e = explain(own, "cross_entropy", X, Y, row=3, weight=(layer, j, 2))
        look = traced.layer(layer)
        assert look.z is not None
        expected = {
            "z": look.z[0, j],
            "a": look.a[0, j],
            "grad_a": look.grad_a[0, j],
            "delta": look.delta[0, j],
            "grad_b": look.grads["b"][j],
            "grad_W": look.grads["W"][j, 2],
        }
        assert {line.name: line.value for line in e.lines} == pytest.approx(expected, abs=1e-14)
        for line in e.lines:
            if line.numerical is not None:
                assert line.numerical == pytest.approx(line.value, abs=1e-7), line.name
            if line.name in ("z", "grad_a", "grad_W") and line.terms:
                assert sum(value for _, value in line.terms) + line.rest == pytest.approx(line.value, abs=1e-13)


@pytest.mark.parametrize("loss", LOSSES.names())
@pytest.mark.parametrize("variant", ["inverted", "plain"])
def test_every_loss_with_dropout_off(loss: str, variant: str):
    output = "softmax" if loss == "log_loss" else "identity"
    own = network(output=output, dropout=0.4, input_dropout=0.2, dropout_variant=variant)
    y = (
        Y
        if loss in ("cross_entropy", "log_loss")
        else (np.eye(3)[Y] if loss != "squared_error" else RNG.normal(size=(6, 3)))
    )
    for layer in (1, 3):
        e = explain(own, loss, X, y, row=1, weight=(layer, 1, 0))
        assert "Dropout is off" in e.notes[0]
        for line in e.lines:
            if line.numerical is not None:
                assert line.numerical == pytest.approx(line.value, abs=1e-7), line.name


@pytest.mark.parametrize("optimiser", OPTIMISERS.names())
def test_the_update(optimiser: str):
    own, updater = network(), Updater(OPTIMISERS.make(optimiser))
    e = explain(own, "cross_entropy", X, Y, row=2, weight=(2, 4, 5), updater=updater, lr=0.05)
    traced = trace(own, "cross_entropy", X[2:3], Y[2:3], updater=updater, lr=0.05)
    assert traced.update is not None
    assert e.line("change").value == traced.update.after["2.W"][4, 5]
    assert optimiser in e.line("change").title
    of_bias = explain(own, "cross_entropy", X, Y, row=2, unit=(2, 4), updater=updater, lr=0.05)
    assert of_bias.line("change").value == traced.update.after["2.b"][4]


def test_the_default_is_the_output_unit_with_the_largest_error():
    own = network()
    delta = trace(own, "cross_entropy", X[:1], Y[:1]).layer(3).delta[0]
    e = explain(own, "cross_entropy", X, Y)
    assert e.line("delta").value == delta[np.abs(delta).argmax()]
    with pytest.raises(StopIteration):
        e.line("grad_W")


def test_a_layer_without_biases():
    e = explain(network(bias=False), "cross_entropy", X, Y, unit=(1, 0), updater=Updater(SGD()))
    assert [line.name for line in e.lines] == ["z", "a", "grad_a", "delta"]


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        assert not any(name in ("src", "href") for name, _ in attrs)  # nothing is loaded
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("language", ["en", "zh"])
def test_forms(language: str):
    use_language(language)
    try:
        e = explain(network(), "cross_entropy", X, Y, weight=(2, 1, 3), updater=Updater(SGD()), terms=2)
        page = e.to_html()
        parser = _Tags()
        parser.feed(page)
        assert not parser.open
        assert {"math", "msubsup", "mfrac", "munder"} <= parser.seen
        assert f"<html lang='{language}'>" in page
        latex = e.to_latex()
        assert latex.count("\\begin{aligned}") == latex.count("\\end{aligned}") == len(e.lines)
        assert r"\frac{\partial C}{\partial W^{2}_{1,3}} &= \delta^{2}_{1} \cdot a^{1}_{3}" in latex
        assert ("ctex" in latex) == (language == "zh")
        assert latex.isascii() or language == "zh"
        assert e.to_markdown().count("$$") == 2 * len(e.lines)
        for form in (e.to_text(), latex, page, e.to_markdown()):
            assert ("net input" in form) == (language == "en")
            assert ("净输入" in form) == (language == "zh")
        content = json.loads(json.dumps(e.to_json()))
        assert [line["name"] for line in content["lines"]] == [line.name for line in e.lines]
        assert content["lines"][0]["left_out"] == 7 - 2
    finally:
        use_language("en")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"row": 6}, "there is no row 6: the rows are 0 to 5"),
        ({"row": -1}, "there is no row -1"),
        ({"unit": (4, 0)}, "layers 1 to 3"),
        ({"unit": (2, 5)}, "there is no unit 5 in layer 2; its units are 0 to 4"),
        ({"weight": (2, 0, 6)}, "there is no weight 6 into a unit of layer 2; they are numbered 0 to 5"),
    ],
)
def test_what_is_not_there(given: dict[str, object], text: str):
    with pytest.raises(InputError, match=text):
        explain(network(), "cross_entropy", X, Y, **given)


def test_other_layers_are_refused():
    own = network()
    own.layers[0].__class__ = type("Other", (type(own.layers[0]).__bases__[0],), dict(vars(type(own.layers[0]))))
    with pytest.raises(ConfigError, match="only dense layers"):
        explain(own, "cross_entropy", X, Y)
