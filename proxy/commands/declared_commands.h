// DeclaredCommands: rows of the command table for commands that the configuration names, those of
// modules that upstreams have loaded.
//
// A row for each, so that parsing, routing, metrics and MONITOR treat them as all others. The
// engine does not know them: of whoever's keys are its own they are unknown commands. Owns the rows
// and their names, which the table refers to; owned by the server, for as long as the table.
#pragma once

#include <deque>
#include <span>
#include <string>
#include <vector>

#include "config/upstream_options.h"
#include "storage/command.h"

namespace tidegate {

class DeclaredCommands final {
 public:
  // Names are unique. One that is in `known` is left out, with a warning: a later version may know
  // what this one had to be told.
  DeclaredCommands(std::span<const DeclaredCommandOptions> options,
                   std::span<const std::span<const CommandSpec>> known);

  std::span<const CommandSpec> family() const { return rows_; }

 private:
  std::deque<std::string> names_;
  std::vector<CommandSpec> rows_;
};

// The handler of what the engine does not know.
ExecStatus RefuseAsUnknown(CommandContext& context);

}  // namespace tidegate
