// The core by itself, without Python: every target, cell, type and direction against a loop written from the equations,
// and gradients against differences of the loss. `make native-test` builds it with AddressSanitizer and UBSan: every
// buffer is exactly as large as its contract says, so a step over an edge stops the run.
#include <cmath>
#include <cstdio>
#include <random>

#include "ostinato/layer.h"

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

  bool lstm() const { return kind == CellKind::lstm; }
  bool gru() const { return kind == CellKind::gru; }
  bool projects() const { return P != H; }
};

template <class T>
struct Result {
  std::vector<T> gates, output, memory, unprojected, h_n, c_n;
};

template <class T>
Result<T> run_core(const Problem<T>& p, int threads) {
  Result<T> r{p.x, std::vector<T>(p.L * p.D * p.P), {}, {}, p.h0, {}};
  if (p.lstm() || p.gru()) r.memory.resize(p.D * p.L * p.H);
  if (p.projects()) r.unprojected.resize(p.D * p.L * p.H);
  if (p.lstm()) r.c_n = p.c0;
  LayerForward<T> a{};
  a.kind = p.kind;
  a.layout = {static_cast<int64_t>(p.sizes.size()), p.N, p.sizes.data(), p.offsets.data()};
  a.hidden = p.H, a.size = p.P, a.sum_l = p.L, a.num_directions = static_cast<int>(p.D), a.num_threads = threads;
  a.reverse = p.reverse;
  for (int d = 0; d < p.D; ++d) {
    a.weight_hh[d] = p.w[d].data();
    a.weight_hr[d] = p.projects() ? p.wr[d].data() : nullptr;
    a.bias_hn[d] = p.gru() ? p.bn[d].data() : nullptr;
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
              check(Problem<T>(kind, H, P, D, reverse, N, sizes), where);
            }
      }
}

}  // namespace

int main() {
  int ran = 0;
  for (const Target* one : targets()) {
    if (!one->runs_here()) continue;
    force_target(one->name);
    check_all<float>(one->name);
    check_all<double>(one->name);
    ++ran;
  }
  std::printf("%d targets, %d failures, threads: %s\n", ran, failures, parallel_kind());
  return failures != 0 || ran == 0;
}
