// RANDOMKEY: a random key of a keyspace that is cut into 16384 slots.
//
// Draw a slot, accept it in proportion to its keys (rejection sampling), then take a key from a
// random place of it. A database with few keys, or with all of them under one hash tag, wastes most
// draws; after kDrawsMax the next slot with keys behind a random one is taken, where a key behind a
// long gap is more likely. Redis's choice is uneven as well (by the length of bucket chains).
#include <algorithm>
#include <string>
#include <vector>

#include "storage/commands/generic_commands.h"
#include "storage/engine_thread.h"
#include "storage/keyspace/table.h"

namespace tidegate {
namespace {

constexpr int kDrawsMax = 512;

// A random live key of the slot, which is locked. Removes the expired ones that it meets.
std::optional<std::string> PickFromSlot(CommandContext& ctx, uint16_t slot) {
  struct Found {
    std::vector<std::string> live;
    std::vector<std::string> expired;
    const Database& db;
  } found{{}, {}, ctx.db()};
  const auto collect = [&found](Entry& entry) {
    (found.db.IsExpired(entry) ? found.expired : found.live).emplace_back(entry.key());
  };
  const int db = ctx.db().index();
  const auto position = static_cast<uint32_t>(ctx.thread().Random());
  ctx.keyspace().Visit(slot, db, position, 1, collect);
  if (found.live.empty()) ctx.keyspace().Visit(slot, db, 0, 1, collect);
  for (const std::string& key : found.expired) ctx.db().Peek(KeyRef::Of(key));
  if (found.live.empty()) return std::nullopt;
  return std::move(found.live[ctx.thread().Random() % found.live.size()]);
}

// What was drawn is kept while the slot is read from disk: others are in memory already, and would
// be chosen too often.
struct DrawnSlot final : ClientState::Continuation {
  explicit DrawnSlot(uint16_t drawn) : slot(drawn) {}
  uint16_t slot;
};

// With the slot locked; false: it is unlocked.
bool HasAllOfSlot(CommandContext& ctx, uint16_t slot) {
  if (__builtin_expect(ctx.IsInMemory(ctx.db().index(), slot), 1)) return true;
  ctx.UnlockSlot(slot);
  return false;
}

ExecStatus AwaitDrawn(CommandContext& ctx, uint16_t slot) {
  ctx.client().continuation = std::make_unique<DrawnSlot>(slot);
  return ctx.AwaitSlot(ctx.db().index(), slot);
}

// The same for a slot that is chosen with the probability keys / keys_max; nothing when it is not,
// or when it is busy. `cold`: the slot is on disk.
std::optional<std::string> DrawFromSlot(CommandContext& ctx, uint16_t slot, uint64_t keys_max,
                                        bool& cold) {
  if (!ctx.TryLockSlot(slot)) return std::nullopt;
  cold = !HasAllOfSlot(ctx, slot);
  if (cold) return std::nullopt;
  const Table* table = ctx.keyspace().FindTable(slot, ctx.db().index());
  const uint64_t keys = table == nullptr ? 0 : table->count();
  std::optional<std::string> key;
  if (keys > 0 && ctx.thread().Random() % keys_max < keys) key = PickFromSlot(ctx, slot);
  ctx.UnlockSlot(slot);
  return key;
}

ExecStatus ReplyKey(CommandContext& ctx, const std::string& key) {
  ctx.reply().Bulk(key);
  return ExecStatus::kDone;
}

}  // namespace

ExecStatus CmdRandomKey(CommandContext& ctx) {
  const uint64_t keys = ctx.engine().StatsOfDb(ctx.db().index()).keys;
  // About the fullest slot when keys are spread evenly.
  const uint64_t keys_max = 2 + 2 * keys / kSlotCount;
  const auto drawn = std::move(ctx.client().continuation);
  for (int draw = 0; keys > 0 && draw < kDrawsMax; ++draw) {
    const auto slot = draw == 0 && drawn != nullptr
                          ? static_cast<DrawnSlot&>(*drawn).slot
                          : static_cast<uint16_t>(ctx.thread().Random() % kSlotCount);
    bool cold = false;
    if (const auto key = DrawFromSlot(ctx, slot, keys_max, cold)) return ReplyKey(ctx, *key);
    if (cold) return AwaitDrawn(ctx, slot);
  }
  const auto first = static_cast<uint32_t>(ctx.thread().Random());
  for (uint32_t i = 0; keys > 0 && i < kSlotCount; ++i) {
    const auto slot = static_cast<uint16_t>((first + i) % kSlotCount);
    if (!ctx.TryLockSlot(slot)) return ctx.SuspendAtSlot(slot);
    if (!HasAllOfSlot(ctx, slot)) return ctx.AwaitSlot(ctx.db().index(), slot);
    const auto key = PickFromSlot(ctx, slot);
    ctx.UnlockSlot(slot);
    if (key) return ReplyKey(ctx, *key);
  }
  ctx.reply().Null();
  return ExecStatus::kDone;
}

}  // namespace tidegate
