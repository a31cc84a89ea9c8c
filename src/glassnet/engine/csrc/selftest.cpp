// A check of the native engine without Python: small networks are trained with every instruction set that this machine
// has, in every precision, and compared with the same steps written out plainly below, in double, one sample at a time.
//
//     selftest [THREADS] [INSTRUCTION SET ...]        prints "N passed, M failed", and fails if M is not 0
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "engine.hpp"
#include "sets.hpp"

#undef GLASSNET_ISA
#define GLASSNET_ISA selftest
#include "philox.hpp"

namespace {

using namespace glassnet;
using Vector = std::vector<double>;

struct Case {
  const char* name;
  std::vector<int64_t> sizes;
  std::vector<Activation> activations;
  Loss loss;
  Rules rules;
  int64_t batch;
  Type type = Type::f32;
  bool sparse = false, classes = true, weighted = false;
  Vector keeps = {};
  bool inverted = true;
  int frozen = 0;
  int64_t rows = 53;  // not a multiple of 29, by which their order goes
};

// ---- The plain way

double sigma(Activation kind, double z, double* slope) {
  const double e = 1 / (1 + std::exp(-z)), cdf = 0.5 * (1 + std::erf(z / std::sqrt(2.0)));
  switch (kind) {
    case Activation::identity: *slope = 1; return z;
    case Activation::relu: *slope = z > 0; return std::max(z, 0.0);
    case Activation::leaky_relu: *slope = z > 0 ? 1 : 0.1; return z > 0 ? z : 0.1 * z;
    case Activation::logistic: *slope = e * (1 - e); return e;
    case Activation::tanh: *slope = 1 - std::tanh(z) * std::tanh(z); return std::tanh(z);
    case Activation::elu: *slope = z > 0 ? 1 : 0.1 * std::exp(z); return z > 0 ? z : 0.1 * std::expm1(z);
    case Activation::gelu: *slope = cdf + z * std::exp(-z * z / 2) / std::sqrt(2 * M_PI); return z * cdf;
    case Activation::silu: *slope = e + z * e * (1 - e); return z * e;
    case Activation::softplus: *slope = e; return std::log1p(std::exp(z));
    case Activation::softmax: break;
  }
  std::abort();
}

Vector softmax(const Vector& z) {
  const double largest = *std::max_element(z.begin(), z.end());
  Vector p(z.size());
  double sum = 0;
  for (size_t m = 0; m < z.size(); m++) sum += p[m] = std::exp(z[m] - largest);
  for (double& value : p) value /= sum;
  return p;
}

double loss_of(Loss kind, const Vector& a, const Vector& t, Vector& gradient) {
  double c = 0;
  const Vector p = softmax(a);
  for (size_t m = 0; m < a.size(); m++) {
    const double r = a[m] - t[m], q = 1 / (1 + std::exp(-a[m]));
    switch (kind) {
      case Loss::squared_error: c += r * r / 2, gradient[m] = r; break;
      case Loss::absolute_error: c += std::abs(r), gradient[m] = (r > 0) - (r < 0); break;
      case Loss::huber: {
        const double clipped = std::clamp(r, -0.5, 0.5);
        c += std::abs(clipped) * (std::abs(r) - std::abs(clipped) / 2), gradient[m] = clipped;
        break;
      }
      case Loss::cross_entropy: {
        const double smooth = 0.9 * t[m] + 0.1 / static_cast<double>(a.size());
        c -= smooth * std::log(p[m]), gradient[m] = p[m] - smooth;
        break;
      }
      case Loss::binary_cross_entropy: {
        const double smooth = 0.9 * t[m] + 0.05;
        c -= smooth * std::log(q) + (1 - smooth) * std::log(1 - q), gradient[m] = q - smooth;
        break;
      }
      case Loss::log_loss: c -= t[m] * std::log(a[m]), gradient[m] = -t[m] / a[m]; break;
      case Loss::poisson: c += std::exp(a[m]) - t[m] * a[m], gradient[m] = std::exp(a[m]) - t[m]; break;
    }
  }
  return c;
}
double parameter_of(Loss kind) {
  return kind == Loss::huber ? 0.5 : kind == Loss::log_loss ? 1e-30 : kind == Loss::poisson ? 30 : 0.1;
}

struct Data {
  std::vector<float> x;  // whole numbers from 0 to 3 for uint8
  std::vector<uint8_t> bytes;
  std::vector<float> entries;
  std::vector<int32_t> columns;
  std::vector<int64_t> begin{0}, classes, order;
  Vector targets, weights;
};

constexpr uint64_t seed = 0x0123456789abcdef;

Data make_data(const Case& c) {
  std::mt19937 random(7);
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform(0, 1);
  Data data;
  for (int64_t i = 0; i < c.rows; i++) {
    for (int64_t k = 0; k < c.sizes[0]; k++) {
      const bool zero = c.sparse && uniform(random) < 0.7;
      const double value = c.type == Type::u8 ? std::floor(uniform(random) * 4) : normal(random);
      data.x.push_back(zero ? 0.0f : static_cast<float>(value));
      data.bytes.push_back(static_cast<uint8_t>(c.type == Type::u8 ? data.x.back() : 0));
      if (data.x.back() != 0) data.entries.push_back(data.x.back()), data.columns.push_back(static_cast<int32_t>(k));
    }
    data.begin.push_back(static_cast<int64_t>(data.entries.size()));
    const int64_t outputs = c.sizes.back();
    data.classes.push_back(static_cast<int64_t>(uniform(random) * static_cast<double>(outputs)));
    for (int64_t m = 0; m < outputs; m++) {
      const bool counts = c.loss == Loss::poisson;
      const double given = counts ? std::floor(uniform(random) * 4) : static_cast<float>(normal(random));
      const bool label = c.loss == Loss::binary_cross_entropy;
      data.targets.push_back(c.classes ? data.classes.back() == m : label ? given > 0 : given);
    }
    data.weights.push_back(c.weighted ? static_cast<float>(uniform(random)) : 1.0);
    data.order.push_back(i * 29 % c.rows);
  }
  return data;
}

struct Parameters {
  std::vector<Vector> W, b;  // of each layer, W (M, K)
};

struct Plain {
  const Case& c;
  Parameters theta, first, second;

  explicit Plain(const Case& given, const Parameters& start) : c(given), theta(start), first(start), second(start) {
    for (auto* slots : {&first, &second})
      for (auto* list : {&slots->W, &slots->b})
        for (Vector& values : *list) std::fill(values.begin(), values.end(), 0.0);
  }

  double kept(int l, int64_t unit, int64_t position, int64_t epoch) const {
    const double keep = c.keeps.empty() ? 1 : c.keeps[static_cast<size_t>(l)];
    if (keep >= 1) return 1;
    uint32_t words[4];
    selftest::philox(static_cast<uint32_t>(unit / 8), static_cast<uint32_t>(position), static_cast<uint32_t>(epoch),
                     selftest::dropout_purpose << 24 | static_cast<uint32_t>(l), seed, words);
    const uint32_t draw = words[unit % 8 / 2] >> (unit % 2 * 16) & 0xffff;
    return draw < std::nearbyint(keep * 65536) ? (c.inverted ? 1 / keep : 1) : 0;
  }

  // One step; the sum of w times the loss.
  double step(const Data& data, int64_t at, int64_t count, int64_t epoch, double lr, int64_t t) {
    const int depth = static_cast<int>(c.activations.size());
    Parameters gradient = theta;
    for (auto* list : {&gradient.W, &gradient.b})
      for (Vector& values : *list) std::fill(values.begin(), values.end(), 0.0);
    double weight = 0, loss = 0;
    const auto row_of = [&](int64_t i) { return static_cast<size_t>(data.order[static_cast<size_t>(i)]); };
    for (int64_t i = at; i < at + count; i++) weight += data.weights[row_of(i)];
    for (int64_t i = at; i < at + count; i++) {
      const size_t row = row_of(i);
      std::vector<Vector> a(static_cast<size_t>(depth) + 1), sigmas(a.size()), slopes(a.size()), masks(a.size());
      const auto drop = [&](int l) {
        for (size_t m = 0; m < a[l].size(); m++) {
          masks[l].push_back(kept(l, static_cast<int64_t>(m), i, epoch));
          a[l][m] *= masks[l][m];
        }
      };
      const float* x = &data.x[row * static_cast<size_t>(c.sizes[0])];
      a[0].assign(x, x + c.sizes[0]);
      drop(0);
      for (int l = 1; l <= depth; l++) {
        const size_t M = static_cast<size_t>(c.sizes[l]), K = static_cast<size_t>(c.sizes[l - 1]);
        Vector z(M);
        for (size_t m = 0; m < M; m++) {
          z[m] = theta.b[l - 1][m];
          for (size_t k = 0; k < K; k++) z[m] += theta.W[l - 1][m * K + k] * a[l - 1][k];
        }
        slopes[l].resize(M);
        if (c.activations[l - 1] == Activation::softmax) {
          a[l] = softmax(z);
        } else {
          a[l].resize(M);
          for (size_t m = 0; m < M; m++) a[l][m] = sigma(c.activations[l - 1], z[m], &slopes[l][m]);
        }
        sigmas[l] = a[l];
        drop(l);
      }
      Vector target(data.targets.begin() + static_cast<long>(row) * c.sizes.back(),
                    data.targets.begin() + (static_cast<long>(row) + 1) * c.sizes.back());
      Vector g(target.size());
      const double w = data.weights[row];
      loss += w * loss_of(c.loss, a[depth], target, g);
      for (double& value : g) value *= w / weight;
      for (int l = depth; l >= 1; l--) {
        const size_t M = static_cast<size_t>(c.sizes[l]), K = static_cast<size_t>(c.sizes[l - 1]);
        Vector delta(M), below(K);
        double inner = 0;
        for (size_t m = 0; m < M; m++) g[m] *= masks[l][m], inner += g[m] * sigmas[l][m];
        for (size_t m = 0; m < M; m++)
          delta[m] = c.activations[l - 1] == Activation::softmax ? sigmas[l][m] * (g[m] - inner) : g[m] * slopes[l][m];
        for (size_t m = 0; m < M; m++) {
          gradient.b[l - 1][m] += delta[m];
          for (size_t k = 0; k < K; k++) {
            gradient.W[l - 1][m * K + k] += delta[m] * a[l - 1][k];
            below[k] += delta[m] * theta.W[l - 1][m * K + k];
          }
        }
        g = below;
      }
    }
    update(gradient, weight, lr, t);
    return loss;
  }

  void update(Parameters& gradient, double weight, double lr, int64_t t) {
    const Rules& r = c.rules;
    const double l2 = r.l2 + r.alpha / weight;
    double square = 0;
    const auto each = [&](auto work) {
      for (size_t l = 0; l < theta.W.size(); l++) {
        if (static_cast<int>(l) < c.frozen) continue;
        work(theta.W[l], gradient.W[l], first.W[l], second.W[l], true);
        work(theta.b[l], gradient.b[l], first.b[l], second.b[l], false);
      }
    };
    each([&](Vector& w, Vector& g, Vector&, Vector&, bool weights) {
      for (size_t i = 0; i < g.size(); i++) {
        if (weights || r.biases) g[i] += r.l1 * ((w[i] > 0) - (w[i] < 0)) + l2 * w[i];
        if (r.clip_value > 0) g[i] = std::clamp(g[i], -r.clip_value, r.clip_value);
        square += g[i] * g[i];
      }
    });
    const double norm = std::sqrt(square), scale = r.clip_norm > 0 && norm > r.clip_norm ? r.clip_norm / norm : 1;
    each([&](Vector& w, Vector& g, Vector& m, Vector& v, bool weights) {
      const double decay = weights || r.biases ? (r.decay_by_lr ? r.decay * lr : r.decay) : 0;
      for (size_t i = 0; i < g.size(); i++) {
        const double d = g[i] * scale;
        w[i] *= 1 - decay;
        switch (r.optimiser) {
          case Optimiser::sgd: w[i] -= lr * d; break;
          case Optimiser::momentum: m[i] = r.momentum * m[i] - lr * d, w[i] += m[i]; break;
          case Optimiser::nesterov: m[i] = r.momentum * m[i] - lr * d, w[i] += r.momentum * m[i] - lr * d; break;
          case Optimiser::rmsprop:
            m[i] = r.rho * m[i] + (1 - r.rho) * d * d;
            w[i] -= lr * d / (std::sqrt(m[i]) + r.epsilon);
            break;
          case Optimiser::adam:
            m[i] = r.beta_1 * m[i] + (1 - r.beta_1) * d, v[i] = r.beta_2 * v[i] + (1 - r.beta_2) * d * d;
            w[i] -= lr * m[i] / (1 - std::pow(r.beta_1, t)) /
                    (r.epsilon_hat ? (std::sqrt(v[i]) + r.epsilon) / std::sqrt(1 - std::pow(r.beta_2, t))
                                   : std::sqrt(v[i] / (1 - std::pow(r.beta_2, t))) + r.epsilon);
        }
      }
    });
    if (r.max_norm <= 0) return;
    for (size_t l = static_cast<size_t>(c.frozen); l < theta.W.size(); l++) {
      const size_t K = static_cast<size_t>(c.sizes[l]);
      for (size_t unit = 0; unit < theta.b[l].size(); unit++) {
        double sum = 0;
        for (size_t k = 0; k < K; k++) sum += theta.W[l][unit * K + k] * theta.W[l][unit * K + k];
        if (std::sqrt(sum) > r.max_norm)
          for (size_t k = 0; k < K; k++) theta.W[l][unit * K + k] *= r.max_norm / std::sqrt(sum);
      }
    }
  }
};

// ---- The engine's way, and the comparison

template <class T>
std::vector<T> as(const Vector& values) {
  return {values.begin(), values.end()};
}

double distance(const Vector& mine, const Vector& theirs) {
  double difference = 0, size = 1e-3;
  for (size_t i = 0; i < mine.size(); i++) {
    if (!std::isfinite(mine[i])) return HUGE_VAL;
    difference = std::max(difference, std::abs(mine[i] - theirs[i]));
    size = std::max(size, std::abs(theirs[i]));
  }
  return difference / size;
}

template <class T>
double worst(const InstructionSet& set, const Case& c, bool bfloat16, int threads) {
  const int depth = static_cast<int>(c.activations.size());
  const Data data = make_data(c);
  const int64_t rows = c.rows;
  Spec spec;
  spec.float64 = sizeof(T) == 8, spec.bfloat16 = bfloat16, spec.sparse = c.sparse;
  spec.threads = threads, spec.seed = seed;
  spec.sizes = c.sizes;
  std::mt19937 random(11);
  std::normal_distribution<double> normal;
  Parameters start;
  for (int l = 0; l < depth; l++) {
    spec.layers.push_back({c.activations[l], 0.1, true, l < c.frozen});
    Vector W, b;
    for (int64_t i = 0; i < c.sizes[l] * c.sizes[l + 1]; i++)
      W.push_back(static_cast<float>(normal(random) / std::sqrt(static_cast<double>(c.sizes[l]))));
    for (int64_t i = 0; i < c.sizes[l + 1]; i++) b.push_back(static_cast<float>(0.1 * normal(random)));
    start.W.push_back(W), start.b.push_back(b);
  }
  for (int l = 0; l <= depth; l++)
    spec.dropouts.push_back({c.keeps.empty() ? 1 : c.keeps[static_cast<size_t>(l)], c.inverted});
  const std::unique_ptr<Stack> stack = set.make(spec);
  stack->set_loss(c.loss, parameter_of(c.loss));
  stack->set_rules(c.rules);
  for (int l = 0; l < depth; l++) stack->set(l + 1, -1, as<T>(start.W[l]).data(), as<T>(start.b[l]).data());

  const std::vector<T> targets = as<T>(data.targets), weights = as<T>(data.weights);
  const Csr csr{Type::f32, data.entries.data(), nullptr, data.columns.data(), false, data.begin.data(),
                rows,      c.sizes[0],          c.sizes[0]};
  Examples examples;
  examples.type = c.type;
  examples.x = c.type == Type::u8 ? static_cast<const void*>(data.bytes.data()) : data.x.data();
  examples.csr = c.sparse ? &csr : nullptr;
  examples.rows = rows;
  examples.classes = c.classes ? data.classes.data() : nullptr;
  examples.targets = c.classes ? nullptr : targets.data();
  examples.weight = c.weighted ? weights.data() : nullptr;
  const int64_t steps = (rows + c.batch - 1) / c.batch;
  const Vector lrs(static_cast<size_t>(steps), 0.02);

  Plain plain(c, start);
  double worst = 0;
  for (int64_t epoch = 0; epoch < 2; epoch++) {
    const Plan plan{data.order.data(), rows, 0, c.batch, epoch, epoch * steps, lrs.data(), steps, {}};
    const Sums sums = stack->train(examples, plan, nullptr);
    double loss = 0;
    for (int64_t step = 0; step < steps; step++) {
      const int64_t at = step * c.batch;
      loss += plain.step(data, at, std::min(c.batch, rows - at), epoch, lrs[0], epoch * steps + step + 1);
    }
    worst = std::max(worst, std::abs(sums.loss - loss) / std::abs(loss));
  }
  for (int l = 0; l < depth; l++) {
    std::vector<T> W(start.W[l].size()), b(start.b[l].size());
    stack->get(l + 1, -1, W.data(), b.data());
    worst = std::max({worst, distance(Vector(W.begin(), W.end()), plain.theta.W[l]),
                      distance(Vector(b.begin(), b.end()), plain.theta.b[l])});
  }
  std::vector<T> out(static_cast<size_t>(rows * c.sizes.back()));
  stack->forward(examples, out.data(), nullptr);
  const Sums sums = stack->evaluate(examples, nullptr);
  for (const T value : out) worst = std::isfinite(value) ? worst : HUGE_VAL;
  return std::isfinite(sums.loss) ? worst : HUGE_VAL;
}

Rules rules(Optimiser optimiser) {
  Rules r;
  r.optimiser = optimiser, r.momentum = 0.9, r.rho = 0.9, r.beta_1 = 0.9, r.beta_2 = 0.999, r.epsilon = 1e-4;
  return r;
}

std::vector<Case> cases() {
  using A = Activation;
  Rules penalised = rules(Optimiser::sgd), bounded = rules(Optimiser::adam), decayed = rules(Optimiser::rmsprop);
  penalised.l1 = 0.01, penalised.l2 = 0.02, penalised.biases = true, penalised.clip_norm = 0.3;
  Rules summed = rules(Optimiser::adam);
  summed.l1 = 0.01, summed.l2 = 0.02, summed.alpha = 0.2, summed.biases = true, summed.epsilon_hat = true;
  bounded.max_norm = 0.8, bounded.clip_value = 0.01;
  decayed.decay = 0.1, decayed.decay_by_lr = true;
  std::vector<Case> list{
      {"one layer", {7, 3}, {A::identity}, Loss::cross_entropy, rules(Optimiser::sgd), 10},
      {"one unit", {1, 1, 1}, {A::tanh, A::identity},
       Loss::squared_error, rules(Optimiser::momentum), 1, Type::f32, false, false},
      {"65 columns, a last batch of 1", {65, 33, 17, 5}, {A::relu, A::leaky_relu, A::identity},
       Loss::cross_entropy, rules(Optimiser::sgd), 13},
      {"bytes", {20, 40, 4}, {A::logistic, A::identity}, Loss::cross_entropy, rules(Optimiser::nesterov), 53, Type::u8},
      {"wide", {30, 130, 70, 3}, {A::elu, A::gelu, A::identity},
       Loss::huber, rules(Optimiser::adam), 32, Type::f32, false, false, true},
      {"few rows in a batch", {30, 130, 70, 3}, {A::silu, A::softplus, A::identity},
       Loss::poisson, decayed, 3, Type::f32, false, false},
      {"dropout", {21, 30, 20, 4}, {A::relu, A::tanh, A::identity},
       Loss::cross_entropy, rules(Optimiser::sgd), 20, Type::f32, false, true, true, {0.8, 0.5, 0.6, 1}},
      {"plain dropout, sparse", {90, 40, 4}, {A::tanh, A::identity},
       Loss::binary_cross_entropy, rules(Optimiser::adam), 20, Type::f32, true, false, false, {0.7, 0.5, 1}, false},
      {"sparse", {90, 70, 9}, {A::relu, A::identity}, Loss::cross_entropy, rules(Optimiser::sgd), 25, Type::f32, true},
      {"sparse, small batches", {90, 30, 9}, {A::logistic, A::identity},
       Loss::absolute_error, rules(Optimiser::sgd), 4, Type::f32, true, false},
      {"sparse, many small steps", {400, 60, 20, 5}, {A::logistic, A::relu, A::identity}, Loss::cross_entropy,
       rules(Optimiser::sgd), 7, Type::f32, true, true, true, {0.9, 0.8, 1, 1}, true, 0, 321},
      {"penalties and clipping", {20, 30, 6}, {A::tanh, A::identity}, Loss::cross_entropy, penalised, 20},
      {"penalties and clipping, sparse", {90, 30, 6}, {A::tanh, A::identity},
       Loss::cross_entropy, penalised, 20, Type::f32, true},
      {"penalties beside a sum of losses, Adam's other epsilon", {20, 30, 6}, {A::tanh, A::identity},
       Loss::cross_entropy, summed, 20, Type::f32, false, true, true},
      {"max-norm", {20, 30, 6}, {A::tanh, A::identity}, Loss::cross_entropy, bounded, 20},
      {"max-norm, sparse", {90, 30, 6}, {A::tanh, A::identity}, Loss::cross_entropy, bounded, 20, Type::f32, true},
      {"softmax and log loss", {20, 30, 6}, {A::softmax, A::softmax},
       Loss::log_loss, rules(Optimiser::sgd), 20, Type::f32, false, true, false, {1, 0.6, 1}},
      {"a large batch in chunks", {9, 33, 5}, {A::tanh, A::identity}, Loss::cross_entropy, rules(Optimiser::adam), 400,
       Type::f32, false, true, true, {0.9, 0.7, 1}, true, 0, 701},
      {"frozen", {20, 30, 20, 6}, {A::tanh, A::tanh, A::identity}, Loss::cross_entropy, rules(Optimiser::adam), 20}};
  list.back().frozen = 1;
  return list;
}

}  // namespace

int main(int count, char** arguments) {
  const int threads = count > 1 ? std::atoi(arguments[1]) : 2;
  int passed = 0, failed = 0;
  for (const InstructionSet& set : compiled_sets()) {
    if (count > 2 && std::find(arguments + 2, arguments + count, std::string(set.name)) == arguments + count) continue;
    if (!set.here) {
      std::printf("%s: not on this machine\n", set.name);
      continue;
    }
    for (const Case& c : cases()) {
      const auto check = [&](const char* precision, double distance, double most) {
        const bool good = distance <= most;
        (good ? passed : failed)++;
        if (!good) std::printf("%s, %s, %s: off by %.2e, at most %.0e\n", set.name, precision, c.name, distance, most);
      };
      check("float64", worst<double>(set, c, false, threads), 1e-9);
      check("float32", worst<float>(set, c, false, threads), 2e-3);
      check("bfloat16", worst<float>(set, c, true, threads), 0.2);
    }
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}
