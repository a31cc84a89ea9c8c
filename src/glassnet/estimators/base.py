"""What both estimators are: parameters, data at the border, training, predictions, and a look inside."""

from __future__ import annotations

import copy
import math
import warnings
from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from itertools import pairwise
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from glassnet.activations import Logistic, activation
from glassnet.arrays import as_csr, as_dense, is_sparse
from glassnet.config import TrainingConfig
from glassnet.data.examples import Examples
from glassnet.engine import limited_threads, native
from glassnet.engine.devices import CPU
from glassnet.errors import ConfigError, DataError, InputError, NotFiniteError, ShapeError
from glassnet.estimators.checkpoints import checkpoints
from glassnet.estimators.lbfgs import block_rows, fit_lbfgs
from glassnet.estimators.progress import CURVES, EstimatorTrainer, Memory, Progress, fresh_figures
from glassnet.losses import Loss
from glassnet.messages import say
from glassnet.network import Network, one_each
from glassnet.optimisers import OPTIMISERS, SGD, Adam, Momentum, Nesterov
from glassnet.regularisers import Regularisation
from glassnet.trace import Trace, trace
from glassnet.training import History
from glassnet.training.early_stopping import Criterion
from glassnet.training.preparation import Preparation
from glassnet.training.trainer import HALTED

_NATIVE_ROWS = 64  # from which on it pays to hand them to the native engine

NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
)

PARAMETERS = """hidden_layer_sizes : int or sequence of int, default (100,)
        Units of each hidden layer.
    activation : str, dict, Activation, pair of functions, or list of them, default "relu"
        Of the hidden layers, one for all or one for each: "identity", "logistic", "tanh", "relu", and also
        "leaky_relu", "elu", "gelu", "silu", "softplus", "softmax".
    solver : {"adam", "sgd", "lbfgs"}, default "adam"
    alpha : float ≥ 0, default 0.0001
        Strength of the ℓ2 penalty ½ α‖W‖², divided by the size of the batch (the sum of its sample weights). For a
        strength that does not depend on the batch take ``l2``.
    batch_size : int or "auto", default "auto"
        "auto": min(200, n_samples).
    learning_rate : {"constant", "invscaling", "adaptive"}, default "constant"
        For the solver "sgd".
    learning_rate_init : float > 0, default 0.001
    power_t : float ≥ 0, default 0.5
        Of "invscaling": the learning rate after t samples is learning_rate_init / (t + 1)^power_t.
    max_iter : int, default 200
        Epochs, or iterations of "lbfgs".
    shuffle : bool, default True
    random_state : int, RandomState or None, default None
        Decides initial weights, held-out rows, orders and dropout masks, to the bit. Initial weights, held-out rows and
        orders are those of scikit-learn with the same ``random_state``.
    tol : float ≥ 0, default 1e-4
    verbose : bool, default False
    warm_start : bool, default False
        ``fit`` goes on from the last call's parameters, and from what the optimiser remembers.
    momentum : float in [0, 1], default 0.9
    nesterovs_momentum : bool, default True
    early_stopping : bool, str, dict or Criterion, default False
        True: stop when the score on held-out rows has not improved by ``tol`` for ``n_iter_no_change`` epochs. "GL5",
        "PQ0.5", "UP3", "patience10": stop by this criterion of Prechelt 1998 on the held-out loss. Both end with the
        parameters of the best epoch.
    validation_fraction : float in [0, 1), default 0.1
        The share that early stopping holds out, unless ``fit`` gets ``X_val`` and ``y_val``.
    beta_1, beta_2 : float in [0, 1), default 0.9 and 0.999
    epsilon : float > 0, default 1e-8
    n_iter_no_change : int, default 10
    max_fun : int, default 15000
        Evaluations of the loss by "lbfgs".
    dropout : float in [0, 1) or sequence of float, default 0.0
        Probability of dropping a hidden unit, for all layers or one by one.
    input_dropout : float in [0, 1), default 0.0
    init : str, dict, Initialiser; or a list of them, default "auto"
        Initial weights. "auto": those of scikit-learn, Glorot's rule for weights and biases. By name or with
        parameters: "xavier", "he", "lecun", "orthogonal", "normal" and so on (see ``glassnet.initialisers``); biases
        are then 0.
    initial_weights : pair of lists, optional
        ``(coefs, intercepts)`` to start from, in the shapes of ``coefs_`` and ``intercepts_``.
    l1, l2 : float ≥ 0, default 0.0
        λ of λ‖W‖₁ and ½λ‖W‖², in the mean loss.
    weight_decay : float ≥ 0, optional
        β of W ← (1 − β) W at each step; with the optimiser "adamw" times the learning rate.
    max_norm : float > 0, optional
        The largest norm of the weights into a unit.
    clip_norm : float > 0, optional
        The largest norm of the whole gradient.
    optimizer : str, dict or Optimiser, optional
        Instead of ``solver``: "sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw", with parameters of their own:
        ``{"name": "momentum", "momentum": 0.5}``. The learning rate is ``learning_rate_init``.
    schedule : str, dict or Schedule, optional
        Of the learning rate over ``max_iter`` epochs: "step", "exponential", "linear", "cosine", "one_cycle",
        "reduce_on_plateau" and so on. Training then ends after ``max_iter`` epochs, ``tol`` does not count.
    standardize : bool, default False
        Scale each feature to mean 0 and variance 1, by the rows of the first call and their sample weights (and the
        target of a regressor, but for counts). Costs a copy of X, and for float32 another one while it is made.
    callbacks : sequence of glassnet.training.Callback, default ()
    checkpoint : path, optional
        A folder in which ``fit`` saves all that it takes to go on, every ``checkpoint_every``, and when it is told to
        end (SIGTERM, Ctrl-C). One ``fit`` at a time can use it.
    checkpoint_every : str or number, default "30s"
        "30s", "5m", "200-steps", "epoch", "3-epochs"; a number stands for seconds.
    resume : bool, default False
        ``fit`` goes on from the newest checkpoint in ``checkpoint``, if there is one: with the same data and parameters
        it ends with the same bits as without the break. ``max_iter`` may be raised where there is no ``schedule``.
    device : str, default "cpu"
        "cpu", "cuda" and so on; "auto" takes an accelerator if there is one.
    engine : {"auto", "native", "reference"}, default "auto"
    precision : {"auto", "exact", "fast"}, default "auto"
        "fast": products in bfloat16 where the processor has it, for float32 data.
    threads : int, optional
        At most; by default one a core, or what OMP_NUM_THREADS says."""

ATTRIBUTES = """coefs_ : list of ndarray (n_in, n_out)
        W of each layer, transposed.
    intercepts_ : list of ndarray (n_out,)
    loss_ : float
        Of the last epoch, penalties included.
    best_loss_ : float or None
        The least; None with early stopping.
    loss_curve_ : list of float
        The loss of each epoch.
    validation_scores_ : list of float or None
        Accuracy or R² on the held-out rows after each epoch.
    best_validation_score_ : float or None
    n_iter_ : int
        Epochs of the last call.
    t_ : int
        Training samples seen.
    n_layers_, n_outputs_ : int
    out_activation_ : str
    n_features_in_ : int
    feature_names_in_ : ndarray
        If X has names that are strings.
    history_ : History or None
        All figures of the last call, the engine that trained, and why it ended; None after "lbfgs".
    scaler_ : StandardScaler
        With ``standardize``."""


class _Undo:
    """What an estimator was before a call of ``fit``: put back if the call fails before training begins."""

    def __init__(self, estimator: BaseMLP) -> None:
        self.estimator = estimator
        self.before = estimator.__dict__.copy()
        self.armed = True

    def disarm(self) -> None:
        """Training begins: from now on the estimator is what training makes of it."""
        self.armed = False

    def __enter__(self) -> _Undo:
        return self

    def __exit__(self, kind: Any, *rest: Any) -> None:
        if kind is not None and self.armed:
            self.estimator.__dict__.clear()
            self.estimator.__dict__.update(self.before)


def documented(cls: type) -> type:
    """Class decorator: put the shared parameters and attributes into the docstring."""
    cls.__doc__ = (cls.__doc__ or "").replace("{parameters}", PARAMETERS).replace("{attributes}", ATTRIBUTES)
    return cls


class BaseMLP(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A multilayer perceptron with scikit-learn's interface. Write ``_loss``, ``_targets`` and ``_out_activation``.

    Shapes: X (n_samples, n_features)    y (n_samples,) or (n_samples, n_outputs)
    """

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012 - this is scikit-learn's name and form for it
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "solver": [StrOptions({"lbfgs", "sgd", "adam"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean", str, dict, Criterion],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "standardize": ["boolean"],
        "resume": ["boolean"],
    }

    n_iter_: int
    t_: int
    loss_: float
    loss_curve_: list[float]
    best_loss_: Any
    validation_scores_: Any
    best_validation_score_: Any
    coefs_: list[np.ndarray]
    intercepts_: list[np.ndarray]
    history_: History | None
    _memory: Memory

    def _take(self, given: dict[str, Any]) -> None:
        """Store the arguments of ``__init__``: all locals but those that are not parameters."""
        for name, value in given.items():
            if name not in ("self", "__class__"):
                setattr(self, name, value)

    # What a subclass says

    @abstractmethod
    def _make_loss(self) -> Loss:
        """The loss, for the targets that ``fit`` has seen."""

    @abstractmethod
    def _out_activation(self) -> str:
        """scikit-learn's name for the output's function."""

    @abstractmethod
    def _validated(self, X: Any, y: Any, *, incremental: bool, reset: bool) -> tuple[Any, Any]:
        """X and y, checked by scikit-learn's rules; y still in the user's form."""

    @abstractmethod
    def _targets(self, y: Any, dtype: Any, *, fresh: bool = False, weight: Any = None) -> np.ndarray:
        """y as the loss takes it: class indices (N,), or values (N, n_outputs); ``fresh``: the first of a fit."""

    @abstractmethod
    def _n_outputs(self, y: Any) -> int:
        """How many outputs y asks for."""

    def _constant(self, examples: Examples, rows: np.ndarray | None = None) -> float:
        """What scikit-learn's loss of these rows has that ours leaves out: a constant of the targets."""
        return 0.0

    def _sample_weight(self, y: Any, sample_weight: Any, *, incremental: bool) -> Any:
        """Sample weights with class weights, where there are any."""
        return sample_weight

    def _strata(self, targets: np.ndarray) -> np.ndarray | None:
        """By what held-out rows are stratified."""
        return None

    # Training

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, *, incremental: bool, X_val: Any = None, y_val: Any = None
    ) -> Self:
        with _Undo(self) as undo:
            self._train(X, y, sample_weight, (X_val, y_val), undo, incremental=incremental)
        return self

    def _train(
        self, X: Any, y: Any, sample_weight: Any, held_out: tuple[Any, Any], undo: _Undo, *, incremental: bool
    ) -> None:
        first = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
        hidden = self._hidden_sizes()
        X, y = self._validated(X, y, incremental=incremental, reset=first)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=X.dtype)
        weight = self._sample_weight(y, sample_weight, incremental=incremental)
        X = self._scaled(X, fit=first, weight=sample_weight)
        targets = self._targets(y, X.dtype, fresh=first, weight=sample_weight)
        self.n_outputs_ = self._n_outputs(y)
        sizes = [X.shape[1], *hidden, self.n_outputs_]
        random = check_random_state(self.random_state)
        if first:
            self._initialise(sizes, X.dtype, random)
        elif [*(len(coef) for coef in self.coefs_), self.n_outputs_] != sizes:
            have = [*(len(coef) for coef in self.coefs_), len(self.intercepts_[-1])]
            text = say("the sizes of the layers have changed from {have} to {come}: fit anew", have=have, come=sizes)
            raise ShapeError(text)
        if (held_out[0] is None) != (held_out[1] is None):
            raise InputError(say("give X_val and y_val together"))
        examples = Examples(as_csr(X) if is_sparse(X) else X, targets, weight)
        self._memory = copy.copy(self._memory)
        self.coefs_ = [array if array.flags.writeable else array.copy("K") for array in self.coefs_]
        self.intercepts_ = [array if array.flags.writeable else array.copy() for array in self.intercepts_]
        network = self._network(training=True)
        try:
            if self._uses_lbfgs():
                self._fit_lbfgs(network, examples, held_out, undo)
            else:
                self._fit_stochastic(network, examples, held_out, random, undo, incremental=incremental)
        finally:
            self.coefs_ = [layer.params["W"].T for layer in network.layers if layer.params]
            self.intercepts_ = [layer.params["b"] for layer in network.layers if layer.params]

    def _hidden_sizes(self) -> list[int]:
        given = self.hidden_layer_sizes
        sizes = list(given) if hasattr(given, "__iter__") else [given]
        if any(size <= 0 for size in sizes):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
        if not all(isinstance(size, Integral) for size in sizes):
            raise TypeError(f"hidden_layer_sizes must be whole numbers, got {sizes}.")
        return [int(size) for size in sizes]

    def _initialise(self, sizes: list[int], dtype: Any, random: np.random.RandomState) -> None:
        self._memory = Memory()
        self.n_layers_ = len(sizes)
        self.out_activation_ = self._out_activation()
        self.n_iter_ = 0
        self.t_ = 0
        for name in CURVES:
            self.__dict__.pop(name, None)
        if not self._uses_lbfgs():
            fresh_figures(self)
        if self.initial_weights is not None:
            coefs, intercepts = self._given_weights(sizes)
        elif isinstance(self.init, str) and self.init == "auto":
            coefs, intercepts = self._glorot(sizes, random)
        else:
            seed = int(random.randint(np.iinfo(np.int32).max))
            network = Network.dense(sizes, self._activations(len(sizes) - 1), init=self.init, seed=seed)
            coefs = [layer.params["W"].T for layer in network.layers]
            intercepts = [layer.params["b"] for layer in network.layers]
        self.coefs_ = [np.array(coef.T, dtype=dtype, order="C").T for coef in coefs]
        self.intercepts_ = [np.array(intercept, dtype=dtype) for intercept in intercepts]
        if self.input_dropout or np.any(self.dropout):
            self._memory.seed = int(random.randint(np.iinfo(np.int32).max))

    def _activations(self, depth: int) -> list[Any]:
        return one_each(self.activation, depth - 1, "activation")

    def _glorot(self, sizes: list[int], random: np.random.RandomState) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Weights and biases uniform on [−r, r], r² = 6 / (n_in + n_out), or 2 for logistic units (Glorot 2010)."""
        coefs, intercepts = [], []
        sigmas = [*self._activations(len(sizes) - 1), self.activation]
        for (n_in, n_out), sigma in zip(pairwise(sizes), sigmas, strict=True):
            logistic = not isinstance(sigma, list) and isinstance(activation(sigma), Logistic)
            bound = math.sqrt((2.0 if logistic else 6.0) / (n_in + n_out))
            coefs.append(random.uniform(-bound, bound, (n_in, n_out)))
            intercepts.append(random.uniform(-bound, bound, n_out))
        return coefs, intercepts

    def _given_weights(self, sizes: list[int]) -> tuple[Sequence[np.ndarray], Sequence[np.ndarray]]:
        given = self.initial_weights
        try:
            coefs, intercepts = ([np.asarray(array) for array in arrays] for arrays in given)
        except (TypeError, ValueError):
            raise ConfigError(say("initial_weights must be a pair of lists (coefs, intercepts)")) from None
        shapes = [(coef.shape, intercept.shape) for coef, intercept in zip(coefs, intercepts, strict=False)]
        wanted = [((n_in, n_out), (n_out,)) for n_in, n_out in pairwise(sizes)]
        if shapes != wanted or len(coefs) != len(intercepts):
            text = say("initial_weights must have the shapes {wanted}, not {come}", wanted=wanted, come=shapes)
            raise ShapeError(text)
        return coefs, intercepts

    def _network(self, *, training: bool = False) -> Network:
        """The network of ``coefs_`` and ``intercepts_``, sharing their memory; with dropout only for training."""
        options: dict[str, Any] = {}
        if training:
            dropout = self.dropout if np.ndim(self.dropout) == 0 else tuple(self.dropout)
            options = {"dropout": dropout, "input_dropout": self.input_dropout, "seed": self._memory.seed}
        weights = [coef.T for coef in self.coefs_]
        return Network.of_parameters(weights, self.intercepts_, self._activations(len(weights)), **options)

    @property
    def _stops_early(self) -> bool:
        return not isinstance(self.early_stopping, (bool, np.bool_)) or bool(self.early_stopping)

    def _uses_lbfgs(self) -> bool:
        return bool(self.optimizer is None and self.solver == "lbfgs")

    def _uses_sgd(self) -> bool:
        return bool(self.optimizer is None and self.solver == "sgd")

    def _optimiser(self) -> Any:
        if self.optimizer is not None:
            return self.optimizer
        if self.solver == "adam":
            return Adam(self.beta_1, self.beta_2, self.epsilon, epsilon_hat=True)
        if self.momentum == 0:
            return SGD()
        return (Nesterov if self.nesterovs_momentum else Momentum)(self.momentum)

    def _config(self, rows: int) -> TrainingConfig:
        if self.batch_size == "auto":
            batch_size = min(200, rows)
        else:
            if self.batch_size > rows:
                warnings.warn(
                    "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=7
                )
            batch_size = min(int(self.batch_size), rows)
        return TrainingConfig.make(
            loss=self._make_loss(),
            optimiser=self._optimiser(),
            lr=float(self.learning_rate_init),
            schedule="constant" if self.schedule is None else self.schedule,
            batch_size=batch_size,
            epochs=int(self.max_iter),
            shuffle=bool(self.shuffle),
            l1=self.l1,
            l2=self.l2,
            alpha=float(self.alpha),
            weight_decay=self.weight_decay,
            max_norm=self.max_norm,
            clip_norm=self.clip_norm,
            device=self.device,
            engine=self.engine,
            precision=self.precision,
            threads=self.threads,
        )

    def _fit_stochastic(
        self,
        network: Network,
        examples: Examples,
        held_out: tuple[Any, Any],
        random: np.random.RandomState,
        undo: _Undo,
        *,
        incremental: bool,
    ) -> None:
        self._prepare_figures(incremental=incremental)
        rows, validation = self._hold_out(examples, held_out, random)
        n, memory = len(examples) if rows is None else len(rows), self._memory
        constant = self._constant(examples, rows)
        progress = Progress(self, rows=n, constant=constant, incremental=incremental, begun=undo.disarm)
        if not isinstance(self.callbacks, (list, tuple)):
            raise ConfigError(say("callbacks is a list of Callback objects"))
        config = self._config(n)
        name = OPTIMISERS.make(config.optimiser).name
        if memory.optimiser is not None and memory.optimiser["name"] != name:  # another rule begins anew
            memory.optimiser, memory.lr, memory.schedule = None, None, None
        trainer = EstimatorTrainer(
            network,
            config,
            [*self.callbacks, progress],
            first_epoch=memory.epochs,
            memory=memory.optimiser,
        )
        trainer.random = random
        self.n_iter_ = 0
        self._check_checkpoint()
        if incremental:
            trainer.base_lr = memory.lr or trainer.base_lr
            trainer.schedule_state = memory.schedule or trainer.schedule_state
            trainer.step = memory.epochs * -(-n // cast(int, config.batch_size))
        code = ""
        try:
            with checkpoints(self, trainer, examples, validation, rows) if not incremental else nullcontext():
                trainer.fit(examples, validation, rows=rows)
            code = trainer.history.stop_code
        except NotFiniteError as error:
            self._rescue(error)
            code = "diverged"
            trainer.stop(code, str(error))
        finally:
            self.history_ = trainer.history
            memory.optimiser = {"name": name, **trainer.updater.state()}
            memory.lr, memory.schedule = trainer.base_lr, trainer.schedule_state
        if code == "diverged":  # what the optimiser remembers has diverged, too
            memory.optimiser, memory.lr, memory.schedule = None, None, None
        memory.stopped = progress.stopped
        if memory.best and (progress.stopped or not incremental or code == "diverged"):
            network.set_parameters(memory.best)
        if code in HALTED:
            warnings.warn("Training interrupted by user.", stacklevel=6)
        elif code == "epochs" and self.schedule is None and progress.criterion is None:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization hasn't "
                "converged yet.",
                ConvergenceWarning,
                stacklevel=6,
            )

    def _check_checkpoint(self) -> None:
        if self.resume and self.checkpoint is None:
            raise ConfigError(say("resume=True needs the folder: checkpoint='…'"))

    def _rescue(self, error: NotFiniteError) -> None:
        """After divergence: a warning if there is a best epoch to go back to, else a ValueError."""
        if self._memory.best:
            warnings.warn(f"{error} The parameters are those of the best epoch.", ConvergenceWarning, stacklevel=7)
        elif error.quantity == "val_loss":
            raise ValueError(str(error)) from error
        else:
            raise ValueError(f"{NOT_FINITE} ({error})") from error

    def _prepare_figures(self, *, incremental: bool) -> None:
        """The figures that the call begins with: what it counts is counted anew, but for ``partial_fit``."""
        memory = self._memory
        if not hasattr(self, "loss_curve_"):  # until now it was L-BFGS
            fresh_figures(self)
        if not incremental or memory.stopped:
            memory.waited, memory.va, memory.tr, memory.best = 0, [], [], {}
            self.best_validation_score_ = None
        memory.stopped = False
        if not self._stops_early:
            memory.best = {}
            self.best_loss_ = math.inf if self.best_loss_ is None else self.best_loss_
        elif self.best_validation_score_ is None:
            self.best_validation_score_ = -math.inf

    def _hold_out(
        self, examples: Examples, given: tuple[Any, Any], random: np.random.RandomState
    ) -> tuple[np.ndarray | None, Examples | None]:
        """The rows to train on (None: all), and the held-out examples if there are any."""
        rows = validation = None
        if given[0] is not None:
            validation = self._validation(*given)
        elif self._stops_early:
            rows, held = train_test_split(
                np.arange(len(examples)),
                random_state=random,
                test_size=self.validation_fraction,
                stratify=self._strata(examples.y),
            )
            validation = examples.take(held)
            if examples.weight is not None and not examples.weight[rows].any():
                raise DataError(say("all rows that are left to train on have the weight 0"))
        if self._stops_early and validation is not None and len(validation) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        return rows, validation

    def _validation(self, X: Any, y: Any) -> Examples:
        """The caller's own held-out rows."""
        X, y = self._checked_like_training(X, y)
        X = self._scaled(X)
        return Examples(as_csr(X) if is_sparse(X) else X, self._targets(y, X.dtype))

    @abstractmethod
    def _checked_like_training(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Held-out X and y, checked against what was fitted."""

    def _fit_lbfgs(self, network: Network, examples: Examples, held_out: tuple[Any, Any], undo: _Undo) -> None:
        without = {
            "dropout": np.any(self.dropout),
            "input_dropout": self.input_dropout,
            "l1": self.l1,
            "weight_decay": self.weight_decay,
            "max_norm": self.max_norm,
            "clip_norm": self.clip_norm,
            "schedule": self.schedule is not None,
            "callbacks": len(self.callbacks),
            "checkpoint": self.checkpoint is not None,
            "X_val": held_out[0] is not None,
        }
        given = [name for name, value in without.items() if value]
        if given:
            raise ConfigError(say("the solver 'lbfgs' does without {names}; take 'adam' or 'sgd'", names=given))
        loss = self._make_loss()
        rules = Regularisation(l2=self.l2, alpha=float(self.alpha))
        examples = Preparation(network, loss)(examples)
        undo.disarm()
        with limited_threads(CPU, self.threads):
            found = fit_lbfgs(
                network,
                loss,
                rules,
                examples,
                max_iter=self.max_iter,
                max_fun=self.max_fun,
                tol=self.tol,
                report=_print_loss if self.verbose else None,
            )
        if not all(np.isfinite(theta).all() for _, theta in network.parameters()):
            raise ValueError(NOT_FINITE)
        self.loss_ = found.loss + self._constant(examples)
        self.n_iter_ = found.n_iter
        self.history_ = None
        if not found.converged:
            warnings.warn(
                f"lbfgs failed to converge after {found.n_iter} iteration(s): {found.reason}\n\n"
                "You might also want to scale the data, or raise max_iter or max_fun.",
                ConvergenceWarning,
                stacklevel=6,
            )

    def _check_solver(self) -> bool:
        if self._uses_lbfgs():
            raise AttributeError("partial_fit is only available for stochastic optimizers. lbfgs is not stochastic.")
        return True

    # Features

    def _scaled(self, X: Any, *, fit: bool = False, weight: Any = None) -> Any:
        """X with each feature standardised, where that is asked for; sample weights count."""
        if not self.standardize:
            return X
        if fit:
            self.scaler_ = StandardScaler(with_mean=not is_sparse(X)).set_output(transform="default")
            self.scaler_.fit(X, sample_weight=weight)
        elif not hasattr(self, "scaler_"):
            raise ConfigError(say("standardize was switched on after fit: fit anew"))
        elif is_sparse(X) and self.scaler_.with_mean:
            raise ConfigError(say("it was trained on dense rows with standardize=True, so it takes no sparse ones"))
        return self.scaler_.transform(X)

    def _features(self, X: Any) -> Any:
        """Rows to predict, as the network takes them."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        X = self._scaled(X)
        return as_csr(X) if is_sparse(X) else X

    def _forward(self, network: Network, X: Any) -> np.ndarray:
        """a^L (N, n_outputs), block of rows by block, in the parameters' precision."""
        run: Callable[[Any], Any]
        if X.shape[0] >= _NATIVE_ROWS and native.cannot_carry(network) is None:
            run = native.Forward(network, sparse=is_sparse(X), threads=self.threads)
        else:
            run = lambda rows: network.forward(as_dense(rows))  # noqa: E731
        rows = block_rows(X.shape[1])
        return np.concatenate([run(X[start : start + rows]) for start in range(0, max(X.shape[0], 1), rows)])

    def _net_outputs(self, X: Any) -> np.ndarray:
        """a^L (N, n_outputs) of rows in the user's form: logits, or the regressor's numbers."""
        X = self._features(X)
        return self._forward(self._network(), X)

    def _sampled(self, X: Any, samples: int) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities or means (N, n_outputs) over ``samples`` dropout masks, and their standard deviation."""
        X, loss = self._features(X), self._make_loss()
        network = self._network(training=True)
        if (
            not isinstance(samples, Integral)
            or samples < 0
            or not any(layer.kind == "dropout" for layer in network.layers)
        ):
            raise ConfigError(say("samples must be 0 or more, and needs a network with dropout"))
        means, spreads, rows = [], [], block_rows(X.shape[1])
        for start in range(0, X.shape[0], rows):
            drawn = network.sample(as_dense(X[start : start + rows]), samples, first=start)
            values = np.stack([np.asarray(loss.link(a)) for a in drawn])
            means.append(values.mean(axis=0))
            spreads.append(values.std(axis=0))
        return np.concatenate(means), np.concatenate(spreads)

    # A look inside

    def transform(self, X: Any, layer: int | None = None) -> np.ndarray:
        """Activations of a hidden layer.

        Parameters
        ----------
        X : array-like or sparse matrix (n_samples, n_features)
        layer : int, optional
            From 1; by default the last hidden layer.

        Returns
        -------
        ndarray (n_samples, n_units)
        """
        check_is_fitted(self)
        last = len(self.coefs_) - 1
        layer = last if layer is None else layer
        if not isinstance(layer, Integral) or not 1 <= layer <= last:
            raise InputError(say("there are hidden layers 1 to {last}, but no layer {layer}", last=last, layer=layer))
        if layer != last and _get_output_config("transform", self)["dense"] != "default":
            raise ConfigError(say("with set_output only the last hidden layer can be shown; reset it to 'default'"))
        return self._forward(Network(self._network().layers[:layer]), self._features(X))

    @property
    def _n_features_out(self) -> int:
        return len(self.coefs_[-1])

    def trace(self, X: Any, y: Any, sample_weight: Any = None) -> Trace:
        """Every z, a, δ and gradient of these samples, without dropout, as BP.1 to BP.4 give them.

        Parameters
        ----------
        X, y : as in ``fit``
        sample_weight : array-like (n_samples,), optional

        Returns
        -------
        glassnet.inspection.Trace
        """
        check_is_fitted(self)
        X, y = self._checked_like_training(X, y)
        X = self._scaled(X)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=X.dtype)
        return trace(self._network(), self._make_loss(), as_dense(X), self._targets(y, X.dtype), weight=sample_weight)

    # Elsewhere

    def save(self, folder: str | Path) -> Path:
        """Write the estimator into a folder: parameters, fitted attributes and the optimiser's state, without pickle.

        Raises
        ------
        ConfigError
            If a parameter is an object of your own: a file cannot hold code.
        ModelFileError
            If the files cannot be written.
        """
        from glassnet.estimators.convert import save

        check_is_fitted(self)
        return save(self, folder)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """The estimator that :meth:`save` wrote; ModelFileError if it is missing, damaged or another class's."""
        from glassnet.estimators.convert import load

        return cast(Self, load(cls, folder))

    def to_sklearn(self) -> Any:
        """scikit-learn's estimator of the same class, fitted: same parameters, attributes and predictions.

        Raises
        ------
        ConfigError
            If the network has what scikit-learn's cannot have (another activation, say).
        """
        from glassnet.estimators.convert import to_sklearn

        check_is_fitted(self)
        return to_sklearn(self)

    def to_torch(self) -> Any:
        """A ``torch.nn.Sequential`` with the outputs of ``predict_proba``, or of ``predict`` for a regressor.

        The outputs have the shape (n_samples, n_outputs); a binary classifier's is the probability of ``classes_[1]``.
        """
        from glassnet.estimators.convert import to_torch

        check_is_fitted(self)
        return to_torch(self)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "coefs_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _print_loss(iteration: int, loss: float) -> None:
    print(f"Iteration {iteration}, loss = {loss:.8f}")
