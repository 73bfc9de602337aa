// XINFO: what a stream, its groups and their consumers look like.
#include <algorithm>
#include <iterator>
#include <string>

#include "base/text.h"
#include "storage/breathe.h"
#include "storage/commands/stream_commands.h"

namespace tidegate {
namespace {

constexpr std::string_view kHelp[] = {
    "XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CONSUMERS <key> <groupname>",
    "    The consumers of a group.",
    "GROUPS <key>",
    "    The groups of a stream.",
    "STREAM <key> [FULL [COUNT <count>]",
    "    What is known about a stream; with FULL its entries and groups too.",
    "HELP",
    "    Print this help.",
};

// Entries of each list that FULL shows when nobody says how many.
constexpr int64_t kFullCountDefault = 10;

// The stream of argument 2; null after the error was written.
StreamValue* FindOrFail(CommandContext& context) {
  StreamValue* stream = nullptr;
  if (FindStream(context, context.key(), false, &stream) && stream == nullptr)
    context.Fail(errors::kNoSuchKey);
  return stream;
}

class InfoReply final {
 public:
  InfoReply(CommandContext& context, const StreamValue& stream)
      : reply_(context.reply()), stream_(stream), now_ms_(context.now_ms()) {}

  void Name(std::string_view name) { reply_.Bulk(name); }
  void Number(std::string_view name, uint64_t value) {
    reply_.Bulk(name);
    reply_.Integer(static_cast<int64_t>(value));
  }
  void Text(std::string_view name, std::string_view value) {
    reply_.Bulk(name);
    reply_.Bulk(value);
  }
  void Id(std::string_view name, StreamId id) {
    reply_.Bulk(name);
    ReplyStreamId(reply_, id);
  }
  void Progress(const StreamGroup& group) {
    reply_.Bulk("entries-read");
    if (group.entries_read == kEntriesReadUnknown) {
      reply_.Null();
    } else {
      reply_.Integer(group.entries_read);
    }
    reply_.Bulk("lag");
    const std::optional<int64_t> lag = stream_.LagOf(group);
    if (lag) {
      reply_.Integer(*lag);
    } else {
      reply_.Null();
    }
  }

  void Head() {
    Number("length", stream_.length());
    Number("radix-tree-keys", stream_.page_count());
    Number("radix-tree-nodes", stream_.RadixNodeCount());
    Id("last-generated-id", stream_.last_id());
    Id("max-deleted-entry-id", stream_.max_deleted_id());
    Number("entries-added", stream_.entries_added());
    Id("recorded-first-entry-id", stream_.first_id());
  }

  void Summary() {
    reply_.Map(10);
    Head();
    Number("groups", stream_.groups().size());
    Edge("first-entry", StreamCursor::Direction::kForward);
    Edge("last-entry", StreamCursor::Direction::kBackward);
  }

  void Full(uint64_t count) {
    reply_.Map(9);
    Head();
    Name("entries");
    ReplyStreamRange(reply_, stream_, {}, StreamId::Max(), count);
    Name("groups");
    reply_.Array(stream_.groups().size());
    for (const auto& [name, group] : stream_.groups()) FullGroup(name, group, count);
  }

  void Group(std::string_view name, const StreamGroup& group) {
    reply_.Map(6);
    Text("name", name);
    Number("consumers", group.consumers().size());
    Number("pending", group.pending().size());
    Id("last-delivered-id", group.last_id);
    Progress(group);
  }

  void Consumer(const StreamConsumer& consumer) {
    reply_.Map(4);
    Text("name", consumer.name);
    Number("pending", consumer.pending.size());
    Number("idle", static_cast<uint64_t>(std::max<int64_t>(now_ms_ - consumer.seen_ms, 0)));
    Name("inactive");
    reply_.Integer(consumer.active_ms < 0 ? -1
                                          : std::max<int64_t>(now_ms_ - consumer.active_ms, 0));
  }

 private:
  void Edge(std::string_view name, StreamCursor::Direction direction) {
    Name(name);
    const auto entry = StreamCursor(stream_, {}, StreamId::Max(), direction).Next();
    if (entry) {
      ReplyStreamEntry(reply_, *entry);
    } else {
      reply_.Null();
    }
  }

  static size_t Shown(size_t size, uint64_t count) {
    return count == 0 ? size : static_cast<size_t>(std::min<uint64_t>(size, count));
  }

  void FullGroup(std::string_view name, const StreamGroup& group, uint64_t count) {
    reply_.Map(7);
    Text("name", name);
    Id("last-delivered-id", group.last_id);
    Progress(group);
    Number("pel-count", group.pending().size());
    Name("pending");
    size_t left = Shown(group.pending().size(), count);
    reply_.Array(left);
    BreathingSpaces<64> spaces;
    for (auto at = group.pending().begin(); left > 0; ++at, --left) {
      spaces.Step();
      reply_.Array(4);
      ReplyStreamId(reply_, at->first);
      reply_.Bulk(at->second.consumer->name);
      reply_.Integer(at->second.delivered_ms);
      reply_.Integer(static_cast<int64_t>(at->second.deliveries));
    }
    Name("consumers");
    reply_.Array(group.consumers().size());
    for (const auto& item : group.consumers()) FullConsumer(group, item.second, count);
  }

  void FullConsumer(const StreamGroup& group, const StreamConsumer& consumer, uint64_t count) {
    reply_.Map(5);
    Text("name", consumer.name);
    Number("seen-time", static_cast<uint64_t>(consumer.seen_ms));
    Name("active-time");
    reply_.Integer(consumer.active_ms);
    Number("pel-count", consumer.pending.size());
    Name("pending");
    size_t left = Shown(consumer.pending.size(), count);
    reply_.Array(left);
    BreathingSpaces<64> spaces;
    for (auto at = consumer.pending.begin(); left > 0; ++at, --left) {
      spaces.Step();
      const StreamPending& pending = group.pending().find(*at)->second;
      reply_.Array(3);
      ReplyStreamId(reply_, *at);
      reply_.Integer(pending.delivered_ms);
      reply_.Integer(static_cast<int64_t>(pending.deliveries));
    }
  }

  ReplyWriter& reply_;
  const StreamValue& stream_;
  const int64_t now_ms_;
};

ExecStatus FailSubcommand(CommandContext& context) {
  return context.Fail("ERR unknown subcommand or wrong number of arguments for '" +
                      std::string(context.arg(1)) + "'. Try XINFO HELP.");
}

}  // namespace

ExecStatus CmdXinfoStream(CommandContext& context) {
  const StreamValue* stream = FindOrFail(context);
  if (stream == nullptr) return ExecStatus::kDone;
  InfoReply info(context, *stream);
  if (context.argc() == 3) {
    info.Summary();
    return ExecStatus::kDone;
  }
  const bool counted = context.argc() == 6 && EqualsIgnoreCase(context.arg(4), "count");
  if (!EqualsIgnoreCase(context.arg(3), "full") || (context.argc() != 4 && !counted))
    return FailSubcommand(context);
  int64_t count = kFullCountDefault;
  if (counted) {
    const std::optional<int64_t> given = context.IntegerArg(5);
    if (!given) return ExecStatus::kDone;
    if (*given >= 0) count = *given;
  }
  uint64_t shown = stream->length();
  for (const auto& [name, group] : stream->groups()) shown += group.pending().size();
  const auto limit = static_cast<uint64_t>(count);
  if (limit > 0) shown = std::min(shown, limit * (1 + 2 * stream->groups().size()));
  if (context.IsLong(shown)) return context.RunLong();
  info.Full(limit);
  return ExecStatus::kDone;
}

ExecStatus CmdXinfoGroups(CommandContext& context) {
  const StreamValue* stream = FindOrFail(context);
  if (stream == nullptr) return ExecStatus::kDone;
  InfoReply info(context, *stream);
  context.reply().Array(stream->groups().size());
  for (const auto& [name, group] : stream->groups()) info.Group(name, group);
  return ExecStatus::kDone;
}

ExecStatus CmdXinfoConsumers(CommandContext& context) {
  StreamValue* stream = FindOrFail(context);
  if (stream == nullptr) return ExecStatus::kDone;
  const StreamGroup* group = stream->FindGroup(context.arg(3));
  if (group == nullptr) {
    return context.Fail("NOGROUP No such consumer group '" + std::string(context.arg(3)) +
                        "' for key name '" + std::string(context.arg(2)) + "'");
  }
  InfoReply info(context, *stream);
  context.reply().Array(group->consumers().size());
  for (const auto& item : group->consumers()) info.Consumer(item.second);
  return ExecStatus::kDone;
}

ExecStatus CmdXinfoHelp(CommandContext& context) {
  context.reply().Array(std::size(kHelp));
  for (const std::string_view line : kHelp) context.reply().SimpleString(line);
  return ExecStatus::kDone;
}

}  // namespace tidegate
