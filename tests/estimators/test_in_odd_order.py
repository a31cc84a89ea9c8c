"""Calls in odd orders, options changed between them, failures on the way: nothing is lost, nothing goes on wrongly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn import neural_network

import glassnet
from glassnet import MLPClassifier, MLPRegressor
from glassnet.errors import ConfigError, DataError, InputError, ModelFileError, ShapeError
from glassnet.training import Callback

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 4))
T = 2 * X[:, 0] + 1
Y = np.clip((X[:, 0] * 2 + X[:, 1]).round(), -1, 1).astype(int) + 1
LABELS = np.column_stack([X[:, 0] > 0, X[:, 1] > 0, X[:, 2] > 0]).astype(int)
FEW: dict[str, Any] = {"max_iter": 5, "random_state": 0, "hidden_layer_sizes": (6,)}


def same(one: Any, other: Any) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one.coefs_, other.coefs_, strict=True))


# Early stopping from one call to the next


def test_a_warm_start_does_not_bring_the_last_calls_best_back() -> None:
    """The first call's held-out rows were easy: its score must not throw the second training away."""
    model = MLPClassifier(**{**FEW, "max_iter": 20}, early_stopping=True, warm_start=True, n_iter_no_change=50)
    easy = np.flatnonzero(Y == 2)[:9]
    model.fit(X, Y, X_val=X[easy], y_val=Y[easy])
    before = [coef.copy() for coef in model.coefs_]
    model.set_params(max_iter=200).fit(X, Y, X_val=X, y_val=Y)
    assert not np.array_equal(before[0], model.coefs_[0])
    last = model.validation_scores_[-model.n_iter_ :]
    assert model.score(X, Y) == pytest.approx(max(last)) == model.best_validation_score_


def test_switching_early_stopping_off_keeps_what_is_trained_then() -> None:
    model = MLPRegressor(**FEW, early_stopping=True, warm_start=True).fit(X, T)
    before = model.coefs_[0].copy()
    model.set_params(early_stopping=False, max_iter=50).fit(X, T)
    assert not np.array_equal(before, model.coefs_[0])


def test_partial_fit_goes_on_after_it_has_stopped_once() -> None:
    model = MLPClassifier(**FEW, early_stopping=True, n_iter_no_change=2, learning_rate_init=0.01)
    for _ in range(60):
        model.partial_fit(X, Y, classes=[0, 1, 2])
    for _ in range(150):
        model.partial_fit(-X, Y)
    assert model.score(-X, Y) > 0.75


def test_a_schedule_keeps_the_best_epoch_too() -> None:
    options: dict[str, Any] = {"random_state": 0, "max_iter": 60, "early_stopping": True, "learning_rate_init": 0.5}
    model = MLPRegressor(hidden_layer_sizes=(6,), **options, schedule="constant").fit(X, T)
    assert model.n_iter_ == 60
    assert model.best_validation_score_ == max(model.validation_scores_) > model.validation_scores_[-1]
    watched = MLPRegressor(hidden_layer_sizes=(6,), **options, schedule="constant", callbacks=()).fit(
        X, T, X_val=X, y_val=T
    )
    assert watched.score(X, T) == pytest.approx(max(watched.validation_scores_))
    assert MLPRegressor(hidden_layer_sizes=(6,), max_iter=3, schedule="constant").fit(X, T).best_loss_ < np.inf


# The optimiser's memory


def test_another_solver_begins_anew() -> None:
    slow: dict[str, Any] = {"solver": "sgd", "learning_rate": "adaptive", "tol": 1.0, "n_iter_no_change": 1}
    model = MLPClassifier((6,), random_state=0, max_iter=60, learning_rate_init=0.05, **slow).fit(X, Y)
    model.set_params(solver="adam", learning_rate="constant", learning_rate_init=0.01)
    weights = ([coef.copy() for coef in model.coefs_], [b.copy() for b in model.intercepts_])
    fresh = MLPClassifier((6,), random_state=0, learning_rate_init=0.01, initial_weights=weights)
    model.partial_fit(X, Y)
    assert model.history_["lr"] == [0.01]
    assert same(model, fresh.partial_fit(X, Y, classes=[0, 1, 2]))


@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_after_divergence_it_can_go_on_at_a_lower_rate() -> None:
    model = MLPRegressor(
        hidden_layer_sizes=(5,), max_iter=20, random_state=0, solver="sgd", learning_rate_init=1e3, early_stopping=True
    )
    with pytest.warns(UserWarning, match="best epoch"):
        model.fit(X, T)
    assert model.history_.stop_code == "diverged"
    model.set_params(early_stopping=False, warm_start=True, learning_rate_init=1e-4, max_iter=3).fit(X, T)
    assert np.isfinite(model.loss_)


def test_a_callback_that_raises_leaves_a_state_to_go_on_from() -> None:
    class Fails(Callback):
        def on_epoch_end(self, trainer: Any, record: dict[str, Any]) -> None:
            if trainer.epoch == 3:
                raise RuntimeError("no more")

    options: dict[str, Any] = {**FEW, "shuffle": False}
    failed, three = MLPClassifier(**options, callbacks=[Fails()]), MLPClassifier(**{**options, "max_iter": 3})
    with pytest.raises(RuntimeError, match="no more"):
        failed.fit(X, Y)
    three.fit(X, Y)
    assert same(failed, three)
    assert same(failed.set_params(callbacks=()).partial_fit(X, Y), three.partial_fit(X, Y))


# Failures on the way

FAILING: list[dict[str, Any]] = [
    {"init": "bogus"},
    {"activation": "bogus"},
    {"callbacks": [1]},
    {"callbacks": None},
    {"early_stopping": "bogus"},
    {"engine": "bogus"},
    {"solver": "lbfgs", "dropout": 0.5},
    {"hidden_layer_sizes": (3, 0)},
]


@pytest.mark.parametrize("wrong", FAILING, ids=str)
def test_a_fit_that_fails_leaves_the_estimator_as_it_was(wrong: dict[str, Any]) -> None:
    fresh = MLPClassifier(**{**FEW, **wrong})
    with pytest.raises(ValueError):  # noqa: PT011 - which one is tested elsewhere
        fresh.fit(X, Y)
    assert not fresh.__sklearn_is_fitted__()
    model = MLPClassifier(**FEW).fit(X, Y > 0)
    expected = model.predict_proba(X)
    model.set_params(**wrong)
    with pytest.raises(ValueError):  # noqa: PT011
        model.fit(X, Y)
    model.set_params(**{name: MLPClassifier(**FEW).get_params()[name] for name in wrong})
    np.testing.assert_array_equal(model.predict_proba(X), expected)
    assert list(model.classes_) == [False, True]


@pytest.mark.parametrize("held_out", [(X[:, :2], Y), (X, None), (X, Y + 7)], ids=["columns", "no y", "labels"])
def test_wrong_held_out_rows_leave_it_as_it_was(held_out: tuple[Any, Any]) -> None:
    model = MLPClassifier(**FEW)
    with pytest.raises(ValueError):  # noqa: PT011
        model.fit(X, Y, X_val=held_out[0], y_val=held_out[1])
    assert not hasattr(model, "coefs_")


def test_a_save_that_fails_leaves_the_last_one(tmp_path: Any) -> None:
    MLPClassifier(**FEW).fit(X, Y).save(tmp_path)
    dates = np.array(["2020-01-01", "2021-01-01", "2022-01-01"] * 50, dtype="M8[D]")
    with pytest.raises(ConfigError, match="labels that are texts or numbers"):
        MLPClassifier(**FEW).fit(X, dates).save(tmp_path)
    assert MLPClassifier.load(tmp_path).classes_.tolist() == [0, 1, 2]


def test_class_weights_of_labels_and_sparse_labels_come_back(tmp_path: Any) -> None:
    model = MLPClassifier(**FEW, class_weight=[{0: 1.0, 1: 2.0}] * 3).fit(X, sparse.csr_matrix(LABELS))
    loaded = MLPClassifier.load(model.save(tmp_path))
    assert loaded.class_weight == model.class_weight
    assert (loaded.predict(X) != model.predict(X)).nnz == 0
    assert same(loaded.fit(X, LABELS), model.fit(X, LABELS))


def test_a_manifest_with_wrong_content_is_damaged(tmp_path: Any) -> None:
    MLPClassifier(**FEW).fit(X, Y).save(tmp_path)
    content = glassnet.storage.read_document(tmp_path / "estimator.json")
    for change in ({"n_layers_": "x"}, {"n_layers_": 9}):
        wrong = {**content, "attributes": {**content["attributes"], **change}}
        glassnet.storage.write_document(tmp_path / "estimator.json", wrong)
        with pytest.raises(ModelFileError, match="damaged"):
            MLPClassifier.load(tmp_path)


def test_an_early_stopped_estimator_goes_on_in_scikit_learn() -> None:
    ours = MLPClassifier((8,), random_state=0, max_iter=30, early_stopping=True, warm_start=True, n_iter_no_change=3)
    theirs = ours.fit(X, Y).to_sklearn()
    theirs.best_validation_score_ = 1.0
    expected = [coef.copy() for coef in theirs.coefs_]
    theirs.fit(X, Y)
    np.testing.assert_array_equal(theirs.coefs_[0], expected[0])


# Scaling, weights, shapes


def test_standardize_by_weights() -> None:
    """A row of weight 0 is as good as not there."""
    far, weight = np.vstack([X, np.full((1, 4), 1e9)]), np.r_[np.ones(150), 0.0]
    options: dict[str, Any] = {"random_state": 0, "max_iter": 200, "standardize": True}
    assert MLPRegressor(**options).fit(far, np.r_[T, 1e9], weight).score(X, T) > 0.9
    model = MLPRegressor(**{**FEW, "standardize": True}).fit(X, np.full(150, 0.1))
    assert model._target_scale.tolist() == [1.0]


def test_standardize_after_the_fact() -> None:
    model = MLPClassifier(**FEW).fit(X, Y).set_params(standardize=True)
    with pytest.raises(ConfigError, match="fit anew"):
        model.predict(X)
    scaled = MLPClassifier(**FEW, standardize=True).fit(X, Y)
    with pytest.raises(ConfigError, match="takes no sparse"):
        scaled.predict(sparse.csr_array(X))


def test_shapes_of_targets_do_not_broadcast() -> None:
    two = np.column_stack([T, X[:, 1]])
    for standardize in (False, True):
        model = MLPRegressor(**FEW, standardize=standardize, early_stopping=True)
        with pytest.raises(ShapeError, match="2 columns"):
            model.fit(X, two, X_val=X, y_val=T)
        with pytest.raises(ShapeError, match="2 columns"):
            model.fit(X, two).trace(X, T)
    with pytest.raises(DataError, match="one label a row"):
        MLPClassifier(**FEW).fit(X, Y).trace(X, LABELS)


def test_transform_of_another_layer_and_frames() -> None:
    model = MLPClassifier((5, 6), max_iter=2).fit(X, Y).set_output(transform="pandas")
    assert isinstance(model.transform(X), pd.DataFrame)
    with pytest.raises(ConfigError, match="last hidden layer"):
        model.transform(X, 1)
    assert model.set_output(transform="default").transform(X, 1).shape == (150, 5)
    with pytest.raises(InputError, match="hidden layers 1 to 2"):
        model.transform(X, 1.0)  # type: ignore[arg-type]


def test_balanced_weights_need_all_rows() -> None:
    with pytest.raises(ConfigError, match="needs all rows"):
        MLPClassifier(**FEW, class_weight="balanced").partial_fit(X, Y, classes=[0, 1, 2])


def test_lbfgs_refuses_what_it_would_not_look_at() -> None:
    with pytest.raises(ConfigError, match="X_val"):
        MLPClassifier(**FEW, solver="lbfgs").fit(X, Y, X_val=X, y_val=Y)
    with pytest.raises(ConfigError, match="callbacks"):
        MLPClassifier(**FEW, solver="lbfgs", callbacks=[Callback()]).fit(X, Y)


def test_split_that_leaves_no_weight() -> None:
    with pytest.raises(DataError, match="weight 0"):
        MLPClassifier(**FEW, early_stopping=True, validation_fraction=0.9).fit(X, Y > 0, np.r_[np.zeros(149), 1])


def test_wide_sparse_rows_are_not_written_out() -> None:
    """A thousand rows of 200,000 columns would be 1.6 GB."""
    wide = sparse.random_array((1000, 200_000), density=1e-5, format="csr", rng=np.random.default_rng(0))
    y = np.arange(1000) % 2
    model = MLPClassifier((2,), solver="lbfgs", max_iter=2, random_state=0, alpha=0.0)
    theirs = neural_network.MLPClassifier((2,), solver="lbfgs", max_iter=2, random_state=0, alpha=0.0)
    np.testing.assert_allclose(model.fit(wide, y).loss_, theirs.fit(wide, y).loss_, rtol=1e-6)
    assert model.predict_proba(wide).shape == (1000, 2)


def test_warnings_point_at_the_caller() -> None:
    for options in ({}, {"solver": "lbfgs", "max_iter": 1}, {"batch_size": 999}):
        with pytest.warns(UserWarning) as caught:  # noqa: PT030
            MLPClassifier(**{**FEW, **options}).fit(X, Y)
        assert {warning.filename for warning in caught} == {__file__}


def test_verbose_says_that_the_rate_is_too_small(capsys: pytest.CaptureFixture[str]) -> None:
    options: dict[str, Any] = {
        **{"solver": "sgd", "learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1, "max_iter": 100},
        **{"hidden_layer_sizes": (4,), "random_state": 0, "verbose": True, "learning_rate_init": 1e-4},
    }
    printed = []
    for cls in (neural_network.MLPClassifier, MLPClassifier):
        cls(**options).fit(X, Y)
        printed.append([line for line in capsys.readouterr().out.splitlines() if not line.startswith("Iteration")])
    assert printed[0] == printed[1]
    assert printed[1][-1].endswith("Learning rate too small. Stopping.")
