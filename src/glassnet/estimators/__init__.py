"""Estimators for scikit-learn: its ``MLPClassifier`` and ``MLPRegressor`` with one import line changed, and more."""

from __future__ import annotations

from glassnet.estimators.classifier import MLPClassifier
from glassnet.estimators.convert import from_sklearn
from glassnet.estimators.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "from_sklearn"]
