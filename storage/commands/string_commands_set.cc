// SET and its relatives (SETNX, SETEX, PSETEX, GETSET, MSET, MSETNX), and GETEX and GETDEL, which
// share options and the computation of expiry times with them.
#include "base/text.h"
#include "config/notify.h"
#include "storage/commands/effect_words.h"
#include "storage/commands/string_commands.h"
#include "storage/value/string_value.h"

namespace tidegate {
namespace {

// How an expiry is given: from now or as a point in time, in seconds or milliseconds.
enum class ExpireForm : uint8_t { kNone, kSeconds, kMillis, kAtSeconds, kAtMillis };

struct SetOptions {
  bool only_if_absent = false;   // NX
  bool only_if_present = false;  // XX
  bool get = false;              // GET
  bool keep_expire = false;      // KEEPTTL
  bool persist = false;          // PERSIST
  ExpireForm expire = ExpireForm::kNone;
  size_t expire_arg = 0;  // where its number stands
};

enum class OptionsOf : uint8_t { kSet, kGetEx };

ExpireForm ExpireFormOf(std::string_view word) {
  if (EqualsIgnoreCase(word, "EX")) return ExpireForm::kSeconds;
  if (EqualsIgnoreCase(word, "PX")) return ExpireForm::kMillis;
  if (EqualsIgnoreCase(word, "EXAT")) return ExpireForm::kAtSeconds;
  if (EqualsIgnoreCase(word, "PXAT")) return ExpireForm::kAtMillis;
  return ExpireForm::kNone;
}

// One word that takes no argument; false when it is none of them, or contradicts what came before.
bool ParseFlag(std::string_view word, OptionsOf command, SetOptions& options) {
  if (command == OptionsOf::kGetEx) {
    if (!EqualsIgnoreCase(word, "PERSIST") || options.expire != ExpireForm::kNone) return false;
    options.persist = true;
    return true;
  }
  if (EqualsIgnoreCase(word, "NX") && !options.only_if_present) {
    options.only_if_absent = true;
  } else if (EqualsIgnoreCase(word, "XX") && !options.only_if_absent) {
    options.only_if_present = true;
  } else if (EqualsIgnoreCase(word, "GET")) {
    options.get = true;
  } else if (EqualsIgnoreCase(word, "KEEPTTL") && options.expire == ExpireForm::kNone) {
    options.keep_expire = true;
  } else {
    return false;
  }
  return true;
}

// The words from argument `first` on; false when they make no sense.
bool ParseOptions(const CommandContext& context, size_t first, OptionsOf command,
                  SetOptions& options) {
  for (size_t i = first; i < context.argc(); ++i) {
    const ExpireForm form = ExpireFormOf(context.arg(i));
    if (form == ExpireForm::kNone) {
      if (!ParseFlag(context.arg(i), command, options)) return false;
      continue;
    }
    // The same form may come again, and the last one counts; two forms contradict each other.
    if (options.keep_expire || options.persist) return false;
    if (options.expire != ExpireForm::kNone && options.expire != form) return false;
    if (i + 1 == context.argc()) return false;
    options.expire = form;
    options.expire_arg = ++i;
  }
  return true;
}

// Argument i as a point in time; nothing when the error was written.
std::optional<int64_t> ExpireTimeArg(CommandContext& context, size_t i, ExpireForm form) {
  const auto number = context.IntegerArg(i);
  if (!number) return std::nullopt;
  const bool seconds = form == ExpireForm::kSeconds || form == ExpireForm::kAtSeconds;
  const bool from_now = form == ExpireForm::kSeconds || form == ExpireForm::kMillis;
  int64_t at = *number;
  bool valid = at > 0;
  if (seconds) valid = valid && !__builtin_mul_overflow(at, int64_t{1000}, &at);
  if (from_now) valid = valid && !__builtin_add_overflow(at, context.now_ms(), &at);
  if (!valid) {
    context.Fail(errors::InvalidExpire(context.request().command->full_name));
    return std::nullopt;
  }
  return at;
}

void ReplyStringOrNull(ReplyWriter& reply, const Entry* entry) {
  if (entry == nullptr) {
    reply.Null();
  } else {
    ReplyString(reply, *entry);
  }
}

// The conditions were met, and the time is that of now.
void RecordSet(CommandContext& context, const SetOptions& options, int64_t expire_at_ms) {
  const std::string_view key = context.key().name;
  const std::string_view value = context.arg(2);
  if (options.expire != ExpireForm::kNone) {
    context.RecordAs({"SET", key, value, "PXAT", DecimalWord(expire_at_ms)});
  } else if (options.keep_expire) {
    context.RecordAs({"SET", key, value, "KEEPTTL"});
  } else {
    context.RecordAs({"SET", key, value});
  }
}

ExecStatus SetWithOptions(CommandContext& context) {
  SetOptions options;
  if (!ParseOptions(context, 3, OptionsOf::kSet, options)) return context.Fail(errors::kSyntax);
  int64_t expire_at_ms = kNoExpire;
  if (options.expire != ExpireForm::kNone) {
    const auto at = ExpireTimeArg(context, options.expire_arg, options.expire);
    if (!at) return ExecStatus::kDone;
    expire_at_ms = *at;
  }

  const KeyRef& key = context.key();
  Entry* existing = nullptr;
  if (options.get) {
    if (!context.FindString(key, false, &existing)) return ExecStatus::kDone;
    ReplyStringOrNull(context.reply(), existing);
  } else {
    existing = context.db().FindForWrite(key);
  }
  if ((options.only_if_absent && existing != nullptr) ||
      (options.only_if_present && existing == nullptr)) {
    if (!options.get) context.reply().Null();
    return ExecStatus::kDone;
  }
  if (options.keep_expire && existing != nullptr) expire_at_ms = existing->expire_at_ms();
  context.db().SetString(key, existing, context.arg(2), expire_at_ms);
  if (context.records()) RecordSet(context, options, expire_at_ms);
  context.db().Notify(notify::kString, "set", key);
  if (options.expire != ExpireForm::kNone) context.db().Notify(notify::kGeneric, "expire", key);
  if (!options.get) context.reply().Ok();
  return ExecStatus::kDone;
}

// SETEX and PSETEX: key, time, value.
ExecStatus SetWithExpire(CommandContext& context, ExpireForm form) {
  const auto at = ExpireTimeArg(context, 2, form);
  if (!at) return ExecStatus::kDone;
  const KeyRef& key = context.key();
  context.db().SetString(key, context.db().FindForWrite(key), context.arg(3), *at);
  if (context.records())
    context.RecordAs({"SET", key.name, context.arg(3), "PXAT", DecimalWord(*at)});
  context.db().Notify(notify::kString, "set", key);
  context.db().Notify(notify::kGeneric, "expire", key);
  context.reply().Ok();
  return ExecStatus::kDone;
}

// Whether MSET and MSETNX have a value for every key; writes the error.
bool CheckPairs(CommandContext& context) {
  if (context.argc() % 2 == 1) return true;
  context.Fail(errors::WrongArity(context.request().command->full_name));
  return false;
}

void SetPairs(CommandContext& context) {
  Database& db = context.db();
  for (size_t i = 0; i < context.keys().size(); ++i) {
    const KeyRef& key = context.key(i);
    db.SetString(key, db.FindForWrite(key), context.arg(2 * i + 2), kNoExpire);
    db.Notify(notify::kString, "set", key);
  }
}

}  // namespace

ExecStatus CmdSet(CommandContext& context) {
  if (__builtin_expect(context.argc() != 3, 0)) return SetWithOptions(context);
  const KeyRef& key = context.key();
  Database& db = context.db();
  db.SetString(key, db.FindForWrite(key), context.arg(2), kNoExpire);
  db.Notify(notify::kString, "set", key);
  context.reply().Ok();
  return ExecStatus::kDone;
}

ExecStatus CmdSetNx(CommandContext& context) {
  const KeyRef& key = context.key();
  const bool absent = context.db().FindForWrite(key) == nullptr;
  if (absent) {
    context.db().SetString(key, nullptr, context.arg(2), kNoExpire);
    context.db().Notify(notify::kString, "set", key);
  }
  context.reply().Integer(absent ? 1 : 0);
  return ExecStatus::kDone;
}

ExecStatus CmdSetEx(CommandContext& context) {
  return SetWithExpire(context, ExpireForm::kSeconds);
}

ExecStatus CmdPsetEx(CommandContext& context) {
  return SetWithExpire(context, ExpireForm::kMillis);
}

ExecStatus CmdGetSet(CommandContext& context) {
  const KeyRef& key = context.key();
  Entry* existing = nullptr;
  if (!context.FindString(key, false, &existing)) return ExecStatus::kDone;
  ReplyStringOrNull(context.reply(), existing);
  context.db().SetString(key, existing, context.arg(2), kNoExpire);
  context.RecordAs({"SET", key.name, context.arg(2)});
  context.db().Notify(notify::kString, "set", key);
  return ExecStatus::kDone;
}

ExecStatus CmdGetDel(CommandContext& context) {
  const KeyRef& key = context.key();
  Entry* existing = nullptr;
  if (!context.FindString(key, false, &existing)) return ExecStatus::kDone;
  ReplyStringOrNull(context.reply(), existing);
  if (existing != nullptr) {
    context.db().Delete(key, context.engine().settings().lazyfree_user_del.load());
    context.RecordAs({"DEL", key.name});
    context.db().Notify(notify::kGeneric, "del", key);
  }
  return ExecStatus::kDone;
}

ExecStatus CmdGetEx(CommandContext& context) {
  SetOptions options;
  if (!ParseOptions(context, 2, OptionsOf::kGetEx, options)) return context.Fail(errors::kSyntax);
  const KeyRef& key = context.key();
  Entry* entry = nullptr;
  if (!context.FindString(key, false, &entry)) return ExecStatus::kDone;
  if (entry == nullptr) {
    context.reply().Null();
    return ExecStatus::kDone;
  }
  int64_t expire_at_ms = kNoExpire;
  if (options.expire != ExpireForm::kNone) {
    const auto at = ExpireTimeArg(context, options.expire_arg, options.expire);
    if (!at) return ExecStatus::kDone;
    expire_at_ms = *at;
  }
  ReplyString(context.reply(), *entry);
  if (options.expire == ExpireForm::kNone) {
    if (options.persist && entry->has_expire()) {
      context.db().SetExpire(key, entry, kNoExpire);
      context.RecordAs({"PERSIST", key.name});
      context.db().Notify(notify::kGeneric, "persist", key);
    }
  } else if (expire_at_ms <= context.now_ms()) {
    context.db().Delete(key);
    context.RecordAs({"DEL", key.name});
    context.db().Notify(notify::kGeneric, "del", key);
  } else {
    context.db().SetExpire(key, entry, expire_at_ms);
    if (context.records()) context.RecordAs({"PEXPIREAT", key.name, DecimalWord(expire_at_ms)});
    context.db().Notify(notify::kGeneric, "expire", key);
  }
  return ExecStatus::kDone;
}

ExecStatus CmdMset(CommandContext& context) {
  if (!CheckPairs(context)) return ExecStatus::kDone;
  SetPairs(context);
  context.reply().Ok();
  return ExecStatus::kDone;
}

ExecStatus CmdMsetNx(CommandContext& context) {
  if (!CheckPairs(context)) return ExecStatus::kDone;
  for (const KeyRef& key : context.keys()) {
    if (context.db().FindForWrite(key) != nullptr) {
      context.reply().Integer(0);
      return ExecStatus::kDone;
    }
  }
  SetPairs(context);
  context.reply().Integer(1);
  return ExecStatus::kDone;
}

}  // namespace tidegate
