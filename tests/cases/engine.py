"""Runs on which engines are compared: options as data, combined so that any two of them meet in some run.

A new option is one more entry in a row of OPTIONS, and a new kind of option one more row, read in :meth:`Setup.job`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations, product
from typing import Any

import numpy as np
import scipy.sparse

from cases import activations, losses
from glassnet.config import TrainingConfig
from glassnet.data.examples import Examples
from glassnet.errors import GlassnetWarning
from glassnet.layers import Dense, Dropout, Layer
from glassnet.network import Network, parameter_values
from glassnet.training import Callback, History, Trainer


@dataclass(frozen=True)
class Shape:
    """Rows, rows in a batch, and the units n[0], …, n[L]."""

    rows: int
    batch: int
    sizes: tuple[int, ...]


SHAPES = [
    Shape(1, 10, (3, 4, 2)),  # one row, fewer than a batch
    Shape(7, 1, (65, 33, 4)),  # batches of one row
    Shape(21, 10, (4, 1, 1)),  # one unit; the last batch has one row
    Shape(34, 33, (65, 17, 3)),
    Shape(101, 100, (1, 8, 2)),  # one column
    Shape(40, 13, (9, 2)),  # no hidden layer
    Shape(31, 10, (6, 8, 7, 16, 5, 33, 3)),  # depth 6
    Shape(50, 16, (10, 12, 300)),  # 300 classes
    Shape(150, 64, (130, 129, 70, 10)),  # more than a tile in every direction
    Shape(1100, 520, (90, 280, 12)),  # more than a block of rows
]


@dataclass(frozen=True)
class Drops:
    """Dropout on the input, after the hidden layers and after the output: a rate and a variant each, or None."""

    inputs: tuple[float, str] | None = None
    hidden: tuple[float, str] | None = None
    outputs: tuple[float, str] | None = None


OPTIONS: dict[str, list[Any]] = {
    "shape": SHAPES,
    "activation": [case.given for case in activations.CASES],
    "output": [case.given for case in activations.CASES],
    "loss": [
        *losses.CASES,
        # class indices stand for one-hot rows under every loss
        losses.Case("squared_error", losses.squared_error, losses.class_indices),
        losses.Case("huber(threshold=0.3)", losses.huber(0.3), losses.class_indices),
        losses.Case("binary_cross_entropy", losses.binary_cross_entropy(0.0), losses.class_indices),
        losses.Case("log_loss(floor=0.2)", losses.log_loss, losses.class_indices, takes_probabilities=True),
        losses.Case("poisson(limit=0.5)", losses.poisson, losses.counts),
    ],
    "optimiser": [
        {"optimiser": "sgd", "lr": 0.05},
        {"optimiser": "momentum", "lr": 0.01},
        {"optimiser": "momentum(momentum=0)", "lr": 0.03},
        {"optimiser": "nesterov(momentum=0.7)", "lr": 0.02},
        {"optimiser": "rmsprop", "lr": 0.002},
        {"optimiser": "rmsprop(rho=0.99, epsilon=0.01)", "lr": 0.002},
        {"optimiser": "adam", "lr": 0.003},
        {"optimiser": "adam(beta_1=0.7, beta_2=0.9, epsilon=0.001)", "lr": 0.003},
        {"optimiser": "adam(epsilon=0.001, epsilon_hat=True)", "lr": 0.003},
        {"optimiser": "adamw", "lr": 0.003},
        {"optimiser": "adamw(weight_decay=0.3)", "lr": 0.003},
    ],
    "penalty": [{}, {"l1": 1e-3}, {"l2": 0.02}, {"l1": 2e-3, "l2": 0.01}, {"l2": 0.01, "alpha": 0.3}],
    "decay": [{}, {"weight_decay": 2e-3}, {"weight_decay": 0.1, "decay_form": "lr"}],
    "regularise_biases": [False, True],
    "max_norm": [None, 0.9],
    "clip": [{}, {"clip_norm": 0.3}, {"clip_value": 0.02}, {"clip_norm": 0.1, "clip_value": 0.02}],
    "drops": [
        Drops(),
        Drops(hidden=(0.5, "inverted")),
        Drops(hidden=(0.4, "plain")),
        Drops(inputs=(0.2, "inverted")),
        Drops(inputs=(0.3, "plain"), hidden=(0.5, "inverted")),
        Drops(outputs=(0.3, "inverted")),
        Drops(inputs=(0.1, "inverted"), hidden=(0.2, "plain"), outputs=(0.2, "plain")),
    ],
    "weights": [None, "some", "zeros", "classes", "some and classes"],
    "frozen": ["none", "first", "last", "all but the last"],
    "biases": ["all", "none", "every other"],
    "schedule": ["constant", "cosine(warmup=0.5)", "step(every=1, gamma=0.3)", "reduce_on_plateau(patience=1)"],
    "shuffle": [True, False],
    "train_figures": ["running", "after"],
    "dtype": ["float64", "float32"],
    "threads": [1, 2, 3],
    # "few values": 16 of them, such as pixels and indicators have
    "x": [
        "float32",
        "float64",
        "uint8",
        "zeros",
        "few values, zeros",
        "uint8, zeros",
        "CSR",
        "CSR float64",
        "CSR uint8",
    ],
}


def possible(shape=SHAPES[-1], output="softmax", loss=None, weights=None, frozen="none", **_: Any) -> bool:
    """Whether these options go together; what is not named is not in the way."""
    if frozen != "none" and len(shape.sizes) == 2:
        return False
    if loss is None:
        return True
    classes = loss.targets in (losses.class_indices, losses.labels) and (shape.sizes[-1] > 1 or "entropy" in loss.name)
    by_class = weights in ("classes", "some and classes")
    return (classes or not by_class) and (output == "softmax" or not loss.takes_probabilities)


@dataclass(frozen=True, eq=False)
class Setup:
    """One option of each kind; everything else follows from the seed."""

    seed: int
    shape: Shape
    activation: str | tuple[str, ...]
    output: str
    loss: losses.Case
    optimiser: dict[str, Any]
    penalty: dict[str, float]
    decay: dict[str, Any]
    regularise_biases: bool
    max_norm: float | None
    clip: dict[str, float]
    drops: Drops
    weights: str | None
    frozen: str
    biases: str
    schedule: str
    shuffle: bool
    train_figures: str
    dtype: str
    threads: int
    x: str
    epochs: int = 3

    def __str__(self) -> str:
        return str(self.seed)

    def job(self) -> Job:
        """The network, the data and the configuration of the trainer."""
        rng = np.random.default_rng([30, self.seed])
        rows = self.shape.rows
        config = {
            "loss": self.loss.given,
            **self.optimiser,
            **self.penalty,
            **self.decay,
            **self.clip,
            "regularise_biases": self.regularise_biases,
            "max_norm": self.max_norm,
            "class_weight": "balanced" if self.weights in ("classes", "some and classes") else None,
            "schedule": self.schedule,
            "shuffle": self.shuffle,
            "train_figures": self.train_figures,
            "batch_size": self.shape.batch,
            "epochs": self.epochs,
            "seed": self.seed,
            "threads": self.threads,
        }
        return Job(self._network(), self._examples(rng, rows), self._examples(rng, 1 + rows // 2), config)

    def _network(self) -> Network:
        sizes, depth = self.shape.sizes, len(self.shape.sizes) - 1
        hidden = self.activation if isinstance(self.activation, str) else list(self.activation)
        dense = Network.dense(
            sizes,
            hidden,
            output=self.output,
            init="normal(variance=0.4)" if max(sizes) < 10 else "auto",
            bias="normal(variance=0.1)",
            dtype=self.dtype,
            seed=self.seed,
        )
        layers: list[Layer] = []
        for l, layer in enumerate(dense.layers):
            drop = self.drops.hidden if l else self.drops.inputs
            layers += [Dropout(1 - drop[0], drop[1])] if drop else []
            assert isinstance(layer, Dense)
            b = layer.params["b"] if self.biases == "all" or (self.biases == "every other" and l % 2) else None
            layers.append(Dense(layer.params["W"], b, layer.activation))
        drop = self.drops.outputs
        layers += [Dropout(1 - drop[0], drop[1])] if drop else []
        network = Network(layers, seed=self.seed)
        frozen = {"none": [], "first": [1], "last": [depth], "all but the last": range(1, depth)}
        network.freeze(frozen[self.frozen])
        return network

    def _examples(self, rng: np.random.Generator, rows: int) -> Examples:
        sizes = self.shape.sizes
        x: Any = rng.integers(0, 4, (rows, sizes[0])) if "uint8" in self.x else rng.normal(size=(rows, sizes[0]))
        if "zeros" in self.x or "CSR" in self.x:
            x *= rng.random(x.shape) < 0.15
        if "few values" in self.x:
            x = np.ceil(4 * x) / 16
        dtypes = [name for name in ("uint8", "float64") if name in self.x]
        x = x.astype(dtypes[0] if dtypes else "float32")
        weight = None
        if self.weights in ("some", "some and classes"):
            weight = rng.uniform(0.1, 2.0, rows)
        elif self.weights == "zeros":
            weight = 2.0 * (rng.random(rows) < 0.5)
            weight[0] = 1.0
        y = self.loss.targets(rng, rows, sizes[-1])
        return Examples(scipy.sparse.csr_array(x) if "CSR" in self.x else x, y, weight)


@dataclass
class Job:
    """What a trainer is given."""

    network: Network
    train: Examples
    validation: Examples
    config: dict[str, Any]

    def trainer(self, *callbacks: Callback, **config: Any) -> Trainer:
        """A trainer of a copy of the network, with some of the configuration replaced."""
        network = self.network.copy()
        network.freeze([layer.number for layer in self.network.layers if layer.frozen])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", GlassnetWarning)  # a softmax before a loss that has its own is a case too
            return Trainer(network, TrainingConfig.make(**{**self.config, **config}), callbacks)

    def run(self, *callbacks: Callback, **config: Any) -> Outcome:
        """What that trainer makes of it."""
        trainer = self.trainer(*callbacks, **config)
        history = trainer.fit(self.train, self.validation)
        return Outcome(self.network, trainer.network, trainer.updater.state(), history)

    def reference(self, *callbacks: Callback, **config: Any) -> Outcome:
        """What the reference engine makes of it."""
        dense = [
            replace(part, x=part.x.toarray()) if scipy.sparse.issparse(part.x) else part
            for part in (self.train, self.validation)
        ]
        return replace(self, train=dense[0], validation=dense[1]).run(
            *callbacks, **{"engine": "reference", "device": "cpu", "threads": 1, **config}
        )


@dataclass
class Outcome:
    """What is left after training, and the network as it was before."""

    start: Network
    network: Network
    state: dict[str, Any]
    history: History

    def arrays(self) -> dict[str, np.ndarray]:
        """How far every parameter has come, and what the optimiser remembers, by name."""
        start = parameter_values(self.start)
        return {name: end - start[name] for name, end in parameter_values(self.network).items()} | self.state["slots"]

    def bits(self) -> dict[str, bytes]:
        """Every parameter, and what the optimiser remembers, byte by byte."""
        return {name: array.tobytes() for name, array in (parameter_values(self.network) | self.state["slots"]).items()}


def covering_setups() -> list[Setup]:
    """Setups in which any two options of different kinds that go together do occur together.

    Each starts with a pair that has not occurred yet and then takes, kind by kind, the option that makes the most
    such pairs with those taken before.
    """
    rng = np.random.default_rng(0)
    missing = dict.fromkeys(possible_pairs())
    setups = []
    while missing:
        chosen = dict(next(iter(missing)))
        for kind in rng.permutation([kind for kind in OPTIONS if kind not in chosen]).tolist():
            fits = [k for k in range(len(OPTIONS[kind])) if possible(**options({**chosen, kind: k}))]
            new = [sum(frozenset([pair, (kind, k)]) in missing for pair in chosen.items()) for k in fits]
            best = np.flatnonzero(np.equal(new, max(new)))
            chosen[kind] = fits[rng.choice(best)]
        for two in combinations(chosen.items(), 2):
            missing.pop(frozenset(two), None)
        setups.append(Setup(seed=len(setups), **options(chosen)))
    return setups


def possible_pairs() -> list[frozenset[tuple[str, int]]]:
    """Any two options of different kinds that go together, each as its kind and its place in OPTIONS."""
    every = [
        frozenset(zip(kinds, places, strict=True))
        for kinds in combinations(OPTIONS, 2)
        for places in product(*(range(len(OPTIONS[kind])) for kind in kinds))
    ]
    return [two for two in every if possible(**options(dict(two)))]


def options(places: dict[str, int]) -> dict[str, Any]:
    """The options at these places in OPTIONS."""
    return {kind: OPTIONS[kind][k] for kind, k in places.items()}


@cache
def random_setup(seed: int) -> Setup:
    """One of all combinations, with sizes, depth and another activation for every layer drawn too."""
    rng = np.random.default_rng([31, seed])
    while True:
        drawn = options({kind: int(rng.integers(len(levels))) for kind, levels in OPTIONS.items()})
        depth, rows = int(rng.integers(1, 5)), 2 ** rng.uniform(0, 10)
        sizes = [int(n) for n in np.ceil(2 ** rng.uniform(0, 8, depth + 1))]
        drawn["shape"] = Shape(int(np.ceil(rows)), int(np.ceil(rows / 2 ** rng.uniform(0, 5))), tuple(sizes))
        drawn["activation"] = tuple(str(name) for name in rng.choice(OPTIONS["activation"], depth - 1))
        if drawn["loss"].takes_probabilities:
            drawn["output"] = "softmax"
        if possible(**drawn):
            return Setup(seed=1000 + seed, **drawn)
