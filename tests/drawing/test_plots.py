"""Plots of runs and the report: what they show, that their texts keep apart, and what is refused."""

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

import glassnet
from glassnet.cli import main
from glassnet.drawing import canvas
from glassnet.drawing.plots import KINDS, Shown, plot, series, that_apply
from glassnet.drawing.plots.kinds import figure_of, labels
from glassnet.drawing.report import _colours, write_report
from glassnet.errors import ConfigError, InputError
from glassnet.folders import SNAPSHOTS
from glassnet.messages import use_language
from glassnet.training import History

LONG = "a-run-with-a-name-that-is-longer-than-any-legend-could-hold-0123456789"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs of every kind of task, with snapshots."""
    root = tmp_path_factory.mktemp("runs")
    petals = (
        load_iris(as_frame=True).frame.iloc[:, 2:].assign(target=lambda d: d["target"].map(lambda k: "<b>$" + "abc"[k]))
    )
    petals.to_csv(root / "petals.csv", index=False)
    jobs = {
        "digits": ("digits", {"epochs": 25, "hidden": (70, 20)}),
        LONG: ("digits", {"epochs": 8, "hidden": (16,) * 9, "activation": "tanh"}),
        "one": ("iris", {"epochs": 1}),
        "numbers": ("diabetes", {"epochs": 12, "dropout": 0.2, "validation": 0.0}),
        "petals": (str(root / "petals.csv"), {"epochs": 30, "target": "target"}),
    }
    for name, (source, options) in jobs.items():
        glassnet.fit(source, out=root / name, record=True, **options)
    return root


APPLY = {
    "digits": {"curves", "norms", "distributions", "health", "lr", "confusion", "calibration", "weights"},
    "numbers": {"curves", "norms", "distributions", "health", "lr", "residuals"},
    "petals": {"curves", "norms", "distributions", "health", "lr", "confusion", "calibration", "regions"},
}


@pytest.mark.parametrize("name", APPLY)
def test_the_kinds_that_apply(runs, name):
    assert set(that_apply([Shown(runs / name)])) == APPLY[name]


@pytest.mark.parametrize("dark", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["digits", LONG, "one", "numbers", "petals"])
def test_no_two_texts_overlap(runs, rendered, name, dark):
    shown = Shown(runs / name)
    for kind in that_apply([shown]):
        with canvas.themed(dark) as theme:
            assert rendered(figure_of(kind, [shown], theme))


@pytest.mark.slow
def test_a_legend_of_layers_says_if_some_are_left_out(runs, rendered):
    for name, message in (("digits", False), (LONG, True)):
        for kind in ("norms", "health", "distributions"):
            with canvas.themed(False) as theme:
                texts = rendered(figure_of(kind, [Shown(runs / name)], theme))
            assert any("8 of 10 layers" in text for text in texts) == message


def test_a_layer_has_one_colour(runs):
    """Also where the last layer, which has no ReLU, is not shown."""
    with canvas.themed(False) as theme:
        figure = figure_of("health", [Shown(runs / "digits")], theme)
    dead, ratio = ([line for line in axes.get_lines() if "layer" in line.get_label()] for axes in figure.axes[:2])
    assert [line.get_label() for line in dead] == ["layer 1", "layer 2"]
    assert [line.get_color() for line in dead] == [line.get_color() for line in ratio][:2]


@pytest.mark.parametrize("kind", ["norms", "distributions", "health"])
def test_one_layer(runs, rendered, kind):
    shown = [Shown(runs / LONG)]
    shown += [Shown(runs / "digits")] if KINDS[kind].several else []
    for several in (shown[:1], shown):
        with canvas.themed(False) as theme:
            texts = rendered(figure_of(kind, several, theme, layer=7))
        assert "layer 7" in texts
        assert "layer 1" not in texts


def test_no_panel_is_empty(runs):
    with canvas.themed(False) as theme:
        figure = figure_of("health", [Shown(runs / name) for name in ("digits", LONG)], theme)
    for axes in figure.axes:
        assert axes.get_lines() or not axes.axison


@pytest.mark.parametrize(
    ("low", "high", "some"),
    [(2e-4, 2e-3, {"5·10⁻⁴", "0.002"}), (0.3, 0.9, {"0.4", "0.8"}), (0.03, 40, set())],
)
def test_logarithmic_axes_have_numbers(rendered, low, high, some):
    history = History([{"epoch": k, "lr": lr} for k, lr in ((1, low), (2, high))])
    with canvas.themed(False) as theme:
        figure = series.draw_learning_rate([("run", series.learning_rate(history))], theme)
        texts = set(rendered(figure))
    assert some <= texts
    assert len([text for text in texts if re.match(r"\d|\$\\mathdefault\{10", text)]) >= 4


@pytest.mark.parametrize("kind", ["curves", "norms", "health", "lr"])
def test_several_runs(runs, rendered, kind):
    shown = [Shown(runs / name) for name in ("digits", LONG, "numbers")]
    with canvas.themed(False) as theme:
        texts = rendered(figure_of(kind, shown, theme))
    assert "digits" in texts
    assert LONG[:23] + "…" in texts


LABELS = [
    (["a/digits", "a/one", "a/digits"], ["digits (1)", "one", "digits (3)"]),
    (["a/iris", "b/iris", "b/one"], ["a/iris", "b/iris", "one"]),
    (["a/" + LONG + "-first", "a/" + LONG + "-second"], ["…first", "…second"]),
    (["a/" + LONG, "a/" + LONG + "-b"], ["…23456789", "…23456789-b"]),
    (["a/" + LONG, "a/one"], [LONG[:23] + "…", "one"]),
]


@pytest.mark.parametrize(("folders", "names"), LABELS, ids=lambda value: value[0][:12])
def test_runs_are_told_apart(tmp_path, folders, names):
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "config.json").write_text("{}")
    assert labels([Shown(tmp_path / folder) for folder in folders]) == names


def test_names_of_runs_mean_nothing_to_the_legend(runs, tmp_path, rendered):
    for name in ("_hidden", "$x^2$"):
        (tmp_path / name).symlink_to(runs / "one")
    shown = [Shown(tmp_path / name) for name in ("_hidden", "$x^2$")]
    with pytest.MonkeyPatch.context() as patch, canvas.themed(False) as theme:
        patch.setattr(Shown, "name", property(lambda self: self.folder.name))
        patch.setattr("glassnet.drawing.plots.kinds.labels", lambda shown: [run.name for run in shown])
        assert {"_hidden", "$x^2$"} <= set(rendered(figure_of("curves", shown, theme)))


def test_no_two_runs_look_alike(runs):
    looks = {
        (look["color"], look["marker"]) for look in (series._run_looks(k, [1, 2]) for k in range(series.MOST_RUNS))
    }
    assert len(looks) == series.MOST_RUNS
    with canvas.themed(False) as theme, pytest.raises(ConfigError, match="at most 35 runs can be told apart, not 36"):
        figure_of("lr", [Shown(runs / "one")] * 36, theme)


def test_the_texts_of_the_curves(runs, rendered):
    shown = Shown(runs / "digits")
    with canvas.themed(False) as theme:
        texts = rendered(figure_of("curves", [shown], theme))
    best = shown.history.best_epoch
    assert {"training", "validation", f"best epoch ({best})", "loss", "accuracy"} <= set(texts)


def test_the_criterion_is_named_where_it_ended_training(runs, tmp_path, rendered):
    glassnet.fit("iris", epochs=200, early_stopping="patience3", lr=0.05, out=tmp_path / "run")
    shown = Shown(tmp_path / "run")
    assert shown.history.stop_code == "early_stopping"
    with canvas.themed(False) as theme:
        texts = rendered(figure_of("curves", [shown], theme))
    assert f"stopped by patience3 ({len(shown.history)})" in texts


def test_the_lines_are_the_snapshots(runs):
    shown = Shown(runs / "digits")
    with canvas.themed(False) as theme:
        figure = figure_of("norms", [shown], theme)
    for axes, key in zip(figure.axes, ("delta", "gradient_norm", "update_norm"), strict=True):
        for l, line in enumerate(axes.get_lines(), 1):
            values = [getattr(s.layer(l), key) for s in shown.snapshots]
            expected = [v.norm if key == "delta" else v for v in values]
            np.testing.assert_allclose(line.get_ydata(), expected)


def test_many_layers_are_folded():
    assert series._folded(4) == [0, 1, 2, 3]
    assert series._folded(50)[::7] == [0, 49]
    assert len(series._folded(50)) == series.MOST_LAYERS


def test_curves_need_no_data(runs, tmp_path):
    """Nor do the plots of snapshots that were taken."""
    folder = tmp_path / "run"
    data = tmp_path / "data.csv"
    data.write_bytes((runs / "petals.csv").read_bytes())
    glassnet.fit(data, "target", epochs=3, out=folder, record=True)
    data.unlink()
    for kind in ("curves", "lr", "norms", "distributions", "health"):
        assert plot(kind, [folder], tmp_path / f"{kind}.png").exists()
    with pytest.raises(InputError, match=r"data\.csv"):
        plot("confusion", [folder], tmp_path / "confusion.png")
    (folder / SNAPSHOTS).unlink()
    with pytest.raises(InputError, match=r"data\.csv"):
        plot("norms", [folder], tmp_path / "norms.png")


@pytest.mark.slow
def test_the_same_run_gives_the_same_file(runs, tmp_path):
    for ending in ("svg", "png"):
        one, two = (plot("health", [runs / "digits"], tmp_path / f"{k}.{ending}") for k in (1, 2))
        assert one.read_bytes() == two.read_bytes()


# Commands


def test_the_command(runs, tmp_path, capsys):
    assert main(["plot", str(runs / "petals"), "--out", str(tmp_path), "--format", "svg"]) == 0
    paths = capsys.readouterr().out.split()
    assert {path.rsplit("/", 1)[1] for path in paths} == {f"{kind}.svg" for kind in APPLY["petals"]}
    for path in paths:
        ElementTree.parse(path)


def test_json(runs, capsys):
    assert main(["plot", str(runs / "digits"), str(runs / "one"), "--kind", "curves,norms", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["kind"], line["run"].rsplit("/", 1)[1]) for line in lines] == [
        *(("curves", "digits"), ("curves", "one"), ("norms", "digits"), ("norms", "one")),
    ]
    history = Shown(runs / "digits").history
    assert lines[0]["data"]["val_loss"] == history["val_loss"]
    assert np.shape(lines[2]["data"]["delta"]) == (3, len(Shown(runs / "digits").snapshots))


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"residuals", "weights"}))
def test_every_kind_as_json(runs, capsys, kind):
    assert main(["plot", str(runs / "petals"), "--kind", kind, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"]


REFUSED = [
    (["petals", "--kind", "curve"], "choose one of: curves, norms"),
    (["petals", "--kind", ","], "cannot plot"),
    (["petals", "--kind", "weights"], "the run's input is no image"),
    (["petals", "--kind", "residuals"], "the run predicts no numbers"),
    (["numbers", "--kind", "confusion"], "the run predicts no classes"),
    (["digits", "--kind", "regions"], "regions need two features; this network has 64"),
    (["digits", "one", "--kind", "confusion"], "several go into: curves, norms, health, lr"),
    (["digits", "--kind", "distributions", "--layer", "9"], "layers 1 to 3"),
    (["digits", "--kind", "distributions", "--layer", "0"], "layers 1 to 3"),
    (["digits", "--kind", "norms", "--layer", "9"], "layers 1 to 3"),
    (["digits", "--kind", "health", "--layer", "9", "--json"], "layers 1 to 3"),
    (["digits", "--kind", "norms,lr", "--layer", "1"], "lr shows no layers; --layer goes with: norms, distributions"),
    (["petals", "--kind", "weights", "--json"], "the run's input is no image"),
    (["digits", "--format", "gif"], "png, svg, pdf"),
    (["digits", "--kind", "lr", "--out", "rate.gif"], "'.gif'"),
    (["digits", "--out", "all.png"], "several pictures do not go into one file"),
    (["nothing"], "holds no run"),
]


@pytest.mark.parametrize(("words", "message"), REFUSED, ids=lambda value: str(value)[:30])
def test_what_is_refused(runs, capsys, monkeypatch, words, message):
    monkeypatch.chdir(runs)
    assert main(["plot", *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_what_needs_data_that_are_gone_is_left_out(tmp_path, capsys):
    data = tmp_path / "data.csv"
    load_iris(as_frame=True).frame.to_csv(data, index=False)
    for name, record in (("recorded", True), ("bare", False)):
        glassnet.fit(data, "target", epochs=2, out=tmp_path / name, record=record)
    data.unlink()
    expected = {"recorded": ["curves", "norms", "distributions", "health", "lr"], "bare": ["curves", "lr"]}
    for name, kinds in expected.items():
        assert main(["plot", str(tmp_path / name)]) == 0
        note, *paths = capsys.readouterr().out.splitlines()
        assert "is left out" in note
        assert "data.csv" in note
        assert paths == [str(tmp_path / name / "figures" / f"{kind}.png") for kind in kinds]


def test_a_file_for_one_kind(runs, tmp_path, capsys):
    assert main(["plot", str(runs / "digits"), "--kind", "lr", "--out", str(tmp_path / "rate.pdf"), "--dark"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "rate.pdf")
    assert (tmp_path / "rate.pdf").read_bytes().startswith(b"%PDF")


# The report


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for key, value in attrs if key == "id"]


@pytest.mark.parametrize("language", ["en", pytest.param("zh", marks=pytest.mark.slow)])
def test_the_report(runs, tmp_path, language):
    use_language(language)
    try:
        path = write_report(runs / "petals", tmp_path / "page.html")
    finally:
        use_language("en")
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    tags = [tag for tag, _ in page.tags]
    looks = [attributes["class"] for tag, attributes in page.tags if tag == "svg"]
    assert looks.count("plot") + looks.count("light") == len(APPLY["petals"])
    assert looks.count("light") == looks.count("dark") == 2  # confusion and regions have pixels
    assert not {"script", "link", "img", "iframe", "object", "b"} & set(tags)
    assert len(page.ids) == len(set(page.ids))
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', re.sub(r"xmlns[:\w]*=\"[^\"]*\"", "", text))
    assert "&lt;b&gt;$a" in text  # a class name
    assert dict(page.tags[0][1])["lang"] == language
    assert ("Summary" in text) == (language == "en")
    for reference in re.findall(r"url\(#([^)]*)\)", text) + re.findall(r'href="#([^"]*)"', text):
        assert reference in page.ids


@pytest.mark.slow
def test_the_colours_of_the_report_are_the_readers(runs, tmp_path):
    """Every colour that a theme has is a variable, which both schemes know."""
    text = write_report(runs / "one", tmp_path / "page.html").read_text(encoding="utf-8")
    light, dark = (set(_colours(theme)) for theme in (canvas.LIGHT, canvas.DARK))
    drawings = re.findall(r'<svg id="[^"]*-plot".*?</svg>', text, re.DOTALL)
    assert len(drawings) == 6  # of 7 kinds: the confusion matrix has pixels
    for svg in drawings:
        assert not light & set(re.findall(r"#[0-9a-f]{6}\b", svg))
        name, used = re.match(r'<svg id="([^"]*)"', svg)[1], set(re.findall(r"var\((--[0-9a-f]+)\)", svg))
        one, other = (dict(re.findall(r"(--\w+):(#\w+)", rule)) for rule in re.findall(rf"#{name}\{{(.*?)\}}", text))
        assert set(one) == set(other) == used
        assert set(one.values()) <= light
        assert set(other.values()) <= dark


@pytest.mark.slow
def test_the_report_has_the_findings(tmp_path):
    glassnet.fit("iris", init="zeros", epochs=8, out=tmp_path / "run", record=True)
    text = write_report(tmp_path / "run").read_text(encoding="utf-8")
    assert "the units of a layer are the same" in text
    assert "Start from random weights" in text


@pytest.mark.slow
def test_the_report_of_a_healthy_run(runs, capsys):
    assert main(["report", str(runs / "digits")]) == 0
    path = capsys.readouterr().out.strip()
    assert path == str(runs / "digits" / "report.html")
    assert "nothing found" in (runs / "digits" / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_report_that_cannot_be_written(runs, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["report", str(runs / "one"), "--out", str(tmp_path / "file" / "page.html")]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_no_run(tmp_path):
    with pytest.raises(ConfigError, match="holds no run"):
        write_report(tmp_path)


@pytest.mark.slow
def test_a_name_of_a_column_is_no_markup(tmp_path):
    data = pd.DataFrame({"<script>alert(1)</script>": np.arange(60.0), "y $x^2$": np.arange(60.0) % 7})
    data["kind"] = np.where(data.iloc[:, 1] > 3, "<script>x</script>", "&amp;")
    data.to_csv(tmp_path / "odd.csv", index=False)
    glassnet.fit(tmp_path / "odd.csv", "kind", epochs=2, out=tmp_path / "run")
    tags = [tag for tag, _ in Page(write_report(tmp_path / "run").read_text(encoding="utf-8")).tags]
    assert "script" not in tags
