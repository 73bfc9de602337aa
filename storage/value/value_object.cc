#include "storage/value/value_object.h"

#include <cstdint>

#include "base/check.h"
#include "storage/value/bloom_filter.h"
#include "storage/value/chunked_string.h"
#include "storage/value/field_table.h"
#include "storage/value/packed_block.h"
#include "storage/value/paged_list.h"
#include "storage/value/sorted_set_object.h"
#include "storage/value/stream.h"

namespace tidegate {
namespace {

// Calls fn(T*) with the object as what it is.
template <typename Fn>
auto WithObject(ValueObject value, Fn&& fn) {
  switch (value.encoding) {
    case Encoding::kEmbedded:
    case Encoding::kEmbeddedIntset:
      break;
    case Encoding::kChunked:
      return fn(static_cast<ChunkedString*>(value.object));
    case Encoding::kPacked:
    case Encoding::kPackedIntset:
      return fn(static_cast<PackedBlock*>(value.object));
    case Encoding::kFieldTable:
      return fn(static_cast<FieldTable*>(value.object));
    case Encoding::kSortedSet:
      return fn(static_cast<SortedSetObject*>(value.object));
    case Encoding::kPagedList:
      return fn(static_cast<PagedList*>(value.object));
    case Encoding::kStream:
      return fn(static_cast<StreamValue*>(value.object));
    case Encoding::kBloom:
      return fn(static_cast<BloomFilter*>(value.object));
  }
  CheckFailed(__FILE__, __LINE__, "a value in its entry is no object");
}

bool FreeSome(FieldTable* table, size_t allocations) {
  return FieldTable::FreeSome(table, allocations);
}
bool FreeSome(SortedSetObject* set, size_t allocations) {
  return SortedSetObject::FreeSome(set, allocations);
}
bool FreeSome(PagedList* list, size_t allocations) {
  return PagedList::FreeSome(list, allocations);
}
bool FreeSome(StreamValue* stream, size_t allocations) {
  return StreamValue::FreeSome(stream, allocations);
}
bool FreeSome(BloomFilter* filter, size_t allocations) {
  return BloomFilter::FreeSome(filter, allocations);
}
template <typename T>
bool FreeSome(T* object, size_t /*allocations*/) {
  T::Destroy(object);
  return true;
}

ChunkedString* Compacted(ChunkedString* string) { return ChunkedString::Compact(string); }
PackedBlock* Compacted(PackedBlock* block) { return PackedBlock::Compact(block); }
// Of many parts that point to each other.
template <typename T>
T* Compacted(T* object) {
  return object;
}

}  // namespace

FieldTable* FieldTableOf(const Entry& entry) {
  if (entry.encoding() == Encoding::kFieldTable) return entry.object<FieldTable>();
  if (entry.encoding() != Encoding::kSortedSet) return nullptr;
  return &entry.object<SortedSetObject>()->members_to_move();
}

void DestroyValue(ValueObject value) { (void)DestroySome(value, SIZE_MAX); }

bool DestroySome(ValueObject value, size_t allocations) {
  return WithObject(value, [=](auto* object) { return FreeSome(object, allocations); });
}

void* CompactValue(ValueObject value) {
  return WithObject(value, [](auto* object) -> void* { return Compacted(object); });
}

bool HasPages(Encoding encoding) {
  return encoding == Encoding::kFieldTable || encoding == Encoding::kSortedSet;
}

bool CompactSome(ValueObject value, CompactionPlace& place, size_t pages_max) {
  if (value.encoding == Encoding::kFieldTable) {
    place.at = static_cast<FieldTable*>(value.object)->CompactSome(place.at, pages_max);
    return place.at == 0;
  }
  if (value.encoding != Encoding::kSortedSet) return true;
  auto& set = *static_cast<SortedSetObject*>(value.object);
  if (place.part == 0) {
    place.at = set.members_to_move().CompactSome(place.at, pages_max);
    if (place.at == 0) place.part = 1;
    return false;
  }
  place.at = set.order_to_move().CompactSome(place.at, pages_max);
  return place.at == 0;
}

void* CloneValue(ValueObject value) {
  return WithObject(value, [](auto* object) -> void* { return object->Clone(); });
}

size_t ValueBytes(ValueObject value) {
  return WithObject(value, [](auto* object) -> size_t { return object->allocated_bytes(); });
}

}  // namespace tidegate
