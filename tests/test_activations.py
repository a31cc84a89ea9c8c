"""Each activation's value, derivative and pull-back against torch, autograd and central differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from cases.activations import CASES, ELEMENTWISE, Case
from glassnet.activations import ACTIVATIONS, Custom, Elementwise, Identity, LeakyReLU, Logistic, Softmax, activation
from glassnet.errors import ConfigError, InputError
from oracle import one_thread  # noqa: F401

every_case = pytest.mark.parametrize("case", CASES, ids=str)
every_elementwise_case = pytest.mark.parametrize("case", ELEMENTWISE, ids=str)
SHAPE = (40, 5)
EXTREMES = [0.0, 88.0, 1e4, 1e30, -88.0, -1e4, -1e30]


def net_inputs(case: Case, seed: int = 0) -> np.ndarray:
    """From both tails and the middle, none near a kink."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=SHAPE) * rng.choice([0.5, 2.0, 8.0], size=SHAPE)
    for kink in activation(case.given).kinks:
        z[np.abs(z - kink) < 1e-3] += 0.01
    return z


def test_the_table_has_every_activation():
    assert {case.name for case in CASES} == set(ACTIVATIONS.names())


@every_case
def test_value_against_torch(case: Case):
    z = net_inputs(case)
    np.testing.assert_allclose(
        activation(case.given)(z), case.oracle(torch.from_numpy(z)).numpy(), rtol=1e-12, atol=1e-15
    )


@every_elementwise_case
def test_derivative_against_automatic_differentiation(case: Case):
    z = torch.from_numpy(net_inputs(case)).requires_grad_()
    (expected,) = torch.autograd.grad(case.oracle(z).sum(), z)
    found = activation(case.given).derivative(z.detach().numpy())
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-11, atol=1e-15)


@every_elementwise_case
def test_derivative_against_central_differences(case: Case):
    sigma, z, h = activation(case.given), net_inputs(case), 6e-6
    np.testing.assert_allclose(sigma.derivative(z), (sigma(z + h) - sigma(z - h)) / (2 * h), rtol=0, atol=1e-9)


@every_case
def test_pull_back_is_the_jacobian_transposed(case: Case):
    """Jᵀ g, row by row, with J (M, M) from automatic differentiation."""
    z, grad_a = net_inputs(case)[:8], np.random.default_rng(1).normal(size=(8, SHAPE[1]))
    found = activation(case.given).pull_back(grad_a, z)
    for row, g, pulled in zip(torch.from_numpy(z), grad_a, found, strict=True):
        J = torch.autograd.functional.jacobian(lambda r: case.oracle(r[None])[0], row).numpy()
        np.testing.assert_allclose(pulled, J.T @ g, rtol=1e-11, atol=1e-14)


@every_elementwise_case
def test_the_pull_back_of_an_elementwise_one_is_a_product(case: Case):
    sigma, z = activation(case.given), net_inputs(case)
    assert isinstance(sigma, Elementwise)
    grad_a = np.random.default_rng(1).normal(size=z.shape)
    np.testing.assert_array_equal(sigma.pull_back(grad_a, z), grad_a * sigma.derivative(z))


@every_case
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numpy_and_torch_agree_and_keep_the_dtype(case: Case, dtype: str):
    sigma, z = activation(case.given), net_inputs(case).astype(dtype)
    grad_a = np.random.default_rng(1).normal(size=z.shape).astype(dtype)
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    in_torch = (sigma(torch.from_numpy(z)), sigma.pull_back(torch.from_numpy(grad_a), torch.from_numpy(z)))
    in_numpy = (sigma(z), sigma.pull_back(grad_a, z))
    for a, tensor in zip(in_numpy, in_torch, strict=True):
        assert a.dtype == dtype
        assert tensor.dtype == getattr(torch, dtype)
        np.testing.assert_allclose(a, tensor.numpy(), rtol=tolerance, atol=tolerance / 10)


@every_case
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_extremes_are_finite_in_float32(case: Case, library: str):
    """And right: what the oracle says in float64, where that fits into float32."""
    z = np.array([[extreme, 0.0] for extreme in EXTREMES], np.float32)
    given = z if library == "numpy" else torch.from_numpy(z)
    sigma = activation(case.given)
    values, pulled = sigma(given), sigma.pull_back(given * 0 + 1, given)
    assert np.isfinite(np.asarray(values)).all()
    assert np.isfinite(np.asarray(pulled)).all()
    expected = case.oracle(torch.from_numpy(z.astype(np.float64))).numpy()
    np.testing.assert_allclose(np.asarray(values), expected, rtol=1e-6, atol=1e-30)
    if case.elementwise:
        assert np.abs(np.asarray(pulled)).max() <= 1.13  # the steepest of all is GELU's 1.129 at z = √2


@pytest.mark.parametrize("case", [case for case in ELEMENTWISE if activation(case.given).kinks], ids=str)
def test_kinks_are_where_a_one_sided_derivative_jumps(case: Case):
    """At 0 the derivative is the left one."""
    sigma = activation(case.given)
    assert sigma.kinks == (0.0,)
    left, at, right = sigma.derivative(np.array([[-1e-12, 0.0, 1e-12]]))[0]
    assert at == pytest.approx(left, abs=1e-11)
    assert right == 1.0
    assert sigma(np.array([[0.0]]))[0, 0] == 0.0


def test_the_jacobian_of_softmax():
    """diag(a) − a aᵀ."""
    z = np.random.default_rng(0).normal(size=(1, 4))
    a = Softmax()(z)[0]
    J = np.array([Softmax().pull_back(unit[None], z)[0] for unit in np.eye(4)])
    np.testing.assert_allclose(J, np.diag(a) - np.outer(a, a), atol=1e-16)
    np.testing.assert_allclose(J.sum(axis=0), 0, atol=1e-16)


def test_softmax_does_not_care_for_a_shift_and_sums_to_one():
    z = np.random.default_rng(0).normal(size=(6, 4))
    np.testing.assert_allclose(Softmax()(z + 100.0), Softmax()(z), rtol=1e-13)
    np.testing.assert_allclose(Softmax()(z).sum(axis=1), 1.0, rtol=1e-15)


def test_logistic_keeps_its_digits_in_both_tails():
    z = np.array([[-30.0, -700.0]])
    np.testing.assert_allclose(Logistic()(z), np.exp(z), rtol=1e-12)
    np.testing.assert_allclose(Logistic().derivative(z), np.exp(z), rtol=1e-12)
    np.testing.assert_allclose(Logistic().derivative(-z), np.exp(z), rtol=1e-12)


def cube_torch(z: torch.Tensor) -> torch.Tensor:
    return torch.pow(z, 3)


def slope_torch(z: torch.Tensor) -> torch.Tensor:
    return 3 * torch.square(z)


def cube_numpy(z: np.ndarray) -> np.ndarray:
    return np.power(z, 3, out=np.empty_like(z))


def slope_numpy(z: np.ndarray) -> np.ndarray:
    return np.multiply(3 * z, z, out=np.empty_like(z))


CUSTOM = {
    "any": activation((lambda z: z**3, lambda z: 3 * z**2)),
    "torch": Custom(cube_torch, slope_torch, arrays="torch"),
    "numpy": Custom(cube_numpy, slope_numpy, arrays="numpy"),
    "pull-back": Custom(lambda z: z**3, pull_back_function=lambda grad_a, z: grad_a * 3 * z * z),
}


@pytest.mark.parametrize("custom", CUSTOM.values(), ids=CUSTOM)
@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_users_own(custom: Custom, library: str, dtype: str):
    z = np.array([[1.0, -2.0], [0.5, 3.0]], dtype)
    grad_a = np.array([[1.0, 2.0], [-4.0, 1.0]], dtype)
    given = [torch.from_numpy(a) if library == "torch" else a for a in (z, grad_a)]
    value, pulled = custom(given[0]), custom.pull_back(given[1], given[0])
    assert type(value) is type(pulled) is type(given[0])
    assert value.dtype == pulled.dtype == given[0].dtype
    assert value.tolist() == [[1.0, -8.0], [0.125, 27.0]]
    assert pulled.tolist() == [[3.0, 24.0], [-3.0, 27.0]]


def test_a_users_own_in_another_precision_does_not_widen_the_network():
    custom = Custom(lambda z: z.astype(np.float64), lambda z: np.ones(z.shape))
    z = np.ones((2, 2), np.float32)
    assert custom(z).dtype == custom.pull_back(z, z).dtype == np.float32


@pytest.mark.parametrize(
    ("custom", "z"),
    [
        (Custom(torch.tanh, torch.cos), np.ones((2, 2))),
        (Custom(lambda z: z.clamp(min=0), lambda z: (z > 0).float()), np.ones((2, 2))),
        (Custom(lambda z: z.astype(float), np.ones_like), torch.ones(2, 2)),
    ],
)
def test_a_function_for_the_other_library_is_an_error_with_the_remedy(custom: Custom, z: Any):
    with pytest.raises(InputError, match=r"could not be called with .* arrays: .* arrays='torch' or arrays='numpy'"):
        custom(z)


@pytest.mark.parametrize("arguments", [{}, {"derivative": np.cos, "pull_back_function": np.multiply}])
def test_a_users_own_needs_one_of_the_two(arguments: dict):
    with pytest.raises(ConfigError, match="either its derivative or its pull_back_function"):
        Custom(np.sin, **arguments)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("sigmoid", Logistic()),
        ("linear", Identity()),
        ("none", Identity()),
        ("Leaky-ReLU", LeakyReLU()),
        ({"name": "leaky_relu", "slope": 0.2}, LeakyReLU(0.2)),
        (LeakyReLU(0.5), LeakyReLU(0.5)),
    ],
    ids=str,
)
def test_forms_in_which_an_activation_is_given(given: Any, expected: Any):
    assert activation(given) == expected


@every_case
def test_the_stored_form_gives_the_same_back(case: Case):
    sigma = activation(case.given)
    assert ACTIVATIONS.make(ACTIVATIONS.spec(sigma)) == sigma


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("rlu", "unknown activation 'rlu'; choose one of: .*Did you mean 'relu'"),
        ("leaky_relu(slop=1)", "'leaky_relu' has no parameter 'slop'; it has: slope"),
        ("relu(slope=1)", "'relu' has no parameter 'slope'; it has: none"),
        ("leaky_relu(0.1)", "cannot read the activation"),
        ("leaky_relu(slope=", "cannot read the activation"),
        ("leaky_relu(slope=open('x'))", "cannot read the activation"),
        ({"slope": 1}, "unknown activation ''"),
    ],
    ids=str,
)
def test_bad_activations(given: Any, message: str):
    with pytest.raises(ConfigError, match=message):
        activation(given)
