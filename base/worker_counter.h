// WorkerCounter: a figure that one thread keeps and all may read. Cheaper than an addition that is
// locked, which several writers would need. Its value is exact; which of two counters moved first
// nobody can tell.
#pragma once

#include <atomic>
#include <cstdint>

namespace tidegate {

// A counter with one writer.
class WorkerCounter final {
 public:
  void Add(uint64_t n) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void Subtract(uint64_t n) {
    value_.store(value_.load(std::memory_order_relaxed) - n, std::memory_order_relaxed);
  }
  void Set(uint64_t n) { value_.store(n, std::memory_order_relaxed); }
  void RaiseTo(uint64_t n) {
    if (n > Get()) Set(n);
  }
  uint64_t Get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

}  // namespace tidegate
