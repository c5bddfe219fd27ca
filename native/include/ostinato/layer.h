// A whole layer: every direction, packed weights, threads. What the bindings call.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ostinato/scan.h"

namespace ostinato {

// Targets compiled in, best first.
const std::vector<const Target*>& targets();

// The target in use: the best that runs here, or the one forced.
const Target& target();

// Throws std::invalid_argument for a name that is unknown, or that this machine lacks.
void force_target(const std::string& name);

// Runs `work(0) ... work(num_threads - 1)` at once and waits: in torch's own OpenMP team where one is loaded, so that
// the two never compete for cores, else in threads of its own.
void parallel(int num_threads, const std::function<void(int)>& work);

// "torch's OpenMP team" or "own threads".
const char* parallel_kind();

// All buffers hold the directions one after the other, but `gates`, `output` and their gradients, where they stand side
// by side in each value: (sum_l, D*G*H) and (sum_l, D*P). Direction 1 runs from each row's last step to its first.
template <class T>
struct LayerForward {
  CellKind kind;
  Layout layout;
  int64_t hidden, size, sum_l;  // H, P, sum_l
  int num_directions, num_threads;
  bool reverse;            // a single direction that runs backwards
  const T* weight_hh[2];   // (G*H, P) each
  const T* weight_hr[2];   // (P, H) each, or null
  const T* bias_hn[2];
  const T* h_0;            // (D, N, P)
  const T* c_0;            // (D, N, H)
  T* gates;
  T* output;
  T* memory;               // (D, sum_l, H)
  T* unprojected;          // (D, sum_l, H)
  T* h_n;
  T* c_n;
  Extras<T> extras;        // arrays (D, ...), the directions one after the other
};

template <class T>
struct LayerBackward {
  CellKind kind;
  Layout layout;
  int64_t hidden, size, sum_l;
  int num_directions, num_threads;
  bool reverse;
  const T* weight_hh[2];
  const T* weight_hr[2];
  const T* h_0;
  const T* c_0;
  const T* gates;
  const T* output;
  const T* memory;
  const T* d_output;       // (sum_l, D*P)
  T* d_h;                  // (D, N, P) in: gradient of h_n; out: of h_0
  T* d_c;
  T* d_gates;
  T* d_hidden_n;           // GRU: (D, sum_l, H)
  T* d_projected;          // (D, sum_l, P)
  T* h_previous;           // (D, sum_l, P)
  const T* d_memory;       // (D, sum_l, H) or null
  Extras<T> extras;
};

template <class T>
void run(const LayerForward<T>& layer);
template <class T>
void run(const LayerBackward<T>& layer);

}  // namespace ostinato
