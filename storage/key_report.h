// KeyReport: which keys there are and how large they are, as lines of CSV, and sums by the prefix
// of their names. From an RDB file of any size, or any other source of data, without a server.
//
//   database,type,key,size_in_bytes,encoding,num_elements,len_largest_element,expiry
//   0,string,"session:1",96,embstr,1,11,2026-11-26T10:00:00
//
// The columns are those of rdbtools, so that what reads its files reads these. Of a string
// num_elements is 1; len_largest_element of a hash counts a field with its value, of a Bloom filter
// the bits of all layers in bytes.
// Names are text in double quotes: what is no printable UTF-8 is \xNN, a backslash \\, a quote "".
//
// Sizes are those of the server that the reader asks about (SizesOf): of Redis they are measured in
// the RDB form, of an RDB file as it is read, without making its values (rdb/value_measure.h); of
// Tidegate each value is made and asked.
// Memory: one value at a time, and the prefixes. Owner: one thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "storage/data_convert.h"

namespace tidegate {

// Prefixes that are told apart; keys of further ones count as of kOtherPrefixes.
inline constexpr size_t kReportPrefixesMax = 100'000;
inline constexpr char kOtherPrefixes[] = "(other)";
// Of keys without a separator.
inline constexpr char kNoPrefix[] = "(none)";

// Whose MEMORY USAGE the sizes are, and whose OBJECT ENCODING the encodings.
enum class SizesOf : uint8_t { kRedis, kTidegate };

struct KeyReportOptions {
  SizesOf sizes = SizesOf::kRedis;
  uint64_t bytes_min = 0;  // smaller keys have no line; they count in the sums all the same
  char separator = ':';
  int depth = 1;  // a prefix ends with the so manieth separator, or the last when there are fewer
};

struct PrefixTotal {
  std::string prefix;  // with its last separator
  uint64_t keys = 0;
  uint64_t bytes = 0;
  uint64_t largest_bytes = 0;
};

struct KeyReport {
  ConvertReport source;
  uint64_t bytes = 0;  // of all keys
  uint64_t lines = 0;
  std::vector<PrefixTotal> prefixes;  // the most bytes first
};

// Writes a heading and the lines to `csv`.
Result<KeyReport> ReportKeys(const DataSource& source, ByteOutput& csv,
                             const KeyReportOptions& options, const ConvertOptions& convert);

// As the names in the lines are written.
std::string CsvText(std::string_view bytes);
void AppendCsvText(std::string& text, std::string_view bytes);

}  // namespace tidegate
