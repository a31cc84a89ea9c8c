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
from glassnet.drawing.report import write_report
from glassnet.errors import ConfigError, InputError
from glassnet.messages import use_language
from glassnet.runs import SNAPSHOTS

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


@pytest.mark.parametrize("kind", ["curves", "norms", "health", "lr"])
def test_several_runs(runs, rendered, kind):
    shown = [Shown(runs / name) for name in ("digits", LONG, "numbers")]
    with canvas.themed(False) as theme:
        texts = rendered(figure_of(kind, shown, theme))
    assert "digits" in texts
    assert LONG[:23] + "…" in texts


def test_runs_of_the_same_name_are_told_apart(runs, tmp_path):
    assert labels([Shown(runs / "digits"), Shown(runs / "one"), Shown(runs / "digits")]) == [
        *("digits (1)", "one", "digits (3)"),
    ]


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
    assert series._folded(50)[::5] == [0, 49]
    assert len(series._folded(50)) == series.MOST_LAYERS


def test_one_layer_of_distributions(runs, rendered):
    with canvas.themed(False) as theme:
        texts = rendered(figure_of("distributions", [Shown(runs / LONG)], theme, layer=7))
    assert "layer 7" in texts
    assert "layer 1" not in texts


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
    (["digits", "--format", "gif"], "png, svg, pdf"),
    (["digits", "--out", "all.png"], "several pictures do not go into one file"),
    (["nothing"], "holds no run"),
]


@pytest.mark.parametrize(("words", "message"), REFUSED, ids=lambda value: str(value)[:30])
def test_what_is_refused(runs, capsys, monkeypatch, words, message):
    monkeypatch.chdir(runs)
    assert main(["plot", *words]) == 2
    assert message in capsys.readouterr().err


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
    assert tags.count("svg") == len(APPLY["petals"])
    assert not {"script", "link", "img", "iframe", "object", "b"} & set(tags)
    assert len(page.ids) == len(set(page.ids))
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', re.sub(r"xmlns[:\w]*=\"[^\"]*\"", "", text))
    assert "&lt;b&gt;$a" in text  # a class name
    assert dict(page.tags[0][1])["lang"] == language
    assert ("Summary" in text) == (language == "en")
    for reference in re.findall(r"url\(#([^)]*)\)", text) + re.findall(r'href="#([^"]*)"', text):
        assert reference in page.ids


@pytest.mark.slow
def test_the_report_has_the_findings(tmp_path):
    glassnet.fit("iris", init="zeros", epochs=8, out=tmp_path / "run", record=True)
    text = write_report(tmp_path / "run").read_text(encoding="utf-8")
    assert "the units of a layer are the same" in text
    assert "Start from random weights" in text


def test_the_report_of_a_healthy_run(runs, capsys):
    assert main(["report", str(runs / "digits")]) == 0
    path = capsys.readouterr().out.strip()
    assert path == str(runs / "digits" / "report.html")
    assert "nothing found" in (runs / "digits" / "report.html").read_text(encoding="utf-8")


def test_a_report_that_cannot_be_written(runs, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["report", str(runs / "one"), "--out", str(tmp_path / "file" / "page.html")]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_no_run(tmp_path):
    with pytest.raises(ConfigError, match="holds no run"):
        write_report(tmp_path)


def test_a_name_of_a_column_is_no_markup(tmp_path):
    data = pd.DataFrame({"<script>alert(1)</script>": np.arange(60.0), "y $x^2$": np.arange(60.0) % 7})
    data["kind"] = np.where(data.iloc[:, 1] > 3, "<script>x</script>", "&amp;")
    data.to_csv(tmp_path / "odd.csv", index=False)
    glassnet.fit(tmp_path / "odd.csv", "kind", epochs=2, out=tmp_path / "run")
    tags = [tag for tag, _ in Page(write_report(tmp_path / "run").read_text(encoding="utf-8")).tags]
    assert "script" not in tags
