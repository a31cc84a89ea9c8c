"""The pictures: legible at any size, in both themes, in every form."""

import subprocess
import sys
import warnings
from itertools import islice
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import Circle, Rectangle

from glassnet import drawing
from glassnet.drawing import Names, canvas, dropout, gradients, graph, passes, unit
from glassnet.drawing.canvas import DARK, LIGHT, Numbers
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
    pytest.param((16, 12, 11, 10, 9, 8, 7, 6, 10), marks=pytest.mark.slow),
    pytest.param((1000,) * 9, marks=pytest.mark.slow),
]
SLOW = pytest.param((16, 3, 3, 3, 3, 12), None, marks=pytest.mark.slow)
LONG = "$ a name of a class, longer than any picture has room for, 名字也可能很长很长"


def names(sizes):
    return "-".join(map(str, sizes))


def figures_of_rows(network, loss, x, y, theme, names=None):
    """The pictures that show values, by their names."""
    last = len(network.sizes) - 1
    yield "passes", passes.paint(passes.passes(network, loss, x, y, row=1), theme, names)
    for l, j in {(1, 0), (last, network.sizes[last] - 1)}:
        yield "unit", unit.paint(unit.unit_error(network, loss, x, y, unit=(l, j)), theme, names)
    yield "gradients", gradients.paint(gradients.gradients(network, loss, x, y), theme, names)


def figures(network, loss, x, y, theme, names=None):
    """Every picture of a network with dropout, by its name."""
    yield from figures_of_rows(network, loss, x, y, theme, names)
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


@pytest.mark.parametrize(
    ("sizes", "image"),
    [((16, 3, 3), None), ((16, 30, 10), (4, 4)), ((16, 3, 3, 3, 3, 12), (8, 2)), SLOW],
    ids=str,
)
def test_nor_with_long_names_and_images(batch, rendered, sizes, image):
    network, loss, x, y = batch(*sizes, dropout=0.5)
    called = Names(
        () if image else [f"{k} {LONG}" for k in range(16)], [f"{k} {LONG}" for k in range(sizes[-1])], image
    )
    with canvas.themed(False) as theme:
        for kind, figure in figures(network, loss, x, y, theme, called):
            texts = rendered(figure)
            if kind == "passes":
                assert sum("$ a name" in text for text in texts) >= len(sizes) * 2


@pytest.mark.parametrize("factor", [1e-9, 0.02, 0.3, 7, 80, 900, 1e12])
def test_numbers_fit_into_their_circles(batch, factor):
    network, _, x, y = batch(5, 4, 3, activation="identity")
    with canvas.themed(False) as theme:
        figure = passes.paint(passes.passes(network, "squared_error", x * factor, np.eye(3)[y] * factor), theme)
        FigureCanvasAgg(figure).draw()
        axes = figure.axes[0]
        circles = {part.center: part for part in [*axes.patches, *axes.artists] if isinstance(part, Circle)}
        inside = [text for text in axes.texts if text.get_position() in circles]
        assert len(inside) == 2 * (5 + 4 + 3)
        for text in inside:
            circle = circles[text.get_position()].get_window_extent()
            assert text.get_window_extent().width < 0.95 * circle.width, text.get_text()


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
    title = f"Forward and backward pass of sample 5: C = {canvas.number(data.sample.value)}, without dropout"
    assert {title, "$x = a^{0}$", "$z^{1},\\, a^{1}$", "$\\delta^{2}$", "12 more", "20 inputs", "3 units"} <= set(texts)
    assert {"$\\sigma$: tanh", "BP.1, BP.3", "BP.2, BP.3", "BP.4"} <= set(texts)
    layers = data.sample.layers
    a = Numbers.up_to(canvas.largest([data.sample.x, *(layer.a for layer in layers)]))
    delta = Numbers.up_to(canvas.largest([layer.delta for layer in layers]))
    for layer in layers:
        assert {a(value) for value in layer.a} | {delta(value) for value in layer.delta} <= set(texts)
        assert {f"$z_{{{j}}}$ = {a(z)}" for j, z in enumerate(layer.z)} <= set(texts)
    for p, y in zip(data.sample.prediction, data.sample.target, strict=True):
        assert f"$p$ = {p:.3f}, $y$ = {y:.0f}" in texts


@pytest.mark.parametrize(
    ("options", "equations"),
    [
        (
            {},
            [r"J_\sigma", r"\delta^L = \nabla_a C \odot", r"(W^{l+1})^\top \delta^{l+1} \odot", r"\delta^l (a^{l-1})"],
        ),
        ({"dropout": 0.5, "dropout_variant": "plain"}, ["", "", r"p^l (W^{l+1})", r"(p^{l-1} a^{l-1})"]),
        ({"input_dropout": 0.5, "dropout_variant": "plain"}, ["p^l ", "", "= (W^{l+1})", r"(p^{l-1} a^{l-1})"]),
        ({"activation": "softmax"}, ["", "", r"\delta^l = J_\sigma(z^l)^\top", ""]),
        ({"output": "softmax"}, ["", r"\delta^L = J_\sigma(z^L)^\top", r"\odot", ""]),
    ],
)
def test_the_equations_are_those_of_the_network(batch, rendered, options, equations):
    network, _, x, y = batch(5, 4, 3, **options)
    with canvas.themed(False) as theme:
        text = "\n".join(rendered(passes.paint(passes.passes(network, "squared_error", x, np.eye(3)[y]), theme)))
    absent, *present = equations
    assert not absent or absent not in text
    assert all(part in text for part in present)


def test_the_image_of_the_inputs(batch):
    network, loss, x, y = batch(12, 4, 3)
    with canvas.themed(False) as theme:
        data = passes.passes(network, loss, x, y)
        figure = passes.paint(data, theme, Names(image=(3, 4)))
        shown = figure.axes[0].images[0]
    assert np.array_equal(shown.get_array(), x[0].reshape(3, 4))
    left, right, bottom, top = shown.get_extent()
    side = (right - left) / 4
    assert side == pytest.approx((top - bottom) / 3)
    squares = [part for part in figure.axes[0].patches if isinstance(part, Rectangle) and part.get_width() == side]
    corners = {part.get_xy() for part in squares}
    places = {(left + side * (k % 4), top - side * (k // 4 + 1)) for k in data.folds[0].units}
    np.testing.assert_allclose(sorted(corners), sorted(places))


def test_the_texts_of_a_hidden_unit(batch, rendered):
    with canvas.themed(False) as theme:
        data = unit.unit_error(*batch(5, 4, 12, 3, activation="tanh"), row=1, unit=(1, 2))
        texts = rendered(unit.paint(data, theme))
    numbers = [v for term in data.terms for v in (term.factor, term.error, term.product)]
    numbers += [data.rest_sum, data.grad_a, data.slope, data.delta]
    assert {canvas.number(v, 4) for v in numbers} <= set(texts)
    assert {"The error of unit 2 in layer 1 for sample 1 (BP.2)", "unit 2 of layer 1", "4 more"} <= set(texts)


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
    assert {
        "The error of unit 1 in layer 2 for sample 0 (BP.1)",
        "$C$: cross entropy",
        canvas.number(data.prediction, 4),
    } <= set(texts)
    assert r"$\partial C / \partial a^{2}_{1} = p - y$" in texts


@pytest.mark.parametrize("activation", ["tanh", "logistic", "leaky_relu", "gelu"])
def test_the_slope_is_that_of_the_curve(batch, activation):
    data = unit.unit_error(*batch(5, 4, 3, activation=activation), unit=(1, 2))
    zs, values = data.curve
    assert zs[0] < data.z < zs[-1]
    assert np.interp(data.z, zs, values) == pytest.approx(data.a, abs=1e-2)
    with canvas.themed(False) as theme:
        figure = unit.paint(data, theme)
    curve, tangent, point = next(axes for axes in figure.axes if len(axes.lines) == 3).lines
    assert np.array_equal(curve.get_ydata(), values)
    assert point.get_xydata().tolist() == [[data.z, data.a]]
    xs, ys = tangent.get_xydata()[np.isfinite(tangent.get_ydata())].T
    np.testing.assert_allclose(ys, data.a + data.slope * (xs - data.z))


def test_the_texts_of_gradients(batch, rendered):
    network, loss, x, y = batch(600, 4, 3, bias=False)
    with canvas.themed(False) as theme:
        data = gradients.gradients(network, loss, x, y)
        texts = rendered(gradients.paint(data, theme))
    assert f"Gradients of a batch of 6: C = {canvas.number(data.value)}" in texts
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


def test_the_gradients_of_images_are_images(batch, rendered):
    network, loss, x, y = batch(12, 20, 3)
    with canvas.themed(False) as theme:
        data = gradients.gradients(network, loss, x, y)
        figure = gradients.paint(data, theme, Names(outputs=["a", "b", "c"], image=(3, 4)))
        texts = rendered(figure)
    assert {"a", "b", "c", "6 more"} <= set(texts)
    own = data.layers[0].weight_gradient
    shown = np.sort(np.argsort(-np.abs(own).max(axis=1))[:14])
    sheet, corners = gradients.mosaic(own[shown].reshape(-1, 3, 4), 8)
    assert np.array_equal(figure.axes[0].images[0].get_array().filled(np.nan), sheet, equal_nan=True)
    assert np.isfinite(sheet).sum() == 14 * 12
    for unit_, (row, column) in zip(shown, corners, strict=True):
        assert np.array_equal(sheet[row : row + 3, column : column + 4].ravel(), own[unit_])


def test_the_texts_of_the_graph(batch, rendered):
    network, loss, _, _ = batch(5, 4, 3, dropout=0.5)
    with canvas.themed(False) as theme:
        texts = rendered(graph.paint(graph.computational_graph(network, loss, rows=16), theme))
    assert "Computational graph of a batch of 16 in training" in texts
    assert {r"$a^{0} \, (W^{1})^\top$", r"$\tilde{a}^{1} \, (W^{2})^\top$"} <= set(texts)
    assert [texts.count(f"BP.{k}") for k in (1, 2, 3, 4)] == [2, 2, 3, 3]  # each with its equation, too
    assert {"$x = a^{0}$\n(16, 5)", "$W^{1}$\n(4, 5)", "$b^{2}$\n(3,)", "$\\odot\\; m / p$\n$p$ = 0.5"} <= set(texts)
    assert {r"$\delta^{1}$", r"$\partial C / \partial W^{2}$", "$\\sigma$\nrelu", "cross\nentropy"} <= set(texts)


def test_the_texts_of_dropout(batch, rendered):
    network, *_ = batch(30, 20, 3, dropout=0.5)
    with canvas.themed(False) as theme:
        data = dropout.thinned(network, epoch=2, position=7)
        texts = rendered(dropout.paint(data, theme))
    kept, unseen = int(data.masks[1].sum()), int((~data.masks[1][10:]).sum())
    title = "Dropout: the network that the sample at position 7 of epoch 2 trains"
    assert {title, "The whole network", f"{kept} of 20", f"10 more\n{unseen} of them dropped"} <= set(texts)
    assert texts.count("20 more") == 2


def lines_of(figure):
    """Edges from unit to unit; those of the legends are short."""
    segments = [segment for part in figure.axes[0].collections for segment in part.get_segments()]
    return sum(np.ptp(segment, axis=0).max() > 0.5 for segment in segments)


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


def test_edges_are_as_wide_as_weights_are_large(batch):
    network, loss, x, y = batch(5, 4, 3)
    with canvas.themed(False) as theme:
        figure = passes.paint(passes.passes(network, loss, x, y), theme)
    lines = figure.axes[0].collections[0]
    W = network.layer(1).params["W"]
    order = np.argsort(np.abs(W).ravel(), kind="stable")
    np.testing.assert_allclose(lines.get_linewidths(), 0.3 + 2.4 * np.abs(W).ravel()[order] / np.abs(W).max())
    for colour, w in zip(lines.get_colors(), W.ravel()[order], strict=True):
        assert matplotlib.colors.to_hex(colour) == (LIGHT.positive if w > 0 else LIGHT.negative)


# Files


def draw_all(batch, folder, ending, **options):
    """Every picture as a file, one after the other."""
    network, loss, x, y = batch(6, 5, 3, dropout=0.5)
    history = History([{"epoch": k, "loss": 1 / k, "accuracy": 0.5, "seconds": 0.1} for k in (1, 2, 3)])
    yield drawing.draw_passes(network, loss, x, y, folder / f"passes{ending}", row=1, **options)
    yield drawing.draw_gradients(network, loss, x, y, folder / f"gradients{ending}", **options)
    yield drawing.draw_unit(network, loss, x, y, folder / f"unit{ending}", unit=(1, 2), **options)
    yield drawing.draw_graph(network, loss, folder / f"graph{ending}", rows=6, **options)
    yield drawing.draw_dropout(network, folder / f"dropout{ending}", **options)
    yield drawing.draw_curves(history, folder / f"curves{ending}", title="a $ b", **options)


def test_every_picture_as_a_file(batch, tmp_path):
    before = dict(matplotlib.rcParams)
    paths = list(draw_all(batch, tmp_path / "new" / "folder", ".svg", dark=True))
    assert len(set(paths)) == 6
    for path in paths:
        text = path.read_text(encoding="utf-8")
        root = ElementTree.fromstring(text)
        kinds = {element.tag.rpartition("}")[2] for element in root.iter()}
        assert root.tag.endswith("svg")
        assert DARK.paper in text
        assert not {"text", "date"} & kinds  # it needs no fonts, and does not tell when it was drawn
        if path.stem != "curves":
            assert next(iter(root)).tag.endswith("title")
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(
    ("ending", "kinds"), [(".svg", 5), (".png", 2), pytest.param(".pdf", 2, marks=pytest.mark.slow)]
)
def test_the_same_picture_is_the_same_file(batch, tmp_path, ending, kinds):
    first, second = (list(islice(draw_all(batch, tmp_path / name, ending), kinds)) for name in ("a", "b"))
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name


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
        (0.00012345, "1.23·10⁻⁴"),
        (-1e-7, "−1·10⁻⁷"),
        (123456.0, "1.23·10⁵"),
        (float("nan"), "nan"),
        (float("-inf"), "−inf"),
    ],
)
def test_number(value, text):
    assert canvas.number(value) == text


@pytest.mark.parametrize(
    ("limit", "value", "text"),
    [
        (9.876, -9.876, "−9.88"),
        (9.9999, 9.9999, "10.00"),
        (13.4, 0.0447, "0.04"),
        (132.0, -13.26, "−13.3"),
        (0.812, 0.5, "0.500"),
        (0.0257, -0.0046, "−0.46"),  # in 10⁻²
        (4.8e-5, 2.4e-5, "2.40"),
        (1e12, -1e12, "−1.00"),
        (5.0, -1e-9, "0.00"),
        (5.0, 0.0, "0"),
        (5.0, float("nan"), "nan"),
    ],
)
def test_numbers_of_a_panel_have_one_unit(limit, value, text):
    assert Numbers.up_to(limit)(value) == text


def test_the_unit_is_told():
    assert Numbers.up_to(0.0257).label("$a$") == "$a$, in 10$^{-2}$"
    assert Numbers.up_to(25.7).label("a") == "a"


@pytest.mark.parametrize(
    ("text", "width", "short"),
    [
        ("setosa", 6, "setosa"),
        ("versicolor", 6, "versi…"),
        ("普通的类别", 7, "普通的…"),
        ("a b\nc", 5, "a bc"),
        ("", 3, ""),
    ],
)
def test_shortened(text, width, short):
    assert canvas.shortened(text, width) == short


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


def linear(colour):
    """Linear RGB of a colour in sRGB."""
    return np.array([c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]])


def lab(rgb):
    """CIELAB of a colour in linear RGB, white D65."""
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ np.clip(rgb, 0, 1)
    ratios = xyz / [0.9505, 1.0, 1.089]
    f = np.where(ratios > (6 / 29) ** 3, np.cbrt(ratios), ratios / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


SIGHT = {  # Machado, Oliveira and Fernandes 2009, severity 1, for linear RGB
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_the_scale_can_be_read_by_all_eyes(theme, sight):
    mapping = canvas.scale(theme, 1.0)
    seen = np.array([lab(SIGHT[sight] @ linear(mapping.to_rgba(value))) for value in np.linspace(-1, 1, 21)])
    for k in range(10):  # −v and v are told apart, the better the larger v; 2.3 can just be seen
        assert np.linalg.norm(seen[k] - seen[20 - k]) > 3.2 * (10 - k)
    assert np.linalg.norm(seen[0] - seen[20]) > 40
    outward = np.diff(seen[:, 0]) * np.repeat([-1, 1], 10) * (-1 if theme is LIGHT else 1)
    assert (outward > 0).all()  # the lightness alone tells |v|


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
        assert matplotlib.rcParams["font.family"] == ["SimHei", "DejaVu Sans"]


def test_chinese_words_do_not_overlap_either(chinese, batch, rendered):
    network, loss, x, y = batch(16, 12, 10, dropout=0.5, input_dropout=0.2)
    with canvas.themed(False) as theme:
        for _, figure in figures(network, loss, x, y, theme, Names(image=(4, 4))):
            rendered(figure)


def test_chinese_fonts_have_all_letters(chinese, batch, caplog):
    network, _, x, y = batch(3, 3, 3, activation="tanh", bias=False)
    with canvas.themed(False) as theme:
        for _, figure in figures_of_rows(network, "squared_error", x * 1e-9, 1e-9 * np.eye(3)[y], theme):
            FigureCanvasAgg(figure).draw()
    assert not [record for record in caplog.records if "glyph" in record.getMessage()]


def test_chinese_names_are_drawn_where_a_font_has_them():
    with canvas.themed(False), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure = canvas.sheet(2, 1)[0]
        figure.text(0.1, 0.5, "名字")
        FigureCanvasAgg(figure).draw()
    missing = [warning for warning in caught if "Glyph" in str(warning.message)]
    assert bool(missing) == (canvas._chinese_font() is None)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_nothing_is_said_beside_the_picture(batch, tmp_path, capfd, language):
    use_language(language)
    try:
        list(islice(draw_all(batch, tmp_path, ".png"), 1 + 4 * (language == "zh")))
    finally:
        use_language("en")
    assert capfd.readouterr() == ("", "")


def test_epochs_are_whole_numbers(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(canvas, "save", lambda figure, path: figures.append(figure))
    history = History([{"epoch": k, "loss": 1 / k, "r2": 0.5, "val_loss": 1.0, "val_r2": 0.1} for k in (1, 2)])
    drawing.draw_curves(history, tmp_path / "curves.png")
    for axes in figures[0].axes:
        assert all(tick == int(tick) for tick in axes.get_xticks())
