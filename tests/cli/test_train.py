"""``glassnet train``: what each option does, what a run's folder holds, and what is printed."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
from pyarrow import csv, parquet

import glassnet
from glassnet.cli.common import print_json
from glassnet.network import parameter_values

SHARED = Path(__file__).parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not SHARED.is_dir(), reason=f"data folder not here: {SHARED}")


@pytest.fixture
def no_pictures(monkeypatch):
    monkeypatch.setattr("glassnet.cli.train._draw", lambda run, reporter: None)


@pytest.fixture
def train(run, no_pictures):
    """``glassnet train ... --out DIR`` that must succeed, without pictures; the run's configuration."""

    def train(*words, out="trained"):
        result = run("train", *words, "--out", out)
        assert result.code == 0, result.err
        return json.loads(Path(out, "config.json").read_text(encoding="utf-8"))

    return train


def json_lines(text):
    """The objects of JSON lines, refusing NaN and infinity, which are not JSON."""

    def refuse(literal):
        raise AssertionError(f"{literal} is not JSON")

    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


def write_mixed(path, rows=90):
    """A table of numbers, text, booleans and dates with missing values; the target is price, or sold."""
    rng = np.random.default_rng(0)
    lines = ["area,city,garden,built,price,sold"]
    for n in range(rows):
        area = rng.integers(30, 200)
        city, garden = ("Bern", "Basel", "Zug")[n % 3], n % 2 == 0
        price = 5.25 * area + 100 * (n % 3) + 50 * garden
        date = f"20{n % 25:02}-0{n % 9 + 1}-{n % 27 + 1:02}"
        sold = "yes" if area > 110 else "no"
        shown = "" if n % 17 == 3 else str(area)
        lines.append(f"{shown},{'' if n % 19 == 5 else city},{str(garden).lower()},{date},{price},{sold}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_arrays(path, y, rows=120, features=4):
    """x (N, 4) with targets that ``y`` makes of them."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(rows, features))
    np.savez(path, x=x, y=y(x, rng))
    return path


QUICK = ("--epochs", "1", "--hidden", "8", "--batch-size", "256")


# ---------------------------------------------------------------------------------------------------- options

OPTIONS = [
    # the words after `train iris --epochs 1`, the place in config.json, the value there
    (["--target", "target"], "data.target", "target"),
    (["--task", "classification"], "data.task", "classification"),
    (["--scaling", "minmax"], "data.scaling", "minmax"),
    (["--max-categories", "7"], "data.max_categories", 7),
    (["--validation", "0.25"], "data.validation", 0.25),
    (["--test", "0.3"], "data.test", 0.3),
    (["--test", "0"], "data.test", 0.0),
    (["--hidden", "5"], "network.hidden", [5]),
    (["--hidden", "6,5,4"], "network.hidden", [6, 5, 4]),
    (["--hidden", "none"], "network.hidden", []),
    (["--activation", "tanh"], "network.activation", "tanh"),
    (["--activation", "elu(alpha=0.5)"], "network.activation", "elu(alpha=0.5)"),
    (["--hidden", "6,5", "--activation", "relu,tanh"], "network.activation", ["relu", "tanh"]),
    (
        ["--hidden", "6,5", "--activation", "leaky_relu(slope=0.2),elu(alpha=2)"],
        "network.activation",
        ["leaky_relu(slope=0.2)", "elu(alpha=2)"],
    ),
    (["--output", "softmax", "--loss", "log_loss"], "network.output", "softmax"),
    (["--init", "normal(variance=0.01)"], "network.init", "normal(variance=0.01)"),
    (["--hidden", "6", "--init", "he,xavier"], "network.init", ["he", "xavier"]),
    (["--bias", "0.1"], "network.bias", 0.1),
    (["--bias", "uniform"], "network.bias", "uniform"),
    (["--dropout", "0.5"], "network.dropout", 0.5),
    (["--hidden", "6,5", "--dropout", "0.2,0.5"], "network.dropout", [0.2, 0.5]),
    (["--input-dropout", "0.1"], "network.input_dropout", 0.1),
    (["--dropout", "0.5", "--dropout-variant", "plain"], "network.dropout_variant", "plain"),
    (["--dtype", "float64"], "network.dtype", "float64"),
    (["--loss", "cross_entropy(label_smoothing=0.1)"], "training.loss.label_smoothing", 0.1),
    (["--loss", "log_loss"], "training.loss.name", "log_loss"),
    (["--optimizer", "sgd"], "training.optimiser", "sgd"),
    (["--optimiser", "nesterov"], "training.optimiser", "nesterov"),
    (["--optimizer", "adam(beta_1=0.8)"], "training.optimiser", "adam(beta_1=0.8)"),
    (["--lr", "0.05"], "training.lr", 0.05),
    (["--optimizer", "sgd"], "training.lr", 0.1),
    (["--schedule", "cosine(warmup=1)"], "training.schedule", "cosine(warmup=1)"),
    (["--batch-size", "9"], "training.batch_size", 9),
    (["--clip-norm", "1.5"], "training.clip_norm", 1.5),
    (["--clip-value", "0.5"], "training.clip_value", 0.5),
    (["--early-stopping", "PQ0.5"], "training.early_stopping", "PQ0.5"),
    (["--early-stopping", "none"], "training.early_stopping", "none"),
    (["--monitor", "metric"], "training.monitor", "metric"),
    (["--on-nonfinite", "halve"], "training.on_nonfinite", "halve"),
    (["--class-weight", "balanced"], "training.class_weight", "balanced"),
    (["--seed", "3"], "training.seed", 3),
    (["--seed", str(2**64 - 1)], "training.seed", 2**64 - 1),
    (["--device", "cpu"], "training.device", "cpu"),
    (["--engine", "reference"], "training.engine", "reference"),
    (["--precision", "exact"], "training.precision", "exact"),
    (["--threads", "1"], "training.threads", 1),
    (["--l1", "0.001"], "training.l1", 0.001),
    (["--l2", "0.002"], "training.l2", 0.002),
    (["--weight-decay", "0.003"], "training.weight_decay", 0.003),
    (["--weight-decay", "0.003", "--decay-form", "lr"], "training.decay_form", "lr"),
    (["--max-norm", "2"], "training.max_norm", 2.0),
    (["--l2", "0.1", "--regularise-biases"], "training.regularise_biases", True),
    (["--no-regularise-biases"], "training.regularise_biases", False),
    (["--freeze", "1"], "freeze", [1]),
    (["--pretrain", "whole", "--pretrain-epochs", "1"], "pretrain", "whole"),
    (["--pretrain", "greedy", "--pretrain-epochs", "2"], "pretrain_epochs", 2),
]
TESTED_APART = {
    "--epochs",
    "--config",
    "--quiet",
    "--out",
    "--overwrite",
    "--json",
    "--help",
    "--from",
    "--load-layers",
    "--record",
    "--track",
    "--diagnose",
    "--checkpoint-every",
    "--checkpoint-keep",
    "--resume",
    "--allow",
}


def at(tree, path):
    for key in path.split("."):
        tree = tree[key]
    return tree


@pytest.mark.parametrize(("words", "path", "value"), OPTIONS, ids=lambda part: str(part).replace(" ", ""))
def test_option_reaches_the_configuration(train, words, path, value):
    config = train("iris", "--epochs", "1", *words)
    assert at(config, path) == value
    assert config["training"]["epochs"] == 1


def test_every_option_is_in_the_table():
    import typer

    from glassnet.cli.app import build

    command = typer.main.get_command(build()).commands["train"]
    known = {name for parameter in command.params for name in parameter.opts + parameter.secondary_opts}
    tested = {word for words, _, _ in OPTIONS for word in words if word.startswith("--")}
    assert {name for name in known if name.startswith("--")} == tested | TESTED_APART - {"--help"}


def test_defaults_are_written_out(train):
    config = train("iris", "--epochs", "1")
    assert config["training"]["loss"]["name"] == "cross_entropy"
    assert config["training"]["early_stopping"] == "patience20"
    assert (config["training"]["lr"], config["training"]["batch_size"], config["network"]["hidden"]) == (
        0.002,
        16,
        [64, 32],
    )
    assert config["training"]["schedule"] == "reduce_on_plateau(patience=5)"
    alone = train("iris", "--epochs", "1", "--validation", "0", out="alone")["training"]
    assert (alone["lr"], alone["schedule"], alone["early_stopping"]) == (0.001, "constant", "none")


TOML = """
[data]
test = 0.3
[network]
hidden = [7, 6]
activation = {name = "elu", alpha = 0.5}
[training]
epochs = 2
lr = 0.02
"""


def test_command_line_comes_before_the_file(train):
    Path("settings.toml").write_text(TOML, encoding="utf-8")
    config = train("iris", "--config", "settings.toml", "--lr", "0.03", "--hidden", "5")
    assert (config["training"]["epochs"], config["data"]["test"]) == (2, 0.3)
    assert config["network"]["activation"] == {"name": "elu", "alpha": 0.5}
    assert (config["training"]["lr"], config["network"]["hidden"]) == (0.03, [5])


SAME_AGAIN = [
    ["--loss", "cross_entropy(label_smoothing=0.1)", "--optimizer", "adamw", "--schedule", "cosine"],
    ["--early-stopping", "none", "--activation", "tanh", "--dropout", "0.2"],
    ["--validation", "0", "--hidden", "none", "--loss", "log_loss"],
]


@pytest.mark.parametrize("words", SAME_AGAIN, ids=lambda words: words[1])
def test_a_run_made_from_a_runs_configuration_is_the_same(train, words):
    first = train("iris", "--epochs", "3", *words, out="first")
    assert train("iris", "--config", "first/config.json", out="second") == first
    assert Path("first/model.safetensors").read_bytes() == Path("second/model.safetensors").read_bytes()


# ---------------------------------------------------------------------------------------------------- what is printed


def test_what_is_printed(run):
    result = run("train", "digits", "--epochs", "3")
    assert (result.code, result.err) == (0, "")
    for fragment in (
        "· rows: 1,294 to train, 144 to validate, 359 to test",
        "· network 64-128-64-10 (17,226 parameters), loss cross_entropy, adam with learning rate 0.002 "
        "(reduce_on_plateau), batch 16",
        "· early stopping: patience20, on the validation set",
        "epoch 3/3  loss ",
        "all 3 epochs are done",
        "test accuracy",
        "runs/digits",
    ):
        assert fragment in result.out


CASES = [
    ("iris", [], "accuracy", "test_accuracy"),
    ("diabetes", [], "r2", "test_rmse"),
    ("iris", ["--validation", "0", "--test", "0"], "accuracy", None),
    ("iris", ["--l2", "0.01"], "accuracy", "test_accuracy"),
]


@pytest.mark.parametrize(("source", "words", "metric", "figure"), CASES)
def test_json(run, source, words, metric, figure):
    result = run("train", source, "--epochs", "2", "--json", "--out", "here", *words)
    assert (result.code, result.err) == (0, "")
    events = json_lines(result.out)
    assert {event["event"] for event in events} == {"note", "epoch", "done"}
    epochs = [event for event in events if event["event"] == "epoch"]
    assert [epoch["epoch"] for epoch in epochs] == [1, 2]
    for epoch in epochs:
        assert {"loss", metric, "lr", "seconds"} <= epoch.keys()
        assert ("val_loss" in epoch) == (f"val_{metric}" in epoch) == ("--validation" not in words)
        assert ("penalty" in epoch) == ("--l2" in words)
    done = events[-1]
    assert done["event"] == "done"
    assert (done["run"], done["stop_code"], done["stop_reason"]) == ("here", "epochs", "all 2 epochs are done")
    assert done["seconds"] > 0
    assert (figure in done) if figure else not any(key.startswith("test_") for key in done)


def test_json_has_no_nan(run, capsys):
    """Neither where a validation or test set of a single row has no spread, nor where a figure is not finite."""
    lines = "\n".join(f"{n},{n * 0.37}" for n in range(12))
    Path("small.csv").write_text(f"x,target\n{lines}\n", encoding="utf-8")
    result = run("train", "small.csv", "--epochs", "2", "--json")
    assert result.code == 0
    assert json_lines(result.out)[-1]["event"] == "done"
    json_lines(Path("runs/small/history.jsonl").read_text(encoding="utf-8"))
    print_json({"loss": float("nan"), "list": [float("inf"), 1.5], "deep": {"a": -float("inf")}})
    assert json_lines(capsys.readouterr().out) == [{"loss": None, "list": [None, 1.5], "deep": {"a": None}}]


def test_chinese(run):
    result = run("train", "iris", "--epochs", "1", "--lang", "zh")
    assert result.code == 0
    assert any("\u4e00" <= letter <= "\u9fff" for letter in result.out)


@pytest.mark.parametrize("code", ["xx", "", "EN"])
def test_unknown_language(run, code):
    result = run("train", "iris", "--lang", code)
    assert result.code == 2
    assert "--lang must be one of en, zh" in result.err
    assert not Path("runs").exists()


# ---------------------------------------------------------------------------------------------------- the folder


def test_folder_of_a_run(run):
    assert run("train", "iris", "--epochs", "2", "--out", "deep/er/run").code == 0
    folder = Path("deep/er/run")
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "model.json",
        "model.safetensors",
        "history.jsonl",
        "results.json",
        "figures",
    }
    history = json_lines((folder / "history.jsonl").read_text(encoding="utf-8"))
    assert [record.get("epoch") for record in history] == [1, 2, None]
    assert history[-1]["stop_code"] == "epochs"
    picture = (folder / "figures" / "curves.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 10_000


NAMES = [
    ("iris", "iris"),
    ("breast-cancer", "breast-cancer"),
    ("some data.v2.csv", "some-data"),
    (".csv", "run"),
    ("数据.csv", "数据"),
    ("a$b$c.csv", "a-b-c"),
]


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(("source", "name"), NAMES)
def test_default_name_of_a_run(run, source, name):
    if source.endswith(".csv"):
        write_mixed(Path(source))
    for _ in range(3):
        result = run("train", source, *QUICK, *(["--target", "price"] if source.endswith(".csv") else []))
        assert result.code == 0, result.err
    assert {path.name for path in Path("runs").iterdir()} == {name, f"{name}-2", f"{name}-3"}


def test_two_runs_at_once_do_not_meet(run, monkeypatch):
    """The name is taken when a run begins, not when it is saved."""
    from glassnet import runs

    real, taken = runs.load_source, []

    def look(*words, **options):
        taken.append(runs.free_folder(Path("runs"), "iris"))
        return real(*words, **options)

    monkeypatch.setattr("glassnet.runs.load_source", look)
    assert run("train", "iris", *QUICK).code == 0
    assert taken == [Path("runs/iris-2")]


@pytest.mark.parametrize("name", ["a$b$c", "数据", "x_{y}^2 \\frac"])
def test_any_name_can_be_drawn(run, name):
    assert run("train", "iris", *QUICK, "--out", name).code == 0
    assert Path(name, "figures", "curves.png").exists()


def test_overwrite(run, train):
    train("iris", *QUICK)
    before = Path("trained/model.safetensors").read_bytes()
    Path("trained/figures").mkdir()
    Path("trained/figures/old.png").write_bytes(b"")
    refused = run("train", "iris", *QUICK, "--seed", "1", "--out", "trained")
    assert refused.code == 2
    assert "is there already" in refused.err
    assert "--overwrite" in refused.err
    assert Path("trained/model.safetensors").read_bytes() == before
    train("iris", *QUICK, "--seed", "1", "--overwrite")
    assert Path("trained/model.safetensors").read_bytes() != before
    assert not Path("trained/figures/old.png").exists()


def test_a_failed_run_leaves_the_old_one(run, train):
    train("iris", *QUICK)
    before = {path: path.read_bytes() for path in Path("trained").rglob("*") if path.is_file()}
    assert run("train", "iris", "--overwrite", "--out", "trained", "--lr", "1e30", "--optimizer", "sgd").code == 1
    assert {path: path.read_bytes() for path in Path("trained").rglob("*") if path.is_file()} == before


def test_same_seed_same_bytes(train):
    for out, seed in (("first", 5), ("second", 5), ("third", 6)):
        train("digits", "--epochs", "2", "--dropout", "0.2", "--seed", seed, out=out)
    files = [Path(out, "model.safetensors").read_bytes() for out in ("first", "second", "third")]
    assert files[0] == files[1] != files[2]
    assert Path("first/model.json").read_bytes() == Path("second/model.json").read_bytes()


def test_without_matplotlib(run, monkeypatch):
    real = importlib.import_module

    def missing(name, package=None):
        if name.split(".")[0] == "matplotlib":
            raise ModuleNotFoundError(f"No module named {name!r}", name="matplotlib")
        return real(name, package)

    monkeypatch.setattr("glassnet.errors.importlib.import_module", missing)
    result = run("train", "iris", *QUICK, "--out", "here")
    assert result.code == 0
    assert "this needs matplotlib, which is not installed; run: pip install 'glassnet[plot]'" in result.out
    assert not Path("here/figures").exists()
    result = run("train", "iris", *QUICK, "--out", "json", "--json")
    assert "glassnet[plot]" in json_lines(result.out)[-2]["text"]


# ---------------------------------------------------------------------------------------------------- starting from


def values(folder):
    return parameter_values(glassnet.load(folder).network)


def same(a, b, layer):
    return all(np.array_equal(a[f"{layer}.{name}"], b[f"{layer}.{name}"]) for name in ("W", "b"))


@pytest.fixture
def base(train):
    train("digits", "--epochs", "2", "--hidden", "20,12", "--activation", "tanh", out="base")
    return values("base")


def test_frozen_layers_stay_bit_for_bit(train, base):
    config = train("digits", "--from", "base", "--freeze", "1,2", "--epochs", "2")
    trained = values("trained")
    assert (config["start_from"], config["freeze"]) == ("base", [1, 2])
    assert [same(base, trained, layer) for layer in (1, 2, 3)] == [True, True, False]
    assert [layer.frozen for layer in glassnet.load("trained").network.layers] == [True, True, False]


def test_loaded_layers_only(train, base):
    """With the loaded layers frozen, they are the source's, and the last, drawn anew, is not."""
    words = ["--hidden", "20,12", "--load-layers", "1,2", "--freeze", "1,2", "--seed", "9", "--epochs", "1"]
    assert train("digits", "--from", "base", *words)["load_layers"] == [1, 2]
    assert [same(base, values("trained"), layer) for layer in (1, 2, 3)] == [True, True, False]


def test_a_run_that_starts_from_another_keeps_its_activations(train, base):
    """The weights were learned for them."""
    train("digits", "--from", "base", "--freeze", "1,2", "--lr", "1e-30", "--epochs", "1")
    assert glassnet.load("trained").evaluate("digits") == glassnet.load("base").evaluate("digits")
    config = train("digits", "--from", "base", "--activation", "relu", "--epochs", "1", out="other")
    assert config["network"]["activation"] == "relu"


def test_starting_from_a_run_helps(run, base):
    first = [
        json_lines(run("train", "digits", "--epochs", "1", "--hidden", "20,12", "--json", *words).out)
        for words in ([], ["--from", "base"])
    ]
    losses = [next(event["loss"] for event in events if event["event"] == "epoch") for events in first]
    assert losses[1] < 0.8 * losses[0]


MISMATCHES = [
    (["--hidden", "20,13"], "layer 2 does not match"),
    (["--hidden", "21,12"], "layer 1 does not match"),
    (["--hidden", "20,12", "--load-layers", "4"], "there is no layer 4"),
    (["--hidden", "20"], "layer 2 does not match"),
]


@pytest.mark.parametrize(("words", "message"), MISMATCHES)
def test_layers_that_do_not_match(run, base, words, message):
    result = run("train", "digits", "--from", "base", "--out", "trained", "--epochs", "1", *words)
    assert result.code == 2
    assert message in result.err
    assert not Path("trained").exists()


def test_layers_of_another_task(run, train):
    train("iris", *QUICK, out="base")
    write_arrays(Path("other.npz"), lambda x, rng: rng.integers(0, 2, len(x)))
    result = run("train", "other.npz", "--from", "base", "--out", "trained")
    assert result.code == 2
    assert "the training data were a table" in result.err


@pytest.mark.parametrize("how", ["greedy", "whole"])
def test_pretraining(run, train, how):
    train("digits", *QUICK, out="plain")
    result = run("train", "digits", *QUICK, "--pretrain", how, "--pretrain-epochs", "2", "--out", "trained")
    assert f"pre-training of the hidden layers: {how}, 2 epochs" in result.out
    assert not same(values("plain"), values("trained"), 1)


# ---------------------------------------------------------------------------------------------------- data and tasks


@pytest.mark.parametrize(("target", "task"), [("price", "regression"), ("sold", "classification")])
def test_mixed_columns(run, target, task):
    write_mixed(Path("houses.csv"))
    result = run("train", "houses.csv", "--target", target, "--epochs", "3")
    assert (result.code, result.err) == (0, "")
    for fragment in (
        f"· {task}, because the target",
        "columns of numbers, scaled to mean 0 and standard deviation 1: area",
        "columns of true and false, as 1 and 0: garden",
        "columns of dates and times, spread over their parts",
        "columns of text, one feature for each category: city",
        "missing values are filled with the mean, and flagged by a feature of their own: area",
        "test accuracy" if target == "sold" else "test RMSE",
    ):
        assert fragment in result.out
    model = glassnet.load("runs/houses")
    assert model.target_name == target
    assert model.target.task == task


def test_regression_learns(run):
    result = run("train", "diabetes", "--epochs", "30", "--json")
    done = json_lines(result.out)[-1]
    assert done["test_r2"] > 0.3
    assert 40 < done["test_rmse"] < 70  # in the target's units, whose standard deviation is 77


def test_digits_are_learned(run):
    done = json_lines(run("train", "digits", "--epochs", "15", "--json").out)[-1]
    assert done["test_accuracy"] > 0.95


def multilabel(x, rng):
    return (x[:, :3] > 0).astype(np.int64)


def counts(x, rng):
    return rng.poisson(np.exp(0.5 * x[:, 0]))


TASKS = [
    ("multilabel", multilabel, [], "multilabel", "binary_cross_entropy"),
    ("two outputs", lambda x, rng: x[:, :2] @ rng.normal(size=(2, 2)), [], "regression", "squared_error"),
    ("counts", counts, ["--loss", "poisson"], "regression", "poisson"),
    ("floats", lambda x, rng: x[:, 0] - x[:, 1], ["--loss", "huber"], "regression", "huber"),
    ("classes", lambda x, rng: (x[:, 0] > 0) * 1, ["--loss", "log_loss"], "classification", "log_loss"),
    ("classes with gaps", lambda x, rng: (x[:, 0] > 0) * 40 + 2, [], "classification", "cross_entropy"),
    ("booleans", lambda x, rng: x[:, 0] > 0, [], "classification", "cross_entropy"),
]


@pytest.mark.parametrize(("y", "words", "task", "loss"), [case[1:] for case in TASKS], ids=[case[0] for case in TASKS])
def test_tasks(train, y, words, task, loss):
    write_arrays(Path("arrays.npz"), y, rows=400)
    config = train("arrays.npz", "--epochs", "25", *words)
    model = glassnet.load("trained")
    assert (model.target.task, model.loss.name) == (task, loss)
    assert config["training"]["loss"]["name"] == loss
    history = [json.loads(line) for line in Path("trained/history.jsonl").read_text().splitlines()]
    assert history[-2]["val_loss"] < history[0]["val_loss"]
    test = json.loads(Path("trained/results.json").read_text())["test"]
    if loss != "poisson":
        assert test.get("accuracy", test.get("r2")) > 0.7


def test_counts_stay_counts(train):
    """The mean of the predictions is that of the counts: they are not standardised."""
    path = write_arrays(Path("counts.npz"), counts, rows=400)
    train(path, "--loss", "poisson", "--epochs", "60", "--early-stopping", "none")
    predicted = glassnet.load("trained").predict(path).values
    assert predicted.min() > 0
    assert predicted.mean() == pytest.approx(np.load(path)["y"].mean(), rel=0.15)


SHARES = [
    (["--validation", "0.5"], "to validate, 30 to test"),
    (["--validation", "0"], "rows: 120 to train, 30 to test"),
    (["--test", "0"], "rows: 135 to train, 15 to validate"),
    (["--validation", "0", "--test", "0"], "rows: 150 to train"),
]


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(("words", "rows"), SHARES)
def test_shares(run, words, rows):
    result = run("train", "iris", *QUICK, *words)
    assert result.code == 0
    assert rows in result.out
    assert ("test accuracy" in result.out) == (words[-2:] != ["--test", "0"])


def test_validation_and_test_files(run):
    write_mixed(Path("all.csv"))
    lines = Path("all.csv").read_text().splitlines(keepends=True)
    for name, part in (("val.csv", lines[1:21]), ("test.csv", lines[21:51]), ("train.csv", lines[51:])):
        Path(name).write_text(lines[0] + "".join(part))
    words = ["--target", "sold", *QUICK, "--validation", "val.csv", "--test", "test.csv"]
    result = run("train", "train.csv", *words, "--out", "here")
    assert result.code == 0, result.err
    assert "rows: 40 to train, 20 to validate, 30 to test" in result.out
    config = json.loads(Path("here/config.json").read_text())
    assert (config["data"]["validation"], config["data"]["test"]) == ("val.csv", "test.csv")
    figures = glassnet.load("here").evaluate("test.csv")
    assert json.loads(Path("here/results.json").read_text())["test"] == figures


def test_fewer_rows_than_a_batch(run):
    write_mixed(Path("few.csv"), rows=12)
    result = run("train", "few.csv", "--target", "price", "--epochs", "2", "--batch-size", "500", "--out", "here")
    assert result.code == 0, result.err
    assert "· the batch is all 9 rows: there are fewer than 500" in result.out
    assert json.loads(Path("here/config.json").read_text())["training"]["batch_size"] == 9


def test_other_forms_of_one_table_give_one_model(train):
    """CSV, TSV and Parquet with the same rows."""
    write_mixed(Path("t.csv"))
    Path("t.tsv").write_text(Path("t.csv").read_text().replace(",", "\t"))
    options = csv.ConvertOptions(strings_can_be_null=True)
    parquet.write_table(csv.read_csv("t.csv", convert_options=options), "t.parquet")
    for ending in ("csv", "tsv", "parquet"):
        train(f"t.{ending}", "--target", "price", *QUICK, out=ending)
    first = Path("csv/model.safetensors").read_bytes()
    assert all(Path(ending, "model.safetensors").read_bytes() == first for ending in ("tsv", "parquet"))


STOPPING = [
    ("GL0.01", "GL = "),
    ("PQ0.0001", "GL/P = "),
    ("UP1", "the validation error rose over 1 strips of 5 epochs in a row"),
    ("patience2", "the validation error has not fallen for 2 epochs"),
    ("patience(epochs=3)", "the validation error has not fallen for 3 epochs"),
]


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(("criterion", "reason"), STOPPING)
def test_early_stopping(run, criterion, reason):
    """Random labels, learned by heart: the validation loss soon rises."""
    write_arrays(Path("noise.npz"), lambda x, rng: rng.integers(0, 2, len(x)))
    words = ["--lr", "0.02", "--early-stopping", criterion, "--json", "--out", "here"]
    result = run("train", "noise.npz", *words)
    assert result.code == 0, result.err
    done = json_lines(result.out)[-1]
    assert (done["stop_code"], done["epochs"] < 200) == ("early_stopping", True)
    assert reason in done["stop_reason"]
    history = [event for event in json_lines(result.out) if event["event"] == "epoch"]
    assert done["best_epoch"] == 1 + int(np.argmin([epoch["val_loss"] for epoch in history]))


def test_early_stopping_by_the_metric(run):
    result = run("train", "iris", "--monitor", "metric", "--early-stopping", "patience5", "--json", "--lr", "0.01")
    events = json_lines(result.out)
    accuracies = [event["val_accuracy"] for event in events if event["event"] == "epoch"]
    assert events[-1]["best_epoch"] == 1 + int(np.argmax(accuracies))


def test_divergence(run):
    result = run("train", "diabetes", "--optimizer", "sgd", "--lr", "1e30", "--out", "here")
    assert result.code == 1
    assert "diverged in epoch 1" in result.err
    assert "a lower learning rate than 1e+30" in result.err
    assert "Traceback" not in result.err
    assert not Path("here").exists()


# ---------------------------------------------------------------------------------------------------- real data


@needs_data
def test_california_housing(run):
    source = SHARED / "california-housing" / "california-housing.parquet"
    target = parquet.read_schema(source).names[-1]
    result = run("train", source, "--target", target, "--epochs", "2", "--json")
    assert result.code == 0, result.err
    assert json_lines(result.out)[-1]["test_r2"] > 0.5


@needs_data
def test_mnist_folder(run):
    result = run("train", SHARED / "mnist", "--epochs", "1", "--hidden", "16", "--json")
    assert result.code == 0, result.err
    assert "the source's own test set is used: 10,000 rows" in result.out
    assert json_lines(result.out)[-1]["test_accuracy"] > 0.85


def test_quiet_prints_the_result_only(run):
    printed = run("train", "iris", "--epochs", "2", "--quiet").out
    assert "test accuracy" in printed
    assert "·" not in printed
    assert "epoch 1/2" not in printed


def test_a_file_can_describe_a_whole_run(run, tmp_path):
    (tmp_path / "run.toml").write_text('[data]\nsource = "iris"\n[training]\nepochs = 2\n', encoding="utf-8")
    assert "test accuracy" in run("train", "--config", tmp_path / "run.toml").out


def test_a_target_for_a_source_that_brings_its_own_is_refused(run):
    result = run("train", "digits", "--target", "x")
    assert result.code == 2
    assert "brings its own targets" in result.err


def test_nothing_to_train_is_said(run, base):
    result = run("train", "digits", "--from", "base", "--freeze", "1,2,3")
    assert result.code == 2
    assert "all layers are frozen" in result.err
