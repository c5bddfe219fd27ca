// What each cell does with a whole row at a step once its sums are known, and back, with everything that may be added to
// it: peepholes, layer norm, zoneout, a reset gate before the product. The fused kernels of plain cells are in cells.h.
#pragma once

#include "ostinato/scan.h"
#include "simd.h"

namespace ostinato::OSTINATO_TARGET {

// One row at one step; all pointers are to its first unit, null for what there is not.
template <class T>
struct Row {
  int64_t hidden, count;
  T* gates;  // in: x W_ih^T + biases (+ recurrent sums unless they are normalised); out: activations (Elman: h proposed)
  T* normalised;
  T* inverse_std;
  T* memory;
  const T* memory_previous;
  const T* h_previous;
  const T* mask;
  T* h;
  const T *zoneout_h, *zoneout_c, *peepholes, *gain_hh, *gain_c, *bias_c, *bias_hn;
  // Backward.
  const T *d_output, *d_memory;
  T *d_h, *d_c, *d_gates, *d_hidden_n, *d_recurrent, *d_vectors;
  const T* d_reset;  // GRU, reset before: the gradient of (r h), masked
};

template <class T>
OSTINATO_INLINE T total(Vector<T> v) {
  T sum = 0;
  for (int l = 0; l < kLanes<T>; ++l) sum += v[l];
  return sum;
}

template <class T>
OSTINATO_INLINE T square_root(T value) {
  return static_cast<T>(__builtin_sqrt(static_cast<double>(value)));
}

template <class T>
struct Moments {
  T mean, inverse_std;
};

// Of `size` values, of which all but `count` are zero padding. at(j): a vector of them.
template <class T, class At>
OSTINATO_INLINE Moments<T> moments(int64_t size, int64_t count, At&& at) {
  Vector<T> sum{}, squares{};
  for (int64_t j = 0; j < size; j += kLanes<T>) sum += at(j);
  const T mean = total<T>(sum) / static_cast<T>(count);
  for (int64_t j = 0; j < size; j += kLanes<T>) {
    const Vector<T> centred = at(j) - mean;
    squares += centred * centred;
  }
  const T variance = (total<T>(squares) - static_cast<T>(size - count) * mean * mean) / static_cast<T>(count);
  return {mean, T(1) / square_root<T>((variance > 0 || variance != variance ? variance : T(0)) + T(kLayerNormEps))};
}

template <class T>
OSTINATO_INLINE void add_to(T* at, Vector<T> v) {
  store(at, Vector<T>(load(static_cast<const T*>(at)) + v));
}

// `old` is read only where there is a share: under a projection it is shorter than the row.
template <class T>
OSTINATO_INLINE Vector<T> keep(const T* share, int64_t j, const T* old, Vector<T> proposed) {
  if (!share) return proposed;
  const Vector<T> kept = load(share + j);
  return kept * load(old + j) + (T(1) - kept) * proposed;
}

// Recurrent sums to their place: normalised and scaled, added to `gates`; GRU's last third to `memory`.
template <class T>
void add_normalised(CellKind kind, const Row<T>& row) {
  const int64_t gates = num_gates(kind), size = gates * row.hidden;
  const Moments<T> m = moments<T>(size, gates * row.count, [&](int64_t j) { return load(row.normalised + j); });
  *row.inverse_std = m.inverse_std;
  for (int64_t j = 0; j < size; j += kLanes<T>) {
    const Vector<T> x = (load(static_cast<const T*>(row.normalised) + j) - m.mean) * m.inverse_std;
    store(row.normalised + j, x);
    const Vector<T> scaled = x * load(row.gain_hh + j);
    if (kind == CellKind::gru && j >= 2 * row.hidden) {
      const int64_t unit = j - 2 * row.hidden;
      store(row.memory + unit, Vector<T>(row.bias_hn ? Vector<T>(scaled + load(row.bias_hn + unit)) : scaled));
    } else {
      add_to(row.gates + j, scaled);
    }
  }
}

// Back: the gradient of the scaled sums to that of the sums before, and of the gains.
template <class T>
void back_through_norm(CellKind kind, const Row<T>& row) {
  const int64_t gates = num_gates(kind), size = gates * row.hidden;
  const T* normalised = row.normalised;
  T* d_gain = row.d_vectors + 5 * row.hidden;
  Vector<T> sum{}, products{};
  const auto d_scaled = [&](int64_t j) {
    const bool hidden_n = kind == CellKind::gru && j >= 2 * row.hidden;
    return hidden_n ? load(static_cast<const T*>(row.d_hidden_n) + j - 2 * row.hidden)
                    : load(static_cast<const T*>(row.d_gates) + j);
  };
  for (int64_t j = 0; j < size; j += kLanes<T>) {
    const Vector<T> d = d_scaled(j), x = load(normalised + j), d_x = d * load(row.gain_hh + j);
    add_to(d_gain + j, Vector<T>(d * x));
    sum += d_x;
    products += d_x * x;
  }
  const T count = static_cast<T>(gates * row.count), mean = total<T>(sum) / count, slope = total<T>(products) / count;
  for (int64_t j = 0; j < size; j += kLanes<T>) {
    const Vector<T> d_x = d_scaled(j) * load(row.gain_hh + j);
    store(row.d_recurrent + j, Vector<T>((d_x - mean - load(normalised + j) * slope) * *row.inverse_std));
  }
}

template <class T, CellKind Kind>
struct RowCell;

template <class T, bool Relu>
struct ElmanRow {
  static void forward(const Row<T>& row) {
    for (int64_t j = 0; j < row.hidden; j += kLanes<T>) {
      const Vector<T> sum = load(static_cast<const T*>(row.gates) + j);
      Vector<T> h;
      if constexpr (Relu) {
        h = sum < T(0) ? Vector<T>{} : sum;
      } else {
        h = tanh<T>(sum);
      }
      store(row.gates + j, h);
      store(row.h + j, keep(row.zoneout_h, j, row.h_previous, h));
    }
  }

  static void backward(const Row<T>& row) {
    for (int64_t j = 0; j < row.hidden; j += kLanes<T>) {
      const Vector<T> h = load(static_cast<const T*>(row.gates) + j);
      const Vector<T> d_all = load(row.d_output + j) + load(static_cast<const T*>(row.d_h) + j);
      const Vector<T> kept = row.zoneout_h ? load(row.zoneout_h + j) : Vector<T>{}, d_h = d_all * (T(1) - kept);
      if constexpr (Relu) {
        store(row.d_gates + j, Vector<T>(h > T(0) ? d_h : Vector<T>{}));
      } else {
        store(row.d_gates + j, Vector<T>(d_h * (T(1) - h * h)));
      }
      store(row.d_h + j, Vector<T>(d_all * kept));
    }
  }
};

template <class T>
struct RowCell<T, CellKind::elman_tanh> : ElmanRow<T, false> {};
template <class T>
struct RowCell<T, CellKind::elman_relu> : ElmanRow<T, true> {};

template <class T>
struct RowCell<T, CellKind::lstm> {
  using V = Vector<T>;

  static void forward(const Row<T>& row) {
    const int64_t H = row.hidden;
    const T* gates = row.gates;
    for (int64_t j = 0; j < H; j += kLanes<T>) {
      const V before = load(row.memory_previous + j);
      V i = load(gates + j), f = load(gates + H + j), o = load(gates + 3 * H + j);
      if (row.peepholes) {
        i += load(row.peepholes + j) * before;
        f += load(row.peepholes + H + j) * before;
      }
      i = sigmoid<T>(i);
      f = sigmoid<T>(f);
      const V g = tanh<T>(load(gates + 2 * H + j)), c = f * before + i * g;
      if (row.peepholes) o += load(row.peepholes + 2 * H + j) * c;
      store(row.gates + j, i);
      store(row.gates + H + j, f);
      store(row.gates + 2 * H + j, g);
      store(row.gates + 3 * H + j, sigmoid<T>(o));
      store(row.memory + j, c);
    }
    const auto c_at = [&](int64_t j) { return load(static_cast<const T*>(row.memory) + j); };
    const Moments<T> m = row.gain_c ? moments<T>(H, row.count, c_at) : Moments<T>{};
    for (int64_t j = 0; j < H; j += kLanes<T>) {
      const V c = c_at(j), seen = row.gain_c ? V((c - m.mean) * m.inverse_std * load(row.gain_c + j) + load(row.bias_c + j)) : c;
      store(row.h + j, keep(row.zoneout_h, j, row.h_previous, V(load(gates + 3 * H + j) * tanh<T>(seen))));
      if (row.zoneout_c) store(row.memory + j, keep(row.zoneout_c, j, row.memory_previous, c));
    }
  }

  // The proposed c, whatever zoneout made of it.
  static OSTINATO_INLINE V proposed(const Row<T>& row, int64_t j) {
    if (!row.zoneout_c) return load(static_cast<const T*>(row.memory) + j);
    const T* gates = row.gates;
    return load(gates + row.hidden + j) * load(row.memory_previous + j) + load(gates + j) * load(gates + 2 * row.hidden + j);
  }

  static void backward(const Row<T>& row) {
    const int64_t H = row.hidden;
    const T* gates = row.gates;
    const Moments<T> m =
        row.gain_c ? moments<T>(H, row.count, [&](int64_t j) { return proposed(row, j); }) : Moments<T>{};
    // First the gradient of what tanh(c) saw, into the place of g's.
    V sum{}, products{};
    for (int64_t j = 0; j < H; j += kLanes<T>) {
      const V d_all = load(row.d_output + j) + load(static_cast<const T*>(row.d_h) + j);
      const V kept = row.zoneout_h ? load(row.zoneout_h + j) : V{}, d_h = d_all * (T(1) - kept);
      const V o = load(gates + 3 * H + j), c = proposed(row, j), x = (c - m.mean) * m.inverse_std;
      const V squashed = tanh<T>(row.gain_c ? V(x * load(row.gain_c + j) + load(row.bias_c + j)) : c);
      V d_seen = d_h * o * (T(1) - squashed * squashed);
      if (row.gain_c) {
        add_to(row.d_vectors + 3 * H + j, V(d_seen * x));
        add_to(row.d_vectors + 4 * H + j, d_seen);
        d_seen *= load(row.gain_c + j);
        sum += d_seen;
        products += d_seen * x;
      }
      store(row.d_gates + 2 * H + j, d_seen);
      store(row.d_gates + 3 * H + j, V(d_h * squashed * (o * (T(1) - o))));
      store(row.d_h + j, V(d_all * kept));
    }
    const T mean = total<T>(sum) / static_cast<T>(row.count), slope = total<T>(products) / static_cast<T>(row.count);
    for (int64_t j = 0; j < H; j += kLanes<T>) {
      const V i = load(gates + j), f = load(gates + H + j), g = load(gates + 2 * H + j);
      const V before = load(row.memory_previous + j), c = proposed(row, j);
      V d_seen = load(static_cast<const T*>(row.d_gates) + 2 * H + j);
      if (row.gain_c) d_seen = (d_seen - mean - (c - m.mean) * m.inverse_std * slope) * m.inverse_std;
      V d_carried = load(static_cast<const T*>(row.d_c) + j);
      if (row.d_memory) d_carried += load(row.d_memory + j);
      const V kept = row.zoneout_c ? load(row.zoneout_c + j) : V{};
      V d_c = d_seen + d_carried * (T(1) - kept);
      const V d_o = load(static_cast<const T*>(row.d_gates) + 3 * H + j);
      if (row.peepholes) d_c += d_o * load(row.peepholes + 2 * H + j);
      const V d_i = d_c * g * (i * (T(1) - i)), d_f = d_c * before * (f * (T(1) - f));
      V d_before = d_c * f + d_carried * kept;
      if (row.peepholes) {
        d_before += d_i * load(row.peepholes + j) + d_f * load(row.peepholes + H + j);
        add_to(row.d_vectors + j, V(d_i * before));
        add_to(row.d_vectors + H + j, V(d_f * before));
        add_to(row.d_vectors + 2 * H + j, V(d_o * c));
      }
      store(row.d_gates + j, d_i);
      store(row.d_gates + H + j, d_f);
      store(row.d_gates + 2 * H + j, V(d_c * i * (T(1) - g * g)));
      store(row.d_c + j, d_before);
    }
  }
};

template <class T>
struct RowCell<T, CellKind::gru> {
  using V = Vector<T>;

  // Reset after: `memory` is W_hn h + b_hn.
  static void forward(const Row<T>& row) {
    const int64_t H = row.hidden;
    const T* gates = row.gates;
    for (int64_t j = 0; j < H; j += kLanes<T>) {
      const V r = sigmoid<T>(load(gates + j)), z = sigmoid<T>(load(gates + H + j));
      const V n = tanh<T>(load(gates + 2 * H + j) + r * load(static_cast<const T*>(row.memory) + j));
      finish(row, j, r, z, n);
    }
  }

  // Reset before, first: r, and (r h) for the product to come.
  static void reset(const Row<T>& row) {
    for (int64_t j = 0; j < row.hidden; j += kLanes<T>) {
      const V r = sigmoid<T>(load(static_cast<const T*>(row.gates) + j)), h = load(row.h_previous + j);
      store(row.gates + j, r);
      store(row.memory + j, V(row.mask ? V(r * h * load(row.mask + j)) : V(r * h)));
    }
  }

  // Then the rest.
  static void forward_reset(const Row<T>& row) {
    const int64_t H = row.hidden;
    const T* gates = row.gates;
    for (int64_t j = 0; j < H; j += kLanes<T>)
      finish(row, j, load(gates + j), sigmoid<T>(load(gates + H + j)), tanh<T>(load(gates + 2 * H + j)));
  }

  static OSTINATO_INLINE void finish(const Row<T>& row, int64_t j, V r, V z, V n) {
    const V before = load(row.h_previous + j);
    store(row.gates + j, r);
    store(row.gates + row.hidden + j, z);
    store(row.gates + 2 * row.hidden + j, n);
    store(row.h + j, keep(row.zoneout_h, j, row.h_previous, V(n + z * (before - n))));
  }

  // d_h becomes the part that reaches h before without a product.
  static void backward(const Row<T>& row) {
    const int64_t H = row.hidden;
    const T* gates = row.gates;
    for (int64_t j = 0; j < H; j += kLanes<T>) {
      const V r = load(gates + j), z = load(gates + H + j), n = load(gates + 2 * H + j);
      const V d_all = load(row.d_output + j) + load(static_cast<const T*>(row.d_h) + j);
      const V kept = row.zoneout_h ? load(row.zoneout_h + j) : V{}, d_h = d_all * (T(1) - kept);
      const V d_n = d_h * (T(1) - z) * (T(1) - n * n);
      store(row.d_gates + H + j, V(d_h * (load(row.h_previous + j) - n) * (z * (T(1) - z))));
      store(row.d_gates + 2 * H + j, d_n);
      store(row.d_h + j, V(d_h * z + d_all * kept));
      if (row.d_hidden_n) {
        store(row.d_gates + j, V(d_n * load(static_cast<const T*>(row.memory) + j) * (r * (T(1) - r))));
        store(row.d_hidden_n + j, V(d_n * r));
      }
    }
  }

  // Reset before, after the product: through r h.
  static void backward_reset(const Row<T>& row) {
    for (int64_t j = 0; j < row.hidden; j += kLanes<T>) {
      const V r = load(static_cast<const T*>(row.gates) + j);
      V d = load(row.d_reset + j);
      if (row.mask) d *= load(row.mask + j);
      store(row.d_gates + j, V(d * load(row.h_previous + j) * (r * (T(1) - r))));
      add_to(row.d_h + j, V(d * r));
    }
  }
};

}  // namespace ostinato::OSTINATO_TARGET
