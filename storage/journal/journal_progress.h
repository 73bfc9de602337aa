// JournalProgress: how far the journal is, for everybody to read: what was written, what was
// synced, whether writing fails, and how late the writer was. Written by the writer's two threads,
// read by any; plain atomics, one by one.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "base/thread_annotations.h"

namespace tidegate {

class JournalProgress final {
 public:
  explicit JournalProgress(uint64_t last) : written_(last), synced_(last) {}

  uint64_t written() const { return written_.load(std::memory_order_acquire); }
  uint64_t synced() const { return synced_.load(std::memory_order_acquire); }
  // Writes are refused now.
  bool failing() const { return failing_.load(std::memory_order_acquire); }
  // Why, in strerror's words; of the last failure.
  std::string failure() const {
    MutexLock lock(mutex_);
    return failure_;
  }

  // The log does not work: failing() for that reason, and not because the disk is nearly full.
  bool broken() const { return broken_.load(std::memory_order_acquire); }
  void set_broken(bool broken) { broken_.store(broken, std::memory_order_release); }

  void Wrote(uint64_t sequence) { written_.store(sequence, std::memory_order_release); }
  void Synced(uint64_t sequence) {
    uint64_t before = synced_.load(std::memory_order_relaxed);
    while (before < sequence &&
           !synced_.compare_exchange_weak(before, sequence, std::memory_order_acq_rel)) {
    }
  }
  void Failed(std::string why) {
    {
      MutexLock lock(mutex_);
      failure_ = std::move(why);
    }
    failing_.store(true, std::memory_order_release);
  }
  void Healed() { failing_.store(false, std::memory_order_release); }

  // The age that the oldest record of a group had when the group was written.
  void NoteLag(int64_t nanos) {
    const size_t at = lag_count_.load(std::memory_order_relaxed);
    lags_us_[at % kLags].store(static_cast<uint32_t>(std::min<int64_t>(nanos / 1000, UINT32_MAX)),
                               std::memory_order_relaxed);
    lag_count_.store(at + 1, std::memory_order_release);
  }
  struct Lag {
    uint64_t last_us = 0;
    uint64_t p99_us = 0;  // of the last kLags groups
    uint64_t max_us = 0;  // of them too
  };
  Lag lag() const {
    std::array<uint32_t, kLags> seen;
    const size_t total = lag_count_.load(std::memory_order_acquire);
    const size_t count = std::min(total, kLags);
    if (count == 0) return {};
    for (size_t i = 0; i < count; ++i) seen[i] = lags_us_[i].load(std::memory_order_relaxed);
    const uint64_t last = seen[(total - 1) % kLags];
    std::sort(seen.begin(), seen.begin() + static_cast<ptrdiff_t>(count));
    return {last, seen[(count - 1) * 99 / 100], seen[count - 1]};
  }

  struct Totals {
    std::atomic<uint64_t> groups{0};
    std::atomic<uint64_t> bytes{0};
    std::atomic<uint64_t> syncs{0};
    std::atomic<uint64_t> failures{0};
    std::atomic<uint64_t> waits{0};     // requests put off for want of room
    std::atomic<uint64_t> refusals{0};  // requests refused because writing fails
  };
  Totals& totals() { return totals_; }
  const Totals& totals() const { return totals_; }

 private:
  static constexpr size_t kLags = 1024;
  std::atomic<uint64_t> written_;
  std::atomic<uint64_t> synced_;
  std::atomic<bool> failing_{false};
  std::atomic<bool> broken_{false};
  mutable Mutex mutex_;
  std::string failure_ TG_GUARDED_BY(mutex_);
  std::array<std::atomic<uint32_t>, kLags> lags_us_{};
  std::atomic<size_t> lag_count_{0};
  Totals totals_;
};

}  // namespace tidegate
