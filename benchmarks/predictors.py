"""Who predicts: probabilities of the classes for rows in float32, with the same weights everywhere."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from benchmarks.peers.base import absent
from benchmarks.workloads import Parameters, Workload


class Predictor(ABC):
    """Write ``setup`` and ``predict``."""

    key: ClassVar[str]
    name: ClassVar[str]
    libraries: ClassVar[tuple[tuple[str, str], ...]]
    ours: ClassVar[bool] = False

    @abstractmethod
    def setup(self, workload: Workload, first: Parameters, threads: int) -> None:
        """Make the model."""

    @abstractmethod
    def predict(self, x: np.ndarray) -> Any:
        """Probabilities (N, K)."""


class Glassnet(Predictor):
    """``Model.predict_features``: probabilities and labels."""

    key = "glassnet"
    name = "glassnet, Model.predict_features"
    libraries = (("glassnet", "glassnet.model"),)
    ours = True

    def setup(self, workload: Workload, first: Parameters, threads: int) -> None:
        from benchmarks.peers.glass import network
        from glassnet import Model

        self.model = Model(network(workload, first, seed=0), "cross_entropy")

    def predict(self, x: np.ndarray) -> Any:
        return self.model.predict_features(x).probabilities


class GlassnetForward(Glassnet):
    """``Network.forward``, the core's own equations in NumPy: the logits only."""

    key = "glassnet-forward"
    name = "glassnet, Network.forward (logits)"

    def predict(self, x: np.ndarray) -> Any:
        return self.model.network.forward(x)


class ScikitLearn(Predictor):
    """``predict_proba`` of a classifier that was fitted on a few rows and given the weights."""

    key = "sklearn"
    name = "scikit-learn, predict_proba"
    libraries = (("scikit-learn", "sklearn.neural_network"),)

    def setup(self, workload: Workload, first: Parameters, threads: int) -> None:
        from sklearn.neural_network import MLPClassifier

        self.model = MLPClassifier(workload.sizes[1:-1], workload.activation, max_iter=1, random_state=0)
        K = workload.sizes[-1]
        self.model.partial_fit(np.zeros((K, workload.sizes[0]), np.float32), np.arange(K), classes=np.arange(K))
        self.model.coefs_ = [np.ascontiguousarray(W.T) for W, _ in first]
        self.model.intercepts_ = [b for _, b in first]

    def predict(self, x: np.ndarray) -> Any:
        return self.model.predict_proba(x)


class PyTorch(Predictor):
    """A ``Sequential`` in inference mode, then softmax."""

    key = "torch"
    name = "PyTorch, inference mode"
    libraries = (("torch", "torch"),)

    def setup(self, workload: Workload, first: Parameters, threads: int) -> None:
        import torch

        from benchmarks.peers.pytorch import model

        torch.set_num_threads(threads)
        self.model = model(workload, first).eval()

    def predict(self, x: np.ndarray) -> Any:
        import torch

        with torch.inference_mode():
            return torch.softmax(self.model(torch.from_numpy(x)), dim=1).numpy()


class OnnxRuntime(Predictor):
    """The network as an ONNX graph of Gemm, Relu and Softmax."""

    key = "onnxruntime"
    name = "onnxruntime"
    libraries = (("onnxruntime", "onnxruntime"), ("onnx", "onnx"))

    def setup(self, workload: Workload, first: Parameters, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            onnx_graph(workload, first), options, providers=["CPUExecutionProvider"]
        )

    def predict(self, x: np.ndarray) -> Any:
        return self.session.run(None, {"x": x})[0]


class Jax(Predictor):
    """A jitted function."""

    key = "jax"
    name = "JAX, jit"
    libraries = (("jax", "jax.numpy"), ("jaxlib", "jaxlib"))

    def setup(self, workload: Workload, first: Parameters, threads: int) -> None:
        import jax
        import jax.numpy as jnp

        activation = jax.nn.relu if workload.activation == "relu" else jax.nn.sigmoid
        self.thetas = [(jnp.asarray(W), jnp.asarray(b)) for W, b in first]

        @jax.jit
        def probabilities(thetas: Any, x: Any) -> Any:
            a = x
            for W, b in thetas[:-1]:
                a = activation(a @ W.T + b)
            W, b = thetas[-1]
            return jax.nn.softmax(a @ W.T + b)

        self.function = probabilities

    def predict(self, x: np.ndarray) -> Any:
        return np.asarray(self.function(self.thetas, x))


def onnx_graph(workload: Workload, first: Parameters) -> bytes:
    """x (N, n[0]) to probabilities (N, K)."""
    from onnx import TensorProto, checker, helper, numpy_helper

    hidden = "Relu" if workload.activation == "relu" else "Sigmoid"
    nodes, values, name = [], [], "x"
    for l, (W, b) in enumerate(first, 1):
        values += [numpy_helper.from_array(W, f"W{l}"), numpy_helper.from_array(b, f"b{l}")]
        nodes.append(helper.make_node("Gemm", [name, f"W{l}", f"b{l}"], [f"z{l}"], transB=1))
        last = l == len(first)
        nodes.append(helper.make_node("Softmax" if last else hidden, [f"z{l}"], ["p" if last else f"a{l}"]))
        name = f"a{l}"
    sizes = workload.sizes
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", sizes[0]])]
    outputs = [helper.make_tensor_value_info("p", TensorProto.FLOAT, ["N", sizes[-1]])]
    graph = helper.make_graph(nodes, "network", inputs, outputs, values)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


PREDICTORS: dict[str, type[Predictor]] = {
    kind.key: kind for kind in (ScikitLearn, PyTorch, OnnxRuntime, Jax, GlassnetForward, Glassnet)
}


def missing(kind: type[Predictor]) -> str:
    """Why it cannot run here; "" if it can."""
    return absent(kind.libraries)
