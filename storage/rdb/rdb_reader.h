// RdbReader: the primitives of the RDB format, out of bytes from anywhere.
//
// Nothing is believed: every read checks that the bytes are there. The first that fails makes all
// others fail too, so that a caller may read on and look at ok() once per element. What is read
// then is zero or empty. Views are of the bytes, or of the scratch that the caller gives.
// Source: Redis's rdb.c.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tidegate::rdb {

class RdbReader final {
 public:
  explicit RdbReader(std::string_view bytes) : left_(bytes) {}

  bool ok() const { return ok_; }
  void Fail() {
    ok_ = false;
    left_ = {};
  }
  bool at_end() const { return left_.empty(); }
  size_t left() const { return left_.size(); }

  uint8_t Byte();
  std::string_view Raw(size_t bytes);
  uint64_t Fixed64();
  uint64_t BigEndian64() { return BigEndian(8); }
  uint64_t Length();
  std::string_view String(std::string& scratch);
  double Double();
  // A score of Redis before 4.0: its text behind a byte for its size.
  double TextDouble();

 private:
  // False: the length is `form` of a string instead.
  bool LengthOrForm(uint64_t& length, uint8_t& form);
  uint64_t BigEndian(size_t bytes);
  int64_t Signed(size_t bytes);

  std::string_view left_;
  bool ok_ = true;
};

}  // namespace tidegate::rdb
