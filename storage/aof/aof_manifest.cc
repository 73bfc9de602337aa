#include "storage/aof/aof_manifest.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/escapes.h"
#include "base/text.h"

namespace tidegate {
namespace {

// As Redis.
constexpr size_t kLineBytesMax = 1022;

struct Line {
  std::string file;
  int64_t sequence = 0;
  char type = 0;
};

std::string_view NextWord(std::string_view& left) {
  const size_t begin = left.find_first_not_of(' ');
  if (begin == std::string_view::npos) return left = {};
  left.remove_prefix(begin);
  const std::string_view word = left.substr(0, left.find(' '));
  left.remove_prefix(word.size());
  return word;
}

// A name in double quotes, as Redis writes one with spaces or bytes that do not print.
std::optional<std::string> TakeQuoted(std::string_view& left) {
  left.remove_prefix(1);
  std::string name;
  while (!left.empty() && left[0] != '"') {
    if (left.size() >= 4 && left[0] == '\\' && left[1] == 'x' && HexDigit(left[2]) >= 0 &&
        HexDigit(left[3]) >= 0) {
      name.push_back(static_cast<char>(HexDigit(left[2]) * 16 + HexDigit(left[3])));
      left.remove_prefix(4);
    } else if (left.size() >= 2 && left[0] == '\\') {
      name.push_back(Unescape(left[1]));
      left.remove_prefix(2);
    } else {
      name.push_back(left[0]);
      left.remove_prefix(1);
    }
  }
  if (left.empty()) return std::nullopt;
  left.remove_prefix(1);
  return name;
}

// Pairs of a name and a value; those that nobody knows are passed over.
std::optional<Line> ParseLine(std::string_view left) {
  Line line;
  for (;;) {
    const std::string_view key = NextWord(left);
    if (key.empty()) break;
    left.remove_prefix(std::min(left.find_first_not_of(' '), left.size()));
    std::string value;
    if (!left.empty() && left[0] == '"') {
      std::optional<std::string> quoted = TakeQuoted(left);
      if (!quoted) return std::nullopt;
      value = std::move(*quoted);
    } else {
      value = NextWord(left);
    }
    if (value.empty()) return std::nullopt;
    if (EqualsIgnoreCase(key, "file")) {
      line.file = value;
    } else if (EqualsIgnoreCase(key, "seq")) {
      line.sequence = ParseInt64(value).value_or(0);
    } else if (EqualsIgnoreCase(key, "type")) {
      line.type = value[0];
    }
  }
  const bool known = line.type == 'b' || line.type == 'i' || line.type == 'h';
  if (line.file.empty() || line.sequence <= 0 || !known) return std::nullopt;
  return line;
}

// What the lines so far name.
class Files final {
 public:
  // Says what is wrong, or nothing.
  std::string_view Add(Line line) {
    if (line.file.find('/') != std::string::npos) return "the file name has a path";
    if (line.type == 'b') {
      if (!base_.empty()) return "a second base file";
      base_ = std::move(line.file);
    } else if (line.type == 'i') {
      if (line.sequence <= last_sequence_) return "the sequence numbers do not grow";
      last_sequence_ = line.sequence;
      increments_.push_back(std::move(line.file));
    }
    return "";
  }
  std::vector<std::string> Take() {
    if (!base_.empty()) increments_.insert(increments_.begin(), std::move(base_));
    return std::move(increments_);
  }

 private:
  std::string base_;
  std::vector<std::string> increments_;
  int64_t last_sequence_ = 0;
};

}  // namespace

Result<std::vector<std::string>> ParseAofManifest(std::string_view text) {
  Files files;
  for (int number = 1; !text.empty(); ++number) {
    const auto fail = [number](std::string_view what) {
      return Error{"line " + std::to_string(number) + ": " + std::string(what)};
    };
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) return fail("it has no end");
    std::string_view words = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (!words.empty() && words.back() == '\r') words.remove_suffix(1);
    if (words.empty() || words.size() > kLineBytesMax) return fail("empty, or too long");
    if (words[0] == '#') continue;
    std::optional<Line> line = ParseLine(words);
    if (!line) return fail("not 'file NAME seq NUMBER type b|i|h'");
    const std::string_view wrong = files.Add(std::move(*line));
    if (!wrong.empty()) return fail(wrong);
  }
  std::vector<std::string> names = files.Take();
  if (names.empty()) return Error{"no files in it"};
  return names;
}

}  // namespace tidegate
