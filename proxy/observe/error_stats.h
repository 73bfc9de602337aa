// ErrorStats: how many error replies carried which code, as INFO errorstats shows them.
// Errors are rare, so a mutex per error is cheap; the number of codes is bounded, because a client
// can make up codes where its own text is echoed. Threads: any.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/thread_annotations.h"

namespace tidegate {

// Different codes that are told apart; further ones are counted in total() only. As Redis 7.2.
inline constexpr size_t kErrorCodesMax = 128;

class ErrorStats final {
 public:
  // `text` as given to ReplyWriter::Error: the code is its first word.
  void Count(std::string_view text) TG_EXCLUDES(mutex_);
  std::map<std::string, uint64_t, std::less<>> Get() const TG_EXCLUDES(mutex_);
  // All since the start, for metrics; and since Reset(), for INFO.
  uint64_t total_since_start() const { return total_.load(std::memory_order_relaxed); }
  uint64_t total() const TG_EXCLUDES(mutex_);
  void Reset() TG_EXCLUDES(mutex_);

 private:
  std::atomic<uint64_t> total_{0};
  mutable Mutex mutex_;
  uint64_t total_at_reset_ TG_GUARDED_BY(mutex_) = 0;
  std::map<std::string, uint64_t, std::less<>> codes_ TG_GUARDED_BY(mutex_);
};

}  // namespace tidegate
