// Which instruction set's kernels are in use.
#include <atomic>
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

// Null until the first use. The tables it may point to are constants, so there is nothing else to publish.
std::atomic<const Target*> chosen{nullptr};

}  // namespace

const Target& target() {
  const Target* found = chosen.load(std::memory_order_acquire);
  if (found) return *found;
  // Threads that meet here find the same one; a target forced in the meantime stays.
  const Target* detected = best();
  return chosen.compare_exchange_strong(found, detected, std::memory_order_acq_rel) ? *detected : *found;
}

void force_target(const std::string& name) {
  std::string known;
  for (const Target* one : targets()) {
    known += (known.empty() ? "" : ", ") + std::string(one->name);
    if (name != one->name) continue;
    if (!one->runs_here()) throw std::invalid_argument("this processor lacks the instructions of target `" + name + "`");
    chosen.store(one, std::memory_order_release);
    return;
  }
  throw std::invalid_argument("the target must be one of " + known + ". Received: '" + name + "'");
}

}  // namespace ostinato
