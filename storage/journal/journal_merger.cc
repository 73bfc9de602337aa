#include "storage/journal/journal_merger.h"

#include <algorithm>

namespace tidegate {

size_t JournalMerger::Collect(uint64_t taken, size_t used, int64_t unix_ms,
                              std::deque<std::shared_ptr<const JournalGroup>>& out) {
  const size_t wanted = std::min<uint64_t>(taken - last_, kJournalPassRecords);
  if (wanted == 0) return 0;
  const std::span<JournalRing> rings = rings_.subspan(0, used);
  fronts_.clear();
  for (JournalRing& ring : rings) fronts_.push_back(ring.Front());
  size_t count = 0;
  for (size_t at = 0; count < wanted; ++count) {
    const auto next = static_cast<uint32_t>(last_ + 1);
    if (fronts_[at] != next) {
      const auto found = std::find(fronts_.begin(), fronts_.end(), next);
      if (found == fronts_.end()) break;
      at = static_cast<size_t>(found - fronts_.begin());
    }
    const std::string_view record = rings[at].Take();
    if (!builder_.empty() && builder_.bytes() + record.size() > kJournalGroupBytesMax.count)
      out.push_back(builder_.Finish(unix_ms));
    if (builder_.empty()) builder_.Begin(last_ + 1);
    builder_.Add(record);
    ++last_;
    fronts_[at] = rings[at].Front();
  }
  if (count == 0) return 0;
  out.push_back(builder_.Finish(unix_ms));
  for (JournalRing& ring : rings) ring.EndPass();
  return count;
}

}  // namespace tidegate
