// HEXPIRE and its family: times at which single fields of a hash expire. A time that is not in the
// future removes the field at once.
#include "base/text.h"
#include "storage/commands/hash_field_commands.h"
#include "storage/commands/hash_field_effects.h"
#include "storage/value/hash_value.h"

namespace tidegate {
namespace {

// What is said of each field.
constexpr int64_t kNoSuchField = -2;
constexpr int64_t kNeverExpires = -1;
constexpr int64_t kConditionNotMet = 0;
constexpr int64_t kDone = 1;
constexpr int64_t kDeleted = 2;

// Under which old expiry of a field the new one is set.
enum class Condition : uint8_t { kNone, kNoneYet, kSomeYet, kLater, kEarlier };

Condition ConditionOf(std::string_view word) {
  if (EqualsIgnoreCase(word, "nx")) return Condition::kNoneYet;
  if (EqualsIgnoreCase(word, "xx")) return Condition::kSomeYet;
  if (EqualsIgnoreCase(word, "gt")) return Condition::kLater;
  if (EqualsIgnoreCase(word, "lt")) return Condition::kEarlier;
  return Condition::kNone;
}

// No expiry counts as infinitely late.
bool Allows(Condition condition, int64_t current_ms, int64_t next_ms) {
  const bool expires = current_ms != kNoExpire;
  switch (condition) {
    case Condition::kNone:
      return true;
    case Condition::kNoneYet:
      return !expires;
    case Condition::kSomeYet:
      return expires;
    case Condition::kLater:
      return expires && next_ms > current_ms;
    case Condition::kEarlier:
      return !expires || next_ms < current_ms;
  }
  return false;
}

ExecStatus ReplyToEach(CommandContext& context, size_t fields, int64_t answer) {
  context.reply().Array(fields);
  for (; fields > 0; --fields) context.reply().Integer(answer);
  return ExecStatus::kDone;
}

// One field's new time; what is said of it.
int64_t ExpireField(CommandContext& context, HashValue& hash, std::string_view field,
                    Condition condition, int64_t at_ms) {
  const std::optional<HashItem> item = hash.view().Find(field);
  if (!item) return kNoSuchField;
  if (!Allows(condition, item->expire_at_ms, at_ms)) return kConditionNotMet;
  if (at_ms <= context.now_ms()) {
    hash.Erase(field);
    return kDeleted;
  }
  if (item->expire_at_ms != at_ms) hash.SetExpiry(field, at_ms);
  return kDone;
}

ExecStatus Expire(CommandContext& context, FieldTimeForm form) {
  Entry* entry = nullptr;
  const KeyRef& key = context.key();
  if (!context.FindValue(key, ValueType::kHash, true, &entry)) return ExecStatus::kDone;
  const std::optional<int64_t> at_ms = FieldExpireTimeArg(context, 2, form);
  if (!at_ms) return ExecStatus::kDone;
  const Condition condition = ConditionOf(context.arg(3));
  const auto fields = FieldsArg(context, condition == Condition::kNone ? 3 : 4,
                                "ERR Parameter `numFields` should be greater than 0");
  if (!fields) return ExecStatus::kDone;
  if (entry == nullptr) return ReplyToEach(context, fields->size(), kNoSuchField);

  HashValue hash(context.db(), key, entry);
  bool deleted = false;
  bool updated = false;
  FieldEffects effects(context);
  context.reply().Array(fields->size());
  for (const std::string_view field : *fields) {
    const int64_t answer = ExpireField(context, hash, field, condition, *at_ms);
    deleted |= answer == kDeleted;
    updated |= answer == kDone;
    if (answer == kDeleted || answer == kDone) effects.Note(field);
    context.reply().Integer(answer);
  }
  deleted ? effects.RecordDeleted() : effects.RecordExpiry(*at_ms);
  hash.Finish({deleted ? "hdel" : "", updated ? "hexpire" : ""});
  return ExecStatus::kDone;
}

enum class TimeUnit : uint8_t { kSeconds, kMilliseconds };

// `from_ms` is taken off: now for HTTL, 0 for HEXPIRETIME.
ExecStatus ReplyExpiry(CommandContext& context, TimeUnit unit, int64_t from_ms) {
  Entry* entry = nullptr;
  if (!context.FindValue(context.key(), ValueType::kHash, false, &entry)) return ExecStatus::kDone;
  const auto fields = FieldsArg(context, 2);
  if (!fields) return ExecStatus::kDone;
  if (entry == nullptr) return ReplyToEach(context, fields->size(), kNoSuchField);
  const HashView hash(*entry, context.now_ms());
  context.reply().Array(fields->size());
  for (const std::string_view field : *fields) {
    int64_t answer = kNoSuchField;
    if (const std::optional<HashItem> item = hash.Find(field)) {
      answer = kNeverExpires;
      if (item->expire_at_ms != kNoExpire) {
        answer = item->expire_at_ms - from_ms;
        if (unit == TimeUnit::kSeconds) answer = (answer + 999) / 1000;
      }
    }
    context.reply().Integer(answer);
  }
  return ExecStatus::kDone;
}

}  // namespace

std::optional<int64_t> FieldExpireTimeArg(CommandContext& context, size_t i, FieldTimeForm form) {
  const std::optional<int64_t> number = context.IntegerArg(i);
  if (!number) return std::nullopt;
  if (*number < 0) {
    context.Fail("ERR invalid expire time, must be >= 0");
    return std::nullopt;
  }
  const bool seconds = form == FieldTimeForm::kSeconds || form == FieldTimeForm::kAtSeconds;
  const bool from_now = form == FieldTimeForm::kSeconds || form == FieldTimeForm::kMillis;
  const int64_t scale = seconds ? 1000 : 1;
  const int64_t base_ms = from_now ? context.now_ms() : 0;
  if (*number <= kFieldExpireMsMax / scale && *number * scale <= kFieldExpireMsMax - base_ms) {
    return *number * scale + base_ms;
  }
  context.Fail(errors::InvalidExpire(context.request().command->full_name));
  return std::nullopt;
}

std::optional<std::span<const std::string_view>> FieldsArg(CommandContext& context, size_t at,
                                                           std::string_view bad_number) {
  if (at + 1 >= context.argc() || !EqualsIgnoreCase(context.arg(at), "fields")) {
    context.Fail("ERR Mandatory argument FIELDS is missing or not at the right position");
    return std::nullopt;
  }
  const std::optional<int64_t> count = context.IntegerArg(at + 1, bad_number);
  if (!count) return std::nullopt;
  if (*count < 1) {
    context.Fail(bad_number);
    return std::nullopt;
  }
  const auto fields = context.args().subspan(at + 2);
  if (static_cast<uint64_t>(*count) != fields.size()) {
    context.Fail("ERR The `numfields` parameter must match the number of arguments");
    return std::nullopt;
  }
  return fields;
}

ExecStatus CmdHExpire(CommandContext& context) { return Expire(context, FieldTimeForm::kSeconds); }
ExecStatus CmdHPExpire(CommandContext& context) { return Expire(context, FieldTimeForm::kMillis); }
ExecStatus CmdHExpireAt(CommandContext& context) {
  return Expire(context, FieldTimeForm::kAtSeconds);
}
ExecStatus CmdHPExpireAt(CommandContext& context) {
  return Expire(context, FieldTimeForm::kAtMillis);
}

ExecStatus CmdHTtl(CommandContext& context) {
  return ReplyExpiry(context, TimeUnit::kSeconds, context.now_ms());
}
ExecStatus CmdHPTtl(CommandContext& context) {
  return ReplyExpiry(context, TimeUnit::kMilliseconds, context.now_ms());
}
ExecStatus CmdHExpireTime(CommandContext& context) {
  return ReplyExpiry(context, TimeUnit::kSeconds, 0);
}
ExecStatus CmdHPExpireTime(CommandContext& context) {
  return ReplyExpiry(context, TimeUnit::kMilliseconds, 0);
}

ExecStatus CmdHPersist(CommandContext& context) {
  Entry* entry = nullptr;
  const KeyRef& key = context.key();
  if (!context.FindValue(key, ValueType::kHash, true, &entry)) return ExecStatus::kDone;
  const auto fields = FieldsArg(context, 2);
  if (!fields) return ExecStatus::kDone;
  if (entry == nullptr) return ReplyToEach(context, fields->size(), kNoSuchField);
  HashValue hash(context.db(), key, entry);
  bool changed = false;
  FieldEffects effects(context);
  context.reply().Array(fields->size());
  for (const std::string_view field : *fields) {
    const std::optional<HashItem> item = hash.view().Find(field);
    const bool expires = item && item->expire_at_ms != kNoExpire;
    if (expires) hash.SetExpiry(field, kNoExpire);
    if (expires) effects.Note(field);
    changed |= expires;
    context.reply().Integer(expires ? kDone : item ? kNeverExpires : kNoSuchField);
  }
  effects.RecordPersisted();
  hash.Finish({changed ? "hpersist" : ""});
  return ExecStatus::kDone;
}

}  // namespace tidegate
