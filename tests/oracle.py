"""Gradients by torch's automatic differentiation, of the same network written once more with torch's own functions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
import torch.nn.functional as fn
from threadpoolctl import threadpool_limits

from glassnet.backprop import forward_pass
from glassnet.layers import Dropout

if TYPE_CHECKING:
    from cases.networks import Problem


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """One thread for torch and for NumPy's products: the matrices are small. Import it to switch it on."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield
    torch.set_num_threads(threads)


def gradients(problem: Problem) -> tuple[float, dict[str, np.ndarray]]:
    """C with its penalties, and ∂C/∂θ by parameter; of the core, only the masks (which units stay) are taken over."""
    network, rules = problem.network, problem.rules
    theta = {name: torch.tensor(values, requires_grad=True) for name, values in network.parameters()}
    _, caches = forward_pass(network, problem.x, problem.draws)
    a, number = torch.tensor(problem.x), 0
    for layer, cache in zip(network.layers, caches, strict=True):
        if isinstance(layer, Dropout):
            mask = torch.tensor(cache != 0)
            a = torch.where(mask, a / layer.keep if layer.variant == "inverted" else a, 0.0)
        else:
            number += 1
            a = problem.activations[number - 1].oracle(fn.linear(a, theta[f"{number}.W"], theta.get(f"{number}.b")))
    terms = problem.loss.oracle(a, torch.tensor(problem.y))
    weight = torch.ones(len(problem.x), dtype=a.dtype) if problem.weight is None else torch.tensor(problem.weight)
    value = torch.dot(weight, terms) / weight.sum()
    for name, values in theta.items():
        if name.endswith("W") or rules.biases:
            value = value + rules.l1 * values.abs().sum() + rules.l2 / 2 * (values**2).sum()
    grads = torch.autograd.grad(value, list(theta.values()), allow_unused=True, materialize_grads=True)
    return float(value.detach()), {name: grad.numpy() for name, grad in zip(theta, grads, strict=True)}
