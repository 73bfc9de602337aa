// RdbWriter: the primitives of the RDB format, appended to a string.
//
// Lengths, strings in their shortest form (small integers, LZF where it helps) and doubles. Values
// are made of these in rdb_value_writer.h. With an RdbSink the string is a buffer that is emptied
// into it, so that a value of any size takes little memory. Source: Redis's rdb.c.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tidegate::rdb {

// Takes what was written so far off the buffer.
class RdbSink {
 public:
  virtual ~RdbSink() = default;
  virtual void Drain(std::string& buffer) = 0;
};

class RdbWriter final {
 public:
  // What a buffer holds before it is emptied.
  static constexpr size_t kBufferBytes = size_t{256} << 10;

  explicit RdbWriter(std::string& out, bool compress = true) : out_(out), compress_(compress) {}
  RdbWriter(std::string& buffer, RdbSink& sink, bool compress)
      : out_(buffer), sink_(&sink), compress_(compress) {}

  void Byte(uint8_t byte) { out_.push_back(static_cast<char>(byte)); }
  void Raw(std::string_view bytes) {
    out_.append(bytes);
    if (__builtin_expect(out_.size() >= kBufferBytes, 0)) DrainIfWanted();
  }
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
  void DrainIfWanted() {
    if (sink_ != nullptr) sink_->Drain(out_);
  }

  std::string& out_;
  RdbSink* const sink_ = nullptr;
  const bool compress_ = true;
  std::string packed_;
};

}  // namespace tidegate::rdb
