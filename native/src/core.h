// What layer.cc and stream.cc share: the kernels of a type, aligned memory.
#pragma once

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <cstdlib>
#include <memory>
#include <new>

#include "ostinato/layer.h"

namespace ostinato {

template <class T>
const Target::Kernels<T>& kernels() {
  if constexpr (sizeof(T) == 4) {
    return target().f32;
  } else {
    return target().f64;
  }
}

// `size` elements, aligned to 64 bytes, not initialised. Large ones ask for large pages.
template <class T>
struct Aligned {
  explicit Aligned(int64_t size) : data(nullptr, std::free) {
    constexpr size_t kLargePage = 2 << 20;
    const size_t bytes = static_cast<size_t>(size) * sizeof(T), unit = bytes >= 2 * kLargePage ? kLargePage : 64;
    const size_t rounded = (bytes + unit) / unit * unit;
    data.reset(static_cast<T*>(std::aligned_alloc(unit, rounded)));
    if (!data) throw std::bad_alloc();
#if defined(__linux__)
    if (unit == kLargePage) madvise(data.get(), rounded, MADV_HUGEPAGE);
#endif
  }
  T* get() const { return data.get(); }
  std::unique_ptr<T, void (*)(void*)> data;
};

template <class T>
T* at(T* buffer, int64_t offset) {
  return buffer ? buffer + offset : nullptr;
}

}  // namespace ostinato
