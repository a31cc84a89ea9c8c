"""The classifier."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy.special import log_softmax
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels
from sklearn.utils.validation import validate_data

from glassnet.activations import logistic, softmax, softplus
from glassnet.arrays import is_sparse
from glassnet.errors import ConfigError, DataError
from glassnet.estimators.base import BaseMLP, documented
from glassnet.losses import BinaryCrossEntropy, CrossEntropy, Loss
from glassnet.messages import say


@documented
class MLPClassifier(ClassifierMixin, BaseMLP):
    """Multilayer perceptron for classes and labels: scikit-learn's ``MLPClassifier``, with more.

    Shapes: X (n_samples, n_features)    y (n_samples,), or (n_samples, n_labels) of 0 and 1

    Minimises the cross-entropy, by explicit back-propagation. Every parameter that scikit-learn's has means the same
    and has the same default; with float64 data and the same ``random_state`` training follows the same path. What is
    different on purpose: docs/from-scikit-learn.md.

    Parameters
    ----------
    {parameters}
    class_weight : dict or "balanced", optional
        Weights of the classes, which multiply the sample weights.
    label_smoothing : float in [0, 1), default 0.0
        ε: targets become (1 − ε) y + ε / K (Szegedy et al. 2016).

    Attributes
    ----------
    classes_ : ndarray
    {attributes}

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from glassnet import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = MLPClassifier(hidden_layer_sizes=(20,), max_iter=500, random_state=0).fit(X, y)
    >>> bool(clf.score(X, y) > 0.95)
    True
    """

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012
        **BaseMLP._parameter_constraints,
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: Any = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: Any = 10,
        max_fun: int = 15000,
        dropout: Any = 0.0,
        input_dropout: float = 0.0,
        init: Any = "auto",
        initial_weights: Any = None,
        l1: float = 0.0,
        l2: float = 0.0,
        weight_decay: float | None = None,
        max_norm: float | None = None,
        clip_norm: float | None = None,
        class_weight: Any = None,
        label_smoothing: float = 0.0,
        optimizer: Any = None,
        schedule: Any = None,
        standardize: bool = False,
        callbacks: Any = (),
        checkpoint: Any = None,
        checkpoint_every: Any = "30s",
        resume: bool = False,
        device: str = "cpu",
        engine: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
    ) -> None:
        self._take(locals())

    # Targets

    def _make_loss(self) -> Loss:
        kind = CrossEntropy if self.out_activation_ == "softmax" else BinaryCrossEntropy
        return kind(self.label_smoothing)

    def _out_activation(self) -> str:
        return "softmax" if self._label_binarizer.y_type_ == "multiclass" else "logistic"

    def _validated(self, X: Any, y: Any, *, incremental: bool, reset: bool) -> tuple[Any, Any]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            dtype=(np.float64, np.float32),
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or (not self.warm_start and not incremental):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
            return X, y
        classes = unique_labels(y)
        if self.warm_start and not incremental:
            if set(classes) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                    f"Previously got {self.classes_}, `y` has {classes}"
                )
        elif len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {classes}."
            )
        return X, y

    def _checked_like_training(self, X: Any, y: Any) -> tuple[Any, Any]:
        dtype = self.coefs_[0].dtype
        X, y = validate_data(self, X, y, accept_sparse=["csr", "csc"], multi_output=True, dtype=dtype, reset=False)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        unknown = np.setdiff1d(unique_labels(y), self.classes_)
        if len(unknown):
            text = say("y has the label {label!r}, which training has not seen", label=unknown[:1].tolist()[0])
            raise DataError(text)
        return X, y

    def _targets(self, y: Any, dtype: Any, *, fresh: bool = False, weight: Any = None) -> np.ndarray:
        multilabel = self._label_binarizer.y_type_.startswith("multilabel")
        if (np.ndim(y) == 2 or is_sparse(y)) != multilabel:
            raise DataError(say("y has one label a row where training had several, or the reverse"))
        if self._label_binarizer.y_type_ == "multiclass":
            return np.asarray(np.searchsorted(self.classes_, y))
        y = self._label_binarizer.transform(y)
        return np.asarray(y.toarray() if is_sparse(y) else y, dtype=dtype)

    def _n_outputs(self, y: Any) -> int:
        kind = self._label_binarizer.y_type_
        return 1 if kind == "binary" else len(self.classes_)

    def _sample_weight(self, y: Any, sample_weight: Any, *, incremental: bool) -> Any:
        if self.class_weight is None:
            return sample_weight
        if incremental and isinstance(self.class_weight, str):
            raise ConfigError(
                say("class_weight 'balanced' needs all rows at once; give partial_fit weights by class instead")
            )
        weight = compute_sample_weight(self.class_weight, y)
        return weight if sample_weight is None else weight * sample_weight

    def _strata(self, targets: np.ndarray) -> np.ndarray | None:
        return targets if self._label_binarizer.y_type_ == "binary" else None

    # What a user calls

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None) -> Self:
        """Train on X and y.

        Parameters
        ----------
        X : array-like or sparse matrix (n_samples, n_features)
        y : array-like (n_samples,), or (n_samples, n_labels) of 0 and 1
            Class labels of any kind that scikit-learn takes.
        sample_weight : array-like (n_samples,), optional
        X_val, y_val : as X and y, optional
            Held-out rows of your own, for ``validation_scores_`` and early stopping.

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, incremental=False, X_val=X_val, y_val=y_val)

    @available_if(lambda self: self._check_solver())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        classes: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Train for one epoch on X and y, going on from the last call.

        Parameters
        ----------
        X, y, sample_weight, X_val, y_val : as in :meth:`fit`
        classes : array-like (n_classes,), optional
            All labels that will ever come; the first call needs them.

        Returns
        -------
        self
        """
        if _check_partial_fit_first_call(self, classes):
            self._label_binarizer = LabelBinarizer()
            self._label_binarizer.fit(y if type_of_target(y).startswith("multilabel") else classes)
        return self._fit(X, y, sample_weight, incremental=True, X_val=X_val, y_val=y_val)

    def predict(self, X: Any, *, samples: int = 0) -> Any:
        """Labels, (n_samples,) or (n_samples, n_labels).

        With ``samples`` > 0, those of the mean over so many random dropout masks (Gal and Ghahramani 2016).
        """
        a = self._sampled(X, samples)[0] - 0.5 if samples else self._net_outputs(X)
        if self._label_binarizer.y_type_ == "multiclass":
            return self.classes_[a.argmax(axis=1)]
        return self._label_binarizer.inverse_transform(a.ravel() if self.n_outputs_ == 1 else a, threshold=0.0)

    def predict_proba(self, X: Any, *, samples: int = 0, return_std: bool = False) -> Any:
        """Probabilities of the classes (n_samples, n_classes), or of each label.

        With ``samples`` > 0 the mean over so many random dropout masks, and with ``return_std`` also the standard
        deviation over them, as a second array.
        """
        if samples:
            p, spread = self._sampled(X, samples)
            if self.n_outputs_ == 1:
                p, spread = np.hstack([1 - p, p]), np.hstack([spread, spread])
            return (p, spread) if return_std else p
        a = self._net_outputs(X)
        if self.out_activation_ == "softmax":
            p = softmax(a)
        else:
            p = logistic(np.hstack([-a, a]) if self.n_outputs_ == 1 else a)
        return (p, np.zeros_like(p)) if return_std else p

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """The logarithm of :meth:`predict_proba`, from the logits: finite also where a probability rounds to 0."""
        a = self._net_outputs(X)
        if self.out_activation_ == "softmax":
            return np.asarray(log_softmax(a, axis=1))
        return -np.asarray(softplus(np.hstack([a, -a]) if self.n_outputs_ == 1 else -a))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
