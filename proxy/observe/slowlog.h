// Slowlog: the last slow commands of all workers, newest first, as SLOWLOG GET shows them.
// One list under a short mutex: only commands beyond slowlog-log-slower-than come here. Arguments
// are cut as Redis cuts them (32 arguments, 128 bytes each) and secrets are already replaced by
// "(redacted)" when they arrive. Threads: any.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "base/thread_annotations.h"

namespace tidegate {

// Arguments of one entry, and bytes of one argument, that are kept. As Redis.
inline constexpr size_t kSlowlogArgumentsMax = 32;
inline constexpr size_t kSlowlogArgumentBytesMax = 128;

struct SlowlogEntry {
  int64_t id = 0;
  int64_t unix_ms = 0;
  int64_t duration_us = 0;
  std::vector<std::string> arguments;
  std::string client_address;
  std::string client_name;
  std::string node;  // of an upstream, that answered it; empty: this process did
};

class Slowlog final {
 public:
  // Sets the entry's id. Keeps at most `entries_max` (slowlog-max-len).
  void Add(SlowlogEntry entry, int64_t entries_max) TG_EXCLUDES(mutex_);
  // Up to `count` entries, newest first; negative: all.
  std::vector<SlowlogEntry> Get(int64_t count) const TG_EXCLUDES(mutex_);
  int64_t size() const TG_EXCLUDES(mutex_);
  void Clear() TG_EXCLUDES(mutex_);

 private:
  mutable Mutex mutex_;
  std::deque<SlowlogEntry> entries_ TG_GUARDED_BY(mutex_);
  int64_t next_id_ TG_GUARDED_BY(mutex_) = 0;
};

}  // namespace tidegate
