// The Python module glassnet.engine._native: checks what comes in, and calls the engine of the instruction set that is
// asked for.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "engine.hpp"
#include "sets.hpp"

#define GLASSNET_ISA binding
#include "threads.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using glassnet::Csr;
using glassnet::compiled_sets;
using glassnet::Examples;
using glassnet::InstructionSet;
using glassnet::Spec;
using glassnet::size_of;
using glassnet::Stack;
using glassnet::Sums;
using glassnet::Type;

using AnyArray = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;
using Indices = nb::ndarray<const int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

const InstructionSet& chosen(const std::string& name) {
  for (const InstructionSet& set : compiled_sets())
    if (set.name == name && set.here) return set;
  throw nb::value_error(("this machine cannot run the instruction set '" + name + "'").c_str());
}

template <class Value>
Value named(const std::map<std::string, Value>& names, const std::string& name, const char* what) {
  const auto found = names.find(name);
  if (found == names.end()) throw nb::value_error(("unknown " + std::string(what) + " '" + name + "'").c_str());
  return found->second;
}

glassnet::Activation activation_named(const std::string& name) {
  using A = glassnet::Activation;
  static const std::map<std::string, A> names{
      {"identity", A::identity}, {"logistic", A::logistic}, {"tanh", A::tanh}, {"relu", A::relu},
      {"leaky_relu", A::leaky_relu}, {"elu", A::elu}, {"gelu", A::gelu}, {"silu", A::silu},
      {"softplus", A::softplus}, {"softmax", A::softmax}};
  return named(names, name, "activation");
}

glassnet::Loss loss_named(const std::string& name) {
  using L = glassnet::Loss;
  static const std::map<std::string, L> names{
      {"squared_error", L::squared_error}, {"absolute_error", L::absolute_error}, {"huber", L::huber},
      {"cross_entropy", L::cross_entropy}, {"binary_cross_entropy", L::binary_cross_entropy},
      {"log_loss", L::log_loss}, {"poisson", L::poisson}};
  return named(names, name, "loss");
}

void expect(bool good, const char* what) {
  if (!good) throw nb::value_error(what);
}

template <class Array>
Type type_of(const Array& array) {
  if (array.dtype() == nb::dtype<uint8_t>()) return Type::u8;
  if (array.dtype() == nb::dtype<float>()) return Type::f32;
  if (array.dtype() == nb::dtype<double>()) return Type::f64;
  throw nb::value_error("expected an array of uint8, float32 or float64");
}

// Rows of (column, value) pairs, with the arrays that hold them.
struct CsrArrays {
  nb::object data, indices, indptr, table;
  Csr view;
};

CsrArrays make_csr(const AnyArray& data, const AnyArray& indices, const Indices& indptr, int64_t columns) {
  CsrArrays csr{nb::cast(data), nb::cast(indices), nb::cast(indptr), nb::none(), {}};
  const bool narrow = indices.dtype() == nb::dtype<uint16_t>();
  expect(data.ndim() == 1 && indices.ndim() == 1, "data and indices must have one dimension");
  expect(narrow || indices.dtype() == nb::dtype<int32_t>(), "indices must be uint16 or int32");
  expect(data.shape(0) == indices.shape(0), "data and indices must be of one length");
  expect(indptr.shape(0) >= 1 && columns >= 0, "indptr must hold at least one entry");
  const int64_t* begin = indptr.data();
  const int64_t rows = static_cast<int64_t>(indptr.shape(0)) - 1;
  expect(begin[0] == 0 && begin[rows] == static_cast<int64_t>(data.shape(0)),
         "indptr must go from 0 to the number of entries");
  int64_t longest = 0;
  for (int64_t row = 0; row < rows; row++) {
    expect(begin[row] <= begin[row + 1], "indptr must not fall");
    longest = std::max(longest, begin[row + 1] - begin[row]);
  }
  for (int64_t row = 0; row < rows; row++) {
    for (int64_t i = begin[row], last = -1; i < begin[row + 1]; i++) {
      const int64_t column = narrow ? static_cast<const uint16_t*>(indices.data())[i]
                                    : static_cast<const int32_t*>(indices.data())[i];
      expect(0 <= column && column < columns, "an index is outside the columns");
      expect(last < column, "a row's indices must rise");
      last = column;
    }
  }
  csr.view = {type_of(data), data.data(), nullptr, indices.data(), narrow, begin, rows, columns, longest};
  return csr;
}

// A new array of numpy's that owns `count` numbers; large ones on large pages, since rows are read in random order.
template <class Value>
std::pair<nb::object, Value*> new_array(size_t count) {
  constexpr size_t line = 64, huge_page = size_t{2} << 20;
  const size_t wanted = count * sizeof(Value) + line, border = wanted >= 4 * huge_page ? huge_page : line;
  const size_t bytes = (wanted + border - 1) / border * border;
  void* memory = std::aligned_alloc(border, bytes);
  if (memory == nullptr) throw std::bad_alloc();
#if defined(__linux__)
  if (border == huge_page) madvise(memory, bytes, MADV_HUGEPAGE);
#endif
  nb::capsule owner(memory, [](void* given) noexcept { std::free(given); });
  Value* values = static_cast<Value*>(memory);
  return {nb::cast(nb::ndarray<nb::numpy, Value, nb::ndim<1>>(values, {count}, owner)), values};
}

// A table of at most 256 values, built as they come.
template <class X>
class Codes {
 public:
  // The code of a value, or -1 if the table is full.
  int of(X value) {
    if constexpr (sizeof(X) == 1) return static_cast<int>(value);
    std::conditional_t<sizeof(X) == 8, uint64_t, uint32_t> bits{};
    std::memcpy(&bits, &value, sizeof value);
    for (size_t slot = static_cast<size_t>(bits * 0x9E3779B97F4A7C15u >> 54);; slot = (slot + 1) % slots) {
      if (codes_[slot] == 0) {
        if (count_ == 256) return -1;
        values_[count_++] = value;
        codes_[slot] = static_cast<uint16_t>(count_);
        return static_cast<int>(count_) - 1;
      }
      if (std::memcmp(&values_[codes_[slot] - 1], &value, sizeof value) == 0) return codes_[slot] - 1;
    }
  }
  const X* values() const { return values_; }
  size_t count() const { return count_; }

 private:
  static constexpr size_t slots = 1024;
  uint16_t codes_[slots] = {};  // 1 + code, by hash
  X values_[256] = {};
  size_t count_ = 0;
};

// work(part, its first row, the one after its last) for equal parts of the rows, each in a thread of its own.
template <class Work>
void in_parts(int parts, int64_t rows, const Work& work) {
  nb::gil_scoped_release release;
  glassnet::binding::run_team(parts, [&](int part) {
    const auto share = glassnet::binding::share_of(rows, part, parts);
    work(part, share.first, share.last);
  });
}

// One-byte codes of the entries, if they have at most 256 values: each part codes by a table of its own, and then the
// tables are made one. `fill` and `begin` are those of compress_of.
template <class X, class Fill>
bool code(int parts, int64_t rows, const int64_t* begin, const Fill& fill, uint8_t* codes, Codes<X>& table) {
  std::vector<Codes<X>> tables(static_cast<size_t>(parts));
  std::vector<std::array<uint8_t, 256>> maps(static_cast<size_t>(parts));
  std::atomic<bool> good{true};
  in_parts(parts, rows, [&](int part, int64_t first, int64_t last) {
    Codes<X>& own = tables[static_cast<size_t>(part)];
    const bool filled = fill(first, last, codes, [&](X value) {
      const int code = own.of(value);
      return std::pair(code >= 0, static_cast<uint8_t>(code));
    });
    if (!filled) good = false;
  });
  if (!good || sizeof(X) == 1) return good;
  for (size_t part = 0; part < tables.size(); part++) {
    for (size_t own = 0; own < tables[part].count(); own++) {
      const int code = table.of(tables[part].values()[own]);
      if (code < 0) return false;
      maps[part][own] = static_cast<uint8_t>(code);
    }
  }
  in_parts(parts, rows, [&](int part, int64_t first, int64_t last) {
    if (part == 0) return;  // its table is the beginning of the whole one
    for (int64_t e = begin[first]; e < begin[last]; e++) codes[e] = maps[static_cast<size_t>(part)][codes[e]];
  });
  return true;
}

// The entries of some rows of x: where they are, and value_of each, unless it says that one has none.
template <class X, class Index, class Value, class ValueOf>
bool fill_rows(const X* x, int64_t columns, const int64_t* begin, int64_t first, int64_t last, Index* where,
               Value* values, ValueOf value_of) {
  for (int64_t row = first; row < last; row++) {
    int64_t to = begin[row];
    const int64_t end = begin[row + 1];
    for (int64_t k = 0; k < columns && to < end; k++) {
      const X value = x[row * columns + k];
      if (value == 0) continue;
      const auto [good, kept] = value_of(value);
      if (!good) return false;
      values[to] = kept;
      where[to++] = static_cast<Index>(k);
    }
  }
  return true;
}

template <class X, class Index>
CsrArrays compress_of(const X* x, int64_t rows, int64_t columns, Type type, bool narrow, int threads) {
  constexpr int64_t numbers_per_thread = 1 << 20;  // below which another thread would only be waited for
  const int parts = static_cast<int>(std::clamp<int64_t>(rows * columns / numbers_per_thread, 1, threads));
  auto [indptr, begin] = new_array<int64_t>(static_cast<size_t>(rows) + 1);
  in_parts(parts, rows, [&, begin = begin](int, int64_t first, int64_t last) {
    for (int64_t row = first; row < last; row++) {
      int64_t count = 0;
      for (int64_t k = 0; k < columns; k++) count += x[row * columns + k] != 0;
      begin[row + 1] = count;
    }
  });
  begin[0] = 0;
  const int64_t longest = rows == 0 ? 0 : *std::max_element(begin + 1, begin + rows + 1);
  for (int64_t row = 0; row < rows; row++) begin[row + 1] += begin[row];
  const size_t entries = static_cast<size_t>(begin[rows]);
  auto [indices, where] = new_array<Index>(entries);
  Csr view{type, nullptr, nullptr, where, narrow, begin, rows, columns, longest};
  const auto fill = [x, columns, begin = begin, where = where](int64_t first, int64_t last, auto* values,
                                                              auto value_of) {
    return fill_rows(x, columns, begin, first, last, where, values, value_of);
  };
  {
    auto [data, codes] = new_array<uint8_t>(entries);
    Codes<X> table;
    const bool coded = code(parts, rows, begin, fill, codes, table);
    view.data = codes;
    if (coded && sizeof(X) == 1) return {data, indices, indptr, nb::none(), view};
    if (coded) {
      auto [kept, values] = new_array<double>(256);
      std::fill(values, values + 256, 0.0);
      std::copy(table.values(), table.values() + table.count(), values);
      view.type = Type::u8;
      view.table = values;
      return {data, indices, indptr, kept, view};
    }
  }
  auto [data, values] = new_array<X>(entries);
  in_parts(parts, rows, [&, values = values](int, int64_t first, int64_t last) {
    fill(first, last, values, [](X value) { return std::pair(true, value); });
  });
  view.data = values;
  return {data, indices, indptr, nb::none(), view};
}

template <class X>
CsrArrays compress_any(const AnyArray& x, int threads) {
  const int64_t rows = static_cast<int64_t>(x.shape(0)), columns = static_cast<int64_t>(x.shape(1));
  const X* data = static_cast<const X*>(x.data());
  if (columns <= 65536) return compress_of<X, uint16_t>(data, rows, columns, type_of(x), true, threads);
  return compress_of<X, int32_t>(data, rows, columns, type_of(x), false, threads);
}

CsrArrays compress(const AnyArray& x, int threads) {
  expect(x.ndim() == 2, "x must have the shape (N, K)");
  expect(threads >= 1, "threads must be at least 1");
  switch (type_of(x)) {
    case Type::u8: return compress_any<uint8_t>(x, threads);
    case Type::f32: return compress_any<float>(x, threads);
    case Type::f64: return compress_any<double>(x, threads);
  }
  return {};
}

// A stack, and the checks of what it is given.
class Binding {
 public:
  Binding(const std::string& isa, const std::string& dtype, bool bf16, int threads, uint64_t seed,
          std::vector<int64_t> sizes, const std::vector<std::pair<std::string, double>>& activations,
          const std::vector<bool>& biases, const std::vector<bool>& frozen, const std::vector<double>& keeps,
          const std::vector<bool>& inverted, bool sparse) {
    expect(dtype == "float32" || dtype == "float64", "dtype must be 'float32' or 'float64'");
    expect(threads >= 1 && sizes.size() >= 2, "a stack needs a thread and a layer");
    const size_t depth = sizes.size() - 1;
    expect(activations.size() == depth && biases.size() == depth && frozen.size() == depth &&
               keeps.size() == depth + 1 && inverted.size() == depth + 1,
           "a stack needs one activation, bias and frozen for each layer, and one keep and inverted more");
    for (const int64_t size : sizes) expect(size >= 1, "sizes must be above 0");
    spec_.float64 = dtype == "float64";
    spec_.bfloat16 = bf16 && !spec_.float64;
    spec_.sparse = sparse;
    spec_.threads = threads;
    spec_.seed = seed;
    spec_.sizes = std::move(sizes);
    for (size_t l = 0; l < depth; l++)
      spec_.layers.push_back({activation_named(activations[l].first), activations[l].second, biases[l], frozen[l]});
    for (size_t l = 0; l <= depth; l++) {
      expect(keeps[l] > 0 && keeps[l] <= 1, "keep probabilities must be above 0 and at most 1");
      spec_.dropouts.push_back({keeps[l], inverted[l]});
    }
    stack_ = chosen(isa).make(spec_);
  }

  void set_loss(const std::string& name, double parameter) {
    stack_->set_loss(loss_named(name), parameter);
  }

  void set_rules(const std::string& optimiser, const std::vector<double>& given, double l1, double l2, double alpha,
                 double decay, bool decay_by_lr, bool biases, double max_norm, double clip_norm, double clip_value) {
    using O = glassnet::Optimiser;
    static const std::map<std::string, O> names{{"sgd", O::sgd}, {"momentum", O::momentum}, {"nesterov", O::nesterov},
                                                {"rmsprop", O::rmsprop}, {"adam", O::adam}, {"adamw", O::adam}};
    glassnet::Rules rules;
    rules.optimiser = named(names, optimiser, "optimiser");
    const size_t wanted =
        rules.optimiser == O::sgd ? 0 : rules.optimiser == O::rmsprop ? 2 : rules.optimiser == O::adam ? 4 : 1;
    expect(given.size() == wanted, "the optimiser takes another number of parameters");
    if (wanted == 1) rules.momentum = given[0];
    if (rules.optimiser == O::rmsprop) rules.rho = given[0], rules.epsilon = given[1];
    if (rules.optimiser == O::adam) {
      rules.beta_1 = given[0], rules.beta_2 = given[1], rules.epsilon = given[2];
      rules.epsilon_hat = given[3] != 0;
    }
    rules.l1 = l1, rules.l2 = l2, rules.alpha = alpha, rules.biases = biases;
    rules.decay = decay, rules.decay_by_lr = decay_by_lr;
    rules.max_norm = max_norm, rules.clip_norm = clip_norm, rules.clip_value = clip_value;
    slots_ = rules.optimiser == O::sgd ? 0 : rules.optimiser == O::adam ? 2 : 1;
    stack_->set_rules(rules);
  }

  void set(int layer, int slot, const AnyArray& W, const std::optional<AnyArray>& b) {
    check_parameters(layer, slot, W, b);
    stack_->set(layer, slot, W.data(), b ? b->data() : nullptr);
  }

  using Writable = nb::ndarray<nb::c_contig, nb::device::cpu>;
  void get(int layer, int slot, const Writable& W, const std::optional<Writable>& b) const {
    check_parameters(layer, slot, W, b);
    stack_->get(layer, slot, W.data(), b ? b->data() : nullptr);
  }

  using Before = std::tuple<double, double, double, std::vector<double>>;
  nb::tuple train(nb::handle x, const AnyArray& y, const std::optional<AnyArray>& weight, const Indices& order,
                  int64_t first, int64_t epoch, int64_t batch_size,
                  const nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu>& lrs, int64_t t,
                  const Before& before, const nb::object& halted) {
    stack_->steps_done = 0;
    stack_->failed = false;
    const Input input(*this, x, y, weight);
    const int64_t rows = static_cast<int64_t>(order.shape(0)), steps = static_cast<int64_t>(lrs.shape(0));
    expect(batch_size >= 1 && first >= 0 && epoch >= 0, "first and epoch must not be negative, batch_size above 0");
    expect(steps == 0 || first + (steps - 1) * batch_size < rows, "the steps go beyond the order's end");
    const int64_t last = std::min(rows, first + steps * batch_size);
    for (int64_t i = first; i < last; i++)
      expect(0 <= order.data()[i] && order.data()[i] < input.examples.rows, "the order names a row that is not there");
    const auto& [weight_before, loss_before, hits_before, squares_before] = before;
    const Sums sums_before{weight_before, loss_before, hits_before, squares_before};
    const glassnet::Plan plan{order.data(), rows, first, batch_size, epoch, t, lrs.data(), steps, sums_before};
    Signals signals(halted);
    Sums sums = sums_before;
    if (steps > 0) {
      nb::gil_scoped_release release;
      sums = stack_->train(input.examples, plan, [&] { return signals.came(); });
    }
    signals.raise();
    return result(sums);
  }

  nb::tuple evaluate(nb::handle x, const AnyArray& y, const std::optional<AnyArray>& weight) {
    const Input input(*this, x, y, weight);
    Signals signals;
    Sums sums;
    {
      nb::gil_scoped_release release;
      sums = stack_->evaluate(input.examples, [&] { return signals.came(); });
    }
    signals.raise();
    return result(sums);
  }

  void forward(nb::handle x, const Writable& out) {
    const Input input(*this, x);
    expect(out.ndim() == 2 && type_of(out) == own_type() && static_cast<int64_t>(out.shape(0)) == input.examples.rows &&
               static_cast<int64_t>(out.shape(1)) == spec_.sizes.back(),
           "out must have the shape (N, n[L]) and the stack's dtype");
    Signals signals;
    {
      nb::gil_scoped_release release;
      stack_->forward(input.examples, out.data(), [&] { return signals.came(); });
    }
    signals.raise();
  }

  int64_t steps_done() const { return stack_->steps_done; }
  bool failed() const { return stack_->failed; }

 private:
  // Examples as the engine takes them, checked; the arrays live as long as this does.
  struct Input {
    Examples examples;
    std::optional<AnyArray> dense;

    Input(const Binding& stack, nb::handle x) {
      if (nb::isinstance<CsrArrays>(x)) {
        expect(stack.spec_.sparse, "this stack takes dense rows, not a Csr");
        examples.csr = &nb::cast<CsrArrays&>(x).view;
        examples.rows = examples.csr->rows;
        expect(examples.csr->columns == stack.spec_.sizes[0],
               "x has another number of columns than the stack has inputs");
        return;
      }
      expect(!stack.spec_.sparse, "this stack takes a Csr");
      dense = nb::cast<AnyArray>(x);
      expect(dense->ndim() == 2 && static_cast<int64_t>(dense->shape(1)) == stack.spec_.sizes[0],
             "x must have the shape (N, n[0])");
      examples.type = type_of(*dense);
      examples.x = dense->data();
      examples.rows = static_cast<int64_t>(dense->shape(0));
    }

    Input(const Binding& stack, nb::handle x, const AnyArray& y, const std::optional<AnyArray>& weight)
        : Input(stack, x) {
      const int64_t outputs = stack.spec_.sizes.back();
      expect(y.ndim() >= 1 && static_cast<int64_t>(y.shape(0)) == examples.rows, "y must have as many rows as x");
      if (y.ndim() == 1) {
        expect(y.dtype() == nb::dtype<int64_t>(), "class indices must be int64");
        examples.classes = static_cast<const int64_t*>(y.data());
        for (int64_t i = 0; i < examples.rows; i++)
          expect(0 <= examples.classes[i] && examples.classes[i] < outputs, "a class index is outside the outputs");
      } else {
        expect(y.ndim() == 2 && static_cast<int64_t>(y.shape(1)) == outputs && type_of(y) == stack.own_type(),
               "y must have the shape (N, n[L]) and the stack's dtype");
        examples.targets = y.data();
      }
      if (weight) {
        expect(weight->ndim() == 1 && static_cast<int64_t>(weight->shape(0)) == examples.rows &&
                   type_of(*weight) == stack.own_type(),
               "weight must have the shape (N,) and the stack's dtype");
        examples.weight = weight->data();
      }
    }
  };

  // Whether a signal came while the interpreter was left alone; Python's own handlers run, in its main thread.
  // halted(), if it is given, says whether to stop for another reason.
  class Signals {
   public:
    explicit Signals(nb::object halted = nb::none()) : halted_(std::move(halted)) {}
    bool came() {
      nb::gil_scoped_acquire acquire;
      came_ = came_ || PyErr_CheckSignals() != 0;
      if (came_ || halted_.is_none()) return came_;
      return nb::cast<bool>(halted_());
    }
    void raise() const {
      if (came_) throw nb::python_error();
    }

   private:
    nb::object halted_;
    bool came_ = false;
  };

  Type own_type() const { return spec_.float64 ? Type::f64 : Type::f32; }

  template <class Array>
  void check_parameters(int layer, int slot, const Array& W, const std::optional<Array>& b) const {
    expect(1 <= layer && layer < static_cast<int>(spec_.sizes.size()) && -1 <= slot && slot < slots_,
           "no such layer or slot");
    const int64_t inputs = spec_.sizes[layer - 1], units = spec_.sizes[layer];
    expect(W.ndim() == 2 && static_cast<int64_t>(W.shape(0)) == units && static_cast<int64_t>(W.shape(1)) == inputs &&
               type_of(W) == own_type(),
           "W must have the shape (n_out, n_in) and the stack's dtype");
    if (b)
      expect(b->ndim() == 1 && static_cast<int64_t>(b->shape(0)) == units && type_of(*b) == own_type(),
             "b must have the shape (n_out,) and the stack's dtype");
  }

  nb::tuple result(const Sums& sums) const {
    auto [squares, values] = new_array<double>(sums.squares.size());
    std::copy(sums.squares.begin(), sums.squares.end(), values);
    return nb::make_tuple(sums.weight, sums.loss, sums.hits, squares);
  }

  Spec spec_;
  int slots_ = 0;
  std::unique_ptr<Stack> stack_;
};

}  // namespace

NB_MODULE(_native, module) {
  module.doc() = "The native engine: whole epochs of training in one call (see glassnet.engine.native).";
  module.def("instruction_sets", [] {
    std::vector<std::string> names;
    for (const InstructionSet& set : compiled_sets())
      if (set.here) names.emplace_back(set.name);
    return names;
  }, "What this machine can run, best first.");
  module.def("compiled_sets", [] {
    std::vector<std::string> names;
    for (const InstructionSet& set : compiled_sets()) names.emplace_back(set.name);
    return names;
  }, "What the module was compiled for, best first.");
  module.def("peak", [](const std::string& isa, const std::string& precision, int threads, double seconds) {
    const InstructionSet& set = chosen(isa);
    nb::gil_scoped_release release;
    return set.peak(precision, threads, seconds);
  }, "isa"_a, "precision"_a, "threads"_a, "seconds"_a, "GFLOP/s of multiply-adds that stay in registers.");

  module.def("permutation", [](const std::string& isa, int64_t n, int64_t epoch, int64_t purpose, uint64_t seed,
                               int threads) {
    const InstructionSet& set = chosen(isa);
    expect(0 <= n && n < int64_t{1} << 32, "n must be less than 2**32");
    auto [order, rows] = new_array<int64_t>(static_cast<size_t>(n));
    {
      nb::gil_scoped_release release;
      set.permutation(n, epoch, purpose, seed, threads, rows);
    }
    return order;
  }, "isa"_a, "n"_a, "epoch"_a, "purpose"_a, "seed"_a, "threads"_a,
     "The order of n rows that glassnet.random.permutation gives.");

  nb::class_<CsrArrays>(module, "Csr", "Rows of (column, value) pairs; keeps its arrays, copies nothing.")
      .def("__init__", [](CsrArrays* self, const AnyArray& data, const AnyArray& indices, const Indices& indptr,
                          int64_t columns) { new (self) CsrArrays(make_csr(data, indices, indptr, columns)); },
           "data"_a, "indices"_a, "indptr"_a, "columns"_a)
      .def_prop_ro("rows", [](const CsrArrays& self) { return self.view.rows; })
      .def_prop_ro("columns", [](const CsrArrays& self) { return self.view.columns; })
      .def_prop_ro("nnz", [](const CsrArrays& self) { return self.view.indptr[self.view.rows]; })
      .def_prop_ro("nbytes", [](const CsrArrays& self) {
        const int64_t entry = size_of(self.view.type) + (self.view.narrow ? 2 : 4);
        return self.view.indptr[self.view.rows] * entry + (self.view.rows + 1) * 8;
      });
  module.def("compress", &compress, "x"_a, "threads"_a, "The non-zero entries of x (N, K) as a Csr.");

  nb::class_<Binding>(module, "Stack", "A network of dense layers with its loss, optimiser and regularisers.")
      .def(nb::init<const std::string&, const std::string&, bool, int, uint64_t, std::vector<int64_t>,
                    const std::vector<std::pair<std::string, double>>&, const std::vector<bool>&,
                    const std::vector<bool>&, const std::vector<double>&, const std::vector<bool>&, bool>(),
           "isa"_a, "dtype"_a, "bf16"_a, "threads"_a, "seed"_a, "sizes"_a, "activations"_a, "biases"_a, "frozen"_a,
           "keeps"_a, "inverted"_a, "sparse"_a)
      .def("set_loss", &Binding::set_loss, "name"_a, "parameter"_a)
      .def("set_rules", &Binding::set_rules, "optimiser"_a, "parameters"_a, "l1"_a, "l2"_a, "alpha"_a, "decay"_a,
           "decay_by_lr"_a, "biases"_a, "max_norm"_a, "clip_norm"_a, "clip_value"_a)
      .def("set_parameters", [](Binding& self, int layer, const AnyArray& W, const std::optional<AnyArray>& b) {
        self.set(layer, -1, W, b);
      }, "layer"_a, "W"_a, "b"_a.none())
      .def("get_parameters", [](const Binding& self, int layer, const Binding::Writable& W,
                                const std::optional<Binding::Writable>& b) { self.get(layer, -1, W, b); },
           "layer"_a, "W"_a, "b"_a.none())
      .def("set_slot", &Binding::set, "layer"_a, "slot"_a, "W"_a, "b"_a.none())
      .def("get_slot", &Binding::get, "layer"_a, "slot"_a, "W"_a, "b"_a.none())
      .def("train", &Binding::train, "x"_a, "y"_a, "weight"_a.none(), "order"_a, "first"_a, "epoch"_a, "batch_size"_a,
           "lrs"_a, "t"_a, "before"_a, "halted"_a.none())
      .def("evaluate", &Binding::evaluate, "x"_a, "y"_a, "weight"_a.none())
      .def("forward", &Binding::forward, "x"_a, "out"_a)
      .def_prop_ro("steps_done", &Binding::steps_done, "Steps made by the last call of train.")
      .def_prop_ro("failed", &Binding::failed, "Whether in the step after these a number was not finite.");
}
