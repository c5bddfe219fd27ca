// What a scan reads and writes. No torch, no Python: pointers, strides and counts.
//
// Rows are packed time-major (the PackedSequence layout): rows by decreasing length, the values of step 0 of every row
// first, then those of step 1 of every row that has one, and so on. `sum_l` is the number of values of all rows.
//
// Every number of hidden units is a multiple of `kUnitMultiple`; callers pad their weights with zeros, which leaves the
// padded units at zero in every cell but GRU from an initial state of zero, where they are zero too.
//
// No buffer may overlap another one. The caller owns all of them; a scan allocates nothing.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ostinato {

inline constexpr int kUnitMultiple = 16;

enum class CellKind { elman_tanh, elman_relu, lstm, gru };

// Blocks of H rows in the weights of a cell, torch's order: LSTM i, f, g, o; GRU r, z, n.
constexpr int num_gates(CellKind kind) { return kind == CellKind::lstm ? 4 : kind == CellKind::gru ? 3 : 1; }

struct Layout {
  int64_t num_steps;           // the longest row's
  int64_t num_rows;            // N, empty rows included
  const int64_t* batch_sizes;  // (num_steps,) rows alive at each step, never increasing
  const int64_t* offsets;      // (num_steps,) where a step's values begin: the sum of the batch sizes before it
};

// One direction of one layer. Strides are in elements, from one packed value to the next. P is the size of the output:
// H, or less with a projection (LSTM), h = W_hr o tanh(c).
template <class T>
struct ForwardBuffers {
  bool reverse;          // from each row's last step to its first
  int64_t hidden, size;  // H, P
  const T* panels;       // W_hh (G*H, P) packed by `pack_gates`
  const T* panels_hr;    // W_hr (P, H) packed by `pack_rows`; null without a projection
  const T* bias_hn;      // GRU: (H,) bias inside the reset gate's product; else null
  const T* h_0;          // (N, P)
  const T* c_0;          // LSTM: (N, H); else null
  T* gates;              // (sum_l, G*H) in: x W_ih^T + biases; out: LSTM i, f, g, o; GRU r, z, n; Elman unchanged
  int64_t gates_stride;
  T* output;             // (sum_l, P) h of every step
  int64_t output_stride;
  T* memory;             // (sum_l, H) LSTM: c of every step; GRU: W_hn h + b_hn; Elman: null
  T* unprojected;        // (sum_l, H) o tanh(c) of every step; null without a projection
  T* h_n;                // (N, P) in: h_0; out: h after each row's own last step
  T* c_n;                // LSTM: (N, H), the same for c; else null
};

template <class T>
struct BackwardBuffers {
  bool reverse;
  int64_t hidden, size;
  const T* panels;       // W_hh (G*H, P) packed by `pack_columns`
  const T* panels_hr;    // W_hr (P, H) packed by `pack_columns`; null without a projection
  const T* h_0;
  const T* c_0;
  const T* gates;        // as forward left them
  int64_t gates_stride;
  const T* output;       // as forward left it
  int64_t output_stride;
  const T* memory;
  const T* d_output;     // (sum_l, P)
  int64_t d_output_stride;
  T* d_h;                // (N, P) in: the gradient of h_n; out: of h_0
  T* d_c;                // LSTM: (N, H) in: of c_n; out: of c_0; else null
  T* d_gates;            // (sum_l, G*H) out: the gradient of what forward read in `gates`
  int64_t d_gates_stride;
  T* d_hidden_n;         // GRU: (sum_l, H) out: the gradient of W_hn h + b_hn; else null
  T* d_projected;        // (sum_l, P) out: the whole gradient of every h; null without a projection
  T* d_unprojected;      // (N, 2*H) scratch of a projection, zero; else null
  T* h_previous;         // (sum_l, P) out: the state before each step, for the gradient of W_hh
};

// The kernels of one instruction set.
struct Target {
  const char* name;
  bool (*runs_here)();
  template <class T>
  struct Kernels {
    // A packed matrix has as many elements as the matrix. `pack_gates`: (G*H, depth), to be multiplied from the left by
    // rows of `depth`; `pack_rows`: the same for a plain (columns, depth); `pack_columns`: (depth, columns).
    void (*pack_gates)(CellKind, int64_t hidden, int64_t depth, const T* weight, T* panels);
    void (*pack_rows)(int64_t columns, int64_t depth, const T* weight, T* panels);
    void (*pack_columns)(int64_t depth, int64_t columns, const T* weight, T* panels);
    // Rows slot, slot + stride, slot + 2 * stride, ... of one direction. `scratch`: `scratch_pointers(N)` pointers.
    void (*forward)(CellKind, const Layout&, const ForwardBuffers<T>&, int slot, int stride, const T** scratch);
    void (*backward)(CellKind, const Layout&, const BackwardBuffers<T>&, int slot, int stride, const T** scratch);
  };
  Kernels<float> f32;
  Kernels<double> f64;
};

inline int64_t scratch_pointers(int64_t num_rows) { return 2 * num_rows; }

}  // namespace ostinato
