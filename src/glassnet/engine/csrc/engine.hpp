// The interface of the native engine: what the Python module and the self-test see of it.
//
// A Stack is a network of dense layers with its loss, its optimiser and its regularisers. engine.cpp implements it once
// for each instruction set; make_stack chooses at run time. Nothing here depends on an instruction set.
//
// Shapes: N rows, n[l] units in layer l, L layers, K inputs and M units of one layer.
//     x (N, n[0])    y (N,) class indices or (N, n[L])    weight (N,)    W (M, K)    b (M,)
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace glassnet {

enum class Activation { identity, logistic, tanh, relu, leaky_relu, elu, gelu, silu, softplus, softmax };
enum class Loss {
  squared_error, absolute_error, huber, cross_entropy, binary_cross_entropy, log_loss, poisson
};
enum class Optimiser { sgd, momentum, nesterov, rmsprop, adam };
enum class Type { u8, f32, f64 };

inline int64_t size_of(Type type) { return type == Type::u8 ? 1 : type == Type::f32 ? 4 : 8; }

struct LayerSpec {
  Activation activation = Activation::identity;
  double parameter = 0;  // of the activation: a slope or an alpha
  bool bias = true;
  bool frozen = false;
};

struct DropoutSpec {  // of the layer after layer l; l = 0 is the input
  double keep = 1;
  bool inverted = true;
};

struct Spec {
  bool float64 = false;
  bool bfloat16 = false;  // products of bfloat16, sums and master weights of float32
  bool sparse = false;    // x is a Csr, and the first layer skips its zeros
  int threads = 1;
  uint64_t seed = 0;
  std::vector<int64_t> sizes;         // n[0], ..., n[L]
  std::vector<LayerSpec> layers;      // L
  std::vector<DropoutSpec> dropouts;  // L + 1
};

struct Rules {
  Optimiser optimiser = Optimiser::sgd;
  double momentum = 0, rho = 0, beta_1 = 0, beta_2 = 0, epsilon = 0;
  bool epsilon_hat = false;                          // Adam's epsilon beside √v, not beside the corrected √v
  double l1 = 0, l2 = 0;
  double alpha = 0;                                  // an l2 that joins the sum of a batch's losses, not their mean
  double decay = 0;
  bool decay_by_lr = false;
  bool biases = false;                               // whether l1, l2 and decay act on biases too
  double max_norm = 0, clip_norm = 0, clip_value = 0;  // 0: none
};

struct Csr {  // rows of (column, value) pairs
  Type type = Type::f32;
  const void* data = nullptr;     // values; or, with a table, codes of type u8
  const double* table = nullptr;  // (256,) the values that codes stand for; null: data are the values
  const void* indices = nullptr;  // uint16 or int32
  bool narrow = false;            // uint16
  const int64_t* indptr = nullptr;
  int64_t rows = 0, columns = 0;
  int64_t longest = 0;  // the most entries of a row
};

struct Examples {
  // x is dense, or sparse (then csr)
  Type type = Type::f32;
  const void* x = nullptr;
  const Csr* csr = nullptr;
  int64_t rows = 0;
  const int64_t* classes = nullptr;  // (N,), or
  const void* targets = nullptr;     // (N, n[L]) of the stack's own type
  const void* weight = nullptr;      // (N,) of the stack's own type, or null
};

struct Sums {
  double weight = 0, loss = 0, hits = 0;
  std::vector<double> squares;  // per output
};

struct Plan {  // the steps to make
  const int64_t* order = nullptr;
  int64_t rows = 0;  // length of order
  int64_t first = 0, batch = 1, epoch = 0, t = 0;
  const double* lrs = nullptr;
  int64_t steps = 0;
  Sums before;  // what the epoch's earlier steps summed up; it is added to, so that the sums do not show the split
};

using Interrupt = std::function<bool()>;  // asked now and then by the calling thread; true: stop after this step

class Stack {
 public:
  virtual ~Stack() = default;
  virtual void set_loss(Loss loss, double parameter) = 0;
  virtual void set_rules(const Rules& rules) = 0;
  // W (M, K) and b (M,) of layer l from 1, in the stack's own type; slot -1: the parameters themselves
  virtual void set(int layer, int slot, const void* W, const void* b) = 0;
  virtual void get(int layer, int slot, void* W, void* b) const = 0;
  virtual Sums train(const Examples& examples, const Plan& plan, const Interrupt& interrupt) = 0;
  virtual Sums evaluate(const Examples& examples, const Interrupt& interrupt) = 0;
  virtual void forward(const Examples& examples, void* out, const Interrupt& interrupt) = 0;
  int64_t steps_done = 0;  // by the last train
  bool failed = false;     // whether a step after these was made, in which a number was not finite
};

#define GLASSNET_DECLARE(isa)                            \
  namespace isa {                                        \
  std::unique_ptr<Stack> make_stack(const Spec& spec);   \
  double peak(const std::string& precision, int threads, double seconds); \
  void permutation(int64_t n, int64_t epoch, int64_t purpose, uint64_t seed, int threads, int64_t* rows); \
  }
GLASSNET_DECLARE(portable)
GLASSNET_DECLARE(avx2)
GLASSNET_DECLARE(avx512)
GLASSNET_DECLARE(avx512_bf16)
#undef GLASSNET_DECLARE

}  // namespace glassnet
