"""scikit-learn's ``MLPClassifier``, an epoch a call of ``partial_fit``."""

from __future__ import annotations

import numpy as np

from benchmarks.peers.base import Contestant
from benchmarks.workloads import Data, Parameters, Workload


class ScikitLearn(Contestant):
    """No momentum and no penalty, in float32; its first weights are its own (Glorot's)."""

    key = "sklearn"
    name = "scikit-learn, MLPClassifier"
    libraries = (("scikit-learn", "sklearn.neural_network"),)

    def note(self, workload: Workload) -> str:
        notes = ["without dropout, which it does not have"] if workload.dropout else []
        notes += ["with a constant learning rate, which is what it has"] if workload.schedule != "constant" else []
        return "; ".join(notes)

    def setup(self, workload: Workload, data: Data, first: Parameters, seed: int, threads: int) -> None:
        from sklearn.neural_network import MLPClassifier

        self.workload = workload
        self.data = data
        self.position = 0
        self.model = MLPClassifier(
            workload.sizes[1:-1],
            activation=workload.activation,
            solver=workload.optimiser,
            learning_rate_init=workload.lr,
            momentum=0.0,
            nesterovs_momentum=False,
            alpha=0.0,
            batch_size=workload.batch,
            random_state=seed,
        )

    def advance(self, steps: int) -> None:
        """It makes steps from the first of the rows to the last: a part of an epoch is a call with a part of them."""
        rows = len(self.data.x)
        classes = np.arange(self.workload.sizes[-1])
        while steps > 0:
            here = min(steps, self.workload.steps(rows - self.position))
            part = slice(self.position, self.position + here * self.workload.batch)
            self.model.partial_fit(self.data.x[part], self.data.y[part], classes=classes)
            self.position = part.stop if part.stop < rows else 0
            steps -= here

    def parameters(self) -> Parameters:
        return [(W.T, b) for W, b in zip(self.model.coefs_, self.model.intercepts_, strict=True)]
