// Handlers of the geo commands, listed by the rows in geo_commands.cc, and the arguments that they
// have in common. Points are members of sorted sets (geo_hash.h says how), so that every sorted set
// command works on them too. Each answers as Redis 7.0 does, down to the order in which mistakes
// are found.
#pragma once

#include <optional>

#include "storage/command_context.h"
#include "storage/value/geo_hash.h"

namespace tidegate {

// geo_commands_points.cc
ExecStatus CmdGeoAdd(CommandContext& ctx);
ExecStatus CmdGeoDist(CommandContext& ctx);
ExecStatus CmdGeoHash(CommandContext& ctx);
ExecStatus CmdGeoPos(CommandContext& ctx);

// geo_commands_search.cc
ExecStatus CmdGeoRadius(CommandContext& ctx);
ExecStatus CmdGeoRadiusByMember(CommandContext& ctx);
ExecStatus CmdGeoRadiusByMemberRo(CommandContext& ctx);
ExecStatus CmdGeoRadiusRo(CommandContext& ctx);
ExecStatus CmdGeoSearch(CommandContext& ctx);
ExecStatus CmdGeoSearchStore(CommandContext& ctx);

// Nothing: the error is written.
std::optional<double> GeoNumberArg(CommandContext& ctx, size_t i, std::string_view error);
// Longitude at argument i, latitude behind it.
std::optional<GeoPoint> GeoPointArg(CommandContext& ctx, size_t i);
// Metres in the unit of that name.
std::optional<double> GeoUnitArg(CommandContext& ctx, size_t i);

// With four digits behind the point.
void ReplyGeoDistance(ReplyWriter& reply, double distance);
void ReplyGeoPoint(ReplyWriter& reply, const GeoPoint& point);

}  // namespace tidegate
