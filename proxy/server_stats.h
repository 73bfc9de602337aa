// Server::StatsBase: what CONFIG RESETSTAT subtracts. Counters belong to their workers, who alone
// write them, so a reset takes note of where they stand instead of clearing them. Guarded by the
// server's stats_base_mutex_.
#pragma once

#include <vector>

#include "proxy/server.h"

namespace tidegate {

struct Server::StatsBase {
  ServerTotals totals;
  std::vector<CommandTotals> commands;  // by id; empty before the first reset
};

}  // namespace tidegate
