"""Estimators elsewhere: files without pickle, scikit-learn's own classes, PyTorch modules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn import neural_network
from sklearn.preprocessing import LabelBinarizer, StandardScaler

from glassnet.activations import ACTIVATIONS, activation
from glassnet.errors import ConfigError, ModelFileError
from glassnet.estimators.progress import Memory
from glassnet.initialisers import INITIALISERS
from glassnet.messages import say
from glassnet.network import one_each
from glassnet.optimisers import OPTIMISERS
from glassnet.registry import Registry
from glassnet.schedules import SCHEDULES
from glassnet.storage import damaged, read_pair, write_pair
from glassnet.training.early_stopping import CRITERIA

if TYPE_CHECKING:
    from glassnet.estimators.base import BaseMLP

FORMAT = "glassnet-estimator"
VERSION = 2
ARRAYS = "estimator.safetensors"
MANIFEST = "estimator.json"

_NUMBERS = ("n_iter_", "t_", "loss_", "best_loss_", "best_validation_score_", "n_layers_", "n_outputs_")
_FIGURES = (*_NUMBERS, "loss_curve_", "validation_scores_", "n_features_in_", "out_activation_")
_COMPONENTS: tuple[Registry[Any], ...] = (ACTIVATIONS, INITIALISERS, OPTIMISERS, SCHEDULES, CRITERIA)
_BOTH = ("identity", "logistic", "tanh", "relu")


# Files


def save(estimator: BaseMLP, folder: str | Path) -> Path:
    """What ``save`` of the estimator does."""
    folder = Path(folder)
    arrays = _arrays(estimator)
    memory = estimator._memory
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "class": type(estimator).__name__,
        "parameters": {
            name: _parameter_to_json(name, value) for name, value in estimator.get_params(deep=False).items()
        },
        "attributes": {name: _plain(getattr(estimator, name)) for name in _FIGURES if hasattr(estimator, name)},
        "memory": {
            **{
                name: _plain(getattr(memory, name))
                for name in ("epochs", "seed", "lr", "schedule", "waited", "va", "tr", "stopped")
            },
            "optimiser": None if memory.optimiser is None else {k: memory.optimiser[k] for k in ("name", "t")},
        },
    }
    if hasattr(estimator, "feature_names_in_"):
        manifest["feature_names"] = list(estimator.feature_names_in_)
    if hasattr(estimator, "classes_"):
        kind = estimator.classes_.dtype
        plain = all(isinstance(label, (str, bool, int, float)) for label in estimator.classes_.tolist())
        if kind.kind not in "biufUO" or not plain:
            raise ConfigError(say("a file can hold labels that are texts or numbers only"))
        manifest["classes"] = {
            "dtype": kind.str,
            "labels": estimator.classes_.tolist(),
            "kind": estimator._label_binarizer.y_type_,
            "sparse": bool(estimator._label_binarizer.sparse_input_),
        }
    json.dumps(manifest)  # what cannot be written fails before anything is
    write_pair(folder / MANIFEST, manifest, ARRAYS, arrays)
    return folder


def load(cls: type[BaseMLP], folder: str | Path) -> BaseMLP:
    """What ``load`` of the estimator does."""
    folder = Path(folder)
    path = folder / MANIFEST
    if not path.exists():
        raise ModelFileError(say("{path} holds no estimator: there is no {name}", path=folder, name=MANIFEST))
    manifest, arrays = read_pair(path, ARRAYS, FORMAT, VERSION)
    if manifest.get("class") != cls.__name__:
        text = say("{path} holds a {have}, not a {wanted}", path=path, have=manifest.get("class"), wanted=cls.__name__)
        raise ModelFileError(text)
    with damaged(path):
        parameters = {name: _parameter_from_json(name, value) for name, value in manifest["parameters"].items()}
        estimator = cls(**parameters)
        _restore(estimator, manifest, arrays)
        return estimator


def _arrays(estimator: BaseMLP) -> dict[str, np.ndarray]:
    arrays = {}
    for l, (coef, intercept) in enumerate(zip(estimator.coefs_, estimator.intercepts_, strict=True), start=1):
        arrays[f"{l}.W"], arrays[f"{l}.b"] = np.asarray(coef).T, np.asarray(intercept)
    memory = estimator._memory
    if memory.optimiser is not None:
        arrays.update({f"slot.{name}": array for name, array in memory.optimiser["slots"].items()})
    arrays.update({f"best.{name}": array for name, array in memory.best.items()})
    if estimator.standardize:
        scaler = estimator.scaler_
        arrays["scaler.scale"], arrays["scaler.var"] = scaler.scale_, scaler.var_
        arrays["scaler.n"] = np.asarray(scaler.n_samples_seen_)
        if scaler.with_mean:
            arrays["scaler.mean"] = scaler.mean_
    for name in ("_target_mean", "_target_scale"):
        if hasattr(estimator, name):
            arrays[name] = getattr(estimator, name)
    return arrays


def _restore(estimator: BaseMLP, manifest: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    def under(prefix: str) -> dict[str, np.ndarray]:
        return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}

    for name in _FIGURES:
        if name in manifest["attributes"]:
            setattr(estimator, name, manifest["attributes"][name])
    depth = int(manifest["attributes"]["n_layers_"]) - 1
    estimator.coefs_ = [arrays[f"{l}.W"].T for l in range(1, depth + 1)]
    estimator.intercepts_ = [arrays[f"{l}.b"] for l in range(1, depth + 1)]
    memory = dict(manifest["memory"])
    state = memory.pop("optimiser")
    estimator._memory = Memory(
        **memory, optimiser=None if state is None else {**state, "slots": under("slot.")}, best=under("best.")
    )
    if "classes" in manifest:
        classes = manifest["classes"]
        labels, dtype = np.array(classes["labels"]), np.dtype(classes["dtype"])
        if dtype.kind not in "biufUO" or dtype.itemsize > max(8, labels.itemsize):
            raise ValueError(say("{name} has a value of another kind", name="classes.dtype"))
        labels = labels.astype(dtype)
        estimator.classes_ = labels
        estimator._label_binarizer = _binarizer(labels, multilabel=classes["kind"] == "multilabel-indicator")
        estimator._label_binarizer.sparse_input_ = bool(classes["sparse"])
    if "scaler.scale" in arrays:
        scaler = StandardScaler(with_mean="scaler.mean" in arrays)
        scaler.scale_, scaler.var_ = arrays["scaler.scale"], arrays["scaler.var"]
        scaler.mean_ = arrays.get("scaler.mean")
        scaler.n_samples_seen_, scaler.n_features_in_ = arrays["scaler.n"], len(scaler.scale_)
        estimator.scaler_ = scaler
    for name in ("_target_mean", "_target_scale"):
        if name in arrays:
            setattr(estimator, name, arrays[name])
    estimator.history_ = None
    sizes = estimator._network().sizes  # which looks whether the shapes fit
    if (estimator.n_features_in_, estimator.n_outputs_) != (sizes[0], sizes[-1]):
        raise ValueError(say("{name} has a value of another kind", name="n_features_in_"))
    row = np.zeros((1, sizes[0]))  # all that a prediction needs is there, and fits
    estimator.predict(row)
    if hasattr(estimator, "predict_proba"):
        estimator.predict_proba(row)
    if "feature_names" in manifest:
        names = np.asarray(manifest["feature_names"], dtype=object)
        if names.shape != (sizes[0],) or not all(isinstance(name, str) for name in names):
            raise ValueError(say("{name} has a value of another kind", name="feature_names"))
        estimator.feature_names_in_ = names


def _binarizer(classes: np.ndarray, *, multilabel: bool) -> LabelBinarizer:
    return LabelBinarizer().fit(np.eye(len(classes), dtype=np.int64) if multilabel else classes)


def _parameter_to_json(name: str, value: Any) -> Any:
    for registry in _COMPONENTS:
        if isinstance(value, registry.base):
            return registry.spec(value)
    if isinstance(value, np.random.RandomState):
        return None
    if name == "initial_weights" and value is not None:
        return None  # they have done their work, and the file has the weights
    if name == "class_weight" and isinstance(value, dict):
        return {"pairs": [[_plain(k), _plain(v)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        return [_parameter_to_json(name, entry) for entry in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    plain = _plain(value)
    if plain is not None and not isinstance(plain, (bool, int, float, str, dict)):
        text = say(
            "the parameter {name} is an object of your own ({value!r}); a file cannot hold it", name=name, value=value
        )
        raise ConfigError(text)
    return plain


def _parameter_from_json(name: str, value: Any) -> Any:
    if name == "class_weight" and isinstance(value, (dict, list)):
        return [dict(one["pairs"]) for one in value] if isinstance(value, list) else dict(value["pairs"])
    return tuple(value) if isinstance(value, list) and name in ("hidden_layer_sizes", "callbacks") else value


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    return [_plain(entry) for entry in value] if isinstance(value, list) else value


# scikit-learn


def from_sklearn(estimator: Any) -> Any:
    """The estimator of this library that does what one of scikit-learn's does, fitted if that is.

    Parameters
    ----------
    estimator : sklearn.neural_network.MLPClassifier or MLPRegressor

    Returns
    -------
    MLPClassifier or MLPRegressor
        With copies of its weights and of its optimiser's state.

    Raises
    ------
    ConfigError
        If it is neither.
    """
    from glassnet.estimators.classifier import MLPClassifier
    from glassnet.estimators.regressor import MLPRegressor

    classes: dict[type, type[BaseMLP]] = {
        neural_network.MLPClassifier: MLPClassifier,
        neural_network.MLPRegressor: MLPRegressor,
    }
    cls = next((ours for theirs, ours in classes.items() if isinstance(estimator, theirs)), None)
    if cls is None:
        raise ConfigError(say("expected scikit-learn's MLPClassifier or MLPRegressor, not {given!r}", given=estimator))
    ours = cls(**estimator.get_params(deep=False))
    if not hasattr(estimator, "coefs_"):
        return ours
    dtype = estimator.coefs_[0].dtype
    ours.coefs_ = [np.array(coef.T, order="C").T for coef in estimator.coefs_]
    ours.intercepts_ = [np.array(intercept) for intercept in estimator.intercepts_]
    own = getattr(estimator, "_optimizer", None)
    ours._memory = Memory(
        epochs=len(getattr(estimator, "loss_curve_", [])),
        optimiser=_state_of(estimator),
        lr=getattr(own, "learning_rate", None) if estimator.solver == "sgd" else None,
        waited=int(getattr(estimator, "_no_improvement_count", 0)),
    )
    for name in (*_FIGURES, "feature_names_in_", "classes_", "_label_binarizer"):
        if hasattr(estimator, name):
            value = getattr(estimator, name)
            setattr(ours, name, list(value) if isinstance(value, list) else value)
    if cls is MLPRegressor:
        ours._target_mean = np.zeros(ours.n_outputs_, dtype)
        ours._target_scale = np.ones(ours.n_outputs_, dtype)
    ours.history_ = None
    return ours


def _state_of(estimator: Any) -> dict[str, Any] | None:
    """The updater's state that scikit-learn's optimiser stands for."""
    own = getattr(estimator, "_optimizer", None)
    if own is None:
        return None
    slots, names = {}, _slot_names(len(estimator.coefs_))
    if hasattr(own, "ms"):
        kind, lists = "adam", {"mean": own.ms, "square": own.vs}
    else:
        kind = "sgd" if own.momentum == 0 else "nesterov" if own.nesterov else "momentum"
        lists = {} if kind == "sgd" else {"velocity": own.velocities}
    for slot, arrays in lists.items():
        for name, array in zip(names, arrays, strict=True):
            slots[f"{name}.{slot}"] = np.array(array.T, order="C")
    return {"name": kind, "t": int(getattr(own, "t", 0)), "slots": slots}


def _slot_names(depth: int) -> list[str]:
    """In scikit-learn's order: all weights, then all biases."""
    return [f"{l}.{name}" for name in ("W", "b") for l in range(1, depth + 1)]


def to_sklearn(estimator: BaseMLP) -> Any:
    """What ``to_sklearn`` of the estimator does."""
    cls = getattr(neural_network, type(estimator).__name__)
    depth = len(estimator.coefs_)
    sigmas = {_name_of(sigma) for sigma in one_each(estimator.activation, depth - 1, "activation")}
    if len(sigmas) > 1 or not sigmas <= set(_BOTH):
        text = say(
            "scikit-learn has one activation for all hidden layers, one of {known}; this network has {have}",
            known=", ".join(_BOTH),
            have=", ".join(sorted(sigmas)),
        )
        raise ConfigError(text)
    if estimator.standardize:
        raise ConfigError(say("scikit-learn's estimator does not standardize: put a StandardScaler before it instead"))
    if getattr(estimator, "loss", "squared_error") not in ("squared_error", "poisson"):
        raise ConfigError(say("scikit-learn's regressor has no loss {loss!r}", loss=estimator.loss))
    theirs = cls()
    shared = {name: value for name, value in estimator.get_params(deep=False).items() if name in theirs.get_params()}
    shared["activation"] = next(iter(sigmas), "identity")
    shared["early_stopping"] = estimator._stops_early
    theirs.set_params(**shared)
    theirs.coefs_ = [np.array(coef, order="C") for coef in estimator.coefs_]
    theirs.intercepts_ = [np.array(intercept) for intercept in estimator.intercepts_]
    for name in (*_FIGURES, "feature_names_in_", "classes_", "_label_binarizer"):
        if hasattr(estimator, name):
            value = getattr(estimator, name)
            setattr(theirs, name, list(value) if isinstance(value, list) else value)
    theirs._no_improvement_count = estimator._memory.waited
    theirs._best_coefs = [coef.copy() for coef in theirs.coefs_]
    theirs._best_intercepts = [intercept.copy() for intercept in theirs.intercepts_]
    theirs._random_state = np.random.RandomState()
    _give_state(theirs, estimator._memory)
    return theirs


def _give_state(theirs: Any, memory: Memory) -> None:
    """Let scikit-learn's optimiser, if it has the same rule, go on where ours stands."""
    from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

    params, state = theirs.coefs_ + theirs.intercepts_, memory.optimiser
    if state is None or theirs.solver == "lbfgs":
        return

    def slot(name: str) -> list[np.ndarray]:
        return [np.array(state["slots"][f"{key}.{name}"].T, order="C") for key in _slot_names(len(theirs.coefs_))]

    if theirs.solver == "adam" and state["name"] == "adam":
        own = AdamOptimizer(params, theirs.learning_rate_init, theirs.beta_1, theirs.beta_2, theirs.epsilon)
        own.t, own.ms, own.vs = state["t"], slot("mean"), slot("square")
    elif theirs.solver == "sgd" and state["name"] in ("sgd", "momentum", "nesterov"):
        own = SGDOptimizer(
            params,
            theirs.learning_rate_init,
            theirs.learning_rate,
            theirs.momentum,
            theirs.nesterovs_momentum,
            theirs.power_t,
        )
        own.learning_rate = memory.lr or own.learning_rate
        if state["slots"]:
            own.velocities = slot("velocity")
    else:
        return
    theirs._optimizer = own


def _name_of(sigma: Any) -> str:
    return str(activation(sigma).name)


# PyTorch


def to_torch(estimator: BaseMLP) -> Any:
    """What ``to_torch`` of the estimator does: scalings are folded into the first and the last layer."""
    import torch
    from torch import nn

    class Exp(nn.Module):
        """eˣ."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.exp(x)

    made = {
        "identity": nn.Identity,
        "logistic": nn.Sigmoid,
        "tanh": nn.Tanh,
        "relu": nn.ReLU,
        "gelu": nn.GELU,
        "silu": nn.SiLU,
        "softplus": nn.Softplus,
        "exp": Exp,
    }

    def module(sigma: Any) -> nn.Module:
        sigma = activation(sigma) if not isinstance(sigma, str) or sigma not in made else sigma
        name = sigma if isinstance(sigma, str) else sigma.name
        if name == "leaky_relu":
            return nn.LeakyReLU(sigma.slope)
        if name == "elu":
            return nn.ELU(sigma.alpha)
        if name == "softmax":
            return nn.Softmax(dim=1)
        if name not in made:
            raise ConfigError(say("PyTorch has no module for the activation {sigma!r}", sigma=sigma))
        return made[name]()

    weights = [np.array(coef.T, np.float64) for coef in estimator.coefs_]
    biases = [np.array(intercept, np.float64) for intercept in estimator.intercepts_]
    if estimator.standardize:
        scaler = estimator.scaler_
        weights[0] = weights[0] / scaler.scale_
        if scaler.with_mean:
            biases[0] = biases[0] - weights[0] @ scaler.mean_
        if estimator.out_activation_ == "identity":
            scale, mean = estimator._target_scale, estimator._target_mean
            weights[-1], biases[-1] = weights[-1] * scale[:, None], biases[-1] * scale + mean
    dtype = torch.from_numpy(np.empty(0, estimator.coefs_[0].dtype)).dtype
    parts: list[nn.Module] = []
    sigmas = [*one_each(estimator.activation, len(weights) - 1, "activation"), estimator.out_activation_]
    for W, b, sigma in zip(weights, biases, sigmas, strict=True):
        linear = nn.Linear(W.shape[1], W.shape[0], dtype=dtype)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(W))
            linear.bias.copy_(torch.from_numpy(b))
        parts += [linear, module(sigma)]
    return nn.Sequential(*parts).eval()
