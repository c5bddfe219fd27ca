#include "ostinato/layer.h"

#include <algorithm>

#include "core.h"

namespace ostinato {
namespace {

// Below this many multiplications, waking a second thread costs more than it saves.
constexpr int64_t kWorthAThread = 200'000;

// Threads share out directions first (each then keeps one weight matrix in its cache), then rows. `scratch_bytes`: for
// each thread.
template <class Layer, class Run>
void run_rows(const Layer& layer, int64_t scratch_bytes, Run&& run) {
  const int64_t work = layer.sum_l * layer.num_directions * num_gates(layer.kind) * layer.hidden * layer.hidden;
  const int64_t most = std::min<int64_t>(layer.num_directions * layer.layout.num_rows, work / kWorthAThread);
  const int threads = static_cast<int>(std::clamp<int64_t>(most, 1, std::max(layer.num_threads, 1)));
  const bool apart = threads % layer.num_directions == 0;
  const int stride = apart ? threads / layer.num_directions : threads;
  scratch_bytes = (scratch_bytes + 63) / 64 * 64;
  Aligned<char> scratch(threads * scratch_bytes);
  parallel(threads, [&](int i) {
    void* own = scratch.get() + i * scratch_bytes;
    if (apart) return run(i % layer.num_directions, i / layer.num_directions, stride, own);
    for (int d = 0; d < layer.num_directions; ++d) run(d, i, stride, own);
  });
}

// Both directions' matrices, each of `bytes` packed by `pack_one(weight, packed)`; nothing for no matrix.
template <class T, class Pack>
Aligned<char> pack(const T* const (&weights)[2], int64_t bytes, int num_directions, Pack&& pack_one) {
  Aligned<char> packed(weights[0] ? num_directions * bytes : 0);
  for (int d = 0; d < num_directions && weights[d]; ++d) pack_one(weights[d], packed.get() + d * bytes);
  return packed;
}

template <class T>
bool is_plain(const Extras<T>& x) {
  return x.precision == Precision::full && !x.reset_before && !x.hidden_mask && !x.zoneout_h && !x.zoneout_c &&
         !x.peepholes && !x.gain_hh && !x.gain_c;
}

// Everything of one direction; the arrays hold the directions one after the other.
template <class T, class Layer>
Extras<T> of_direction(Extras<T> x, int64_t d, const Layer& a) {
  const int64_t H = a.hidden, P = a.size, N = a.layout.num_rows, G = num_gates(a.kind);
  x.hidden_mask = at(x.hidden_mask, d * N * P);
  x.zoneout_h = at(x.zoneout_h, d * a.sum_l * P);
  x.zoneout_c = at(x.zoneout_c, d * a.sum_l * H);
  x.peepholes = at(x.peepholes, d * 3 * H);
  x.gain_hh = at(x.gain_hh, d * G * H);
  x.gain_c = at(x.gain_c, d * H);
  x.bias_c = at(x.bias_c, d * H);
  x.normalised = at(x.normalised, d * a.sum_l * G * H);
  x.inverse_std = at(x.inverse_std, d * a.sum_l);
  x.d_recurrent = at(x.d_recurrent, d * a.sum_l * G * H);
  x.d_vectors = at(x.d_vectors, d * N * (5 + G) * H);
  return x;
}

// The weights of a layer packed for one way through it, forward or backward.
template <class T>
struct Packed {
  template <class Layer>
  Packed(const Layer& a, bool transposed)
      : core(kernels<T>()),
        plain(is_plain(a.extras)),
        bytes_hh(bytes(a, (apart(a) ? 2 : num_gates(a.kind)) * a.hidden, a.size)),
        bytes_hn(bytes(a, a.hidden, a.size)),
        hh(pack(a.weight_hh, bytes_hh, a.num_directions,
                [&](const T* weight, void* to) {
                  const int64_t rows = (apart(a) ? 2 : num_gates(a.kind)) * a.hidden;
                  if (!plain) return pack_general(a, rows, a.size, transposed, weight, to);
                  if (transposed) return core.pack_columns(rows, a.size, weight, static_cast<T*>(to));
                  core.pack_gates(a.kind, a.hidden, a.size, weight, static_cast<T*>(to));
                })),
        hn(pack(a.weight_hh, apart(a) ? bytes_hn : 0, a.num_directions,
                [&](const T* weight, void* to) {
                  if (apart(a)) pack_general(a, a.hidden, a.size, transposed, weight + 2 * a.hidden * a.size, to);
                })),
        hr(pack(a.weight_hr, bytes_hn, a.num_directions, [&](const T* weight, void* to) {
          if (!plain) return pack_general(a, a.size, a.hidden, transposed, weight, to);
          if (transposed) return core.pack_columns(a.size, a.hidden, weight, static_cast<T*>(to));
          core.pack_rows(a.size, a.hidden, weight, static_cast<T*>(to));
        })) {}

  // GRU's W_hn stands apart in the general kernels.
  template <class Layer>
  bool apart(const Layer& a) const {
    return !plain && a.kind == CellKind::gru;
  }

  template <class Buffers, class Layer>
  void give(Buffers& b, int d, const Layer& a) const {
    b.panels = hh.get() + d * bytes_hh;
    b.panels_hn = apart(a) ? hn.get() + d * bytes_hn : nullptr;
    b.panels_hr = a.weight_hr[0] ? hr.get() + d * bytes_hn : nullptr;
  }

  const Target::Kernels<T>& core;  // of the target that packed: another may be forced while a call runs
  const bool plain;
  const int64_t bytes_hh, bytes_hn;
  const Aligned<char> hh, hn, hr;

 private:
  template <class Layer>
  static int64_t bytes(const Layer& a, int64_t columns, int64_t depth) {
    return packed_bytes(a.extras.precision, columns, depth, sizeof(T));
  }
  // (rows, depth) as it is, or to be multiplied from its other side.
  template <class Layer>
  void pack_general(const Layer& a, int64_t rows, int64_t depth, bool transposed, const T* weight, void* to) const {
    core.pack(a.extras.precision, transposed ? depth : rows, transposed ? rows : depth, transposed, weight, to);
  }
};

template <class T, class Layer>
int64_t scratch_bytes(const Layer& a) {
  return is_plain(a.extras) ? scratch_pointers(a.layout.num_rows) * static_cast<int64_t>(sizeof(void*))
                            : general_workspace_bytes(a.layout.num_rows, a.hidden, a.size, sizeof(T));
}

}  // namespace

template <class T>
void run(const LayerForward<T>& a) {
  const int64_t H = a.hidden, P = a.size, N = a.layout.num_rows, G = num_gates(a.kind), D = a.num_directions;
  const Packed<T> packed(a, false);
  run_rows(a, scratch_bytes<T>(a), [&](int d, int slot, int stride, void* scratch) {
    ForwardBuffers<T> b{};
    packed.give(b, d, a);
    b.reverse = a.reverse || d == 1;
    b.hidden = H;
    b.size = P;
    b.bias_hn = a.bias_hn[d];
    b.h_0 = a.h_0 + d * N * P;
    b.c_0 = at(a.c_0, d * N * H);
    b.gates = a.gates + d * G * H;
    b.gates_stride = D * G * H;
    b.output = a.output + d * P;
    b.output_stride = D * P;
    b.memory = at(a.memory, d * a.sum_l * H);
    b.unprojected = at(a.unprojected, d * a.sum_l * H);
    b.h_n = a.h_n + d * N * P;
    b.c_n = at(a.c_n, d * N * H);
    if (packed.plain) return packed.core.forward(a.kind, a.layout, b, slot, stride, static_cast<const T**>(scratch));
    packed.core.forward_general(a.kind, a.layout, b, of_direction(a.extras, d, a), slot, stride, scratch);
  });
}

template <class T>
void run(const LayerBackward<T>& a) {
  const int64_t H = a.hidden, P = a.size, N = a.layout.num_rows, G = num_gates(a.kind), D = a.num_directions;
  const Packed<T> packed(a, true);
  const Aligned<T> d_unprojected(a.d_projected ? D * N * 2 * H : 0);
  if (a.d_projected) std::fill_n(d_unprojected.get(), D * N * 2 * H, T(0));
  run_rows(a, scratch_bytes<T>(a), [&](int d, int slot, int stride, void* scratch) {
    BackwardBuffers<T> b{};
    packed.give(b, d, a);
    b.reverse = a.reverse || d == 1;
    b.hidden = H;
    b.size = P;
    b.h_0 = a.h_0 + d * N * P;
    b.c_0 = at(a.c_0, d * N * H);
    b.gates = a.gates + d * G * H;
    b.gates_stride = D * G * H;
    b.output = a.output + d * P;
    b.output_stride = D * P;
    b.memory = at(a.memory, d * a.sum_l * H);
    b.d_output = a.d_output + d * P;
    b.d_output_stride = D * P;
    b.d_memory = at(a.d_memory, d * a.sum_l * H);
    b.d_h = a.d_h + d * N * P;
    b.d_c = at(a.d_c, d * N * H);
    b.d_gates = a.d_gates + d * G * H;
    b.d_gates_stride = D * G * H;
    b.d_hidden_n = at(a.d_hidden_n, d * a.sum_l * H);
    b.d_projected = at(a.d_projected, d * a.sum_l * P);
    b.d_unprojected = a.d_projected ? d_unprojected.get() + d * N * 2 * H : nullptr;
    b.h_previous = at(a.h_previous, d * a.sum_l * P);
    if (packed.plain) return packed.core.backward(a.kind, a.layout, b, slot, stride, static_cast<const T**>(scratch));
    packed.core.backward_general(a.kind, a.layout, b, of_direction(a.extras, d, a), slot, stride, scratch);
  });
}

template void run(const LayerForward<float>&);
template void run(const LayerForward<double>&);
template void run(const LayerBackward<float>&);
template void run(const LayerBackward<double>&);

}  // namespace ostinato
