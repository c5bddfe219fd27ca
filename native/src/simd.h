// Vectors of the target that this file is compiled for, and the functions of numbers that gates need.
//
// Written in the compilers' vector extension: one source for every width. Everything lives in a namespace of the
// target's own, since two targets' versions of an inline function must never be merged by the linker; for the same
// reason no kernel includes a standard template.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#ifndef OSTINATO_TARGET
#error "compile a target_*.cc, which names its target"
#endif

#define OSTINATO_INLINE inline __attribute__((always_inline))

namespace ostinato::OSTINATO_TARGET {

#if defined(__AVX512F__)
inline constexpr int kVectorBytes = 64;
inline constexpr int kRegisters = 32;
#elif defined(__AVX2__)
inline constexpr int kVectorBytes = 32;
inline constexpr int kRegisters = 16;
#elif defined(__aarch64__)
inline constexpr int kVectorBytes = 16;
inline constexpr int kRegisters = 32;
#else
inline constexpr int kVectorBytes = 16;
inline constexpr int kRegisters = 16;
#endif

template <class T>
struct VectorOf;
template <>
struct VectorOf<float> {
  typedef float type __attribute__((vector_size(kVectorBytes)));
  typedef int32_t integers __attribute__((vector_size(kVectorBytes)));
};
template <>
struct VectorOf<double> {
  typedef double type __attribute__((vector_size(kVectorBytes)));
  typedef int64_t integers __attribute__((vector_size(kVectorBytes)));
};
template <class T>
using Vector = typename VectorOf<T>::type;
template <class T>
inline constexpr int kLanes = kVectorBytes / static_cast<int>(sizeof(T));

template <class T>
OSTINATO_INLINE Vector<T> load(const T* from) {
  Vector<T> v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
template <class T>
OSTINATO_INLINE void store(T* to, Vector<T> v) {
  std::memcpy(to, &v, sizeof v);
}
template <class T>
OSTINATO_INLINE Vector<T> broadcast(T x) {
  return x - Vector<T>{};
}

// exp(x) = (1 + p r) s with s = 2^n, n = round(x / ln 2). NaN stays NaN.
template <class T>
struct Exponential {
  Vector<T> p, r, s;
};

OSTINATO_INLINE Exponential<float> exponential(Vector<float> x) {
  using V = Vector<float>;
  using I = VectorOf<float>::integers;
  const V low = broadcast(-87.0f), high = broadcast(88.0f);
  x = x < low ? low : x;
  x = x > high ? high : x;
  const V magic = broadcast(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer, held in the low bits
  const V shifted = x * 1.44269504f + magic;
  const V n = shifted - magic;
  const V r = x - n * 0.693145752f - n * 1.42860677e-6f;
  // (exp(r) - 1) / r, fitted at Chebyshev nodes: relative error below 3e-8
  V p = r * 1.394123973e-3f + 8.369239346e-3f;
  p = p * r + 4.166635131e-2f;
  p = p * r + 1.666650443e-1f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  return {p, r, reinterpret_cast<V>((reinterpret_cast<I>(shifted) + (127 - 0x4B400000)) << 23)};
}

OSTINATO_INLINE Exponential<double> exponential(Vector<double> x) {
  using V = Vector<double>;
  using I = VectorOf<double>::integers;
  const V low = broadcast(-708.0), high = broadcast(709.0);
  x = x < low ? low : x;
  x = x > high ? high : x;
  const V magic = broadcast(6755399441055744.0);  // 1.5 * 2^52
  const V shifted = x * 1.4426950408889634 + magic;
  const V n = shifted - magic;
  const V r = x - n * 0.693147180369123816490 - n * 1.90821492927058770002e-10;
  V p = r * (1.0 / 6227020800.0) + 1.0 / 479001600.0;
  p = p * r + 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  p = p * r + 1.0;
  return {p, r, reinterpret_cast<V>((reinterpret_cast<I>(shifted) + (1023 - 0x4338000000000000LL)) << 52)};
}

// Relative error below 2e-7 and 3e-16.
template <class T>
OSTINATO_INLINE Vector<T> exp(Vector<T> x) {
  const Exponential<T> e = exponential(x);
  return (e.p * e.r + T(1)) * e.s;
}

OSTINATO_INLINE Vector<double> reciprocal(Vector<double> x) { return 1.0 / x; }

OSTINATO_INLINE Vector<float> reciprocal(Vector<float> x) {
#if defined(__AVX512F__)
  const Vector<float> guess = reinterpret_cast<Vector<float>>(_mm512_maskz_rcp14_ps(0xFFFF, reinterpret_cast<__m512>(x)));
  return guess * (2.0f - x * guess);  // one Newton step: 14 bits become 24
#else
  return 1.0f / x;
#endif
}

template <class T>
OSTINATO_INLINE Vector<T> sigmoid(Vector<T> x) {
  return reciprocal(T(1) + exp<T>(-x));
}

// By t = exp(-2 |x|) - 1, whose digits near zero are all there: tanh(|x|) = -t / (2 + t).
template <class T>
OSTINATO_INLINE Vector<T> tanh(Vector<T> x) {
  using I = typename VectorOf<T>::integers;
  const I sign = reinterpret_cast<I>(x) & reinterpret_cast<I>(broadcast(T(-0.0)));
  const Vector<T> size = reinterpret_cast<Vector<T>>(reinterpret_cast<I>(x) ^ sign);
  const Exponential<T> e = exponential(Vector<T>(T(-2) * size));
  const Vector<T> t = e.p * e.r * e.s + (e.s - T(1));
  const Vector<T> y = -t * reciprocal(T(2) + t);
  return reinterpret_cast<Vector<T>>(reinterpret_cast<I>(y) | sign);
}

}  // namespace ostinato::OSTINATO_TARGET
