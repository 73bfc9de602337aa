#include "storage/keyspace/segment.h"

#include <algorithm>
#include <cstring>

#include "storage/memory/memory.h"

namespace tidegate {
namespace {

// One by one up to 16 buckets, which the slab classes hold exactly; then by at most 1.25x, at sizes
// that malloc holds without rounding.
constexpr uint32_t kSizes[] = {1,  2,  3,  4,  5,   6,   7,   8,   9,   10, 11,
                               12, 13, 14, 15, 16,  20,  24,  28,  32,  40, 48,
                               56, 64, 80, 96, 112, 128, 160, 192, 224, 256};

Bucket* AllocateBuckets(uint32_t n) {
  auto* buckets = static_cast<Bucket*>(MemoryAllocate(n * sizeof(Bucket)));
  std::memset(static_cast<void*>(buckets), 0, n * sizeof(Bucket));
  return buckets;
}

template <typename Word>
bool SameWord(const char* a, const char* b) {
  Word words[2];
  std::memcpy(&words[0], a, sizeof(Word));
  std::memcpy(&words[1], b, sizeof(Word));
  return words[0] == words[1];
}

// The first and the last word, which overlap where a key is short, are most of most keys: a call
// for them costs more than they do.
bool SameKey(const Entry& entry, std::string_view key) {
  const std::string_view mine = entry.key();
  const size_t size = key.size();
  if (mine.size() != size) return false;
  const char* const a = mine.data();
  const char* const b = key.data();
  constexpr size_t kWord = sizeof(uint64_t);
  if (size >= kWord) {
    if (!SameWord<uint64_t>(a, b) || !SameWord<uint64_t>(a + size - kWord, b + size - kWord))
      return false;
    return size <= 2 * kWord || std::memcmp(a + kWord, b + kWord, size - 2 * kWord) == 0;
  }
  constexpr size_t kHalf = sizeof(uint32_t);
  if (size >= kHalf)
    return SameWord<uint32_t>(a, b) && SameWord<uint32_t>(a + size - kHalf, b + size - kHalf);
  return std::memcmp(a, b, size) == 0;
}

}  // namespace

Entry* Segment::Find(uint64_t hash, std::string_view key) const {
  const uint32_t tag = TagOf(hash);
  uint32_t b = HomeOf(tag);
  for (uint32_t distance = 0; distance <= kDistanceMax && distance < bucket_count; ++distance) {
    const Bucket& bucket = buckets[b];
    for (uint64_t w : bucket.words) {
      if (word::Tag(w) == tag) {
        Entry* entry = word::Address(w);
        if (entry != nullptr && SameKey(*entry, key)) return entry;
      }
    }
    if (!bucket.full()) return nullptr;
    b = Next(b);
  }
  return nullptr;
}

Segment::Place Segment::Locate(uint64_t hash, const Entry* entry) const {
  uint32_t b = HomeOf(TagOf(hash));
  for (uint32_t distance = 0; distance <= kDistanceMax; ++distance) {
    for (uint32_t i = 0; i < kBucketWords; ++i) {
      if (word::Address(buckets[b].words[i]) == entry) return {&buckets[b], i};
    }
    b = Next(b);
  }
  TG_CHECK(false);  // the caller has the entry from this table
}

bool Segment::TryInsert(Loose& loose) {
  uint32_t b = HomeOf(loose.tag);
  for (uint32_t distance = 0; distance <= kDistanceMax && distance < bucket_count; ++distance) {
    Bucket& bucket = buckets[b];
    if (!bucket.full()) {
      uint32_t i = 0;
      while (bucket.words[i] != 0) ++i;
      bucket.words[i] = word::Make(loose.tag, loose.entry, distance);
      ++count;
      return true;
    }
    uint64_t* nearest = &bucket.words[0];
    for (uint64_t& w : bucket.words) {
      if (word::Distance(w) < word::Distance(*nearest)) nearest = &w;
    }
    const uint64_t w = *nearest;
    if (word::Distance(w) < distance) {
      *nearest = word::Make(loose.tag, loose.entry, distance);
      loose = {word::Tag(w), word::Address(w)};
      distance = word::Distance(w);
    }
    b = Next(b);
  }
  return false;
}

void Segment::Remove(uint64_t hash, const Entry* entry) {
  const Place place = Locate(hash, entry);
  Bucket* bucket = place.bucket;
  auto hole = static_cast<uint32_t>(bucket - buckets);
  --count;
  bool was_full = bucket->full();
  uint32_t last = kBucketWords - 1;
  while (bucket->words[last] == 0) --last;
  bucket->words[place.index] = bucket->words[last];
  bucket->words[last] = 0;
  // The hole breaks the invariant for words that were pushed past it. Move back the nearest one;
  // that leaves a hole in its bucket, and so on, until a bucket that had room anyway.
  while (was_full) {
    uint32_t from = hole;
    bool moved = false;
    for (uint32_t step = 1; step <= kDistanceMax && step < bucket_count && !moved; ++step) {
      from = Next(from);
      Bucket& source = buckets[from];
      const bool source_full = source.full();
      for (uint32_t i = kBucketWords; i-- > 0;) {
        const uint64_t w = source.words[i];
        if (w == 0 || word::Distance(w) < step) continue;
        bucket->words[kBucketWords - 1] = w - step;
        uint32_t end = kBucketWords - 1;
        while (source.words[end] == 0) --end;
        source.words[i] = source.words[end];
        source.words[end] = 0;
        bucket = &source;
        hole = from;
        was_full = source_full;
        moved = true;
        break;
      }
      if (!moved && !source_full) return;
    }
    if (!moved) return;
  }
}

void Segment::Resize(uint32_t bucket_count_wanted) {
  const Segment old = *this;
  for (uint32_t n = bucket_count_wanted;; n = NextSize(n)) {
    bucket_count = n;
    buckets = AllocateBuckets(n);
    count = 0;
    bool fits = true;
    old.ForEachWord([&](uint64_t w) {
      Loose loose{word::Tag(w), word::Address(w)};
      fits = fits && TryInsert(loose);
    });
    if (fits) break;
    Release();
  }
  Segment gone = old;
  gone.Release();
}

void Segment::Release() {
  if (buckets != nullptr) MemoryFree(buckets, bucket_count * sizeof(Bucket));
  buckets = nullptr;
}

uint32_t Segment::NextSize(uint32_t bucket_count) {
  const auto* size = std::upper_bound(std::begin(kSizes), std::end(kSizes), bucket_count);
  return size != std::end(kSizes) ? *size : bucket_count + bucket_count / 4;
}

uint32_t Segment::SizeFor(uint32_t keys) {
  uint32_t n = 1;
  while (CapacityOf(n) * 4 < keys * 5 - keys / 4) n = NextSize(n);
  return n;
}

}  // namespace tidegate
