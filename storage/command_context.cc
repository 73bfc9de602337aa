#include "storage/command_context.h"

#include "base/text.h"
#include "storage/engine_thread.h"
#include "storage/parking.h"

namespace tidegate {

CommandContext::CommandContext(Engine& engine, EngineThread& thread, const Request& request,
                               ClientState& client, ReplyWriter& reply)
    : engine_(engine),
      thread_(thread),
      keyspace_(engine.keyspace_.get()),
      request_(request),
      client_(client),
      reply_(reply),
      db_(*keyspace_, thread, client.db, thread.now_ms, Use(client.no_touch)) {}

std::optional<int64_t> CommandContext::IntegerArg(size_t i, std::string_view error) {
  const std::optional<int64_t> value = ParseInt64(arg(i));
  if (!value) reply_.Error(error);
  return value;
}

bool CommandContext::FindString(const KeyRef& key, bool for_write, Entry** out) {
  Entry* entry = for_write ? db_.FindForWrite(key) : db_.FindForRead(key);
  *out = entry;
  if (entry == nullptr || entry->type() == ValueType::kString) return true;
  reply_.Error(errors::kWrongType);
  return false;
}

bool CommandContext::TryLockSlot(uint16_t slot) { return engine_.TryLock(slot); }

void CommandContext::UnlockSlot(uint16_t slot) { engine_.Unlock(slot); }

ExecStatus CommandContext::SuspendAtSlot(uint16_t slot) {
  return engine_.ParkAt(thread_, slot, client_);
}

ExecStatus CommandContext::Yield() {
  client_.parked = true;
  thread_.Wake(client_.ticket);
  return ExecStatus::kSuspended;
}

}  // namespace tidegate
