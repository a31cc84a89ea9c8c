"""Every activation, with an oracle written in torch. A new activation is one more line in CASES."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as fn
from torch import Tensor


@dataclass(frozen=True)
class Case:
    """An activation as it is given, its registered name, and the same function in torch."""

    given: str
    oracle: Callable[[Tensor], Tensor]
    elementwise: bool = True

    @property
    def name(self) -> str:
        return self.given.split("(")[0]

    def __str__(self) -> str:
        return self.given


CASES = [
    Case("identity", lambda z: z),
    Case("logistic", torch.sigmoid),
    Case("tanh", torch.tanh),
    Case("relu", fn.relu),
    Case("leaky_relu", partial(fn.leaky_relu, negative_slope=0.01)),
    Case("leaky_relu(slope=0.3)", partial(fn.leaky_relu, negative_slope=0.3)),
    Case("elu", fn.elu),
    Case("elu(alpha=0.5)", partial(fn.elu, alpha=0.5)),
    Case("gelu", fn.gelu),
    Case("silu", fn.silu),
    Case("softplus", partial(fn.softplus, threshold=500.0)),  # torch goes over to z beyond its threshold
    Case("softmax", partial(torch.softmax, dim=1), elementwise=False),
]
ELEMENTWISE = [case for case in CASES if case.elementwise]
