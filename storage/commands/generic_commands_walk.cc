// SCAN and KEYS: commands that walk over the slots, locking one at a time.
//
// A walk does a bounded amount of work per turn and then lets other work of its thread run; what it
// found waits in the client's continuation, encoded already, and is moved into the reply when the
// walk is through. So neither KEYS over millions of keys nor SCAN with a huge COUNT stalls anybody.
// What a walk promises is SCAN's promise: a key that exists from its start to its end is found.
//
// A cursor is slot * 2^32 + position in the slot's hash order: below 2^46, because some clients
// hold cursors in a double. Empty slots cost a lock and a read of their cache line, so a call goes
// on through all of them rather than come back with an empty page.
#include <algorithm>
#include <vector>

#include "storage/commands/generic_commands.h"
#include "storage/commands/scan_arguments.h"

namespace tidegate {
namespace {

// Work of one turn, in visits of an empty slot (about 15 ns); an entry that is looked at counts for
// kWorkPerEntry of them. Together below 1 ms: a fifth of what a loop turn may take.
constexpr size_t kWorkPerTurn = 64 * 1024;
constexpr size_t kWorkPerEntry = 16;

// Entries visited under one hold of a slot's lock.
constexpr size_t kEntriesPerHold = 256;

// The slot that all keys matching the pattern are in, when the pattern's literal beginning holds a
// whole hash tag or the pattern is literal altogether.
std::optional<uint16_t> SlotOfPattern(std::string_view pattern) {
  const size_t special = pattern.find_first_of("*?[\\");
  if (special == std::string_view::npos) return KeySlot(pattern);
  const std::string_view literal = pattern.substr(0, special);
  const size_t open = literal.find('{');
  if (open == std::string_view::npos) return std::nullopt;
  const size_t close = literal.find('}', open + 1);
  if (close == std::string_view::npos || close == open + 1) return std::nullopt;
  return KeySlot(literal);
}

// Whether a walk wants the key.
bool Accepts(const ScanArguments& filter, const Entry& entry) {
  if (filter.type && !EqualsIgnoreCase(*filter.type, ValueTypeName(entry.type()))) return false;
  return filter.Accepts(entry.key());
}

// Where a walk stands and what it found so far.
class KeyWalk final : public ClientState::Continuation {
 public:
  explicit KeyWalk(OutputBlockPool& pool) : found_(pool), writer_(found_) {}

  // From the cursor on; `only_slot` leaves out all other slots.
  void Start(uint64_t cursor, std::optional<uint16_t> only_slot) {
    slot_ = static_cast<uint32_t>(cursor >> 32) % kSlotCount;
    position_ = static_cast<uint32_t>(cursor);
    if (!only_slot) return;
    end_slot_ = *only_slot + 1u;
    if (slot_ >= end_slot_) {
      slot_ = end_slot_;
    } else if (slot_ < *only_slot) {
      slot_ = *only_slot;
      position_ = 0;
    }
  }

  bool through() const { return slot_ >= end_slot_; }
  uint64_t cursor() const { return through() ? 0 : uint64_t{slot_} << 32 | position_; }
  uint64_t visited() const { return visited_; }

  // Walks until `wanted` entries were visited in all, or to the end, as far as this turn and the
  // locks allow, and what is in memory. kSuspended: not there yet, call again next turn.
  ExecStatus Run(CommandContext& ctx, const ScanArguments& filter, uint64_t wanted);

  // Writes the found keys as one array.
  void Reply(ReplyWriter& reply) {
    reply.Array(found_count_);
    reply.out().TakeAll(found_);
  }

 private:
  void VisitSome(CommandContext& ctx, const ScanArguments& filter, size_t wanted);
  void RemoveExpired(CommandContext& ctx);

  uint32_t slot_ = 0;
  uint32_t end_slot_ = kSlotCount;
  uint32_t position_ = 0;
  uint64_t visited_ = 0;
  size_t found_count_ = 0;
  OutputBuffer found_;
  ReplyWriter writer_;
  std::vector<std::string> expired_;  // met in the current visit
};

void KeyWalk::VisitSome(CommandContext& ctx, const ScanArguments& filter, size_t wanted) {
  struct Visit {
    KeyWalk& walk;
    const ScanArguments& filter;
    const Database& db;
  } visit{*this, filter, ctx.db()};
  const auto slot = static_cast<uint16_t>(slot_);
  position_ = ctx.keyspace().Visit(slot, ctx.db().index(), position_, wanted, [&visit](Entry& e) {
    KeyWalk& walk = visit.walk;
    ++walk.visited_;
    if (visit.db.IsExpired(e)) {
      walk.expired_.emplace_back(e.key());
    } else if (Accepts(visit.filter, e)) {
      walk.writer_.Bulk(e.key());
      ++walk.found_count_;
    }
  });
  RemoveExpired(ctx);
}

// Whoever finds an expired key removes it. Not while visiting: that must not change the table.
void KeyWalk::RemoveExpired(CommandContext& ctx) {
  for (const std::string& key : expired_) ctx.db().Peek(KeyRef::Of(key));
  expired_.clear();
}

ExecStatus KeyWalk::Run(CommandContext& ctx, const ScanArguments& filter, uint64_t wanted) {
  size_t work = 0;
  while (!through() && visited_ < wanted) {
    if (work >= kWorkPerTurn && ctx.may_yield()) return ctx.Yield();
    const auto slot = static_cast<uint16_t>(slot_);
    const uint64_t visited_before = visited_;
    if (!ctx.TryLockSlot(slot)) return ctx.SuspendAtSlot(slot);
    if (__builtin_expect(!ctx.IsInMemory(ctx.db().index(), slot), 0)) {
      ctx.UnlockSlot(slot);
      return ctx.AwaitSlot(ctx.db().index(), slot);
    }
    VisitSome(ctx, filter, std::min<uint64_t>(wanted - visited_, kEntriesPerHold));
    ctx.UnlockSlot(slot);
    if (position_ == 0) ++slot_;
    work += 1 + (visited_ - visited_before) * kWorkPerEntry;
  }
  return ExecStatus::kDone;
}

// The walk that this client's request began in an earlier turn, or a fresh one.
KeyWalk& WalkOf(CommandContext& ctx, uint64_t cursor, const ScanArguments& filter) {
  auto& continuation = ctx.client().continuation;
  if (continuation == nullptr) {
    auto walk = std::make_unique<KeyWalk>(ctx.reply().out().pool());
    walk->Start(cursor, filter.pattern ? SlotOfPattern(*filter.pattern) : std::nullopt);
    continuation = std::move(walk);
  }
  return static_cast<KeyWalk&>(*continuation);
}

}  // namespace

ExecStatus CmdScan(CommandContext& ctx) {
  const std::optional<uint64_t> cursor = ParseScanCursor(ctx.arg(1));
  if (!cursor) return ctx.Fail("ERR invalid cursor");
  const std::optional<ScanArguments> arguments = ParseScanArguments(ctx, 2, ScanOf::kKeyspace);
  if (!arguments) return ExecStatus::kDone;

  KeyWalk& walk = WalkOf(ctx, *cursor, *arguments);
  const ExecStatus status = walk.Run(ctx, *arguments, arguments->count);
  if (status != ExecStatus::kDone) return status;
  BeginScanReply(ctx.reply(), walk.cursor());
  walk.Reply(ctx.reply());
  ctx.client().continuation.reset();
  return ExecStatus::kDone;
}

ExecStatus CmdKeys(CommandContext& ctx) {
  ScanArguments filter;
  if (ctx.arg(1) != "*") filter.pattern = ctx.arg(1);
  KeyWalk& walk = WalkOf(ctx, 0, filter);
  const ExecStatus status = walk.Run(ctx, filter, UINT64_MAX);
  if (status != ExecStatus::kDone) return status;
  walk.Reply(ctx.reply());
  ctx.client().continuation.reset();
  return ExecStatus::kDone;
}

}  // namespace tidegate
