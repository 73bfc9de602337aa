// The handler of BIGKEYS, which TIDEGATE BIGKEYS has too: the same list, with the options one
// argument further on. Thread: the session's worker.
#pragma once

#include <cstddef>

#include "storage/command.h"

namespace tidegate {

// `options`: the first argument behind the command's name.
ExecStatus ReplyBigKeys(SessionCommand& c, size_t options);

}  // namespace tidegate
