// HSCAN and HRANDFIELD.
#include <limits>
#include <unordered_set>
#include <vector>

#include "storage/breathe.h"
#include "storage/commands/hash_commands.h"
#include "storage/commands/random_elements.h"
#include "storage/commands/scan_arguments.h"
#include "storage/value/packed_reply.h"

namespace tidegate {
namespace {

// Writes drawn fields, with or without their values.
class FieldWriter final {
 public:
  FieldWriter(ReplyWriter& reply, bool values) : reply_(reply), values_(values) {}

  void Begin(uint64_t count) { reply_.Array(values_ && !reply_.resp3() ? count * 2 : count); }
  void Add(const HashItem& item) {
    if (values_ && reply_.resp3()) reply_.Array(2);
    ReplyPackedValue(reply_, item.field);
    if (values_) ReplyHashValue(reply_, item);
  }

 private:
  ReplyWriter& reply_;
  bool values_;
};

// Fields that may come more than once.
void DrawRepeating(CommandContext& context, const HashView& hash, uint64_t count,
                   FieldWriter& writer) {
  EngineThread& thread = context.thread();
  if (hash.DrawsInConstantTime()) {
    writer.Begin(count);
    return DrawTimes(context, count,
                     [&] { writer.Add(*hash.Random([&] { return RandomBits(thread); })); });
  }
  std::vector<HashItem> items;
  hash.ForEach([&](const HashItem& item) { items.push_back(item); });
  if (items.empty()) return writer.Begin(0);
  writer.Begin(count);
  DrawTimes(context, count, [&] { writer.Add(items[RandomBits(thread) % items.size()]); });
}

// Different fields, fewer than there are.
void DrawDifferent(CommandContext& context, const HashView& hash, uint64_t total, uint64_t count,
                   FieldWriter& writer) {
  EngineThread& thread = context.thread();
  writer.Begin(count);
  if (!hash.DrawsInConstantTime() || count > total / kDrawnPartMax) {
    InOrderSample sample(thread, total, count);
    hash.ForEach([&](const HashItem& item) {
      if (sample.TakesNext()) writer.Add(item);
    });
    return;
  }
  // A field in the table is told by where it is: nothing moves meanwhile.
  std::unordered_set<const char*> drawn;
  BreathingSpaces<64> spaces;
  while (drawn.size() < count) {
    spaces.Step();
    const HashItem item = *hash.Random([&] { return RandomBits(thread); });
    if (drawn.insert(item.field.text().data()).second) writer.Add(item);
  }
}

ExecStatus ReplyOneField(CommandContext& context, const Entry* entry) {
  std::optional<HashItem> item;
  if (entry != nullptr) {
    const HashView hash(*entry, context.now_ms());
    item = hash.Random([&] { return RandomBits(context.thread()); });
  }
  if (item) {
    ReplyPackedValue(context.reply(), item->field);
  } else {
    context.reply().Null();
  }
  return ExecStatus::kDone;
}

}  // namespace

ExecStatus CmdHRandField(CommandContext& context) {
  Entry* entry = nullptr;
  if (context.argc() == 2) {
    if (!context.FindValue(context.key(), ValueType::kHash, false, &entry))
      return ExecStatus::kDone;
    return ReplyOneField(context, entry);
  }
  const bool values = context.argc() == 4 && EqualsIgnoreCase(context.arg(3), "withvalues");
  const std::optional<int64_t> count = DrawCountArg(context, 2);
  if (!count) return ExecStatus::kDone;
  if (context.argc() > 3 && !values) return context.Fail(errors::kSyntax);
  // The reply counts fields and values.
  constexpr int64_t kPairsMax = std::numeric_limits<int64_t>::max() / 2;
  if (values && (*count < -kPairsMax || *count > kPairsMax)) {
    return context.Fail(errors::kOutOfRange);
  }
  if (!context.FindValue(context.key(), ValueType::kHash, false, &entry)) return ExecStatus::kDone;
  FieldWriter writer(context.reply(), values);
  if (entry == nullptr || *count == 0) {
    writer.Begin(0);
    return ExecStatus::kDone;
  }
  const HashView hash(*entry, context.now_ms());
  if (context.IsLong(DrawLooks(*count, hash.size()))) return context.RunLong();
  if (*count < 0) {
    DrawRepeating(context, hash, static_cast<uint64_t>(-*count), writer);
    return ExecStatus::kDone;
  }
  const uint64_t total = hash.size();
  if (static_cast<uint64_t>(*count) >= total) {
    writer.Begin(total);
    hash.ForEach([&](const HashItem& item) { writer.Add(item); });
  } else {
    DrawDifferent(context, hash, total, static_cast<uint64_t>(*count), writer);
  }
  return ExecStatus::kDone;
}

ExecStatus CmdHScan(CommandContext& context) {
  const std::optional<uint64_t> cursor = ParseScanCursor(context.arg(2));
  if (!cursor) return context.Fail("ERR invalid cursor");
  Entry* entry = nullptr;
  if (!context.FindValue(context.key(), ValueType::kHash, false, &entry)) return ExecStatus::kDone;
  ScanFindings findings(context.reply());
  if (entry == nullptr) {
    findings.Reply(0);
    return ExecStatus::kDone;
  }
  const std::optional<ScanArguments> arguments = ParseScanArguments(context, 3, ScanOf::kHash);
  if (!arguments) return ExecStatus::kDone;
  const HashView hash(*entry, context.now_ms());
  if (context.IsLong(std::min<uint64_t>(arguments->count, hash.size()))) return context.RunLong();
  const uint64_t next = hash.Scan(*cursor, arguments->count, [&](const HashItem& item) {
    char digits[kListpackDigitsBytes];
    if (arguments->pattern && !arguments->Accepts(item.field.Render(digits))) return;
    ReplyPackedValue(findings.Add(), item.field);
    if (arguments->values) ReplyHashValue(findings.Add(), item);
  });
  findings.Reply(next);
  return ExecStatus::kDone;
}

}  // namespace tidegate
