"""The order of an epoch's rows: that of glassnet.random, whoever computes it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import glassnet
from glassnet.engine import native as module
from glassnet.random import Purpose, permutation

SETS = [] if module.missing() else module.instruction_sets()
pytestmark = pytest.mark.skipif(not SETS, reason=module.missing() or "")


def compiled(n, *, seed=0, epoch=0, purpose=Purpose.SHUFFLE, isa=None, threads=1):
    return module._native.permutation(
        isa=isa or SETS[0], n=n, epoch=epoch, purpose=int(purpose), seed=seed, threads=threads
    )


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 3000), st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.sampled_from(Purpose), st.data())
def test_it_is_that_of_the_reference(n, seed, epoch, purpose, data):
    isa = data.draw(st.sampled_from(SETS))
    order = compiled(n, seed=seed, epoch=epoch, purpose=purpose, isa=isa)
    assert order.dtype == np.int64
    np.testing.assert_array_equal(order, permutation(n, seed=seed, epoch=epoch, purpose=purpose))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_long_one_by_several_threads(isa, threads):
    n = 150_001
    np.testing.assert_array_equal(compiled(n, seed=5, isa=isa, threads=threads), permutation(n, seed=5))


def test_more_rows_than_it_can_number_are_refused():
    with pytest.raises(ValueError, match=r"n must be less than 2\*\*32"):
        compiled(2**32)


def test_the_engine_asks_for_it(monkeypatch):
    """Otherwise what is tested here would not be what orders the rows."""
    x = np.random.default_rng(0).normal(size=(50, 3))
    monkeypatch.setattr(module.NativeEngine, "order", lambda self, n, *, seed, epoch: np.arange(n))
    networks = [glassnet.Network.dense([3, 4, 2], dtype="float64") for _ in range(2)]
    for network, shuffle in zip(networks, (True, False), strict=True):
        glassnet.train(network, x, (x[:, 0] > 0).astype(int), epochs=2, engine="native", shuffle=shuffle, batch_size=8)
    assert all(
        np.array_equal(one, other)
        for (_, one), (_, other) in zip(networks[0].parameters(), networks[1].parameters(), strict=True)
    )
