// The loops over time. Each call computes its own rows from their first step to their last, so threads never wait for
// one another, and what a row's numbers are does not depend on how many rows or threads there are.
#pragma once

#include "cells.h"
#include "matrix.h"
#include "ostinato/scan.h"

namespace ostinato::OSTINATO_TARGET {

// One step of a walk over time: where its values lie, how many rows it has, and where the state before it lies.
struct Step {
  int64_t first, rows;
  int64_t previous, previous_rows;
};

OSTINATO_INLINE Step step_at(const Layout& layout, bool reverse, int64_t number) {
  const int64_t t = reverse ? layout.num_steps - 1 - number : number;
  const int64_t before = reverse ? t + 1 : t - 1;
  const bool any = before >= 0 && before < layout.num_steps;
  return {layout.offsets[t], layout.batch_sizes[t], any ? layout.offsets[before] : 0,
          any ? layout.batch_sizes[before] : 0};
}

// How many of `rows` rows are ours: slot, slot + stride, ...
OSTINATO_INLINE int64_t own(int64_t rows, int slot, int stride) {
  return rows <= slot ? 0 : (rows - slot + stride - 1) / stride;
}

template <class T>
OSTINATO_INLINE const T* state_before(const Step& step, int64_t row, const T* values, int64_t value_stride,
                                      const T* initial, int64_t size) {
  return row < step.previous_rows ? values + (step.previous + row) * value_stride : initial + row * size;
}

template <class T>
OSTINATO_INLINE void copy(T* to, const T* from, int64_t count) {
  std::memcpy(to, from, static_cast<size_t>(count) * sizeof(T));
}

template <class T, class Cell>
OSTINATO_INLINE ForwardRow<T> forward_row(const ForwardBuffers<T>& b, const Step& step, int64_t row, const T* h_before) {
  const int64_t at = step.first + row;
  T* h = b.unprojected ? b.unprojected + at * b.hidden : b.output + at * b.output_stride;
  ForwardRow<T> found{b.gates + at * b.gates_stride, h_before, nullptr, h, nullptr};
  if constexpr (Cell::has_memory) found.memory = b.memory + at * b.hidden;
  if constexpr (Cell::needs_previous_memory)
    found.memory_previous = state_before(step, row, static_cast<const T*>(b.memory), b.hidden, b.c_0, b.hidden);
  return found;
}

// Units [j, j + lanes) of a block of R rows, every gate of them.
template <class T, class Cell, int R>
OSTINATO_INLINE void forward_gated(const ForwardBuffers<T>& b, const Step& step, int64_t first, int slot, int stride,
                                   const T** h_before, int64_t j) {
  constexpr int G = Cell::num_gates;
  Vector<T> sums[R][G];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    const T* gates = b.gates + (step.first + slot + (first + r) * stride) * b.gates_stride + j;
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) sums[r][g] = load(gates + g * b.hidden);
    if constexpr (Cell::kind == CellKind::gru) sums[r][2] = b.bias_hn ? load(b.bias_hn + j) : Vector<T>{};
  }
  multiply_add<T, R, G>(sums, h_before + first, static_cast<const T*>(b.panels) + j * b.size * G, b.size);
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
    Cell::forward(sums[r], forward_row<T, Cell>(b, step, slot + (first + r) * stride, h_before[first + r]), j, b.hidden);
}

template <class T, class Cell, int R, int W>
OSTINATO_INLINE void forward_plain(const ForwardBuffers<T>& b, const Step& step, int64_t first, int slot, int stride,
                                   const T** h_before, int64_t j) {
  Vector<T> sums[R][W];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    const T* gates = b.gates + (step.first + slot + (first + r) * stride) * b.gates_stride + j;
#pragma GCC unroll 4
    for (int w = 0; w < W; ++w) sums[r][w] = load(gates + w * kLanes<T>);
  }
  multiply_add<T, R, W>(sums, h_before + first, static_cast<const T*>(b.panels) + j * b.size, b.size);
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    const ForwardRow<T> row = forward_row<T, Cell>(b, step, slot + (first + r) * stride, h_before[first + r]);
#pragma GCC unroll 4
    for (int w = 0; w < W; ++w) Cell::forward(sums[r][w], row, j + w * kLanes<T>);
  }
}

// to[r] = from[r] W for a block of rows and W vectors of columns; `panel` is that of the columns.
template <class T, int R, int W>
OSTINATO_INLINE void product(T* to, int64_t to_stride, const T* from, int64_t from_stride, const T* panel,
                             int64_t depth) {
  Vector<T> sums[R][W] = {};
  const T* rows[R];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) rows[r] = from + r * from_stride;
  multiply_add<T, R, W>(sums, rows, panel, depth);
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int w = 0; w < W; ++w) store(to + r * to_stride + w * kLanes<T>, sums[r][w]);
}

// The same for any number of rows and columns.
template <class T>
void multiply(T* to, int64_t to_stride, const T* from, int64_t from_stride, int64_t rows, const T* panels,
              int64_t depth, int64_t columns) {
  for_panels<T>(columns, [&](int64_t j, auto w) {
    constexpr int W = decltype(w)::value;
    for_blocks<rows_for(W)>(rows, [&](int64_t first, auto r) {
      product<T, decltype(r)::value, W>(to + first * to_stride + j, to_stride, from + first * from_stride, from_stride,
                                        panels + j * depth, depth);
    });
  });
}

// Rows that no later step continues keep what they have now.
template <class T, bool HasCell>
OSTINATO_INLINE void keep_finals(const Layout& layout, const ForwardBuffers<T>& b, const Step& step, int64_t number,
                                 int64_t rows, int slot, int stride) {
  const bool last = number + 1 == layout.num_steps;
  if (b.reverse && !last) return;
  for (int64_t k = last ? 0 : own(layout.batch_sizes[number + 1], slot, stride); k < rows; ++k) {
    const int64_t row = slot + k * stride, at = step.first + row;
    copy(b.h_n + row * b.size, b.output + at * b.output_stride, b.size);
    if constexpr (HasCell) copy(b.c_n + row * b.hidden, b.memory + at * b.hidden, b.hidden);
  }
}

template <class T, class Cell>
void forward_rows(const Layout& layout, const ForwardBuffers<T>& b, int slot, int stride, const T** scratch) {
  for (int64_t number = 0; number < layout.num_steps; ++number) {
    const Step step = step_at(layout, b.reverse, number);
    const int64_t rows = own(step.rows, slot, stride);
    for (int64_t k = 0; k < rows; ++k)
      scratch[k] = state_before(step, slot + k * stride, static_cast<const T*>(b.output), b.output_stride, b.h_0, b.size);
    if constexpr (Cell::num_gates > 1) {
      for (int64_t j = 0; j < b.hidden; j += kLanes<T>)
        for_blocks<rows_for(Cell::num_gates)>(rows, [&](int64_t first, auto r) {
          forward_gated<T, Cell, decltype(r)::value>(b, step, first, slot, stride, scratch, j);
        });
    } else {
      for_panels<T>(b.hidden, [&](int64_t j, auto w) {
        constexpr int W = decltype(w)::value;
        for_blocks<rows_for(W)>(rows, [&](int64_t first, auto r) {
          forward_plain<T, Cell, decltype(r)::value, W>(b, step, first, slot, stride, scratch, j);
        });
      });
    }
    if (b.unprojected) {
      const int64_t at = step.first + slot;
      multiply(b.output + at * b.output_stride, stride * b.output_stride, static_cast<const T*>(b.unprojected) + at * b.hidden,
               stride * b.hidden, rows, static_cast<const T*>(b.panels_hr), b.hidden, b.size);
    }
    keep_finals<T, Cell::needs_previous_memory>(layout, b, step, number, rows, slot, stride);
  }
}

template <class T, class Cell>
OSTINATO_INLINE void backward_gates(const BackwardBuffers<T>& b, const Step& step, int64_t row) {
  const int64_t at = step.first + row;
  const T* h_before = state_before(step, row, b.output, b.output_stride, b.h_0, b.size);
  BackwardRow<T> r{};
  r.gates = b.gates + at * b.gates_stride;
  r.h = b.output + at * b.output_stride;
  r.h_previous = h_before;
  if constexpr (Cell::has_memory) r.memory = b.memory + at * b.hidden;
  if constexpr (Cell::needs_previous_memory) {
    r.memory_previous = state_before(step, row, b.memory, b.hidden, b.c_0, b.hidden);
    r.d_c = b.d_c + row * b.hidden;
    r.d_memory = b.d_memory ? b.d_memory + at * b.hidden : nullptr;
  }
  if (b.d_projected) {
    r.d_output = b.d_unprojected + 2 * row * b.hidden;
    r.d_h = b.d_unprojected + (2 * row + 1) * b.hidden;
  } else {
    r.d_output = b.d_output + at * b.d_output_stride;
    r.d_h = b.d_h + row * b.size;
  }
  r.d_gates = b.d_gates + at * b.d_gates_stride;
  if constexpr (Cell::kind == CellKind::gru) r.d_hidden_n = b.d_hidden_n + at * b.hidden;
  for (int64_t j = 0; j < b.hidden; j += kLanes<T>) Cell::template backward<T>(r, j, b.hidden);
  if (b.h_previous) copy(b.h_previous + at * b.size, h_before, b.size);
}

// Back through a projection: all that is known of each row's gradient of h, times W_hr; d_h begins anew.
template <class T>
void backward_projection(const BackwardBuffers<T>& b, const Step& step, int64_t rows, int slot, int stride) {
  for (int64_t k = 0; k < rows; ++k) {
    const int64_t row = slot + k * stride, at = step.first + row;
    const T* d_output = b.d_output + at * b.d_output_stride;
    T* d_h = b.d_h + row * b.size;
    for (int64_t j = 0; j < b.size; j += kLanes<T>) {
      store(b.d_projected + at * b.size + j, Vector<T>(load(d_output + j) + load(static_cast<const T*>(d_h) + j)));
      store(d_h + j, Vector<T>{});
    }
  }
  multiply(b.d_unprojected + 2 * slot * b.hidden, 2 * stride * b.hidden,
           static_cast<const T*>(b.d_projected) + (step.first + slot) * b.size, stride * b.size, rows,
           static_cast<const T*>(b.panels_hr), b.size, b.hidden);
}

// d_h += d_gates W_hh for a block of rows and W vectors of units. GRU: the last third is that of W_hn h.
template <class T, class Cell, int R, int W>
OSTINATO_INLINE void backward_product(const BackwardBuffers<T>& b, int64_t first, int slot, int stride,
                                      const T** d_gates, const T** d_hidden_n, int64_t j) {
  Vector<T> sums[R][W];
  T* d_h = b.d_h + (slot + first * stride) * b.size + j;
  const int64_t next = stride * b.size;
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int w = 0; w < W; ++w) sums[r][w] = load(d_h + r * next + w * kLanes<T>);
  const T* panel = static_cast<const T*>(b.panels) + j * Cell::num_gates * b.hidden;
  if constexpr (Cell::kind == CellKind::gru) {
    multiply_add<T, R, W>(sums, d_gates + first, panel, 2 * b.hidden);
    multiply_add<T, R, W>(sums, d_hidden_n + first, panel + 2 * b.hidden * W * kLanes<T>, b.hidden);
  } else {
    multiply_add<T, R, W>(sums, d_gates + first, panel, Cell::num_gates * b.hidden);
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int w = 0; w < W; ++w) store(d_h + r * next + w * kLanes<T>, sums[r][w]);
}

template <class T, class Cell>
void backward_rows(const Layout& layout, const BackwardBuffers<T>& b, int slot, int stride, const T** scratch) {
  const T** d_gates = scratch;
  const T** d_hidden_n = scratch + layout.num_rows;
  for (int64_t number = layout.num_steps - 1; number >= 0; --number) {
    const Step step = step_at(layout, b.reverse, number);
    const int64_t rows = own(step.rows, slot, stride);
    if (b.d_projected) backward_projection(b, step, rows, slot, stride);
    for (int64_t k = 0; k < rows; ++k) {
      const int64_t row = slot + k * stride, at = step.first + row;
      backward_gates<T, Cell>(b, step, row);
      d_gates[k] = b.d_gates + at * b.d_gates_stride;
      if constexpr (Cell::kind == CellKind::gru) d_hidden_n[k] = b.d_hidden_n + at * b.hidden;
    }
    for_panels<T>(b.size, [&](int64_t j, auto w) {
      constexpr int W = decltype(w)::value;
      for_blocks<rows_for(W)>(rows, [&](int64_t first, auto r) {
        backward_product<T, Cell, decltype(r)::value, W>(b, first, slot, stride, d_gates, d_hidden_n, j);
      });
    });
  }
}

}  // namespace ostinato::OSTINATO_TARGET
