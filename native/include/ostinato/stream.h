// A stack of layers run one step at a time, for many rows (sessions) at once, and text drawn from it. Weights are packed
// and every buffer is made once; a step allocates nothing.
#pragma once

#include <memory>
#include <vector>

#include "ostinato/layer.h"

namespace ostinato {

// One layer, forward in time. Sizes but `inputs` and `count` are padded to multiples of 16; the arrays are copied.
template <class T>
struct StreamLayer {
  CellKind kind;
  int64_t inputs;       // features of the input that are no padding
  int64_t hidden, size; // H, P
  int64_t count, outputs;  // units and output features that are no padding
  bool reset_before;
  const T* weight_ih;   // (G*H, I), I padded; null for a layer fed by `table`
  const T* weight_hh;   // (G*H, P)
  const T* weight_hr;   // (P, H) or null
  const T* bias;        // (G*H,) all biases but GRU's b_hn where it resets after the product
  const T* bias_hn;     // GRU: (H,) or null
  const T* peepholes;   // LSTM: (3H,) or null
  const T* gain_ih;     // (G*H,) or null: layer norm of the input's sums; `table` has it already
  const T* gain_hh;     // (G*H,) or null: of the recurrent sums
  const T* gain_c;      // LSTM: (H,) or null
  const T* bias_c;
  double zoneout_h, zoneout_c;  // shares of the state before that are kept
};

// Tokens to the sums of the first layer, and its last output to scores.
template <class T>
struct StreamTokens {
  int64_t vocab_size = 0;
  const T* table = nullptr;    // (V, G*H) of the first layer: x W_ih^T + bias of each token; copied
  const T* vectors = nullptr;  // or (V, I) its input, I padded, for a vocabulary too large for that
  const T* weight = nullptr;  // (V, P) or null: no scores
  const T* bias = nullptr;    // (V,)
  std::vector<int64_t> banned;  // never drawn
};

struct Sampling {
  double temperature;  // 0: the likeliest
  int64_t top_k;       // 0: all
  double top_p;        // 1: all
  int64_t end;         // drawing ends after this token; -1: never
};

template <class T>
class Stream {
 public:
  // Products of full precision or int8. Rows are shared out among at most `num_threads` threads.
  Stream(const std::vector<StreamLayer<T>>& layers, const StreamTokens<T>& tokens, int64_t num_rows, Precision precision,
         int num_threads);
  ~Stream();
  Stream(Stream&&) noexcept;

  // From now on `num_rows` rows, 1 up to as many as it was made for; the first ones keep their states.
  void use_rows(int64_t num_rows);

  // `num_steps` steps: x (L, N, I) -> the last layer's output (L, N, P_real), both dense.
  void run(const T* x, int64_t num_steps, T* output);
  // The same from token ids (L, N); with a head, `scores` (L, N, V) may be given, `output` may be null.
  void run_tokens(const int64_t* ids, int64_t num_steps, T* output, T* scores);
  // Draws `count` tokens a row after `ids` (N,), into `drawn` (count, N): inverse cumulative distribution at `uniforms`
  // (count, N). Returns how many steps were made: fewer once every row has drawn `end`, whose later tokens are `end`.
  // Throws std::domain_error if scores are not numbers.
  int64_t draw(const int64_t* ids, int64_t count, const double* uniforms, const Sampling& sampling, int64_t* drawn);

  // State tensors in order (h, c of layer 0, h, c of layer 1, ...): each (N, features), features without padding.
  int64_t num_states() const;
  int64_t state_features(int64_t index) const;
  void read_state(int64_t index, T* to) const;
  void write_state(int64_t index, const T* from);

  int64_t num_rows() const;
  int64_t capacity() const;  // the most rows
  int64_t inputs() const;
  int64_t outputs() const;
  int64_t vocab_size() const;
  bool has_scores() const;
  int64_t weight_bytes() const;  // what a step reads

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ostinato
