// MetricRow: one exported metric, as a row in the header of the module that counts it.
//
// A row says what a scrape needs (name, type), what the reference page needs (help, labels) and
// nothing about the value: the lists of rows in storage/engine_metrics.h and
// proxy/server_metrics.h put a way to the value beside each. The exporter (proxy/admin) reads these
// lists at scrape, and docs/reference/metrics.md is generated from them, so that adding a metric is
// one row and none is without documentation.
// Names follow the conventions of Prometheus, and a row that does not does not compile: put
// static_assert(AreValidMetrics(list)) below each list. Names of keys, of clients and other text of
// users are never labels: they have no bound, and they may be secret. Thread: rows are constants.
// Source: https://prometheus.io/docs/practices/naming/
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tidegate {

enum class MetricType : uint8_t { kUnset, kCounter, kGauge, kHistogram };

// Base units alone, as Prometheus wants it.
enum class MetricUnit : uint8_t { kUnset, kCount, kSeconds, kBytes, kInfo };

struct MetricRow {
  std::string_view name;
  MetricType type = MetricType::kUnset;
  MetricUnit unit = MetricUnit::kUnset;
  std::string_view help;
  std::string_view label = {};         // name of its label; empty: a single series
  std::string_view second_label = {};  // of series that two labels tell apart
};

namespace internal {

// Metrics of the process have the names that all Prometheus clients give them.
inline constexpr std::string_view kProcessMetricNames[] = {"process_cpu_seconds_total",
                                                           "process_resident_memory_bytes",
                                                           "process_virtual_memory_bytes",
                                                           "process_start_time_seconds",
                                                           "process_open_fds",
                                                           "process_max_fds"};

constexpr bool IsSnakeCase(std::string_view text) {
  if (text.empty() || text.front() < 'a' || text.front() > 'z' || text.back() == '_') return false;
  char previous = 0;
  for (const char c : text) {
    const bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (!word && (c != '_' || previous == '_')) return false;
    previous = c;
  }
  return true;
}

constexpr bool IsProcessMetric(std::string_view name) {
  for (const std::string_view known : kProcessMetricNames) {
    if (name == known) return true;
  }
  return false;
}

// Suffixes that a base unit replaces, and those that the text format adds to histograms.
constexpr bool HasForbiddenSuffix(std::string_view name) {
  constexpr std::string_view kForbidden[] = {
      "_ms",        "_us",      "_ns",    "_millis", "_micros", "_nanos", "_milliseconds",
      "_minutes",   "_hours",   "_kb",    "_mb",     "_gb",     "_kib",   "_mib",
      "_kilobytes", "_percent", "_count", "_sum",    "_bucket", "_ticks"};
  for (const std::string_view suffix : kForbidden) {
    if (name.ends_with(suffix)) return true;
  }
  return false;
}

constexpr std::string_view NameFault(const MetricRow& row) {
  std::string_view base = row.name;
  if (!IsSnakeCase(base)) return "a name is words of a-z and 0-9 joined by single _";
  if (!base.starts_with("tidegate_") && !IsProcessMetric(base)) {
    return "a name begins with tidegate_";
  }
  const bool total = base.ends_with("_total");
  if (total != (row.type == MetricType::kCounter)) return "counters, and only they, end in _total";
  if (total) base.remove_suffix(std::string_view("_total").size());
  if (HasForbiddenSuffix(base)) return "only base units (seconds, bytes) and no reserved suffix";
  if (base.ends_with("_seconds") != (row.unit == MetricUnit::kSeconds)) {
    return "seconds, and only they, end in _seconds";
  }
  if (base.ends_with("_bytes") != (row.unit == MetricUnit::kBytes)) {
    return "bytes, and only they, end in _bytes";
  }
  if (base.ends_with("_info") != (row.unit == MetricUnit::kInfo)) {
    return "facts, and only they, end in _info";
  }
  return "";
}

constexpr std::string_view LabelFault(std::string_view label) {
  if (label.empty()) return "";
  if (!IsSnakeCase(label)) return "a label is words of a-z and 0-9 joined by single _";
  if (label == "le" || label == "quantile") return "le and quantile are the text format's labels";
  if (label == "key" || label == "client" || label == "address" || label == "user") {
    return "text of users is never a label";
  }
  return "";
}

}  // namespace internal

// What is wrong with a row, for people; empty: nothing.
constexpr std::string_view MetricFault(const MetricRow& row) {
  if (row.type == MetricType::kUnset) return "a row has a type";
  if (row.unit == MetricUnit::kUnset) return "a row has a unit";
  if (row.unit == MetricUnit::kInfo && row.type != MetricType::kGauge) return "facts are gauges";
  if (row.help.empty() || row.help.back() != '.') return "help is a sentence";
  if (const std::string_view fault = internal::NameFault(row); !fault.empty()) return fault;
  const std::string_view fault = internal::LabelFault(row.label);
  return fault.empty() ? internal::LabelFault(row.second_label) : fault;
}

// Whether all rows of a list (an array of structs with a member `row`, or of rows) are right.
template <typename Entry, size_t kSize>
constexpr bool AreValidMetrics(const Entry (&list)[kSize]) {
  for (const Entry& entry : list) {
    if constexpr (requires { entry.row; }) {
      if (!MetricFault(entry.row).empty()) return false;
    } else {
      if (!MetricFault(entry).empty()) return false;
    }
  }
  return true;
}

}  // namespace tidegate
