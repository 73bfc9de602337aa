// The sections of INFO, with Redis's field names: dashboards, exporters and clients' ready checks
// read them. A field of a feature that is not there keeps the value that says so (0 replicas, no
// AOF); fields whose figure would be made up are left out.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "proxy/server.h"

namespace tidegate {

// The text for the named sections (any case; "default", "all" and "everything" are sets of them;
// unknown ones give nothing). No names: default. Thread: any, without holding locks.
std::string InfoText(Server& server, std::span<const std::string_view> sections,
                     bool serves_as_cluster);
// The same for clients of no listener: of the route "*".
std::string InfoText(Server& server, std::span<const std::string_view> sections);

}  // namespace tidegate
