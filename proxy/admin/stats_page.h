// /stats: the figures of the page for people, as one JSON object. Counters are given as they stand;
// the page makes rates of two readings. For machines there is /metrics, whose names are kept
// stable; this object may change with the page.
#pragma once

#include <string>

#include "proxy/admin/admin_sources.h"

namespace tidegate {

std::string StatsJson(const AdminSources& sources);

}  // namespace tidegate
