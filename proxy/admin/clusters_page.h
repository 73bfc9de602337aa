// /clusters: every upstream cluster as JSON, with its nodes and what their counters say, added up
// over the workers. `connections` 0 and `connect_failures` rising: the node is not there. Beside
// them the topology as discovery knows it: roles, slots, who is not usable and why. No secrets.
// Threads: any.
#pragma once

#include <string>

#include "proxy/admin/admin_sources.h"

namespace tidegate {

std::string ClustersJson(const AdminSources& sources);

}  // namespace tidegate
