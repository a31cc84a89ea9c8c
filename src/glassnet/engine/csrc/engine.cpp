// The native engine, for one instruction set (its interface: engine.hpp).
//
// How a batch lies in memory. Samples go in panels: `panel` of them side by side, so that a vector holds one unit of
// several samples. Weights go in panels of as many units. With that, forward pass, BP.2 and BP.4 are one kind of
// product (products.hpp), and nothing is rearranged but each layer's δ, once, for BP.4.
//
// Shapes: P panels of samples, R rows of units (M rounded up to whole panels), n = panel
//     a, factor (P, R, n)        a[p][m][i] is unit m of sample p n + i. factor is z, then ∂a/∂z (dropout's mask
//                                included; of softmax a itself, before dropout), then, multiplied by what comes from
//                                above, δ
//     W (R / w, K, w)            W[u][k][j] is the weight from input k to unit u w + j; w is n, and more for a sparse
//                                first layer, where a row is what one entry of the input is multiplied by
//     delta_units (R / n, N, n)  δ with the units side by side; delta_rows (R / w, N, w) for a sparse first layer, and
//                                in bfloat16 delta_words (R / w, N, w / 2), where W has a copy words (R / w, K, w / 2):
//                                word j of a panel of n units holds units j and j + n / 2
//
// A step has two parts with a barrier after each: (1) forward pass, loss and errors, samples shared out among the
// threads; (2) gradients and updates, weights shared out. Of small weights and large batches the gradients are first
// summed up over chunks of the samples, each where it was computed. Where the steps are too small for that, each thread
// may have a network of its own (train_apart). Every number is computed in one order, so the bits do not depend on how
// many threads there are.
#include "engine.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

#include "functions.hpp"
#include "memory.hpp"
#include "order.hpp"
#include "philox.hpp"
#include "products.hpp"
#include "simd.hpp"
#include "threads.hpp"

namespace glassnet::GLASSNET_ISA {
namespace {

constexpr long group_bytes = vector_bytes == 64 ? 512 << 10 : 256 << 10;  // activations: half a second-level cache
constexpr long evaluation_rows = 128;    // per thread and block
constexpr double work_per_thread = 4e5;  // multiply-adds of a batch below which another thread would only be waited for
constexpr long first_bytes = 256;        // of a dense row that are asked for early; the processor asks for the rest
constexpr long small_weights = 256 << 10;  // bytes, of which each chunk of a batch can have a gradient of its own
constexpr long chunk_rows = 128;         // at least
constexpr long most_chunks = 8;
constexpr long block_bytes = group_bytes;  // what a block of a chunk leaves at all layers
constexpr long large_weights = 4 << 20;  // bytes, of which the second-level caches hold a part only
constexpr int sparse_vectors = 8;        // sums that a sparse layer keeps in registers
constexpr int wide_vectors = 4;          // of them those of different units: a wider W would leave the nearest caches
constexpr long sparse_group = 16;        // panels whose entries are read for one part of W after another
constexpr long part_bytes = 104 << 10;   // weights of which each sample finds most in the first-level cache
constexpr double part_entries = 48;      // of a sample, below which to come back to it does not pay
constexpr long part_samples = 32;        // likewise of samples
constexpr double least_apart = 3e4;      // multiply-adds a step that networks of their own must save each member
constexpr double most_again = 0.25;      // of the first layer's work, what every member may do again
constexpr int64_t steps_apart = 32;      // below which to copy the parameters does not pay
constexpr double few_entries = 3;        // a column's entries in a batch below which sorting them does not pay

long round_up(long n, long step) { return (n + step - 1) / step * step; }

template <class T, bool pairs>
struct Layer {
  using Word = std::conditional_t<pairs, Pair, T>;
  LayerSpec spec;
  long inputs = 0, units = 0, panels = 0;  // K, M, R / n
  bool sparse = false;
  long width = 0;  // w
  int sets = 1;    // a sparse layer's sums that are summed up side by side
  Buffer<T> W, b, slots_W[2], slots_b[2];
  Buffer<T> gradient_W, gradient_b;  // only where the whole gradient is needed before the update
  Buffer<T> partial_W, partial_b;    // sums of chunks of the batch, one behind the other
  Buffer<Pair> along;                // bfloat16 copies of W: pairs of inputs (R / n, K / 2, n)
  Buffer<uint16_t> across;           // and single numbers (R / n, K, n), read as pairs of units
  Buffer<Pair> words;                // of a sparse first layer, while it is trained

  long rows() const { return panels * panel<T>; }
  long place_of(long m, long k) const { return m / width * inputs * width + k * width + m % width; }
  T* at(const Buffer<T>& values, long u, long k) const { return values.get() + place_of(u * panel<T>, k); }
};

// What a batch leaves at layer l; l = 0 is the input.
template <class T, bool pairs>
struct Place {
  using Word = std::conditional_t<pairs, Pair, T>;
  long units = 0, rows = 0;
  Buffer<T> a, factor;
  Buffer<Word> delta_units;
  Buffer<T> delta_rows;        // of a sparse first layer, or
  Buffer<Pair> delta_words;
  Buffer<uint16_t> a_single;   // bfloat16: (P, R, n), read as pairs of samples
  Buffer<Pair> a_pairs;        // pairs of units (P, R / 2, n)
  Buffer<Pair> delta_pairs;    // likewise
};

// Which rows of the examples a batch has: sample i is row order[first + i], or first + i.
struct Rows {
  const int64_t* order;
  long first, count, end;  // end: of the order
  int64_t operator()(long i) const { return order == nullptr ? first + i : order[first + i]; }
};

// How the entries of a sparse input are read: values as they are, or one-byte codes into a table (pixels have 256
// values, indicators one), which is less to bring from memory. An Entry is one that was sorted by column: it knows its
// sample.
template <class T, class Index>
struct PlainEntries {
  struct Entry {
    int32_t sample;
    T value;
  };
  const Index* columns;
  const T* values;
  T value(int64_t e) const { return values[e]; }
  Entry entry(long sample, int64_t e) const { return {static_cast<int32_t>(sample), values[e]}; }
  static long sample_of(Entry entry) { return entry.sample; }
  T value_of(Entry entry) const { return entry.value; }
};
template <class T, class Index>
struct CodedEntries {
  using Entry = uint32_t;  // 256 sample + code
  const Index* columns;
  const uint8_t* codes;
  const T* table;
  T value(int64_t e) const { return table[codes[e]]; }
  Entry entry(long sample, int64_t e) const { return static_cast<Entry>(sample) << 8 | codes[e]; }
  static long sample_of(Entry entry) { return entry >> 8; }
  T value_of(Entry entry) const { return table[entry & 255]; }
};

// The non-zero inputs of a batch: sample i has the entries begin[i] to end[i] of the examples, or of a copy.
template <class T>
struct SparseBatch {
  const void* columns = nullptr;
  bool narrow = false;          // uint16, not int32
  const T* values = nullptr;    // or codes
  const uint8_t* codes = nullptr;
  T table[256];
  Buffer<int64_t> begin, end;
  bool copied = false;          // where the examples' own cannot be used as they are
  Buffer<T> own_values;
  Buffer<int32_t> own_columns;
  // The batch's entries sorted by column: column k has those from first[k] to first[k + 1]
  Buffer<int32_t> first;
  Buffer<char> sorted;          // room for Entries of either kind
};

// Asks now and then whether to stop: look() is for the calling thread only, stopped() for all.
class Watch {
 public:
  explicit Watch(const Interrupt& interrupt) : interrupt_(interrupt) {}
  void look() {
    const auto now = std::chrono::steady_clock::now();
    if (now - looked_ <= std::chrono::milliseconds(50)) return;
    looked_ = now;
    if (interrupt_ && interrupt_()) stopped_.store(true, std::memory_order_relaxed);
  }
  bool stopped() const { return stopped_.load(std::memory_order_relaxed); }

 private:
  const Interrupt& interrupt_;
  std::chrono::steady_clock::time_point looked_ = std::chrono::steady_clock::now();
  std::atomic<bool> stopped_{false};
};

template <class T, bool pairs>
class Network final : public Stack {
 public:
  using Word = std::conditional_t<pairs, Pair, T>;
  using Shown = std::conditional_t<pairs, uint16_t, T>;
  static constexpr int n = panel<T>;

  // In a member's network of its own, a sparse first layer is `narrow` vectors wide (train_apart).
  explicit Network(const Spec& spec, int narrow = 0) : spec_(spec), depth_(static_cast<int>(spec.layers.size())) {
    long weights = 0;  // of dense layers, in bytes
    layers_.resize(static_cast<size_t>(depth_));
    places_.resize(static_cast<size_t>(depth_) + 1);
    for (int l = 0; l <= depth_; l++) {
      places_[l].units = spec.sizes[l];
      places_[l].rows = round_up(spec.sizes[l], l == 0 ? 2 : n);
      if (l == 0) continue;
      Layer<T, pairs>& layer = layers_[l - 1];
      layer.spec = spec.layers[l - 1];
      layer.inputs = spec.sizes[l - 1];
      layer.units = spec.sizes[l];
      layer.sparse = spec.sparse && l == 1;
      layer.width = n;
      if (layer.sparse) {  // as wide as the sums allow, unless too many of the units would not be there
        while (layer.width < wide_vectors * lanes<T> && round_up(layer.units, 2 * layer.width) * 4 <= layer.units * 5)
          layer.width *= 2;
        places_[l].rows = round_up(layer.units, layer.width);
        layer.sets = static_cast<int>(sparse_vectors * lanes<T> / layer.width);
        if (narrow > 0) layer.width = narrow * lanes<T>;
      }
      layer.panels = places_[l].rows / n;
      layer.W.grow(layer.inputs * layer.rows());
      layer.b.grow(layer.rows());
      widest_ = std::max(widest_, layer.rows());
      if (pairs && !layer.sparse) {
        layer.along.grow((layer.inputs + 1) / 2 * layer.rows());
        layer.across.grow(layer.inputs * layer.rows());
      }
      mixes_units_ = mixes_units_ || layer.spec.activation == Activation::softmax;
      if (!layer.sparse) weights += layer.W.size() * static_cast<long>(sizeof(T));
    }
    large_ = weights > large_weights;
    small_ = !spec.sparse && weights <= small_weights;
    if (small_) {
      long rows = 0;
      for (const Place<T, pairs>& place : places_) rows += place.rows;
      block_panels_ = std::max(1L, block_bytes / (rows * n * 3 * static_cast<long>(sizeof(T))));  // a, ∂a/∂z, δ
    }
    widest_ = std::max(widest_, places_[0].rows);
    while (lowest_ < depth_ && layers_[lowest_ - 1].spec.frozen) lowest_++;
    set_loss(Loss::squared_error, 0);
    set_rules(Rules{});
  }

  void set_loss(Loss loss, double parameter) override {
    loss_ = {loss, static_cast<T>(parameter), spec_.sizes.back()};
  }

  void set_rules(const Rules& rules) override {
    rules_ = rules;
    update_ = update_of<T>(rules.optimiser);
    slots_ = rules.optimiser == Optimiser::sgd ? 0 : rules.optimiser == Optimiser::adam ? 2 : 1;
    for (Layer<T, pairs>& layer : layers_) {
      for (int s = 0; s < slots_; s++) {
        layer.slots_W[s].grow(layer.W.size());
        layer.slots_b[s].grow(layer.b.size());
      }
      if (rules.clip_norm > 0) {
        layer.gradient_W.grow(layer.W.size());
        layer.gradient_b.grow(layer.b.size());
      }
    }
  }

  void set(int l, int slot, const void* W, const void* b) override {
    Layer<T, pairs>& layer = layers_[l - 1];
    T* to = chosen(layer, slot, true);
    const T* from = static_cast<const T*>(W);
    each_square(layer, [&](long m, long k) {
      T* there = to + layer.place_of(m, k);
      transpose_square(from + m * layer.inputs + k, layer.inputs, there, layer.width);
    }, [&](long m, long k) { to[layer.place_of(m, k)] = from[m * layer.inputs + k]; });
    if (b != nullptr) std::memcpy(chosen(layer, slot, false), b, static_cast<size_t>(layer.units) * sizeof(T));
    if (slot < 0) refresh(layer, 0, layer.panels, 0, layer.inputs);
  }

  void get(int l, int slot, void* W, void* b) const override {
    const Layer<T, pairs>& layer = layers_[l - 1];
    const T* from = chosen(layer, slot, true);
    T* to = static_cast<T*>(W);
    each_square(layer, [&](long m, long k) {
      transpose_square(from + layer.place_of(m, k), layer.width, to + m * layer.inputs + k, layer.inputs);
    }, [&](long m, long k) { to[m * layer.inputs + k] = from[layer.place_of(m, k)]; });
    if (b != nullptr) std::memcpy(b, chosen(layer, slot, false), static_cast<size_t>(layer.units) * sizeof(T));
  }

  Sums train(const Examples& examples, const Plan& plan, const Interrupt& interrupt) override;
  Sums evaluate(const Examples& examples, const Interrupt& interrupt) override;
  void forward(const Examples& examples, void* out, const Interrupt& interrupt) override;

 private:
  // What each thread has for itself.
  struct Scratch {
    Buffer<T> tiles;    // products on their way, (panels in a group, n, n)
    Buffer<T> column;   // one panel of a whole layer, (R, n)
    Buffer<T> targets;  // (n[L], n)
    Buffer<T> gradient;
    Buffer<int64_t> reached;  // the next entry of each sample of a sparse input, or
    Buffer<int64_t> spans;    // where its entries of this thread's columns begin and end
    Buffer<int32_t> next;     // where the next entry of each of these columns goes
    bool not_finite = false;  // whether a number of this step is NaN or infinite
  };

  // The same for all threads in a step.
  struct Batch {
    const Examples* examples;
    Rows rows;
    long panels;        // of samples
    double weight;      // Σ w
    bool training;
    long chunks;        // 1, or those whose gradients are summed up by themselves, each by one thread
    uint32_t epoch, position;  // of the first sample
    Step<T> weights, biases;
  };

  // Sums of one panel of samples.
  struct PanelSums {
    double weight, loss, hits;
  };
  // And of all panels of a batch, with the squares of each output's errors where outputs are numbers.
  struct Tally {
    std::vector<PanelSums> sums;
    std::vector<double> squares;
    long outputs;
    double* squares_of(long p) { return outputs == 0 ? nullptr : &squares[static_cast<size_t>(p * outputs)]; }
    void add_to(Sums& totals, long panels) const {
      for (long p = 0; p < panels; p++) {
        const PanelSums& panel = sums[static_cast<size_t>(p)];
        totals.weight += panel.weight;
        totals.loss += panel.loss;
        totals.hits += panel.hits;
        for (long m = 0; m < outputs; m++)
          totals.squares[static_cast<size_t>(m)] += squares[static_cast<size_t>(p * outputs + m)];
      }
    }
  };

  // W or δ of a sparse first layer: as numbers, or in bfloat16.
  template <class Form>
  static const Form* as_form(const Buffer<T>& numbers, const Buffer<Pair>& words) {
    if constexpr (std::is_same_v<Form, T>)
      return numbers.get();
    else
      return words.get();
  }
  T* chosen(const Layer<T, pairs>& layer, int slot, bool weights) const {
    if (slot < 0) return (weights ? layer.W : layer.b).get();
    return (weights ? layer.slots_W : layer.slots_b)[slot].get();
  }
  // Calls square(m, k) for whole squares of W and one(m, k) for what is left at the edges.
  template <class Square, class One>
  static void each_square(const Layer<T, pairs>& layer, Square square, One one) {
    constexpr long v = lanes<T>;
    const long whole_units = layer.units / v * v, whole_inputs = layer.inputs / v * v;
    for (long m = 0; m < whole_units; m += v)
      for (long k = 0; k < whole_inputs; k += v) square(m, k);
    for (long m = 0; m < layer.units; m++)
      for (long k = m < whole_units ? whole_inputs : 0; k < layer.inputs; k++) one(m, k);
  }

  void refresh(Layer<T, pairs>& layer, long first_panel, long last_panel, long first_input, long last_input);
  void reserve(long panels, int threads);
  int threads_for(double multiply_adds) const {
    return std::clamp(static_cast<int>(multiply_adds / work_per_thread), 1, spec_.threads);
  }
  static double entries_a_row(const Examples& examples) {
    const Csr& x = *examples.csr;
    return static_cast<double>(x.indptr[x.rows]) / static_cast<double>(std::max<int64_t>(x.rows, 1));
  }
  // In how many parts the inputs of a sparse first layer come, whose weights take so many bytes an input.
  long parts_of(const Examples& examples, size_t bytes) const {
    const long by_bytes = layers_[0].inputs * static_cast<long>(bytes) / part_bytes + 1;
    return std::min(by_bytes, static_cast<long>(entries_a_row(examples) / part_entries) + 1);
  }
  long chunks_of(long rows) const { return small_ ? std::clamp(rows / chunk_rows, 1L, most_chunks) : 1; }
  double multiply_adds(const Examples& examples, long rows) const;
  // The panels of a sparse layer's W in which the units of some panels are.
  static Range strips_of(const Layer<T, pairs>& layer, Range panels) {
    return {panels.first * n / layer.width, panels.last * n / layer.width};
  }
  static int rows_in(long units, long u) { return static_cast<int>(std::clamp<long>(units - u * n, 0, n)); }
  static int vectors_in(long count) {
    return static_cast<int>(std::min<long>((count + lanes<T> - 1) / lanes<T>, tile_vectors));
  }
  // Steps of the block that comes after step s: of the same sum, or of the next one, if there is one.
  static long steps_after(long s, long steps, bool more) {
    return std::min<long>(block_steps<T>, s < steps ? steps - s : more ? steps : 0);
  }
  long samples_in(const Batch& batch, long p, long base) const {
    return std::min<long>(n, batch.rows.count - (p - base) * n);
  }
  // work(how many samples of a panel are worked on, in whole vectors: a constant)
  template <class Work>
  auto with_samples(const Batch& batch, long p, long base, Work work) const {
    if (samples_in(batch, p, base) <= lanes<T>) return work(std::integral_constant<int, lanes<T>>());
    return work(std::integral_constant<int, n>());
  }

  // The parts of a step, in their order; each a function of its own to a profiler too
  [[gnu::noinline]] void gather(const Batch& batch, long p, long base, Scratch& own);
  [[gnu::noinline]] void gather_sparse(const Batch& batch, Range panels, long base);
  static void prefetch_later(const Batch& batch, long sample);
  template <class Entries>
  [[gnu::noinline]] void sort_by_column(Entries entries, long samples, int member, int members, Scratch& own);
  [[gnu::noinline]] void forward_layer(const Batch& batch, int l, Range panels, Range units, long base, Scratch& own);
  template <class Word, int vectors, int sets, class Entries>
  [[gnu::noinline]] void forward_sparse(Entries entries, const Batch& batch, Range panels, Range strips, long base,
                                        Scratch& own);
  void look_at_z(const Batch& batch, long p, long base, const Bits<T>* carries, Scratch& own) const;
  [[gnu::noinline]] void finish(const Batch& batch, int l, long p, long base, Range units, Scratch& own);
  [[gnu::noinline]] void drop(const Batch& batch, int l, long p, long base, Range units, T* a, T* factor) const;
  void pack(int l, long p, Range units, const T* a);
  [[gnu::noinline]] PanelSums output_errors(const Batch& batch, long p, long base, double* squares, Scratch& own);
  template <int here>
  PanelSums errors_of(const Batch& batch, long p, long base, double* squares, Scratch& own);
  [[gnu::noinline]] void backward_layer(const Batch& batch, int l, Range panels, Range units, long base, Scratch& own);
  [[gnu::noinline]] void keep_delta(const Batch& batch, int l, long p, long base, Range units);
  // The square of n units from panel u by n inputs from k.
  struct Square {
    long u, k, offset;
    int rows;
  };
  long squares_of(const Layer<T, pairs>& layer) const { return layer.panels * ((layer.inputs + n - 1) / n); }
  Square square_of(const Layer<T, pairs>& layer, long i) const {
    const long across = (layer.inputs + n - 1) / n, u = i / across, k = i % across * n;
    return {u, k, layer.place_of(u * n, k), rows_in(layer.inputs - k, 0)};
  }
  void sum_square(const Batch& batch, int l, const Square& square, Range panels, long base, bool begins, T* g) const;
  void sum_biases(const Batch& batch, int l, long u, Range panels, long base, T* g) const;
  [[gnu::noinline]] void sum_block(const Batch& batch, long chunk, Range panels, long base, bool begins);
  [[gnu::noinline]] void weight_gradients(const Batch& batch, int l, int member, int members, Scratch& own);
  template <class Word, int vectors, int sets, class Entries>
  [[gnu::noinline]] void sparse_gradients(Entries entries, const Batch& batch, Range strips, Scratch& own);
  template <int vectors, class Entries>
  [[gnu::noinline]] void scatter(Entries entries, const Batch& batch, Range strips, Scratch& own);
  [[gnu::noinline]] void bias_gradients(const Batch& batch, int l, Range units, Scratch& own);
  void apply(Layer<T, pairs>& layer, bool weights, long offset, T* g, long count, const Step<T>& step,
             Scratch& own) const;
  double square_of_gradient(const Layer<T, pairs>& layer, long u) const;
  void update_clipped(const Batch& batch, Layer<T, pairs>& layer, Range units, T scale, Scratch& own);
  void limit_norms(Layer<T, pairs>& layer, Range units);

  Step<T> step_of(double lr, int64_t t, double weight, bool weights) const;
  bool is_plain() const {
    return rules_.optimiser == Optimiser::sgd && rules_.l1 == 0 && rules_.l2 == 0 && rules_.alpha == 0 &&
           rules_.decay == 0 && rules_.clip_value == 0 && rules_.clip_norm == 0;
  }
  // Whether BP.4 of a sparse first layer goes entry by entry with so many rows in a batch.
  bool scatters(const Examples& examples, double rows) const {
    const double columns = static_cast<double>(layers_[0].inputs);
    return is_plain() && entries_a_row(examples) * rows < few_entries * columns;
  }
  // work(the entries as their kind is read, how many vectors wide W of the sparse layer is, its sets of sums); `apart`
  // in a member's network of its own, where W may be narrower
  template <bool apart = false, class Work>
  void with_entries(Work work) const {
    const auto with_width = [&](auto entries) {
      const long vectors = layers_[0].width / lanes<T>;
      const auto with_sets = [&](auto sets) {
        if constexpr (apart) {
          if (vectors == 1) return work(entries, std::integral_constant<int, 1>(), sets);
          if (sets() == 2 && vectors == 2) return work(entries, std::integral_constant<int, 2>(), sets);
        }
        work(entries, std::integral_constant<int, sparse_vectors / sets()>(), sets);
      };
      if (layers_[0].sets == sparse_vectors / 2)
        with_sets(std::integral_constant<int, sparse_vectors / 2>());
      else
        with_sets(std::integral_constant<int, sparse_vectors / wide_vectors>());
    };
    const auto with_index = [&](auto* columns) {
      using Index = std::remove_cv_t<std::remove_pointer_t<decltype(columns)>>;
      if (sparse_.codes != nullptr)
        with_width(CodedEntries<T, Index>{columns, sparse_.codes, sparse_.table});
      else
        with_width(PlainEntries<T, Index>{columns, sparse_.values});
    };
    if (sparse_.narrow)
      with_index(static_cast<const uint16_t*>(sparse_.columns));
    else
      with_index(static_cast<const int32_t*>(sparse_.columns));
  }
  template <class Done>
  void each_block(const Examples& examples, const Interrupt& interrupt, Done done);

  void prepare_training(const Examples& examples, const Plan& plan, int members);
  long numbers_of(const Examples& examples) const;
  Tally tally_of(const Examples& examples, const Plan& plan) const;
  Batch batch_of(const Examples& examples, const Plan& plan, int64_t step) const;
  void train_together(const Examples& examples, const Plan& plan, Watch& watch, Sums& totals);
  int members_apart(const Examples& examples, const Plan& plan) const;
  void train_apart(int members, const Examples& examples, const Plan& plan, Watch& watch, Sums& totals);
  void take_parameters(const Network& from, Range units, bool above);
  void show_a(const Batch& batch, Range units, Shown* to) const;
  void take_a(const Batch& batch, Range units, const Shown* from);

  Spec spec_;
  Rules rules_;
  LossOf<T> loss_{};
  Update<T> update_ = nullptr;
  int depth_;
  int slots_ = 0;   // of the optimiser
  int lowest_ = 1;  // the lowest layer that is trained
  bool sorts_ = false;         // whether BP.4 of a sparse first layer goes column by column
  bool rounds_first_ = false;  // whether a sparse first layer is trained with bfloat16 copies of W and δ
  long widest_ = 0;
  bool mixes_units_ = false;
  bool large_ = false, small_ = false;  // whether the weights are
  std::vector<Layer<T, pairs>> layers_;
  std::vector<Place<T, pairs>> places_;
  std::vector<Scratch> scratch_;
  SparseBatch<T> sparse_;
  long capacity_ = 0;  // in panels
  long block_panels_ = 0;  // of a large batch of small weights, which are worked on together
  Pace pace_;
  std::vector<std::unique_ptr<Network>> apart_;  // the members' own networks, and
  Buffer<Shown> shown_[2];                       // in them what the others read, in steps by turns
  Pace pace_apart_;
};

// ---- Memory

template <class T, bool pairs>
void Network<T, pairs>::reserve(long panels, int threads) {
  if (static_cast<size_t>(threads) > scratch_.size()) scratch_.resize(static_cast<size_t>(threads));
  for (Scratch& own : scratch_) {
    own.tiles.grow(std::max(group_bytes / static_cast<long>(sizeof(T)) / 2 + n * n,
                            sparse_group * n * wide_vectors * lanes<T>));
    own.column.grow(widest_ * n);
    own.targets.grow(spec_.sizes.back() * n);
    if (spec_.sparse) own.reached.grow(sparse_group * n);
    own.gradient.grow(std::max(n * n, sparse_vectors * lanes<T>));
  }
  if (panels <= capacity_) return;
  for (int l = 0; l <= depth_; l++) {
    Place<T, pairs>& place = places_[l];
    const long numbers = panels * place.rows * n;
    const bool sparse_input = l == 0 && spec_.sparse;
    if (l > 0) place.factor.grow(numbers);
    if (sparse_input) continue;
    if (!pairs || l == depth_) place.a.grow(numbers);
    if (l == 1 && spec_.sparse)
      place.delta_rows.grow(numbers);
    else if (l > 0)
      place.delta_units.grow(pairs ? numbers / 2 : numbers);
    if constexpr (pairs) {
      place.a_single.grow(numbers);
      place.a_pairs.grow(numbers / 2);
      if (l > 0) place.delta_pairs.grow(numbers / 2);
    }
  }
  if (spec_.sparse) {
    sparse_.begin.grow(panels * n);
    sparse_.end.grow(panels * n);
  }
  capacity_ = panels;
}

// The numbers of two rows of a panel side by side; 0 beside the first if there is no second.
inline void round_two_rows(const float* first, bool second, Pair* to) {
  for (int j = 0; j < panel<float>; j += lanes<float>)
    store(to + j, round_pairs(load(first + j), second ? load(first + panel<float> + j) : Vector<float>{}));
}

// The bfloat16 copies of some weights.
template <class T, bool pairs>
void Network<T, pairs>::refresh(Layer<T, pairs>& layer, long first_panel, long last_panel, long first_input,
                                long last_input) {
  if constexpr (pairs) {
    if (layer.sparse) {
      if (!rounds_first_) return;
      for (long u = first_panel; u < last_panel; u++)
        for (long k = first_input; k < last_input; k++) {
          const long at = layer.place_of(u * n, k);
          const T* W = layer.W.get() + at;
          store(layer.words.get() + at / 2, round_pairs(load(W), load(W + lanes<T>)));  // as row_vector reads them
        }
      return;
    }
    for (long u = first_panel; u < last_panel; u++) {
      const T* W = layer.at(layer.W, u, 0);
      uint16_t* single = layer.across.get() + u * layer.inputs * n;
      Pair* pair = layer.along.get() + u * ((layer.inputs + 1) / 2) * n;
      for (long k = first_input; k < last_input; k++) round_row(W + k * n, single + k * n);
      for (long k = first_input / 2; k < (last_input + 1) / 2; k++)
        round_two_rows(W + 2 * k * n, 2 * k + 1 < layer.inputs, pair + k * n);
    }
  }
}

// ---- The input

// Rows of any type into a panel (K, n).
template <class T, class X>
void gather_rows(const X* x, long inputs, const Rows& rows, long first, long count, T* to) {
  constexpr int n = panel<T>, v = lanes<T>;
  static constexpr X zeros[v] = {};  // of a sample that is not there
  const X* from[n];
  for (int i = 0; i < n; i++) from[i] = i < count ? x + rows(first + i) * inputs : nullptr;
  const long whole = inputs / v * v;
  for (int i = 0; i < n; i += v) {
    for (long k = 0; k < whole; k += v) {
      const auto row = [&](int q) { return from[i + q] == nullptr ? zeros : from[i + q] + k; };
      if constexpr (std::is_same_v<X, T>) {
        transpose_rows<T>(row, to + k * n + i, n);
      } else {
        alignas(64) T square[v * v];
        for (int q = 0; q < v; q++)
          for (int j = 0; j < v; j++) square[q * v + j] = static_cast<T>(row(q)[j]);
        transpose_square(square, v, to + k * n + i, n);
      }
    }
    for (long k = whole; k < inputs; k++)
      for (int q = i; q < i + v; q++) to[k * n + q] = from[q] == nullptr ? T(0) : static_cast<T>(from[q][k]);
  }
}

template <class T, bool pairs>
void Network<T, pairs>::gather(const Batch& batch, long p, long base, Scratch& own) {
  Place<T, pairs>& input = places_[0];
  const Examples& examples = *batch.examples;
  const long first = (p - base) * n, count = samples_in(batch, p, base);
  T* to = pairs ? own.column.get() : input.a.get() + p * input.rows * n;
  const auto from = [&](const auto* x) { gather_rows(x, input.units, batch.rows, first, count, to); };
  switch (examples.type) {
    case Type::u8: from(static_cast<const uint8_t*>(examples.x)); break;
    case Type::f32: from(static_cast<const float*>(examples.x)); break;
    case Type::f64: from(static_cast<const double*>(examples.x)); break;
  }
  if (batch.training) {  // what the next batch will read in these samples' places: rows lie anywhere in memory
    const long ahead = batch.rows.count, left = batch.rows.end - batch.rows.first;
    const long bytes = input.units * size_of(examples.type);
    for (long i = first; i < first + count && i + ahead < left; i++) {
      const int64_t row = batch.rows(i + ahead);
      prefetch_part(static_cast<const char*>(examples.x) + row * bytes, std::min(bytes + 63, first_bytes), 0, 1);
      if (examples.classes != nullptr) __builtin_prefetch(examples.classes + row, 0, 2);
    }
  }
  const Range all{0, input.units};
  drop(batch, 0, p, base, all, to, nullptr);
  if constexpr (pairs) {
    if (input.units < input.rows) std::memset(to + input.units * n, 0, n * sizeof(T));
    pack(0, p, {0, input.rows}, to);
  }
}

// ---- A sparse input

// Asks for a row and its class: rows lie anywhere in memory.
[[gnu::always_inline]] inline void prefetch_row(const Examples& examples, int64_t row) {
  const Csr& x = *examples.csr;
  if (examples.classes != nullptr) __builtin_prefetch(examples.classes + row, 0, 2);
  const int64_t begin = x.indptr[row], count = x.indptr[row + 1] - begin;
  const int64_t value = size_of(x.type), index = x.narrow ? 2 : 4;
  prefetch_part(static_cast<const char*>(x.data) + begin * value, count * value + 63, 0, 1);
  prefetch_part(static_cast<const char*>(x.indices) + begin * index, count * index + 63, 0, 1);
}

// Asks for what the next batch will read in this sample's place, and the one after it to find its row. One sample at a
// time, between sums: many requests at once would be waited for.
template <class T, bool pairs>
[[gnu::always_inline]] inline void Network<T, pairs>::prefetch_later(const Batch& batch, long sample) {
  const long count = batch.rows.count, left = batch.rows.end - batch.rows.first;
  if (sample >= count) return;
  if (sample + count < left) prefetch_row(*batch.examples, batch.rows(sample + count));
  if (sample + 2 * count < left)
    __builtin_prefetch(batch.examples->csr->indptr + batch.rows(sample + 2 * count), 0, 2);
}

template <class T, class X, class Index>
void copy_entries(const Csr& x, int64_t row, T* values, int32_t* columns) {
  const int64_t begin = x.indptr[row], count = x.indptr[row + 1] - begin;
  const X* data = static_cast<const X*>(x.data) + begin;
  const Index* indices = static_cast<const Index*>(x.indices) + begin;
  for (int64_t i = 0; i < count; i++) {
    if constexpr (std::is_same_v<X, uint8_t>)
      values[i] = x.table == nullptr ? static_cast<T>(data[i]) : static_cast<T>(x.table[data[i]]);
    else
      values[i] = static_cast<T>(data[i]);
    columns[i] = static_cast<int32_t>(indices[i]);
  }
}

template <class T, class X>
void copy_entries_of(const Csr& x, int64_t row, T* values, int32_t* columns) {
  if (x.narrow)
    copy_entries<T, X, uint16_t>(x, row, values, columns);
  else
    copy_entries<T, X, int32_t>(x, row, values, columns);
}

// Where the entries of these samples are; copied where they must be converted, or where some are dropped.
template <class T, bool pairs>
void Network<T, pairs>::gather_sparse(const Batch& batch, Range panels, long base) {
  const Csr& x = *batch.examples->csr;
  const DropoutSpec& dropout = spec_.dropouts[0];
  const bool own = sparse_.copied;
  for (long p = panels.first; p < panels.last; p++) {
    for (int i = 0; i < n; i++) {
      const long slot = p * n + i, sample = (p - base) * n + i;
      sparse_.begin[slot] = sparse_.end[slot] = 0;
      if (sample >= batch.rows.count) continue;
      const int64_t row = batch.rows(sample);
      if (!own) {
        sparse_.begin[slot] = x.indptr[row];
        sparse_.end[slot] = x.indptr[row + 1];
        continue;
      }
      T* values = sparse_.own_values.get() + slot * x.longest;
      int32_t* columns = sparse_.own_columns.get() + slot * x.longest;
      int64_t count = x.indptr[row + 1] - x.indptr[row];
      switch (x.type) {
        case Type::u8: copy_entries_of<T, uint8_t>(x, row, values, columns); break;
        case Type::f32: copy_entries_of<T, float>(x, row, values, columns); break;
        case Type::f64: copy_entries_of<T, double>(x, row, values, columns); break;
      }
      if (batch.training && dropout.keep < 1) {
        const uint32_t threshold = static_cast<uint32_t>(std::nearbyint(dropout.keep * 65536));
        const T kept = dropout.inverted ? T(1) / static_cast<T>(dropout.keep) : T(1);
        const uint32_t position = batch.position + static_cast<uint32_t>(sample);
        uint32_t words[4];
        int32_t block = -1;
        int64_t left = 0;
        for (int64_t e = 0; e < count; e++) {
          const int32_t k = columns[e];
          if (k / draws_per_block != block) {
            block = k / draws_per_block;
            philox(static_cast<uint32_t>(block), position, batch.epoch, dropout_purpose << 24, spec_.seed, words);
          }
          const int lane = k % draws_per_block;
          if (((words[lane / 2] >> (lane % 2 * 16)) & 0xffffu) >= threshold) continue;
          values[left] = values[e] * kept;
          columns[left++] = k;
        }
        count = left;
      } else if (!batch.training && dropout.keep < 1 && !dropout.inverted) {
        for (int64_t e = 0; e < count; e++) values[e] *= static_cast<T>(dropout.keep);
      }
      sparse_.begin[slot] = slot * x.longest;
      sparse_.end[slot] = slot * x.longest + count;
    }
  }
}

// A counting sort of the batch's entries by column: each thread sorts those of its own columns, which lie side by side
// in a row.
template <class T, bool pairs>
template <class Entries>
void Network<T, pairs>::sort_by_column(Entries entries, long samples, int member, int members, Scratch& own) {
  const Range columns = share_of(places_[0].units, member, members);
  int64_t* spans = own.spans.get();
  int32_t* next = own.next.get();
  std::fill(next + columns.first, next + columns.last, 0);
  int64_t before = 0;
  for (long i = 0; i < samples; i++) {
    const auto *row = entries.columns + sparse_.begin[i], *end = entries.columns + sparse_.end[i];
    const auto* from = member == 0 ? row : std::lower_bound(row, end, columns.first);
    const auto* to = member == members - 1 ? end : std::lower_bound(from, end, columns.last);
    before += from - row;
    spans[2 * i] = from - entries.columns;
    spans[2 * i + 1] = to - entries.columns;
    for (; from < to; from++) next[*from]++;
  }
  int32_t total = static_cast<int32_t>(before);
  for (long k = columns.first; k < columns.last; k++) {
    sparse_.first[k] = total;
    total += std::exchange(next[k], total);
  }
  if (member == members - 1) sparse_.first[columns.last] = total;
  auto* sorted = reinterpret_cast<typename Entries::Entry*>(sparse_.sorted.get());
  for (long i = 0; i < samples; i++)
    for (int64_t e = spans[2 * i]; e < spans[2 * i + 1]; e++) sorted[next[entries.columns[e]]++] = entries.entry(i, e);
}

// z of the first layer, sample by sample: only its non-zero inputs count. The units come in as many vectors as W is
// wide; where that leaves registers free, several entries are summed side by side. The inputs come in parts whose
// weights stay in a first-level cache while many samples are multiplied with them.
template <class T, bool pairs>
template <class Word, int vectors, int sets, class Entries>
void Network<T, pairs>::forward_sparse(Entries entries, const Batch& batch, Range panels, Range strips, long base,
                                       Scratch& own) {
  constexpr int v = lanes<T>, width = vectors * v;
  constexpr long stride = width * row_words<T, Word> / n;
  const Layer<T, pairs>& layer = layers_[0];
  Place<T, pairs>& place = places_[1];
  const bool softmax = layer.spec.activation == Activation::softmax;
  const bool many = batch.training && batch.rows.count >= part_samples;  // a prediction does not depend on other rows
  const long parts = many ? parts_of(*batch.examples, stride * sizeof(Word)) : 1;
  const long inputs = (layer.inputs + parts - 1) / parts;
  for (long first = panels.first; first < panels.last; first += sparse_group) {
    const long last = std::min(first + sparse_group, panels.last);
    for (long strip = strips.first; strip < strips.last; strip++) {
      const long unit = strip * width;
      const Word* W = as_form<Word>(layer.W, layer.words) + layer.place_of(unit, 0) * stride / width;
      const T* b = layer.b.get() + unit;
      for (long limit = inputs;; limit += inputs) {
        const bool begins = limit == inputs, ends = limit >= layer.inputs;
        for (long p = first; p < last; p++) {
          T* rows = own.tiles.get() + (p - first) * n * width;
          const long samples = round_up(samples_in(batch, p, base), v);  // those that are not there have a z, too
          for (int i = 0; i < samples; i++) {
            if (strip == strips.first && begins && batch.training) prefetch_later(batch, (p - base) * n + i);
            const long slot = p * n + i;
            Vector<T> sums[sets][vectors] = {};
#pragma GCC unroll 8
            for (int q = 0; q < vectors; q++) sums[0][q] = load((begins ? b : rows + i * width) + q * v);
            int64_t e = begins ? sparse_.begin[slot] : own.reached[slot - first * n];
            const int64_t end = sparse_.end[slot];
            for (; e + sets <= end && entries.columns[e + sets - 1] < limit; e += sets) {
#pragma GCC unroll 8
              for (int s = 0; s < sets; s++) {
                const Word* row = W + entries.columns[e + s] * stride;
                const T x = entries.value(e + s);
#pragma GCC unroll 8
                for (int q = 0; q < vectors; q++) sums[s][q] += row_vector(row, q) * x;
              }
            }
            for (; e < end && entries.columns[e] < limit; e++) {
#pragma GCC unroll 8
              for (int q = 0; q < vectors; q++)
                sums[0][q] += row_vector(W + entries.columns[e] * stride, q) * entries.value(e);
            }
            own.reached[slot - first * n] = e;
#pragma GCC unroll 8
            for (int q = 0; q < vectors; q++) {
#pragma GCC unroll 8
              for (int s = 1; s < sets; s++) sums[0][q] += sums[s][q];
              store(rows + i * width + q * v, sums[0][q]);
            }
          }
          if (!ends) continue;
          T* z = place.factor.get() + (p * place.rows + unit) * n;
          for (int j = 0; j < width; j += v)
            for (int i = 0; i < samples; i += v) transpose_square(rows + i * width + j, width, z + j * n + i, n);
          if (!softmax) finish(batch, 1, p, base, {unit, unit + width}, own);
        }
        if (ends) break;
      }
    }
    for (long p = first; p < last && softmax; p++) finish(batch, 1, p, base, {0, place.rows}, own);
  }
}

// ---- Forward

template <class T, bool pairs>
void Network<T, pairs>::forward_layer(const Batch& batch, int l, Range panels, Range units, long base, Scratch& own) {
  const Layer<T, pairs>& layer = layers_[l - 1];
  const Place<T, pairs>& below = places_[l - 1];
  Place<T, pairs>& place = places_[l];
  const long steps = pairs ? (layer.inputs + 1) / 2 : layer.inputs, below_steps = pairs ? below.rows / 2 : below.rows;
  const Word* a;
  const Word* W;
  if constexpr (pairs)
    a = below.a_pairs.get(), W = layer.along.get();
  else
    a = below.a.get(), W = layer.W.get();
  const long group = std::max(1L, group_bytes / (steps * n * static_cast<long>(sizeof(Word))));
  for (long first = panels.first; first < panels.last; first += group) {
    const long last = std::min(first + group, panels.last);
    for (long u = units.first; u < units.last; u++) {
      const int rows = rows_in(layer.units, u);
      for (long s = 0; s < steps; s += block_steps<T>) {
        const long here = std::min<long>(block_steps<T>, steps - s);
        const Word* next = W + (u * steps + s + here) * n;  // the block of weights after this one
        const long after = steps_after(s + here, steps, u + 1 < units.last);
        for (long p = first; p < last; p++) {
          prefetch_part(next, after * n, p - first, last - first);
          product<T, Word, Reading::along>(rows, vectors_in(samples_in(batch, p, base)), W + (u * steps + s) * n, 0,
                                           a + (p * below_steps + s) * n, here,
                                           place.factor.get() + (p * place.rows + u * n) * n,
                                           s == 0 ? Start::bias : Start::previous, layer.b.get() + u * n);
        }
      }
    }
    for (long p = first; p < last; p++) finish(batch, l, p, base, {units.first * n, units.last * n}, own);
  }
}

// Notes a z that is not finite, of a sample that counts: σ may hide it from the loss.
template <class T, bool pairs>
void Network<T, pairs>::look_at_z(const Batch& batch, long p, long base, const Bits<T>* carries, Scratch& own) const {
  const long samples = samples_in(batch, p, base);
  Bits<T> any = 0;
  for (long i = 0; i < samples; i++) any |= carries[i];
  if (!carried<T>(any)) return;
  const T* weights = static_cast<const T*>(batch.examples->weight);
  for (long i = 0; i < samples; i++)
    if (carried<T>(carries[i]) && (weights == nullptr || weights[batch.rows((p - base) * n + i)] > 0))
      own.not_finite = true;
}

// From z to a and ∂a/∂z, with dropout, for some units of one panel.
template <class T, bool pairs>
void Network<T, pairs>::finish(const Batch& batch, int l, long p, long base, Range units, Scratch& own) {
  const LayerSpec& spec = layers_[l - 1].spec;
  Place<T, pairs>& place = places_[l];
  const Range rows{units.first, std::min(units.last, place.units)};
  const long offset = (p * place.rows + rows.first) * n, count = rows.last - rows.first;
  const bool packed = pairs && l < depth_;
  T* a = packed ? own.column.get() : place.a.get() + offset;
  T* factor = place.factor.get() + offset;
  alignas(64) Bits<T> carries[n];
  with_samples(batch, p, base, [&](auto here) {
    if (spec.activation == Activation::softmax)
      softmax<here>(a, factor, place.units, carries);
    else
      activate<here>(spec.activation, static_cast<T>(spec.parameter), a, factor, count, carries);
  });
  if (batch.training) look_at_z(batch, p, base, carries, own);
  drop(batch, l, p, base, rows, a, spec.activation == Activation::softmax ? nullptr : factor);
  if (packed) pack(l, p, {rows.first, round_up(rows.last, 2)}, a);
}

// Dropout of some units of one panel, or what stands for it outside training.
template <class T, bool pairs>
void Network<T, pairs>::drop(const Batch& batch, int l, long p, long base, Range units, T* a, T* factor) const {
  const DropoutSpec& dropout = spec_.dropouts[l];
  if (dropout.keep >= 1) return;
  const long count = (units.last - units.first) * n;
  if (!batch.training) {
    if (dropout.inverted) return;
    for (long i = 0; i < count; i++) a[i] *= static_cast<T>(dropout.keep);
    return;
  }
  const uint32_t threshold = static_cast<uint32_t>(std::nearbyint(dropout.keep * 65536));
  const T kept = dropout.inverted ? T(1) / static_cast<T>(dropout.keep) : T(1);
  using Draw = std::make_signed_t<Bits<T>>;
  const Vector<Draw> below = spread(static_cast<Draw>(threshold));
  const uint32_t position = batch.position + static_cast<uint32_t>((p - base) * n);
  for (long m = units.first; m < units.last;) {
    const long block = m / draws_per_block, end = std::min((block + 1) * draws_per_block, units.last);
    for (int i = 0; i < samples_in(batch, p, base); i += lanes<T>) {
      Vector<Bits<T>> words[4];
      philox_of<T>(static_cast<uint32_t>(block), position + static_cast<uint32_t>(i), batch.epoch,
                   dropout_purpose << 24 | static_cast<uint32_t>(l), spec_.seed, words);
      for (long unit = m; unit < end; unit++) {
        const long lane = unit % draws_per_block, at = (unit - units.first) * n + i;
        const Vector<Bits<T>> draws = words[lane / 2] >> static_cast<Bits<T>>(lane % 2 * 16) & spread<Bits<T>>(0xffff);
        const Vector<T> mask = (Vector<T>)(((Vector<Draw>)draws < below) & (Vector<Draw>)spread(kept));
        store(a + at, load(a + at) * mask);
        if (factor != nullptr) store(factor + at, load(factor + at) * mask);
      }
    }
    m = end;
  }
}

// bfloat16 copies of some units' activations, from a (units, n).
template <class T, bool pairs>
void Network<T, pairs>::pack(int l, long p, Range units, const T* a) {
  if constexpr (pairs) {
    Place<T, pairs>& place = places_[l];
    uint16_t* single = place.a_single.get() + (p * place.rows + units.first) * n;
    Pair* pair = place.a_pairs.get() + (p * place.rows + units.first) / 2 * n;
    const long count = units.last - units.first;
    const long have = std::min(units.last, place.units) - units.first;
    for (long m = 0; m < have; m++) round_row(a + m * n, single + m * n);
    std::memset(single + have * n, 0, static_cast<size_t>((count - have) * n) * sizeof(uint16_t));
    for (long m = 0; m < have; m += 2) round_two_rows(a + m * n, m + 1 < have, pair + m / 2 * n);
    std::memset(pair + (have + 1) / 2 * n, 0, static_cast<size_t>((count / 2 - (have + 1) / 2) * n) * sizeof(Pair));
  }
}

// ---- The loss and BP.1

template <class T, bool pairs>
auto Network<T, pairs>::output_errors(const Batch& batch, long p, long base, double* squares, Scratch& own)
    -> PanelSums {
  return with_samples(batch, p, base, [&](auto here) { return errors_of<here>(batch, p, base, squares, own); });
}

template <class T, bool pairs>
template <int here>
auto Network<T, pairs>::errors_of(const Batch& batch, long p, long base, double* squares, Scratch& own) -> PanelSums {
  const Examples& examples = *batch.examples;
  Place<T, pairs>& place = places_[depth_];
  const long outputs = place.units, count = samples_in(batch, p, base);
  T* a = place.a.get() + p * place.rows * n;
  T* factor = place.factor.get() + p * place.rows * n;
  T* t = own.targets.get();
  const T* given = static_cast<const T*>(examples.targets);
  const T* weights = static_cast<const T*>(examples.weight);
  alignas(64) T share[n], terms[n];
  alignas(64) double weight[n];
  int32_t right[n] = {};
  const double all = batch.weight > 0 ? batch.weight : std::numeric_limits<double>::infinity();
  for (int i = 0; i < here; i++) weight[i] = i < count ? 1.0 : 0.0;
  for (int i = 0; i < count && weights != nullptr; i++)
    weight[i] = static_cast<double>(weights[batch.rows((p - base) * n + i)]);
  for (int i = 0; i < here; i++) share[i] = static_cast<T>(weight[i] / all);
  if (given == nullptr) {
    for (int i = 0; i < count; i++)
      right[i] = static_cast<int32_t>(examples.classes[batch.rows((p - base) * n + i)]);
    for (int32_t m = 0; m < outputs; m++)
      for (int i = 0; i < here; i++) t[m * n + i] = right[i] == m ? T(1) : T(0);
  } else {
    for (long m = 0; m < outputs; m++)
      for (int i = 0; i < here; i++) t[m * n + i] = i < count ? given[batch.rows((p - base) * n + i) * outputs + m] : T(0);
  }

  PanelSums sums{0, 0, 0};
  const bool one_class = given == nullptr || loss_.kind == Loss::cross_entropy || loss_.kind == Loss::log_loss;
  if (one_class) {
    int32_t best[n] = {};
    largest_units<here>(a, outputs, best);
    if (given != nullptr) largest_units<here>(t, outputs, right);
    for (int i = 0; i < count; i++) sums.hits += best[i] == right[i] ? weight[i] : 0;
  } else if (loss_.kind == Loss::binary_cross_entropy) {
    for (int i = 0; i < count; i++) {
      bool all = true;
      for (long m = 0; m < outputs; m++) all = all && (a[m * n + i] > 0) == (t[m * n + i] > T(0.5));
      sums.hits += all ? weight[i] : 0;
    }
  } else if (squares != nullptr) {
    for (long m = 0; m < outputs; m++) {
      double sum = 0;
      for (int i = 0; i < count; i++) {
        const double r = static_cast<double>(t[m * n + i]) - static_cast<double>(loss_.link(a[m * n + i]));
        sum += weight[i] * r * r;
      }
      squares[m] = sum;
    }
  }

  loss_.template operator()<here>(a, t, share, terms);
  for (int i = 0; i < count; i++) {
    sums.weight += weight[i];
    if (weight[i] > 0) sums.loss += weight[i] * static_cast<double>(terms[i]);
  }
  if (!batch.training) return sums;
  if (!std::isfinite(sums.loss)) own.not_finite = true;

  for (long m = 0; m < outputs; m++)  // samples that are not there, or do not count, have no error whatever they hold
    for (int i = 0; i < here; i++) a[m * n + i] = share[i] == 0 ? T(0) : a[m * n + i];
  if (layers_[depth_ - 1].spec.activation == Activation::softmax) {
    drop(batch, depth_, p, base, {0, outputs}, a, nullptr);
    pull_back_softmax<here>(factor, a, outputs);
  } else {
    for (long m = 0; m < outputs; m++)
      for (int i = 0; i < here; i++) factor[m * n + i] *= a[m * n + i];
  }
  for (long m = 0; m < outputs; m++)
    for (int i = 0; i < here; i++) factor[m * n + i] = share[i] == 0 ? T(0) : factor[m * n + i];
  keep_delta(batch, depth_, p, base, {0, layers_[depth_ - 1].panels});
  return sums;
}

// ---- BP.2

// δ of some units of layer l, from δ of layer l + 1.
template <class T, bool pairs>
void Network<T, pairs>::backward_layer(const Batch& batch, int l, Range panels, Range units, long base, Scratch& own) {
  const Layer<T, pairs>& above = layers_[l];
  const Place<T, pairs>& from = places_[l + 1];
  Place<T, pairs>& place = places_[l];
  const bool softmax = layers_[l - 1].spec.activation == Activation::softmax;
  const long steps = pairs ? (above.units + 1) / 2 : above.units, from_steps = pairs ? from.rows / 2 : from.rows;
  constexpr long words = row_words<T, Word>;
  const long segment = above.inputs * words;
  const Word* delta;
  const Word* W;
  if constexpr (pairs)
    delta = from.delta_pairs.get(), W = reinterpret_cast<const Pair*>(above.across.get());
  else
    delta = from.factor.get(), W = above.W.get();
  const long tile = n * n, room = own.tiles.size() / tile;
  const long group = softmax ? 1 : std::clamp(group_bytes / (steps * n * static_cast<long>(sizeof(Word))), 1L, room);
  for (long first = panels.first; first < panels.last; first += group) {
    const long last = std::min(first + group, panels.last);
    for (long u = units.first; u < units.last; u++) {
      const int rows = rows_in(place.units, u);
      for (long s = 0; s < steps; s += block_steps<T>) {
        const long here = std::min<long>(block_steps<T>, steps - s);
        const bool more = s + here < steps;
        const Word* next = W + (more ? (s + here) / words * segment : 0) + (more ? u : u + 1) * n * words;
        const long after = steps_after(s + here, steps, u + 1 < units.last);
        for (long p = first; p < last; p++) {
          for (long w = 0; w * words < after; w++)
            prefetch_part(next + w * segment, n * words, p - first, last - first);
          product<T, Word, Reading::across>(rows, vectors_in(samples_in(batch, p, base)),
                                            W + s / words * segment + u * n * words, segment,
                                            delta + (p * from_steps + s) * n, here,
                                            own.tiles.get() + (p - first) * tile,
                                            s == 0 ? Start::zero : Start::previous);
        }
      }
      for (long p = first; p < last; p++) {
        const T* grad = own.tiles.get() + (p - first) * tile;
        T* factor = place.factor.get() + (p * place.rows + u * n) * n;
        if (softmax) {
          std::memcpy(own.column.get() + u * tile, grad, static_cast<size_t>(rows * n) * sizeof(T));
          continue;
        }
        with_samples(batch, p, base, [&](auto here) {
          for (int m = 0; m < rows; m++)
            for (int i = 0; i < here; i++) factor[m * n + i] *= grad[m * n + i];
        });
      }
    }
    if (softmax) {
      drop(batch, l, first, base, {0, place.units}, own.column.get(), nullptr);
      with_samples(batch, first, base, [&](auto here) {
        pull_back_softmax<here>(place.factor.get() + first * place.rows * n, own.column.get(), place.units);
      });
    }
    for (long p = first; p < last; p++) keep_delta(batch, l, p, base, units);
  }
}

// δ also with the units side by side, for BP.4, and in pairs for BP.2 below.
template <class T, bool pairs>
void Network<T, pairs>::keep_delta(const Batch& batch, int l, long p, long base, Range units) {
  constexpr int v = lanes<T>;
  const long samples = samples_in(batch, p, base);
  Place<T, pairs>& place = places_[l];
  const T* delta = place.factor.get() + p * place.rows * n;
  const Layer<T, pairs>& layer = layers_[l - 1];
  for (long u = units.first; u < units.last; u++) {
    const T* from = delta + u * n * n;
    if (layer.sparse && rounds_first_) {
      if constexpr (pairs) {
        alignas(64) Pair words[v * n];
        for (int j = 0; j < v; j++)
          for (int i = 0; i < n; i += v)
            store(words + j * n + i, round_pairs(load(from + j * n + i), load(from + (v + j) * n + i)));
        const long stride = layer.width / 2;
        Pair* to = place.delta_words.get() + (u * n / layer.width * capacity_ + p) * n * stride + u * v % stride;
        for (int i = 0; i < n; i += v) transpose_square(words + i, n, to + i * stride, stride);
      }
    } else if (layer.sparse || !pairs) {
      const long stride = layer.width;
      T* units_aside;
      if constexpr (pairs)
        units_aside = place.delta_rows.get();
      else
        units_aside = (layer.sparse ? place.delta_rows : place.delta_units).get();
      for (int j = 0; j < n; j += v) {
        const long m = u * n + j;
        if (m >= place.units) break;
        T* to = units_aside + (m / stride * capacity_ + p) * n * stride + m % stride;
        for (int i = 0; i < samples; i += v) transpose_square(from + j * n + i, n, to + i * stride, stride);
      }
    } else if constexpr (pairs) {
      alignas(64) uint16_t singles[n * n];
      for (int j = 0; j < n; j++) round_row(from + j * n, singles + j * n);
      const Pair* words = reinterpret_cast<const Pair*>(singles);
      Pair* to = place.delta_units.get() + (u * capacity_ + p) * n * (n / 2);
      for (int j = 0; j < n; j += v) transpose_square(words + j * (n / 2), n / 2, to + j, n);
    }
    if constexpr (pairs) {
      if (l == lowest_) continue;
      Pair* pair = place.delta_pairs.get() + (p * place.rows + u * n) / 2 * n;
      for (int m = 0; m < n / 2; m++) round_two_rows(from + 2 * m * n, true, pair + m * n);
    }
  }
}

// ---- BP.3, BP.4 and the update

template <class T, bool pairs>
Step<T> Network<T, pairs>::step_of(double lr, int64_t t, double weight, bool weights) const {
  Step<T> step{};
  const bool penalised = weights || rules_.biases;
  step.lr = static_cast<T>(lr);
  step.momentum = static_cast<T>(rules_.momentum);
  step.rho = static_cast<T>(rules_.rho);
  step.rest_rho = static_cast<T>(1 - rules_.rho);
  step.beta_1 = static_cast<T>(rules_.beta_1);
  step.rest_1 = static_cast<T>(1 - rules_.beta_1);
  step.beta_2 = static_cast<T>(rules_.beta_2);
  step.rest_2 = static_cast<T>(1 - rules_.beta_2);
  step.epsilon = static_cast<T>(rules_.epsilon);
  if (rules_.optimiser == Optimiser::adam) {
    step.mean_correction = static_cast<T>(1 / (1 - std::pow(rules_.beta_1, static_cast<double>(t))));
    const double square_share = 1 - std::pow(rules_.beta_2, static_cast<double>(t));
    step.square_correction = static_cast<T>(1 / square_share);
    if (rules_.epsilon_hat) step.epsilon = static_cast<T>(rules_.epsilon / std::sqrt(square_share));
  }
  step.l1 = static_cast<T>(penalised ? rules_.l1 : 0);
  step.l2 = static_cast<T>(penalised ? rules_.l2 + (weight > 0 ? rules_.alpha / weight : 0) : 0);
  step.shrink = static_cast<T>(penalised ? 1 - (rules_.decay_by_lr ? rules_.decay * lr : rules_.decay) : 1);
  step.clip_value = static_cast<T>(rules_.clip_value);
  return step;
}

// What becomes of a gradient: the update of its parameters; or it is kept until the whole gradient's norm is known.
template <class T, bool pairs>
void Network<T, pairs>::apply(Layer<T, pairs>& layer, bool weights, long offset, T* g, long count,
                              const Step<T>& step, Scratch& own) const {
  T* theta = (weights ? layer.W : layer.b).get() + offset;
  if (step.clip_value != 0 && !all_finite(g, count)) own.not_finite = true;  // clipped, infinity would not be seen
  regularise(g, theta, count, step);
  if (rules_.clip_norm > 0) {
    const Buffer<T>& kept = weights ? layer.gradient_W : layer.gradient_b;
    std::memcpy(kept.get() + offset, g, static_cast<size_t>(count) * sizeof(T));
    return;
  }
  Buffer<T>* slots = weights ? layer.slots_W : layer.slots_b;
  if (!update_(theta, slots[0].get() + offset, slots[1].get() + offset, g, count, step)) own.not_finite = true;
}

// BP.4 for one square, over some panels of samples; added to what g holds unless the sum begins with them.
template <class T, bool pairs>
void Network<T, pairs>::sum_square(const Batch& batch, int l, const Square& square, Range panels, long base,
                                   bool begins, T* g) const {
  const Layer<T, pairs>& layer = layers_[l - 1];
  const Place<T, pairs>& below = places_[l - 1];
  constexpr long words = row_words<T, Word>;
  const long samples = pairs ? (batch.rows.count + 1) / 2 : batch.rows.count;
  const long steps = std::min(panels.last * words, samples + base * words);
  const long segment = below.rows * words;
  const Word* a;
  if constexpr (pairs)
    a = reinterpret_cast<const Pair*>(below.a_single.get());
  else
    a = below.a.get();
  const int vectors = vectors_in(layer.units - square.u * n);  // where few units are left, half a row is enough
  const Word* delta = places_[l].delta_units.get() + square.u * capacity_ * n * words;
  for (long first = panels.first * words, s = first; s < steps; s += block_steps<T>) {
    product<T, Word, Reading::across>(square.rows, vectors, a + s / words * segment + square.k * words, segment,
                                      delta + s * n, std::min<long>(block_steps<T>, steps - s), g,
                                      begins && s == first ? Start::zero : Start::previous);
  }
  if (begins && vectors < tile_vectors)
    for (int i = 0; i < square.rows; i++) std::memset(g + i * n + lanes<T>, 0, lanes<T> * sizeof(T));
}

// BP.3 for one panel of units, over some panels of samples.
template <class T, bool pairs>
void Network<T, pairs>::sum_biases(const Batch& batch, int l, long u, Range panels, long base, T* g) const {
  constexpr int v = lanes<T>;
  const Place<T, pairs>& place = places_[l];
  for (int first = 0; first < rows_in(layers_[l - 1].units, u); first += v) {
    alignas(64) T square[v * v];  // sums of several samples, turned so that each unit's can be added up side by side
    for (int j = 0; j < v; j++) {
      Vector<T> sums[tile_vectors] = {};
      for (long p = panels.first; p < panels.last; p++) {
        const T* delta = place.factor.get() + (p * place.rows + u * n + first + j) * n;
        const int vectors = vectors_in(samples_in(batch, p, base));
        for (int q = 0; q < vectors; q++) sums[q] += load(delta + q * v);
      }
      for (int q = 1; q < tile_vectors; q++) sums[0] += sums[q];
      store(square + j * v, sums[0]);
    }
    transpose_square(square, v, square, v);
    Vector<T> sum = {};
    for (int q = 0; q < v; q++) sum += load(square + q * v);
    store(g + first, sum);
  }
}

// The gradients of small weights over some panels of a chunk of a large batch: what is read was written by the same
// thread a moment ago.
template <class T, bool pairs>
void Network<T, pairs>::sum_block(const Batch& batch, long chunk, Range panels, long base, bool begins) {
  for (int l = depth_; l >= lowest_; l--) {
    const Layer<T, pairs>& layer = layers_[l - 1];
    if (layer.spec.frozen) continue;
    T* g = layer.partial_W.get() + chunk * layer.W.size();
    for (long i = 0; i < squares_of(layer); i++) {
      const Square square = square_of(layer, i);
      sum_square(batch, l, square, panels, base, begins, g + square.offset);
    }
    if (!layer.spec.bias) continue;
    for (long u = 0; u < layer.panels; u++) {
      T* sum = layer.partial_b.get() + chunk * layer.b.size() + u * n;
      if (begins) {
        sum_biases(batch, l, u, panels, base, sum);
      } else {
        alignas(64) T more[n];
        sum_biases(batch, l, u, panels, base, more);
        for (int j = 0; j < rows_in(layer.units, u); j++) sum[j] += more[j];
      }
    }
  }
}

// The sum of the chunks' gradients.
template <class T>
void add_chunks(const Buffer<T>& partial, long size, long chunks, long offset, long count, T* g) {
  std::memcpy(g, partial.get() + offset, static_cast<size_t>(count) * sizeof(T));
  for (long chunk = 1; chunk < chunks; chunk++) {
    const T* more = partial.get() + chunk * size + offset;
    for (long i = 0; i < count; i++) g[i] += more[i];
  }
}

// This member's share of a layer's weights, in squares of n inputs by n units.
template <class T, bool pairs>
void Network<T, pairs>::weight_gradients(const Batch& batch, int l, int member, int members, Scratch& own) {
  Layer<T, pairs>& layer = layers_[l - 1];
  const Range share = share_of(squares_of(layer), member, members);
  T* g = own.gradient.get();
  for (long i = share.first; i < share.last; i++) {
    const Square square = square_of(layer, i);
    const long count = square.rows * n;
    prefetch_part(layer.W.get() + square.offset, n * n, 0, 1);
    for (int slot = 0; slot < slots_; slot++) prefetch_part(layer.slots_W[slot].get() + square.offset, n * n, 0, 1);
    if (batch.chunks > 1)
      add_chunks(layer.partial_W, layer.W.size(), batch.chunks, square.offset, count, g);
    else
      sum_square(batch, l, square, {0, batch.panels}, 0, true, g);
    apply(layer, true, square.offset, g, count, batch.weights, own);
    if (rules_.clip_norm == 0) refresh(layer, square.u, square.u + 1, square.k, square.k + square.rows);
  }
}

// BP.4 of a sparse first layer, for some units: column by column, only where there are entries.
template <class T, bool pairs>
template <class Word, int vectors, int sets, class Entries>
void Network<T, pairs>::sparse_gradients(Entries entries, const Batch& batch, Range strips, Scratch& own) {
  constexpr int v = lanes<T>, width = vectors * v;
  constexpr long stride = width * row_words<T, Word> / n;
  Layer<T, pairs>& layer = layers_[0];
  const bool skip_empty = is_plain();
  const auto* sorted = reinterpret_cast<const typename Entries::Entry*>(sparse_.sorted.get());
  T* g = own.gradient.get();
  for (long strip = strips.first; strip < strips.last; strip++) {
    const long unit = strip * width;
    const Word* delta = as_form<Word>(places_[1].delta_rows, places_[1].delta_words) + strip * capacity_ * n * stride;
    for (long k = 0; k < layer.inputs; k++) {
      Vector<T> sums[sets][vectors] = {};
      int32_t e = sparse_.first[k];
      const int32_t end = sparse_.first[k + 1];
      if (e == end && skip_empty) continue;
      for (; e + sets <= end; e += sets) {
#pragma GCC unroll 8
        for (int s = 0; s < sets; s++) {
          const Word* row = delta + Entries::sample_of(sorted[e + s]) * stride;
          const T x = entries.value_of(sorted[e + s]);
#pragma GCC unroll 8
          for (int q = 0; q < vectors; q++) sums[s][q] += row_vector(row, q) * x;
        }
      }
      for (; e < end; e++) {
#pragma GCC unroll 8
        for (int q = 0; q < vectors; q++)
          sums[0][q] += row_vector(delta + Entries::sample_of(sorted[e]) * stride, q) * entries.value_of(sorted[e]);
      }
#pragma GCC unroll 8
      for (int q = 0; q < vectors; q++) {
#pragma GCC unroll 8
        for (int s = 1; s < sets; s++) sums[0][q] += sums[s][q];
        store(g + q * v, sums[0][q]);
      }
      apply(layer, true, layer.place_of(unit, k), g, width, batch.weights, own);
      if (rules_.clip_norm == 0) refresh(layer, unit / n, (unit + width) / n, k, k + 1);
    }
  }
}

// The same for plain gradient descent on a small batch: each entry's part of the gradient goes straight into W.
template <class T, bool pairs>
template <int vectors, class Entries>
void Network<T, pairs>::scatter(Entries entries, const Batch& batch, Range strips, Scratch& own) {
  constexpr int v = lanes<T>, width = vectors * v;
  const Layer<T, pairs>& layer = layers_[0];
  Vector<T> odd = {};  // NaN where an error is not finite
  for (long strip = strips.first; strip < strips.last; strip++) {
    T* W = layer.W.get() + layer.place_of(strip * width, 0);
    const T* delta = places_[1].delta_rows.get() + strip * capacity_ * n * width;
    for (long i = 0; i < batch.rows.count; i++) {
      Vector<T> moved[vectors];
#pragma GCC unroll 8
      for (int q = 0; q < vectors; q++) {
        moved[q] = load(delta + i * width + q * v) * batch.weights.lr;
        odd += moved[q] - moved[q];
      }
      const int64_t end = sparse_.end[i];
      for (int64_t e = sparse_.begin[i]; e < end; e++) {
        T* to = W + entries.columns[e] * width;
        const T x = entries.value(e);
#pragma GCC unroll 8
        for (int q = 0; q < vectors; q++) store(to + q * v, load(to + q * v) - moved[q] * x);
      }
    }
  }
  for (int j = 0; j < v; j++)
    if (odd[j] != 0) own.not_finite = true;
}

template <class T, bool pairs>
void Network<T, pairs>::bias_gradients(const Batch& batch, int l, Range units, Scratch& own) {
  Layer<T, pairs>& layer = layers_[l - 1];
  if (!layer.spec.bias) return;
  T* g = own.gradient.get();
  for (long u = units.first; u < units.last; u++) {
    if (batch.chunks > 1)
      add_chunks(layer.partial_b, layer.b.size(), batch.chunks, u * n, n, g);
    else
      sum_biases(batch, l, u, {0, batch.panels}, 0, g);
    apply(layer, false, u * n, g, rows_in(layer.units, u), batch.biases, own);
  }
}

// ---- Where the whole gradient, or all weights of a unit, must be known first

template <class T, bool pairs>
double Network<T, pairs>::square_of_gradient(const Layer<T, pairs>& layer, long u) const {
  double sum = 0;
  const auto add = [&, here = rows_in(layer.units, u)](const T* g) {
    for (int j = 0; j < here; j++) sum += static_cast<double>(g[j]) * static_cast<double>(g[j]);
  };
  for (long k = 0; k < layer.inputs; k++) add(layer.at(layer.gradient_W, u, k));
  if (layer.spec.bias) add(layer.gradient_b.get() + u * n);
  return sum;
}

template <class T, bool pairs>
void Network<T, pairs>::update_clipped(const Batch& batch, Layer<T, pairs>& layer, Range units, T scale, Scratch& own) {
  T* g = own.gradient.get();
  for (long u = units.first; u < units.last; u++) {
    const int here = rows_in(layer.units, u);
    const auto step = [&](bool weights, long offset) {
      const T* kept = (weights ? layer.gradient_W : layer.gradient_b).get() + offset;
      for (long j = 0; j < here; j++) g[j] = kept[j] * scale;
      Buffer<T>* slots = weights ? layer.slots_W : layer.slots_b;
      if (!update_((weights ? layer.W : layer.b).get() + offset, slots[0].get() + offset, slots[1].get() + offset, g,
                   here, weights ? batch.weights : batch.biases))
        own.not_finite = true;
    };
    for (long k = 0; k < layer.inputs; k++) step(true, layer.place_of(u * n, k));
    if (layer.spec.bias) step(false, u * n);
    refresh(layer, u, u + 1, 0, layer.inputs);
  }
}

// Max-norm: the weights into each unit back to the norm c where they exceed it.
template <class T, bool pairs>
void Network<T, pairs>::limit_norms(Layer<T, pairs>& layer, Range units) {
  const T most = static_cast<T>(rules_.max_norm);
  for (long u = units.first; u < units.last; u++) {
    T squares[n] = {}, scale[n];
    bool any = false;
    for (long k = 0; k < layer.inputs; k++) {
      const T* W = layer.at(layer.W, u, k);
      for (int j = 0; j < n; j++) squares[j] += W[j] * W[j];
    }
    for (int j = 0; j < n; j++) {
      const T norm = std::sqrt(squares[j]);
      any = any || norm > most;
      scale[j] = norm > most ? most / norm : T(1);
    }
    if (!any) continue;
    for (long k = 0; k < layer.inputs; k++) {
      T* W = layer.at(layer.W, u, k);
      for (int j = 0; j < n; j++) W[j] *= scale[j];
    }
    refresh(layer, u, u + 1, 0, layer.inputs);
  }
}

// ---- Whole steps

template <class T, bool pairs>
double Network<T, pairs>::multiply_adds(const Examples& examples, long rows) const {
  double sum = 0;
  for (const Layer<T, pairs>& layer : layers_) {
    const double inputs = layer.sparse ? entries_a_row(examples) : static_cast<double>(layer.inputs);
    sum += inputs * static_cast<double>(layer.units);
  }
  return sum * static_cast<double>(rows);
}

// Whether a sparse input can be read where it is; otherwise room for copies of a batch's entries.
template <class T>
void prepare_sparse(SparseBatch<T>& sparse, const Csr& x, bool drops, long samples) {
  const Type own = std::is_same_v<T, float> ? Type::f32 : Type::f64;
  sparse.copied = drops || (x.type != own && x.type != Type::u8);
  sparse.codes = nullptr;
  if (sparse.copied) {
    sparse.own_values.grow(x.longest * samples);
    sparse.own_columns.grow(x.longest * samples);
    sparse.values = sparse.own_values.get();
    sparse.columns = sparse.own_columns.get();
    sparse.narrow = false;
    return;
  }
  sparse.columns = x.indices;
  sparse.narrow = x.narrow;
  if (x.type == Type::u8) {
    sparse.codes = static_cast<const uint8_t*>(x.data);
    for (int code = 0; code < 256; code++)
      sparse.table[code] = static_cast<T>(x.table == nullptr ? code : x.table[code]);
  } else {
    sparse.values = static_cast<const T*>(x.data);
  }
}

template <class T, bool pairs>
Sums Network<T, pairs>::train(const Examples& examples, const Plan& plan, const Interrupt& interrupt) {
  // for the whole epoch, whatever its last batch and whatever part of it this call is
  const bool scatter_all = spec_.sparse && scatters(examples, static_cast<double>(std::min(plan.batch, plan.rows)));
  sorts_ = spec_.sparse && lowest_ == 1 && !scatter_all;
  rounds_first_ = pairs && spec_.sparse && !scatter_all;
  Sums totals = plan.before;
  totals.squares.resize(static_cast<size_t>(numbers_of(examples)), 0.0);
  steps_done = 0;
  failed = false;
  Watch watch(interrupt);
  if (const int members = members_apart(examples, plan); members > 1)
    train_apart(members, examples, plan, watch, totals);
  if (!failed && steps_done < plan.steps) train_together(examples, plan, watch, totals);
  return totals;
}

// Room for the steps of a plan.
template <class T, bool pairs>
void Network<T, pairs>::prepare_training(const Examples& examples, const Plan& plan, int members) {
  const long batch_rows = std::min<int64_t>(plan.batch, plan.rows - plan.first);
  reserve(std::max((batch_rows + n - 1) / n, block_panels_ * members), members);
  if (const long chunks = chunks_of(batch_rows); chunks > 1) {
    for (Layer<T, pairs>& layer : layers_) {
      layer.partial_W.grow(chunks * layer.W.size());
      layer.partial_b.grow(chunks * layer.b.size());
    }
  }
  if (rounds_first_) {
    layers_[0].words.grow(layers_[0].W.size() / 2);
    places_[1].delta_words.grow(capacity_ * places_[1].rows * n / 2);
    refresh(layers_[0], 0, layers_[0].panels, 0, layers_[0].inputs);
  }
  if (!spec_.sparse) return;
  const Csr& x = *examples.csr;
  prepare_sparse(sparse_, x, spec_.dropouts[0].keep < 1, capacity_ * n);
  if (!sorts_) return;
  sparse_.first.grow(x.columns + 1);
  for (Scratch& own : scratch_) {
    own.spans.grow(2 * batch_rows);
    own.next.grow(x.columns);
  }
  sparse_.sorted.grow(x.longest * batch_rows * static_cast<long>(sizeof(typename PlainEntries<T, int32_t>::Entry)));
}

// How many outputs are numbers, with squares of errors: all or none.
template <class T, bool pairs>
long Network<T, pairs>::numbers_of(const Examples& examples) const {
  const bool numeric = examples.classes == nullptr && loss_.kind != Loss::cross_entropy &&
                       loss_.kind != Loss::log_loss && loss_.kind != Loss::binary_cross_entropy;
  return numeric ? spec_.sizes.back() : 0;
}

template <class T, bool pairs>
auto Network<T, pairs>::tally_of(const Examples& examples, const Plan& plan) const -> Tally {
  const long outputs = numbers_of(examples);
  const auto panels = static_cast<size_t>((std::min(plan.batch, plan.rows) + n - 1) / n);
  return {std::vector<PanelSums>(panels), std::vector<double>(panels * static_cast<size_t>(outputs)), outputs};
}

template <class T, bool pairs>
auto Network<T, pairs>::batch_of(const Examples& examples, const Plan& plan, int64_t step) const -> Batch {
  const long first = plan.first + step * plan.batch;
  const Rows rows{plan.order, first, std::min<int64_t>(plan.batch, plan.rows - first), plan.rows};
  Batch batch{&examples, rows, (rows.count + n - 1) / n, static_cast<double>(rows.count), true,
              chunks_of(rows.count), static_cast<uint32_t>(plan.epoch), static_cast<uint32_t>(first), {}, {}};
  if (examples.weight != nullptr) {
    batch.weight = 0;
    for (long i = 0; i < batch.rows.count; i++)
      batch.weight += static_cast<double>(static_cast<const T*>(examples.weight)[batch.rows(i)]);
  }
  batch.weights = step_of(plan.lrs[step], plan.t + step + 1, batch.weight, true);
  batch.biases = step_of(plan.lrs[step], plan.t + step + 1, batch.weight, false);
  return batch;
}

template <class T, bool pairs>
void Network<T, pairs>::train_together(const Examples& examples, const Plan& plan, Watch& watch, Sums& totals) {
  const long batch_rows = std::min<int64_t>(plan.batch, plan.rows - plan.first);
  const int most_members = threads_for(3 * multiply_adds(examples, batch_rows));
  const long most_panels = (batch_rows + n - 1) / n;
  prepare_training(examples, plan, most_members);
  Tally tally = tally_of(examples, plan);
  std::vector<double> unit_squares(static_cast<size_t>(rules_.clip_norm > 0 ? widest_ / n + 1 : 0) *
                                   static_cast<size_t>(depth_));
  std::atomic<bool> not_finite{false};
  Barrier barrier(pace_.begin(most_members));

  run_team(most_members, [&](int member) {
    Scratch& own = scratch_[static_cast<size_t>(member)];
    own.not_finite = false;
    while (barrier.rest(member)) {
      const int64_t step = steps_done;
      if (step == plan.steps || watch.stopped() || not_finite.load(std::memory_order_relaxed)) break;
      const int members = barrier.members();
      const Batch batch = batch_of(examples, plan, step);
      const Range panels = share_of(batch.panels, member, members), all{0, batch.panels};
      // Samples are shared out, unless there are too few of them to go round, or so few that to read all of large
      // weights for them takes time: then units are, with a barrier after each layer.
      const bool few = most_panels < members || (most_panels <= 2 * members && large_);
      const bool by_units = members > 1 && few && !mixes_units_ && batch.chunks == 1;
      const auto units_of = [&](const Layer<T, pairs>& layer, bool split) {
        if (!split) return Range{0, layer.panels};
        const long width = layer.width / n;
        const Range share = share_of((layer.panels + width - 1) / width, member, members);
        return Range{share.first * width, std::min(share.last * width, layer.panels)};
      };
      const auto pass = [&](Range mine, Range whole, long base) {
        for (int l = spec_.sparse ? 2 : 1; l <= depth_; l++) {
          forward_layer(batch, l, by_units ? whole : mine, units_of(layers_[l - 1], by_units), base, own);
          if (by_units) barrier.wait();
        }
        for (long p = mine.first; p < mine.last; p++)
          tally.sums[static_cast<size_t>(p - base)] = output_errors(batch, p, base, tally.squares_of(p - base), own);
        for (int l = depth_ - 1; l >= lowest_; l--) {
          if (by_units) barrier.wait();
          backward_layer(batch, l, by_units ? whole : mine, units_of(layers_[l - 1], by_units), base, own);
        }
      };

      // Part 1: forward pass, loss, errors; and block by block the sums of the gradients, if that gives each an equal share
      // (in float32 it gains nothing, and loses where cores are far from one another)
      const bool block_by_block = pairs && batch.chunks > 1 && batch.chunks % members == 0;
      const auto each_block_of_mine = [&](auto work) {
        const Range chunks = share_of(batch.chunks, member, members);
        for (long chunk = chunks.first; chunk < chunks.last; chunk++) {
          const Range its = share_of(batch.panels, static_cast<int>(chunk), static_cast<int>(batch.chunks));
          for (long first = its.first; first < its.last; first += block_panels_)
            work(chunk, Range{first, std::min(first + block_panels_, its.last)}, first == its.first);
        }
      };
      if (block_by_block) {
        each_block_of_mine([&](long chunk, Range block, bool begins) {
          const long base = member * block_panels_ - block.first;  // the same places again and again, which are near
          const Range here{block.first + base, block.last + base};
          for (long p = here.first; p < here.last; p++) gather(batch, p, base, own);
          pass(here, here, base);
          sum_block(batch, chunk, here, base, begins);
        });
      } else if (spec_.sparse) {
        const bool split = members > 1, units_split = split && !mixes_units_;
        gather_sparse(batch, panels, 0);
        if (split) barrier.wait();
        with_entries([&](auto entries, auto vectors, auto sets) {
          if (sorts_) sort_by_column(entries, batch.rows.count, member, members, own);
          const Range strips = strips_of(layers_[0], units_of(layers_[0], units_split));
          if (rounds_first_)
            forward_sparse<Word, vectors, sets>(entries, batch, units_split ? all : panels, strips, 0, own);
          else
            forward_sparse<T, vectors, sets>(entries, batch, units_split ? all : panels, strips, 0, own);
        });
        if (split) barrier.wait();
      } else {
        for (long p = panels.first; p < panels.last; p++) gather(batch, p, 0, own);
        if (by_units) barrier.wait();
      }
      if (!block_by_block) {
        pass(panels, all, 0);
        barrier.wait();
      }

      // Part 2: gradients and updates
      if (batch.chunks > 1) {
        if (!block_by_block) each_block_of_mine([&](long chunk, Range block, bool begins) { sum_block(batch, chunk, block, 0, begins); });
        barrier.wait();
      }
      for (int l = depth_; l >= lowest_; l--) {
        Layer<T, pairs>& layer = layers_[l - 1];
        if (layer.spec.frozen) continue;
        const Range units = units_of(layer, true);
        if (!layer.sparse)
          weight_gradients(batch, l, member, members, own);
        else
          with_entries([&](auto entries, auto vectors, auto sets) {
            const Range strips = strips_of(layer, units);
            if (rounds_first_)
              sparse_gradients<Word, vectors, sets>(entries, batch, strips, own);
            else if (sorts_)
              sparse_gradients<T, vectors, sets>(entries, batch, strips, own);
            else
              scatter<vectors>(entries, batch, strips, own);
          });
        bias_gradients(batch, l, units, own);
      }
      if (rules_.clip_norm > 0) {
        const auto each = [&](auto work) {
          for (int l = lowest_; l <= depth_; l++) {
            Layer<T, pairs>& layer = layers_[l - 1];
            if (!layer.spec.frozen) work(layer, &unit_squares[static_cast<size_t>((l - 1) * (widest_ / n + 1))]);
          }
        };
        barrier.wait();
        each([&](Layer<T, pairs>& layer, double* squares) {
          const Range units = units_of(layer, true);
          for (long u = units.first; u < units.last; u++) squares[u] = square_of_gradient(layer, u);
        });
        barrier.wait();
        double square = 0;
        each([&](Layer<T, pairs>& layer, double* squares) {
          for (long u = 0; u < layer.panels; u++) square += squares[u];
        });
        const double norm = std::sqrt(square);
        const T scale = norm > rules_.clip_norm ? static_cast<T>(rules_.clip_norm / norm) : T(1);
        each([&](Layer<T, pairs>& layer, double*) { update_clipped(batch, layer, units_of(layer, true), scale, own); });
      }
      if (rules_.max_norm > 0) {
        barrier.wait();
        for (int l = lowest_; l <= depth_; l++)
          if (!layers_[l - 1].spec.frozen) limit_norms(layers_[l - 1], units_of(layers_[l - 1], true));
      }
      if (own.not_finite) not_finite.store(true, std::memory_order_relaxed);
      if (member == 0) {
        tally.add_to(totals, batch.panels);
        steps_done = step + 1;
        watch.look();
        barrier.resize(pace_.next(barrier.slept()));
      }
      barrier.wait();  // nothing of what decides on the next step changes until all have arrived again
    }
    if (member == 0) barrier.dismiss();
  });
  failed = not_finite.load();
  if (failed) steps_done--;
}

// ---- Steps of members with networks of their own
//
// In a small network with few samples of a sparse input, to share out the samples would leave threads without any, and
// to meet after each part of a step would take longer than the part. So each member has a network of its own: of the
// first layer its own units, of the layers above, which are little work, all. The members meet once a step, to show one
// another a of the first layer's units; from there on each does the same as the others, up to the first layer's update.

// Those of some units of the first layer, and perhaps of all layers above.
template <class T, bool pairs>
void Network<T, pairs>::take_parameters(const Network& from, Range units, bool above) {
  const auto copy = [](const Buffer<T>& source, const Buffer<T>& to) {
    std::memcpy(to.get(), source.get(), static_cast<size_t>(source.size()) * sizeof(T));
  };
  for (int l = 1; l <= depth_; l++) {
    const Layer<T, pairs>& source = from.layers_[l - 1];
    Layer<T, pairs>& to = layers_[l - 1];
    if (l == 1) {  // W may have another width
      for (long m = units.first; m < units.last; m += lanes<T>) {
        for (long k = 0; k < to.inputs; k++)
          store(to.W.get() + to.place_of(m, k), load(source.W.get() + source.place_of(m, k)));
        store(to.b.get() + m, load(source.b.get() + m));
      }
    } else if (above) {
      copy(source.W, to.W);
      copy(source.b, to.b);
      refresh(to, 0, to.panels, 0, to.inputs);
    }
  }
}

// a of some units of layer 1, for other members: side by side and no more than there are samples, since each cache line
// takes its time from one core to another.
template <class T, bool pairs>
void Network<T, pairs>::show_a(const Batch& batch, Range units, Shown* to) const {
  const Place<T, pairs>& place = places_[1];
  for (long p = 0; p < batch.panels; p++) {
    with_samples(batch, p, 0, [&](auto here) {
      for (long m = units.first; m < units.last; m++, to += here) {
        const long at = (p * place.rows + m) * n;
        if constexpr (pairs)
          std::memcpy(to, place.a_single.get() + at, here * sizeof(Shown));
        else
          std::memcpy(to, place.a.get() + at, here * sizeof(Shown));
      }
    });
  }
}

// What another member has shown, in the forms in which the layer above reads it.
template <class T, bool pairs>
void Network<T, pairs>::take_a(const Batch& batch, Range units, const Shown* from) {
  Place<T, pairs>& place = places_[1];
  for (long p = 0; p < batch.panels; p++) {
    with_samples(batch, p, 0, [&](auto here) {
      for (long m = units.first; m < units.last; m++, from += here) {
        const long at = (p * place.rows + m) * n;
        if constexpr (pairs) {
          std::memcpy(place.a_single.get() + at, from, here * sizeof(Shown));
          if (m % 2 == 0) continue;
          Pair* words = place.a_pairs.get() + (at - n) / 2;
          for (int i = 0; i < here; i++) words[i] = from[i - here] | static_cast<Pair>(from[i]) << 16;
        } else {
          std::memcpy(place.a.get() + at, from, here * sizeof(Shown));
        }
      }
    });
  }
}

// How many members are worth it; 1: none.
template <class T, bool pairs>
int Network<T, pairs>::members_apart(const Examples& examples, const Plan& plan) const {
  if (!spec_.sparse || sorts_ || lowest_ > 1 || depth_ < 2 || rules_.max_norm > 0) return 1;
  if (plan.steps < steps_apart || layers_[0].spec.activation == Activation::softmax) return 1;
  const long rows = std::min<int64_t>(plan.batch, plan.rows);
  if (threads_for(3 * multiply_adds(examples, rows)) > 1) return 1;  // enough to be shared out
  const long vectors = (layers_[0].units + lanes<T> - 1) / lanes<T>;
  const int members = static_cast<int>(std::min<long>(spec_.threads, vectors));
  const double first = 2 * entries_a_row(examples) * static_cast<double>(layers_[0].units);
  const double above = 3 * (multiply_adds(examples, 1) - first / 2);
  const double saved = first * static_cast<double>(rows) * (members - 1) / members;
  return saved >= least_apart && above <= most_again * first ? members : 1;
}

template <class T, bool pairs>
void Network<T, pairs>::train_apart(int members, const Examples& examples, const Plan& plan, Watch& watch,
                                    Sums& totals) {
  if (pace_apart_.begin(members) < members) return;
  constexpr long v = lanes<T>;
  const auto strips_in = [&](long width) { return (layers_[0].units + width - 1) / width; };
  const auto most = [&](long width) { return (strips_in(width) + members - 1) / members * width; };  // a member's units
  long width = v;  // the widest at which none has more than it need
  for (long wider = 2 * v; wider <= layers_[0].width; wider *= 2)
    if (most(wider) <= most(width)) width = wider;
  if (apart_.size() != static_cast<size_t>(members)) {
    apart_.clear();
    for (int member = 0; member < members; member++)
      apart_.push_back(std::make_unique<Network>(spec_, static_cast<int>(width / v)));
  }
  const auto units_of = [&](int member) {
    const Range strips = share_of(strips_in(width), member, members);
    return Range{strips.first * width, strips.last * width};
  };
  const long panels = (std::min<int64_t>(plan.batch, plan.rows - plan.first) + n - 1) / n;
  for (int member = 0; member < members; member++) {
    Network& mine = *apart_[static_cast<size_t>(member)];
    mine.loss_ = loss_;
    mine.set_rules(rules_);
    mine.sorts_ = mine.rounds_first_ = false;
    mine.prepare_training(examples, plan, 1);
    for (Buffer<Shown>& shown : mine.shown_) shown.grow(panels * places_[1].rows * n);
    mine.take_parameters(*this, units_of(member), true);
  }

  enum Reason { this_step = 1, step_before = 2, other = 4 };  // why the members leave at a step
  std::atomic<int> reasons[2] = {};
  Tally tally = tally_of(examples, plan);
  Meeting meeting(members);
  run_team(members, [&](int member) {
    Network& mine = *apart_[static_cast<size_t>(member)];
    Scratch& own = mine.scratch_[0];
    const Range units = units_of(member), strips{units.first / width, units.last / width};
    own.not_finite = false;
    for (int64_t step = 0; step < plan.steps; step++) {
      const Batch batch = batch_of(examples, plan, step);
      const Range all{0, batch.panels};
      int reason = std::exchange(own.not_finite, false) ? step_before : 0;
      mine.gather_sparse(batch, all, 0);
      mine.template with_entries<true>([&](auto entries, auto vectors, auto sets) {
        mine.template forward_sparse<T, vectors, sets>(entries, batch, all, strips, 0, own);
      });
      mine.show_a(batch, units, mine.shown_[step % 2].get());

      if (own.not_finite) reason |= this_step;
      if (member == 0) {
        watch.look();
        if (watch.stopped() || pace_apart_.next(meeting.slept()) < members) reason |= other;
      }
      std::atomic<int>& found = reasons[step % 2];  // not written again before all have read it
      if (reason != 0) found.fetch_or(reason);
      meeting.wait(member);
      if (const int why = found.load(); why != 0) {
        if (member != 0) return;
        failed = (why & (this_step | step_before)) != 0;
        if ((why & step_before) != 0) steps_done--;
        return;
      }

      for (int from = 0; from < members; from++)
        if (from != member)
          mine.take_a(batch, units_of(from), apart_[static_cast<size_t>(from)]->shown_[step % 2].get());
      for (int l = 2; l <= depth_; l++) mine.forward_layer(batch, l, all, {0, mine.layers_[l - 1].panels}, 0, own);
      for (long p = 0; p < batch.panels; p++) {
        const PanelSums sums = mine.output_errors(batch, p, 0, member == 0 ? tally.squares_of(p) : nullptr, own);
        if (member == 0) tally.sums[static_cast<size_t>(p)] = sums;
      }
      for (int l = depth_ - 1; l >= 1; l--)
        mine.backward_layer(batch, l, all, {0, mine.layers_[l - 1].panels}, 0, own);
      for (int l = depth_; l >= 1; l--) {
        const Layer<T, pairs>& layer = mine.layers_[l - 1];
        if (layer.spec.frozen) continue;
        if (l > 1)
          mine.weight_gradients(batch, l, 0, 1, own);
        else
          mine.template with_entries<true>([&](auto entries, auto vectors, auto) {
            mine.template scatter<vectors>(entries, batch, strips, own);
          });
        mine.bias_gradients(batch, l, {0, layer.panels}, own);
      }
      if (member == 0) {
        tally.add_to(totals, batch.panels);
        steps_done = step + 1;
      }
    }
  });
  if (!failed && steps_done == plan.steps)  // nobody has met since the last of them
    for (const auto& mine : apart_) failed = failed || mine->scratch_[0].not_finite;
  if (failed && steps_done == plan.steps) steps_done--;

  for (int member = 0; member < members; member++)
    take_parameters(*apart_[static_cast<size_t>(member)], units_of(member), member == 0);
}

// Forward passes over blocks of rows, each by one thread in its own share of the memory; done(batch, first panel, the
// thread's own) after each. A thread that has done its block takes the next: where other processes hold the cores, none
// waits for the slowest.
template <class T, bool pairs>
template <class Done>
void Network<T, pairs>::each_block(const Examples& examples, const Interrupt& interrupt, Done done) {
  const long rows = examples.rows;
  const int members = threads_for(multiply_adds(examples, rows));
  const long block_panels = std::max<long>(1, std::min<long>(evaluation_rows / n, (rows + n - 1) / n));
  const long block_rows = block_panels * n, blocks = (rows + block_rows - 1) / block_rows;
  reserve(block_panels * members, members);
  if (spec_.sparse) prepare_sparse(sparse_, *examples.csr, spec_.dropouts[0].keep < 1, capacity_ * n);
  Watch watch(interrupt);
  std::atomic<long> next{0};
  run_team(members, [&](int member) {
    Scratch& own = scratch_[static_cast<size_t>(member)];
    const long base = member * block_panels;
    for (long block = next++; block < blocks && !watch.stopped(); block = next++) {
      const long first = block * block_rows, count = std::min(block_rows, rows - first);
      Batch batch{&examples, {nullptr, first, count, rows}, (count + n - 1) / n, 1.0, false, 1, 0, 0, {}, {}};
      const Range panels{base, base + batch.panels};
      if (spec_.sparse) {
        gather_sparse(batch, panels, base);
        with_entries([&](auto entries, auto vectors, auto sets) {
          forward_sparse<T, vectors, sets>(entries, batch, panels, strips_of(layers_[0], {0, layers_[0].panels}), base, own);
        });
      } else {
        for (long p = panels.first; p < panels.last; p++) gather(batch, p, base, own);
      }
      for (int l = spec_.sparse ? 2 : 1; l <= depth_; l++)
        forward_layer(batch, l, panels, {0, layers_[l - 1].panels}, base, own);
      done(batch, base, own);
      if (member == 0) watch.look();
    }
  });
}

template <class T, bool pairs>
Sums Network<T, pairs>::evaluate(const Examples& examples, const Interrupt& interrupt) {
  const long outputs = spec_.sizes.back();
  const long panels = (examples.rows + n - 1) / n;
  std::vector<PanelSums> panel_sums(static_cast<size_t>(panels));
  std::vector<double> squares(static_cast<size_t>(panels * outputs));
  each_block(examples, interrupt, [&](const Batch& batch, long base, Scratch& own) {
    const long first = batch.rows.first / n;
    for (long p = 0; p < batch.panels; p++)
      panel_sums[static_cast<size_t>(first + p)] =
          output_errors(batch, base + p, base, &squares[static_cast<size_t>((first + p) * outputs)], own);
  });
  Sums totals;
  totals.squares.assign(static_cast<size_t>(outputs), 0.0);
  for (long p = 0; p < panels; p++) {
    totals.weight += panel_sums[static_cast<size_t>(p)].weight;
    totals.loss += panel_sums[static_cast<size_t>(p)].loss;
    totals.hits += panel_sums[static_cast<size_t>(p)].hits;
    for (long m = 0; m < outputs; m++)
      totals.squares[static_cast<size_t>(m)] += squares[static_cast<size_t>(p * outputs + m)];
  }
  return totals;
}

template <class T, bool pairs>
void Network<T, pairs>::forward(const Examples& examples, void* out, const Interrupt& interrupt) {
  const Place<T, pairs>& place = places_[depth_];
  const long outputs = place.units;
  T* to = static_cast<T*>(out);
  each_block(examples, interrupt, [&](const Batch& batch, long base, Scratch&) {
    for (long p = 0; p < batch.panels; p++) {
      const T* a = place.a.get() + (base + p) * place.rows * n;
      const long first = batch.rows.first + p * n, count = samples_in(batch, base + p, base);
      for (long i = 0; i < count; i++)
        for (long m = 0; m < outputs; m++) to[(first + i) * outputs + m] = a[m * n + i];
    }
  });
}

// ---- The register peak

template <class T, class Word>
double peak_of(int threads, double seconds) {
  constexpr int rows = tile_rows, repeats = 20000;
  std::vector<double> rates(static_cast<size_t>(threads));
  Barrier barrier(threads);
  run_team(threads, [&](int member) {
    alignas(64) Word left[panel<T>], right[panel<T>];  // zero, which the compiler must not know
    for (int j = 0; j < panel<T>; j++) left[j] = right[j] = static_cast<Word>(0);
    asm volatile("" : : "r"(left), "r"(right) : "memory");
    double best = 0;
    barrier.wait();
    const auto begin = std::chrono::steady_clock::now();
    auto now = begin;
    do {
      Vector<T> sums[rows][tile_vectors];
      for (int i = 0; i < rows; i++)
        for (int j = 0; j < tile_vectors; j++) {
          sums[i][j] = Vector<T>{};
          asm volatile("" : "+m"(sums[i][j]));
        }
      const Word factor = left[0];
      const Vector<Word> b = load(right);
      const auto start = std::chrono::steady_clock::now();
      for (int s = 0; s < repeats; s++) {
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++) {
#pragma GCC unroll 2
          for (int j = 0; j < tile_vectors; j++) sums[i][j] = multiply_add(sums[i][j], factor, b);
        }
      }
      for (int i = 0; i < rows; i++)
        for (int j = 0; j < tile_vectors; j++) asm volatile("" : "+m"(sums[i][j]));
      now = std::chrono::steady_clock::now();
      const double products = std::is_same_v<Word, Pair> ? 2.0 : 1.0;
      const double flops = 2.0 * products * rows * panel<T> * repeats;
      best = std::max(best, flops / std::chrono::duration<double>(now - start).count() / 1e9);
    } while (std::chrono::duration<double>(now - begin).count() < seconds);
    rates[static_cast<size_t>(member)] = best;
  });
  double sum = 0;
  for (const double rate : rates) sum += rate;
  return sum;
}

}  // namespace

std::unique_ptr<Stack> make_stack(const Spec& spec) {
  if (spec.float64) return std::make_unique<Network<double, false>>(spec);
  if (spec.bfloat16) return std::make_unique<Network<float, true>>(spec);
  return std::make_unique<Network<float, false>>(spec);
}

void permutation(int64_t n, int64_t epoch, int64_t purpose, uint64_t seed, int threads, int64_t* rows) {
  Order(static_cast<uint32_t>(epoch), static_cast<uint32_t>(purpose << 24), seed).write(n, threads, rows);
}

double peak(const std::string& precision, int threads, double seconds) {
  if (precision == "float64") return peak_of<double, double>(threads, seconds);
  if (precision == "bfloat16") return peak_of<float, Pair>(threads, seconds);
  return peak_of<float, float>(threads, seconds);
}

}  // namespace glassnet::GLASSNET_ISA
