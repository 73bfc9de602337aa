// SpaceSaving: which keys had the most accesses, in as much memory as the keys one wants to know.
// Why not exact counts: keys are unbounded. Why not a Count-Min sketch: it knows counts, but not
// whose.
//
// There are `capacity` counters. A key that has none takes over the one with the lowest count, and
// that count with it, as its `error`: so a key's true count lies in [count - error, count], and who
// has more than total/capacity accesses has a counter for certain.
//
//   buckets, by count:  [1]--[2]--[5]--[90]      the counters of a bucket are a list; a count that
//                        |    |    |     |       grows moves its counter to the next bucket, so
//                       a,b   c   d,e    f       the lowest is at hand: O(1), no heap
//
// A name is copied at a key's second access since it has its counter: most keys have one only, and
// who had but one is no candidate for anything. Names are cut to kNameBytesMax.
// Invariant: the sum of counts is that of the weights added since Clear. Owner: one thread at a
// time. Cost of Add: 10 to 40 ns (a weight above 1 walks over the buckets that it passes); memory
// 200 bytes a counter, touched as they are used. Source: Metwally, Agrawal, El Abbadi, "Efficient
// Computation of Frequent and Top-k Elements in Data Streams", ICDT 2005.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "hotkey/key_id.h"

namespace tidegate::hotkey {

// Bytes of a key's name that are kept, for people: a key is told apart by its id.
inline constexpr size_t kNameBytesMax = 128;
// Counters of one summary: numbers of counters and of buckets are 16 bits, one of them is "none".
inline constexpr size_t kCountersMax = 32'768;

// A name, or as much of it as is kept.
class KeptName final {
 public:
  void Set(std::string_view name);
  void Clear() { kept_ = 0, whole_bytes_ = 0; }
  std::string_view view() const { return {bytes_.data(), kept_}; }
  // Of the whole name; more than view() has: it was cut.
  uint32_t whole_bytes() const { return whole_bytes_; }

 private:
  uint32_t whole_bytes_ = 0;
  uint16_t kept_ = 0;
  std::array<char, kNameBytesMax> bytes_;  // the first kept_ of them
};

class SpaceSaving final {
 public:
  // 2 .. kCountersMax.
  explicit SpaceSaving(size_t capacity);

  // `weight`: as if added so often; above 0. A name may be empty: who knows it later says it then.
  void Add(KeyId id, Keyspace keyspace, std::string_view name, uint32_t weight = 1);
  // The same for a key that has a counter; false: it has none, and nothing happened.
  bool AddToExisting(KeyId id, std::string_view name, uint32_t weight = 1);
  void Clear();

  size_t capacity() const { return counters_.size(); }
  size_t size() const { return size_; }
  uint64_t total() const { return total_; }

  struct Entry {
    KeyId id = 0;
    Keyspace keyspace = {};
    uint32_t count = 0;
    uint32_t error = 0;
    // Empty: it had one access since it has its counter.
    const KeptName* name = nullptr;

    uint32_t at_least() const { return count - error; }
  };
  // Calls fn(const Entry&) for all, those with the highest counts first.
  template <typename Fn>
  void ForEach(Fn&& fn) const {
    for (uint16_t bucket = highest_; bucket != kNone; bucket = buckets_[bucket].lower) {
      for (uint16_t at = buckets_[bucket].first; at != kNone; at = counters_[at].next)
        fn(EntryAt(at, buckets_[bucket].count));
    }
  }

 private:
  static constexpr uint16_t kNone = UINT16_MAX;

  struct Counter {
    KeyId id = 0;
    uint32_t error = 0;
    Keyspace keyspace = {};
    uint16_t bucket = kNone;
    uint16_t next = kNone;  // in its bucket
    uint16_t previous = kNone;
    bool named = false;
  };
  struct Bucket {
    uint32_t count = 0;
    uint16_t first = kNone;
    uint16_t higher = kNone;
    uint16_t lower = kNone;
  };

  Entry EntryAt(uint16_t at, uint32_t count) const {
    const Counter& counter = counters_[at];
    return {.id = counter.id,
            .keyspace = counter.keyspace,
            .count = count,
            .error = counter.error,
            .name = &names_[at]};
  }
  // The place in index_ of the id, or the free one where it belongs.
  size_t FindPlace(KeyId id) const;
  void AddTo(uint16_t at, std::string_view name, uint32_t weight);
  void EraseFromIndex(KeyId id);
  uint16_t TakeLowest();
  void Increase(uint16_t at, uint32_t by);
  void LinkInto(uint16_t bucket, uint16_t at);
  void Unlink(uint16_t at);
  // An empty one, between those two.
  uint16_t MakeBucket(uint32_t count, uint16_t lower, uint16_t higher);
  void RemoveBucket(uint16_t bucket);

  std::vector<Counter> counters_;
  std::vector<KeptName> names_;  // of the counters; apart, for most are never looked at
  std::vector<Bucket> buckets_;
  std::vector<uint16_t> free_buckets_;
  std::vector<uint16_t> index_;  // open addressing over counters
  size_t index_mask_;
  size_t size_ = 0;
  uint64_t total_ = 0;
  uint16_t lowest_ = kNone;
  uint16_t highest_ = kNone;
};

}  // namespace tidegate::hotkey
