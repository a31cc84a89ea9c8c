"""Each schedule against factors worked out by hand; warm-up; reduce-on-plateau and what it remembers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cases.schedules import CASES, Case
from glassnet.errors import ConfigError
from glassnet.schedules import SCHEDULES, ReduceOnPlateau

every_case = pytest.mark.parametrize("case", CASES, ids=str)
STEPS = 4  # in an epoch


def test_the_table_has_every_schedule():
    assert {case.name for case in CASES} == set(SCHEDULES.names())


@every_case
def test_factors(case: Case):
    schedule = SCHEDULES.make(case.given)
    found = {e: schedule.factor(round(e * STEPS), STEPS, case.epochs) for e in case.factors}
    assert found == pytest.approx(case.factors, rel=1e-13, abs=1e-15)


@every_case
def test_the_number_of_steps_in_an_epoch_is_only_a_unit(case: Case):
    schedule = SCHEDULES.make(case.given)
    coarse = [schedule.factor(step, 2, case.epochs) for step in range(2 * case.epochs)]
    fine = [schedule.factor(50 * step, 100, case.epochs) for step in range(2 * case.epochs)]
    assert coarse == pytest.approx(fine, rel=1e-12, abs=1e-15)


@every_case
@pytest.mark.parametrize("warmup", [0, 2, 0.5])
def test_factors_laid_out_ahead_are_the_factors_one_by_one(case: Case, warmup: float):
    """Also when they are taken up in the middle."""
    schedule = SCHEDULES.make({**SCHEDULES.spec(SCHEDULES.make(case.given)), "warmup": warmup})
    whole = schedule.factors(0, STEPS * case.epochs, STEPS, case.epochs)
    assert whole.dtype == np.float64
    assert whole.tolist() == [schedule.factor(step, STEPS, case.epochs) for step in range(STEPS * case.epochs)]
    np.testing.assert_array_equal(schedule.factors(5, 9, STEPS, case.epochs), whole[5:14])
    assert ((whole >= 0) & (whole <= 1)).all()


@every_case
def test_warm_up_climbs_to_the_shape_and_then_follows_it(case: Case):
    """Over two epochs of four steps: 1/8, 2/8, …, 1 of the start; the rest of the run has the whole shape."""
    plain = SCHEDULES.make(case.given)
    warm = SCHEDULES.make({**SCHEDULES.spec(plain), "warmup": 2})
    climb = warm.factors(0, 8, STEPS, case.epochs + 2)
    start = plain.factor(0, STEPS, case.epochs)
    np.testing.assert_allclose(climb, start * np.arange(1, 9) / 8, rtol=1e-14)
    rest = STEPS * case.epochs
    np.testing.assert_allclose(
        warm.factors(8, rest, STEPS, case.epochs + 2),
        plain.factors(0, rest, STEPS, case.epochs),
        rtol=1e-13,
        atol=1e-15,
    )


@every_case
@pytest.mark.parametrize("epochs", [2, 3])
def test_a_warm_up_as_long_as_the_run_or_longer_still_climbs(case: Case, epochs: int):
    schedule = SCHEDULES.make({**SCHEDULES.spec(SCHEDULES.make(case.given)), "warmup": 3})
    start = schedule.shape(0.0, 10.0)
    np.testing.assert_allclose(
        schedule.factors(0, STEPS * epochs, STEPS, epochs), start * np.arange(1, STEPS * epochs + 1) / 12, rtol=1e-14
    )


def test_a_warm_up_shorter_than_a_step_is_none():
    assert SCHEDULES.make("constant(warmup=0.1)").factors(0, 3, STEPS, 10).tolist() == [1.0, 1.0, 1.0]


@every_case
def test_a_run_that_goes_on_past_its_end_stays_at_the_end(case: Case):
    schedule = SCHEDULES.make(case.given)
    assert 0 <= schedule.factor(STEPS * (case.epochs + 5), STEPS, case.epochs) <= 1
    if case.name in {"linear", "cosine", "one_cycle"}:
        at_the_end = schedule.factor(STEPS * case.epochs, STEPS, case.epochs)
        assert schedule.factor(STEPS * (case.epochs + 5), STEPS, case.epochs) == at_the_end


# Reduce on plateau


def heard(schedule: ReduceOnPlateau, errors: list[float], state: dict | None = None) -> list[float]:
    """The factor of the epoch after each error."""
    state = schedule.start() if state is None else state
    factors = []
    for error in errors:
        schedule.epoch_end(state, error)
        factors.append(schedule.factor(0, STEPS, 100, state))
    return factors


def test_reduce_on_plateau():
    """Patience 2: the second epoch without a fall reduces, and the count begins anew."""
    schedule = ReduceOnPlateau(gamma=0.1, patience=2, tolerance=0.0)
    errors = [5.0, 4.0, 4.0, 4.5, 4.2, 3.9, 3.9, 3.9, 3.9, 3.9]
    expected = [1, 1, 1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.001]
    assert heard(schedule, errors) == pytest.approx(expected)


def test_a_fall_within_the_tolerance_is_none():
    schedule = ReduceOnPlateau(gamma=0.5, patience=1, tolerance=0.01)
    assert heard(schedule, [100.0, 99.5, 98.9, 98.0]) == [1.0, 0.5, 0.5, 0.25]
    assert heard(schedule, [-100.0, -100.5, -101.5]) == [1.0, 0.5, 0.5]  # of a negative error too


def test_the_factor_has_a_floor():
    assert heard(ReduceOnPlateau(patience=1, floor=0.2), [1.0] * 5) == [1.0, 0.5, 0.25, 0.2, 0.2]


def test_an_error_that_is_not_a_number_is_no_fall():
    assert heard(ReduceOnPlateau(patience=1), [1.0, float("nan"), 0.5, float("nan")]) == [1.0, 0.5, 0.5, 0.25]


def test_its_state_can_be_saved():
    schedule = ReduceOnPlateau(patience=2)
    errors = [3.0, 2.0, 2.5, 2.5, 2.4, 1.0, 1.1, 1.2]
    whole = heard(schedule, errors)
    for stop in range(1, len(errors)):
        state = schedule.start()
        before = heard(schedule, errors[:stop], state)
        state = json.loads(json.dumps(state))
        assert before + heard(schedule, errors[stop:], state) == whole


def test_its_warm_up():
    schedule = ReduceOnPlateau(patience=1, warmup=1)
    state = {"factor": 0.5, "best": 1.0, "waited": 0}
    assert schedule.factors(0, 6, STEPS, 10, state).tolist() == [0.125, 0.25, 0.375, 0.5, 0.5, 0.5]
    assert schedule.factors(0, 6, STEPS, 10).tolist() == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


@every_case
def test_the_others_hear_nothing(case: Case):
    schedule = SCHEDULES.make(case.given)
    if case.name == "reduce_on_plateau":
        assert schedule.start() == {"factor": 1.0, "best": np.inf, "waited": 0}
        return
    state = schedule.start()
    schedule.epoch_end(state, 1.0)
    assert state == {}
    assert schedule.factor(3, STEPS, 10, state) == schedule.factor(3, STEPS, 10)


@every_case
def test_the_stored_form_gives_the_same_back(case: Case):
    schedule = SCHEDULES.make(case.given)
    assert SCHEDULES.make(json.loads(json.dumps(SCHEDULES.spec(schedule)))) == schedule


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("constant(warmup=-1)", "warmup must be finite and not negative, not -1"),
        ("cosine(warmup=1e999)", "warmup must be finite"),
        ("step(every=0)", "every must be finite and above 0, not 0"),
        ("step(gamma=-1)", "gamma must be finite and above 0"),
        ("exponential(gamma=0)", "gamma must be finite and above 0"),
        ("inverse_scaling(power=0)", "power must be finite and above 0"),
        ("inverse_scaling(scale=-1)", "scale must be finite and above 0"),
        ("linear(floor=2)", "floor must be from 0 to 1, not 2"),
        ("cosine(floor=-0.1)", "floor must be from 0 to 1"),
        ("one_cycle(rise=1)", "rise must be above 0 and below 1, not 1"),
        ("one_cycle(start_at=0)", "start_at must be above 0 and at most 1"),
        ("one_cycle(floor=2)", "floor must be from 0 to 1"),
        ("reduce_on_plateau(gamma=1)", "gamma must be above 0 and below 1"),
        ("reduce_on_plateau(patience=0)", "patience must be at least 1 epoch"),
        ("reduce_on_plateau(floor=-1)", "floor must be from 0 to 1"),
        ("cosin", "Did you mean 'cosine'"),
    ],
)
def test_bad_schedules(given: str, message: str):
    with pytest.raises(ConfigError, match=message):
        SCHEDULES.make(given)
