"""The random streams: the published vectors, and that a draw depends on its place and on nothing else."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glassnet.errors import ConfigError
from glassnet.network import Network
from glassnet.random import Draws, Purpose, check_seed, generator, permutation, philox

# Counter, key and result of Philox-4x32-10, from the Random123 distribution's kat_vectors.
KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]
SEEDS = st.integers(0, 2**64 - 1)
WORDS = st.lists(st.integers(0, 2**32 - 1), min_size=4, max_size=4)


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


def numpy_draws(n: int, *, first: int = 0, **place: int) -> Draws:
    return Draws(positions=np.arange(first, first + n, dtype=np.int64), **{"seed": 1, **place})


def agreement(one: np.ndarray, other: np.ndarray) -> float:
    return float((one == other).mean())


@pytest.mark.parametrize("library", [np.array, torch.tensor])
@pytest.mark.parametrize(("counter", "key", "result"), KNOWN_ANSWERS)
def test_philox_known_answers(counter: str, key: str, result: str, library: type):
    low, high = words(key)
    counter_words = [library([word]) for word in words(counter)]
    assert [int(word[0]) for word in philox(*counter_words, high << 32 | low)] == words(result)


@settings(deadline=None, max_examples=50)
@given(WORDS, SEEDS)
def test_philox_is_the_same_in_numpy_and_torch(counter: list[int], seed: int):
    in_numpy = philox(*(np.array([word]) for word in counter), seed)
    in_torch = philox(*(torch.tensor([word]) for word in counter), seed)
    assert [int(word[0]) for word in in_numpy] == [int(word[0]) for word in in_torch]
    assert all(0 <= int(word[0]) < 2**32 for word in in_numpy)


def test_masks_are_the_same_in_numpy_and_torch():
    draws = Draws(7, torch.arange(3, 40), epoch=5, layer=2)
    in_numpy = numpy_draws(37, first=3, seed=7, epoch=5, layer=2).keep_mask(21, 0.3)
    np.testing.assert_array_equal(draws.keep_mask(21, 0.3).numpy(), in_numpy)


@pytest.mark.gpu
def test_masks_are_the_same_on_an_accelerator():
    device = torch.accelerator.current_accelerator()
    draws = Draws(7, torch.arange(3, 40, device=device), epoch=5, layer=2)
    in_numpy = numpy_draws(37, first=3, seed=7, epoch=5, layer=2).keep_mask(21, 0.3)
    np.testing.assert_array_equal(draws.keep_mask(21, 0.3).cpu().numpy(), in_numpy)


@settings(deadline=None, max_examples=60)
@given(SEEDS, st.integers(0, 2**31), st.integers(0, 1000), st.integers(1, 12), st.integers(1, 40), st.data())
def test_a_mask_depends_on_the_position_only(
    seed: int, first: int, epoch: int, n: int, units: int, data: st.DataObject
):
    whole = numpy_draws(n, first=first, seed=seed, epoch=epoch).keep_mask(units, 0.5)
    cut = data.draw(st.integers(0, n))
    parts = [
        numpy_draws(cut, first=first, seed=seed, epoch=epoch).keep_mask(units, 0.5),
        numpy_draws(n - cut, first=first + cut, seed=seed, epoch=epoch).keep_mask(units, 0.5),
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    order = np.array(data.draw(st.permutations(range(n))))
    np.testing.assert_array_equal(Draws(seed, first + order, epoch).keep_mask(units, 0.5), whole[order])


def test_a_wider_layer_begins_with_the_mask_of_a_narrow_one():
    narrow, wide = numpy_draws(30).keep_mask(11, 0.5), numpy_draws(30).keep_mask(64, 0.5)
    np.testing.assert_array_equal(wide[:, :11], narrow)


@pytest.mark.parametrize("keep", [0.05, 0.2, 0.5, 0.8, 0.95])
def test_the_share_of_units_kept(keep: float):
    mask = numpy_draws(1000).keep_mask(200, keep)
    assert mask.shape == (1000, 200)
    assert mask.dtype == bool
    assert abs(mask.mean() - keep) < 5 * (keep * (1 - keep) / mask.size) ** 0.5 + 2**-17
    for axis, count in ((0, 1000), (1, 200)):  # no unit and no row is favoured
        assert np.abs(mask.mean(axis) - keep).max() < 5.5 * (keep * (1 - keep) / count) ** 0.5


def test_keep_one_keeps_all():
    assert numpy_draws(500).keep_mask(33, 1.0).all()


@pytest.mark.parametrize(
    "place",
    [
        {"seed": 2},
        {"seed": 1 + 2**32},
        {"epoch": 1},
        {"layer": 1},
        {"purpose": Purpose.PREDICT},
        {"first": 1000},
    ],
    ids=str,
)
def test_streams_are_independent(place: dict):
    """Two independent fair masks agree in half of their entries."""
    one, other = numpy_draws(500).keep_mask(200, 0.5), numpy_draws(500, **place).keep_mask(200, 0.5)
    assert abs(agreement(one, other) - 0.5) < 5 * 0.5 / one.size**0.5


def test_units_and_rows_are_independent():
    mask = numpy_draws(2000).keep_mask(64, 0.5) * 2.0 - 1.0
    between_units = mask.T @ mask / 2000 - np.eye(64)
    assert np.abs(between_units).max() < 5.5 / 2000**0.5
    between_rows = mask[:200] @ mask[:200].T / 64 - np.eye(200)
    assert np.abs(between_rows).max() < 6 / 64**0.5


def test_at_changes_the_layer_only():
    draws = numpy_draws(4, seed=3, epoch=2)
    there = draws.at(5)
    assert (there.seed, there.epoch, there.purpose, there.layer, draws.layer) == (3, 2, Purpose.DROPOUT, 5, 0)
    assert there.positions is draws.positions


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 400), SEEDS, st.integers(0, 1000))
def test_a_permutation_is_one(n: int, seed: int, epoch: int):
    order = permutation(n, seed=seed, epoch=epoch)
    assert order.dtype == np.int64
    np.testing.assert_array_equal(np.sort(order), np.arange(n))
    np.testing.assert_array_equal(order, permutation(n, seed=seed, epoch=epoch))


def test_of_rows_with_the_same_bits_the_first_comes_first(monkeypatch):
    def coarse(c0, c1, c2, c3, seed):
        return c1 % 3, c1 * 0, c1, c1

    monkeypatch.setattr("glassnet.random.philox", coarse)
    np.testing.assert_array_equal(permutation(8, seed=1), [0, 3, 6, 1, 4, 7, 2, 5])


def test_permutations_differ_by_seed_epoch_and_purpose():
    orders = [
        permutation(100, seed=1),
        permutation(100, seed=2),
        permutation(100, seed=1, epoch=1),
        permutation(100, seed=1, purpose=Purpose.SPLIT),
    ]
    assert len({tuple(order.tolist()) for order in orders}) == 4


def test_a_permutation_puts_every_row_everywhere():
    """Row 0 of 5 rows: each of the 5 places is as likely."""
    places = np.bincount([int(permutation(5, seed=4, epoch=epoch).argmin()) for epoch in range(1000)], minlength=5)
    assert ((places - 200) ** 2 / 200).sum() < 24  # chi-square with 4 degrees of freedom, p = 1e-4


def test_generators_repeat_and_differ():
    def draw(*where: int) -> tuple[float, ...]:
        return tuple(generator(*where).normal(size=3))

    places = [(1, Purpose.INITIALISE), (2, Purpose.INITIALISE), (1, Purpose.CHECK), (1, Purpose.INITIALISE, 1)]
    assert len({draw(*place) for place in places}) == 4
    assert draw(*places[0]) == draw(*places[0])


@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1, np.int64(5), np.uint8(3)])
def test_good_seeds(seed: int):
    assert type(check_seed(seed)) is int
    assert check_seed(seed) == seed
    assert Network.dense([2, 3, 2], dropout=0.5, seed=seed).seed == seed


@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, "1", None, True], ids=repr)
def test_bad_seeds(seed: object):
    with pytest.raises(ConfigError, match="a seed is a whole number from 0 to"):
        check_seed(seed)
    with pytest.raises(ConfigError, match="seed"):
        Network.dense([2, 3, 2], seed=seed)


def use_every_stream() -> list[np.ndarray]:
    network = Network.dense([4, 8, 3], dropout=0.5, seed=3)
    x = np.ones((5, 4))
    outputs = [network.forward(x, draws=network.draws(5)), *network.sample(x, 2), permutation(9, seed=3)]
    return [*outputs, *(theta for _, theta in network.parameters())]


def test_global_random_states_are_neither_written_nor_read():
    def states() -> tuple[object, ...]:
        name, key, *rest = np.random.get_state()  # noqa: NPY002
        return random.getstate(), torch.get_rng_state().tolist(), name, key.tolist(), rest

    before = states()
    first = use_every_stream()
    assert states() == before
    np.random.seed(123)  # noqa: NPY002
    torch.manual_seed(123)
    random.seed(123)
    for one, other in zip(first, use_every_stream(), strict=True):
        np.testing.assert_array_equal(one, other)
