// A connection of a tool to a running server: what import, export and rdb-report have in common.
// Blocks, as tools may; the descriptor is the caller's to close.
#pragma once

#include <string>

#include "base/result.h"

namespace tidegate {

// `address`: host:port; an IPv6 host may stand in brackets.
Result<int> ConnectToServer(const std::string& address);

}  // namespace tidegate
