#include "storage/aof/command_writer.h"

#include <algorithm>
#include <string>

#include "base/check.h"
#include "storage/aof/stream_commands.h"
#include "storage/rdb/rdb_value_writer.h"
#include "storage/value/field_table.h"
#include "storage/value/hash_value.h"
#include "storage/value/list_value.h"
#include "storage/value/paged_list.h"
#include "storage/value/set_view.h"
#include "storage/value/sorted_set_value.h"
#include "storage/value/string_value.h"

namespace tidegate {
namespace {

// As Redis.
constexpr uint64_t kElementsPerCommand = 64;

// Begins a command with a name, a key, and as many of `left` elements as one takes.
class Batches final {
 public:
  Batches(RespWriter& out, std::string_view command, std::string_view key, uint64_t elements,
          size_t args_each)
      : out_(out), command_(command), key_(key), left_(elements), args_each_(args_each) {}

  // In front of each element.
  void Next() {
    if (in_this_ == 0) {
      in_this_ = std::min(left_, kElementsPerCommand);
      left_ -= in_this_;
      out_.Command(2 + in_this_ * args_each_);
      out_.Arg(command_);
      out_.Arg(key_);
    }
    --in_this_;
  }

 private:
  RespWriter& out_;
  const std::string_view command_;
  const std::string_view key_;
  uint64_t left_;
  const size_t args_each_;
  uint64_t in_this_ = 0;
};

void WriteSelect(int db, RespWriter& out) { out.Words({"SELECT", ToText(db)}); }

bool FieldsExpire(const Entry& entry) {
  return entry.type() == ValueType::kHash && entry.encoding() == Encoding::kFieldTable &&
         entry.object<FieldTable>()->expires() > 0;
}

// Whether it is left out: Redis cannot hold it, or no field of it lives any more.
bool LeavesOut(const Entry& entry, int64_t now_ms, bool for_redis, SaveReport& report) {
  if (entry.type() == ValueType::kBloom && for_redis) {
    ++report.filters_left_out;
    return true;
  }
  if (!FieldsExpire(entry)) return false;
  if (HashView(entry, now_ms).size() == 0) return true;
  if (for_redis) ++report.hashes_without_times;
  return false;
}

}  // namespace

void CommandWriter::OnDatabase(int db, uint64_t /*keys*/, uint64_t /*expiring*/) {
  WriteSelect(db, out_);
}

void CommandWriter::OnEntry(const Entry& entry) {
  if (failed() || LeavesOut(entry, now_ms_, for_redis_, report_)) return;
  WriteValue(entry);
  if (entry.has_expire()) {
    out_.Command(3);
    out_.Arg("PEXPIREAT");
    out_.Arg(entry.key());
    out_.Arg(entry.expire_at_ms());
  }
  ++report_.keys;
}

Status CommandWriter::Finish() {
  out_.Flush();
  return out_.status();
}

void CommandWriter::WriteValue(const Entry& entry) {
  switch (entry.type()) {
    case ValueType::kString:
      return WriteString(entry);
    case ValueType::kList:
      return WriteList(entry);
    case ValueType::kSet:
      return WriteSet(entry);
    case ValueType::kSortedSet:
      return WriteSortedSet(entry);
    case ValueType::kHash:
      WriteHash(entry);
      return WriteFieldTimes(entry);
    case ValueType::kStream:
      return WriteStreamCommands(entry.key(), *entry.object<StreamValue>(), out_);
    case ValueType::kBloom:
      return WriteBloom(entry);
  }
  CheckFailed(__FILE__, __LINE__, "no such type");
}

void CommandWriter::WriteString(const Entry& entry) {
  out_.Command(3);
  out_.Arg("SET");
  out_.Arg(entry.key());
  out_.BeginArg(StringLength(entry));
  VisitStringRange(entry, 0, StringLength(entry),
                   [this](size_t, std::string_view piece) { out_.Part(piece); });
  out_.EndArg();
}

void CommandWriter::WriteList(const Entry& entry) {
  const auto write = [this](Batches& batches, ListpackView list) {
    for (size_t at = list.First(); at != list.End(); at = list.Next(at)) {
      batches.Next();
      out_.Arg(list.Get(at));
    }
  };
  if (entry.encoding() != Encoding::kPagedList) {
    const ListpackView list(PackedBytes(entry));
    Batches batches(out_, "RPUSH", entry.key(), list.count(), 1);
    return write(batches, list);
  }
  const auto& pages = *entry.object<PagedList>();
  Batches batches(out_, "RPUSH", entry.key(), pages.size(), 1);
  pages.ForEachPage([&](std::string_view page) { write(batches, ListpackView(page)); });
}

void CommandWriter::WriteSet(const Entry& entry) {
  const SetView set(entry);
  Batches batches(out_, "SADD", entry.key(), set.size(), 1);
  set.ForEach([&](const ListpackValue& member) {
    batches.Next();
    out_.Arg(member);
  });
}

void CommandWriter::WriteSortedSet(const Entry& entry) {
  const SortedSetView set(entry);
  Batches batches(out_, "ZADD", entry.key(), set.size(), 2);
  set.ForEach([&](std::string_view member, double score) {
    char text[kDoubleTextBytesMax];
    batches.Next();
    out_.Arg(std::string_view(text, FormatDouble(score, text)));
    out_.Arg(member);
  });
}

void CommandWriter::WriteHash(const Entry& entry) {
  const HashView hash(entry, now_ms_);
  Batches batches(out_, "HMSET", entry.key(), hash.size(), 2);
  std::string scratch;
  hash.ForEach([&](const HashItem& item) {
    batches.Next();
    out_.Arg(item.field);
    if (item.chunks == nullptr) return out_.Arg(item.value);
    out_.Arg(HashValueText(item, scratch));
  });
}

void CommandWriter::WriteFieldTimes(const Entry& entry) {
  if (for_redis_ || !FieldsExpire(entry)) return;
  HashView(entry, now_ms_).ForEach([&](const HashItem& item) {
    if (item.expire_at_ms == kNoExpire) return;
    constexpr size_t kWords = 6;
    out_.Command(kWords);
    out_.Arg("HPEXPIREAT");
    out_.Arg(entry.key());
    out_.Arg(item.expire_at_ms);
    out_.Arg("FIELDS");
    out_.Arg("1");
    out_.Arg(item.field);
  });
}

void CommandWriter::WriteBloom(const Entry& entry) {
  out_.Words({"RESTORE", entry.key(), "0", rdb::DumpPayload(entry, now_ms_)});
}

void RestoreWriter::OnDatabase(int db, uint64_t /*keys*/, uint64_t /*expiring*/) {
  WriteSelect(db, out_);
}

void RestoreWriter::OnEntry(const Entry& entry) {
  if (failed() || LeavesOut(entry, now_ms_, for_redis_, report_)) return;
  const int64_t expire_at_ms = entry.has_expire() ? entry.expire_at_ms() : 0;
  const rdb::ValueForm form = {.now_ms = now_ms_, .field_times = !for_redis_};
  out_.Words({"RESTORE", entry.key(), ToText(expire_at_ms), rdb::DumpPayload(entry, form),
              "REPLACE", "ABSTTL"});
  ++report_.keys;
}

Status RestoreWriter::Finish() {
  out_.Flush();
  return out_.status();
}

}  // namespace tidegate
