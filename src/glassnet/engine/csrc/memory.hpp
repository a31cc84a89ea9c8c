// Arrays of numbers on cache lines' borders, zero at the start.
#pragma once

#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace glassnet::GLASSNET_ISA {

template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(long count) { grow(count); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  Buffer(Buffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Buffer() { std::free(data_); }

  // At least `count` numbers, all zero if that is more than there were.
  void grow(long count) {
    if (count <= size_) return;
    std::free(data_);
    data_ = nullptr;
    size_ = 0;
    const size_t wanted = static_cast<size_t>(count) * sizeof(T) + slack;
    const size_t border = wanted >= huge_page ? huge_page : line;
    const size_t bytes = (wanted + border - 1) / border * border;
    data_ = static_cast<T*>(std::aligned_alloc(border, bytes));
    if (data_ == nullptr) throw std::bad_alloc();
#if defined(__linux__)
    if (border == huge_page) madvise(data_, bytes, MADV_HUGEPAGE);
#endif
    std::memset(static_cast<void*>(data_), 0, bytes);
    size_ = count;
  }

  T* get() const { return data_; }
  long size() const { return size_; }
  T& operator[](long i) const { return data_[i]; }

 private:
  static constexpr size_t line = 64, huge_page = size_t{2} << 20, slack = 64;
  T* data_ = nullptr;
  long size_ = 0;
};

}  // namespace glassnet::GLASSNET_ISA
