#include "storage/value/stream_id.h"

#include <cerrno>
#include <cstdlib>
#include <string>

namespace tidegate {
namespace {

// Longest text that is looked at. As Redis.
constexpr size_t kTextBytesMax = 127;

// As Redis's string2ull: what is not a canonical integer is left to strtoull.
std::optional<uint64_t> ParsePart(std::string_view text) {
  if (const std::optional<int64_t> number = ParseInt64(text)) {
    if (*number < 0) return std::nullopt;
    return static_cast<uint64_t>(*number);
  }
  if (text.empty()) return std::nullopt;
  const std::string copy(text);
  char* end = nullptr;
  errno = 0;
  const uint64_t number = std::strtoull(copy.c_str(), &end, 10);
  if (errno != 0 || end == copy.c_str() || *end != '\0') return std::nullopt;
  return number;
}

}  // namespace

std::string_view FormatStreamId(const StreamId& id, char* out) {
  size_t n = FormatUint64(id.ms, out);
  out[n++] = '-';
  n += FormatUint64(id.seq, out + n);
  return {out, n};
}

std::optional<ParsedStreamId> ParseStreamId(std::string_view text, uint64_t missing_seq,
                                            StreamIdForm form) {
  if (text.size() > kTextBytesMax) return std::nullopt;
  if (text == "-" || text == "+") {
    if (form != StreamIdForm::kRange) return std::nullopt;
    return ParsedStreamId{text == "-" ? StreamId{} : StreamId::Max()};
  }
  const size_t dash = text.find('-');
  const std::optional<uint64_t> ms = ParsePart(text.substr(0, dash));
  if (!ms) return std::nullopt;
  if (dash == std::string_view::npos) return ParsedStreamId{{*ms, missing_seq}};
  const std::string_view rest = text.substr(dash + 1);
  if (form == StreamIdForm::kStrictWithStar && rest == "*") return ParsedStreamId{{*ms, 0}, false};
  const std::optional<uint64_t> seq = ParsePart(rest);
  if (!seq) return std::nullopt;
  return ParsedStreamId{{*ms, *seq}};
}

}  // namespace tidegate
