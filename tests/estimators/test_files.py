"""Estimators in files, as scikit-learn's own, and as PyTorch modules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import neural_network
from sklearn.datasets import load_digits

import glassnet
from glassnet import MLPClassifier, MLPRegressor
from glassnet.activations import ACTIVATIONS, LeakyReLU
from glassnet.errors import ConfigError, ModelFileError
from glassnet.training import Callback

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

OPTIONS: dict[str, Any] = {"hidden_layer_sizes": (12, 8), "random_state": 1, "max_iter": 5}


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_digits(return_X_y=True)
    return X[:200] / 16, y[:200]


TARGETS: dict[str, Any] = {
    "whole numbers": lambda y: y,
    "texts": lambda y: np.array([f"digit {k}" for k in y]),
    "objects": lambda y: np.array([f"digit {k}" for k in y], dtype=object),
    "two classes": lambda y: y > 4,
    "labels": lambda y: np.column_stack([y > 4, y % 2, y == 3]).astype(int),
}
CLASSIFIERS: list[dict[str, Any]] = [
    {},
    {"solver": "sgd", "learning_rate": "adaptive"},
    {"solver": "lbfgs"},
    {"early_stopping": True},
    {"early_stopping": "patience2", "dropout": [0.1, 0.2]},
    {"activation": [LeakyReLU(0.1), "tanh"], "optimizer": "adamw", "schedule": "cosine", "standardize": True},
    {"n_iter_no_change": np.inf, "init": {"name": "he"}},
]


def predictions(estimator: Any, X: np.ndarray) -> np.ndarray:
    return estimator.predict_proba(X) if isinstance(estimator, MLPClassifier) else estimator.predict(X)


@pytest.mark.parametrize("options", CLASSIFIERS, ids=str)
@pytest.mark.parametrize("kind", ["whole numbers", "texts"])
def test_a_classifier_comes_back_whole(
    kind: str, options: dict[str, Any], tmp_path: Path, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    X, y = digits
    y = TARGETS[kind](y)
    fitted = MLPClassifier(**{**OPTIONS, **options}).fit(X, y)
    loaded = MLPClassifier.load(fitted.save(tmp_path / "model"))
    np.testing.assert_array_equal(predictions(loaded, X), predictions(fitted, X))
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))
    for name in ("loss_", "n_iter_", "t_", "best_loss_", "validation_scores_", "best_validation_score_"):
        assert getattr(loaded, name, None) == getattr(fitted, name, None), name
    if options.get("solver") != "lbfgs":
        for estimator in (loaded, fitted):
            estimator.partial_fit(X, y)
        np.testing.assert_array_equal(loaded.coefs_[0], fitted.coefs_[0])


@pytest.mark.parametrize("kind", TARGETS)
def test_labels_of_every_kind_come_back(kind: str, tmp_path: Path, digits: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = digits
    fitted = MLPClassifier(**OPTIONS).fit(X, TARGETS[kind](y))
    loaded = MLPClassifier.load(fitted.save(tmp_path))
    assert loaded.classes_.dtype == fitted.classes_.dtype
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))


@pytest.mark.parametrize("options", [{}, {"standardize": True}, {"loss": "poisson"}], ids=str)
def test_a_regressor_comes_back_whole(
    options: dict[str, Any], tmp_path: Path, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    X, y = digits
    fitted = MLPRegressor(**OPTIONS, **options).fit(X, y * 100)
    loaded = MLPRegressor.load(fitted.save(tmp_path))
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))
    np.testing.assert_array_equal(loaded.partial_fit(X, y * 100).coefs_[0], fitted.partial_fit(X, y * 100).coefs_[0])


def test_damaged_and_foreign_files_are_refused(tmp_path: Path, digits: tuple[np.ndarray, np.ndarray]) -> None:
    fitted = MLPClassifier(**OPTIONS).fit(*digits)
    with pytest.raises(ModelFileError, match="holds no estimator"):
        MLPClassifier.load(tmp_path)
    fitted.save(tmp_path)
    with pytest.raises(ModelFileError, match="holds a MLPClassifier, not a MLPRegressor"):
        MLPRegressor.load(tmp_path)
    for name in ("estimator.json", "estimator.safetensors"):
        whole = (tmp_path / name).read_bytes()
        for place in range(0, len(whole), max(1, len(whole) // 60)):
            damaged = bytearray(whole)
            damaged[place] ^= 0x40
            (tmp_path / name).write_bytes(bytes(damaged))
            with pytest.raises(ModelFileError, match="damaged"):
                MLPClassifier.load(tmp_path)
        (tmp_path / name).write_bytes(whole)
    assert json.loads((tmp_path / "estimator.json").read_text())["class"] == "MLPClassifier"
    MLPClassifier.load(tmp_path)


def test_a_users_own_objects_are_not_saved(tmp_path: Path, digits: tuple[np.ndarray, np.ndarray]) -> None:
    fitted = MLPClassifier(**OPTIONS, callbacks=[Callback()]).fit(*digits)
    with pytest.raises(ConfigError, match="callbacks"):
        fitted.save(tmp_path)
    assert not list(tmp_path.iterdir())


# scikit-learn

BOTH: list[tuple[str, dict[str, Any], str]] = [
    ("MLPClassifier", {}, "texts"),
    ("MLPClassifier", {"solver": "sgd", "activation": "tanh"}, "two classes"),
    ("MLPClassifier", {"solver": "sgd", "momentum": 0.0}, "labels"),
    ("MLPClassifier", {"solver": "lbfgs"}, "whole numbers"),
    ("MLPRegressor", {}, "whole numbers"),
    ("MLPRegressor", {"solver": "sgd", "nesterovs_momentum": False, "learning_rate_init": 1e-4}, "whole numbers"),
    ("MLPRegressor", {"loss": "poisson"}, "whole numbers"),
]


@pytest.mark.parametrize(("cls", "options", "kind"), BOTH)
def test_from_and_to_scikit_learn(
    cls: str, options: dict[str, Any], kind: str, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    X, y = digits
    y = TARGETS[kind](y)
    theirs = getattr(neural_network, cls)(**{**OPTIONS, **options}).fit(X, y)
    ours = glassnet.from_sklearn(theirs)
    predict = "predict_proba" if cls == "MLPClassifier" else "predict"
    np.testing.assert_allclose(getattr(ours, predict)(X), getattr(theirs, predict)(X), atol=1e-12)
    back = ours.to_sklearn()
    np.testing.assert_allclose(getattr(back, predict)(X), getattr(theirs, predict)(X), atol=1e-12)
    assert back.get_params() == theirs.get_params()
    if options.get("solver") != "lbfgs":  # all three go on alike: the optimiser's memory went with them
        for estimator in (theirs, ours, back):
            estimator.partial_fit(X, y)
        np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], atol=1e-12)
        np.testing.assert_allclose(back.coefs_[0], theirs.coefs_[0], atol=1e-12)
    assert not np.shares_memory(ours.coefs_[0], theirs.coefs_[0])


def test_from_scikit_learn_unfitted() -> None:
    ours = glassnet.from_sklearn(neural_network.MLPRegressor(alpha=0.5, hidden_layer_sizes=3))
    assert (type(ours), ours.alpha, ours.hidden_layer_sizes) == (MLPRegressor, 0.5, 3)
    with pytest.raises(ConfigError, match="expected scikit-learn's"):
        glassnet.from_sklearn(3)


@pytest.mark.parametrize(
    ("cls", "options", "text"),
    [
        (MLPClassifier, {"activation": "gelu"}, "one activation for all"),
        (MLPClassifier, {"activation": ["relu", "tanh"]}, "one activation for all"),
        (MLPClassifier, {"standardize": True}, "StandardScaler"),
        (MLPRegressor, {"loss": "huber"}, "no loss 'huber'"),
    ],
)
def test_what_scikit_learn_cannot_have(
    cls: Any, options: dict[str, Any], text: str, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    with pytest.raises(ConfigError, match=text):
        cls(**OPTIONS, **options).fit(*digits).to_sklearn()


# PyTorch

MODULES: list[tuple[Any, dict[str, Any], str]] = [
    *((MLPClassifier, {"activation": activation}, "whole numbers") for activation in ACTIVATIONS.names()),
    (MLPClassifier, {"standardize": True}, "whole numbers"),
    (MLPClassifier, {"dropout": 0.5}, "labels"),
    (MLPClassifier, {}, "two classes"),
    (MLPRegressor, {"standardize": True}, "whole numbers"),
    (MLPRegressor, {"loss": "poisson"}, "whole numbers"),
    (MLPRegressor, {"hidden_layer_sizes": ()}, "labels"),
]


@pytest.mark.parametrize(("cls", "options", "kind"), MODULES)
def test_to_torch_has_the_same_outputs(
    cls: Any, options: dict[str, Any], kind: str, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    X, y = digits
    fitted = cls(**{**OPTIONS, **options}).fit(X, TARGETS[kind](y))
    module = fitted.to_torch()
    assert isinstance(module, torch.nn.Sequential)
    out = module(torch.from_numpy(X)).detach().numpy()
    expected = predictions(fitted, X)
    if kind == "two classes":
        expected = expected[:, 1:]
    np.testing.assert_allclose(out, expected.reshape(out.shape), atol=1e-12)


def test_to_torch_refuses_a_users_own_activation(digits: tuple[np.ndarray, np.ndarray]) -> None:
    fitted = MLPClassifier(**OPTIONS, activation=(np.sin, np.cos)).fit(*digits)
    with pytest.raises(ConfigError, match="no module for the activation"):
        fitted.to_torch()
