"""``predict``, ``evaluate``, ``check``, ``info`` and ``doctor``; the program as a whole."""

import csv
import importlib.metadata
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet
from sklearn import metrics

import glassnet
from glassnet.activations import Tanh
from glassnet.cli import common, main

COMMANDS = (
    *("train", "resume", "predict", "evaluate", "check", "trace", "explain", "derive"),
    *("draw", "plot", "diagnose", "report", "info", "doctor"),
)


def write_flowers(path, rows=150):
    """Two classes of text and a regression target beside numbers and a category."""
    rng = np.random.default_rng(3)
    lines = ["width,colour,length,kind"]
    for n in range(rows):
        width, colour = rng.normal(), ("red", "blue")[n % 2]
        length = 3.0 * width + (n % 2) + rng.normal(scale=0.1)
        lines.append(f"{width:.6f},{colour},{length:.6f},{'lily' if width + 0.3 * rng.normal() > 0 else 'rose'}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Runs of a few epochs, one for each task, and their data."""
    folder = tmp_path_factory.mktemp("trained")
    write_flowers(folder / "flowers.csv")
    rng = np.random.default_rng(4)
    x = rng.normal(size=(120, 4))
    np.savez(folder / "labels.npz", x=x, y=(x[:, :3] + 0.5 * rng.normal(size=(120, 3)) > 0).astype(int))
    np.savez(folder / "pairs.npz", x=x, y=x[:, :2] * 5 + rng.normal(size=(120, 2)))
    jobs = {
        "kinds": ["flowers.csv", "--target", "kind", "--dropout", "0.3"],
        "lengths": ["flowers.csv", "--target", "length", "--dropout", "0.2"],
        "labels": ["labels.npz"],
        "pairs": ["pairs.npz", "--dropout", "0.2"],
        "digits": ["digits"],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("glassnet.cli.train._draw", lambda run, reporter: None)
        for name, (source, *words) in jobs.items():
            source = source if source == "digits" else str(folder / source)
            assert main(["train", source, "--epochs", "4", *words, "--out", str(folder / name), "--json"]) == 0
    return folder


def table(text):
    """The rows of a CSV text as dicts."""
    return list(csv.DictReader(io.StringIO(text)))


def column(rows, name):
    return np.array([float(row[name]) for row in rows])


# ---------------------------------------------------------------------------------------------------- predict

COLUMNS = [
    ("kinds", "flowers.csv", [], ["prediction", "p_lily", "p_rose"]),
    ("kinds", "flowers.csv", ["--samples", "5"], ["prediction", "p_lily", "p_rose", "spread_lily", "spread_rose"]),
    ("lengths", "flowers.csv", [], ["prediction"]),
    ("lengths", "flowers.csv", ["--samples", "5"], ["prediction", "spread"]),
    ("labels", "labels.npz", [], [*(f"prediction_{k}" for k in range(3)), *(f"p_{k}" for k in range(3))]),
    ("pairs", "pairs.npz", [], ["prediction_0", "prediction_1"]),
    ("pairs", "pairs.npz", ["--samples", "5"], ["prediction_0", "prediction_1", "spread_0", "spread_1"]),
    ("digits", "digits", [], ["prediction", *(f"p_{k}" for k in range(10))]),
]


@pytest.mark.parametrize(("name", "source", "words", "columns"), COLUMNS)
def test_predicted_columns(run, trained, name, source, words, columns):
    source = source if source == "digits" else trained / source
    result = run("predict", trained / name, source, *words)
    assert (result.code, result.err) == (0, "")
    rows = table(result.out)
    assert list(rows[0]) == columns
    assert len(rows) == {"digits": 1797, "flowers.csv": 150}.get(getattr(source, "name", source), 120)
    probabilities = [c for c in columns if c.startswith("p_")]
    if probabilities and name != "labels":
        p = np.column_stack([column(rows, c) for c in probabilities])
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
        most = [probabilities[k].removeprefix("p_") for k in p.argmax(axis=1)]
        assert [row["prediction"] for row in rows] == most
    for name in columns:
        if name.startswith("spread"):
            spread = column(rows, name)
            assert (spread >= 0).all()
            assert spread.max() > 0.001


def test_labels_are_given_where_they_are_likelier_than_not(run, trained):
    rows = table(run("predict", trained / "labels", trained / "labels.npz").out)
    for k in range(3):
        np.testing.assert_array_equal(column(rows, f"prediction_{k}"), column(rows, f"p_{k}") > 0.5)


@pytest.mark.parametrize("name", ["kinds", "lengths"])
def test_where_predictions_go(run, trained, name):
    words = ["predict", trained / name, trained / "flowers.csv"]
    printed = run(*words).out
    for out in ("p.csv", "deep/er/p.csv", "p.parquet"):
        result = run(*words, "--out", out)
        assert result.out == f"150 predictions in {out}\n"
    assert Path("p.csv").read_text() == Path("deep/er/p.csv").read_text() == printed
    stored = parquet.read_table("p.parquet")
    rows = table(printed)
    assert stored.column_names == list(rows[0])
    for column_name in stored.column_names:
        assert [str(value) for value in stored.column(column_name).to_pylist()][:1] != [""]
        if column_name.startswith("p_") or name == "lengths":
            np.testing.assert_allclose(stored.column(column_name).to_numpy(), column(rows, column_name), rtol=2e-7)


def test_raw_rows_without_the_target(run, trained):
    """The target's column, others that training did not see, and the columns' order make no difference."""
    with (trained / "flowers.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    expected = run("predict", trained / "kinds", trained / "flowers.csv").out
    orders = {
        "bare.csv": ["width", "colour", "length"],
        "turned.csv": ["length", "colour", "width"],
        "more.csv": ["extra", "width", "colour", "length", "kind"],
    }
    for name, columns in orders.items():
        lines = [",".join(row.get(c, "?" if c == "extra" else "") for c in columns) for row in rows]
        Path(name).write_text("\n".join([",".join(columns), *lines]) + "\n", encoding="utf-8")
        assert run("predict", trained / "kinds", name).out == expected


def test_unseen_categories_and_missing_values_are_predicted(run, trained):
    Path("odd.csv").write_text("width,colour,length\n0.5,green,1\n,red,\n0.5,,2\n", encoding="utf-8")
    rows = table(run("predict", trained / "kinds", "odd.csv").out)
    assert len(rows) == 3
    assert all(np.isfinite(column(rows, "p_lily")))


def test_samples_are_repeatable(run, trained):
    words = ["predict", trained / "kinds", trained / "flowers.csv", "--samples"]
    assert run(*words, "7").out == run(*words, "7").out != run(*words, "8").out


# ---------------------------------------------------------------------------------------------------- evaluate


def truths(trained, name):
    if name == "digits":
        return glassnet.data.load_source("digits").train.y
    if name in ("labels", "pairs"):
        return np.load(trained / f"{name}.npz")["y"]
    with (trained / "flowers.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return np.array([row["kind"] for row in rows]) if name == "kinds" else column(rows, "length")


SOURCES = {"kinds": "flowers.csv", "lengths": "flowers.csv", "labels": "labels.npz", "pairs": "pairs.npz"}


def figures_and_prediction(run, trained, name):
    source = trained / SOURCES[name] if name in SOURCES else name
    result = run("evaluate", trained / name, source, "--json")
    assert (result.code, result.err) == (0, "")
    return json.loads(result.out), glassnet.load(trained / name).predict(source), truths(trained, name)


@pytest.mark.parametrize("name", ["kinds", "digits"])
def test_classification_figures(run, trained, name):
    figures, prediction, y = figures_and_prediction(run, trained, name)
    labels = prediction.classes
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        y, prediction.values, labels=labels, zero_division=0
    )
    assert figures["rows"] == len(y)
    assert figures["accuracy"] == pytest.approx(metrics.accuracy_score(y, prediction.values))
    assert figures["log_loss"] == pytest.approx(metrics.log_loss(y, prediction.probabilities, labels=labels))
    assert figures["confusion"] == metrics.confusion_matrix(y, prediction.values, labels=labels).tolist()
    assert [c["label"] for c in figures["classes"]] == labels
    for key, expected in (("precision", precision), ("recall", recall), ("f1", f1), ("support", support)):
        np.testing.assert_allclose([c[key] for c in figures["classes"]], expected, rtol=1e-9)


def test_label_figures(run, trained):
    figures, prediction, y = figures_and_prediction(run, trained, "labels")
    precision, recall, f1, support = metrics.precision_recall_fscore_support(y, prediction.values, zero_division=0)
    assert figures["accuracy"] == pytest.approx(metrics.accuracy_score(y, prediction.values))  # of whole rows
    losses = [metrics.log_loss(y[:, k], prediction.probabilities[:, k]) for k in range(3)]
    assert figures["log_loss"] == pytest.approx(sum(losses))
    for key, expected in (("precision", precision), ("recall", recall), ("f1", f1), ("support", support)):
        np.testing.assert_allclose([c[key] for c in figures["classes"]], expected, rtol=1e-9)


@pytest.mark.parametrize("name", ["lengths", "pairs"])
def test_regression_figures(run, trained, name):
    figures, prediction, y = figures_and_prediction(run, trained, name)
    assert figures["rows"] == len(y)
    assert figures["rmse"] == pytest.approx(metrics.mean_squared_error(y, prediction.values) ** 0.5, rel=1e-5)
    assert figures["mae"] == pytest.approx(metrics.mean_absolute_error(y, prediction.values), rel=1e-5)
    assert figures["r2"] == pytest.approx(metrics.r2_score(y, prediction.values), rel=1e-5, abs=1e-6)


TABLES = [
    ("kinds", ["accuracy", "log-loss", "precision", "confusion matrix", "lily", "rose"]),
    ("digits", ["1,797", "confusion matrix"]),
    ("labels", ["accuracy", "precision"]),
    ("lengths", ["RMSE", "MAE", "R²"]),
]


@pytest.mark.parametrize(("name", "fragments"), TABLES)
def test_evaluation_as_tables(run, trained, name, fragments):
    result = run("evaluate", trained / name, trained / SOURCES[name] if name in SOURCES else name)
    assert result.code == 0
    assert all(fragment in result.out for fragment in fragments)


def test_the_runs_own_test_figures_are_evaluations(run, trained):
    """Of the same rows: here all of them, given as the test set."""
    flowers = trained / "flowers.csv"
    words = ["--target", "kind", "--epochs", "2", "--test", flowers, "--json", "--out", "here"]
    done = json.loads(run("train", flowers, *words).out.splitlines()[-1])
    figures = json.loads(run("evaluate", "here", flowers, "--json").out)
    assert (done["test_accuracy"], done["test_log_loss"]) == (figures["accuracy"], figures["log_loss"])


# ---------------------------------------------------------------------------------------------------- check


@pytest.mark.parametrize("name", ["kinds", "lengths", "labels", "pairs", "digits"])
def test_check_of_a_run(run, trained, name):
    result = run("check", trained / name)
    assert result.code == 0, result.out
    assert "the gradients are right" in result.out


NETWORKS = [
    "--sizes 5,4,3",
    "--sizes 5,3",
    "--sizes 4,6,5,3 --activation relu",
    "--sizes 4,6,5,3 --activation elu(alpha=0.5),gelu",
    "--sizes 4,6,5,3 --dropout 0.4 --entries 0",
    "--sizes 4,6,3 --l1 0.01 --l2 0.1",
    "--sizes 4,6,3 --loss squared_error",
    "--sizes 4,6,3 --loss absolute_error",
    "--sizes 4,6,3 --loss huber",
    "--sizes 4,6,3 --loss binary_cross_entropy",
    "--sizes 4,6,3 --loss log_loss",
    "--sizes 4,6,3 --loss poisson",
    "--sizes 4,6,3 --loss cross_entropy(label_smoothing=0.2) --rows 3 --seed 7",
]


@pytest.mark.parametrize("words", NETWORKS)
def test_check_of_a_random_network(run, words):
    result = run("check", *words.split(), "--json")
    assert (result.code, result.err) == (0, "")
    report = json.loads(result.out)
    layers = len(words.split()[1].split(",")) - 1
    assert report["passed"]
    assert report["error"] <= report["tolerance"] == 1e-7
    assert [p["name"] for p in report["parameters"]] == [f"{l + 1}.{n}" for l in range(layers) for n in "Wb"]
    assert sum(p["checked"] for p in report["parameters"]) > 0


def test_check_of_wrong_gradients(run, monkeypatch):
    right = Tanh.pull_back
    monkeypatch.setattr(Tanh, "pull_back", lambda self, grad_a, z: 1.001 * right(self, grad_a, z))
    result = run("check", "--sizes", "5,4,3")
    assert result.code == 1
    assert "THE GRADIENTS ARE WRONG" in result.out
    report = json.loads(run("check", "--sizes", "5,4,3", "--json").out)
    assert not report["passed"]
    errors = {p["name"]: p["error"] for p in report["parameters"]}
    assert min(errors["1.W"], errors["1.b"]) > 1e-4  # below the wrong derivative
    assert max(errors["2.W"], errors["2.b"]) < 1e-7  # above it


def test_check_of_a_run_on_other_rows(run, trained):
    assert run("check", trained / "kinds", trained / "flowers.csv", "--rows", "5", "--l2", "0.1").code == 0


# ---------------------------------------------------------------------------------------------------- info, doctor


def test_info(run, trained):
    result = run("info", trained / "kinds")
    assert (result.code, result.err) == (0, "")
    for fragment in ("network", "Dense(", "classification", "lily, rose", "patience20", "accuracy", "engine"):
        assert fragment in result.out


def test_info_as_json(run, trained):
    result = run("info", trained / "lengths", "--json")
    info = json.loads(result.out)
    assert info["network"]["sizes"][-1] == 1
    assert info["network"]["parameters"] == glassnet.load(trained / "lengths").network.n_parameters
    assert info["config"] == json.loads((trained / "lengths" / "config.json").read_text(encoding="utf-8"))
    assert {"rmse", "mae", "r2"} <= info["results"]["test"].keys()


def test_info_of_a_model_without_a_run(run):
    glassnet.Model(glassnet.Network.dense([3, 4, 2]), "cross_entropy").save("model")
    result = run("info", "model")
    assert result.code == 0
    assert "Dense(3, 4, ReLU())" in result.out
    assert json.loads(run("info", "model", "--json").out)["config"] == {}


def test_doctor(run):
    result = run("doctor")
    assert (result.code, result.err) == (0, "")
    for fragment in ("versions", "machine", "extras", importlib.metadata.version("numpy"), "processor", "plot"):
        assert fragment in result.out


def test_doctor_as_json(run):
    report = json.loads(run("doctor", "--json").out)
    assert report["versions"]["glassnet"] == glassnet.__version__
    assert report["versions"]["torch"] == importlib.metadata.version("torch")
    assert report["machine"]["cores"] >= 1
    assert report["extras"]["plot"] is True
    assert all(isinstance(there, bool) for there in report["extras"].values())


# ---------------------------------------------------------------------------------------------------- the program


@pytest.mark.parametrize("words", [["--version"], ["--lang", "en", "--version"], ["--version", "--lang=zh"]])
def test_version(run, words):
    result = run(*words)
    assert (result.code, result.out, result.err) == (0, f"glassnet {glassnet.__version__}\n", "")


@pytest.mark.parametrize("words", [["--help"], ["-h"], *([command, "--help"] for command in COMMANDS)])
def test_help(run, words):
    result = run(*words)
    assert (result.code, result.err) == (0, "")
    assert "Usage: glassnet" in result.out
    if len(words) == 1:
        assert all(command in result.out for command in COMMANDS)


def test_no_arguments(run):
    result = run()
    assert result.code == 2
    assert "Usage: glassnet" in result.out
    assert result.err == "give a command, such as: glassnet train digits\n"


def process(*words, cwd=None, code=None):
    """A Python process: the program with these words, or ``code``."""
    start = ["-c", code] if code is not None else ["-m", "glassnet", *words]
    return subprocess.run([sys.executable, *start], cwd=cwd, capture_output=True, text=True, check=False, timeout=60)


HEAVY = ["torch", "numpy", "scipy", "sklearn", "pyarrow", "matplotlib", "pandas"]
LOADED = f"print([name for name in {HEAVY} if name in sys.modules])"

LIGHT = [
    ("import sys, glassnet; dir(glassnet); glassnet.__version__", "[]"),
    ("import sys; from glassnet.cli import main; main(['--help'])", "[]"),
    ("import sys; from glassnet.cli import main; main(['--version'])", "[]"),
    ("import sys; from glassnet.cli import main; main(['train', '--help'])", "[]"),
    ("import sys; from glassnet.cli import main; main(['train'])", "[]"),
]


@pytest.mark.parametrize(("code", "loaded"), LIGHT)
def test_what_is_light_imports_nothing_heavy(code, loaded):
    done = process(code=f"{code}; {LOADED}")
    assert done.stdout.splitlines()[-1] == loaded, done.stderr


def test_training_does_not_import_torch(tmp_path):
    """Nor do prediction and evaluation: the work that NumPy carries."""
    code = (
        "import sys; from glassnet.cli import main; "
        "codes = [main(line.split()) for line in ('train digits --epochs 1 --device cpu', "
        "'evaluate runs/digits digits', 'predict runs/digits digits --out p.csv')]; "
        "print(codes, 'torch' in sys.modules)"
    )
    done = process(code=code, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "[0, 0, 0] False", done.stderr


def test_a_reader_that_goes_away(trained):
    command = f"{sys.executable} -m glassnet predict {trained}/digits digits | head -n 2"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.startswith('"prediction","p_0","p_1"')
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr == ""


@pytest.mark.filterwarnings("default")
def test_a_warning_is_a_line(run):
    result = run("train", "iris", "--epochs", "1", "--output", "softmax")
    assert result.code == 0
    assert result.err.startswith("warning: the network ends in softmax, but the loss 'cross_entropy'")
    assert len(result.err.splitlines()) == 1


def test_the_entry_point_is_this_program():
    (entry,) = importlib.metadata.entry_points(group="console_scripts", name="glassnet")
    assert entry.load() is main


def test_chinese_help():
    """Help is made in the language asked for, so it takes a process of its own."""
    done = process("--lang", "zh", "train", "--help")
    assert done.returncode == 0
    assert any("\u4e00" <= letter <= "\u9fff" for letter in done.stdout)


def test_alpha_counts_by_the_batch_in_a_check(tmp_path):
    """½ α‖W‖² / N in the loss of a batch of N rows."""
    glassnet.fit("iris", hidden=(3,), epochs=1, alpha=0.5, l2=0.01, out=tmp_path / "run")
    assert common.batch_of_run(tmp_path / "run", None, 10)[-1].l2 == pytest.approx(0.01 + 0.5 / 10)
    assert common.batch_of_run(tmp_path / "run", None)[-1].l2 == pytest.approx(0.01 + 0.5 / 150)
    assert main(["check", str(tmp_path / "run"), "--rows", "5"]) == 0
