// The order of an epoch's rows, as glassnet/random.py defines it: rows sorted by 64 random bits each, of equal ones the
// first row first.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "philox.hpp"
#include "threads.hpp"

namespace glassnet::GLASSNET_ISA {

using Ticket = uint64_t;  // the first 32 of a row's random bits, and the row

constexpr int row_bits = 32;
constexpr int most_bits = 11;                    // of a digit: its groups are kept apart in a second-level cache
constexpr int64_t few_tickets = 24;              // which are sorted one by one
constexpr int64_t tickets_per_thread = 1 << 14;  // below which another thread would only be waited for

// How many bits tell so many tickets apart, but for some eight each.
inline int digit_bits(int64_t count) {
  return std::clamp(static_cast<int>(std::bit_width(static_cast<uint64_t>(count) >> 3)), 1, most_bits);
}

class Order {
 public:
  Order(uint32_t epoch, uint32_t where, uint64_t seed) : epoch_(epoch), where_(where), seed_(seed) {}

  // The first n rows, n below 2³²
  void write(int64_t n, int threads, int64_t* rows) const {
    constexpr int v = lanes<uint64_t>;
    const int digit = digit_bits(n), digits = 1 << digit, bits = 64 - digit;
    const std::unique_ptr<Ticket[]> tickets(new Ticket[static_cast<size_t>(n)]);
    Ticket* dealt = reinterpret_cast<Ticket*>(rows);
    const int members = static_cast<int>(std::clamp<int64_t>(n / tickets_per_thread, 1, threads));
    // For each member and digit: how many tickets the member draws, then where its next one goes
    std::vector<int64_t> places(static_cast<size_t>(members * digits));
    Barrier barrier(members);
    run_team(members, [&](int member) {
      const Range blocks = share_of((n + v - 1) / v, member, members), groups = share_of(digits, member, members);
      const int64_t begin = blocks.first * v, end = std::min<int64_t>(blocks.last * v, n);
      int64_t* mine = &places[static_cast<size_t>(member * digits)];
      for (int64_t first = begin; first < end; first += v) {
        Vector<uint64_t> words[4];
        philox_of<double>(0, static_cast<uint32_t>(first), epoch_, where_, seed_, words);
        for (int64_t row = first; row < std::min(first + v, end); row++) {
          tickets[row] = words[0][static_cast<int>(row - first)] << row_bits | static_cast<uint64_t>(row);
          mine[tickets[row] >> bits]++;
        }
      }
      barrier.wait();
      if (member == 0)
        for (int64_t d = 0, next = 0; d < digits; d++)
          for (int other = 0; other < members; other++)
            next += std::exchange(places[static_cast<size_t>(other * digits + d)], next);
      barrier.wait();
      for (int64_t row = begin; row < end; row++) dealt[mine[tickets[row] >> bits]++] = tickets[row];
      barrier.wait();
      const int64_t* ends = &places[static_cast<size_t>((members - 1) * digits)];
      for (long d = groups.first; d < groups.last; d++) {
        const int64_t first = d == 0 ? 0 : ends[d - 1];
        sort(dealt + first, tickets.get() + first, ends[d] - first, bits, rows + first);
      }
    });
  }

 private:
  // Sorts `count` tickets that differ below `bits`, and writes their rows; `room` is for as many, and rows are one of
  // both. From the leading digit on: the bits are random, so that each round leaves small groups, and after a few next
  // to nothing.
  void sort(Ticket* tickets, Ticket* room, int64_t count, int bits, int64_t* rows) const {
    if (count <= few_tickets || bits <= row_bits) {
      bool equal = false;  // as far as tickets tell
      for (int64_t i = 1; i < count; i++) {
        const Ticket moved = tickets[i];
        int64_t to = i;
        for (; to > 0 && tickets[to - 1] > moved; to--) tickets[to] = tickets[to - 1];
        tickets[to] = moved;
      }
      for (int64_t i = 1; i < count; i++) equal = equal || (tickets[i] ^ tickets[i - 1]) >> row_bits == 0;
      if (equal) std::sort(tickets, tickets + count, [&](Ticket one, Ticket other) { return before(one, other); });
      for (int64_t i = 0; i < count; i++) rows[i] = row_of(tickets[i]);
      return;
    }
    const int digit = std::min(digit_bits(count), bits - row_bits), digits = 1 << digit;
    bits -= digit;
    const auto digit_of = [bits, digits](Ticket ticket) { return (ticket >> bits) & static_cast<Ticket>(digits - 1); };
    int64_t ends[1 << most_bits];
    std::fill(ends, ends + digits, 0);
    for (int64_t i = 0; i < count; i++) ends[digit_of(tickets[i])]++;
    for (int64_t d = 0, next = 0; d < digits; d++) next += std::exchange(ends[d], next);
    for (int64_t i = 0; i < count; i++) room[ends[digit_of(tickets[i])]++] = tickets[i];
    for (int64_t d = 0, first = 0; d < digits; first = ends[d++])
      sort(room + first, tickets + first, ends[d] - first, bits, rows + first);
  }

  static int64_t row_of(Ticket ticket) { return static_cast<int64_t>(ticket & ((Ticket{1} << row_bits) - 1)); }
  // The order of all 64 bits, and of rows where they are equal.
  bool before(Ticket one, Ticket other) const {
    const auto key = [&](Ticket ticket) {
      uint32_t words[4];
      philox(0, static_cast<uint32_t>(row_of(ticket)), epoch_, where_, seed_, words);
      return std::tuple(words[0], words[1], row_of(ticket));
    };
    return key(one) < key(other);
  }

  uint32_t epoch_, where_;
  uint64_t seed_;
};

}  // namespace glassnet::GLASSNET_ISA
