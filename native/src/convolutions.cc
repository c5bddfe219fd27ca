// Random convolutions over many rows, shared out among threads.
#include "ostinato/convolutions.h"

#include <algorithm>
#include <vector>

#include "core.h"

namespace ostinato {

template <class T>
void convolution_shares(const Convolutions<T>& a, const T* x, const int64_t* lengths, int64_t rows, int64_t steps,
                        T* found, int num_threads) {
  const Target::Kernels<T>& core = kernels<T>();
  const int64_t widest = a.num_dilations ? *std::max_element(a.dilations, a.dilations + a.num_dilations) : 0;
  const int threads = static_cast<int>(std::max<int64_t>(1, std::min<int64_t>(num_threads, rows)));
  parallel(threads, [&](int slot) {
    std::vector<T> workspace(static_cast<size_t>(3 * steps + (kNine - 1) * widest));
    for (int64_t row = slot; row < rows; row += threads)
      core.row_shares(a, x + row * a.channels * steps, steps, lengths[row],
                      found + row * kNumKernels * a.num_bounds, workspace.data());
  });
}

template void convolution_shares(const Convolutions<float>&, const float*, const int64_t*, int64_t, int64_t, float*, int);
template void convolution_shares(const Convolutions<double>&, const double*, const int64_t*, int64_t, int64_t, double*, int);

}  // namespace ostinato
