#include "storage/value/key_size.h"

#include <algorithm>

#include "storage/keyspace/entry_buffer.h"
#include "storage/memory/memory.h"
#include "storage/value/bloom_filter.h"
#include "storage/value/hash_value.h"
#include "storage/value/paged_list.h"
#include "storage/value/set_view.h"
#include "storage/value/sorted_set_value.h"
#include "storage/value/stream.h"
#include "storage/value/string_value.h"
#include "storage/value/value_object.h"

namespace tidegate {
namespace {

// A bucket's word, at the average load of a table.
constexpr size_t kTableBytesPerKey = 10;

// Takes the sizes of one element after the other.
class Sizes final {
 public:
  void Add(size_t bytes) {
    ++sizes_.count;
    sizes_.largest_bytes = std::max<uint64_t>(sizes_.largest_bytes, bytes);
  }
  size_t BytesOf(const ListpackValue& value) { return value.Render(digits_).size(); }
  const ElementSizes& sizes() const { return sizes_; }

 private:
  ElementSizes sizes_;
  char digits_[kListpackDigitsBytes];
};

ElementSizes ElementsOfList(const Entry& entry) {
  Sizes sizes;
  const auto add = [&sizes](const ListpackValue& value) {
    sizes.Add(sizes.BytesOf(value));
    return true;
  };
  if (entry.encoding() == Encoding::kPagedList) {
    entry.object<PagedList>()->Visit(0, add);
  } else {
    const ListpackView list(PackedBytes(entry));
    for (size_t at = list.First(); at != list.End(); at = list.Next(at)) add(list.Get(at));
  }
  return sizes.sizes();
}

}  // namespace

size_t KeyBytes(const Entry& entry) {
  size_t bytes = MemoryRoundUp(entry.allocated_bytes()) + kTableBytesPerKey;
  if (!entry.embedded()) bytes += ValueBytes(ValueObject::Of(entry));
  return bytes;
}

ElementSizes ElementsOfStream(const StreamValue& stream) {
  Sizes sizes;
  StreamCursor cursor(stream, StreamId(), StreamId::Max());
  while (const std::optional<StreamEntry> element = cursor.Next()) {
    size_t bytes = 0;
    element->ForEachField([&](const ListpackValue& field, const ListpackValue& value) {
      bytes += sizes.BytesOf(field);
      bytes += sizes.BytesOf(value);
    });
    sizes.Add(bytes);
  }
  return sizes.sizes();
}

ElementSizes ElementsOf(const Entry& entry, int64_t now_ms) {
  Sizes sizes;
  switch (entry.type()) {
    case ValueType::kString:
      sizes.Add(StringLength(entry));
      break;
    case ValueType::kList:
      return ElementsOfList(entry);
    case ValueType::kSet:
      SetView(entry).ForEach(
          [&sizes](const ListpackValue& member) { sizes.Add(sizes.BytesOf(member)); });
      break;
    case ValueType::kSortedSet:
      SortedSetView(entry).ForEach(
          [&sizes](std::string_view member, double) { sizes.Add(member.size()); });
      break;
    case ValueType::kHash:
      HashView(entry, now_ms).ForEach([&sizes](const HashItem& item) {
        sizes.Add(sizes.BytesOf(item.field) + HashValueBytes(item));
      });
      break;
    case ValueType::kStream:
      return ElementsOfStream(*entry.object<StreamValue>());
    case ValueType::kBloom: {
      const auto& filter = *entry.object<BloomFilter>();
      return {.count = filter.size(), .largest_bytes = filter.bit_bytes()};
    }
  }
  return sizes.sizes();
}

}  // namespace tidegate
