#include "storage/journal/journal_merger.h"

#include <algorithm>

namespace tidegate {

size_t JournalMerger::Collect(uint64_t taken, size_t used, int64_t unix_ms,
                              std::deque<std::shared_ptr<const JournalGroup>>& out) {
  const size_t wanted = std::min<uint64_t>(taken - last_, kJournalWindowRecords);
  if (wanted == 0) return 0;
  window_.assign(wanted, std::string_view());
  const std::span<JournalRing> rings = rings_.subspan(0, used);
  for (JournalRing& ring : rings) {
    ring.ForEach([&](uint64_t sequence, std::string_view record) {
      const uint64_t at = sequence - last_ - 1;
      if (at >= wanted) return false;
      window_[at] = record;
      return true;
    });
  }
  size_t count = 0;
  for (; count < wanted && window_[count].data() != nullptr; ++count) {
    const std::string_view record = window_[count];
    if (!builder_.empty() && builder_.bytes() + record.size() > kJournalGroupBytesMax.count)
      out.push_back(builder_.Finish(unix_ms));
    if (builder_.empty()) builder_.Begin(last_ + count + 1);
    builder_.Add(record);
  }
  if (count == 0) return 0;
  out.push_back(builder_.Finish(unix_ms));
  last_ += count;
  for (JournalRing& ring : rings) ring.PopThrough(last_);
  return count;
}

}  // namespace tidegate
