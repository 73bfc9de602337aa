#include "storage/aof/aof_reader.h"

#include "base/limits.h"

namespace tidegate {
namespace {

// What stays of the buffer of arguments when a command was large.
constexpr size_t kBytesKept = size_t{1} << 20;

}  // namespace

AofReader::Line AofReader::ExpectLineEnd() {
  const char first = static_cast<char>(in_.Byte());
  const char second = static_cast<char>(in_.Byte());
  if (!in_.ok()) return Line::kCutOff;
  return first == '\r' && second == '\n' ? Line::kRead : Line::kBroken;
}

// Digits up to the end of the line, behind a mark that was read already or (0) is not there.
AofReader::Line AofReader::ReadNumber(char mark, int64_t max, int64_t& number) {
  if (mark != 0) {
    const char found = static_cast<char>(in_.Byte());
    if (!in_.ok()) return Line::kCutOff;
    if (found != mark) return Line::kBroken;
  }
  number = 0;
  for (bool any = false;; any = true) {
    const char c = static_cast<char>(in_.Byte());
    if (!in_.ok()) return Line::kCutOff;
    if (c == '\r' && any) break;
    if (c < '0' || c > '9') return Line::kBroken;
    number = number * 10 + (c - '0');
    if (number > max) return Line::kBroken;
  }
  const char end = static_cast<char>(in_.Byte());
  if (!in_.ok()) return Line::kCutOff;
  return end == '\n' ? Line::kRead : Line::kBroken;
}

AofReader::Line AofReader::ReadArgument() {
  int64_t size = 0;
  const Line line = ReadNumber('$', static_cast<int64_t>(kStringBytesMax.count), size);
  if (line != Line::kRead) return line;
  bytes_.append(in_.Raw(static_cast<size_t>(size)));
  if (!in_.ok()) return Line::kCutOff;
  ends_.push_back(bytes_.size());
  return ExpectLineEnd();
}

AofReader::Line AofReader::ReadCommand() {
  int64_t count = 0;
  const Line line = ReadNumber(0, kAofArgumentsMax, count);
  if (line != Line::kRead) return line;
  if (count < 1) return Line::kBroken;
  for (; count > 0; --count) {
    const Line argument = ReadArgument();
    if (argument != Line::kRead) return argument;
  }
  return Line::kRead;
}

AofReader::Line AofReader::SkipNote() {
  for (;;) {
    const char c = static_cast<char>(in_.Byte());
    if (!in_.ok()) return Line::kCutOff;
    if (c == '\n') return Line::kRead;
  }
}

AofReader::Step AofReader::Next() {
  if (bytes_.capacity() > kBytesKept) bytes_ = {};
  bytes_.clear();
  ends_.clear();
  args_.clear();
  for (;;) {
    command_offset_ = offset();
    const char first = static_cast<char>(in_.Byte());
    if (!in_.ok()) return source_.status().ok() ? Step::kEnd : Step::kBroken;
    Line line = Line::kBroken;
    if (first == '#') {
      line = SkipNote();
      if (line == Line::kRead) continue;
    } else if (first == '*') {
      line = ReadCommand();
    }
    if (!source_.status().ok() || line == Line::kBroken) return Step::kBroken;
    if (line == Line::kCutOff) return Step::kCutOff;
    break;
  }
  size_t begin = 0;
  for (const size_t end : ends_) {
    args_.push_back(std::string_view(bytes_).substr(begin, end - begin));
    begin = end;
  }
  return Step::kCommand;
}

}  // namespace tidegate
