#include "storage/command_context.h"

#include "base/check.h"
#include "base/text.h"
#include "storage/breathe.h"
#include "storage/cold/cold_queue.h"
#include "storage/cold/residency.h"
#include "storage/keyspace/slot_extras.h"
#include "storage/long_command.h"
#include "storage/parking.h"
#include "storage/value/value_object.h"

namespace tidegate {
namespace {

// What of a value's bytes counts as an element.
constexpr size_t kElementBytes = 64;

}  // namespace

CommandContext::CommandContext(Engine& engine, EngineThread& thread, const Request& request,
                               ClientState& client, ReplyWriter& reply)
    : engine_(engine),
      thread_(thread),
      keyspace_(engine.keyspace_.get()),
      request_(request),
      client_(client),
      reply_(reply),
      db_(*keyspace_, thread, client.db, thread.now_ms, Use(client.no_touch)) {}

ExecStatus CommandContext::RunRecorded() {
  const EffectLog::Outer outer = thread_.effects.BeginCommand();
  const ExecStatus status = request_.command->spec->handler(*this);
  // The log is another one by now, perhaps: a long command has its own.
  const bool ended = status != ExecStatus::kSuspended;
  thread_.effects.EndCommand(outer, db_.index(), request_.args, ended);
  return status;
}

// Only keys whose slots are held for certain.
void CommandContext::MeasureKeys() {
  const Scope scope = request_.command->spec->scope;
  const bool held = scope == Scope::kOneKey || scope == Scope::kManyKeys ||
                    thread_.in_transaction || thread_.exclusive;
  const auto measure = [this](const KeyRef& key) {
    const Table* table = keyspace_->FindTable(key.slot, db_.index());
    const Entry* entry = table == nullptr ? nullptr : table->Find(key.hash, key.name);
    thread_.sizes.Measure(db_.index(), key, entry, thread_.wall_ms);
  };
  if (served_key_ != nullptr) {
    measure(*served_key_);
  } else if (held) {
    for (const KeyRef& key : request_.keys) measure(key);
  }
  thread_.sizes.EndCommand();
}

std::optional<int64_t> CommandContext::IntegerArg(size_t i, std::string_view error) {
  const std::optional<int64_t> value = ParseInt64(arg(i));
  if (!value) reply_.Error(error);
  return value;
}

bool CommandContext::FindValue(const KeyRef& key, ValueType type, bool for_write, Entry** out) {
  Entry* entry = for_write ? db_.FindForWrite(key) : db_.FindForRead(key);
  *out = entry;
  if (entry == nullptr || entry->type() == type) return true;
  reply_.Error(errors::kWrongType);
  return false;
}

ExecStatus CommandContext::Block(std::span<const KeyRef> keys, int64_t timeout_ms,
                                 TimeoutReply timeout_reply, const KeyRef* target,
                                 const Request* served_as) {
  if (served_key_ != nullptr) return ExecStatus::kSuspended;
  if (thread_.in_transaction) {
    timeout_reply == TimeoutReply::kNullArray ? reply_.NullArray() : reply_.Null();
    return ExecStatus::kDone;
  }
  auto blocked = std::make_shared<BlockedRequest>();
  blocked->request = OwnedRequest(served_as == nullptr ? request_ : *served_as);
  blocked->db = client_.db;
  blocked->no_touch = client_.no_touch;
  blocked->protocol = reply_.protocol();
  blocked->waiter = {&thread_, client_.ticket};
  blocked->deadline_ms = timeout_ms == 0 ? 0 : now_ms() + timeout_ms;
  if (target != nullptr) {
    blocked->targets.push_back(target->slot);
    if (engine_.tier() != nullptr) blocked->hold = engine_.HoldKey(*target);
  }
  client_.EndColdWait();
  for (const KeyRef& key : keys) {
    keyspace_->extras(key.slot).blocked.Add(client_.db, key.name, blocked);
    keyspace_->UpdateFlags(key.slot);
  }
  client_.blocked = std::move(blocked);
  client_.rounds = 0;  // it has its turn behind it
  return ExecStatus::kSuspended;
}

bool CommandContext::MayRunLong() const {
  if (internal::t_long_command != nullptr) {
    internal::t_long_command->ForgetFirstLookups();
    return false;
  }
  return !thread_.in_transaction && !thread_.exclusive && !thread_.loading &&
         served_key_ == nullptr;
}

bool CommandContext::IsLongValue(const Entry& entry) const {
  return !entry.embedded() && IsLong(ValueBytes(ValueObject::Of(entry)) / kElementBytes);
}

ExecStatus CommandContext::RunLong() {
  TG_DCHECK(MayRunLong());
  thread_.wants_long = true;
  return ExecStatus::kSuspended;
}

bool CommandContext::may_yield() const { return !thread_.in_transaction; }

bool CommandContext::TryLockSlot(uint16_t slot) {
  if (!engine_.TryLock(slot)) return false;
  if (internal::t_long_command != nullptr) keyspace_->slot(slot).HoldLong();
  return true;
}

void CommandContext::UnlockSlot(uint16_t slot) {
  // A transaction serves at its end.
  if (__builtin_expect(!thread_.ready.empty() && !thread_.in_transaction, 0))
    engine_.ServeReady(thread_);
  if (!thread_.in_transaction) engine_.Record(thread_);
  engine_.Unlock(slot);
}

bool CommandContext::IsInMemory(const KeyRef& key) const {
  return engine_.residency_->IsResident(db_.index(), key);
}

bool CommandContext::IsInMemory(int db, uint16_t slot) const {
  return !engine_.residency_->IsCold(db, slot);
}

ExecStatus CommandContext::AwaitKeys(std::span<const KeyRef> keys) {
  TG_CHECK(!thread_.in_transaction);
  // What was missing a turn ago may have been dropped with its database since, or have come.
  if (!engine_.residency_->IsCold(db_.index())) return Yield();
  std::vector<ColdTarget> wants;
  for (const KeyRef& key : keys)
    wants.push_back(ColdTarget::Key(engine_.residency_->IdOf(db_.index()), key));
  return engine_.AwaitLoad(thread_, wants, client_, reply_);
}

ExecStatus CommandContext::AwaitSlot(int db, uint16_t slot) {
  TG_CHECK(!thread_.in_transaction);
  return engine_.AwaitLoad(thread_, {ColdTarget::Slot(engine_.residency_->IdOf(db), slot)}, client_,
                           reply_);
}

ExecStatus CommandContext::SuspendAtSlot(uint16_t slot) {
  return engine_.ParkAt(thread_, slot, client_);
}

ExecStatus CommandContext::Yield() {
  client_.parked = true;
  thread_.Wake(client_.ticket);
  return ExecStatus::kSuspended;
}

}  // namespace tidegate
