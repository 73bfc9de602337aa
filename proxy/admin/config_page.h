// /config: every setting in force as JSON, by its redis.conf name and in the text CONFIG GET gives,
// and the lists of the YAML file (listeners, clusters, routes). Secrets (rows with `secret`) are
// replaced by kRedacted when they are set, so that one sees that there is one. Pure function.
#pragma once

#include <string>
#include <string_view>

#include "config/options.h"

namespace tidegate {

inline constexpr std::string_view kRedacted = "(redacted)";

std::string ConfigJson(const Options& options);

}  // namespace tidegate
