// JournalMerger: makes one dense run of records out of the rings of all threads.
//
// Every record has a number, and the numbers in one ring ascend: whose front has the next number is
// taken from, for as long as its numbers follow one another, which they mostly do for a batch of
// commands. A number that was taken may not be published yet: the run ends there, and the next pass
// finds it, for the thread that took it is about to publish it. Nothing is looked at twice.
// Owner: the writer's thread. Cost: about 10 ns and a copy for each record, and a look at the
// fronts of all rings for each change from one to another.
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
inline constexpr size_t kJournalPassRecords = 16384;

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
  std::vector<uint64_t> fronts_;  // JournalRing::Front of each ring, as this pass knows it
  JournalGroupBuilder builder_;
};

}  // namespace tidegate
