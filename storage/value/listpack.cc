#include "storage/value/listpack.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/check.h"
#include "storage/value/listpack_format.h"
#include "storage/value/little_endian.h"

namespace tidegate {
namespace {

using Is = ListpackFirst;

constexpr uint64_t kTotalBytesMax = std::numeric_limits<uint32_t>::max();

size_t TextHeaderBytes(size_t size) {
  if (size <= kListpackText6BytesMax) return 1;
  return size <= kListpackText12BytesMax ? 2 : 5;
}

// Bytes of an integer's encoding: 1, 2 (13 bits), or 1 and the bytes of its two's complement.
size_t IntegerBytes(int64_t value) {
  if (value >= 0 && value <= 127) return 1;
  // Folds negative values onto those that have as many bits.
  const auto magnitude = static_cast<uint64_t>(value ^ (value >> 63));
  if (magnitude < uint64_t{1} << 12) return 2;
  if (magnitude < uint64_t{1} << 15) return 3;
  if (magnitude < uint64_t{1} << 23) return 4;
  return magnitude < uint64_t{1} << 31 ? 5 : 9;
}

// Without backlen.
uint64_t BareBytes(const ListpackValue& value) {
  if (value.is_integer()) return IntegerBytes(value.integer());
  return uint64_t{TextHeaderBytes(value.text().size())} + value.text().size();
}

void WriteInteger(uint8_t* p, int64_t value, size_t bytes) {
  switch (bytes) {
    case 1:
      p[0] = static_cast<uint8_t>(value);
      return;
    case 2:
      p[0] = static_cast<uint8_t>(Is::kInteger13 | ((value >> 8) & 0x1f));
      p[1] = static_cast<uint8_t>(value);
      return;
    case 9:
      p[0] = Is::kInteger64;
      StoreLittle(p + 1, value);
      return;
    default:  // 3, 4, 5: 16, 24, 32 bits
      p[0] = static_cast<uint8_t>(Is::kInteger16 + (bytes - 3));
      std::memcpy(p + 1, &value, bytes - 1);
  }
}

void WriteText(uint8_t* p, std::string_view text) {
  const size_t size = text.size();
  switch (TextHeaderBytes(size)) {
    case 1:
      *p++ = static_cast<uint8_t>(Is::kText6 | size);
      break;
    case 2:
      *p++ = static_cast<uint8_t>(Is::kText12 | (size >> 8));
      *p++ = static_cast<uint8_t>(size);
      break;
    default:
      *p++ = Is::kText32;
      StoreLittle(p, static_cast<uint32_t>(size));
      p += 4;
  }
  std::memcpy(p, text.data(), size);
}

// Writes a whole entry and returns what is behind it.
uint8_t* WriteEntry(uint8_t* p, const ListpackValue& value) {
  const uint64_t bytes = BareBytes(value);
  if (value.is_integer()) {
    WriteInteger(p, value.integer(), bytes);
  } else {
    WriteText(p, value.text());
  }
  return WriteListpackBacklen(p + bytes, bytes);
}

// A listpack that has ever held too many entries to count keeps "unknown", as in Redis.
void StoreCount(uint8_t* header, size_t count) {
  StoreLittle(header + 4, static_cast<uint16_t>(std::min<size_t>(count, kListpackCountUnknown)));
}

}  // namespace

size_t Listpack::EncodedSize(const ListpackValue& value) {
  const uint64_t bytes = BareBytes(value);
  return bytes + ListpackBacklenBytes(bytes);
}

template <typename ValueAt>
bool Listpack::BorrowsAny(size_t count, const ValueAt& value_at) {
  const std::string_view own = buffer_.bytes();
  for (size_t i = 0; i < count; ++i) {
    const ListpackValue value = value_at(i);
    if (value.is_integer() || value.text().empty()) continue;
    const char* text = value.text().data();
    if (text >= own.data() && text < own.data() + own.size()) return true;
  }
  return false;
}

template <typename ValueAt>
void Listpack::InsertEach(size_t at, size_t count, const ValueAt& value_at) {
  size_t added = 0;
  for (size_t i = 0; i < count; ++i) added += EncodedSize(value_at(i));
  TG_DCHECK(!BorrowsAny(count, value_at));
  uint8_t* p = Change(at, 0, 0, added, count);
  for (size_t i = 0; i < count; ++i) p = WriteEntry(p, value_at(i));
}

void Listpack::Create(std::span<const ListpackValue> values) {
  size_t bytes = kListpackEmptyBytes;
  for (const ListpackValue& value : values) bytes += EncodedSize(value);
  TG_CHECK(bytes <= kTotalBytesMax);
  TG_DCHECK(!BorrowsAny(values.size(), [&](size_t i) { return values[i]; }));
  uint8_t* p = buffer_.Splice(0, buffer_.size(), bytes);
  StoreLittle(p, static_cast<uint32_t>(bytes));
  StoreCount(p, values.size());
  p += kListpackHeaderBytes;
  for (const ListpackValue& value : values) p = WriteEntry(p, value);
  *p = kListpackEnd;
}

void Listpack::Insert(size_t at, std::span<const ListpackValue> values) {
  InsertEach(at, values.size(), [&](size_t i) -> const ListpackValue& { return values[i]; });
}

void Listpack::InsertTexts(size_t at, std::span<const std::string_view> texts) {
  InsertEach(at, texts.size(), [&](size_t i) { return ListpackValue::Of(texts[i]); });
}

void Listpack::InsertEncoded(size_t at, std::string_view entries, size_t count) {
  uint8_t* p = Change(at, 0, 0, entries.size(), count);
  if (!entries.empty()) std::memcpy(p, entries.data(), entries.size());
}

void Listpack::Replace(size_t at, const ListpackValue& value) {
  const size_t removed = view().Next(at) - at;
  TG_DCHECK(!BorrowsAny(1, [&](size_t) { return value; }));
  WriteEntry(Change(at, removed, 1, EncodedSize(value), 1), value);
}

size_t Listpack::Erase(size_t at, size_t n) {
  const ListpackView before = view();
  size_t to = at;
  size_t erased = 0;
  if (at == before.First() && n >= before.count()) {
    to = before.End();
    erased = before.count();
  }
  for (; erased < n && to != before.End(); ++erased) to = before.Next(to);
  if (erased > 0) Change(at, to - at, erased, 0, 0);
  return erased;
}

uint8_t* Listpack::Change(size_t at, size_t removed, size_t removed_count, size_t added,
                          size_t added_count) {
  TG_DCHECK(at >= kListpackHeaderBytes && at + removed < buffer_.size());
  const uint64_t bytes = uint64_t{buffer_.size()} - removed + added;
  TG_CHECK(bytes <= kTotalBytesMax);
  uint8_t* place = buffer_.Splice(at, removed, added);
  uint8_t* header = place - at;
  StoreLittle(header, static_cast<uint32_t>(bytes));
  const auto count = LoadLittle<uint16_t>(header + 4);
  if (count != kListpackCountUnknown) StoreCount(header, count - removed_count + added_count);
  return place;
}

}  // namespace tidegate
