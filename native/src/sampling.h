// Drawing one of many by score.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <vector>

#include "core.h"
#include "ostinato/stream.h"

namespace ostinato {

// Room for drawing from V scores, made once.
template <class T>
class Drawing {
 public:
  explicit Drawing(int64_t size) : order_(static_cast<size_t>(size)), sorted_(static_cast<size_t>(size)) {}

  // The number drawn at `uniform` in [0, 1); `scores` are overwritten. In the order of the numbers, the first at which
  // the sum of exp(score / temperature) over those left by top_k and top_p passes `uniform` times its total.
  int64_t draw(T* scores, int64_t size, const std::vector<int64_t>& banned, double uniform, const Sampling& how) {
    for (int64_t one : banned) scores[one] = -std::numeric_limits<T>::infinity();
    if (how.temperature == 0) return likeliest(scores, size);
    double sum = kernels<T>().exponentials(scores, size, static_cast<T>(1 / how.temperature));
    if (!(sum > 0) || sum > std::numeric_limits<double>::max()) throw std::domain_error("the scores are not numbers");
    for (int64_t one : banned) scores[one] = 0;
    if (how.top_k > 0 && how.top_k < size) keep_largest(scores, size, how.top_k);
    if (how.top_p < 1) keep_share(scores, size, how.top_p);
    sum = 0;
    for (int64_t k = 0; k < size; ++k) sum += static_cast<double>(scores[k]);
    const double target = uniform * sum;
    double passed = 0;
    int64_t last = 0;
    for (int64_t k = 0; k < size; ++k) {
      if (!(scores[k] > 0)) continue;
      passed += static_cast<double>(scores[k]);
      last = k;
      if (passed > target) return k;
    }
    return last;  // rounding
  }

 private:
  static int64_t likeliest(const T* scores, int64_t size) {
    int64_t best = 0;
    for (int64_t k = 0; k < size; ++k) {
      if (scores[k] != scores[k]) throw std::domain_error("the scores are not numbers");
      if (scores[k] > scores[best]) best = k;
    }
    return best;
  }

  void keep_largest(T* scores, int64_t size, int64_t count) {
    std::copy(scores, scores + size, sorted_.begin());
    std::nth_element(sorted_.begin(), sorted_.begin() + (count - 1), sorted_.begin() + size, std::greater<T>());
    const T least = sorted_[static_cast<size_t>(count - 1)];
    for (int64_t k = 0; k < size; ++k)
      if (scores[k] < least) scores[k] = 0;
  }

  void keep_share(T* scores, int64_t size, double share) {
    double total = 0;
    int64_t left = 0;
    for (int64_t k = 0; k < size; ++k) {
      total += static_cast<double>(scores[k]);
      if (scores[k] > 0) order_[static_cast<size_t>(left++)] = k;
    }
    std::stable_sort(order_.begin(), order_.begin() + left, [&](int64_t a, int64_t b) { return scores[a] > scores[b]; });
    double before = 0;
    for (int64_t k = 0; k < left; ++k) {
      T& score = scores[order_[static_cast<size_t>(k)]];
      const double own = static_cast<double>(score) / total;
      if (before >= share) score = 0;
      before += own;
    }
  }

  std::vector<int64_t> order_;
  std::vector<T> sorted_;
};

}  // namespace ostinato
