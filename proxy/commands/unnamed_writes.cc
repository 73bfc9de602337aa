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

// What the configuration declares is a module's: what that does to keys nobody says.
bool AlwaysMay(const Command& write) {
  return write.spec->group == Group::kScripting || write.spec->handler == RefuseAsUnknown;
}

bool MayStore(const Command& write) {
  return write.spec->group == Group::kGeo ||
         (write.spec->group == Group::kGeneric && write.full_name == "sort");
}

}  // namespace

bool WritesUnnamedKeys(const Request& request) {
  const Command& command = *request.command;
  if (DataAccessOf(command) != DataAccess::kWrite) return false;
  if (request.keys.empty() || AlwaysMay(command)) return true;
  return MayStore(command) && HasStore(request);
}

bool MayWriteOtherKeys(const Command& command) {
  return DataAccessOf(command) == DataAccess::kWrite && (AlwaysMay(command) || MayStore(command));
}

}  // namespace tidegate
