#include "storage/key_report.h"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "storage/entry_sink.h"
#include "storage/value/encoding_name.h"
#include "storage/value/key_size.h"

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
std::string TimeText(int64_t unix_ms) {
  constexpr int64_t kSecond = 1000;
  const int64_t millis = (unix_ms % kSecond + kSecond) % kSecond;
  const time_t seconds = (unix_ms - millis) / kSecond;
  std::tm utc{};
  if (gmtime_r(&seconds, &utc) == nullptr) return "";  // beyond any calendar
  char text[64];
  size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  if (millis != 0) {
    size += static_cast<size_t>(
        std::snprintf(text + size, sizeof text - size, ".%03d000", static_cast<int>(millis)));
  }
  return {text, size};
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

class ReportSink final : public EntrySink {
 public:
  ReportSink(ByteOutput& csv, const KeyReportOptions& options, int64_t now_ms)
      : csv_(csv), options_(options), now_ms_(now_ms), buffer_(kHeading) {}

  void OnDatabase(int db, uint64_t /*keys*/, uint64_t /*expiring*/) override { db_ = db; }
  void OnEntry(const Entry& entry) override {
    if (failed()) return;
    const size_t bytes = KeyBytes(entry);
    bytes_ += bytes;
    AddToPrefix(entry.key(), bytes);
    if (bytes < options_.bytes_min) return;
    WriteLine(entry, bytes);
    if (buffer_.size() >= kBufferedBytes) Flush();
  }
  bool failed() const override { return !status_.ok(); }
  Status Finish() override {
    if (!failed()) Flush();
    return status_;
  }

  void Take(KeyReport& report) {
    report.bytes = bytes_;
    report.lines = lines_;
    for (auto& [prefix, total] : prefixes_) {
      total.prefix = prefix;
      report.prefixes.push_back(std::move(total));
    }
    std::sort(report.prefixes.begin(), report.prefixes.end(),
              [](const PrefixTotal& a, const PrefixTotal& b) {
                return std::tie(b.bytes, a.prefix) < std::tie(a.bytes, b.prefix);
              });
  }

 private:
  void WriteLine(const Entry& entry, size_t bytes) {
    const ElementSizes elements = ElementsOf(entry, now_ms_);
    buffer_ += std::to_string(db_);
    buffer_ += ',';
    buffer_ += TypeWord(entry.type());
    buffer_ += ',';
    buffer_ += CsvText(entry.key());
    buffer_ += ',';
    buffer_ += std::to_string(bytes);
    buffer_ += ',';
    buffer_ += EncodingName(entry);
    buffer_ += ',';
    buffer_ += std::to_string(elements.count);
    buffer_ += ',';
    buffer_ += std::to_string(elements.largest_bytes);
    buffer_ += ',';
    if (entry.has_expire()) buffer_ += TimeText(entry.expire_at_ms());
    buffer_ += '\n';
    ++lines_;
  }

  void Flush() {
    status_ = csv_.Write(buffer_);
    buffer_.clear();
  }

  void AddToPrefix(std::string_view key, size_t bytes) {
    std::string prefix(PrefixOf(key));
    if (prefixes_.size() >= kReportPrefixesMax && !prefixes_.contains(prefix))
      prefix = kOtherPrefixes;
    PrefixTotal& total = prefixes_[std::move(prefix)];
    ++total.keys;
    total.bytes += bytes;
    total.largest_bytes = std::max<uint64_t>(total.largest_bytes, bytes);
  }

  std::string_view PrefixOf(std::string_view key) const {
    size_t end = 0;
    for (int i = 0; i < options_.depth; ++i) {
      const size_t at = key.find(options_.separator, end);
      if (at == std::string_view::npos) break;
      end = at + 1;
    }
    return end == 0 ? kNoPrefix : key.substr(0, end);
  }

  ByteOutput& csv_;
  const KeyReportOptions& options_;
  const int64_t now_ms_;
  int db_ = 0;
  std::string buffer_;
  Status status_;
  uint64_t bytes_ = 0;
  uint64_t lines_ = 0;
  std::unordered_map<std::string, PrefixTotal> prefixes_;
};

}  // namespace

std::string CsvText(std::string_view bytes) {
  std::string text = "\"";
  for (size_t at = 0; at < bytes.size();) {
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
  return text += '"';
}

Result<KeyReport> ReportKeys(const DataSource& source, ByteOutput& csv,
                             const KeyReportOptions& options, const ConvertOptions& convert) {
  ReportSink sink(csv, options, convert.now_ms);
  Result<ConvertReport> read = ConvertTo(source, sink, convert);
  if (!read.ok()) return std::move(read).error();
  KeyReport report;
  report.source = std::move(read).value();
  sink.Take(report);
  return report;
}

}  // namespace tidegate
