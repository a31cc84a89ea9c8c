"""The figures that are reported, and that decide: exact whatever the numbers are, and however training is cut."""

import json

import numpy as np
import pytest

import glassnet
from glassnet.cli import main
from glassnet.config import DataConfig, RunConfig, TrainingConfig
from glassnet.engine.base import Totals
from glassnet.losses import loss as make_loss
from glassnet.model import Model
from glassnet.network import Network
from glassnet.optimisers import Clip
from glassnet.runs import execute, share_out
from glassnet.training import Callback

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 3)).astype(np.float32)


class Listener(Callback):
    every = 3

    def on_batch_end(self, trainer):
        pass


@pytest.mark.parametrize("seed", range(4))
def test_a_listener_changes_nothing(seed):
    """Not even through a schedule that hears the running loss."""
    y = X @ RNG.normal(size=3) + RNG.normal(size=90)
    schedule = "reduce_on_plateau(patience=1, tolerance=0.0)"
    ends = []
    for callbacks in ((), (Listener(),)):
        network = Network.dense([3, 5, 1], seed=seed)
        glassnet.train(
            network, X, y, schedule=schedule, epochs=30, batch_size=8, lr=0.05, callbacks=callbacks, threads=1
        )
        ends.append(network.layer(1).params["W"].tobytes())
    assert ends[0] == ends[1]


def test_a_mean_of_many_losses_keeps_its_digits():
    loss, one = make_loss("squared_error"), np.ones((1, 1), np.float32)
    totals = Totals()
    for _ in range(40_000):
        totals = totals + Totals.of(loss, np.float32(0.7), one, one, None)
    assert totals.metrics()["loss"] == pytest.approx(float(np.float32(0.7)), rel=1e-12)


@pytest.mark.parametrize(("value", "r2"), [(0.1, 0.0), (1e9, 0.0)])
def test_r2_of_a_constant_output_is_scikit_learns(value, r2):
    y = np.full((7, 1), value)
    loss = make_loss("squared_error")
    parts = [Totals.of(loss, np.float64(0), y[rows] * 1.01, y[rows], None) for rows in (slice(0, 3), slice(3, 7))]
    assert (parts[0] + parts[1]).metrics()["r2"] == r2
    assert Model(Network.dense([1, 1], dtype="float64"), loss).evaluate((y, y))["r2"] == r2


def test_r2_far_from_zero():
    y = 1e9 + RNG.normal(size=(50, 1))
    a = y + 0.1 * RNG.normal(size=(50, 1))
    loss = make_loss("squared_error")
    totals = sum((Totals.of(loss, np.float64(0), a[k : k + 7], y[k : k + 7], None) for k in range(0, 50, 7)), Totals())
    assert totals.metrics()["r2"] == pytest.approx(1 - np.sum((a - y) ** 2) / np.sum((y - y.mean()) ** 2), rel=1e-6)


def test_the_class_with_the_largest_output_is_predicted_though_all_are_negative():
    network = Network.dense([3, 3])
    network.set_parameters({"1.W": np.zeros((3, 3)), "1.b": np.array([-2.0, -1.0, -0.5])})
    run = glassnet.fit((X, np.arange(90) % 3), loss="squared_error", hidden=(), epochs=1, threads=1)
    model = Model(network, "squared_error", run.model.target)
    prediction = model.predict(X[:4])
    assert prediction.values.tolist() == [2] * 4
    assert np.allclose(prediction.probabilities.sum(axis=1), 1)
    assert model.evaluate((X, np.full(90, 2)))["accuracy"] == 1.0


def test_a_large_gradient_is_clipped_and_not_lost():
    clipped = Clip(norm=1.0)({"a": np.full(4, 1e20, np.float32)})["a"]
    assert np.allclose(clipped, 0.5)


@pytest.mark.parametrize("values", [np.array([0.0, 1.0, 2.0]), np.array(["a", "b", "c"])], ids=["numbers", "texts"])
@pytest.mark.parametrize("seed", range(6))
def test_a_small_class_is_shared_out_and_never_unknown(values, seed):
    y = np.repeat(values, [40, 47, 3])
    config = RunConfig(
        data=DataConfig(source=(X, y), task="classification"), training=TrainingConfig(seed=seed, epochs=1, threads=1)
    )
    assert execute(config).test["rows"] == share_out(config, lambda text: None).test.rows


def test_the_validation_split_of_a_seed_is_not_the_test_split_of_the_next():
    y = np.arange(90) % 2
    parts = [
        share_out(
            RunConfig(data=DataConfig(source=(X, y), test=t, validation=v), training=TrainingConfig(seed=seed)), print
        )
        for t, v, seed in ((0.2, 0.0, 1), (0.0, 0.2, 0))
    ]
    assert not np.array_equal(parts[0].test.x, parts[1].validation.x)


def test_what_did_not_occur_in_training_has_no_weight():
    """An unseen category, and a pixel that was always 0, leave the prediction to the rest."""
    predictions = []
    for seed in range(3):
        table = {"colour": np.array(["red", "green"] * 45), "y": np.arange(90) % 2}
        model = glassnet.fit(table, "y", seed=seed, epochs=3, threads=1).model
        unseen = model.network.layer(1).params["W"][
            :, [n.startswith("colour") for n in model.encoding.feature_names].index(True) + 2
        ]
        assert not unseen.any()
        predictions.append(model.predict({"colour": np.array(["blue", "red"])}).probabilities)
    assert np.isfinite(predictions).all()


@pytest.mark.parametrize("y", [[0.0, 1.0, 2.0], np.array([0, 1, 2], dtype=object)], ids=["floats", "objects"])
def test_labels_of_any_type_are_classes_to_several_outputs(y):
    history = glassnet.train(Network.dense([3, 3]), X[:3], y, epochs=1, threads=1)
    assert history["accuracy"]


def test_weights_by_class_go_through_a_file(tmp_path):
    run = glassnet.fit(
        "iris", class_weight={"setosa": 1.0, "versicolor": 50.0}, epochs=3, out=tmp_path / "a", threads=1, verbose=False
    )
    stored = json.loads((tmp_path / "a/config.json").read_text())
    assert stored["training"]["class_weight"] == {"setosa": 1.0, "versicolor": 50.0}
    assert main(["train", "--config", str(tmp_path / "a/config.json"), "--out", str(tmp_path / "b"), "--quiet"]) == 0
    again = glassnet.load(tmp_path / "b").network.layer(1).params["W"]
    assert np.array_equal(again, run.model.network.layer(1).params["W"])


def test_weights_by_class_index_may_have_text_for_keys():
    ends = []
    for weights in ({0: 1.0, 1: 9.0}, {"0": 1.0, "1": 9.0}):
        network = Network.dense([3, 2])
        glassnet.train(network, X, np.arange(90) % 2, class_weight=weights, epochs=2, threads=1)
        ends.append(network.layer(1).params["W"].tobytes())
    assert ends[0] == ends[1]


@pytest.mark.parametrize("device", ["cpu", "torch"])
def test_rows_in_any_order_and_form(device):
    y = np.arange(90.0)[:, None]
    plain = Network.dense([3, 1])
    glassnet.train(plain, X[::-1].copy(), y[::-1].copy(), epochs=1, device=device, threads=1)
    for x, target in ((X[::-1], y[::-1]), (X[::-1].astype(">f8"), y[::-1].astype(np.longdouble))):
        network = Network.dense([3, 1])
        glassnet.train(network, x, target, epochs=1, device=device, threads=1)
        assert np.array_equal(network.layer(1).params["W"], plain.layer(1).params["W"])


def test_no_weight_decay_with_adamw_is_none():
    ends = []
    for options in ({"optimiser": "adam"}, {"optimiser": "adamw", "weight_decay": 0.0}, {"optimiser": "adamw"}):
        network = Network.dense([3, 1])
        glassnet.train(network, X, X[:, 0], epochs=2, threads=1, **options)
        ends.append(network.layer(1).params["W"].tobytes())
    assert ends[0] == ends[1] != ends[2]


def test_an_interruption_in_the_first_epoch_is_reported(monkeypatch, tmp_path, capsys):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("glassnet.training.trainer.Trainer.run_epoch", interrupt)
    main(["train", "iris", "--out", str(tmp_path / "run")])
    assert "interrupted in epoch 1" in capsys.readouterr().out


def test_what_cannot_be_stored_is_refused_before_training(tmp_path):
    class Never(Callback):
        def on_train_begin(self, trainer):
            raise AssertionError("it trains")

    pair = (np.tanh, lambda z: 1 - np.tanh(z) ** 2)
    with pytest.raises(glassnet.errors.ConfigError, match="user's own activation"):
        glassnet.fit("iris", activation=pair, out=tmp_path / "run", callbacks=[Never()])
    assert not (tmp_path / "run").exists()


def test_a_figure_that_is_none_is_named():
    history = glassnet.train(Network.dense([3, 1]), X, X[:, 0], epochs=1, threads=1)
    assert history["val_loss"] == []
    with pytest.raises(KeyError, match="there is no figure 'val_acc'"):
        history["val_acc"]


def test_a_wrong_gradient_is_false():
    wrong = Network.dense([3, 4, 1], (np.sin, np.sin), dtype="float64")
    assert not glassnet.check_gradients(wrong, "squared_error", X[:5], X[:5, :1])
    assert glassnet.check_gradients(Network.dense([3, 4, 1]), "squared_error", X[:5], X[:5, :1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: glassnet.train([3, 1], X, X), "expected a Network"),
        (lambda: glassnet.train(Network.dense([3, 1]), X, X[:, 0], callbacks=Listener()), "a list of Callback objects"),
        (lambda: glassnet.train(Network.dense([3, 1]), X, X[:, 0], validation="0.2"), "validation is a share"),
        (lambda: glassnet.train(Network.dense([3, 1]), X, X[:, 0], optimizer="sgd"), "Did you mean 'optimiser'"),
        (lambda: Network.dense(64), "at least two whole numbers"),
        (lambda: Network.dense([3, 2, 1], (lambda z: z[:1], np.cos)).forward(X), "must keep the shape"),
    ],
    ids=range(6),
)
def test_slips_are_answered(call, message):
    with pytest.raises(glassnet.errors.InputError, match=message):
        call()
