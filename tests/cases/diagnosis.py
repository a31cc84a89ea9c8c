"""Networks with a disease each, and healthy ones: what a diagnosis must find, and where it must find nothing.

A case is a source and options of :func:`glassnet.fit`, made from a seed.
"""

import gzip
from pathlib import Path

import numpy as np
import sklearn.datasets

DATA = Path(__file__).parents[3] / "shared" / "data"
"""More data, where they are at hand: only the long runs of docs/measure_diagnosis.py use them."""


def frame(name):
    """A bundled table as a data frame whose last column is the target."""
    return getattr(sklearn.datasets, f"load_{name}")(as_frame=True).frame.copy()


def table(name, change=None):
    """A source made from a bundled table, changed with a random generator."""

    def make(rng):
        data = frame(name)
        if change is not None:
            data = change(data, rng)
        return data, "target"

    return make


def images(name, change=None, rows=2000):
    """Images and classes, changed with a random generator."""

    def make(rng):
        x, y = _images(name)
        kept = rng.permutation(len(y))[:rows]
        x, y = x[kept], y[kept]
        if change is not None:
            x, y = change(x, y, rng)
        return (x, y), None

    return make


def _images(name):
    if name == "digits":
        bunch = sklearn.datasets.load_digits()
        return bunch.images.astype(np.uint8) * 15, bunch.target
    if name == "fashion":
        held = np.load(next((DATA / "fashion-mnist-2k").glob("*.npz")))
        return held["images"], held["labels"].astype(np.int64)
    with gzip.open(DATA / "mnist" / "train-images-idx3-ubyte.gz") as file:
        x = np.frombuffer(file.read(16 + 8000 * 784), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(DATA / "mnist" / "train-labels-idx1-ubyte.gz") as file:
        y = np.frombuffer(file.read(8 + 8000), np.uint8, offset=8).astype(np.int64)
    return x, y


def california(rng):
    """Two thousand districts."""
    import pandas as pd

    data = pd.read_csv(next((DATA / "california-housing").glob("*.csv")))
    return data.sample(2000, random_state=int(rng.integers(2**31))), "median_house_value"


# Changes of tables


def with_constant(data, rng):
    data.insert(int(rng.integers(data.shape[1] - 1)), "always", float(rng.integers(1, 9)))
    return data


def with_leak(data, rng):
    target = data["target"].to_numpy(dtype=float)
    noise = rng.normal(scale=1e-3 * target.std(), size=len(data))
    data.insert(0, "later", 3.0 - 2.0 * target + noise)
    return data


def with_code_of_target(data, rng):
    names = np.array(["north", "south", "east", "west"])
    data.insert(0, "code", names[rng.permutation(4)][data["target"].to_numpy()])
    return data


def rarer(data, rng):
    rare = np.flatnonzero(data["target"] == 1)
    kept = rng.permutation(rare)[: max(5, len(data) // 30)]
    return data.drop(index=np.setdiff1d(rare, kept))


def mislabelled(data, rng):
    wrong = rng.random(len(data)) < 0.25
    classes = data["target"].nunique()
    data["target"] = np.where(wrong, (data["target"] + rng.integers(1, classes, len(data))) % classes, data["target"])
    return data


def with_timestamps(data, rng):
    data.insert(0, "recorded", 1.6e9 + rng.normal(scale=100.0, size=len(data)))
    return data


def few(data, rng):
    return data.sample(80, random_state=int(rng.integers(2**31)))


def in_thousands(data, rng):
    data.iloc[:, :-1] = data.iloc[:, :-1] * 1000.0
    return data


# Changes of images


def images_mislabelled(x, y, rng):
    wrong = rng.random(len(y)) < 0.25
    return x, np.where(wrong, (y + rng.integers(1, 10, len(y))) % 10, y)


def images_rarer(x, y, rng):
    rare = np.flatnonzero(y == 3)
    kept = np.setdiff1d(np.arange(len(y)), rare[8:])
    return x[kept], y[kept]


def few_images(x, y, rng):
    x, y = images_mislabelled(x, y, rng)
    return x[:200], y[:200]


DIGITS = images("digits")
MNIST, FASHION = images("mnist"), images("fashion")

NONE = {"early_stopping": "none"}

PLANTED = [
    # code, data, options
    ("vanishing_delta", DIGITS, {"hidden": (30,) * 8, "activation": "logistic", "init": "glorot", "epochs": 15}),
    (
        "vanishing_delta",
        DIGITS,
        {
            "hidden": (30,) * 6,
            "activation": "tanh",
            "init": "normal(variance=0.0004)",
            "optimiser": "sgd",
            "epochs": 15,
        },
    ),
    ("vanishing_delta", table("wine"), {"hidden": (16,) * 8, "activation": "logistic", "init": "glorot", "epochs": 30}),
    ("exploding_delta", DIGITS, {"hidden": (60,) * 5, "init": "normal(variance=0.4)", "lr": 1e-5, "epochs": 10}),
    (
        "exploding_delta",
        table("breast_cancer"),
        {"hidden": (50,) * 6, "init": "normal(variance=0.5)", "lr": 1e-5, "epochs": 10},
    ),
    ("dead_units", DIGITS, {"hidden": (64,), "bias": -6.0, "epochs": 10}),
    ("dead_units", table("wine"), {"hidden": (32,), "bias": -8.0, "epochs": 10}),
    ("dead_units", DIGITS, {"hidden": (64, 64), "optimiser": "sgd", "lr": 3.0, "epochs": 10, **NONE}),
    ("saturated_units", DIGITS, {"activation": "logistic", "init": "normal(variance=16)", "epochs": 20}),
    ("saturated_units", table("wine"), {"activation": "tanh", "init": "normal(variance=16)", "epochs": 30}),
    ("saturated_units", table("breast_cancer"), {"activation": "tanh", "scaling": "none", "epochs": 20}),
    ("symmetric_units", DIGITS, {"init": "zeros", "epochs": 15}),
    ("symmetric_units", table("iris"), {"init": "constant(value=0.1)", "activation": "tanh", "epochs": 30}),
    ("symmetric_units", table("diabetes"), {"init": "constant(value=0.05)", "activation": "tanh", "epochs": 30}),
    ("learning_rate_too_high", DIGITS, {"optimiser": "adam", "lr": 0.3, "epochs": 20, **NONE}),
    ("learning_rate_too_high", DIGITS, {"optimiser": "sgd", "lr": 4.0, "epochs": 20, **NONE}),
    ("learning_rate_too_high", table("diabetes"), {"optimiser": "sgd", "lr": 0.9, "epochs": 20, **NONE}),
    ("learning_rate_too_high", table("wine"), {"optimiser": "adam", "lr": 1.0, "epochs": 40, **NONE}),
    ("learning_rate_too_low", DIGITS, {"optimiser": "sgd", "lr": 1e-4, "epochs": 20}),
    ("learning_rate_too_low", DIGITS, {"optimiser": "adam", "lr": 1e-6, "epochs": 20}),
    ("learning_rate_too_low", table("wine"), {"optimiser": "adam", "lr": 1e-6, "epochs": 40}),
    ("learning_rate_too_low", table("diabetes"), {"optimiser": "sgd", "lr": 1e-5, "epochs": 40}),
    (
        "overfitting",
        images("digits", few_images),
        {"hidden": (128,), "epochs": 300, "validation": 0.3, "lr": 0.003, **NONE},
    ),
    (
        "overfitting",
        table("diabetes", few),
        {"hidden": (128, 64), "epochs": 300, "validation": 0.3, "lr": 0.003, **NONE},
    ),
    (
        "overfitting",
        table("breast_cancer", mislabelled),
        {"hidden": (128,), "epochs": 150, "validation": 0.3, "lr": 0.003, **NONE},
    ),
    ("underfitting", DIGITS, {"hidden": (2,), "epochs": 20}),
    ("underfitting", DIGITS, {"hidden": (32,), "l2": 1.0, "epochs": 20}),
    ("underfitting", table("wine"), {"hidden": (16,), "weight_decay": 0.2, "epochs": 40}),
    ("gradient_noise", DIGITS, {"optimiser": "sgd", "lr": 0.2, "batch_size": 1, "epochs": 8, **NONE}),
    (
        "gradient_noise",
        images("digits", images_mislabelled),
        {"optimiser": "sgd", "lr": 0.1, "batch_size": 1, "epochs": 8, **NONE},
    ),
    (
        "gradient_noise",
        table("breast_cancer", mislabelled),
        {"hidden": (16,), "optimiser": "sgd", "lr": 0.15, "batch_size": 1, "epochs": 20, **NONE},
    ),
    ("unscaled_features", table("wine"), {"scaling": "none", "epochs": 30}),
    ("unscaled_features", table("breast_cancer"), {"scaling": "none", "epochs": 30}),
    ("unscaled_features", table("iris", in_thousands), {"scaling": "none", "epochs": 30}),
    ("unscaled_features", DIGITS, {"scaling": "none", "epochs": 15}),
    ("constant_features", table("wine", with_constant), {"epochs": 30}),
    ("constant_features", table("diabetes", with_constant), {"epochs": 30}),
    ("constant_features", table("iris", with_constant), {"epochs": 30, "scaling": "none"}),
    ("leaked_target", table("breast_cancer", with_leak), {"epochs": 20}),
    ("leaked_target", table("diabetes", with_leak), {"epochs": 20}),
    ("leaked_target", table("wine", with_code_of_target), {"epochs": 20}),
    ("label_imbalance", table("breast_cancer", rarer), {"epochs": 20}),
    ("label_imbalance", table("wine", rarer), {"epochs": 30}),
    ("label_imbalance", images("digits", images_rarer), {"epochs": 15}),
    ("label_noise", table("breast_cancer", mislabelled), {"epochs": 30}),
    ("label_noise", images("digits", images_mislabelled), {"epochs": 20}),
    ("label_noise", table("wine", mislabelled), {"epochs": 30}),
    ("softmax_twice", DIGITS, {"output": "softmax", "loss": "cross_entropy", "epochs": 15}),
    ("softmax_twice", table("iris"), {"output": "softmax", "loss": "cross_entropy", "epochs": 30}),
    ("wrong_loss", table("diabetes"), {"output": "relu", "epochs": 20}),
    ("wrong_loss", table("diabetes"), {"output": "logistic", "epochs": 20}),
    ("wrong_loss", table("diabetes"), {"output": "tanh", "epochs": 20}),
    ("wrong_loss", DIGITS, {"output": "identity", "loss": "log_loss", "epochs": 10}),
    ("exploding_weights", DIGITS, {"optimiser": "momentum", "lr": 1.0, "epochs": 20, **NONE}),
    ("exploding_weights", table("wine"), {"optimiser": "adam", "lr": 3.0, "epochs": 40, **NONE}),
    ("dropout_too_strong", DIGITS, {"hidden": (32, 16), "dropout": 0.9, "epochs": 30}),
    ("dropout_too_strong", table("wine"), {"hidden": (16, 8), "dropout": 0.9, "epochs": 60}),
    ("dropout_too_strong", DIGITS, {"hidden": (64,), "input_dropout": 0.95, "epochs": 30}),
    ("eager_stopping", DIGITS, {"early_stopping": "patience1", "batch_size": 16, "lr": 0.006, "epochs": 100}),
    ("eager_stopping", table("diabetes"), {"early_stopping": "patience1", "hidden": (64,), "epochs": 100}),
    ("unsafe_precision", DIGITS, {"optimiser": "sgd", "lr": 1e-8, "epochs": 8}),
    ("unsafe_precision", table("wine", with_timestamps), {"scaling": "none", "epochs": 15}),
]

LONG = [  # planted in more data, and more kinds
    ("vanishing_delta", MNIST, {"hidden": (30,) * 7, "activation": "logistic", "init": "glorot", "epochs": 10}),
    ("exploding_delta", FASHION, {"hidden": (64,) * 5, "init": "normal(variance=0.4)", "lr": 1e-5, "epochs": 5}),
    ("dead_units", FASHION, {"hidden": (64,), "bias": -10.0, "epochs": 6}),
    ("saturated_units", MNIST, {"activation": "tanh", "init": "normal(variance=4)", "epochs": 6}),
    ("symmetric_units", MNIST, {"init": "zeros", "epochs": 6}),
    ("learning_rate_too_high", FASHION, {"optimiser": "adam", "lr": 0.3, "epochs": 12, **NONE}),
    ("learning_rate_too_low", california, {"optimiser": "adam", "lr": 1e-7, "epochs": 20}),
    ("underfitting", MNIST, {"hidden": (2,), "epochs": 10}),
    ("unscaled_features", california, {"scaling": "none", "epochs": 10}),
    ("unscaled_features", MNIST, {"scaling": "none", "epochs": 6}),
    ("label_noise", images("mnist", images_mislabelled), {"epochs": 8}),
    ("wrong_loss", california, {"output": "relu", "epochs": 10}),
    ("dropout_too_strong", MNIST, {"hidden": (32, 16), "dropout": 0.9, "epochs": 10}),
]

HEALTHY = [
    (DIGITS, {"epochs": 60}),
    (DIGITS, {"hidden": (32,), "activation": "tanh", "epochs": 60}),
    (DIGITS, {"hidden": (64,), "activation": "logistic", "epochs": 60}),
    (DIGITS, {"hidden": (100,), "dropout": 0.5, "input_dropout": 0.2, "epochs": 60}),
    (DIGITS, {"hidden": (64, 64, 64), "activation": "elu", "epochs": 40}),
    (DIGITS, {"hidden": (64,), "activation": "gelu", "optimiser": "adamw", "epochs": 40}),
    (DIGITS, {"hidden": (64,), "activation": "leaky_relu", "optimiser": "nesterov", "lr": 0.02, "epochs": 40}),
    (DIGITS, {"hidden": (64,), "optimiser": "sgd", "lr": 0.2, "epochs": 60}),
    (DIGITS, {"hidden": (64,), "optimiser": "rmsprop", "epochs": 40}),
    (
        DIGITS,
        {
            "hidden": (30,),
            "activation": "logistic",
            "output": "logistic",
            "loss": "squared_error",
            "optimiser": "sgd",
            "lr": 3.0,
            "batch_size": 10,
            "epochs": 60,
        },
    ),
    (DIGITS, {"hidden": (64,), "output": "softmax", "loss": "log_loss", "epochs": 40}),
    (DIGITS, {"hidden": (64,), "early_stopping": "UP3", "epochs": 100}),
    (DIGITS, {"hidden": (64,), "schedule": "cosine", "epochs": 30}),
    (DIGITS, {"hidden": (64,), "l2": 1e-4, "max_norm": 3.0, "dtype": "float64", "epochs": 40}),
    (DIGITS, {"epochs": 12, **NONE}),
    (DIGITS, {"hidden": (32,), "optimiser": "sgd", "lr": 0.02, "batch_size": 4, "epochs": 20}),
    (table("breast_cancer"), {"hidden": (16,), "batch_size": 8, "epochs": 30}),
    (table("wine"), {"epochs": 25, **NONE}),
    (table("diabetes"), {"epochs": 20, "hidden": (32,), **NONE}),
    (table("iris"), {}),
    (table("iris"), {"hidden": (16,), "activation": "tanh"}),
    (table("wine"), {}),
    (table("wine"), {"hidden": (32,), "activation": "logistic"}),
    (table("wine"), {"hidden": (32,), "dropout": 0.3}),
    (table("breast_cancer"), {}),
    (table("breast_cancer"), {"hidden": (32,), "activation": "tanh", "weight_decay": 1e-4}),
    (table("diabetes"), {}),
    (table("diabetes"), {"hidden": (16,), "activation": "tanh", "loss": "huber"}),
    (table("diabetes"), {"hidden": (32,), "loss": "absolute_error", "dropout": 0.2}),
]

HEALTHY_LONG = [
    (MNIST, {"epochs": 20}),
    (MNIST, {"hidden": (64,), "activation": "logistic", "epochs": 20}),
    (MNIST, {"hidden": (100, 100), "dropout": 0.3, "epochs": 20}),
    (FASHION, {"epochs": 20}),
    (FASHION, {"hidden": (64,), "activation": "tanh", "epochs": 20}),
    (california, {"epochs": 60}),
    (california, {"hidden": (32,), "activation": "elu", "epochs": 60}),
]
