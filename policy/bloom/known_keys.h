// KnownKeys: a Bloom filter of the keys of one route that exist, which is built anew while it is
// asked.
//
//   writes seen --> Add --> current  <-- Ask: absent, or not; nothing while it is not complete
//                     +---> next     <-- AddFound <-- a scan, or a file
//                                        EndBuild: next is current now
//
// It may call a key absent only if it has seen all that exist. So it is complete when a build has
// come to its end, every write since its beginning having been added, before it was sent and again
// before its client heard of it: what the scan came too early for is in it by then. Lose() says
// that keys may have been made that nobody named (a script): it is not complete until another
// build, begun after that, is through. The same when it is full, as it errs too often then. Keys
// that were deleted stay in it until it is built anew: then it says too little, never too much.
//
// Locks: writers and askers take one of 64 by the key's hash, each of which has pointers of its own
// to the filters; a change of filters goes through all of them. So nobody waits for anybody, and no
// filter goes while somebody looks into it. Threads: any; one builds at a time.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/thread_annotations.h"
#include "policy/bloom/blocked_bloom.h"

namespace tidegate {

// A filter is made for half as many keys again as there are, and is built anew when so large a part
// of it has been deleted.
inline constexpr double kBloomRoom = 1.5;
inline constexpr double kBloomDeadMax = 0.2;
// But for fewer deletions than that nothing is built.
inline constexpr uint64_t kBloomDeadMin = 1000;
// Keys of one route: 150 MB a filter, and there are two while one is built.
inline constexpr size_t kBloomKeysMax = 100'000'000;
// What a first filter is made for at least.
inline constexpr size_t kBloomKeysMin = 1024;

class KnownKeys final {
 public:
  enum class Answer : uint8_t { kUnknown, kMayExist, kAbsent };

  KnownKeys();
  KnownKeys(const KnownKeys&) = delete;
  KnownKeys& operator=(const KnownKeys&) = delete;

  // By their KeyHash. `cluster`: whose key it is, a number of hotkey::Keyspace.
  void Add(uint64_t hash);
  Answer Ask(uint64_t hash, uint16_t cluster) const;
  // So many keys were named by commands that delete.
  void NoteDeleted(uint64_t keys) { deleted_.fetch_add(keys, std::memory_order_relaxed); }
  // Keys may have been made that nobody named.
  void Lose() TG_EXCLUDES(build_mutex_);

  // --- who builds ---
  static constexpr uint32_t kEveryCluster = UINT32_MAX;
  // From now on writes are added to the next filter, too. `keys`: that there will be, about.
  void BeginBuild(size_t keys) TG_EXCLUDES(build_mutex_);
  void AddFound(uint64_t hash);
  // Whether the filter that is built has no room left: it is of no use.
  bool build_is_full() const;
  // All keys of `cluster` were found (of all: of kEveryCluster). False: keys were lost since it
  // began, or it is full.
  bool EndBuild(uint32_t cluster) TG_EXCLUDES(build_mutex_);
  void DropBuild() TG_EXCLUDES(build_mutex_);

  // --- for any thread ---
  bool complete() const { return complete_.load(std::memory_order_acquire); }
  // Whether it should be built anew, whatever its age.
  bool WantsBuild() const;
  // Of the current filter: keys in it, keys it is made for, the part of absent keys that it does
  // not know for absent.
  size_t size() const { return current_size(); }
  size_t capacity() const { return capacity_.load(std::memory_order_relaxed); }
  double false_positive_rate() const;
  uint64_t builds() const { return builds_.load(std::memory_order_relaxed); }

 private:
  static constexpr size_t kLanes = 64;
  struct alignas(64) Lane {
    mutable Mutex mutex;
    std::shared_ptr<BlockedBloom> current TG_GUARDED_BY(mutex);
    std::shared_ptr<BlockedBloom> next TG_GUARDED_BY(mutex);
  };

  Lane& LaneOf(uint64_t hash) { return lanes_[hash % kLanes]; }
  const Lane& LaneOf(uint64_t hash) const { return lanes_[hash % kLanes]; }
  std::shared_ptr<BlockedBloom> Next() const;
  void SetNext(const std::shared_ptr<BlockedBloom>& next);
  size_t current_size() const;

  std::array<Lane, kLanes> lanes_;
  Mutex build_mutex_;
  uint64_t losses_ TG_GUARDED_BY(build_mutex_) = 0;
  uint64_t losses_at_begin_ TG_GUARDED_BY(build_mutex_) = 0;
  std::atomic<bool> complete_{false};
  std::atomic<bool> full_{false};
  std::atomic<uint32_t> cluster_{kEveryCluster};
  std::atomic<size_t> capacity_{0};
  std::atomic<uint64_t> deleted_{0};
  std::atomic<uint64_t> builds_{0};
};

// What a filter of so many keys calls present of what is absent, if it is made for `capacity`.
double BloomErrorRate(size_t keys, size_t capacity);

}  // namespace tidegate
