// The families of commands about the session and the process, for CommandTable::Create: those of
// the engine are in storage/command.h. Immutable; any thread may read.
#pragma once

#include <span>

#include "storage/command.h"

namespace tidegate {

// All of them.
std::span<const std::span<const CommandSpec>> ProxyCommandFamilies();

}  // namespace tidegate
