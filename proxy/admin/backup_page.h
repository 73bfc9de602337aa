// What POST /backup answers: the pieces that need no server. See AdminPages for who may ask.
//
//   200 {"path":"/data/backups/x","sequence":81234,"bytes":73400320,"seconds":0.041}
//   400, 409, 500, 503 {"error":"…"}   the name; one is under way; the disk; no data directory
#pragma once

#include <string>
#include <string_view>

#include "proxy/admin/admin_sources.h"

namespace tidegate {

// The value of `name`, decoded; empty: there is none.
std::string NameInQuery(std::string_view query);
int StatusOf(const BackupAnswer& answer);
std::string BackupJson(const BackupAnswer& answer);

}  // namespace tidegate
