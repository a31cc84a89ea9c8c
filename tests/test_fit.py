"""A run in one call, from objects of Python."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import glassnet
from glassnet.errors import ConfigError, DataError

RNG = np.random.default_rng(0)
N = 240
COLUMNS = {
    "size": RNG.normal(size=N),
    "colour": np.array(["red", "green", "blue"])[np.arange(N) % 3],
    "old": RNG.random(N) < 0.5,
}
COLUMNS["price"] = 100 + 20 * COLUMNS["size"] + 10 * (COLUMNS["colour"] == "red") + 5 * COLUMNS["old"]
FAST = {"hidden": (16,), "epochs": 60, "lr": 0.01, "threads": 1}
X = np.column_stack([COLUMNS["size"], COLUMNS["colour"] == "red", COLUMNS["old"]]).astype(float)

TABLES = {"pandas": pd.DataFrame(COLUMNS), "polars": pl.DataFrame(COLUMNS), "pyarrow": pa.table(COLUMNS)}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_tables(table):
    run = glassnet.fit(table, "price", **FAST)
    assert run.test["r2"] > 0.9
    assert run.folder is None
    assert run.model.predict(table).values.shape == (N,)


def test_the_kind_of_table_makes_no_difference():
    values = [glassnet.fit(table, "price", **FAST).model.predict(table).values for table in TABLES.values()]
    assert np.array_equal(values[0], values[1])
    assert np.array_equal(values[0], values[2])


def test_arrays_and_sets_of_ones_own():
    pair = (X, COLUMNS["price"])
    part = (X[:40], COLUMNS["price"][:40])
    run = glassnet.fit(pair, validation=part, test=part, **FAST)
    assert run.test["rows"] == 40
    assert run.test["r2"] > 0.9
    assert run.model.predict(X[:5]).values.shape == (5,)


def test_options_go_where_they_belong(tmp_path):
    run = glassnet.fit(
        TABLES["pandas"],
        "price",
        out=tmp_path / "run",
        test=0.25,
        activation="tanh",
        optimiser="nesterov",
        freeze=(1,),
        **FAST,
    )
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert config["data"]["test"] == 0.25
    assert config["data"]["source"] is None
    assert config["network"]["activation"] == "tanh"
    assert config["training"]["optimiser"] == "nesterov"
    assert run.model.network.layer(1).frozen
    assert np.array_equal(
        glassnet.load(tmp_path / "run").predict(TABLES["polars"]).values, run.model.predict(TABLES["pandas"]).values
    )


def test_what_was_chosen_is_printed_on_request(capsys):
    glassnet.fit("iris", epochs=1, threads=1)
    assert capsys.readouterr().out == ""
    glassnet.fit("iris", epochs=1, threads=1, verbose=True)
    assert "rows: 108 to train" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"hiden": (3,)}, ConfigError, "there is no option 'hiden'. Did you mean 'hidden'?"),
        ({"test": 1.5}, ConfigError, "bad value for 'data.test': 1.5; a share is at least 0 and below 1"),
        ({"validation": -1}, ConfigError, "bad value for 'data.validation': -1"),
        ({"target": "cost"}, DataError, "no column 'cost'"),
        ({"lr": 0}, ConfigError, "bad value for 'training.lr': 0; it must be above 0"),
    ],
    ids=str,
)
def test_what_is_refused(options, error, message):
    with pytest.raises(error, match="^.*" + message.replace("?", r"\?")):
        glassnet.fit(TABLES["pandas"], **{"target": "price", **options})
