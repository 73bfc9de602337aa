// Tier: data larger than memory. Eviction drops entries from memory that are on disk as they stand;
// they come back when somebody asks for them, as after a restart (cold/residency.h).
//
//   memory   dirty ──────── a checkpoint ────────> clean
//              ^                                     │ eviction
//              │ written to                          v
//              └── in memory <── a load ──────── on disk alone
//
// Clean is what has a record on disk, has not changed since that was written, and is not part of a
// checkpoint that may still fail. Only what is clean may leave, for nothing has to be written then:
// no eviction waits for the disk. It leaves without a trace: no DEL is recorded, nobody is
// notified, the key counts as before. What stays although it is clean: what is pinned
// (cold_pins.h), keys that somebody watches or waits at (what becomes of them has to be seen), and,
// while a snapshot goes on, what that has not had yet.
//
// When nothing clean is found a checkpoint is asked for, and requests that need memory wait until
// it has ended; no lock is held meanwhile. They are refused (-OOM) when checkpoints fail, or when
// kBarrenCheckpointsMax in a row have brought nothing that may leave. Checkpoints come early enough
// that this is rare: dirty bytes are kept to a part of maxmemory (kDirtyPart).
//
// Threads: what is said of an entry needs its slot's lock, the rest any. Owner: Engine, which has
// none when data stays in memory. Alternatives: writing a victim out when it leaves makes eviction
// wait for the disk, or needs a buffer that is memory again; a second copy of the index in memory
// costs 40 bytes for each key that is not there, and RocksDB's filters answer nearly as well.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/thread_annotations.h"
#include "storage/waiter.h"

namespace tidegate {

class EngineThread;
class Entry;
class Keyspace;
struct KeyRef;
class Residency;

// The part of maxmemory that changes may make up before a checkpoint is due.
inline constexpr uint64_t kDirtyPart = 8;
// The part of maxmemory that blocks read from disk take at most; and how few that may be.
inline constexpr uint64_t kStoreCachePart = 16;
inline constexpr Bytes kStoreCacheBytesMin = 4_MiB;

// Checkpoints in a row that were asked for and brought nothing: then memory is full of what cannot
// leave.
inline constexpr int kBarrenCheckpointsMax = 3;
// Then one is asked for no more often than this.
inline constexpr int64_t kBarrenAskNanos = 1'000'000'000;

// After a search that found nothing the next one of the same thread comes no sooner.
inline constexpr int64_t kBarrenSearchNanos = 5'000'000;

// A request that holds more than this goes over the limit rather than wait for itself.
inline constexpr size_t kHoldTargetsMax = 64;

// Seconds since its last use below which an entry is passed over where the policy is not about use;
// and how many are passed over for one victim.
inline constexpr uint32_t kFreshSeconds = 2;
inline constexpr int kFreshPassedMax = 16;

struct TierStats {
  uint64_t checkpoints_asked = 0;
  uint64_t checkpoint_waits = 0;  // requests that waited for one
};

class Tier final {
 public:
  Tier(Keyspace& keyspace, Residency& residency) : keyspace_(keyspace), residency_(residency) {}
  Tier(const Tier&) = delete;
  Tier& operator=(const Tier&) = delete;

  // Who makes a checkpoint soon, from any thread; before the first command.
  using AskFn = void (*)(void* context);
  void SetCheckpointRequest(AskFn ask, void* context) {
    ask_ = ask;
    ask_context_ = context;
  }

  // Commands are served from here on. Before that records are applied, whose keys are brought into
  // memory for them, and nothing leaves.
  void BeginServing() { serving_.store(true, std::memory_order_release); }
  bool serving() const { return serving_.load(std::memory_order_acquire); }

  // With the gate, when a checkpoint's cut begins; and when it is known what became of it.
  void CheckpointBegins();
  void CheckpointEnded(bool succeeded);

  // With the slot's lock. Whether the entry is on disk as it stands, and its key not in use.
  bool IsClean(const EngineThread& thread, uint16_t slot, const Entry& entry) const;
  // Whether somebody watches the key or waits at it.
  bool IsAwaited(int db, const KeyRef& key) const;
  // Something has left.
  void NoteVictim() {
    if (barren_.load(std::memory_order_relaxed) != 0) barren_.store(0, std::memory_order_relaxed);
  }

  // Nothing clean was found. False: no checkpoint would help.
  bool AskForCheckpoint();
  // Checkpoints that have ended.
  uint64_t ended() const { return ended_.load(std::memory_order_acquire); }
  // Wakes the waiter when another one has. False: it has already.
  bool Await(const Waiter& waiter, uint64_t seen_ended);
  void Forget(const Waiter& waiter);
  // There is room.
  void WakeWaiters();

  TierStats Stats() const {
    return {asks_.load(std::memory_order_relaxed), waits_.load(std::memory_order_relaxed)};
  }

 private:
  // Of entries that the last checkpoint has written.
  enum class Flight : uint8_t { kLanded, kUnknown, kFailed };

  Keyspace& keyspace_;
  Residency& residency_;
  AskFn ask_ = nullptr;
  void* ask_context_ = nullptr;
  std::atomic<Flight> flight_{Flight::kLanded};
  bool failed_before_ = false;  // written with the gate: of the checkpoint before that one
  std::atomic<bool> serving_{false};
  std::atomic<bool> asked_{false};
  std::atomic<bool> serves_{false};  // the one under way was asked for
  std::atomic<int> barren_{0};
  std::atomic<int64_t> asked_nanos_{0};
  std::atomic<uint64_t> ended_{0};
  std::atomic<uint64_t> asks_{0};
  std::atomic<uint64_t> waits_{0};
  std::atomic<bool> any_waiters_{false};
  Mutex mutex_;
  std::vector<Waiter> waiters_ TG_GUARDED_BY(mutex_);
};

}  // namespace tidegate
