"""Bad input to the command line: exit code 2, one or two lines that say what, where and what to do; no run is left."""

import gzip
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from glassnet.cli import main

ROWS = "".join(f"{n},{n * n % 7},{'ab'[n % 2]}\n" for n in range(60))
GOOD = "x1,x2,target\n" + ROWS


@pytest.fixture(scope="module")
def good_run(tmp_path_factory):
    """A run that learned x1 and x2 from a table."""
    folder = tmp_path_factory.mktemp("good")
    (folder / "good.csv").write_text(GOOD, encoding="utf-8")
    words = ["train", f"{folder}/good.csv", "--epochs", "1", "--hidden", "4", "--dropout", "0.1", "--json"]
    assert main([*words, "--out", f"{folder}/run"]) == 0
    return folder / "run"


@pytest.fixture
def files(tmp_path, good_run):
    """A good table, a good run, and a folder with nothing in it, beside which the bad things are put."""
    Path(tmp_path, "good.csv").write_text(GOOD, encoding="utf-8")
    shutil.copytree(good_run, tmp_path / "good_run")
    (tmp_path / "empty_folder").mkdir()
    return tmp_path


def assert_refused(result, fragment):
    assert result.code == 2, result.err or result.out
    assert fragment in result.err
    lines = result.err.splitlines()
    assert len(lines) <= 2
    assert lines[0].startswith("error: ")
    assert "Traceback" not in result.err + result.out
    assert "should not happen" not in result.err


# ---------------------------------------------------------------------------------------------------- files


def text(content, encoding="utf-8"):
    return lambda path: path.write_bytes(content.encode(encoding))


def archive(**arrays):
    return lambda path: np.savez(path, **arrays)


def truncated_parquet(path):
    parquet.write_table(pa.table({"a": list(range(100)), "target": ["x", "y"] * 50}), path)
    path.write_bytes(path.read_bytes()[:-40])


def nested_parquet(path):
    parquet.write_table(pa.table({"a": [[1, 2], [3]], "target": ["x", "y"]}), path)


def truncated_gzip(path):
    path.write_bytes(gzip.compress(GOOD.encode())[:-20])


def labelled(value_of_row_3, other="xy"):
    rows = [f"{n},{other[n % len(other)]}" for n in range(30)]
    rows[3] = value_of_row_3
    return "a,target\n" + "\n".join(rows) + "\n"


X = np.random.default_rng(0).normal(size=(40, 3))
Y = np.arange(40) % 2


def spoilt(value):
    x = X.copy()
    x[3, 2] = value
    return x


BAD_FILES = [
    ("nothing.csv", None, "there is no file or folder 'nothing.csv'"),
    ("digitz", None, "Did you mean 'digits'?"),
    ("goood.csv", None, "Did you mean 'good.csv'?"),
    ("nofolder/good.csv", None, "check the path"),
    ("good.csv/rows", None, "there is no file or folder"),
    ("~nobody-at-all/x.csv", None, "there is no file or folder"),
    ("x" * 300, None, "there is no file or folder"),
    ("", None, "the path or name is empty"),
    ("  ", None, "the path or name is empty"),
    ("empty_folder", None, "the folder empty_folder holds neither Parquet files nor MNIST's idx files"),
    ("good_run", None, "the folder good_run holds neither Parquet files nor MNIST's idx files"),
    ("table.txt", text(GOOD), "cannot tell what table.txt is from its name"),
    ("empty.csv", text(""), "empty.csv is empty"),
    ("blank.csv", text("\n\n"), "begins with an empty line"),
    ("header.csv", text("a,b,target\n"), "header.csv has a line of column names but no rows"),
    ("no_names.csv", text("1.5,2,3\n4,5,6\n"), "holds numbers (1.5, 2, 3), not the names of columns"),
    ("no_target.csv", text("a,b\n1,2\n3,4\n"), "--target"),
    ("ragged.csv", text("a,b,target\n1,2,x\n1,2,3,y\n"), "ragged.csv, line 3: 4 values"),
    ("ragged.csv", text("a,b,target\n1,2,x\n1,2\n"), "ragged.csv, line 3: 2 values"),
    ("latin.csv", text("a,target\n1,é\n2,è\n", "latin-1"), "latin.csv is not UTF-8 text (line 2)"),
    ("wide.csv", text("a,target\n1,x\n", "utf-16"), "not UTF-8"),
    ("twice.csv", text("a,a,target\n1,2,x\n2,3,y\n"), "more than one column called 'a'"),
    ("packed.csv.gz", truncated_gzip, "cannot read packed.csv.gz as CSV"),
    ("packed.csv.gz", text(GOOD), "cannot read packed.csv.gz as CSV"),
    ("short.parquet", truncated_parquet, "cannot read short.parquet as Parquet"),
    ("text.parquet", text(GOOD), "cannot read text.parquet as Parquet"),
    ("nested.parquet", nested_parquet, "holds list<"),
    ("one_class.csv", text(labelled("3,x", "x")), "all 30 targets are 'x'"),
    ("infinite.csv", text(labelled("inf,x")), "column 'a' holds inf in row 3 (counting from 0)"),
    ("huge.csv", text(labelled("1e300,x")), "column 'a' holds 1e+300 in row 3"),
    ("missing.csv", text(labelled("3,")), "1 of 30 targets are missing, the first in row 3 (counting from 0)"),
    ("two_rows.csv", text("a,target\n1,x\n2,y\n"), "holding out 0.2 of 2 rows leaves no row on one side"),
    ("only_target.csv", text("target\n" + "x\ny\n" * 20), "There is only the target"),
    ("classes.csv", text("a,target\n" + "".join(f"{n},c{n}\n" for n in range(100_000))), "100,000 distinct values"),
    ("nan.npz", archive(x=spoilt(np.nan), y=Y), "the inputs hold nan in row 3, column 2"),
    ("inf.npz", archive(x=spoilt(-np.inf), y=Y), "the inputs hold -inf in row 3, column 2"),
    ("nan_y.npz", archive(x=X, y=np.where(Y == 0, np.nan, 0.5)), "targets are missing"),
    ("objects.npz", archive(x=np.array([{}, 1], dtype=object), y=np.arange(2)), "could run code and are never loaded"),
    ("lengths.npz", archive(x=X, y=Y[1:]), "there are 40 rows of inputs but 39 targets"),
    ("names.npz", archive(inputs=X, y=Y), "has no array of inputs"),
    ("complex.npz", archive(x=X * 1j, y=Y), "the inputs must be real numbers"),
    ("flat.npz", archive(x=X[:, 0], y=Y), "the inputs must have the shape (rows, features)"),
    ("text.npz", text(GOOD), "text.npz"),
    ("single.npy", lambda path: np.save(path, X), "--target -1"),
    ("t-images-idx3-ubyte", text("nonsense"), "is not an idx file"),
]


@pytest.mark.parametrize(
    ("name", "write", "fragment"), BAD_FILES, ids=[f"{n}-{c[0][:20]}" for n, c in enumerate(BAD_FILES)]
)
def test_bad_file(run, files, name, write, fragment):
    if write is not None:
        write(Path(name))
    assert_refused(run("train", name, "--epochs", "1"), fragment)
    assert not Path("runs").exists()


ODD_FILES = [
    ("gaps.csv", text("a,target\n" + "".join(f"{n},{(3, 17, -40)[n % 3]}\n" for n in range(60))), "3 distinct values"),
    (
        "ids.csv",
        text("a,c,target\n" + "".join(f"{n},c{n},{'xy'[n % 2]}\n" for n in range(100_000))),
        "column 'c' is left out: 72,000 of its 72,000 values are distinct, so it identifies rows",
    ),
    (
        "categories.csv",
        text("a,c,target\n" + "".join(f"{n},c{n * n % 9973},{'xy'[n % 2]}\n" for n in range(30_000))),
        "categories are kept, the others",
    ),
    ("bom.csv", lambda path: path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode()), "x1, x2"),
    ("semicolons.csv", text(GOOD.replace(",", ";")), "x1, x2"),
    ("windows.csv", text(GOOD.replace("\n", "\r\n")), "x1, x2"),
    (
        "constant.csv",
        text("a,k,target\n" + "".join(f"{n},5,{'xy'[n % 2]}\n" for n in range(60))),
        "constant columns, always 0: k",
    ),
    ("空 格.csv", text(GOOD.replace("x1", "面积")), "面积, x2"),
]


@pytest.mark.parametrize(("name", "write", "fragment"), ODD_FILES, ids=[case[0] for case in ODD_FILES])
def test_odd_but_usable_file(run, files, name, write, fragment):
    write(Path(name))
    result = run("train", name, "--epochs", "1", "--hidden", "4", "--batch-size", "4096", "--json")
    assert (result.code, result.err) == (0, "")
    assert fragment in result.out


# ---------------------------------------------------------------------------------------------------- options

BAD_OPTIONS = [
    ("--lr 0", "lr': 0.0"),
    ("--lr -1", "lr': -1.0"),
    ("--lr nan", "lr': nan"),
    ("--lr fast", "--lr"),
    ("--epochs 0", "epochs': 0"),
    ("--epochs 1.5", "--epochs"),
    ("--batch-size 0", "batch_size': 0"),
    ("--seed -1", "seed': -1"),
    ("--threads 0", "threads': 0"),
    ("--clip-norm 0", "clip_norm"),
    ("--clip-value -1", "clip_value"),
    ("--l1 -1", "l1': -1.0"),
    ("--l2 inf", "l2': inf"),
    ("--weight-decay 1", "must be below 1"),
    ("--decay-form steep", "'step' or 'lr'"),
    ("--max-norm 0", "max_norm"),
    ("--dropout 1", "dropout': 1.0"),
    ("--dropout -0.1", "dropout': -0.1"),
    ("--dropout half", "--dropout takes numbers such as 0.5 or 0.2,0.5, not 'half'"),
    ("--hidden 8,4 --dropout 0.1,0.2,0.3", "dropout has 3 entries, but 2 are needed"),
    ("--input-dropout 1", "input_dropout': 1.0"),
    ("--dropout-variant upside_down", "'inverted' or 'plain'"),
    ("--hidden 0", "--hidden takes whole numbers above 0, such as 256,128, not '0'"),
    ("--hidden 8,,4", "--hidden takes whole numbers"),
    ("--hidden many", "--hidden takes whole numbers"),
    ("--activation rellu", "unknown activation 'rellu'"),
    ("--activation rellu", "Did you mean 'relu'?"),
    ("--activation relu(slope=1)", "the activation 'relu' has no parameter 'slope'"),
    ("--activation elu(alpha=)", "cannot read the activation 'elu(alpha=)'"),
    ("--hidden 8,4 --activation relu,tanh,elu", "activation has 3 entries, but 2 are needed"),
    ("--init hee", "Did you mean 'he'?"),
    ("--init normal(variance=-1)", "variance must be finite and not negative"),
    ("--bias some", "unknown initialiser 'some'"),
    ("--dtype float16", "'float32' or 'float64'"),
    ("--loss cross_entropie", "Did you mean 'cross_entropy'?"),
    ("--task regression", "regression needs numbers, but the target is text"),
    ("--loss poisson", "regression needs numbers, but the target is text"),
    ("--task multilabel", "several labels a row"),
    ("--task guessing", "'classification', 'regression' or 'multilabel'"),
    ("--optimizer adm", "Did you mean 'adam'?"),
    ("--optimizer adam(beta1=0.9)", "it has: beta_1, beta_2, epsilon"),
    ("--schedule cosin", "Did you mean 'cosine'?"),
    ("--schedule step(size=3)", "the schedule 'step' has no parameter 'size'"),
    ("--schedule cosine(warmup=-1)", "warmup must be finite and not negative"),
    ("--early-stopping GL0", "must be finite and above 0"),
    ("--early-stopping never", "unknown early stopping criterion 'never'"),
    ("--early-stopping patience1.5", "needs a whole number"),
    ("--early-stopping GL5 --validation 0", "early stopping needs a validation set"),
    ("--monitor speed", "'loss' or 'metric'"),
    ("--class-weight unfair", "'balanced'"),
    ("--engine steam", "unknown engine 'steam'; choose one of: auto"),
    ("--device steam", "the device 'steam' cannot be used"),
    ("--scaling up", "'auto', 'standard', 'minmax' or 'none'"),
    ("--max-categories 0", "max_categories': 0"),
    ("--validation 1", "validation': 1.0"),
    ("--validation -0.1", "validation': -0.1"),
    ("--validation 0.0001", "leaves no row on one side"),
    ("--validation other.csv", "there is no file or folder 'other.csv'"),
    ("--test 1", "test': 1.0"),
    ("--target x9", "good.csv has no column 'x9' to predict; its columns are: x1, x2, target"),
    ("--target tarhet", "Did you mean 'target'?"),
    ("--from nothing", "nothing is not a run or a model's folder"),
    ("--from empty_folder", "empty_folder holds no model: there is no model.json"),
    ("--from good.csv", "good.csv is not a run or a model's folder"),
    ("--load-layers 1", "--from"),
    ("--load-layers one --from good_run", "--load-layers takes whole numbers"),
    ("--from good_run --hidden 5", "layer 1 does not match"),
    ("--hidden 8,4 --freeze 4", "there is no layer 4; the network has layers 1 to 3"),
    ("--freeze 0", "--freeze takes whole numbers"),
    ("--pretrain slowly", "'greedy' or 'whole'"),
    ("--pretrain-epochs 0", "pretrain_epochs': 0"),
    ("--pretrain greedy --hidden none", "pre-training needs at least one hidden layer"),
    ("--epoks 3", "there is no option --epoks. Did you mean --epochs?"),
    ("--lr", "--lr"),
    ("more words", "more words"),
    ("--out good.csv", "good.csv is there already and is not a run"),
    ("--out good.csv/run", "cannot write good.csv/run"),
    ("--out empty_folder/../good_run", "is there already; choose another name, or --overwrite it"),
    ("--out good.csv --overwrite", "is not a run"),
    ("--config missing.toml", "cannot read the configuration missing.toml"),
    ("--config empty_folder", "cannot read the configuration empty_folder"),
]


@pytest.mark.parametrize(("words", "fragment"), BAD_OPTIONS)
def test_bad_option(run, files, words, fragment):
    before = sorted(files.rglob("*"))
    assert_refused(run("train", "good.csv", *words.split()), fragment)
    assert sorted(files.rglob("*")) == before


def test_unwritable_folder_is_refused_before_training(run, files):
    """/dev/null is no folder, and neither root nor anyone can make one in it."""
    result = run("train", "good.csv", "--out", "/dev/null/run")
    assert_refused(result, "cannot write /dev/null/run")
    assert result.out == ""


def test_a_folder_that_is_not_a_run_is_never_overwritten(run, files):
    Path("mine").mkdir()
    Path("mine/thesis.tex").write_text("x")
    assert_refused(run("train", "good.csv", "--out", "mine", "--overwrite"), "mine is there already and is not a run")
    assert [path.name for path in Path("mine").iterdir()] == ["thesis.tex"]


SETTINGS = [
    ("a.toml", "a = = b", "a.toml is not valid TOML"),
    ("a.json", "{", "a.json is not valid JSON"),
    ("a.json", "[1]", "a.json must hold options by name"),
    ("a.toml", "[training]\nepoch = 3", "a.toml: unknown option 'training.epoch'; the options here are: loss,"),
    ("a.toml", "[trainin]\nepochs = 3", "a.toml: unknown option 'trainin'"),
    ("a.toml", "training = 3", "a.toml: bad value for 'training': 3"),
    ("a.toml", "[training]\nlr = 0", "a.toml: bad value for 'training.lr': 0"),
    ("a.toml", '[training]\nlr = "fast"', "a.toml: bad value for 'training.lr': 'fast'"),
    ("a.toml", "[network]\nhidden = 8", "a.toml: bad value for 'network.hidden': 8"),
    ("a.toml", '[network]\nactivation = {name = "relu", slope = 1}', "has no parameter 'slope'"),
    ("a.toml", "[network]\nactivation = 3", "cannot use 3 as the activation"),
    ("a.toml", "\xff", "a.toml is not valid TOML"),
]


@pytest.mark.parametrize(
    ("name", "content", "fragment"), SETTINGS, ids=[case[1].replace("\n", " ") for case in SETTINGS]
)
def test_bad_settings(run, files, name, content, fragment):
    Path(name).write_bytes(content.encode("latin-1"))
    assert_refused(run("train", "good.csv", "--config", name), fragment)
    assert not Path("runs").exists()


# ---------------------------------------------------------------------------------------------------- too large

TOO_LARGE = [
    ("10000000,10000000", "2-10000000-10000000-2"),
    ("1000000000000", "2-1000000000000-2"),
    ("99999999999999999999,5", "2-99999999999999999999-5-2"),
]


@pytest.mark.parametrize(("hidden", "sizes"), TOO_LARGE)
def test_networks_too_large_for_memory_are_refused_before_they_are_made(run, files, hidden, sizes):
    result = run("train", "good.csv", "--hidden", hidden)
    assert_refused(result, "does not fit into memory")
    assert "× 4 bytes" in result.err
    assert sizes in result.err
    assert not Path("runs").exists()


def test_check_of_a_network_too_large_for_memory(run):
    assert_refused(run("check", "--sizes", "10000000,10000000"), "× 8 bytes")


# ---------------------------------------------------------------------------------------------------- prediction

PREDICTION = [
    ("x1\n1\n", "columns that training used are missing: x2; the columns given are: x1"),
    ("x1,x2\n1,2\n3,many\n", "column 'x2' held numbers in training but holds text now, as in row 1"),
    ("x1,x2\n1,2\n3,inf\n", "column 'x2' holds inf in row 1 (counting from 0)"),
    ("x1,x2\n", "no rows"),
    ("", "is empty"),
]


@pytest.mark.parametrize("command", ["predict", "evaluate"])
@pytest.mark.parametrize(("content", "fragment"), PREDICTION, ids=[case[0][:12] for case in PREDICTION])
def test_bad_rows(run, files, command, content, fragment):
    if command == "evaluate":
        content = "".join(f"{line},{'target' if n == 0 else 'a'}\n" for n, line in enumerate(content.splitlines()))
        fragment = fragment.replace("are: x1", "are: x1, target")
    Path("rows.csv").write_text(content)
    assert_refused(run(command, "good_run", "rows.csv"), fragment)


COMMANDS = [
    ("predict nothing good.csv", "nothing is not a run or a model's folder"),
    ("predict empty_folder good.csv", "empty_folder holds no model: there is no model.json"),
    ("predict good.csv good.csv", "good.csv is not a run or a model's folder"),
    ("predict good_run", "SOURCE is missing"),
    ("predict good_run missing.csv", "there is no file or folder 'missing.csv'"),
    ("predict good_run digits", "the training data were a table with named columns, these are arrays"),
    ("predict good_run good.csv --out x.txt", "--out must end in .csv or .parquet, not '.txt'"),
    ("predict good_run good.csv --out empty_folder", "--out must end in .csv or .parquet"),
    ("predict good_run good.csv --out good.csv/x.csv", "cannot write good.csv/x.csv"),
    ("predict good_run good.csv --samples -1", "samples must be 0 or more"),
    ("predict good_run good.csv --samples many", "--samples"),
    ("evaluate good_run only_x.csv", "has no column 'target' to predict"),
    ("evaluate good_run unseen.csv", "the target 'c' in row 0 (counting from 0) did not occur in training"),
    ("evaluate good_run digits", "the training data were a table"),
    ("info nothing", "nothing is not a run or a model's folder"),
    ("info empty_folder", "holds no model"),
    ("check", "give a RUN (and a SOURCE), or --sizes"),
    ("check good_run --sizes 3,2", "give a RUN (and a SOURCE), or --sizes"),
    ("check good_run only_x.csv", "has no column 'target' to predict"),
    ("check --sizes 3", "sizes must be at least two whole numbers above 0"),
    ("check --sizes few", "--sizes takes whole numbers"),
    ("check --sizes 4,3 --loss squarederror", "Did you mean 'squared_error'?"),
    ("check --sizes 4,3,2 --activation rellu", "Did you mean 'relu'?"),
    ("check --sizes 4,3,2 --dropout 1", "at least 0 and below 1"),
    ("check --sizes 4,3 --rows 0", "--rows"),
    ("check --sizes 4,3 --entries -1", "--entries"),
    ("check --sizes 4,3 --tolerance 0", "tolerance must be above 0"),
    ("check --sizes 4,3 --l2 -1", "l2 must be finite and not negative"),
    ("check --sizes 4,3 --seed -1", "a seed is a whole number"),
    ("trian good.csv", "Did you mean 'train'"),
    ("--bogus", "there is no option --bogus"),
    ("train", "SOURCE is missing"),
    ("train good.csv --lang", "--lang must be one of en, zh"),
]


@pytest.mark.parametrize(("line", "fragment"), COMMANDS)
def test_bad_command(run, files, line, fragment):
    Path("only_x.csv").write_text("x1,x2\n1,2\n")
    Path("unseen.csv").write_text("x1,x2,target\n1,2,c\n")
    before = sorted(files.rglob("*"))
    assert_refused(run(*line.split()), fragment)
    assert sorted(files.rglob("*")) == before


def test_samples_need_dropout(run, files):
    assert run("train", "good.csv", "--epochs", "1", "--hidden", "4", "--json", "--out", "dry").code == 0
    assert_refused(run("predict", "dry", "good.csv", "--samples", "5"), "needs a network with dropout")


# ---------------------------------------------------------------------------------------------------- damage


def flip_last_byte(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def flip_middle_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-7])


def replace(old, new):
    def replace(path):
        content = path.read_bytes()
        assert old in content
        path.write_bytes(content.replace(old, new, 1))

    return replace


def become(content):
    return lambda path: path.write_bytes(content)


DAMAGE = [
    ("model.safetensors", flip_last_byte, "model.safetensors is damaged: its checksum"),
    ("model.safetensors", flip_middle_byte, "model.safetensors is damaged: its checksum"),
    ("model.safetensors", cut, "model.safetensors is damaged"),
    ("model.safetensors", become(b""), "model.safetensors is damaged"),
    ("model.safetensors", Path.unlink, "cannot read"),
    ("model.json", flip_last_byte, "model.json is damaged"),
    ("model.json", flip_middle_byte, "model.json is damaged"),
    ("model.json", replace(b'"seed": 0', b'"seed": 1'), "model.json is damaged: its checksum"),
    ("model.json", cut, "model.json is damaged"),
    ("model.json", become(b""), "model.json is damaged"),
    ("model.json", become(b"[]"), "model.json is damaged"),
    ("model.json", become(b"\xff\xfe\x00"), "model.json is damaged"),
    ("model.json", become(b"[" * 100_000), "model.json is damaged"),
    ("model.json", Path.unlink, "there is no model.json"),
]


@pytest.mark.parametrize(("name", "damage", "fragment"), DAMAGE, ids=[f"{n}-{c[0]}" for n, c in enumerate(DAMAGE)])
def test_damaged_model(run, files, name, damage, fragment):
    damage(Path("good_run", name))
    for line in ("predict good_run good.csv", "evaluate good_run good.csv", "info good_run", "check good_run"):
        assert_refused(run(*line.split()), fragment)
    assert_refused(run("train", "good.csv", "--from", "good_run", "--out", "new"), fragment)
    assert not Path("new").exists()


DAMAGED_REST = [
    ("config.json", become(b"{"), ["info", "check"], "config.json is damaged or was changed"),
    ("config.json", become(b"[]"), ["info", "check"], "config.json is damaged or was changed"),
    ("config.json", become(b"\xff"), ["info", "check"], "config.json is damaged or was changed"),
    ("config.json", become(b'{"data": 3}'), ["info", "check"], "config.json is damaged or was changed"),
    ("config.json", replace(b"good.csv", b"gone.csv"), ["check"], "config.json is damaged or was changed"),
    ("config.json", Path.unlink, ["check"], "does not say which data it was trained on"),
    ("results.json", flip_middle_byte, ["info"], "results.json is damaged"),
    ("history.jsonl", become(b"{"), ["info"], "history.jsonl"),
    ("history.jsonl", become(b"3\n"), ["info"], "history.jsonl"),
    ("history.jsonl", become(b'"stop"\n"go"\n'), ["info"], "history.jsonl"),
    ("history.jsonl", become(b"\xff\n"), ["info"], "history.jsonl"),
    ("history.jsonl", flip_middle_byte, ["info"], "history.jsonl is damaged or was changed"),
    ("results.json", Path.unlink, ["info", "check"], "cannot read"),
]


@pytest.mark.parametrize(
    ("name", "damage", "commands", "fragment"), DAMAGED_REST, ids=[f"{n}-{c[0]}" for n, c in enumerate(DAMAGED_REST)]
)
def test_damaged_rest_of_a_run(run, files, name, damage, commands, fragment):
    """What a command does not need does not stop it: the model itself still predicts."""
    damage(Path("good_run", name))
    for command in commands:
        assert_refused(run(command, "good_run"), fragment)
    assert run("predict", "good_run", "good.csv", "--out", "p.csv").code == 0


# ---------------------------------------------------------------------------------------------------- the program


def test_debug_shows_where(run, files):
    for words in (["--debug", "train", "gone.csv"], ["train", "gone.csv", "--debug"]):
        result = run(*words)
        assert result.code == 2
        assert result.err.startswith("Traceback")
        assert "DataError: there is no file or folder 'gone.csv'" in result.err


def test_a_fault_of_the_program_is_told_in_two_lines(run, files, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("the sky fell\non our heads")

    monkeypatch.setattr("glassnet.runs.execute", broken)
    result = run("train", "good.csv")
    assert result.code == 1
    assert result.err == "error: RuntimeError: the sky fell\nthis should not happen; --debug shows where it did\n"


def test_interruption_while_data_are_read(run, files, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("glassnet.runs.load_source", interrupt)
    result = run("train", "good.csv")
    assert (result.code, result.err) == (130, "interrupted\n")
    assert not Path("runs").exists()


def test_not_enough_memory(run, files, monkeypatch):
    def full(*_, **__):
        raise MemoryError("Unable to allocate 3 TiB")

    monkeypatch.setattr("glassnet.runs.load_source", full)
    result = run("train", "good.csv")
    assert result.code == 1
    assert "not enough memory: Unable to allocate 3 TiB" in result.err


PROCESSES = [
    (["train", "gone.csv"], 2, "error: there is no file or folder 'gone.csv'"),
    (["train"], 2, "error: SOURCE is missing"),
    (["train", "good.csv", "--lr", "1e30", "--optimizer", "sgd"], 1, "error: training diverged in epoch 1"),
]


@pytest.mark.parametrize(("words", "code", "start"), PROCESSES)
def test_process(files, words, code, start):
    """The exit code and the error stream of a process, as a shell sees them."""
    command = [sys.executable, "-m", "glassnet", *words]
    done = subprocess.run(command, cwd=files, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code
    assert done.stderr.startswith(start)
    assert "Traceback" not in done.stderr
    assert not (files / "runs").exists()
