// The sections of INFO that are sums of counters: stats, commandstats, errorstats, latencystats.
// Thread: any.
#pragma once

#include <string>
#include <string_view>

#include "proxy/commands/info_writer.h"
#include "proxy/server.h"

namespace tidegate {

void WriteStatsSection(InfoWriter& out, Server& server);
void WriteCommandStatsSection(InfoWriter& out, Server& server);
void WriteErrorStatsSection(InfoWriter& out, Server& server);
void WriteLatencyStatsSection(InfoWriter& out, Server& server);

// The value of a setting as CONFIG GET prints it.
std::string ConfigValue(Server& server, std::string_view name);

}  // namespace tidegate
