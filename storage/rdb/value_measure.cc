#include "storage/rdb/value_measure.h"

#include <algorithm>
#include <limits>
#include <string>

#include "base/text.h"
#include "storage/rdb/packed_elements.h"
#include "storage/rdb/rdb_stream.h"
#include "storage/rdb/redis_memory.h"
#include "storage/value/bloom_filter.h"
#include "storage/value/intset.h"
#include "storage/value/radix_nodes.h"
#include "storage/value/stream.h"

namespace tidegate::rdb {
namespace {

namespace memory = redis_memory;
using enum ValueOutcome;

// Adds up elements: how many, the largest, and what Redis takes for each as a string of its own.
class Elements final {
 public:
  void Add(std::string_view text) {
    strings_ += memory::Sds(text.size());
    Count(text.size());
  }
  void AddPair(size_t field_bytes, size_t value_bytes) {
    strings_ += memory::Sds(field_bytes) + memory::Sds(value_bytes);
    Count(field_bytes + value_bytes);
  }
  // One that is held in no string of its own.
  void Count(size_t bytes) {
    ++sizes_.count;
    sizes_.largest_bytes = std::max<uint64_t>(sizes_.largest_bytes, bytes);
  }

  const ElementSizes& sizes() const { return sizes_; }
  uint64_t count() const { return sizes_.count; }
  uint64_t strings() const { return strings_; }

 private:
  ElementSizes sizes_;
  uint64_t strings_ = 0;
};

ValueOutcome Measured(ValueMeasure& measure, const Elements& elements, std::string_view encoding,
                      uint64_t bytes) {
  measure.elements = elements.sizes();
  measure.encoding = encoding;
  measure.bytes = bytes;
  return elements.count() == 0 ? kEmpty : kRead;
}

uint64_t TableBytes(const Elements& elements) {
  return memory::kObject + memory::Dict(elements.count()) + memory::kDictEntry * elements.count() +
         elements.strings();
}

ValueOutcome MeasureString(RdbReader& in, ValueMeasure& measure) {
  std::string scratch;
  const std::string_view text = in.BorrowString(scratch);
  if (!in.ok()) return kBroken;
  measure.elements = {.count = 1, .largest_bytes = text.size()};
  if (text.size() > memory::kEmbstrBytesMax) {
    measure.encoding = "raw";
    measure.bytes = memory::kObject + memory::Sds(text.size());
  } else if (text.size() <= kInt64TextBytesMax && ParseInt64(text)) {
    measure.encoding = "int";
    measure.bytes = memory::kObject;
  } else {
    constexpr size_t kShortHeader = 3;
    measure.encoding = "embstr";
    measure.bytes = memory::Allocated(memory::kObject + kShortHeader + text.size() + 1);
  }
  return kRead;
}

// One node of a quicklist.
bool MeasureListNode(RdbReader& in, bool ziplist, Elements& elements, uint64_t& bytes) {
  std::string scratch;
  const std::string_view packed = in.BorrowString(scratch);
  bytes += memory::kQuicklistNode + memory::Allocated(packed.size());
  return in.ok() && ForEachInPacked(packed, ziplist, [&elements](std::string_view element) {
           elements.Count(element.size());
           return true;
         });
}

// A list of the file as one of plain elements: those of old servers, which Redis packs as it loads.
bool MeasurePlainList(RdbReader& in, Elements& elements, uint64_t& bytes) {
  constexpr uint64_t kNodeBytes = 8192;  // list-max-listpack-size -2
  uint64_t packed = 0;
  const bool sound = ForEachPlain(in, in.Length(), [&](std::string_view element) {
    elements.Count(element.size());
    packed += element.size() + 2;  // with its size on both ends
    return true;
  });
  bytes += packed + (packed / kNodeBytes + 1) * memory::kQuicklistNode;
  return sound;
}

bool MeasureNodes(Type type, RdbReader& in, Elements& elements, uint64_t& bytes) {
  for (uint64_t left = in.Length(); left > 0 && in.ok(); --left) {
    const bool packed = type == Type::kListQuicklist || in.Length() == kContainerPacked;
    if (packed) {
      if (!MeasureListNode(in, type == Type::kListQuicklist, elements, bytes)) return false;
      continue;
    }
    std::string scratch;
    const std::string_view plain = in.BorrowString(scratch);
    elements.Count(plain.size());
    bytes += memory::kQuicklistNode + memory::Allocated(plain.size());
  }
  return in.ok();
}

ValueOutcome MeasureList(Type type, RdbReader& in, ValueMeasure& measure) {
  Elements elements;
  uint64_t bytes = memory::kObject + memory::kQuicklist;
  bool sound = false;
  if (type == Type::kList) {
    sound = MeasurePlainList(in, elements, bytes);
  } else if (type == Type::kListZiplist) {
    sound = MeasureListNode(in, true, elements, bytes);
  } else {
    sound = MeasureNodes(type, in, elements, bytes);
  }
  if (!sound) return kBroken;
  return Measured(measure, elements, "quicklist", bytes);
}

// A collection in one string. `per_element`: strings for each, 2 of pairs.
ValueOutcome MeasurePacked(RdbReader& in, bool ziplist, int per_element, ValueMeasure& measure) {
  std::string scratch;
  const std::string_view packed = in.BorrowString(scratch);
  Elements elements;
  size_t strings = 0;
  size_t first_bytes = 0;
  const bool pairs = per_element > 1;
  const bool sound = in.ok() && ForEachInPacked(packed, ziplist, [&](std::string_view text) {
                       const bool second = pairs && strings++ % 2 == 1;
                       if (pairs && !second) {
                         first_bytes = text.size();
                         return true;
                       }
                       // Scores are no part of members.
                       const bool counts = measure.type == ValueType::kHash || !pairs;
                       elements.Count(first_bytes + (counts ? text.size() : 0));
                       return true;
                     });
  if (!sound || strings % 2 != 0) return kBroken;
  return Measured(measure, elements, "listpack",
                  memory::kObject + memory::Allocated(packed.size()));
}

ValueOutcome MeasureIntset(RdbReader& in, ValueMeasure& measure) {
  std::string scratch;
  const std::string_view bytes = in.BorrowString(scratch);
  if (!in.ok() || !IntsetView::Validate(bytes)) return kBroken;
  const IntsetView integers(bytes);
  Elements elements;
  char digits[kInt64TextBytesMax];
  for (size_t i = 0; i < integers.count(); ++i) elements.Count(FormatInt64(integers.At(i), digits));
  return Measured(measure, elements, "intset", memory::kObject + memory::Allocated(bytes.size()));
}

ValueOutcome MeasureSet(Type type, RdbReader& in, ValueMeasure& measure) {
  if (type == Type::kSetIntset) return MeasureIntset(in, measure);
  if (type == Type::kSetListpack) return MeasurePacked(in, false, 1, measure);
  Elements elements;
  const bool sound = ForEachPlain(in, in.Length(), [&elements](std::string_view member) {
    elements.Add(member);
    return true;
  });
  if (!sound) return kBroken;
  return Measured(measure, elements, "hashtable", TableBytes(elements));
}

ValueOutcome MeasureSortedSet(Type type, RdbReader& in, ValueMeasure& measure) {
  const bool ziplist = type == Type::kSortedSetZiplist;
  if (ziplist || type == Type::kSortedSetListpack) return MeasurePacked(in, ziplist, 2, measure);
  Elements elements;
  std::string scratch;
  for (uint64_t left = in.Length(); left > 0 && in.ok(); --left) {
    elements.Add(in.BorrowString(scratch));
    (void)(type == Type::kSortedSet ? in.TextDouble() : in.Double());
  }
  if (!in.ok()) return kBroken;
  return Measured(measure, elements, "skiplist",
                  TableBytes(elements) + memory::kSortedSet + memory::kSkiplist +
                      memory::kSkiplistHeader + memory::kSkiplistNode * elements.count());
}

// With the times of fields: what is later than the earliest one, and one; 0 is none.
bool MeasureExpiringFields(RdbReader& in, int64_t now_ms, Elements& elements) {
  const auto earliest_ms = static_cast<int64_t>(in.Fixed64());
  std::string scratch;
  for (uint64_t left = in.Length(); left > 0 && in.ok(); --left) {
    const uint64_t later = in.Length();
    const size_t field_bytes = in.BorrowString(scratch).size();
    const size_t value_bytes = in.BorrowString(scratch).size();
    const bool gone = later > 0 && now_ms > earliest_ms &&
                      later - 1 <= static_cast<uint64_t>(now_ms - earliest_ms);
    if (!gone) elements.AddPair(field_bytes, value_bytes);
  }
  return in.ok() && earliest_ms >= 0;
}

// Field, value, and the time or 0 for none.
ValueOutcome MeasureExpiringListpack(RdbReader& in, int64_t now_ms, ValueMeasure& measure) {
  (void)in.Fixed64();  // the earliest time
  std::string scratch;
  const std::string_view bytes = in.BorrowString(scratch);
  Elements elements;
  size_t strings = 0;
  size_t pair_bytes = 0;
  const bool sound = in.ok() && ForEachOfListpack(bytes, [&](std::string_view text) {
                       if (strings++ % 3 < 2) {
                         pair_bytes += text.size();
                         return true;
                       }
                       const std::optional<int64_t> at_ms = ParseInt64(text);
                       if (!at_ms || *at_ms < 0) return false;
                       if (*at_ms == 0 || *at_ms > now_ms) elements.Count(pair_bytes);
                       pair_bytes = 0;
                       return true;
                     });
  if (!sound || strings % 3 != 0) return kBroken;
  return Measured(measure, elements, "listpackex",
                  memory::kObject + memory::kQuicklistNode + memory::Allocated(bytes.size()));
}

bool MeasurePlainFields(RdbReader& in, Elements& elements) {
  std::string scratch;
  for (uint64_t left = in.Length(); left > 0 && in.ok(); --left) {
    const size_t field_bytes = in.BorrowString(scratch).size();
    elements.AddPair(field_bytes, in.BorrowString(scratch).size());
  }
  return in.ok();
}

ValueOutcome MeasureZipmap(RdbReader& in, ValueMeasure& measure) {
  std::string scratch;
  const std::string_view bytes = in.BorrowString(scratch);
  Elements elements;
  Pairs pairs([&elements](std::string_view field, std::string_view value) {
    elements.Count(field.size() + value.size());
    return true;
  });
  const bool sound =
      in.ok() && ForEachOfZipmap(bytes, [&pairs](std::string_view text) { return pairs(text); });
  if (!sound || !pairs.complete()) return kBroken;
  return Measured(measure, elements, "listpack",
                  memory::kObject + memory::Allocated(bytes.size() + memory::kListpackFrame));
}

ValueOutcome MeasureHash(Type type, RdbReader& in, int64_t now_ms, ValueMeasure& measure) {
  if (type == Type::kHashZipmap) return MeasureZipmap(in, measure);
  if (type == Type::kHashListpackExpiring) return MeasureExpiringListpack(in, now_ms, measure);
  const bool ziplist = type == Type::kHashZiplist;
  if (ziplist || type == Type::kHashListpack) return MeasurePacked(in, ziplist, 2, measure);
  Elements elements;
  const bool sound = type == Type::kHashMetadata ? MeasureExpiringFields(in, now_ms, elements)
                                                 : MeasurePlainFields(in, elements);
  if (!sound) return kBroken;
  return Measured(measure, elements, "hashtable", TableBytes(elements));
}

uint64_t PendingTreeBytes(uint64_t ids, uint64_t nodes) {
  return ids * memory::kStreamId + nodes * memory::kRadixNode;
}

uint64_t GroupBytes(const StreamGroup& group) {
  RadixNodeCounter nodes;
  for (const auto& [id, pending] : group.pending()) nodes.Add(id);
  const uint64_t pending = group.pending().size();
  uint64_t bytes = memory::kStreamGroup + memory::kStreamPending * pending +
                   PendingTreeBytes(pending, nodes.Finish());
  for (const auto& [name, consumer] : group.consumers()) {
    RadixNodeCounter own;
    for (const StreamId id : consumer.pending) own.Add(id);
    bytes += memory::kStreamConsumer + name.size() +
             PendingTreeBytes(consumer.pending.size(), own.Finish());
  }
  return bytes;
}

uint64_t StreamBytes(const StreamValue& stream) {
  uint64_t pages = 0;
  size_t last = 0;
  stream.ForEachPage([&](StreamId /*id*/, std::string_view page) {
    last = memory::Allocated(page.size());
    pages += last;
  });
  pages += std::max(last, memory::kStreamLastPage) - last;
  uint64_t bytes = memory::kObject + memory::kStream + pages +
                   PendingTreeBytes(stream.page_count(), stream.RadixNodeCount());
  for (const auto& [name, group] : stream.groups()) bytes += GroupBytes(group);
  return bytes;
}

ValueOutcome MeasureStream(Type type, RdbReader& in, ValueMeasure& measure) {
  // Redis's defaults: the pages are as they are in the file.
  constexpr StreamValue::Limits kLimits = {.page_bytes_max = 4096, .page_entries_max = 100};
  StreamValue* const stream = ReadStream(type, in, kLimits, 0);
  if (stream == nullptr) return kBroken;
  measure.elements = ElementsOfStream(*stream);
  measure.encoding = "stream";
  measure.bytes = StreamBytes(*stream);
  StreamValue::Destroy(stream);
  return kRead;
}

}  // namespace

ValueOutcome MeasureValue(Type type, RdbReader& in, int64_t now_ms, ValueMeasure& measure) {
  switch (type) {
    case Type::kString:
      measure.type = ValueType::kString;
      return MeasureString(in, measure);
    case Type::kList:
    case Type::kListZiplist:
    case Type::kListQuicklist:
    case Type::kListQuicklist2:
      measure.type = ValueType::kList;
      return MeasureList(type, in, measure);
    case Type::kSet:
    case Type::kSetIntset:
    case Type::kSetListpack:
      measure.type = ValueType::kSet;
      return MeasureSet(type, in, measure);
    case Type::kSortedSet:
    case Type::kSortedSet2:
    case Type::kSortedSetZiplist:
    case Type::kSortedSetListpack:
      measure.type = ValueType::kSortedSet;
      return MeasureSortedSet(type, in, measure);
    case Type::kHash:
    case Type::kHashZipmap:
    case Type::kHashZiplist:
    case Type::kHashListpack:
    case Type::kHashMetadata:
    case Type::kHashListpackExpiring:
      measure.type = ValueType::kHash;
      return MeasureHash(type, in, now_ms, measure);
    case Type::kStreamListpacks:
    case Type::kStreamListpacks2:
    case Type::kStreamListpacks3:
      measure.type = ValueType::kStream;
      return MeasureStream(type, in, measure);
    case Type::kModule:
    case Type::kModule2:
      break;
  }
  return kBroken;
}

ValueOutcome MeasureBloomFilter(RdbReader& in, ValueMeasure& measure) {
  std::string scratch;
  if (in.Length() != kModuleString) return kBroken;
  const std::string_view header = in.BorrowString(scratch);
  if (!in.ok()) return kBroken;
  BloomFilter* const filter = BloomFilter::FromHeader(header, 0);
  if (filter == nullptr) return kBroken;
  measure.type = ValueType::kBloom;
  measure.encoding = "raw";
  measure.elements = {.count = filter->size(), .largest_bytes = filter->bit_bytes()};
  measure.bytes = filter->allocated_bytes() + filter->bit_bytes();
  BloomFilter::Destroy(filter);
  return SkipModuleParts(in) ? kRead : kBroken;
}

}  // namespace tidegate::rdb
