#include "proxy/commands/unnamed_writes.h"

#include <algorithm>
#include <string_view>

#include "base/text.h"
#include "policy/command_access.h"
#include "proxy/commands/declared_commands.h"
#include "storage/command.h"

namespace tidegate {
namespace {

bool HasStore(const Request& request) {
  return std::any_of(request.args.begin() + 1, request.args.end(), [](std::string_view arg) {
    return EqualsIgnoreCase(arg, "store") || EqualsIgnoreCase(arg, "storedist");
  });
}

}  // namespace

bool WritesUnnamedKeys(const Request& request) {
  const Command& command = *request.command;
  if (DataAccessOf(command) != DataAccess::kWrite) return false;
  if (request.keys.empty() || command.spec->group == Group::kScripting) return true;
  // What the configuration declares is a module's: what that does to keys nobody says.
  if (command.spec->handler == RefuseAsUnknown) return true;
  return HasStore(request) && (command.full_name == "sort" || command.full_name.starts_with("geo"));
}

}  // namespace tidegate
