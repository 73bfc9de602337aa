// JournalGroup: consecutive records as one immutable run of bytes, the unit that is written to disk
// and kept in memory. About two milliseconds' records share one header and one checksum, so that a
// record costs a copy and a few bytes of framing.
//
//    0  4  CRC-32C of all that follows
//    4  1  format version (2)
//    5  3  zero
//    8  8  sequence number of the first record
//   16  8  Unix time in milliseconds at which the group was closed
//   24  4  records (at least 1)
//   28  4  CRC-32C of bytes 4 to 27, then 32 to 39
//   32  8  bytes of the group, this header among them
//   40     for each record: its size (varint, 7 bits a byte, the lowest first), its bytes
//
// Numbers are little-endian. A group says itself where it ends, and its header has a checksum of
// its own: groups can lie one behind the other in a file, and of one that reaches beyond the file's
// end it is known that the file was cut off and not that the size is wrong. Version 1 had zeros in
// place of the header's checksum, and records from byte 32 on. The builder makes the checksums, and
// Parse, which trusts nothing, checks them. Thread: immutable, shared between the writer and
// readers of the tail.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/result.h"

namespace tidegate {

inline constexpr uint8_t kJournalGroupVersion = 2;
inline constexpr size_t kJournalGroupHeaderBytes = 40;

// Bytes of records after which a group is closed: large enough that its write costs little for each
// record, small enough to be read at once. A longer record has a group of its own.
inline constexpr Bytes kJournalGroupBytesMax = 1_MiB;

class JournalGroup final {
 public:
  JournalGroup(uint64_t first, uint64_t count, std::unique_ptr<const char[]> bytes, size_t size)
      : first_(first), count_(count), size_(size), bytes_(std::move(bytes)) {}

  uint64_t first() const { return first_; }
  uint64_t count() const { return count_; }
  uint64_t last() const { return first_ + count_ - 1; }
  std::string_view bytes() const { return {bytes_.get(), size_}; }

 private:
  const uint64_t first_;
  const uint64_t count_;
  const size_t size_;
  const std::unique_ptr<const char[]> bytes_;
};

// Makes one group after the other.
class JournalGroupBuilder final {
 public:
  void Begin(uint64_t first);
  void Add(std::string_view record);
  bool empty() const { return count_ == 0; }
  size_t bytes() const { return size_; }
  // At least one record was added.
  std::shared_ptr<const JournalGroup> Finish(int64_t unix_ms);

 private:
  void Grow(size_t wanted);

  uint64_t first_ = 0;
  uint32_t count_ = 0;
  size_t usual_bytes_ = kJournalGroupHeaderBytes;  // what the next group will need
  std::unique_ptr<char[]> bytes_;  // not set to zero, which would cost a copy's time
  size_t capacity_ = 0;
  size_t size_ = 0;
};

// What a group's bytes say, after they were checked. Views into them.
class JournalGroupView final {
 public:
  // An error says what is wrong with the bytes, which may be anything.
  static Result<JournalGroupView> Parse(std::string_view bytes);
  // How many bytes the group has that begins with `bytes`, of which kJournalGroupHeaderBytes are
  // enough; 0: that is no header of version 2.
  static uint64_t SizeOf(std::string_view bytes);

  uint64_t first() const { return first_; }
  uint64_t last() const { return first_ + count_ - 1; }
  uint32_t count() const { return count_; }
  int64_t unix_ms() const { return unix_ms_; }
  // The next record; false at the end.
  bool Next(std::string_view* record);

 private:
  uint64_t first_ = 0;
  uint32_t count_ = 0;
  int64_t unix_ms_ = 0;
  std::string_view rest_;
};

}  // namespace tidegate
