// The random draws of glassnet/random.py: Philox-4x32-10 (Salmon, Moraes, Dror and Shaw 2011).
//
// Counter: unit / 8, position in the epoch's order, epoch, purpose * 2^24 + layer. Key: the seed. A block of 128 bits
// is eight draws of 16 bits, for eight units.
#pragma once

#include <cstdint>

namespace glassnet::GLASSNET_ISA {

constexpr uint32_t dropout_purpose = 3;
constexpr int draws_per_block = 8;

// `count` counters at once that differ in their position only; words[w][i] is word w of the block at positions[i].
template <int count>
inline void philox(uint32_t block, const uint32_t* positions, uint32_t epoch, uint32_t where, uint64_t seed,
                   uint32_t (&words)[4][count]) {
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int i = 0; i < count; i++) {
    words[0][i] = block;
    words[1][i] = positions[i];
    words[2][i] = epoch;
    words[3][i] = where;
  }
  for (int round = 0; round < 10; round++) {
    for (int i = 0; i < count; i++) {
      const uint64_t p0 = static_cast<uint64_t>(words[0][i]) * 0xD2511F53u;
      const uint64_t p1 = static_cast<uint64_t>(words[2][i]) * 0xCD9E8D57u;
      const uint32_t c1 = words[1][i], c3 = words[3][i];
      words[0][i] = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
      words[1][i] = static_cast<uint32_t>(p1);
      words[2][i] = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
      words[3][i] = static_cast<uint32_t>(p0);
    }
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
}

}  // namespace glassnet::GLASSNET_ISA
