// Splitting an inline command ("SET key \"a b\"\r\n") into arguments, with Redis's rules for
// quotes and escapes (sds.c, sdssplitargs): "…" with \n \r \t \b \a \xHH, '…' with \' only, a
// closing quote must be followed by a space or the end. Pure; borrows for the call.
#pragma once

#include <string_view>

#include "proxy/resp/request_batch.h"

namespace tidegate {

// Adds the arguments of `line` (no line break, no NUL) to the batch's open request. Plain words are
// views into the line, quoted ones copies that the batch keeps. False: unbalanced quotes.
bool SplitInline(std::string_view line, RequestBatch& batch);

}  // namespace tidegate
