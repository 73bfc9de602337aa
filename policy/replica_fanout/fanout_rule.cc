#include "policy/replica_fanout/fanout_rule.h"

#include "base/shown_text.h"

namespace tidegate {

FanoutRule::FanoutRule(const ReplicaFanoutOptions& options, PolicyMode mode,
                       const CommandTable& commands)
    : options_(options), mode_(mode) {
  for (const Command* const command : commands.all()) {
    if (command->spec->access != Access::kRead || command->full_name.ends_with("scan")) continue;
    if (covered_.size() <= command->id) covered_.resize(command->id + 1);
    covered_[command->id] = true;
  }
  patterns_ = ParsedPatterns(options.patterns);
  near_ = ParsedPatterns(options.near);
}

std::string FanoutRule::Describe() const {
  std::string line = "replica_fanout ";
  line += kPolicyModeNames[static_cast<size_t>(mode_)];
  line += ": keys";
  if (of_hot_keys()) line += " hot";
  for (const KeyPattern& pattern : patterns_) line += " " + Shown(pattern.text());
  line += " nodes " + std::string(kFanoutNodesNames[static_cast<size_t>(options_.nodes)]);
  if (has_near()) line += " near";
  for (const KeyPattern& pattern : near_) line += " " + Shown(pattern.text());
  return line + (own_writes() ? " own-writes yes" : " own-writes no");
}

}  // namespace tidegate
