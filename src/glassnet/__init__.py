"""Glassnet: feed-forward networks trained by explicit back-propagation, open to view.

>>> import glassnet
>>> network = glassnet.Network.dense([64, 32, 10], activation="relu")

Names are imported when they are first used, so that ``import glassnet`` costs next to nothing.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glassnet import (
        activations,
        data,
        errors,
        estimators,
        initialisers,
        layers,
        lecture,
        losses,
        messages,
        optimisers,
        random,
        schedules,
        training,
    )
    from glassnet.backprop import backprop
    from glassnet.estimators import MLPClassifier, MLPRegressor, from_sklearn
    from glassnet.inspection.gradient_check import check_gradients
    from glassnet.model import Model, load
    from glassnet.network import Network
    from glassnet.regularisers import Regularisation
    from glassnet.runs import fit
    from glassnet.training.trainer import train

__version__ = "0.1.0"

_NAMES = {
    "MLPClassifier": "glassnet.estimators",
    "MLPRegressor": "glassnet.estimators",
    "Model": "glassnet.model",
    "Network": "glassnet.network",
    "Regularisation": "glassnet.regularisers",
    "backprop": "glassnet.backprop",
    "check_gradients": "glassnet.inspection.gradient_check",
    "fit": "glassnet.runs",
    "from_sklearn": "glassnet.estimators",
    "load": "glassnet.model",
    "train": "glassnet.training.trainer",
}
_MODULES = (
    "activations",
    "data",
    "errors",
    "estimators",
    "initialisers",
    "layers",
    "lecture",
    "losses",
    "messages",
    "optimisers",
    "random",
    "schedules",
    "training",
)

__all__ = [
    "MLPClassifier",
    "MLPRegressor",
    "Model",
    "Network",
    "Regularisation",
    "__version__",
    "activations",
    "backprop",
    "check_gradients",
    "data",
    "errors",
    "estimators",
    "fit",
    "from_sklearn",
    "initialisers",
    "layers",
    "lecture",
    "load",
    "losses",
    "messages",
    "optimisers",
    "random",
    "schedules",
    "train",
    "training",
]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(importlib.import_module(_NAMES[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"glassnet.{name}")
    else:
        raise AttributeError(f"module 'glassnet' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(ModuleType):
    def __setattr__(self, name: str, value: Any) -> None:
        """Importing the module ``backprop`` must not hide the function of that name behind the module."""
        if name in _NAMES and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
