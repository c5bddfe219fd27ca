// Everything of one instruction set, gathered in one table. Included by each target_*.cc after it named its target.
#pragma once

#include "general_scan.h"
#include "row_convolutions.h"

namespace ostinato::OSTINATO_TARGET {

// For every panel of columns, for every k: panel[k][lane] = W[column][k].
template <class T>
void pack_rows(int64_t columns, int64_t depth, const T* weight, T* panels) {
  for_panels<T>(columns, [&](int64_t j, auto w) {
    const int64_t width = decltype(w)::value * kLanes<T>;
    for (int64_t l = 0; l < width; ++l)
      for (int64_t k = 0; k < depth; ++k) panels[k * width + l] = weight[(j + l) * depth + k];
    panels += width * depth;
  });
}

// For each vector of units, for every k, the gates side by side: panel[k][gate][lane] = W[gate * H + unit][k].
template <class T>
void pack_gates(CellKind kind, int64_t hidden, int64_t depth, const T* weight, T* panels) {
  const int64_t gates = num_gates(kind), width = gates * kLanes<T>;
  if (gates == 1) return pack_rows(hidden, depth, weight, panels);
  for (int64_t j = 0; j < hidden; j += kLanes<T>, panels += width * depth)
    for (int64_t g = 0; g < gates; ++g)
      for (int64_t l = 0; l < kLanes<T>; ++l)
        for (int64_t k = 0; k < depth; ++k)
          panels[k * width + g * kLanes<T> + l] = weight[(g * hidden + j + l) * depth + k];
}

// For every panel of columns, for every k: panel[k][lane] = W[k][column].
template <class T>
void pack_columns(int64_t depth, int64_t columns, const T* weight, T* panels) {
  for_panels<T>(columns, [&](int64_t j, auto w) {
    const int64_t width = decltype(w)::value * kLanes<T>;
    for (int64_t k = 0; k < depth; ++k, panels += width) copy(panels, weight + k * columns + j, width);
  });
}

template <class T>
void forward(CellKind kind, const Layout& layout, const ForwardBuffers<T>& buffers, int slot, int stride,
             const T** scratch) {
  switch (kind) {
    case CellKind::elman_tanh: return forward_rows<T, ElmanCell<false>>(layout, buffers, slot, stride, scratch);
    case CellKind::elman_relu: return forward_rows<T, ElmanCell<true>>(layout, buffers, slot, stride, scratch);
    case CellKind::lstm: return forward_rows<T, LstmCell>(layout, buffers, slot, stride, scratch);
    case CellKind::gru: return forward_rows<T, GruCell>(layout, buffers, slot, stride, scratch);
  }
}

template <class T>
void backward(CellKind kind, const Layout& layout, const BackwardBuffers<T>& buffers, int slot, int stride,
              const T** scratch) {
  switch (kind) {
    case CellKind::elman_tanh: return backward_rows<T, ElmanCell<false>>(layout, buffers, slot, stride, scratch);
    case CellKind::elman_relu: return backward_rows<T, ElmanCell<true>>(layout, buffers, slot, stride, scratch);
    case CellKind::lstm: return backward_rows<T, LstmCell>(layout, buffers, slot, stride, scratch);
    case CellKind::gru: return backward_rows<T, GruCell>(layout, buffers, slot, stride, scratch);
  }
}

template <class T>
constexpr Target::Kernels<T> kernels() {
  return {pack_gates<T>,      pack_rows<T>,        pack_columns<T>,     forward<T>,      backward<T>, pack<T>,
          multiply_packed<T>, forward_general<T>, backward_general<T>, exponentials<T>,
          layer_norm<T>,      read<T>,            row_shares<T>};
}

}  // namespace ostinato::OSTINATO_TARGET
