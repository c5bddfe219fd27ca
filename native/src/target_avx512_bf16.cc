// AVX-512 with VNNI and BF16: products of bytes and of bfloat16 in one instruction (Zen 4, Cooper Lake, Sapphire Rapids).
#define OSTINATO_TARGET avx512_bf16
#include "target.h"

namespace ostinato {
extern const Target kAvx512Bf16 = {
    "avx512_bf16",
    [] {
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma") &&
             __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16");
    },
    true, avx512_bf16::kernels<float>(), avx512_bf16::kernels<double>()};
}
