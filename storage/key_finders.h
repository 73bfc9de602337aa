// Finders of keys that are counted by an argument, for rows of the command table: NAME … numkeys
// key [key …]. Stateless; any thread.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/text.h"

namespace tidegate {

// The keys behind the number at argument kCount.
template <size_t kCount>
bool FindCountedKeys(std::span<const std::string_view> args, std::vector<int>& out) {
  if (args.size() <= kCount) return false;
  const std::optional<int64_t> count = ParseInt64(args[kCount]);
  if (!count || *count < 1 || static_cast<uint64_t>(*count) > args.size() - kCount - 1)
    return false;
  for (size_t i = 0; i < static_cast<size_t>(*count); ++i)
    out.push_back(static_cast<int>(kCount + 1 + i));
  return true;
}

// The same with a key before them that is written to: the first argument.
template <size_t kCount>
bool FindTargetAndCountedKeys(std::span<const std::string_view> args, std::vector<int>& out) {
  if (args.size() < 2) return false;
  out.push_back(1);
  return FindCountedKeys<kCount>(args, out);
}

// The first half of what follows STREAMS; the second half are IDs. Options stand before it.
inline bool FindStreamKeys(std::span<const std::string_view> args, std::vector<int>& out) {
  for (size_t i = 1; i < args.size(); ++i) {
    if (EqualsIgnoreCase(args[i], "block") || EqualsIgnoreCase(args[i], "count")) {
      ++i;
    } else if (EqualsIgnoreCase(args[i], "group")) {
      i += 2;
    } else if (EqualsIgnoreCase(args[i], "streams")) {
      const size_t words = args.size() - i - 1;
      if (words == 0 || words % 2 != 0) return false;
      for (size_t key = i + 1; key <= i + words / 2; ++key) out.push_back(static_cast<int>(key));
      return true;
    } else if (!EqualsIgnoreCase(args[i], "noack")) {
      return false;
    }
  }
  return false;
}

}  // namespace tidegate
