// JournalTail: the newest groups of the journal, in memory.
//
// Whoever follows the journal reads it from here and not from disk. What is not synced yet is
// always in it, so that a store which had to be opened again after an error gets it a second time;
// of what is synced, as much as kJournalTailBytesMax allows. Groups are immutable and shared: a
// reader takes pointers under the lock and reads without it. Threads: any; Add and Trim by the
// writer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/thread_annotations.h"
#include "storage/journal/journal_group.h"

namespace tidegate {

// Bytes of synced groups that stay in memory. Few, because this memory is written to again and
// again: what a processor's caches have no room for costs the writer, and the workers, more than
// the rest.
inline constexpr Bytes kJournalTailBytesMax = 2_MiB;

class JournalTail final {
 public:
  using Group = std::shared_ptr<const JournalGroup>;

  void Add(Group group) {
    MutexLock lock(mutex_);
    bytes_ += group->bytes().size();
    groups_.push_back(std::move(group));
  }

  // Lets go of the oldest groups beyond the limit, but of none after `keep_after`.
  void Trim(uint64_t keep_after) {
    MutexLock lock(mutex_);
    while (bytes_ > kJournalTailBytesMax.count && groups_.front()->last() <= keep_after) {
      bytes_ -= groups_.front()->bytes().size();
      groups_.pop_front();
    }
  }

  // The groups that hold `first` and all after it; none when `first` is not here any more, or not
  // here yet.
  std::vector<Group> From(uint64_t first) const {
    MutexLock lock(mutex_);
    std::vector<Group> out;
    if (groups_.empty() || first < groups_.front()->first()) return out;
    for (const Group& group : groups_) {
      if (group->last() >= first) out.push_back(group);
    }
    return out;
  }

  size_t bytes() const {
    MutexLock lock(mutex_);
    return bytes_;
  }

 private:
  mutable Mutex mutex_;
  std::deque<Group> groups_ TG_GUARDED_BY(mutex_);
  size_t bytes_ TG_GUARDED_BY(mutex_) = 0;
};

}  // namespace tidegate
