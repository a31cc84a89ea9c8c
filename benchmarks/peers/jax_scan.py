"""JAX: a whole epoch as one compiled ``lax.scan`` over its batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.peers.base import Contestant
from benchmarks.workloads import Data, Parameters, Workload


class Jax(Contestant):
    """Rows are gathered inside the scan; the state's buffers are given away, so that updates are in place."""

    key = "jax"
    name = "JAX, jit and scan over the epoch"
    libraries = (("jax", "jax.numpy"), ("jaxlib", "jaxlib"))

    def setup(self, workload: Workload, data: Data, first: Parameters, seed: int, threads: int) -> None:
        import jax
        import jax.numpy as jnp

        jax.config.update("jax_platforms", "cpu")
        self.workload = workload
        self.rows = len(data.x)
        self.rng = np.random.default_rng(seed)
        self.x, self.y = jnp.asarray(data.x), jnp.asarray(data.y, dtype=jnp.int32)
        thetas = [(jnp.asarray(W), jnp.asarray(b)) for W, b in first]
        zeros = jax.tree.map(jnp.zeros_like, thetas)
        slots = (zeros, jax.tree.map(jnp.zeros_like, thetas), jnp.zeros((), jnp.int32))
        key = jax.random.key(seed, impl="unsafe_rbg")  # made for speed; the default one costs more on a CPU
        self.state = (thetas, slots if workload.optimiser == "adam" else (), key)
        self.made = 0
        self.order = np.empty(0, np.int32)
        self._run = jax.jit(_scan(workload), donate_argnums=0)
        self._compiled: dict[tuple[int, int], Any] = {}
        self.ready(workload.steps(self.rows) // workload.turns)

    def ready(self, steps: int) -> None:
        """Compile for the numbers of batches that these steps will be cut into."""
        for count, rows in self._cuts(steps):
            self._program(count, rows)

    def _cuts(self, steps: int) -> Iterator[tuple[int, int]]:
        """(batches, rows of each) of the calls that make the steps: full batches in one, a short last one alone."""
        left = len(self.order)
        while steps > 0:
            left = left or self.rows
            full = min(steps, left // self.workload.batch)
            count, rows = (full, self.workload.batch) if full else (1, left)
            yield count, rows
            left -= count * rows
            steps -= count

    def _program(self, steps: int, rows: int) -> Any:
        """The compiled scan over ``steps`` batches of ``rows`` rows."""
        if (steps, rows) not in self._compiled:
            batches, rates = np.zeros((steps, rows), np.int32), np.zeros(steps, np.float32)
            self._compiled[steps, rows] = self._run.lower(self.state, self.x, self.y, batches, rates).compile()
        return self._compiled[steps, rows]

    def advance(self, steps: int) -> None:
        import jax

        rates = self.workload.rates(self.made, steps, self.workload.steps(self.rows))
        self.made += steps
        for count, rows in self._cuts(steps):
            if not len(self.order):
                self.order = self.rng.permutation(self.rows).astype(np.int32)
            batches, self.order = np.split(self.order, [count * rows])
            now, rates = np.split(rates, [count])
            program = self._program(count, rows)
            self.state = program(self.state, self.x, self.y, batches.reshape(count, rows), now)
        jax.block_until_ready(self.state[0])

    def parameters(self) -> Parameters:
        return [(np.asarray(W), np.asarray(b)) for W, b in self.state[0]]


def _scan(workload: Workload) -> Any:
    """The function of (state, x, y, batches (steps, N), rates (steps,)) that makes the steps."""
    import jax
    import jax.numpy as jnp

    activation = jax.nn.relu if workload.activation == "relu" else jax.nn.sigmoid
    keeps = workload.keeps()

    def cost(thetas: Any, x: Any, y: Any, key: Any) -> Any:
        a = x
        for l, (W, b) in enumerate(thetas):
            if keeps[l] < 1:
                chances = jax.random.bits(jax.random.fold_in(key, l), a.shape, jnp.uint16)
                a = jnp.where(chances < round(keeps[l] * 2**16), a / keeps[l], 0)
            a = a @ W.T + b
            a = activation(a) if l < len(thetas) - 1 else a
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(a), y[:, None], axis=1))

    def sgd(thetas: Any, gradients: Any, slots: Any, lr: Any) -> tuple[Any, Any]:
        return jax.tree.map(lambda theta, g: theta - lr * g, thetas, gradients), slots

    def adam(thetas: Any, gradients: Any, slots: Any, lr: Any) -> tuple[Any, Any]:
        m, v, t = slots
        t = t + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, gradients)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, gradients)
        by_m, by_v = 1 - 0.9 ** t.astype(jnp.float32), 1 - 0.999 ** t.astype(jnp.float32)
        move = jax.tree.map(lambda m, v: lr * (m / by_m) / (jnp.sqrt(v / by_v) + 1e-8), m, v)
        return jax.tree.map(jnp.subtract, thetas, move), (m, v, t)

    rule = sgd if workload.optimiser == "sgd" else adam

    def run(state: Any, x: Any, y: Any, batches: Any, rates: Any) -> Any:
        def step(state: Any, batch: Any) -> tuple[Any, None]:
            thetas, slots, key = state
            rows, lr = batch
            key, used = jax.random.split(key) if workload.dropout else (key, key)
            gradients = jax.grad(cost)(thetas, x[rows], y[rows], used)
            thetas, slots = rule(thetas, gradients, slots, lr)
            return (thetas, slots, key), None

        return jax.lax.scan(step, state, (batches, rates))[0]

    return run
