// The random draws of glassnet/random.py: Philox-4x32-10 (Salmon, Moraes, Dror and Shaw 2011).
//
// Counter: unit / 8, position in the epoch's order, epoch, purpose * 2^24 + layer. Key: the seed. A block of 128 bits
// is eight draws of 16 bits, for eight units.
#pragma once

#include <cstdint>
#include <type_traits>

#include "simd.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace glassnet::GLASSNET_ISA {

constexpr uint32_t dropout_purpose = 3;
constexpr int draws_per_block = 8;

// Words of 32 bits lie in the low halves of 64 bits; what is above does not count. The product has all of its 64 bits.
inline uint64_t word_product(uint64_t a, uint32_t b) { return (a & 0xffffffffu) * b; }
inline Vector<uint64_t> word_product(Vector<uint64_t> a, uint32_t b) {
#if defined(__AVX512F__) && GLASSNET_VECTOR_BYTES == 64
  // with a mask of all lanes: GCC 12 warns of the plain form's own code
  return (Vector<uint64_t>)_mm512_maskz_mul_epu32(0xff, (__m512i)a, _mm512_set1_epi32(static_cast<int>(b)));
#elif defined(__AVX2__) && GLASSNET_VECTOR_BYTES == 32
  return (Vector<uint64_t>)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi32(static_cast<int>(b)));
#elif defined(__SSE2__) && GLASSNET_VECTOR_BYTES == 16
  return (Vector<uint64_t>)_mm_mul_epu32((__m128i)a, _mm_set1_epi32(static_cast<int>(b)));
#elif defined(__aarch64__) && GLASSNET_VECTOR_BYTES == 16
  return (Vector<uint64_t>)vmull_n_u32(vmovn_u64((uint64x2_t)a), b);
#else
  for (int i = 0; i < lanes<uint64_t>; i++) a[i] = word_product(a[i], b);
  return a;
#endif
}

// `count` blocks side by side: words[w][i] is word w of counter i, and then of block i. Word: uint64_t, or a vector of
// them.
template <class Word, int count>
inline void philox(Word (&words)[4][count], uint64_t seed) {
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
#pragma GCC unroll 10
  for (int round = 0; round < 10; round++) {
#pragma GCC unroll 2
    for (int i = 0; i < count; i++) {
      const Word p0 = word_product(words[0][i], 0xD2511F53u), p1 = word_product(words[2][i], 0xCD9E8D57u);
      words[0][i] = p1 >> 32 ^ words[1][i] ^ static_cast<uint64_t>(k0);
      words[1][i] = p1;
      words[2][i] = p0 >> 32 ^ words[3][i] ^ static_cast<uint64_t>(k1);
      words[3][i] = p0;
    }
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
}

// The block of one position.
inline void philox(uint32_t block, uint32_t position, uint32_t epoch, uint32_t where, uint64_t seed,
                   uint32_t (&words)[4]) {
  uint64_t wide[4][1] = {{block}, {position}, {epoch}, {where}};
  philox(wide, seed);
  for (int w = 0; w < 4; w++) words[w] = static_cast<uint32_t>(wide[w][0]);
}

// The blocks of as many positions from the given one as a vector of T has lanes: word w of them in the low bits of the
// lanes of words[w].
template <class T>
inline void philox_of(uint32_t block, uint32_t position, uint32_t epoch, uint32_t where, uint64_t seed,
                      Vector<Bits<T>> (&words)[4]) {
  constexpr int count = 8 / static_cast<int>(sizeof(T));  // of float the even positions, and the odd ones
  Vector<uint64_t> wide[4][count];
  for (int i = 0; i < count; i++) {
    Vector<uint64_t> positions{};
    for (int j = 0; j < lanes<uint64_t>; j++) positions[j] = position + static_cast<uint32_t>(count * j + i);
    wide[0][i] = spread<uint64_t>(block);
    wide[1][i] = positions;
    wide[2][i] = spread<uint64_t>(epoch);
    wide[3][i] = spread<uint64_t>(where);
  }
  philox(wide, seed);
  for (int w = 0; w < 4; w++) {
    if constexpr (count == 1)
      words[w] = wide[w][0];
    else  // the first lane of two is the low half, on x86 and Arm
      words[w] = (Vector<Bits<T>>)((wide[w][0] & spread<uint64_t>(0xffffffffu)) | wide[w][1] << 32);
  }
}

}  // namespace glassnet::GLASSNET_ISA
