// One field of a FieldTable: how it lies in its page, and the view that callers get of it.
//
//   small   | field length | value length |  field bytes  |  value bytes  | expiry |
//              1-2 bytes      1-2 bytes                                     8 bytes
//   large   | address of a LargeField | score | expiry |
//              8 bytes                  8       8
//
// A set has no value and so no value length, a sorted set's value is always the eight bytes of a
// double and has no length either; the expiry is there only when the field has one. That is told by
// the slot that points here (field_page.h), so that the usual field costs two bytes here and four
// there. What is larger than kInlineFieldBytesMax moves out of the page: the field in one piece,
// because callers compare and hash it, the value in chunks, because it may be 512 MiB. A LargeField
// keeps its hash, so that splitting a page never reads 512 MiB again.
//
// Nothing here is aligned: all access is by memcpy. Owner: the table. Cost: decoding an item is two
// or three branches.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "storage/value/chunked_string.h"

namespace tidegate {

// What the fields of a table have besides their names: nothing (a set), bytes (a hash), or a score
// (the members of a sorted set).
enum class FieldValues : uint8_t { kNone, kBytes, kDouble };

// Field and value bytes above which an item is kept outside of its page. A quarter of a page, so
// that a page holds at least three.
inline constexpr size_t kInlineFieldBytesMax = 1024;

struct LargeField {
  uint64_t hash;
  uint64_t field_bytes;
  ChunkedString* value;  // null when the table's values are not bytes

  std::string_view field() const {
    return {reinterpret_cast<const char*>(this + 1), static_cast<size_t>(field_bytes)};
  }
  static LargeField* Create(uint64_t hash, std::string_view field);
  static void Destroy(LargeField* large);
  LargeField* Clone() const;
  size_t allocated_bytes() const;
};

namespace field_item {

// Flags of a slot.
inline constexpr uint32_t kLarge = 0x8000;
inline constexpr uint32_t kExpires = 0x4000;

template <typename T>
T Load(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
template <typename T>
void Store(char* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

inline size_t LengthBytes(size_t length) { return length < 128 ? 1 : 2; }
inline size_t ReadLength(const char*& p) {
  const auto first = static_cast<uint8_t>(*p++);
  if (__builtin_expect(first < 128, 1)) return first;
  return (first & 0x7fu) | (static_cast<size_t>(static_cast<uint8_t>(*p++)) << 7);
}
inline void WriteLength(char*& p, size_t length) {
  if (length < 128) {
    *p++ = static_cast<char>(length);
    return;
  }
  *p++ = static_cast<char>(length | 0x80);
  *p++ = static_cast<char>(length >> 7);
}

inline bool IsLarge(size_t field_bytes, size_t value_bytes) {
  return field_bytes > kInlineFieldBytesMax || value_bytes > kInlineFieldBytesMax ||
         field_bytes + value_bytes > kInlineFieldBytesMax;
}

// Bytes of an item without its expiry.
inline size_t InlineBytes(FieldValues values, size_t field_bytes, size_t value_bytes) {
  return LengthBytes(field_bytes) + field_bytes + value_bytes +
         (values == FieldValues::kBytes ? LengthBytes(value_bytes) : 0);
}
inline size_t LargeBytes(FieldValues values) { return values == FieldValues::kDouble ? 16 : 8; }

// Writes a small item without its expiry; returns its end.
inline char* WriteInline(char* p, FieldValues values, std::string_view field,
                         std::string_view value) {
  WriteLength(p, field.size());
  if (values == FieldValues::kBytes) WriteLength(p, value.size());
  if (!field.empty()) std::memcpy(p, field.data(), field.size());
  p += field.size();
  if (!value.empty()) std::memcpy(p, value.data(), value.size());
  return p + value.size();
}

}  // namespace field_item

// A field as callers see it. Cheap to copy; valid until the table changes. Empty (false) when there
// is no such field.
class FieldView final {
 public:
  FieldView() = default;
  FieldView(const char* item, uint32_t flags, FieldValues values) : begin_(item) {
    using field_item::LargeBytes;
    using field_item::ReadLength;
    const char* p = item;
    if (__builtin_expect((flags & field_item::kLarge) != 0, 0)) {
      large_ = field_item::Load<LargeField*>(p);
      field_ = large_->field();
      value_ = {p + 8, LargeBytes(values) - 8};
      p += LargeBytes(values);
    } else {
      const size_t field_bytes = ReadLength(p);
      const size_t value_bytes = values == FieldValues::kBytes    ? ReadLength(p)
                                 : values == FieldValues::kDouble ? 8
                                                                  : 0;
      field_ = {p, field_bytes};
      value_ = {p + field_bytes, value_bytes};
      p += field_bytes + value_bytes;
    }
    if ((flags & field_item::kExpires) != 0) {
      expiry_ = p;
      p += 8;
    }
    end_ = p;
  }

  explicit operator bool() const { return begin_ != nullptr; }

  std::string_view field() const { return field_; }

  // The value in one piece, or null chunks(): exactly one of the two holds it.
  const ChunkedString* chunks() const { return large_ == nullptr ? nullptr : large_->value; }
  std::string_view value() const {
    TG_DCHECK(chunks() == nullptr);
    return value_;
  }
  size_t value_size() const { return chunks() != nullptr ? chunks()->size() : value_.size(); }
  double number() const { return field_item::Load<double>(value_.data()); }

  // Calls fn(std::string_view piece) for the value's pieces in order, however it is held.
  template <typename Fn>
  void VisitValue(Fn&& fn) const {
    if (chunks() == nullptr) {
      if (!value_.empty()) fn(value_);
      return;
    }
    chunks()->Visit(0, chunks()->size(), [&fn](size_t, std::string_view piece) { fn(piece); });
  }
  std::string CopyValue() const {
    std::string out;
    out.reserve(value_size());
    VisitValue([&out](std::string_view piece) { out.append(piece); });
    return out;
  }

  bool has_expiry() const { return expiry_ != nullptr; }
  std::optional<int64_t> expiry_ms() const {
    if (expiry_ == nullptr) return std::nullopt;
    return field_item::Load<int64_t>(expiry_);
  }

 private:
  friend class FieldTable;
  friend struct FieldPage;
  LargeField* large() const { return large_; }
  size_t item_bytes() const { return static_cast<size_t>(end_ - begin_); }

  const char* begin_ = nullptr;
  const char* end_ = nullptr;
  const char* expiry_ = nullptr;
  LargeField* large_ = nullptr;
  std::string_view field_;
  std::string_view value_;
};

}  // namespace tidegate
