#include "storage/engine.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/prefetch.h"
#include "config/notify.h"
#include "storage/cold/cold_loader.h"
#include "storage/cold/residency.h"
#include "storage/command_context.h"
#include "storage/compaction.h"
#include "storage/cut/cut.h"
#include "storage/cut/cut_queue.h"
#include "storage/engine_thread.h"
#include "storage/errors.h"
#include "storage/eviction.h"
#include "storage/expiry.h"
#include "storage/gate.h"
#include "storage/journal/effect_sink.h"
#include "storage/keyspace/keyspace.h"
#include "storage/keyspace/lazy_freer.h"
#include "storage/long_command.h"
#include "storage/memory/memory.h"
#include "storage/memory/memory_rest.h"
#include "storage/parking.h"
#include "storage/slot_set.h"
#include "storage/tier.h"

namespace tidegate {
namespace {

// Tries at a busy slot before the request is parked. A single-key command holds its slot for well
// under a microsecond.
constexpr int kSpinsMax = 40;

void CpuRelax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

bool LockWithSpin(Slot& slot) {
  for (int i = 0; i < kSpinsMax; ++i) {
    if (slot.TryLock()) return true;
    CpuRelax();
  }
  return false;
}

bool IsLfu(EvictionPolicy policy) {
  return policy == EvictionPolicy::kAllKeysLfu || policy == EvictionPolicy::kVolatileLfu;
}

bool IsOfCollections(Group group) { return group >= Group::kList && group <= Group::kGeo; }

}  // namespace

Engine::Engine(EngineOptions options) : options_(options) {}

// The loader's threads work in the engine.
Engine::~Engine() { cold_loader_.reset(); }

Result<std::unique_ptr<Engine>> Engine::Create(EngineOptions options) {
  if (options.databases < 1 || options.databases > kDatabasesMax) {
    return Error{"databases must be between 1 and " + std::to_string(kDatabasesMax)};
  }
  std::unique_ptr<Engine> engine(new Engine(options));
  engine->lazy_freer_ = std::make_unique<LazyFreer>();
  engine->keyspace_ =
      std::make_unique<Keyspace>(options.databases, engine->settings_, *engine->lazy_freer_);
  engine->residency_ = std::make_unique<Residency>(*engine->keyspace_);
  engine->parking_ = std::make_unique<SlotParking>();
  engine->gate_ = std::make_unique<ExclusiveGate>(engine->threads_);
  engine->cut_queue_ = std::make_unique<CutQueue>();
  engine->compaction_ = std::make_unique<Compaction>(*engine, *engine->keyspace_);
  return engine;
}

EngineThread& Engine::AddThread(WakeFn wake, void* wake_context) {
  TG_CHECK(threads_.size() < kEngineThreadsMax);
  threads_.push_back(std::make_unique<EngineThread>(static_cast<int>(threads_.size()),
                                                    options_.databases, wake, wake_context));
  threads_.back()->recording = effect_sink_ != nullptr;
  threads_.back()->tracks_changes = tracks_changes_;
  threads_.back()->guards_entries = tracks_changes_;
  return *threads_.back();
}

void Engine::SetEffectSink(EffectSink* sink) {
  effect_sink_ = sink;
  if (sink != nullptr) sink->SetRest(settings_.removals_rest);
  for (const auto& thread : threads_) thread->recording = sink != nullptr;
}

void Engine::SetTracksChanges() {
  tracks_changes_ = true;
  for (const auto& thread : threads_) {
    thread->tracks_changes = true;
    thread->guards_entries = true;
  }
}

void Engine::SetLoading(EngineThread& thread, bool loading) {
  thread.loading = loading;
  thread.recording = effect_sink_ != nullptr && !loading;
}

void Engine::AppendRecord(EngineThread& thread) {
  thread.effects.Finish();
  effect_sink_->Append(thread, thread.effects.record());
  thread.effects.Clear();
}

ExecStatus Engine::AdmitWrite(EngineThread& thread, ClientState& client) {
  client.parked = false;
  if (__builtin_expect(!thread.recording, 1)) return ExecStatus::kDone;
  switch (effect_sink_->Admit(thread, {&thread, client.ticket})) {
    case EffectSink::Admission::kYes:
      return ExecStatus::kDone;
    case EffectSink::Admission::kLater:
      client.parked = true;
      break;
    case EffectSink::Admission::kRefused:
      client.rounds = 0;
      break;
  }
  // It may be on its way to have the gate, and would keep it closed for as long as it waits.
  gate_->Remove({&thread, client.ticket});
  return client.parked ? ExecStatus::kSuspended : ExecStatus::kRefused;
}

bool Engine::RefusesWrites(EngineThread& thread, const ClientState& client) {
  if (!thread.recording) return false;
  const Waiter waiter{&thread, client.ticket};
  const EffectSink::Admission admission = effect_sink_->Admit(thread, waiter);
  if (admission == EffectSink::Admission::kLater) effect_sink_->Forget(waiter);
  return admission == EffectSink::Admission::kRefused;
}

std::string Engine::RefusalOfWrites() const { return effect_sink_->refusal(); }

ExecStatus Engine::AdmitOrRefuse(EngineThread& thread, const Request& request, ClientState& client,
                                 ReplyWriter& reply) {
  if (request.command->spec->access != Access::kWrite) return ExecStatus::kDone;
  const ExecStatus status = AdmitWrite(thread, client);
  if (__builtin_expect(status != ExecStatus::kRefused, 1)) return status;
  reply.Error(RefusalOfWrites());
  return Finish(client, status);
}

void Engine::FollowSettings(EngineThread& thread, int64_t now_ms) {
  thread.wall_ms = now_ms;
  thread.now_ms = __builtin_expect(thread.loading, 0) ? kLoadingNowMs : now_ms;
  thread.lfu = IsLfu(settings_.maxmemory_policy.load(std::memory_order_relaxed));
  const uint32_t classes = settings_.notify_classes.load(std::memory_order_relaxed);
  const bool told = (classes & (notify::kKeyspace | notify::kKeyevent)) != 0 && !thread.loading;
  thread.notify_classes = told ? classes : 0;
}

void Engine::BeginBatch(EngineThread& thread, int64_t now_ms) {
  FollowSettings(thread, now_ms);
  Enter(thread);
}

bool Engine::Enter(EngineThread& thread) {
  if (!gate_->EnterShared(thread)) return false;
  FollowCut(thread);
  return true;
}

void Engine::FollowCut(EngineThread& thread) {
  thread.cut = cut_.load(std::memory_order_relaxed);
  thread.cut_mark = cut_mark_;
  thread.change_mark = change_mark_;
  thread.guards_entries = thread.cut != nullptr || thread.tracks_changes;
}

void Engine::EndBatch(EngineThread& thread) {
  if (thread.in_engine.load(std::memory_order_relaxed) != 0) gate_->LeaveShared(thread);
}

// Calls fn(table, hash) for the key of each request that is wanted, under the slot's lock, when
// that is to be had. Commands with many keys do the same under their own locks; one key many times
// in a row is looked at once.
template <typename Wanted, typename Fn>
void Engine::ForEachOfOneKey(std::span<const Request> batch, Wanted&& wanted, Fn&& fn) {
  uint64_t last_hash = 0;
  for (const Request& request : batch) {
    if (request.keys.size() != 1 || request.keys[0].hash == last_hash) continue;
    const KeyRef& key = request.keys[0];
    last_hash = key.hash;
    if (!wanted(request)) continue;
    Slot& slot = keyspace_->slot(key.slot);
    if (!slot.TryLock()) continue;
    fn(slot.db0, key.hash);
    Unlock(key.slot);
  }
}

void Engine::Prefetch(const EngineThread& thread, std::span<const Request> batch, int db) {
  for (const Request& request : batch) {
    for (const KeyRef& key : request.keys) PrefetchForWrite(&keyspace_->slot(key.slot));
  }
  if (db != 0) return;
  for (const Request& request : batch) {
    for (const KeyRef& key : request.keys) keyspace_->slot(key.slot).db0.Prefetch(key.hash);
  }
  // With the gate closed slot locks protect nothing.
  if (batch.size() < 2 || thread.in_engine.load(std::memory_order_relaxed) == 0) return;
  ForEachOfOneKey(
      batch, [](const Request&) { return true; },
      [](const Table& table, uint64_t hash) { table.PrefetchEntry(hash); });
  // By now the entries are near, and tell where their values are. Strings are mostly in them.
  ForEachOfOneKey(
      batch, [](const Request& request) { return IsOfCollections(request.command->spec->group); },
      [](const Table& table, uint64_t hash) { table.PrefetchValue(hash); });
}

bool Engine::TryLock(uint16_t slot) { return LockWithSpin(keyspace_->slot(slot)); }

void Engine::Unlock(uint16_t slot) {
  const uint32_t word = keyspace_->slot(slot).lock.exchange(0, std::memory_order_release);
  if (__builtin_expect((word & Slot::kWaiters) != 0, 0)) parking_->WakeAll(slot);
}

// The usual case.
inline ExecStatus Engine::ExecuteOneKey(EngineThread& thread, const Request& request,
                                        ClientState& client, ReplyWriter& reply) {
  const uint16_t slot = request.keys[0].slot;
  if (__builtin_expect(!TryLock(slot), 0)) return ParkAt(thread, slot, client);
  if (__builtin_expect((keyspace_->slot(slot).flags & Slot::kNeedsMore) != 0, 0) &&
      !NeedsOnlyItsKey(request, client.db)) {
    Unlock(slot);
    return ExecuteMany(thread, request, client, reply);
  }
  const ExecStatus status = RunHandler(thread, request, client, reply);
  if (__builtin_expect(thread.wants_long, 0))
    return StartLong(thread, request, client, reply, {slot});
  if (__builtin_expect(!thread.ready.empty(), 0)) ServeReady(thread);
  Record(thread);
  Unlock(slot);
  Deliver(thread);
  return Finish(client, status);
}

ExecStatus Engine::ExecuteSlotBySlot(EngineThread& thread, const Request& request,
                                     ClientState& client, ReplyWriter& reply) {
  const ExecStatus status = RunHandler(thread, request, client, reply);
  if (thread.wants_long) return StartLong(thread, request, client, reply, {});
  TG_DCHECK(!thread.effects.pending());  // recorded slot by slot
  Deliver(thread);
  return Finish(client, status);
}

ExecStatus Engine::Execute(EngineThread& thread, const Request& request, ClientState& client,
                           ReplyWriter& reply) {
  Scope scope = request.command->spec->scope;
  client.parked = false;
  if (__builtin_expect(client.blocked != nullptr, 0)) return ResumeBlocked(thread, client, reply);
  if (__builtin_expect(client.long_command != nullptr, 0)) return TurnOfLong(thread, client, reply);
  const ExecStatus admitted = __builtin_expect(!thread.recording, 1)
                                  ? ExecStatus::kDone
                                  : AdmitOrRefuse(thread, request, client, reply);
  if (__builtin_expect(admitted != ExecStatus::kDone, 0)) return admitted;
  if (__builtin_expect(scope >= Scope::kWholeKeyspace || client.rounds >= kLockRoundsMax, 0)) {
    // What goes on from an earlier turn has left the slots of its keys, mostly.
    if (client.continuation != nullptr && scope == Scope::kByCall)
      scope = client.continuation->scope;
    if (scope == Scope::kByCall) scope = ScopeOfCall(*request.command->spec, request.args);
    if (scope == Scope::kWholeKeyspace) return ExecuteExclusive(thread, request, client, reply);
    if (client.rounds >= kLockRoundsMax) {
      return scope == Scope::kSlotBySlot ? ExecuteExclusive(thread, request, client, reply)
                                         : ExecuteBehindGate(thread, request, client, reply);
    }
  }
  if (__builtin_expect(thread.in_engine.load(std::memory_order_relaxed) == 0, 0) &&
      !EnterOrPark(thread, client))
    return ExecStatus::kSuspended;
  if (__builtin_expect(
          settings_.maxmemory_bytes.load(std::memory_order_relaxed) != 0 || thread.cut != nullptr,
          0)) {
    const ExecStatus room = FindRoom(thread, request, client, reply);
    if (__builtin_expect(room != ExecStatus::kDone, 0)) return room;
  }
  switch (scope) {
    case Scope::kOneKey:
      return ExecuteOneKey(thread, request, client, reply);
    case Scope::kManyKeys:
      return ExecuteMany(thread, request, client, reply);
    case Scope::kSlotBySlot:
      return ExecuteSlotBySlot(thread, request, client, reply);
    case Scope::kUnset:
    case Scope::kProcess:
    case Scope::kWholeKeyspace:
    case Scope::kByCall:
      break;
  }
  CheckFailed(__FILE__, __LINE__, "a command of no scope");
}

ExecStatus Engine::FindRoom(EngineThread& thread, const Request& request, ClientState& client,
                            ReplyWriter& reply) {
  const CommandSpec& spec = *request.command->spec;
  const Room room = (spec.flags & kDenyOom) != 0 ? MakeRoomFor(thread, client) : Room::kYes;
  if (room == Room::kLater) return TryLater(thread, client);
  if (room == Room::kNo) {
    reply.Error(errors::kOutOfMemory);
    return Finish(client, ExecStatus::kRefused);
  }
  if (thread.cut == nullptr || spec.access != Access::kWrite) return ExecStatus::kDone;
  return AwaitCut(thread, request, client);
}

Room Engine::MakeRoom(EngineThread& thread) {
  const uint64_t limit = settings_.maxmemory_bytes.load(std::memory_order_relaxed);
  if (limit == 0 || thread.loading || UsedAbout(thread) <= limit) return Room::kYes;
  // Whoever has the gate has the data to himself.
  if (thread.in_engine.load(std::memory_order_relaxed) == 0 && !thread.exclusive)
    return Room::kLater;
  return Eviction(*this, *keyspace_, thread).MakeRoom();
}

ExecStatus Engine::TryLater(EngineThread& thread, ClientState& client) {
  client.parked = true;
  thread.counters.eviction_waits.Add();
  // A transaction may be on its way to have the gate, and nobody evicts while it is closed.
  gate_->Remove({&thread, client.ticket});
  const bool waits = thread.eviction.starves &&
                     tier_->Await({&thread, client.ticket}, thread.eviction.checkpoints_ended);
  if (!waits) thread.Wake(client.ticket);
  return ExecStatus::kSuspended;
}

void Engine::BeginTurn(EngineThread& thread) {
  thread.eviction.turn_nanos_left = kEvictionTurnNanos;
}

uint64_t Engine::UsedNow(EngineThread& thread) {
  const auto used = static_cast<int64_t>(UsedMemoryBytes());
  thread.used_elsewhere_bytes = used - MemoryUsedByThread();
  thread.used_at_ms = thread.now_ms;
  return static_cast<uint64_t>(used);
}

uint64_t Engine::UsedAbout(EngineThread& thread) {
  // What others take in the rest of a millisecond is seen in the next one.
  if (thread.used_at_ms != thread.now_ms) return UsedNow(thread);
  return static_cast<uint64_t>(
      std::max<int64_t>(thread.used_elsewhere_bytes + MemoryUsedByThread(), 0));
}

uint64_t Engine::CountKeys(bool with_expiry_only) const {
  int64_t keys = 0;
  for (const auto& thread : threads_) {
    for (const DbCounters& db : thread->dbs)
      keys += with_expiry_only ? db.expires.value() : db.keys.value();
  }
  return keys > 0 ? static_cast<uint64_t>(keys) : 0;
}

bool Engine::EnterOrPark(EngineThread& thread, ClientState& client) {
  while (thread.in_engine.load(std::memory_order_relaxed) == 0) {
    if (Enter(thread)) return true;
    if (gate_->ParkUntilOpen({&thread, client.ticket})) {
      client.parked = true;
      return false;
    }
  }
  return true;
}

// All slots or none: whoever finds one busy lets go of the others, so that nobody waits while
// holding.
ExecStatus Engine::LockSlots(EngineThread& thread, std::span<const uint16_t> slots,
                             ClientState& client, std::vector<uint16_t>& targets) {
  std::vector<uint16_t> wanted;  // slots and targets, once there are any
  for (;;) {
    const std::span<const uint16_t> all = wanted.empty() ? slots : wanted;
    for (size_t i = 0; i < all.size(); ++i) {
      if (__builtin_expect(TryLock(all[i]), 1)) continue;
      for (size_t held = i; held > 0; --held) Unlock(all[held - 1]);
      return ParkAt(thread, all[i], client);
    }
    const std::vector<uint16_t> missing = MissingTargets(all);
    if (__builtin_expect(missing.empty(), 1)) break;
    for (const uint16_t slot : all) Unlock(slot);
    std::vector<uint16_t> more(all.begin(), all.end());
    more.insert(more.end(), missing.begin(), missing.end());
    std::sort(more.begin(), more.end());
    more.erase(std::unique(more.begin(), more.end()), more.end());
    wanted = std::move(more);
  }
  std::set_difference(wanted.begin(), wanted.end(), slots.begin(), slots.end(),
                      std::back_inserter(targets));
  return ExecStatus::kDone;
}

ExecStatus Engine::ExecuteMany(EngineThread& thread, const Request& request, ClientState& client,
                               ReplyWriter& reply) {
  const SlotSet set(request.keys);
  std::vector<uint16_t> targets;
  if (LockSlots(thread, set.slots(), client, targets) == ExecStatus::kSuspended)
    return ExecStatus::kSuspended;
  return ExecuteLocked(thread, request, client, reply, set, targets);
}

ExecStatus Engine::ExecuteLocked(EngineThread& thread, const Request& request, ClientState& client,
                                 ReplyWriter& reply, const SlotSet& set,
                                 const std::vector<uint16_t>& targets) {
  if (__builtin_expect(residency_->any(), 0)) {
    const std::vector<ColdTarget> missing = MissingFor(request, client.db);
    if (!missing.empty()) {
      for (const uint16_t slot : set.slots()) Unlock(slot);
      for (const uint16_t slot : targets) Unlock(slot);
      // A new key, mostly: what is in memory of the disk's filters says that it is not there.
      const bool learned = client.cold_wait == nullptr && !thread.loading &&
                           client.rounds < kLockRoundsMax &&
                           cold_loader_->LearnAbsent(thread, missing);
      if (!learned) return AwaitLoad(thread, missing, client, reply);
      ++client.rounds;  // as often as with a slot that somebody else has
      return ExecuteMany(thread, request, client, reply);
    }
  }
  for (const KeyRef& key : request.keys) {
    if (const Table* table = keyspace_->FindTable(key.slot, client.db))
      table->PrefetchEntry(key.hash);
  }
  const ExecStatus status = RunHandler(thread, request, client, reply);
  if (__builtin_expect(thread.wants_long, 0)) {
    std::vector<uint16_t> held(set.slots().begin(), set.slots().end());
    held.insert(held.end(), targets.begin(), targets.end());
    return StartLong(thread, request, client, reply, std::move(held));
  }
  if (__builtin_expect(!thread.ready.empty(), 0)) ServeReady(thread);
  Record(thread);
  for (const uint16_t slot : set.slots()) Unlock(slot);
  for (const uint16_t slot : targets) Unlock(slot);
  Deliver(thread);
  return Finish(client, status);
}

// With everybody out the slots are free, and the gate is needed no longer than to take them.
ExecStatus Engine::ExecuteBehindGate(EngineThread& thread, const Request& request,
                                     ClientState& client, ReplyWriter& reply) {
  if (gate_->Close({&thread, client.ticket}) == ExclusiveGate::Entry::kSuspended) {
    client.parked = true;
    return ExecStatus::kSuspended;
  }
  thread.counters.gate_closings.Add();
  const SlotSet set(request.keys);
  std::vector<uint16_t> targets;
  const ExecStatus locked = LockSlots(thread, set.slots(), client, targets);
  TG_CHECK(locked == ExecStatus::kDone);
  FollowCut(thread);
  gate_->OpenAndEnter(thread);
  if ((request.command->spec->flags & kDenyOom) != 0 && MakeRoom(thread) == Room::kNo) {
    for (const uint16_t slot : set.slots()) Unlock(slot);
    for (const uint16_t slot : targets) Unlock(slot);
    reply.Error(errors::kOutOfMemory);
    return Finish(client, ExecStatus::kRefused);
  }
  return ExecuteLocked(thread, request, client, reply, set, targets);
}

ExecStatus Engine::ExecuteExclusive(EngineThread& thread, const Request& request,
                                    ClientState& client, ReplyWriter& reply) {
  if (gate_->Close({&thread, client.ticket}) == ExclusiveGate::Entry::kSuspended) {
    client.parked = true;
    return ExecStatus::kSuspended;
  }
  thread.counters.gate_closings.Add();
  thread.exclusive = true;
  FollowCut(thread);
  // Whoever has the gate keeps everybody waiting: it does not wait itself. Before the look for what
  // is missing, since eviction may send keys to disk.
  const bool refused =
      (request.command->spec->flags & kDenyOom) != 0 && MakeRoom(thread) == Room::kNo;
  if (__builtin_expect(residency_->any(), 0) && !refused) {
    std::vector<ColdTarget> missing = MissingFor(request, client.db);
    AddMissingAwaited(missing);
    if (!missing.empty()) {
      thread.exclusive = false;
      gate_->Open();
      return AwaitLoad(thread, missing, client, reply);
    }
  }
  ExecStatus status = ExecStatus::kRefused;
  if (refused) {
    reply.Error(errors::kOutOfMemory);
  } else {
    status = RunHandler(thread, request, client, reply);
  }
  if (!thread.ready.empty()) ServeReady(thread);
  Record(thread);
  thread.exclusive = false;
  gate_->Open();
  Deliver(thread);
  return Finish(client, status);
}

ExecStatus Engine::Finish(ClientState& client, ExecStatus status) {
  if (status != ExecStatus::kSuspended) {
    client.rounds = 0;
    if (__builtin_expect(client.cold_wait != nullptr, 0)) client.EndColdWait();
  }
  // What an earlier turn has left would be taken for the next command's.
  if (__builtin_expect(status == ExecStatus::kRefused, 0)) client.continuation.reset();
  return status;
}

ExecStatus Engine::RunHandler(EngineThread& thread, const Request& request, ClientState& client,
                              ReplyWriter& reply) {
  CommandContext context(*this, thread, request, client, reply);
  return context.Run();
}

ExecStatus Engine::ParkAt(EngineThread& thread, uint16_t slot, ClientState& client) {
  // The gate would not be had before a long command is through, either, and would stop everybody.
  if (!keyspace_->slot(slot).held_long()) ++client.rounds;
  client.parked = true;
  thread.counters.lock_parks.Add();
  // The slot came free in between: no need to sleep, but others of this thread get their turn
  // first.
  if (!parking_->Park(keyspace_->slot(slot), slot, {&thread, client.ticket}))
    thread.Wake(client.ticket);
  return ExecStatus::kSuspended;
}

void Engine::Deliver(EngineThread& thread) {
  const bool none = thread.frees.empty() && thread.wakes.empty() && thread.events.empty();
  if (__builtin_expect(!none, 0)) DeliverEffects(thread);
}

void Engine::DeliverEffects(EngineThread& thread) {
  for (const ValueObject& value : thread.frees) DestroyValue(value);
  thread.frees.clear();
  for (const Waiter& waiter : thread.wakes) waiter.thread->Wake(waiter.ticket);
  thread.wakes.clear();
  if (thread.events.empty()) return;
  if (key_event_sink_ != nullptr) key_event_sink_(key_event_context_, thread, thread.events);
  thread.events.clear();
}

void Engine::Cancel(EngineThread& thread, ClientState& client) {
  if (client.long_command != nullptr) {
    client.long_command->ClientLeft();
    thread.abandoned.push_back(std::exchange(client.long_command, nullptr));
    client.parked = false;
    return thread.Wake(client.ticket);
  }
  if (client.blocked != nullptr) {
    client.blocked->Abandon();  // when it was served already, what it got is gone with the client
    client.blocked.reset();
  }
  if (!client.parked) return;
  const Waiter waiter{&thread, client.ticket};
  parking_->Remove(waiter);
  gate_->Remove(waiter);
  cut_queue_->Forget(waiter);
  if (tier_ != nullptr) tier_->Forget(waiter);
  if (client.cold_wait != nullptr) cold_loader_->Forget(waiter);
  client.EndColdWait();
  if (effect_sink_ != nullptr) effect_sink_->Forget(waiter);
  client.parked = false;
  client.rounds = 0;
  client.continuation.reset();
}

void Engine::BackgroundStep(EngineThread& thread, int64_t now_ms, int worker_index,
                            int worker_count, int64_t budget_nanos) {
  if (compaction_->running()) MemoryFlushCache();
  MemoryRest();
  if (!settings_.active_expire.load(std::memory_order_relaxed) || settings_.IsFrozen(now_ms))
    return;
  FollowSettings(thread, now_ms);
  if (!Enter(thread)) return;
  ExpirySweep sweep(*this, *keyspace_, thread, now_ms);
  const int64_t begin_nanos = MonotonicNanos();
  sweep.Run(static_cast<uint32_t>(worker_index), static_cast<uint32_t>(worker_count), budget_nanos);
  thread.counters.expire_nanos.Add(MonotonicNanos() - begin_nanos);
  gate_->LeaveShared(thread);
  Deliver(thread);
}

bool Engine::EvictInBackground(EngineThread& thread, int64_t now_ms) {
  const uint64_t limit = settings_.maxmemory_bytes.load(std::memory_order_relaxed);
  if (limit == 0) return false;
  FollowSettings(thread, now_ms);
  if (UsedNow(thread) <= limit) eviction_limit_.Within(MonotonicNanos());
  if (tier_ != nullptr && UsedAbout(thread) <= limit) tier_->WakeWaiters();
  if (UsedAbout(thread) <= limit || settings_.IsFrozen(now_ms)) return false;
  if (!Enter(thread)) return true;
  const Room room = Eviction(*this, *keyspace_, thread).MakeRoom();
  gate_->LeaveShared(thread);
  if (room == Room::kNo || thread.eviction.starves) return false;
  return UsedNow(thread) > limit + PendingFreeBytes();
}

bool Engine::CompactInBackground(EngineThread& thread, int64_t now_ms) {
  if (!compaction_->IsDue(now_ms)) return false;
  FollowSettings(thread, now_ms);
  if (Enter(thread)) {
    thread.counters.compaction_moves.Add(static_cast<int64_t>(compaction_->Step(now_ms)));
    gate_->LeaveShared(thread);
  }
  return compaction_->running();
}

bool Engine::IsCompacting() const { return compaction_->running(); }

uint64_t Engine::UsedMemoryBytes() const {
  const uint64_t store_bytes =
      store_memory_bytes_ == nullptr ? 0 : store_memory_bytes_->load(std::memory_order_relaxed);
  return MemoryUsedBytes() + ClientMemoryBytes() + store_bytes;
}

uint64_t Engine::ClientMemoryBytes() const {
  uint64_t bytes = 0;
  for (const auto& thread : threads_) bytes += thread->client_bytes.load(std::memory_order_relaxed);
  return bytes;
}

uint64_t Engine::PendingFreeBytes() const { return lazy_freer_->pending_bytes(); }

EngineStats Engine::StatsSinceStart() const {
  EngineStats stats;
  const auto sum = [&](Counter EngineCounters::*field) {
    int64_t total = 0;
    for (const auto& thread : threads_) total += (thread->counters.*field).value();
    return static_cast<uint64_t>(total);
  };
  stats.keyspace_hits = sum(&EngineCounters::keyspace_hits);
  stats.keyspace_misses = sum(&EngineCounters::keyspace_misses);
  stats.expired_keys = sum(&EngineCounters::expired_keys);
  stats.expired_fields = sum(&EngineCounters::expired_fields);
  stats.expire_nanos = sum(&EngineCounters::expire_nanos);
  stats.evicted_keys = sum(&EngineCounters::evicted_keys);
  stats.tier_evicted_keys = sum(&EngineCounters::tier_evicted_keys);
  stats.tier_evicted_bytes = sum(&EngineCounters::tier_evicted_bytes);
  stats.eviction_waits = sum(&EngineCounters::eviction_waits);
  stats.compaction_moves = sum(&EngineCounters::compaction_moves);
  const int64_t since_nanos = eviction_limit_.exceeded_since_nanos.load(std::memory_order_relaxed);
  const int64_t current_nanos = since_nanos == 0 ? 0 : MonotonicNanos() - since_nanos;
  const int64_t past_nanos = eviction_limit_.exceeded_nanos.load(std::memory_order_relaxed);
  stats.eviction_exceeded_ms = static_cast<uint64_t>((past_nanos + current_nanos) / 1'000'000);
  stats.eviction_exceeded_current_ms = static_cast<uint64_t>(current_nanos / 1'000'000);
  stats.changes = sum(&EngineCounters::changes);
  stats.lock_parks = sum(&EngineCounters::lock_parks);
  stats.gate_closings = sum(&EngineCounters::gate_closings);
  stats.lazyfreed_objects = lazy_freer_->freed_objects();
  stats.lazyfree_pending_objects = lazy_freer_->pending_objects();
  stats.used_memory_bytes = UsedMemoryBytes();
  return stats;
}

EngineStats Engine::Stats() const {
  MutexLock lock(baseline_mutex_);  // first: no total may be older than the baseline
  EngineStats stats = StatsSinceStart();
  stats.keyspace_hits -= baseline_.keyspace_hits;
  stats.keyspace_misses -= baseline_.keyspace_misses;
  stats.expired_keys -= baseline_.expired_keys;
  stats.expired_fields -= baseline_.expired_fields;
  stats.expire_nanos -= baseline_.expire_nanos;
  stats.evicted_keys -= baseline_.evicted_keys;
  stats.tier_evicted_keys -= baseline_.tier_evicted_keys;
  stats.tier_evicted_bytes -= baseline_.tier_evicted_bytes;
  stats.compaction_moves -= baseline_.compaction_moves;
  stats.eviction_exceeded_ms -=
      std::min(stats.eviction_exceeded_ms, baseline_.eviction_exceeded_ms);
  stats.lazyfreed_objects -= baseline_.lazyfreed_objects;
  return stats;
}

Engine::KeyCounts Engine::CountsOf(int db) const {
  KeyCounts counts;
  for (const auto& thread : threads_) {
    counts.keys += thread->dbs[static_cast<size_t>(db)].keys.value();
    counts.expires += thread->dbs[static_cast<size_t>(db)].expires.value();
  }
  return counts;
}

DbStats Engine::StatsOfDb(int db) const {
  const auto [keys, expires] = CountsOf(db);
  // Read while others write: a difference may be seen before its counterpart.
  return {static_cast<uint64_t>(std::max<int64_t>(keys, 0)),
          static_cast<uint64_t>(std::max<int64_t>(expires, 0)),
          expires > 0 ? static_cast<int64_t>(ExpirySum(db)) / expires : 0};
}

uint64_t Engine::ExpirySum(int db) const {
  uint64_t sum = 0;
  for (const auto& thread : threads_)
    sum += static_cast<uint64_t>(thread->dbs[static_cast<size_t>(db)].expire_at_s.value());
  return sum;
}

// The sums of expiry times are of whole databases: nobody knows them slot by slot. Nor are the
// tables all there is, as long as some of it is on disk.
void Engine::ClearDatabase(EngineThread& thread, int db) {
  std::vector<bool> had_any;
  for (int index = 0; index < options_.databases; ++index)
    had_any.push_back(residency_->IsCold(index));
  for (int index = 0; thread.cut != nullptr && index < options_.databases; ++index) {
    if (db < 0 || index == db) thread.cut->TakeCold(index, *residency_);
  }
  residency_->Clear(db);
  keyspace_->Clear(thread, db, std::move(had_any));
  for (int index = 0; index < options_.databases; ++index) {
    if (db >= 0 && index != db) continue;
    DbCounters& counters = thread.dbs[static_cast<size_t>(index)];
    const KeyCounts left = CountsOf(index);
    counters.keys.Add(-left.keys);
    counters.expires.Add(-left.expires);
    counters.expire_at_s.Add(static_cast<int64_t>(-ExpirySum(index)));
  }
}

void Engine::SwapDatabases(EngineThread& thread, int a, int b) {
  DbCounters& upper = thread.dbs[static_cast<size_t>(a)];
  DbCounters& lower = thread.dbs[static_cast<size_t>(b)];
  const KeyCounts were_a = CountsOf(a);
  const KeyCounts were_b = CountsOf(b);
  residency_->Swap(a, b);
  keyspace_->Swap(thread, a, b);
  const KeyCounts are_a = CountsOf(a);
  const KeyCounts are_b = CountsOf(b);
  upper.keys.Add(were_b.keys - are_a.keys);
  lower.keys.Add(were_a.keys - are_b.keys);
  upper.expires.Add(were_b.expires - are_a.expires);
  lower.expires.Add(were_a.expires - are_b.expires);
  const uint64_t change = ExpirySum(b) - ExpirySum(a);
  upper.expire_at_s.Add(static_cast<int64_t>(change));
  lower.expire_at_s.Add(static_cast<int64_t>(-change));
}

void Engine::ResetStats() {
  MutexLock lock(baseline_mutex_);
  baseline_ = StatsSinceStart();
}

}  // namespace tidegate
