#include "storage/rdb/rdb_reader.h"

#include <cstring>
#include <limits>
#include <optional>

#include "base/text.h"
#include "storage/rdb/lzf.h"
#include "storage/rdb/rdb_format.h"

namespace tidegate::rdb {

bool RdbReader::Refill(size_t wanted) {
  if (source_ == nullptr || !ok_) return false;
  left_ = source_->More(left_, wanted);
  return wanted <= left_.size();
}

std::string_view RdbReader::Raw(size_t bytes) {
  if (__builtin_expect(bytes > left_.size(), 0) && !Refill(bytes)) {
    Fail();
    return {};
  }
  const std::string_view taken = left_.substr(0, bytes);
  left_.remove_prefix(bytes);
  return taken;
}

uint8_t RdbReader::Byte() {
  const std::string_view byte = Raw(1);
  return byte.empty() ? 0 : static_cast<uint8_t>(byte[0]);
}

uint64_t RdbReader::BigEndian(size_t bytes) {
  uint64_t value = 0;
  for (const char byte : Raw(bytes)) value = value << 8 | static_cast<uint8_t>(byte);
  return value;
}

int64_t RdbReader::Signed(size_t bytes) {
  uint64_t value = 0;
  const std::string_view raw = Raw(bytes);
  for (size_t i = raw.size(); i > 0; --i) value = value << 8 | static_cast<uint8_t>(raw[i - 1]);
  const int unused_bits = static_cast<int>(64 - 8 * bytes);
  return static_cast<int64_t>(value << unused_bits) >> unused_bits;
}

uint64_t RdbReader::Fixed64() { return static_cast<uint64_t>(Signed(8)); }

bool RdbReader::LengthOrForm(uint64_t& length, uint8_t& form) {
  const uint8_t first = Byte();
  switch (first >> 6) {
    case 0:
      length = first;
      return true;
    case 1:
      length = static_cast<uint64_t>(first & 0x3f) << 8 | Byte();
      return true;
    case 3:
      form = first & 0x3f;
      return false;
    default:
      if (first != kLength32 && first != kLength64) Fail();
      length = BigEndian(first == kLength32 ? 4 : 8);
      return true;
  }
}

uint64_t RdbReader::Length() {
  uint64_t length = 0;
  uint8_t form = 0;
  if (!LengthOrForm(length, form)) Fail();
  return ok_ ? length : 0;
}

std::string_view RdbReader::String(std::string& scratch) {
  const std::string_view text = BorrowString(scratch);
  if (source_ == nullptr || text.data() == scratch.data()) return text;
  scratch.assign(text);
  return scratch;
}

std::string_view RdbReader::BorrowString(std::string& scratch) {
  uint64_t length = 0;
  uint8_t form = 0;
  if (LengthOrForm(length, form)) return Raw(length);
  switch (static_cast<StringForm>(form)) {
    case StringForm::kInt8:
    case StringForm::kInt16:
    case StringForm::kInt32: {
      const int64_t value = Signed(size_t{1} << form);
      char digits[kInt64TextBytesMax];
      scratch.assign(digits, FormatInt64(value, digits));
      return ok_ ? scratch : std::string_view();
    }
    case StringForm::kLzf: {
      const uint64_t packed_bytes = Length();
      const uint64_t bytes = Length();
      const std::string_view packed = Raw(packed_bytes);
      if (ok_ && LzfExpand(packed, bytes, scratch)) return scratch;
      break;
    }
  }
  Fail();
  return {};
}

double RdbReader::Double() {
  const uint64_t bits = Fixed64();
  double value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

double RdbReader::TextDouble() {
  constexpr uint8_t kNotANumber = 253;
  constexpr uint8_t kPositiveInfinity = 254;
  constexpr uint8_t kNegativeInfinity = 255;
  const uint8_t size = Byte();
  if (size == kNotANumber) return std::numeric_limits<double>::quiet_NaN();
  if (size == kPositiveInfinity) return std::numeric_limits<double>::infinity();
  if (size == kNegativeInfinity) return -std::numeric_limits<double>::infinity();
  const std::optional<double> value = ParseDouble(Raw(size));
  if (!value) Fail();
  return value.value_or(0);
}

}  // namespace tidegate::rdb
