#include "storage/commands/hyperloglog_commands.h"

#include <cstring>
#include <string>

#include "config/notify.h"
#include "storage/breathe.h"
#include "storage/commands/families.h"
#include "storage/value/hyperloglog.h"
#include "storage/value/hyperloglog_buffer.h"
#include "storage/value/string_value.h"

namespace tidegate {
namespace {

using Change = HyperLogLogBuffer::Change;

// What one HyperLogLog counts for as elements of a long command: some 50 us.
constexpr uint64_t kElementsPerMerge = 256;

uint64_t SparseBytesMax(CommandContext& context) {
  return context.engine().settings().hll_sparse_bytes_max.load(std::memory_order_relaxed);
}

// Says where it stands that the cached cardinality is out of date.
void MarkStale(Entry& entry, std::string_view bytes) {
  const char flagged = static_cast<char>(
      static_cast<uint8_t>(bytes[HyperLogLogLayout::kStaleFlagAt]) | HyperLogLogLayout::kStaleFlag);
  OverwriteString(entry, HyperLogLogLayout::kStaleFlagAt, {&flagged, 1});
}

// Raises a register of a dense value where it stands; false when it is as high already.
bool RaiseInPlace(Entry& entry, std::string_view bytes, HyperLogLogUpdate update) {
  const uint8_t* registers = HyperLogLogView(bytes).registers();
  if (DenseRegister(registers, update.index) >= update.run) return false;
  constexpr uint32_t kGroup = 4;  // registers that three bytes hold exactly
  constexpr size_t kGroupBytes = 3;
  const size_t offset = update.index / kGroup * kGroupBytes;
  // The group, and a byte that nothing of it reaches.
  uint8_t group[kGroupBytes + 1] = {};
  std::memcpy(group, registers + offset, kGroupBytes);
  SetDenseRegister(group, update.index % kGroup, update.run);
  OverwriteString(entry, HyperLogLogLayout::kHeaderBytes + offset,
                  {reinterpret_cast<const char*>(group), kGroupBytes});
  return true;
}

void AddedSome(CommandContext& context, const KeyRef& key) {
  context.db().Notify(notify::kString, "pfadd", key);
}

ExecStatus AddDense(CommandContext& context, Entry& entry, std::string_view bytes) {
  bool raised = false;
  for (size_t i = 2; i < context.argc(); ++i)
    raised |= RaiseInPlace(entry, bytes, HyperLogLogUpdateOf(context.arg(i)));
  entry.set_raw(true);
  if (raised) {
    MarkStale(entry, bytes);
    context.db().Modified(context.key());
    AddedSome(context, context.key());
  }
  context.reply().Integer(raised ? 1 : 0);
  return ExecStatus::kDone;
}

Entry* Store(CommandContext& context, const KeyRef& key, Entry* entry,
             const HyperLogLogBuffer& buffer) {
  const int64_t expire_at_ms = entry == nullptr ? kNoExpire : entry->expire_at_ms();
  entry = context.db().SetString(key, entry, buffer.bytes(), expire_at_ms);
  entry->set_raw(true);
  return entry;
}

// Copies the value into the buffer; false when it is longer than any valid one.
bool LoadBuffer(const Entry& entry, HyperLogLogBuffer& buffer) {
  const size_t size = StringLength(entry);
  if (size > HyperLogLogBuffer::kBytesMax) return false;
  ReadStringRange(entry, 0, size, buffer.Load(size));
  return true;
}

ExecStatus CountOne(CommandContext& context) {
  Entry* entry = nullptr;
  if (!FindHyperLogLog(context, context.key(), false, &entry)) return ExecStatus::kDone;
  if (entry == nullptr) {
    context.reply().Integer(0);
    return ExecStatus::kDone;
  }
  entry->set_raw(true);
  std::string scratch;
  const std::string_view bytes = HyperLogLogBytes(*entry, scratch);
  const HyperLogLogView view(bytes);
  uint64_t cardinality = 0;
  if (view.has_cached_cardinality()) {
    cardinality = view.cached_cardinality();
  } else {
    if (!view.Count(&cardinality)) return context.Fail(kHyperLogLogCorrupted);
    context.db().BeforeChange(context.key(), *entry);
    char cached[sizeof cardinality];
    std::memcpy(cached, &cardinality, sizeof cached);
    OverwriteString(*entry, HyperLogLogLayout::kCardinalityAt, {cached, sizeof cached});
    context.db().Modified(context.key());
  }
  context.reply().Integer(static_cast<int64_t>(cardinality));
  return ExecStatus::kDone;
}

// Merges the values of all keys; false when the error is written. *dense: whether one of them is.
bool MergeAll(CommandContext& context, HyperLogLogUnion& merged, bool* dense) {
  std::string scratch;
  for (const KeyRef& key : context.keys()) {
    Breathe();
    Entry* entry = nullptr;
    if (!FindHyperLogLog(context, key, false, &entry)) return false;
    if (entry == nullptr) continue;
    const HyperLogLogView view(HyperLogLogBytes(*entry, scratch));
    *dense |= view.dense();
    if (!merged.Merge(view)) {
      context.Fail(kHyperLogLogCorrupted);
      return false;
    }
  }
  return true;
}

}  // namespace

bool FindHyperLogLog(CommandContext& context, const KeyRef& key, bool for_write, Entry** entry) {
  constexpr std::string_view kNoHyperLogLog =
      "WRONGTYPE Key is not a valid HyperLogLog string value.";
  if (!context.FindString(key, for_write, entry)) return false;
  if (*entry == nullptr) return true;
  std::string scratch;
  if (HyperLogLogView::IsValid(HyperLogLogBytes(**entry, scratch))) return true;
  context.Fail(kNoHyperLogLog);
  return false;
}

std::string_view HyperLogLogBytes(const Entry& entry, std::string& scratch) {
  const size_t size = StringLength(entry);
  if (size > ChunkedString::kChunkBytes) return StringContents(entry, scratch);
  std::string_view bytes;
  VisitStringRange(entry, 0, size, [&bytes](size_t, std::string_view piece) { bytes = piece; });
  return bytes;
}

ExecStatus CmdPfAdd(CommandContext& context) {
  const KeyRef& key = context.key();
  Entry* entry = nullptr;
  if (!FindHyperLogLog(context, key, true, &entry)) return ExecStatus::kDone;
  HyperLogLogBuffer buffer(SparseBytesMax(context));
  bool changed = entry == nullptr;
  if (entry == nullptr) {
    buffer.LoadEmpty();
  } else if (StringLength(*entry) == HyperLogLogLayout::kDenseBytes) {
    std::string scratch;
    const std::string_view bytes = HyperLogLogBytes(*entry, scratch);
    if (HyperLogLogView(bytes).dense()) return AddDense(context, *entry, bytes);
    (void)LoadBuffer(*entry, buffer);
  } else if (!LoadBuffer(*entry, buffer)) {
    return context.Fail(kHyperLogLogCorrupted);
  }
  bool corrupted = false;
  for (size_t i = 2; i < context.argc() && !corrupted; ++i) {
    const Change change = buffer.Raise(HyperLogLogUpdateOf(context.arg(i)));
    changed |= change == Change::kChanged;
    corrupted = change == Change::kCorrupted;
  }
  if (changed) {
    buffer.MarkStale();
    Store(context, key, entry, buffer);
  } else {
    entry->set_raw(true);
  }
  if (corrupted) return context.Fail(kHyperLogLogCorrupted);
  if (changed) AddedSome(context, key);
  context.reply().Integer(changed ? 1 : 0);
  return ExecStatus::kDone;
}

ExecStatus CmdPfCount(CommandContext& context) {
  if (context.argc() == 2) return CountOne(context);
  if (context.IsLong(context.keys().size() * kElementsPerMerge)) return context.RunLong();
  HyperLogLogUnion merged;
  bool dense = false;
  if (!MergeAll(context, merged, &dense)) return ExecStatus::kDone;
  context.reply().Integer(static_cast<int64_t>(merged.Count()));
  return ExecStatus::kDone;
}

ExecStatus CmdPfMerge(CommandContext& context) {
  const KeyRef& key = context.key();
  if (context.IsLong(context.keys().size() * kElementsPerMerge)) return context.RunLong();
  HyperLogLogUnion merged;
  bool dense = false;
  if (!MergeAll(context, merged, &dense)) return ExecStatus::kDone;
  Entry* entry = context.db().FindForWrite(key);
  HyperLogLogBuffer buffer(SparseBytesMax(context));
  if (entry == nullptr) {
    buffer.LoadEmpty();
  } else if (!LoadBuffer(*entry, buffer)) {
    return context.Fail(kHyperLogLogCorrupted);
  }
  // It was read without a mistake above.
  if (dense && !buffer.ToDense()) return context.Fail(kHyperLogLogCorrupted);
  for (uint32_t i = 0; i < HyperLogLogLayout::kRegisters; ++i) {
    if (merged[i] != 0) (void)buffer.Raise({i, merged[i]});
  }
  buffer.MarkStale();
  Store(context, key, entry, buffer);
  AddedSome(context, key);
  context.reply().Ok();
  return ExecStatus::kDone;
}

namespace {

constexpr CommandSpec kHyperLogLogCommands[] = {
    {.name = "PFADD",
     .arity = AtLeast(2),
     .keys = {1, 1, 1},
     .access = Access::kWrite,
     .scope = Scope::kOneKey,
     .flags = kDenyOom | kFast,
     .cost = Cost::kPerArgument,
     .group = Group::kHyperLogLog,
     .since = "2.8.9",
     .complexity = "O(1) for each element",
     .summary = "Adds elements to a HyperLogLog, which counts how many different ones there were.",
     .handler = CmdPfAdd,
     .key_flags = "RW insert"},
    {.name = "PFCOUNT",
     .arity = AtLeast(2),
     .keys = {1, -1, 1},
     .access = Access::kRead,
     .scope = Scope::kManyKeys,
     .cost = Cost::kPerArgument,
     .group = Group::kHyperLogLog,
     .since = "2.8.9",
     .complexity = "O(1) for one key, most often from a cached count; O(n) for a union of n keys, "
                   "with a large constant",
     .summary = "Estimates how many different elements a HyperLogLog, or a union of several, saw.",
     .handler = CmdPfCount,
     .key_flags = "RW access"},
    {.name = "PFDEBUG",
     .arity = Exactly(3),
     .keys = {2, 2, 1},
     .access = Access::kWrite,
     .scope = Scope::kOneKey,
     .flags = kDenyOom | kAdmin | kSystemCommand,
     .group = Group::kHyperLogLog,
     .since = "2.8.9",
     .complexity = "O(1)",
     .summary = "Shows how a HyperLogLog is held, for tests.",
     .handler = CmdPfDebug,
     .key_flags = "RW access"},
    {.name = "PFMERGE",
     .arity = AtLeast(2),
     .keys = {1, -1, 1},
     .access = Access::kWrite,
     .scope = Scope::kManyKeys,
     .flags = kDenyOom,
     .cost = Cost::kPerArgument,
     .group = Group::kHyperLogLog,
     .since = "2.8.9",
     .complexity = "O(n) for n HyperLogLogs, with a large constant",
     .summary = "Merges HyperLogLogs into one.",
     .handler = CmdPfMerge,
     .key_flags = "RW access insert|RO access"},
    {.name = "PFSELFTEST",
     .arity = Exactly(1),
     .access = Access::kNone,
     .scope = Scope::kSlotBySlot,
     .flags = kAdmin | kSystemCommand,
     .group = Group::kHyperLogLog,
     .since = "2.8.9",
     .complexity = "O(1)",
     .summary = "Tries the HyperLogLog's registers and estimates, for tests.",
     .handler = CmdPfSelfTest},
};
static_assert(IsValidFamily(kHyperLogLogCommands));

}  // namespace

constinit const std::span<const CommandSpec> kHyperLogLogFamily = kHyperLogLogCommands;

}  // namespace tidegate
