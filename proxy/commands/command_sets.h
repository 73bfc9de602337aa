// CommandSets: the command table, and those that were before it.
//
// Which commands there are depends on the configuration: with upstreams there is what `commands`
// declares. A reload that changes this makes another table. Tables are immutable and
// stay to the end, for requests and queues refer to their rows; one that is wanted again is taken
// again. Ids of commands that we know ourselves are the same in all of them, and a declared command
// keeps its id as long as it is declared, so counters go on. Owner: the server; For is the main
// thread's.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "config/options.h"
#include "proxy/commands/declared_commands.h"
#include "storage/command.h"

namespace tidegate {

// Different tables that one process may have had. About 100 KiB each.
inline constexpr size_t kCommandSetsMax = 100;

class CommandSets final {
 public:
  // `families`: what is there in any case.
  explicit CommandSets(std::vector<std::span<const CommandSpec>> families);

  // The table for these settings. An error when there have been too many.
  Result<const CommandTable*> For(const Options& options);
  // All ids are below.
  size_t ids_max() const { return ids_max_; }
  // What we know ourselves: their ids are the same in all tables, and below those of declared
  // commands.
  const CommandTable& known() const { return *known_; }

 private:
  struct Set {
    bool has_upstreams = false;
    std::vector<DeclaredCommandOptions> asked;     // as the configuration says it
    std::vector<DeclaredCommandOptions> declared;  // the same in the order of their ids
    std::unique_ptr<DeclaredCommands> rows;
    std::unique_ptr<CommandTable> table;
  };

  const std::vector<std::span<const CommandSpec>> families_;
  const std::unique_ptr<CommandTable> known_;
  std::vector<std::unique_ptr<Set>> sets_;
  Set* current_ = nullptr;
  size_t ids_max_ = 0;
};

}  // namespace tidegate
