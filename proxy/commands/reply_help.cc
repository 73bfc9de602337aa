#include "proxy/commands/reply_help.h"

#include <string>

namespace tidegate {
namespace {

// Bytes of a wrong word that an error repeats. As Redis.
constexpr size_t kRepeatedBytesMax = 128;

// "CLIENT" for CLIENT LIST; the command's own name for one without a container.
std::string_view ContainerName(const Command& command) {
  return command.container != nullptr ? command.container->spec->name : command.spec->name;
}

}  // namespace

ExecStatus FailSubcommand(SessionCommand& c) {
  std::string error = "ERR unknown subcommand or wrong number of arguments for '";
  error += c.arg(1).substr(0, kRepeatedBytesMax);
  error += "'. Try ";
  error += ContainerName(c.command());
  error += " HELP.";
  return c.Fail(error);
}

ExecStatus ReplyHelp(SessionCommand& c, std::span<const std::string_view> lines) {
  std::string heading(ContainerName(c.command()));
  heading += " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:";
  c.reply().Array(lines.size() + 3);
  c.reply().SimpleString(heading);
  for (const std::string_view line : lines) c.reply().SimpleString(line);
  c.reply().SimpleString("HELP");
  c.reply().SimpleString("    Print this help.");
  return ExecStatus::kDone;
}

}  // namespace tidegate
