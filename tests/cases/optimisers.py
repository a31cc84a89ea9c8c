"""Every optimiser, with the same rule in torch.optim. A new optimiser is one more line in CASES."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import optim

TorchOptimiser = Callable[..., optim.Optimizer]


@dataclass(frozen=True)
class Case:
    """An optimiser as it is given, torch's of the same rule, and the first step by hand from θ = 1, g = 4, η = 0.1."""

    given: str
    torch: TorchOptimiser
    first: float

    @property
    def name(self) -> str:
        return self.given.split("(")[0]

    def __str__(self) -> str:
        return self.given


CASES = [
    Case("sgd", optim.SGD, 1 - 0.1 * 4),
    # torch keeps v/η, which is the same at a constant learning rate
    Case("momentum", partial(optim.SGD, momentum=0.9), 1 - 0.1 * 4),
    Case("momentum(momentum=0.5)", partial(optim.SGD, momentum=0.5), 1 - 0.1 * 4),
    Case("nesterov", partial(optim.SGD, momentum=0.9, nesterov=True), 1 - (0.9 + 1) * 0.1 * 4),
    # s = 0.1 · 16, so the step is 0.1 · 4 / (√1.6 + ε)
    Case("rmsprop", partial(optim.RMSprop, alpha=0.9), 1 - 0.4 / (1.6**0.5 + 1e-8)),
    Case("rmsprop(rho=0.99, epsilon=0.01)", partial(optim.RMSprop, alpha=0.99, eps=0.01), 1 - 0.4 / (0.4 + 0.01)),
    # m̂ = 4 and v̂ = 16: the first step is η sign(g), but for ε
    Case("adam", optim.Adam, 1 - 0.1 * 4 / (4 + 1e-8)),
    Case(
        "adam(beta_1=0.7, beta_2=0.9, epsilon=0.001)",
        partial(optim.Adam, betas=(0.7, 0.9), eps=0.001),
        1 - 0.1 * 4 / (4 + 0.001),
    ),
    # θ is first multiplied by 1 − η λ
    Case("adamw", optim.AdamW, (1 - 0.1 * 0.01) - 0.1 * 4 / (4 + 1e-8)),
    Case("adamw(weight_decay=0.3)", partial(optim.AdamW, weight_decay=0.3), (1 - 0.1 * 0.3) - 0.1 * 4 / (4 + 1e-8)),
]
