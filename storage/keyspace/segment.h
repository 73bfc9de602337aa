// Segment: an array of buckets, and everything that happens inside it. The part of Table that knows
// words and homes.
//
// Plain functions over a small struct, because a table with one segment holds its fields in place
// (table.h). Invariant: if an entry with home h lies in bucket h+d, buckets h .. h+d-1 are full.
// Distances are at most kDistanceMax.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "storage/keyspace/entry.h"

namespace tidegate {

inline constexpr uint32_t kBucketWords = 8;
inline constexpr uint32_t kDistanceMax = 7;
// Buckets at which a segment splits instead of growing. 256 buckets are at most 1,843 keys: one
// growth step of 10-20 us.
inline constexpr uint32_t kSegmentBuckets = 256;
// Leading bits a directory can use: the tag needs the other 16 of a position's 32.
inline constexpr uint32_t kDepthMax = 16;

struct alignas(64) Bucket {
  uint64_t words[kBucketWords];
  bool full() const { return words[kBucketWords - 1] != 0; }
};

namespace word {

inline constexpr uint64_t kAddressMask = 0x0000fffffffffff8;
inline uint64_t Make(uint32_t tag, const Entry* entry, uint32_t distance) {
  return (uint64_t{tag} << 48) | reinterpret_cast<uintptr_t>(entry) | distance;
}
inline uint32_t Tag(uint64_t w) { return static_cast<uint32_t>(w >> 48); }
inline Entry* Address(uint64_t w) { return reinterpret_cast<Entry*>(w & kAddressMask); }
inline uint32_t Distance(uint64_t w) { return static_cast<uint32_t>(w & 7); }

}  // namespace word

struct Segment {
  Bucket* buckets = nullptr;
  uint32_t bucket_count = 0;
  uint32_t count = 0;
  uint32_t depth = 0;  // leading position bits that all its keys share

  // Keys that `n` buckets may hold before the segment grows: 90%, and a little more when it is
  // tiny.
  static constexpr uint32_t CapacityOf(uint32_t n) {
    return n <= 1 ? n * 8 : n * 8 - (n * 8 + 9) / 10;
  }

  // First 16 bits of the position behind the shared ones.
  uint32_t TagOf(uint64_t hash) const {
    const auto position = static_cast<uint32_t>(hash >> 32);
    return static_cast<uint32_t>(position << depth) >> 16;
  }
  uint32_t HomeOf(uint32_t tag) const { return (tag * bucket_count) >> 16; }
  // First tag whose home is `home` or later.
  uint32_t FirstTagOf(uint32_t home) const {
    return ((home << 16) + bucket_count - 1) / bucket_count;
  }
  uint32_t Next(uint32_t bucket) const { return bucket + 1 == bucket_count ? 0 : bucket + 1; }

  // Where a word is: the bucket and the index in it.
  struct Place {
    Bucket* bucket = nullptr;
    uint32_t index = 0;
  };
  Entry* Find(uint64_t hash, std::string_view key) const;
  Place Locate(uint64_t hash, const Entry* entry) const;

  // A word on its way to a place: what Insert could not place, when it fails.
  struct Loose {
    uint32_t tag = 0;
    Entry* entry = nullptr;
  };
  // Robin Hood: a newcomer that was displaced further takes the place of a word that was displaced
  // less, which moves on instead. Distances stay even, so that 90% of a segment can be used (first
  // come, first served ends at 75%). False when something would go further than kDistanceMax:
  // `loose` then names what has no place, which may be another entry than the one that came. Does
  // not look at the capacity.
  bool TryInsert(Loose& loose);
  void Remove(uint64_t hash, const Entry* entry);

  // Gives it another number of buckets, enough for the keys it has (more, if they do not fit). No
  // entry is touched.
  void Resize(uint32_t bucket_count_wanted);
  void Release();

  // The next size up and a size that fits `keys` at about three quarters.
  static uint32_t NextSize(uint32_t bucket_count);
  static uint32_t SizeFor(uint32_t keys);

  template <typename Fn>
  void ForEachWord(Fn&& fn) const {
    for (uint32_t b = 0; b < bucket_count; ++b) {
      for (uint32_t i = 0; i < kBucketWords && buckets[b].words[i] != 0; ++i)
        fn(buckets[b].words[i]);
    }
  }
};

}  // namespace tidegate
