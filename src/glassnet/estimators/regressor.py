"""The regressor."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy.special import xlogy
from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import validate_data

from glassnet.data.examples import Examples
from glassnet.errors import ShapeError
from glassnet.estimators.base import BaseMLP, documented
from glassnet.losses import LOSSES, Loss
from glassnet.messages import say


@documented
class MLPRegressor(RegressorMixin, BaseMLP):
    """Multilayer perceptron for numbers: scikit-learn's ``MLPRegressor``, with more.

    Shapes: X (n_samples, n_features)    y (n_samples,) or (n_samples, n_outputs)

    Minimises ½‖a − y‖² (or another loss), by explicit back-propagation. Every parameter that scikit-learn's has means
    the same and has the same default; with float64 data and the same ``random_state`` training follows the same path.
    What is different on purpose: docs/from-scikit-learn.md.

    Parameters
    ----------
    loss : {"squared_error", "poisson", "absolute_error", "huber"}, default "squared_error"
        "poisson": for counts; the network gives the logarithm of the mean.
    {parameters}

    Attributes
    ----------
    {attributes}

    Notes
    -----
    With several outputs the loss is the sum over them, whose gradient training follows; scikit-learn reports their
    mean and yet follows the gradient of the sum.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from glassnet import MLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> reg = MLPRegressor(standardize=True, solver="lbfgs", alpha=10.0, random_state=0).fit(X, y)
    >>> bool(reg.score(X, y) > 0.5)
    True
    """

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions({"squared_error", "poisson", "absolute_error", "huber"})],
    }

    def __init__(
        self,
        loss: str = "squared_error",
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
        return LOSSES.make(self.loss)

    def _out_activation(self) -> str:
        return "exp" if self.loss == "poisson" else "identity"

    def _validated(self, X: Any, y: Any, *, incremental: bool, reset: bool) -> tuple[Any, Any]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=True,
            dtype=(np.float64, np.float32),
            reset=reset,
        )
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _checked_like_training(self, X: Any, y: Any) -> tuple[Any, Any]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=True,
            dtype=self.coefs_[0].dtype,
            reset=False,
        )
        return X, y

    def _targets(self, y: Any, dtype: Any, *, fresh: bool = False, weight: Any = None) -> np.ndarray:
        y = np.asarray(y, dtype=dtype)
        y = y[:, None] if y.ndim == 1 else y
        if fresh:
            self._target_mean, self._target_scale = np.zeros(y.shape[1], dtype), np.ones(y.shape[1], dtype)
            if self.standardize and self.loss != "poisson":
                mean = np.average(y, axis=0, weights=weight)
                spread = np.sqrt(np.average(np.square(y - mean), axis=0, weights=weight))
                constant = spread <= 10 * np.finfo(dtype).eps * np.abs(mean)
                self._target_mean = mean.astype(dtype)
                self._target_scale = np.where(constant, 1.0, spread).astype(dtype)
        elif y.shape[1] != len(self._target_mean):
            text = say("y must have {n} columns, as in training, not {come}", n=len(self._target_mean), come=y.shape[1])
            raise ShapeError(text)
        return np.asarray((y - self._target_mean) / self._target_scale) if self.standardize else y

    def _n_outputs(self, y: Any) -> int:
        return 1 if y.ndim == 1 else int(y.shape[1])

    def _constant(self, examples: Examples, rows: np.ndarray | None = None) -> float:
        if self.loss != "poisson":
            return 0.0
        y, weight = examples.y, examples.weight
        if rows is not None:
            y, weight = y[rows], None if weight is None else weight[rows]
        return float(np.average(xlogy(y, y) - y, weights=weight, axis=0).sum())

    # What a user calls

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None) -> Self:
        """Train on X and y.

        Parameters
        ----------
        X : array-like or sparse matrix (n_samples, n_features)
        y : array-like (n_samples,) or (n_samples, n_outputs)
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
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None) -> Self:
        """Train for one epoch on X and y, going on from the last call; the parameters are those of :meth:`fit`."""
        return self._fit(X, y, sample_weight, incremental=True, X_val=X_val, y_val=y_val)

    def predict(self, X: Any, *, samples: int = 0, return_std: bool = False) -> Any:
        """Numbers, (n_samples,) or (n_samples, n_outputs), in the target's units.

        With ``samples`` > 0 the mean over so many random dropout masks (Gal and Ghahramani 2016), and with
        ``return_std`` also the standard deviation over them, as a second array.
        """
        if samples:
            mean, spread = self._sampled(X, samples)
        else:
            with np.errstate(over="ignore", invalid="ignore"):
                mean = np.asarray(self._make_loss().link(self._net_outputs(X)))
            spread = np.zeros_like(mean)
        if self.standardize:
            mean, spread = mean * self._target_scale + self._target_mean, spread * self._target_scale
        if mean.shape[1] == 1:
            mean, spread = mean.ravel(), spread.ravel()
        return (mean, spread) if return_std else mean

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
