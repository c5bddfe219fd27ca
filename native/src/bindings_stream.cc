// The Python module: streams.
#include "bindings.h"
#include "ostinato/stream.h"

namespace {

using ostinato::Precision;

template <class T>
ostinato::StreamLayer<T> layer_of(const nb::dict& from, bool has_table) {
  ostinato::StreamLayer<T> a{};
  a.kind = kind_of(nb::cast<std::string>(from["cell"]));
  a.inputs = nb::cast<int64_t>(from["inputs"]);
  a.hidden = nb::cast<int64_t>(from["units"]);
  a.size = nb::cast<int64_t>(from["output_units"]);
  a.count = nb::cast<int64_t>(from["hidden_size"]);
  a.outputs = nb::cast<int64_t>(from["output_size"]);
  a.reset_before = nb::cast<bool>(from["reset_before"]);
  const int64_t G = ostinato::num_gates(a.kind), H = a.hidden, P = a.size;
  const int64_t wide = (a.inputs + ostinato::kUnitMultiple - 1) / ostinato::kUnitMultiple * ostinato::kUnitMultiple;
  if (H < 1 || P < 1 || H % ostinato::kUnitMultiple || P % ostinato::kUnitMultiple || a.count < 1 || a.count > H ||
      a.outputs < 1 || a.outputs > P || a.inputs < 1)
    throw std::invalid_argument("a layer's sizes must be positive, those of units padded to a multiple of 16");
  a.weight_ih = entry<T>(from, "weight_ih", {G * H, wide});
  a.weight_hh = entry<T>(from, "weight_hh", {G * H, P});
  a.weight_hr = entry<T>(from, "weight_hr", {P, H});
  a.bias = entry<T>(from, "bias", {G * H});
  a.bias_hn = entry<T>(from, "bias_hn", {H});
  a.peepholes = entry<T>(from, "peepholes", {3 * H});
  a.gain_ih = entry<T>(from, "gain_ih", {G * H});
  a.gain_hh = entry<T>(from, "gain_hh", {G * H});
  a.gain_c = entry<T>(from, "gain_c", {H});
  a.bias_c = entry<T>(from, "bias_c", {H});
  a.zoneout_h = nb::cast<double>(from["zoneout_h"]);
  a.zoneout_c = nb::cast<double>(from["zoneout_c"]);
  if (!a.weight_hh || (!a.weight_ih) != has_table || (!a.weight_hr && P != H) || (a.gain_c != nullptr) != (a.bias_c != nullptr))
    throw std::invalid_argument("a layer lacks weights, or has some too many");
  return a;
}

template <class T>
class Bound {
 public:
  using Ids = nb::ndarray<const int64_t, nb::device::cpu, nb::c_contig>;
  using Numbers = nb::ndarray<T, nb::device::cpu, nb::c_contig>;

  Bound(const nb::list& layers, const nb::dict& tokens, int64_t num_rows, const std::string& precision, int num_threads)
      : stream_(make(layers, tokens, num_rows, precision, num_threads)) {}

  void use_rows(int64_t num_rows) {
    require(num_rows >= 1 && num_rows <= stream_.capacity(), "a stream has rows from 1 to as many as it was made for");
    stream_.use_rows(num_rows);
  }

  void run(const Numbers& x, const Numbers& output) {
    const int64_t L = steps(x, 3, stream_.inputs());
    require(steps(output, 3, stream_.outputs()) == L && vocabulary_ == 0, "`x` and `output` must be (L, N, features)");
    nb::gil_scoped_release release;
    stream_.run(x.data(), L, output.data());
  }

  void run_tokens(const Ids& ids, const std::optional<Numbers>& output, const std::optional<Numbers>& scores) {
    const int64_t L = steps(ids, 2, 0);
    require(!output || steps(*output, 3, stream_.outputs()) == L, "`output` must be (L, N, features)");
    require(!scores || (stream_.has_scores() && steps(*scores, 3, stream_.vocab_size()) == L), "`scores` must be (L, N, V)");
    check_ids(ids);
    nb::gil_scoped_release release;
    stream_.run_tokens(ids.data(), L, output ? output->data() : nullptr, scores ? scores->data() : nullptr);
  }

  int64_t draw(const Ids& ids, const nb::ndarray<const double, nb::ndim<2>, nb::device::cpu, nb::c_contig>& uniforms,
               double temperature, int64_t top_k, double top_p, int64_t end,
               const nb::ndarray<int64_t, nb::ndim<2>, nb::device::cpu, nb::c_contig>& drawn) {
    const int64_t L = static_cast<int64_t>(uniforms.shape(0)), N = stream_.num_rows();
    require(stream_.has_scores(), "this stream has no scores to draw by");
    require(ids.ndim() == 1 && static_cast<int64_t>(ids.shape(0)) == N && static_cast<int64_t>(uniforms.shape(1)) == N &&
                static_cast<int64_t>(drawn.shape(0)) == L && static_cast<int64_t>(drawn.shape(1)) == N,
            "`ids` must be (N,), `uniforms` and `drawn` (L, N)");
    require(temperature >= 0 && top_k >= 0 && top_p > 0 && top_p <= 1, "the sampling options are out of range");
    check_ids(ids);
    nb::gil_scoped_release release;
    return stream_.draw(ids.data(), L, uniforms.data(), {temperature, top_k, top_p, end}, drawn.data());
  }

  std::vector<int64_t> state_features() const {
    std::vector<int64_t> found;
    for (int64_t i = 0; i < stream_.num_states(); ++i) found.push_back(stream_.state_features(i));
    return found;
  }
  void read_state(int64_t index, const Numbers& to) const { stream_.read_state(index, state(index, to)); }
  void write_state(int64_t index, const Numbers& from) { stream_.write_state(index, state(index, from)); }
  int64_t weight_bytes() const { return stream_.weight_bytes(); }

 private:
  static void require(bool fits, const char* message) {
    if (!fits) throw std::invalid_argument(message);
  }

  ostinato::Stream<T> make(const nb::list& layers, const nb::dict& tokens, int64_t num_rows, const std::string& precision,
                           int num_threads) {
    require(num_rows >= 1 && nb::len(layers) >= 1, "a stream needs a row and a layer");
    const Precision how = precision_of(precision);
    require(how != Precision::bf16 && (how == Precision::full || sizeof(T) == 4), "a stream computes in full precision or, from float32, in int8");
    std::vector<ostinato::StreamLayer<T>> found;
    vocabulary_ = tokens.contains("vocab_size") ? nb::cast<int64_t>(tokens["vocab_size"]) : 0;
    const bool has_table = tokens.contains("table");
    for (size_t i = 0; i < nb::len(layers); ++i) {
      found.push_back(layer_of<T>(nb::cast<nb::dict>(layers[i]), has_table && i == 0));
      require(i == 0 || found[i].inputs == found[i - 1].outputs, "a layer's input must be the output of the one below");
    }
    ostinato::StreamTokens<T> given;
    if (vocabulary_) {
      const int64_t V = vocabulary_, wide = (found[0].inputs + 15) / 16 * 16;
      given.vocab_size = V;
      given.table = entry<T>(tokens, "table", {V, ostinato::num_gates(found[0].kind) * found[0].hidden});
      given.vectors = entry<T>(tokens, "vectors", {V, wide});
      require(!given.table != !given.vectors, "tokens need a table or vectors");
      given.weight = entry<T>(tokens, "weight", {V, found.back().size});
      given.bias = entry<T>(tokens, "bias", {V});
      given.banned = nb::cast<std::vector<int64_t>>(tokens["banned"]);
      for (int64_t one : given.banned) require(one >= 0 && one < V, "a banned token is outside the vocabulary");
      require(!given.weight == !given.bias, "scores need a weight and a bias");
    }
    return {found, given, num_rows, how, num_threads};
  }

  // The number of steps of (L, N) or (L, N, features).
  template <class A>
  int64_t steps(const A& array, size_t axes, int64_t features) const {
    require(array.ndim() == axes && static_cast<int64_t>(array.shape(1)) == stream_.num_rows() &&
                (axes < 3 || static_cast<int64_t>(array.shape(2)) == features),
            "an array must be (L, N) of tokens, or (L, N, features)");
    return static_cast<int64_t>(array.shape(0));
  }

  void check_ids(const Ids& ids) const {
    require(vocabulary_ > 0, "this stream reads no tokens");
    for (size_t i = 0; i < ids.size(); ++i)
      if (ids.data()[i] < 0 || ids.data()[i] >= vocabulary_)
        throw std::invalid_argument("token " + std::to_string(ids.data()[i]) + " is outside the vocabulary of " +
                                    std::to_string(vocabulary_));
  }

  T* state(int64_t index, const Numbers& array) const {
    require(index >= 0 && index < stream_.num_states(), "there is no such state");
    require(array.ndim() == 2 && static_cast<int64_t>(array.shape(0)) == stream_.num_rows() &&
                static_cast<int64_t>(array.shape(1)) == stream_.state_features(index),
            "a state must be (N, features)");
    return array.data();
  }

  int64_t vocabulary_ = 0;
  ostinato::Stream<T> stream_;
};

template <class T>
void bind(nb::module_& m, const char* name) {
  using B = Bound<T>;
  nb::class_<B>(m, name)
      .def(nb::init<const nb::list&, const nb::dict&, int64_t, const std::string&, int>(), "layers"_a, "tokens"_a,
           "num_rows"_a, "precision"_a, "num_threads"_a)
      .def("use_rows", &B::use_rows, "num_rows"_a)
      .def("run", &B::run, "x"_a, "output"_a)
      .def("run_tokens", &B::run_tokens, "ids"_a, "output"_a.none(), "scores"_a.none())
      .def("draw", &B::draw, "ids"_a, "uniforms"_a, "temperature"_a, "top_k"_a, "top_p"_a, "end"_a, "drawn"_a)
      .def("state_features", &B::state_features)
      .def("read_state", &B::read_state, "index"_a, "to"_a)
      .def("write_state", &B::write_state, "index"_a, "values"_a)
      .def("weight_bytes", &B::weight_bytes);
}

}  // namespace

void bind_stream(nb::module_& m) {
  bind<float>(m, "Stream32");
  bind<double>(m, "Stream64");
}
