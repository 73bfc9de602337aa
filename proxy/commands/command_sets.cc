#include "proxy/commands/command_sets.h"

#include <algorithm>
#include <string>

#include "proxy/commands/families.h"

namespace tidegate {
namespace {

using Declared = std::vector<DeclaredCommandOptions>;

bool HasName(const Declared& all, const std::string& name) {
  return std::any_of(all.begin(), all.end(),
                     [&name](const DeclaredCommandOptions& one) { return one.name == name; });
}

// The same commands, those that were there before in their places as far as that goes.
Declared InPlaces(const Declared& before, const Declared& asked) {
  Declared fresh;
  for (const DeclaredCommandOptions& one : asked) {
    if (!HasName(before, one.name)) fresh.push_back(one);
  }
  Declared placed;
  auto next = fresh.begin();
  for (const DeclaredCommandOptions& old : before) {
    const auto stays = std::find_if(asked.begin(), asked.end(),
                                    [&old](const auto& one) { return one.name == old.name; });
    if (stays != asked.end()) {
      placed.push_back(*stays);
    } else if (next != fresh.end()) {
      placed.push_back(*next++);
    }
  }
  placed.insert(placed.end(), next, fresh.end());
  return placed;
}

std::vector<std::span<const CommandSpec>> WithScripts(
    std::vector<std::span<const CommandSpec>> families) {
  families.push_back(kScriptingFamily);
  return families;
}

bool CountsUpstreams(const Options& options) {
  return std::any_of(options.clusters.begin(), options.clusters.end(),
                     [](const ClusterOptions& cluster) { return cluster.is_upstream(); });
}

}  // namespace

CommandSets::CommandSets(std::vector<std::span<const CommandSpec>> families)
    : families_(WithScripts(std::move(families))),
      known_(CommandTable::Create(families_)),
      ids_max_(known_->size() + kDeclaredCommandsMax) {}

Result<const CommandTable*> CommandSets::For(const Options& options) {
  const bool has_upstreams = CountsUpstreams(options);
  const Declared asked = has_upstreams ? options.declared_commands : Declared();
  for (const std::unique_ptr<Set>& known : sets_) {
    if (known->has_upstreams != has_upstreams || known->asked != asked) continue;
    current_ = known.get();
    return static_cast<const CommandTable*>(current_->table.get());
  }
  if (sets_.size() >= kCommandSetsMax) {
    return Error{"'commands' has changed " + std::to_string(kCommandSetsMax) +
                 " times: that needs a restart"};
  }
  auto set = std::make_unique<Set>();
  set->has_upstreams = has_upstreams;
  set->asked = asked;
  set->declared = InPlaces(current_ == nullptr ? Declared() : current_->declared, asked);
  std::vector<std::span<const CommandSpec>> families = families_;
  if (has_upstreams) {
    set->rows = std::make_unique<DeclaredCommands>(set->declared, families);
    families.push_back(set->rows->family());
  }
  set->table = CommandTable::Create(families);
  current_ = sets_.emplace_back(std::move(set)).get();
  return static_cast<const CommandTable*>(current_->table.get());
}

}  // namespace tidegate
