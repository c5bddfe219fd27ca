// The core by itself, without Python: every target, cell, type and direction against a loop written from the equations,
// and gradients against differences of the loss. `make native-test` builds it with AddressSanitizer and UBSan: every
// buffer is exactly as large as its contract says, so a step over an edge stops the run.
#include <cmath>
#include <cstdio>
#include <random>
#include <thread>

#include "ostinato/convolutions.h"
#include "ostinato/layer.h"
#include "ostinato/linear.h"
#include "ostinato/stream.h"

using namespace ostinato;

namespace {

int failures = 0;

void expect(bool good, const char* what, const std::string& where) {
  if (good) return;
  ++failures;
  std::printf("FAILED %s: %s\n", where.c_str(), what);
}

template <class T>
struct Problem {
  CellKind kind;
  int64_t H, P, D, N;
  bool reverse;
  std::vector<int64_t> sizes, offsets;
  int64_t L = 0, G;
  std::vector<T> w[2], wr[2], bn[2], h0, c0, x;

  Problem(CellKind kind, int64_t H, int64_t P, int64_t D, bool reverse, int64_t N, std::vector<int64_t> batch_sizes)
      : kind(kind), H(H), P(P), D(D), N(N), reverse(reverse), sizes(std::move(batch_sizes)), G(num_gates(kind)) {
    for (int64_t n : sizes) offsets.push_back(L), L += n;
    std::mt19937 random(7);
    auto fill = [&](std::vector<T>& v, int64_t n, double scale) {
      std::normal_distribution<double> normal(0, scale);
      v.resize(n);
      for (T& e : v) e = static_cast<T>(normal(random));
    };
    for (int d = 0; d < D; ++d) {
      fill(w[d], G * H * P, 0.2);
      fill(wr[d], P * H, 0.2);
      fill(bn[d], H, 0.5);
    }
    fill(h0, D * N * P, 0.5);
    fill(c0, D * N * H, 0.5);
    fill(x, L * D * G * H, 1.0);
  }

  // What may be added to the cell, for every direction: random, or such that it changes nothing.
  void add_extras(bool neutral, bool norm, bool reset_before) {
    std::mt19937 random(11);
    auto fill = [&](std::vector<T>& v, int64_t n, double low, double high) {
      std::uniform_real_distribution<double> uniform(low, high);
      v.resize(n);
      for (T& e : v) e = static_cast<T>(uniform(random));
    };
    fill(mask, D * N * P, neutral ? 1 : 0.5, neutral ? 1 : 1.5);
    fill(zoneout_h, D * L * P, 0, neutral ? 0 : 1);
    if (lstm()) fill(zoneout_c, D * L * H, 0, neutral ? 0 : 1);
    if (lstm()) fill(peepholes, D * 3 * H, neutral ? 0 : -0.5, neutral ? 0 : 0.5);
    if (norm) fill(gain, D * G * H, 0.5, 1.5);
    if (norm && lstm()) fill(gain_c, D * H, 0.5, 1.5), fill(bias_c, D * H, -0.5, 0.5);
    this->reset_before = reset_before;
  }

  Extras<T> extras() const {
    auto data = [](const std::vector<T>& v) { return v.empty() ? nullptr : v.data(); };
    Extras<T> x{};
    x.count = H;
    x.reset_before = reset_before;
    x.hidden_mask = data(mask), x.zoneout_h = data(zoneout_h), x.zoneout_c = data(zoneout_c);
    x.peepholes = data(peepholes), x.gain_hh = data(gain), x.gain_c = data(gain_c), x.bias_c = data(bias_c);
    return x;
  }

  std::vector<T> mask, zoneout_h, zoneout_c, peepholes, gain, gain_c, bias_c;
  bool reset_before = false;

  bool lstm() const { return kind == CellKind::lstm; }
  bool gru() const { return kind == CellKind::gru; }
  bool projects() const { return P != H; }
};

template <class T>
struct Result {
  std::vector<T> gates, output, memory, unprojected, h_n, c_n, normalised, inverse_std;
};

template <class T>
Result<T> run_core(const Problem<T>& p, int threads) {
  Result<T> r{p.x, std::vector<T>(p.L * p.D * p.P), {}, {}, p.h0, {}, {}, {}};
  if (p.lstm() || p.gru()) r.memory.resize(p.D * p.L * p.H);
  if (p.projects()) r.unprojected.resize(p.D * p.L * p.H);
  if (p.lstm()) r.c_n = p.c0;
  LayerForward<T> a{};
  a.kind = p.kind;
  a.layout = {static_cast<int64_t>(p.sizes.size()), p.N, p.sizes.data(), p.offsets.data()};
  a.hidden = p.H, a.size = p.P, a.sum_l = p.L, a.num_directions = static_cast<int>(p.D), a.num_threads = threads;
  a.reverse = p.reverse;
  a.extras = p.extras();
  if (!p.gain.empty()) {
    r.normalised.resize(p.D * p.L * p.G * p.H), r.inverse_std.resize(p.D * p.L);
    a.extras.normalised = r.normalised.data(), a.extras.inverse_std = r.inverse_std.data();
  }
  for (int d = 0; d < p.D; ++d) {
    a.weight_hh[d] = p.w[d].data();
    a.weight_hr[d] = p.projects() ? p.wr[d].data() : nullptr;
    a.bias_hn[d] = p.gru() && !p.reset_before ? p.bn[d].data() : nullptr;
  }
  a.h_0 = p.h0.data(), a.c_0 = p.lstm() ? p.c0.data() : nullptr;
  a.gates = r.gates.data(), a.output = r.output.data(), a.h_n = r.h_n.data();
  a.memory = r.memory.empty() ? nullptr : r.memory.data();
  a.unprojected = r.unprojected.empty() ? nullptr : r.unprojected.data();
  a.c_n = r.c_n.empty() ? nullptr : r.c_n.data();
  run(a);
  return r;
}

double sigmoid(double v) { return 1 / (1 + std::exp(-v)); }

// Row by row, unit by unit, in double.
template <class T>
std::vector<double> run_plainly(const Problem<T>& p) {
  std::vector<double> out(p.L * p.D * p.P);
  for (int64_t d = 0; d < p.D; ++d)
    for (int64_t n = 0; n < p.N; ++n) {
      std::vector<double> h(p.h0.begin() + (d * p.N + n) * p.P, p.h0.begin() + (d * p.N + n + 1) * p.P);
      std::vector<double> c(p.c0.begin() + (d * p.N + n) * p.H, p.c0.begin() + (d * p.N + n + 1) * p.H);
      int64_t length = 0;
      while (length < static_cast<int64_t>(p.sizes.size()) && p.sizes[length] > n) ++length;
      for (int64_t s = 0; s < length; ++s) {
        const int64_t at = p.offsets[(p.reverse || d == 1) ? length - 1 - s : s] + n;
        std::vector<double> next(p.H);
        for (int64_t j = 0; j < p.H; ++j) {
          double sum[4] = {}, x[4] = {};
          for (int64_t g = 0; g < p.G; ++g) {
            x[g] = p.x[(at * p.D + d) * p.G * p.H + g * p.H + j];
            for (int64_t k = 0; k < p.P; ++k) sum[g] += p.w[d][(g * p.H + j) * p.P + k] * h[k];
          }
          if (p.lstm()) {
            c[j] = sigmoid(x[1] + sum[1]) * c[j] + sigmoid(x[0] + sum[0]) * std::tanh(x[2] + sum[2]);
            next[j] = sigmoid(x[3] + sum[3]) * std::tanh(c[j]);
          } else if (p.gru()) {
            const double r = sigmoid(x[0] + sum[0]), z = sigmoid(x[1] + sum[1]);
            const double m = std::tanh(x[2] + r * (sum[2] + p.bn[d][j]));
            next[j] = (1 - z) * m + z * h[j];
          } else {
            const double v = x[0] + sum[0];
            next[j] = p.kind == CellKind::elman_relu ? std::fmax(v, 0) : std::tanh(v);
          }
        }
        if (p.projects()) {
          h.assign(p.P, 0);
          for (int64_t j = 0; j < p.P; ++j)
            for (int64_t k = 0; k < p.H; ++k) h[j] += p.wr[d][j * p.H + k] * next[k];
        } else {
          h = next;
        }
        for (int64_t j = 0; j < p.P; ++j) out[(at * p.D + d) * p.P + j] = h[j];
      }
    }
  return out;
}

// The gradient of sum(output * weight) with respect to what forward read in `gates`, from the core.
std::vector<double> gradient(const Problem<double>& p, const Result<double>& r, const std::vector<double>& weight) {
  std::vector<double> d_gates(p.x.size()), d_h(p.h0.size()), d_c(p.c0.size()), d_n(p.D * p.L * p.H), d_p(p.D * p.L * p.P),
      before(p.D * p.L * p.P);
  LayerBackward<double> a{};
  a.kind = p.kind;
  a.layout = {static_cast<int64_t>(p.sizes.size()), p.N, p.sizes.data(), p.offsets.data()};
  a.hidden = p.H, a.size = p.P, a.sum_l = p.L, a.num_directions = static_cast<int>(p.D), a.num_threads = 2;
  a.reverse = p.reverse;
  for (int d = 0; d < p.D; ++d) {
    a.weight_hh[d] = p.w[d].data();
    a.weight_hr[d] = p.projects() ? p.wr[d].data() : nullptr;
  }
  a.h_0 = p.h0.data(), a.c_0 = p.lstm() ? p.c0.data() : nullptr;
  a.gates = r.gates.data(), a.output = r.output.data(), a.memory = r.memory.empty() ? nullptr : r.memory.data();
  a.d_output = weight.data(), a.d_h = d_h.data(), a.d_c = p.lstm() ? d_c.data() : nullptr;
  a.d_gates = d_gates.data(), a.d_hidden_n = p.gru() ? d_n.data() : nullptr;
  a.d_projected = p.projects() ? d_p.data() : nullptr;
  a.h_previous = before.data();
  a.extras = p.extras();
  std::vector<double> d_vectors(p.D * p.N * (5 + p.G) * p.H), d_recurrent(r.normalised.size());
  std::vector<double> normalised = r.normalised, inverse_std = r.inverse_std;
  a.extras.d_vectors = d_vectors.data();
  if (!p.gain.empty()) {
    a.extras.normalised = normalised.data(), a.extras.inverse_std = inverse_std.data();
    a.extras.d_recurrent = d_recurrent.data();
  }
  run(a);
  return d_gates;
}

void check_gradient(Problem<double> p, const std::string& where) {
  std::mt19937 random(3);
  std::normal_distribution<double> normal;
  std::vector<double> weight(p.L * p.D * p.P), direction(p.x.size());
  for (double& e : weight) e = normal(random);
  for (double& e : direction) e = normal(random);
  const std::vector<double> found = gradient(p, run_core(p, 1), weight);
  double slope = 0;
  for (size_t i = 0; i < found.size(); ++i) slope += found[i] * direction[i];
  const std::vector<double> x = p.x;
  double loss[2];
  for (int side = 0; side < 2; ++side) {
    for (size_t i = 0; i < x.size(); ++i) p.x[i] = x[i] + (side ? 1e-6 : -1e-6) * direction[i];
    const Result<double> r = run_core(p, 1);
    loss[side] = 0;
    for (size_t i = 0; i < weight.size(); ++i) loss[side] += weight[i] * r.output[i];
  }
  const double difference = (loss[1] - loss[0]) / 2e-6;
  expect(std::fabs(difference - slope) < 1e-5 * (1 + std::fabs(slope)), "gradient of the gates", where);
}

template <class T>
void check(const Problem<T>& p, const std::string& where) {
  const std::vector<double> truth = run_plainly(p);
  for (int threads : {1, 2, 5}) {
    const Result<T> r = run_core(p, threads);
    double worst = 0;
    for (size_t i = 0; i < truth.size(); ++i) worst = std::fmax(worst, std::fabs(truth[i] - r.output[i]));
    expect(worst < (sizeof(T) == 4 ? 2e-5 : 1e-12), "output", where);
  }
  if constexpr (sizeof(T) == 8) {
    if (p.kind != CellKind::elman_relu) check_gradient(p, where);
  }
}

// What may be added: where it changes nothing, the plain cell's numbers; else gradients against differences.
template <class T>
void check_extras(Problem<T> p, const std::string& where) {
  const std::vector<double> truth = run_plainly(p);
  p.add_extras(true, false, false);
  for (int threads : {1, 2, 5}) {
    const Result<T> r = run_core(p, threads);
    double worst = 0;
    for (size_t i = 0; i < truth.size(); ++i) worst = std::fmax(worst, std::fabs(truth[i] - r.output[i]));
    expect(worst < (sizeof(T) == 4 ? 2e-5 : 1e-12), "output with extras that change nothing", where);
  }
  if constexpr (sizeof(T) == 8) {
    if (p.kind == CellKind::elman_relu) return;
    for (bool norm : {false, true}) {
      p.add_extras(false, norm, false);
      check_gradient(p, where + (norm ? " layer norm" : " extras"));
      p.gain.clear(), p.gain_c.clear(), p.bias_c.clear();
    }
    if (!p.gru()) return;
    p.add_extras(false, false, true);
    check_gradient(p, where + " reset before");
  }
}

// A stream, a step at a time, against the layer: forward, dense, from zeros.
template <class T>
void check_stream(Problem<T> p, Precision precision, const std::string& where) {
  std::fill(p.h0.begin(), p.h0.end(), T(0)), std::fill(p.c0.begin(), p.c0.end(), T(0));
  const int64_t I = 16, steps = static_cast<int64_t>(p.sizes.size());
  std::vector<T> weight_ih(p.G * p.H * I), x(steps * p.N * I);
  std::mt19937 random(5);
  std::normal_distribution<double> normal(0, 0.3);
  for (T& e : weight_ih) e = static_cast<T>(normal(random));
  for (T& e : x) e = static_cast<T>(normal(random));
  for (int64_t at = 0; at < p.L; ++at)
    for (int64_t g = 0; g < p.G * p.H; ++g) {
      double sum = 0;
      for (int64_t k = 0; k < I; ++k) sum += static_cast<double>(weight_ih[g * I + k]) * static_cast<double>(x[at * I + k]);
      p.x[at * p.G * p.H + g] = static_cast<T>(sum);
    }
  StreamLayer<T> layer{};
  layer.kind = p.kind, layer.inputs = I, layer.hidden = layer.count = p.H, layer.size = layer.outputs = p.P;
  layer.weight_ih = weight_ih.data(), layer.weight_hh = p.w[0].data();
  layer.weight_hr = p.projects() ? p.wr[0].data() : nullptr;
  layer.bias_hn = p.gru() ? p.bn[0].data() : nullptr;
  std::vector<T> found(p.L * p.P);
  Stream<T> stream({layer}, {}, p.N, precision, 2);
  stream.run(x.data(), 1, found.data());
  const std::string packed_by = target().name;
  force_target("baseline");  // a stream stays with the target that packed its weights
  stream.run(x.data() + p.N * I, steps - 1, found.data() + p.N * p.P);
  force_target(packed_by);
  // Fewer rows than there is room for give the same bits.
  std::vector<T> alone(steps * p.P);
  Stream<T> roomy({layer}, {}, p.N + 3, precision, 2);
  roomy.use_rows(1);
  for (int64_t t = 0; t < steps; ++t) roomy.run(x.data() + t * p.N * I, 1, alone.data() + t * p.P);
  for (int64_t t = 0; t < steps; ++t)
    for (int64_t k = 0; k < p.P; ++k) expect(alone[t * p.P + k] == found[t * p.N * p.P + k], "stream of one row", where);
  const Result<T> r = run_core(p, 1);
  double worst = 0;
  for (size_t i = 0; i < found.size(); ++i) worst = std::fmax(worst, std::fabs(static_cast<double>(found[i] - r.output[i])));
  expect(worst < (precision == Precision::int8 ? 0.1 : sizeof(T) == 4 ? 2e-5 : 1e-12), "stream", where);
}

template <class T>
void check_text(const std::string& where) {
  const int64_t V = 21, H = 32, N = 3, count = 40;
  std::vector<T> table(V * 4 * H), weight_hh(4 * H * H), weight(V * H), bias(V);
  std::mt19937 random(9);
  std::normal_distribution<double> normal(0, 0.5);
  for (auto* part : {&table, &weight_hh, &weight, &bias})
    for (T& e : *part) e = static_cast<T>(normal(random));
  StreamLayer<T> layer{};
  layer.kind = CellKind::lstm, layer.inputs = 16, layer.hidden = layer.count = layer.size = layer.outputs = H;
  layer.weight_hh = weight_hh.data();
  StreamTokens<T> tokens;
  tokens.vocab_size = V, tokens.table = table.data(), tokens.weight = weight.data(), tokens.bias = bias.data();
  tokens.banned = {0, 1};
  std::vector<double> uniforms(count * N);
  std::uniform_real_distribution<double> uniform;
  for (double& u : uniforms) u = uniform(random);
  for (const Sampling& how : {Sampling{1, 0, 1, -1}, Sampling{0.7, 5, 0.9, 4}, Sampling{0, 0, 1, -1}}) {
    std::vector<int64_t> ids = {3, 4, 5}, drawn(count * N, -1);
    Stream<T> stream({layer}, tokens, N, Precision::full, 2);
    const int64_t made = stream.draw(ids.data(), count, uniforms.data(), how, drawn.data());
    bool good = made >= 1 && made <= count;
    for (int64_t i = 0; i < count * N; ++i) good = good && drawn[i] > 1 && drawn[i] < V;
    expect(good, "text", where);
  }
}

template <class T>
void check_linear(const std::string& where) {
  const int64_t columns = 48, depth = 32, rows = 130;
  std::vector<T> weight(columns * depth), bias(columns), x(rows * depth), found(rows * columns), alone(columns);
  std::mt19937 random(3);
  std::normal_distribution<double> normal(0, 0.5);
  for (auto* part : {&weight, &bias, &x})
    for (T& e : *part) e = static_cast<T>(normal(random));
  const Linear<T> linear(weight.data(), bias.data(), columns, depth);
  linear.run(x.data(), rows, found.data(), 2);
  for (int64_t row = 0; row < rows; ++row) {
    linear.run(x.data() + row * depth, 1, alone.data(), 2);
    for (int64_t c = 0; c < columns; ++c) {
      double sum = static_cast<double>(bias[c]);
      for (int64_t k = 0; k < depth; ++k)
        sum += static_cast<double>(weight[c * depth + k]) * static_cast<double>(x[row * depth + k]);
      expect(alone[c] == found[row * columns + c], "linear map of one row", where);
      expect(std::fabs(sum - static_cast<double>(alone[c])) < (sizeof(T) == 4 ? 1e-5 : 1e-13), "linear map", where);
    }
  }
}

template <class T>
void check_all(const std::string& name) {
  const std::vector<std::vector<int64_t>> layouts = {{1}, {3, 3, 3, 3}, {13, 12, 12, 7, 7, 6, 1, 1}};
  for (CellKind kind : {CellKind::elman_tanh, CellKind::elman_relu, CellKind::lstm, CellKind::gru})
    for (int64_t H : {16, 48, 80})
      for (int64_t P : {H, int64_t(16)}) {
        if (P != H && kind != CellKind::lstm) continue;
        for (const auto& sizes : layouts)
          for (int64_t D : {1, 2})
            for (bool reverse : {false, true}) {
              if (D == 2 && reverse) continue;
              const int64_t N = sizes[0] + 2;  // two empty rows
              const std::string where = name + " cell " + std::to_string(static_cast<int>(kind)) + " H " +
                                        std::to_string(H) + " P " + std::to_string(P) + " D " + std::to_string(D) +
                                        " bytes " + std::to_string(sizeof(T));
              const Problem<T> p(kind, H, P, D, reverse, N, sizes);
              check(p, where);
              if (H < 80 && !reverse) check_extras(p, where);
            }
        const Problem<T> dense(kind, H, P, 1, false, 3, {3, 3, 3, 3});
        check_stream(dense, Precision::full, name + " stream H " + std::to_string(H));
        if (sizeof(T) == 4) check_stream(dense, Precision::int8, name + " int8 stream H " + std::to_string(H));
      }
  check_text<T>(name);
  check_linear<T>(name);
}

// Threads that need the target first, all at once, find the same one: the best that runs here.
void check_first_use() {
  std::vector<const Target*> found(8);
  std::vector<std::thread> threads;
  for (const Target*& one : found) threads.emplace_back([&one] { one = &target(); });
  for (std::thread& thread : threads) thread.join();
  const Target* best = nullptr;
  for (const Target* one : targets())
    if (!best && one->runs_here()) best = one;
  for (const Target* one : found) expect(one == best, "target", "first use");
}

// Small integers, so that sums are exact whatever their order: every share against the definition.
template <class T>
void check_convolutions(const char* target) {
  constexpr int64_t C = 2, L = 50, B = 4;
  const std::vector<int64_t> lengths = {L, 0, 7, 1, 33}, dilations = {1, 4, 7}, first = {0, 2, 3, B};
  const auto N = static_cast<int64_t>(lengths.size());
  std::mt19937 random(3);
  auto fill = [&](auto& v, int64_t n, int least, int most) {
    v.resize(n);
    for (auto& e : v) e = static_cast<std::decay_t<decltype(e)>>(std::uniform_int_distribution<int>(least, most)(random));
  };
  std::vector<uint8_t> reads;
  std::vector<T> bounds, x, found(N * kNumKernels * B);
  fill(reads, 3 * kNumKernels * C, 0, 1);
  fill(bounds, kNumKernels * B, -5, 5);
  fill(x, N * C * L, -4, 4);
  const Convolutions<T> all = {C, 3, B, dilations.data(), first.data(), reads.data(), bounds.data()};
  convolution_shares(all, x.data(), lengths.data(), N, L, found.data(), 3);
  bool right = true;
  for (int64_t n = 0; n < N; ++n) {
    int64_t kernel = 0;
    for (int64_t i = 0; i < kNine; ++i)
      for (int64_t j = i + 1; j < kNine; ++j)
        for (int64_t k = j + 1; k < kNine; ++k, ++kernel)
          for (int64_t b = 0; b < B; ++b) {
            const int64_t at = b < first[1] ? 0 : b < first[2] ? 1 : 2, d = dilations[at];
            const int64_t cut = kernel % 2 && lengths[n] > 8 * d ? 4 * d : 0;
            double above = 0;
            for (int64_t t = cut; t < lengths[n] - cut; ++t) {
              double sum = 0;
              for (int64_t tap = 0; tap < kNine; ++tap) {
                const int64_t step = t + (tap - 4) * d;
                if (step < 0 || step >= lengths[n]) continue;
                for (int64_t c = 0; c < C; ++c)
                  sum += reads[(at * kNumKernels + kernel) * C + c] * x[(n * C + c) * L + step] *
                         (tap == i || tap == j || tap == k ? 2 : -1);
              }
              above += sum > bounds[kernel * B + b];
            }
            const double share = above / std::max<int64_t>(1, lengths[n] - 2 * cut);
            right &= std::abs(share - found[(n * kNumKernels + kernel) * B + b]) < 1e-6;
          }
  }
  expect(right, "shares of random convolutions", target);
}

}  // namespace

int main() {
  check_first_use();
  int ran = 0;
  for (const Target* one : targets()) {
    if (!one->runs_here()) continue;
    force_target(one->name);
    check_all<float>(one->name);
    check_all<double>(one->name);
    check_convolutions<float>(one->name);
    check_convolutions<double>(one->name);
    ++ran;
  }
  std::printf("%d targets, %d failures, threads: %s\n", ran, failures, parallel_kind());
  return failures != 0 || ran == 0;
}
