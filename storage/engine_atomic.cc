// The part of Engine for several requests as one: EXEC, and whatever else must not be seen half
// done.
#include "base/check.h"
#include "storage/cold/cold_queue.h"
#include "storage/cold/residency.h"
#include "storage/command_context.h"
#include "storage/engine.h"
#include "storage/engine_thread.h"
#include "storage/gate.h"
#include "storage/keyspace/keyspace.h"
#include "storage/slot_set.h"

namespace tidegate {

ExecStatus Engine::BeginAtomic(EngineThread& thread, std::span<const uint16_t> slots, bool whole,
                               ClientState& client, const AtomicNeeds& needs) {
  TG_DCHECK(!thread.in_transaction);
  client.parked = false;
  // A look before the gate is closed for nothing.
  if (__builtin_expect(needs.everything && residency_->any(), 0)) {
    // It may be on its way to have the gate since a moment in which all was there, and who reads
    // has to come in.
    gate_->Remove({&thread, client.ticket});
    return AwaitLoad(thread, {ColdTarget::Everything()}, client);
  }
  if (whole || client.rounds >= kLockRoundsMax) {
    if (gate_->Close({&thread, client.ticket}) == ExclusiveGate::Entry::kSuspended) {
      client.parked = true;
      return ExecStatus::kSuspended;
    }
    thread.counters.gate_closings.Add();
    thread.exclusive = true;
    FollowCut(thread);
  } else {
    if (!EnterOrPark(thread, client)) return ExecStatus::kSuspended;
    const SlotSet set(slots);
    std::vector<uint16_t> targets;
    if (LockSlots(thread, set.slots(), client, targets) == ExecStatus::kSuspended)
      return ExecStatus::kSuspended;
    thread.atomic_slots.assign(set.slots().begin(), set.slots().end());
    thread.atomic_slots.insert(thread.atomic_slots.end(), targets.begin(), targets.end());
  }
  client.rounds = 0;
  if (__builtin_expect(residency_->any(), 0)) {
    std::vector<ColdTarget> missing = MissingFor(needs, whole);
    if (needs.everything) missing = {ColdTarget::Everything()};
    if (!missing.empty()) {
      LeaveAtomic(thread);
      return AwaitLoad(thread, missing, client);
    }
  }
  client.EndColdWait();
  thread.in_transaction = true;
  return ExecStatus::kDone;
}

void Engine::ExecuteAtomic(EngineThread& thread, const Request& request, ClientState& client,
                           ReplyWriter& reply) {
  TG_DCHECK(thread.in_transaction);
  const ExecStatus status = RunHandler(thread, request, client, reply);
  TG_CHECK(status == ExecStatus::kDone);
  client.continuation.reset();
}

void Engine::EndAtomic(EngineThread& thread) {
  if (!thread.ready.empty()) ServeReady(thread);
  Record(thread);
  thread.in_transaction = false;
  LeaveAtomic(thread);
  Deliver(thread);
}

void Engine::LeaveAtomic(EngineThread& thread) {
  if (thread.exclusive) {
    thread.exclusive = false;
    gate_->Open();
  } else {
    for (const uint16_t slot : thread.atomic_slots) Unlock(slot);
    thread.atomic_slots.clear();
  }
}

void Engine::DeliverAtomic(EngineThread& thread) {
  TG_DCHECK(thread.in_transaction);
  Deliver(thread);
}

// The gate stays closed, and its owner does not come back for it.
void Engine::SealAtomic(EngineThread& thread) {
  TG_CHECK(thread.exclusive);
  thread.ready.clear();
  Record(thread);
  thread.in_transaction = false;
  thread.exclusive = false;
  Deliver(thread);
}

bool Engine::WatchesAreDirty(EngineThread& thread, ClientState& client) {
  // Looking an expired key up removes it, which is a change.
  for (const ClientWatches::Key& key : client.watches.keys())
    Database(*keyspace_, thread, key.db, thread.now_ms, {.no_touch = true}).Peek(key.ref());
  return client.watches.dirty();
}

}  // namespace tidegate
