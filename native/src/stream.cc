#include "ostinato/stream.h"

#include <algorithm>
#include <cstring>
#include <exception>

#include "core.h"
#include "sampling.h"

namespace ostinato {
namespace {

int64_t padded(int64_t size) { return (size + kUnitMultiple - 1) / kUnitMultiple * kUnitMultiple; }

template <class T>
Aligned<T> copied(const T* from, int64_t count) {
  Aligned<T> to(from ? count : 0);
  if (from) std::copy_n(from, count, to.get());
  return to;
}

template <class T>
Aligned<T> filled(int64_t count, T value) {
  Aligned<T> to(count);
  std::fill_n(to.get(), count, value);
  return to;
}

template <class T>
Aligned<char> packed(const Target::Kernels<T>& core, Precision precision, const T* weight, int64_t rows, int64_t depth,
                     int64_t& total) {
  const int64_t bytes = weight ? packed_bytes(precision, rows, depth, sizeof(T)) : 0;
  Aligned<char> to(bytes);
  if (weight) core.pack(precision, rows, depth, false, weight, to.get());
  total += bytes;
  return to;
}

// A layer's weights and its state, which lies in two buffers: each step reads one and writes the other.
template <class T>
struct Layer {
  Layer(const Target::Kernels<T>& core, const StreamLayer<T>& a, int64_t N, Precision precision, int64_t& bytes)
      : kind(a.kind), G(num_gates(a.kind)), H(a.hidden), P(a.size), inputs(padded(a.inputs)), count(a.count),
        outputs(a.outputs), reset_before(a.reset_before), apart(a.kind == CellKind::gru),
        ih(packed(core, precision, a.weight_ih, G * H, inputs, bytes)),
        hh(packed(core, precision, a.weight_hh, (apart ? 2 : G) * H, P, bytes)),
        hn(packed(core, precision, apart ? a.weight_hh + 2 * H * P : nullptr, H, P, bytes)),
        hr(packed(core, precision, a.weight_hr, P, H, bytes)), bias(copied(a.bias, G * H)), bias_hn(copied(a.bias_hn, H)),
        peepholes(copied(a.peepholes, 3 * H)), gain_ih(copied(a.gain_ih, G * H)), gain_hh(copied(a.gain_hh, G * H)),
        gain_c(copied(a.gain_c, H)), bias_c(copied(a.bias_c, H)), kept_h(filled(a.zoneout_h ? N * P : 0, T(a.zoneout_h))),
        kept_c(filled(a.zoneout_c ? N * H : 0, T(a.zoneout_c))), gates(filled(N * G * H, T(0))),
        unprojected(a.weight_hr ? N * H : 0), normalised(a.gain_hh ? N * G * H : 0), inverse_std(a.gain_hh ? N : 0),
        h{filled(N * P, T(0)), filled(N * P, T(0))}, memory{filled(N * H, T(0)), filled(N * H, T(0))}, h_n(N * P),
        c_n(N * H) {
    buffers.hidden = H;
    buffers.size = P;
    buffers.panels = hh.get();
    buffers.panels_hn = apart ? hn.get() : nullptr;
    buffers.panels_hr = a.weight_hr ? hr.get() : nullptr;
    buffers.bias_hn = a.bias_hn ? bias_hn.get() : nullptr;
    buffers.gates = gates.get();
    buffers.gates_stride = G * H;
    buffers.output_stride = P;
    buffers.unprojected = a.weight_hr ? unprojected.get() : nullptr;
    buffers.h_n = h_n.get();
    buffers.c_n = c_n.get();
    extras.precision = precision;
    extras.reset_before = reset_before;
    extras.count = count;
    extras.zoneout_h = a.zoneout_h ? kept_h.get() : nullptr;
    extras.zoneout_c = a.zoneout_c ? kept_c.get() : nullptr;
    extras.peepholes = a.peepholes ? peepholes.get() : nullptr;
    extras.gain_hh = a.gain_hh ? gain_hh.get() : nullptr;
    extras.gain_c = a.gain_c ? gain_c.get() : nullptr;
    extras.bias_c = a.gain_c ? bias_c.get() : nullptr;
    extras.normalised = a.gain_hh ? normalised.get() : nullptr;
    extras.inverse_std = a.gain_hh ? inverse_std.get() : nullptr;
    fed = a.weight_ih != nullptr;
    normalises = a.gain_ih != nullptr;
    biased = a.bias != nullptr;
  }

  CellKind kind;
  int64_t G, H, P, inputs, count, outputs;
  bool reset_before, apart, fed = false, normalises = false, biased = false;
  Aligned<char> ih, hh, hn, hr;
  Aligned<T> bias, bias_hn, peepholes, gain_ih, gain_hh, gain_c, bias_c, kept_h, kept_c;
  Aligned<T> gates, unprojected, normalised, inverse_std;
  Aligned<T> h[2], memory[2], h_n, c_n;
  ForwardBuffers<T> buffers{};
  Extras<T> extras{};
};

}  // namespace

template <class T>
struct Stream<T>::Impl {
  Impl(const std::vector<StreamLayer<T>>& specs, const StreamTokens<T>& tokens, int64_t num_rows, Precision precision,
       int num_threads)
      : N(num_rows), capacity(num_rows), V(tokens.vocab_size), precision(precision), inputs(specs.front().inputs), batch_size(num_rows),
        most_threads(std::max(num_threads, 1)),
        banned(tokens.banned), padded_x(filled(num_rows * padded(inputs), T(0))), chosen(num_rows) {
    for (const StreamLayer<T>& one : specs) layers.emplace_back(core, one, N, precision, weight_bytes);
    const Layer<T>&first = layers.front(), &last = layers.back();
    if (tokens.table) table = std::make_unique<Aligned<T>>(copied(tokens.table, V * first.G * first.H));
    if (tokens.vectors) vectors = std::make_unique<Aligned<T>>(copied(tokens.vectors, V * first.inputs));
    if (tokens.weight) {
      const int64_t size = padded(V);
      Aligned<T> weight = filled(size * last.P, T(0));
      for (int64_t v = 0; v < V; ++v) std::copy_n(tokens.weight + v * last.P, last.P, weight.get() + v * last.P);
      const T* rows = weight.get();
      head = std::make_unique<Aligned<char>>(packed(core, precision, rows, size, last.P, weight_bytes));
      head_bias = std::make_unique<Aligned<T>>(filled(size, T(0)));
      std::copy_n(tokens.bias, V, head_bias->get());
      scores = std::make_unique<Aligned<T>>(N * size);
    }
    int64_t depth = 0;
    for (const Layer<T>& l : layers) {
      work_bytes = std::max(work_bytes, general_workspace_bytes(N, l.H, l.P, sizeof(T)));
      depth = std::max({depth, l.inputs, l.P, l.H});
      work += l.G * l.H * (l.P + (l.fed ? l.inputs : 0));
    }
    work_bytes = (std::max(work_bytes, workspace_bytes(N, depth)) + 63) / 64 * 64;
    share();
    workspace = std::make_unique<Aligned<char>>(threads * work_bytes);
    for (int i = 0; i < threads; ++i) drawings.emplace_back(V);
  }

  // How many threads share the rows that are in use.
  void share() {
    threads = static_cast<int>(std::clamp<int64_t>(std::min<int64_t>(N, work * N / 200'000), 1, most_threads));
  }

  // Rows slot, slot + threads, ...
  struct Own {
    int slot, stride;
    int64_t rows;
    void* workspace;
  };

  // Runs `work(own)` in every thread; the first exception is thrown again here.
  template <class F>
  void share_out(F&& work) {
    std::vector<std::exception_ptr> failures(static_cast<size_t>(threads));
    parallel(threads, [&](int i) {
      try {
        work(Own{i, threads, (N - i + threads - 1) / threads, workspace->get() + i * work_bytes});
      } catch (...) {
        failures[static_cast<size_t>(i)] = std::current_exception();
      }
    });
    for (const std::exception_ptr& failure : failures)
      if (failure) std::rethrow_exception(failure);
  }

  void multiply(const Own& own, T* to, int64_t columns, const T* from, int64_t depth, const Aligned<char>& weight) {
    core.multiply(precision, to + own.slot * columns, own.stride * columns, from + own.slot * depth,
                          own.stride * depth, own.rows, weight.get(), depth, columns, own.workspace);
  }

  // The input's sums of a layer into its gates.
  void feed(const Own& own, Layer<T>& l, const T* x) {
    const int64_t size = l.G * l.H;
    for (int64_t k = 0; k < own.rows; ++k) {
      T* gates = l.gates.get() + (own.slot + k * own.stride) * size;
      if (l.biased && !l.normalises) {
        std::copy_n(l.bias.get(), size, gates);
      } else {
        std::fill_n(gates, size, T(0));
      }
    }
    multiply(own, l.gates.get(), size, x, l.inputs, l.ih);
    for (int64_t k = 0; k < own.rows && l.normalises; ++k) {
      T* gates = l.gates.get() + (own.slot + k * own.stride) * size;
      core.layer_norm(gates, size, l.G * l.count, l.gain_ih.get());
      for (int64_t j = 0; j < size && l.biased; ++j) gates[j] += l.bias.get()[j];
    }
  }

  // One step of all layers, from `padded_x` or, if a table feeds the first layer, from its sums. Returns the last output
  // (N, P).
  const T* step(const Own& own, int64_t number) {
    const T* x = padded_x.get();
    const int64_t offset = 0;
    const Layout layout{1, N, &batch_size, &offset};
    const size_t before = static_cast<size_t>((parity + number) & 1), after = 1 - before;
    for (Layer<T>& l : layers) {
      if (l.fed) feed(own, l, x);
      ForwardBuffers<T> b = l.buffers;
      b.h_0 = l.h[before].get();
      b.output = l.h[after].get();
      b.c_0 = l.memory[before].get();
      b.memory = l.memory[after].get();
      core.forward_general(l.kind, layout, b, l.extras, own.slot, own.stride, own.workspace);
      x = b.output;
    }
    return x;
  }

  void feed_token(int64_t row, int64_t token) {
    Layer<T>& first = layers.front();
    const int64_t size = table ? first.G * first.H : first.inputs;
    const T* from = (table ? table : vectors)->get() + token * size;
    std::copy_n(from, size, (table ? first.gates : padded_x).get() + row * size);
  }

  // Scores (N, padded V) of the last output.
  T* score(const Own& own, const T* output) {
    const int64_t size = padded(V);
    for (int64_t k = 0; k < own.rows; ++k)
      std::copy_n(head_bias->get(), size, scores->get() + (own.slot + k * own.stride) * size);
    multiply(own, scores->get(), size, output, layers.back().P, *head);
    return scores->get();
  }

  void give(const Own& own, const T* from, int64_t stride, T* to, int64_t count) {
    for (int64_t k = 0; k < own.rows && to; ++k) {
      const int64_t row = own.slot + k * own.stride;
      std::copy_n(from + row * stride, count, to + row * count);
    }
  }

  const Target::Kernels<T>& core = kernels<T>();  // of the target that packs: another may be forced later
  int64_t N, capacity, V;
  Precision precision;
  int64_t inputs, batch_size;
  int64_t most_threads, work = 0;
  std::vector<int64_t> banned;
  int64_t parity = 0, weight_bytes = 0, work_bytes = 0;
  int threads = 1;
  std::vector<Layer<T>> layers;
  std::unique_ptr<Aligned<T>> table, vectors, head_bias, scores;
  std::unique_ptr<Aligned<char>> head, workspace;
  Aligned<T> padded_x;
  Aligned<int64_t> chosen;
  std::vector<Drawing<T>> drawings;
};

template <class T>
Stream<T>::Stream(const std::vector<StreamLayer<T>>& layers, const StreamTokens<T>& tokens, int64_t num_rows,
                  Precision precision, int num_threads)
    : impl_(std::make_unique<Impl>(layers, tokens, num_rows, precision, num_threads)) {}
template <class T>
Stream<T>::~Stream() = default;
template <class T>
Stream<T>::Stream(Stream&&) noexcept = default;

template <class T>
void Stream<T>::run(const T* x, int64_t num_steps, T* output) {
  Impl& s = *impl_;
  const int64_t width = padded(s.inputs), outputs = this->outputs();
  s.share_out([&](const typename Impl::Own& own) {
    for (int64_t t = 0; t < num_steps; ++t) {
      for (int64_t k = 0; k < own.rows; ++k) {
        const int64_t row = own.slot + k * own.stride;
        std::copy_n(x + (t * s.N + row) * s.inputs, s.inputs, s.padded_x.get() + row * width);
      }
      const T* last = s.step(own, t);
      s.give(own, last, s.layers.back().P, at(output, t * s.N * outputs), outputs);
    }
  });
  s.parity += num_steps;
}

template <class T>
void Stream<T>::run_tokens(const int64_t* ids, int64_t num_steps, T* output, T* scores) {
  Impl& s = *impl_;
  const int64_t outputs = this->outputs();
  s.share_out([&](const typename Impl::Own& own) {
    for (int64_t t = 0; t < num_steps; ++t) {
      for (int64_t k = 0; k < own.rows; ++k) {
        const int64_t row = own.slot + k * own.stride;
        s.feed_token(row, ids[t * s.N + row]);
      }
      const T* last = s.step(own, t);
      s.give(own, last, s.layers.back().P, at(output, t * s.N * outputs), outputs);
      if (scores) s.give(own, s.score(own, last), padded(s.V), scores + t * s.N * s.V, s.V);
    }
  });
  s.parity += num_steps;
}

template <class T>
int64_t Stream<T>::draw(const int64_t* ids, int64_t count, const double* uniforms, const Sampling& sampling,
                        int64_t* drawn) {
  Impl& s = *impl_;
  std::vector<int64_t> steps(static_cast<size_t>(s.threads));
  s.share_out([&](const typename Impl::Own& own) {
    Drawing<T>& drawing = s.drawings[static_cast<size_t>(own.slot)];
    int64_t t = 0, alive = own.rows;
    for (; t < count && alive; ++t) {
      const int64_t* before = t ? drawn + (t - 1) * s.N : ids;
      for (int64_t k = 0; k < own.rows; ++k) s.feed_token(own.slot + k * own.stride, before[own.slot + k * own.stride]);
      T* scores = s.score(own, s.step(own, t));
      for (int64_t k = 0; k < own.rows; ++k) {
        const int64_t row = own.slot + k * own.stride;
        int64_t& token = drawn[t * s.N + row];
        token = t && before[row] == sampling.end
                    ? sampling.end
                    : drawing.draw(scores + row * padded(s.V), s.V, s.banned, uniforms[t * s.N + row], sampling);
        if (token == sampling.end && !(t && before[row] == sampling.end)) --alive;
      }
    }
    steps[static_cast<size_t>(own.slot)] = t;
    for (int64_t later = t; later < count; ++later)
      for (int64_t k = 0; k < own.rows; ++k) drawn[later * s.N + own.slot + k * own.stride] = sampling.end;
  });
  const int64_t made = *std::max_element(steps.begin(), steps.end());
  s.parity += made;
  return made;
}

template <class T>
int64_t Stream<T>::num_states() const {
  int64_t found = 0;
  for (const auto& l : impl_->layers) found += l.kind == CellKind::lstm ? 2 : 1;
  return found;
}

namespace {

// The buffer of state tensor `index`, its padded and its real width.
template <class T>
struct StatePlace {
  T* data;
  int64_t stride, features;
};

template <class T, class Layers>
StatePlace<T> state_place(Layers& layers, int64_t index, int64_t parity) {
  for (auto& l : layers) {
    if (index-- == 0) return {l.h[parity & 1].get(), l.P, l.outputs};
    if (l.kind == CellKind::lstm && index-- == 0) return {l.memory[parity & 1].get(), l.H, l.count};
  }
  throw std::out_of_range("there is no such state");
}

}  // namespace

template <class T>
int64_t Stream<T>::state_features(int64_t index) const {
  return state_place<T>(impl_->layers, index, impl_->parity).features;
}

template <class T>
void Stream<T>::read_state(int64_t index, T* to) const {
  const auto place = state_place<T>(impl_->layers, index, impl_->parity);
  for (int64_t row = 0; row < impl_->N; ++row)
    std::copy_n(place.data + row * place.stride, place.features, to + row * place.features);
}

template <class T>
void Stream<T>::write_state(int64_t index, const T* from) {
  const auto place = state_place<T>(impl_->layers, index, impl_->parity);
  for (int64_t row = 0; row < impl_->N; ++row) {
    T* end = std::copy_n(from + row * place.features, place.features, place.data + row * place.stride);
    std::fill_n(end, place.stride - place.features, T(0));  // a row before may have left what is not finite: 0 x NaN
  }
}

template <class T>
void Stream<T>::use_rows(int64_t num_rows) {
  Impl& s = *impl_;
  if (num_rows < 1 || num_rows > s.capacity) throw std::out_of_range("a stream has no so many rows");
  s.N = s.batch_size = num_rows;
  s.share();
}

template <class T>
int64_t Stream<T>::capacity() const {
  return impl_->capacity;
}
template <class T>
int64_t Stream<T>::num_rows() const {
  return impl_->N;
}
template <class T>
int64_t Stream<T>::inputs() const {
  return impl_->inputs;
}
template <class T>
int64_t Stream<T>::outputs() const {
  return impl_->layers.back().outputs;
}
template <class T>
int64_t Stream<T>::vocab_size() const {
  return impl_->V;
}
template <class T>
bool Stream<T>::has_scores() const {
  return impl_->head != nullptr;
}
template <class T>
int64_t Stream<T>::weight_bytes() const {
  return impl_->weight_bytes;
}

template class Stream<float>;
template class Stream<double>;

}  // namespace ostinato
