// ReportLines: the lines of a KeyReport and its sums, key by key, wherever the keys come from.
// Memory: a buffer of lines, and the prefixes. Owner: one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/result.h"
#include "base/text_hash.h"
#include "storage/data_files.h"
#include "storage/key_report.h"
#include "storage/keyspace/entry.h"
#include "storage/value/key_size.h"

namespace tidegate {

struct ReportedKey {
  int db = 0;
  std::string_view name;
  ValueType type = ValueType::kString;
  std::string_view encoding;
  uint64_t bytes = 0;
  ElementSizes elements;
  int64_t expire_at_ms = kNoExpire;
};

class ReportLines final {
 public:
  // Borrows both.
  ReportLines(ByteOutput& csv, const KeyReportOptions& options);

  void Add(const ReportedKey& key);
  // Whether a key of so many bytes has a line.
  bool Wants(uint64_t bytes) const { return bytes >= options_.bytes_min; }
  bool failed() const { return !status_.ok(); }
  // Writes what is left.
  Status Finish();
  // The sums, once.
  void Take(KeyReport& report);

 private:
  using Prefixes = std::unordered_map<std::string, PrefixTotal, TextHash, std::equal_to<>>;

  void WriteLine(const ReportedKey& key);
  void Flush();
  void AddToPrefix(std::string_view name, uint64_t bytes);
  std::string_view PrefixOf(std::string_view name) const;

  ByteOutput& csv_;
  const KeyReportOptions& options_;
  std::string buffer_;
  Status status_;
  uint64_t bytes_ = 0;
  uint64_t lines_ = 0;
  Prefixes prefixes_;
};

}  // namespace tidegate
