"""Training by L-BFGS: the whole gradient at once, and SciPy's optimiser."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize

from glassnet.backprop import backward_pass, forward_pass
from glassnet.data.examples import Examples
from glassnet.losses import Loss
from glassnet.network import Network
from glassnet.regularisers import Regularisation


def block_rows(n_features: int) -> int:
    """How many rows to take at a time: fewer of many features, in case they have to be written out."""
    return min(4096, max(64, 2**22 // n_features))


class Result(NamedTuple):
    """Where L-BFGS ended: C with its penalties, iterations, whether it converged, and why it ended."""

    loss: float
    n_iter: int
    converged: bool
    reason: str


def total_gradient(
    network: Network, loss: Loss, rules: Regularisation, examples: Examples
) -> tuple[float, dict[str, np.ndarray]]:
    """C over all examples with its penalties, and ∂C/∂θ of each parameter, block of rows by block."""
    n = len(examples)
    total = float(n if examples.weight is None else examples.weight.sum())
    value = 0.0
    gradients = {name: np.zeros_like(theta) for name, theta in network.parameters()}
    rows = block_rows(network.sizes[0])
    for start in range(0, n, rows):
        part = examples.take(slice(start, start + rows))
        share = float(len(part) if part.weight is None else part.weight.sum()) / total
        a, caches = forward_pass(network, part.x, None)  # of a CSR array, products take the entries only
        value += share * float(loss.value(a, part.y, part.weight))
        for layer, grads in zip(
            network.layers,
            backward_pass(network, caches, loss.gradient(a, part.y, part.weight)),
            strict=True,
        ):
            for name, gradient in grads.params.items():
                gradients[f"{layer.number}.{name}"] += share * gradient
    for key, theta in network.parameters():
        name = key.split(".")[1]
        value += float(rules.penalty(name, theta, total))
        gradients[key] += rules.penalty_gradient(name, theta, total)
    return value, gradients


def fit_lbfgs(
    network: Network,
    loss: Loss,
    rules: Regularisation,
    examples: Examples,
    *,
    max_iter: int,
    max_fun: int,
    tol: float,
    report: Any = None,
) -> Result:
    """Train a network in place (Liu and Nocedal 1989; the code is SciPy's).

    ``report(iteration, loss)`` is called after each iteration.
    """
    parameters = list(network.parameters())

    def put(flat: np.ndarray) -> None:
        start = 0
        for _, theta in parameters:
            theta[...] = flat[start : start + theta.size].reshape(theta.shape)
            start += theta.size

    def cost(flat: np.ndarray) -> tuple[float, np.ndarray]:
        put(flat)
        value, gradients = total_gradient(network, loss, rules, examples)
        return value, np.concatenate([gradients[name].ravel() for name, _ in parameters]).astype(np.float64)

    done = 0

    def after(intermediate_result: Any) -> None:
        nonlocal done
        done += 1
        report(done, float(intermediate_result.fun))

    start = np.concatenate([theta.ravel() for _, theta in parameters]).astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # what is not finite is found afterwards
        found = minimize(
            cost,
            start,
            method="L-BFGS-B",
            jac=True,
            callback=None if report is None else after,
            options={"maxfun": max_fun, "maxiter": max_iter, "gtol": tol},
        )
    put(found.x)
    return Result(float(found.fun), min(int(found.nit), max_iter), found.status == 0, str(found.message))
