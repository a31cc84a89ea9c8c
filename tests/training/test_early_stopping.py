"""Early stopping: the criteria against the formulas of Prechelt 1998, and what happens when they stop a training."""

from dataclasses import replace
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import glassnet
from glassnet.engine import ReferenceEngine
from glassnet.errors import ConfigError
from glassnet.network import parameter_values
from glassnet.training import Callback, EarlyStopping
from glassnet.training.early_stopping import (
    CRITERIA,
    GL,
    PQ,
    UP,
    Patience,
    criterion,
    generalisation_loss,
    training_progress,
)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def stops_at(rule, va, tr=None):
    """The first epoch, from 1, after which the criterion stops; None if it never does."""
    tr = [1.0] * len(va) if tr is None else tr
    return next((t for t in range(1, len(va) + 1) if rule(va[:t], tr[:t])), None)


def test_generalisation_loss_by_hand():
    assert [generalisation_loss(va) for va in ([0.5], [0.5, 0.625], [1.0, 0.5, 0.75], [0.5, 1.0, 0.25])] == [
        0,
        25,
        50,
        0,
    ]


def test_training_progress_by_hand():
    assert training_progress([9.0, 2.0, 1.0, 1.0, 1.0, 1.0], 5) == pytest.approx(200, rel=1e-15)  # 1000 (6/5 − 1)
    assert training_progress([9.0, 9.0, 9.0], 3) == 0
    assert training_progress([1.0, 3.0], 2) == pytest.approx(1000, rel=1e-15)  # an unstable strip is progress too


DIP = [1.0, 0.9, 0.8, 0.81, 0.83, 0.85, 0.9, 1.0, 1.2, 1.5]
STRIPS = [9, 9, 9, 9, 5, 9, 9, 9, 9, 4, 9, 9, 9, 9, 6, 9, 9, 9, 9, 7, 1, 1, 1, 1, 8, 1, 1, 1, 1, 8]
WAVE = [3.0, 2.0, 2.5, 1.9, 2.0, 2.1, 2.2, 1.8, 1.9, 2.0, 2.1, 2.2]

BY_HAND = [
    (GL(3), DIP, None, 5),  # 100 (0.83/0.8 − 1) = 3.75
    (GL(5), DIP, None, 6),  # 6.25
    (GL(30), DIP, None, 9),  # 50
    (GL(100), DIP, None, None),
    (GL(25), [0.5, 0.625], None, None),  # above, not at
    (GL(24.9), [0.5, 0.625], None, 2),
    (GL(5), [1, 2, 0.5, 0.6], None, 2),  # the first time counts, though it falls again
    (GL(5), [-1.0, -0.96], None, None),  # the Poisson loss can be negative: 4 % of its size above the best
    (GL(5), [-1.0, -0.94], None, 2),
    (PQ(0.12), [0.5] * 4 + [0.625], [1, 1, 1, 1, 2], 5),  # GL = 25, P₅ = 200
    (PQ(0.13), [0.5] * 4 + [0.625], [1, 1, 1, 1, 2], None),
    (PQ(0.12), [0.5] * 3 + [0.625, 0.5], [1, 1, 1, 1, 2], None),  # not inside a strip
    (PQ(0.5), [0.5] * 9 + [0.51], [1.0] * 10, 10),  # no progress at all
    (PQ(0.5), [0.5] * 10, [1.0] * 10, None),  # nor any loss
    (PQ(0.5, k=3), [0.5, 0.5, 0.5, 0.6, 0.6, 0.6], [1.0] * 6, 6),
    (UP(1), STRIPS, None, 15),  # ends 5 4 6 7 8 8
    (UP(2), STRIPS, None, 20),
    (UP(3), STRIPS, None, 25),
    (UP(4), STRIPS, None, None),  # 8 is not above 8
    (UP(1, k=1), WAVE, None, 3),
    (UP(3, k=1), WAVE, None, 7),
    (UP(5, k=1), WAVE, None, None),
    (UP(2, k=2), [1, 2, 1, 3, 1, 4, 0], None, 6),
    (Patience(2), WAVE, None, 6),  # 1.9 at 4, then 2.0, 2.1
    (Patience(3), WAVE, None, 7),
    (Patience(4), WAVE, None, 12),  # 1.8 at 8
    (Patience(5), WAVE, None, None),
    (Patience(2), [1, 1, 1], None, 3),  # equal is not fallen
    (Patience(2, tolerance=0.1), [1.0, 0.95, 0.91, 0.5], None, 3),
    (Patience(2, tolerance=0.1), [1.0, 0.95, 0.89, 0.5], None, None),
]


@pytest.mark.parametrize(("rule", "va", "tr", "epoch"), BY_HAND, ids=str)
def test_the_epoch_by_hand(rule, va, tr, epoch):
    assert stops_at(rule, va, tr) == epoch


def test_all_training_examples_right_is_no_progress():
    """With 1 − accuracy as the error it can be 0 for a whole strip; then P is 0, and any loss stops."""
    assert stops_at(PQ(0.5), [0.1] * 9 + [0.2], [0.0] * 10) == 10
    assert stops_at(PQ(0.5), [0.1] * 9 + [0.2], [0.0] * 9 + [0.1]) is None  # from 0 to 0.1: any ratio
    assert stops_at(GL(5), [0.0, 0.0, 0.1]) == 3


# The paper's definitions, in exact arithmetic and as recursions


class Paper:
    """The criteria as section 2.2 of Prechelt 1998 writes them, with E_va and E_tr from epoch 1."""

    def __init__(self, va, tr):
        self.va = dict(enumerate(map(Fraction, va), start=1))
        self.tr = dict(enumerate(map(Fraction, tr), start=1))
        self.opt = cache(self.opt)

    def opt(self, t):
        return self.va[t] if t == 1 else min(self.va[t], self.opt(t - 1))

    def gl(self, t):
        return 100 * (self.va[t] / self.opt(t) - 1)

    def progress(self, t, k):
        strip = [self.tr[i] for i in range(t - k + 1, t + 1)]
        return 1000 * (sum(strip) / (k * min(strip)) - 1)

    def gl_stops(self, t, alpha):
        assume(abs(self.gl(t) - alpha) > 1e-9)
        return self.gl(t) > alpha

    def pq_stops(self, t, alpha, k):
        if t % k:
            return False
        progress = self.progress(t, k)
        if progress < 1e-9:
            assume(progress == 0)
            assume(self.tr[t] in (0.5, 1, 2))  # where ours is 0 too, not rounded
            return self.gl(t) > 0
        assume(abs(self.gl(t) / progress - alpha) > 1e-9)
        return self.gl(t) / progress > alpha

    def up_stops(self, t, s, k):
        """UP_s after t if UP_{s−1} after t − k and E_va(t) > E_va(t − k); UP_1 at the end of a strip."""
        if t % k or t - k < 1 or not self.va[t] > self.va[t - k]:
            return False
        return True if s == 1 else self.up_stops(t - k, s - 1, k)

    def patience_stops(self, t, epochs):
        since = next(d for d in range(t) if self.va[t - d] == self.opt(t))
        while t - since > 1 and self.opt(t - since - 1) == self.opt(t):
            since += 1
        return since >= epochs


ERRORS = st.floats(0.01, 10) | st.sampled_from([0.5, 1.0, 2.0])
CURVES = st.lists(st.tuples(ERRORS, ERRORS), min_size=1, max_size=40)


def first(paper, stops):
    return next((t for t in paper.va if stops(t)), None)


@settings(deadline=None, max_examples=150)
@given(CURVES, st.floats(0.5, 60))
def test_gl_is_the_papers(curves, alpha):
    va, tr = map(list, zip(*curves, strict=True))
    paper = Paper(va, tr)
    assert stops_at(GL(alpha), va, tr) == first(paper, lambda t: paper.gl_stops(t, alpha))


@settings(deadline=None, max_examples=150)
@given(CURVES, st.floats(0.01, 3), st.integers(2, 7))
def test_pq_is_the_papers(curves, alpha, k):
    va, tr = map(list, zip(*curves, strict=True))
    paper = Paper(va, tr)
    assert stops_at(PQ(alpha, k), va, tr) == first(paper, lambda t: paper.pq_stops(t, alpha, k))


@settings(deadline=None, max_examples=150)
@given(CURVES, st.integers(1, 4), st.integers(1, 6))
def test_up_is_the_papers(curves, s, k):
    va, tr = map(list, zip(*curves, strict=True))
    paper = Paper(va, tr)
    assert stops_at(UP(s, k), va, tr) == first(paper, lambda t: paper.up_stops(t, s, k))


@settings(deadline=None, max_examples=150)
@given(CURVES, st.integers(1, 12))
def test_patience_counts_from_the_first_best(curves, epochs):
    va, tr = map(list, zip(*curves, strict=True))
    paper = Paper(va, tr)
    assert stops_at(Patience(epochs), va, tr) == first(paper, lambda t: paper.patience_stops(t, epochs))


# How they are written


SHORT = [
    ("GL5", GL(5.0)),
    ("gl2.5", GL(2.5)),
    ("PQ0.5", PQ(0.5)),
    (" UP3 ", UP(3)),
    ("patience10", Patience(10)),
    ("Patience1", Patience(1)),
    ("GL", GL()),
    ("pq(alpha=0.75, k=3)", PQ(0.75, 3)),
    ({"name": "up", "s": 2, "k": 4}, UP(2, 4)),
    (UP(2), UP(2)),
]


@pytest.mark.parametrize(("given", "made"), SHORT, ids=str)
def test_short_forms(given, made):
    assert criterion(given) == made


BAD = [
    ("UP2.5", "'UP2.5' needs a whole number"),
    ("patience1.5", "needs a whole number"),
    ("GL0", "alpha must be finite and above 0"),
    ("PQ0.0", "alpha must be finite and above 0"),
    ("UP0", "at least 1, not 0"),
    ("patience0", "at least 1, not 0"),
    ("GL-5", "unknown early stopping criterion 'GL-5'"),
    ("GL 5", "unknown early stopping criterion"),
    ("GLX", "unknown early stopping criterion 'GLX'.*Did you mean 'gl'"),
    ("5", "unknown early stopping criterion"),
    ("pq(k=1)", "at least 2, not 1"),
    ("up(k=2.5)", "must be a number .int., not 2.5"),
    ("gl(alpha=1e999)", "alpha must be finite"),
    ("patience(tolerance=1)", "tolerance"),
    (True, "cannot use True as the early stopping criterion"),
    (5, "cannot use 5"),
    (GL, "cannot use"),
]


@pytest.mark.parametrize(("given", "message"), BAD, ids=str)
def test_bad_forms(given, message):
    with pytest.raises(ConfigError, match=message):
        criterion(given)


@pytest.mark.parametrize("name", CRITERIA.names())
def test_a_criterion_says_why(name):
    rule = criterion(name)
    va = [1.0] + [2.0 + t for t in range(30)]
    reasons = [rule(va[:t], [1.0] * t) for t in range(1, 31)]
    assert any(isinstance(reason, str) and len(reason) > 10 for reason in reasons)


# In a training whose validation figures are given


X = np.linspace(-1, 1, 24).reshape(12, 2)
Y = np.arange(12) % 2


class Watch(Callback):
    """Keeps the parameters of every epoch."""

    def __init__(self, interrupt_at=None):
        self.parameters = {}
        self.interrupt_at = interrupt_at

    def on_epoch_begin(self, trainer):
        if trainer.epoch == self.interrupt_at:
            raise KeyboardInterrupt

    def on_epoch_end(self, trainer, record):
        self.parameters[trainer.epoch] = parameter_values(trainer.network)


@pytest.fixture
def train_with(monkeypatch):
    """Train while the validation set's loss and accuracy follow given curves."""
    real = ReferenceEngine.evaluate

    def run(losses, accuracies=None, watch=None, **config):
        figures = iter(zip(losses, accuracies or losses, strict=True))

        def evaluate(engine, examples):
            loss, accuracy = next(figures)
            totals = real(engine, examples)
            return replace(totals, loss=totals.weight * loss, hits=totals.weight * accuracy)

        monkeypatch.setattr(ReferenceEngine, "evaluate", evaluate)
        network = glassnet.Network.dense([2, 3, 2], seed=1)
        watch = watch or Watch()
        config = {"epochs": len(losses), "lr": 0.05, "device": "cpu", "engine": "reference"} | config
        history = glassnet.train(network, X, Y, validation=(X, Y), callbacks=[watch], **config)
        return network, history, watch

    return run


def same(network, values):
    return all((theta == values[name]).all() for name, theta in network.parameters())


def test_it_stops_and_goes_back_to_the_best(train_with):
    network, history, watch = train_with(WAVE, early_stopping="patience3")
    assert len(history) == 7
    assert (history.stop_code, history.best_epoch) == ("early_stopping", 4)
    assert history.stop_reason == "the validation error has not fallen for 3 epochs"
    assert history["val_loss"] == pytest.approx(WAVE[:7])
    assert same(network, watch.parameters[4])
    assert not same(network, watch.parameters[7])


def test_of_equal_epochs_the_first_is_the_best(train_with):
    _, history, _ = train_with([2, 1, 1, 1], early_stopping="patience2")
    assert (history.best_epoch, len(history)) == (2, 4)


def test_without_restoring(train_with):
    network, history, watch = train_with(WAVE, early_stopping="patience3", restore_best=False)
    assert len(history) == 7
    assert history.best_epoch is None
    assert same(network, watch.parameters[7])


def test_the_best_come_back_also_when_the_epochs_are_done(train_with):
    network, history, watch = train_with(WAVE, early_stopping="patience100")
    assert (history.stop_code, history.best_epoch, len(history)) == ("epochs", 8, len(WAVE))
    assert same(network, watch.parameters[8])


def test_the_best_come_back_also_after_an_interruption(train_with):
    network, history, watch = train_with(WAVE, watch=Watch(interrupt_at=7), early_stopping="patience100")
    assert (history.stop_code, history.best_epoch, len(history)) == ("interrupted", 4, 6)
    assert same(network, watch.parameters[4])


MONITORED = [("loss", 5, 3), ("metric", 4, 2)]


@pytest.mark.parametrize(("monitor", "epochs", "best"), MONITORED)
def test_what_is_monitored(train_with, monitor, epochs, best):
    losses, accuracies = [3, 2, 1, 2, 3, 4], [0.5, 0.8, 0.7, 0.6, 0.9, 0.9]
    _, history, _ = train_with(losses, accuracies, early_stopping="patience2", monitor=monitor)
    assert (len(history), history.best_epoch) == (epochs, best)


def test_the_metric_of_regression_is_r2():
    y = X @ [[1.0], [-2.0]]
    config = {"early_stopping": "patience1", "monitor": "metric", "validation": (X, -y), "epochs": 50, "lr": 0.05}
    history = glassnet.train(glassnet.Network.dense([2, 8, 1]), X, y, device="cpu", **config)
    best = max(range(len(history)), key=lambda t: history["val_r2"][t]) + 1
    assert (history.stop_code, history.best_epoch, len(history)) == ("early_stopping", best, best + 1)


def test_it_needs_a_validation_set_and_says_so_before_training():
    network = glassnet.Network.dense([2, 3, 2])
    before = parameter_values(network)
    with pytest.raises(ConfigError, match="early stopping needs a validation set"):
        glassnet.train(network, X, Y, early_stopping="GL5")
    assert same(network, before)


def test_as_a_callback_of_ones_own_it_can_be_used_twice(train_with):
    stopping = EarlyStopping("UP1")
    for _ in range(2):
        network = glassnet.Network.dense([2, 3, 2], seed=1)
        callbacks = [stopping]
        history = glassnet.train(network, X, Y, validation=(X, -Y + 1), callbacks=callbacks, epochs=10, lr=0.1)
        assert stopping.va == history["val_loss"]
        assert stopping.tr == history["loss"]
        assert history.stop_code == "early_stopping"
