// Numbers as they stand in keys and records on disk: the highest byte first, so that bytes sort as
// the numbers do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tidegate {

inline void AppendBigEndian(std::string& out, uint64_t value, size_t bytes) {
  for (size_t i = bytes; i > 0; --i) out.push_back(static_cast<char>(value >> (8 * (i - 1))));
}

// Over what is there.
inline void WriteBigEndian(char* at, uint64_t value, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) at[i] = static_cast<char>(value >> (8 * (bytes - 1 - i)));
}

// The number at the front, which must be there.
inline uint64_t ReadBigEndian(std::string_view from, size_t bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; ++i) value = value << 8 | static_cast<uint8_t>(from[i]);
  return value;
}

// Reads one number after the other; what is not there is 0, and ok() tells.
class BigEndianReader final {
 public:
  explicit BigEndianReader(std::string_view bytes) : left_(bytes) {}
  uint64_t Number(size_t bytes) {
    if (left_.size() < bytes) {
      ok_ = false;
      left_ = {};
      return 0;
    }
    const uint64_t value = ReadBigEndian(left_, bytes);
    left_.remove_prefix(bytes);
    return value;
  }
  bool ok() const { return ok_; }
  std::string_view left() const { return left_; }

 private:
  std::string_view left_;
  bool ok_ = true;
};

}  // namespace tidegate
