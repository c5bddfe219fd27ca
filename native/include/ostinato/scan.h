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

#include "ostinato/convolutions.h"

namespace ostinato {

inline constexpr int kUnitMultiple = 16;

enum class CellKind { elman_tanh, elman_relu, lstm, gru };

// Of products with weights: `full` computes in T; `bf16` rounds weights and states to bfloat16 and sums in float; `int8`
// rounds weights to 8 bits with a scale a column (here: a row of W) and each state to 8 bits with a scale of its own.
enum class Precision { full, bf16, int8 };

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
  const void* panels;     // W_hh (G*H, P) packed by `pack_gates` (general: `pack`)
  const void* panels_hn;  // GRU, general: W_hn (H, P); else null
  const void* panels_hr;  // W_hr (P, H) packed by `pack_rows` (general: `pack`); null without a projection
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
  const void* panels;     // W_hh (G*H, P) packed by `pack_columns` (general: `pack`, transposed)
  const void* panels_hn;  // GRU, general: W_hn (H, P); else null
  const void* panels_hr;  // W_hr (P, H) packed by `pack_columns` (general: `pack`); null without a projection
  const T* h_0;
  const T* c_0;
  const T* gates;        // as forward left them
  int64_t gates_stride;
  const T* output;       // as forward left it
  int64_t output_stride;
  const T* memory;
  const T* d_output;     // (sum_l, P)
  int64_t d_output_stride;
  const T* d_memory;     // LSTM: (sum_l, H) the gradient of c of every step, or null
  T* d_h;                // (N, P) in: the gradient of h_n; out: of h_0
  T* d_c;                // LSTM: (N, H) in: of c_n; out: of c_0; else null
  T* d_gates;            // (sum_l, G*H) out: the gradient of what forward read in `gates`
  int64_t d_gates_stride;
  T* d_hidden_n;         // GRU: (sum_l, H) out: the gradient of W_hn h + b_hn; else null
  T* d_projected;        // (sum_l, P) out: the whole gradient of every h; null without a projection
  T* d_unprojected;      // (N, 2*H) scratch of a projection, zero; else null
  T* h_previous;         // (sum_l, P) out: the state before each step (masked), for the gradient of W_hh; or null
};

// What may be added to a cell. All null, zero and `full`: the plain cell, which has fused kernels of its own (`forward`,
// `backward`); anything else runs in `forward_general`, `backward_general`, whose products take matrices packed by
// `pack`: W_hh as (G*H, P), GRU's as (2H, P) in `panels` and (H, P) in `panels_hn`.
template <class T>
struct Extras {
  Precision precision;
  bool reset_before;     // GRU: n = tanh(x W_in + (r h) W_hn); `memory` then holds r h (masked), and there is no bias_hn
  int64_t count;         // units that are no padding
  const T* hidden_mask;  // (N, P) multiplies h wherever it enters a product
  const T* zoneout_h;    // (sum_l, P) the share of h before that is kept
  const T* zoneout_c;    // (sum_l, H) the same for c
  const T* peepholes;    // LSTM: (3H,) i, f, o
  const T* gain_hh;      // (G*H,) layer norm of the recurrent sums, all G*H at once, but for padding
  const T* gain_c;       // LSTM: (H,) layer norm of c before its tanh
  const T* bias_c;
  T* normalised;         // (sum_l, G*H) layer norm, forward out, backward in: the sums, normalised
  T* inverse_std;        // (sum_l,) the same: 1 / their standard deviation
  T* d_recurrent;        // (sum_l, G*H) layer norm, backward out: the gradient of W_hh h
  T* d_vectors;          // (N, 5H + G*H) backward in: zero; out, for each row: of peepholes, gain_c, bias_c, gain_hh
};

inline constexpr double kLayerNormEps = 1e-5;

// The kernels of one instruction set.
struct Target {
  const char* name;
  bool (*runs_here)();
  bool has_bf16;
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

    // (columns, depth), or transposed (depth, columns), to be multiplied from the left by rows of `depth`; both are
    // multiples of 16. Takes `packed_bytes`, aligned to 64.
    void (*pack)(Precision, int64_t columns, int64_t depth, bool transposed, const T* weight, void* packed);
    // to[r] += from[r] W^T for `rows` rows. `workspace`: `workspace_bytes(rows, depth)`.
    void (*multiply)(Precision, T* to, int64_t to_stride, const T* from, int64_t from_stride, int64_t rows,
                     const void* packed, int64_t depth, int64_t columns, void* workspace);
    // As forward and backward. `workspace`: `general_workspace_bytes`, aligned to 64.
    void (*forward_general)(CellKind, const Layout&, const ForwardBuffers<T>&, const Extras<T>&, int slot, int stride,
                            void* workspace);
    void (*backward_general)(CellKind, const Layout&, const BackwardBuffers<T>&, const Extras<T>&, int slot, int stride,
                             void* workspace);
    // In place: exp((x - max x) * factor) of `count` numbers; returns their sum.
    double (*exponentials)(T* values, int64_t count, T factor);
    // In place: layer norm of `size` values, all but `count` of them zero padding, times `gain`.
    void (*layer_norm)(T* values, int64_t size, int64_t count, const T* gain);
    // The sum of `count` numbers, a multiple of 64: how fast memory can be read.
    T (*read)(const T* values, int64_t count);
    // Random convolutions over a row, `x` (C, stride), to `found` (84, num_bounds). `workspace`: 3 * length and 8 times
    // the widest dilation.
    void (*row_shares)(const Convolutions<T>&, const T* x, int64_t stride, int64_t length, T* found, T* workspace);
  };
  Kernels<float> f32;
  Kernels<double> f64;
};

inline int64_t scratch_pointers(int64_t num_rows) { return 2 * num_rows; }

inline int64_t packed_bytes(Precision precision, int64_t columns, int64_t depth, int64_t element_bytes) {
  const int64_t values = columns * depth;
  if (precision == Precision::bf16) return 2 * values;
  return precision == Precision::int8 ? values + 8 * columns : values * element_bytes;
}

// A state rounded to 8 bits takes a byte a value and 64 for its scale.
inline int64_t workspace_bytes(int64_t rows, int64_t depth) { return rows * (2 * depth + 64 + 2 * 8); }

// Rows of h and of the gradients of all sums in the precision of the products, h masked, and half a kB of pointers a row.
inline int64_t general_workspace_bytes(int64_t num_rows, int64_t hidden, int64_t size, int64_t element_bytes) {
  return num_rows * (2 * (4 * hidden + size) + 128 + 2 * size * element_bytes + 512) + 64 * 8;
}

}  // namespace ostinato
