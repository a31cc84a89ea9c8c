"""Each loss's value and gradient against torch, automatic differentiation and central differences."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from cases.losses import CASES, LOGITS, Case
from glassnet.activations import Logistic, Softmax, activation
from glassnet.errors import ConfigError, InputError
from glassnet.losses import (
    LOSSES,
    AbsoluteError,
    BinaryCrossEntropy,
    CrossEntropy,
    Custom,
    Huber,
    LogLoss,
    Poisson,
    SquaredError,
    balanced_weights,
    loss,
    sample_weights,
)
from oracle import one_thread  # noqa: F401

every_case = pytest.mark.parametrize("case", CASES, ids=str)
N, M = 12, 4


def batch(case: Case, n: int = N, m: int = M, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outputs, targets and weights; two of the weights are 0."""
    rng = np.random.default_rng(seed)
    weight = rng.random(n) + 0.1
    weight[:2] = 0.0
    return case.outputs(rng, n, m), case.targets(rng, n, m), weight


def autograd(case: Case, a: np.ndarray, y: np.ndarray, weight: np.ndarray) -> tuple[float, np.ndarray]:
    outputs = torch.tensor(a, requires_grad=True)
    terms = case.oracle(outputs, torch.from_numpy(y))
    value = (torch.from_numpy(weight) * terms).sum() / weight.sum()
    (gradient,) = torch.autograd.grad(value, outputs)
    return float(value.detach()), gradient.numpy()


def test_the_table_has_every_loss():
    assert {case.name for case in CASES} == set(LOSSES.names())


@every_case
@pytest.mark.parametrize("weighted", [False, True])
def test_value_and_gradient_against_torch(case: Case, weighted: bool):
    a, y, weight = batch(case)
    expected, expected_gradient = autograd(case, a, y, weight if weighted else np.ones(N))
    ours = loss(case.given)
    assert float(ours.value(a, y, weight if weighted else None)) == pytest.approx(expected, rel=1e-13)
    found = ours.gradient(a, y, weight if weighted else None)
    np.testing.assert_allclose(found, expected_gradient, rtol=1e-11, atol=1e-15)


@every_case
def test_gradient_against_central_differences(case: Case):
    a, y, weight = batch(case, n=4)
    ours, h = loss(case.given), 6e-6
    gradient = ours.gradient(a, y, weight)
    for where in np.ndindex(a.shape):
        step = np.zeros_like(a)
        step[where] = h
        numerical = (ours.value(a + step, y, weight) - ours.value(a - step, y, weight)) / (2 * h)
        assert gradient[where] == pytest.approx(numerical, rel=1e-7, abs=1e-9)


@every_case
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numpy_and_torch_agree_and_keep_the_dtype(case: Case, dtype: str):
    a, y, weight = batch(case)
    a, weight = a.astype(dtype), weight.astype(dtype)
    y = y if y.ndim == 1 else y.astype(dtype)
    ours, (ta, ty, tw) = loss(case.given), map(torch.from_numpy, (a, y, weight))
    tolerance = 1e-4 if dtype == "float32" else 1e-12
    for numpy_result, torch_result in [
        (ours.value(a, y), ours.value(ta, ty)),
        (ours.value(a, y, weight), ours.value(ta, ty, tw)),
        (ours.gradient(a, y, weight), ours.gradient(ta, ty, tw)),
        (ours.link(a), ours.link(ta)),
    ]:
        assert numpy_result.dtype == dtype
        assert torch_result.dtype == getattr(torch, dtype)
        np.testing.assert_allclose(numpy_result, torch_result.numpy(), rtol=tolerance, atol=tolerance / 100)


@every_case
def test_weight_two_is_the_row_twice(case: Case):
    a, y, _ = batch(case, n=3)
    ours, twice = loss(case.given), np.array([0, 1, 1, 2])
    weight = np.array([1.0, 2.0, 1.0])
    assert ours.value(a, y, weight) == pytest.approx(float(ours.value(a[twice], y[twice])), rel=1e-14)
    gradient, repeated = ours.gradient(a, y, weight), ours.gradient(a[twice], y[twice])
    np.testing.assert_allclose(gradient, np.array([repeated[0], repeated[1] + repeated[2], repeated[3]]), rtol=1e-13)


@every_case
def test_only_the_ratio_of_the_weights_counts(case: Case):
    a, y, weight = batch(case)
    ours = loss(case.given)
    assert ours.value(a, y, 1000 * weight) == pytest.approx(float(ours.value(a, y, weight)), rel=1e-13)
    np.testing.assert_allclose(ours.gradient(a, y, 1000 * weight), ours.gradient(a, y, weight), rtol=1e-13)


@every_case
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_weights_all_zero_give_zero(case: Case, library: str):
    a, y, weight = batch(case)
    arrays = [a, y, 0 * weight]
    if library == "torch":
        arrays = [torch.from_numpy(array) for array in arrays]
    assert float(loss(case.given).value(*arrays)) == 0
    assert not np.asarray(loss(case.given).gradient(*arrays)).any()


@pytest.mark.parametrize("case", LOGITS, ids=str)
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_extreme_logits_are_finite_in_float32(case: Case, library: str):
    """Against the oracle in float64, but for Poisson, which goes on as a tangent there."""
    rng = np.random.default_rng(3)
    a = rng.choice(np.array([-1e4, -88.0, 0.0, 88.0, 1e4], np.float32), (40, M))
    y = case.targets(rng, 40, M)
    y = y if y.ndim == 1 else y.astype(np.float32)
    arrays = (a, y) if library == "numpy" else (torch.from_numpy(a), torch.from_numpy(y))
    ours = loss(case.given)
    gradient = np.asarray(ours.gradient(*arrays))
    terms = np.array([float(ours.value(arrays[0][n : n + 1], arrays[1][n : n + 1])) for n in range(40)])
    assert np.isfinite(terms).all()
    assert np.isfinite(gradient).all()
    if case.name != "poisson":
        wide = (torch.from_numpy(a).double(), torch.from_numpy(y) if y.ndim == 1 else torch.from_numpy(y).double())
        np.testing.assert_allclose(terms, case.oracle(*wide).numpy(), rtol=1e-5, atol=1e-2)
        assert np.abs(gradient).max() <= 1 / 40 + 1e-8


def test_poisson_goes_on_as_its_tangent():
    ours, y = Poisson(limit=2.0), np.zeros((1, 1))
    assert ours.terms(np.array([[5.0]]), y)[0] == pytest.approx(math.exp(2) * (1 + 3))
    assert ours.gradient(np.array([[5.0]]), y)[0, 0] == pytest.approx(math.exp(2))


MATCHED = [
    ("softmax", "cross_entropy", lambda rng: np.eye(M)[rng.integers(0, M, N)]),
    ("logistic", "binary_cross_entropy", lambda rng: rng.integers(0, 2, (N, M)).astype(float)),
    ("identity", "squared_error", lambda rng: rng.normal(size=(N, M))),
]


@pytest.mark.parametrize(("sigma", "name", "targets"), MATCHED)
def test_matched_pairs_give_output_minus_target(sigma: str, name: str, targets: Any):
    """δ^L = (a − y)/N, to the last bit."""
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(N, M)), targets(rng)
    a = activation(sigma)(z)
    np.testing.assert_array_equal(loss(name).gradient(z, y), (a - y) / N)
    np.testing.assert_array_equal(loss(name).link(z), a)


def test_unmatched_pairs_do_not():
    """Logistic units with squared error: δ^L = (a − y) ⊙ σ′(z) / N."""
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(N, M)), rng.random((N, M))
    a = Logistic()(z)
    delta = Logistic().pull_back(SquaredError().gradient(a, y), z)
    np.testing.assert_allclose(delta, (a - y) * a * (1 - a) / N, rtol=1e-13)


@pytest.mark.parametrize("indices", [True, False])
def test_the_general_form_gives_what_cross_entropy_of_logits_gives(indices: bool):
    """−y/a through softmax's Jacobian is a − y."""
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(N, M)), rng.integers(0, M, N)
    if not indices:
        y = np.eye(M)[y]
    a, weight = Softmax()(z), rng.random(N)
    assert LogLoss().value(a, y, weight) == pytest.approx(float(CrossEntropy().value(z, y, weight)), rel=1e-13)
    delta = Softmax().pull_back(LogLoss().gradient(a, y, weight), z)
    np.testing.assert_allclose(delta, CrossEntropy().gradient(z, y, weight), rtol=1e-11, atol=1e-16)


def test_log_loss_of_a_probability_of_zero_is_finite():
    z = np.array([[0.0, 1e4]], np.float32)
    a, y = Softmax()(z), np.array([0])
    assert a[0, 0] == 0
    assert LogLoss().value(a, y) == pytest.approx(-math.log(1e-30), rel=1e-6)
    assert np.isfinite(Softmax().pull_back(LogLoss().gradient(a, y), z)).all()


def test_logarithms_are_natural():
    """Ten equal classes cost ln 10 = 2.30, not log₁₀ 10 = 1; one fair coin costs ln 2."""
    assert CrossEntropy().value(np.zeros((1, 10)), np.array([3])) == pytest.approx(math.log(10))
    assert LogLoss().value(np.full((1, 10), 0.1), np.array([3])) == pytest.approx(math.log(10))
    assert BinaryCrossEntropy().value(np.zeros((1, 1)), np.ones((1, 1))) == pytest.approx(math.log(2))


def test_values_by_hand():
    """The residuals are 3, −0.5 and 0."""
    a, y = np.array([[4.0, 0.5, 2.0]]), np.array([[1.0, 1.0, 2.0]])
    assert SquaredError().value(a, y) == 0.5 * (9 + 0.25)
    assert AbsoluteError().value(a, y) == 3.5
    assert AbsoluteError().gradient(a, y).tolist() == [[1.0, -1.0, 0.0]]
    assert Huber().value(a, y) == 1 * (3 - 0.5) + 0.5 * 0.25
    assert Huber().gradient(a, y).tolist() == [[1.0, -0.5, 0.0]]
    assert Huber(2.0).value(a, y) == 2 * (3 - 1) + 0.5 * 0.25
    assert Poisson().value(np.array([[0.0]]), np.array([[3.0]])) == 1.0


def test_kinks():
    assert (AbsoluteError().kinks, Huber(0.5).kinks, SquaredError().kinks) == ((0.0,), (-0.5, 0.5), ())


CUSTOM = {
    "any": loss((lambda a, y: ((a - y) ** 4).sum(1), lambda a, y: 4 * (a - y) ** 3)),
    "torch": Custom(lambda a, y: torch.pow(a - y, 4).sum(1), lambda a, y: 4 * torch.pow(a - y, 3), arrays="torch"),
    "numpy": Custom(
        lambda a, y: np.einsum("nk->n", (a - y) ** 4), lambda a, y: np.full_like(a, 4) * (a - y) ** 3, arrays="numpy"
    ),
}


@pytest.mark.parametrize("custom", CUSTOM.values(), ids=CUSTOM)
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_a_users_own(custom: Custom, library: str):
    a, y, weight = np.array([[3.0, 1.0], [0.0, 2.0]]), np.ones((2, 2)), np.array([1.0, 3.0])
    arrays = [torch.from_numpy(v) if library == "torch" else v for v in (a, y, weight)]
    assert float(custom.value(*arrays[:2])) == (16 + 2) / 2
    assert float(custom.value(*arrays)) == (16 + 3 * 2) / 4
    gradient = custom.gradient(*arrays)
    assert type(gradient) is type(arrays[0])
    assert gradient.tolist() == [[8.0, 0.0], [-3.0, 3.0]]


def test_a_users_own_for_the_other_library_is_an_error_with_the_remedy():
    custom = Custom(lambda a, y: torch.square(a - y).sum(1), lambda a, y: 2 * (a - y))
    with pytest.raises(InputError, match="arrays='torch' or arrays='numpy'"):
        custom.value(np.ones((2, 2)), np.ones((2, 2)))


@every_case
def test_the_stored_form_gives_the_same_back(case: Case):
    assert LOSSES.make(LOSSES.spec(loss(case.given))) == loss(case.given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("huber(threshold=0)", "threshold must be above 0, not 0"),
        ("cross_entropy(label_smoothing=1)", "label_smoothing must be at least 0 and below 1, not 1"),
        ("binary_cross_entropy(label_smoothing=-0.1)", "label_smoothing must be at least 0"),
        ("log_loss(floor=0)", "floor must be above 0 and below 1"),
        ("crossentropy", "Did you mean 'cross_entropy'"),
        ("squared_error(scale=2)", "has no parameter 'scale'"),
    ],
)
def test_bad_losses(given: str, message: str):
    with pytest.raises(ConfigError, match=message):
        loss(given)


# Class weights


def test_balanced_weights():
    """N / (K · N_k)."""
    assert balanced_weights(np.array([0, 0, 0, 2])) == {0: 4 / (2 * 3), 2: 4 / (2 * 1)}


def test_balanced_weights_make_all_classes_count_alike():
    y = np.array([0, 0, 0, 0, 0, 1, 2, 2])
    weight = sample_weights(y, "balanced")
    totals = [weight[y == k].sum() for k in range(3)]
    assert totals == pytest.approx([8 / 3] * 3)


def test_weights_by_class_multiply_the_samples_own():
    y, own = np.array([0, 1, 2, 1]), np.array([1.0, 2.0, 3.0, 0.0])
    assert sample_weights(y, {1: 5.0, 2: 0.5}).tolist() == [1.0, 5.0, 0.5, 5.0]
    assert sample_weights(y, {1: 5.0, 2: 0.5}, own).tolist() == [1.0, 10.0, 1.5, 0.0]
    assert own.tolist() == [1.0, 2.0, 3.0, 0.0]


def test_weights_of_many_labels_are_products():
    """Of two labels: the first is 1 in one of four rows, the second in two."""
    y = np.array([[1, 1], [0, 1], [0, 0], [0, 0]])
    ones, zeros = 4 / (2 * 1), 4 / (2 * 3)
    assert sample_weights(y, "balanced").tolist() == pytest.approx([ones, zeros, zeros, zeros])
    assert sample_weights(y, {1: 3.0}).tolist() == [9.0, 3.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("equal", "class_weight is 'balanced' or weights by class, not 'equal'"),
        ((1.0, 2.0), "class_weight is 'balanced' or weights by class"),
        ({0: -1.0}, "finite and not negative"),
        ({0: math.inf}, "finite and not negative"),
        ({0: math.nan}, "finite and not negative"),
    ],
    ids=str,
)
def test_bad_class_weights(given: Any, message: str):
    with pytest.raises(ConfigError, match=message):
        sample_weights(np.array([0, 1]), given)
