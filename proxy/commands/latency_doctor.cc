#include "proxy/commands/latency_doctor.h"

#include <algorithm>
#include <cstdio>

#include "base/text.h"

namespace tidegate {
namespace {

// "1. command: 3 spikes, average 120 ms, mean deviation 20 ms, one in 4.00 s, worst ever 150 ms."
std::string DescribeEvent(size_t number, const LatencyHistory& history, int64_t now_unix_seconds) {
  const auto count = static_cast<int64_t>(history.samples.size());
  int64_t sum = 0;
  for (const LatencySample& sample : history.samples) sum += sample.latency_ms;
  const int64_t average = count == 0 ? 0 : sum / count;
  int64_t deviation = 0;
  for (const LatencySample& sample : history.samples) {
    deviation += std::abs(static_cast<int64_t>(sample.latency_ms) - average);
  }
  const int64_t seconds =
      count == 0 ? 0 : std::max<int64_t>(now_unix_seconds - history.samples[0].unix_seconds, 1);
  char numbers[192];
  std::snprintf(numbers, sizeof numbers,
                "%lld spikes, average %lld ms, mean deviation %lld ms, one in %.2f s, worst ever "
                "%lld ms.\n",
                static_cast<long long>(count), static_cast<long long>(average),
                static_cast<long long>(count == 0 ? 0 : deviation / count),
                count == 0 ? 0.0 : static_cast<double>(seconds) / static_cast<double>(count),
                static_cast<long long>(history.event.max_ms));
  return std::to_string(number) + ". " + history.event.name + ": " + numbers;
}

std::string AdviceFor(const std::string& event, const Options& options) {
  std::string advice;
  if (event == "command") {
    const int64_t slow_us = options.slowlog_log_slower_than.count();
    const int64_t threshold_us = options.latency_monitor_threshold.count() * 1000;
    if (slow_us < 0 || slow_us > threshold_us) {
      advice +=
          "- The slow log does not keep all commands that are counted here. CONFIG SET "
          "slowlog-log-slower-than " +
          ToText(threshold_us) + " makes it.\n";
    }
    advice +=
        "- SLOWLOG GET shows which commands were slow and who sent them. Commands over the "
        "whole keyspace and values of many megabytes are the usual causes.\n";
  } else if (event == "fast-command") {
    advice +=
        "- Commands that take a microsecond took milliseconds: the process did not get its "
        "processor. Look for load on the machine, for a CPU limit of the container, and for "
        "noisy neighbours of a virtual machine; redis-cli --intrinsic-latency measures it.\n";
  } else if (event == "expire-cycle") {
    advice += "- Many keys expire at the same time. Spread their times.\n";
  } else if (event == "eviction-cycle") {
    advice +=
        "- Memory was full and many keys had to go at once: after maxmemory was lowered, or "
        "when much larger values than usual came in.\n";
  }
  return advice;
}

}  // namespace

std::string LatencyReport(const std::vector<LatencyHistory>& histories, const Options& options,
                          int64_t now_unix_seconds) {
  if (histories.empty() && options.latency_monitor_threshold.count() == 0) {
    return "Latency monitoring is off. CONFIG SET latency-monitor-threshold <milliseconds> turns "
           "it on.\n";
  }
  if (histories.empty()) return "No latency spike was seen since monitoring was turned on.\n";
  std::string report = "Latency spikes were seen:\n\n";
  std::string advice;
  for (size_t i = 0; i < histories.size(); ++i) {
    report += DescribeEvent(i + 1, histories[i], now_unix_seconds);
    advice += AdviceFor(histories[i].event.name, options);
  }
  if (!advice.empty()) report += "\nWhat to look at:\n\n" + advice;
  return report;
}

}  // namespace tidegate
