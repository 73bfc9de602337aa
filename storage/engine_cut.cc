// The part of Engine that requests meet while a cut is made (cut/cut.h).
#include "storage/cut/cut.h"
#include "storage/engine.h"
#include "storage/engine_thread.h"
#include "storage/keyspace/keyspace.h"
#include "storage/tier.h"
#include "storage/value/value_object.h"

namespace tidegate {
namespace {

// A value of more is not encoded by who changes it: that takes about 0.1 ms.
constexpr size_t kEncodedInPlaceBytesMax = 64 * 1024;

}  // namespace

ExecStatus Engine::AwaitCut(EngineThread& thread, const Request& request, ClientState& client) {
  const Waiter waiter{&thread, client.ticket};
  if (cut_queue_->full() && cut_queue_->ParkUntilRoom(waiter)) {
    client.parked = true;
    return ExecStatus::kSuspended;
  }
  for (const KeyRef& key : request.keys) {
    if (thread.cut->IsWalked(key.slot) || !TryLock(key.slot)) continue;
    const bool wait = IsLargeForCut(thread, key, client.db);
    Unlock(key.slot);
    if (!wait || !cut_queue_->ParkUntilWalked(key.slot, thread.cut->walked(key.slot), waiter))
      continue;
    client.parked = true;
    return ExecStatus::kSuspended;
  }
  return ExecStatus::kDone;
}

bool Engine::IsLargeForCut(EngineThread& thread, const KeyRef& key, int db) {
  if (thread.cut == nullptr) return false;
  const Table* table = keyspace_->FindTable(key.slot, db);
  const Entry* entry = table == nullptr ? nullptr : table->Find(key.hash, key.name);
  return entry != nullptr && !entry->embedded() && thread.cut->WantsBytes(key.slot, *entry) &&
         ValueBytes(ValueObject::Of(*entry)) > kEncodedInPlaceBytesMax;
}

void Engine::CheckpointEnded(bool succeeded) {
  if (tier_ != nullptr) tier_->CheckpointEnded(succeeded);
  MutexLock turn(cut_turn_);  // cuts of other kinds come from other threads
  checkpoint_failed_ = !succeeded;
  if (!succeeded) return;
  changed_slots_.Landed();
  dead_records_ = {};
}

}  // namespace tidegate
