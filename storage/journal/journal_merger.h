// JournalMerger: makes one dense run of records out of the rings of all threads.
//
// Every record has a number; the numbers are dense, but one that was taken may not be published
// yet. So a pass looks how far numbers were taken, puts each published record into a window at its
// number, and takes what is in front of the first gap; the thread that took the missing number is
// about to publish it, and the next pass finds it. Why a window and not a heap of the rings'
// fronts: it costs the same for each record whatever the number of threads is.
// Owner: the writer's thread. Cost: about 20 ns and a copy for each record.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "storage/journal/journal_group.h"
#include "storage/journal/journal_ring.h"

namespace tidegate {

// Records of one pass.
inline constexpr size_t kJournalWindowRecords = 16384;

class JournalMerger final {
 public:
  // `last`: the number before the first one to come.
  JournalMerger(std::span<JournalRing> rings, uint64_t last) : rings_(rings), last_(last) {}

  // Takes what is dense of the numbers up to `taken` out of the rings `used` (those from the front)
  // and adds it to `out` as groups. Returns how many records it took.
  size_t Collect(uint64_t taken, size_t used, int64_t unix_ms,
                 std::deque<std::shared_ptr<const JournalGroup>>& out);

  // The last number that was taken out.
  uint64_t last() const { return last_; }

 private:
  std::span<JournalRing> rings_;
  uint64_t last_;
  std::vector<std::string_view> window_;  // data() == nullptr: not published yet
  JournalGroupBuilder builder_;
};

}  // namespace tidegate
