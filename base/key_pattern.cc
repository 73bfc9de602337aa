#include "base/key_pattern.h"

#include <algorithm>

namespace tidegate {
namespace {

uint8_t ByteOf(char c) { return static_cast<uint8_t>(c); }

}  // namespace

// Takes one pattern apart; every function begins at what it reads and ends behind it.
class KeyPatternParser final {
 public:
  explicit KeyPatternParser(std::string_view text) : text_(text) { pattern_.text_ = text; }

  Result<KeyPattern> Parse() {
    if (text_.empty()) return Error{"a pattern of keys is not empty"};
    if (text_.size() > kKeyPatternBytesMax)
      return Error{"a pattern has at most " + std::to_string(kKeyPatternBytesMax) + " bytes"};
    ReadLiteral();
    while (at_ < text_.size()) {
      TG_RETURN_IF_ERROR(ReadPart());
      if (pattern_.parts_ > kKeyPatternPartsMax) {
        return Error{"a pattern has at most " + std::to_string(kKeyPatternPartsMax) +
                     " parts behind its literal beginning"};
      }
    }
    return std::move(pattern_);
  }

 private:
  using Bytes256 = KeyPattern::Bytes256;

  static Bytes256 Range(char first, char last) {
    Bytes256 bytes;
    for (unsigned c = ByteOf(first); c <= ByteOf(last); ++c) bytes.set(c);
    return bytes;
  }
  static Bytes256 Digits() { return Range('0', '9'); }
  static Bytes256 Hex() { return Digits() | Range('a', 'f') | Range('A', 'F'); }
  static Bytes256 Word() {
    return Digits() | Range('a', 'z') | Range('A', 'Z') | Range('_', '_') | Range('-', '-');
  }

  void ReadLiteral() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '*' || c == '?' || c == '[' || c == '<') return;
      if (c == '\\' && at_ + 1 < text_.size()) ++at_;
      pattern_.literal_ += text_[at_++];
    }
  }

  void Add(const Bytes256& bytes, bool repeats = false) {
    const size_t part = pattern_.parts_++;
    if (part >= kKeyPatternPartsMax) return;  // Parse refuses it
    for (size_t c = 0; c < bytes.size(); ++c) {
      if (bytes[c]) pattern_.accepts_[c] |= uint64_t{1} << part;
    }
    if (repeats) pattern_.repeats_ |= uint64_t{1} << part;
  }
  void AddOneOrMore(const Bytes256& bytes) {
    Add(bytes);
    Add(bytes, true);
  }

  Status ReadPart() {
    const char c = text_[at_++];
    if (c == '*') {
      Add(Bytes256().set(), true);
    } else if (c == '?') {
      Add(Bytes256().set());
    } else if (c == '[') {
      return ReadSet();
    } else if (c == '<') {
      return ReadName();
    } else {
      const bool escaped = c == '\\' && at_ < text_.size();
      const char meant = escaped ? text_[at_++] : c;
      Add(Range(meant, meant));
    }
    return {};
  }

  Status ReadName() {
    const size_t end = text_.find('>', at_);
    if (end == std::string_view::npos) return Error{"'<' without '>'; a literal one is \\<"};
    const std::string_view name = text_.substr(at_, end - at_);
    at_ = end + 1;
    if (name == "int") {
      AddOneOrMore(Digits());
    } else if (name == "hex") {
      AddOneOrMore(Hex());
    } else if (name == "word") {
      AddOneOrMore(Word());
    } else if (name == "uuid") {
      AddUuid();
    } else {
      return Error{"'<" + std::string(name.substr(0, 32)) +
                   ">' is none of <int>, <hex>, <word>, <uuid>"};
    }
    return {};
  }

  void AddUuid() {
    constexpr int kGroups[] = {8, 4, 4, 4, 12};
    bool first = true;
    for (const int digits : kGroups) {
      if (!first) Add(Range('-', '-'));
      first = false;
      for (int i = 0; i < digits; ++i) Add(Hex());
    }
  }

  Status ReadSet() {
    Bytes256 bytes;
    const bool negated = at_ < text_.size() && text_[at_] == '^';
    if (negated) ++at_;
    while (at_ < text_.size() && text_[at_] != ']') {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      const char first = text_[at_++];
      char last = first;
      if (at_ + 1 < text_.size() && text_[at_] == '-' && text_[at_ + 1] != ']') {
        last = text_[at_ + 1];
        at_ += 2;
      }
      bytes |= Range(std::min(first, last), std::max(first, last));
    }
    if (at_ == text_.size()) return Error{"'[' without ']'"};
    ++at_;
    Add(negated ? ~bytes : bytes);
    return {};
  }

  const std::string_view text_;
  size_t at_ = 0;
  KeyPattern pattern_;
};

Result<KeyPattern> KeyPattern::Parse(std::string_view text) {
  return KeyPatternParser(text).Parse();
}

// A part that takes any number of bytes may take none.
inline uint64_t KeyPattern::Skip(uint64_t states) const {
  uint64_t more = (states & repeats_) << 1 & ~states;
  while (more != 0) {
    states |= more;
    more = (states & repeats_) << 1 & ~states;
  }
  return states;
}

bool KeyPattern::Matches(std::string_view key) const {
  if (!key.starts_with(literal_)) return false;
  uint64_t states = Skip(1);  // bit i: the parts before i have been matched
  for (const char c : key.substr(literal_.size())) {
    const uint64_t taken = states & accepts_[ByteOf(c)];
    states = Skip((taken & ~repeats_) << 1 | (taken & repeats_));
    if (states == 0) return false;
  }
  return (states >> parts_ & 1) != 0;
}

std::vector<KeyPattern> ParsedPatterns(const std::vector<std::string>& texts) {
  std::vector<KeyPattern> patterns;
  patterns.reserve(texts.size());
  for (const std::string& text : texts) patterns.push_back(KeyPattern::Parse(text).value());
  return patterns;
}

bool MatchesAny(const std::vector<KeyPattern>& patterns, std::string_view key) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [key](const KeyPattern& pattern) { return pattern.Matches(key); });
}

}  // namespace tidegate
