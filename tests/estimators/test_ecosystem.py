"""The estimators inside scikit-learn's tools: pipelines, searches, ensembles, copies, data frames, routing."""

import copy
import pickle
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.exceptions import NotFittedError
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, cross_val_score, cross_validate
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator, estimator_checks_generator

import glassnet
from glassnet.engine import devices
from glassnet.engine.base import threads_text

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ESTIMATORS = {"MLPClassifier": glassnet.MLPClassifier, "MLPRegressor": glassnet.MLPRegressor}
both_estimators = pytest.mark.parametrize("name", ESTIMATORS)

ROWS, FEATURES = 120, 4
X = np.random.default_rng(6).standard_normal((ROWS, FEATURES)) * [1, 10, 0.1, 1]
NUMBERS = X[:, 0] + np.sin(X[:, 1] / 5)
CLASSES = (NUMBERS > 0).astype(int) + (NUMBERS > 1)
Y = {"MLPClassifier": CLASSES, "MLPRegressor": NUMBERS}
HELD = np.arange(ROWS) % 3 == 0
"""Every third row: to hold out."""


def small(name, **options):
    return ESTIMATORS[name](
        **{
            "hidden_layer_sizes": 10,
            "max_iter": 30,
            "batch_size": 20,
            "learning_rate_init": 0.02,
            "random_state": 0,
            **options,
        }
    )


def same_parameters(one, other):
    pairs = zip([*one.coefs_, *one.intercepts_], [*other.coefs_, *other.intercepts_], strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


# Pipelines, searches, validation


@both_estimators
def test_a_pipeline_trains_on_what_its_steps_make(name):
    pipeline = make_pipeline(StandardScaler(), small(name)).fit(X, Y[name])
    direct = small(name).fit(StandardScaler().fit_transform(X), Y[name])
    np.testing.assert_array_equal(pipeline.predict(X), direct.predict(StandardScaler().fit_transform(X)))
    assert pipeline.score(X, Y[name]) > 0.8


@both_estimators
def test_a_pipeline_takes_hidden_activations_on(name):
    """The network as a step in the middle: a linear model on its last hidden layer."""
    last = LogisticRegression() if name == "MLPClassifier" else Ridge()
    pipeline = make_pipeline(StandardScaler(), small(name), last).fit(X, Y[name])
    assert pipeline[-1].n_features_in_ == 10
    assert pipeline.score(X, Y[name]) > 0.8


@both_estimators
def test_a_grid_search_finds_the_better_settings(name):
    pipeline = Pipeline([("scale", StandardScaler()), ("mlp", small(name))])
    grid = {"mlp__learning_rate_init": [1e-6, 0.02], "mlp__dropout": [0.0, 0.9], "mlp__optimizer": [None, "rmsprop"]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(X, Y[name])
    assert search.best_params_["mlp__learning_rate_init"] == 0.02
    assert search.best_params_["mlp__dropout"] == 0.0
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert same_parameters(search.best_estimator_["mlp"], clone(search.best_estimator_).fit(X, Y[name])["mlp"])


@pytest.fixture
def two_workers():
    """joblib's default: two processes, which share out the cores."""
    with joblib.parallel_config(backend="loky", n_jobs=2):
        yield max(1, joblib.cpu_count() // 2)


@both_estimators
def test_two_workers_score_what_one_does(name, two_workers):
    in_turn = cross_val_score(small(name), X, Y[name], cv=4, n_jobs=1)
    np.testing.assert_array_equal(cross_val_score(small(name), X, Y[name], cv=4, n_jobs=2), in_turn)
    assert len(set(in_turn)) > 1


def test_workers_share_out_the_threads(two_workers):
    assert joblib.Parallel()(joblib.delayed(devices.default_threads)() for _ in range(4)) == [two_workers] * 4


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_the_engines_share_out_the_threads(engine, two_workers):
    if engine == "native":
        pytest.importorskip("glassnet.engine._native")
    made = cross_validate(
        small("MLPRegressor", engine=engine, max_iter=2), X, NUMBERS, cv=4, n_jobs=2, return_estimator=True
    )
    assert all(threads_text(two_workers) in estimator.history_.engine for estimator in made["estimator"])


# Copies

SETTINGS = {
    "defaults": {},
    "momentum": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.001},
    "a list of activations": {"hidden_layer_sizes": (8, 6), "activation": ["gelu", {"name": "elu", "alpha": 0.5}]},
    "dropout": {"dropout": 0.2, "input_dropout": 0.1},
    "rules": {"l1": 1e-4, "weight_decay": 0.01, "max_norm": 2.0, "clip_norm": 1.0, "optimizer": "adamw"},
    "schedule": {"schedule": {"name": "step", "every": 2, "gamma": 0.5}, "init": "he"},
    "early stopping": {"early_stopping": True},
    "criterion": {"early_stopping": "patience2", "standardize": True},
    "float32": {"standardize": True, "engine": "reference"},
}
all_settings = pytest.mark.parametrize("options", SETTINGS.values(), ids=SETTINGS.keys())


@all_settings
@both_estimators
def test_a_clone_is_unfitted_and_trains_the_same(name, options):
    estimator = small(name, max_iter=4, **options).fit(X, Y[name])
    copied = clone(estimator)
    assert copied.get_params() == estimator.get_params()
    with pytest.raises(NotFittedError):
        copied.predict(X)
    assert same_parameters(copied.fit(X, Y[name]), estimator)


@both_estimators
def test_a_clone_keeps_the_initial_weights(name):
    y, folds = Y[name], KFold(3)
    start = small(name).fit(X, y)
    mlp = small(name, initial_weights=(start.coefs_, start.intercepts_), max_iter=1)
    by_hand = [mlp.fit(X[train], y[train]).score(X[test], y[test]) for train, test in folds.split(X)]
    np.testing.assert_array_equal(cross_val_score(mlp, X, y, cv=folds), by_hand)
    assert not np.array_equal(cross_val_score(small(name, max_iter=1), X, y, cv=folds), by_hand)


def by_pickle(estimator, folder):
    return pickle.loads(pickle.dumps(estimator))


def by_joblib(estimator, folder):
    joblib.dump(estimator, folder / "estimator.joblib", compress=3)
    return joblib.load(folder / "estimator.joblib")


def by_deepcopy(estimator, folder):
    return copy.deepcopy(estimator)


def by_own_files(estimator, folder: Path):
    return type(estimator).load(estimator.save(folder / "estimator"))


COPIES = (by_pickle, by_joblib, by_own_files, by_deepcopy)


@pytest.mark.parametrize("copied", COPIES, ids=lambda way: way.__name__)
@all_settings
@both_estimators
def test_a_copy_predicts_and_trains_on_to_the_bit(name, options, copied, tmp_path):
    data = X.astype(np.float32) if options == SETTINGS["float32"] else X
    estimator = small(name, max_iter=4, **options).fit(data, Y[name])
    twin = copied(estimator, tmp_path)
    np.testing.assert_array_equal(twin.predict(data), estimator.predict(data))
    before = clone(estimator).fit(data, Y[name])
    for _ in range(2):
        estimator.partial_fit(data, Y[name])
        twin.partial_fit(data, Y[name])
    assert same_parameters(twin, estimator)
    assert not same_parameters(twin, before)
    assert (twin.loss_, twin.t_, twin.n_iter_) == (estimator.loss_, estimator.t_, estimator.n_iter_)
    for each in (estimator, twin):
        each.set_params(warm_start=True, max_iter=3).fit(data, Y[name])
    assert same_parameters(twin, estimator)


@pytest.mark.parametrize("options", [{}, {"solver": "lbfgs"}], ids=["adam", "lbfgs"])
@both_estimators
def test_a_memory_mapped_copy_predicts_and_trains_on(name, options, tmp_path):
    """Its arrays cannot be written to."""
    estimator = small(name, warm_start=True, **options).fit(X, Y[name])
    joblib.dump(estimator, tmp_path / "estimator.joblib")
    twin = joblib.load(tmp_path / "estimator.joblib", mmap_mode="r")
    assert not twin.coefs_[0].flags.writeable
    np.testing.assert_array_equal(twin.predict(X), estimator.predict(X))
    for each in (estimator, twin):
        each.set_params(max_iter=2).fit(X, Y[name])
    assert same_parameters(twin, estimator)
    assert twin.coefs_[0].flags.writeable


# Data frames

FRAMES = {"pandas": pd.DataFrame, "polars": pl.DataFrame}
SERIES = {"pandas": pd.Series, "polars": pl.Series}
COLUMNS = ["height", "width", "depth", "age"]


def frame(kind, columns=COLUMNS):
    return FRAMES[kind]({column: X[:, j] for j, column in enumerate(columns)})


@pytest.mark.parametrize("kind", FRAMES)
@both_estimators
def test_transform_gives_the_frame_that_is_asked_for(name, kind):
    estimator = small(name).fit(X, Y[name]).set_output(transform=kind)
    out = estimator.transform(X)
    assert isinstance(out, FRAMES[kind])
    assert list(out.columns) == list(estimator.get_feature_names_out()) == [f"{name.lower()}{j}" for j in range(10)]
    np.testing.assert_array_equal(out.to_numpy(), estimator.set_output(transform="default").transform(X))


@pytest.mark.parametrize("kind", FRAMES)
@both_estimators
def test_frames_asked_for_everywhere(name, kind):
    """The setting for all transformers reaches the output of ours, and nothing inside of it."""
    plain = small(name, standardize=True).fit(X, Y[name])
    with sklearn.config_context(transform_output=kind):
        estimator = small(name, standardize=True).fit(X, Y[name])
        assert isinstance(estimator.transform(X), FRAMES[kind])
        np.testing.assert_array_equal(estimator.predict(X), plain.predict(X))


@pytest.mark.parametrize("kind", FRAMES)
@both_estimators
def test_frames_train_like_arrays(name, kind):
    estimator = small(name).fit(frame(kind), SERIES[kind](Y[name]))
    assert list(estimator.feature_names_in_) == COLUMNS
    plain = small(name).fit(X, Y[name])
    assert same_parameters(estimator, plain)
    np.testing.assert_array_equal(estimator.predict(frame(kind)), plain.predict(X))
    assert not hasattr(plain, "feature_names_in_")


@pytest.mark.parametrize("kind", FRAMES)
@both_estimators
def test_frames_with_other_names_are_refused(name, kind):
    estimator = small(name).fit(frame(kind), Y[name])
    for columns in (COLUMNS[::-1], [*COLUMNS[:3], "weight"]):
        for call in (estimator.predict, estimator.transform):
            with pytest.raises(ValueError, match="feature names should match"):
                call(frame(kind, columns))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        estimator.predict(X)


@pytest.mark.parametrize("kind", SERIES)
def test_labels_of_a_series_are_texts(kind):
    names = np.array(["ash", "elm", "oak"])[CLASSES]
    clf = small("MLPClassifier").fit(frame(kind), SERIES[kind](names))
    assert list(clf.classes_) == ["ash", "elm", "oak"]
    assert clf.score(frame(kind), SERIES[kind](names)) == np.mean(clf.predict(frame(kind)) == names) > 0.6


# Metadata routing


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


WEIGHT = np.random.default_rng(2).uniform(0.1, 3, ROWS)


@both_estimators
def test_weights_are_routed_through_a_pipeline(name, routing):
    y = Y[name]
    pipeline = make_pipeline(
        StandardScaler().set_fit_request(sample_weight=False), small(name).set_fit_request(sample_weight=True)
    )
    weighted = pipeline.fit(X, y, sample_weight=WEIGHT)[-1]
    scaled = StandardScaler().fit_transform(X)
    assert same_parameters(weighted, small(name).fit(scaled, y, sample_weight=WEIGHT))
    assert not same_parameters(weighted, small(name).fit(scaled, y))


@both_estimators
def test_held_out_rows_are_routed_through_a_pipeline(name, routing):
    """``transform_input`` lets the earlier steps scale them as well."""
    y = Y[name]
    mlp = small(name, early_stopping="patience3").set_fit_request(X_val=True, y_val=True)
    pipeline = Pipeline([("scale", StandardScaler()), ("mlp", mlp)], transform_input=["X_val"])
    pipeline.fit(X[~HELD], y[~HELD], X_val=X[HELD], y_val=y[HELD])
    scaler = StandardScaler().fit(X[~HELD])
    direct = small(name, early_stopping="patience3").fit(
        scaler.transform(X[~HELD]), y[~HELD], X_val=scaler.transform(X[HELD]), y_val=y[HELD]
    )
    assert pipeline["mlp"].validation_scores_ == direct.validation_scores_ != []
    assert same_parameters(pipeline["mlp"], direct)


@both_estimators
def test_a_grid_search_routes_weights_and_held_out_rows(name, routing):
    y = Y[name]
    mlp = small(name, early_stopping=True, standardize=True)
    mlp.set_fit_request(sample_weight=True, X_val=True, y_val=True).set_score_request(sample_weight=False)
    given = {"sample_weight": WEIGHT[~HELD], "X_val": X[HELD], "y_val": y[HELD]}
    search = GridSearchCV(mlp, {"alpha": [1e-4, 1.0]}, cv=3).fit(X[~HELD], y[~HELD], **given)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert same_parameters(search.best_estimator_, clone(search.best_estimator_).fit(X[~HELD], y[~HELD], **given))
    assert search.best_estimator_.validation_scores_


@both_estimators
def test_what_nobody_asked_for_is_not_routed(name, routing):
    search = GridSearchCV(small(name), {"alpha": [0.1]}, cv=3)
    with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError, match="X_val"):
        search.fit(X[~HELD], Y[name][~HELD], X_val=X[HELD], y_val=Y[name][HELD])


def test_weights_are_routed_to_partial_fit_and_score():
    clf = small("MLPClassifier")
    for method in ("fit", "partial_fit", "score"):
        assert hasattr(clf, f"set_{method}_request")


# Ensembles and inspection


def scaled(name, **options):
    return small(name, standardize=True, **options)


ENSEMBLES = {
    "VotingClassifier": lambda: VotingClassifier(
        [("a", scaled("MLPClassifier")), ("b", LogisticRegression())], voting="soft"
    ),
    "StackingClassifier": lambda: StackingClassifier(
        [("a", scaled("MLPClassifier")), ("b", LogisticRegression())], scaled("MLPClassifier"), cv=3
    ),
    "CalibratedClassifierCV": lambda: CalibratedClassifierCV(scaled("MLPClassifier"), cv=3),
    "isotonic": lambda: CalibratedClassifierCV(scaled("MLPClassifier"), method="isotonic", cv=3, ensemble=False),
    "AdaBoostClassifier": lambda: AdaBoostClassifier(scaled("MLPClassifier"), n_estimators=3, random_state=0),
    "OneVsRestClassifier": lambda: OneVsRestClassifier(scaled("MLPClassifier")),
    "VotingRegressor": lambda: VotingRegressor([("a", scaled("MLPRegressor")), ("b", Ridge())]),
    "StackingRegressor": lambda: StackingRegressor(
        [("a", scaled("MLPRegressor")), ("b", Ridge())], scaled("MLPRegressor"), cv=3
    ),
    "BaggingRegressor": lambda: BaggingRegressor(scaled("MLPRegressor"), n_estimators=3, random_state=0),
    "TransformedTargetRegressor": lambda: TransformedTargetRegressor(
        scaled("MLPRegressor"), func=np.arcsinh, inverse_func=np.sinh, check_inverse=False
    ),
}


@pytest.mark.parametrize("made", ENSEMBLES.values(), ids=ENSEMBLES.keys())
def test_ensembles(made):
    estimator = made()
    y = CLASSES if hasattr(estimator, "predict_proba") or "Classif" in type(estimator).__name__ else NUMBERS
    estimator.fit(X[~HELD], y[~HELD])
    assert estimator.score(X[HELD], y[HELD]) > 0.6
    if hasattr(estimator, "predict_proba"):
        np.testing.assert_allclose(estimator.predict_proba(X[HELD]).sum(axis=1), 1)


def test_a_chain_of_labels():
    labels = np.stack([CLASSES > 0, CLASSES > 1], axis=1).astype(int)
    chain = ClassifierChain(scaled("MLPClassifier"), order=[0, 1]).fit(X[~HELD], labels[~HELD])
    assert chain.score(X[HELD], labels[HELD]) > 0.6


@both_estimators
def test_permutation_importance_finds_what_matters(name):
    estimator = scaled(name).fit(X, Y[name])
    found = permutation_importance(estimator, X, Y[name], n_repeats=3, random_state=0).importances_mean
    assert found[:2].min() > 2 * np.abs(found[2:]).max()


def test_predictions_across_folds():
    p = cross_val_predict(scaled("MLPClassifier"), X, CLASSES, cv=3, method="predict_proba")
    assert p.shape == (ROWS, 3)
    assert np.mean(p.argmax(axis=1) == CLASSES) > 0.6


# scikit-learn's own checks

QUICK = {
    "check_complex_data",
    "check_dict_unchanged",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_dont_overwrite_parameters",
    "check_estimator_cloneable",
    "check_estimator_tags_renamed",
    "check_estimators_nan_inf",
    "check_estimators_partial_fit_n_features",
    "check_estimators_unfitted",
    "check_fit1d",
    "check_fit2d_predict1d",
    "check_fit_check_is_fitted",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_n_features_in",
    "check_n_features_in_after_fitting",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_readonly_memmap_input",
    "check_requires_y_none",
    "check_sample_weights_shape",
    "check_set_params",
    "check_supervised_y_no_nan",
    "check_valid_tag_types",
}
"""The checks of scikit-learn that run in every test run; all of them run among the slow tests."""


@both_estimators
def test_a_share_of_scikit_learns_checks(name):
    passed = set()
    for estimator, check in estimator_checks_generator(ESTIMATORS[name](max_iter=20)):
        if check.func.__name__ in QUICK:
            check(estimator)
            passed.add(check.func.__name__)
    assert passed == QUICK


NOT_OURS = {"check_array_api_input", "check_classifiers_multilabel_output_format_decision_function"}
"""Checks that skip themselves: of arrays that are not NumPy's, and of a method that no perceptron has."""


@pytest.mark.slow
@both_estimators
def test_all_of_scikit_learns_checks(name):
    results = check_estimator(ESTIMATORS[name](max_iter=100), on_fail="raise", on_skip=None)
    by_status = {
        status: {r["check_name"] for r in results if r["status"] == status} for status in ("passed", "skipped")
    }
    assert by_status["skipped"] <= NOT_OURS
    assert len(by_status["passed"]) > 55
    assert len(results) == sum(result["status"] in by_status for result in results)
