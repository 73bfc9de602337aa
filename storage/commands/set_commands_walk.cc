// SSCAN, SRANDMEMBER and SPOP.
#include <unordered_set>
#include <vector>

#include "config/notify.h"
#include "storage/breathe.h"
#include "storage/commands/random_elements.h"
#include "storage/commands/scan_arguments.h"
#include "storage/commands/set_commands.h"
#include "storage/value/packed_reply.h"

namespace tidegate {
namespace {

// Members that may come more than once.
void DrawRepeating(CommandContext& context, const SetView& set, uint64_t count) {
  EngineThread& thread = context.thread();
  ReplyWriter& reply = context.reply();
  reply.Array(count);
  if (set.DrawsInConstantTime()) {
    const auto random = [&thread] { return RandomBits(thread); };
    return DrawTimes(context, count, [&] { ReplyPackedValue(reply, set.Random(random)); });
  }
  std::vector<ListpackValue> members;
  set.ForEach([&](const ListpackValue& member) { members.push_back(member); });
  DrawTimes(context, count,
            [&] { ReplyPackedValue(reply, members[RandomBits(thread) % members.size()]); });
}

// Different members, fewer than there are.
void DrawDifferent(CommandContext& context, const SetView& set, uint64_t count) {
  EngineThread& thread = context.thread();
  ReplyWriter& reply = context.reply();
  reply.Array(count);
  if (set.form() != SetForm::kTable || count > set.size() / kDrawnPartMax) {
    InOrderSample sample(thread, set.size(), count);
    set.ForEach([&](const ListpackValue& member) {
      if (sample.TakesNext()) ReplyPackedValue(reply, member);
    });
    return;
  }
  // A member in the table is told by where it is: nothing moves meanwhile.
  std::unordered_set<const char*> drawn;
  BreathingSpaces<64> spaces;
  while (drawn.size() < count) {
    spaces.Step();
    const ListpackValue member = set.Random([&thread] { return RandomBits(thread); });
    if (drawn.insert(member.text().data()).second) ReplyPackedValue(reply, member);
  }
}

// What SPOP takes out is recorded as SREM: chance would choose others the next time.
void BeginRecordOfRemoval(CommandContext& context, size_t members) {
  context.BeginRecordAs(2 + members);
  context.thread().effects.Word("SREM");
  context.thread().effects.Word(context.key().name);
}

void TakeOut(CommandContext& context, const ListpackValue& member) {
  ReplyPackedValue(context.reply(), member);
  if (!context.records()) return;
  char digits[kListpackDigitsBytes];
  context.thread().effects.Word(member.Render(digits));
}

// Replies with all members and deletes the key.
void PopAll(CommandContext& context, const SetView& set) {
  const KeyRef& key = context.key();
  ReplyWriter& reply = context.reply();
  reply.Set(set.size());
  set.ForEach([&reply](const ListpackValue& member) { ReplyPackedValue(reply, member); });
  Database& db = context.db();
  db.Notify(notify::kSet, "spop", key);
  db.Delete(key);
  context.RecordAs({"DEL", key.name});
  db.Notify(notify::kGeneric, "del", key);
}

ExecStatus PopSeveral(CommandContext& context) {
  constexpr std::string_view kNotPositive = "ERR value is out of range, must be positive";
  const std::optional<int64_t> count = context.IntegerArg(2, kNotPositive);
  if (!count) return ExecStatus::kDone;
  if (*count < 0) return context.Fail(kNotPositive);
  const KeyRef& key = context.key();
  Entry* entry = nullptr;
  if (!context.FindValue(key, ValueType::kSet, true, &entry)) return ExecStatus::kDone;
  ReplyWriter& reply = context.reply();
  if (entry == nullptr || *count == 0) {
    reply.Set(0);
    return ExecStatus::kDone;
  }
  SetValue set(context.db(), key, entry);
  auto left = static_cast<uint64_t>(*count);
  if (context.IsLong(std::min(left, set.view().size()))) return context.RunLong();
  if (left >= set.view().size()) {
    PopAll(context, set.view());
    return ExecStatus::kDone;
  }
  reply.Set(left);
  const std::function<uint64_t()> random = [&context] { return RandomBits(context.thread()); };
  BreathingSpaces<64> spaces;
  if (context.records()) BeginRecordOfRemoval(context, static_cast<size_t>(left));
  for (; left > 0; --left) {
    spaces.Step();
    set.Pop(random, [&context](const ListpackValue& member) { TakeOut(context, member); });
  }
  FinishSetRemoval(context.db(), key, set, "spop");
  return ExecStatus::kDone;
}

}  // namespace

ExecStatus CmdSPop(CommandContext& context) {
  if (context.argc() == 3) return PopSeveral(context);
  if (context.argc() > 3) return context.Fail(errors::kSyntax);
  const KeyRef& key = context.key();
  Entry* entry = nullptr;
  if (!context.FindValue(key, ValueType::kSet, true, &entry)) return ExecStatus::kDone;
  if (entry == nullptr) {
    context.reply().Null();
    return ExecStatus::kDone;
  }
  SetValue set(context.db(), key, entry);
  if (context.records()) BeginRecordOfRemoval(context, 1);
  set.Pop([&context] { return RandomBits(context.thread()); },
          [&context](const ListpackValue& member) { TakeOut(context, member); });
  FinishSetRemoval(context.db(), key, set, "spop");
  return ExecStatus::kDone;
}

ExecStatus CmdSRandMember(CommandContext& context) {
  if (context.argc() > 3) return context.Fail(errors::kSyntax);
  std::optional<int64_t> count;
  if (context.argc() == 3 && !(count = DrawCountArg(context, 2))) return ExecStatus::kDone;
  Entry* entry = nullptr;
  if (!context.FindValue(context.key(), ValueType::kSet, false, &entry)) return ExecStatus::kDone;
  ReplyWriter& reply = context.reply();
  if (entry == nullptr || count == 0) {
    count ? reply.Array(0) : reply.Null();
    return ExecStatus::kDone;
  }
  const SetView set(*entry);
  if (count && context.IsLong(DrawLooks(*count, set.size()))) return context.RunLong();
  if (!count) {
    ReplyPackedValue(reply, set.Random([&context] { return RandomBits(context.thread()); }));
  } else if (*count < 0) {
    DrawRepeating(context, set, static_cast<uint64_t>(-*count));
  } else if (static_cast<uint64_t>(*count) < set.size()) {
    DrawDifferent(context, set, static_cast<uint64_t>(*count));
  } else {
    reply.Array(set.size());
    set.ForEach([&reply](const ListpackValue& member) { ReplyPackedValue(reply, member); });
  }
  return ExecStatus::kDone;
}

ExecStatus CmdSScan(CommandContext& context) {
  const std::optional<uint64_t> cursor = ParseScanCursor(context.arg(2));
  if (!cursor) return context.Fail("ERR invalid cursor");
  Entry* entry = nullptr;
  if (!context.FindValue(context.key(), ValueType::kSet, false, &entry)) return ExecStatus::kDone;
  ScanFindings findings(context.reply());
  if (entry == nullptr) {
    findings.Reply(0);
    return ExecStatus::kDone;
  }
  const std::optional<ScanArguments> arguments = ParseScanArguments(context, 3, ScanOf::kSet);
  if (!arguments) return ExecStatus::kDone;
  const SetView set(*entry);
  if (context.IsLong(std::min<uint64_t>(arguments->count, set.size()))) return context.RunLong();
  const uint64_t next = set.Scan(*cursor, arguments->count, [&](const ListpackValue& member) {
    char digits[kListpackDigitsBytes];
    if (arguments->pattern && !arguments->Accepts(member.Render(digits))) return;
    ReplyPackedValue(findings.Add(), member);
  });
  findings.Reply(next);
  return ExecStatus::kDone;
}

}  // namespace tidegate
