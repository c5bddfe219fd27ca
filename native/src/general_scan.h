// The loops over time for anything beyond the plain cells: products in any precision, then whole rows.
//
// A step is: rows of h as the product wants them, products into `gates` (and `memory`), the cell on each row, the
// projection. Each thread walks its own rows from their first step to their last, as in scan_kernels.h.
#pragma once

#include "products.h"
#include "row_cells.h"
#include "scan_kernels.h"

namespace ostinato::OSTINATO_TARGET {

// A workspace given out piece by piece, each aligned to 64 bytes.
class Room {
 public:
  explicit Room(void* start) : next_(static_cast<char*>(start)) {}
  template <class E>
  E* take(int64_t count) {
    E* found = reinterpret_cast<E*>(next_);
    next_ += (static_cast<int64_t>(sizeof(E)) * count + 63) / 64 * 64;
    return found;
  }

 private:
  char* next_;
};

template <class T>
OSTINATO_INLINE T* some(T* buffer, int64_t offset) {
  return buffer ? buffer + offset : nullptr;
}

template <class T, class Product>
struct GeneralWalk {
  GeneralWalk(const Layout& layout, int64_t hidden, int64_t size, int slot, int stride, void* workspace)
      : layout(layout), slot(slot), stride(stride) {
    const int64_t N = layout.num_rows;
    Room room(workspace);
    to = room.take<T*>(N);
    from = room.take<const T*>(N);
    ready = room.take<const typename Product::Row*>(N);
    masked = room.take<T>(N * size);
    product = room.take<T>(N * size);
    if constexpr (Product::prepares) prepared = room.take<char>(N * (2 * (4 * hidden + size) + 128));
  }

  void begin(int64_t number, bool reverse) {
    step = step_at(layout, reverse, number);
    rows = own(step.rows, slot, stride);
  }
  int64_t row(int64_t k) const { return slot + k * stride; }

  // to[r] += from[r] W^T of the rows at hand.
  void multiply(const void* packed, int64_t depth, int64_t columns) {
    prepare_rows<T, Product>(from, rows, depth, prepared, ready);
    accumulate<T, Product>(to, ready, rows, packed, depth, columns);
  }

  const Layout& layout;
  const int slot, stride;
  Step step{};
  int64_t rows = 0;
  T** to;
  const T** from;
  const typename Product::Row** ready;
  T* masked;
  T* product;
  char* prepared = nullptr;
};

template <class T>
OSTINATO_INLINE void multiply_rows(T* to, const T* from, const T* factor, int64_t count) {
  for (int64_t j = 0; j < count; j += kLanes<T>) store(to + j, Vector<T>(load(from + j) * load(factor + j)));
}

// With a projection, zoneout of h acts on what is projected, so not on the row.
template <class T>
OSTINATO_INLINE Row<T> with_extras(Row<T> row, const Extras<T>& x, const Step& step, int64_t index, int64_t size,
                                   bool projects) {
  const int64_t at = step.first + index;
  row.count = x.count;
  row.mask = some(x.hidden_mask, index * size);
  row.zoneout_h = projects ? nullptr : some(x.zoneout_h, at * size);
  row.zoneout_c = some(x.zoneout_c, at * row.hidden);
  row.peepholes = x.peepholes;
  row.gain_hh = x.gain_hh;
  row.gain_c = x.gain_c;
  row.bias_c = x.bias_c;
  row.inverse_std = some(x.inverse_std, at);
  return row;
}

template <class T, CellKind Kind>
OSTINATO_INLINE Row<T> general_row(const ForwardBuffers<T>& b, const Extras<T>& x, const Step& step, int64_t index) {
  constexpr int G = num_gates(Kind);
  const int64_t at = step.first + index;
  Row<T> row{};
  row.hidden = b.hidden;
  row.gates = b.gates + at * b.gates_stride;
  row.memory = some(b.memory, at * b.hidden);
  row.normalised = some(x.normalised, at * G * b.hidden);
  row.h_previous = state_before(step, index, static_cast<const T*>(b.output), b.output_stride, b.h_0, b.size);
  if (Kind == CellKind::lstm)
    row.memory_previous = state_before(step, index, static_cast<const T*>(b.memory), b.hidden, b.c_0, b.hidden);
  row.h = b.unprojected ? b.unprojected + at * b.hidden : b.output + at * b.output_stride;
  row.bias_hn = b.bias_hn;
  return with_extras(row, x, step, index, b.size, b.unprojected != nullptr);
}

// Where the product of h goes: the gates, or apart from them to be normalised.
template <class T, CellKind Kind, class Product>
void recurrent_sums(GeneralWalk<T, Product>& walk, const ForwardBuffers<T>& b, const Extras<T>& x, const Row<T>* row) {
  constexpr bool gru = Kind == CellKind::gru;
  const int64_t H = b.hidden, columns = num_gates(Kind) * H, first = gru ? 2 * H : columns;
  for (int64_t k = 0; k < walk.rows; ++k) {
    walk.from[k] = row[k].h_previous;
    if (row[k].mask) {
      T* masked = walk.masked + k * b.size;
      multiply_rows(masked, row[k].h_previous, row[k].mask, b.size);
      walk.from[k] = masked;
    }
    walk.to[k] = row[k].normalised ? row[k].normalised : row[k].gates;
    if (row[k].normalised)
      for (int64_t j = 0; j < columns; j += kLanes<T>) store(row[k].normalised + j, Vector<T>{});
  }
  walk.multiply(b.panels, b.size, first);
  if (!gru || x.reset_before) return;
  for (int64_t k = 0; k < walk.rows; ++k) {
    walk.to[k] = row[k].normalised ? row[k].normalised + first : row[k].memory;
    if (row[k].normalised) continue;
    for (int64_t j = 0; j < H; j += kLanes<T>)
      store(row[k].memory + j, row[k].bias_hn ? load(row[k].bias_hn + j) : Vector<T>{});
  }
  accumulate<T, Product>(walk.to, walk.ready, walk.rows, b.panels_hn, b.size, H);
}

template <class T, CellKind Kind, class Product>
void apply_cell(GeneralWalk<T, Product>& walk, const ForwardBuffers<T>& b, const Extras<T>& x, const Row<T>* row) {
  using Cell = RowCell<T, Kind>;
  if (x.gain_hh)
    for (int64_t k = 0; k < walk.rows; ++k) add_normalised<T>(Kind, row[k]);
  if constexpr (Kind == CellKind::gru) {
    if (x.reset_before) {
      for (int64_t k = 0; k < walk.rows; ++k) {
        Cell::reset(row[k]);
        walk.from[k] = row[k].memory;
        walk.to[k] = row[k].gates + 2 * b.hidden;
      }
      walk.multiply(b.panels_hn, b.size, b.hidden);
      for (int64_t k = 0; k < walk.rows; ++k) Cell::forward_reset(row[k]);
      return;
    }
  }
  for (int64_t k = 0; k < walk.rows; ++k) Cell::forward(row[k]);
}

template <class T, class Product>
void project(GeneralWalk<T, Product>& walk, const ForwardBuffers<T>& b, const Extras<T>& x, const Row<T>* row) {
  for (int64_t k = 0; k < walk.rows; ++k) {
    const int64_t at = walk.step.first + walk.row(k);
    walk.from[k] = b.unprojected + at * b.hidden;
    walk.to[k] = b.output + at * b.output_stride;
    for (int64_t j = 0; j < b.size; j += kLanes<T>) store(walk.to[k] + j, Vector<T>{});
  }
  walk.multiply(b.panels_hr, b.hidden, b.size);
  for (int64_t k = 0; k < walk.rows && x.zoneout_h; ++k) {
    const T* share = x.zoneout_h + (walk.step.first + walk.row(k)) * b.size;
    for (int64_t j = 0; j < b.size; j += kLanes<T>)
      store(walk.to[k] + j, keep(share, j, row[k].h_previous, load(static_cast<const T*>(walk.to[k]) + j)));
  }
}

template <class T, CellKind Kind, class Product>
void general_forward(const Layout& layout, const ForwardBuffers<T>& b, const Extras<T>& x, int slot, int stride,
                     void* workspace, Row<T>* row) {
  GeneralWalk<T, Product> walk(layout, b.hidden, b.size, slot, stride, workspace);
  for (int64_t number = 0; number < layout.num_steps; ++number) {
    walk.begin(number, b.reverse);
    for (int64_t k = 0; k < walk.rows; ++k) row[k] = general_row<T, Kind>(b, x, walk.step, walk.row(k));
    recurrent_sums<T, Kind>(walk, b, x, row);
    apply_cell<T, Kind>(walk, b, x, row);
    if (b.unprojected) project(walk, b, x, row);
    keep_finals<T, Kind == CellKind::lstm>(layout, b, walk.step, number, walk.rows, slot, stride);
  }
}

template <class T, CellKind Kind>
OSTINATO_INLINE Row<T> general_row(const BackwardBuffers<T>& b, const Extras<T>& x, const Step& step, int64_t index) {
  constexpr int G = num_gates(Kind);
  const int64_t at = step.first + index;
  Row<T> row{};
  row.hidden = b.hidden;
  row.gates = const_cast<T*>(b.gates) + at * b.gates_stride;
  row.memory = const_cast<T*>(some(b.memory, at * b.hidden));
  row.normalised = some(x.normalised, at * G * b.hidden);
  row.h_previous = state_before(step, index, b.output, b.output_stride, b.h_0, b.size);
  if (Kind == CellKind::lstm) {
    row.memory_previous = state_before(step, index, b.memory, b.hidden, b.c_0, b.hidden);
    row.d_memory = some(b.d_memory, at * b.hidden);
    row.d_c = b.d_c + index * b.hidden;
  }
  if (b.d_projected) {
    row.d_output = b.d_unprojected + 2 * index * b.hidden;
    row.d_h = b.d_unprojected + (2 * index + 1) * b.hidden;
  } else {
    row.d_output = b.d_output + at * b.d_output_stride;
    row.d_h = b.d_h + index * b.size;
  }
  row.d_gates = b.d_gates + at * b.d_gates_stride;
  row.d_hidden_n = x.reset_before ? nullptr : some(b.d_hidden_n, at * b.hidden);
  row.d_recurrent = some(x.d_recurrent, at * G * b.hidden);
  row.d_vectors = some(x.d_vectors, index * (5 + G) * b.hidden);
  return with_extras(row, x, step, index, b.size, b.d_projected != nullptr);
}

// Back through a projection: what reached each row's h, times W_hr; d_h begins anew, with what zoneout kept.
template <class T, class Product>
void back_through_projection(GeneralWalk<T, Product>& walk, const BackwardBuffers<T>& b, const Extras<T>& x) {
  for (int64_t k = 0; k < walk.rows; ++k) {
    const int64_t index = walk.row(k), at = walk.step.first + index;
    T* d_h = b.d_h + index * b.size;
    T* d_projected = b.d_projected + at * b.size;
    for (int64_t j = 0; j < b.size; j += kLanes<T>) {
      const Vector<T> d = load(b.d_output + at * b.d_output_stride + j) + load(static_cast<const T*>(d_h) + j);
      const Vector<T> kept = x.zoneout_h ? load(x.zoneout_h + at * b.size + j) : Vector<T>{};
      store(d_projected + j, Vector<T>(d * (T(1) - kept)));
      store(d_h + j, Vector<T>(d * kept));
    }
    walk.from[k] = d_projected;
    walk.to[k] = b.d_unprojected + 2 * index * b.hidden;
    for (int64_t j = 0; j < 2 * b.hidden; j += kLanes<T>) store(walk.to[k] + j, Vector<T>{});
  }
  walk.multiply(b.panels_hr, b.size, b.hidden);
}

// d_h += (masked) the gradients of all recurrent sums times W_hh.
template <class T, CellKind Kind, class Product>
void back_through_product(GeneralWalk<T, Product>& walk, const BackwardBuffers<T>& b, const Extras<T>& x,
                          const Row<T>* row) {
  constexpr bool gru = Kind == CellKind::gru;
  const int64_t H = b.hidden, depth = gru ? 2 * H : num_gates(Kind) * H;
  for (int64_t k = 0; k < walk.rows; ++k) {
    walk.from[k] = row[k].d_recurrent ? row[k].d_recurrent : row[k].d_gates;
    walk.to[k] = b.d_h + walk.row(k) * b.size;
    if (!row[k].mask) continue;
    walk.to[k] = walk.product + k * b.size;
    for (int64_t j = 0; j < b.size; j += kLanes<T>) store(walk.to[k] + j, Vector<T>{});
  }
  walk.multiply(b.panels, depth, b.size);
  if (gru && !x.reset_before) {
    for (int64_t k = 0; k < walk.rows; ++k)
      walk.from[k] = row[k].d_recurrent ? row[k].d_recurrent + depth : row[k].d_hidden_n;
    walk.multiply(b.panels_hn, H, b.size);
  }
  for (int64_t k = 0; k < walk.rows && x.hidden_mask; ++k)
    for (int64_t j = 0; j < b.size; j += kLanes<T>)
      add_to(b.d_h + walk.row(k) * b.size + j,
             Vector<T>(load(static_cast<const T*>(walk.to[k]) + j) * load(row[k].mask + j)));
}

template <class T, class Product>
void back_through_reset(GeneralWalk<T, Product>& walk, const BackwardBuffers<T>& b, Row<T>* row) {
  for (int64_t k = 0; k < walk.rows; ++k) {
    walk.from[k] = row[k].d_gates + 2 * b.hidden;
    walk.to[k] = walk.product + k * b.size;
    for (int64_t j = 0; j < b.size; j += kLanes<T>) store(walk.to[k] + j, Vector<T>{});
    row[k].d_reset = walk.to[k];
  }
  walk.multiply(b.panels_hn, b.hidden, b.size);
  for (int64_t k = 0; k < walk.rows; ++k) RowCell<T, CellKind::gru>::backward_reset(row[k]);
}

template <class T, CellKind Kind, class Product>
void general_backward(const Layout& layout, const BackwardBuffers<T>& b, const Extras<T>& x, int slot, int stride,
                      void* workspace, Row<T>* row) {
  GeneralWalk<T, Product> walk(layout, b.hidden, b.size, slot, stride, workspace);
  for (int64_t number = layout.num_steps - 1; number >= 0; --number) {
    walk.begin(number, b.reverse);
    if (b.d_projected) back_through_projection(walk, b, x);
    for (int64_t k = 0; k < walk.rows; ++k) {
      row[k] = general_row<T, Kind>(b, x, walk.step, walk.row(k));
      RowCell<T, Kind>::backward(row[k]);
    }
    if constexpr (Kind == CellKind::gru)
      if (x.reset_before) back_through_reset(walk, b, row);
    for (int64_t k = 0; k < walk.rows; ++k) {
      if (x.gain_hh) back_through_norm<T>(Kind, row[k]);
      if (!b.h_previous) continue;
      T* before = b.h_previous + (walk.step.first + walk.row(k)) * b.size;
      if (row[k].mask) {
        multiply_rows(before, row[k].h_previous, row[k].mask, b.size);
      } else {
        copy(before, row[k].h_previous, b.size);
      }
    }
    back_through_product<T, Kind>(walk, b, x, row);
  }
}

template <CellKind Kind>
struct KindOf {
  static constexpr CellKind value = Kind;
};

// Calls `run` with the cell and the product as types.
template <class T, class F>
void with_cell(CellKind kind, Precision precision, F&& run) {
  with_product<T>(precision, [&](auto product) {
    using Product = decltype(product);
    switch (kind) {
      case CellKind::elman_tanh: return run(KindOf<CellKind::elman_tanh>{}, Product{});
      case CellKind::elman_relu: return run(KindOf<CellKind::elman_relu>{}, Product{});
      case CellKind::lstm: return run(KindOf<CellKind::lstm>{}, Product{});
      case CellKind::gru: return run(KindOf<CellKind::gru>{}, Product{});
    }
  });
}

template <class T>
void forward_general(CellKind kind, const Layout& layout, const ForwardBuffers<T>& b, const Extras<T>& x, int slot,
                     int stride, void* workspace) {
  Room room(workspace);
  Row<T>* row = room.take<Row<T>>(layout.num_rows);
  with_cell<T>(kind, x.precision, [&](auto cell, auto product) {
    general_forward<T, decltype(cell)::value, decltype(product)>(layout, b, x, slot, stride, room.template take<char>(0),
                                                                 row);
  });
}

template <class T>
void backward_general(CellKind kind, const Layout& layout, const BackwardBuffers<T>& b, const Extras<T>& x, int slot,
                      int stride, void* workspace) {
  Room room(workspace);
  Row<T>* row = room.take<Row<T>>(layout.num_rows);
  with_cell<T>(kind, x.precision, [&](auto cell, auto product) {
    general_backward<T, decltype(cell)::value, decltype(product)>(layout, b, x, slot, stride, room.template take<char>(0),
                                                                  row);
  });
}

template <class T>
double exponentials(T* values, int64_t count, T factor) {
  T most = values[0];
  for (int64_t k = 1; k < count; ++k) most = values[k] > most ? values[k] : most;
  double sum = 0;
  int64_t k = 0;
  Vector<T> sums{};
  for (; k + kLanes<T> <= count; k += kLanes<T>) {
    const Vector<T> e = exp<T>((load(static_cast<const T*>(values) + k) - most) * factor);
    store(values + k, e);
    sums += e;
  }
  sum = static_cast<double>(total<T>(sums));
  for (; k < count; ++k) {
    const Vector<T> e = exp<T>(broadcast<T>((values[k] - most) * factor));
    values[k] = e[0];
    sum += static_cast<double>(e[0]);
  }
  return sum;
}

// In place: the values normalised and scaled; all but `count` of them are zero padding.
template <class T>
void layer_norm(T* values, int64_t size, int64_t count, const T* gain) {
  const Moments<T> m = moments<T>(size, count, [&](int64_t j) { return load(static_cast<const T*>(values) + j); });
  for (int64_t j = 0; j < size; j += kLanes<T>) {
    const Vector<T> x = load(static_cast<const T*>(values) + j);
    store(values + j, Vector<T>((x - m.mean) * m.inverse_std * load(gain + j)));
  }
}

template <class T>
T read(const T* values, int64_t count) {
  Vector<T> sums[4] = {};
  int64_t k = 0;
  for (; k + 4 * kLanes<T> <= count; k += 4 * kLanes<T>)
    for (int i = 0; i < 4; ++i) sums[i] += load(values + k + i * kLanes<T>);
  return total<T>(sums[0] + sums[1] + sums[2] + sums[3]);
}

}  // namespace ostinato::OSTINATO_TARGET
