#include "storage/cut/cut.h"

#include <numeric>
#include <utility>

#include "storage/engine_thread.h"

namespace tidegate {

Cut::Cut(CutSink& sink, CutQueue& queue, int databases, bool mark)
    : sink_(sink),
      queue_(queue),
      mark_(mark),
      number_of_(static_cast<size_t>(databases)),
      walked_(new std::atomic<bool>[kSlotCount]) {
  std::iota(number_of_.begin(), number_of_.end(), 0);
  for (uint32_t slot = 0; slot < kSlotCount; ++slot) walked_[slot].store(false);
}

void Cut::Preserve(EngineThread& thread, int db, Entry& entry) {
  entry.set_cut_mark(mark_);
  const int number = NumberOf(db);
  PreservedEntries& kept = thread.preserved;
  if (kept.db != number) CollectFrom(thread);
  kept.db = number;
  sink_.Encode(entry, kept.bytes);
  if (kept.bytes.size() >= kPreservedBatchBytes.count) CollectFrom(thread);
}

void Cut::CollectFrom(EngineThread& thread) {
  if (!thread.preserved.bytes.empty()) queue_.Push(std::exchange(thread.preserved, {}));
}

bool Cut::TakeDropped(uint16_t slot, int db, const Table& table) {
  if (IsWalked(slot)) return false;
  dropped_[slot].push_back({NumberOf(db), table});
  return true;
}

std::vector<Cut::Dropped> Cut::TakeDroppedOf(uint16_t slot) {
  const auto found = dropped_.find(slot);
  if (found == dropped_.end()) return {};
  std::vector<Dropped> taken = std::move(found->second);
  dropped_.erase(found);
  return taken;
}

}  // namespace tidegate
