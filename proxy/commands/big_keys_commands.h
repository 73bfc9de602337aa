// The handler of BIGKEYS, which TIDEGATE BIGKEYS has too.
#pragma once

#include <cstddef>

#include "storage/command.h"

namespace tidegate {

// `options`: the first argument behind the command's name.
ExecStatus ReplyBigKeys(SessionCommand& c, size_t options);

}  // namespace tidegate
