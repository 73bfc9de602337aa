#include "proxy/commands/families.h"

#include <array>

#include "proxy/session/session_command.h"

namespace tidegate {
namespace {

ExecStatus CmdPing(SessionCommand& c) {
  if (c.argc() > 2) return c.Fail(errors::WrongArity(c.command().full_name));
  if (c.argc() == 2) {
    c.reply().Bulk(c.arg(1));
  } else {
    c.reply().SimpleString("PONG");
  }
  return ExecStatus::kDone;
}

ExecStatus CmdQuit(SessionCommand& c) {
  c.session().CloseAfterReply();
  return c.Ok();
}

constexpr CommandSpec kConnectionCommands[] = {
    {.name = "PING",
     .arity = AtLeast(1),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kFast,
     .group = Group::kConnection,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Ping the server",
     .session_handler = CmdPing},
    {.name = "QUIT",
     .arity = AtLeast(1),
     .access = Access::kNone,
     .scope = Scope::kProcess,
     .flags = kFast | kNoAuth | kAllowBusy | kLoading | kStale | kNoScript,
     .group = Group::kConnection,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Close the connection",
     .session_handler = CmdQuit},
};
static_assert(IsValidFamily(kConnectionCommands));

}  // namespace

std::span<const std::span<const CommandSpec>> ProxyCommandFamilies() {
  static constexpr std::array<std::span<const CommandSpec>, 1> kFamilies = {kConnectionCommands};
  return kFamilies;
}

}  // namespace tidegate
