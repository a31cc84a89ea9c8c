"""``glassnet draw``."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from glassnet import drawing
from glassnet.cli import main
from glassnet.cli.draw import KINDS
from glassnet.drawing import names_of
from glassnet.messages import use_language
from glassnet.model import Model, load
from glassnet.network import Network


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "iris"
    words = ["train", "iris", "--hidden", "5", "--dropout", "0.5", "--epochs", "2", "--out", str(folder), "--json"]
    assert main(words) == 0
    return folder


@pytest.fixture
def draw(capsys):
    def draw(*words):
        capsys.readouterr()
        code = main(["draw", *map(str, words)])
        out, err = capsys.readouterr()
        return SimpleNamespace(code=code, out=out, err=err)

    yield draw
    use_language("en")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind(draw, trained, kind):
    result = draw(kind, trained)
    assert (result.code, result.err) == (0, "")
    assert result.out.strip() == str(trained / "figures" / f"{kind}.png")
    assert Path(result.out.strip()).read_bytes().startswith(b"\x89PNG")


def test_out(draw, trained, tmp_path):
    result = draw("graph", trained, "--out", tmp_path / "g.svg", "--dark", "--rows", 7)
    assert result.out.strip() == str(tmp_path / "g.svg")
    text = (tmp_path / "g.svg").read_text(encoding="utf-8")
    assert "(7, 4)" in text


@pytest.fixture
def asked(monkeypatch):
    """What the drawing functions are asked for."""
    calls = []
    for kind in KINDS:
        monkeypatch.setattr(drawing, f"draw_{kind}", lambda *given, **options: calls.append((given, options)))
    return calls


def test_all(draw, trained, asked, tmp_path):
    result = draw("all", trained, "--format", "svg, PNG", "--out", tmp_path)
    expected = [tmp_path / f"{kind}.{ending}" for kind in KINDS for ending in ("svg", "png")]
    assert result.out.split() == list(map(str, expected))
    assert [next(part for part in given if isinstance(part, Path)) for given, _ in asked] == expected


def test_all_leaves_out_what_the_run_does_not_have(draw, tmp_path, asked):
    Model(Network.dense([4, 3, 3]), "cross_entropy").save(tmp_path / "bare")
    result = draw("all", tmp_path / "bare", "iris")
    assert [Path(path).stem for path in result.out.split()] == ["passes", "unit", "gradients", "graph"]


def test_a_format_goes_into_the_runs_folder(draw, trained, asked):
    assert draw("graph", trained, "--format", "pdf").out.split() == [str(trained / "figures" / "graph.pdf")]


def test_rows_come_from_the_runs_own_data(draw, trained, asked):
    assert draw("gradients", trained, "--rows", 3).code == 0
    (given, options), examples = asked[0], load(trained).examples("iris")
    assert np.array_equal(given[2], examples.x[:3])
    assert np.array_equal(given[3], examples.y[:3])
    assert options == {"names": names_of(load(trained)), "dark": False}


def test_the_row_and_the_unit(draw, trained, asked):
    assert draw("unit", trained, "iris", "--row", 100, "--unit", "2.1", "--dark").code == 0
    given, options = asked[0]
    assert len(given[2]) == 150
    assert options == {"row": 100, "unit": (2, 1), "names": names_of(load(trained)), "dark": True}


def test_the_mask(draw, trained, asked):
    assert draw("dropout", trained, "--epoch", 3, "--position", 8).code == 0
    assert asked[0][1] == {"epoch": 3, "position": 8, "dark": False}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["pass"], "choose one of: passes"),
        (["passes", "--row", "150"], "rows are 0 to 149"),
        (["passes", "--row", "-1"], "rows are 0 to 149"),
        (["unit", "--unit", "7"], "such as 2.7"),
        (["unit", "--unit", "a.b"], "such as 2.7"),
        (["unit", "--unit", "3.0"], "layers 1 to 2"),
        (["unit", "--unit", "1.5"], "units are 0 to 4"),
        (["dropout", "--epoch", "-1"], "epoch must be"),
        (["graph", "--rows", "0"], "rows"),
        (["graph", "--out", "picture.xyz"], "'.xyz'"),
        (["graph", "--format", "svg,xyz", "--out", "folder"], "'.xyz'"),
        (["graph", "--format", "svg", "--out", "a.svg"], "--out is a folder"),
        (["all", "--out", "a.png"], "--out is a folder"),
    ],
)
def test_what_is_refused(draw, trained, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    result = draw(words[0], trained, *words[1:])
    assert result.code == 2
    assert message in result.err
    assert not list(tmp_path.iterdir())


def test_no_run(draw, tmp_path):
    assert draw("passes", tmp_path).code == 2
    assert draw("curves", tmp_path).code == 2


def test_curves_name_the_criterion_that_ended_training(draw, tmp_path, monkeypatch):
    """Those that are drawn after training and those that are asked for."""
    criteria = []
    monkeypatch.setattr(drawing, "draw_curves", lambda *given, criterion, **options: criteria.append(criterion))
    run = tmp_path / "run"
    assert main(["train", "iris", "--epochs", "3", "--early-stopping", "patience2", "--quiet", "--out", str(run)]) == 0
    draw("curves", run)
    assert criteria == ["patience2", "patience2"]
