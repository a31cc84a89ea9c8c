"""The same data, parameters and random state: our estimators and scikit-learn's go the same way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn import neural_network
from sklearn.datasets import load_digits

import glassnet
from cases.estimators import LABELS, NUMBERS, PATHS, Path

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

EPOCHS = 20


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_digits(return_X_y=True)
    return X[:170] / 16, y[:170]


def targets(y: np.ndarray, X: np.ndarray, kind: str) -> np.ndarray:
    """What stands for the classes 0 to 9 on a path."""
    made = {
        "classes": lambda: y,
        "binary": lambda: y > 4,
        "texts": lambda: np.array([f"digit {k}" for k in y]),
        "labels": lambda: (X[:, 18:22] > 0.5).astype(int),
        "one": lambda: np.ones(len(y), int),
        "numbers": lambda: (y - 4.5) / 3,
        "several": lambda: np.column_stack([y / 5 - 1, X[:, 20], X[:, 30] - X[:, 28]]),
        "counts": lambda: y,
    }
    return made[kind]()


def both(cls: str, path: Path, digits: tuple[np.ndarray, np.ndarray], dtype: Any = np.float64) -> tuple[Any, Any]:
    """scikit-learn's estimator and ours, fitted alike."""
    X, y = digits
    kind = "numbers" if cls == "MLPRegressor" and path.targets == "classes" else path.targets
    y = targets(y, X, kind)
    weight = np.random.default_rng(1).uniform(0.1, 3, len(X)) if path.weights else None
    options = {"hidden_layer_sizes": (15,), "max_iter": EPOCHS, "random_state": 5, **path.options}
    theirs = getattr(neural_network, cls)(**options).fit(X.astype(dtype), y, sample_weight=weight)
    ours = getattr(glassnet, cls)(**options).fit(X.astype(dtype), y, sample_weight=weight)
    return theirs, ours


def distance(theirs: Any, ours: Any) -> float:
    pairs = zip(theirs.coefs_ + theirs.intercepts_, ours.coefs_ + ours.intercepts_, strict=True)
    return max(float(np.abs(a - b).max()) for a, b in pairs)


def check(theirs: Any, ours: Any, path: Path) -> None:
    assert distance(theirs, ours) < 1e-9
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(ours, name) == getattr(theirs, name), name
    if path.targets != "several":  # there scikit-learn's loss is the mean over the outputs
        # the penalty is that of the weights after the epoch, and the mean over the epoch in scikit-learn; with sample
        # weights theirs is also the mean of the batches' means
        tolerance = 0.05 if path.weights or path.options.get("alpha", 0) > 1 else 1e-3
        np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=tolerance)
    if path.options.get("early_stopping"):
        np.testing.assert_allclose(ours.validation_scores_, theirs.validation_scores_, atol=1e-9)
        assert ours.best_validation_score_ == pytest.approx(theirs.best_validation_score_)


@pytest.mark.parametrize("path", [*PATHS, *LABELS], ids=str)
def test_classifiers_go_the_same_way(path: Path, digits: tuple[np.ndarray, np.ndarray]) -> None:
    theirs, ours = both("MLPClassifier", path, digits)
    check(theirs, ours, path)
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    X, _ = digits
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-9)
    np.testing.assert_allclose(ours.predict_log_proba(X), theirs.predict_log_proba(X), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("path", [*PATHS, *NUMBERS], ids=str)
def test_regressors_go_the_same_way(path: Path, digits: tuple[np.ndarray, np.ndarray]) -> None:
    theirs, ours = both("MLPRegressor", path, digits)
    check(theirs, ours, path)
    X, _ = digits
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), atol=1e-8)
    assert ours.predict(X).shape == theirs.predict(X).shape


@pytest.mark.parametrize("cls", ["MLPClassifier", "MLPRegressor"])
def test_single_precision_stays_near(cls: str, digits: tuple[np.ndarray, np.ndarray]) -> None:
    theirs, ours = both(cls, Path("float32"), digits, np.float32)
    assert ours.coefs_[0].dtype == ours.predict(digits[0]).dtype if cls == "MLPRegressor" else np.float32
    assert {array.dtype for array in ours.coefs_ + ours.intercepts_} == {np.dtype(np.float32)}
    assert distance(theirs, ours) < 1e-4


@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("path", PATHS[:8], ids=str)
def test_each_engine(path: Path, engine: str, digits: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = digits
    options = {"hidden_layer_sizes": (15,), "max_iter": 5, "random_state": 5, **path.options}
    theirs = neural_network.MLPClassifier(**options).fit(X, y)
    ours = glassnet.MLPClassifier(**options, engine=engine).fit(X, y)
    assert distance(theirs, ours) < 1e-9
    assert ours.history_.engine.startswith(engine)


@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csc_array, sparse.csr_matrix])
def test_sparse_rows(form: Any, digits: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = digits
    options = {"hidden_layer_sizes": (15,), "max_iter": 5, "random_state": 5}
    theirs = neural_network.MLPClassifier(**options).fit(form(X), y)
    ours = glassnet.MLPClassifier(**options).fit(form(X), y)
    assert distance(theirs, ours) < 1e-9
    np.testing.assert_allclose(ours.predict_proba(form(X)), theirs.predict_proba(form(X)), atol=1e-9)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_partial_fit_goes_the_same_way(solver: str, digits: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = digits
    options = {"solver": solver, "hidden_layer_sizes": (15,), "random_state": 5, "learning_rate": "invscaling"}
    theirs, ours = neural_network.MLPClassifier(**options), glassnet.MLPClassifier(**options)
    for start in (0, 50, 100, 0, 50):
        part = slice(start, start + 50)
        for estimator in (theirs, ours):
            estimator.partial_fit(X[part], y[part], classes=np.arange(10))
        assert distance(theirs, ours) < 1e-9
        assert (ours.t_, len(ours.loss_curve_)) == (theirs.t_, len(theirs.loss_curve_))


LBFGS = [
    ("MLPClassifier", {"activation": "tanh", "alpha": 1.0}, "classes"),
    ("MLPClassifier", {"activation": "logistic", "alpha": 0.5}, "binary"),
    ("MLPClassifier", {"hidden_layer_sizes": (), "alpha": 1.0}, "labels"),
    ("MLPRegressor", {"activation": "tanh", "alpha": 1.0}, "numbers"),
    ("MLPRegressor", {"hidden_layer_sizes": (), "alpha": 1.0, "loss": "poisson"}, "counts"),
]


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize(("cls", "options", "kind"), LBFGS)
def test_lbfgs_reaches_the_same_optimum(
    cls: str, options: dict[str, Any], kind: str, weights: bool, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    path = Path(
        "lbfgs",
        {"solver": "lbfgs", "hidden_layer_sizes": (5,), "tol": 1e-6, "max_iter": 1000, **options},
        kind,
        weights,
    )
    theirs, ours = both(cls, path, digits)
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-4)
    X, _ = digits
    predict = "predict_proba" if cls == "MLPClassifier" else "predict"
    np.testing.assert_allclose(getattr(ours, predict)(X), getattr(theirs, predict)(X), atol=2e-3, rtol=2e-3)
