// RespWriter: commands as clients send them, appended to a buffer that is emptied into a
// ByteOutput. A failure makes the rest do nothing; status() tells. Owner: one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "base/text.h"
#include "storage/data_files.h"
#include "storage/value/listpack_value.h"

namespace tidegate {

class RespWriter final {
 public:
  explicit RespWriter(ByteOutput& output) : output_(output) {}

  // The arguments follow, as many as were said.
  void Command(size_t arguments) {
    ++commands_;
    Header('*', arguments);
  }
  void Arg(std::string_view text) {
    BeginArg(text.size());
    Part(text);
    EndArg();
  }
  void Arg(int64_t number) {
    char digits[kInt64TextBytesMax];
    Arg(std::string_view(digits, FormatInt64(number, digits)));
  }
  void Arg(const ListpackValue& value) {
    char digits[kListpackDigitsBytes];
    Arg(value.Render(digits));
  }
  // One argument in parts.
  void BeginArg(size_t bytes) { Header('$', bytes); }
  void Part(std::string_view bytes) {
    buffer_.append(bytes);
    if (buffer_.size() >= kBufferBytes) Flush();
  }
  void EndArg() { buffer_.append("\r\n"); }

  void Words(std::initializer_list<std::string_view> words) {
    Command(words.size());
    for (const std::string_view word : words) Arg(word);
  }

  void Flush() {
    if (status_.ok()) status_ = output_.Write(buffer_);
    buffer_.clear();
  }

  uint64_t commands() const { return commands_; }
  const Status& status() const { return status_; }

 private:
  static constexpr size_t kBufferBytes = size_t{256} << 10;

  void Header(char mark, size_t number) {
    char digits[kInt64TextBytesMax];
    buffer_.push_back(mark);
    buffer_.append(digits, FormatUint64(number, digits));
    buffer_.append("\r\n");
  }

  ByteOutput& output_;
  std::string buffer_;
  uint64_t commands_ = 0;
  Status status_;
};

}  // namespace tidegate
