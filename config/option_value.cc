#include "config/option_value.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "base/escapes.h"
#include "base/text.h"

namespace tidegate {
namespace {

struct Unit {
  std::string_view name;
  int64_t factor;
};

constexpr std::array<Unit, 8> kMemoryUnits = {{{"", 1},
                                               {"b", 1},
                                               {"k", 1000},
                                               {"kb", 1024},
                                               {"m", 1000 * 1000},
                                               {"mb", 1024 * 1024},
                                               {"g", 1000LL * 1000 * 1000},
                                               {"gb", 1024LL * 1024 * 1024}}};

// Largest first, so that printing finds the shortest form.
constexpr std::array<Unit, 5> kDurationUnits = {
    {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}}};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Digits followed by one of the units: their product when it fits.
std::optional<int64_t> ParseWithUnit(std::string_view text, std::span<const Unit> units) {
  size_t digits = 0;
  while (digits < text.size() && IsDigit(text[digits])) ++digits;
  if (digits == 0) return std::nullopt;
  int64_t number = 0;
  for (const char c : text.substr(0, digits)) {
    if (__builtin_mul_overflow(number, 10, &number)) return std::nullopt;
    if (__builtin_add_overflow(number, c - '0', &number)) return std::nullopt;
  }
  for (const Unit& unit : units) {
    if (!EqualsIgnoreCase(text.substr(digits), unit.name)) continue;
    int64_t product = 0;
    if (__builtin_mul_overflow(number, unit.factor, &product)) return std::nullopt;
    return product;
  }
  return std::nullopt;
}

bool IsLiteral(int family, std::string_view text) {
  std::array<unsigned char, sizeof(in6_addr)> address;
  return inet_pton(family, std::string(text).c_str(), address.data()) == 1;
}

bool IsSpace(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

// Reads words off one line; a small state machine, one function per kind of quote. Each of them
// starts behind the opening quote and ends behind the closing one.
class WordReader {
 public:
  explicit WordReader(std::string_view line) : line_(line) {}

  std::optional<std::vector<std::string>> Read() {
    std::vector<std::string> words;
    while (true) {
      while (at_ < line_.size() && IsSpace(line_[at_])) ++at_;
      if (at_ == line_.size()) return words;
      if (!ReadWord()) return std::nullopt;
      words.push_back(std::move(word_));
      word_.clear();
    }
  }

 private:
  bool ReadWord() {
    while (at_ < line_.size()) {
      const char c = line_[at_++];
      if (c == ' ' || c == '\n' || c == '\r' || c == '\t') return true;
      if (c == '"') return ReadDoubleQuoted();
      if (c == '\'') return ReadSingleQuoted();
      word_.push_back(c);
    }
    return true;
  }

  bool ReadDoubleQuoted() {
    while (at_ < line_.size()) {
      const char c = line_[at_++];
      if (c == '"') return AtWordEnd();
      if (c == '\\' && at_ < line_.size()) {
        ReadEscape();
      } else {
        word_.push_back(c);
      }
    }
    return false;
  }

  void ReadEscape() {
    if (line_[at_] == 'x' && at_ + 2 < line_.size()) {
      const int high = HexDigit(line_[at_ + 1]);
      const int low = HexDigit(line_[at_ + 2]);
      if (high >= 0 && low >= 0) {
        word_.push_back(static_cast<char>(high * 16 + low));
        at_ += 3;
        return;
      }
    }
    word_.push_back(Unescape(line_[at_++]));
  }

  bool ReadSingleQuoted() {
    while (at_ < line_.size()) {
      const char c = line_[at_++];
      if (c == '\'') return AtWordEnd();
      if (c == '\\' && at_ < line_.size() && line_[at_] == '\'') {
        word_.push_back('\'');
        ++at_;
      } else {
        word_.push_back(c);
      }
    }
    return false;
  }

  // A closing quote must be followed by space or by nothing.
  bool AtWordEnd() const { return at_ == line_.size() || IsSpace(line_[at_]); }

  std::string_view line_;
  size_t at_ = 0;
  std::string word_;
};

struct NotifyLetter {
  char letter;
  uint32_t flag;
};

// In the order in which Redis prints them.
constexpr std::array<NotifyLetter, 11> kNotifyClasses = {{{'g', notify::kGeneric},
                                                          {'$', notify::kString},
                                                          {'l', notify::kList},
                                                          {'s', notify::kSet},
                                                          {'h', notify::kHash},
                                                          {'z', notify::kSortedSet},
                                                          {'x', notify::kExpired},
                                                          {'e', notify::kEvicted},
                                                          {'t', notify::kStream},
                                                          {'d', notify::kModule},
                                                          {'n', notify::kNew}}};
constexpr std::array<NotifyLetter, 4> kNotifyOthers = {{{'K', notify::kKeyspace},
                                                        {'E', notify::kKeyevent},
                                                        {'m', notify::kKeyMiss},
                                                        {'A', notify::kAll}}};

uint32_t NotifyFlag(char letter) {
  for (const NotifyLetter& known : kNotifyClasses) {
    if (known.letter == letter) return known.flag;
  }
  for (const NotifyLetter& known : kNotifyOthers) {
    if (known.letter == letter) return known.flag;
  }
  return 0;
}

}  // namespace

std::optional<int64_t> ParseMemory(std::string_view text) {
  return ParseWithUnit(text, kMemoryUnits);
}

std::optional<int64_t> ParsePercent(std::string_view text) {
  if (text.size() < 2 || text.back() != '%') return std::nullopt;
  const std::optional<int64_t> number = ParseInt64(text.substr(0, text.size() - 1));
  if (!number || *number < 0) return std::nullopt;
  return number;
}

std::optional<std::chrono::milliseconds> ParseDuration(std::string_view text) {
  if (text == "0") return std::chrono::milliseconds(0);
  const std::optional<int64_t> number = ParseWithUnit(text, kDurationUnits);
  if (!number) return std::nullopt;
  return std::chrono::milliseconds(*number);
}

std::string PrintDuration(std::chrono::milliseconds duration) {
  const int64_t count = duration.count();
  if (count == 0) return "0";
  for (const Unit& unit : kDurationUnits) {
    if (count % unit.factor == 0) return ToText(count / unit.factor) + std::string(unit.name);
  }
  return ToText(count) + "ms";
}

bool IsIpv6Literal(std::string_view text) { return IsLiteral(AF_INET6, text); }

std::optional<HostPort> ParseHostPort(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  if (host.front() == '[') {
    if (host.size() < 3 || host.back() != ']') return std::nullopt;
    host = host.substr(1, host.size() - 2);
    if (!IsIpv6Literal(host)) return std::nullopt;
  } else if (host.find(':') != std::string_view::npos) {
    return std::nullopt;  // an IPv6 address without brackets: where its port begins is a guess
  }
  const std::optional<int64_t> port = ParseInt64(text.substr(colon + 1));
  if (!port || *port < 0 || *port > 65535) return std::nullopt;
  return HostPort{std::string(host), static_cast<uint16_t>(*port)};
}

std::optional<BindAddress> ParseBindAddress(std::string_view word) {
  BindAddress address;
  if (!word.empty() && word.front() == '-') {
    address.optional = true;
    word.remove_prefix(1);
  }
  if (word == "*") {
    address.host = "0.0.0.0";
  } else if (word == "::*") {
    address.host = "::";
  } else if (word == "localhost") {
    address.host = "127.0.0.1";
  } else if (IsLiteral(AF_INET, word) || IsIpv6Literal(word)) {
    address.host = word;
  } else {
    return std::nullopt;
  }
  return address;
}

std::optional<std::vector<std::string>> SplitWords(std::string_view line) {
  return WordReader(line).Read();
}

std::vector<std::string> SplitAtSpaces(std::string_view text) {
  std::vector<std::string> words;
  size_t begin = 0;
  while (true) {
    const size_t end = text.find(' ', begin);
    words.emplace_back(text.substr(begin, end - begin));
    if (end == std::string_view::npos) return words;
    begin = end + 1;
  }
}

std::string JoinWords(std::span<const std::string> words) {
  std::string text;
  for (const std::string& word : words) {
    if (!text.empty()) text += ' ';
    text += word;
  }
  return text;
}

std::string QuoteWord(std::string_view text) {
  bool plain = !text.empty();
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= ' ' || byte >= 0x7f || c == '"' || c == '\'' || c == '\\') plain = false;
  }
  if (plain && text.front() != '#') return std::string(text);
  std::string quoted;
  AppendQuoted(quoted, text);
  return quoted;
}

std::optional<uint32_t> ParseNotifyFlags(std::string_view letters) {
  uint32_t flags = 0;
  for (const char letter : letters) {
    const uint32_t flag = NotifyFlag(letter);
    if (flag == 0) return std::nullopt;
    flags |= flag;
  }
  return flags;
}

std::string PrintNotifyFlags(uint32_t flags) {
  std::string letters;
  if ((flags & notify::kAll) == notify::kAll) {
    letters = "A";  // and no `n` behind it, as in Redis
  } else {
    for (const NotifyLetter& known : kNotifyClasses) {
      if (flags & known.flag) letters += known.letter;
    }
  }
  for (const NotifyLetter& known : kNotifyOthers) {
    if (known.flag != notify::kAll && (flags & known.flag)) letters += known.letter;
  }
  return letters;
}

std::string KeptText(const Options& options, std::string_view name) {
  const auto kept = options.kept.find(name);
  return kept == options.kept.end() ? "" : kept->second;
}

std::optional<std::string> AdminTokenFault(std::string_view token) {
  const auto is_visible = [](char c) { return c > ' ' && c <= '~'; };
  if (token.size() >= kAdminTokenBytesMin && token.size() <= kAdminTokenBytesMax &&
      std::all_of(token.begin(), token.end(), is_visible)) {
    return std::nullopt;
  }
  return "a token is " + ToText(kAdminTokenBytesMin) + " to " + ToText(kAdminTokenBytesMax) +
         " visible ASCII characters without spaces";
}

}  // namespace tidegate
