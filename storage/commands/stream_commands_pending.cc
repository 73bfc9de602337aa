// XACK and XPENDING: entries that were delivered and are not acknowledged.
#include <algorithm>

#include "base/text.h"
#include "storage/breathe.h"
#include "storage/commands/stream_commands.h"

namespace tidegate {
namespace {

struct PendingOptions {
  int64_t idle_min_ms = 0;
  StreamId first;
  StreamId last;
  uint64_t count = 0;
  std::optional<std::string_view> consumer;
};

// [IDLE ms] start end count [consumer], from argument 3 on; nothing after the error was written.
std::optional<PendingOptions> ParsePendingOptions(CommandContext& context) {
  PendingOptions options;
  size_t at = 3;
  if (EqualsIgnoreCase(context.arg(3), "idle")) {
    const std::optional<int64_t> idle = context.IntegerArg(4);
    if (!idle) return std::nullopt;
    if (context.argc() < 8) {
      context.Fail(errors::kSyntax);
      return std::nullopt;
    }
    options.idle_min_ms = *idle;
    at = 5;
  }
  const std::optional<int64_t> count = context.IntegerArg(at + 2);
  if (!count) return std::nullopt;
  options.count = static_cast<uint64_t>(std::max<int64_t>(*count, 0));
  const std::optional<StreamId> first = RangeIdArg(context, at, RangeEnd::kFirst);
  if (!first) return std::nullopt;
  const std::optional<StreamId> last = RangeIdArg(context, at + 1, RangeEnd::kLast);
  if (!last) return std::nullopt;
  options.first = *first;
  options.last = *last;
  if (at + 3 < context.argc()) options.consumer = context.arg(at + 3);
  return options;
}

void ReplySummary(ReplyWriter& reply, const StreamGroup& group) {
  reply.Array(4);
  reply.Integer(static_cast<int64_t>(group.pending().size()));
  if (group.pending().empty()) {
    reply.Null();
    reply.Null();
    reply.NullArray();
    return;
  }
  ReplyStreamId(reply, group.pending().begin()->first);
  ReplyStreamId(reply, group.pending().rbegin()->first);
  const auto has_pending = [](const auto& item) { return !item.second.pending.empty(); };
  reply.Array(static_cast<size_t>(
      std::count_if(group.consumers().begin(), group.consumers().end(), has_pending)));
  for (const auto& item : group.consumers()) {
    if (!has_pending(item)) continue;
    reply.Array(2);
    reply.Bulk(item.first);
    reply.BulkInteger(static_cast<int64_t>(item.second.pending.size()));
  }
}

// Calls fn(id, StreamPending) for those that the options ask for.
template <typename Fn>
void ForEachPending(StreamGroup& group, const StreamConsumer* consumer,
                    const PendingOptions& options, int64_t now_ms, Fn&& fn) {
  uint64_t left = options.count;
  BreathingSpaces<64> spaces;
  const auto look = [&](StreamId id, const StreamPending& pending) {
    spaces.Step();
    if (options.idle_min_ms != 0 && now_ms - pending.delivered_ms < options.idle_min_ms) return;
    fn(id, pending);
    --left;
  };
  if (consumer != nullptr) {
    auto at = consumer->pending.lower_bound(options.first);
    for (; left > 0 && at != consumer->pending.end() && *at <= options.last; ++at)
      look(*at, *group.FindPending(*at));
    return;
  }
  auto at = group.PendingFrom(options.first);
  for (; left > 0 && at != group.PendingEnd() && at->first <= options.last; ++at)
    look(at->first, at->second);
}

}  // namespace

ExecStatus CmdXack(CommandContext& context) {
  StreamValue* stream = nullptr;
  if (!FindStream(context, context.key(), false, &stream)) return ExecStatus::kDone;
  StreamGroup* group = stream == nullptr ? nullptr : stream->FindGroup(context.arg(2));
  if (group == nullptr) {
    context.reply().Integer(0);
    return ExecStatus::kDone;
  }
  for (size_t i = 3; i < context.argc(); ++i) {
    if (!StreamIdArg(context, i, 0)) return ExecStatus::kDone;
  }
  int64_t acknowledged = 0;
  for (size_t i = 3; i < context.argc(); ++i) {
    if (group->Acknowledge(ParseStreamId(context.arg(i), 0, StreamIdForm::kStrict)->id))
      ++acknowledged;
  }
  if (acknowledged > 0) context.db().Modified(context.key());
  context.reply().Integer(acknowledged);
  return ExecStatus::kDone;
}

ExecStatus CmdXpending(CommandContext& context) {
  const bool summary = context.argc() == 3;
  if (!summary && (context.argc() < 6 || context.argc() > 9)) return context.Fail(errors::kSyntax);
  std::optional<PendingOptions> options;
  if (!summary) {
    options = ParsePendingOptions(context);
    if (!options) return ExecStatus::kDone;
  }
  StreamValue* stream = nullptr;
  if (!FindStream(context, context.key(), false, &stream)) return ExecStatus::kDone;
  StreamGroup* group = stream == nullptr ? nullptr : stream->FindGroup(context.arg(2));
  if (group == nullptr) return FailNoGroup(context, context.arg(1), context.arg(2));
  ReplyWriter& reply = context.reply();
  if (summary) {
    ReplySummary(reply, *group);
    return ExecStatus::kDone;
  }
  const StreamConsumer* consumer = nullptr;
  if (options->consumer) {
    consumer = group->FindConsumer(*options->consumer);
    if (consumer == nullptr) {
      reply.Array(0);
      return ExecStatus::kDone;
    }
  }
  const uint64_t pending_count =
      consumer != nullptr ? consumer->pending.size() : group->pending().size();
  if (context.IsLong(options->idle_min_ms != 0 ? pending_count
                                               : std::min(pending_count, options->count))) {
    return context.RunLong();
  }
  const int64_t now_ms = context.now_ms();
  size_t found = 0;
  ForEachPending(*group, consumer, *options, now_ms,
                 [&found](StreamId, const StreamPending&) { ++found; });
  reply.Array(found);
  ForEachPending(*group, consumer, *options, now_ms,
                 [&](StreamId id, const StreamPending& pending) {
                   reply.Array(4);
                   ReplyStreamId(reply, id);
                   reply.Bulk(pending.consumer->name);
                   reply.Integer(std::max<int64_t>(now_ms - pending.delivered_ms, 0));
                   reply.Integer(static_cast<int64_t>(pending.deliveries));
                 });
  return ExecStatus::kDone;
}

}  // namespace tidegate
