// XREAD and XREADGROUP: entries of several streams behind given IDs, waiting for the first one when
// asked to.
//
// A client that waits is served by whoever adds to one of its streams, by running its command for
// that stream alone. "$" means what was the last ID when the client came, so it waits with the IDs
// that its dollars stood for.
#include <string>
#include <vector>

#include "base/text.h"
#include "config/notify.h"
#include "storage/commands/stream_commands.h"
#include "storage/commands/stream_effects.h"
#include "storage/commands/timeout_argument.h"

namespace tidegate {
namespace {

// Entries that a client gets at most that had to wait and did not say how many. As Redis.
constexpr uint64_t kCountOfServed = 1000;

struct ReadOptions {
  std::optional<int64_t> timeout_ms;  // BLOCK
  uint64_t count = 0;                 // 0: all
  bool no_ack = false;
  std::optional<std::string_view> group;
  std::string_view consumer;
  size_t streams_at = 0;  // the first key
  size_t streams = 0;
};

class ReadOptionsParser final {
 public:
  ReadOptionsParser(CommandContext& context, bool grouped) : context_(context), grouped_(grouped) {}

  // Nothing after the error was written.
  std::optional<ReadOptions> Parse() {
    for (size_t i = 1; i < context_.argc() && options_.streams_at == 0; ++i) {
      if (!ParseOne(i)) return std::nullopt;
    }
    if (options_.streams_at == 0) {
      Fail(errors::kSyntax);
      return std::nullopt;
    }
    if (grouped_ && !options_.group) {
      Fail("ERR Missing GROUP option for XREADGROUP");
      return std::nullopt;
    }
    return options_;
  }

 private:
  bool Fail(std::string_view error) {
    context_.Fail(error);
    return false;
  }

  bool ParseOne(size_t& i) {
    const std::string_view word = context_.arg(i);
    const size_t more = context_.argc() - i - 1;
    if (more > 0 && EqualsIgnoreCase(word, "block")) {
      options_.timeout_ms = TimeoutMillisArg(context_, ++i);
      return options_.timeout_ms.has_value();
    }
    if (more > 0 && EqualsIgnoreCase(word, "count")) {
      const std::optional<int64_t> count = context_.IntegerArg(++i);
      if (count) options_.count = *count < 0 ? 0 : static_cast<uint64_t>(*count);
      return count.has_value();
    }
    if (more > 0 && EqualsIgnoreCase(word, "streams")) return ParseStreams(i + 1);
    if (more > 1 && EqualsIgnoreCase(word, "group")) {
      if (!grouped_) {
        return Fail(
            "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.");
      }
      options_.group = context_.arg(i + 1);
      options_.consumer = context_.arg(i + 2);
      i += 2;
      return true;
    }
    if (EqualsIgnoreCase(word, "noack")) {
      if (!grouped_) {
        return Fail(
            "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.");
      }
      options_.no_ack = true;
      return true;
    }
    return Fail(errors::kSyntax);
  }

  bool ParseStreams(size_t at) {
    const size_t words = context_.argc() - at;
    if (words % 2 != 0) {
      return Fail(
          "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be "
          "specified.");
    }
    options_.streams_at = at;
    options_.streams = words / 2;
    return true;
  }

  CommandContext& context_;
  const bool grouped_;
  ReadOptions options_;
};

// One stream of the command.
struct Source {
  const KeyRef* key = nullptr;
  StreamValue* stream = nullptr;
  StreamGroup* group = nullptr;
  StreamId after;           // entries behind this one
  bool only_new = false;    // ">"
  bool has_answer = false;  // there is something to say of it
};

class Reader final {
 public:
  Reader(CommandContext& context, const ReadOptions& options)
      : context_(context), options_(options), db_(context.db()) {}

  ExecStatus Run() {
    sources_.reserve(options_.streams);
    size_t answers = 0;
    for (size_t i = 0; i < options_.streams; ++i) {
      if (!Resolve(i)) return ExecStatus::kDone;
    }
    for (Source& source : sources_) {
      Decide(source);
      if (source.has_answer) ++answers;
    }
    if (answers == 0) return Wait();
    if (IsLong()) return context_.RunLong();
    BeginAnswers(answers);
    for (const Source& source : sources_) {
      if (source.has_answer) Answer(source, options_.count);
    }
    return ExecStatus::kDone;
  }

  // For a client that waited, the one stream that has got something.
  ExecStatus Serve(const KeyRef& served) {
    const Entry* entry = db_.Peek(served);
    if (entry == nullptr || entry->type() != ValueType::kStream) {
      if (!options_.group) return ExecStatus::kSuspended;
      return context_.Fail("UNBLOCKED the stream key no longer exists");
    }
    Source source;
    source.key = &served;
    source.stream = entry->object<StreamValue>();
    if (options_.group) {
      source.group = source.stream->FindGroup(*options_.group);
      if (source.group == nullptr) {
        return context_.Fail(
            "NOGROUP the consumer group this client was blocked on no longer exists");
      }
      source.only_new = true;
    } else {
      source.after = AfterIdOf(served);
    }
    Decide(source);
    if (!source.has_answer) return ExecStatus::kSuspended;
    BeginAnswers(1);
    Answer(source, options_.count == 0 ? kCountOfServed : options_.count);
    return ExecStatus::kDone;
  }

 private:
  std::string_view IdText(size_t i) const {
    return context_.arg(options_.streams_at + options_.streams + i);
  }

  StreamId AfterIdOf(const KeyRef& served) const {
    for (size_t i = 0; i < options_.streams; ++i) {
      if (context_.arg(options_.streams_at + i) != served.name) continue;
      const auto parsed = ParseStreamId(IdText(i), 0, StreamIdForm::kStrict);
      return parsed ? parsed->id : StreamId{};
    }
    return StreamId::Max();
  }

  // False after the error was written.
  bool Resolve(size_t i) {
    Source source;
    source.key = &context_.key(i);
    if (!FindStream(context_, *source.key, false, &source.stream)) return false;
    if (options_.group) {
      if (source.stream != nullptr) source.group = source.stream->FindGroup(*options_.group);
      if (source.group == nullptr) {
        FailNoGroup(context_, source.key->name, *options_.group,
                    " in XREADGROUP with GROUP option");
        return false;
      }
    }
    const std::string_view text = IdText(i);
    if (text == "$") {
      if (options_.group) {
        context_.Fail(
            "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the "
            "history of this consumer by specifying a proper ID, or use the > ID to get new "
            "messages. The $ ID would just return an empty result set.");
        return false;
      }
      if (source.stream != nullptr) source.after = source.stream->last_id();
    } else if (text == ">") {
      if (!options_.group) {
        context_.Fail(
            "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> "
            "<consumer> option.");
        return false;
      }
      source.only_new = true;
    } else {
      const auto id = StreamIdArg(context_, options_.streams_at + options_.streams + i, 0);
      if (!id) return false;
      source.after = *id;
    }
    sources_.push_back(source);
    return true;
  }

  void Decide(Source& source) {
    if (source.stream == nullptr) return;
    if (source.group != nullptr && !source.only_new) {
      source.has_answer = true;  // its history, which may be empty
      return;
    }
    if (source.only_new) source.after = source.group->last_id;
    source.has_answer = source.stream->length() > 0 && source.stream->LastLiveId() > source.after;
  }

  bool IsLong() const {
    const uint64_t count = options_.count == 0 ? UINT64_MAX : options_.count;
    return std::any_of(sources_.begin(), sources_.end(), [&](const Source& source) {
      return source.has_answer &&
             IsLongRange(context_, *source.stream, source.after, StreamId::Max(), count);
    });
  }

  // A map of streams, which RESP2 sees as pairs.
  void BeginAnswers(size_t n) {
    context_.reply().resp3() ? context_.reply().Map(n) : context_.reply().Array(n);
  }

  void Answer(const Source& source, uint64_t count) {
    ReplyWriter& reply = context_.reply();
    if (!reply.resp3()) reply.Array(2);
    reply.Bulk(source.key->name);
    if (source.group == nullptr) {
      const std::optional<StreamId> first = source.after.Next();
      ReplyStreamRange(reply, *source.stream, first.value_or(StreamId::Max()), StreamId::Max(),
                       count);
      return;
    }
    std::optional<PendingEffects> effects;
    if (context_.records())
      effects.emplace(context_, *source.key, *options_.group, options_.consumer);
    const bool is_new = effects && source.group->FindConsumer(options_.consumer) == nullptr;
    StreamConsumer& consumer = SeeConsumer(db_, *source.key, *source.group, options_.consumer);
    if (is_new) effects->RecordNewConsumer();
    if (source.only_new) {
      Deliver(source, consumer, count, effects);
    } else {
      ReplyHistory(source, consumer, count, effects);
    }
    if (effects) effects->RecordPending();
    if (effects && source.only_new) effects->RecordProgress(*source.group);
    db_.Modified(*source.key);
  }

  // New entries, which are pending for the consumer from now on.
  void Deliver(const Source& source, StreamConsumer& consumer, uint64_t count,
               std::optional<PendingEffects>& effects) {
    StreamValue& stream = *source.stream;
    StreamGroup& group = *source.group;
    const StreamId first = source.after.Next().value_or(StreamId::Max());
    const size_t found = ReplyStreamRange(context_.reply(), stream, first, StreamId::Max(), count);
    StreamCursor cursor(stream, first, StreamId::Max());
    if (found > 0 && !options_.no_ack) consumer.active_ms = db_.now_ms();
    for (size_t i = 0; i < found; ++i) {
      const StreamId id = cursor.Next()->id;
      if (group.entries_read != kEntriesReadUnknown && !stream.HasGapsFrom(id)) {
        ++group.entries_read;
      } else if (stream.entries_added() > 0) {
        group.entries_read = stream.CountUpTo(id);
      }
      group.last_id = id;
      if (options_.no_ack) continue;
      const StreamPending& pending = group.Assign(id, consumer, db_.now_ms());
      if (effects) effects->NoteClaimed(id, pending);
    }
  }

  // What is pending for the consumer already. An entry that is deleted has no fields any more.
  void ReplyHistory(const Source& source, const StreamConsumer& consumer, uint64_t count,
                    std::optional<PendingEffects>& effects) {
    ReplyWriter& reply = context_.reply();
    const StreamId first = source.after.Next().value_or(StreamId::Max());
    const uint64_t max = count == 0 ? UINT64_MAX : count;
    uint64_t found = 0;
    const auto begin = consumer.pending.lower_bound(first);
    for (auto at = begin; at != consumer.pending.end() && found < max; ++at) ++found;
    reply.Array(found);
    for (auto at = begin; found > 0; ++at, --found) {
      const std::optional<StreamEntry> entry = StreamCursor(*source.stream, *at, *at).Next();
      if (!entry) {
        reply.Array(2);
        ReplyStreamId(reply, *at);
        reply.NullArray();
        continue;
      }
      ReplyStreamEntry(reply, *entry);
      StreamPending* pending = source.group->FindPending(*at);
      pending->delivered_ms = db_.now_ms();
      ++pending->deliveries;
      if (effects) effects->NoteClaimed(*at, *pending);
    }
  }

  // Nothing yet.
  ExecStatus Wait() {
    if (!options_.timeout_ms) {
      context_.reply().NullArray();
      return ExecStatus::kDone;
    }
    std::vector<std::string_view> args(context_.args().begin(), context_.args().end());
    std::vector<std::string> texts(options_.streams);
    for (size_t i = 0; i < options_.streams; ++i) {
      if (IdText(i) != "$") continue;
      char text[kStreamIdTextBytesMax];
      texts[i] = FormatStreamId(sources_[i].after, text);
      args[options_.streams_at + options_.streams + i] = texts[i];
    }
    const Request served_as{context_.request().command, args, context_.keys()};
    return context_.Block(context_.keys(), *options_.timeout_ms, TimeoutReply::kNullArray, nullptr,
                          &served_as);
  }

  CommandContext& context_;
  const ReadOptions& options_;
  Database& db_;
  std::vector<Source> sources_;
};

ExecStatus Read(CommandContext& context, bool grouped) {
  const std::optional<ReadOptions> options = ReadOptionsParser(context, grouped).Parse();
  if (!options) return ExecStatus::kDone;
  Reader reader(context, *options);
  return context.served_key() != nullptr ? reader.Serve(*context.served_key()) : reader.Run();
}

}  // namespace

ExecStatus CmdXread(CommandContext& context) { return Read(context, false); }

ExecStatus CmdXreadgroup(CommandContext& context) { return Read(context, true); }

}  // namespace tidegate
