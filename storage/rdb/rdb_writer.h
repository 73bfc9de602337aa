// RdbWriter: the primitives of the RDB format, appended to a string.
//
// Lengths, strings in their shortest form (small integers, LZF where it helps) and doubles. Values
// are made of these in rdb_value_writer.h. Source: Redis's rdb.c.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tidegate::rdb {

class RdbWriter final {
 public:
  explicit RdbWriter(std::string& out) : out_(out) {}

  void Byte(uint8_t byte) { out_.push_back(static_cast<char>(byte)); }
  void Raw(std::string_view bytes) { out_.append(bytes); }
  // Fixed widths, little-endian.
  void Fixed16(uint16_t value) { Fixed(value, 2); }
  void Fixed64(uint64_t value) { Fixed(value, 8); }
  void BigEndian64(uint64_t value) { BigEndian(value, 8); }
  void Length(uint64_t length);
  void String(std::string_view text);
  void Integer(int64_t value);
  void Double(double value);

 private:
  void Fixed(uint64_t value, size_t bytes);
  void BigEndian(uint64_t value, size_t bytes);
  bool Compressed(std::string_view text);

  std::string& out_;
};

}  // namespace tidegate::rdb
