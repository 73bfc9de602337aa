// Writes whose keys are not all among those that they name, as far as anybody can tell. Pure.
// Threads: any.
#pragma once

#include "storage/command.h"
#include "storage/request.h"

namespace tidegate {

// Scripts, FLUSHALL, SWAPDB, SORT and GEORADIUS with STORE, and commands that the configuration
// declares. False for reads.
bool WritesUnnamedKeys(const Request& request);
// Whether some request of the command may, that names a key.
bool MayWriteOtherKeys(const Command& command);

}  // namespace tidegate
