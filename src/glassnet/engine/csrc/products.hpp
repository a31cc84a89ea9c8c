// Products of blocks, in registers.
//
// All three products of back-propagation are C[i][j] = Σ_s A[i][s] B[s][j] over panels: C is (rows, panel), B (steps,
// panel) with the panel's samples or units side by side, and A is read one number at a time in one of two forms.
//
//     forward      z[m][n]       = Σ_k W[m][k] a[k][n]       A = W, along: units of a panel side by side
//     BP.2         ∂C/∂a[k][n]   = Σ_m W[m][k] δ[m][n]       A = W, across: the sum runs along the panels' units
//     BP.4         ∂C/∂W[k][m]   = Σ_n a[k][n] δ[n][m]       A = a, across: the sum runs along the panels' samples
//
// Every element is one sum in the order of its steps, whatever the tile, the block or the thread that computes it.
#pragma once

#include <type_traits>

#include "simd.hpp"

namespace glassnet::GLASSNET_ISA {

enum class Reading { along, across };
enum class Start { zero, bias, previous };  // what a sum starts from

// The words of a panel's row: as many as numbers, or half as many pairs.
template <class T, class Word>
constexpr int row_words = std::is_same_v<Word, Pair> ? panel<T> / 2 : panel<T>;

template <class T, class Word, int rows, int vectors, int row_stride, int step_stride>
inline void accumulate(Vector<T> (&sums)[rows][vectors], const Word* a, const Word* b, long steps) {
  for (long s = 0; s < steps; s++) {
    Vector<Word> right[vectors];
#pragma GCC unroll 2
    for (int j = 0; j < vectors; j++) right[j] = load(b + j * lanes<T>);
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++) {
      const Word left = a[i * row_stride];
#pragma GCC unroll 2
      for (int j = 0; j < vectors; j++) sums[i][j] = multiply_add(sums[i][j], left, right[j]);
    }
    a += step_stride;
    b += panel<T>;
  }
}

// One tile. Across, A's steps lie in segments of a panel row each, `segment` words apart, and there is no bias.
template <class T, class Word, Reading reading, int rows, int vectors>
inline void tile(const Word* a, long segment, const Word* b, long steps, T* c, Start start, const T* bias) {
  constexpr int width = panel<T>, across_words = row_words<T, Word>;
  Vector<T> sums[rows][vectors];
#pragma GCC unroll 12
  for (int i = 0; i < rows; i++) {
#pragma GCC unroll 2
    for (int j = 0; j < vectors; j++)
      sums[i][j] = start == Start::previous ? load(c + i * width + j * lanes<T>)
                   : reading == Reading::along && start == Start::bias ? spread(bias[i])
                                                                       : Vector<T>{};
  }
  if constexpr (reading == Reading::along) {
    accumulate<T, Word, rows, vectors, 1, width>(sums, a, b, steps);
  } else {
    for (; steps > 0; steps -= across_words, a += segment, b += across_words * width)
      accumulate<T, Word, rows, vectors, across_words, 1>(sums, a, b, steps < across_words ? steps : across_words);
  }
#pragma GCC unroll 12
  for (int i = 0; i < rows; i++) {
#pragma GCC unroll 2
    for (int j = 0; j < vectors; j++) store(c + i * width + j * lanes<T>, sums[i][j]);
  }
}

template <class T, class Word, Reading reading, int vectors>
inline void tile_of(int rows, const Word* a, long segment, const Word* b, long steps, T* c, Start start,
                    const T* bias) {
#define GLASSNET_TILE(n) \
  case n: return tile<T, Word, reading, n, vectors>(a, segment, b, steps, c, start, bias);
  switch (rows) {
    GLASSNET_TILE(1)
    GLASSNET_TILE(2)
    GLASSNET_TILE(3)
    GLASSNET_TILE(4)
    GLASSNET_TILE(5)
    GLASSNET_TILE(6)
  }
  if constexpr (tile_rows > 6) {
    switch (rows) {
      GLASSNET_TILE(7)
      GLASSNET_TILE(8)
      GLASSNET_TILE(9)
      GLASSNET_TILE(10)
      GLASSNET_TILE(11)
      GLASSNET_TILE(12)
    }
  }
#undef GLASSNET_TILE
}

// `rows` rows of C, at most a panel's width, in tiles of nearly equal height; the first `vectors` vectors of each.
template <class T, class Word, Reading reading>
void product(int rows, int vectors, const Word* a, long segment, const Word* b, long steps, T* c, Start start,
             const T* bias = nullptr) {
  constexpr int row_stride = reading == Reading::along ? 1 : row_words<T, Word>;
  const int tiles = (rows + tile_rows - 1) / tile_rows;
  for (int t = 0, row = 0; t < tiles; t++) {
    const int height = (rows - row + tiles - t - 1) / (tiles - t);
    T* to = c + row * panel<T>;
    const T* from = bias == nullptr ? nullptr : bias + row;
    if (vectors == tile_vectors)
      tile_of<T, Word, reading, tile_vectors>(height, a + row * row_stride, segment, b, steps, to, start, from);
    else
      tile_of<T, Word, reading, 1>(height, a + row * row_stride, segment, b, steps, to, start, from);
    row += height;
  }
}

}  // namespace glassnet::GLASSNET_ISA
