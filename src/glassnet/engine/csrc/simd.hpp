// Vectors of the instruction set that this file is compiled for, and the sizes of tiles that follow from it.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

#ifndef GLASSNET_ISA
#error "compile with -DGLASSNET_ISA=portable, avx2, avx512 or avx512_bf16"
#endif

#ifndef GLASSNET_VECTOR_BYTES
#if defined(__AVX512F__)
#define GLASSNET_VECTOR_BYTES 64
#elif defined(__AVX2__)
#define GLASSNET_VECTOR_BYTES 32
#else
#define GLASSNET_VECTOR_BYTES 16
#endif
#endif

namespace glassnet::GLASSNET_ISA {

constexpr int vector_bytes = GLASSNET_VECTOR_BYTES;

// A tile of a product is tile_rows × 2 vectors of sums, which must stay in registers: 16 of them, or 32.
constexpr int tile_vectors = 2;
#if defined(__AVX512F__) || defined(__aarch64__) || GLASSNET_VECTOR_BYTES == 64
constexpr int tile_rows = 12;
#else
constexpr int tile_rows = 6;
#endif

template <class T>
constexpr int lanes = vector_bytes / static_cast<int>(sizeof(T));

// The width of a panel: so many samples, or so many units, lie side by side in memory.
template <class T>
constexpr int panel = tile_vectors * lanes<T>;

// Steps of a sum after which a product turns to the next tile, so that both operands' blocks stay in a first-level
// cache of 32 KiB (16 KiB each, of which the half is in use at a time).
template <class T>
constexpr int block_steps = 16384 / (panel<T> * static_cast<int>(sizeof(T)));

template <class T>
struct VectorOf {
  typedef T type __attribute__((vector_size(vector_bytes), may_alias));
};
template <class T>
using Vector = typename VectorOf<T>::type;

// The bits of a number.
template <class T>
using Bits = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;

template <class T>
inline Vector<T> load(const T* from) {
  return *reinterpret_cast<const Vector<T>*>(from);
}
template <class T>
inline void store(T* to, Vector<T> value) {
  *reinterpret_cast<Vector<T>*>(to) = value;
}
template <class T>
inline Vector<T> spread(T value) {
  return value - Vector<T>{};
}

// Asks for a share of a block of memory that will be read soon, in equal parts: part `part` of `parts`. Always inline:
// GCC takes a function that only asks for one without effect, and drops the call.
template <class T>
[[gnu::always_inline]] inline void prefetch_part(const T* block, long count, long part, long parts) {
  const char* from = reinterpret_cast<const char*>(block);
  const long lines = count * static_cast<long>(sizeof(T)) / 64;
  for (long i = lines * part / parts; i < lines * (part + 1) / parts; i++) __builtin_prefetch(from + 64 * i, 0, 2);
}

// A word is what one step of a product multiplies: a number, or a pair of bfloat16 whose products are summed at once.
using Pair = uint32_t;

inline float low_half(Pair word) {
  const uint32_t bits = word << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
inline float high_half(Pair word) {
  const uint32_t bits = word & 0xffff0000u;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
// To the nearest bfloat16, ties to even; NaN stays NaN.
inline uint32_t bfloat16_bits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return value == value ? rounded : (bits >> 16) | 0x40u;
}
inline Vector<Pair> bfloat16_bits(Vector<float> value) {
  const Vector<Pair> bits = (Vector<Pair>)value, rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const Vector<Pair> there = (Vector<Pair>)(value == value);
  return (there & rounded) | (~there & ((bits >> 16) | 0x40u));
}

// Two numbers to each word.
inline Vector<Pair> round_pairs(Vector<float> low, Vector<float> high) {
#ifdef __AVX512BF16__
  alignas(64) static constexpr uint16_t beside[32] = {0,  16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                                      8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  return (Vector<Pair>)_mm512_permutexvar_epi16(_mm512_load_si512(beside),
                                                (__m512i)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low));
#else
  return bfloat16_bits(low) | bfloat16_bits(high) << 16;
#endif
}
// A panel's row, number by number.
inline void round_row(const float* from, uint16_t* to) {
#ifdef __AVX512BF16__
  _mm512_store_si512(to, (__m512i)_mm512_cvtne2ps_pbh((__m512)load(from + lanes<float>), (__m512)load(from)));
#else
  for (int j = 0; j < panel<float>; j++) to[j] = static_cast<uint16_t>(bfloat16_bits(from[j]));
#endif
}

template <class T>
inline Vector<T> multiply_add(Vector<T> sum, T a, Vector<T> b) {
  return sum + b * a;
}
inline Vector<float> multiply_add(Vector<float> sum, Pair a, Vector<Pair> b) {
#ifdef __AVX512BF16__
  return (Vector<float>)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32(static_cast<int>(a)), (__m512bh)b);
#else
  sum = sum + (Vector<float>)(b << 16) * low_half(a);
  return sum + (Vector<float>)(b & 0xffff0000u) * high_half(a);
#endif
}

// Vector q of a row of numbers; or of a row of bfloat16, whose words hold units j and j + lanes of a panel.
template <class T>
inline Vector<T> row_vector(const T* row, int q) {
  return load(row + q * lanes<T>);
}
inline Vector<float> row_vector(const Pair* row, int q) {
  const Vector<Pair> words = load(row + q / 2 * lanes<float>);
  return (Vector<float>)(q % 2 == 0 ? words << 16 : words & 0xffff0000u);
}

// One vector's worth of rows to as many columns: to[j * to_stride + i] = row(i)[j]. Each round merges the first half of
// the rows with the second; after log2(lanes) rounds rows are columns.
template <class T, class Row>
inline void transpose_rows(Row row, T* to, long to_stride) {
  constexpr int n = lanes<T>;
  Vector<T> rows[n], next[n];
  using Index = Vector<std::conditional_t<sizeof(T) == 8, int64_t, int32_t>>;
  Index first{}, second{};
  for (int i = 0; i < n; i++) {
    first[i] = i % 2 * n + i / 2;
    second[i] = i % 2 * n + i / 2 + n / 2;
  }
#pragma GCC unroll 16
  for (int i = 0; i < n; i++) std::memcpy(&rows[i], row(i), sizeof rows[i]);
#pragma GCC unroll 4
  for (int width = 1; width < n; width *= 2) {
#pragma GCC unroll 16
    for (int i = 0; i < n / 2; i++) {
#ifdef __clang__
      for (int j = 0; j < n; j++) {
        next[2 * i][j] = j % 2 ? rows[i + n / 2][j / 2] : rows[i][j / 2];
        next[2 * i + 1][j] = j % 2 ? rows[i + n / 2][j / 2 + n / 2] : rows[i][j / 2 + n / 2];
      }
#else
      next[2 * i] = __builtin_shuffle(rows[i], rows[i + n / 2], first);
      next[2 * i + 1] = __builtin_shuffle(rows[i], rows[i + n / 2], second);
#endif
    }
#pragma GCC unroll 16
    for (int i = 0; i < n; i++) rows[i] = next[i];
  }
#pragma GCC unroll 16
  for (int i = 0; i < n; i++) std::memcpy(to + i * to_stride, &rows[i], sizeof rows[i]);
}

// The same of rows that lie from_stride apart.
template <class T>
inline void transpose_square(const T* from, long from_stride, T* to, long to_stride) {
  transpose_rows<T>([=](int i) { return from + i * from_stride; }, to, to_stride);
}

}  // namespace glassnet::GLASSNET_ISA
