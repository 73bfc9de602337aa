#include "storage/rdb/ziplist.h"

#include "storage/value/little_endian.h"

namespace tidegate::rdb {
namespace {

constexpr size_t kHeaderBytes = 10;
constexpr uint8_t kEnd = 0xff;

}  // namespace

ZiplistReader::ZiplistReader(std::string_view bytes) {
  if (bytes.size() <= kHeaderBytes || static_cast<uint8_t>(bytes.back()) != kEnd ||
      LoadLittle<uint32_t>(reinterpret_cast<const uint8_t*>(bytes.data())) != bytes.size()) {
    broken_ = true;
    return;
  }
  left_ = bytes.substr(kHeaderBytes);
}

bool ZiplistReader::Take(size_t bytes, std::string_view& taken) {
  if (bytes > left_.size()) return Break();
  taken = left_.substr(0, bytes);
  left_.remove_prefix(bytes);
  return true;
}

bool ZiplistReader::TakeText(size_t bytes, ListpackValue& value) {
  std::string_view text;
  if (!Take(bytes, text)) return false;
  value = ListpackValue::AsText(text);
  return true;
}

bool ZiplistReader::TakeInteger(size_t bytes, ListpackValue& value) {
  std::string_view raw;
  if (!Take(bytes, raw)) return false;
  uint64_t bits = 0;
  for (size_t i = bytes; i > 0; --i) bits = bits << 8 | static_cast<uint8_t>(raw[i - 1]);
  const int unused = static_cast<int>(64 - 8 * bytes);
  value = ListpackValue(static_cast<int64_t>(bits << unused) >> unused);
  return true;
}

bool ZiplistReader::Next(ListpackValue& value) {
  constexpr uint8_t kLongLengthBefore = 0xfe;
  if (broken_ || left_.empty()) return Break();
  if (static_cast<uint8_t>(left_[0]) == kEnd) {
    if (left_.size() > 1) broken_ = true;
    return false;
  }
  std::string_view skipped;
  if (!Take(static_cast<uint8_t>(left_[0]) == kLongLengthBefore ? 5 : 1, skipped)) return false;
  std::string_view head;
  if (!Take(1, head)) return false;
  const auto first = static_cast<uint8_t>(head[0]);
  switch (first >> 6) {
    case 0:
      return TakeText(first & 0x3f, value);
    case 1:
      if (!Take(1, head)) return false;
      return TakeText(static_cast<size_t>(first & 0x3f) << 8 | static_cast<uint8_t>(head[0]),
                      value);
    case 2: {
      if (!Take(4, head)) return false;
      size_t size = 0;
      for (const char byte : head) size = size << 8 | static_cast<uint8_t>(byte);
      return TakeText(size, value);
    }
    default:
      break;
  }
  switch (first) {
    case 0xc0:
      return TakeInteger(2, value);
    case 0xd0:
      return TakeInteger(4, value);
    case 0xe0:
      return TakeInteger(8, value);
    case 0xf0:
      return TakeInteger(3, value);
    case 0xfe:
      return TakeInteger(1, value);
    default:
      break;
  }
  if (first < 0xf1 || first > 0xfd) return Break();
  value = ListpackValue(static_cast<int64_t>(first & 0x0f) - 1);
  return true;
}

}  // namespace tidegate::rdb
