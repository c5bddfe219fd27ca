// Everything of one instruction set, gathered in one table. Included by each target_*.cc after it named its target.
#pragma once

#include "scan_kernels.h"

namespace ostinato::OSTINATO_TARGET {

template <class T>
int64_t packed_size(CellKind kind, int64_t hidden) {
  return num_gates(kind) * hidden * hidden;
}

// For each vector of units, for every k, the gates side by side: panel[k][gate][lane] = W[gate * H + unit][k].
template <class T>
void pack_forward(CellKind kind, int64_t hidden, const T* weight, T* panels) {
  const int gates = num_gates(kind);
  if (gates == 1) {
    for_panels<T>(hidden, [&](int64_t j, auto w) {
      const int64_t width = decltype(w)::value * kLanes<T>;
      for (int64_t k = 0; k < hidden; ++k)
        for (int64_t l = 0; l < width; ++l) *panels++ = weight[(j + l) * hidden + k];
    });
    return;
  }
  for (int64_t j = 0; j < hidden; j += kLanes<T>)
    for (int64_t k = 0; k < hidden; ++k)
      for (int g = 0; g < gates; ++g)
        for (int l = 0; l < kLanes<T>; ++l) *panels++ = weight[(g * hidden + j + l) * hidden + k];
}

// For every panel of units, for every k = gate * H + unit of the gradient: panel[k][lane] = W[k][unit].
template <class T>
void pack_backward(CellKind kind, int64_t hidden, const T* weight, T* panels) {
  for_panels<T>(hidden, [&](int64_t j, auto w) {
    const int64_t width = decltype(w)::value * kLanes<T>;
    for (int64_t k = 0; k < num_gates(kind) * hidden; ++k, panels += width) copy(panels, weight + k * hidden + j, width);
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
  return {packed_size<T>, pack_forward<T>, pack_backward<T>, forward<T>, backward<T>};
}

}  // namespace ostinato::OSTINATO_TARGET
