#include "storage/rdb/rdb_value_writer.h"

#include <algorithm>
#include <limits>

#include "base/bytes.h"
#include "base/check.h"
#include "storage/breathe.h"
#include "storage/keyspace/entry_buffer.h"
#include "storage/rdb/crc64.h"
#include "storage/rdb/rdb_format.h"
#include "storage/rdb/rdb_stream.h"
#include "storage/value/bloom_filter.h"
#include "storage/value/hash_value.h"
#include "storage/value/paged_list.h"
#include "storage/value/set_view.h"
#include "storage/value/sorted_set_value.h"
#include "storage/value/string_value.h"
#include "storage/value/value_object.h"

namespace tidegate::rdb {
namespace {

// Where a value goes: behind its type byte comes the key, where there is one.
struct Output {
  RdbWriter& to;
  const Entry* key_of;  // null: no key

  RdbWriter& Begin(Type type) const {
    to.Byte(static_cast<uint8_t>(type));
    if (key_of != nullptr) to.String(key_of->key());
    return to;
  }
};

void WriteElement(const ListpackValue& value, RdbWriter& out) {
  if (value.is_integer()) {
    out.Integer(value.integer());
  } else {
    out.String(value.text());
  }
}

// Compressing cannot stop in between: a millisecond for each MiB. Larger strings are written as
// they are, piece by piece.
constexpr Bytes kCompressedStringBytesMax = 4_MiB;

void WriteString(const Entry& entry, const Output& output) {
  std::string scratch;
  RdbWriter& out = output.Begin(Type::kString);
  if (StringLength(entry) > kCompressedStringBytesMax.count) {
    out.Length(StringLength(entry));
    return VisitStringRange(entry, 0, StringLength(entry),
                            [&out](size_t, std::string_view piece) { out.Raw(piece); });
  }
  out.String(StringContents(entry, scratch));
}

void WriteList(const Entry& entry, const Output& output) {
  RdbWriter& out = output.Begin(Type::kListQuicklist2);
  const auto page = [&out](std::string_view listpack) {
    out.Length(kContainerPacked);
    out.String(listpack);
  };
  if (entry.encoding() != Encoding::kPagedList) {
    out.Length(1);
    return page(PackedBytes(entry));
  }
  const auto& list = *entry.object<PagedList>();
  out.Length(list.page_count());
  list.ForEachPage(page);
}

void WriteSet(const Entry& entry, const Output& output) {
  const SetView set(entry);
  if (set.form() == SetForm::kIntset)
    return output.Begin(Type::kSetIntset).String(PackedBytes(entry));
  RdbWriter& out = output.Begin(Type::kSet);
  out.Length(set.size());
  set.ForEach([&out](const ListpackValue& member) { WriteElement(member, out); });
}

void WriteSortedSet(const Entry& entry, const Output& output) {
  if (entry.encoding() != Encoding::kSortedSet)
    return output.Begin(Type::kSortedSetListpack).String(PackedBytes(entry));
  const SortedSetView set(entry);
  RdbWriter& out = output.Begin(Type::kSortedSet2);
  out.Length(set.size());
  // From the end, as Redis does: its skiplist grows fastest at the head.
  set.ForEach({0, set.size()}, true, [&out](std::string_view member, double score) {
    out.String(member);
    out.Double(score);
  });
}

void WriteHashValue(const HashItem& item, RdbWriter& out) {
  if (item.chunks == nullptr) return WriteElement(item.value, out);
  std::string value;
  value.reserve(item.chunks->size());
  item.chunks->Visit(0, item.chunks->size(),
                     [&value](size_t, std::string_view piece) { value.append(piece); });
  out.String(value);
}

uint16_t WriteHash(const Entry& entry, const ValueForm& form, const Output& output) {
  if (entry.encoding() != Encoding::kFieldTable) {
    output.Begin(Type::kHashListpack).String(PackedBytes(entry));
    return kVersion;
  }
  const HashView hash(entry, form.now_ms);
  int64_t earliest_ms = std::numeric_limits<int64_t>::max();
  bool expires = false;
  hash.ForEach([&](const HashItem& item) {
    if (item.expire_at_ms == kNoExpire || !form.field_times) return;
    expires = true;
    earliest_ms = std::min(earliest_ms, item.expire_at_ms);
  });
  RdbWriter& out = output.Begin(expires ? Type::kHashMetadata : Type::kHash);
  if (expires) out.Fixed64(static_cast<uint64_t>(earliest_ms));
  out.Length(hash.size());
  hash.ForEach([&](const HashItem& item) {
    // A time is what it is later than the earliest, and one; 0 is none.
    if (expires) {
      const bool none = item.expire_at_ms == kNoExpire;
      out.Length(none ? 0 : static_cast<uint64_t>(item.expire_at_ms - earliest_ms) + 1);
    }
    WriteElement(item.field, out);
    WriteHashValue(item, out);
  });
  return expires ? kVersionOfFieldExpiry : kVersion;
}

// The header, then the bits in stretches with where they belong; stretches without a bit are left
// out.
void WriteBloom(const BloomFilter& filter, const Output& output) {
  RdbWriter& out = output.Begin(Type::kModule2);
  out.Length(kBloomModuleId);
  out.Length(kModuleString);
  out.String(filter.DumpHeader());
  std::string bits;
  BloomFilter::Stretch stretch;
  for (uint64_t offset = 0; (stretch = filter.StretchAt(offset)).bits != nullptr;
       offset += stretch.size) {
    Breathe();
    bits.clear();
    stretch.bits->Visit(stretch.offset, stretch.size,
                        [&bits](size_t, std::string_view piece) { bits.append(piece); });
    if (bits.find_first_not_of('\0') == std::string::npos) continue;
    out.Length(kModuleUnsigned);
    out.Length(offset);
    out.Length(kModuleString);
    out.String(bits);
  }
  out.Length(kModuleEnd);
}

uint16_t WriteTo(const Entry& entry, const ValueForm& form, const Output& output) {
  switch (entry.type()) {
    case ValueType::kString:
      WriteString(entry, output);
      return kVersion;
    case ValueType::kList:
      WriteList(entry, output);
      return kVersion;
    case ValueType::kSet:
      WriteSet(entry, output);
      return kVersion;
    case ValueType::kSortedSet:
      WriteSortedSet(entry, output);
      return kVersion;
    case ValueType::kHash:
      return WriteHash(entry, form, output);
    case ValueType::kStream:
      WriteStream(*entry.object<StreamValue>(), output.Begin(Type::kStreamListpacks2));
      return kVersion;
    case ValueType::kBloom:
      WriteBloom(*entry.object<BloomFilter>(), output);
      return kVersion;
  }
  CheckFailed(__FILE__, __LINE__, "no such type");
}

}  // namespace

uint16_t WriteValue(const Entry& entry, const ValueForm& form, RdbWriter& out) {
  return WriteTo(entry, form, {out, nullptr});
}

void WriteKeyAndValue(const Entry& entry, const ValueForm& form, RdbWriter& out) {
  WriteTo(entry, form, {out, &entry});
}

std::string DumpPayload(const Entry& entry, const ValueForm& form) {
  std::string payload;
  // Enough nearly always: to move a large payload to a larger place takes long.
  if (!entry.embedded()) payload.reserve(ValueBytes(ValueObject::Of(entry)));
  RdbWriter out(payload);
  const uint16_t version = WriteValue(entry, form, out);
  out.Fixed16(version);
  out.Fixed64(Crc64InPieces(payload));
  return payload;
}

}  // namespace tidegate::rdb
