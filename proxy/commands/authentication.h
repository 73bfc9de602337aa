// Checking the password of the one user there is, `default` (requirepass), and client names: what
// AUTH, HELLO and CLIENT SETNAME share. Thread: the session's worker.
#pragma once

#include <string_view>

#include "proxy/session/session_command.h"

namespace tidegate {

inline constexpr std::string_view kWrongPassword =
    "WRONGPASS invalid username-password pair or user is disabled.";

// Whether user and password are right; then the session counts as authenticated. Takes the same
// time wherever the password differs.
bool Authenticate(SessionCommand& c, std::string_view user, std::string_view password);

// CLIENT SETNAME and HELLO SETNAME: names are printable without spaces, so that CLIENT LIST can be
// split at spaces. False after the error reply was written.
bool SetClientName(SessionCommand& c, std::string_view name);

// Whether every byte is between '!' and '~'.
bool IsPrintableWord(std::string_view text);

}  // namespace tidegate
