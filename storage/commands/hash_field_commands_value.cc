// HGETEX, HSETEX and HGETDEL: fields read or set together with a change of their expiry, or taken
// out.
#include "base/text.h"
#include "storage/commands/hash_field_commands.h"
#include "storage/commands/hash_field_effects.h"
#include "storage/value/hash_value.h"

namespace tidegate {
namespace {

std::optional<FieldTimeForm> FormOf(std::string_view word) {
  if (EqualsIgnoreCase(word, "EX")) return FieldTimeForm::kSeconds;
  if (EqualsIgnoreCase(word, "PX")) return FieldTimeForm::kMillis;
  if (EqualsIgnoreCase(word, "EXAT")) return FieldTimeForm::kAtSeconds;
  if (EqualsIgnoreCase(word, "PXAT")) return FieldTimeForm::kAtMillis;
  return std::nullopt;
}

void ReplyItem(ReplyWriter& reply, const std::optional<HashItem>& item) {
  if (item) {
    ReplyHashValue(reply, *item);
  } else {
    reply.Null();
  }
}

ExecStatus ReplyNulls(CommandContext& context, size_t count) {
  context.reply().Array(count);
  for (; count > 0; --count) context.reply().Null();
  return ExecStatus::kDone;
}

// The options of HSETEX, and the fields with their values.
struct SetExOptions {
  bool only_if_none = false;  // FNX
  bool only_if_all = false;   // FXX
  bool keep_expiry = false;   // KEEPTTL
  std::optional<int64_t> at_ms;
  std::span<const std::string_view> pairs;
};

class SetExParser final {
 public:
  explicit SetExParser(CommandContext& context) : context_(context) {}

  // Nothing when the error is written.
  std::optional<SetExOptions> Parse() {
    for (at_ = 2; at_ < context_.argc(); ++at_) {
      if (EqualsIgnoreCase(context_.arg(at_), "FIELDS")) return ParseFields();
      if (!ParseOption()) return std::nullopt;
    }
    context_.Fail("ERR missing FIELDS argument");
    return std::nullopt;
  }

 private:
  bool Refuse(std::string_view error) {
    context_.Fail(error);
    return false;
  }

  bool ParseOption() {
    const std::string_view word = context_.arg(at_);
    const bool none = EqualsIgnoreCase(word, "FNX");
    if (none || EqualsIgnoreCase(word, "FXX")) {
      if (out_.only_if_none || out_.only_if_all) {
        return Refuse("ERR Only one of FXX or FNX arguments can be specified");
      }
      (none ? out_.only_if_none : out_.only_if_all) = true;
      return true;
    }
    const bool keep = EqualsIgnoreCase(word, "KEEPTTL");
    const std::optional<FieldTimeForm> form = FormOf(word);
    if (!keep && !form) return Refuse("ERR unknown argument: " + std::string(word));
    if (out_.keep_expiry || out_.at_ms) {
      return Refuse("ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified");
    }
    out_.keep_expiry = keep;
    if (keep) return true;
    if (at_ + 1 == context_.argc()) return Refuse("ERR missing expire time");
    out_.at_ms = FieldExpireTimeArg(context_, ++at_, *form);
    return out_.at_ms.has_value();
  }

  std::optional<SetExOptions> ParseFields() {
    const auto rest = context_.args().subspan(at_ + 1);
    std::optional<int64_t> count;
    if (rest.size() >= 3) {
      constexpr std::string_view kBadNumber = "ERR invalid number of fields";
      count = context_.IntegerArg(at_ + 1, kBadNumber);
      if (!count) return std::nullopt;
      if (*count < 1) {
        context_.Fail(kBadNumber);
        return std::nullopt;
      }
    }
    if (!count || rest.size() % 2 == 0 || static_cast<uint64_t>(*count) != rest.size() / 2) {
      context_.Fail(errors::WrongArity(context_.request().command->full_name));
      return std::nullopt;
    }
    out_.pairs = rest.subspan(1);
    return out_;
  }

  CommandContext& context_;
  size_t at_ = 0;
  SetExOptions out_;
};

// Whether FNX or FXX lets the fields be set.
bool ConditionIsMet(const SetExOptions& options, const HashValue& hash) {
  if (!options.only_if_none && !options.only_if_all) return true;
  for (size_t i = 0; i < options.pairs.size(); i += 2) {
    const bool found = hash.exists() && hash.view().Contains(options.pairs[i]);
    if (found != options.only_if_all) return false;
  }
  return true;
}

// The condition was met, and the time is that of now.
void RecordSetEx(CommandContext& context, const SetExOptions& options) {
  if (!context.records()) return;
  const std::string_view key = context.key().name;
  const DecimalWord count(static_cast<int64_t>(options.pairs.size() / 2));
  if (options.at_ms) {
    context.RecordAs({"HSETEX", key, "PXAT", DecimalWord(*options.at_ms), "FIELDS", count},
                     options.pairs);
  } else if (options.keep_expiry) {
    context.RecordAs({"HSETEX", key, "KEEPTTL", "FIELDS", count}, options.pairs);
  } else {
    context.RecordAs({"HSET", key}, options.pairs);
  }
}

// What HGETEX does to the expiry of what it reads.
struct GetExOptions {
  bool persist = false;
  std::optional<int64_t> at_ms;
  std::span<const std::string_view> fields;
};

std::optional<GetExOptions> ParseGetEx(CommandContext& context) {
  GetExOptions out;
  size_t fields_at = 2;
  const std::optional<FieldTimeForm> form = FormOf(context.arg(2));
  if (form) {
    fields_at = 4;
  } else if (EqualsIgnoreCase(context.arg(2), "PERSIST")) {
    out.persist = true;
    fields_at = 3;
  }
  const auto fields = FieldsArg(context, fields_at);
  if (!fields) return std::nullopt;
  out.fields = *fields;
  if (!form) return out;
  out.at_ms = FieldExpireTimeArg(context, 3, *form);
  if (!out.at_ms) return std::nullopt;
  return out;
}

}  // namespace

ExecStatus CmdHGetEx(CommandContext& context) {
  Entry* entry = nullptr;
  const KeyRef& key = context.key();
  if (!context.FindValue(key, ValueType::kHash, false, &entry)) return ExecStatus::kDone;
  const std::optional<GetExOptions> options = ParseGetEx(context);
  if (!options) return ExecStatus::kDone;
  if (entry == nullptr) return ReplyNulls(context, options->fields.size());
  HashValue hash(context.db(), key, entry);
  bool deleted = false;
  bool updated = false;
  bool persisted = false;
  FieldEffects effects(context);
  context.reply().Array(options->fields.size());
  for (const std::string_view field : options->fields) {
    const std::optional<HashItem> item = hash.view().Find(field);
    ReplyItem(context.reply(), item);
    if (!item) continue;
    if (options->persist && item->expire_at_ms != kNoExpire) {
      hash.SetExpiry(field, kNoExpire);
      effects.Note(field);
      persisted = true;
    } else if (options->at_ms && *options->at_ms <= context.now_ms()) {
      deleted |= hash.Erase(field);
      effects.Note(field);
    } else if (options->at_ms) {
      hash.SetExpiry(field, *options->at_ms);
      effects.Note(field);
      updated = true;
    }
  }
  if (deleted) effects.RecordDeleted();
  if (updated) effects.RecordExpiry(*options->at_ms);
  if (persisted) effects.RecordPersisted();
  hash.Finish({deleted ? "hdel" : "", updated ? "hexpire" : "", persisted ? "hpersist" : ""});
  return ExecStatus::kDone;
}

ExecStatus CmdHSetEx(CommandContext& context) {
  const std::optional<SetExOptions> options = SetExParser(context).Parse();
  if (!options) return ExecStatus::kDone;
  Entry* entry = nullptr;
  const KeyRef& key = context.key();
  if (!context.FindValue(key, ValueType::kHash, true, &entry)) return ExecStatus::kDone;
  HashValue hash(context.db(), key, entry);
  if (!ConditionIsMet(*options, hash)) {
    context.reply().Integer(0);
    return ExecStatus::kDone;
  }
  context.reply().Integer(1);
  if (options->at_ms && *options->at_ms <= context.now_ms()) {
    if (!hash.exists()) return ExecStatus::kDone;
    bool deleted = false;
    FieldEffects effects(context);
    for (size_t i = 0; i < options->pairs.size(); i += 2) {
      if (!hash.Erase(options->pairs[i])) continue;
      deleted = true;
      effects.Note(options->pairs[i]);
    }
    effects.RecordDeleted();
    hash.Finish({deleted ? "hdel" : ""});
    return ExecStatus::kDone;
  }
  hash.Set(options->pairs,
           options->keep_expiry ? HashValue::OnSet::kKeepExpiry : HashValue::OnSet::kDropExpiry);
  for (size_t i = 0; options->at_ms && i < options->pairs.size(); i += 2) {
    hash.SetExpiry(options->pairs[i], *options->at_ms);
  }
  RecordSetEx(context, *options);
  hash.Finish({"hset", options->at_ms ? "hexpire" : ""});
  return ExecStatus::kDone;
}

ExecStatus CmdHGetDel(CommandContext& context) {
  Entry* entry = nullptr;
  const KeyRef& key = context.key();
  if (!context.FindValue(key, ValueType::kHash, false, &entry)) return ExecStatus::kDone;
  const auto fields = FieldsArg(context, 2);
  if (!fields) return ExecStatus::kDone;
  if (entry == nullptr) return ReplyNulls(context, fields->size());
  HashValue hash(context.db(), key, entry);
  bool deleted = false;
  context.reply().Array(fields->size());
  for (const std::string_view field : *fields) {
    ReplyItem(context.reply(), hash.view().Find(field));
    deleted |= hash.Erase(field);
  }
  hash.Finish({deleted ? "hdel" : ""});
  return ExecStatus::kDone;
}

}  // namespace tidegate
