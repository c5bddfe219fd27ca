// The Python module: random convolutions.
#include "bindings.h"
#include "ostinato/convolutions.h"

namespace {

template <class T>
void shares(const Array& dilations, const Array& reads, const Array& bounds, const Array& x, const Array& lengths,
            const Array& found, int num_threads) {
  using ostinato::kNumKernels;
  if (x.ndim() != 3 || bounds.ndim() != 2) throw std::invalid_argument("`x` must be (N, C, L), `bounds` (84, B)");
  const auto rows = static_cast<int64_t>(x.shape(0)), channels = static_cast<int64_t>(x.shape(1));
  const auto steps = static_cast<int64_t>(x.shape(2)), num_bounds = static_cast<int64_t>(bounds.shape(1));
  const auto* every = checked<int64_t>(dilations, "dilations", {num_bounds});
  std::vector<int64_t> different, first;
  for (int64_t b = 0; b < num_bounds; ++b) {
    if (every[b] < 1 || (b && every[b] < every[b - 1])) throw std::invalid_argument("`dilations` must ascend from 1");
    if (b && every[b] == every[b - 1]) continue;
    different.push_back(every[b]);
    first.push_back(b);
  }
  const auto count = static_cast<int64_t>(different.size());
  first.push_back(num_bounds);
  const auto* counts = checked<int64_t>(lengths, "lengths", {rows});
  for (int64_t row = 0; row < rows; ++row)
    if (counts[row] < 0 || counts[row] > steps) throw std::invalid_argument("`lengths` is out of range");
  const ostinato::Convolutions<T> all = {
      channels,     count, num_bounds, different.data(),
      first.data(), checked<uint8_t>(reads, "reads", {count, kNumKernels, channels}),
      checked<T>(bounds, "bounds", {kNumKernels, num_bounds})};
  const auto* from = checked<T>(x, "x", {rows, channels, steps});
  auto* to = checked<T>(found, "found", {rows, kNumKernels, num_bounds});
  nb::gil_scoped_release release;
  ostinato::convolution_shares(all, from, counts, rows, steps, to, num_threads);
}

}  // namespace

void bind_convolutions(nb::module_& m) {
  m.def(
      "convolution_shares",
      [](const Array& dilations, const Array& reads, const Array& bounds, const Array& x, const Array& lengths,
         const Array& found, int num_threads) {
        const auto compute = x.dtype() == nb::dtype<double>() ? shares<double> : shares<float>;
        compute(dilations, reads, bounds, x, lengths, found, num_threads);
      },
      "dilations"_a, "reads"_a, "bounds"_a, "x"_a, "lengths"_a, "found"_a, "num_threads"_a);
}
