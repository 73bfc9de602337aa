#include "storage/errors.h"

#include <algorithm>

namespace tidegate::errors {
namespace {

// As printf's %.*s: up to a NUL.
std::string_view EchoedPart(std::string_view text, size_t bytes_max) {
  return text.substr(0, std::min(text.find('\0'), bytes_max));
}

}  // namespace

std::string UnknownCommand(std::span<const std::string_view> args) {
  std::string arguments;
  for (size_t i = 1; i < args.size() && arguments.size() < kEchoedBytesMax; ++i) {
    arguments += "'";
    arguments += EchoedPart(args[i], kEchoedBytesMax - (arguments.size() - 1));
    arguments += "' ";
  }
  return "ERR unknown command '" + std::string(EchoedPart(args[0], kEchoedBytesMax)) +
         "', with args beginning with: " + arguments;
}

std::string UnknownSubcommand(std::string_view upper_name, std::string_view subcommand) {
  return "ERR unknown subcommand '" + std::string(EchoedPart(subcommand, kEchoedBytesMax)) +
         "'. Try " + std::string(EchoedPart(upper_name, kEchoedBytesMax)) + " HELP.";
}

}  // namespace tidegate::errors
