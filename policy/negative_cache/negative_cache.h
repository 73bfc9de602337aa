// NegativeCache: keys of one route that were looked up again and again and were not there.
//
//   nothing was read    Missed: the third time in ten seconds the key is known to be absent,
//                       for a time (ttl, +-20 %)
//   a read comes        IsAbsent: then it is answered here
//   a write of the key  BeginWrite before it is sent, EndWrite before its client hears of it
//
// What keeps a "nothing" that was read before a write from coming in after it: keys share sets of
// eight by their hash; a write counts in the set from its beginning to its end and changes the
// set's generation at both. What was read counts only if the set has the generation that it had
// when the read was sent, and no write is under way in it. So neither a read that was overtaken by
// a write, nor one that overtook it, leaves a trace. A write that may be of any key does the same
// to all sets at once, by one number.
//
// Why sets and not one table with a list by age: it is bounded by construction, a set has its own
// lock, and what has to go is looked for among eight. A flood of random keys pushes out others that
// are being counted, never one that is known, unless a set is full of these.
// Threads: any. Cost: a lock and a cache line for a read, twice that for a write.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/thread_annotations.h"
#include "hotkey/key_id.h"
#include "storage/request.h"

namespace tidegate {

// A key has to be missed so often in so long before it is known to be absent.
inline constexpr uint8_t kNegativeMisses = 3;
inline constexpr int64_t kNegativeWindowNanos = 10'000'000'000;
// For how much more or less than the ttl, so that what came together does not go together.
inline constexpr int64_t kNegativeSpreadPercent = 20;
// Longer keys are not remembered.
inline constexpr size_t kNegativeKeyBytesMax = 512;

class NegativeCache final {
 public:
  // `keys`: that it remembers at most, known or counted; rounded up to sets.
  NegativeCache(size_t keys, std::chrono::nanoseconds ttl);
  NegativeCache(const NegativeCache&) = delete;
  NegativeCache& operator=(const NegativeCache&) = delete;

  // What the writes of a key were when somebody looked.
  struct Version {
    uint64_t set = 0;
    uint64_t all = 0;
  };

  // Monotonic times. `version`: as of now, for Missed.
  bool IsAbsent(const KeyRef& key, hotkey::Keyspace keyspace, int64_t now_ns, Version& version);
  // A read that was sent when the version was this has found nothing.
  void Missed(std::string_view name, uint64_t hash, hotkey::Keyspace keyspace,
              const Version& version, int64_t now_ns);
  // By KeyHash of the name, in whatever database. One End for each Begin.
  void BeginWrite(uint64_t hash);
  void EndWrite(uint64_t hash);
  // A write that may be of any key.
  void BeginWriteOfAny();
  void EndWriteOfAny();

  // Keys known to be absent; walks through all sets.
  size_t CountAbsent(int64_t now_ns);
  size_t keys_max() const { return sets_ * kSetKeys; }

 private:
  struct Key {
    uint64_t hash = 0;
    hotkey::Keyspace keyspace = {};
    uint8_t misses = 0;   // 0: free
    bool absent = false;  // until that time; else counted since then
    int64_t time_ns = 0;
    uint64_t all = 0;  // writes of any key before it
    std::string name = {};
  };
  static constexpr size_t kSetKeys = 8;
  struct Set {
    Mutex mutex;
    uint32_t writes TG_GUARDED_BY(mutex) = 0;  // under way
    uint64_t version TG_GUARDED_BY(mutex) = 0;
    std::vector<Key> keys TG_GUARDED_BY(mutex) = {};  // empty until one is missed
  };

  Set& SetOf(uint64_t hash) {
    return table_[static_cast<size_t>(static_cast<unsigned __int128>(hash) * sets_ >> 64)];
  }
  // Whether it still says something.
  bool IsLive(const Key& key, int64_t now_ns) const;
  Key& PlaceIn(std::vector<Key>& keys, int64_t now_ns) const;
  int64_t TtlOf(uint64_t hash, int64_t now_ns) const;

  const size_t sets_;
  const int64_t ttl_ns_;
  const std::unique_ptr<Set[]> table_;
  std::atomic<uint64_t> all_{0};            // begun and ended writes of any key
  std::atomic<uint32_t> writes_of_any_{0};  // under way
};

}  // namespace tidegate
