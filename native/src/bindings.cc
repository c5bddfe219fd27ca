// The Python module: layers. Streams are in bindings_stream.cc.
#include "bindings.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace {

using ostinato::CellKind;

struct Structure {
  Structure(const Sizes& sizes, int64_t num_rows, int64_t sum_l) : offsets(sizes.shape(0)) {
    const int64_t* data = sizes.data();
    int64_t total = 0;
    for (size_t t = 0; t < offsets.size(); ++t) {
      if (data[t] < 1 || data[t] > (t ? data[t - 1] : num_rows))
        throw std::invalid_argument("`batch_sizes` must never increase, and lie from 1 to the number of rows");
      offsets[t] = total;
      total += data[t];
    }
    if (total != sum_l)
      throw std::invalid_argument("`batch_sizes` must add up to the number of values, " + std::to_string(sum_l) +
                                  ". Received: " + std::to_string(total));
    layout = {static_cast<int64_t>(offsets.size()), num_rows, data, offsets.data()};
  }
  std::vector<int64_t> offsets;
  ostinato::Layout layout;
};

struct Shape {
  Shape(const Array& h_0, const Array& gates, CellKind kind) {
    if (h_0.ndim() != 3 || gates.ndim() != 2) throw std::invalid_argument("`h_0` must have 3 axes and `gates` 2");
    D = static_cast<int64_t>(h_0.shape(0));
    N = static_cast<int64_t>(h_0.shape(1));
    P = static_cast<int64_t>(h_0.shape(2));
    L = static_cast<int64_t>(gates.shape(0));
    G = ostinato::num_gates(kind);
    if (D < 1 || D > 2) throw std::invalid_argument("there are one or two directions");
    H = static_cast<int64_t>(gates.shape(1)) / (D * G);
    if (!H || H % ostinato::kUnitMultiple || !P || P % ostinato::kUnitMultiple)
      throw std::invalid_argument("the number of units must be a multiple of 16");
  }
  int64_t D, N, H, P, L, G;
};

void check_projection(const Shape& s, CellKind kind, const Arrays& weight_hr, const void* buffer) {
  const bool projects = !weight_hr.empty();
  if (projects != (buffer != nullptr) || (projects && kind != CellKind::lstm) || (!projects && s.P != s.H))
    throw std::invalid_argument("an output of another size than the state needs a projection, which an LSTM has");
}

// What may be added to a cell, by name; arrays hold the directions one after the other.
template <class T>
ostinato::Extras<T> extras_of(const nb::dict& from, CellKind kind, const Shape& s, bool backward) {
  ostinato::Extras<T> x{};
  x.precision = from.contains("precision") ? precision_of(nb::cast<std::string>(from["precision"])) : ostinato::Precision::full;
  x.reset_before = from.contains("reset_before") && nb::cast<bool>(from["reset_before"]);
  x.count = from.contains("count") ? nb::cast<int64_t>(from["count"]) : s.H;
  x.hidden_mask = entry<T>(from, "hidden_mask", {s.D, s.N, s.P});
  x.zoneout_h = entry<T>(from, "zoneout_h", {s.D, s.L, s.P});
  x.zoneout_c = entry<T>(from, "zoneout_c", {s.D, s.L, s.H});
  x.peepholes = entry<T>(from, "peepholes", {s.D, 3 * s.H});
  x.gain_hh = entry<T>(from, "gain_hh", {s.D, s.G * s.H});
  x.gain_c = entry<T>(from, "gain_c", {s.D, s.H});
  x.bias_c = entry<T>(from, "bias_c", {s.D, s.H});
  x.normalised = entry<T>(from, "normalised", {s.D, s.L, s.G * s.H});
  x.inverse_std = entry<T>(from, "inverse_std", {s.D, s.L});
  x.d_recurrent = entry<T>(from, "d_recurrent", {s.D, s.L, s.G * s.H});
  x.d_vectors = entry<T>(from, "d_vectors", {s.D, s.N, (5 + s.G) * s.H});
  const bool lstm = kind == CellKind::lstm, vectors = x.peepholes || x.gain_hh || x.gain_c;
  if ((x.zoneout_c || x.peepholes || x.gain_c) && !lstm) throw std::invalid_argument("those extras are an LSTM's");
  if (x.reset_before && (kind != CellKind::gru || x.gain_hh))
    throw std::invalid_argument("only a GRU without layer norm resets before the product");
  if (x.count < 1 || x.count > s.H) throw std::invalid_argument("`count` must lie from 1 to the number of units");
  if ((x.gain_c != nullptr) != (x.bias_c != nullptr) || (x.gain_hh != nullptr) != (x.normalised != nullptr) ||
      (x.gain_hh != nullptr) != (x.inverse_std != nullptr) ||
      (backward && ((x.gain_hh != nullptr) != (x.d_recurrent != nullptr) || vectors != (x.d_vectors != nullptr))))
    throw std::invalid_argument("the extras don't fit together");
  if (sizeof(T) != 4 && x.precision != ostinato::Precision::full)
    throw std::invalid_argument("only float32 has other precisions");
  return x;
}

template <class T>
void forward(CellKind kind, const Sizes& sizes, const Arrays& weight_hh, const Arrays& weight_hr, const Arrays& bias_hn,
             const Array& h_0, const Maybe& c_0, const Array& gates, const Array& output, const Maybe& memory,
             const Maybe& unprojected, const Array& h_n, const Maybe& c_n, bool reverse, int num_threads,
             const nb::dict& extras) {
  const Shape s(h_0, gates, kind);
  const Structure structure(sizes, s.N, s.L);
  ostinato::LayerForward<T> a{kind, structure.layout, s.H, s.P, s.L, static_cast<int>(s.D), num_threads, reverse, {}, {}, {},
                              checked<T>(h_0, "h_0", {s.D, s.N, s.P}), checked<T>(c_0, "c_0", {s.D, s.N, s.H}),
                              checked<T>(gates, "gates", {s.L, s.D * s.G * s.H}),
                              checked<T>(output, "output", {s.L, s.D * s.P}),
                              checked<T>(memory, "memory", {s.D, s.L, s.H}),
                              checked<T>(unprojected, "unprojected", {s.D, s.L, s.H}),
                              checked<T>(h_n, "h_n", {s.D, s.N, s.P}),
                              checked<T>(c_n, "c_n", {s.D, s.N, s.H}),
                              extras_of<T>(extras, kind, s, false)};
  const bool lstm = kind == CellKind::lstm;
  if ((lstm || kind == CellKind::gru) != (a.memory != nullptr) || lstm != (a.c_0 != nullptr) || lstm != (a.c_n != nullptr))
    throw std::invalid_argument("the buffers are not those of this cell");
  check_projection(s, kind, weight_hr, a.unprojected);
  for (int64_t d = 0; d < s.D; ++d) {
    a.weight_hh[d] = checked<T>(weight_hh.at(d), "weight_hh", {s.G * s.H, s.P});
    a.weight_hr[d] = weight_hr.empty() ? nullptr : checked<T>(weight_hr.at(d), "weight_hr", {s.P, s.H});
    a.bias_hn[d] = bias_hn.empty() ? nullptr : checked<T>(bias_hn.at(d), "bias_hn", {s.H});
  }
  nb::gil_scoped_release release;
  ostinato::run(a);
}

template <class T>
void backward(CellKind kind, const Sizes& sizes, const Arrays& weight_hh, const Arrays& weight_hr, const Array& h_0,
              const Maybe& c_0, const Array& gates, const Array& output, const Maybe& memory, const Array& d_output,
              const Array& d_h, const Maybe& d_c, const Array& d_gates, const Maybe& d_hidden_n, const Maybe& d_projected,
              const Maybe& h_previous, bool reverse, int num_threads, const Maybe& d_memory, const nb::dict& extras) {
  const Shape s(h_0, gates, kind);
  const Structure structure(sizes, s.N, s.L);
  ostinato::LayerBackward<T> a{kind, structure.layout, s.H, s.P, s.L, static_cast<int>(s.D), num_threads, reverse, {}, {},
                               checked<T>(h_0, "h_0", {s.D, s.N, s.P}), checked<T>(c_0, "c_0", {s.D, s.N, s.H}),
                               checked<T>(gates, "gates", {s.L, s.D * s.G * s.H}),
                               checked<T>(output, "output", {s.L, s.D * s.P}),
                               checked<T>(memory, "memory", {s.D, s.L, s.H}),
                               checked<T>(d_output, "d_output", {s.L, s.D * s.P}),
                               checked<T>(d_h, "d_h", {s.D, s.N, s.P}), checked<T>(d_c, "d_c", {s.D, s.N, s.H}),
                               checked<T>(d_gates, "d_gates", {s.L, s.D * s.G * s.H}),
                               checked<T>(d_hidden_n, "d_hidden_n", {s.D, s.L, s.H}),
                               checked<T>(d_projected, "d_projected", {s.D, s.L, s.P}),
                               checked<T>(h_previous, "h_previous", {s.D, s.L, s.P}),
                               checked<T>(d_memory, "d_memory", {s.D, s.L, s.H}), extras_of<T>(extras, kind, s, true)};
  const bool lstm = kind == CellKind::lstm, gru = kind == CellKind::gru;
  if ((lstm || gru) != (a.memory != nullptr) || lstm != (a.c_0 != nullptr) || lstm != (a.d_c != nullptr) ||
      (gru && !a.extras.reset_before) != (a.d_hidden_n != nullptr) || (a.d_memory && !lstm))
    throw std::invalid_argument("the buffers are not those of this cell");
  check_projection(s, kind, weight_hr, a.d_projected);
  for (int64_t d = 0; d < s.D; ++d) {
    a.weight_hh[d] = checked<T>(weight_hh.at(d), "weight_hh", {s.G * s.H, s.P});
    a.weight_hr[d] = weight_hr.empty() ? nullptr : checked<T>(weight_hr.at(d), "weight_hr", {s.P, s.H});
  }
  nb::gil_scoped_release release;
  ostinato::run(a);
}

// Every step allocates and frees the same large buffers. By default glibc gives such memory back to the system and asks
// for it again, and each of its pages then costs a fault: up to a third of a small layer's time. Keep up to 256 MB.
// Not while `keep` is false: what outlives a stretch of steps then lies apart from its large buffers, which could not be
// used again once small things stood between them.
void keep_freed_memory(bool keep) {
#if defined(__GLIBC__)
  mallopt(M_MMAP_THRESHOLD, keep ? 32 << 20 : 16 << 10);  // 32 MB is the largest value it takes
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
  mallopt(M_TOP_PAD, 16 << 20);
#endif
}

}  // namespace

NB_MODULE(_native, m) {
  m.doc() = "The native core of Ostinato. Use ostinato.kernels.native.";
  keep_freed_memory(true);
  m.def("keep_freed_memory", &keep_freed_memory, "keep"_a);
  m.attr("UNIT_MULTIPLE") = ostinato::kUnitMultiple;
  m.def("targets", [] {
    std::vector<std::tuple<std::string, bool>> found;
    for (const ostinato::Target* one : ostinato::targets()) found.emplace_back(one->name, one->runs_here());
    return found;
  });
  m.def("target", [] { return std::string(ostinato::target().name); });
  m.def("force_target", &ostinato::force_target, "name"_a);
  m.def("has_bf16", [] { return ostinato::target().has_bf16; });
  m.def(
      "read",
      [](const nb::ndarray<const float, nb::ndim<1>, nb::device::cpu, nb::c_contig>& values, int64_t repeats) {
        nb::gil_scoped_release release;
        float sum = 0;
        for (int64_t i = 0; i < repeats; ++i)
          sum += ostinato::target().f32.read(values.data(), static_cast<int64_t>(values.shape(0)));
        return sum;
      },
      "values"_a, "repeats"_a);
  bind_ngrams(m);
  bind_convolutions(m);
  bind_linear(m);
  bind_stream(m);
  m.def("threads_of", [] { return std::string(ostinato::parallel_kind()); });
  m.def(
      "forward",
      [](const std::string& cell, const Sizes& batch_sizes, const Arrays& weight_hh, const Arrays& weight_hr,
         const Arrays& bias_hn, const Array& h_0, const Maybe& c_0, const Array& gates, const Array& output,
         const Maybe& memory, const Maybe& unprojected, const Array& h_n, const Maybe& c_n, bool reverse,
         int num_threads, const nb::dict& extras) {
        const auto run = gates.dtype() == nb::dtype<double>() ? forward<double> : forward<float>;
        run(kind_of(cell), batch_sizes, weight_hh, weight_hr, bias_hn, h_0, c_0, gates, output, memory, unprojected, h_n,
            c_n, reverse, num_threads, extras);
      },
      "cell"_a, "batch_sizes"_a, "weight_hh"_a, "weight_hr"_a, "bias_hn"_a, "h_0"_a, "c_0"_a.none(), "gates"_a,
      "output"_a, "memory"_a.none(), "unprojected"_a.none(), "h_n"_a, "c_n"_a.none(), "reverse"_a, "num_threads"_a,
      "extras"_a = nb::dict());
  m.def(
      "backward",
      [](const std::string& cell, const Sizes& batch_sizes, const Arrays& weight_hh, const Arrays& weight_hr,
         const Array& h_0, const Maybe& c_0, const Array& gates, const Array& output, const Maybe& memory,
         const Array& d_output, const Array& d_h, const Maybe& d_c, const Array& d_gates, const Maybe& d_hidden_n,
         const Maybe& d_projected, const Maybe& h_previous, bool reverse, int num_threads, const Maybe& d_memory,
         const nb::dict& extras) {
        const auto run = gates.dtype() == nb::dtype<double>() ? backward<double> : backward<float>;
        run(kind_of(cell), batch_sizes, weight_hh, weight_hr, h_0, c_0, gates, output, memory, d_output, d_h, d_c,
            d_gates, d_hidden_n, d_projected, h_previous, reverse, num_threads, d_memory, extras);
      },
      "cell"_a, "batch_sizes"_a, "weight_hh"_a, "weight_hr"_a, "h_0"_a, "c_0"_a.none(), "gates"_a, "output"_a,
      "memory"_a.none(), "d_output"_a, "d_h"_a, "d_c"_a.none(), "d_gates"_a, "d_hidden_n"_a.none(),
      "d_projected"_a.none(), "h_previous"_a.none(), "reverse"_a, "num_threads"_a, "d_memory"_a.none() = nb::none(),
      "extras"_a = nb::dict());
}
