// XLEN, XRANGE, XREVRANGE, and what all stream commands use to read arguments and write entries.
#include <algorithm>

#include "base/text.h"
#include "storage/commands/list_commands.h"
#include "storage/commands/stream_commands.h"

namespace tidegate {
namespace {

constexpr std::string_view kInvalidId =
    "ERR Invalid stream ID specified as stream command argument";

using Direction = StreamCursor::Direction;

// COUNT n from argument 4 on; nothing after the error was written. Without it: no limit, -1.
std::optional<int64_t> CountOption(CommandContext& context) {
  int64_t count = -1;
  for (size_t i = 4; i < context.argc(); i += 2) {
    if (i + 1 == context.argc() || !EqualsIgnoreCase(context.arg(i), "count")) {
      context.Fail(errors::kSyntax);
      return std::nullopt;
    }
    const std::optional<int64_t> value = context.IntegerArg(i + 1);
    if (!value) return std::nullopt;
    count = std::max<int64_t>(*value, 0);
  }
  return count;
}

ExecStatus Range(CommandContext& context, Direction direction) {
  const bool forward = direction == Direction::kForward;
  const std::optional<StreamId> first = RangeIdArg(context, forward ? 2 : 3, RangeEnd::kFirst);
  if (!first) return ExecStatus::kDone;
  const std::optional<StreamId> last = RangeIdArg(context, forward ? 3 : 2, RangeEnd::kLast);
  if (!last) return ExecStatus::kDone;
  const std::optional<int64_t> count = CountOption(context);
  if (!count) return ExecStatus::kDone;
  StreamValue* stream = nullptr;
  if (!FindStream(context, context.key(), false, &stream)) return ExecStatus::kDone;
  if (stream == nullptr) {
    context.reply().Array(0);
  } else if (*count == 0) {
    context.reply().NullArray();
  } else if (IsLongRange(context, *stream, *first, *last,
                         *count < 0 ? UINT64_MAX : static_cast<uint64_t>(*count))) {
    return context.RunLong();
  } else {
    ReplyStreamRange(context.reply(), *stream, *first, *last,
                     static_cast<uint64_t>(std::max<int64_t>(*count, 0)), direction);
  }
  return ExecStatus::kDone;
}

}  // namespace

bool FindStream(CommandContext& context, const KeyRef& key, bool for_write, StreamValue** out) {
  Entry* entry = nullptr;
  if (!context.FindValue(key, ValueType::kStream, for_write, &entry)) return false;
  *out = entry == nullptr ? nullptr : entry->object<StreamValue>();
  return true;
}

std::optional<StreamId> StreamIdArg(CommandContext& context, size_t i, uint64_t missing_seq,
                                    StreamIdForm form) {
  const std::optional<ParsedStreamId> parsed = ParseStreamId(context.arg(i), missing_seq, form);
  if (parsed) return parsed->id;
  context.Fail(kInvalidId);
  return std::nullopt;
}

std::optional<StreamId> RangeIdArg(CommandContext& context, size_t i, RangeEnd end) {
  std::string_view text = context.arg(i);
  const bool exclusive = text.size() > 1 && text.front() == '(';
  if (exclusive) text.remove_prefix(1);
  const bool first = end == RangeEnd::kFirst;
  const std::optional<ParsedStreamId> parsed = ParseStreamId(
      text, first ? 0 : UINT64_MAX, exclusive ? StreamIdForm::kStrict : StreamIdForm::kRange);
  if (!parsed) {
    context.Fail(kInvalidId);
    return std::nullopt;
  }
  if (!exclusive) return parsed->id;
  const std::optional<StreamId> inside = first ? parsed->id.Next() : parsed->id.Previous();
  if (!inside) {
    context.Fail(first ? "ERR invalid start ID for the interval"
                       : "ERR invalid end ID for the interval");
  }
  return inside;
}

bool IsLongRange(const CommandContext& context, const StreamValue& stream, StreamId first,
                 StreamId last, uint64_t count) {
  return context.IsLong(std::min(stream.length(), count)) &&
         context.IsLong(stream.CountBetweenMax(first, last));
}

void ReplyStreamId(ReplyWriter& reply, const StreamId& id) {
  char text[kStreamIdTextBytesMax];
  reply.Bulk(FormatStreamId(id, text));
}

void ReplyStreamEntry(ReplyWriter& reply, const StreamEntry& entry) {
  reply.Array(2);
  ReplyStreamId(reply, entry.id);
  reply.Array(2 * entry.field_count);
  entry.ForEachField([&reply](const ListpackValue& field, const ListpackValue& value) {
    ReplyElement(reply, field);
    ReplyElement(reply, value);
  });
}

// The length of an array stands in front of it, so entries are counted first, unless it is known
// that all are asked for.
size_t ReplyStreamRange(ReplyWriter& reply, const StreamValue& stream, StreamId first,
                        StreamId last, uint64_t count, Direction direction) {
  const uint64_t max = count == 0 ? UINT64_MAX : count;
  uint64_t found = 0;
  if (first <= stream.first_id() && last >= stream.last_id()) {
    found = std::min(stream.length(), max);
  } else {
    StreamCursor counting(stream, first, last, direction);
    while (found < max && counting.Next()) ++found;
  }
  reply.Array(found);
  StreamCursor cursor(stream, first, last, direction);
  for (uint64_t i = 0; i < found; ++i) {
    const std::optional<StreamEntry> entry = cursor.Next();
    if (entry) ReplyStreamEntry(reply, *entry);
  }
  return found;
}

ExecStatus CmdXlen(CommandContext& context) {
  StreamValue* stream = nullptr;
  if (!FindStream(context, context.key(), false, &stream)) return ExecStatus::kDone;
  context.reply().Integer(stream == nullptr ? 0 : static_cast<int64_t>(stream->length()));
  return ExecStatus::kDone;
}

ExecStatus CmdXrange(CommandContext& context) { return Range(context, Direction::kForward); }

ExecStatus CmdXrevrange(CommandContext& context) { return Range(context, Direction::kBackward); }

}  // namespace tidegate
