// Adding entries to a stream and removing them: XADD, XTRIM, XDEL, XSETID.
#include <algorithm>

#include "base/text.h"
#include "config/notify.h"
#include "storage/commands/effect_words.h"
#include "storage/commands/stream_commands.h"

namespace tidegate {
namespace {

// Entries that one approximate trim removes at most, when nobody says; beyond it is work for the
// next one. As Redis.
constexpr uint64_t kTrimPages = 100;
constexpr uint64_t kTrimEntriesDefault = 10'000;
constexpr uint64_t kTrimEntriesMax = 1'000'000;

struct AddOptions {
  StreamValue::Trim trim;
  bool may_create = true;
  std::optional<ParsedStreamId> id;  // none: from the clock
  size_t next = 0;                   // the argument behind the options, of XADD: the ID
};

enum class Kind : uint8_t { kAdd, kTrim };

class AddOptionsParser final {
 public:
  AddOptionsParser(CommandContext& context, Kind kind) : context_(context), kind_(kind) {}

  // Nothing after the error was written.
  std::optional<AddOptions> Parse() {
    size_t i = 2;
    for (; i < context_.argc(); ++i) {
      const Step step = ParseOne(i);
      if (step == Step::kFailed) return std::nullopt;
      if (step == Step::kEnd) break;
    }
    options_.next = i;
    if (!CheckLimit()) return std::nullopt;
    return options_;
  }

 private:
  enum class Step : uint8_t { kNext, kEnd, kFailed };

  Step Fail(std::string_view error) {
    context_.Fail(error);
    return Step::kFailed;
  }

  Step ParseOne(size_t& i) {
    const std::string_view word = context_.arg(i);
    const bool has_more = i + 1 < context_.argc();
    if (kind_ == Kind::kAdd && word == "*") return Step::kEnd;
    if (has_more && EqualsIgnoreCase(word, "maxlen")) return ParseLength(i);
    if (has_more && EqualsIgnoreCase(word, "minid")) return ParseMinId(i);
    if (has_more && EqualsIgnoreCase(word, "limit")) return ParseLimit(i);
    if (kind_ == Kind::kTrim) return Fail(errors::kSyntax);
    if (EqualsIgnoreCase(word, "nomkstream")) {
      options_.may_create = false;
      return Step::kNext;
    }
    options_.id = ParseStreamId(word, 0, StreamIdForm::kStrictWithStar);
    if (options_.id) return Step::kEnd;
    return Fail("ERR Invalid stream ID specified as stream command argument");
  }

  // Passes over "~" or "=" behind the word at i.
  bool BeginTrim(size_t& i) {
    if (options_.trim.by != StreamValue::Trim::By::kNothing) {
      context_.Fail(
          "ERR syntax error, MAXLEN and MINID options at the same time are not compatible");
      return false;
    }
    options_.trim.approximately = false;
    const bool has_two = i + 2 < context_.argc();
    if (has_two && context_.arg(i + 1) == "~") {
      options_.trim.approximately = true;
      ++i;
    } else if (has_two && context_.arg(i + 1) == "=") {
      ++i;
    }
    ++i;
    return true;
  }

  Step ParseLength(size_t& i) {
    if (!BeginTrim(i)) return Step::kFailed;
    const std::optional<int64_t> length = context_.IntegerArg(i);
    if (!length) return Step::kFailed;
    if (*length < 0) return Fail("ERR The MAXLEN argument must be >= 0.");
    options_.trim.by = StreamValue::Trim::By::kLength;
    options_.trim.length_max = static_cast<uint64_t>(*length);
    return Step::kNext;
  }

  Step ParseMinId(size_t& i) {
    if (!BeginTrim(i)) return Step::kFailed;
    const std::optional<StreamId> id = StreamIdArg(context_, i, 0, StreamIdForm::kRange);
    if (!id) return Step::kFailed;
    options_.trim.by = StreamValue::Trim::By::kId;
    options_.trim.id_min = *id;
    return Step::kNext;
  }

  Step ParseLimit(size_t& i) {
    const std::optional<int64_t> limit = context_.IntegerArg(++i);
    if (!limit) return Step::kFailed;
    if (*limit < 0) return Fail("ERR The LIMIT argument must be >= 0.");
    options_.trim.limit = static_cast<uint64_t>(*limit);
    limit_given_ = true;
    return Step::kNext;
  }

  bool CheckLimit() {
    StreamValue::Trim& trim = options_.trim;
    if (trim.limit != 0 && trim.by == StreamValue::Trim::By::kNothing) {
      context_.Fail(
          "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy");
      return false;
    }
    if (kind_ == Kind::kTrim && trim.by == StreamValue::Trim::By::kNothing) {
      context_.Fail("ERR syntax error, XTRIM must be called with MAXLEN or MINID");
      return false;
    }
    if (limit_given_ && !trim.approximately) {
      context_.Fail("ERR syntax error, LIMIT cannot be used without the special ~ option");
      return false;
    }
    if (!limit_given_ && trim.approximately) {
      const uint64_t entries =
          context_.engine().settings().stream_node_entries_max.load(std::memory_order_relaxed);
      trim.limit =
          entries == 0 ? kTrimEntriesDefault : std::min(kTrimPages * entries, kTrimEntriesMax);
    }
    return true;
  }

  CommandContext& context_;
  const Kind kind_;
  AddOptions options_;
  bool limit_given_ = false;
};

StreamValue::Limits LimitsOf(CommandContext& context) {
  const EngineSettings& settings = context.engine().settings();
  return {settings.stream_node_bytes_max.load(std::memory_order_relaxed),
          settings.stream_node_entries_max.load(std::memory_order_relaxed)};
}

// Whether a trim may remove so many entries that it is a long command.
bool IsLongTrim(const CommandContext& context, const StreamValue& stream,
                const StreamValue::Trim& trim) {
  const uint64_t limit = trim.limit == 0 ? UINT64_MAX : trim.limit;
  switch (trim.by) {
    case StreamValue::Trim::By::kNothing:
      return false;
    case StreamValue::Trim::By::kLength:
      return stream.length() > trim.length_max &&
             context.IsLong(std::min(stream.length() - trim.length_max, limit));
    case StreamValue::Trim::By::kId:
      return IsLongRange(context, stream, stream.first_id(), trim.id_min, limit);
  }
  return false;
}

// The ID that a new entry gets; nothing: it would not be the greatest.
std::optional<StreamId> NewId(CommandContext& context, const StreamValue& stream,
                              const std::optional<ParsedStreamId>& wanted) {
  std::optional<StreamId> id;
  if (!wanted) {
    id = stream.NextId(context.now_ms());
  } else if (wanted->has_seq) {
    id = wanted->id;
  } else if (wanted->id.ms != stream.last_id().ms) {
    id = wanted->id;
  } else if (stream.last_id().seq != UINT64_MAX) {
    id = StreamId{wanted->id.ms, stream.last_id().seq + 1};
  }
  if (id && *id <= stream.last_id()) id.reset();
  return id;
}

struct SetIdArguments {
  StreamId id;
  std::optional<int64_t> entries_added;
  StreamId max_deleted;  // zero: not given
};

// Nothing after the error was written.
std::optional<SetIdArguments> ParseSetId(CommandContext& context) {
  SetIdArguments arguments;
  const auto fail = [&context](std::string_view error) {
    context.Fail(error);
    return std::nullopt;
  };
  const std::optional<StreamId> id = StreamIdArg(context, 2, 0);
  if (!id) return std::nullopt;
  arguments.id = *id;
  for (size_t i = 3; i < context.argc(); i += 2) {
    const bool has_value = i + 1 < context.argc();
    if (has_value && EqualsIgnoreCase(context.arg(i), "entriesadded")) {
      arguments.entries_added = context.IntegerArg(i + 1);
      if (!arguments.entries_added) return std::nullopt;
      if (*arguments.entries_added < 0) return fail("ERR entries_added must be positive");
    } else if (has_value && EqualsIgnoreCase(context.arg(i), "maxdeletedid")) {
      const std::optional<StreamId> deleted = StreamIdArg(context, i + 1, 0);
      if (!deleted) return std::nullopt;
      if (*id < *deleted) {
        return fail(
            "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id");
      }
      arguments.max_deleted = *deleted;
    } else {
      return fail(errors::kSyntax);
    }
  }
  return arguments;
}

// With the ID that it got. How much an approximate trim removes depends on how the stream is laid
// out: it is recorded as an exact one to what was left.
void RecordAdded(CommandContext& context, const AddOptions& options, StreamId id,
                 const StreamValue& stream, bool trimmed) {
  if (!context.records()) return;
  const bool id_was_given = options.id && options.id->has_seq;
  if (id_was_given && !options.trim.approximately) return;  // as it was sent
  const std::string_view key = context.key().name;
  const auto fields = context.args().subspan(options.next + 1);
  char text[kStreamIdTextBytesMax];
  const std::string_view id_word = FormatStreamId(id, text);
  if (trimmed) {
    const DecimalWord length(static_cast<int64_t>(stream.length()));
    context.RecordAs({"XADD", key, "MAXLEN", "=", length, id_word}, fields);
  } else {
    context.RecordAs({"XADD", key, id_word}, fields);
  }
}

}  // namespace

ExecStatus CmdXadd(CommandContext& context) {
  const std::optional<AddOptions> options = AddOptionsParser(context, Kind::kAdd).Parse();
  if (!options) return ExecStatus::kDone;
  const size_t fields_at = options->next + 1;
  if (context.argc() < fields_at + 2 || (context.argc() - fields_at) % 2 != 0)
    return context.Fail(errors::WrongArity("xadd"));
  if (options->id && options->id->has_seq && options->id->id.is_zero())
    return context.Fail("ERR The ID specified in XADD must be greater than 0-0");
  const KeyRef& key = context.key();
  StreamValue* stream = nullptr;
  if (!FindStream(context, key, true, &stream)) return ExecStatus::kDone;
  if (stream != nullptr && IsLongTrim(context, *stream, options->trim)) return context.RunLong();
  Database& db = context.db();
  if (stream == nullptr) {
    if (!options->may_create) {
      context.reply().Null();
      return ExecStatus::kDone;
    }
    stream = StreamValue::Create(db.epoch());
    db.PutObject(key, nullptr, ValueType::kStream, Encoding::kStream, stream, kNoExpire);
  }
  if (stream->last_id() == StreamId::Max()) {
    return context.Fail(
        "ERR The stream has exhausted the last possible ID, unable to add more items");
  }
  const std::optional<StreamId> id = NewId(context, *stream, options->id);
  if (!id) {
    return context.Fail(
        "ERR The ID specified in XADD is equal or smaller than the target stream top item");
  }
  stream->set_epoch(db.epoch());
  stream->Append(*id, context.args().subspan(fields_at), LimitsOf(context));
  ReplyStreamId(context.reply(), *id);
  db.Modified(key);
  db.Notify(notify::kStream, "xadd", key);
  const bool trimmed = stream->TrimTo(options->trim) > 0;
  if (trimmed) db.Notify(notify::kStream, "xtrim", key);
  RecordAdded(context, *options, *id, *stream, trimmed);
  db.SignalReady(key);
  return ExecStatus::kDone;
}

ExecStatus CmdXtrim(CommandContext& context) {
  const std::optional<AddOptions> options = AddOptionsParser(context, Kind::kTrim).Parse();
  if (!options) return ExecStatus::kDone;
  const KeyRef& key = context.key();
  StreamValue* stream = nullptr;
  if (!FindStream(context, key, true, &stream)) return ExecStatus::kDone;
  uint64_t gone = 0;
  if (stream != nullptr) {
    if (IsLongTrim(context, *stream, options->trim)) return context.RunLong();
    stream->set_epoch(context.db().epoch());
    gone = stream->TrimTo(options->trim);
  }
  if (gone > 0) {
    context.db().Notify(notify::kStream, "xtrim", key);
    context.db().Modified(key);
    if (context.records() && options->trim.approximately) {
      const DecimalWord length(static_cast<int64_t>(stream->length()));
      context.RecordAs({"XTRIM", key.name, "MAXLEN", "=", length});
    }
  }
  context.reply().Integer(static_cast<int64_t>(gone));
  return ExecStatus::kDone;
}

ExecStatus CmdXdel(CommandContext& context) {
  const KeyRef& key = context.key();
  StreamValue* stream = nullptr;
  if (!FindStream(context, key, true, &stream)) return ExecStatus::kDone;
  if (stream == nullptr) {
    context.reply().Integer(0);
    return ExecStatus::kDone;
  }
  // All or nothing, as far as IDs are concerned.
  for (size_t i = 2; i < context.argc(); ++i) {
    if (!StreamIdArg(context, i, 0)) return ExecStatus::kDone;
  }
  stream->set_epoch(context.db().epoch());
  int64_t deleted = 0;
  for (size_t i = 2; i < context.argc(); ++i) {
    const auto parsed = ParseStreamId(context.arg(i), 0, StreamIdForm::kStrict);
    if (stream->Erase(parsed->id)) ++deleted;
  }
  if (deleted > 0) {
    context.db().Modified(key);
    context.db().Notify(notify::kStream, "xdel", key);
  }
  context.reply().Integer(deleted);
  return ExecStatus::kDone;
}

// XSETID key last-id [ENTRIESADDED n] [MAXDELETEDID id]
ExecStatus CmdXsetid(CommandContext& context) {
  const std::optional<SetIdArguments> arguments = ParseSetId(context);
  if (!arguments) return ExecStatus::kDone;
  const KeyRef& key = context.key();
  StreamValue* stream = nullptr;
  if (!FindStream(context, key, true, &stream)) return ExecStatus::kDone;
  if (stream == nullptr) return context.Fail(errors::kNoSuchKey);
  // Only the entries that are there count: others may have been deleted.
  if (stream->length() > 0) {
    if (arguments->id < stream->LastLiveId()) {
      return context.Fail(
          "ERR The ID specified in XSETID is smaller than the target stream top item");
    }
    if (arguments->entries_added &&
        static_cast<int64_t>(stream->length()) > *arguments->entries_added) {
      return context.Fail(
          "ERR The entries_added specified in XSETID is smaller than the target stream length");
    }
  }
  stream->SetLastId(arguments->id);
  if (arguments->entries_added)
    stream->SetEntriesAdded(static_cast<uint64_t>(*arguments->entries_added));
  if (!arguments->max_deleted.is_zero()) stream->SetMaxDeletedId(arguments->max_deleted);
  context.reply().Ok();
  context.db().Modified(key);
  context.db().Notify(notify::kStream, "xsetid", key);
  return ExecStatus::kDone;
}

}  // namespace tidegate
