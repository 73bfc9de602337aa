#include "storage/journal/effect_log.h"

#include <algorithm>

namespace tidegate {

void EffectLog::Grow(size_t more) {
  constexpr size_t kFirstBytes = 512;
  const size_t wanted = std::max({size_ + more, capacity_ * 2, kFirstBytes});
  std::unique_ptr<char[]> grown(new char[wanted]);
  if (size_ > 0) std::memcpy(grown.get(), bytes_.get(), size_);
  bytes_ = std::move(grown);
  capacity_ = wanted;
}

void EffectLog::CountSlowly(int db, int64_t keys, int64_t expires) {
  for (EffectCounts& counts : counts_) {
    if (counts.db != db) continue;
    counts.keys += keys;
    counts.expires += expires;
    return;
  }
  counts_.push_back({db, keys, expires});
}

void EffectLog::Finish() {
  TG_DCHECK(words_left_ == 0);
  constexpr size_t kNoteHeadBytes = 3 * kVarintBytesMax;
  for (const EffectCounts& counts : counts_) {
    if (counts_are_void_ || (counts.keys == 0 && counts.expires == 0)) continue;
    char* at =
        PutVarint(Reserve(kNoteHeadBytes + 2 * kVarintBytesMax), static_cast<uint64_t>(counts.db));
    at = PutVarint(at, 0);
    at = PutVarint(at, static_cast<uint64_t>(EffectNote::kCounts));
    at = PutVarint(at, ZigZag(counts.keys));
    Commit(PutVarint(at, ZigZag(counts.expires)));
  }
  if (__builtin_expect(objects_.empty(), 1)) return;
  char* at = PutVarint(Reserve(kNoteHeadBytes + (1 + objects_.size()) * kVarintBytesMax), 0);
  at = PutVarint(at, 0);
  at = PutVarint(at, static_cast<uint64_t>(EffectNote::kObjects));
  at = PutVarint(at, objects_.size());
  for (const uint64_t id : objects_) at = PutVarint(at, id);
  Commit(at);
}

}  // namespace tidegate
