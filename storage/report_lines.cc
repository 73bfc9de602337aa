#include "storage/report_lines.h"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <tuple>
#include <utility>

#include "base/text.h"

namespace tidegate {
namespace {

constexpr std::string_view kHeading =
    "database,type,key,size_in_bytes,encoding,num_elements,len_largest_element,expiry\n";
// Lines that are written at once.
constexpr size_t kBufferedBytes = 64 * 1024;

// rdbtools' words.
std::string_view TypeWord(ValueType type) {
  static constexpr std::string_view kWords[kValueTypes] = {"string", "list",   "set",  "sortedset",
                                                           "hash",   "stream", "bloom"};
  return kWords[static_cast<size_t>(type)];
}

// UTC, as Python's isoformat: 2026-11-26T10:00:00, and .123000 when it is not a whole second.
void AppendTime(std::string& out, int64_t unix_ms) {
  constexpr int64_t kSecond = 1000;
  constexpr int kFirstYear = 1900;
  const int64_t millis = (unix_ms % kSecond + kSecond) % kSecond;
  const time_t seconds = (unix_ms - millis) / kSecond;
  std::tm utc{};
  if (gmtime_r(&seconds, &utc) == nullptr) return;  // beyond any calendar
  char text[64];
  const int size =
      std::snprintf(text, sizeof text, "%d-%02d-%02dT%02d:%02d:%02d", utc.tm_year + kFirstYear,
                    utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
  out.append(text, static_cast<size_t>(size));
  if (millis == 0) return;
  const int part = std::snprintf(text, sizeof text, ".%03d000", static_cast<int>(millis));
  out.append(text, static_cast<size_t>(part));
}

void AppendNumber(std::string& out, uint64_t number) {
  char digits[kInt64TextBytesMax];
  out.append(digits, FormatUint64(number, digits));
}

// Bytes of the UTF-8 sequence that begins there; 0: none does.
size_t Utf8SequenceAt(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[at + i]); };
  const uint8_t first = byte(0);
  size_t size = 0;
  uint32_t point = 0;
  if (first < 0x80) return 1;
  if ((first & 0xe0) == 0xc0) size = 2, point = first & 0x1f;
  if ((first & 0xf0) == 0xe0) size = 3, point = first & 0x0f;
  if ((first & 0xf8) == 0xf0) size = 4, point = first & 0x07;
  if (size == 0 || at + size > text.size()) return 0;
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    point = point << 6 | (byte(i) & 0x3f);
  }
  static constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = point >= 0xd800 && point < 0xe000;
  return point >= kLeast[size] && point <= 0x10ffff && !surrogate ? size : 0;
}

// Of ASCII: written as it is.
bool IsPlain(char c) { return c >= ' ' && c < '\x7f' && c != '"' && c != '\\'; }

}  // namespace

void AppendCsvText(std::string& text, std::string_view bytes) {
  text += '"';
  for (size_t at = 0; at < bytes.size();) {
    size_t plain = at;
    while (plain < bytes.size() && IsPlain(bytes[plain])) ++plain;
    text += bytes.substr(at, plain - at);
    at = plain;
    if (at == bytes.size()) break;
    const size_t size = Utf8SequenceAt(bytes, at);
    const char c = bytes[at];
    const bool control = size <= 1 && (static_cast<uint8_t>(c) < ' ' || c == '\x7f');
    if (size == 0 || control) {
      char escape[5];
      std::snprintf(escape, sizeof escape, "\\x%02x", static_cast<uint8_t>(c));
      text += escape;
      ++at;
      continue;
    }
    if (c == '"' || c == '\\') text += c;
    text += bytes.substr(at, size);
    at += size;
  }
  text += '"';
}

std::string CsvText(std::string_view bytes) {
  std::string text;
  AppendCsvText(text, bytes);
  return text;
}

ReportLines::ReportLines(ByteOutput& csv, const KeyReportOptions& options)
    : csv_(csv), options_(options), buffer_(kHeading) {}

void ReportLines::Add(const ReportedKey& key) {
  bytes_ += key.bytes;
  AddToPrefix(key.name, key.bytes);
  if (!Wants(key.bytes)) return;
  WriteLine(key);
  if (buffer_.size() >= kBufferedBytes) Flush();
}

Status ReportLines::Finish() {
  if (!failed()) Flush();
  return status_;
}

void ReportLines::Take(KeyReport& report) {
  report.bytes = bytes_;
  report.lines = lines_;
  for (auto& [prefix, total] : prefixes_) {
    total.prefix = prefix;
    report.prefixes.push_back(std::move(total));
  }
  prefixes_.clear();
  std::sort(report.prefixes.begin(), report.prefixes.end(),
            [](const PrefixTotal& a, const PrefixTotal& b) {
              return std::tie(b.bytes, a.prefix) < std::tie(a.bytes, b.prefix);
            });
}

void ReportLines::WriteLine(const ReportedKey& key) {
  AppendNumber(buffer_, static_cast<uint64_t>(key.db));
  buffer_ += ',';
  buffer_ += TypeWord(key.type);
  buffer_ += ',';
  AppendCsvText(buffer_, key.name);
  buffer_ += ',';
  AppendNumber(buffer_, key.bytes);
  buffer_ += ',';
  buffer_ += key.encoding;
  buffer_ += ',';
  AppendNumber(buffer_, key.elements.count);
  buffer_ += ',';
  AppendNumber(buffer_, key.elements.largest_bytes);
  buffer_ += ',';
  if (key.expire_at_ms != kNoExpire) AppendTime(buffer_, key.expire_at_ms);
  buffer_ += '\n';
  ++lines_;
}

void ReportLines::Flush() {
  status_ = csv_.Write(buffer_);
  buffer_.clear();
}

void ReportLines::AddToPrefix(std::string_view name, uint64_t bytes) {
  std::string_view prefix = PrefixOf(name);
  auto place = prefixes_.find(prefix);
  if (place == prefixes_.end() && prefixes_.size() >= kReportPrefixesMax) {
    prefix = kOtherPrefixes;
    place = prefixes_.find(prefix);
  }
  if (place == prefixes_.end()) place = prefixes_.emplace(std::string(prefix), PrefixTotal()).first;
  PrefixTotal& total = place->second;
  ++total.keys;
  total.bytes += bytes;
  total.largest_bytes = std::max(total.largest_bytes, bytes);
}

std::string_view ReportLines::PrefixOf(std::string_view name) const {
  size_t end = 0;
  for (int i = 0; i < options_.depth; ++i) {
    const size_t at = name.find(options_.separator, end);
    if (at == std::string_view::npos) break;
    end = at + 1;
  }
  return end == 0 ? kNoPrefix : name.substr(0, end);
}

}  // namespace tidegate
