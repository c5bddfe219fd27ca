// Products of a few rows with a packed matrix, held in registers.
//
// A panel is the part of a matrix that one pass over its depth needs: for every k, `width` vectors side by side. Rows
// of the left matrix are given by pointers, since the state before a step may lie in the output or in h_0.
#pragma once

#include "simd.h"

namespace ostinato::OSTINATO_TARGET {

// How many rows fit: accumulators, one vector of each panel column or one broadcast a row, and a spare.
constexpr int rows_for(int width) { return kRegisters == 32 ? (width == 4 ? 6 : width == 3 ? 8 : 8) : 12 / width; }

template <class T, int R, int W>
OSTINATO_INLINE void multiply_add(Vector<T> (&sums)[R][W], const T* const* rows, const T* panel, int64_t depth) {
  const T* a[R];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) a[r] = rows[r];
  for (int64_t k = 0; k < depth; ++k) {
    Vector<T> b[W];
#pragma GCC unroll 4
    for (int w = 0; w < W; ++w) b[w] = load(panel + w * kLanes<T>);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const Vector<T> x = broadcast(a[r][k]);
#pragma GCC unroll 4
      for (int w = 0; w < W; ++w) sums[r][w] += x * b[w];
    }
    panel += W * kLanes<T>;
  }
}

// Calls `run` with a constant R for each block of at most M of `count` rows, the blocks as equal as can be.
template <int R>
struct Rows {
  static constexpr int value = R;
};

template <int M, class F>
OSTINATO_INLINE void run_block(int rows, F&& run) {
  if constexpr (M == 1) {
    run(Rows<1>{});
  } else {
    if (rows == M) {
      run(Rows<M>{});
    } else {
      run_block<M - 1>(rows, static_cast<F&&>(run));
    }
  }
}

template <int M, class F>
OSTINATO_INLINE void for_blocks(int64_t count, F&& run) {
  if (count == 0) return;
  const int64_t blocks = (count + M - 1) / M;
  const int64_t size = count / blocks, larger = count % blocks;
  int64_t first = 0;
  for (int64_t b = 0; b < blocks; ++b) {
    const int rows = static_cast<int>(size + (b < larger));
    run_block<M>(rows, [&](auto r) { run(first, r); });
    first += rows;
  }
}

// Columns [0, columns) of a product in panels of 4 vectors, the rest in panels of one.
template <class T, class F>
OSTINATO_INLINE void for_panels(int64_t columns, F&& run) {
  int64_t j = 0;
  for (; j + 4 * kLanes<T> <= columns; j += 4 * kLanes<T>) run(j, Rows<4>{});
  for (; j < columns; j += kLanes<T>) run(j, Rows<1>{});
}

}  // namespace ostinato::OSTINATO_TARGET
