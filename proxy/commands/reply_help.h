// The replies that containers of sub-commands have in common: HELP, and the texts for people that
// RESP3 marks as such. Redis's form, our own words.
#pragma once

#include <span>
#include <string_view>

#include "proxy/session/session_command.h"

namespace tidegate {

// "CLIENT <subcommand> …" with the container's name, the given lines, then those of HELP itself.
ExecStatus ReplyHelp(SessionCommand& c, std::span<const std::string_view> lines);

// "ERR unknown subcommand or wrong number of arguments for 'x'. Try CLIENT HELP."
ExecStatus FailSubcommand(SessionCommand& c);

// A text for people: a verbatim string in RESP3.
inline ExecStatus ReplyText(SessionCommand& c, std::string_view text) {
  c.reply().Verbatim("txt", text);
  return ExecStatus::kDone;
}

}  // namespace tidegate
