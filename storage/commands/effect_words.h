// Numbers as words of an effect (CommandContext::RecordAs): text on the stack, for the length of
// the call.
//
//   context.RecordAs({"PEXPIREAT", key.name, DecimalWord(at_ms)});
//
// A double is written so that it reads back to the same bits.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/text.h"

namespace tidegate {

class DecimalWord final {
 public:
  explicit DecimalWord(int64_t value) : size_(FormatInt64(value, text_)) {}
  // NOLINTNEXTLINE(google-explicit-constructor): it stands for its text among other words.
  operator std::string_view() const { return {text_, size_}; }

 private:
  char text_[kInt64TextBytesMax];
  size_t size_;
};

class DoubleWord final {
 public:
  explicit DoubleWord(double value) : size_(FormatDouble(value, text_)) {}
  // NOLINTNEXTLINE(google-explicit-constructor): as above.
  operator std::string_view() const { return {text_, size_}; }

 private:
  char text_[kDoubleTextBytesMax];
  size_t size_;
};

}  // namespace tidegate
