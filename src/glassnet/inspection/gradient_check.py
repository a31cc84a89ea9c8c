"""Back-propagation against numerical differentiation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from glassnet.arrays import to_numpy
from glassnet.backprop import backprop, forward_pass
from glassnet.errors import ConfigError
from glassnet.layers import Dense
from glassnet.losses import Loss, dense_targets
from glassnet.messages import say
from glassnet.network import Network
from glassnet.random import Draws, Purpose, generator
from glassnet.regularisers import Regularisation

EPSILON = 6e-6
"""Near u^(1/3) for float64's u = 1.1e-16, where truncation (ε²) and round-off (u/ε) are of one size."""


@dataclass(frozen=True)
class ParameterCheck:
    """One parameter's gradient against its numerical derivative.

    Attributes
    ----------
    name : str
        "1.W", "1.b", …
    checked : int
        Entries compared.
    kinks : int
        Entries left out because a kink lies between θ − ε and θ + ε, where a difference says nothing.
    error : float
        The largest |numerical − back-propagated|, relative to the parameter's largest gradient (see
        :func:`check_gradients`).
    worst : tuple of int
        Where it is.
    numerical, backprop : float
        Both values there.
    """

    name: str
    checked: int
    kinks: int
    error: float
    worst: tuple[int, ...]
    numerical: float
    backprop: float


@dataclass(frozen=True)
class GradientCheck:
    """The verdict on all parameters.

    Attributes
    ----------
    parameters : tuple of ParameterCheck
    tolerance : float
    epsilon : float
    """

    parameters: tuple[ParameterCheck, ...]
    tolerance: float
    epsilon: float

    @property
    def error(self) -> float:
        """The largest relative error of all."""
        return max((p.error for p in self.parameters), default=0.0)

    @property
    def checked(self) -> int:
        """Entries compared."""
        return sum(p.checked for p in self.parameters)

    @property
    def kinks(self) -> int:
        """Entries left out at kinks."""
        return sum(p.kinks for p in self.parameters)

    @property
    def passed(self) -> bool:
        """Whether something was compared and every error is within the tolerance."""
        return self.checked > 0 and self.error <= self.tolerance

    def __bool__(self) -> bool:
        return self.passed

    def verdict(self) -> str:
        """One line."""
        text = (
            say("the gradients are right: largest relative error {error:.2e}, tolerance {tolerance:.0e}, {n} entries")
            if self.passed
            else say(
                "THE GRADIENTS ARE WRONG: largest relative error {error:.2e}, tolerance {tolerance:.0e}, {n} entries"
            )
        )
        text = text.format(error=self.error, tolerance=self.tolerance, n=self.checked)
        return text + (say(" ({kinks} at a kink left out)", kinks=self.kinks) if self.kinks else "")

    def __str__(self) -> str:
        rows = [f"{p.name:>8}  {p.error:9.2e}  {p.checked:6d}  {p.kinks:5d}" for p in self.parameters]
        head = f"{say('name'):>8}  {say('error'):>9}  {say('entries'):>6}  {say('kinks'):>5}"
        return "\n".join([head, *rows, self.verdict()])


def check_gradients(
    network: Network,
    loss: Loss | str,
    x: Any,
    y: Any,
    *,
    weight: Any = None,
    regularisation: Regularisation | None = None,
    draws: Draws | None = None,
    epsilon: float = EPSILON,
    tolerance: float = 1e-7,
    entries: int | None = 200,
    seed: int = 0,
) -> GradientCheck:
    """Compare back-propagation with central differences (C(θ + ε) − C(θ − ε)) / 2ε, in float64.

    The network is copied, so nothing is changed. Dropout masks are held fixed. An entry is left out where the network
    crosses a kink between θ − ε and θ + ε: a net input that passes the kink of its activation, an output that passes
    that of the loss, or a weight that passes 0 under ℓ1.

    The error of an entry is |numerical − back-propagated| divided by the largest gradient of its parameter, or by
    r / tolerance where that is larger. Here r = 10 u (|C| + Σ |a ∂C/∂a|) / ε, with u = 2.2e-16, is what rounding leaves
    of a central difference: a smaller gradient than r cannot be told from 0 by differences, so it is not held wrong.

    Parameters
    ----------
    network : Network
    loss : Loss or its name
    x, y : array
        A batch; a few dozen rows are enough.
    weight : array (N,), optional
    regularisation : Regularisation, optional
        Its ℓ1 and ℓ2 penalties are part of C.
    draws : Draws, optional
        Which dropout masks; see :func:`glassnet.backprop`.
    epsilon : float > 0, default 6e-6
    tolerance : float > 0, default 1e-7
    entries : int or None, default 200
        How many entries of each parameter, chosen at random; None: all.
    seed : int, default 0
        Of that choice.

    Returns
    -------
    GradientCheck

    Raises
    ------
    ShapeError
        If the batch does not fit the network.
    ConfigError
        If ``epsilon`` or ``tolerance`` is not above 0.
    """
    if not (epsilon > 0 and tolerance > 0):
        raise ConfigError(say("epsilon and tolerance must be above 0"))
    rules = regularisation or Regularisation()
    network = network.mapped(lambda theta: np.array(to_numpy(theta), dtype=np.float64))
    x, y, weight, loss = network.checked_batch(to_numpy(x), to_numpy(y), weight, loss)
    draws = replace(draws, positions=to_numpy(draws.positions)) if draws else network.draws(len(x))
    value, grads = backprop(network, loss, x, y, weight=weight, draws=draws)
    cost = _Cost(network, loss, x, y, weight, draws, rules)
    a = network.forward(x, draws=draws)
    rounding = np.finfo(np.float64).eps * (abs(float(value)) + float(np.abs(a * loss.gradient(a, y, weight)).sum()))
    floor = 10.0 * rounding / epsilon / tolerance
    checks = []
    for layer, layer_grads in zip(network.layers, grads, strict=True):
        for name, theta in layer.params.items():
            gradient = np.asarray(layer_grads.params[name] + rules.penalty_gradient(name, theta))
            key = f"{layer.number}.{name}"
            rng = generator(seed, Purpose.CHECK, layer.number)
            kinked_by_penalty = rules.l1 > 0 and rules.applies_to(name)
            checks.append(_check(key, theta, gradient, cost, epsilon, floor, entries, rng, kinked_by_penalty))
    return GradientCheck(tuple(checks), tolerance, epsilon)


def _check(
    name: str,
    theta: np.ndarray,
    gradient: np.ndarray,
    cost: _Cost,
    epsilon: float,
    floor: float,
    entries: int | None,
    rng: np.random.Generator,
    kinked_by_penalty: bool,
) -> ParameterCheck:
    flat = np.arange(theta.size) if entries is None or theta.size <= entries else rng.choice(theta.size, entries, False)
    differences, compared, kinks = [], [], 0
    for i in np.sort(flat):
        where = np.unravel_index(int(i), theta.shape)
        before = theta[where]
        theta[where] = before + epsilon
        above, sides_above = cost(), cost.sides
        theta[where] = before - epsilon
        below, sides_below = cost(), cost.sides
        theta[where] = before
        crossed = any((a != b).any() for a, b in zip(sides_above, sides_below, strict=True))
        if crossed or (kinked_by_penalty and abs(before) <= epsilon):
            kinks += 1
            continue
        differences.append((above - below) / (2.0 * epsilon))
        compared.append(where)
    if not compared:
        return ParameterCheck(name, 0, kinks, 0.0, (), 0.0, 0.0)
    numerical = np.array(differences)
    ours = np.array([gradient[where] for where in compared])
    scale = max(np.abs(numerical).max(), np.abs(ours).max(), floor, np.finfo(np.float64).tiny)
    errors = np.abs(numerical - ours) / scale
    errors[~np.isfinite(errors)] = np.inf
    k = int(np.argmax(errors))
    worst = tuple(int(i) for i in compared[k])
    return ParameterCheck(name, len(compared), kinks, float(errors[k]), worst, float(numerical[k]), float(ours[k]))


class _Cost:
    """C of the batch, penalties included, with the masks held; and on which side of every kink it was taken."""

    def __init__(
        self,
        network: Network,
        loss: Loss,
        x: np.ndarray,
        y: np.ndarray,
        weight: np.ndarray | None,
        draws: Draws,
        rules: Regularisation,
    ) -> None:
        self.network, self.loss, self.rules = network, loss, rules
        self.x, self.y, self.weight, self.draws = x, y, weight, draws
        self.sides: list[np.ndarray] = []

    def __call__(self) -> float:
        a, caches = forward_pass(self.network, self.x, self.draws)
        self.sides = [values > kink for values, kink in self._kinked(a, caches)]
        return float(self.loss.value(a, self.y, self.weight)) + self.rules.total(self.network.parameters())

    def _kinked(self, a: np.ndarray, caches: list[Any]) -> Iterator[tuple[np.ndarray, float]]:
        """The values that matter to a kink, with the kink."""
        for layer, cache in zip(self.network.layers, caches, strict=True):
            if isinstance(layer, Dense):
                for kink in layer.activation.kinks:
                    yield cache[1], kink
        for kink in self.loss.kinks:
            yield a - dense_targets(self.y, a), kink
