// XCLAIM and XAUTOCLAIM: pending entries that change hands.
//
// Entries that are pending but deleted are dropped on the way. The array of what was claimed says
// its length first, so claiming comes before replying.
#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "base/text.h"
#include "storage/breathe.h"
#include "storage/commands/stream_commands.h"
#include "storage/commands/stream_effects.h"

namespace tidegate {
namespace {

// Pending entries that XAUTOCLAIM looks at, for each that it may claim. As Redis.
constexpr uint64_t kAttemptsPerEntry = 10;
constexpr int64_t kAutoclaimCountDefault = 100;

struct ClaimOptions {
  int64_t idle_min_ms = 0;
  size_t ids_end = 5;  // XCLAIM: behind the last ID
  std::optional<int64_t> delivered_ms;
  std::optional<int64_t> deliveries;
  bool force = false;
  bool only_ids = false;
  StreamId last_id;
};

class ClaimOptionsParser final {
 public:
  ClaimOptionsParser(CommandContext& context, ClaimOptions& options)
      : context_(context), options_(options) {}

  // False after the error was written.
  bool Parse() {
    size_t i = options_.ids_end;
    while (i < context_.argc() && ParseStreamId(context_.arg(i), 0, StreamIdForm::kStrict)) ++i;
    options_.ids_end = i;
    for (; i < context_.argc(); ++i) {
      if (!ParseOne(i)) return false;
    }
    return true;
  }

 private:
  bool ParseOne(size_t& i) {
    const std::string_view word = context_.arg(i);
    const bool has_value = i + 1 < context_.argc();
    if (EqualsIgnoreCase(word, "force")) {
      options_.force = true;
      return true;
    }
    if (EqualsIgnoreCase(word, "justid")) {
      options_.only_ids = true;
      return true;
    }
    if (has_value && EqualsIgnoreCase(word, "idle")) {
      const auto idle = context_.IntegerArg(++i, "ERR Invalid IDLE option argument for XCLAIM");
      // May wrap, and then counts as now.
      if (idle) options_.delivered_ms = WrappingDifference(context_.now_ms(), *idle);
      return idle.has_value();
    }
    if (has_value && EqualsIgnoreCase(word, "time")) {
      options_.delivered_ms =
          context_.IntegerArg(++i, "ERR Invalid TIME option argument for XCLAIM");
      return options_.delivered_ms.has_value();
    }
    if (has_value && EqualsIgnoreCase(word, "retrycount")) {
      options_.deliveries =
          context_.IntegerArg(++i, "ERR Invalid RETRYCOUNT option argument for XCLAIM");
      return options_.deliveries.has_value();
    }
    if (has_value && EqualsIgnoreCase(word, "lastid")) {
      const std::optional<StreamId> id = StreamIdArg(context_, ++i, 0);
      if (id) options_.last_id = *id;
      return id.has_value();
    }
    context_.Fail("ERR Unrecognized XCLAIM option '" + std::string(word) + "'");
    return false;
  }

  static int64_t WrappingDifference(int64_t a, int64_t b) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
  }

  CommandContext& context_;
  ClaimOptions& options_;
};

// The stream and the group of the command; null after the error was written.
struct Target {
  StreamValue* stream = nullptr;
  StreamGroup* group = nullptr;
};

Target FindTarget(CommandContext& context) {
  Target target;
  if (!FindStream(context, context.key(), false, &target.stream)) return target;
  if (target.stream != nullptr) target.group = target.stream->FindGroup(context.arg(2));
  if (target.group == nullptr) FailNoGroup(context, context.arg(1), context.arg(2));
  return target;
}

// Nothing when nothing is recorded.
std::optional<PendingEffects> EffectsOf(CommandContext& context) {
  if (!context.records()) return std::nullopt;
  return PendingEffects(context, context.key(), context.arg(2), context.arg(3));
}

void ReplyClaimed(CommandContext& context, const StreamValue& stream,
                  const std::vector<StreamId>& ids, bool only_ids) {
  ReplyWriter& reply = context.reply();
  reply.Array(ids.size());
  for (const StreamId& id : ids) {
    if (only_ids) {
      ReplyStreamId(reply, id);
    } else {
      ReplyStreamEntry(reply, *StreamCursor(stream, id, id).Next());
    }
  }
}

// The consumer is made, and counts as seen, with the first entry that it gets.
class Claimer final {
 public:
  Claimer(CommandContext& context, StreamGroup& group, const ClaimOptions& options)
      : context_(context), group_(group), options_(options), now_ms_(context.thread().wall_ms) {}

  // Whether the entry, pending or (null) not, is the consumer's now.
  bool Claim(StreamId id, StreamPending* pending, std::optional<PendingEffects>& effects) {
    if (pending == nullptr && !options_.force) return false;
    if (pending != nullptr && options_.idle_min_ms != 0 &&
        now_ms_ - pending->delivered_ms < options_.idle_min_ms) {
      return false;
    }
    uint64_t deliveries = pending == nullptr ? 1 : pending->deliveries;
    if (options_.deliveries && *options_.deliveries >= 0) {
      deliveries = static_cast<uint64_t>(*options_.deliveries);
    } else if (!options_.only_ids) {
      ++deliveries;
    }
    if (consumer_ == nullptr)
      consumer_ = &SeeConsumer(context_.db(), context_.key(), group_, context_.arg(3));
    consumer_->active_ms = now_ms_;
    StreamPending& claimed = group_.Assign(id, *consumer_, DeliveredMs());
    claimed.deliveries = deliveries;
    if (effects) effects->NoteClaimed(id, claimed);
    return true;
  }

 private:
  // As Redis: a time before 1970 or in the future counts as this moment. What is recorded was right
  // by the clock of then.
  int64_t DeliveredMs() const {
    const int64_t at = options_.delivered_ms.value_or(now_ms_);
    const bool too_late = at > now_ms_ && !context_.thread().loading;
    return at < 0 || too_late ? now_ms_ : at;
  }

  CommandContext& context_;
  StreamGroup& group_;
  StreamConsumer* consumer_ = nullptr;
  const ClaimOptions& options_;
  const int64_t now_ms_;
};

struct AutoclaimOptions {
  ClaimOptions claim;
  StreamId from;
  int64_t count = kAutoclaimCountDefault;
};

std::optional<int64_t> IdleArg(CommandContext& context, std::string_view error) {
  const std::optional<int64_t> idle = context.IntegerArg(4, error);
  return idle ? std::optional(std::max<int64_t>(*idle, 0)) : idle;
}

// Nothing after the error was written.
std::optional<AutoclaimOptions> ParseAutoclaimOptions(CommandContext& context) {
  constexpr int64_t kCountMax =
      std::numeric_limits<int64_t>::max() / static_cast<int64_t>(sizeof(StreamId));
  AutoclaimOptions options;
  const auto idle = IdleArg(context, "ERR Invalid min-idle-time argument for XAUTOCLAIM");
  if (!idle) return std::nullopt;
  options.claim.idle_min_ms = *idle;
  const std::optional<StreamId> from = RangeIdArg(context, 5, RangeEnd::kFirst);
  if (!from) return std::nullopt;
  options.from = *from;
  for (size_t i = 6; i < context.argc(); ++i) {
    if (i + 1 < context.argc() && EqualsIgnoreCase(context.arg(i), "count")) {
      const std::optional<int64_t> count = ParseInt64(context.arg(++i));
      if (!count || *count < 1 || *count > kCountMax) {
        context.Fail("ERR COUNT must be > 0");
        return std::nullopt;
      }
      options.count = *count;
    } else if (EqualsIgnoreCase(context.arg(i), "justid")) {
      options.claim.only_ids = true;
    } else {
      context.Fail(errors::kSyntax);
      return std::nullopt;
    }
  }
  return options;
}

}  // namespace

ExecStatus CmdXclaim(CommandContext& context) {
  const Target target = FindTarget(context);
  if (target.group == nullptr) return ExecStatus::kDone;
  const auto idle = IdleArg(context, "ERR Invalid min-idle-time argument for XCLAIM");
  if (!idle) return ExecStatus::kDone;
  ClaimOptions options;
  options.idle_min_ms = *idle;
  if (!ClaimOptionsParser(context, options).Parse()) return ExecStatus::kDone;
  StreamGroup& group = *target.group;
  bool changed = options.last_id > group.last_id;
  group.last_id = std::max(group.last_id, options.last_id);
  std::optional<PendingEffects> effects = EffectsOf(context);
  if (changed && effects) effects->RecordProgress(group);
  Claimer claimer(context, group, options);
  std::vector<StreamId> claimed;
  for (size_t i = 5; i < options.ids_end; ++i) {
    const StreamId id = ParseStreamId(context.arg(i), 0, StreamIdForm::kStrict)->id;
    if (!target.stream->Contains(id)) {
      const bool was_pending = group.Acknowledge(id);
      changed |= was_pending;
      if (was_pending && effects) effects->NoteGone(id);
    } else if (claimer.Claim(id, group.FindPending(id), effects)) {
      claimed.push_back(id);
    }
  }
  if (effects) effects->RecordPending();
  if (changed || !claimed.empty()) context.db().Modified(context.key());
  ReplyClaimed(context, *target.stream, claimed, options.only_ids);
  return ExecStatus::kDone;
}

ExecStatus CmdXautoclaim(CommandContext& context) {
  const std::optional<AutoclaimOptions> options = ParseAutoclaimOptions(context);
  if (!options) return ExecStatus::kDone;
  const Target target = FindTarget(context);
  if (target.group == nullptr) return ExecStatus::kDone;
  StreamGroup& group = *target.group;
  if (context.IsLong(std::min<uint64_t>(group.pending().size(),
                                        static_cast<uint64_t>(options->count) * kAttemptsPerEntry)))
    return context.RunLong();
  std::optional<PendingEffects> effects = EffectsOf(context);
  Claimer claimer(context, group, options->claim);
  auto left = static_cast<uint64_t>(options->count);
  uint64_t attempts = left * kAttemptsPerEntry;
  std::vector<StreamId> claimed;
  std::vector<StreamId> deleted;
  auto at = group.PendingFrom(options->from);
  BreathingSpaces<64> spaces;
  for (; attempts > 0 && left > 0 && at != group.PendingEnd(); --attempts) {
    spaces.Step();
    const StreamId id = at->first;
    if (!target.stream->Contains(id)) {
      at = group.Erase(at);
      deleted.push_back(id);
      if (effects) effects->NoteGone(id);
      --left;
      continue;
    }
    if (claimer.Claim(id, &at->second, effects)) {
      claimed.push_back(id);
      --left;
    }
    ++at;
  }
  if (effects) effects->RecordPending();
  if (!claimed.empty() || !deleted.empty()) context.db().Modified(context.key());
  ReplyWriter& reply = context.reply();
  reply.Array(3);
  ReplyStreamId(reply, at == group.PendingEnd() ? StreamId{} : at->first);
  ReplyClaimed(context, *target.stream, claimed, options->claim.only_ids);
  reply.Array(deleted.size());
  for (const StreamId& id : deleted) ReplyStreamId(reply, id);
  return ExecStatus::kDone;
}

}  // namespace tidegate
