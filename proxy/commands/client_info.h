// The line that CLIENT LIST and CLIENT INFO give for a connection: Redis 7.2's fields in their
// order. Fields of features that are not there (pub/sub, transactions, tracking) say what Redis
// says of a connection that does not use them. Thread: the session's worker.
#pragma once

#include <cstdint>
#include <string>

#include "proxy/session/session.h"

namespace tidegate {

// Without the line break. now_ms is Unix time. `request_bytes`: what the command that is being
// executed takes of the input, which belongs to qbuf but is out of the session's own buffer
// already.
std::string ClientInfoLine(const Session& session, int64_t now_ms, size_t request_bytes = 0);

}  // namespace tidegate
