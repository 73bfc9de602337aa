#include "storage/rdb/rdb_stream.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/breathe.h"
#include "storage/value/listpack_view.h"

namespace tidegate::rdb {
namespace {

void WriteId(StreamId id, RdbWriter& out) {
  out.Length(id.ms);
  out.Length(id.seq);
}

void WriteRawId(StreamId id, RdbWriter& out) {
  out.BigEndian64(id.ms);
  out.BigEndian64(id.seq);
}

void WriteGroup(const std::string& name, const StreamGroup& group, RdbWriter& out) {
  out.String(name);
  WriteId(group.last_id, out);
  out.Length(static_cast<uint64_t>(group.entries_read));  // unknown: all ones
  out.Length(group.pending().size());
  BreathingSpaces<64> spaces;
  for (const auto& [id, pending] : group.pending()) {
    spaces.Step();
    WriteRawId(id, out);
    out.Fixed64(static_cast<uint64_t>(pending.delivered_ms));
    out.Length(pending.deliveries);
  }
  out.Length(group.consumers().size());
  for (const auto& [consumer_name, consumer] : group.consumers()) {
    out.String(consumer_name);
    out.Fixed64(static_cast<uint64_t>(consumer.seen_ms));
    out.Length(consumer.pending.size());
    for (const StreamId id : consumer.pending) {
      spaces.Step();
      WriteRawId(id, out);
    }
  }
}

StreamId ReadId(RdbReader& in) {
  const uint64_t ms = in.Length();
  return {ms, in.Length()};
}

StreamId ReadRawId(RdbReader& in) {
  const uint64_t ms = in.BigEndian64();
  return {ms, in.BigEndian64()};
}

// The elements of a page one after the other; the first that is not what it must be ends all.
class Elements final {
 public:
  explicit Elements(ListpackView page) : page_(page), at_(page.First()) {}

  bool at_end() const { return at_ == page_.End(); }
  std::optional<ListpackValue> Next() {
    if (at_end()) return std::nullopt;
    const ListpackValue value = page_.Get(at_);
    at_ = page_.Next(at_);
    return value;
  }
  std::optional<int64_t> Integer() {
    const std::optional<ListpackValue> value = Next();
    if (!value || !value->is_integer()) return std::nullopt;
    return value->integer();
  }
  // Appends `n` elements as text; false when they are not there.
  bool Texts(uint64_t n, std::vector<std::string>& out) {
    char digits[kListpackDigitsBytes];
    for (; n > 0; --n) {
      const std::optional<ListpackValue> value = Next();
      if (!value) return false;
      out.emplace_back(value->Render(digits));
    }
    return true;
  }

 private:
  ListpackView page_;
  size_t at_;
};

// Puts the live entries of one page behind those that are there.
class PageReader final {
 public:
  PageReader(StreamValue& stream, StreamId id, const StreamValue::Limits& limits)
      : stream_(stream), id_(id), limits_(limits) {}

  bool Read(std::string_view bytes) {
    if (!ListpackView::Validate(bytes, /*deep=*/true)) return false;
    Elements elements((ListpackView(bytes)));
    const auto count = elements.Integer();
    const auto deleted = elements.Integer();
    const auto field_count = elements.Integer();
    if (!count || !deleted || !field_count || *field_count < 0) return false;
    if (!elements.Texts(static_cast<uint64_t>(*field_count), fields_)) return false;
    if (elements.Integer() != 0) return false;
    while (!elements.at_end()) {
      if (!ReadEntry(elements)) return false;
    }
    return true;
  }

 private:
  bool ReadEntry(Elements& elements) {
    const auto flags = elements.Integer();
    const auto ms = elements.Integer();
    const auto seq = elements.Integer();
    if (!flags || !ms || !seq) return false;
    const bool same_fields = (*flags & StreamEntryFlags::kSameFields) != 0;
    std::vector<std::string> texts;
    if (same_fields) {
      if (!elements.Texts(fields_.size(), texts)) return false;
    } else {
      const auto pairs = elements.Integer();
      if (!pairs || *pairs < 0) return false;
      if (!elements.Texts(static_cast<uint64_t>(*pairs), texts) ||
          !elements.Texts(static_cast<uint64_t>(*pairs), texts)) {
        return false;
      }
    }
    if (!elements.Integer()) return false;  // pieces
    if ((*flags & StreamEntryFlags::kDeleted) != 0) return true;
    const StreamId id = {id_.ms + static_cast<uint64_t>(*ms),
                         id_.seq + static_cast<uint64_t>(*seq)};
    if (id <= stream_.last_id()) return false;
    return Append(id, texts, same_fields);
  }

  bool Append(StreamId id, const std::vector<std::string>& texts, bool same_fields) {
    std::vector<std::string_view> pairs;
    for (size_t i = 0; i < texts.size(); ++i) {
      if (same_fields) pairs.emplace_back(fields_[i]);
      pairs.emplace_back(texts[i]);
    }
    if (pairs.empty()) return false;
    stream_.Append(id, pairs, limits_);
    return true;
  }

  StreamValue& stream_;
  const StreamId id_;
  const StreamValue::Limits& limits_;
  std::vector<std::string> fields_;
};

bool ReadPages(RdbReader& in, StreamValue& stream, const StreamValue::Limits& limits) {
  constexpr size_t kIdBytes = 16;
  std::string id_scratch;
  std::string page_scratch;
  for (uint64_t left = in.Length(); left > 0; --left) {
    const std::string_view id_bytes = in.String(id_scratch);
    const std::string_view page = in.String(page_scratch);
    if (!in.ok() || id_bytes.size() != kIdBytes) return false;
    RdbReader id_reader(id_bytes);
    if (!PageReader(stream, ReadRawId(id_reader), limits).Read(page)) return false;
  }
  return in.ok();
}

// What the stream knows about itself.
bool ReadFigures(Type type, RdbReader& in, StreamValue& stream) {
  if (in.Length() != stream.length()) return false;
  const StreamId last_id = ReadId(in);
  if (!in.ok() || last_id < stream.last_id()) return false;
  stream.SetLastId(last_id);
  if (type == Type::kStreamListpacks) {
    stream.SetEntriesAdded(stream.length());
    return true;
  }
  (void)ReadId(in);  // the first entry: it is known
  const StreamId max_deleted_id = ReadId(in);
  const uint64_t entries_added = in.Length();
  if (!in.ok()) return false;
  stream.SetMaxDeletedId(max_deleted_id);
  stream.SetEntriesAdded(entries_added);
  return true;
}

struct Delivery {
  int64_t at_ms;
  uint64_t count;
};

// Each pending entry of the group must be of exactly one consumer.
bool ReadConsumers(Type type, RdbReader& in, StreamGroup& group,
                   std::map<StreamId, Delivery>& unassigned) {
  std::string scratch;
  BreathingSpaces<64> spaces;
  for (uint64_t left = in.Length(); left > 0; --left) {
    const std::string_view name = in.String(scratch);
    const auto seen_ms = static_cast<int64_t>(in.Fixed64());
    // Before that form nobody knew when a consumer last got something. As Redis.
    const auto active_ms =
        type == Type::kStreamListpacks3 ? static_cast<int64_t>(in.Fixed64()) : seen_ms;
    if (!in.ok() || group.FindConsumer(name) != nullptr) return false;
    StreamConsumer& consumer = group.AddConsumer(name, seen_ms);
    consumer.active_ms = active_ms;
    for (uint64_t pending = in.Length(); pending > 0; --pending) {
      spaces.Step();
      const StreamId id = ReadRawId(in);
      const auto found = unassigned.find(id);
      if (!in.ok() || found == unassigned.end()) return false;
      StreamPending& entry = group.Assign(id, consumer, found->second.at_ms);
      entry.deliveries = found->second.count;
      unassigned.erase(found);
    }
  }
  return in.ok() && unassigned.empty();
}

bool ReadGroups(Type type, RdbReader& in, StreamValue& stream) {
  std::string scratch;
  BreathingSpaces<64> spaces;
  for (uint64_t left = in.Length(); left > 0; --left) {
    const std::string name(in.String(scratch));
    const StreamId last_id = ReadId(in);
    const int64_t entries_read = type == Type::kStreamListpacks ? stream.CountUpTo(last_id)
                                                                : static_cast<int64_t>(in.Length());
    if (!in.ok() || stream.FindGroup(name) != nullptr) return false;
    const auto made = stream.groups().emplace(std::piecewise_construct, std::forward_as_tuple(name),
                                              std::forward_as_tuple(last_id, entries_read));
    std::map<StreamId, Delivery> unassigned;
    for (uint64_t pending = in.Length(); pending > 0; --pending) {
      spaces.Step();
      const StreamId id = ReadRawId(in);
      const auto at_ms = static_cast<int64_t>(in.Fixed64());
      const uint64_t count = in.Length();
      if (!in.ok() || !unassigned.emplace(id, Delivery{at_ms, count}).second) return false;
    }
    if (!ReadConsumers(type, in, made.first->second, unassigned)) return false;
  }
  return in.ok();
}

}  // namespace

void WriteStream(const StreamValue& stream, RdbWriter& out) {
  out.Length(stream.page_count());
  stream.ForEachPage([&out](StreamId id, std::string_view listpack) {
    constexpr uint64_t kIdBytes = 16;
    out.Length(kIdBytes);
    WriteRawId(id, out);
    out.String(listpack);
  });
  out.Length(stream.length());
  WriteId(stream.last_id(), out);
  WriteId(stream.first_id(), out);
  WriteId(stream.max_deleted_id(), out);
  out.Length(stream.entries_added());
  out.Length(stream.groups().size());
  for (const auto& [name, group] : stream.groups()) WriteGroup(name, group, out);
}

StreamValue* ReadStream(Type type, RdbReader& in, const StreamValue::Limits& limits,
                        uint32_t epoch) {
  struct Destroyer {
    void operator()(StreamValue* stream) const { StreamValue::Destroy(stream); }
  };
  std::unique_ptr<StreamValue, Destroyer> stream(StreamValue::Create(epoch));
  const bool sound = ReadPages(in, *stream, limits) && ReadFigures(type, in, *stream) &&
                     ReadGroups(type, in, *stream);
  return sound ? stream.release() : nullptr;
}

}  // namespace tidegate::rdb
