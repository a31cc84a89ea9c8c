"""NumPy by hand: buffers made once, products and updates in place."""
# ruff: noqa: PLW2901 - arrays are changed in place

from __future__ import annotations

import numpy as np

from benchmarks.peers.base import StepByStep, softmax_error
from benchmarks.workloads import Data, Parameters, Workload


class Numpy(StepByStep):
    """Forward and backward pass written out, without temporaries where ``out=`` avoids them."""

    key = "numpy"
    name = "NumPy by hand"
    libraries = (("numpy", "numpy"),)

    def build(self, workload: Workload, data: Data, first: Parameters, seed: int, threads: int) -> None:
        self.x, self.y = data.x, data.y
        self.rng = np.random.default_rng(seed)
        self.W = [W.copy() for W, _ in first]
        self.b = [b.copy() for _, b in first]
        N, n = workload.batch, workload.sizes
        self.a = [np.empty((N, m), np.float32) for m in n]
        self.delta = [np.empty((N, m), np.float32) for m in n]
        self.dW = [np.empty_like(W) for W in self.W]
        self.spare = [np.empty_like(W) for W in self.W]
        self.chance = [np.empty((N, m), np.float32) for m in n]
        self.mask = [np.empty((N, m), np.float32) for m in n]
        self.rows_of_batch = np.arange(N)
        self.t = 0
        thetas = [*self.W, *self.b]
        self.m, self.v = ([np.zeros_like(theta) for theta in thetas] for _ in range(2))

    def order(self) -> np.ndarray:
        return self.rng.permutation(self.rows)

    def step(self, batch: np.ndarray, lr: float) -> None:
        N, L = len(batch), len(self.W)
        a, delta = [array[:N] for array in self.a], [array[:N] for array in self.delta]
        keeps = self.workload.keeps()
        np.take(self.x, batch, axis=0, out=a[0])
        for l in range(L):
            if keeps[l] < 1:
                self._drop(a[l], l, keeps[l])
            np.matmul(a[l], self.W[l].T, out=a[l + 1])
            a[l + 1] += self.b[l]
            if l < L - 1:
                self._activate(a[l + 1])
        softmax_error(a[L], self.y[batch], self.rows_of_batch[:N])
        delta[L] = a[L]
        gradients_b = []
        for l in reversed(range(L)):
            np.matmul(delta[l + 1].T, a[l], out=self.dW[l])
            gradients_b.append(delta[l + 1].sum(axis=0))
            if l > 0:
                np.matmul(delta[l + 1], self.W[l], out=delta[l])
                self._pull_back(delta[l], a[l], l, keeps[l])
        self._update(lr, gradients_b[::-1])

    def _activate(self, z: np.ndarray) -> None:
        if self.workload.activation == "relu":
            np.maximum(z, 0, out=z)
        else:
            np.negative(z, out=z)
            np.exp(z, out=z)
            z += 1
            np.reciprocal(z, out=z)

    def _drop(self, a: np.ndarray, l: int, keep: float) -> None:
        chance, mask = self.chance[l][: len(a)], self.mask[l][: len(a)]
        self.rng.random(out=chance, dtype=np.float32)
        np.less(chance, keep, out=mask)
        mask *= np.float32(1 / keep)
        a *= mask

    def _pull_back(self, delta: np.ndarray, a: np.ndarray, l: int, keep: float) -> None:
        """From ∂C/∂ã to ∂C/∂z. Where ReLU's output was masked it is 0, so that its sign holds both masks."""
        if self.workload.activation == "relu":
            np.multiply(delta, a > 0, out=delta)
            if keep < 1:
                delta *= np.float32(1 / keep)
        else:
            assert keep == 1
            delta *= a
            delta *= 1 - a

    def _update(self, lr: float, gradients_b: list[np.ndarray]) -> None:
        if self.workload.optimiser == "sgd":
            for W, dW, spare, b, db in zip(self.W, self.dW, self.spare, self.b, gradients_b, strict=True):
                W -= np.multiply(dW, np.float32(lr), out=spare)
                b -= np.float32(lr) * db
            return
        self.t += 1
        rate = np.float32(lr * np.sqrt(1 - 0.999**self.t) / (1 - 0.9**self.t))
        epsilon = np.float32(1e-8 * np.sqrt(1 - 0.999**self.t))
        spares = [*self.spare, *(np.empty_like(b) for b in self.b)]
        thetas, gradients = [*self.W, *self.b], [*self.dW, *gradients_b]
        for theta, g, m, v, spare in zip(thetas, gradients, self.m, self.v, spares, strict=True):
            m *= np.float32(0.9)
            m += np.multiply(g, np.float32(0.1), out=spare)
            v *= np.float32(0.999)
            np.multiply(g, g, out=spare)
            spare *= np.float32(0.001)
            v += spare
            np.sqrt(v, out=spare)
            spare += epsilon
            np.divide(m, spare, out=spare)
            spare *= rate
            theta -= spare

    def parameters(self) -> Parameters:
        return list(zip(self.W, self.b, strict=True))
