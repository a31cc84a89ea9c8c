"""What one gradient costs by each of the three ways: numerical, symbolic, and by back-propagation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from glassnet.backprop import backprop, forward_pass
from glassnet.errors import ConfigError
from glassnet.inspection.derive import Model, compiled, components, flat, random_points
from glassnet.inspection.gradient_check import EPSILON
from glassnet.losses import Loss
from glassnet.messages import say
from glassnet.network import Network, check_sizes

HIDDEN = (2, 4, 8, 16, 32, 64, 128)
_REPEATS = 0.05  # seconds that a short measurement is repeated for


@dataclass(frozen=True)
class Cost:
    """Seconds for the whole gradient of one sample; None where the time limit came first.

    Attributes
    ----------
    sizes : tuple of int
    parameters : int
    numerical : float or None
        Central differences: two forward passes for each parameter.
    derive : float or None
        sympy's differentiation of C by each parameter, and the compilation of the expressions into a function. Once
        for a network's form.
    operations : int or None
        In those expressions.
    evaluate : float or None
        One call of that function.
    backprop : float
    """

    sizes: tuple[int, ...]
    parameters: int
    numerical: float | None
    derive: float | None
    operations: int | None
    evaluate: float | None
    backprop: float


def gradient_costs(
    sizes: Sequence[Sequence[int]] | None = None,
    activation: Any = "tanh",
    loss: Any = "cross_entropy",
    *,
    seconds: float = 20.0,
) -> Iterator[Cost]:
    """Measure the three ways as the network grows; each size is given as soon as it is measured.

    Parameters
    ----------
    sizes : sequence of sequences of int, optional
        By default 2-2-2, 2-4-2, … 2-128-2.
    activation, loss : as :func:`glassnet.inspection.derive` takes them
    seconds : float > 0, default 20.0
        Once a way has taken longer for a size, it is left out from there on.
    """
    if not seconds > 0:
        raise ConfigError(say("the time limit must be above 0, not {seconds}", seconds=seconds))
    late = {"numerical": False, "symbolic": False}
    for given in sizes if sizes is not None else [(2, n, 2) for n in HIDDEN]:
        units = check_sizes(given)
        sigma, cost, output = components(activation, loss, None)
        x, y, weights, biases = next(random_points(units, cost, 1, 0))
        network = Network.of_parameters(weights, biases, sigma, output=output)
        numerical = derived = operations = evaluated = None
        if not late["numerical"]:
            numerical = _numerical(network, cost, x[None], y[None], seconds)
            late["numerical"] = numerical is None
        if not late["symbolic"]:
            model = Model(units, sigma, output, cost)
            derived, operations, function = _symbolic(model, seconds)
            late["symbolic"] = function is None
            if function is not None:
                values = [float(v) for v in [*x, *y, *flat(weights, biases)]]
                evaluated = _time(lambda function=function, values=values: function(*values))  # type: ignore[misc]
        found = _time(lambda network=network, cost=cost, x=x, y=y: backprop(network, cost, x[None], y[None]))  # type: ignore[misc]
        yield Cost(units, network.n_parameters, numerical, derived, operations, evaluated, found)


def _time(call: Callable[[], Any]) -> float:
    """The shortest of several calls."""
    best, begin = float("inf"), perf_counter()
    while True:
        start = perf_counter()
        call()
        now = perf_counter()
        best = min(best, now - start)
        if now - begin > _REPEATS:
            return best


def _numerical(network: Network, loss: Loss, x: np.ndarray, y: np.ndarray, seconds: float) -> float | None:
    """Of all central differences; None if they take too long."""
    start = perf_counter()
    for _, theta in network.parameters():
        entries = theta.reshape(-1)
        for i in range(entries.size):
            before, values = entries[i], []
            for step in (EPSILON, -EPSILON):
                entries[i] = before + step
                a, _ = forward_pass(network, x, None)
                values.append(float(loss.value(a, y)))
            entries[i] = before
            if perf_counter() - start > seconds:
                return None
    return perf_counter() - start


def _symbolic(model: Model, seconds: float) -> tuple[float | None, int | None, Callable[..., Any] | None]:
    """Seconds and operations of deriving and compiling, and the function; None if it takes too long."""
    start, gradients = perf_counter(), []
    for theta in model.parameters:
        gradients.append(model.C.diff(model.of(theta)))
        if perf_counter() - start > seconds:
            return None, None, None
    function = compiled([model.of(symbol) for symbol in model.inputs], gradients, cse=False)
    taken = perf_counter() - start
    if taken > seconds:
        return None, None, None
    return taken, sum(int(gradient.count_ops()) for gradient in gradients), function
