#include "proxy/observe/error_stats.h"

namespace tidegate {

void ErrorStats::Count(std::string_view text) {
  total_.fetch_add(1, std::memory_order_relaxed);
  const std::string_view code = text.substr(0, text.find(' '));
  MutexLock lock(mutex_);
  const auto found = codes_.find(code);
  if (found != codes_.end()) {
    ++found->second;
  } else if (codes_.size() < kErrorCodesMax) {
    codes_.emplace(std::string(code), 1);
  }
}

std::map<std::string, uint64_t, std::less<>> ErrorStats::Get() const {
  MutexLock lock(mutex_);
  return codes_;
}

uint64_t ErrorStats::total() const {
  MutexLock lock(mutex_);
  return total_since_start() - total_at_reset_;
}

void ErrorStats::Reset() {
  MutexLock lock(mutex_);
  codes_.clear();
  total_at_reset_ = total_since_start();
}

}  // namespace tidegate
