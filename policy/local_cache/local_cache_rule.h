// LocalCacheRule: which reads of a route may be answered from kept replies (LocalCacheStore).
//
// Those that name one key and whose reply depends on that key alone, at a moment: nothing random,
// no time to live, no cursor. By itself it keeps nothing. Immutable; threads: any.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/key_pattern.h"
#include "config/policy_options.h"
#include "storage/command.h"

namespace tidegate {

class LocalCacheRule final {
 public:
  // `keeps_nothing`: also replies that say that there is nothing; false where another policy of the
  // route has to see each of them.
  LocalCacheRule(const LocalCacheOptions& options, PolicyMode mode, const CommandTable& commands,
                 bool keeps_nothing);

  PolicyMode mode() const { return mode_; }
  int64_t ttl_max_ns() const { return std::chrono::nanoseconds(options_.ttl_max).count(); }
  size_t entry_bytes_max() const { return options_.entry_bytes_max.count; }
  bool keeps_nothing() const { return keeps_nothing_; }
  bool Covers(const Command& command) const {
    return command.id < covered_.size() && covered_[command.id];
  }
  // Whether keys are chosen by whether they are hot; else by their names.
  bool of_hot_keys() const { return options_.hot; }
  bool Names(std::string_view key) const { return MatchesAny(patterns_, key); }
  std::string Describe() const;

 private:
  const LocalCacheOptions options_;
  const PolicyMode mode_;
  const bool keeps_nothing_;
  std::vector<bool> covered_;  // by command
  std::vector<KeyPattern> patterns_;
};

}  // namespace tidegate
