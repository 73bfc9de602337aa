// FanoutRule: which reads of a route replicas may answer as well as the primary, and which of them.
//
// Those that name one key and change nothing; cursors mean something to one node alone. Which node
// has what, and who answers in the end, knows ReplicaFanout (proxy/upstream). Here is only what the
// configuration says. Immutable; threads: any.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/key_pattern.h"
#include "config/policy_options.h"
#include "storage/command.h"

namespace tidegate {

class FanoutRule final {
 public:
  FanoutRule(const ReplicaFanoutOptions& options, PolicyMode mode, const CommandTable& commands);

  PolicyMode mode() const { return mode_; }
  bool Covers(const Command& command) const {
    return command.id < covered_.size() && covered_[command.id];
  }
  // Whether keys are chosen by whether they are hot; else by their names.
  bool of_hot_keys() const { return options_.hot; }
  bool Names(std::string_view key) const { return MatchesAny(patterns_, key); }
  // The primary has a share of the reads, too.
  bool primary_too() const { return options_.nodes == FanoutNodes::kAll; }
  // A read goes to a replica only when that is sure to have the key's last write through here.
  bool own_writes() const { return options_.own_writes; }
  // Nodes that are near are read while one of them may be.
  bool has_near() const { return !near_.empty(); }
  bool IsNear(std::string_view address) const { return MatchesAny(near_, address); }
  std::string Describe() const;

 private:
  const ReplicaFanoutOptions options_;
  const PolicyMode mode_;
  std::vector<bool> covered_;  // by command
  std::vector<KeyPattern> patterns_;
  std::vector<KeyPattern> near_;
};

}  // namespace tidegate
