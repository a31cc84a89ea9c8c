"""More networks with a disease each, and healthy ones, in other situations than those of :mod:`cases.diagnosis`.

They were written without knowledge of the rules: the limits of a diagnosis must not be set by them. The form is the
same: a source and options of :func:`glassnet.fit`, made from a seed.
"""

import numpy as np
import pandas as pd
import sklearn.datasets as made

from cases.diagnosis import FASHION, MNIST, NONE, california, images, images_mislabelled, table

# Tables and arrays, each made anew from the generator


def seed_of(rng):
    return int(rng.integers(2**31))


def as_frame(x, y, name="target"):
    """A data frame of columns x0, x1, … and a target."""
    data = pd.DataFrame(np.asarray(x), columns=[f"x{j}" for j in range(x.shape[1])])
    data[name] = y
    return data


def changed(make, *changes):
    """The data of another maker, changed with the generator."""

    def make_changed(rng):
        source, target = make(rng)
        for change in changes:
            source = change(source, rng)
        return source, target

    return make_changed


def blobs(rows=1000, features=12, classes=3, apart=1.5, wrong=0.0, shares=None, names=None):
    """Clusters of points, two of each class."""

    def make(rng):
        x, y = made.make_classification(
            rows,
            features,
            n_informative=max(4, features // 2),
            n_redundant=features // 4,
            n_classes=classes,
            class_sep=apart,
            flip_y=wrong,
            weights=shares,
            random_state=seed_of(rng),
        )
        return as_frame(x, y if names is None else np.array(names)[y]), "target"

    return make


def moons(rows=500, noise=0.15):
    def make(rng):
        return made.make_moons(rows, noise=noise, random_state=seed_of(rng)), None

    return make


def circles(rows=500, noise=0.05):
    def make(rng):
        return made.make_circles(rows, noise=noise, factor=0.5, random_state=seed_of(rng)), None

    return make


def spirals(rows=800, noise=0.1):
    """Three arms that turn around each other."""

    def make(rng):
        arm, t = rng.integers(0, 3, rows), rng.uniform(0.5, 3.0, rows)
        angle = 1.6 * t + arm * 2 * np.pi / 3
        x = np.column_stack([t * np.cos(angle), t * np.sin(angle)]) + rng.normal(scale=noise, size=(rows, 2))
        return (x, arm), None

    return make


def quantiles(rows=900, features=5, classes=4):
    """Shells of a normal distribution."""

    def make(rng):
        x, y = made.make_gaussian_quantiles(
            n_samples=rows, n_features=features, n_classes=classes, random_state=seed_of(rng)
        )
        return as_frame(x, y), "target"

    return make


def hastie(rows=3000):
    """Ten normal columns; the class says whether their squares sum to more than 9.34."""

    def make(rng):
        x, y = made.make_hastie_10_2(rows, random_state=seed_of(rng))
        return as_frame(x, np.where(y > 0, "far", "near")), "target"

    return make


def friedman(number=1, rows=1000, noise=1.0):
    def make(rng):
        x, y = getattr(made, f"make_friedman{number}")(rows, noise=noise, random_state=seed_of(rng))
        return as_frame(x, y), "target"

    return make


def linear(rows=600, features=20, targets=1, noise=20.0):
    def make(rng):
        x, y = made.make_regression(
            rows, features, n_informative=8, n_targets=targets, noise=noise, random_state=seed_of(rng)
        )
        return (x, y), None

    return make


def swiss_roll(rows=1000):
    def make(rng):
        return made.make_swiss_roll(rows, noise=0.3, random_state=seed_of(rng)), None

    return make


def waves(rows=1500, lags=12):
    """The next value of a noisy sum of two waves, from the last few."""

    def make(rng):
        t = np.arange(rows + lags)
        series = np.sin(t / 5 + rng.uniform(0, 6)) + 0.5 * np.sin(t / 1.7) + rng.normal(scale=0.1, size=len(t))
        windows = np.lib.stride_tricks.sliding_window_view(series, lags + 1)
        return (windows[:, :-1].copy(), windows[:, -1].copy()), None

    return make


def labels(rows=1000, features=20, classes=5):
    """Several labels a row."""

    def make(rng):
        x, y = made.make_multilabel_classification(
            rows, features, n_classes=classes, n_labels=2, length=80, random_state=seed_of(rng)
        )
        return (x, y), None

    return make


def counts(rows=1500, scale=1.0):
    """How often something happens, by Poisson's law."""

    def make(rng):
        x = rng.normal(size=(rows, 6))
        rate = scale * np.exp(0.8 + 0.5 * x[:, 0] - 0.6 * x[:, 1] + 0.3 * x[:, 2] * x[:, 3])
        return (x, rng.poisson(np.minimum(rate, 1e4)).astype(float)), None

    return make


def words(rows=1200, vocabulary=300, topics=6):
    """How often words stand in a text; the topic is asked for."""

    def make(rng):
        shares = rng.dirichlet(np.full(vocabulary, 0.15), size=topics)
        y = rng.integers(0, topics, rows)
        x = np.array([rng.multinomial(30, 0.5 * shares[k] + 0.5 * shares.mean(axis=0)) for k in y], dtype=np.float32)
        return (x, y), None

    return make


def survey(rows=1500, missing=0.1, clear=2.0):
    """Persons: numbers, categories, gaps; who buys what."""

    def make(rng):
        age = rng.uniform(18, 80, rows).round()
        income = np.exp(rng.normal(10.3, 0.5, rows)).round(2)
        city = rng.choice(["Aachen", "Bremen", "Celle", "Dresden", "Erfurt"], rows, p=[0.4, 0.25, 0.2, 0.1, 0.05])
        job = rng.choice(["clerk", "driver", "nurse", "teacher"], rows)
        member = rng.random(rows) < 0.3
        score = np.column_stack(
            [
                (age - 49) / 18 + 1.5 * (city == "Celle"),
                (np.log(income) - 10.3) / 0.5 + 1.0 * member,
                (job == "nurse") * 2.0 - (age - 49) / 18,
            ]
        )
        bought = np.array(["bike", "car", "train"])[np.argmax(clear * score + rng.gumbel(size=score.shape), axis=1)]
        data = pd.DataFrame(
            {"age": age, "income": income, "city": city, "job": job, "member": member, "bought": bought}
        )
        data.loc[rng.random(rows) < missing, "income"] = np.nan
        data.loc[rng.random(rows) < missing, "job"] = None
        return data, "bought"

    return make


def one_hot(rows=2000, columns=6, levels=12):
    """Categories only, each with an effect of its own."""

    def make(rng):
        codes = rng.integers(0, levels, (rows, columns))
        effects = rng.normal(size=(columns, levels))
        score = sum(effects[j][codes[:, j]] for j in range(columns))
        data = pd.DataFrame({f"c{j}": [f"v{code}" for code in codes[:, j]] for j in range(columns)})
        data["target"] = np.where(score + rng.logistic(scale=0.5, size=rows) > 0, "yes", "no")
        return data, "target"

    return make


def noisy_digits(x, y, rng):
    """Digits on a ground of noise."""
    return np.clip(x + rng.normal(scale=60.0, size=x.shape), 0, 255).astype(np.uint8), y


# Changes


def flipped(share, column="target"):
    """Another class in a share of the rows."""

    def change(data, rng):
        data = data.copy()
        names = np.unique(data[column])
        codes = np.searchsorted(names, data[column])
        wrong = rng.random(len(data)) < share
        data[column] = names[np.where(wrong, (codes + rng.integers(1, len(names), len(data))) % len(names), codes)]
        return data

    return change


def pair_flipped(share):
    """Another of two classes in a share of the rows of a pair (x, y)."""

    def change(source, rng):
        x, y = source
        return x, np.where(rng.random(len(y)) < share, 1 - y, y)

    return change


def confused(share, pairs):
    """Two classes taken for each other in a share of their rows; the rest of the classes are right."""

    def change(data, rng):
        data = data.copy()
        y = data["target"].to_numpy().copy()
        swap = rng.random(len(y)) < share
        old = y.copy()
        for a, b in pairs:
            y[swap & (old == a)] = b
            y[swap & (old == b)] = a
        data["target"] = y
        return data

    return change


def shuffled_targets(share):
    """The targets of a share of the rows dealt out anew."""

    def change(data, rng):
        data = data.copy()
        y = data["target"].to_numpy().copy()
        some = np.flatnonzero(rng.random(len(y)) < share)
        y[some] = y[rng.permutation(some)]
        data["target"] = y
        return data

    return change


def with_column(name, column, target="target"):
    """One more column: ``column(rng, data)``."""

    def change(data, rng):
        data = data.copy()
        data.insert(0, name, column(rng, data))
        return data

    return change


def with_noise_columns(columns):
    def change(data, rng):
        noise = pd.DataFrame(rng.normal(size=(len(data), columns)), columns=[f"noise{j}" for j in range(columns)])
        return pd.concat([noise, data.reset_index(drop=True)], axis=1)

    return change


def some_day(rng, data):
    """Days of one year."""
    return pd.Timestamp("2023-01-01") + pd.to_timedelta(rng.integers(0, 365, len(data)), unit="D")


def numbered_by_class(column):
    """A running number, given class by class."""

    def change(data, rng):
        data = data.sort_values(column, kind="stable").reset_index(drop=True)
        data.insert(0, "number", np.arange(len(data)) + 10_000)
        return data.sample(frac=1.0, random_state=seed_of(rng))

    return change


def some_rare(classes, kept):
    """Of some classes only a few rows."""

    def change(source, rng):
        x, y = source
        drop = np.concatenate([rng.permutation(np.flatnonzero(y == k))[kept:] for k in classes])
        rest = np.setdiff1d(np.arange(len(y)), drop)
        return x[rest], y[rest]

    return change


def rows_of(count):
    def change(data, rng):
        return data.sample(count, random_state=seed_of(rng))

    return change


def pair_scaled(factors):
    """Columns of a pair (x, y) in other units."""

    def change(source, rng):
        x, y = source
        return x * np.resize(factors, x.shape[1]), y

    return change


def pair_moved(offset):
    def change(source, rng):
        x, y = source
        return x + offset, y

    return change


def pair_with(column):
    """One more column of a pair (x, y), first: ``column(rng, x, y)``."""

    def change(source, rng):
        x, y = source
        return np.column_stack([column(rng, x, y), x]), y

    return change


def rare_label(label, share):
    """A label that few rows have."""

    def change(source, rng):
        x, y = source
        y = y.copy()
        on = np.flatnonzero(y[:, label])
        y[rng.permutation(on)[max(8, int(share * len(y))) :], label] = 0
        return x, y

    return change


def image_rows(change):
    def make_change(x, y, rng):
        return change((x, y), rng)

    return make_change


UNSEEN_PLANTED = [
    # vanishing_delta: small weights, a function with a gentle slope, depth
    (
        "vanishing_delta",
        table("digits"),
        {"hidden": (20,) * 12, "activation": "tanh", "init": "uniform(variance=0.005)", "epochs": 10},
    ),
    (
        "vanishing_delta",
        blobs(1000),
        {"hidden": (24,) * 12, "activation": "logistic", "init": "lecun", "optimiser": "momentum", "epochs": 20},
    ),
    (
        "vanishing_delta",
        friedman(1, 800),
        {"hidden": (32,) * 10, "init": "normal(variance=0.002)", "optimiser": "sgd", "lr": 0.05, "epochs": 20},
    ),
    (
        "vanishing_delta",
        moons(600),
        {"hidden": (16,) * 12, "activation": "silu", "init": "glorot", "optimiser": "sgd", "lr": 0.1, "epochs": 30},
    ),
    # exploding_delta: weights for another width, a gain that is too large
    (
        "exploding_delta",
        friedman(1, 800),
        {"hidden": (40,) * 8, "activation": "elu", "init": "normal(variance=0.25)", "epochs": 20},
    ),
    (
        "exploding_delta",
        blobs(800, 20, 4),
        {"hidden": (64,) * 6, "activation": "leaky_relu", "init": "orthogonal(gain=6)", "epochs": 15},
    ),
    (
        "exploding_delta",
        survey(1000),
        {"hidden": (80,) * 5, "init": "uniform(variance=0.3333)", "optimiser": "sgd", "lr": 1e-6, "epochs": 10},
    ),
    # dead_units: a huge learning rate, inputs without scaling, a bias, large steps of Adam
    ("dead_units", survey(), {"hidden": (64,), "optimiser": "sgd", "lr": 5.0, "epochs": 15, **NONE}),
    (
        "dead_units",
        friedman(2, 800, 10.0),
        {"hidden": (50, 50), "scaling": "none", "optimiser": "adam", "lr": 0.1, "epochs": 20, **NONE},
    ),
    ("dead_units", friedman(1, 1000), {"hidden": (48,), "bias": -5.0, "epochs": 20}),
    ("dead_units", blobs(1500, 30, 5), {"hidden": (100, 50), "lr": 0.3, "epochs": 20, **NONE}),
    # saturated_units: large weights, large steps, large inputs
    (
        "saturated_units",
        friedman(1, 1000),
        {"hidden": (40,), "activation": "tanh", "init": "uniform(variance=9)", "epochs": 25},
    ),
    (
        "saturated_units",
        blobs(800, 20, 4),
        {"hidden": (40, 20), "activation": "logistic", "lr": 1.0, "epochs": 25, **NONE},
    ),
    ("saturated_units", hastie(2000), {"hidden": (40,), "activation": "tanh", "init": "glorot(gain=10)", "epochs": 20}),
    (
        "saturated_units",
        changed(waves(), pair_scaled([100.0])),
        {"hidden": (30,), "activation": "logistic", "scaling": "none", "epochs": 20},
    ),
    # symmetric_units: the same start for all units
    (
        "symmetric_units",
        moons(),
        {"hidden": (20,), "activation": "logistic", "init": "constant(value=0.5)", "epochs": 60},
    ),
    ("symmetric_units", friedman(1), {"hidden": (32, 16), "init": "constant(value=0.05)", "epochs": 30}),
    ("symmetric_units", labels(), {"hidden": (24,), "activation": "elu", "init": "zeros", "epochs": 20}),
    (
        "symmetric_units",
        survey(),
        {"hidden": (16, 16), "activation": "silu", "init": "normal(variance=0, mean=0.1)", "epochs": 25},
    ),
    # learning_rate_too_high
    ("learning_rate_too_high", moons(), {"hidden": (32, 32), "lr": 0.5, "epochs": 40, **NONE}),
    ("learning_rate_too_high", friedman(1), {"hidden": (64,), "optimiser": "sgd", "lr": 0.8, "epochs": 20, **NONE}),
    (
        "learning_rate_too_high",
        blobs(1200, 20, 6),
        {"hidden": (64, 32), "optimiser": "rmsprop", "lr": 0.15, "epochs": 25, **NONE},
    ),
    ("learning_rate_too_high", labels(), {"hidden": (40,), "optimiser": "nesterov", "lr": 3.0, "epochs": 25, **NONE}),
    (
        "learning_rate_too_high",
        swiss_roll(),
        {"hidden": (64, 64), "optimiser": "momentum", "lr": 0.5, "epochs": 25, **NONE},
    ),
    # learning_rate_too_low
    ("learning_rate_too_low", moons(), {"hidden": (32,), "optimiser": "sgd", "lr": 1e-3, "epochs": 30}),
    ("learning_rate_too_low", labels(), {"hidden": (40,), "lr": 3e-6, "epochs": 25}),
    ("learning_rate_too_low", friedman(1), {"hidden": (64,), "optimiser": "momentum", "lr": 1e-5, "epochs": 25}),
    (
        "learning_rate_too_low",
        survey(),
        {"hidden": (32,), "schedule": "exponential(gamma=0.3)", "lr": 5e-4, "epochs": 30},
    ),
    (
        "learning_rate_too_low",
        quantiles(),
        {"hidden": (32,), "activation": "tanh", "optimiser": "adamw", "lr": 1e-5, "epochs": 30},
    ),
    # overfitting: more columns of noise than rows, far too many units, few rows
    (
        "overfitting",
        changed(blobs(160, 8, 2, 1.0), with_noise_columns(150)),
        {"hidden": (64,), "epochs": 120, "validation": 0.3, **NONE},
    ),
    (
        "overfitting",
        changed(friedman(1, 160, 3.0), with_noise_columns(40)),
        {"hidden": (200,), "epochs": 200, "validation": 0.3, "lr": 0.003, **NONE},
    ),
    ("overfitting", moons(200, 0.5), {"hidden": (256, 256), "epochs": 200, "validation": 0.3, "lr": 0.005, **NONE}),
    ("overfitting", one_hot(300, 10, 30), {"hidden": (64,), "epochs": 120, "validation": 0.25, "lr": 0.005, **NONE}),
    (
        "overfitting",
        changed(
            survey(200, 0.0, 1.0),
            with_column("name", lambda rng, data: rng.choice([f"n{j}" for j in range(90)], len(data))),
        ),
        {"hidden": (128,), "epochs": 250, "validation": 0.3, "lr": 0.005, **NONE},
    ),
    # underfitting: too few units, no non-linearity, too strong a penalty
    ("underfitting", circles(), {"hidden": (1,), "epochs": 100}),
    ("underfitting", friedman(1), {"hidden": (32,), "l1": 0.3, "epochs": 40}),
    ("underfitting", spirals(), {"hidden": (32,), "activation": "identity", "epochs": 60}),
    ("underfitting", hastie(), {"hidden": (3,), "epochs": 30}),
    ("underfitting", blobs(1500, 20, 8), {"hidden": (64,), "max_norm": 0.1, "epochs": 25}),
    ("underfitting", swiss_roll(), {"hidden": (2,), "activation": "tanh", "epochs": 60}),
    # gradient_noise: single rows and large steps
    (
        "gradient_noise",
        linear(800, 20, 1, 150.0),
        {
            "hidden": (32,),
            "activation": "tanh",
            "optimiser": "momentum",
            "lr": 0.01,
            "batch_size": 2,
            "epochs": 15,
            **NONE,
        },
    ),
    (
        "gradient_noise",
        survey(1000),
        {"hidden": (32,), "optimiser": "sgd", "lr": 0.2, "batch_size": 1, "epochs": 15, **NONE},
    ),
    (
        "gradient_noise",
        blobs(800, 12, 3, 1.0, 0.3),
        {"hidden": (24,), "optimiser": "momentum", "lr": 0.02, "batch_size": 1, "epochs": 12, **NONE},
    ),
    ("gradient_noise", moons(600, 0.4), {"hidden": (16,), "lr": 0.05, "batch_size": 1, "epochs": 20, **NONE}),
    # unscaled_features
    ("unscaled_features", friedman(2, 1000, 10.0), {"hidden": (32,), "scaling": "none", "epochs": 30}),
    ("unscaled_features", survey(), {"hidden": (32,), "scaling": "none", "epochs": 25}),
    (
        "unscaled_features",
        changed(blobs(1000), lambda data, rng: data.assign(x0=data.x0 * 1e4, x1=data.x1 * 1e-3)),
        {"hidden": (32,), "scaling": "none", "activation": "tanh", "epochs": 25},
    ),
    ("unscaled_features", changed(moons(), pair_moved(500.0)), {"hidden": (32,), "scaling": "none", "epochs": 60}),
    # constant_features
    ("constant_features", table("digits"), {"hidden": (48,), "epochs": 20}),
    ("constant_features", changed(survey(), with_column("country", lambda rng, data: "Germany")), {"epochs": 25}),
    ("constant_features", changed(friedman(1), with_column("checked", lambda rng, data: False)), {"epochs": 25}),
    (
        "constant_features",
        changed(moons(), pair_with(lambda rng, x, y: np.zeros(len(y)))),
        {"hidden": (32,), "epochs": 60},
    ),
    # leaked_target
    ("leaked_target", changed(survey(), numbered_by_class("bought")), {"epochs": 40, "hidden": (32,)}),
    (
        "leaked_target",
        changed(friedman(1), with_column("in_cents", lambda rng, data: (data.target * 100).round() + 500)),
        {"epochs": 40},
    ),
    (
        "leaked_target",
        changed(
            hastie(),
            with_column(
                "outcome", lambda rng, data: np.where(rng.random(len(data)) < 0.005, "?", data.target.str.upper())
            ),
        ),
        {"epochs": 15},
    ),
    (
        "leaked_target",
        changed(linear(800, 10, 3, 100.0), pair_with(lambda rng, x, y: y[:, 1] * 3.6 + 32)),
        {"epochs": 30},
    ),
    ("leaked_target", changed(counts(), pair_with(lambda rng, x, y: y + 1)), {"loss": "poisson", "epochs": 30}),
    # label_imbalance
    ("label_imbalance", blobs(2400, 12, 5, 0.8, shares=[0.46, 0.46, 0.03, 0.03]), {"hidden": (32,), "epochs": 20}),
    ("label_imbalance", blobs(3000, 12, 2, 0.6, shares=[0.98]), {"hidden": (32,), "epochs": 20}),
    ("label_imbalance", changed(words(1500), some_rare([1, 4], 10)), {"epochs": 15}),
    ("label_imbalance", changed(labels(), rare_label(2, 0.015)), {"hidden": (32,), "epochs": 25}),
    # label_noise
    ("label_noise", changed(table("digits"), flipped(0.2)), {"hidden": (48,), "epochs": 30}),
    ("label_noise", changed(table("digits"), confused(0.4, [(3, 8), (4, 9), (1, 7)])), {"hidden": (48,), "epochs": 30}),
    ("label_noise", changed(moons(800, 0.1), pair_flipped(0.25)), {"hidden": (32,), "epochs": 80}),
    (
        "label_noise",
        changed(blobs(1200, 16, 3, 2.5, names=["low", "mid", "top"]), flipped(0.2)),
        {"hidden": (32,), "epochs": 40},
    ),
    ("label_noise", changed(friedman(1, 1500, 0.2), shuffled_targets(0.25)), {"hidden": (32,), "epochs": 60}),
    # softmax_twice
    (
        "softmax_twice",
        blobs(1000, 16, 4),
        {"hidden": (32,), "output": "softmax", "loss": "cross_entropy", "epochs": 30},
    ),
    ("softmax_twice", survey(), {"hidden": (32,), "output": "softmax", "loss": "cross_entropy", "epochs": 25}),
    (
        "softmax_twice",
        spirals(),
        {"hidden": (64, 64), "activation": "tanh", "output": "softmax", "loss": "cross_entropy", "epochs": 60},
    ),
    ("softmax_twice", labels(), {"hidden": (32,), "output": "logistic", "loss": "binary_cross_entropy", "epochs": 30}),
    # wrong_loss: outputs that cannot become what is asked for
    ("wrong_loss", friedman(1), {"hidden": (32,), "output": "relu", "epochs": 40}),
    ("wrong_loss", linear(800, 20, 3), {"hidden": (32,), "output": "logistic", "epochs": 40}),
    ("wrong_loss", waves(), {"hidden": (32,), "output": "softplus", "epochs": 30}),
    ("wrong_loss", words(), {"hidden": (32,), "output": "logistic", "loss": "log_loss", "epochs": 20}),
    ("wrong_loss", blobs(1000, 16, 4), {"hidden": (32,), "output": "tanh", "loss": "cross_entropy", "epochs": 30}),
    # exploding_weights
    (
        "exploding_weights",
        blobs(1000, 20, 4, 1.0, 0.1),
        {"hidden": (64,), "optimiser": "rmsprop", "lr": 1.0, "epochs": 30, **NONE},
    ),
    ("exploding_weights", friedman(1), {"hidden": (48,), "lr": 3.0, "epochs": 40, **NONE}),
    (
        "exploding_weights",
        moons(600, 0.3),
        {"hidden": (32, 32), "optimiser": "momentum(momentum=0.99)", "lr": 1.0, "epochs": 40, **NONE},
    ),
    # dropout_too_strong
    ("dropout_too_strong", blobs(1500, 20, 4), {"hidden": (12, 12), "dropout": 0.8, "epochs": 40}),
    ("dropout_too_strong", friedman(1), {"hidden": (24,), "dropout": 0.85, "epochs": 40}),
    ("dropout_too_strong", spirals(), {"hidden": (64, 64), "input_dropout": 0.5, "epochs": 80}),
    ("dropout_too_strong", words(), {"hidden": (32,), "input_dropout": 0.97, "epochs": 30}),
    # eager_stopping
    (
        "eager_stopping",
        friedman(1, 1000),
        {"hidden": (64,), "early_stopping": "patience1", "lr": 0.01, "batch_size": 8, "epochs": 150},
    ),
    (
        "eager_stopping",
        friedman(1, 600, 2.0),
        {
            "hidden": (64,),
            "lr": 0.003,
            "batch_size": 4,
            "early_stopping": {"name": "up", "s": 1, "k": 1},
            "validation": 0.05,
            "epochs": 150,
        },
    ),
    (
        "eager_stopping",
        quantiles(900),
        {"hidden": (64,), "lr": 0.01, "batch_size": 8, "early_stopping": "GL1", "epochs": 150},
    ),
    # unsafe_precision
    (
        "unsafe_precision",
        changed(survey(), with_column("time", lambda rng, data: 1.7e9 + rng.uniform(0, 2e4, len(data)), "bought")),
        {"hidden": (32,), "scaling": "none", "epochs": 15},
    ),
    ("unsafe_precision", changed(waves(), pair_moved(1e7)), {"hidden": (32,), "scaling": "none", "epochs": 20}),
    ("unsafe_precision", blobs(800), {"hidden": (32,), "optimiser": "sgd", "lr": 1e-9, "epochs": 10}),
    ("unsafe_precision", friedman(1), {"hidden": (32,), "optimiser": "momentum", "lr": 1e-10, "epochs": 10}),
]

UNSEEN_LONG = [  # planted in more data
    (
        "vanishing_delta",
        FASHION,
        {"hidden": (40,) * 10, "activation": "tanh", "init": "normal(variance=0.003)", "epochs": 5},
    ),
    ("exploding_delta", california, {"hidden": (60,) * 6, "init": "normal(variance=0.3)", "epochs": 10}),
    ("dead_units", california, {"hidden": (64, 64), "lr": 0.5, "epochs": 15, **NONE}),
    ("saturated_units", california, {"hidden": (40,), "activation": "tanh", "scaling": "none", "epochs": 15}),
    (
        "symmetric_units",
        california,
        {"hidden": (32,), "init": "constant(value=0.1)", "activation": "tanh", "epochs": 20},
    ),
    ("learning_rate_too_high", california, {"hidden": (64,), "optimiser": "momentum", "lr": 0.3, "epochs": 15, **NONE}),
    ("learning_rate_too_low", MNIST, {"optimiser": "sgd", "lr": 1e-3, "epochs": 5}),
    (
        "overfitting",
        images("fashion", rows=200),
        {"hidden": (256, 128), "epochs": 60, "validation": 0.3, "lr": 0.002, **NONE},
    ),
    ("underfitting", california, {"hidden": (32,), "l2": 0.5, "epochs": 30}),
    (
        "gradient_noise",
        FASHION,
        {"hidden": (32,), "activation": "tanh", "optimiser": "sgd", "lr": 0.05, "batch_size": 1, "epochs": 4, **NONE},
    ),
    (
        "gradient_noise",
        MNIST,
        {"hidden": (64,), "activation": "tanh", "optimiser": "sgd", "lr": 0.1, "batch_size": 1, "epochs": 5, **NONE},
    ),
    ("unscaled_features", FASHION, {"hidden": (64,), "activation": "tanh", "scaling": "none", "epochs": 6}),
    ("constant_features", changed(california, with_column("year", lambda rng, data: 1990)), {"epochs": 20}),
    (
        "leaked_target",
        changed(california, with_column("price_in_yen", lambda rng, data: data.median_house_value * 145.1)),
        {"epochs": 20},
    ),
    ("label_imbalance", images("fashion", image_rows(some_rare([2, 6], 8))), {"hidden": (64,), "epochs": 10}),
    (
        "label_noise",
        images("mnist", images_mislabelled, rows=4000),
        {"hidden": (64,), "activation": "tanh", "epochs": 8},
    ),
    ("softmax_twice", MNIST, {"hidden": (64,), "output": "softmax", "loss": "cross_entropy", "epochs": 8}),
    ("wrong_loss", california, {"hidden": (32,), "output": "tanh", "epochs": 30}),
    ("exploding_weights", FASHION, {"hidden": (64,), "lr": 1.0, "epochs": 10, **NONE}),
    ("dropout_too_strong", california, {"hidden": (16,), "input_dropout": 0.7, "epochs": 30}),
    (
        "eager_stopping",
        california,
        {"hidden": (64,), "early_stopping": "patience1", "validation": 0.03, "lr": 0.01, "epochs": 150},
    ),
    ("unsafe_precision", MNIST, {"hidden": (32,), "optimiser": "sgd", "lr": 1e-8, "epochs": 3}),
]

UNSEEN_HEALTHY = [
    # clusters, shells, arms
    (blobs(1000), {}),
    (blobs(150, 8, 2, 2.0), {"hidden": (16,), "epochs": 60}),
    (blobs(1500, 20, 6), {"hidden": (64, 32), "activation": "silu", "lr": 0.003, "epochs": 100}),
    (blobs(1000, 12, 3, 0.8), {"hidden": (64,), "weight_decay": 1e-3, "dropout": 0.2, "lr": 0.005, "epochs": 150}),
    (blobs(2000, 12, 2, 1.5, shares=[0.83]), {"hidden": (32,)}),
    (blobs(1000, 12, 3, 2.0, names=["low", "mid", "top"]), {"activation": "softplus", "hidden": (32,)}),
    (blobs(8000, 12, 3), {"hidden": (64,), "lr": 0.01, "epochs": 40, "batch_size": 128}),
    (moons(), {"hidden": (32,), "lr": 0.01, "epochs": 80}),
    (moons(500, 0.35), {"hidden": (16,), "activation": "tanh", "lr": 0.03}),
    (moons(400), {"hidden": (16, 16), "activation": "elu", "optimiser": "nesterov", "lr": 0.05, "validation": 0}),
    (circles(), {"hidden": (16,), "lr": 0.02, "optimiser": "rmsprop", "epochs": 60}),
    (spirals(), {"hidden": (64, 64), "activation": "tanh", "lr": 0.005, "epochs": 150}),
    (spirals(800, 0.25), {"hidden": (64, 64), "lr": 0.005, "schedule": "cosine", "epochs": 60}),
    (quantiles(1500), {"hidden": (64,), "activation": "gelu", "lr": 0.005, "epochs": 80}),
    (hastie(4000), {"hidden": (64,), "schedule": "one_cycle", "lr": 0.01, "epochs": 40}),
    # digits as columns, images of noise
    (images("digits", noisy_digits), {"hidden": (64,), "dropout": 0.4, "epochs": 40}),
    (images("digits", rows=600), {"hidden": (128,), "batch_size": 1024, "lr": 0.01, "epochs": 150}),
    (images("digits"), {"hidden": (64,), "optimiser": "sgd", "lr": 0.01, "batch_size": 1, "epochs": 20}),
    (images("digits"), {"hidden": (64,) * 6, "activation": "relu", "epochs": 30}),
    (images("digits"), {"hidden": (512,), "epochs": 25, "loss": "cross_entropy(label_smoothing=0.1)"}),
    # persons, categories, words
    (survey(), {}),
    (survey(800, 0.2, 3.0), {"hidden": (24,), "early_stopping": "PQ0.5", "epochs": 200}),
    (survey(3000), {"hidden": (32,), "optimiser": "adamw", "dropout": 0.2, "class_weight": "balanced"}),
    (one_hot(), {"hidden": (16,), "weight_decay": 1e-3, "epochs": 40}),
    (one_hot(6000, 8, 15), {"hidden": (16,), "l2": 1e-3, "epochs": 30}),
    (words(), {"hidden": (32,), "dropout": 0.3, "epochs": 30}),
    (words(3000, 200, 4), {"hidden": (32,), "scaling": "none", "l2": 1e-4, "epochs": 20}),
    # numbers
    (friedman(1), {"hidden": (24,), "weight_decay": 1e-3, "lr": 0.01}),
    (friedman(1, 2000), {"hidden": (64,), "activation": "tanh", "lr": 0.01, "schedule": "linear"}),
    (friedman(1, 1500, 6.0), {"hidden": (16,), "weight_decay": 1e-3}),
    (friedman(2, 1000, 10.0), {"hidden": (32,), "activation": "elu", "dtype": "float64"}),
    (friedman(3, 1000, 0.05), {"hidden": (48,), "activation": "silu", "loss": "huber", "lr": 0.01, "epochs": 200}),
    (linear(), {"hidden": (16,), "weight_decay": 1e-3, "early_stopping": "GL5"}),
    (linear(1000, 20, 3), {"hidden": (64,), "epochs": 150, "lr": 0.003}),
    (linear(3000, 8, 1, 250.0), {"hidden": (8,), "epochs": 30}),
    (swiss_roll(), {"hidden": (64, 64), "lr": 0.003, "epochs": 80}),
    (waves(), {"hidden": (32,), "optimiser": "momentum", "lr": 0.01, "early_stopping": "UP3"}),
    (waves(4000, 20), {"hidden": (32, 16), "activation": "tanh", "schedule": "reduce_on_plateau", "epochs": 40}),
    (counts(), {"hidden": (32,), "loss": "poisson"}),
    (counts(4000, 3.0), {"hidden": (32,), "loss": "poisson", "activation": "tanh", "epochs": 40}),
    (table("diabetes"), {"hidden": (16,), "l1": 1e-3, "lr": 0.01, "epochs": 60, "validation": 0.2}),
    # several labels
    (labels(), {"hidden": (32,)}),
    (labels(2500, 30, 8), {"hidden": (64,), "activation": "leaky_relu", "dropout": 0.2, "epochs": 40}),
    # other ways to train
    (table("breast_cancer"), {"hidden": (30,), "activation": "logistic", "optimiser": "sgd", "lr": 0.5, "epochs": 60}),
    (
        table("iris"),
        {"hidden": (8,), "output": "softmax", "loss": "log_loss", "lr": 0.02, "epochs": 60, "validation": 0},
    ),
    (table("wine"), {"hidden": (16,), "max_norm": 2.0, "clip_norm": 1.0, "lr": 0.005, "epochs": 60}),
    (
        table("wine"),
        {"hidden": (16,), "scaling": "minmax", "lr": 0.01, "epochs": 60, "dropout_variant": "plain", "dropout": 0.2},
    ),
    (table("breast_cancer"), {"hidden": (), "epochs": 60}),
    (
        blobs(1500, 20, 4),
        {
            "hidden": (64, 64, 64, 64),
            "activation": "tanh",
            "dropout": [0.1, 0.2, 0.2, 0.2],
            "lr": 0.002,
            "epochs": 80,
        },
    ),
    (blobs(1000, 10, 2), {"hidden": (32,), "output": "logistic", "loss": "squared_error", "epochs": 60, "lr": 0.005}),
    (changed(survey(), with_column("day", some_day, "bought")), {"hidden": (32,), "lr": 0.003}),
    (
        changed(friedman(1, 1500), with_column("seldom", lambda rng, data: rng.random(len(data)) < 0.02)),
        {"hidden": (24,), "weight_decay": 1e-3, "lr": 0.01},
    ),
    (
        changed(hastie(3000), with_column("number", lambda rng, data: rng.permutation(len(data)) + 1000)),
        {"hidden": (64,), "lr": 0.01, "dropout": 0.1},
    ),
    (friedman(1, 1500), {"hidden": (32,), "scaling": "none", "lr": 0.01}),
    (
        waves(2000),
        {
            "hidden": (24,),
            "scaling": "none",
            "batch_size": 8,
            "lr": 0.003,
            "schedule": "exponential(gamma=0.9)",
            "epochs": 30,
        },
    ),
    (linear(1500, 20, 10, 30.0), {"hidden": (96,), "lr": 0.003}),
    (linear(1000, 3, 1, 10.0), {"hidden": (16,), "lr": 0.01}),
    (blobs(600, 12, 2, 2.5), {"hidden": (16,), "epochs": 200, **NONE}),
    (quantiles(2000), {"hidden": (64,), "activation": "elu", "init": "orthogonal", "lr": 0.01}),
    (images("digits"), {"hidden": (64, 32), "activation": "logistic", "pretrain": "whole", "lr": 0.005, "epochs": 60}),
    (moons(600), {"hidden": (32,), "activation": "leaky_relu", "validation": 0, "lr": 0.01, "epochs": 100}),
    (words(2000, 200, 4), {"hidden": (32,), "lr": 0.01, "epochs": 5}),
    (blobs(1500, 12, 4, 2.0, shares=[0.4, 0.4, 0.1]), {"hidden": (48,), "lr": 0.005}),
    (
        labels(1000, 20, 5),
        {"hidden": (32,), "activation": "tanh", "lr": 0.005, "loss": "binary_cross_entropy(label_smoothing=0.05)"},
    ),
    (images("digits"), {"hidden": (512,), "freeze": (1,), "lr": 0.002, "epochs": 60}),
    (images("digits"), {"epochs": 6}),
    (images("digits"), {"hidden": (64,), "loss": "squared_error", "lr": 0.003, "epochs": 60}),
    (blobs(1000, 10, 2), {"hidden": (32,), "loss": "binary_cross_entropy", "lr": 0.005}),
]

UNSEEN_HEALTHY_LONG = [
    (MNIST, {"hidden": (128,), "optimiser": "sgd", "lr": 0.1, "batch_size": 10, "epochs": 8}),
    (images("mnist", rows=5000), {"hidden": (100,), "input_dropout": 0.2, "dropout": 0.5, "epochs": 15}),
    (FASHION, {"hidden": (64,), "activation": "gelu", "dropout": 0.3, "epochs": 15}),
    (FASHION, {"hidden": (128,), "early_stopping": "patience5", "schedule": "cosine", "epochs": 15, "batch_size": 64}),
    (california, {"hidden": (64, 32), "activation": "silu", "schedule": "cosine", "lr": 0.003, "epochs": 40}),
    (california, {"hidden": (32,), "loss": "absolute_error", "weight_decay": 1e-4, "epochs": 40}),
]
