#include "config/near_miss.h"

#include <algorithm>
#include <vector>

#include "base/text.h"

namespace tidegate {
namespace {

// Longer names are not mistyped settings, and the table grows with the product of the lengths.
constexpr size_t kNameBytesMax = 64;

}  // namespace

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> before_last(b.size() + 1);
  std::vector<size_t> last(b.size() + 1);
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const bool same = ToLowerAscii(a[i - 1]) == ToLowerAscii(b[j - 1]);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && ToLowerAscii(a[i - 1]) == ToLowerAscii(b[j - 2]) &&
                           ToLowerAscii(a[i - 2]) == ToLowerAscii(b[j - 1]);
      if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    std::swap(before_last, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

std::optional<std::string> NearestName(std::string_view name,
                                       std::span<const std::string_view> candidates) {
  if (name.empty() || name.size() > kNameBytesMax) return std::nullopt;
  const size_t edits_max = std::clamp<size_t>(name.size() / 3, 1, 3);
  std::string_view nearest;
  size_t nearest_edits = edits_max + 1;
  for (const std::string_view candidate : candidates) {
    const size_t edits = EditDistance(name, candidate);
    if (edits < nearest_edits) {
      nearest = candidate;
      nearest_edits = edits;
    }
  }
  if (nearest.empty()) return std::nullopt;
  return std::string(nearest);
}

}  // namespace tidegate
