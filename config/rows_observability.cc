// Slow commands and latency.
#include <cstdio>

#include "base/text.h"
#include "config/option_value.h"
#include "config/rows.h"

namespace tidegate {
namespace {

using enum OptionType;

// Percentiles of one INFO line: each costs a walk over a histogram.
constexpr size_t kPercentilesMax = 32;

OptionFault ParsePercentiles(Options& options, std::span<const std::string> words) {
  std::vector<double> percentiles;
  if (!(words.size() == 1 && words[0].empty())) {
    if (words.size() > kPercentilesMax) return "too many percentiles";
    for (const std::string& word : words) {
      const std::optional<double> value = ParseDouble(word);
      if (!value) return "Invalid latency-tracking-info-percentiles parameters";
      if (*value < 0 || *value > 100) {
        return "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]";
      }
      percentiles.push_back(*value);
    }
  }
  options.latency_tracking_info_percentiles = std::move(percentiles);
  return std::nullopt;
}

// Six digits, zeros at the end cut: 99.9.
std::string PrintPercentile(double value) {
  char text[32];
  const int length = std::snprintf(text, sizeof(text), "%f", value);
  std::string trimmed(text, static_cast<size_t>(length));
  trimmed.erase(trimmed.find_last_not_of('0') + 1);
  if (trimmed.back() == '.') trimmed.pop_back();
  return trimmed;
}

std::string PrintPercentiles(const Options& options) {
  std::vector<std::string> words;
  for (const double value : options.latency_tracking_info_percentiles) {
    words.push_back(PrintPercentile(value));
  }
  return JoinWords(words);
}

OptionFault ParseAccessSample(Options& options, std::span<const std::string> words) {
  const std::optional<double> value = words.size() == 1 ? ParseDouble(words[0]) : std::nullopt;
  if (!value || !(*value >= 0 && *value <= 1)) return "argument must be a number between 0 and 1";
  options.access_log_sample = *value;
  return std::nullopt;
}

std::string PrintAccessSample(const Options& options) {
  char text[32];
  const int length = std::snprintf(text, sizeof(text), "%.9g", options.access_log_sample);
  return {text, static_cast<size_t>(length)};
}

constexpr OptionRow kRows[] = {
    {.name = "slowlog-log-slower-than",
     .type = kInteger,
     .initial = "10000",
     .min = -1,
     .member = NumberMember<&Options::slowlog_log_slower_than>(),
     .help = "Microseconds from which a command is logged. 0: every command, -1: none."},
    {.name = "slowlog-max-len",
     .type = kInteger,
     .initial = "128",
     .member = NumberMember<&Options::slowlog_max_len>(),
     .help = "Slow commands that SLOWLOG keeps."},
    {.name = "latency-monitor-threshold",
     .type = kInteger,
     .initial = "0",
     .member = NumberMember<&Options::latency_monitor_threshold>(),
     .help = "Milliseconds from which LATENCY notes an event. 0: off."},
    {.name = "latency-tracking",
     .type = kYesNo,
     .initial = "yes",
     .member = NumberMember<&Options::latency_tracking>(),
     .help = "Keep a latency histogram for each command."},
    {.name = "latency-tracking-info-percentiles",
     .type = kSpecial,
     .initial = "50 99 99.9",
     .codec = {ParsePercentiles, PrintPercentiles},
     .many_words = true,
     .help = "Percentiles that INFO latencystats shows."},
    {.name = "slow-request-log-threshold",
     .type = kInteger,
     .initial = "-1",
     .min = -1,
     .member = NumberMember<&Options::slow_request_log_threshold>(),
     .help = "Microseconds from which a request becomes a line in the log, with where its time "
             "went. -1: none."},
    {.name = "access-log-sample",
     .type = kSpecial,
     .initial = "0",
     .codec = {ParseAccessSample, PrintAccessSample},
     .help = "Share of requests, 0 to 1, that the access log has a line for. Keys are in it, "
             "values never are."},
    {.name = "access-log-file",
     .type = kText,
     .initial = "",
     .member = TextMember(&Options::access_log_file),
     .run_time = false,
     .help = "File of the access log. Empty: the log."},
};

}  // namespace

const OptionGroup kObservabilityOptions = {"Slow commands and latency",
                                           "What SLOWLOG, LATENCY and INFO show.", kRows};

}  // namespace tidegate
