#define XXH_INLINE_ALL
#include "storage/commands/value_digest.h"

#include <xxhash.h>

#include <cstdio>
#include <cstring>

#include "base/text.h"
#include "storage/keyspace/entry_buffer.h"
#include "storage/value/bloom_filter.h"
#include "storage/value/chunked_string.h"
#include "storage/value/hash_value.h"
#include "storage/value/paged_list.h"
#include "storage/value/set_view.h"
#include "storage/value/sorted_set_value.h"
#include "storage/value/stream.h"
#include "storage/value/string_value.h"

namespace tidegate {
namespace {

Digest DigestOfList(const Entry& entry) {
  Digest digest;
  char digits[kListpackDigitsBytes];
  const auto add = [&](const ListpackValue& value) {
    digest.Then(value.Render(digits));
    return true;
  };
  if (entry.encoding() == Encoding::kPagedList) {
    entry.object<PagedList>()->Visit(0, add);
  } else {
    const ListpackView list(PackedBytes(entry));
    for (size_t at = list.First(); at != list.End(); at = list.Next(at)) add(list.Get(at));
  }
  return digest;
}

Digest DigestOfSet(const Entry& entry) {
  Digest digest;
  char digits[kListpackDigitsBytes];
  SetView(entry).ForEach(
      [&](const ListpackValue& member) { digest.Also(Digest::Of(member.Render(digits))); });
  return digest;
}

Digest DigestOfSortedSet(const Entry& entry) {
  Digest digest;
  SortedSetView(entry).ForEach([&](std::string_view member, double score) {
    Digest element = Digest::Of(member);
    element.Then(FormatDouble(score));
    digest.Also(element);
  });
  return digest;
}

Digest DigestOfHash(const Entry& entry, int64_t now_ms) {
  Digest digest;
  char digits[kListpackDigitsBytes];
  std::string scratch;
  HashView(entry, now_ms).ForEach([&](const HashItem& item) {
    Digest element = Digest::Of(item.field.Render(digits));
    element.Then(HashValueText(item, scratch));
    if (item.expire_at_ms != kNoExpire) element.Then("expires");
    digest.Also(element);
  });
  return digest;
}

void AddId(Digest& digest, StreamId id) {
  char text[kStreamIdTextBytesMax];
  digest.Then(FormatStreamId(id, text));
}

Digest DigestOfStream(const Entry& entry) {
  const StreamValue& stream = *entry.object<StreamValue>();
  Digest digest;
  char digits[kListpackDigitsBytes];
  StreamCursor cursor(stream, StreamId(), StreamId::Max());
  while (const std::optional<StreamEntry> element = cursor.Next()) {
    AddId(digest, element->id);
    element->ForEachField([&](const ListpackValue& field, const ListpackValue& value) {
      digest.Then(field.Render(digits));
      digest.Then(value.Render(digits));
    });
  }
  AddId(digest, stream.last_id());
  for (const auto& [name, group] : stream.groups()) {
    digest.Then(name);
    AddId(digest, group.last_id);
    for (const auto& [consumer, unused] : group.consumers()) digest.Then(consumer);
    for (const auto& [id, pending] : group.pending()) {
      AddId(digest, id);
      digest.Then(pending.consumer->name);
    }
  }
  return digest;
}

Digest DigestOfBloom(const BloomFilter& filter) {
  Digest digest = Digest::Of(filter.DumpHeader());
  std::string bits;
  for (uint64_t offset = 0;;) {
    const BloomFilter::Stretch stretch = filter.StretchAt(offset);
    if (stretch.bits == nullptr) return digest;
    bits.clear();
    stretch.bits->Visit(stretch.offset, stretch.size,
                        [&bits](size_t, std::string_view piece) { bits.append(piece); });
    digest.Then(bits);
    offset += stretch.size;
  }
}

Digest DigestOfContents(const Entry& entry, int64_t now_ms) {
  std::string scratch;
  switch (entry.type()) {
    case ValueType::kString:
      return Digest::Of(StringContents(entry, scratch));
    case ValueType::kList:
      return DigestOfList(entry);
    case ValueType::kSet:
      return DigestOfSet(entry);
    case ValueType::kSortedSet:
      return DigestOfSortedSet(entry);
    case ValueType::kHash:
      return DigestOfHash(entry, now_ms);
    case ValueType::kStream:
      return DigestOfStream(entry);
    case ValueType::kBloom:
      return DigestOfBloom(*entry.object<BloomFilter>());
  }
  return {};
}

}  // namespace

Digest Digest::Of(std::string_view bytes) {
  constexpr uint64_t kTailSeed = 1;
  const XXH128_hash_t head = XXH3_128bits(bytes.data(), bytes.size());
  const auto tail =
      static_cast<uint32_t>(XXH3_64bits_withSeed(bytes.data(), bytes.size(), kTailSeed));
  Digest digest;
  std::memcpy(digest.bytes_.data(), &head, sizeof head);
  std::memcpy(digest.bytes_.data() + sizeof head, &tail, sizeof tail);
  return digest;
}

void Digest::Then(std::string_view bytes) {
  const Digest next = Of(bytes);
  std::array<uint8_t, 2 * sizeof(bytes_)> both;
  std::memcpy(both.data(), bytes_.data(), bytes_.size());
  std::memcpy(both.data() + bytes_.size(), next.bytes_.data(), bytes_.size());
  *this = Of({reinterpret_cast<const char*>(both.data()), both.size()});
}

std::string Digest::Hex() const {
  std::string hex;
  for (const uint8_t byte : bytes_) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", byte);
    hex += digits;
  }
  return hex;
}

Digest DigestOfValue(const Entry& entry, int64_t now_ms) {
  constexpr std::string_view kTypes = "slSzhx";
  Digest digest = Digest::Of(kTypes.substr(static_cast<size_t>(entry.type()), 1));
  digest.Then(DigestOfContents(entry, now_ms));
  if (entry.has_expire()) digest.Then("expires");
  return digest;
}

}  // namespace tidegate
