// The rows of the geo commands.
#include "storage/commands/geo_commands.h"

#include "base/text.h"
#include "storage/commands/families.h"

namespace tidegate {
namespace {

constexpr KeyRange kFirstArgument = {1, 1, 1};

// The key, and those behind STORE and STOREDIST; what is found goes to the last one.
bool FindRadiusKeys(std::span<const std::string_view> args, std::vector<int>& out) {
  constexpr size_t kFirstOption = 5;
  out.push_back(1);
  for (size_t i = kFirstOption; i + 1 < args.size(); ++i) {
    if (EqualsIgnoreCase(args[i], "store") || EqualsIgnoreCase(args[i], "storedist"))
      out.push_back(static_cast<int>(++i));
  }
  return true;
}

constexpr KeywordKeys kRadiusTargets[] = {
    {.keyword = "STORE", .from = 6, .flags = "OW update"},
    {.keyword = "STOREDIST", .from = 6, .flags = "OW update"}};
constexpr KeywordKeys kRadiusByMemberTargets[] = {
    {.keyword = "STORE", .from = 5, .flags = "OW update"},
    {.keyword = "STOREDIST", .from = 5, .flags = "OW update"}};

constexpr CommandSpec kGeoCommands[] = {
    {.name = "GEOADD",
     .arity = AtLeast(5),
     .keys = kFirstArgument,
     .access = Access::kWrite,
     .scope = Scope::kOneKey,
     .flags = kDenyOom,
     .cost = Cost::kPerArgument,
     .group = Group::kGeo,
     .since = "3.2.0",
     .complexity = "O(log(N)) for each point, of a sorted set of N.",
     .summary = "Adds points to a sorted set or moves them, creating the key when it is absent.",
     .handler = CmdGeoAdd},
    {.name = "GEODIST",
     .arity = AtLeast(4),
     .keys = kFirstArgument,
     .access = Access::kRead,
     .scope = Scope::kOneKey,
     .group = Group::kGeo,
     .since = "3.2.0",
     .complexity = "O(1)",
     .summary = "Tells how far two points are from each other.",
     .handler = CmdGeoDist},
    {.name = "GEOHASH",
     .arity = AtLeast(2),
     .keys = kFirstArgument,
     .access = Access::kRead,
     .scope = Scope::kOneKey,
     .cost = Cost::kPerArgument,
     .group = Group::kGeo,
     .since = "3.2.0",
     .complexity = "O(1) for each point.",
     .summary = "Gives the geohashes of points as text.",
     .handler = CmdGeoHash},
    {.name = "GEOPOS",
     .arity = AtLeast(2),
     .keys = kFirstArgument,
     .access = Access::kRead,
     .scope = Scope::kOneKey,
     .cost = Cost::kPerArgument,
     .group = Group::kGeo,
     .since = "3.2.0",
     .complexity = "O(1) for each point.",
     .summary = "Gives the longitudes and latitudes of points.",
     .handler = CmdGeoPos},
    {.name = "GEORADIUS",
     .arity = AtLeast(6),
     .keys = kFirstArgument,
     .find_keys = FindRadiusKeys,
     .access = Access::kWrite,
     .scope = Scope::kManyKeys,
     .flags = kDenyOom,
     .cost = Cost::kPerElement,
     .group = Group::kGeo,
     .since = "3.2.0",
     .complexity =
         "O(N + log(M)) for N points in the cells around what is searched and a sorted set of M.",
     .summary = "Gives or stores the points within a circle around a place.",
     .handler = CmdGeoRadius,
     .key_flags = "RO access|OW update",
     .keyword_keys = kRadiusTargets,
     .deprecated_since = "6.2.0",
     .replaced_by = "GEOSEARCH and GEOSEARCHSTORE with the BYRADIUS argument"},
    {.name = "GEORADIUSBYMEMBER",
     .arity = AtLeast(5),
     .keys = kFirstArgument,
     .find_keys = FindRadiusKeys,
     .access = Access::kWrite,
     .scope = Scope::kManyKeys,
     .flags = kDenyOom,
     .cost = Cost::kPerElement,
     .group = Group::kGeo,
     .since = "3.2.0",
     .complexity =
         "O(N + log(M)) for N points in the cells around what is searched and a sorted set of M.",
     .summary = "Gives or stores the points within a circle around one of them.",
     .handler = CmdGeoRadiusByMember,
     .key_flags = "RO access|OW update",
     .keyword_keys = kRadiusByMemberTargets,
     .deprecated_since = "6.2.0",
     .replaced_by = "GEOSEARCH and GEOSEARCHSTORE with the BYRADIUS and FROMMEMBER arguments"},
    {.name = "GEORADIUSBYMEMBER_RO",
     .arity = AtLeast(5),
     .keys = kFirstArgument,
     .access = Access::kRead,
     .scope = Scope::kOneKey,
     .cost = Cost::kPerElement,
     .group = Group::kGeo,
     .since = "3.2.10",
     .complexity =
         "O(N + log(M)) for N points in the cells around what is searched and a sorted set of M.",
     .summary = "Gives the points within a circle around one of them.",
     .handler = CmdGeoRadiusByMemberRo,
     .deprecated_since = "6.2.0",
     .replaced_by = "GEOSEARCH with the BYRADIUS and FROMMEMBER arguments"},
    {.name = "GEORADIUS_RO",
     .arity = AtLeast(6),
     .keys = kFirstArgument,
     .access = Access::kRead,
     .scope = Scope::kOneKey,
     .cost = Cost::kPerElement,
     .group = Group::kGeo,
     .since = "3.2.10",
     .complexity =
         "O(N + log(M)) for N points in the cells around what is searched and a sorted set of M.",
     .summary = "Gives the points within a circle around a place.",
     .handler = CmdGeoRadiusRo,
     .deprecated_since = "6.2.0",
     .replaced_by = "GEOSEARCH with the BYRADIUS argument"},
    {.name = "GEOSEARCH",
     .arity = AtLeast(7),
     .keys = kFirstArgument,
     .access = Access::kRead,
     .scope = Scope::kOneKey,
     .cost = Cost::kPerElement,
     .group = Group::kGeo,
     .since = "6.2.0",
     .complexity =
         "O(N + log(M)) for N points in the cells around what is searched and a sorted set of M.",
     .summary = "Gives the points within a circle or a box.",
     .handler = CmdGeoSearch},
    {.name = "GEOSEARCHSTORE",
     .arity = AtLeast(8),
     .keys = {1, 2, 1},
     .access = Access::kWrite,
     .scope = Scope::kManyKeys,
     .flags = kDenyOom,
     .cost = Cost::kPerElement,
     .group = Group::kGeo,
     .since = "6.2.0",
     .complexity =
         "O(N + log(M)) for N points in the cells around what is searched and a sorted set of M.",
     .summary = "Stores the points within a circle or a box in another key.",
     .handler = CmdGeoSearchStore,
     .key_flags = "OW update|RO access"},
};
static_assert(IsValidFamily(kGeoCommands));

}  // namespace

const std::span<const CommandSpec> kGeoFamily = kGeoCommands;

}  // namespace tidegate
