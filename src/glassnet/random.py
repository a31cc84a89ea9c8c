"""Counter-based random streams: a draw is a pure function of where it is used.

Philox-4x32-10 (Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3") turns a 128-bit
counter and a 64-bit key into 128 random bits. The key is the seed; the counter says what the draw is for::

    counter word 0    unit // 8             eight 16-bit draws come from one block
    counter word 1    position in the epoch's order
    counter word 2    epoch
    counter word 3    purpose · 2²⁴ + layer

So a dropout mask does not depend on the engine, the thread count, the batch's split or the process, a resumed run
draws what the interrupted one would have drawn, and no global state is read or written.

Words are held in int64, which NumPy and torch both have on every device: 64-bit products wrap to the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from glassnet.arrays import Array, namespace
from glassnet.errors import ConfigError
from glassnet.messages import say

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_WORD = 0xFFFFFFFF
_LANES = 8  # 16-bit draws in one block of 128 bits


class Purpose(IntEnum):
    """What a stream is for. Streams of different purposes are independent."""

    INITIALISE = 1
    SHUFFLE = 2
    DROPOUT = 3
    SPLIT = 4
    PREDICT = 5
    CHECK = 6


def check_seed(seed: int) -> int:
    """``seed`` as an int in [0, 2⁶⁴), or ConfigError."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= int(seed) < 2**64:
        raise ConfigError(say("a seed is a whole number from 0 to 2**64 - 1, not {seed!r}", seed=seed))
    return int(seed)


def philox(c0: Array, c1: Array, c2: Array, c3: Array, seed: int) -> tuple[Array, Array, Array, Array]:
    """Philox-4x32-10 of four int64 arrays of 32-bit words (shapes broadcast): four arrays of 32 random bits each."""
    k0, k1 = seed & _WORD, seed >> 32
    m0, m1 = _MULTIPLIERS
    for _ in range(10):
        p0, p1 = c0 * m0, c2 * m1
        c0, c1, c2, c3 = ((p1 >> 32) & _WORD) ^ c1 ^ k0, p1 & _WORD, ((p0 >> 32) & _WORD) ^ c3 ^ k1, p0 & _WORD
        k0, k1 = (k0 + _WEYL[0]) & _WORD, (k1 + _WEYL[1]) & _WORD
    return c0, c1, c2, c3


@dataclass(frozen=True)
class Draws:
    """The random draws of one batch: where in the run it stands, and for which layer.

    Parameters
    ----------
    seed : int
        In [0, 2⁶⁴).
    positions : Array of int64, (N,)
        The rows' positions in the epoch's order. They must live on the device of the batch.
    epoch : int, default 0
    purpose : Purpose, default Purpose.DROPOUT
    layer : int, default 0
        The layer's number in the network; :meth:`at` sets it.
    """

    seed: int
    positions: Array
    epoch: int = 0
    purpose: Purpose = Purpose.DROPOUT
    layer: int = 0

    def at(self, layer: int) -> Draws:
        """The draws of another layer."""
        return replace(self, layer=layer)

    def keep_mask(self, units: int, keep: float) -> Array:
        """Bool (N, units), each True with probability ``keep``, to the nearest 2⁻¹⁶."""
        return self._bits16(units) < round(keep * 65536)

    def _bits16(self, units: int) -> Array:
        """Int64 (N, units) of 16 random bits each."""
        xp = namespace(self.positions)
        device = self.positions.device
        blocks = xp.arange(-(-units // _LANES), dtype=xp.int64, device=device)[None, :]
        zero = xp.zeros_like(blocks)
        where = int(self.purpose) << 24 | self.layer
        words = philox(blocks, self.positions[:, None], zero + self.epoch, zero + where, self.seed)
        lanes = [lane for word in words for lane in (word & 0xFFFF, word >> 16)]
        shape = (self.positions.shape[0], blocks.shape[1] * _LANES)
        return xp.reshape(xp.stack(lanes, axis=-1), shape)[:, :units]


def permutation(n: int, *, seed: int, epoch: int = 0, purpose: Purpose = Purpose.SHUFFLE) -> np.ndarray:
    """A random order of ``n`` rows, int64 (n,): the rows sorted by 64 random bits each."""
    row = np.arange(n, dtype=np.int64)
    zero = np.zeros(1, dtype=np.int64)
    words = philox(zero, row, zero + epoch, zero + (int(purpose) << 24), seed)
    key = words[0].astype(np.uint64) << np.uint64(32) | words[1].astype(np.uint64)
    order = np.argsort(key)  # several times as fast as the stable sort, and the same where no two keys are
    placed = key[order]
    return np.argsort(key, kind="stable") if (placed[1:] == placed[:-1]).any() else order


def generator(seed: int, purpose: Purpose, index: int = 0) -> np.random.Generator:
    """An independent NumPy generator for draws that no engine has to repeat (initial weights, say)."""
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, index, int(purpose)]))
