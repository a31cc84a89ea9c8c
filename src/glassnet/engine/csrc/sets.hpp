// The instruction sets that engine.cpp was compiled for (GLASSNET_HAVE_...), and whether this processor has them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine.hpp"

namespace glassnet {

struct InstructionSet {
  const char* name;
  bool here;  // whether this processor has it
  std::unique_ptr<Stack> (*make)(const Spec&);
  double (*peak)(const std::string&, int, double);
  void (*permutation)(int64_t, int64_t, int64_t, uint64_t, int, int64_t*);
};

#if defined(__x86_64__)
// What -march=x86-64-v3 and v4 take for granted. Clang knows the levels too, but asks a library that may not.
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
inline bool has_v3() { return __builtin_cpu_supports("x86-64-v3"); }
inline bool has_v4() { return __builtin_cpu_supports("x86-64-v4"); }
#else
inline bool has_v3() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("bmi2");
}
inline bool has_v4() {
  return has_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif
#endif

// Best first.
inline const std::vector<InstructionSet>& compiled_sets() {
  static const std::vector<InstructionSet> sets = [] {
    std::vector<InstructionSet> list;
#if defined(__x86_64__)
    __builtin_cpu_init();
#ifdef GLASSNET_HAVE_AVX512_BF16
    list.push_back({"avx512_bf16", has_v4() && __builtin_cpu_supports("avx512bf16"), avx512_bf16::make_stack,
                    avx512_bf16::peak, avx512_bf16::permutation});
#endif
#ifdef GLASSNET_HAVE_AVX512
    list.push_back({"avx512", has_v4(), avx512::make_stack, avx512::peak, avx512::permutation});
#endif
#ifdef GLASSNET_HAVE_AVX2
    list.push_back({"avx2", has_v3(), avx2::make_stack, avx2::peak, avx2::permutation});
#endif
#endif
    list.push_back({"portable", true, portable::make_stack, portable::peak, portable::permutation});
    return list;
  }();
  return sets;
}

}  // namespace glassnet
