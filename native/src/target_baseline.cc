// What every processor of this architecture has: SSE2 on x86-64, NEON on ARM.
#define OSTINATO_TARGET baseline
#include "target.h"

namespace ostinato {
extern const Target kBaseline = {"baseline", [] { return true; }, false, baseline::kernels<float>(), baseline::kernels<double>()};
}
