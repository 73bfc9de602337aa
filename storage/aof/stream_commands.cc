#include "storage/aof/stream_commands.h"

#include <optional>
#include <string>

namespace tidegate {
namespace {

void ArgId(const StreamId& id, RespWriter& out) {
  char text[kStreamIdTextBytesMax];
  out.Arg(FormatStreamId(id, text));
}

// "x" in the place of an entry that goes at once: a stream without entries begins so.
void WriteEmptyStream(std::string_view key, RespWriter& out) {
  out.Words({"XADD", key, "MAXLEN", "0", "0-1", "x", "y"});
}

void WriteEntries(std::string_view key, const StreamValue& stream, RespWriter& out) {
  StreamCursor cursor(stream, {}, StreamId::Max());
  while (const std::optional<StreamEntry> entry = cursor.Next()) {
    constexpr size_t kWords = 3;
    out.Command(kWords + 2 * entry->field_count);
    out.Arg("XADD");
    out.Arg(key);
    ArgId(entry->id, out);
    entry->ForEachField([&out](const ListpackValue& field, const ListpackValue& value) {
      out.Arg(field);
      out.Arg(value);
    });
  }
}

void WriteFigures(std::string_view key, const StreamValue& stream, RespWriter& out) {
  constexpr size_t kWords = 7;
  out.Command(kWords);
  out.Arg("XSETID");
  out.Arg(key);
  ArgId(stream.last_id(), out);
  out.Arg("ENTRIESADDED");
  out.Arg(static_cast<int64_t>(stream.entries_added()));
  out.Arg("MAXDELETEDID");
  ArgId(stream.max_deleted_id(), out);
}

void WritePending(std::string_view key, std::string_view group_name, const StreamGroup& group,
                  const StreamConsumer& consumer, StreamId id, RespWriter& out) {
  constexpr size_t kWords = 12;
  const StreamPending& pending = group.pending().find(id)->second;
  out.Command(kWords);
  for (const std::string_view word : {std::string_view("XCLAIM"), key, group_name, consumer.name})
    out.Arg(word);
  out.Arg("0");
  ArgId(id, out);
  out.Arg("TIME");
  out.Arg(pending.delivered_ms);
  out.Arg("RETRYCOUNT");
  out.Arg(static_cast<int64_t>(pending.deliveries));
  out.Arg("JUSTID");
  out.Arg("FORCE");
}

void WriteGroup(std::string_view key, std::string_view name, const StreamGroup& group,
                RespWriter& out) {
  constexpr size_t kWords = 7;
  out.Command(kWords);
  out.Arg("XGROUP");
  out.Arg("CREATE");
  out.Arg(key);
  out.Arg(name);
  ArgId(group.last_id, out);
  out.Arg("ENTRIESREAD");
  out.Arg(group.entries_read);
  for (const auto& [consumer_name, consumer] : group.consumers()) {
    if (consumer.pending.empty()) out.Words({"XGROUP", "CREATECONSUMER", key, name, consumer_name});
    for (const StreamId id : consumer.pending) WritePending(key, name, group, consumer, id, out);
  }
}

}  // namespace

void WriteStreamCommands(std::string_view key, const StreamValue& stream, RespWriter& out) {
  if (stream.length() == 0) {
    WriteEmptyStream(key, out);
  } else {
    WriteEntries(key, stream, out);
  }
  WriteFigures(key, stream, out);
  for (const auto& [name, group] : stream.groups()) WriteGroup(key, name, group, out);
}

}  // namespace tidegate
