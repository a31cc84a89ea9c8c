"""The pictures: legible at any size, in both themes, in every form."""

import subprocess
import sys
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest

from glassnet import drawing
from glassnet.drawing import canvas, dropout, gradients, graph, passes, unit
from glassnet.drawing.canvas import DARK, LIGHT
from glassnet.errors import ConfigError
from glassnet.messages import use_language
from glassnet.training import History

SIZES = [
    (3, 3, 3),
    (10, 10),
    (100, 100),
    (1000, 1000, 1000),
    (1, 1),
    (11, 2, 2, 2, 2, 2, 2),
]


def names(sizes):
    return "-".join(map(str, sizes))


def figures_of_rows(network, loss, x, y, theme):
    """The pictures that show values, by their names."""
    last = len(network.sizes) - 1
    yield "passes", passes.paint(passes.passes(network, loss, x, y, row=1), theme)
    for l, j in {(1, 0), (last, network.sizes[last] - 1)}:
        yield "unit", unit.paint(unit.unit_error(network, loss, x, y, unit=(l, j)), theme)
    yield "gradients", gradients.paint(gradients.gradients(network, loss, x, y), theme)


def figures(network, loss, x, y, theme):
    """Every picture of a network with dropout, by its name."""
    yield from figures_of_rows(network, loss, x, y, theme)
    yield "graph", graph.paint(graph.computational_graph(network, loss, rows=len(x)), theme)
    yield "dropout", dropout.paint(dropout.thinned(network), theme)


@pytest.mark.parametrize("sizes", SIZES, ids=names)
def test_no_two_texts_overlap(batch, rendered, sizes):
    network, loss, x, y = batch(*sizes, dropout=0.5, input_dropout=0.2)
    with canvas.themed(False) as theme:
        pictures = dict(figures(network, loss, x, y, theme))
        assert set(pictures) == {"passes", "unit", "gradients", "graph", "dropout"}
        for figure in pictures.values():
            assert rendered(figure)


@pytest.mark.parametrize("factor", [1e-9, 1e12])
def test_nor_with_values_of_any_size(batch, rendered, factor):
    network, _, x, _ = batch(2, 3, 3, activation="tanh", init="normal(variance=4)")
    with canvas.themed(True) as theme:
        for _, figure in figures_of_rows(network, "squared_error", x * factor, np.full((6, 3), -factor), theme):
            rendered(figure)


@pytest.mark.parametrize(
    ("options", "loss"),
    [
        ({"activation": "softmax", "output": "softmax"}, "log_loss"),
        ({"activation": "leaky_relu", "dropout_variant": "plain", "bias": False}, "binary_cross_entropy"),
    ],
)
def test_nor_with_other_components(batch, rendered, options, loss):
    network, _, x, y = batch(4, 3, 3, dropout=0.5, **options)
    with canvas.themed(True) as theme:
        for _, figure in figures(network, loss, x, np.eye(3)[y], theme):
            rendered(figure)


def test_values_that_are_not_finite_are_shown(batch, rendered):
    network, loss, x, y = batch(3, 3, 3)
    network.layer(1).params["W"][0, 0] = np.nan
    with canvas.themed(False) as theme, np.errstate(invalid="ignore"):
        for _, figure in figures_of_rows(network, loss, x, y, theme):
            rendered(figure)


def test_the_texts_of_the_passes(batch, rendered):
    network, loss, x, y = batch(20, 3, 2, activation="tanh", dropout=0.5)
    with canvas.themed(False) as theme:
        data = passes.passes(network, loss, x, y, row=5)
        texts = rendered(passes.paint(data, theme))
    assert f"sample 5: C = {canvas.number(data.sample.value, 4)}, without dropout" in texts
    assert {"$x = a^{0}$", "$z^{1},\\ a^{1}$", "$\\delta^{2}$", "12 more", "20", "3 tanh", "2 identity"} <= set(texts)
    for layer in data.sample.layers:
        assert {canvas.short(value) for value in [*layer.a, *layer.delta]} <= set(texts)
        assert {f"{j}:  z {canvas.number(z)}" for j, z in enumerate(layer.z)} <= set(texts)
    assert {f"$p$ {canvas.number(p)}" for p in data.sample.prediction} <= set(texts)


def test_the_texts_of_a_hidden_unit(batch, rendered):
    with canvas.themed(False) as theme:
        data = unit.unit_error(*batch(5, 4, 12, 3, activation="tanh"), row=1, unit=(1, 2))
        texts = rendered(unit.paint(data, theme))
    numbers = [v for term in data.terms for v in (term.factor, term.error, term.product)]
    numbers += [data.rest_sum, data.grad_a, data.slope, data.delta]
    assert {canvas.number(v, 4) for v in numbers} <= set(texts)
    assert {"the error of unit 1.2 (BP.2)", "1.2", "4 more"} <= set(texts)


def test_the_texts_of_a_hidden_unit_under_plain_dropout(batch, rendered):
    with canvas.themed(False) as theme:
        data = unit.unit_error(*batch(5, 4, 3, dropout=0.2, dropout_variant="plain"), unit=(1, 2))
        texts = rendered(unit.paint(data, theme))
    assert r"$\times\; p$" in texts
    assert {"0.8", canvas.number(data.total, 4)} <= set(texts)


def test_the_texts_of_an_output_unit(batch, rendered):
    with canvas.themed(False) as theme:
        data = unit.unit_error(*batch(5, 4, 3), unit=(2, 1))
        texts = rendered(unit.paint(data, theme))
    assert {"the error of unit 2.1 (BP.1)", "$C$: cross entropy", canvas.number(data.prediction, 4)} <= set(texts)
    assert r"$\partial C / \partial a^{2}_{1} = p - y$" in texts


def test_the_texts_of_gradients(batch, rendered):
    network, loss, x, y = batch(600, 4, 3, bias=False)
    with canvas.themed(False) as theme:
        data = gradients.gradients(network, loss, x, y)
        texts = rendered(gradients.paint(data, theme))
    assert f"gradients of a batch of 6: C = {canvas.number(data.value, 4)}" in texts
    assert r"$\partial C / \partial W^{1}$   (4, 600)   (each dot: the largest of several)" in texts
    assert r"$\partial C / \partial W^{2}$   (3, 4)" in texts
    assert texts.count("no biases") == 2


def test_the_maps_show_the_gradient(batch):
    network, loss, x, y = batch(7, 4, 3)
    with canvas.themed(False) as theme:
        data = gradients.gradients(network, loss, x, y)
        images = [axes.images[0] for axes in gradients.paint(data, theme).axes if axes.images]
    for image, layer in zip(images, data.layers, strict=True):
        assert np.array_equal(image.get_array(), layer.weight_gradient)
        assert image.norm.vmax == -image.norm.vmin == np.abs(layer.weight_gradient).max()


def test_the_texts_of_the_graph(batch, rendered):
    network, loss, _, _ = batch(5, 4, 3, dropout=0.5)
    with canvas.themed(False) as theme:
        texts = rendered(graph.paint(graph.computational_graph(network, loss, rows=16), theme))
    assert "computational graph of a batch of 16 in training" in texts
    assert {"$x = a^{0}$\n(16, 5)", "$W^{1}$\n(4, 5)", "$b^{2}$\n(3,)", "$\\odot\\; m / p$\n$p$ = 0.5"} <= set(texts)
    assert {r"$\delta^{1}$", r"$\partial C / \partial W^{2}$", "$\\sigma$\nrelu", "cross\nentropy"} <= set(texts)


def test_the_texts_of_dropout(batch, rendered):
    network, *_ = batch(30, 20, 3, dropout=0.5)
    with canvas.themed(False) as theme:
        data = dropout.thinned(network, epoch=2, position=7)
        texts = rendered(dropout.paint(data, theme))
    kept, unseen = int(data.masks[1].sum()), int((~data.masks[1][8:]).sum())
    assert {"whole network", "thinned: epoch 2, position 7", f"{kept} of 20"} <= set(texts)
    assert f"12 more\n{unseen} dropped" in texts
    assert texts.count("22 more") == 2


def lines_of(figure):
    return sum(len(part.get_segments()) for part in figure.axes[0].collections)


def test_the_edges_of_dropped_units_are_gone(batch):
    network, *_ = batch(5, 6, 3, dropout=0.5)
    with canvas.themed(False) as theme:
        data = dropout.thinned(network)
        figure = dropout.paint(data, theme)
    kept = int(data.masks[1].sum())
    assert 0 < kept < 6
    assert lines_of(figure) == (5 * 6 + 6 * 3) + (5 * kept + kept * 3)


def test_the_edges_of_the_passes(batch):
    with canvas.themed(False) as theme:
        assert lines_of(passes.paint(passes.passes(*batch(5, 6, 3)), theme)) == 2 * (5 * 6 + 6 * 3)


# Files


def draw_all(batch, folder, ending, **options):
    network, loss, x, y = batch(6, 5, 3, dropout=0.5)
    history = History([{"epoch": k, "loss": 1 / k, "accuracy": 0.5, "seconds": 0.1} for k in (1, 2, 3)])
    return [
        drawing.draw_passes(network, loss, x, y, folder / f"passes{ending}", row=1, **options),
        drawing.draw_unit(network, loss, x, y, folder / f"unit{ending}", unit=(1, 2), **options),
        drawing.draw_gradients(network, loss, x, y, folder / f"gradients{ending}", **options),
        drawing.draw_graph(network, loss, folder / f"graph{ending}", rows=6, **options),
        drawing.draw_dropout(network, folder / f"dropout{ending}", **options),
        drawing.draw_curves(history, folder / f"curves{ending}", title="a $ b", **options),
    ]


def test_every_picture_as_a_file(batch, tmp_path):
    before = dict(matplotlib.rcParams)
    paths = draw_all(batch, tmp_path / "new" / "folder", ".svg", dark=True)
    assert len(set(paths)) == 6
    for path in paths:
        text = path.read_text(encoding="utf-8")
        assert ElementTree.fromstring(text).tag.endswith("svg")
        assert DARK.paper in text
    assert dict(matplotlib.rcParams) == before


def test_a_pdf(batch, tmp_path):
    network, loss, _, _ = batch(3, 2)
    path = drawing.draw_graph(network, loss, str(tmp_path / "GRAPH.PDF"), rows=1)
    assert path.read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("name", ["picture", "picture.xyz", "picture.PNG.txt"])
def test_an_ending_that_cannot_be_drawn(batch, tmp_path, name):
    network, loss, _, _ = batch(3, 2)
    with pytest.raises(ConfigError, match=r"\.png, \.svg, \.pdf"):
        drawing.draw_graph(network, loss, tmp_path / name, rows=1)
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written(batch, tmp_path):
    network, loss, _, _ = batch(3, 2)
    (tmp_path / "taken").write_text("")
    with pytest.raises(ConfigError, match="cannot write"):
        drawing.draw_graph(network, loss, tmp_path / "taken" / "graph.png", rows=1)


def test_neither_pyplot_nor_torch_is_imported(tmp_path):
    code = f"""
import sys, numpy as np, glassnet
from glassnet import drawing
network = glassnet.Network.dense([3, 2, 2])
drawing.draw_passes(network, "cross_entropy", np.ones((1, 3)), np.array([1]), {str(tmp_path / "a.svg")!r})
assert not {{"matplotlib.pyplot", "torch"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


# Words, numbers, colours


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (-1.2345, "−1.23"),
        (0.012345, "0.0123"),
        (0.00012345, "1.23e−4"),
        (-1e-7, "−1e−7"),
        (123456.0, "1.23e5"),
        (float("nan"), "nan"),
        (float("-inf"), "−inf"),
    ],
)
def test_number(value, text):
    assert canvas.number(value) == text


@pytest.mark.parametrize("value", [-0.00123, -1.234e-7, -123456.0, -0.1234, 0.0, -9.99e-4, -2e-10, -99999.0])
def test_short_numbers_fit_and_are_near(value):
    text = canvas.short(value)
    assert len(text) <= 7
    assert float(text.replace("−", "-")) == pytest.approx(value, rel=0.05)


def test_fold():
    assert canvas.fold(np.arange(10.0)) == canvas.Fold(tuple(range(10)), 0)
    assert canvas.fold(np.arange(11.0)) == canvas.Fold(tuple(range(3, 11)), 3)
    assert canvas.fold(np.array([3.0, 1, 2, 3, 3, 0]), room=4) == canvas.Fold((0, 3), 4)


def test_the_scale_has_0_in_its_middle():
    mapping = canvas.scale(LIGHT, 2.0)
    ends = [matplotlib.colors.to_hex(mapping.to_rgba(value)) for value in (-2.0, 2.0)]
    assert ends == [LIGHT.negative, LIGHT.positive]
    assert np.allclose(mapping.to_rgba(0.0)[:3], 1, atol=0.01)
    assert canvas.largest([np.array([0.5, -3.0, np.inf, np.nan])]) == 3.0
    assert canvas.largest([np.zeros(3)]) == canvas.largest([]) == 1.0


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_numbers_can_be_read_on_every_colour_of_the_scale(theme):
    mapping = canvas.scale(theme, 1.0)

    def luminance(colour):
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
        return np.dot([0.2126, 0.7152, 0.0722], parts)

    for value in np.linspace(-1, 1, 101):
        fill = mapping.to_rgba(value)
        light, dark = sorted((luminance(fill), luminance(matplotlib.colors.to_rgb(canvas.ink_on(fill)))), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5


@pytest.fixture
def chinese():
    use_language("zh")
    yield
    use_language("en")


def test_words_are_english_where_no_font_has_chinese(chinese, monkeypatch):
    monkeypatch.setattr(canvas, "_chinese_font", lambda: None)
    assert canvas.say("epoch") == "epoch"
    assert canvas.say("{rows:,} to train", rows=1200) == "1,200 to train"


def test_words_are_chinese_where_a_font_has_them(chinese, monkeypatch):
    monkeypatch.setattr(canvas, "_chinese_font", lambda: "SimHei")
    assert canvas.say("epoch") == "回合"
    with canvas.themed(False):
        assert matplotlib.rcParams["font.sans-serif"][:2] == ["SimHei", "DejaVu Sans"]


def test_epochs_are_whole_numbers(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(canvas, "save", lambda figure, path: figures.append(figure))
    history = History([{"epoch": k, "loss": 1 / k, "r2": 0.5, "val_loss": 1.0, "val_r2": 0.1} for k in (1, 2)])
    drawing.draw_curves(history, tmp_path / "curves.png")
    for axes in figures[0].axes:
        assert all(tick == int(tick) for tick in axes.get_xticks())
