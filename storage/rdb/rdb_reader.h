// RdbReader: the primitives of the RDB format, out of bytes from anywhere.
//
// Nothing is believed: every read checks that the bytes are there. The first that fails makes all
// others fail too, so that a caller may read on and look at ok() once per element. What is read
// then is zero or empty. The bytes are all there from the beginning (a payload of RESTORE), or come
// as they are wanted from an RdbSource (a file of any size), which holds one window of them. Views
// that String gives are of the bytes, or of the scratch that the caller gives, and last as long;
// those of Raw and BorrowString end with the next read. Source: Redis's rdb.c.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tidegate::rdb {

// Where more bytes come from.
class RdbSource {
 public:
  virtual ~RdbSource() = default;
  // Bytes that begin with `left`, the unread rest of what it gave before, and of which there are
  // `wanted` at least; fewer when there are no more.
  virtual std::string_view More(std::string_view left, size_t wanted) = 0;
};

class RdbReader final {
 public:
  explicit RdbReader(std::string_view bytes) : left_(bytes) {}
  explicit RdbReader(RdbSource& source) : source_(&source) {}

  bool ok() const { return ok_; }
  void Fail() {
    if (ok_) failed_with_ = left_;
    ok_ = false;
    left_ = {};
  }
  bool at_end() const { return left_.empty(); }
  size_t left() const { return left_.size(); }
  // Whether the bytes come from a source, so that they can be read once only.
  bool streams() const { return source_ != nullptr; }
  // What the source gave and nobody has read so far, also when reading has failed since.
  std::string_view unread() const { return ok_ ? left_ : failed_with_; }

  uint8_t Byte();
  std::string_view Raw(size_t bytes);
  uint64_t Fixed64();
  uint64_t BigEndian64() { return BigEndian(8); }
  uint64_t Fixed32() { return static_cast<uint64_t>(Signed(4)) & 0xffffffffu; }
  uint64_t Length();
  std::string_view String(std::string& scratch);
  std::string_view BorrowString(std::string& scratch);
  double Double();
  // A score of Redis before 4.0: its text behind a byte for its size.
  double TextDouble();

 private:
  // False: the length is `form` of a string instead.
  bool LengthOrForm(uint64_t& length, uint8_t& form);
  uint64_t BigEndian(size_t bytes);
  int64_t Signed(size_t bytes);

  bool Refill(size_t wanted);

  std::string_view left_;
  std::string_view failed_with_;
  RdbSource* source_ = nullptr;
  bool ok_ = true;
};

}  // namespace tidegate::rdb
