#include "storage/rdb/rdb_writer.h"

#include <cstring>
#include <limits>

#include "base/text.h"
#include "storage/rdb/lzf.h"
#include "storage/rdb/rdb_format.h"

namespace tidegate::rdb {
namespace {

// As Redis: shorter text is not worth a try to compress.
constexpr size_t kCompressedBytesMin = 21;
// As Redis: longer text is never looked at as a number.
constexpr size_t kDigitsMax = 11;

template <typename T>
bool Fits(int64_t value) {
  return value >= std::numeric_limits<T>::min() && value <= std::numeric_limits<T>::max();
}

}  // namespace

void RdbWriter::Fixed(uint64_t value, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) Byte(static_cast<uint8_t>(value >> (8 * i)));
}

void RdbWriter::BigEndian(uint64_t value, size_t bytes) {
  for (size_t i = bytes; i > 0; --i) Byte(static_cast<uint8_t>(value >> (8 * (i - 1))));
}

void RdbWriter::Length(uint64_t length) {
  if (__builtin_expect(out_.size() >= kBufferBytes, 0)) DrainIfWanted();
  if (length < (1u << 6)) {
    Byte(static_cast<uint8_t>(length));
  } else if (length < (1u << 14)) {
    BigEndian(length | 0x4000u, 2);
  } else if (length <= UINT32_MAX) {
    Byte(kLength32);
    BigEndian(length, 4);
  } else {
    Byte(kLength64);
    BigEndian(length, 8);
  }
}

void RdbWriter::Integer(int64_t value) {
  if (__builtin_expect(out_.size() >= kBufferBytes, 0)) DrainIfWanted();
  const auto form = [this](StringForm f) {
    Byte(static_cast<uint8_t>(kEncodedString | static_cast<uint8_t>(f)));
  };
  if (Fits<int8_t>(value)) {
    form(StringForm::kInt8);
    Fixed(static_cast<uint64_t>(value), 1);
  } else if (Fits<int16_t>(value)) {
    form(StringForm::kInt16);
    Fixed(static_cast<uint64_t>(value), 2);
  } else if (Fits<int32_t>(value)) {
    form(StringForm::kInt32);
    Fixed(static_cast<uint64_t>(value), 4);
  } else {
    char digits[kInt64TextBytesMax];
    const size_t size = FormatInt64(value, digits);
    Length(size);
    Raw({digits, size});
  }
}

void RdbWriter::String(std::string_view text) {
  if (text.size() <= kDigitsMax) {
    const std::optional<int64_t> number = ParseInt64(text);
    if (number && Fits<int32_t>(*number)) return Integer(*number);
  }
  if (compress_ && text.size() >= kCompressedBytesMin && Compressed(text)) return;
  Length(text.size());
  Raw(text);
}

bool RdbWriter::Compressed(std::string_view text) {
  if (!LzfCompress(text, packed_)) return false;
  Byte(static_cast<uint8_t>(kEncodedString | static_cast<uint8_t>(StringForm::kLzf)));
  Length(packed_.size());
  Length(text.size());
  Raw(packed_);
  return true;
}

void RdbWriter::Double(double value) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  Fixed64(bits);
}

}  // namespace tidegate::rdb
