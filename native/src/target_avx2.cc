// AVX2 and FMA: 8 floats at once, 16 registers.
#define OSTINATO_TARGET avx2
#include "target.h"

namespace ostinato {
extern const Target kAvx2 = {
    "avx2", [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }, false,
    avx2::kernels<float>(),
    avx2::kernels<double>()};
}
