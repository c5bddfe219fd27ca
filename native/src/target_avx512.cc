// AVX-512 F, BW, DQ and VL: 16 floats at once, 32 registers.
#define OSTINATO_TARGET avx512
#include "target.h"

namespace ostinato {
extern const Target kAvx512 = {
    "avx512",
    [] {
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
    },
    false, avx512::kernels<float>(), avx512::kernels<double>()};
}
