// Table: the keys of one slot and database.
//
// Buckets are cache lines of eight words; a word is 16 bits of the key's position, 45 bits of its
// entry's address (entries are 8-byte aligned), and how many buckets it was displaced:
//
//   63      48 47                                3 2      0
//   +---------+-----------------------------------+--------+
//   |   tag   |          entry address >> 3       |distance|
//   +---------+-----------------------------------+--------+
//
// A word of 0 is free. Words of a bucket are packed to the front.
//
// Position is the high half of the key's hash. The tag is its first 16 bits within the segment, and
// the home bucket follows from the tag alone: home = tag * buckets >> 16. So buckets are in hash
// order (SCAN's order), a miss rarely touches an entry, and growing moves words without touching a
// single entry: that is what lets tables grow by 1.25x at a time and stay between 0.72 and 0.9 full
// at any size, which is half of the memory per key. A full home bucket passes its newcomer on to
// the next (linear probing by bucket); a search goes on only while buckets are full, and a removal
// moves displaced words back, so there are no tombstones.
//
// Big tables are split into segments of at most kSegmentBuckets buckets by the leading bits of the
// position (extendible hashing: Fagin et al., TODS 1979), so that the longest step of growth is one
// segment, about 1,800 keys, even when ten million keys share one hash tag. Most slots never need
// it: their single segment is held in place. Owner: the slot; every call needs its lock, but
// Prefetch, which only computes an address.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "storage/keyspace/entry.h"

namespace tidegate {

struct Bucket;
struct Segment;

class Table final {
 public:
  // The entry of the key, or null.
  Entry* Find(uint64_t hash, std::string_view key) const;

  // Brings the home bucket's line near. Without the lock: a stale answer costs time only.
  void Prefetch(uint64_t hash) const;

  // The second step, with the lock: looks into the home bucket and brings the entry near that the
  // key probably has.
  void PrefetchEntry(uint64_t hash) const;

  // The third, once the entry is near: what a collection's value begins with.
  void PrefetchValue(uint64_t hash) const;

  // Adds an entry whose key is absent.
  void Insert(uint64_t hash, Entry* entry);

  // Puts `fresh` in the place of `old`, which must be there under the same key.
  void Replace(uint64_t hash, const Entry* old, Entry* fresh);

  // Takes the entry out; it must be there. Does not free it.
  void Remove(uint64_t hash, const Entry* entry);

  // Moves the buckets to where memory is denser, when they lie where it is sparse (memory.h).
  void Compact();

  // See Keyspace::Visit. Order: position. The visitor must not change the table.
  uint32_t Visit(uint32_t position, size_t wanted, const std::function<void(Entry&)>& visit) const;
  void ForEach(const std::function<void(Entry&)>& visit) const;
  // The entries that share a home bucket with this position.
  void VisitNear(uint32_t position, const std::function<void(Entry&)>& visit) const;

  // Frees buckets and directory, not the entries.
  void Release();

  uint32_t count() const { return count_; }
  // Without the lock, for a guess.
  bool seems_empty() const { return __atomic_load_n(&root_, __ATOMIC_RELAXED) == nullptr; }
  // These two may be read without the lock, for a guess.
  uint32_t expires() const { return __atomic_load_n(&expires_, __ATOMIC_RELAXED); }
  void set_expires(uint32_t expires) { __atomic_store_n(&expires_, expires, __ATOMIC_RELAXED); }
  // Whether a hash in here may have fields that expire: set by whoever gives them a time, taken
  // back by a sweep that finds none.
  bool fields_expire() const { return __atomic_load_n(&fields_expire_, __ATOMIC_RELAXED); }
  void set_fields_expire(bool expire) {
    __atomic_store_n(&fields_expire_, expire, __ATOMIC_RELAXED);
  }
  bool may_expire() const { return expires() > 0 || fields_expire(); }
  // No entry of the table, and no field of a hash, expires before this (seconds of Unix time). Kept
  // by whoever sets and sweeps expiries.
  uint32_t expiry_hint_s() const { return __atomic_load_n(&expiry_hint_s_, __ATOMIC_RELAXED); }
  void set_expiry_hint_s(uint32_t at) { __atomic_store_n(&expiry_hint_s_, at, __ATOMIC_RELAXED); }
  // Also without the lock.
  void LowerExpiryHint(uint32_t at) {
    uint32_t hint = expiry_hint_s();
    while (at < hint && !__atomic_compare_exchange_n(&expiry_hint_s_, &hint, at, /*weak=*/true,
                                                     __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
  }

  // Bytes of buckets and directory.
  size_t memory_bytes() const;

 private:
  // Calls fn for entries of the home bucket that probably have a key of this hash.
  template <typename Fn>
  void ForEachCandidate(uint64_t hash, Fn&& fn) const;
  Segment ToSegment() const;
  void FromSegment(const Segment& segment);
  Segment** directory() const { return static_cast<Segment**>(root_); }
  Segment& SegmentOf(uint64_t hash) const;
  void InsertLarge(uint64_t hash, Entry* entry);
  void Split(uint64_t hash);
  uint32_t SplitSize(const Segment& segment, uint64_t hash) const;

  void* root_ = nullptr;  // depth 0: the buckets; else the directory of 2^depth_ segments
  uint32_t count_ = 0;
  uint32_t expires_ = 0;
  uint32_t expiry_hint_s_ = 0;
  uint16_t bucket_count_ = 0;  // depth 0
  uint8_t depth_ = 0;
  bool fields_expire_ = false;
};
static_assert(sizeof(Table) == 24);

}  // namespace tidegate
