// N-grams in one tree: where contexts lie, and the distribution of the token after them.
//
// Nodes are numbered breadth first: 0 is the empty context, node i + 1 the n-gram at place i. The continuations of a node
// lie side by side, sorted by token. Node -1 is a context that never occurred.
#pragma once

#include <cstdint>

namespace ostinato {

struct NgramTree {
  int64_t order, vocab, size;   // tokens of the longest n-gram; V; M n-grams
  const int64_t* first;         // (M + 3): the place of each node's first continuation
  const int64_t* tokens;        // (M): the last token of each
  const float* values;          // (M): its share of its context
  const float* totals;          // (M + 2): by node, the sum of counts of its continuations; 0 of the last one
  const float* taken;           // (M + 2): what discounts take from them
  const int32_t* counts;        // (M)
  const uint8_t* once;          // (M): whether it occurs once
  const float* discounts;       // (order, 4): by length, and by count up to 3
  const float* singles;         // (V): the shares of single tokens
};

// The contexts after each token: `tokens` (order - 1 + L, N), of which the first order - 1 came before, to `nodes`
// (L, N, order).
void ngram_contexts(const NgramTree& tree, const int64_t* tokens, int64_t steps, int64_t rows, int64_t* nodes,
                    int num_threads);

// p of every token after each context, `nodes` (rows, order) to `found` (rows, V); `targets` (rows), or null, are left out
// of the counts. `pad` is impossible.
void ngram_distribution(const NgramTree& tree, const int64_t* nodes, const int64_t* targets, int64_t rows, int64_t pad,
                        float* found, int num_threads);

}  // namespace ostinato
