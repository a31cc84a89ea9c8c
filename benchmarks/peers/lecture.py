"""The lecture's own PyTorch code, class ``FNN`` of the slides: no autograd, every quantity kept in a list."""
# ruff: noqa: PLW2901 - tensors are changed in place

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from benchmarks.peers.base import StepByStep
from benchmarks.workloads import Data, Parameters, Workload

LR = 0.1  # the lecture's default, where a workload's rate is meant for Adam


class Lecture(StepByStep):
    """Its methods and attributes keep the slides' names; their mistakes (the wrong layer's derivative) are mended."""

    key = "lecture"
    name = "the lecture's PyTorch code"
    libraries = (("torch", "torch"),)

    def note(self, workload: Workload) -> str:
        return f"with SGD lr {LR:g}, the lecture has no Adam" if workload.optimiser == "adam" else ""

    def build(self, workload: Workload, data: Data, first: Parameters, seed: int, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        torch.manual_seed(seed)
        self.random = random.Random(seed)
        self.features, self.labels = torch.from_numpy(data.x), torch.from_numpy(data.y)
        self.weights = [torch.from_numpy(W.copy()) for W, _ in first]
        self.biases = [torch.from_numpy(b.copy()) for _, b in first]
        relu = (torch.relu, lambda z: (z > 0).float())
        logistic = (torch.sigmoid, lambda z: torch.sigmoid(z) * (1 - torch.sigmoid(z)))
        self.activation, self.derivative = relu if workload.activation == "relu" else logistic
        self.prob_dropout = workload.keeps()

    def batches(self) -> Iterator[Any]:
        """``data_loader``: batches of rows by a shuffled list of indices."""
        import torch

        while True:
            indices = list(range(self.rows))
            self.random.shuffle(indices)
            for start in range(0, self.rows, self.workload.batch):
                chosen = torch.LongTensor(indices[start : start + self.workload.batch])
                yield self.features.index_select(0, chosen), self.labels.index_select(0, chosen)

    def step(self, batch: Any, lr: float) -> None:
        """One pass of ``minibatch_sgd_trainer``'s loop."""
        X, y = batch
        lr = lr if self.workload.optimiser == "sgd" else LR
        self.train_forward(X)
        self.cal_neuron_errors(y)
        self.cal_params_partial()
        rows = zip(self.weights, self.biases, self.der_weight_list, self.der_bias_list, strict=True)
        for W, b, der_W, der_b in rows:
            W -= lr * der_W
            b -= lr * der_b

    def mask(self, x: Any, p: float) -> tuple[Any, Any]:
        """m ⊙ x / p, and m / p."""
        import torch

        m = (torch.rand(x.shape) < p).float() / p
        return m * x, m

    def train_forward(self, X: Any) -> None:
        """Fills ``z_list``, ``a_list`` and ``mask_list``."""
        import torch

        self.z_list, self.a_list, self.mask_list = [], [], []
        a = X
        for l, (W, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            m = None
            if self.prob_dropout[l] < 1:
                a, m = self.mask(a, self.prob_dropout[l])
            z = torch.matmul(a, W.T) + b
            self.mask_list.append(m)
            self.a_list.append(a)
            self.z_list.append(z)
            a = self.activation(z)
        self.hat = torch.softmax(self.z_list[-1], dim=1)

    def cal_neuron_errors(self, y: Any) -> None:
        """BP.1 and BP.2: the error of each unit for each row; fills ``error_list``."""
        import torch

        error = self.hat - torch.nn.functional.one_hot(y, self.hat.shape[1])
        self.error_list = [error]
        for l in range(len(self.weights) - 1, 0, -1):
            error = torch.matmul(error, self.weights[l])
            if self.mask_list[l] is not None:
                error = error * self.mask_list[l]
            error = error * self.derivative(self.z_list[l - 1])
            self.error_list.insert(0, error)

    def cal_params_partial(self) -> None:
        """BP.3 and BP.4, averaged over the batch; fills ``der_weight_list`` and ``der_bias_list``."""
        import torch

        pairs = zip(self.error_list, self.a_list, strict=True)
        self.der_weight_list = [torch.matmul(error.T, a) / len(a) for error, a in pairs]
        self.der_bias_list = [error.mean(dim=0) for error in self.error_list]

    def parameters(self) -> Parameters:
        return [(W.numpy(), b.numpy()) for W, b in zip(self.weights, self.biases, strict=True)]
