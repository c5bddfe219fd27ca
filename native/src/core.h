// What layer.cc and stream.cc share: the kernels of a type, aligned memory.
#pragma once

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

// `size` elements, aligned to 64 bytes, not initialised.
template <class T>
struct Aligned {
  explicit Aligned(int64_t size)
      : data(static_cast<T*>(std::aligned_alloc(64, (static_cast<size_t>(size) * sizeof(T) + 64) / 64 * 64)), std::free) {
    if (!data) throw std::bad_alloc();
  }
  T* get() const { return data.get(); }
  std::unique_ptr<T, void (*)(void*)> data;
};

template <class T>
T* at(T* buffer, int64_t offset) {
  return buffer ? buffer + offset : nullptr;
}

}  // namespace ostinato
