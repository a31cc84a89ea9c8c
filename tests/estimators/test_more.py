"""What the estimators can that scikit-learn's cannot."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn import neural_network
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits
from sklearn.model_selection import train_test_split

import glassnet
from glassnet import MLPClassifier, MLPRegressor
from glassnet.engine.devices import available_cores, default_threads
from glassnet.errors import ConfigError, DataError, InputError, ShapeError
from glassnet.training import Callback

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_digits(return_X_y=True)
    return X[:300] / 16, y[:300]


def classifier(**options: Any) -> MLPClassifier:
    return MLPClassifier(**{"hidden_layer_sizes": (20, 15), "random_state": 3, "max_iter": 15, **options})


def test_the_shared_parameters_and_defaults_are_scikit_learns() -> None:
    for ours, theirs in ((MLPClassifier, neural_network.MLPClassifier), (MLPRegressor, neural_network.MLPRegressor)):
        shared, own = theirs().get_params(), ours().get_params()
        assert {name: own[name] for name in shared} == shared
        assert list(inspect.signature(ours).parameters)[: len(shared)] == list(inspect.signature(theirs).parameters)


# Each option does what it says: a path of its own, repeatable to the bit, and what it promises

OPTIONS: list[dict[str, Any]] = [
    {"dropout": 0.3},
    {"dropout": [0.1, 0.5]},
    {"input_dropout": 0.2},
    {"activation": ["tanh", "gelu"]},
    {"activation": "elu(alpha=0.5)"},
    {"init": "orthogonal"},
    {"init": ["he", {"name": "normal", "variance": 0.1}, "zeros"]},
    {"l1": 0.001},
    {"l2": 0.01},
    {"weight_decay": 0.001},
    {"max_norm": 0.5},
    {"clip_norm": 0.01},
    {"class_weight": {0: 10.0}},
    {"label_smoothing": 0.2},
    {"optimizer": "rmsprop"},
    {"optimizer": {"name": "adamw", "weight_decay": 0.1}},
    {"schedule": "cosine"},
    {"schedule": {"name": "step", "every": 2}},
    {"standardize": True},
]


@pytest.mark.parametrize("option", OPTIONS, ids=str)
def test_options_change_training_and_repeat(option: dict[str, Any], digits: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = digits
    plain, once, again = classifier().fit(X, y), classifier(**option).fit(X, y), clone(classifier(**option)).fit(X, y)
    assert all(np.array_equal(a, b) for a, b in zip(once.coefs_, again.coefs_, strict=True))
    assert not np.allclose(once.predict_proba(X), plain.predict_proba(X), atol=1e-4)
    reference = classifier(**option, engine="reference").fit(X, y)
    np.testing.assert_allclose(reference.predict_proba(X), once.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("device", ["torch", "auto"])
def test_other_devices_go_the_same_way(device: str, digits: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = digits
    plain, other = classifier(dropout=0.2).fit(X, y), classifier(dropout=0.2, device=device).fit(X, y)
    np.testing.assert_allclose(other.predict_proba(X), plain.predict_proba(X), atol=1e-9)


def test_log_probabilities_are_exact(digits: tuple[np.ndarray, np.ndarray]) -> None:
    """From the logits; the probabilities themselves are 0 where they are below the least number."""
    X, y = digits
    for target in (y, y > 4):
        fitted = classifier().fit(X, target)
        far = X * 3000
        logs, p = fitted.predict_log_proba(far), fitted.predict_proba(far)
        assert np.isfinite(logs).all()
        assert (p == 0).any()
        np.testing.assert_allclose(np.exp(logs), p, atol=1e-12)
    assert fitted.predict_proba(X)[:, 0] == pytest.approx(1 - fitted.predict_proba(X)[:, 1])


def test_max_norm_holds(digits: tuple[np.ndarray, np.ndarray]) -> None:
    fitted = classifier(max_norm=0.5).fit(*digits)
    assert max(np.linalg.norm(coef, axis=0).max() for coef in fitted.coefs_) <= 0.5 + 1e-12


def test_l2_does_not_depend_on_the_batch_and_alpha_does(digits: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = digits

    def norm(**options: Any) -> float:
        fitted = classifier(solver="sgd", learning_rate_init=0.1, max_iter=60, **options).fit(X, y)
        return float(np.linalg.norm(fitted.coefs_[0]))

    strong, weak = norm(alpha=3.0, batch_size=30), norm(alpha=3.0, batch_size=300)
    assert strong < 0.7 * weak
    full = classifier(solver="lbfgs", alpha=3.0, max_iter=300, tol=1e-6).fit(X, y)
    same = classifier(solver="lbfgs", alpha=0.0, l2=3.0 / len(X), max_iter=300, tol=1e-6).fit(X, y)
    np.testing.assert_allclose(full.loss_, same.loss_, rtol=1e-6)


def test_class_weights_are_sample_weights(digits: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = digits
    names = np.array([f"digit {k}" for k in y])
    one = classifier(class_weight={"digit 3": 5.0}).fit(X, names)
    other = classifier().fit(X, names, sample_weight=np.where(y == 3, 5.0, 1.0))
    np.testing.assert_array_equal(one.coefs_[0], other.coefs_[0])


def test_float32_and_fast(digits: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = digits
    options: dict[str, Any] = {"threads": 1, "max_iter": 40, "learning_rate_init": 0.01}
    fitted = classifier(**options, precision="fast").fit(X.astype(np.float32), y)
    exact = classifier(**options).fit(X.astype(np.float32), y)
    assert "1 thread" in fitted.history_.engine
    assert fitted.predict_proba(X).dtype == np.float32
    assert fitted.score(X, y) > 0.9
    assert abs(fitted.score(X, y) - exact.score(X, y)) < 0.05


def test_default_threads_follow_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert default_threads() == 1
    for value in ("", "no number", "0", "100000"):
        monkeypatch.setenv("OMP_NUM_THREADS", value)
        assert default_threads() == available_cores()


# Early stopping


@pytest.mark.parametrize("rule", [True, "GL5", "PQ0.5", "UP2", "patience2", {"name": "patience", "epochs": 2}], ids=str)
def test_early_stopping_ends_at_the_best_epoch(rule: Any, digits: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = digits
    X, X_val, y, y_val = train_test_split(X, y, random_state=0)
    fitted = classifier(early_stopping=rule, max_iter=400, learning_rate_init=0.03, n_iter_no_change=3)
    fitted.fit(X, y, X_val=X_val, y_val=y_val)
    assert fitted.n_iter_ < 400
    assert len(fitted.validation_scores_) == fitted.n_iter_
    assert fitted.best_validation_score_ == pytest.approx(fitted.score(X_val, y_val))
    best = max if rule is True else min
    figures = fitted.history_["val_accuracy" if rule is True else "val_loss"]
    assert fitted.best_validation_score_ == pytest.approx(fitted.validation_scores_[figures.index(best(figures))])


def test_scores_of_held_out_rows_without_early_stopping(digits: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = digits
    watched = classifier().fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])
    alone = classifier().fit(X[:200], y[:200])
    assert watched.validation_scores_[-1] == pytest.approx(watched.score(X[200:], y[200:]))
    np.testing.assert_array_equal(watched.coefs_[0], alone.coefs_[0])


def test_early_stopping_by_partial_fit(digits: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = digits
    growing = classifier(early_stopping=True, n_iter_no_change=3, learning_rate_init=0.02)
    for _ in range(300):
        growing.partial_fit(X[:200], y[:200], classes=range(10), X_val=X[200:], y_val=y[200:])
        if growing.history_.stop_code == "converged":
            break
    else:
        pytest.fail("it never stopped")
    whole = classifier(early_stopping=True, n_iter_no_change=3, learning_rate_init=0.02, max_iter=300)
    whole.fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])
    assert growing.score(X[200:], y[200:]) == pytest.approx(max(growing.validation_scores_))
    assert max(growing.validation_scores_) > 0.85
    assert abs(growing.best_validation_score_ - whole.best_validation_score_) < 0.08


# Going on


@pytest.mark.parametrize("options", [{}, {"solver": "sgd"}, {"optimizer": "adamw"}, {"dropout": 0.2}], ids=str)
def test_warm_start_goes_on_with_the_optimisers_memory(
    options: dict[str, Any], digits: tuple[np.ndarray, np.ndarray]
) -> None:
    X, y = digits
    whole = classifier(max_iter=8, shuffle=False, tol=0.0, **options).fit(X, y)
    halves = classifier(max_iter=4, shuffle=False, tol=0.0, warm_start=True, **options).fit(X, y).fit(X, y)
    for a, b in zip(whole.coefs_ + whole.intercepts_, halves.coefs_ + halves.intercepts_, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (halves.t_, halves.n_iter_, len(halves.loss_curve_)) == (whole.t_, 4, 8)


def test_partial_fit_is_fit_by_epochs(digits: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = digits
    whole = classifier(max_iter=5, shuffle=False, schedule="cosine", dropout=0.1).fit(X, y)
    parts = classifier(max_iter=5, shuffle=False, schedule="cosine", dropout=0.1)
    for _ in range(5):
        parts.partial_fit(X, y, classes=range(10))
    np.testing.assert_array_equal(whole.coefs_[0], parts.coefs_[0])


def test_callbacks_see_the_trainer(digits: tuple[np.ndarray, np.ndarray]) -> None:
    class Watch(Callback):
        epochs = 0

        def on_epoch_end(self, trainer: Any, record: dict[str, Any]) -> None:
            Watch.epochs += 1
            if trainer.epoch == 4:
                trainer.stop("enough", "seen enough")

    fitted = classifier(callbacks=[Watch()]).fit(*digits)
    assert (Watch.epochs, fitted.n_iter_, fitted.history_.stop_code) == (4, 4, "enough")


def test_initial_weights(digits: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = digits
    first = classifier().fit(X, y)
    given = classifier(initial_weights=(first.coefs_, first.intercepts_), random_state=9, max_iter=1).fit(X, y)
    assert 0 < np.abs(given.coefs_[0] - first.coefs_[0]).max() < 0.01
    with pytest.raises(ShapeError, match="initial_weights must have the shapes"):
        MLPClassifier((5,), initial_weights=(first.coefs_, first.intercepts_)).fit(X, y)
    with pytest.raises(ConfigError, match="pair of lists"):
        classifier(initial_weights=3).fit(X, y)


# A look inside


def test_transform_gives_hidden_activations(digits: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = digits
    fitted = classifier(activation=["tanh", "relu"]).fit(X, y)
    first = np.tanh(X @ fitted.coefs_[0] + fitted.intercepts_[0])
    second = np.maximum(first @ fitted.coefs_[1] + fitted.intercepts_[1], 0)
    np.testing.assert_allclose(fitted.transform(X, layer=1), first, atol=1e-12)
    np.testing.assert_allclose(fitted.transform(X), second, atol=1e-12)
    np.testing.assert_allclose(fitted.transform(X[:3]), second[:3], atol=1e-12)
    assert list(fitted.get_feature_names_out()) == [f"mlpclassifier{j}" for j in range(15)]
    with pytest.raises(InputError, match="layers 1 to 2"):
        fitted.transform(X, layer=3)


def test_trace_shows_what_training_computes(digits: tuple[np.ndarray, np.ndarray]) -> None:
    """A step of plain descent moves W by −lr times the traced gradient."""
    X, y = digits
    weight = np.linspace(0.5, 2, 40)
    options = {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.1, "alpha": 0.0, "batch_size": 40}
    before = classifier(**options, max_iter=1, warm_start=True).fit(X, y)
    W, b = before.coefs_[1].copy(), before.intercepts_[1].copy()
    traced = before.trace(X[:40], y[:40], weight)
    assert traced.loss == pytest.approx(np.average(traced.terms, weights=weight))
    np.testing.assert_allclose(traced.layer(1).a, np.maximum(traced.layer(1).z, 0))
    np.testing.assert_allclose(traced.layer(3).delta.sum(axis=0), traced.layer(3).grads["b"])
    before.partial_fit(X[:40], y[:40], weight)
    np.testing.assert_allclose(before.coefs_[1], W - 0.1 * traced.layer(2).grads["W"].T, atol=1e-12)
    np.testing.assert_allclose(before.intercepts_[1], b - 0.1 * traced.layer(2).grads["b"], atol=1e-12)
    with pytest.raises(InputError, match="layers 1 to 3"):
        traced.layer(4)


def test_monte_carlo_dropout(digits: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = digits
    fitted = classifier(dropout=0.3).fit(X, y)
    mean, spread = fitted.predict_proba(X, samples=20, return_std=True)
    np.testing.assert_allclose(mean.sum(axis=1), 1)
    assert (mean.shape, spread.shape) == ((300, 10), (300, 10))
    assert spread.max() > 0.05
    np.testing.assert_array_equal(mean, fitted.predict_proba(X, samples=20))
    assert (fitted.predict(X, samples=20) == mean.argmax(axis=1)).all()
    assert (fitted.predict_proba(X, return_std=True)[1] == 0).all()
    with pytest.raises(ConfigError, match="needs a network with dropout"):
        classifier().fit(X, y).predict(X, samples=5)
    two = classifier(dropout=0.3).fit(X, y > 4).predict_proba(X, samples=5, return_std=True)
    np.testing.assert_allclose(two[0].sum(axis=1), 1)
    np.testing.assert_array_equal(two[1][:, 0], two[1][:, 1])


# The regressor


def test_standardized_regressor_is_scaled_by_hand() -> None:
    X, y = load_diabetes(return_X_y=True)
    X = X * [*([1000.0] * 5), *([0.001] * 5)] + 3
    options: dict[str, Any] = {"hidden_layer_sizes": (10,), "random_state": 0, "max_iter": 30}
    whole = MLPRegressor(**options, standardize=True, dropout=0.1).fit(X, y)
    Z, t = (X - X.mean(axis=0)) / X.std(axis=0), (y - y.mean()) / y.std()
    byhand = MLPRegressor(**options, dropout=0.1).fit(Z, t)
    np.testing.assert_allclose(whole.predict(X), byhand.predict(Z) * y.std() + y.mean(), rtol=1e-6)
    mean, spread = whole.predict(X, samples=8, return_std=True)
    by_hand_mean, by_hand_spread = byhand.predict(Z, samples=8, return_std=True)
    np.testing.assert_allclose(mean, by_hand_mean * y.std() + y.mean(), rtol=1e-6)
    np.testing.assert_allclose(spread, by_hand_spread * y.std(), rtol=1e-6)


@pytest.mark.parametrize("loss", ["absolute_error", "huber"])
def test_losses_that_outliers_do_not_move(loss: str) -> None:
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (400, 1))
    y = 2 * X[:, 0] + np.where(rng.random(400) < 0.1, 50.0, 0.0)
    options: dict[str, Any] = {"hidden_layer_sizes": (), "max_iter": 300, "learning_rate_init": 0.02, "random_state": 0}
    robust, squares = MLPRegressor(loss=loss, **options).fit(X, y), MLPRegressor(**options).fit(X, y)
    truth = 2 * X[:, 0]
    assert np.abs(robust.predict(X) - truth).mean() < 0.5 < 3 < np.abs(squares.predict(X) - truth).mean()


def test_standardized_sparse_rows_keep_their_zeros(digits: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = digits
    fitted = classifier(standardize=True, max_iter=40, learning_rate_init=0.01).fit(sparse.csr_array(X), y)
    assert fitted.scaler_.mean_ is None or not fitted.scaler_.with_mean
    assert fitted.score(sparse.csr_array(X), y) > 0.9


# Memory


@pytest.mark.parametrize("early", [False, True])
def test_data_are_not_copied(
    early: bool, monkeypatch: pytest.MonkeyPatch, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    seen: list[Any] = []
    place = glassnet.engine.NativeEngine.place

    def spy(self: Any, examples: Any) -> Any:
        seen.append(examples.x)
        return place(self, examples)

    monkeypatch.setattr(glassnet.engine.NativeEngine, "place", spy)
    X, y = digits
    X = np.ascontiguousarray(X)
    classifier(early_stopping=early).fit(X, y)
    assert np.shares_memory(seen[0], X)
    assert all(len(other) == 30 for other in seen[1:])


# Bad input

BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"activation": "ghost"}, ConfigError, "unknown activation 'ghost'"),
    ({"activation": ["relu"]}, ConfigError, "activation has 1 entries, but 2 are needed"),
    ({"dropout": 1.0}, ConfigError, "at least 0 and below 1"),
    ({"dropout": [0.1]}, ConfigError, "dropout has 1 entries"),
    ({"init": "nothing"}, ConfigError, "unknown initialiser"),
    ({"optimizer": "nothing"}, ConfigError, "unknown optimiser"),
    ({"schedule": "nothing"}, ConfigError, "unknown schedule"),
    ({"early_stopping": "nothing"}, ConfigError, "unknown early stopping criterion"),
    ({"l1": -1.0}, ConfigError, "l1"),
    ({"label_smoothing": 1.5}, ConfigError, "label_smoothing"),
    ({"callbacks": [3]}, ConfigError, "Callback objects"),
    ({"engine": "steam"}, ConfigError, "unknown engine"),
    ({"precision": "wild"}, ConfigError, "precision"),
    ({"threads": 0}, ConfigError, "threads"),
    ({"solver": "lbfgs", "dropout": 0.5}, ConfigError, "does without"),
    ({"standardize": "yes"}, ValueError, "standardize"),
    ({"class_weight": "heavy"}, ValueError, "class_weight"),
]


@pytest.mark.parametrize(("options", "error", "text"), BAD, ids=lambda value: str(value)[:40])
def test_bad_options(
    options: dict[str, Any], error: type[Exception], text: str, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    with pytest.raises(error, match=text):
        classifier(**options).fit(*digits)


def test_bad_held_out_rows(digits: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = digits
    with pytest.raises(InputError, match="together"):
        classifier().fit(X, y, X_val=X)
    with pytest.raises(DataError, match="label 77"):
        classifier().fit(X, y, X_val=X[:3], y_val=[0, 1, 77])
    with pytest.raises(ValueError, match="features"):
        classifier().fit(X, y, X_val=X[:3, :5], y_val=y[:3])
    warm = classifier(warm_start=True).fit(X, y)
    with pytest.raises(ShapeError, match="sizes of the layers have changed"):
        warm.set_params(hidden_layer_sizes=(3,)).fit(X, y)
