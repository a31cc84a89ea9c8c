"""Models: files that give back the same model or an error, raw rows through the encoding, Monte-Carlo dropout."""

import ast
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import glassnet
from glassnet import model as model_module
from glassnet.activations import ACTIVATIONS
from glassnet.data import load_source
from glassnet.errors import ConfigError, DataError, ModelFileError, ShapeError
from glassnet.losses import LOSSES
from glassnet.model import Model, fit_encodings
from glassnet.network import Network, parameter_values
from glassnet.storage import read_document, write_document

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4))


def mixed_table(rows=60):
    rng = np.random.default_rng(1)
    return pa.table(
        {
            "size": pa.array([None if n % 7 == 3 else float(v) for n, v in enumerate(rng.normal(size=rows))]),
            "colour": [("red", "green", None)[n % 3] for n in range(rows)],
            "new": [n % 2 == 0 for n in range(rows)],
            "sold": pa.array(np.datetime64("2020-01-01") + np.arange(rows) * 9),
            "target": [("no", "yes")[int(v > 0)] for v in rng.normal(size=rows)],
        }
    )


def fitted(source, loss=None, **options):
    """An untrained network with the encodings of a source."""
    part = load_source(source).train
    encoding, target = fit_encodings(part)
    loss = loss or {"classification": "cross_entropy", "multilabel": "binary_cross_entropy"}.get(
        target.task, "squared_error"
    )
    network = Network.dense([encoding.n_features, 7, target.n_outputs], "tanh", bias="normal", **options)
    return Model(network, loss, target, encoding, getattr(part, "target", None))


SOURCES = {
    "digits": "digits",
    "iris": "iris",
    "diabetes": "diabetes",
    "mixed table": mixed_table(),
    "labels": (X, (X[:, :3] > 0).astype(int)),
    "two numbers": (X, X[:, :2] * 3 + 1),
    "text labels": (X, np.where(X[:, 0] > 0, "über", "unter")),
    "booleans": (X, X[:, 0] > 0),
    "labels with gaps": (X, np.where(X[:, 0] > 0, -7, 40)),
}


def same_prediction(a, b):
    np.testing.assert_array_equal(a.values, b.values)
    assert a.classes == b.classes
    for one, other in ((a.probabilities, b.probabilities), (a.spread, b.spread)):
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_array_equal(one, other)


# ---------------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("name", SOURCES)
def test_round_trip(tmp_path, name):
    model = fitted(SOURCES[name], dropout=0.2)
    assert model.save(tmp_path / "deep" / "model") == tmp_path / "deep" / "model"
    loaded = glassnet.load(tmp_path / "deep" / "model")
    same_prediction(model.predict(SOURCES[name]), loaded.predict(SOURCES[name]))
    same_prediction(model.predict(SOURCES[name], samples=3), loaded.predict(SOURCES[name], samples=3))
    assert model.evaluate(SOURCES[name]) == loaded.evaluate(SOURCES[name])
    assert (loaded.loss, loaded.target, loaded.encoding, loaded.target_name) == (
        model.loss,
        model.target,
        model.encoding,
        model.target_name,
    )


@pytest.mark.parametrize("given", [str, Path, lambda p: p / "model.json", lambda p: p / "model.safetensors"])
def test_what_load_takes(tmp_path, given):
    model = Model(Network.dense([4, 3]), "squared_error")
    model.save(tmp_path)
    np.testing.assert_array_equal(glassnet.load(given(tmp_path)).predict(X).values, model.predict(X).values)


OPTIONS = [
    {"dtype": "float64"},
    {"bias": False},
    {"dropout": 0.3, "input_dropout": 0.1},
    {"dropout": 0.3, "dropout_variant": "plain"},
    {"seed": 2**64 - 1},
    {"output": "softmax"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_networks_come_back_whole(tmp_path, options):
    network = Network.dense([4, 6, 5, 3], **options)
    network.freeze([2])
    Model(network, "cross_entropy" if "output" not in options else "log_loss").save(tmp_path)
    loaded = glassnet.load(tmp_path).network
    assert loaded.config() == network.config()
    assert (repr(loaded), loaded.dtype, loaded.seed) == (repr(network), network.dtype, network.seed)
    assert [layer.frozen for layer in loaded.layers] == [layer.frozen for layer in network.layers]
    values, again = parameter_values(network), parameter_values(loaded)
    assert values.keys() == again.keys()
    assert all(np.array_equal(values[name], again[name]) for name in values)
    assert all(theta.flags.writeable for _, theta in loaded.parameters())  # so it can be trained on


@pytest.mark.parametrize("name", ACTIVATIONS.names())
def test_every_activation_can_be_stored(tmp_path, name):
    Model(Network.dense([4, 3, 2], name), "squared_error").save(tmp_path)
    assert glassnet.load(tmp_path).network.layers[0].activation == ACTIVATIONS.make(name)


@pytest.mark.parametrize("name", LOSSES.names())
def test_every_loss_can_be_stored(tmp_path, name):
    Model(Network.dense([4, 3, 2]), name).save(tmp_path)
    assert glassnet.load(tmp_path).loss == LOSSES.make(name)


def test_parameters_of_components_are_stored(tmp_path):
    network = Network.dense([4, 3, 3, 2], ["elu(alpha=0.25)", {"name": "leaky_relu", "slope": 0.125}])
    Model(network, "cross_entropy(label_smoothing=0.1)").save(tmp_path)
    loaded = glassnet.load(tmp_path)
    assert loaded.network.layers[0].activation.alpha == 0.25
    assert loaded.network.layers[1].activation.slope == 0.125
    assert loaded.loss.label_smoothing == 0.1


def cube(z):
    return z**3


def cube_slope(z):
    return 3 * z**2


def test_a_users_own_activation_is_refused(tmp_path):
    model = Model(Network.dense([4, 3, 2], (cube, cube_slope)), "squared_error")
    assert model.predict(X).values.shape == (50, 2)
    with pytest.raises(ConfigError, match="a user's own activation cannot be stored in a file"):
        model.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_users_own_loss_is_refused(tmp_path):
    own = (lambda a, y: ((a - y) ** 4).sum(axis=1), lambda a, y: 4 * (a - y) ** 3)
    with pytest.raises(ConfigError, match="a user's own loss cannot be stored in a file"):
        Model(Network.dense([4, 3, 2]), own).save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.fixture
def stored(tmp_path):
    fitted("iris").save(tmp_path / "model")
    return tmp_path / "model"


def rewrite(folder, **changes):
    """Change the manifest and give it a right checksum, as another program could."""
    manifest = read_document(folder / "model.json")
    for key, value in changes.items():
        if value is KeyError:
            del manifest[key]
        else:
            manifest[key] = value
    write_document(folder / "model.json", manifest)


FOREIGN = [
    ({"format": "other-model"}, "is of the format other-model 2; this version of glassnet reads glassnet-model 2"),
    ({"version": 1}, "is of the format glassnet-model 1; this version of glassnet reads glassnet-model 2"),
    ({"version": "2"}, "reads glassnet-model 2"),
    ({"format": KeyError}, "is of the format None 2"),
    ({"network": KeyError}, "model.json is damaged"),
    ({"network": 3}, "model.json is damaged"),
    ({"network": {"layers": [], "dtype": "float32", "seed": 0}}, "."),
    ({"network": {"layers": [{"kind": "os.system"}], "dtype": "float32", "seed": 0}}, "model.json is damaged"),
    ({"loss": {"name": "os.system"}}, "unknown loss 'os.system'"),
    ({"loss": KeyError}, "model.json is damaged"),
    ({"target": {"task": "guessing"}}, "target"),
    ({"encoding": {}}, "encoding"),
    ({"encoding": [1]}, "encoding"),
    ({"arrays": KeyError}, "damaged"),
    ({"arrays": {"file": "model.safetensors", "sha256": "0" * 64, "bytes": 9}}, "model.safetensors is damaged: it has"),
    ({"arrays": {"file": "model.safetensors", "sha256": "0" * 64}}, "model.json is damaged: 'bytes' is missing"),
]


@pytest.mark.parametrize(("changes", "message"), FOREIGN, ids=str)
def test_foreign_manifest(stored, changes, message):
    rewrite(stored, **changes)
    with pytest.raises((ModelFileError, ConfigError), match=message):
        glassnet.load(stored)


def test_missing_model(tmp_path):
    with pytest.raises(ModelFileError, match=r"holds no model: there is no model\.json"):
        glassnet.load(tmp_path)
    with pytest.raises(ModelFileError, match="is not a run or a model's folder"):
        glassnet.load(tmp_path / "nothing")


def test_every_flipped_byte_is_noticed(stored):
    for name in ("model.json", "model.safetensors"):
        path = stored / name
        content = path.read_bytes()
        for place in range(0, len(content), max(1, len(content) // 40)):
            spoilt = bytearray(content)
            spoilt[place] ^= 4
            path.write_bytes(spoilt)
            with pytest.raises(ModelFileError, match=name):
                glassnet.load(stored)
        path.write_bytes(content)
    glassnet.load(stored)


def test_manifest_is_readable_json(stored):
    manifest = json.loads((stored / "model.json").read_text(encoding="utf-8"))
    assert (manifest["format"], manifest["version"]) == ("glassnet-model", 2)
    assert [layer["kind"] for layer in manifest["network"]["layers"]] == ["dense", "dense"]


def test_an_unwritable_place(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelFileError, match="cannot write"):
        fitted("iris").save(tmp_path / "file" / "model")


# ---------------------------------------------------------------------------------------------------- predictions


def test_raw_rows_go_through_the_encoding():
    table = mixed_table()
    model = fitted(table)
    x = model.encoding.encode(load_source(table).train)
    expected = model.predict_features(x)
    bare = table.drop_columns(["target"])
    for given in (table, bare, bare.select(["sold", "new", "colour", "size"]), table.to_pandas()):
        same_prediction(model.predict(given), expected)
    np.testing.assert_allclose(expected.probabilities.sum(axis=1), 1, rtol=1e-12)
    assert set(expected.values) <= {"no", "yes"}


def test_numbers_are_in_the_targets_units():
    y = 1000 + 50 * X[:, 0]
    model = fitted((X, y))
    glassnet.train(model.network, model.examples((X, y)).x, model.examples((X, y)).y, epochs=60, lr=0.01)
    predicted = model.predict(X).values
    assert predicted.shape == (50,)
    assert np.abs(predicted - y).mean() < 15
    assert model.evaluate((X, y))["mae"] == pytest.approx(np.abs(predicted - y).mean(), rel=1e-5)


def test_model_of_arrays_without_encoding():
    network = Network.dense([4, 3, 2], seed=3)
    model = Model(network, "cross_entropy")
    prediction = model.predict(X)
    a = np.asarray(network(X), dtype=np.float64)
    p = np.exp(a) / np.exp(a).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(prediction.probabilities, p, rtol=1e-6)
    np.testing.assert_array_equal(prediction.values, p.argmax(axis=1))
    assert prediction.classes == [0, 1]
    y = prediction.values
    assert model.evaluate((X, y))["accuracy"] == 1
    with pytest.raises(DataError, match=r"saved without an encoding; give it arrays of shape \(N, 4\)"):
        model.predict(mixed_table())
    with pytest.raises(ShapeError, match=r"x must have the shape \(N, 4\)"):
        model.predict(X[:, :3])


SHAPES = [
    ("squared_error", 1, (50,), None),
    ("squared_error", 3, (50, 3), None),
    ("poisson", 1, (50,), None),
    ("cross_entropy", 3, (50,), (50, 3)),
    ("binary_cross_entropy", 3, (50, 3), (50, 3)),
]


@pytest.mark.parametrize(("loss", "outputs", "values", "probabilities"), SHAPES)
def test_shapes(loss, outputs, values, probabilities):
    prediction = Model(Network.dense([4, 3, outputs]), loss).predict(X)
    assert prediction.values.shape == values
    assert (None if prediction.probabilities is None else prediction.probabilities.shape) == probabilities
    assert prediction.spread is None


def test_rows_without_targets_cannot_be_evaluated():
    with pytest.raises(DataError):
        Model(Network.dense([4, 3, 2]), "cross_entropy").evaluate(X)


@pytest.mark.parametrize("rows", [1, 7, 4096, 5000])
def test_rows_are_predicted_in_parts(monkeypatch, rows):
    x = np.random.default_rng(2).normal(size=(5000, 4))
    model = Model(Network.dense([4, 3, 2], dtype="float64"), "cross_entropy")
    whole = model.predict(x[:200])
    monkeypatch.setattr(model_module, "_ROWS", rows)
    np.testing.assert_allclose(model.predict(x[:200]).probabilities, whole.probabilities, rtol=1e-12)
    if rows >= 4096:
        assert len(model.predict(x).values) == 5000


# ---------------------------------------------------------------------------------------------------- dropout


def dropout_model(task="cross_entropy", seed=0):
    return Model(Network.dense([4, 30, 2], dropout=0.5, dtype="float64", seed=seed), task)


def test_samples_are_repeatable():
    same_prediction(dropout_model().predict(X, samples=5), dropout_model().predict(X, samples=5))
    other = dropout_model().predict(X, samples=6)
    assert not np.array_equal(dropout_model().predict(X, samples=5).probabilities, other.probabilities)


@pytest.mark.parametrize("rows", [1, 3, 49, 50])
def test_samples_do_not_depend_on_the_batches(monkeypatch, rows):
    whole = dropout_model().predict(X, samples=4)
    monkeypatch.setattr(model_module, "_ROWS", rows)
    parts = dropout_model().predict(X, samples=4)
    np.testing.assert_allclose(parts.probabilities, whole.probabilities, rtol=1e-12)
    np.testing.assert_allclose(parts.spread, whole.spread, rtol=1e-9, atol=1e-15)


def test_mean_and_spread_of_samples():
    """Against the samples one by one; probabilities are averaged, not logits."""
    model = dropout_model()
    draws = []
    for a in model.network.sample(X, 6):
        e = np.exp(np.asarray(a))
        draws.append(e / e.sum(axis=1, keepdims=True))
    prediction = model.predict(X, samples=6)
    np.testing.assert_allclose(prediction.probabilities, np.mean(draws, axis=0), rtol=1e-12)
    np.testing.assert_allclose(prediction.spread, np.std(draws, axis=0), rtol=1e-9)


def test_many_samples_come_near_the_plain_prediction():
    """For a linear network with inverted dropout the mean over masks is the output without dropout."""
    model = Model(Network.dense([4, 40, 1], "identity", dropout=0.5, dtype="float64"), "squared_error")
    few, many, plain = (model.predict(X, samples=n).values for n in (4, 1000, 0))
    assert np.abs(many - plain).max() < 0.2 * np.abs(few - plain).max()


def test_spread_is_in_the_targets_units():
    y = 1000 * X[:, 0]
    small, large = fitted((X, X[:, 0]), dropout=0.5), fitted((X, y), dropout=0.5)
    a, b = small.predict(X, samples=5).spread, large.predict(X, samples=5).spread
    np.testing.assert_allclose(b, 1000 * a, rtol=1e-5)


@pytest.mark.parametrize("samples", [-1, 3])
def test_samples_need_dropout(samples):
    with pytest.raises(ConfigError, match="samples must be 0 or more, and needs a network with dropout"):
        Model(Network.dense([4, 3, 2]), "cross_entropy").predict(X, samples=samples)


# ---------------------------------------------------------------------------------------------------- trust

PACKAGE = Path(glassnet.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
BANNED_MODULES = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "code"}
BANNED_CALLS = {"eval", "exec", "compile", "__import__"}


@pytest.mark.parametrize("path", MODULES, ids=[str(path.relative_to(PACKAGE)) for path in MODULES])
def test_nothing_that_is_read_can_run_code(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        assert not BANNED_MODULES & {name.split(".")[0] for name in names}, f"line {node.lineno}"
        if not isinstance(node, ast.Call):
            continue
        assert not (isinstance(node.func, ast.Name) and node.func.id in BANNED_CALLS), f"line {node.lineno}"
        options = {option.arg: option.value for option in node.keywords}
        allowed = options.get("allow_pickle")
        assert allowed is None or (isinstance(allowed, ast.Constant) and allowed.value is False), f"line {node.lineno}"
        callee = ast.unparse(node.func)
        if callee in ("np.load", "numpy.load"):
            assert "allow_pickle" in options, f"line {node.lineno}"
        if callee == "torch.load":
            assert ast.unparse(options["weights_only"]) == "True", f"line {node.lineno}"
