#include "storage/keyspace/table.h"

#include <algorithm>

#include "base/hash.h"
#include "base/prefetch.h"
#include "storage/keyspace/segment.h"
#include "storage/memory/memory.h"

namespace tidegate {
namespace {

// Prefetch reads these without the lock.
template <typename T>
T LoadRelaxed(const T& field) {
  return __atomic_load_n(&field, __ATOMIC_RELAXED);
}
template <typename T>
void StoreRelaxed(T& field, T value) {
  __atomic_store_n(&field, value, __ATOMIC_RELAXED);
}

uint32_t Position(uint64_t hash) { return static_cast<uint32_t>(hash >> 32); }

Segment* NewSegment(const Segment& from) {
  auto* segment = static_cast<Segment*>(MemoryAllocate(sizeof(Segment)));
  *segment = from;
  return segment;
}

// False when the segment has to grow first; `loose` then is what is left to place.
bool PlaceIn(Segment& segment, Segment::Loose& loose) {
  return segment.count < Segment::CapacityOf(segment.bucket_count) && segment.TryInsert(loose);
}

// The words of home bucket `home`, wherever they were displaced to.
template <typename Fn>
void ForEachOfHome(const Segment& segment, uint32_t home, Fn&& fn) {
  uint32_t b = home;
  for (uint32_t distance = 0; distance <= kDistanceMax && distance < segment.bucket_count;
       ++distance) {
    const Bucket& bucket = segment.buckets[b];
    for (const uint64_t w : bucket.words) {
      if (w != 0 && word::Distance(w) == distance) fn(w);
    }
    if (!bucket.full()) return;
    b = segment.Next(b);
  }
}

}  // namespace

Segment Table::ToSegment() const { return {static_cast<Bucket*>(root_), bucket_count_, count_, 0}; }

void Table::FromSegment(const Segment& segment) {
  StoreRelaxed(root_, static_cast<void*>(segment.buckets));
  StoreRelaxed(bucket_count_, static_cast<uint16_t>(segment.bucket_count));
}

Segment& Table::SegmentOf(uint64_t hash) const {
  return *directory()[Position(hash) >> (32 - depth_)];
}

Entry* Table::Find(uint64_t hash, std::string_view key) const {
  if (__builtin_expect(depth_ == 0, 1))
    return root_ == nullptr ? nullptr : ToSegment().Find(hash, key);
  return SegmentOf(hash).Find(hash, key);
}

void Table::Prefetch(uint64_t hash) const {
  const auto* buckets = static_cast<const Bucket*>(LoadRelaxed(root_));
  const uint32_t n = LoadRelaxed(bucket_count_);
  // With a directory n is 0, and the address is the directory's: not useful, not harmful.
  tidegate::Prefetch(buckets + (((Position(hash) >> 16) * n) >> 16));
}

template <typename Fn>
void Table::ForEachCandidate(uint64_t hash, Fn&& fn) const {
  if (root_ == nullptr) return;
  const Segment segment = depth_ == 0 ? ToSegment() : SegmentOf(hash);
  const uint32_t tag = segment.TagOf(hash);
  for (const uint64_t w : segment.buckets[segment.HomeOf(tag)].words) {
    // An empty word has the tag 0, too.
    if (word::Tag(w) == tag && word::Address(w) != nullptr) fn(word::Address(w));
  }
}

void Table::PrefetchEntry(uint64_t hash) const {
  ForEachCandidate(hash, [](const Entry* entry) { tidegate::Prefetch(entry); });
}

void Table::PrefetchValue(uint64_t hash) const {
  constexpr size_t kLineBytes = 64;
  ForEachCandidate(hash, [](const Entry* entry) {
    if (entry->embedded()) return;
    const char* value = entry->object<char>();
    tidegate::Prefetch(value);
    tidegate::Prefetch(value + kLineBytes);
  });
}

void Table::Insert(uint64_t hash, Entry* entry) {
  ++count_;
  if (__builtin_expect(depth_ != 0, 0)) return InsertLarge(hash, entry);
  Segment segment = ToSegment();
  --segment.count;
  if (root_ == nullptr) segment.Resize(1);
  Segment::Loose loose{segment.TagOf(hash), entry};
  while (!PlaceIn(segment, loose)) {
    if (segment.bucket_count >= SplitSize(segment, hash)) {
      FromSegment(segment);
      --count_;
      Split(hash);
      ++count_;
      return InsertLarge(KeyHash(loose.entry->key()), loose.entry);
    }
    segment.Resize(Segment::NextSize(segment.bucket_count));
  }
  FromSegment(segment);
}

void Table::InsertLarge(uint64_t hash, Entry* entry) {
  for (;;) {
    Segment& segment = SegmentOf(hash);
    Segment::Loose loose{segment.TagOf(hash), entry};
    if (PlaceIn(segment, loose)) return;
    if (loose.entry != entry) {
      entry = loose.entry;
      hash = KeyHash(entry->key());
    }
    if (segment.bucket_count >= SplitSize(segment, hash) && segment.depth < kDepthMax) {
      Split(hash);
    } else {
      segment.Resize(Segment::NextSize(segment.bucket_count));
    }
  }
}

// At how many buckets a segment splits: between half of kSegmentBuckets and all of it, differently
// for each segment. With one size for all, segments filled by evenly spread keys would all split at
// the same time, a thousand of them in a row.
uint32_t Table::SplitSize(const Segment& segment, uint64_t hash) const {
  const uint64_t prefix = segment.depth == 0 ? 0 : Position(hash) >> (32 - segment.depth);
  const uint64_t mixed =
      (reinterpret_cast<uintptr_t>(this) / 64 + prefix * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu;
  const auto share = static_cast<uint32_t>(mixed >> 40) & 0xff;
  return kSegmentBuckets / 2 + (kSegmentBuckets / 2 * share >> 8);
}

// Divides the segment of `hash` in two by its next position bit; doubles the directory when it has
// no bit left for that.
void Table::Split(uint64_t hash) {
  if (depth_ == 0) {
    auto** first = static_cast<Segment**>(MemoryAllocate(2 * sizeof(Segment*)));
    first[0] = first[1] = NewSegment(ToSegment());
    StoreRelaxed(bucket_count_, uint16_t{0});
    StoreRelaxed(root_, static_cast<void*>(first));
    depth_ = 1;
  }
  Segment* old = &SegmentOf(hash);
  if (old->depth == depth_) {
    const size_t entries = size_t{1} << depth_;
    auto** doubled = static_cast<Segment**>(MemoryAllocate(2 * entries * sizeof(Segment*)));
    for (size_t i = 0; i < entries; ++i) doubled[2 * i] = doubled[2 * i + 1] = directory()[i];
    MemoryFree(root_, entries * sizeof(Segment*));
    StoreRelaxed(root_, static_cast<void*>(doubled));
    ++depth_;
  }
  Segment halves[2];
  for (Segment& half : halves) {
    half.depth = old->depth + 1;
    half.Resize(Segment::SizeFor(old->count / 2));
  }
  // The one step that needs the entries themselves: their hashes are not kept.
  old->ForEachWord([](uint64_t w) { tidegate::Prefetch(word::Address(w)); });
  old->ForEachWord([&](uint64_t w) {
    Entry* entry = word::Address(w);
    const uint64_t entry_hash = KeyHash(entry->key());
    Segment& half = halves[(Position(entry_hash) >> (31 - old->depth)) & 1];
    Segment::Loose loose{half.TagOf(entry_hash), entry};
    while (!PlaceIn(half, loose)) half.Resize(Segment::NextSize(half.bucket_count));
  });
  // The directory entries of the old segment: a run whose length is what its depth leaves open.
  const uint32_t span = uint32_t{1} << (depth_ - old->depth);
  const uint32_t begin = (Position(hash) >> (32 - depth_)) & ~(span - 1);
  old->Release();
  *old = halves[0];
  Segment* upper = NewSegment(halves[1]);
  std::fill_n(directory() + begin + span / 2, span / 2, upper);
}

void Table::Replace(uint64_t hash, const Entry* old, Entry* fresh) {
  const Segment segment = depth_ == 0 ? ToSegment() : SegmentOf(hash);
  const Segment::Place place = segment.Locate(hash, old);
  uint64_t& w = place.bucket->words[place.index];
  w = word::Make(word::Tag(w), fresh, word::Distance(w));
}

void Table::Remove(uint64_t hash, const Entry* entry) {
  if (depth_ != 0) {
    Segment& segment = SegmentOf(hash);
    segment.Remove(hash, entry);
    --count_;
    if (count_ == 0) {
      Release();
    } else if (segment.bucket_count > 1 &&
               segment.count < Segment::CapacityOf(segment.bucket_count) / 3) {
      segment.Resize(Segment::SizeFor(segment.count));
    }
    return;
  }
  Segment segment = ToSegment();
  segment.Remove(hash, entry);
  --count_;
  if (count_ == 0) {
    segment.Release();
    segment.bucket_count = 0;
    FromSegment(segment);
  } else if (segment.bucket_count > 1 && count_ < Segment::CapacityOf(segment.bucket_count) / 3) {
    segment.Resize(Segment::SizeFor(count_));
    FromSegment(segment);
  }
}

void Table::Compact() {
  // A directory's segments are too big for slabs.
  const size_t bytes = bucket_count_ * sizeof(Bucket);
  if (depth_ == 0 && root_ != nullptr && MemoryIsSparse(root_, bytes))
    StoreRelaxed(root_, MemoryMove(root_, bytes));
}

uint32_t Table::Visit(uint32_t position, size_t wanted,
                      const std::function<void(Entry&)>& visit) const {
  if (count_ == 0) return 0;
  size_t seen = 0;
  for (;;) {
    const Segment segment = depth_ == 0 ? ToSegment() : *directory()[position >> (32 - depth_)];
    const uint32_t prefix = segment.depth == 0 ? 0 : position >> (32 - segment.depth);
    for (uint32_t home = segment.HomeOf(static_cast<uint32_t>(position << segment.depth) >> 16);
         home < segment.bucket_count;) {
      ForEachOfHome(segment, home, [&](uint64_t w) {
        visit(*word::Address(w));
        ++seen;
      });
      ++home;
      if (home < segment.bucket_count && seen >= wanted) {
        const uint64_t local = uint64_t{segment.FirstTagOf(home)} << 16;
        return static_cast<uint32_t>(((uint64_t{prefix} << 32) | local) >> segment.depth);
      }
    }
    // On to the next segment; past the last the position wraps to 0, which means through.
    if (segment.depth == 0) return 0;
    position = static_cast<uint32_t>((uint64_t{prefix} + 1) << (32 - segment.depth));
    if (position == 0 || seen >= wanted) return position;
  }
}

void Table::ForEach(const std::function<void(Entry&)>& visit) const {
  uint32_t position = 0;
  do {
    position = Visit(position, ~size_t{0}, visit);
  } while (position != 0);
}

void Table::VisitNear(uint32_t position, const std::function<void(Entry&)>& visit) const {
  if (root_ == nullptr) return;
  const uint64_t hash = uint64_t{position} << 32;
  const Segment segment = depth_ == 0 ? ToSegment() : SegmentOf(hash);
  ForEachOfHome(segment, segment.HomeOf(segment.TagOf(hash)),
                [&](uint64_t w) { visit(*word::Address(w)); });
}

void Table::Release() {
  if (root_ == nullptr) return;
  if (depth_ == 0) {
    Segment segment = ToSegment();
    segment.Release();
  } else {
    const size_t entries = size_t{1} << depth_;
    for (size_t i = 0; i < entries;) {
      Segment* segment = directory()[i];
      i += size_t{1} << (depth_ - segment->depth);
      segment->Release();
      MemoryFree(segment, sizeof(Segment));
    }
    MemoryFree(root_, entries * sizeof(Segment*));
  }
  StoreRelaxed(root_, static_cast<void*>(nullptr));
  StoreRelaxed(bucket_count_, uint16_t{0});
  depth_ = 0;
  count_ = 0;
  set_expires(0);
  set_fields_expire(false);
}

size_t Table::memory_bytes() const {
  if (root_ == nullptr) return 0;
  if (depth_ == 0) return MemoryRoundUp(bucket_count_ * sizeof(Bucket));
  const size_t entries = size_t{1} << depth_;
  size_t total = entries * sizeof(Segment*);
  for (size_t i = 0; i < entries;) {
    const Segment* segment = directory()[i];
    i += size_t{1} << (depth_ - segment->depth);
    total += MemoryRoundUp(segment->bucket_count * sizeof(Bucket)) + sizeof(Segment);
  }
  return total;
}

}  // namespace tidegate
