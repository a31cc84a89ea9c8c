"""PyTorch as people write it, and in the ways in which it is made faster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

from benchmarks.peers.base import StepByStep
from benchmarks.workloads import Data, Parameters, Workload


class PyTorch(StepByStep):
    """``nn.Sequential``, ``CrossEntropyLoss``, autograd and an optimiser of ``torch.optim``.

    Attributes
    ----------
    fused : whether the optimiser updates all of a parameter in one pass
    """

    libraries = (("torch", "torch"),)
    fused = False

    def build(self, workload: Workload, data: Data, first: Parameters, seed: int, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        torch.manual_seed(seed)
        self.x, self.y = torch.from_numpy(data.x), torch.from_numpy(data.y)
        self.model = model(workload, first)
        self.loss = torch.nn.CrossEntropyLoss()
        parameters = self.model.parameters()
        fused = {"fused": True} if self.fused else {}
        if workload.optimiser == "sgd":
            self.optimiser: Any = torch.optim.SGD(parameters, lr=workload.lr, **fused)
        else:
            self.optimiser = torch.optim.Adam(parameters, lr=workload.lr, **fused)

    def step(self, batch: Any, lr: float) -> None:
        x, y = batch
        self.optimiser.zero_grad()
        self.cost(x, y).backward()
        if self.workload.schedule != "constant":
            self.optimiser.param_groups[0]["lr"] = lr
        self.optimiser.step()

    def cost(self, x: Any, y: Any) -> Any:
        """The mean loss of a batch."""
        return self.loss(self.model(x), y)

    def parameters(self) -> Parameters:
        values = [theta.detach().numpy() for theta in self.model.parameters()]
        return list(zip(values[::2], values[1::2], strict=True))


class WithLoader(PyTorch):
    """As tutorials have it: a ``DataLoader`` that collects the rows one by one."""

    key = "torch-loader"
    name = "PyTorch, DataLoader"

    def batches(self) -> Iterator[Any]:
        from torch.utils.data import DataLoader, TensorDataset

        loader = DataLoader(TensorDataset(self.x, self.y), batch_size=self.workload.batch, shuffle=True)
        while True:
            yield from loader


class InMemory(PyTorch):
    """Batches are rows of a tensor by a random permutation."""

    key = "torch-memory"
    name = "PyTorch, in-memory batches"

    def batches(self) -> Iterator[Any]:
        import torch

        while True:
            for rows in torch.randperm(self.rows).split(self.workload.batch):
                yield self.x[rows], self.y[rows]


class Fused(InMemory):
    """With the fused optimiser."""

    key = "torch-fused"
    name = "PyTorch, in-memory, fused optimiser"
    fused = True


class Compiled(Fused):
    """With ``torch.compile`` around model and loss."""

    key = "torch-compile"
    name = "PyTorch, in-memory, fused, torch.compile"

    def build(self, workload: Workload, data: Data, first: Parameters, seed: int, threads: int) -> None:
        """Compiled here already, for both sizes of batches; the parameters are left as they were."""
        import torch

        super().build(workload, data, first, seed, threads)
        self._compiled: Callable[[Any, Any], Any] = torch.compile(super().cost, dynamic=False)
        for rows in {workload.batch, len(data.x) % workload.batch or workload.batch}:
            self._compiled(self.x[:rows], self.y[:rows]).backward()
        self.optimiser.zero_grad()

    def cost(self, x: Any, y: Any) -> Any:
        return self._compiled(x, y)


class Autocast(Fused):
    """With products in bfloat16."""

    key = "torch-bf16"
    name = "PyTorch, in-memory, fused, bfloat16 autocast"

    def cost(self, x: Any, y: Any) -> Any:
        import torch

        with torch.autocast("cpu", torch.bfloat16) if x.device.type == "cpu" else nullcontext():
            return super().cost(x, y)


def model(workload: Workload, first: Parameters) -> Any:
    """The network as a ``Sequential`` with the given weights."""
    import torch

    layers: list[Any] = []
    for (W, b), keep in zip(first, workload.keeps(), strict=True):
        if keep < 1:
            layers.append(torch.nn.Dropout(1 - keep))
        linear = torch.nn.Linear(W.shape[1], W.shape[0])
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(W))
            linear.bias.copy_(torch.from_numpy(b))
        layers += [linear, torch.nn.ReLU() if workload.activation == "relu" else torch.nn.Sigmoid()]
    return torch.nn.Sequential(*layers[:-1])
