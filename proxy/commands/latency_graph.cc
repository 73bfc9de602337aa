#include "proxy/commands/latency_graph.h"

#include <algorithm>
#include <vector>

namespace tidegate {
namespace {

constexpr size_t kColumns = 80;
constexpr int kRows = 4;
// A character has three heights, so that four rows show twelve.
constexpr std::string_view kHeights = "_o#";
constexpr int kHeightsPerRow = 3;

// "12s", "5m", "3h", "2d" ago.
std::string Age(int64_t seconds) {
  if (seconds < 60) return std::to_string(seconds) + "s";
  if (seconds < 3600) return std::to_string(seconds / 60) + "m";
  if (seconds < 86400) return std::to_string(seconds / 3600) + "h";
  return std::to_string(seconds / 86400) + "d";
}

// What a column of that height (0 .. kRows * kHeightsPerRow - 1) shows in a row, counted from the
// top.
char Cell(int height, int row) {
  const int above = height - (kRows - row - 1) * kHeightsPerRow;
  if (above < 0) return ' ';
  return above < kHeightsPerRow ? kHeights[static_cast<size_t>(above)] : '|';
}

// Texts side by side, each written downwards.
std::string Downwards(const std::vector<std::string>& texts) {
  size_t rows = 0;
  for (const std::string& text : texts) rows = std::max(rows, text.size());
  std::string out;
  for (size_t row = 0; row < rows; ++row) {
    for (const std::string& text : texts) out += row < text.size() ? text[row] : ' ';
    out += '\n';
  }
  return out;
}

}  // namespace

std::string DrawLatencyGraph(std::string_view event, std::span<const LatencySample> samples,
                             uint32_t all_time_max_ms, int64_t now_unix_seconds) {
  const auto [low, high] = std::minmax_element(
      samples.begin(), samples.end(),
      [](const LatencySample& a, const LatencySample& b) { return a.latency_ms < b.latency_ms; });
  const uint32_t min = low->latency_ms;
  const uint32_t range = std::max(high->latency_ms - min, 1u);

  std::string out(event);
  out += " - high " + std::to_string(high->latency_ms) + " ms, low " + std::to_string(min) +
         " ms (all time high " + std::to_string(all_time_max_ms) + " ms)\n";
  out += std::string(kColumns, '-') + "\n";
  for (size_t begin = 0; begin < samples.size(); begin += kColumns) {
    const auto part = samples.subspan(begin, std::min(kColumns, samples.size() - begin));
    if (begin > 0) out += '\n';
    std::vector<std::string> ages;
    std::vector<int> heights;
    for (const LatencySample& sample : part) {
      constexpr uint64_t kSteps = kRows * kHeightsPerRow;
      const uint64_t height = (sample.latency_ms - min) * kSteps / range;
      heights.push_back(static_cast<int>(std::min(height, kSteps - 1)));
      ages.push_back(Age(std::max<int64_t>(now_unix_seconds - sample.unix_seconds, 0)));
    }
    for (int row = 0; row < kRows; ++row) {
      for (const int height : heights) out += Cell(height, row);
      out += '\n';
    }
    out += '\n' + Downwards(ages);
  }
  return out;
}

}  // namespace tidegate
