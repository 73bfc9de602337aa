#include "storage/size_watch.h"

#include "storage/commands/generic_commands.h"
#include "storage/keyspace/entry_buffer.h"
#include "storage/value/bloom_filter.h"
#include "storage/value/field_table.h"
#include "storage/value/intset.h"
#include "storage/value/key_size.h"
#include "storage/value/listpack_view.h"
#include "storage/value/paged_list.h"
#include "storage/value/sorted_set_object.h"
#include "storage/value/stream.h"
#include "storage/value/string_value.h"
#include "storage/value/value_object.h"

namespace tidegate {
namespace {

uint64_t PackedElements(const Entry& entry) {
  if (IsIntset(entry.encoding())) return IntsetView(PackedBytes(entry)).count();
  const uint64_t count = ListpackView(PackedBytes(entry)).count();
  const bool pairs = entry.type() == ValueType::kHash || entry.type() == ValueType::kSortedSet;
  return pairs ? count / 2 : count;
}

uint64_t ElementCount(const Entry& entry) {
  if (entry.embedded() || IsPacked(entry.encoding())) return PackedElements(entry);
  switch (entry.type()) {
    case ValueType::kString:
      return 1;
    case ValueType::kList:
      return entry.object<PagedList>()->size();
    case ValueType::kSet:
    case ValueType::kHash:
    case ValueType::kSortedSet:
      return FieldTableOf(entry)->size();
    case ValueType::kStream:
      return entry.object<StreamValue>()->length();
    case ValueType::kBloom:
      return entry.object<BloomFilter>()->size();
  }
  return 0;
}

bool IsAbout(uint64_t a, uint64_t b) {
  const uint64_t difference = a > b ? a - b : b - a;
  return difference <= b / kSameSizeParts;
}

}  // namespace

KeySize SizeOf(const Entry& entry) {
  if (entry.type() == ValueType::kString) return {StringLength(entry), 1};
  return {KeyBytes(entry), ElementCount(entry)};
}

void SizeWatch::MeetObject(const Entry& entry) {
  met_ = true;
  if (!was_over_) was_over_ = IsOver(SizeOf(entry));
}

void SizeWatch::Measure(int db, const KeyRef& key, const Entry* entry, int64_t now_ms) {
  const bool there = entry != nullptr;
  const KeySize size = there ? SizeOf(*entry) : KeySize{};
  const bool over = there && IsOver(size);
  if (!over && !was_over_) return;
  const uint64_t hash = key.hash ^ static_cast<uint64_t>(db);
  if (over && !IsNews(hash, size, now_ms)) return;
  if (!over) said_[hash % kSaidCells] = {};
  Add({.what = there ? SizeNote::What::kSize : SizeNote::What::kGone,
       .db = db,
       .type = there ? ValueTypeName(entry->type()) : std::string_view(),
       .hash = key.hash,
       .size = size,
       .name = std::string(key.name)});
}

void SizeWatch::NoteRemoved(int db, const KeyRef& key, const Entry& entry) {
  if (!IsOver(SizeOf(entry))) return;
  said_[(key.hash ^ static_cast<uint64_t>(db)) % kSaidCells] = {};
  Add({.what = SizeNote::What::kGone, .db = db, .hash = key.hash, .name = std::string(key.name)});
}

bool SizeWatch::IsNews(uint64_t hash, const KeySize& size, int64_t now_ms) {
  Said& said = said_[hash % kSaidCells];
  const bool same = said.hash == hash && IsAbout(size.bytes, said.size.bytes) &&
                    IsAbout(size.elements, said.size.elements) &&
                    now_ms - said.at_ms < kNewsAgainMs && now_ms >= said.at_ms;
  if (!same) said = {.hash = hash, .size = size, .at_ms = now_ms};
  return !same;
}

}  // namespace tidegate
