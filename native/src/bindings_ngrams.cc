// The Python module: n-grams.
#include "bindings.h"
#include "ostinato/ngrams.h"

namespace {

ostinato::NgramTree tree_of(const nb::dict& from) {
  const auto order = nb::cast<int64_t>(from["order"]), vocab = nb::cast<int64_t>(from["vocab"]);
  const auto size = static_cast<int64_t>(nb::cast<Array>(from["tokens"]).size());
  if (order < 1 || vocab < 1) throw std::invalid_argument("`order` and `vocab` must be positive");
  return {order,
          vocab,
          size,
          entry<int64_t>(from, "first", {size + 3}),
          entry<int64_t>(from, "tokens", {size}),
          entry<float>(from, "values", {size}),
          entry<float>(from, "totals", {size + 2}),
          entry<float>(from, "taken", {size + 2}),
          entry<int32_t>(from, "counts", {size}),
          entry<uint8_t>(from, "once", {size}),
          entry<float>(from, "discounts", {order, 4}),
          entry<float>(from, "singles", {vocab})};
}

void check_range(const int64_t* values, int64_t count, int64_t least, int64_t bound, const char* name) {
  for (int64_t i = 0; i < count; ++i)
    if (values[i] < least || values[i] >= bound) throw std::invalid_argument(std::string("`") + name + "` is out of range");
}

void contexts(const nb::dict& from, const Array& tokens, const Array& nodes, int num_threads) {
  const ostinato::NgramTree tree = tree_of(from);
  if (nodes.ndim() != 3) throw std::invalid_argument("`nodes` must be (L, N, order)");
  const auto steps = static_cast<int64_t>(nodes.shape(0)), rows = static_cast<int64_t>(nodes.shape(1));
  auto* to = checked<int64_t>(nodes, "nodes", {steps, rows, tree.order});
  const auto* read = checked<int64_t>(tokens, "tokens", {tree.order - 1 + steps, rows});
  nb::gil_scoped_release release;
  ostinato::ngram_contexts(tree, read, steps, rows, to, num_threads);
}

void distribution(const nb::dict& from, const Array& nodes, const Maybe& targets, int64_t pad, const Array& found,
                  int num_threads) {
  const ostinato::NgramTree tree = tree_of(from);
  const auto rows = static_cast<int64_t>(found.shape(0));
  const auto* read = checked<int64_t>(nodes, "nodes", {rows, tree.order});
  const auto* left_out = checked<int64_t>(targets, "targets", {rows});
  auto* to = checked<float>(found, "found", {rows, tree.vocab});
  check_range(read, rows * tree.order, -1, tree.size + 1, "nodes");
  if (left_out) check_range(left_out, rows, 0, tree.vocab, "targets");
  check_range(&pad, 1, 0, tree.vocab, "pad");
  nb::gil_scoped_release release;
  ostinato::ngram_distribution(tree, read, left_out, rows, pad, to, num_threads);
}

}  // namespace

void bind_ngrams(nb::module_& m) {
  m.def("ngram_contexts", &contexts, "tree"_a, "tokens"_a, "nodes"_a, "num_threads"_a);
  m.def("ngram_distribution", &distribution, "tree"_a, "nodes"_a, "targets"_a.none(), "pad"_a, "found"_a, "num_threads"_a);
}
