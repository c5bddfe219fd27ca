// Which instruction set's kernels are in use.
#include <stdexcept>

#include "ostinato/layer.h"

namespace ostinato {

extern const Target kBaseline;
#if defined(__x86_64__)
extern const Target kAvx2, kAvx512, kAvx512Bf16;
#endif

const std::vector<const Target*>& targets() {
#if defined(__x86_64__)
  static const std::vector<const Target*> all = {&kAvx512Bf16, &kAvx512, &kAvx2, &kBaseline};
#else
  static const std::vector<const Target*> all = {&kBaseline};
#endif
  return all;
}

namespace {

const Target* best() {
  for (const Target* one : targets())
    if (one->runs_here()) return one;
  return targets().back();
}

const Target*& current() {
  static const Target* chosen = best();
  return chosen;
}

}  // namespace

const Target& target() { return *current(); }

void force_target(const std::string& name) {
  std::string known;
  for (const Target* one : targets()) {
    known += (known.empty() ? "" : ", ") + std::string(one->name);
    if (name != one->name) continue;
    if (!one->runs_here()) throw std::invalid_argument("this processor lacks the instructions of target `" + name + "`");
    current() = one;
    return;
  }
  throw std::invalid_argument("the target must be one of " + known + ". Received: '" + name + "'");
}

}  // namespace ostinato
