// Random convolutions over one row: sums that all kernels of a dilation share, and counts of steps above bounds.
#pragma once

#include <algorithm>

#include "ostinato/convolutions.h"

namespace ostinato::OSTINATO_TARGET {

// The row's channels that a kernel reads, summed, between zeros; and minus the nine steps around each.
template <class T>
void read_channels(const Convolutions<T>& a, const uint8_t* reads, const T* x, int64_t stride, int64_t length,
                   int64_t dilation, T* row, T* base) {
  const int64_t margin = kNine / 2 * dilation;
  std::fill_n(row, length + 2 * margin, T(0));
  for (int64_t c = 0; c < a.channels; ++c) {
    if (!reads[c]) continue;
    for (int64_t t = 0; t < length; ++t) row[margin + t] += x[c * stride + t];
  }
  std::fill_n(base, length, T(0));
  for (int64_t i = 0; i < kNine; ++i)
    for (int64_t t = 0; t < length; ++t) base[t] -= row[t + i * dilation];
}

template <class T>
T share_above(const T* sums, int64_t from, int64_t to, T bound) {
  int32_t count = 0;
  for (int64_t t = from; t < to; ++t) count += sums[t] > bound;
  return static_cast<T>(count) / static_cast<T>(std::max<int64_t>(1, to - from));
}

// `x` (C, stride); `workspace`: `convolution_workspace` numbers.
template <class T>
void row_shares(const Convolutions<T>& a, const T* x, int64_t stride, int64_t length, T* found, T* workspace) {
  T *sums = workspace, *base = sums + length, *row = base + length;
  for (int64_t n = 0; n < a.num_dilations; ++n) {
    const int64_t d = a.dilations[n], margin = kNine / 2 * d;
    int64_t kernel = 0;
    for (int64_t i = 0; i < kNine; ++i)
      for (int64_t j = i + 1; j < kNine; ++j)
        for (int64_t k = j + 1; k < kNine; ++k, ++kernel) {
          if (!kernel || a.channels > 1)
            read_channels(a, a.reads + (n * kNumKernels + kernel) * a.channels, x, stride, length, d, row, base);
          const T *first = row + i * d, *second = row + j * d, *third = row + k * d;
          for (int64_t t = 0; t < length; ++t) sums[t] = base[t] + T(3) * (first[t] + second[t] + third[t]);
          const int64_t cut = kernel % 2 && length > 2 * margin ? margin : 0;
          for (int64_t b = a.first[n]; b < a.first[n + 1]; ++b)
            found[kernel * a.num_bounds + b] =
                share_above(sums, cut, length - cut, a.bounds[kernel * a.num_bounds + b]);
        }
  }
}

}  // namespace ostinato::OSTINATO_TARGET
