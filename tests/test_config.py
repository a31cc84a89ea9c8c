"""The tree of options: what is refused, and how the message says so."""

import pytest
from pydantic import ValidationError

from glassnet.config import DataConfig, NetworkConfig, RunConfig, TrainingConfig, merge, read_config
from glassnet.errors import ConfigError

WRONG = [
    (TrainingConfig, {"epoch": 3}, r"unknown option 'epoch'; the options here are: loss, optimiser, lr, .*epochs"),
    (TrainingConfig, {"epochs": 0}, "bad value for 'epochs': 0; it must be above 0"),
    (TrainingConfig, {"epochs": 2.5}, r"bad value for 'epochs': 2\.5"),
    (TrainingConfig, {"batch_size": 0}, "bad value for 'batch_size': 0"),
    (TrainingConfig, {"lr": 0}, "bad value for 'lr': 0"),
    (TrainingConfig, {"lr": float("nan")}, "bad value for 'lr': nan"),
    (TrainingConfig, {"lr": float("inf")}, "bad value for 'lr': inf"),
    (TrainingConfig, {"l2": -1e-9}, "bad value for 'l2': -1e-09"),
    (TrainingConfig, {"l1": float("inf")}, "bad value for 'l1': inf"),
    (TrainingConfig, {"seed": -1}, "bad value for 'seed': -1"),
    (TrainingConfig, {"seed": 2**64}, "bad value for 'seed'"),
    (TrainingConfig, {"monitor": "lss"}, "bad value for 'monitor': 'lss'; choose one of: 'loss' or 'metric'"),
    (TrainingConfig, {"threads": 0}, "bad value for 'threads': 0"),
    (TrainingConfig, {"train_figures": "before"}, "'running' or 'after'"),
    (NetworkConfig, {"dropout": 1.0}, r"bad value for 'dropout': 1\.0; it must be below 1"),
    (NetworkConfig, {"dropout": [0.1, 1.5]}, r"bad value for 'dropout\.1': 1\.5"),
    (NetworkConfig, {"hidden": [3, 0]}, r"bad value for 'hidden\.1': 0"),
    (NetworkConfig, {"dtype": "float16"}, "'float32' or 'float64'"),
    (DataConfig, {}, "the option 'source' is missing"),
    (DataConfig, {"source": "x.csv", "validation": 1.5}, r"bad value for 'validation': 1\.5"),
    (RunConfig, {"data": {}}, r"the option 'data\.source' is missing"),
    (
        RunConfig,
        {"data": {"source": "x.csv"}, "training": {"epochz": 3}},
        r"unknown option 'training\.epochz'; the options here are: loss,",
    ),
    (RunConfig, {"data": {"source": "x.csv"}, "trainin": {}}, "unknown option 'trainin'; .*: data, network, training"),
]


@pytest.mark.parametrize(("branch", "values", "message"), WRONG, ids=str)
def test_make_refuses(branch, values, message):
    with pytest.raises(ConfigError, match=message):
        branch.make(**values)


def test_a_tree_of_mappings_becomes_branches():
    run = RunConfig.make(data={"source": "x.csv"}, training={"epochs": 7}, network={"hidden": [5, 4]})
    assert (run.training.epochs, run.network.hidden, run.data.test) == (7, (5, 4), 0.2)


def test_replaced_changes_one_thing_and_checks_it():
    before = TrainingConfig.make(epochs=7, lr=0.5)
    after = before.replaced(epochs=8)
    assert (after.epochs, after.lr, before.epochs) == (8, 0.5, 7)
    with pytest.raises(ConfigError, match="bad value for 'epochs'"):
        before.replaced(epochs=-1)
    with pytest.raises(ConfigError, match="unknown option 'epoch'"):
        before.replaced(epoch=1)


def test_a_branch_does_not_change():
    with pytest.raises(ValidationError):
        TrainingConfig.make().epochs = 3


MERGED = [
    ({}, {}, {}),
    ({"a": 1}, {}, {"a": 1}),
    ({"a": 1}, {"a": 2, "b": 3}, {"a": 2, "b": 3}),
    ({"t": {"x": 1, "y": 2}}, {"t": {"y": 3}}, {"t": {"x": 1, "y": 3}}),
    ({"t": {"u": {"x": 1}}}, {"t": {"u": {"z": 2}}}, {"t": {"u": {"x": 1, "z": 2}}}),
    ({"t": "constant"}, {"t": {"name": "step"}}, {"t": {"name": "step"}}),
    ({"t": {"name": "step"}}, {"t": "constant"}, {"t": "constant"}),
    ({"t": [1, 2]}, {"t": [3]}, {"t": [3]}),
]


@pytest.mark.parametrize(("base", "over", "result"), MERGED)
def test_merge(base, over, result):
    before = repr((base, over))
    assert merge(base, over) == result
    assert repr((base, over)) == before


GOOD_FILES = [
    ("run.toml", '[data]\nsource = "数据.csv"\n'),
    ("run.json", '{"data": {"source": "数据.csv"}}'),
]


@pytest.mark.parametrize(("name", "content"), GOOD_FILES)
def test_read_config(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    assert read_config(path) == read_config(str(path)) == {"data": {"source": "数据.csv"}}


BAD_FILES = [
    ("run.toml", b"epochs = = 3\n", r"run\.toml is not valid TOML: .*line 1"),
    ("run.toml", b"a = 1\na = 2\n", r"run\.toml is not valid TOML"),
    ("run.toml", b'a = "\xff"\n', r"run\.toml is not valid TOML: .*0xff"),
    ("run.json", b'{"a": }', r"run\.json is not valid JSON: .*line 1"),
    ("run.json", b"[1, 2]", r"run\.json must hold options by name"),
]


@pytest.mark.parametrize(("name", "content", "message"), BAD_FILES)
def test_read_config_names_the_file_and_what_is_wrong(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_config(path)


def test_read_config_of_what_is_no_file(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read the configuration .*none\.toml: No such file"):
        read_config(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="cannot read the configuration"):
        read_config(tmp_path)
