"""Paths on which our estimators and scikit-learn's do the same. A new path is one more line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Path:
    """Parameters of both estimators; ``targets`` says what y is, ``weights`` that samples have weights."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    targets: str = "classes"
    weights: bool = False

    def __str__(self) -> str:
        return self.name


_SGD = {"solver": "sgd", "learning_rate_init": 0.1}

SOLVERS = [
    Path("adam"),
    Path("adam, other betas", {"beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-3}),
    Path("sgd, nesterov", _SGD),
    Path("sgd, momentum", {**_SGD, "nesterovs_momentum": False, "momentum": 0.5}),
    Path("sgd, plain", {**_SGD, "momentum": 0.0}),
    Path("sgd, momentum of 1", {**_SGD, "momentum": 1.0, "learning_rate_init": 0.001}),
    Path("sgd, invscaling", {**_SGD, "learning_rate": "invscaling", "power_t": 0.3}),
    Path("sgd, adaptive", {**_SGD, "learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 1}),
]
ACTIVATIONS = [
    Path(f"{solver}, {activation}", {**options, "activation": activation, "hidden_layer_sizes": (9, 7)})
    for solver, options in (("adam", {}), ("sgd", _SGD))
    for activation in ("identity", "logistic", "tanh", "relu")
]
OTHERS = [
    Path("no hidden layer", {"hidden_layer_sizes": ()}),
    Path("one layer, as a number", {"hidden_layer_sizes": 12}),
    Path("alpha 0", {"alpha": 0.0}),
    Path("large alpha", {**_SGD, "alpha": 5.0}),
    Path("batches of 1", {**_SGD, "batch_size": 1, "learning_rate_init": 0.001, "max_iter": 3}),
    Path("a short last batch", {"batch_size": 64, "alpha": 0.1}),
    Path("one batch", {"batch_size": 170}),
    Path("in order", {"shuffle": False}),
    Path("sample weights", weights=True),
    Path("sample weights, sgd, alpha", {**_SGD, "alpha": 0.5}, weights=True),
    Path("early stopping", {"early_stopping": True, "n_iter_no_change": 3, "max_iter": 60, "learning_rate_init": 0.01}),
    Path("early stopping, sgd", {**_SGD, "early_stopping": True, "n_iter_no_change": 2, "validation_fraction": 0.3}),
    Path("early stopping, sample weights", {"early_stopping": True, "validation_fraction": 0.2}, weights=True),
    Path("stops by itself", {"tol": 0.02, "n_iter_no_change": 2, "max_iter": 200}),
]
PATHS = [*SOLVERS, *ACTIVATIONS, *OTHERS]

LABELS = [
    Path("two classes", targets="binary"),
    Path("two classes, early stopping", {"early_stopping": True}, targets="binary"),
    Path("two classes, sgd, sample weights", _SGD, targets="binary", weights=True),
    Path("texts", targets="texts"),
    Path("several labels", targets="labels"),
    Path("several labels, early stopping", {"early_stopping": True}, targets="labels"),
    Path("one class", {"max_iter": 2}, targets="one"),
]
NUMBERS = [
    Path("several outputs", targets="several"),
    Path("several outputs, sgd, sample weights", {**_SGD, "learning_rate_init": 0.01}, targets="several", weights=True),
    Path("counts", {"loss": "poisson"}, targets="counts"),
    Path("counts, sgd, sample weights", {"loss": "poisson", "solver": "sgd"}, targets="counts", weights=True),
    Path("counts, early stopping", {"loss": "poisson", "early_stopping": True}, targets="counts"),
]
