#include "proxy/resp/inline_split.h"

#include <optional>
#include <string>
#include <utility>

#include "base/escapes.h"

namespace tidegate {
namespace {

bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
// What ends a word outside of quotes: fewer characters than separate words at their start.
bool EndsWord(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

// Reads one quoted part from after its opening quote to after its closing one. False: unbalanced.
bool ReadQuoted(std::string_view line, size_t& at, char quote, std::string& word) {
  while (at < line.size()) {
    const char c = line[at];
    if (c == quote) {
      ++at;
      return at == line.size() || IsSpace(line[at]);
    }
    const bool has_next = at + 1 < line.size();
    if (quote == '"' && c == '\\' && at + 3 < line.size() && line[at + 1] == 'x' &&
        HexDigit(line[at + 2]) >= 0 && HexDigit(line[at + 3]) >= 0) {
      word.push_back(static_cast<char>(HexDigit(line[at + 2]) * 16 + HexDigit(line[at + 3])));
      at += 4;
    } else if (quote == '"' && c == '\\' && has_next) {
      word.push_back(Unescape(line[at + 1]));
      at += 2;
    } else if (quote == '\'' && c == '\\' && has_next && line[at + 1] == '\'') {
      word.push_back('\'');
      at += 2;
    } else {
      word.push_back(c);
      ++at;
    }
  }
  return false;
}

// One word that has quotes in it, as a copy. A closing quote ends the word.
std::optional<std::string> ReadQuotedWord(std::string_view line, size_t& at) {
  std::string word;
  while (at < line.size() && !EndsWord(line[at])) {
    const char c = line[at++];
    if (c != '"' && c != '\'') {
      word.push_back(c);
    } else if (!ReadQuoted(line, at, c, word)) {
      return std::nullopt;
    } else {
      break;
    }
  }
  return word;
}

}  // namespace

bool SplitInline(std::string_view line, RequestBatch& batch) {
  size_t at = 0;
  for (;;) {
    while (at < line.size() && IsSpace(line[at])) ++at;
    if (at == line.size()) return true;
    size_t end = at;
    while (end < line.size() && !EndsWord(line[end]) && line[end] != '"' && line[end] != '\'')
      ++end;
    if (end == line.size() || EndsWord(line[end])) {
      batch.AddArg(line.substr(at, end - at));
      at = end;
      continue;
    }
    std::optional<std::string> word = ReadQuotedWord(line, at);
    if (!word) return false;
    batch.AddArg(batch.Keep(std::move(*word)));
  }
}

}  // namespace tidegate
