"""Random networks with a batch each, numbered by a seed: all components in turn, everything else by chance."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cases import activations, losses
from glassnet.network import Network
from glassnet.random import Draws
from glassnet.regularisers import Regularisation

REGULARISATIONS = [
    Regularisation(),
    Regularisation(l1=0.02),
    Regularisation(l2=0.1),
    Regularisation(l1=0.01, l2=0.05),
    Regularisation(l1=0.01, l2=0.05, biases=True),
]
DROPOUTS = [None, "inverted", "plain"]


@dataclass(frozen=True)
class Problem:
    """A float64 network with a batch, the masks that it is to be trained on, and the penalties.

    Shapes: x (N, n[0])    y (N, n[L]) or (N,)    weight (N,) or None
    """

    network: Network
    activations: tuple[activations.Case, ...]
    loss: losses.Case
    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None
    draws: Draws
    rules: Regularisation

    @property
    def has_dropout(self) -> bool:
        return any(not layer.params for layer in self.network.layers)

    def rows(self, index: np.ndarray) -> Problem:
        """The problem of some rows, each with the mask that it had."""
        weight = None if self.weight is None else self.weight[index]
        draws = replace(self.draws, positions=self.draws.positions[index])
        return replace(self, x=self.x[index], y=self.y[index], weight=weight, draws=draws)


def random_problem(seed: int, *, dropout: bool = True) -> Problem:
    """Problem number ``seed``: depth 1 to 6, 1 to 6 units a layer, 1 to 8 rows."""
    rng = np.random.default_rng([20, seed])
    depth = int(rng.integers(1, 7))
    sizes = [int(size) for size in rng.integers(1, 7, depth + 1)]
    loss = losses.CASES[seed % len(losses.CASES)]
    chain = [activations.CASES[(seed + 5 * l) % len(activations.CASES)] for l in range(depth)]
    if loss.takes_probabilities:
        chain[-1] = next(case for case in activations.CASES if case.name == "softmax")
    elif rng.random() < 0.5:
        chain[-1] = activations.CASES[0]
    variant = DROPOUTS[seed // 2 % len(DROPOUTS)] if dropout else None
    network = Network.dense(
        sizes,
        [case.given for case in chain[:-1]],
        output=chain[-1].given,
        init="normal(variance=0.5)",
        bias="normal(variance=0.1)" if seed % 4 else False,
        dropout=[float(rate) for rate in rng.choice([0.0, 0.2, 0.5], depth - 1)] if variant else 0.0,
        input_dropout=0.3 if variant and rng.random() < 0.5 else 0.0,
        dropout_variant=variant or "inverted",
        dtype="float64",
        seed=seed,
    )
    n = int(rng.integers(1, 9))
    weight = None
    if rng.random() < 0.5:
        weight = rng.random(n) * (rng.random(n) < 0.8)
        weight[rng.integers(n)] = 1.0
    return Problem(
        network,
        tuple(chain),
        loss,
        rng.normal(size=(n, sizes[0])),
        loss.targets(rng, n, sizes[-1]),
        weight,
        network.draws(n, first=int(rng.integers(1000)), epoch=int(rng.integers(50))),
        REGULARISATIONS[seed % len(REGULARISATIONS)],
    )
