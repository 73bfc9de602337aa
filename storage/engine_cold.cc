// The part of Engine about keys that are on disk and not in memory yet: see cold/residency.h.
#include <algorithm>

#include "base/check.h"
#include "storage/cold/cold_loader.h"
#include "storage/cold/residency.h"
#include "storage/engine.h"
#include "storage/engine_thread.h"
#include "storage/errors.h"
#include "storage/keyspace/database.h"
#include "storage/keyspace/keyspace.h"
#include "storage/keyspace/slot_extras.h"
#include "storage/tier.h"

namespace tidegate {

void Engine::BeginCold(const ColdStart& start) {
  TG_CHECK(tracks_changes_ && cold_loader_ == nullptr);
  std::vector<uint32_t> ids;
  for (const ColdDatabaseTotals& database : start.databases) {
    residency_->MakeCold(database.db, database.expires != 0);
    ids.push_back(residency_->IdOf(database.db));
  }
  cold_loader_ = std::make_unique<ColdLoader>(*this, start, std::move(ids));
  // From now on they are counted, wherever they are.
  for (const ColdDatabaseTotals& database : start.databases) {
    DbCounters& counters = threads_.back()->dbs[static_cast<size_t>(database.db)];
    counters.keys.Add(static_cast<int64_t>(database.keys));
    counters.expires.Add(static_cast<int64_t>(database.expires));
    counters.expire_at_s.Add(database.mean_expire_at_s * static_cast<int64_t>(database.expires));
  }
}

void Engine::StartLoading() {
  if (tier_ != nullptr) tier_->BeginServing();
  if (cold_loader_ != nullptr) cold_loader_->Start();
}

void Engine::LoadAhead(std::span<const KeyOfDatabase> keys) {
  if (!residency_->any()) return;
  std::vector<ColdTarget> missing;
  for (const KeyOfDatabase& one : keys) AddMissing(one.db, one.key, missing);
  cold_loader_->LoadAhead(missing);
}

// As if they had been removed: what is on disk is deleted or overwritten by the next checkpoint.
bool Engine::ForgoReading(EngineThread& thread, int db, std::span<const KeyRef> keys) {
  TG_DCHECK(thread.loading);
  bool any = false;
  for (const KeyRef& key : keys) {
    if (residency_->IsResident(db, key)) continue;
    Database(*keyspace_, thread, db, thread.now_ms, {.no_touch = true}).AssumeRemoved(key);
    any = true;
  }
  return any;
}

void Engine::StopLoading() {
  if (cold_loader_ != nullptr) cold_loader_->Stop();
}

ColdSource* Engine::cold_source() {
  return cold_loader_ == nullptr ? nullptr : &cold_loader_->source();
}

// The loader may know the wait for a moment longer.
void ClientState::EndColdWait() {
  if (cold_wait == nullptr) return;
  cold_wait->Release();
  cold_wait.reset();
}

bool Engine::IsCold() const { return residency_->any(); }

bool Engine::MayBeCold() const { return residency_->any() || tier_ != nullptr; }

void Engine::MakeTiered() {
  TG_CHECK(tracks_changes_ && cold_loader_ == nullptr);
  residency_->MakeTiered();
  tier_ = std::make_unique<Tier>(*keyspace_, *residency_);
  changed_slots_.KeepLanded();
}

std::shared_ptr<ColdHold> Engine::HoldKey(const KeyRef& key) {
  auto hold = std::make_shared<ColdHold>(residency_->pins());
  hold->Add(ColdTarget::Key(0, key));
  return hold;
}

Room Engine::MakeRoomFor(EngineThread& thread, const ClientState& client) {
  const Room room = MakeRoom(thread);
  const bool holds_much = room == Room::kLater && client.cold_wait != nullptr &&
                          client.cold_wait->hold().size() > kHoldTargetsMax;
  return holds_much ? Room::kYes : room;
}

void Engine::MakeRoomForLoads(EngineThread& thread) {
  if (tier_ == nullptr || !tier_->serving()) return;
  BeginTurn(thread);
  (void)MakeRoom(thread);
}

bool Engine::NeedsOnlyItsKey(const Request& request, int db) const {
  const KeyRef& key = request.keys[0];
  return (keyspace_->slot(key.slot).flags & Slot::kNeedsMore) == Slot::kCold &&
         (request.command->spec->flags & kOtherDatabases) == 0 && residency_->IsResident(db, key);
}

ColdStats Engine::StatsOfCold() const {
  if (cold_loader_ == nullptr) return {};
  ColdStats stats = cold_loader_->Stats();
  if (tier_ == nullptr) return stats;
  const TierStats tier = tier_->Stats();
  stats.checkpoints_asked = tier.checkpoints_asked;
  stats.checkpoint_waits = tier.checkpoint_waits;
  return stats;
}

void Engine::AddMissing(int db, const KeyRef& key, std::vector<ColdTarget>& out) const {
  if (!residency_->IsResident(db, key)) out.push_back(ColdTarget::Key(residency_->IdOf(db), key));
}

void Engine::AddMissing(const KeyRef& key, std::vector<ColdTarget>& out) const {
  for (int db = 0; db < options_.databases; ++db) AddMissing(db, key, out);
}

std::vector<ColdTarget> Engine::MissingFor(const Request& request, int db) const {
  std::vector<ColdTarget> missing;
  const bool others = (request.command->spec->flags & kOtherDatabases) != 0;
  for (const KeyRef& key : request.keys) {
    others ? AddMissing(key, missing) : AddMissing(db, key, missing);
  }
  return missing;
}

// SELECT, MOVE and SWAPDB among the requests are not looked into: the keys may be of any database.
std::vector<ColdTarget> Engine::MissingFor(const AtomicNeeds& needs, bool whole) const {
  std::vector<ColdTarget> missing;
  for (const KeyRef& key : needs.keys) AddMissing(key, missing);
  if (whole) AddMissingAwaited(missing);
  return missing;
}

void Engine::AddMissingAwaited(std::vector<ColdTarget>& out) const {
  constexpr uint32_t kAwaited = Slot::kWatched | Slot::kBlocked;
  for (uint32_t i = 0; i < kSlotCount; ++i) {
    const auto slot = static_cast<uint16_t>(i);
    const uint32_t flags = keyspace_->slot(slot).flags;
    if ((flags & kAwaited) == 0) continue;
    const SlotExtras& extras = keyspace_->extras(slot);
    const auto add = [&](int, std::string_view key) {
      AddMissing(KeyRef{key, KeyHash(key), slot}, out);
    };
    extras.watches.ForEachKey(add);
    extras.blocked.ForEachKey(add);
    extras.blocked.ForEachRequest([&](const BlockedRequest& blocked) {
      for (const KeyRef& key : blocked.request.view().keys) AddMissing(key, out);
    });
  }
}

ExecStatus Engine::AwaitLoad(EngineThread& thread, const std::vector<ColdTarget>& wants,
                             ClientState& client) {
  const std::shared_ptr<ColdWait> last = std::exchange(client.cold_wait, nullptr);
  if (last != nullptr && last->HasFailed(wants)) return ExecStatus::kRefused;
  client.rounds = 0;  // what it waits for does not come sooner behind the gate
  client.parked = true;
  if (!thread.loading) {
    client.cold_wait = cold_loader_->Add(wants, {&thread, client.ticket}, last.get());
    return ExecStatus::kSuspended;
  }
  if (!cold_loader_->LoadNow(wants).ok()) return ExecStatus::kRefused;
  thread.Wake(client.ticket);
  return ExecStatus::kSuspended;
}

ExecStatus Engine::AwaitLoad(EngineThread& thread, const std::vector<ColdTarget>& wants,
                             ClientState& client, ReplyWriter& reply) {
  const ExecStatus status = AwaitLoad(thread, wants, client);
  if (status == ExecStatus::kSuspended) return status;
  client.parked = false;
  reply.Error(errors::kCannotLoad);
  return Finish(client, ExecStatus::kRefused);
}

}  // namespace tidegate
