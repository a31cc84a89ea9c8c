"""The reference engine: the core's own equations, step by step, with NumPy on the CPU and torch elsewhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from glassnet.arrays import Array, as_dense, is_sparse, like
from glassnet.backprop import backward_pass, forward_pass
from glassnet.data.examples import Examples
from glassnet.engine.base import Engine, Totals, threads_text
from glassnet.engine.devices import CPU, TORCH_CPU
from glassnet.losses import Loss
from glassnet.messages import say
from glassnet.network import Network, check_targets
from glassnet.optimisers import Updater
from glassnet.random import Draws

_EVALUATION_ROWS = 4096


class ReferenceEngine(Engine):
    """Runs :func:`forward_pass`, :func:`backward_pass` and the updater for each batch, and nothing else."""

    name: ClassVar[str] = "reference"

    def __init__(self, network: Network, loss: Loss, updater: Updater, device: str, **options: Any) -> None:
        super().__init__(network, loss, updater, device, **options)
        self._own = network if device == CPU else network.on_torch("cpu" if device == TORCH_CPU else device)
        self._like = next(self._own.parameters())[1]

    def describe(self) -> str:
        """The library, and its threads or device."""
        if self.device not in (CPU, TORCH_CPU):
            return say("reference (torch on {device})", device=self.device)
        library = "numpy" if self.device == CPU else "torch"
        return say("reference ({library}, {threads})", library=library, threads=threads_text(self.threads))

    def place(self, examples: Examples) -> Examples:
        """Move the examples to the device, in the network's precision."""
        dtype = self.network.dtype  # taken here already: not every device has float64
        x, n, outputs = examples.x, len(examples), self.network.sizes[-1]
        y = check_targets(np.ascontiguousarray(examples.y), n=n, outputs=outputs, loss=self.loss, dtype=dtype)
        weight = examples.weight
        return Examples(
            x.astype(dtype) if is_sparse(x) else like(np.ascontiguousarray(x, dtype=dtype), self._like),
            like(y, self._like),
            None if weight is None else like(np.ascontiguousarray(weight, dtype=dtype), self._like),
        )

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")  # the trainer says what became of the loss
    def train(
        self, examples: Examples, order: np.ndarray, *, first: int, epoch: int, batch_size: int, lrs: np.ndarray
    ) -> Totals:
        """Forward pass, loss, backward pass, update: one batch after another."""
        totals = Totals()
        rows = order if is_sparse(examples.x) else like(order, self._like)
        for step, lr in enumerate(lrs.tolist()):
            start = first + step * batch_size
            batch = self._dense(examples.take(rows[start : start + batch_size]))
            draws = self._own.draws(len(batch), first=start, epoch=epoch)
            totals = totals + Totals.of(self.loss, *self._step(batch, draws, lr))
        return totals

    def _step(self, batch: Examples, draws: Draws, lr: float) -> tuple[Array, Array, Array, Array | None]:
        """One batch: the loss's value, the outputs, the targets and the weights."""
        x, y, weight = batch.x, batch.y, batch.weight
        a, caches = forward_pass(self._own, x, draws)
        value = self.loss.value(a, y, weight)
        grads = backward_pass(self._own, caches, self.loss.gradient(a, y, weight))
        self.updater(self._own, grads, lr, len(x) if weight is None else float(weight.sum()))
        return value, a, y, weight

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def evaluate(self, examples: Examples) -> Totals:
        """Forward passes over slices of the rows."""
        totals = Totals()
        for start in range(0, len(examples), _EVALUATION_ROWS):
            part = self._dense(examples.take(slice(start, start + _EVALUATION_ROWS)))
            a = self._own.forward(part.x)
            value = self.loss.value(a, part.y, part.weight)
            totals = totals + Totals.of(self.loss, value, a, part.y, part.weight)
        return totals

    def _dense(self, batch: Examples) -> Examples:
        """The batch with the zeros of a CSR array written out."""
        return replace(batch, x=like(as_dense(batch.x), self._like)) if is_sparse(batch.x) else batch

    def sync(self) -> None:
        """On the CPU the arrays are the network's own; from elsewhere they are copied."""
        if self._own is not self.network:
            self.network.set_parameters(dict(self._own.parameters()))
