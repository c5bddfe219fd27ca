// Random convolutions over rows: shares of steps at which kernels of nine steps, three 2 and six -1, exceed bounds.
#pragma once

#include <cstdint>

namespace ostinato {

inline constexpr int64_t kNine = 9, kHigh = 3, kNumKernels = 84;  // every choice of three of nine

template <class T>
struct Convolutions {
  int64_t channels, num_dilations, num_bounds;  // C; different dilations; bounds of a kernel
  const int64_t* dilations;                     // (num_dilations)
  const int64_t* first;                         // (num_dilations + 1): the place of each dilation's first bound
  const uint8_t* reads;                         // (num_dilations, 84, C): 1 of channels that are summed
  const T* bounds;                              // (84, num_bounds)
};

// Rows `x` (N, C, L), of which the first `lengths` (N) steps count, to `found` (N, 84, num_bounds). Kernels of odd number
// look only at steps that all of their nine lie within, where a row has some; the others read zeros around it.
template <class T>
void convolution_shares(const Convolutions<T>& a, const T* x, const int64_t* lengths, int64_t rows, int64_t steps,
                        T* found, int num_threads);

}  // namespace ostinato
