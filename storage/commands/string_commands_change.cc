// Commands that change a string by what it holds: INCR and its relatives, APPEND, SETRANGE.
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "base/text.h"
#include "config/notify.h"
#include "storage/commands/string_commands.h"
#include "storage/value/string_value.h"

namespace tidegate {
namespace {

// The entry's value as an integer; an absent key is 0.
bool ReadInteger(const Entry* entry, int64_t& value) {
  if (entry == nullptr) {
    value = 0;
    return true;
  }
  if (entry->embedded()) return ParseInt64(entry->value(), value);
  const size_t size = StringLength(*entry);
  char text[kInt64TextBytesMax];
  if (size > sizeof text) return false;
  ReadStringRange(*entry, 0, size, text);
  return ParseInt64({text, size}, value);
}

ExecStatus AddInteger(CommandContext& context, int64_t delta) {
  const KeyRef& key = context.key();
  Entry* entry = nullptr;
  if (!context.FindString(key, true, &entry)) return ExecStatus::kDone;
  if (delta == 1 && entry != nullptr && entry->embedded() &&
      IncrementLastDigit(entry->value_data(), entry->value().size())) {
    entry->set_raw(false);
    entry->set_plain_text(false);
    context.db().Modified(key);
    context.db().Notify(notify::kString, "incrby", key);
    context.reply().IntegerText(entry->value());
    return ExecStatus::kDone;
  }
  int64_t value = 0;
  if (!ReadInteger(entry, value)) return context.Fail(errors::kNotInteger);
  if (__builtin_add_overflow(value, delta, &value)) return context.Fail(errors::kOverflow);

  char text[kInt64TextBytesMax];
  const size_t size = FormatInt64(value, text);
  // Most steps of a counter do not change its length: write over the digits.
  if (entry != nullptr && entry->embedded() && entry->value().size() == size) {
    std::memcpy(entry->value_data(), text, size);
    entry->set_raw(false);
    entry->set_plain_text(false);
    context.db().Modified(key);
  } else {
    const int64_t expire_at_ms = entry == nullptr ? kNoExpire : entry->expire_at_ms();
    context.db().SetString(key, entry, {text, size}, expire_at_ms);
  }
  context.db().Notify(notify::kString, "incrby", key);
  context.reply().IntegerText({text, size});
  return ExecStatus::kDone;
}

// Whether a string of offset+more bytes is allowed; writes the error.
bool CheckStringLength(CommandContext& context, uint64_t offset, uint64_t more) {
  if (context.thread().loading) return true;  // it was allowed then
  const uint64_t max = context.engine().settings().string_bytes_max.load(std::memory_order_relaxed);
  uint64_t total = 0;
  if (!__builtin_add_overflow(offset, more, &total) && total <= max) return true;
  context.Fail(errors::kStringTooLong);
  return false;
}

}  // namespace

ExecStatus CmdIncr(CommandContext& context) { return AddInteger(context, 1); }

ExecStatus CmdDecr(CommandContext& context) { return AddInteger(context, -1); }

ExecStatus CmdIncrBy(CommandContext& context) {
  const auto delta = context.IntegerArg(2);
  return delta ? AddInteger(context, *delta) : ExecStatus::kDone;
}

ExecStatus CmdDecrBy(CommandContext& context) {
  const auto delta = context.IntegerArg(2);
  if (!delta) return ExecStatus::kDone;
  // It has no negative.
  if (*delta == std::numeric_limits<int64_t>::min()) {
    return context.Fail("ERR decrement would overflow");
  }
  return AddInteger(context, -*delta);
}

ExecStatus CmdIncrByFloat(CommandContext& context) {
  const KeyRef& key = context.key();
  Entry* entry = nullptr;
  if (!context.FindString(key, true, &entry)) return ExecStatus::kDone;
  std::string scratch;
  const auto old_value = entry == nullptr ? std::optional<long double>(0)
                                          : ParseLongDouble(StringContents(*entry, scratch));
  if (!old_value) return context.Fail(errors::kNotFloat);
  const auto delta = ParseLongDouble(context.arg(2));
  if (!delta) return context.Fail(errors::kNotFloat);
  const long double value = *old_value + *delta;
  if (std::isnan(value) || std::isinf(value)) return context.Fail(errors::kNanOrInfinity);

  const std::string text = FormatLongDouble(value);
  const int64_t expire_at_ms = entry == nullptr ? kNoExpire : entry->expire_at_ms();
  context.db().SetString(key, entry, text, expire_at_ms)->set_plain_text(true);
  context.RecordAs({"SET", key.name, text, "KEEPTTL"});
  context.db().Notify(notify::kString, "incrbyfloat", key);
  context.reply().Bulk(text);
  return ExecStatus::kDone;
}

ExecStatus CmdAppend(CommandContext& context) {
  const KeyRef& key = context.key();
  const std::string_view bytes = context.arg(2);
  Entry* entry = nullptr;
  if (!context.FindString(key, true, &entry)) return ExecStatus::kDone;
  if (entry == nullptr) {
    context.db().SetString(key, nullptr, bytes, kNoExpire);
    context.db().Notify(notify::kString, "append", key);
    context.reply().Integer(static_cast<int64_t>(bytes.size()));
    return ExecStatus::kDone;
  }
  const size_t size = StringLength(*entry);
  if (!CheckStringLength(context, size, bytes.size())) return ExecStatus::kDone;
  WriteStringRange(context.db(), key, entry, size, bytes);
  context.db().Notify(notify::kString, "append", key);
  context.reply().Integer(static_cast<int64_t>(size + bytes.size()));
  return ExecStatus::kDone;
}

ExecStatus CmdSetRange(CommandContext& context) {
  const auto offset = context.IntegerArg(2);
  if (!offset) return ExecStatus::kDone;
  if (*offset < 0) return context.Fail("ERR offset is out of range");
  const KeyRef& key = context.key();
  const std::string_view bytes = context.arg(3);
  Entry* entry = nullptr;
  if (!context.FindString(key, true, &entry)) return ExecStatus::kDone;
  if (bytes.empty()) {
    context.reply().Integer(entry == nullptr ? 0 : static_cast<int64_t>(StringLength(*entry)));
    return ExecStatus::kDone;
  }
  const auto at = static_cast<uint64_t>(*offset);
  if (!CheckStringLength(context, at, bytes.size())) return ExecStatus::kDone;
  entry = WriteStringRange(context.db(), key, entry, at, bytes);
  context.db().Notify(notify::kString, "setrange", key);
  context.reply().Integer(static_cast<int64_t>(StringLength(*entry)));
  return ExecStatus::kDone;
}

}  // namespace tidegate
