// ListpackValue: one value of a listpack, taken out of it or about to be put in.
//
// One type for both ways, so that moving entries between listpacks parses nothing again, and 16
// bytes, so that it travels in two registers. It borrows its text: from the listpack it was taken
// out of (valid until that is edited), or from the caller.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/check.h"
#include "base/text.h"

namespace tidegate {

// Room for the digits of any integer and a terminator. As Redis's LP_INTBUF_SIZE.
inline constexpr size_t kListpackDigitsBytes = kInt64TextBytesMax + 1;

// An integer, or text that is borrowed.
class ListpackValue final {
 public:
  // Text as a client sent it: an integer when it is canonical decimal, else the text itself.
  static ListpackValue Of(std::string_view text) {
    // Most text is refused by its size or its first byte, without a call.
    if (text.empty() || text.size() > kInt64TextBytesMax || text.front() > '9') return AsText(text);
    const std::optional<int64_t> integer = ParseInt64(text);
    return integer.has_value() ? ListpackValue(*integer) : AsText(text);
  }
  static ListpackValue AsText(std::string_view text) {
    return ListpackValue(text.empty() ? "" : text.data(), static_cast<int64_t>(text.size()));
  }
  explicit ListpackValue(int64_t integer) : integer_or_size_(integer) {}

  bool is_integer() const { return text_ == nullptr; }
  // Only when is_integer().
  int64_t integer() const {
    TG_DCHECK(is_integer());
    return integer_or_size_;
  }
  // Only when not is_integer().
  std::string_view text() const {
    TG_DCHECK(!is_integer());
    return {text_, static_cast<size_t>(integer_or_size_)};
  }

  // The value as text: text(), or the digits written into `digits` (kListpackDigitsBytes).
  std::string_view Render(char* digits) const {
    if (!is_integer()) return text();
    return {digits, FormatInt64(integer_or_size_, digits)};
  }
  // Whether Render() would give this text.
  bool Equals(std::string_view text) const;
  // The same for a value of Of(): integers compare as integers, texts as bytes.
  friend bool operator==(const ListpackValue& a, const ListpackValue& b) {
    if (a.is_integer() != b.is_integer()) return false;
    return a.is_integer() ? a.integer_or_size_ == b.integer_or_size_ : a.text() == b.text();
  }

 private:
  ListpackValue(const char* text, int64_t size) : text_(text), integer_or_size_(size) {}

  const char* text_ = nullptr;
  int64_t integer_or_size_ = 0;
};

}  // namespace tidegate
