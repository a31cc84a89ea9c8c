"""Estimators whose ``fit`` is broken off and taken up again."""

import json
import signal
import subprocess
import sys
import warnings

import numpy as np
import pytest
from sklearn.base import clone

from cases.halting import HaltAt
from glassnet import MLPClassifier, MLPRegressor
from glassnet.errors import ConfigError, GlassnetWarning
from glassnet.training.checkpoint import files

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 5))
Y = (X[:, 0] * X[:, 1] > 0).astype(int) + (X[:, 2] > 1)
NUMBERS = X[:, 0] * X[:, 1]
SMALL = {"hidden_layer_sizes": (8,), "batch_size": 16, "max_iter": 9, "random_state": 3, "dropout": 0.2, "tol": 0.0}


def outcome(estimator):
    """Everything that fit leaves, but times."""
    figures = {
        name: repr(getattr(estimator, name, None))
        for name in (
            *("n_iter_", "t_", "loss_", "loss_curve_", "best_loss_"),
            *("validation_scores_", "best_validation_score_"),
        )
    }
    weights = [array.tobytes() for array in (*estimator.coefs_, *estimator.intercepts_)]
    return figures, weights, estimator.history_.stop_code, estimator._memory.epochs


CASES = [
    (MLPClassifier, Y, {}),
    (MLPClassifier, Y, {"early_stopping": True, "n_iter_no_change": 2}),
    (MLPClassifier, Y, {"early_stopping": "patience2", "engine": "reference"}),
    (MLPClassifier, Y, {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 0.1}),
    (MLPClassifier, Y, {"solver": "sgd", "learning_rate": "invscaling", "momentum": 0.5}),
    (MLPClassifier, Y % 2, {"standardize": True, "class_weight": "balanced", "optimizer": "rmsprop"}),
    (MLPRegressor, NUMBERS, {"schedule": "cosine", "optimizer": "adamw", "clip_norm": 1.0}),
    (MLPRegressor, NUMBERS, {"shuffle": False, "random_state": np.random.RandomState(7)}),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("halt", [3, 8, 20])
@pytest.mark.parametrize(("kind", "y", "options"), CASES, ids=lambda part: str(part)[:40])
def test_it_ends_with_the_same_bits(tmp_path, kind, y, options, halt):
    def made(**more):
        return clone(kind(**{**SMALL, **options, **more}))

    whole = made().fit(X, y)
    with pytest.warns(UserWarning, match="interrupted by user"):
        made(checkpoint=tmp_path, callbacks=[HaltAt(halt)]).fit(X, y)
    resumed = made(checkpoint=str(tmp_path), resume=True).fit(X, y)
    assert outcome(resumed) == outcome(whole)
    again = made(checkpoint=tmp_path, resume=True).fit(X, y)
    assert outcome(again)[1] == outcome(whole)[1]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_without_a_seed_what_was_drawn_goes_on_and_global_state_is_left_alone(tmp_path):
    options = {**SMALL, "random_state": None, "checkpoint": tmp_path}
    with pytest.warns(UserWarning, match="interrupted by user"):
        MLPClassifier(**options, callbacks=[HaltAt(11)]).fit(X, Y)
    content = files(tmp_path)[0].read_bytes()
    ends = []
    for _ in range(2):
        for path in files(tmp_path):
            path.unlink()
        (tmp_path / "checkpoint-000001.ckpt").write_bytes(content)
        ends.append(outcome(MLPClassifier(**options, resume=True).fit(X, Y)))
    assert ends[0] == ends[1]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_more_epochs_may_be_asked_for_and_a_first_fit_finds_nothing(tmp_path):
    few = MLPClassifier(**{**SMALL, "max_iter": 4}, checkpoint=tmp_path, checkpoint_every="epoch", resume=True).fit(
        X, Y
    )
    assert few.n_iter_ == 4
    assert len(files(tmp_path)) == 2
    more = MLPClassifier(**SMALL, checkpoint=tmp_path, resume=True).fit(X, Y)
    assert outcome(more) == outcome(MLPClassifier(**SMALL).fit(X, Y))
    anew = MLPClassifier(**{**SMALL, "random_state": 4}, checkpoint=tmp_path).fit(X, Y)
    assert anew.n_iter_ == 9
    assert len(files(tmp_path)) == 1


REFUSED = [
    ({"learning_rate_init": 0.5}, X, Y, "learning_rate_init: 0.001 then, 0.5 now"),
    ({"hidden_layer_sizes": (9,)}, X, Y, "hidden_layer_sizes: "),
    ({"random_state": 4}, X, Y, "random_state: 3 then, 4 now"),
    ({}, X + 1e-9, Y, "data: "),
    ({}, X, Y[::-1], "data: "),
]


@pytest.mark.parametrize(("options", "x", "y", "message"), REFUSED)
def test_other_data_or_parameters_are_refused(tmp_path, options, x, y, message):
    with pytest.warns(UserWarning, match="interrupted by user"):
        MLPClassifier(**SMALL, checkpoint=tmp_path, callbacks=[HaltAt(11)]).fit(X, Y)
    with pytest.raises(ConfigError, match=message):
        MLPClassifier(**{**SMALL, **options}, checkpoint=tmp_path, resume=True).fit(x, y)


def test_a_damaged_checkpoint_is_a_warning(tmp_path):
    with pytest.warns(UserWarning, match="interrupted by user"):
        MLPClassifier(**SMALL, checkpoint=tmp_path, callbacks=[HaltAt(11)]).fit(X, Y)
    path = files(tmp_path)[0]
    path.write_bytes(path.read_bytes()[:-1])
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        fitted = MLPClassifier(**SMALL, checkpoint=tmp_path, resume=True).fit(X, Y)
    assert [w for w in said if issubclass(w.category, GlassnetWarning) and "is damaged" in str(w.message)]
    assert fitted.n_iter_ == 9


def test_what_does_not_go_together(tmp_path):
    with pytest.raises(ConfigError, match="resume=True needs the folder"):
        MLPClassifier(**SMALL, resume=True).fit(X, Y)
    with pytest.raises(ConfigError, match="checkpoint"):
        MLPClassifier(hidden_layer_sizes=(3,), solver="lbfgs", checkpoint="here").fit(X, Y)
    with pytest.raises(ConfigError, match="every 30s"):
        MLPClassifier(**SMALL, checkpoint=tmp_path / "never", checkpoint_every="often").fit(X, Y)
    assert not (tmp_path / "never").exists()


def test_sigterm_ends_it_with_a_checkpoint(tmp_path):
    program = f"""
import json, sys, warnings, numpy as np
from glassnet import MLPClassifier
warnings.simplefilter("ignore")
x = np.random.default_rng(0).normal(size=(200, 4))
estimator = MLPClassifier((8,), max_iter=1000000, tol=0.0, n_iter_no_change=np.inf, checkpoint={str(tmp_path)!r})
from glassnet.training import Callback
class Say(Callback):
    def on_epoch_end(self, trainer, record):
        print("epoch", flush=True) if trainer.epoch == 3 else None
estimator.set_params(callbacks=[Say()]).fit(x, x[:, 0] > 0)
print(json.dumps([estimator.history_.stop_code, estimator.n_iter_]))
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "epoch\n"
        process.send_signal(signal.SIGTERM)
        code, epochs = json.loads(process.communicate(timeout=30)[0])
    assert (process.returncode, code) == (0, "terminated")
    assert epochs >= 3
    assert len(files(tmp_path)) == 1
