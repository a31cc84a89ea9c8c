"""What scikit-learn's tests of its multilayer perceptrons say about public behaviour: both libraries keep it.

docs/scikit-learn-tests.md says which test here answers which of theirs. Where glassnet differs on purpose, the name of
the test says so.
"""

import copy
import pickle
import re
from pathlib import Path

import joblib
import numpy as np
import pytest
import scipy.sparse
from sklearn import neural_network
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import PoissonRegressor
from sklearn.metrics import log_loss, mean_poisson_deviance, roc_auc_score

import glassnet

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

BOTH = {"glassnet": glassnet, "scikit-learn": neural_network}
TABLE = Path(__file__).parents[2] / "docs/scikit-learn-tests.md"
ACTIVATIONS = ("identity", "logistic", "tanh", "relu")

both_libraries = pytest.mark.parametrize("library", BOTH.values(), ids=BOTH.keys())
both_estimators = pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
all_activations = pytest.mark.parametrize("activation", ACTIVATIONS)


# Data


def clouds(classes, rows=90, features=5):
    """Points around the corners of a simplex, and the number of the corner."""
    rng = np.random.default_rng(classes)
    y = np.arange(rows) % classes
    return 2.0 * np.eye(classes, features)[y] + 0.35 * rng.standard_normal((rows, features)), y


def signs(rows=60, features=4, labels=3):
    """Points, and one label for each sign of their first few features."""
    X = np.random.default_rng(7).uniform(-1, 1, (rows, features))
    return X, (X[:, :labels] > 0).astype(int)


def hills(rows=80, features=4):
    """Points, and a smooth function of them with mean 0 and variance 1."""
    X = np.random.default_rng(5).standard_normal((rows, features))
    y = 3 * X[:, 0] + 2 * np.sin(2 * X[:, 1]) + X[:, 2] * X[:, 3]
    return X, (y - y.mean()) / y.std()


def counts(rows=80):
    """Points, and Poisson counts with the mean exp(1 + x)."""
    rng = np.random.default_rng(3)
    x = rng.uniform(-1, 1, rows)
    return x[:, None], rng.poisson(np.exp(1 + x))


TWO, THREE, LABELS, NUMBERS = clouds(2), clouds(3), signs(), hills()
DATA = {"MLPClassifier": TWO, "MLPRegressor": NUMBERS}
PAIR = ([[2.0, 1.0], [-1.0, 3.0]], [0, 1])
"""Two points of two classes."""


def parameters(estimator):
    return [*estimator.coefs_, *estimator.intercepts_]


def put_parameters(estimator, values):
    for theta, value in zip(parameters(estimator), values, strict=True):
        theta[...] = value


def same_parameters(one, other):
    return all(np.array_equal(a, b) for a, b in zip(parameters(one), parameters(other), strict=True))


# One step, by hand and against central differences


@both_libraries
def test_a_step_of_a_classifier_worked_by_hand(library):
    """x = (1, 2), y = 0: one of the two relu units is off, z² = 0, so that p = ½ and δ² = p − y = ½."""
    clf = library.MLPClassifier(
        hidden_layer_sizes=2, solver="sgd", momentum=0, learning_rate_init=0.5, alpha=0.2, random_state=0
    )
    X = [[1.0, 2.0]]
    clf.partial_fit(X, [0], classes=[0, 1])
    put_parameters(clf, [[[1.0, -1.0], [2.0, -1.0]], [[0.4], [3.0]], [-3.0, 1.0], [-0.8]])
    clf.partial_fit(X, [0])

    # a¹ = (1 + 4 − 3, relu(−1 − 2 + 1)) = (2, 0)    z² = 2 · 0.4 − 0.8 = 0    δ¹ = (½ · 0.4, 0) = (0.2, 0)
    # ∂W¹ = x δ¹ + 0.2 W¹    ∂b¹ = δ¹    ∂W² = a¹ δ² + 0.2 W²    ∂b² = δ²
    after = [
        [[1 - 0.5 * (0.2 + 0.2), -1 - 0.5 * -0.2], [2 - 0.5 * (0.4 + 0.4), -1 - 0.5 * -0.2]],
        [[0.4 - 0.5 * (1 + 0.08)], [3 - 0.5 * 0.6]],
        [-3 - 0.5 * 0.2, 1.0],
        [-0.8 - 0.5 * 0.5],
    ]
    for theta, wanted in zip(parameters(clf), after, strict=True):
        np.testing.assert_allclose(theta, wanted, atol=1e-12)
    z = (0.8 + 2 * 1.6 - 3.1) * -0.14 - 1.05
    np.testing.assert_allclose(clf.predict_proba(X), [[1 - 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(-z))]])


def cost(estimator, X, y):
    """The mean loss with the penalty, from what anybody can see of a fitted estimator."""
    penalty = estimator.alpha / 2 * sum((W**2).sum() for W in estimator.coefs_) / len(X)
    if hasattr(estimator, "predict_proba"):
        p = estimator.predict_proba(X)
        if y.ndim == 2:
            return penalty - (y * np.log(p) + (1 - y) * np.log(1 - p)).sum(axis=1).mean()
        return penalty + log_loss(y, p, labels=estimator.classes_)
    if estimator.loss == "poisson":
        return penalty + mean_poisson_deviance(y, estimator.predict(X)) / 2
    return penalty + ((estimator.predict(X) - y) ** 2).mean() / 2


def central_differences(estimator, X, y, h=1e-5):
    gradients = []
    for theta in parameters(estimator):
        gradient = np.zeros(theta.shape)
        for i in np.ndindex(theta.shape):
            before = theta[i]
            theta[i] = before + h
            right = cost(estimator, X, y)
            theta[i] = before - h
            gradient[i] = (right - cost(estimator, X, y)) / (2 * h)
            theta[i] = before
        gradients.append(gradient)
    return gradients


GRADIENTS = {
    "two classes": ("MLPClassifier", {}, clouds(2, rows=6, features=3)),
    "three classes": ("MLPClassifier", {}, clouds(3, rows=6, features=3)),
    "labels": ("MLPClassifier", {}, signs(rows=6, features=3, labels=2)),
    "numbers": ("MLPRegressor", {}, hills(rows=6)),
    "counts": ("MLPRegressor", {"loss": "poisson"}, counts(rows=6)),
}


@all_activations
@pytest.mark.parametrize(("name", "options", "data"), GRADIENTS.values(), ids=GRADIENTS.keys())
@both_libraries
def test_a_step_goes_down_the_gradient_of_central_differences(library, name, options, data, activation):
    X, y = data
    estimator = getattr(library, name)(
        hidden_layer_sizes=3,
        activation=activation,
        solver="sgd",
        momentum=0,
        learning_rate_init=0.1,
        alpha=0.5,
        random_state=4,
        **options,
    )
    classes = {"classes": np.unique(y)} if name == "MLPClassifier" else {}
    estimator.partial_fit(X, y, **classes)
    gradients = central_differences(estimator, X, y)
    before = copy.deepcopy(parameters(estimator))
    estimator.partial_fit(X, y, **classes)
    for old, new, gradient in zip(before, parameters(estimator), gradients, strict=True):
        np.testing.assert_allclose((old - new) / 0.1, gradient, atol=1e-8)


# The optimisers' rules


class Line:
    """y ≈ w₂ (w₁ x + b₁) + b₂: the smallest network, whose gradient fits into four lines."""

    x = np.array([-1.0, 0.5, 2.0, 1.5])
    y = np.array([0.0, 2.0, 1.0, -1.0])

    @classmethod
    def gradient(cls, theta):
        w1, w2, b1, b2 = theta
        e = w2 * (w1 * cls.x + b1) + b2 - cls.y
        return np.array([np.mean(e * w2 * cls.x), np.mean(e * (w1 * cls.x + b1)), np.mean(e * w2), np.mean(e)])

    @staticmethod
    def estimator(library, **options):
        return library.MLPRegressor(
            hidden_layer_sizes=1, activation="identity", alpha=0, random_state=3, **{"solver": "sgd", **options}
        )

    @classmethod
    def train(cls, estimator, epochs):
        """θ before training (as a call of no effect shows it) and after each epoch, (epochs + 1, 4)."""
        initial = copy.deepcopy(estimator).set_params(learning_rate_init=1e-300).partial_fit(cls.x[:, None], cls.y)
        path = [cls.theta(initial)]
        for _ in range(epochs):
            path.append(cls.theta(estimator.partial_fit(cls.x[:, None], cls.y)))
        return np.array(path)

    @staticmethod
    def theta(estimator):
        return np.array([float(np.ravel(theta)[0]) for theta in parameters(estimator)])


def sgd(theta, lr, steps):
    for _ in range(steps):
        theta = theta - lr * Line.gradient(theta)
        yield theta


def momentum(theta, lr, steps, mu=0.8):
    v = np.zeros(4)
    for _ in range(steps):
        v = mu * v - lr * Line.gradient(theta)
        theta = theta + v
        yield theta


def nesterov(theta, lr, steps, mu=0.8):
    v = np.zeros(4)
    for _ in range(steps):
        g = Line.gradient(theta)
        v = mu * v - lr * g
        theta = theta + mu * v - lr * g
        yield theta


def adam(theta, lr, steps, beta_1=0.8, beta_2=0.95, epsilon=1e-4):
    m, v = np.zeros(4), np.zeros(4)
    for t in range(1, steps + 1):
        g = Line.gradient(theta)
        m, v = beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g**2
        theta = theta - lr * np.sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (np.sqrt(v) + epsilon)
        yield theta


RULES = {
    "sgd": (sgd, {"momentum": 0}),
    "momentum": (momentum, {"momentum": 0.8, "nesterovs_momentum": False}),
    "nesterov": (nesterov, {"momentum": 0.8}),
    "adam": (adam, {"solver": "adam", "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-4}),
}


@pytest.mark.parametrize("lr", [1e-3, 0.1, 1.0])
@pytest.mark.parametrize(("rule", "options"), RULES.values(), ids=RULES.keys())
@both_libraries
def test_optimisers_follow_their_rules(library, rule, options, lr):
    path = Line.train(Line.estimator(library, learning_rate_init=lr, **options), 5)
    np.testing.assert_allclose(path[1:], list(rule(path[0], lr, 5)), rtol=1e-9)


@pytest.mark.parametrize(
    ("policy", "rates"), {"constant": [0.1, 0.1, 0.1], "invscaling": [0.1, 0.1, 0.1 / (8 + 1) ** 0.25]}.items()
)
@both_libraries
def test_learning_rate_after_a_warm_start(library, policy, rates):
    """A new call of fit begins with the initial rate, whereas partial_fit goes on after the 2 × 4 samples so far."""
    reg = Line.estimator(
        library,
        learning_rate=policy,
        power_t=0.25,
        learning_rate_init=0.1,
        momentum=0,
        max_iter=1,
        warm_start=True,
    )
    theta = Line.train(reg, 0)[0]
    for train, rate in zip([reg.fit, reg.fit, reg.partial_fit], rates, strict=True):
        train(Line.x[:, None], Line.y)
        np.testing.assert_allclose(theta - Line.theta(reg), rate * Line.gradient(theta), rtol=1e-9)
        theta = Line.theta(reg)


# When training stops

NEVER_ENOUGH = 100.0
"""A tolerance: no epoch after the first improves the loss by it."""


@pytest.mark.parametrize("lr", [1e-3, 2e-6])
@both_libraries
def test_adaptive_rate_falls_by_fifths_until_it_is_tiny(library, lr, capsys):
    clf = library.MLPClassifier(
        solver="sgd",
        learning_rate="adaptive",
        learning_rate_init=lr,
        tol=NEVER_ENOUGH,
        n_iter_no_change=3,
        max_iter=100,
        verbose=True,
    ).fit(*PAIR)
    rates = []
    while lr > 1e-6:
        lr /= 5
        rates.append(f"Setting learning rate to {lr:f}")
    printed = capsys.readouterr().out
    assert [line[line.find("Setting") :] for line in printed.splitlines() if "Setting" in line] == rates
    assert clf.n_iter_ == 1 + 4 + 4 * len(rates)  # the first epoch always improves; four do not, for each rate


@both_libraries
@pytest.mark.parametrize("solver", ["sgd", "adam"])
@both_estimators
def test_tolerance_ends_training(name, solver, library):
    estimator = getattr(library, name)(solver=solver, tol=0.5, max_iter=1000).fit(*PAIR)
    assert estimator.n_iter_ < 1000


@pytest.mark.parametrize("patience", [1, 2, 5, 30])
@both_libraries
def test_n_iter_no_change(library, patience):
    """The first epoch improves on infinity; then ``patience`` epochs may fail, and one more ends it."""
    clf = library.MLPClassifier(
        hidden_layer_sizes=3, solver="sgd", tol=NEVER_ENOUGH, n_iter_no_change=patience, max_iter=1000
    ).fit(*TWO)
    assert clf.n_iter_ == patience + 2


@both_libraries
def test_n_iter_no_change_without_end(library):
    clf = library.MLPClassifier(
        hidden_layer_sizes=3, solver="sgd", tol=NEVER_ENOUGH, n_iter_no_change=np.inf, max_iter=150
    )
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(150\) reached"):
        clf.fit(*TWO)
    assert clf.n_iter_ == 150


@both_libraries
@both_estimators
def test_max_fun_bounds_lbfgs(name, library):
    for activation in ACTIVATIONS:
        estimator = getattr(library, name)(
            solver="lbfgs", hidden_layer_sizes=20, activation=activation, tol=0.0, max_fun=7, random_state=0
        )
        with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge"):
            estimator.fit(*DATA[name])
        assert 0 < estimator.n_iter_ <= 7


@both_libraries
def test_verbose_prints_each_epoch(library, capsys):
    clf = library.MLPClassifier(solver="sgd", max_iter=2, verbose=5, hidden_layer_sizes=2, random_state=0)
    clf.fit(*PAIR)
    clf.partial_fit(*PAIR)
    lines = capsys.readouterr().out.splitlines()
    numbers = (1, 2, 1)
    assert lines == [f"Iteration {i}, loss = {loss:.8f}" for i, loss in zip(numbers, clf.loss_curve_, strict=True)]


# What is learned


@both_libraries
@both_estimators
def test_alpha_shrinks_the_weights(name, library):
    X, y = DATA[name]
    sizes = [
        [
            np.abs(W).sum()
            for W in getattr(library, name)(hidden_layer_sizes=8, alpha=alpha, random_state=2).fit(X, y).coefs_
        ]
        for alpha in (0, 1, 10)
    ]
    assert (np.diff(sizes, axis=0) < 0).all()


@all_activations
@pytest.mark.parametrize("data", [TWO, THREE], ids=["two classes", "three classes"])
@both_libraries
def test_lbfgs_classifies(library, data, activation):
    X, y = data
    clf = library.MLPClassifier(solver="lbfgs", hidden_layer_sizes=20, activation=activation, random_state=1)
    clf.fit(X[:60], y[:60])
    predicted = clf.predict(X[60:])
    assert clf.score(X[:60], y[:60]) > 0.95
    assert np.mean(predicted == y[60:]) > 0.9
    assert (predicted.shape, predicted.dtype.kind) == (y[60:].shape, y.dtype.kind)


@all_activations
@both_libraries
def test_lbfgs_regresses(library, activation):
    reg = library.MLPRegressor(
        solver="lbfgs", hidden_layer_sizes=20, activation=activation, tol=1e-3, random_state=1
    ).fit(*NUMBERS)
    score = reg.score(*NUMBERS)
    assert 0.7 < score < 0.95 if activation == "identity" else score > 0.98


@both_libraries
def test_labels(library):
    X, Y = LABELS
    by_lbfgs = library.MLPClassifier(solver="lbfgs", hidden_layer_sizes=10, activation="logistic", random_state=0)
    assert by_lbfgs.fit(X, Y).score(X, Y) > 0.97

    by_sgd = library.MLPClassifier(hidden_layer_sizes=20, learning_rate_init=0.5, solver="sgd", random_state=0)
    for _ in range(80):
        by_sgd.partial_fit(X, Y, classes=[0, 1, 2])
    assert by_sgd.score(X, Y) > 0.9

    early = library.MLPClassifier(early_stopping=True, max_iter=30, random_state=0).fit(X, Y)
    assert early.predict(X).shape == Y.shape
    assert set(np.unique(early.predict(X))) <= {0, 1}


@pytest.mark.parametrize("form", ["csr_matrix", "csc_array"])
@both_libraries
def test_labels_of_a_sparse_matrix(library, form):
    X, Y = LABELS
    dense, sparse = (
        library.MLPClassifier(hidden_layer_sizes=20, learning_rate_init=0.02, max_iter=50, random_state=0).fit(X, y)
        for y in (Y, getattr(scipy.sparse, form)(Y))
    )
    assert scipy.sparse.issparse(sparse.predict(X))
    np.testing.assert_array_equal(sparse.predict(X).toarray(), dense.predict(X))
    np.testing.assert_allclose(sparse.predict_proba(X), dense.predict_proba(X))
    sparse.partial_fit(X, getattr(scipy.sparse, form)(Y))
    assert sparse.score(X, Y) > 0.8


@both_libraries
def test_several_numbers(library):
    X, _ = NUMBERS
    Y = X @ np.random.default_rng(2).standard_normal((4, 3))
    reg = library.MLPRegressor(solver="lbfgs", hidden_layer_sizes=10, max_iter=300, tol=1e-2, random_state=1).fit(X, Y)
    assert reg.predict(X).shape == Y.shape
    assert reg.score(X, Y) > 0.9


def test_several_numbers_differ_the_loss_is_the_sum_over_outputs():
    """scikit-learn tells their mean, and yet follows the gradient of the sum; glassnet tells what it follows."""
    X, y = NUMBERS
    Y = np.stack([y, 2 * y, y**2], axis=1)
    options = {"hidden_layer_sizes": 4, "alpha": 0, "learning_rate_init": 1e-9, "max_iter": 1, "random_state": 0}
    ours, theirs = (library.MLPRegressor(**options).fit(X, Y) for library in BOTH.values())
    squares = 0.5 * ((Y - ours.predict(X)) ** 2).mean(axis=0)
    np.testing.assert_allclose([ours.loss_, theirs.loss_], [squares.sum(), squares.mean()], rtol=1e-6)


@both_libraries
def test_poisson_loss_is_the_linear_models(library):
    """One identity unit is a linear model, so that both find the same means; squared error finds others."""
    X, y = counts()
    means = PoissonRegressor(alpha=0, tol=1e-8).fit(X, y).predict(X)
    options = {"hidden_layer_sizes": 1, "activation": "identity", "alpha": 0, "solver": "lbfgs", "tol": 1e-8}
    poisson, squares = (
        library.MLPRegressor(loss, random_state=6, **options).fit(X, y) for loss in ("poisson", "squared_error")
    )
    np.testing.assert_allclose(poisson.predict(X), means, rtol=1e-4)
    assert np.abs(squares.predict(X) / means - 1).max() > 0.05


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@both_libraries
def test_poisson_loss_is_half_the_deviance(library, weighted):
    X, y = counts()
    assert (y == 0).any()
    weight = np.random.default_rng(1).uniform(0.1, 5, len(y)) if weighted else None
    reg = library.MLPRegressor("poisson", hidden_layer_sizes=3, alpha=0, learning_rate_init=1e-12, random_state=0)
    reg.partial_fit(X, y, sample_weight=weight)
    half = mean_poisson_deviance(y, reg.predict(X), sample_weight=weight) / 2
    np.testing.assert_allclose(reg.loss_, half, rtol=1e-8)


@pytest.mark.parametrize("data", [TWO, THREE, LABELS], ids=["two classes", "three classes", "labels"])
@both_libraries
def test_the_loss_is_finite_where_the_truth_has_no_probability(library, data):
    X, y = data
    clf = library.MLPClassifier(hidden_layer_sizes=4, alpha=0, learning_rate_init=0.05, max_iter=40, random_state=0)
    clf.fit(X, y)
    for theta in (clf.coefs_[-1], clf.intercepts_[-1]):
        theta *= -1e5  # sure, and wrong
    assert {0.0, 1.0} <= set(clf.predict_proba(X).ravel())
    assert clf.score(X, y) < 0.3
    clf.partial_fit(X, y)
    assert np.isfinite(clf.loss_)
    assert clf.loss_ > 10


# partial_fit


@pytest.mark.parametrize("shuffle", [True, False], ids=["shuffled", "in order"])
@pytest.mark.parametrize("data", [TWO, THREE], ids=["two classes", "three classes"])
@both_libraries
def test_partial_fit_is_fit_for_a_classifier(library, data, shuffle):
    X, y = data
    options = {"solver": "sgd", "learning_rate_init": 0.2, "shuffle": shuffle, "random_state": 1}
    whole = library.MLPClassifier(max_iter=25, tol=0, **options).fit(X, y)
    parts = library.MLPClassifier(**options)
    for _ in range(25):
        parts.partial_fit(X, y, classes=np.unique(y))
    np.testing.assert_array_equal(whole.predict(X), parts.predict(X))
    np.testing.assert_allclose(whole.predict_proba(X), parts.predict_proba(X), rtol=1e-6)
    assert parts.score(X, y) > 0.95


@pytest.mark.parametrize("mu", [0, 0.9])
@both_libraries
def test_partial_fit_is_fit_for_a_regressor(library, mu):
    X, y = NUMBERS
    options = {"solver": "sgd", "learning_rate_init": 0.05, "batch_size": len(X), "momentum": mu, "random_state": 1}
    whole = library.MLPRegressor(max_iter=50, tol=0, **options).fit(X, y)
    parts = library.MLPRegressor(**options)
    for _ in range(50):
        parts.partial_fit(X, y)
    np.testing.assert_allclose(whole.predict(X), parts.predict(X))
    assert parts.score(X, y) > 0.65


WRONG_CLASSES = {
    "none in the first call": ([None], "classes must be passed"),
    "not those of y": ([[2]], "`y` has classes not in"),
    "others than before": ([[0, 1], [1, 2]], "is not the same as on last call"),
}


@pytest.mark.parametrize(("calls", "message"), WRONG_CLASSES.values(), ids=WRONG_CLASSES.keys())
@both_libraries
def test_partial_fit_refuses_classes(library, calls, message):
    clf = library.MLPClassifier(solver="sgd")
    for classes in calls[:-1]:
        clf.partial_fit(*PAIR, classes=classes)
    with pytest.raises(ValueError, match=message):
        clf.partial_fit(*PAIR, classes=calls[-1])


@both_libraries
def test_partial_fit_learns_a_class_that_comes_later(library):
    clf = library.MLPClassifier(learning_rate_init=0.05, random_state=0)
    clf.partial_fit([[0.0], [1.0]], ["oak", "ash"], classes=["ash", "elm", "oak"])
    assert list(clf.classes_) == ["ash", "elm", "oak"]
    for _ in range(20):
        clf.partial_fit([[9.0]], ["elm"])
    assert clf.predict([[9.0]]) == ["elm"]


@pytest.mark.parametrize(
    ("library", "name"),
    [(glassnet, "MLPClassifier"), (glassnet, "MLPRegressor"), (neural_network, "MLPClassifier")],  # their regressor has
    ids=["glassnet-MLPClassifier", "glassnet-MLPRegressor", "scikit-learn-MLPClassifier"],
)
def test_lbfgs_has_no_partial_fit(library, name):
    assert hasattr(getattr(library, name)(), "partial_fit")
    assert not hasattr(getattr(library, name)(solver="lbfgs"), "partial_fit")


@both_estimators
def test_partial_fit_with_early_stopping_differs_it_works(name):
    X, y = DATA[name]
    theirs = getattr(neural_network, name)(early_stopping=True, max_iter=2, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="does not support early_stopping"):
        theirs.partial_fit(X, y)
    ours = getattr(glassnet, name)(early_stopping=True, max_iter=2, random_state=0).fit(X, y)
    before = copy.deepcopy(ours)
    ours.partial_fit(X, y)
    assert len(ours.validation_scores_) == 3
    assert not same_parameters(ours, before)


@pytest.mark.parametrize("module", [pickle, joblib], ids=["pickle", "joblib"])
@both_libraries
def test_a_loaded_estimator_learns_a_new_target(library, module, tmp_path):
    reg = library.MLPRegressor(
        hidden_layer_sizes=20, max_iter=150, n_iter_no_change=np.inf, solver="sgd", random_state=4
    )
    reg.fit([[3.0]], [5.0])
    np.testing.assert_allclose(reg.predict([[3.0]]), [5.0], rtol=1e-3)
    with (tmp_path / "reg").open("wb") as file:
        module.dump(reg, file)
    with (tmp_path / "reg").open("rb") as file:
        loaded = module.load(file)
    for _ in range(150):
        loaded.partial_fit([[3.0]], [2.0])
    np.testing.assert_allclose(loaded.predict([[3.0]]), [2.0], rtol=1e-3)
    np.testing.assert_allclose(reg.predict([[3.0]]), [5.0], rtol=1e-3)


# Probabilities


@pytest.mark.parametrize("data", [TWO, THREE, LABELS], ids=["two classes", "three classes", "labels"])
@both_libraries
def test_probabilities(library, data):
    X, y = data
    clf = library.MLPClassifier(solver="lbfgs", hidden_layer_sizes=20, random_state=1).fit(X, y)
    p, log_p = clf.predict_proba(X), clf.predict_log_proba(X)
    assert p.shape == (len(y), y.shape[1] if y.ndim == 2 else len(np.unique(y)))
    np.testing.assert_allclose(np.exp(log_p), p)
    np.testing.assert_array_equal(p > 0.5 if y.ndim == 2 else p.argmax(axis=1), y)
    if y.ndim == 2:
        assert np.abs(p.sum(axis=1) - 1).max() > 0.1  # labels do not compete
    else:
        np.testing.assert_allclose(p.sum(axis=1), 1)
        assert roc_auc_score(y, p[:, 1] if p.shape[1] == 2 else p, multi_class="ovr") == 1


# The order of rows, the form of X


@both_libraries
@both_estimators
def test_shuffle_decides_the_path(name, library):
    X, y = DATA[name]

    def trained(shuffle):
        return getattr(library, name)(
            hidden_layer_sizes=2, max_iter=1, batch_size=7, shuffle=shuffle, random_state=0
        ).fit(X, y)

    for shuffle in (True, False):
        assert same_parameters(trained(shuffle), trained(shuffle))
    assert not same_parameters(trained(True), trained(False))


@pytest.mark.parametrize("form", ["csr_matrix", "csr_array", "csc_matrix", "csc_array"])
@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
@both_libraries
@both_estimators
def test_sparse_rows_are_dense_rows(name, library, solver, form):
    X, y = DATA[name]
    X = np.where(np.abs(X) < 0.5, 0, X)
    sparse = getattr(scipy.sparse, form)(X)
    dense, thin = (
        getattr(library, name)(solver=solver, hidden_layer_sizes=4, max_iter=20, random_state=1).fit(rows, y)
        for rows in (X, sparse)
    )
    np.testing.assert_allclose(thin.predict(X), dense.predict(X), rtol=1e-6)
    np.testing.assert_allclose(dense.predict(sparse), dense.predict(X), rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", ["lbfgs", "sgd", "adam"])
@both_libraries
@both_estimators
def test_parameters_have_the_type_of_the_rows(name, library, solver, dtype):
    X, y = DATA[name]
    X = X.astype(dtype)
    estimator = getattr(library, name)(solver=solver, hidden_layer_sizes=(5, 3), max_iter=5, random_state=1).fit(X, y)
    kept = np.float64 if library is neural_network and solver == "lbfgs" else dtype  # their lbfgs leaves float64
    assert {theta.dtype for theta in parameters(estimator)} == {np.dtype(kept)}
    if name == "MLPRegressor":
        assert estimator.predict(X).dtype == kept


@both_libraries
@both_estimators
def test_single_precision_predicts_nearly_the_same(name, library):
    X, y = DATA[name]
    options = {"hidden_layer_sizes": (5, 3), "max_iter": 60, "random_state": 1}
    double = getattr(library, name)(**options).fit(X, y)
    single = getattr(library, name)(**options).fit(X.astype(np.float32), y)
    if name == "MLPClassifier":
        np.testing.assert_array_equal(single.predict(X.astype(np.float32)), double.predict(X))
        np.testing.assert_allclose(single.predict_proba(X.astype(np.float32)), double.predict_proba(X), atol=1e-3)
    else:
        np.testing.assert_allclose(single.predict(X.astype(np.float32)), double.predict(X), atol=1e-3)


@both_libraries
def test_numbers_too_large_to_train_on(library):
    rng = np.random.default_rng(1)
    X = np.finfo(np.float64).max * rng.uniform(size=(10, 2))
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        library.MLPRegressor().fit(X, rng.standard_normal(10))


# Early stopping


@both_libraries
@both_estimators
def test_early_stopping(name, library):
    X, y = DATA[name]
    options = {"solver": "sgd", "tol": 0.2, "max_iter": 1000, "random_state": 0}
    early = getattr(library, name)(early_stopping=True, **options).fit(X, y)
    assert early.n_iter_ < 1000
    assert early.best_loss_ is None
    assert isinstance(early.validation_scores_, list)
    assert len(early.validation_scores_) == early.n_iter_
    assert max(early.validation_scores_) == early.best_validation_score_
    last = early.validation_scores_[-(early.n_iter_no_change + 1) :]
    assert max(last) < early.best_validation_score_ + 0.2

    late = getattr(library, name)(early_stopping=False, **options).fit(X, y)
    assert (late.validation_scores_, late.best_validation_score_) == (None, None)
    assert late.best_loss_ == min(late.loss_curve_)


@both_libraries
def test_early_stopping_stratifies(library):
    X, y = TWO
    alone = np.where(np.arange(len(y)) == 0, 1, 0)
    clf = library.MLPClassifier(early_stopping=True)
    with pytest.raises(ValueError, match="least populated class"):
        clf.fit(X, alone)


@both_libraries
def test_early_stopping_with_texts_for_labels(library):
    X, y = THREE
    names = np.array(["ash", "elm", "oak"], dtype=object)[y]
    clf = library.MLPClassifier(early_stopping=True, max_iter=40, learning_rate_init=0.01, random_state=3)
    clf.fit(X, names)
    assert len(clf.validation_scores_) == clf.n_iter_
    assert clf.best_validation_score_ == max(clf.validation_scores_) > 0.8


@both_libraries
@both_estimators
def test_early_stopping_with_names_of_features_does_not_warn(name, library):
    pandas = pytest.importorskip("pandas")
    X, y = DATA[name]
    frame = pandas.DataFrame(X, columns=[f"feature {j}" for j in range(X.shape[1])])
    estimator = getattr(library, name)(early_stopping=True, tol=0.5, n_iter_no_change=1)
    estimator.fit(frame, pandas.Series(y, name="y"))  # any warning is an error here
    assert list(estimator.feature_names_in_) == list(frame.columns)


@both_libraries
@both_estimators
def test_early_stopping_with_weights_of_one_is_early_stopping_without(name, library):
    X, y = DATA[name]
    options = {"hidden_layer_sizes": 10, "early_stopping": True, "tol": 1e-2, "batch_size": 10, "random_state": 2}
    weighted = getattr(library, name)(**options).fit(X, y, sample_weight=np.ones(len(y)))
    plain = getattr(library, name)(**options).fit(X, y)
    np.testing.assert_allclose(weighted.predict(X), plain.predict(X))
    assert weighted.n_iter_ == plain.n_iter_


@pytest.mark.parametrize(("name", "y"), [("MLPRegressor", [0.0, 1.0, 2.0]), ("MLPClassifier", np.eye(3, dtype=int))])
@both_libraries
def test_early_stopping_needs_two_rows_to_hold_out(library, name, y):
    with pytest.raises(ValueError, match="The validation set is too small"):
        getattr(library, name)(early_stopping=True).fit([[1.0], [2.0], [3.0]], y)


DIVERGING = {"activation": "identity", "solver": "sgd", "learning_rate_init": 10.0, "early_stopping": True}


@both_libraries
def test_early_stopping_keeps_the_best_epoch_of_a_diverging_loss(library):
    X, y = NUMBERS
    reg = library.MLPRegressor(max_iter=20, random_state=0, **DIVERGING)
    with np.errstate(all="ignore"):
        reg.fit(X, y)
    assert reg.validation_scores_[-1] is np.nan or reg.validation_scores_[-1] < -1e10
    assert reg.best_validation_score_ == np.nanmax(reg.validation_scores_) > -np.inf
    assert all(np.isfinite(theta).all() for theta in parameters(reg))
    assert np.isfinite(reg.predict(X)).all()


def test_a_diverging_loss_differs_training_ends_with_a_warning():
    """scikit-learn makes all the epochs, with scores that are not numbers."""
    reg = glassnet.MLPRegressor(max_iter=20, random_state=0, **DIVERGING)
    with pytest.warns(ConvergenceWarning, match=r"diverged in epoch.*lower learning rate than 10.*best epoch"):
        reg.fit(*NUMBERS)
    assert reg.n_iter_ < 20
    assert np.isfinite(reg.validation_scores_).all()
    assert reg.history_.stop_code == "diverged"


# warm_start


@pytest.mark.parametrize("classes", [[0, 1], [0, 1, 3], [0, 1, 2, 3]], ids=str)
@both_libraries
def test_a_warm_start_needs_the_same_classes(library, classes):
    X, y = THREE
    clf = library.MLPClassifier(hidden_layer_sizes=2, solver="lbfgs", warm_start=True, random_state=4, tol=1e-2)
    clf.fit(X, y).fit(X, y).fit(X, np.roll(y, 1))  # the same classes in other places
    message = r"same classes as in the previous call to fit.*Previously got \[0 1 2\], `y` has \[" + " ".join(
        map(str, classes)
    )
    with pytest.raises(ValueError, match=message):
        clf.fit(X, np.resize(classes, len(y)))


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@both_libraries
@both_estimators
def test_a_warm_start_makes_all_of_max_iter(name, library, solver):
    X, y = DATA[name]
    estimator = getattr(library, name)(
        solver=solver, warm_start=True, max_iter=4, n_iter_no_change=np.inf, tol=0.0, random_state=0
    )
    for max_iter in (4, 4, 6):
        with pytest.warns(ConvergenceWarning):
            estimator.set_params(max_iter=max_iter).fit(X, y)
        assert estimator.n_iter_ == max_iter


@both_libraries
@both_estimators
def test_a_warm_start_goes_on_with_early_stopping(name, library):
    X, y = DATA[name]
    estimator = getattr(library, name)(
        max_iter=5, n_iter_no_change=np.inf, warm_start=True, early_stopping=True, random_state=0
    ).fit(X, y)
    first = list(estimator.validation_scores_)
    estimator.set_params(max_iter=8).fit(X, y)
    assert estimator.validation_scores_[:5] == first
    assert len(estimator.validation_scores_) == 13


@pytest.mark.parametrize("options", [{"solver": "adam"}, {"solver": "sgd"}], ids=["adam", "momentum"])
@both_estimators
def test_a_warm_start_differs_the_optimiser_remembers(name, options):
    """Two calls are one twice as long, to the bit; scikit-learn's optimiser begins anew."""
    X, y = DATA[name]

    def trained(library, *lengths):
        estimator = getattr(library, name)(warm_start=True, shuffle=False, random_state=0, **options)
        for length in lengths:
            estimator.set_params(max_iter=length).fit(X, y)
        return estimator

    assert same_parameters(trained(glassnet, 3, 3), trained(glassnet, 6))
    assert not same_parameters(trained(neural_network, 3, 3), trained(neural_network, 6))


@both_estimators
def test_a_warm_start_differs_early_stopping_may_end(name):
    """What an earlier call kept as its best does not undo a later call without early stopping."""
    X, y = DATA[name]
    estimator = getattr(glassnet, name)(early_stopping=True, warm_start=True, max_iter=5, random_state=0).fit(X, y)
    before = copy.deepcopy(estimator)
    estimator.set_params(early_stopping=False).fit(X, y)
    assert not same_parameters(estimator, before)


@both_libraries
@both_estimators
def test_sizes_are_whole(name, library):
    with pytest.raises((TypeError, ValueError)):
        getattr(library, name)(hidden_layer_sizes=(3.5,)).fit(*DATA[name])


def test_the_table_names_tests_that_are_there():
    rows = re.findall(r"^\| `(test_\w+)` \| .* \| (.*) \|$", TABLE.read_text(encoding="utf-8"), re.M)
    assert len({theirs for theirs, _ in rows}) == len(rows) == 52
    for _, ours in rows:
        assert set(re.findall(r"`(\w+)`", ours)) <= set(globals())
