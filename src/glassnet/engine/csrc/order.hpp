// The order of an epoch's rows, as glassnet/random.py defines it: rows sorted by 64 random bits each, of equal ones the
// first row first.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>

#include "philox.hpp"
#include "threads.hpp"

namespace glassnet::GLASSNET_ISA {

struct Ticket {
  uint64_t key;
  int64_t row;
};

constexpr int digits = 256, digit_bits = 8;
constexpr int64_t tickets_per_thread = 1 << 15;  // below which another thread would only be waited for

// The tickets in groups by the digit of their keys above `bits`; first[d] says where group d begins.
inline void deal_tickets(const Ticket* tickets, int64_t count, int bits, Ticket* to, int64_t (&first)[digits + 1]) {
  int64_t next[digits];
  std::fill(first, first + digits + 1, 0);
  for (int64_t i = 0; i < count; i++) first[(tickets[i].key >> bits) % digits + 1]++;
  for (int d = 0; d < digits; d++) {
    next[d] = first[d];
    first[d + 1] += first[d];
  }
  for (int64_t i = 0; i < count; i++) to[next[(tickets[i].key >> bits) % digits]++] = tickets[i];
}

// Sorts `count` tickets by the bits of their keys below `bits`, and writes their rows; `room` is for as many. From the
// leading digit on: the keys are random, so that each round leaves groups of a 256th, and after a few next to nothing.
inline void sort_tickets(Ticket* tickets, Ticket* room, int64_t count, int bits, int64_t* rows) {
  constexpr int64_t few = 24;
  if (count <= few || bits == 0) {
    for (int64_t i = 1; i < count && bits > 0; i++) {
      const Ticket moved = tickets[i];
      int64_t to = i;
      for (; to > 0 && tickets[to - 1].key > moved.key; to--) tickets[to] = tickets[to - 1];
      tickets[to] = moved;
    }
    for (int64_t i = 0; i < count; i++) rows[i] = tickets[i].row;
    return;
  }
  bits -= digit_bits;
  int64_t first[digits + 1];
  deal_tickets(tickets, count, bits, room, first);
  for (int d = 0; d < digits; d++)
    sort_tickets(room + first[d], tickets + first[d], first[d + 1] - first[d], bits, rows + first[d]);
}

// rows (n,), n below 2³²
inline void permute(int64_t n, uint32_t epoch, uint32_t where, uint64_t seed, int threads, int64_t* rows) {
  constexpr int v = lanes<uint64_t>, bits = 64 - digit_bits;
  const std::unique_ptr<Ticket[]> tickets(new Ticket[static_cast<size_t>(n)]), room(new Ticket[static_cast<size_t>(n)]);
  const int members = static_cast<int>(std::clamp<int64_t>(n / tickets_per_thread, 1, threads));
  int64_t begin[digits + 1];
  Barrier barrier(members);
  run_team(members, [&](int member) {
    const Range blocks = share_of((n + v - 1) / v, member, members), groups = share_of(digits, member, members);
    for (int64_t first = blocks.first * v; first < blocks.last * v; first += v) {
      Vector<uint64_t> words[4];
      philox_of<double>(0, static_cast<uint32_t>(first), epoch, where, seed, words);
      const Vector<uint64_t> keys = words[0] << 32 | (words[1] & spread<uint64_t>(0xffffffffu));
      for (int64_t i = first; i < std::min(first + v, n); i++) tickets[i] = {keys[static_cast<int>(i - first)], i};
    }
    barrier.wait();
    if (member == 0) deal_tickets(tickets.get(), n, bits, room.get(), begin);
    barrier.wait();
    for (long d = groups.first; d < groups.last; d++)
      sort_tickets(room.get() + begin[d], tickets.get() + begin[d], begin[d + 1] - begin[d], bits, rows + begin[d]);
  });
}

}  // namespace glassnet::GLASSNET_ISA
