// A linear map whose rows do not depend on each other: each sum is over k in one order, however many rows there are.
#pragma once

#include <memory>

#include "ostinato/layer.h"

namespace ostinato {

template <class T>
class Linear {
 public:
  // weight (columns, depth) and bias (columns,) or null; columns and depth padded to multiples of 16. Copied.
  Linear(const T* weight, const T* bias, int64_t columns, int64_t depth);
  ~Linear();
  Linear(Linear&&) noexcept;

  // x (rows, depth) -> x weight^T + bias, (rows, columns), on at most `num_threads` threads.
  void run(const T* x, int64_t rows, T* output, int num_threads) const;

  int64_t columns() const;
  int64_t depth() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ostinato
