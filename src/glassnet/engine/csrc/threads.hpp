// A team of threads of this process's own, made for one call and gone after it: nothing is left to spin, to be
// inherited by a fork, or to be shared with another library.
#pragma once

#include <atomic>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#define GLASSNET_PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define GLASSNET_PAUSE() asm volatile("yield")
#else
#define GLASSNET_PAUSE() ((void)0)
#endif

namespace glassnet::GLASSNET_ISA {

// Waits for all members. It looks for a little while, which is what a balanced step needs, and then sleeps: where
// another process holds a core, a member that waits must not take the other core from the one that works.
class Barrier {
 public:
  explicit Barrier(int members) : members_(members) {}

  void wait() {
    if (members_ == 1) return;
    const uint32_t generation = generation_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) == members_ - 1) {
      arrived_.store(0, std::memory_order_relaxed);
      generation_.store(generation + 1, std::memory_order_release);
      generation_.notify_all();
      return;
    }
    for (int look = 0; look < looks; look++) {
      if (generation_.load(std::memory_order_acquire) != generation) return;
      GLASSNET_PAUSE();
    }
    generation_.wait(generation, std::memory_order_acquire);
  }

 private:
  static constexpr int looks = 2000;
  const int members_;
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<uint32_t> generation_{0};
};

// work(member) on `members` threads, the calling one as member 0.
template <class Work>
void run_team(int members, const Work& work) {
  std::vector<std::thread> others;
  others.reserve(static_cast<size_t>(members - 1));
  for (int member = 1; member < members; member++) others.emplace_back([&work, member] { work(member); });
  work(0);
  for (std::thread& other : others) other.join();
}

struct Range {  // [first, last)
  long first, last;
};

// The share of member `member` of `count` things.
inline Range share_of(long count, int member, int members) {
  return {count * member / members, count * (member + 1) / members};
}

}  // namespace glassnet::GLASSNET_ISA
