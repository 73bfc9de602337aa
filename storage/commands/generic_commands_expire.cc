// EXPIRE and its family. Times are kept in milliseconds since 1970; a time that is not in the
// future removes the key at once.
#include <algorithm>
#include <limits>

#include "config/notify.h"
#include "storage/commands/effect_words.h"
#include "storage/commands/generic_commands.h"

namespace tidegate {
namespace {

enum class TimeUnit : uint8_t { kSeconds, kMilliseconds };
enum class TimeBase : uint8_t { kNow, kUnixEpoch };

// NX, XX, GT, LT: under which old expiry the new one is set.
struct ExpireConditions {
  bool none_yet = false;  // NX
  bool some_yet = false;  // XX
  bool later = false;     // GT
  bool earlier = false;   // LT

  // No expiry counts as infinitely late.
  bool Allow(int64_t current_ms, int64_t next_ms) const {
    const bool volatile_key = current_ms != kNoExpire;
    if (none_yet && volatile_key) return false;
    if (some_yet && !volatile_key) return false;
    if (later && (!volatile_key || next_ms <= current_ms)) return false;
    return !(earlier && volatile_key && next_ms >= current_ms);
  }
};

// Reads the arguments behind the time; on failure the error reply is written.
std::optional<ExpireConditions> ParseConditions(CommandContext& ctx) {
  ExpireConditions conditions;
  for (size_t i = 3; i < ctx.argc(); ++i) {
    const std::string_view word = ctx.arg(i);
    if (EqualsIgnoreCase(word, "nx")) {
      conditions.none_yet = true;
    } else if (EqualsIgnoreCase(word, "xx")) {
      conditions.some_yet = true;
    } else if (EqualsIgnoreCase(word, "gt")) {
      conditions.later = true;
    } else if (EqualsIgnoreCase(word, "lt")) {
      conditions.earlier = true;
    } else {
      ctx.Fail("ERR Unsupported option " + std::string(word));
      return std::nullopt;
    }
  }
  if (conditions.none_yet && (conditions.some_yet || conditions.later || conditions.earlier)) {
    ctx.Fail("ERR NX and XX, GT or LT options at the same time are not compatible");
    return std::nullopt;
  }
  if (conditions.later && conditions.earlier) {
    ctx.Fail("ERR GT and LT options at the same time are not compatible");
    return std::nullopt;
  }
  return conditions;
}

// `amount` in `unit` from `base_ms`, as milliseconds since 1970; nothing when that overflows.
std::optional<int64_t> ToUnixMillis(int64_t amount, TimeUnit unit, int64_t base_ms) {
  int64_t at = amount;
  if (unit == TimeUnit::kSeconds && __builtin_mul_overflow(amount, int64_t{1000}, &at)) {
    return std::nullopt;
  }
  if (at > std::numeric_limits<int64_t>::max() - base_ms) return std::nullopt;
  return at + base_ms;
}

ExecStatus Expire(CommandContext& ctx, TimeUnit unit, TimeBase base) {
  const std::optional<ExpireConditions> conditions = ParseConditions(ctx);
  if (!conditions) return ExecStatus::kDone;
  const std::optional<int64_t> amount = ctx.IntegerArg(2);
  if (!amount) return ExecStatus::kDone;
  const int64_t base_ms = base == TimeBase::kNow ? ctx.now_ms() : 0;
  const std::optional<int64_t> at_ms = ToUnixMillis(*amount, unit, base_ms);
  if (!at_ms) return ctx.Fail(errors::InvalidExpire(ctx.request().command->full_name));

  const KeyRef& key = ctx.key();
  Entry* entry = ctx.db().FindForRecord(key);
  if (entry == nullptr || !conditions->Allow(entry->expire_at_ms(), *at_ms)) {
    ctx.reply().Integer(0);
    return ExecStatus::kDone;
  }
  if (*at_ms <= ctx.now_ms()) {
    ctx.db().Delete(key);
    ctx.RecordAs({"DEL", key.name});
    ctx.db().Notify(notify::kGeneric, "del", key);
  } else {
    ctx.db().SetExpire(key, entry, *at_ms);
    if (ctx.records()) ctx.RecordAs({"PEXPIREAT", key.name, DecimalWord(*at_ms)});
    ctx.db().Notify(notify::kGeneric, "expire", key);
  }
  ctx.reply().Integer(1);
  return ExecStatus::kDone;
}

constexpr int64_t kTtlOfAbsentKey = -2;
constexpr int64_t kTtlOfPersistentKey = -1;

// Replies with the expiry of the key; `from_ms` is taken off (now for TTL, 0 for EXPIRETIME).
ExecStatus ReplyExpiry(CommandContext& ctx, TimeUnit unit, int64_t from_ms) {
  Database db = UntouchedDb(ctx);
  const Entry* entry = db.FindForRead(ctx.key());
  int64_t answer = kTtlOfAbsentKey;
  if (entry != nullptr && !entry->has_expire()) answer = kTtlOfPersistentKey;
  if (entry != nullptr && entry->has_expire()) {
    answer = std::max<int64_t>(entry->expire_at_ms() - from_ms, 0);
    if (unit == TimeUnit::kSeconds) answer = answer / 1000 + (answer % 1000 >= 500 ? 1 : 0);
  }
  ctx.reply().Integer(answer);
  return ExecStatus::kDone;
}

}  // namespace

ExecStatus CmdExpire(CommandContext& ctx) {
  return Expire(ctx, TimeUnit::kSeconds, TimeBase::kNow);
}
ExecStatus CmdExpireAt(CommandContext& ctx) {
  return Expire(ctx, TimeUnit::kSeconds, TimeBase::kUnixEpoch);
}
ExecStatus CmdPExpire(CommandContext& ctx) {
  return Expire(ctx, TimeUnit::kMilliseconds, TimeBase::kNow);
}
ExecStatus CmdPExpireAt(CommandContext& ctx) {
  return Expire(ctx, TimeUnit::kMilliseconds, TimeBase::kUnixEpoch);
}

ExecStatus CmdTtl(CommandContext& ctx) {
  return ReplyExpiry(ctx, TimeUnit::kSeconds, ctx.now_ms());
}
ExecStatus CmdPTtl(CommandContext& ctx) {
  return ReplyExpiry(ctx, TimeUnit::kMilliseconds, ctx.now_ms());
}
ExecStatus CmdExpireTime(CommandContext& ctx) { return ReplyExpiry(ctx, TimeUnit::kSeconds, 0); }
ExecStatus CmdPExpireTime(CommandContext& ctx) {
  return ReplyExpiry(ctx, TimeUnit::kMilliseconds, 0);
}

ExecStatus CmdPersist(CommandContext& ctx) {
  Entry* entry = ctx.db().FindForRecord(ctx.key());
  const bool had_expire = entry != nullptr && entry->has_expire();
  if (had_expire) {
    ctx.db().SetExpire(ctx.key(), entry, kNoExpire);
    ctx.db().Notify(notify::kGeneric, "persist", ctx.key());
  }
  ctx.reply().Integer(had_expire ? 1 : 0);
  return ExecStatus::kDone;
}

}  // namespace tidegate
