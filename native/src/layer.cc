#include "ostinato/layer.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <stdexcept>

namespace ostinato {

extern const Target kBaseline;
#if defined(__x86_64__)
extern const Target kAvx2, kAvx512;
#endif

const std::vector<const Target*>& targets() {
#if defined(__x86_64__)
  static const std::vector<const Target*> all = {&kAvx512, &kAvx2, &kBaseline};
#else
  static const std::vector<const Target*> all = {&kBaseline};
#endif
  return all;
}

namespace {

const Target* best() {
  for (const Target* one : targets())
    if (one->runs_here()) return one;
  return targets().back();
}

const Target*& current() {
  static const Target* chosen = best();
  return chosen;
}

template <class T>
const Target::Kernels<T>& kernels() {
  if constexpr (sizeof(T) == 4) {
    return target().f32;
  } else {
    return target().f64;
  }
}

template <class T>
struct Aligned {
  explicit Aligned(int64_t size)
      : data(static_cast<T*>(std::aligned_alloc(64, (static_cast<size_t>(size) * sizeof(T) + 64) / 64 * 64)), std::free) {
    if (!data) throw std::bad_alloc();
  }
  std::unique_ptr<T, void (*)(void*)> data;
};

// Below this many multiplications, waking a second thread costs more than it saves.
constexpr int64_t kWorthAThread = 200'000;

// Threads share out directions first (each then keeps one weight matrix in its cache), then rows.
template <class T, class Layer, class Run>
void run_rows(const Layer& layer, Run&& run) {
  const int64_t work = layer.sum_l * layer.num_directions * num_gates(layer.kind) * layer.hidden * layer.hidden;
  const int64_t most = std::min<int64_t>(layer.num_directions * layer.layout.num_rows, work / kWorthAThread);
  const int threads = static_cast<int>(std::clamp<int64_t>(most, 1, std::max(layer.num_threads, 1)));
  const bool apart = threads % layer.num_directions == 0;
  const int stride = apart ? threads / layer.num_directions : threads;
  Aligned<const T*> scratch(threads * scratch_pointers(layer.layout.num_rows));
  parallel(threads, [&](int i) {
    const T** own = scratch.data.get() + i * scratch_pointers(layer.layout.num_rows);
    if (apart) return run(i % layer.num_directions, i / layer.num_directions, stride, own);
    for (int d = 0; d < layer.num_directions; ++d) run(d, i, stride, own);
  });
}

template <class T>
T* at(T* buffer, int64_t offset) {
  return buffer ? buffer + offset : nullptr;
}

// Both directions' matrices of `size` elements, each packed by `pack_one(weight, panels)`; nothing for no matrix.
template <class T, class Pack>
Aligned<T> pack(const T* const (&weights)[2], int64_t size, int num_directions, Pack&& pack_one) {
  Aligned<T> panels(weights[0] ? num_directions * size : 0);
  for (int d = 0; d < num_directions && weights[d]; ++d) pack_one(weights[d], panels.data.get() + d * size);
  return panels;
}

}  // namespace

const Target& target() { return *current(); }

void force_target(const std::string& name) {
  std::string known;
  for (const Target* one : targets()) {
    known += (known.empty() ? "" : ", ") + std::string(one->name);
    if (name != one->name) continue;
    if (!one->runs_here()) throw std::invalid_argument("this processor lacks the instructions of target `" + name + "`");
    current() = one;
    return;
  }
  throw std::invalid_argument("the target must be one of " + known + ". Received: '" + name + "'");
}

template <class T>
void run(const LayerForward<T>& a) {
  const int64_t H = a.hidden, P = a.size, N = a.layout.num_rows, G = num_gates(a.kind), D = a.num_directions;
  const Aligned<T> panels = pack<T>(a.weight_hh, G * H * P, a.num_directions, [&](const T* weight, T* to) {
    kernels<T>().pack_gates(a.kind, H, P, weight, to);
  });
  const Aligned<T> panels_hr = pack<T>(
      a.weight_hr, P * H, a.num_directions, [&](const T* weight, T* to) { kernels<T>().pack_rows(P, H, weight, to); });
  run_rows<T>(a, [&](int d, int slot, int stride, const T** scratch) {
    ForwardBuffers<T> b{};
    b.reverse = a.reverse || d == 1;
    b.hidden = H;
    b.size = P;
    b.panels = panels.data.get() + d * G * H * P;
    b.panels_hr = a.weight_hr[0] ? panels_hr.data.get() + d * P * H : nullptr;
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
    kernels<T>().forward(a.kind, a.layout, b, slot, stride, scratch);
  });
}

template <class T>
void run(const LayerBackward<T>& a) {
  const int64_t H = a.hidden, P = a.size, N = a.layout.num_rows, G = num_gates(a.kind), D = a.num_directions;
  const Aligned<T> panels = pack<T>(a.weight_hh, G * H * P, a.num_directions, [&](const T* weight, T* to) {
    kernels<T>().pack_columns(G * H, P, weight, to);
  });
  const Aligned<T> panels_hr = pack<T>(
      a.weight_hr, P * H, a.num_directions, [&](const T* weight, T* to) { kernels<T>().pack_columns(P, H, weight, to); });
  const Aligned<T> d_unprojected(a.d_projected ? D * N * 2 * H : 0);
  if (a.d_projected) std::fill_n(d_unprojected.data.get(), D * N * 2 * H, T(0));
  run_rows<T>(a, [&](int d, int slot, int stride, const T** scratch) {
    BackwardBuffers<T> b{};
    b.reverse = a.reverse || d == 1;
    b.hidden = H;
    b.size = P;
    b.panels = panels.data.get() + d * G * H * P;
    b.panels_hr = a.weight_hr[0] ? panels_hr.data.get() + d * P * H : nullptr;
    b.h_0 = a.h_0 + d * N * P;
    b.c_0 = at(a.c_0, d * N * H);
    b.gates = a.gates + d * G * H;
    b.gates_stride = D * G * H;
    b.output = a.output + d * P;
    b.output_stride = D * P;
    b.memory = at(a.memory, d * a.sum_l * H);
    b.d_output = a.d_output + d * P;
    b.d_output_stride = D * P;
    b.d_h = a.d_h + d * N * P;
    b.d_c = at(a.d_c, d * N * H);
    b.d_gates = a.d_gates + d * G * H;
    b.d_gates_stride = D * G * H;
    b.d_hidden_n = at(a.d_hidden_n, d * a.sum_l * H);
    b.d_projected = at(a.d_projected, d * a.sum_l * P);
    b.d_unprojected = a.d_projected ? d_unprojected.data.get() + d * N * 2 * H : nullptr;
    b.h_previous = a.h_previous + d * a.sum_l * P;
    kernels<T>().backward(a.kind, a.layout, b, slot, stride, scratch);
  });
}

template void run(const LayerForward<float>&);
template void run(const LayerForward<double>&);
template void run(const LayerBackward<float>&);
template void run(const LayerBackward<double>&);

}  // namespace ostinato
