#include "ostinato/linear.h"

#include <algorithm>

#include "core.h"

namespace ostinato {
namespace {

constexpr int64_t kRowsAtOnce = 64;

}  // namespace

template <class T>
struct Linear<T>::Impl {
  const Target::Kernels<T>& core = kernels<T>();  // of the target that packs: another may be forced later
  int64_t columns, depth;
  Aligned<char> weight;
  Aligned<T> bias;
};

template <class T>
Linear<T>::Linear(const T* weight, const T* bias, int64_t columns, int64_t depth)
    : impl_(new Impl{kernels<T>(), columns, depth, Aligned<char>(packed_bytes(Precision::full, columns, depth, sizeof(T))),
                     Aligned<T>(columns)}) {
  impl_->core.pack(Precision::full, columns, depth, false, weight, impl_->weight.get());
  if (bias) {
    std::copy_n(bias, columns, impl_->bias.get());
  } else {
    std::fill_n(impl_->bias.get(), columns, T(0));
  }
}
template <class T>
Linear<T>::~Linear() = default;
template <class T>
Linear<T>::Linear(Linear&&) noexcept = default;

template <class T>
void Linear<T>::run(const T* x, int64_t rows, T* output, int num_threads) const {
  const Impl& s = *impl_;
  const int64_t work = rows * s.columns * s.depth / 200'000, least = 1;
  const int threads = static_cast<int>(std::clamp<int64_t>(std::min(work, rows), least, std::max(num_threads, 1)));
  parallel(threads, [&](int i) {
    const int64_t from = rows * i / threads, to = rows * (i + 1) / threads;
    Aligned<char> workspace(workspace_bytes(kRowsAtOnce, s.depth));
    for (int64_t row = from; row < to; row += kRowsAtOnce) {
      const int64_t count = std::min(kRowsAtOnce, to - row);
      for (int64_t k = 0; k < count; ++k) std::copy_n(s.bias.get(), s.columns, output + (row + k) * s.columns);
      s.core.multiply(Precision::full, output + row * s.columns, s.columns, x + row * s.depth, s.depth, count,
                      s.weight.get(), s.depth, s.columns, workspace.get());
    }
  });
}

template <class T>
int64_t Linear<T>::columns() const {
  return impl_->columns;
}
template <class T>
int64_t Linear<T>::depth() const {
  return impl_->depth;
}

template class Linear<float>;
template class Linear<double>;

}  // namespace ostinato
