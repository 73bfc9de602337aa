#include "policy/local_cache/local_cache_rule.h"

#include <array>

#include "base/shown_text.h"
#include "config/option_value.h"

namespace tidegate {
namespace {

constexpr std::array<std::string_view, 15> kCovered = {
    "get",  "mget",  "exists", "strlen", "hget",     "hmget",  "hgetall", "sismember",
    "hlen", "scard", "llen",   "zscore", "smembers", "zrange", "lrange"};

}  // namespace

LocalCacheRule::LocalCacheRule(const LocalCacheOptions& options, PolicyMode mode,
                               const CommandTable& commands, bool keeps_nothing)
    : options_(options), mode_(mode), keeps_nothing_(keeps_nothing) {
  for (const std::string_view name : kCovered) {
    const Command* const command = commands.Find(name);
    if (command == nullptr) continue;
    if (covered_.size() <= command->id) covered_.resize(command->id + 1);
    covered_[command->id] = true;
  }
  patterns_ = ParsedPatterns(options.patterns);
}

std::string LocalCacheRule::Describe() const {
  std::string line = "local_cache ";
  line += kPolicyModeNames[static_cast<size_t>(mode_)];
  line += ": keys";
  if (of_hot_keys()) line += " hot";
  for (const KeyPattern& pattern : patterns_) line += " " + Shown(pattern.text());
  return line + " ttl-max " + PrintDuration(options_.ttl_max) + " entry-bytes-max " +
         std::to_string(options_.entry_bytes_max.count);
}

}  // namespace tidegate
