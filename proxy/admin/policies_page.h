// /policies: what acts on the requests of each route, as JSON: the rules in the words of TIDEGATE
// EXPLAIN, which kinds of keys were learned to be a cache's, and what was done so far. Threads:
// any.
#pragma once

#include <string>

#include "proxy/admin/admin_sources.h"

namespace tidegate {

std::string PoliciesJson(const AdminSources& sources);

}  // namespace tidegate
