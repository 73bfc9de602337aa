// EngineThread: what one thread carries with it when it works in the engine.
//
// Counters are written by their thread alone and read by any: a relaxed store instead of a locked
// add, no line shared by two writers. Sums are made when somebody asks. Database sizes are kept the
// same way, as differences: a key made by one worker and removed by another is +1 here and -1
// there. Owner: its thread, but for what is atomic.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "storage/cut/cut_queue.h"
#include "storage/engine.h"
#include "storage/eviction_pool.h"
#include "storage/fiber.h"
#include "storage/journal/effect_log.h"
#include "storage/keyspace/changed_keys.h"
#include "storage/size_watch.h"
#include "storage/value/value_object.h"
#include "storage/waiter.h"

namespace tidegate {

class Cut;

// What counts as now while records are applied: before all times at which anything expires.
inline constexpr int64_t kLoadingNowMs = 0;

// One writer, many readers.
class Counter final {
 public:
  void Add(int64_t n = 1) {
    const auto sum = static_cast<uint64_t>(value()) + static_cast<uint64_t>(n);  // may wrap
    value_.store(static_cast<int64_t>(sum), std::memory_order_relaxed);
  }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_{0};
};

// A keyspace notification.
struct KeyEvent {
  uint32_t event_class;    // one of notify::
  std::string_view event;  // "hset"; lives forever
  int db;
  std::string key;
};

// Difference that one thread made to the size of a database.
struct DbCounters {
  Counter keys;
  Counter expires;
  // Sum of the Unix times in seconds at which the keys expire, for their mean. Seconds, because the
  // sum of 10^9 keys fits then; a few absurd times may make it wrap, and it is right again when
  // they are gone.
  Counter expire_at_s;

  // A key got a time to live, or lost it.
  void AddExpiry(int64_t at_ms) {
    expires.Add();
    expire_at_s.Add(at_ms / 1000);
  }
  void RemoveExpiry(int64_t at_ms) {
    expires.Add(-1);
    expire_at_s.Add(-(at_ms / 1000));
  }
  void MoveExpiry(int64_t from_ms, int64_t to_ms) {
    expire_at_s.Add(to_ms / 1000 - from_ms / 1000);
  }
};

struct EngineCounters {
  Counter keyspace_hits;
  Counter keyspace_misses;
  Counter expired_keys;
  Counter expired_fields;  // of hashes
  Counter evicted_keys;
  Counter tier_evicted_keys;  // that are on disk alone now
  Counter tier_evicted_bytes;
  Counter eviction_waits;    // times that a request was told to wait for eviction
  Counter compaction_moves;  // allocations moved
  Counter changes;           // to any key, since the start: INFO's rdb_changes_since_last_save
  Counter lock_parks;
  Counter gate_closings;
  Counter expire_nanos;  // spent on looking for keys whose time is over
};

class alignas(64) EngineThread final {
 public:
  EngineThread(int index, int databases, Engine::WakeFn wake, void* wake_context)
      : dbs(static_cast<size_t>(databases)),
        index_(index),
        wake_(wake),
        wake_context_(wake_context) {}

  int index() const { return index_; }
  void Wake(uint64_t ticket) const {
    if (wake_ != nullptr) wake_(wake_context_, ticket);
  }

  // xorshift64*: for sampling, not for secrets.
  uint32_t Random() {
    random_ ^= random_ >> 12;
    random_ ^= random_ << 25;
    random_ ^= random_ >> 27;
    return static_cast<uint32_t>((random_ * 0x2545f4914f6cdd1du) >> 32);
  }

  // 1 while the thread works in the engine. A line of its own: the gate's closer reads it,
  // everybody else leaves it alone.
  alignas(64) std::atomic<uint32_t> in_engine{0};

  alignas(64) EngineCounters counters;
  std::vector<DbCounters> dbs;

  // Slots that an atomic section holds, sorted; none while it has the gate.
  std::vector<uint16_t> atomic_slots;

  // What the clients of this thread take: written by the thread at the end of a turn.
  std::atomic<uint64_t> client_bytes{0};

  // The batch that is being executed. wall_ms: the time of day, whatever now_ms is while records
  // are applied.
  int64_t now_ms = 0;
  int64_t wall_ms = 0;
  bool exclusive = false;       // this thread has the gate to itself
  bool lfu = false;             // the eviction policy wants frequencies, not times
  uint32_t notify_classes = 0;  // bits of notify:: that somebody may hear

  // The cut that is under way, for as long as the thread is in the engine (Engine::Enter), and what
  // the thread has encoded for it. Marks: of new entries, and of those that become dirty, also
  // without one.
  Cut* cut = nullptr;
  bool cut_mark = false;
  bool change_mark = false;
  PreservedEntries preserved;

  // Entries are marked as changed, for the next checkpoint (Engine::SetTracksChanges).
  bool tracks_changes = false;
  // Somebody wants to know before an entry is changed: the cut, or who tracks changes.
  bool guards_entries = false;
  ChangedKeys changed;  // by this thread, since the last checkpoint's cut
  // Ids of stored objects that no key has any more, since the last checkpoint's cut.
  std::vector<uint64_t> dead_objects;

  // What the execution under way has done to the data, where that is recorded.
  bool recording = false;
  // Records are applied: nothing expires, is evicted or notified of (record_applier.h).
  bool loading = false;
  EffectLog effects;

  // Told of keys that are big; off but in workers, and there where the options say so.
  SizeWatch sizes;

  bool in_transaction = false;  // between BeginAtomic and EndAtomic: nothing blocks, nothing yields

  // The handler asks to be run as a long command: CommandContext::RunLong.
  bool wants_long = false;
  // Long commands whose clients are gone, and stacks for the next ones.
  std::vector<std::shared_ptr<LongCommand>> abandoned;
  std::vector<std::unique_ptr<FiberStack>> stacks;

  // Keys that hold something blocked requests may want: served before the slots are unlocked.
  struct ReadyKey {
    int db;
    uint16_t slot;
    std::string name;
  };
  std::vector<ReadyKey> ready;

  // Delivered once the locks are gone: big values to free, requests to wake, keyspace
  // notifications.
  std::vector<ValueObject> frees;
  std::vector<Waiter> wakes;
  std::vector<KeyEvent> events;

  // Used memory without what this thread allocated, when it was last added up.
  int64_t used_elsewhere_bytes = 0;
  int64_t used_at_ms = 0;
  EvictionState eviction;

  // Where the background sweep goes on.
  uint32_t sweep_slot = 0;
  uint32_t sweep_position = 0;
  // And within a hash whose fields expire, when the turn ended there.
  struct FieldSweep {
    uint64_t key_hash = 0;
    uint64_t cursor = 0;
    int64_t earliest_ms = INT64_MAX;  // of the fields seen so far
  } field_sweep;

 private:
  int index_;
  Engine::WakeFn wake_;
  void* wake_context_;
  uint64_t random_ = 0x9e3779b97f4a7c15u + static_cast<uint64_t>(index_) * 0x100000001b3u;
};

inline void Engine::Record(EngineThread& thread) {
  if (__builtin_expect(thread.effects.pending(), 0)) AppendRecord(thread);
}

}  // namespace tidegate
