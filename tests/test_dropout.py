"""Both variants of dropout: the masks, the way back, what is expected of them, and that they are one."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as fn

from glassnet.backprop import backprop, forward_pass
from glassnet.errors import ConfigError
from glassnet.layers import Dense, Dropout
from glassnet.network import Network
from glassnet.optimisers import SGD, Updater
from glassnet.random import Draws, Purpose
from glassnet.regularisers import Regularisation
from oracle import one_thread  # noqa: F401

both = pytest.mark.parametrize("variant", ["inverted", "plain"])
keeps = pytest.mark.parametrize("keep", [0.25, 0.5, 0.9])


def draws(n: int, *, seed: int = 1, epoch: int = 0) -> Draws:
    return Draws(seed, np.arange(n, dtype=np.int64), epoch)


def factor(variant: str, keep: float) -> float:
    """c: what a unit that stays is multiplied by in training."""
    return 1 / keep if variant == "inverted" else 1.0


@both
@keeps
def test_forward_in_training(variant: str, keep: float):
    """ã = c·m ⊙ a with a mask for each sample."""
    a = np.random.default_rng(0).normal(size=(50, 7))
    mask = draws(50).keep_mask(7, keep)
    dropped, _ = Dropout(keep, variant).forward(a, training=draws(50))
    np.testing.assert_allclose(dropped, factor(variant, keep) * mask * a, rtol=1e-15)
    assert 0 < mask.sum() < mask.size


@both
@keeps
def test_forward_in_testing(variant: str, keep: float):
    """a (inverted) or p·a (plain); and its derivative."""
    a, grad_a = np.random.default_rng(0).normal(size=(2, 50, 7))
    scale = 1.0 if variant == "inverted" else keep
    out, cache = Dropout(keep, variant).forward(a, training=None)
    np.testing.assert_array_equal(out, scale * a)
    np.testing.assert_array_equal(Dropout(keep, variant).backward(grad_a, cache)[0], scale * grad_a)


@both
@keeps
def test_backward_against_automatic_differentiation(variant: str, keep: float):
    """With the mask of the forward pass, through the two layers around it."""
    rng = np.random.default_rng(0)
    first, second = Dense(rng.normal(size=(6, 4)), rng.normal(size=6), "tanh"), Dense(rng.normal(size=(3, 6)), None)
    network = Network([first, Dropout(keep, variant), second], seed=1)
    x, y = rng.normal(size=(9, 4)), rng.normal(size=(9, 3))
    _, grads = backprop(network, "squared_error", x, y)
    W1, b1, W2 = (torch.tensor(v, requires_grad=True) for v in (*first.params.values(), *second.params.values()))
    # the layer has the number of the layer below it
    mask = torch.from_numpy(Draws(1, np.arange(9), layer=1).keep_mask(6, keep))
    a = torch.tanh(fn.linear(torch.tensor(x), W1, b1)) * mask * factor(variant, keep)
    (0.5 * fn.mse_loss(fn.linear(a, W2), torch.tensor(y), reduction="sum") / 9).backward()
    np.testing.assert_allclose(grads[0].params["W"], W1.grad.numpy(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(grads[0].params["b"], b1.grad.numpy(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(grads[2].params["W"], W2.grad.numpy(), rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(grads[0].delta == 0, ~mask.numpy())  # a unit that is dropped has no error


@both
@keeps
def test_training_is_testing_on_average(variant: str, keep: float):
    """E[c·m ⊙ a]: a (inverted) or p·a (plain), within the sampling error of the masks."""
    n = 20_000
    a = np.broadcast_to(np.array([1.0, -2.0, 0.5]), (n, 3))
    layer = Dropout(keep, variant)
    mean = layer.forward(a, training=draws(n))[0].mean(axis=0)
    expected = layer.forward(a[:1], training=None)[0][0]
    error = np.abs(a[0]) * factor(variant, keep) * np.sqrt(keep * (1 - keep) / n)
    assert (np.abs(mean - expected) < 5 * error).all()


@both
def test_keep_one_changes_nothing(variant: str):
    a = np.random.default_rng(0).normal(size=(5, 4))
    np.testing.assert_array_equal(Dropout(1.0, variant).forward(a, training=draws(5))[0], a)
    np.testing.assert_array_equal(Dropout(1.0, variant).forward(a, training=None)[0], a)


@both
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numpy_and_torch_drop_the_same_units(variant: str, dtype: str):
    network = Network.dense([5, 8, 3], dropout=0.5, input_dropout=0.2, dropout_variant=variant, dtype=dtype, seed=4)
    x = np.random.default_rng(0).normal(size=(6, 5))
    moved = network.on_torch("cpu")
    found = moved.forward(torch.from_numpy(x), draws=moved.draws(6, epoch=3)).numpy()
    assert found.dtype == dtype
    np.testing.assert_allclose(found, network.forward(x, draws=network.draws(6, epoch=3)), rtol=1e-5, atol=1e-6)


# The two variants are one


def twin_networks(keep: float) -> tuple[Network, Network]:
    """Plain with W, and inverted with pW, for the weights that read a dropped layer; everything else is equal."""
    rng = np.random.default_rng(0)
    sizes = [5, 7, 6, 3]
    W = [rng.normal(size=(n_out, n_in)) / 2 for n_in, n_out in pairwise(sizes)]
    b = [rng.normal(size=n) / 2 for n in sizes[1:]]
    plain, inverted = (
        Network(
            [
                Dense(W[0].copy(), b[0].copy(), "tanh"),
                Dropout(keep, variant),
                Dense(scale * W[1], b[1].copy(), "logistic"),
                Dropout(keep, variant),
                Dense(scale * W[2], b[2].copy()),
            ],
            seed=8,
        )
        for variant, scale in (("plain", 1.0), ("inverted", keep))
    )
    return plain, inverted


def batches(steps: int = 20, n: int = 10) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(1)
    return [(rng.normal(size=(n, 5)), rng.integers(0, 3, n)) for _ in range(steps)]


READING = ("2.W", "3.W")  # the weights that read a dropped layer


def assert_twins(plain: Network, inverted: Network, keep: float, start: Network) -> None:
    """Equal parameters, but for the factor p; equal predictions; and they did learn something."""
    found, begun = dict(inverted.parameters()), dict(start.parameters())
    for name, theta in plain.parameters():
        expected = keep * theta if name in READING else theta
        np.testing.assert_allclose(found[name], expected, rtol=0, atol=1e-10, err_msg=name)
        assert np.abs(theta - begun[name]).max() > 1e-2
    x = batches(1)[0][0]
    np.testing.assert_allclose(inverted(x), plain(x), rtol=0, atol=1e-10)


@keeps
def test_the_first_variant_is_the_second_with_other_rates(keep: float):
    """The first with (W, η, λ) is the second with (pW, p²η, λ/p²), over 20 steps, for weights that read ã.

    Everything else (weights of the first layer, biases) has its η and λ in both. So each step is made parameter by
    parameter with the optimiser's own rule.
    """
    plain, inverted = twin_networks(keep)
    start, lr, strength = plain.copy(), 0.3, 0.02
    for step, (x, y) in enumerate(batches()):
        for network, p in ((plain, 1.0), (inverted, keep)):
            _, grads = backprop(network, "cross_entropy", x, y, draws=network.draws(len(x), first=len(x) * step))
            for layer, layer_grads in zip(network.layers, grads, strict=True):
                for name, theta in layer.params.items():
                    q = p if f"{layer.number}.{name}" in READING else 1.0
                    rules = Regularisation(l2=strength / q**2, biases=True)
                    g = layer_grads.params[name] + rules.penalty_gradient(name, theta)
                    SGD().step(theta, g, {}, q**2 * lr, step + 1)
    assert_twins(plain, inverted, keep, start)


@keeps
@pytest.mark.parametrize("decay", ["l2", "weight_decay"])
def test_the_same_through_the_updater(keep: float, decay: str):
    """Two updaters, each with its rate, take turns at the layers. β of decay is ηλ = p²η · λ/p²: the same in both."""
    lr, strength = 0.3, 0.02
    networks = twin_networks(keep)
    for network in networks:
        for layer in network.layers[2:]:
            layer.params.pop("b", None)  # biases would need the other rate
    start = networks[0].copy()
    for network, p in zip(networks, (1.0, keep), strict=True):
        low = Regularisation(l2=strength) if decay == "l2" else Regularisation(weight_decay=lr * strength)
        high = Regularisation(l2=strength / p**2) if decay == "l2" else low
        updaters = [(Updater(SGD(), low), [2, 3], lr), (Updater(SGD(), high), [1], p**2 * lr)]
        for step, (x, y) in enumerate(batches()):
            _, grads = backprop(network, "cross_entropy", x, y, draws=network.draws(len(x), first=len(x) * step))
            for updater, frozen, rate in updaters:
                network.freeze(frozen)
                updater(network, grads, rate)
    assert_twins(*networks, keep, start)


def test_with_equal_rates_the_variants_part():
    keep = 0.5
    plain, inverted = twin_networks(keep)
    for step, (x, y) in enumerate(batches(5)):
        for network in (plain, inverted):
            _, grads = backprop(network, "cross_entropy", x, y, draws=network.draws(len(x), first=len(x) * step))
            Updater(SGD())(network, grads, 0.3)
    difference = keep * plain.layer(3).params["W"] - inverted.layer(3).params["W"]
    assert np.abs(difference).max() > 1e-2


# Where it acts


def masks(network: Network, x: np.ndarray, **where: int) -> dict[int, np.ndarray]:
    """Which units stay, by the number of the layer whose output is dropped."""
    _, caches = forward_pass(network, x, network.draws(len(x), **where))
    pairs = zip(network.layers, caches, strict=True)
    return {layer.number: cache != 0 for layer, cache in pairs if isinstance(layer, Dropout)}


def test_inputs_and_hidden_layers_are_masked_and_outputs_are_not():
    network = Network.dense([6, 5, 4, 3], dropout=[0.5, 0.2], input_dropout=0.3)
    assert [type(layer) for layer in network.layers] == [Dropout, Dense, Dropout, Dense, Dropout, Dense]
    assert [layer.keep for layer in network.layers[::2]] == pytest.approx([0.7, 0.5, 0.8])
    found = masks(network, np.ones((2000, 6)))
    assert {number: mask.shape[1] for number, mask in found.items()} == {0: 6, 1: 5, 2: 4}
    assert [round(float(mask.mean()), 1) for mask in found.values()] == [0.7, 0.5, 0.8]


def test_only_the_layers_that_are_asked_for():
    network = Network.dense([6, 5, 4, 3], dropout=[0.0, 0.2])
    assert [type(layer) for layer in network.layers] == [Dense, Dense, Dropout, Dense]
    assert network.layers[2].number == 2
    assert not any(isinstance(layer, Dropout) for layer in Network.dense([6, 5, 3]).layers)


def test_outputs_are_masked_if_asked_for():
    network = Network([Dense(np.ones((4, 2)), None), Dropout(0.5)])
    out = network.forward(np.ones((100, 2)), draws=network.draws(100))
    assert set(np.unique(out)) == {0.0, 4.0}


def test_layers_of_equal_width_have_masks_of_their_own():
    found = masks(Network.dense([8, 8, 8, 2], dropout=0.5, input_dropout=0.5), np.ones((500, 8)))
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert abs((found[one] == found[other]).mean() - 0.5) < 5 * 0.5 / 4000**0.5


def test_masks_are_new_for_each_sample_and_each_epoch_and_come_again():
    network, x = Network.dense([4, 40, 2], dropout=0.5, seed=3), np.ones((20, 4))
    once = masks(network, x, epoch=1)[1]
    assert len({row.tobytes() for row in once}) == 20
    np.testing.assert_array_equal(masks(network, x, epoch=1)[1], once)
    assert not np.array_equal(masks(network, x, epoch=2)[1], once)
    np.testing.assert_array_equal(masks(network, x[:12], first=8, epoch=1)[1], once[8:])


def test_two_dropout_layers_in_a_row_are_refused():
    with pytest.raises(ConfigError, match="two dropout layers in a row would drop the same units"):
        Network([Dense(np.ones((3, 2)), None), Dropout(0.5), Dropout(0.9), Dense(np.ones((1, 3)), None)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"keep": 0.0}, "keep probability must be at least 2..-16 and at most 1, not 0.0"),
        ({"keep": 1.5}, "keep probability must be at least 2..-16 and at most 1"),
        ({"keep": float("nan")}, "keep probability must be at least 2"),
        ({"keep": 0.5, "variant": "gaussian"}, "variant must be 'inverted' or 'plain', not 'gaussian'"),
    ],
    ids=str,
)
def test_bad_layers(arguments: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=message):
        Dropout(**arguments)


@pytest.mark.parametrize("rate", [1.0, -0.1, 2.0, float("nan")])
@pytest.mark.parametrize("option", ["dropout", "input_dropout"])
def test_bad_rates(option: str, rate: float):
    with pytest.raises(ConfigError, match="dropout probability must be at least 0 and below 1"):
        Network.dense([3, 4, 2], **{option: rate})


# Monte-Carlo dropout


def test_samples_of_a_linear_network_have_the_mean_and_the_spread_of_the_formula():
    """ã = m ⊙ a / p: the output's mean is that of testing, its variance Σ_j W_j² a_j² (1 − p)/p."""
    keep, samples = 0.8, 3000
    network = Network.dense([4, 30, 2], "identity", dropout=1 - keep, dtype="float64", seed=2)
    x = np.random.default_rng(0).normal(size=(3, 4))
    outputs = np.stack(list(network.sample(x, samples)))
    a = network.layers[0].forward(x)[0]
    variance = np.square(a) @ np.square(network.layers[2].params["W"]).T * (1 - keep) / keep
    assert (np.abs(outputs.mean(axis=0) - network(x)) < 5 * np.sqrt(variance / samples)).all()
    # a sum of 30 terms is near normal: the variance strays by √(2/samples) of itself
    np.testing.assert_allclose(outputs.var(axis=0), variance, rtol=6 * np.sqrt(2 / samples))


def test_samples_come_again_and_differ_from_one_another_and_from_training():
    network, x = Network.dense([4, 30, 2], dropout=0.5, seed=2), np.ones((3, 4), np.float32)
    first, second = network.sample(x, 2)
    again, _ = network.sample(x, 2)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, network.forward(x, draws=network.draws(3)))
    np.testing.assert_array_equal(first, network.forward(x, draws=network.draws(3, purpose=Purpose.PREDICT)))
    np.testing.assert_array_equal(first[:2], next(network.sample(x[:2], 1)))


def test_samples_of_no_rows():
    network = Network.dense([4, 30, 2], dropout=0.5)
    assert next(network.sample(np.empty((0, 4)), 1)).shape == (0, 2)
