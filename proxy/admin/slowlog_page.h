// The admin page /slowlog: the last slow requests as JSON, newest first, those that upstreams
// answered included. The same entries as SLOWLOG GET gives, as text that is safe to show. Any
// thread.
#pragma once

#include <string>

#include "proxy/admin/admin_sources.h"

namespace tidegate {

std::string SlowlogJson(const AdminSources& sources);

}  // namespace tidegate
