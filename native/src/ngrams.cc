#include "ostinato/ngrams.h"

#include <algorithm>
#include <vector>

#include "ostinato/layer.h"

namespace ostinato {
namespace {

constexpr int64_t kNone = -1;
constexpr int64_t kDiscounted = 3;

// The place of the n-gram that is a context and a token; -1: it never occurred.
int64_t place_of(const NgramTree& tree, int64_t node, int64_t token) {
  if (node < 0) return kNone;
  const int64_t *begin = tree.tokens + tree.first[node], *end = tree.tokens + tree.first[node + 1];
  const int64_t* found = std::lower_bound(begin, end, token);
  return found != end && *found == token ? found - tree.tokens : kNone;
}

// What the distribution takes from each length of context.
struct Share {
  float kept;     // what it leaves to shorter ones
  float own;      // the factor of its continuations' values
  float changed;  // added to the target's probability, its own occurrence left out
};

Share share_of(const NgramTree& tree, int64_t node, const int64_t* places, int64_t n) {
  if (node < 0) return {1, 0, 0};
  const float before = tree.totals[node];
  float total = before, taken = tree.taken[node], kept = 0, left_out = 0;
  const int64_t place = places ? places[n] : kNone;
  const bool longest = n + 1 == tree.order;
  const int64_t longer = place < 0 || longest ? kNone : places[n + 1];
  if (place >= 0 && tree.counts[place] > 0 && (longest || (longer >= 0 && tree.once[longer]))) {
    const int64_t count = tree.counts[place];
    const float* discounts = tree.discounts + 4 * n;
    const float after = discounts[std::min(count - 1, kDiscounted)];
    taken -= discounts[std::min(count, kDiscounted)] - after;
    total -= 1;
    left_out = tree.values[place];
    kept = std::max(static_cast<float>(count - 1) - after, 0.0f);
  }
  if (total <= 0) return {1, 0, 0};
  return {taken / total, before / total, kept / total - left_out * before / total};
}

void distribution_of(const NgramTree& tree, const int64_t* nodes, int64_t target, int64_t pad, int64_t* places,
                     float* found) {
  if (target >= 0)
    for (int64_t n = 0; n < tree.order; ++n) places[n] = place_of(tree, nodes[n], target);
  float weight = 1, changed = 0;
  std::fill(found, found + tree.vocab, 0.0f);
  for (int64_t n = tree.order - 1; n > 0; --n) {
    const Share share = share_of(tree, nodes[n], target >= 0 ? places : nullptr, n);
    changed += weight * share.changed;
    if (const float own = weight * share.own)
      for (int64_t i = tree.first[nodes[n]]; i < tree.first[nodes[n] + 1]; ++i) found[tree.tokens[i]] += own * tree.values[i];
    weight *= share.kept;
  }
  const Share share = share_of(tree, nodes[0], target >= 0 ? places : nullptr, 0);
  changed += weight * share.changed;
  const float own = weight * share.own, least = weight * share.kept / static_cast<float>(std::max<int64_t>(tree.vocab - 1, 1));
  for (int64_t v = 0; v < tree.vocab; ++v) found[v] += least + own * tree.singles[v];
  if (target >= 0) found[target] += changed;
  found[pad] = 0;
}

// `work(begin, end)` on shares of `count`.
template <class Work>
void shared_out(int64_t count, int num_threads, const Work& work) {
  const int64_t threads = std::max<int64_t>(1, std::min<int64_t>(num_threads, count));
  parallel(static_cast<int>(threads), [&](int i) { work(count * i / threads, count * (i + 1) / threads); });
}

}  // namespace

void ngram_contexts(const NgramTree& tree, const int64_t* tokens, int64_t steps, int64_t rows, int64_t* nodes,
                    int num_threads) {
  const int64_t order = tree.order, before = order - 1;
  shared_out(rows, num_threads, [&](int64_t begin, int64_t end) {
    std::vector<int64_t> now(static_cast<size_t>(order)), last(now);
    for (int64_t row = begin; row < end; ++row) {
      std::fill(last.begin(), last.end(), kNone);
      last[0] = 0;
      for (int64_t t = 0; t < before + steps; ++t) {
        now[0] = 0;
        for (int64_t n = 1; n < order; ++n) {
          const int64_t place = place_of(tree, last[static_cast<size_t>(n - 1)], tokens[t * rows + row]);
          now[static_cast<size_t>(n)] = place < 0 ? kNone : place + 1;
        }
        if (t >= before) std::copy(now.begin(), now.end(), nodes + ((t - before) * rows + row) * order);
        std::swap(now, last);
      }
    }
  });
}

void ngram_distribution(const NgramTree& tree, const int64_t* nodes, const int64_t* targets, int64_t rows, int64_t pad,
                        float* found, int num_threads) {
  shared_out(rows, num_threads, [&](int64_t begin, int64_t end) {
    std::vector<int64_t> places(static_cast<size_t>(tree.order));
    for (int64_t row = begin; row < end; ++row)
      distribution_of(tree, nodes + row * tree.order, targets ? targets[row] : kNone, pad, places.data(),
                      found + row * tree.vocab);
  });
}

}  // namespace ostinato
