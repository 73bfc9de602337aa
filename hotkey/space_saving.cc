#include "hotkey/space_saving.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"

namespace tidegate::hotkey {

namespace {

// Places of the index for each counter, at least: searches look at little more than one.
constexpr size_t kPlacesPerCounter = 4;

}  // namespace

void KeptName::Set(std::string_view name) {
  whole_bytes_ = static_cast<uint32_t>(name.size());
  kept_ = static_cast<uint16_t>(std::min(name.size(), kNameBytesMax));
  std::memcpy(bytes_.data(), name.data(), kept_);
}

SpaceSaving::SpaceSaving(size_t capacity)
    : counters_(capacity),
      names_(capacity),
      buckets_(capacity + 1),  // one more: the newcomer's, which is empty for a moment
      index_(std::bit_ceil(capacity * kPlacesPerCounter), kNone),
      index_mask_(index_.size() - 1) {
  TG_CHECK(capacity >= 2 && capacity <= kCountersMax);
  free_buckets_.reserve(buckets_.size());
  Clear();
}

void SpaceSaving::Clear() {
  std::fill(index_.begin(), index_.end(), kNone);
  free_buckets_.clear();
  for (size_t i = buckets_.size(); i > 0; --i)
    free_buckets_.push_back(static_cast<uint16_t>(i - 1));
  size_ = 0;
  total_ = 0;
  lowest_ = kNone;
  highest_ = kNone;
}

void SpaceSaving::Add(KeyId id, Keyspace keyspace, std::string_view name, uint32_t weight) {
  const size_t place = FindPlace(id);
  uint16_t at = index_[place];
  if (at != kNone) return AddTo(at, name, weight);
  total_ += weight;
  Counter fresh;
  fresh.id = id;
  fresh.keyspace = keyspace;
  if (size_ < counters_.size()) {
    at = static_cast<uint16_t>(size_++);
    counters_[at] = fresh;
    index_[place] = at;
    if (lowest_ == kNone || buckets_[lowest_].count != 0) MakeBucket(0, kNone, lowest_);
    LinkInto(lowest_, at);
  } else {
    at = TakeLowest();
    const Counter& old = counters_[at];
    fresh.error = buckets_[old.bucket].count;
    fresh.bucket = old.bucket;
    fresh.next = old.next;
    fresh.previous = old.previous;
    counters_[at] = fresh;
    index_[FindPlace(id)] = at;  // erasing the other one may have moved the free place
  }
  names_[at].Clear();
  Increase(at, weight);
}

bool SpaceSaving::AddToExisting(KeyId id, std::string_view name, uint32_t weight) {
  const uint16_t at = index_[FindPlace(id)];
  if (at == kNone) return false;
  AddTo(at, name, weight);
  return true;
}

void SpaceSaving::AddTo(uint16_t at, std::string_view name, uint32_t weight) {
  total_ += weight;
  if (!counters_[at].named) {
    names_[at].Set(name);
    counters_[at].named = !name.empty();
  }
  Increase(at, weight);
}

// The counter that the next newcomer gets; its key is forgotten.
uint16_t SpaceSaving::TakeLowest() {
  const uint16_t at = buckets_[lowest_].first;
  EraseFromIndex(counters_[at].id);
  return at;
}

size_t SpaceSaving::FindPlace(KeyId id) const {
  size_t place = id & index_mask_;
  while (index_[place] != kNone && counters_[index_[place]].id != id)
    place = (place + 1) & index_mask_;
  return place;
}

// What stands behind it moves up, unless it would come to stand before the place where its search
// begins. No tombstones, which a table that never stops replacing would be full of.
void SpaceSaving::EraseFromIndex(KeyId id) {
  size_t hole = FindPlace(id);
  for (size_t place = (hole + 1) & index_mask_; index_[place] != kNone;
       place = (place + 1) & index_mask_) {
    const size_t home = counters_[index_[place]].id & index_mask_;
    const size_t from_home = (place - home) & index_mask_;
    const size_t from_hole = (place - hole) & index_mask_;
    if (from_home < from_hole) continue;
    index_[hole] = index_[place];
    hole = place;
  }
  index_[hole] = kNone;
}

void SpaceSaving::Increase(uint16_t at, uint32_t by) {
  const uint16_t bucket = counters_[at].bucket;
  const uint32_t count = buckets_[bucket].count + by;
  const bool alone = buckets_[bucket].first == at && counters_[at].next == kNone;
  uint16_t lower = bucket;
  uint16_t higher = buckets_[bucket].higher;
  for (; higher != kNone && buckets_[higher].count < count; higher = buckets_[higher].higher)
    lower = higher;
  const bool higher_fits = higher != kNone && buckets_[higher].count == count;
  if (alone && !higher_fits && lower == bucket) {
    buckets_[bucket].count = count;  // the usual case of a hot key: it is alone with its count
    return;
  }
  Unlink(at);
  if (alone) {
    if (lower == bucket) lower = buckets_[bucket].lower;
    RemoveBucket(bucket);
  }
  LinkInto(higher_fits ? higher : MakeBucket(count, lower, higher), at);
}

void SpaceSaving::LinkInto(uint16_t bucket, uint16_t at) {
  Counter& counter = counters_[at];
  counter.bucket = bucket;
  counter.previous = kNone;
  counter.next = buckets_[bucket].first;
  if (counter.next != kNone) counters_[counter.next].previous = at;
  buckets_[bucket].first = at;
}

void SpaceSaving::Unlink(uint16_t at) {
  const Counter& counter = counters_[at];
  if (counter.next != kNone) counters_[counter.next].previous = counter.previous;
  if (counter.previous != kNone)
    counters_[counter.previous].next = counter.next;
  else
    buckets_[counter.bucket].first = counter.next;
}

uint16_t SpaceSaving::MakeBucket(uint32_t count, uint16_t lower, uint16_t higher) {
  const uint16_t bucket = free_buckets_.back();
  free_buckets_.pop_back();
  buckets_[bucket] = {.count = count, .first = kNone, .higher = higher, .lower = lower};
  (lower == kNone ? lowest_ : buckets_[lower].higher) = bucket;
  (higher == kNone ? highest_ : buckets_[higher].lower) = bucket;
  return bucket;
}

void SpaceSaving::RemoveBucket(uint16_t bucket) {
  const auto [count, first, higher, lower] = buckets_[bucket];
  (lower == kNone ? lowest_ : buckets_[lower].higher) = higher;
  (higher == kNone ? highest_ : buckets_[higher].lower) = lower;
  free_buckets_.push_back(bucket);
}

}  // namespace tidegate::hotkey
