// Commands that change a hash: setting, counting, deleting fields.
#include <cmath>
#include <string>

#include "base/text.h"
#include "storage/commands/hash_commands.h"

namespace tidegate {

namespace {

// HSET and HMSET. Returns how many fields are new; nothing when the error is written.
std::optional<size_t> SetPairs(CommandContext& context) {
  if (context.argc() % 2 == 1) {
    context.Fail(errors::WrongArity(context.request().command->full_name));
    return std::nullopt;
  }
  const KeyRef& key = context.key();
  Entry* entry = nullptr;
  if (!context.FindValue(key, ValueType::kHash, true, &entry)) return std::nullopt;
  HashValue hash(context.db(), key, entry);
  const size_t added = hash.Set(context.args().subspan(2));
  hash.Finish({"hset"});
  return added;
}

std::optional<int64_t> IntegerOf(const HashItem& item) {
  if (item.chunks != nullptr) return std::nullopt;
  if (item.value.is_integer()) return item.value.integer();
  return ParseInt64(item.value.text());
}

// The hash of a command with key, field, … and the field as it is now.
struct FoundField {
  HashValue hash;
  std::optional<HashItem> item;
};
std::optional<FoundField> FindForChange(CommandContext& context) {
  Entry* entry = nullptr;
  if (!context.FindValue(context.key(), ValueType::kHash, true, &entry)) return std::nullopt;
  FoundField found{HashValue(context.db(), context.key(), entry), std::nullopt};
  if (entry != nullptr) found.item = found.hash.view().Find(context.arg(2));
  return found;
}

// The sum as it is, because another library may round it otherwise. HSET would take the field's
// time to live away.
void RecordFloat(CommandContext& context, std::string_view text, bool expires) {
  const std::string_view key = context.key().name;
  if (expires) {
    context.RecordAs({"HSETEX", key, "KEEPTTL", "FIELDS", "1", context.arg(2), text});
  } else {
    context.RecordAs({"HSET", key, context.arg(2), text});
  }
}

}  // namespace

ExecStatus CmdHSet(CommandContext& context) {
  const std::optional<size_t> added = SetPairs(context);
  if (added) context.reply().Integer(static_cast<int64_t>(*added));
  return ExecStatus::kDone;
}

ExecStatus CmdHMset(CommandContext& context) {
  if (SetPairs(context)) context.reply().Ok();
  return ExecStatus::kDone;
}

ExecStatus CmdHSetNx(CommandContext& context) {
  std::optional<FoundField> found = FindForChange(context);
  if (!found) return ExecStatus::kDone;
  if (!found->item) {
    found->hash.Set(context.arg(2), context.arg(3));
    found->hash.Finish({"hset"});
  }
  context.reply().Integer(found->item ? 0 : 1);
  return ExecStatus::kDone;
}

ExecStatus CmdHIncrBy(CommandContext& context) {
  const std::optional<int64_t> delta = context.IntegerArg(3);
  if (!delta) return ExecStatus::kDone;
  std::optional<FoundField> found = FindForChange(context);
  if (!found) return ExecStatus::kDone;
  const std::optional<int64_t> old_value = found->item ? IntegerOf(*found->item) : 0;
  if (!old_value) return context.Fail("ERR hash value is not an integer");
  int64_t value = 0;
  if (__builtin_add_overflow(*old_value, *delta, &value)) return context.Fail(errors::kOverflow);
  char digits[kInt64TextBytesMax];
  found->hash.Set(context.arg(2), {digits, FormatInt64(value, digits)},
                  HashValue::OnSet::kKeepExpiry);
  found->hash.Finish({"hincrby"});
  context.reply().Integer(value);
  return ExecStatus::kDone;
}

ExecStatus CmdHIncrByFloat(CommandContext& context) {
  const std::optional<long double> delta = ParseLongDouble(context.arg(3));
  if (!delta) return context.Fail(errors::kNotFloat);
  if (std::isnan(*delta) || std::isinf(*delta)) return context.Fail("ERR value is NaN or Infinity");
  std::optional<FoundField> found = FindForChange(context);
  if (!found) return ExecStatus::kDone;
  std::string scratch;
  const std::optional<long double> old_value =
      found->item ? ParseLongDouble(HashValueText(*found->item, scratch)) : 0;
  if (!old_value) return context.Fail("ERR hash value is not a float");
  const long double value = *old_value + *delta;
  if (std::isnan(value) || std::isinf(value)) return context.Fail(errors::kNanOrInfinity);
  const std::string text = FormatLongDouble(value);
  const bool expires = found->item && found->item->expire_at_ms != kNoExpire;
  found->hash.Set(context.arg(2), text, HashValue::OnSet::kKeepExpiry);
  found->hash.Finish({"hincrbyfloat"});
  RecordFloat(context, text, expires);
  context.reply().Bulk(text);
  return ExecStatus::kDone;
}

ExecStatus CmdHDel(CommandContext& context) {
  const KeyRef& key = context.key();
  Entry* entry = nullptr;
  if (!context.FindValue(key, ValueType::kHash, true, &entry)) return ExecStatus::kDone;
  int64_t erased = 0;
  if (entry != nullptr) {
    HashValue hash(context.db(), key, entry);
    for (const std::string_view field : context.args().subspan(2)) {
      if (hash.Erase(field)) ++erased;
    }
    hash.Finish({erased > 0 ? "hdel" : ""});
  }
  context.reply().Integer(erased);
  return ExecStatus::kDone;
}

}  // namespace tidegate
