// Products with packed matrices in each precision: to[r] += from[r] W^T.
//
// A policy says how a row of the left matrix is laid out (`prepare`), how the right one is packed, and multiplies a block
// of rows by `W` vectors of columns, held in registers. Every sum is over k in one order, whatever the block.
#pragma once

#include "matrix.h"
#include "ostinato/scan.h"

namespace ostinato::OSTINATO_TARGET {

template <class T>
struct FullProduct {
  using Row = T;
  static constexpr bool prepares = false;

  template <class At>
  static void pack(int64_t columns, int64_t depth, At&& at, void* packed) {
    T* to = static_cast<T*>(packed);
    for_panels<T>(columns, [&](int64_t j, auto w) {
      const int64_t width = decltype(w)::value * kLanes<T>;
      for (int64_t k = 0; k < depth; ++k)
        for (int64_t l = 0; l < width; ++l) *to++ = at(j + l, k);
    });
  }

  template <int R, int W>
  static OSTINATO_INLINE void block(T* const* to, const Row* const* from, const void* packed, int64_t j, int64_t depth,
                                    int64_t) {
    Vector<T> sums[R][W];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
      for (int w = 0; w < W; ++w) sums[r][w] = load(static_cast<const T*>(to[r]) + j + w * kLanes<T>);
    multiply_add<T, R, W>(sums, from, static_cast<const T*>(packed) + j * depth, depth);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
      for (int w = 0; w < W; ++w) store(to[r] + j + w * kLanes<T>, sums[r][w]);
  }
};

// Rounds to the nearest bfloat16, ties to even; NaN stays NaN.
OSTINATO_INLINE uint16_t to_bf16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  if ((bits & 0x7FFFFFFF) > 0x7F800000) return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

#if defined(__AVX512BF16__)
struct Bf16Product {
  using Row = uint16_t;
  static constexpr bool prepares = true;
  static constexpr int64_t row_bytes(int64_t depth) { return 2 * depth; }

  static OSTINATO_INLINE void prepare(const float* from, int64_t depth, uint16_t* to) {
    for (int64_t k = 0; k < depth; k += 16) {
      const __m256bh rounded = _mm512_cvtneps_pbh(_mm512_loadu_ps(from + k));
      std::memcpy(to + k, &rounded, 32);
    }
  }

  // Pairs of k side by side, as the instruction wants them: panel[k / 2][lane][k % 2].
  template <class At>
  static void pack(int64_t columns, int64_t depth, At&& at, void* packed) {
    uint16_t* to = static_cast<uint16_t*>(packed);
    for_panels<float>(columns, [&](int64_t j, auto w) {
      const int64_t width = decltype(w)::value * kLanes<float>;
      for (int64_t k = 0; k < depth; k += 2)
        for (int64_t l = 0; l < width; ++l)
          for (int64_t i = 0; i < 2; ++i) *to++ = to_bf16(at(j + l, k + i));
    });
  }

  template <int R, int W>
  static OSTINATO_INLINE void block(float* const* to, const Row* const* from, const void* packed, int64_t j, int64_t depth,
                                    int64_t) {
    const uint16_t* panel = static_cast<const uint16_t*>(packed) + j * depth;
    const uint16_t* a[R];
    __m512 sums[R][W];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      a[r] = from[r];
#pragma GCC unroll 4
      for (int w = 0; w < W; ++w) sums[r][w] = _mm512_loadu_ps(to[r] + j + w * 16);
    }
    for (int64_t k = 0; k < depth; k += 2) {
      __m512bh b[W];
#pragma GCC unroll 4
      for (int w = 0; w < W; ++w) std::memcpy(&b[w], panel + w * 32, 64);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        int32_t pair;
        std::memcpy(&pair, a[r] + k, 4);
        const __m512bh x = reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
#pragma GCC unroll 4
        for (int w = 0; w < W; ++w) sums[r][w] = _mm512_dpbf16_ps(sums[r][w], x, b[w]);
      }
      panel += W * 32;
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
      for (int w = 0; w < W; ++w) _mm512_storeu_ps(to[r] + j + w * 16, sums[r][w]);
  }
};
#endif

// Four products of bytes, unsigned by signed, added to each 32-bit lane.
OSTINATO_INLINE VectorOf<float>::integers dot4(VectorOf<float>::integers sum, int32_t x,
                                               VectorOf<float>::integers bytes) {
  using I = VectorOf<float>::integers;
#if defined(__AVX512VNNI__)
  return reinterpret_cast<I>(_mm512_dpbusd_epi32(reinterpret_cast<__m512i>(sum), _mm512_set1_epi32(x),
                                                 reinterpret_cast<__m512i>(bytes)));
#elif defined(__AVX512BW__)
  const __m512i b = reinterpret_cast<__m512i>(bytes), even = _mm512_srai_epi16(_mm512_slli_epi16(b, 8), 8);
  const __m512i x_even = _mm512_set1_epi32(x & 0x00FF00FF), x_odd = _mm512_set1_epi32((x >> 8) & 0x00FF00FF);
  return sum + reinterpret_cast<I>(_mm512_madd_epi16(even, x_even)) +
         reinterpret_cast<I>(_mm512_madd_epi16(_mm512_srai_epi16(b, 8), x_odd));
#elif defined(__AVX2__)
  const __m256i b = reinterpret_cast<__m256i>(bytes), even = _mm256_srai_epi16(_mm256_slli_epi16(b, 8), 8);
  const __m256i x_even = _mm256_set1_epi32(x & 0x00FF00FF), x_odd = _mm256_set1_epi32((x >> 8) & 0x00FF00FF);
  return sum + reinterpret_cast<I>(_mm256_madd_epi16(even, x_even)) +
         reinterpret_cast<I>(_mm256_madd_epi16(_mm256_srai_epi16(b, 8), x_odd));
#else
  const I none{};
  sum += ((bytes << 24) >> 24) * (none + (x & 255));
  sum += ((bytes << 16) >> 24) * (none + ((x >> 8) & 255));
  sum += ((bytes << 8) >> 24) * (none + ((x >> 16) & 255));
  return sum + (bytes >> 24) * (none + ((x >> 24) & 255));
#endif
}

struct Int8Product {
  using Row = uint8_t;  // a float of scale, then, 64 bytes on, value / scale + 128
  static constexpr bool prepares = true;
  static constexpr int64_t row_bytes(int64_t depth) { return depth + 64; }

  static OSTINATO_INLINE void prepare(const float* from, int64_t depth, uint8_t* to) {
    using V = Vector<float>;
    using I = VectorOf<float>::integers;
    typedef uint8_t Bytes __attribute__((vector_size(kLanes<float>)));
    V most{}, probe{};  // zero times infinity or NaN is NaN: the scale then is, and every product with it
    for (int64_t k = 0; k < depth; k += kLanes<float>) {
      const V x = load(from + k), size = x < 0.0f ? -x : x;
      most = size > most ? size : most;
      probe += x * 0.0f;
    }
    float largest = 0.0f, poison = 0.0f;
    for (int l = 0; l < kLanes<float>; ++l) {
      largest = most[l] > largest ? most[l] : largest;
      poison += probe[l];
    }
    const float scale = largest / 127.0f + poison, inverse = largest > 0.0f ? 127.0f / largest : 0.0f;
    std::memcpy(to, &scale, 4);
    const V magic = broadcast(12582912.0f);  // 1.5 * 2^23: adding it rounds, and leaves the integer in the low bits
    for (int64_t k = 0; k < depth; k += kLanes<float>) {
      const I rounded = reinterpret_cast<I>(load(from + k) * inverse + magic) - (0x4B400000 - 128);
      const Bytes bytes = __builtin_convertvector(rounded, Bytes);
      std::memcpy(to + 64 + k, &bytes, sizeof bytes);
    }
  }

  // Fours of k side by side: panel[k / 4][lane][k % 4]. Then a scale a column, and 128 times the sum of its bytes.
  template <class At>
  static void pack(int64_t columns, int64_t depth, At&& at, void* packed) {
    int8_t* to = static_cast<int8_t*>(packed);
    float* scales = reinterpret_cast<float*>(to + columns * depth);
    int32_t* sums = reinterpret_cast<int32_t*>(scales + columns);
    for (int64_t j = 0; j < columns; ++j) {
      float largest = 0.0f;
      for (int64_t k = 0; k < depth; ++k) {
        const float size = at(j, k) < 0 ? -at(j, k) : at(j, k);
        largest = size > largest ? size : largest;
      }
      scales[j] = largest / 127.0f;
      sums[j] = 0;
    }
    for_panels<float>(columns, [&](int64_t j, auto w) {
      const int64_t width = decltype(w)::value * kLanes<float>;
      for (int64_t k = 0; k < depth; k += 4)
        for (int64_t l = 0; l < width; ++l)
          for (int64_t i = 0; i < 4; ++i) {
            const float value = scales[j + l] > 0.0f ? at(j + l, k + i) / scales[j + l] : 0.0f;
            *to = static_cast<int8_t>(value < 0 ? value - 0.5f : value + 0.5f);
            sums[j + l] += 128 * *to++;
          }
    });
  }

  template <int R, int W>
  static OSTINATO_INLINE void block(float* const* to, const Row* const* from, const void* packed, int64_t j, int64_t depth,
                                    int64_t columns) {
    using V = Vector<float>;
    using I = VectorOf<float>::integers;
    const int8_t* panel = static_cast<const int8_t*>(packed) + j * depth;
    const float* scales = reinterpret_cast<const float*>(static_cast<const int8_t*>(packed) + columns * depth);
    const int32_t* offsets = reinterpret_cast<const int32_t*>(scales + columns);
    I sums[R][W] = {};
    const uint8_t* a[R];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) a[r] = from[r] + 64;
    for (int64_t k = 0; k < depth; k += 4) {
      I b[W];
#pragma GCC unroll 4
      for (int w = 0; w < W; ++w) std::memcpy(&b[w], panel + w * kVectorBytes, kVectorBytes);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        int32_t x;
        std::memcpy(&x, a[r] + k, 4);
#pragma GCC unroll 4
        for (int w = 0; w < W; ++w) sums[r][w] = dot4(sums[r][w], x, b[w]);
      }
      panel += W * kVectorBytes;
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      float scale;
      std::memcpy(&scale, from[r], 4);
#pragma GCC unroll 4
      for (int w = 0; w < W; ++w) {
        const int64_t at = j + w * kLanes<float>;
        I offset;
        std::memcpy(&offset, offsets + at, kVectorBytes);
        const V product = __builtin_convertvector(sums[r][w] - offset, V);
        store(to[r] + at, Vector<float>(load(static_cast<const float*>(to[r]) + at) + product * (load(scales + at) * scale)));
      }
    }
  }
};

// to[r] += from[r] W^T, rows given by pointers; `from` is prepared.
template <class T, class Product>
void accumulate(T* const* to, const typename Product::Row* const* from, int64_t rows, const void* packed, int64_t depth,
                int64_t columns) {
  for_panels<T>(columns, [&](int64_t j, auto w) {
    constexpr int W = decltype(w)::value;
    for_blocks<rows_for(W)>(rows, [&](int64_t first, auto r) {
      Product::template block<decltype(r)::value, W>(to + first, from + first, packed, j, depth, columns);
    });
  });
}

// Rows of T as the product wants them: themselves, or copies in `room`. `ready` holds their pointers.
template <class T, class Product>
OSTINATO_INLINE void prepare_rows(const T* const* from, int64_t rows, int64_t depth, void* room,
                                  const typename Product::Row** ready) {
  if constexpr (Product::prepares) {
    auto* to = static_cast<typename Product::Row*>(room);
    const int64_t step = Product::row_bytes(depth) / static_cast<int64_t>(sizeof(typename Product::Row));
    for (int64_t r = 0; r < rows; ++r, to += step) {
      Product::prepare(from[r], depth, to);
      ready[r] = to;
    }
  } else {
    for (int64_t r = 0; r < rows; ++r) ready[r] = from[r];
  }
}

// Calls `run` with the policy of a precision; the caller has checked that the target has it.
template <class T, class F>
OSTINATO_INLINE void with_product(Precision precision, F&& run) {
  if constexpr (sizeof(T) == 4) {
    if (precision == Precision::int8) return run(Int8Product{});
#if defined(__AVX512BF16__)
    if (precision == Precision::bf16) return run(Bf16Product{});
#endif
  }
  run(FullProduct<T>{});
}

template <class T>
void pack(Precision precision, int64_t columns, int64_t depth, bool transposed, const T* weight, void* packed) {
  with_product<T>(precision, [&](auto product) {
    if (transposed) {
      product.pack(columns, depth, [&](int64_t j, int64_t k) { return weight[k * columns + j]; }, packed);
    } else {
      product.pack(columns, depth, [&](int64_t j, int64_t k) { return weight[j * depth + k]; }, packed);
    }
  });
}

template <class T>
void multiply_packed(Precision precision, T* to, int64_t to_stride, const T* from, int64_t from_stride, int64_t rows,
                     const void* packed, int64_t depth, int64_t columns, void* workspace) {
  with_product<T>(precision, [&](auto product) {
    using Product = decltype(product);
    T** targets = static_cast<T**>(workspace);
    const T** sources = const_cast<const T**>(targets + rows);
    auto** ready = reinterpret_cast<const typename Product::Row**>(sources);
    for (int64_t r = 0; r < rows; ++r) {
      targets[r] = to + r * to_stride;
      sources[r] = from + r * from_stride;
    }
    prepare_rows<T, Product>(sources, rows, depth, targets + 2 * rows, ready);
    accumulate<T, Product>(targets, ready, rows, packed, depth, columns);
  });
}

}  // namespace ostinato::OSTINATO_TARGET
