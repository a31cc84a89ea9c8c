// A team of threads of this process's own, made for one call and gone after it: nothing is left to spin, to be
// inherited by a fork, or to be shared with another library.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
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

constexpr int looks = 2000;  // of a member that waits, before it sleeps

// Sets what others may be asleep over, and wakes them. The store must be done before libstdc++ looks whether anybody
// sleeps, which it does by a plain load: with less than this order a processor may make the load first, while the store
// waits for its line; whoever goes to sleep in between is never woken.
template <class Value>
void tell(std::atomic<Value>& what, Value value) {
  what.store(value, std::memory_order_seq_cst);
  what.notify_all();
}

// How long members slept, all of them together.
class Sleep {
 public:
  template <class Wait>
  void during(Wait wait) {
    const auto begun = Clock::now();
    wait();
    total_.fetch_add((Clock::now() - begun).count(), std::memory_order_relaxed);
  }
  double seconds() const { return std::chrono::duration<double>(Clock::duration(total_.load())).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  alignas(64) std::atomic<Clock::duration::rep> total_{0};
};

// Where the members of a team wait for one another. A member looks for a little while, which is what a balanced step
// needs, and then sleeps: where another process holds a core, a member that waits must not take the other core from the
// one that works. Members may be left out for a time: they rest.
class Barrier {
 public:
  explicit Barrier(int members) : members_(members), next_(members) {}

  // How many take part: members 0 to this.
  int members() const { return members_.load(std::memory_order_acquire); }

  // From the next wait on, when all have arrived there. For one member only.
  void resize(int members) { next_.store(members, std::memory_order_relaxed); }

  void wait() {
    const int members = members_.load(std::memory_order_relaxed);
    if (members == 1) return change();
    const uint32_t generation = generation_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) == members - 1) {
      arrived_.store(0, std::memory_order_relaxed);
      change();
      tell(generation_, generation + 1);
      return;
    }
    for (int look = 0; look < looks; look++) {
      if (generation_.load(std::memory_order_acquire) != generation) return;
      GLASSNET_PAUSE();
    }
    sleep_.during([&] { generation_.wait(generation, std::memory_order_acquire); });
  }

  // Sleeps until this member takes part; false if all is over.
  bool rest(int member) {
    for (;;) {
      const int members = members_.load(std::memory_order_acquire);
      if (members == over) return false;
      if (member < members) return true;
      members_.wait(members, std::memory_order_acquire);
    }
  }

  // Lets the members that rest go.
  void dismiss() {
    tell(members_, static_cast<int>(over));
  }

  double slept() const { return sleep_.seconds(); }

 private:
  static constexpr int over = -1;

  void change() {
    const int next = next_.load(std::memory_order_relaxed);
    if (next == members_.load(std::memory_order_relaxed)) return;
    tell(members_, next);
  }

  alignas(64) std::atomic<int> members_;
  std::atomic<int> next_;
  Sleep sleep_;
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<uint32_t> generation_{0};
};

// The same for short steps, of members of which none ever rests. Each says in a place of its own how often it has come,
// so that no line goes through all of their caches: at a Barrier three such ways are waited for, one after the other,
// here it is one. And nobody is woken, which would take each of them more than to look now and then whether the others
// have come: if one is late in such a step, it is so for long, since it has no core.
class Meeting {
 public:
  explicit Meeting(int members) : members_(static_cast<size_t>(members)) {}

  void wait(int member) {
    std::atomic<uint32_t>& mine = members_[static_cast<size_t>(member)].times;
    const uint32_t times = mine.load(std::memory_order_relaxed) + 1;
    mine.store(times, std::memory_order_release);
    for (Member& other : members_) wait_for(other.times, times);
  }

  double slept() const { return sleep_.seconds(); }

 private:
  struct alignas(64) Member {
    std::atomic<uint32_t> times{0};
  };

  void wait_for(const std::atomic<uint32_t>& other, uint32_t times) {
    const auto has_come = [&] { return static_cast<int32_t>(other.load(std::memory_order_acquire) - times) >= 0; };
    for (int look = 0; look < looks; look++) {
      if (has_come()) return;
      GLASSNET_PAUSE();
    }
    sleep_.during([&] {
      while (!has_come()) std::this_thread::sleep_for(std::chrono::microseconds(50));
    });
  }

  std::vector<Member> members_;
  Sleep sleep_;
};

// How many members should take part. Where other processes hold cores, those that have theirs wait for those that have
// none, and fewer are quicker; so one is left out where much time is slept for a while, not only once, and now and then
// all are tried again. What was found holds for the next call, too.
class Pace {
 public:
  // Before the steps of a call with at most so many; how many take part at first.
  int begin(int most) {
    const double now = seconds();
    left_ -= now - since_;
    if (most != most_ || left_ <= 0) members_ = most;
    if (most != most_ || left_ <= -longest) chances_ = patience;
    most_ = most;
    since_ = now;
    slept_ = 0;
    return members_;
  }

  // For the steps to come; asked after every step, with what members slept in this call.
  int next(double slept) {
    if (most_ == 1) return 1;
    const double now = seconds(), passed = now - since_;
    if (passed < window) return members_;
    const double share = members_ == 1 ? 0 : (slept - slept_) / (passed * (members_ - 1));
    since_ = now;
    slept_ = slept;
    left_ -= passed;
    if (share > most_slept) {
      if (--chances_ > 0) return members_;
      chances_ = 1;
      left_ = pause_;
      members_--;
    } else if (members_ == most_) {
      chances_ = patience;
      pause_ = shortest;
    } else if (left_ <= 0) {
      pause_ = std::min(2 * pause_, longest);
      members_ = most_;
    }
    return members_;
  }

 private:
  static constexpr double window = 0.01, shortest = 0.05, longest = 0.2, most_slept = 0.25;
  static constexpr int patience = 3;  // windows
  static double seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }

  int most_ = 0, members_ = 0, chances_ = patience;
  double since_ = 0, slept_ = 0, pause_ = shortest, left_ = 0;
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
