// What each cell does with the sums of a step, and how its gradients flow back through that, a vector of units at once.
//
// `Width`: vectors of a forward panel, one a gate (Elman: 4 vectors of units side by side where they fit).
#pragma once

#include "ostinato/scan.h"
#include "simd.h"

namespace ostinato::OSTINATO_TARGET {

// One row at one step. All pointers are to the row's first unit.
template <class T>
struct ForwardRow {
  T* gates;
  const T* h_previous;
  const T* memory_previous;  // LSTM: c before
  T* h;
  T* memory;
};

template <class T>
struct BackwardRow {
  const T* gates;
  const T* h;
  const T* h_previous;
  const T* memory;
  const T* memory_previous;
  const T* d_output;
  const T* d_memory;  // LSTM, or null
  T* d_h;
  T* d_c;
  T* d_gates;
  T* d_hidden_n;
};

template <bool Relu>
struct ElmanCell {
  static constexpr CellKind kind = Relu ? CellKind::elman_relu : CellKind::elman_tanh;
  static constexpr int num_gates = 1;
  static constexpr bool has_memory = false, needs_previous_memory = false;

  template <class T>
  static OSTINATO_INLINE void forward(Vector<T> sum, const ForwardRow<T>& row, int64_t j) {
    if constexpr (Relu) {
      store(row.h + j, Vector<T>(sum < T(0) ? Vector<T>{} : sum));  // NaN stays NaN
    } else {
      store(row.h + j, tanh<T>(sum));
    }
  }

  template <class T>
  static OSTINATO_INLINE void backward(const BackwardRow<T>& row, int64_t j, int64_t) {
    const Vector<T> h = load(row.h + j), d_h = load(row.d_output + j) + load(row.d_h + j);
    Vector<T> d_sum;
    if constexpr (Relu) {
      d_sum = h > T(0) ? d_h : Vector<T>{};
    } else {
      d_sum = d_h * (T(1) - h * h);
    }
    store(row.d_gates + j, d_sum);
    store(row.d_h + j, Vector<T>{});
  }
};

struct LstmCell {
  static constexpr CellKind kind = CellKind::lstm;
  static constexpr int num_gates = 4;
  static constexpr bool has_memory = true, needs_previous_memory = true;

  template <class T>
  static OSTINATO_INLINE void forward(const Vector<T> (&sums)[4], const ForwardRow<T>& row, int64_t j, int64_t hidden) {
    const Vector<T> i = sigmoid<T>(sums[0]), f = sigmoid<T>(sums[1]), g = tanh<T>(sums[2]), o = sigmoid<T>(sums[3]);
    const Vector<T> c = f * load(row.memory_previous + j) + i * g;
    store(row.memory + j, c);
    store(row.h + j, Vector<T>(o * tanh<T>(c)));
    store(row.gates + j, i);
    store(row.gates + hidden + j, f);
    store(row.gates + 2 * hidden + j, g);
    store(row.gates + 3 * hidden + j, o);
  }

  template <class T>
  static OSTINATO_INLINE void backward(const BackwardRow<T>& row, int64_t j, int64_t hidden) {
    const Vector<T> i = load(row.gates + j), f = load(row.gates + hidden + j);
    const Vector<T> g = load(row.gates + 2 * hidden + j), o = load(row.gates + 3 * hidden + j);
    const Vector<T> tanh_c = tanh<T>(load(row.memory + j));
    const Vector<T> d_h = load(row.d_output + j) + load(row.d_h + j);
    Vector<T> d_c = load(row.d_c + j) + d_h * o * (T(1) - tanh_c * tanh_c);
    if (row.d_memory) d_c += load(row.d_memory + j);
    store(row.d_gates + j, Vector<T>(d_c * g * (i * (T(1) - i))));
    store(row.d_gates + hidden + j, Vector<T>(d_c * load(row.memory_previous + j) * (f * (T(1) - f))));
    store(row.d_gates + 2 * hidden + j, Vector<T>(d_c * i * (T(1) - g * g)));
    store(row.d_gates + 3 * hidden + j, Vector<T>(d_h * tanh_c * (o * (T(1) - o))));
    store(row.d_c + j, Vector<T>(d_c * f));
    store(row.d_h + j, Vector<T>{});
  }
};

struct GruCell {
  static constexpr CellKind kind = CellKind::gru;
  static constexpr int num_gates = 3;
  static constexpr bool has_memory = true, needs_previous_memory = false;

  // sums[2] is W_hn h + b_hn alone; x W_in + b_in is still in `gates`.
  template <class T>
  static OSTINATO_INLINE void forward(const Vector<T> (&sums)[3], const ForwardRow<T>& row, int64_t j, int64_t hidden) {
    const Vector<T> r = sigmoid<T>(sums[0]), z = sigmoid<T>(sums[1]);
    const Vector<T> n = tanh<T>(load(row.gates + 2 * hidden + j) + r * sums[2]);
    store(row.h + j, Vector<T>(n + z * (load(row.h_previous + j) - n)));
    store(row.memory + j, sums[2]);
    store(row.gates + j, r);
    store(row.gates + hidden + j, z);
    store(row.gates + 2 * hidden + j, n);
  }

  template <class T>
  static OSTINATO_INLINE void backward(const BackwardRow<T>& row, int64_t j, int64_t hidden) {
    const Vector<T> r = load(row.gates + j), z = load(row.gates + hidden + j), n = load(row.gates + 2 * hidden + j);
    const Vector<T> d_h = load(row.d_output + j) + load(row.d_h + j);
    const Vector<T> d_n = d_h * (T(1) - z) * (T(1) - n * n);
    store(row.d_gates + j, Vector<T>(d_n * load(row.memory + j) * (r * (T(1) - r))));
    store(row.d_gates + hidden + j, Vector<T>(d_h * (load(row.h_previous + j) - n) * (z * (T(1) - z))));
    store(row.d_gates + 2 * hidden + j, d_n);
    store(row.d_hidden_n + j, Vector<T>(d_n * r));
    store(row.d_h + j, Vector<T>(d_h * z));
  }
};

}  // namespace ostinato::OSTINATO_TARGET
