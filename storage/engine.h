// Engine: the built-in, multi-threaded, Redis-compatible in-memory store.
//
//   worker thread                                            any other thread
//     EngineThread (its counters, allocator cache, gate flag)   EngineThread of its own
//       BeginBatch ── Prefetch(batch) ── Execute … Execute ── EndBatch
//
// The keyspace is 16384 slots, each with its own lock word and tables. Execute locks the slots of a
// command all or nothing; when one is busy it lets go of all, parks the request at that slot and
// returns kSuspended: nothing ever waits inside a loop callback, and no request holds one lock
// while it wants another, so there is no deadlock by construction. Whoever unlocks a slot wakes
// what is parked there, through the waiter's thread. The request is then executed again from the
// start. After kLockRoundsMax rounds a request takes the exclusive gate instead, so that nobody
// starves.
//
// The gate: every thread that works in the engine says so in a cache line of its own from
// BeginBatch to EndBatch. A command over the whole keyspace closes the gate, waits (suspended)
// until all lines are clear, runs alone, and opens it.
//
// Under slot locks there is only computation. Frees of big values, wake-ups and notifications go to
// lists of the thread and are delivered after unlock. What was done to the data goes to the effect
// sink before it, when there is one (journal/effect_log.h).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/reply_writer.h"
#include "base/result.h"
#include "base/thread_annotations.h"
#include "storage/command.h"
#include "storage/cut/changed_slots.h"
#include "storage/dead_records.h"
#include "storage/eviction_pool.h"
#include "storage/request.h"
#include "storage/watch.h"

namespace tidegate {

struct BlockedRequest;
class ColdHold;
class ColdLoader;
class ColdSource;
struct ColdStart;
struct ColdStats;
struct ColdTarget;
class ColdWait;
class Compaction;
class Cut;
class CutQueue;
class EffectSink;
class EngineThread;
struct KeyEvent;
class Keyspace;
class SlotSet;
class LazyFreer;
class LongCommand;
class Residency;
class SlotParking;
class ExclusiveGate;
class Tier;

// Rounds of failed locking after which a request takes the exclusive gate.
inline constexpr int kLockRoundsMax = 8;

// Threads that AddThread may make known: workers, and the few of the process itself.
inline constexpr size_t kEngineThreadsMax = kWorkersMax + 16;

enum class EvictionPolicy : uint8_t {
  kNoEviction,
  kAllKeysLru,
  kVolatileLru,
  kAllKeysLfu,
  kVolatileLfu,
  kAllKeysRandom,
  kVolatileRandom,
  kVolatileTtl,
};

// What became of an attempt to make room within maxmemory.
enum class Room : uint8_t {
  kYes,    // go on
  kNo,     // nothing may be evicted: refuse
  kLater,  // too much is used and making room takes longer than this turn may
};

// What CONFIG SET can change while the engine runs. Plain atomics: read without order, one by one.
struct EngineSettings {
  std::atomic<uint64_t> maxmemory_bytes{0};
  std::atomic<EvictionPolicy> maxmemory_policy{EvictionPolicy::kNoEviction};
  std::atomic<uint64_t> string_bytes_max{kStringBytesMax.count};  // proto-max-bulk-len
  std::atomic<int> maxmemory_samples{5};
  std::atomic<int> maxmemory_tenacity{10};  // maxmemory-eviction-tenacity
  std::atomic<int> lfu_log_factor{10};
  std::atomic<int> lfu_decay_minutes{1};
  std::atomic<uint32_t> notify_classes{0};  // notify-keyspace-events: bits of notify::
  // When a collection leaves its packed form: more elements than this, or an element of more bytes.
  std::atomic<uint64_t> hash_listpack_entries_max{512};
  std::atomic<uint64_t> hash_listpack_value_bytes_max{64};
  std::atomic<uint64_t> set_intset_entries_max{512};
  std::atomic<uint64_t> set_listpack_entries_max{128};
  std::atomic<uint64_t> set_listpack_value_bytes_max{64};
  std::atomic<uint64_t> zset_listpack_entries_max{128};
  std::atomic<uint64_t> zset_listpack_value_bytes_max{64};
  std::atomic<int> list_listpack_size{-2};  // entries, or -1 … -5: 4, 8 … 64 KiB
  std::atomic<uint64_t> stream_node_bytes_max{4096};
  std::atomic<uint64_t> stream_node_entries_max{100};
  std::atomic<uint64_t> hll_sparse_bytes_max{3000};
  std::atomic<bool> active_expire{true};  // DEBUG SET-ACTIVE-EXPIRE
  // Who may leave the freeing of values to the background: eviction, expiry, overwriting (and
  // RENAME, …), DEL, FLUSHDB and FLUSHALL.
  std::atomic<bool> lazyfree_eviction{false};
  std::atomic<bool> lazyfree_expire{false};
  std::atomic<bool> lazyfree_server_del{false};
  std::atomic<bool> lazyfree_user_del{false};
  std::atomic<bool> lazyfree_user_flush{false};
  // CLIENT PAUSE: until then (Unix time) no key expires or is evicted, so that the data stands
  // still while somebody takes it over. Keys whose time is over are hidden all the same.
  std::atomic<int64_t> frozen_until_ms{0};

  // The same, because the journal has no room for more records than those of commands it let in.
  std::atomic<bool> removals_rest{false};

  bool IsFrozen(int64_t now_ms) const {
    return now_ms < frozen_until_ms.load(std::memory_order_relaxed) ||
           removals_rest.load(std::memory_order_relaxed);
  }
};

struct EngineOptions {
  int databases = kDatabasesDefault;
  // A command with more elements than this before it is long (long_command.h): with fewer it takes
  // about a turn's time. How long a turn of one may be: a loop turn must stay below 5 ms, and the
  // last step before the next breath comes on top. Tests choose less, to see many turns.
  uint64_t short_command_elements_max = 4096;
  int64_t long_command_turn_nanos = 500'000;
};

// One client's state that the engine reads and writes while it executes for it. Lives in the
// session.
struct ClientState {
  int db = 0;
  bool no_touch = false;  // CLIENT NO-TOUCH: reads leave LRU/LFU alone
  bool in_multi = false;  // between MULTI and EXEC
  uint64_t ticket = 0;    // names the session towards EngineThread's wake function

  // Progress of the request that is suspended; Execute owns these. rounds counts failed tries to
  // lock.
  int rounds = 0;
  bool parked = false;
  // What a handler that yields keeps between its turns (KEYS over a large keyspace). Empty when not
  // in use.
  struct Continuation {
    virtual ~Continuation() = default;
    // What the next turn locks, of a command of Scope::kByCall.
    Scope scope = Scope::kSlotBySlot;
  };
  std::unique_ptr<Continuation> continuation;

  // Whether the client is certain to be cut off for the reply as long as it is now: what writes a
  // reply without end may stop then. Null: it never is.
  bool (*is_cut_off)(void* context, const OutputBuffer& reply) = nullptr;
  void* cut_off_context = nullptr;
  bool IsCutOff(const OutputBuffer& reply) const {
    return is_cut_off != nullptr && is_cut_off(cut_off_context, reply);
  }

  // The command that is under way, when it is a long one.
  std::shared_ptr<LongCommand> long_command;

  // What WATCH of this client asked for.
  ClientWatches watches;
  // The blocking command that waits now; null: none. CLIENT UNBLOCK says how it shall end.
  std::shared_ptr<BlockedRequest> blocked;
  enum class Unblock : uint8_t { kNo, kTimeout, kError } unblock = Unblock::kNo;

  // What the request that is suspended waits for, of what is still on disk; and holds in memory.
  std::shared_ptr<ColdWait> cold_wait;
  void EndColdWait();  // engine_cold.cc
};

// What an atomic section wants to find in memory, as long as not everything is there. The keys that
// its requests name, which may be of any database; or everything, for requests that may come upon
// any key.
struct AtomicNeeds {
  std::span<const KeyRef> keys;
  bool everything = false;
};

// Sums over all threads, for INFO and metrics.
struct EngineStats {
  uint64_t keyspace_hits = 0;
  uint64_t keyspace_misses = 0;
  uint64_t expired_keys = 0;
  uint64_t expired_fields = 0;  // of hashes
  uint64_t expire_nanos = 0;    // background time spent on expired keys
  uint64_t evicted_keys = 0;
  uint64_t tier_evicted_keys = 0;             // that left memory, and are on disk alone
  uint64_t tier_evicted_bytes = 0;            // that they took there
  uint64_t eviction_waits = 0;                // requests' turns that ended waiting for eviction
  uint64_t eviction_exceeded_ms = 0;          // time over maxmemory, all together
  uint64_t eviction_exceeded_current_ms = 0;  // and since it is over it now
  uint64_t compaction_moves = 0;  // keys, values and pages moved to where memory is denser
  uint64_t lazyfreed_objects = 0;
  uint64_t lazyfree_pending_objects = 0;
  uint64_t changes = 0;            // to any key since the start
  uint64_t lock_parks = 0;         // requests parked at a busy slot
  uint64_t gate_closings = 0;      // exclusive sections
  uint64_t used_memory_bytes = 0;  // keys, values and tables, and clients' buffers
};

struct DbStats {
  uint64_t keys = 0;
  uint64_t expires = 0;
  int64_t mean_expire_at_s = 0;  // Unix time; 0: nothing expires
};

class Engine final {
 public:
  // Called when a suspended request should be executed again; from any thread, never under a lock
  // of the engine's slots.
  using WakeFn = void (*)(void* context, uint64_t ticket);

  static Result<std::unique_ptr<Engine>> Create(EngineOptions options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Makes a thread known to the engine. At most kWorkersMax + a few; lives as long as the engine.
  // `wake` may be null for threads that never suspend (tests, background work).
  EngineThread& AddThread(WakeFn wake, void* wake_context);

  // Who tells subscribers of keyspace notifications: called after each command that caused some, on
  // its thread, with no slot locked. Set before the first command.
  using KeyEventSink = void (*)(void* context, EngineThread& thread,
                                std::span<const KeyEvent> events);
  void SetKeyEventSink(KeyEventSink sink, void* context) {
    key_event_sink_ = sink;
    key_event_context_ = context;
  }

  // Where the record of every change goes (journal/effect_sink.h); null: nowhere, and nothing is
  // recorded. Set before the first command.
  void SetEffectSink(EffectSink* sink);
  // Whether entries know if they have changed since the last checkpoint (cut/cut.h), as a sink that
  // wants only those needs it. Set before the first command.
  void SetTracksChanges();
  // What became of the checkpoint whose cut came last: what it failed to keep is written by the
  // next one. By the thread that makes the cuts.
  void CheckpointEnded(bool succeeded);
  // Whether commands that may write are let in by the sink. kSuspended: the client is woken when it
  // should ask again. kRefused: RefusalOfWrites() is the error. Holding no lock; for Execute, and
  // before BeginAtomic with a command that may write.
  ExecStatus AdmitWrite(EngineThread& thread, ClientState& client);
  std::string RefusalOfWrites() const;
  // Whether they are refused now, for who does not want to wait.
  bool RefusesWrites(EngineThread& thread, const ClientState& client);
  // The thread applies records, or does so no more: see journal/record_applier.h. Outside a batch.
  void SetLoading(EngineThread& thread, bool loading);

  // Around all executing. now_ms is UnixMillis() read once for the batch.
  void BeginBatch(EngineThread& thread, int64_t now_ms);
  void EndBatch(EngineThread& thread);

  // Touches what the requests will need, in three passes: slot lines, buckets, entries. Between
  // BeginBatch and EndBatch. The third pass looks into buckets, so it takes each slot's lock for a
  // moment; that costs less than the miss it hides.
  void Prefetch(const EngineThread& thread, std::span<const Request> batch, int db);

  // Executes one request whose command has a handler and whose arity is right. Between BeginBatch
  // and EndBatch. kRefused: no memory, the error is written. kSuspended: no reply was written;
  // client.ticket is woken later and the same request must be executed again, unless Cancel is
  // called. Views in the request must stay valid till then.
  ExecStatus Execute(EngineThread& thread, const Request& request, ClientState& client,
                     ReplyWriter& reply);

  // Several requests as one (EXEC): nobody else sees anything in between. `slots` are those of all
  // keys that the requests and WATCH name, in any order; `whole` takes the exclusive gate instead,
  // for requests over the keyspace. kSuspended: as with Execute, call again when woken. kDone: the
  // section is open; each request runs by ExecuteAtomic, which never suspends, until EndAtomic.
  // kRefused: what it needs cannot be read from disk, errors::kCannotLoad is the error.
  ExecStatus BeginAtomic(EngineThread& thread, std::span<const uint16_t> slots, bool whole,
                         ClientState& client, const AtomicNeeds& needs = {});
  void ExecuteAtomic(EngineThread& thread, const Request& request, ClientState& client,
                     ReplyWriter& reply);
  void EndAtomic(EngineThread& thread);
  // In a long section: frees what its requests left to be freed so far.
  void DeliverAtomic(EngineThread& thread);
  // Ends one over the whole keyspace when the process is about to end: nobody enters the engine any
  // more, requests wait until they are cancelled. Once.
  void SealAtomic(EngineThread& thread);
  // In an atomic section: whether a key that the client watches was changed, or has expired.
  bool WatchesAreDirty(EngineThread& thread, ClientState& client);

  // engine_cold.cc. Data may be larger than memory (tier.h): with an eviction policy, changes
  // tracked, a source to read from (BeginCold) and somebody who makes checkpoints
  // (Tier::SetCheckpointRequest). Before BeginCold.
  void MakeTiered();
  Tier* tier() { return tier_.get(); }  // null: it is not
  // What the store beside the engine takes in memory, as it says now and then: part of used memory
  // from here on. It outlives the engine's use.
  void CountStoreMemory(const std::atomic<uint64_t>& bytes) { store_memory_bytes_ = &bytes; }

  // Keys that are on disk and not in memory yet (cold/residency.h): the databases
  // of `start` have all theirs there. Before the first command, with the database map as it is on
  // disk and changes tracked. Commands on them wait from StartLoading on; until then there is only
  // the one thread that applies records, for which they are read at once.
  void BeginCold(const ColdStart& start);
  void StartLoading();
  // Until then, for who applies records: what these keys hold is overwritten or removed whatever it
  // is, and need not be read. True: some were not in memory, and seem to be absent from now on.
  bool ForgoReading(EngineThread& thread, int db, std::span<const KeyRef> keys);
  // Before that: reads what is on disk of these keys, several at once, for who is about to apply
  // records that name them. What cannot be read is left to the records.
  struct KeyOfDatabase {
    int db = 0;
    KeyRef key;
  };
  void LoadAhead(std::span<const KeyOfDatabase> keys);
  // When there are no commands any more. Before the source goes.
  void StopLoading();
  // Whether some keys are not in memory; and the same, or that may be so in a moment. Any thread.
  bool IsCold() const;
  // Where they are. Null when everything was in memory from the start.
  ColdSource* cold_source();
  bool MayBeCold() const;
  ColdStats StatsOfCold() const;
  Residency& residency() { return *residency_; }
  // Keeps a key in memory that is there, until the hold is let go of. With its slot locked.
  std::shared_ptr<ColdHold> HoldKey(const KeyRef& key);

  // Whether commands that may need memory can go on; evicts what it may to make it so. In a batch.
  Room MakeRoom(EngineThread& thread);
  // The same for a client's request, which does not wait for what it holds itself.
  Room MakeRoomFor(EngineThread& thread, const ClientState& client);
  // For who brings keys into memory: evicts as many. In a batch, with nothing locked.
  void MakeRoomForLoads(EngineThread& thread);
  // For a request that found no room yet: it is executed again in the thread's next turn.
  ExecStatus TryLater(EngineThread& thread, ClientState& client);
  // The thread's loop begins another turn: eviction has its time again.
  void BeginTurn(EngineThread& thread);

  // Forgets a suspended request (its client is gone). Outside a batch. A long command that has
  // begun goes on without its client: the thread is woken with the client's ticket, and calls
  // StepAbandoned when it knows that ticket no more.
  void Cancel(EngineThread& thread, ClientState& client);
  // A turn for each long command of this thread whose client is gone; wakes the thread again while
  // there are some. FinishAbandoned: the same to their end, before the thread ends. Outside a
  // batch.
  void StepAbandoned(EngineThread& thread, int64_t now_ms);
  void FinishAbandoned(EngineThread& thread, int64_t now_ms);

  // Background work of one worker, called from its timer, outside a batch: active expiry over the
  // worker's share of the slots (worker_index of worker_count), for at most budget_nanos. Never
  // waits: busy slots are passed over.
  void BackgroundStep(EngineThread& thread, int64_t now_ms, int worker_index, int worker_count,
                      int64_t budget_nanos);

  // Evicts while more memory is used than maxmemory, as when that was lowered, although no command
  // asks for memory. From a timer, outside a batch, a slice of eviction's budget. True when there
  // is more to do: call again soon.
  bool EvictInBackground(EngineThread& thread, int64_t now_ms);

  // Undoes fragmentation, see compaction.h: a slice of it, from a timer of one thread, outside a
  // batch. True when there is more to do: call again soon.
  bool CompactInBackground(EngineThread& thread, int64_t now_ms);
  bool IsCompacting() const;

  // For the other folders of storage: what is in it is their concern alone.
  Keyspace& keyspace() { return *keyspace_; }

  EngineSettings& settings() { return settings_; }
  const EngineOptions& options() const { return options_; }
  int databases() const { return options_.databases; }

  // Figures since the start, or, of INFO's, since ResetStats().
  EngineStats StatsSinceStart() const;
  EngineStats Stats() const;
  DbStats StatsOfDb(int db) const;
  void ResetStats();
  // Bytes of keys, values and tables, and of what clients take (ClientMemoryBytes). What maxmemory
  // limits, but for what waits to be freed.
  uint64_t UsedMemoryBytes() const;
  // Buffers of clients, as the threads said at the end of their last turns.
  uint64_t ClientMemoryBytes() const;
  // Of used memory, what the lazy freer has still to give back; about.
  uint64_t PendingFreeBytes() const;

  // For a command that has the gate to itself. Clear drops everything of one database (all: db < 0)
  // and leaves freeing it to the background; Swap exchanges the contents of two.
  void ClearDatabase(EngineThread& thread, int db);
  void SwapDatabases(EngineThread& thread, int a, int b);

 private:
  friend class ColdReader;
  friend class CommandContext;
  friend class Compaction;
  friend class CutWalker;
  friend class Eviction;
  friend class ExpirySweep;
  friend class TierKeeper;
  friend class HotKeySampler;
  explicit Engine(EngineOptions options);

  // Over all threads; exact with the gate.
  struct KeyCounts {
    int64_t keys = 0;
    int64_t expires = 0;
  };
  KeyCounts CountsOf(int db) const;
  // Over all threads, as DbCounters::expire_at_s: it may wrap.
  uint64_t ExpirySum(int db) const;
  // engine_cold.cc. Of a slot that has more to look at, locked: whether that is only that some keys
  // are on disk, and this one is not.
  bool NeedsOnlyItsKey(const Request& request, int db) const;
  ExecStatus ExecuteOneKey(EngineThread& thread, const Request& request, ClientState& client,
                           ReplyWriter& reply);
  ExecStatus ExecuteSlotBySlot(EngineThread& thread, const Request& request, ClientState& client,
                               ReplyWriter& reply);
  ExecStatus ExecuteMany(EngineThread& thread, const Request& request, ClientState& client,
                         ReplyWriter& reply);
  ExecStatus ExecuteLocked(EngineThread& thread, const Request& request, ClientState& client,
                           ReplyWriter& reply, const SlotSet& set,
                           const std::vector<uint16_t>& targets);
  ExecStatus ExecuteBehindGate(EngineThread& thread, const Request& request, ClientState& client,
                               ReplyWriter& reply);
  ExecStatus ExecuteExclusive(EngineThread& thread, const Request& request, ClientState& client,
                              ReplyWriter& reply);
  // Used memory as seen from this thread: UsedNow adds up all threads, UsedAbout follows that sum
  // by what this thread did since.
  uint64_t UsedNow(EngineThread& thread);
  uint64_t UsedAbout(EngineThread& thread);
  // Keys of all databases, or of these only those with a time to live.
  uint64_t CountKeys(bool with_expiry_only) const;
  // Gives what was recorded to the sink, as one record: before the slots are unlocked.
  void Record(EngineThread& thread);
  void AppendRecord(EngineThread& thread);
  // Before a request locks anything: whether it may go on as far as memory, a cut and the sink are
  // concerned. kRefused: the error is written.
  ExecStatus FindRoom(EngineThread& thread, const Request& request, ClientState& client,
                      ReplyWriter& reply);
  ExecStatus AdmitOrRefuse(EngineThread& thread, const Request& request, ClientState& client,
                           ReplyWriter& reply);
  // All effects of a command that had to wait for the unlock.
  void Deliver(EngineThread& thread);
  // What a batch, or a slice of background work, goes by.
  void FollowSettings(EngineThread& thread, int64_t now_ms);
  void DeliverEffects(EngineThread& thread);
  static ExecStatus Finish(ClientState& client, ExecStatus status);
  bool TryLock(uint16_t slot);
  void Unlock(uint16_t slot);
  template <typename Wanted, typename Fn>
  void ForEachOfOneKey(std::span<const Request> batch, Wanted&& wanted, Fn&& fn);
  // The thread works in the engine from here on; false: the gate is closed.
  bool Enter(EngineThread& thread);
  // What only changes behind the gate.
  void FollowCut(EngineThread& thread);
  // While a cut is made: whether a request that may change its keys can go on.
  ExecStatus AwaitCut(EngineThread& thread, const Request& request, ClientState& client);
  // With the slot locked: whether the cut, if there is one, wants this key's value, and encoding it
  // takes long.
  bool IsLargeForCut(EngineThread& thread, const KeyRef& key, int db);
  // Makes sure that the thread is in the engine; false: the gate is closed, the request parked.
  bool EnterOrPark(EngineThread& thread, ClientState& client);
  ExecStatus ParkAt(EngineThread& thread, uint16_t slot, ClientState& client);
  // Locks the slots, and those that serving blocked requests there needs: all or none. kSuspended:
  // the request is parked.
  ExecStatus LockSlots(EngineThread& thread, std::span<const uint16_t> slots, ClientState& client,
                       std::vector<uint16_t>& targets);
  std::vector<uint16_t> MissingTargets(std::span<const uint16_t> held) const;
  // Before the slots are unlocked: gives what the command brought to requests that wait for it.
  void ServeReady(EngineThread& thread);
  void ServeKey(EngineThread& thread, int db, const KeyRef& key);
  bool ServeOne(EngineThread& thread, BlockedRequest& blocked, const KeyRef& key);
  ExecStatus ResumeBlocked(EngineThread& thread, ClientState& client, ReplyWriter& reply);
  ExecStatus RunHandler(EngineThread& thread, const Request& request, ClientState& client,
                        ReplyWriter& reply);
  // Unlocks what an atomic section has locked.
  void LeaveAtomic(EngineThread& thread);
  // engine_cold.cc. What the request needs of keys that are not in memory: with the slots of its
  // keys locked, or the gate.
  std::vector<ColdTarget> MissingFor(const Request& request, int db) const;
  std::vector<ColdTarget> MissingFor(const AtomicNeeds& needs, bool whole) const;
  void AddMissing(int db, const KeyRef& key, std::vector<ColdTarget>& out) const;
  void AddMissing(const KeyRef& key, std::vector<ColdTarget>& out) const;
  // Keys that somebody watches or is blocked at, and what serving those needs, of all databases: a
  // SWAPDB puts another one there. With the gate.
  void AddMissingAwaited(std::vector<ColdTarget>& out) const;
  // Nothing is locked. kSuspended: the client is woken when it is there. kRefused: it could not be
  // read; no error is written.
  ExecStatus AwaitLoad(EngineThread& thread, const std::vector<ColdTarget>& wants,
                       ClientState& client);
  ExecStatus AwaitLoad(EngineThread& thread, const std::vector<ColdTarget>& wants,
                       ClientState& client, ReplyWriter& reply);
  // engine_long.cc. The slots are held, and are the long command's from then on.
  ExecStatus StartLong(EngineThread& thread, const Request& request, ClientState& client,
                       ReplyWriter& reply, std::vector<uint16_t> slots);
  ExecStatus TurnOfLong(EngineThread& thread, ClientState& client, ReplyWriter& reply);
  void EndLong(EngineThread& thread, LongCommand& command);
  void EndAbandoned(EngineThread& thread, LongCommand& command);

  EngineOptions options_;
  EngineSettings settings_;
  std::unique_ptr<LazyFreer> lazy_freer_;
  std::unique_ptr<Keyspace> keyspace_;
  std::unique_ptr<Residency> residency_;
  std::unique_ptr<Tier> tier_;
  const std::atomic<uint64_t>* store_memory_bytes_ = nullptr;
  std::unique_ptr<ColdLoader> cold_loader_;  // null: nothing was cold
  std::unique_ptr<SlotParking> parking_;
  std::unique_ptr<ExclusiveGate> gate_;
  std::vector<std::unique_ptr<EngineThread>> threads_;
  EvictionLimit eviction_limit_;
  std::unique_ptr<Compaction> compaction_;
  // The cut that is under way, and the marks of the last full one and the last for a checkpoint
  // (cut/cut.h). Written with the gate.
  Mutex cut_turn_;  // held by the thread that makes it, all the time
  std::atomic<Cut*> cut_{nullptr};
  bool cut_mark_ = false;
  bool change_mark_ = false;
  std::unique_ptr<CutQueue> cut_queue_;
  bool tracks_changes_ = false;
  // What the last checkpoint was to write, and to delete from the disk, until it is known to have
  // succeeded.
  bool checkpoint_failed_ = false;
  ChangedSlots changed_slots_;
  DeadRecords dead_records_;
  EffectSink* effect_sink_ = nullptr;
  KeyEventSink key_event_sink_ = nullptr;
  void* key_event_context_ = nullptr;
  mutable Mutex baseline_mutex_;  // statistics only; nobody on the request path takes it
  EngineStats baseline_ TG_GUARDED_BY(baseline_mutex_);  // what Stats subtracts
};

}  // namespace tidegate
