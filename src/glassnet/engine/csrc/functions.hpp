// Functions of single numbers in loops that the compiler turns into vectors: activations with their derivatives, and
// the update rules. The formulas are those of glassnet/activations.py and glassnet/optimisers.py.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "engine.hpp"
#include "simd.hpp"

namespace glassnet::GLASSNET_ISA {

// The highest bit is set if the number is NaN or infinite: 1 is added to its exponent, which is then the largest.
template <class T>
inline Bits<T> exponent_carry(T x) {
  constexpr int mantissa = sizeof(T) == 4 ? 23 : 52;
  return (std::bit_cast<Bits<T>>(x) & (~Bits<T>{0} >> 1)) + (Bits<T>{1} << mantissa);
}
template <class T>
inline bool carried(Bits<T> found) {
  return found >> (8 * sizeof(T) - 1) != 0;
}
template <class T>
inline bool all_finite(const T* values, long n) {
  Bits<T> found = 0;
  for (long i = 0; i < n; i++) found |= exponent_carry(values[i]);
  return !carried<T>(found);
}

// eˣ. In float: x = n ln 2 + r, a polynomial of r (Cephes), and n into the exponent; saturates instead of overflowing.
struct ExpParts {
  float scale;  // 2ⁿ
  float less;   // eʳ − 1
};
inline ExpParts exp_parts(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  const float shifted = x * 1.44269504f + 12582912.0f;  // the nearest integer, in the low bits of the sum
  const float n = shifted - 12582912.0f;
  float r = x - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  int32_t bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = static_cast<int32_t>(static_cast<uint32_t>(bits + 127) << 23);
  ExpParts parts;
  std::memcpy(&parts.scale, &bits, sizeof bits);
  parts.less = p * r * r + r;
  return parts;
}
inline float exp_of(float x) {
  const ExpParts e = exp_parts(x);
  const float value = e.scale + e.scale * e.less;
  return x == x ? value : x;
}
inline double exp_of(double x) { return std::exp(x); }

inline float expm1_of(float x) {  // for x <= 0
  const ExpParts e = exp_parts(x);
  const float value = e.scale * e.less + (e.scale - 1.0f);
  return x == x ? value : x;
}
inline double expm1_of(double x) { return std::expm1(x); }

// ln x of x >= 1, or what is not finite if x is not: x = 2ᵉ m, a polynomial of m (Cephes).
inline float log_of(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  const int32_t above = static_cast<int32_t>(bits) - 0x3f3504f3;  // from √½ on
  const float e = static_cast<float>(above >> 23);
  bits = static_cast<uint32_t>((above & 0x007fffff) + 0x3f3504f3);
  float m;
  std::memcpy(&m, &bits, sizeof m);
  const float r = m - 1.0f, s = r * r;
  float p = 7.0376836292e-2f;
  p = p * r - 1.1514610310e-1f;
  p = p * r + 1.1676998740e-1f;
  p = p * r - 1.2420140846e-1f;
  p = p * r + 1.4249322787e-1f;
  p = p * r - 1.6668057665e-1f;
  p = p * r + 2.0000714765e-1f;
  p = p * r - 2.4999993993e-1f;
  p = p * r + 3.3333331174e-1f;
  const float low = r * s * p + e * -2.12194440e-4f - 0.5f * s;
  return e * 0.693359375f + (r + low) + (x - x);
}
inline double log_of(double x) { return std::log(x); }

inline float tanh_of(float z) {
  const float x = z < 0 ? -z : z;
  const float s = z * z;
  float p = -5.70498872745e-3f;
  p = p * s + 2.06390887954e-2f;
  p = p * s - 5.37397155531e-2f;
  p = p * s + 1.33314422036e-1f;
  p = p * s - 3.33332819422e-1f;
  const float near = z + z * s * p;
  const float far = 1.0f - 2.0f / (exp_of(2.0f * x) + 1.0f);
  return x < 0.625f ? near : (z < 0 ? -far : far);
}
inline double tanh_of(double z) { return std::tanh(z); }

template <class T>
inline T absolute(T x) {
  return x < 0 ? -x : x;
}
template <class T>
inline T log1p_exp(T z) {  // ln(1 + eᶻ)
  return (z > 0 ? z : T(0)) + std::log1p(exp_of(-absolute(z)));
}
template <class T>
inline T logistic_of(T z) {
  const T e = exp_of(-absolute(z));
  return (z >= 0 ? T(1) : e) / (1 + e);
}

// Below, `here` is how many samples of a panel are worked on: all, or one vector's.

// factor holds z and becomes σ′(z); a becomes σ(z). Shapes: (units, panel). carries (here) tell of which samples some z
// is not finite.
template <int here, class T, class F>
inline void activate_each(T* __restrict a, T* __restrict factor, long units, Bits<T>* __restrict carries, F f) {
  constexpr int n = panel<T>;
  Bits<T> found[here] = {};
  for (long m = 0; m < units; m++) {
    for (int i = 0; i < here; i++) {
      const T z = factor[m * n + i];
      found[i] |= exponent_carry(z);
      f(z, a[m * n + i], factor[m * n + i]);
    }
  }
  for (int i = 0; i < here; i++) carries[i] = found[i];
}

template <int here, class T>
void activate(Activation kind, T parameter, T* a, T* factor, long units, Bits<T>* carries) {
  switch (kind) {
    case Activation::identity:
      return activate_each<here>(a, factor, units, carries, [](T z, T& y, T& d) { y = z, d = 1; });
    case Activation::relu:
      return activate_each<here>(a, factor, units, carries, [](T z, T& y, T& d) {
        y = z < 0 ? T(0) : z;
        d = z > 0 ? T(1) : T(0);
      });
    case Activation::leaky_relu:
      return activate_each<here>(a, factor, units, carries, [parameter](T z, T& y, T& d) {
        y = z > 0 ? z : parameter * z;
        d = z > 0 ? T(1) : parameter;
      });
    case Activation::logistic:
      return activate_each<here>(a, factor, units, carries, [](T z, T& y, T& d) {
        const T e = exp_of(-absolute(z)), r = 1 / (1 + e);
        y = (z >= 0 ? T(1) : e) * r;
        d = e * r * r;
      });
    case Activation::tanh:
      return activate_each<here>(a, factor, units, carries, [](T z, T& y, T& d) {
        const T t = tanh_of(z);
        y = t, d = 1 - t * t;
      });
    case Activation::elu:
      return activate_each<here>(a, factor, units, carries, [parameter](T z, T& y, T& d) {
        const T low = z > 0 ? T(0) : z;
        y = z > 0 ? z : parameter * expm1_of(low);
        d = z > 0 ? T(1) : parameter * exp_of(low);
      });
    case Activation::gelu:
      return activate_each<here>(a, factor, units, carries, [](T z, T& y, T& d) {
        const T cdf = T(0.5) * (1 + std::erf(z * T(0.70710678118654752440)));
        const T low = absolute(z) > 40 ? T(40) : z;
        y = z * cdf;
        d = cdf + z * exp_of(T(-0.5) * low * low) * T(0.39894228040143267794);
      });
    case Activation::silu:
      return activate_each<here>(a, factor, units, carries, [](T z, T& y, T& d) {
        const T e = exp_of(-absolute(z)), r = 1 / (1 + e);
        const T s = (z >= 0 ? T(1) : e) * r;
        y = z * s, d = s + z * (e * r * r);
      });
    case Activation::softplus:
      return activate_each<here>(a, factor, units, carries, [](T z, T& y, T& d) { y = log1p_exp(z), d = logistic_of(z); });
    case Activation::softmax:
      break;  // mixes the units of a sample
  }
}

// The same for softmax, in whose place factor holds a afterwards.
template <int here, class T>
void softmax(T* __restrict a, T* __restrict factor, long units, Bits<T>* __restrict carries) {
  constexpr int n = panel<T>;
  T largest[here], sum[here] = {};
  for (int i = 0; i < here; i++) {
    largest[i] = factor[i];
    carries[i] = exponent_carry(factor[i]);
  }
  for (long m = 1; m < units; m++) {
    for (int i = 0; i < here; i++) {
      largest[i] = factor[m * n + i] > largest[i] ? factor[m * n + i] : largest[i];
      carries[i] |= exponent_carry(factor[m * n + i]);
    }
  }
  for (long m = 0; m < units; m++) {
    for (int i = 0; i < here; i++) {
      a[m * n + i] = exp_of(factor[m * n + i] - largest[i]);
      sum[i] += a[m * n + i];
    }
  }
  for (long m = 0; m < units; m++)
    for (int i = 0; i < here; i++) factor[m * n + i] = a[m * n + i] = a[m * n + i] / sum[i];
}

// J ∂C/∂a with softmax's Jacobian J = diag(a) − a aᵀ: factor holds a and becomes a ⊙ (g − aᵀ g).
template <int here, class T>
void pull_back_softmax(T* factor, const T* g, long units) {
  constexpr int n = panel<T>;
  T inner[n] = {};
  for (long m = 0; m < units; m++)
    for (int i = 0; i < here; i++) inner[i] += factor[m * n + i] * g[m * n + i];
  for (long m = 0; m < units; m++)
    for (int i = 0; i < here; i++) factor[m * n + i] *= g[m * n + i] - inner[i];
}

// The unit of each sample's largest number, the first of equals.
template <int here, class T>
void largest_units(const T* values, long units, int32_t* to) {
  constexpr int n = panel<T>;
  T largest[n];
  int32_t unit[n] = {};
  for (int i = 0; i < here; i++) largest[i] = values[i];
  for (long m = 1; m < units; m++) {
    for (int i = 0; i < here; i++) {
      const T value = values[m * n + i];
      unit[i] = value > largest[i] ? static_cast<int32_t>(m) : unit[i];
      largest[i] = value > largest[i] ? value : largest[i];
    }
  }
  for (int i = 0; i < here; i++) to[i] = unit[i];
}

// What a step does with a gradient, for all weights or all biases of a network.
template <class T>
struct Step {
  T lr, momentum, rho, beta_1, beta_2, epsilon;
  T rest_rho, rest_1, rest_2;            // 1 − ρ, 1 − β₁, 1 − β₂, whose digits a difference of floats would lose
  T mean_correction, square_correction;  // 1 / (1 − βᵗ)
  T l1, l2, shrink, clip_value;          // shrink = 1 − decay; clip_value = 0: none
};

// g ← clip(g + the penalties' gradient), in place.
template <class T>
inline void regularise(T* __restrict g, const T* __restrict theta, long n, const Step<T>& step) {
  if (step.l1 != 0 || step.l2 != 0) {
    for (long i = 0; i < n; i++) {
      const T sign = static_cast<T>(theta[i] > 0) - static_cast<T>(theta[i] < 0);
      g[i] += step.l1 * sign + step.l2 * theta[i];
    }
  }
  if (step.clip_value != 0) {
    const T limit = step.clip_value;
    for (long i = 0; i < n; i++) g[i] = g[i] > limit ? limit : g[i] < -limit ? -limit : g[i];
  }
}

// θ ← (1 − decay) θ, then the optimiser's step with g. Whether θ and what the optimiser remembers are finite then.
template <class T>
using Update = bool (*)(T* theta, T* first, T* second, const T* g, long n, const Step<T>& step);

template <Optimiser rule, class T>
bool update(T* __restrict theta, T* __restrict first, T* __restrict second, const T* __restrict g, long n,
            const Step<T>& step) {
  const T lr = step.lr, shrink = step.shrink;
  Bits<T> found = 0;
  for (long i = 0; i < n; i++) {
    if constexpr (rule == Optimiser::sgd) {
      theta[i] = theta[i] * shrink - lr * g[i];
    } else if constexpr (rule == Optimiser::momentum || rule == Optimiser::nesterov) {
      const T moved = lr * g[i], v = step.momentum * first[i] - moved;
      first[i] = v;
      theta[i] = theta[i] * shrink + (rule == Optimiser::momentum ? v : step.momentum * v - moved);
    } else if constexpr (rule == Optimiser::rmsprop) {
      const T s = step.rho * first[i] + step.rest_rho * g[i] * g[i];
      first[i] = s;
      theta[i] = theta[i] * shrink - lr * g[i] / (std::sqrt(s) + step.epsilon);
    } else {
      const T m = step.beta_1 * first[i] + step.rest_1 * g[i];
      const T v = step.beta_2 * second[i] + step.rest_2 * g[i] * g[i];
      first[i] = m;
      second[i] = v;
      const T root = std::sqrt(v * step.square_correction) + step.epsilon;
      theta[i] = theta[i] * shrink - lr * (m * step.mean_correction) / root;
    }
    found |= exponent_carry(theta[i]);
    if constexpr (rule == Optimiser::rmsprop) found |= exponent_carry(first[i]);
    if constexpr (rule == Optimiser::adam) found |= exponent_carry(second[i]);
  }
  return !carried<T>(found);
}

template <class T>
Update<T> update_of(Optimiser rule) {
  switch (rule) {
    case Optimiser::sgd: return update<Optimiser::sgd, T>;
    case Optimiser::momentum: return update<Optimiser::momentum, T>;
    case Optimiser::nesterov: return update<Optimiser::nesterov, T>;
    case Optimiser::rmsprop: return update<Optimiser::rmsprop, T>;
    case Optimiser::adam: return update<Optimiser::adam, T>;
  }
  return nullptr;
}

// The loss of one panel of samples: for each sample its loss, and ∂C/∂a in place of a.
//
// Shapes: a, t (outputs, panel), t the targets; share, terms (panel). share[i] is the sample's weight over the batch's.
template <class T>
struct LossOf {
  Loss kind;
  T parameter;
  long outputs;

  bool takes_logits() const {
    return kind == Loss::cross_entropy || kind == Loss::binary_cross_entropy || kind == Loss::poisson;
  }

  template <int here>
  void operator()(T* a, const T* t, const T* share, T* terms) const {
    for (int i = 0; i < here; i++) terms[i] = 0;
    switch (kind) {
      case Loss::squared_error:
        return each<here>(a, t, share, terms, [](T y, T target, T& c, T& g) { g = y - target, c = T(0.5) * g * g; });
      case Loss::absolute_error:
        return each<here>(a, t, share, terms, [](T y, T target, T& c, T& g) {
          const T r = y - target;
          c = absolute(r), g = static_cast<T>(r > 0) - static_cast<T>(r < 0);
          g = r == r ? g : r;
        });
      case Loss::huber:
        return each<here>(a, t, share, terms, [limit = parameter](T y, T target, T& c, T& g) {
          const T r = y - target;
          g = r > limit ? limit : r < -limit ? -limit : r;
          c = absolute(g) * (absolute(r) - T(0.5) * absolute(g));
        });
      case Loss::binary_cross_entropy:
        return each<here>(a, t, share, terms, [smoothing = parameter](T y, T target, T& c, T& g) {
          const T smooth = (1 - smoothing) * target + T(0.5) * smoothing;
          c = log1p_exp(y) - smooth * y;
          g = logistic_of(y) - smooth;
        });
      case Loss::log_loss:
        return each<here>(a, t, share, terms, [floor = parameter](T y, T target, T& c, T& g) {
          const T p = y < floor ? floor : y;
          c = target == 0 ? T(0) : -target * std::log(p);
          g = -target / p;
        });
      case Loss::poisson:
        return each<here>(a, t, share, terms, [limit = parameter](T y, T target, T& c, T& g) {
          const T low = y > limit ? limit : y, rate = exp_of(low);
          c = rate * (1 + y - low) - target * y;
          g = rate - target;
        });
      case Loss::cross_entropy:
        return cross_entropy<here>(a, t, share, terms);
    }
  }

  // The prediction that a stands for where the loss takes logits, for the squares of its error.
  T link(T a) const {
    if (kind == Loss::poisson) return exp_of(a > parameter ? parameter : a);
    return a;
  }

 private:
  template <int here, class F>
  void each(T* __restrict a, const T* __restrict t, const T* __restrict share, T* __restrict terms, F f) const {
    constexpr int n = panel<T>;
    for (long m = 0; m < outputs; m++) {
      for (int i = 0; i < here; i++) {
        T c, g;
        f(a[m * n + i], t[m * n + i], c, g);
        terms[i] += c;
        a[m * n + i] = g * share[i];
      }
    }
  }

  // c = ln Σ eᵃ − Σ t a and g = softmax(a) − t, from a minus its largest.
  template <int here>
  void cross_entropy(T* __restrict a, const T* __restrict t, const T* __restrict share, T* __restrict terms) const {
    constexpr int n = panel<T>;
    const T keep = 1 - parameter, spread_out = parameter / static_cast<T>(outputs);
    T largest[here], sum[here] = {}, inner[here] = {};
    for (int i = 0; i < here; i++) largest[i] = a[i];
    for (long m = 1; m < outputs; m++)
      for (int i = 0; i < here; i++) largest[i] = a[m * n + i] > largest[i] ? a[m * n + i] : largest[i];
    for (long m = 0; m < outputs; m++) {
      for (int i = 0; i < here; i++) {
        const T shifted = a[m * n + i] - largest[i], e = exp_of(shifted);
        inner[i] += (keep * t[m * n + i] + spread_out) * shifted;
        sum[i] += e;
        a[m * n + i] = e;
      }
    }
    for (int i = 0; i < here; i++) terms[i] = log_of(sum[i]) - inner[i];
    for (long m = 0; m < outputs; m++)
      for (int i = 0; i < here; i++)
        a[m * n + i] = (a[m * n + i] / sum[i] - (keep * t[m * n + i] + spread_out)) * share[i];
  }
};

}  // namespace glassnet::GLASSNET_ISA
