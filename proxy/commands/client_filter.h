// ClientFilter: which connections CLIENT LIST shows and CLIENT KILL closes. A plain value that goes
// to every worker with the request, so it owns its texts. Reading it: the session's worker.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proxy/session/session_command.h"

namespace tidegate {

struct ClientFilter {
  std::optional<ClientClass> client_class;
  bool primary_links = false;  // TYPE master: connections to a primary; there are none
  std::vector<uint64_t> ids;   // empty: any
  std::optional<std::string> address;
  std::optional<std::string> local_address;
  uint64_t spared_id = 0;  // never this one (SKIPME); 0: nobody is spared

  bool Accepts(const Session& session) const;
};

// Sets the class from TYPE's word; false after the error reply was written.
bool ParseClientType(SessionCommand& c, std::string_view word, ClientFilter& filter);

// Reads CLIENT LIST's and CLIENT KILL's arguments; nothing after an error reply.
std::optional<ClientFilter> ParseListFilter(SessionCommand& c);
std::optional<ClientFilter> ParseKillFilter(SessionCommand& c);

}  // namespace tidegate
