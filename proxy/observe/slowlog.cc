#include "proxy/observe/slowlog.h"

#include <algorithm>
#include <utility>

namespace tidegate {

void Slowlog::Add(SlowlogEntry entry, int64_t entries_max) {
  MutexLock lock(mutex_);
  entry.id = next_id_++;
  entries_.push_front(std::move(entry));
  while (static_cast<int64_t>(entries_.size()) > entries_max) entries_.pop_back();
}

std::vector<SlowlogEntry> Slowlog::Get(int64_t count) const {
  MutexLock lock(mutex_);
  const auto all = static_cast<int64_t>(entries_.size());
  const int64_t wanted = count < 0 ? all : std::min(count, all);
  return {entries_.begin(), entries_.begin() + wanted};
}

int64_t Slowlog::size() const {
  MutexLock lock(mutex_);
  return static_cast<int64_t>(entries_.size());
}

void Slowlog::Clear() {
  MutexLock lock(mutex_);
  entries_.clear();
}

}  // namespace tidegate
