#include "proxy/commands/client_filter.h"

#include <algorithm>

namespace tidegate {

bool ClientFilter::Accepts(const Session& session) const {
  if (primary_links || (client_class && session.client_class() != *client_class)) return false;
  if (!ids.empty() && std::find(ids.begin(), ids.end(), session.id()) == ids.end()) return false;
  if (address && session.peer_address() != *address) return false;
  if (local_address && session.local_address() != *local_address) return false;
  return spared_id == 0 || session.id() != spared_id;
}

bool ParseClientType(SessionCommand& c, std::string_view word, ClientFilter& filter) {
  if (EqualsIgnoreCase(word, "normal")) {
    filter.client_class = ClientClass::kNormal;
  } else if (EqualsIgnoreCase(word, "replica") || EqualsIgnoreCase(word, "slave")) {
    filter.client_class = ClientClass::kReplica;
  } else if (EqualsIgnoreCase(word, "pubsub")) {
    filter.client_class = ClientClass::kPubsub;
  } else if (EqualsIgnoreCase(word, "master")) {
    filter.primary_links = true;
  } else {
    c.Fail("ERR Unknown client type '" + std::string(word) + "'");
    return false;
  }
  return true;
}

std::optional<ClientFilter> ParseListFilter(SessionCommand& c) {
  ClientFilter filter;
  if (c.argc() == 2) return filter;
  if (c.argc() == 4 && EqualsIgnoreCase(c.arg(2), "type")) {
    if (!ParseClientType(c, c.arg(3), filter)) return std::nullopt;
    return filter;
  }
  if (c.argc() > 3 && EqualsIgnoreCase(c.arg(2), "id")) {
    for (size_t i = 3; i < c.argc(); ++i) {
      const std::optional<int64_t> id = c.IntegerArg(i, "ERR Invalid client ID");
      if (!id) return std::nullopt;
      filter.ids.push_back(static_cast<uint64_t>(*id));
    }
    return filter;
  }
  c.Fail(errors::kSyntax);
  return std::nullopt;
}

namespace {

// One option of CLIENT KILL and its value, at i; false after the error reply was written.
bool ParseKillOption(SessionCommand& c, size_t i, ClientFilter& filter) {
  const std::string_view option = c.arg(i);
  const std::string_view value = c.arg(i + 1);
  if (EqualsIgnoreCase(option, "id")) {
    constexpr std::string_view kBadId = "ERR client-id should be greater than 0";
    const std::optional<int64_t> id = c.IntegerArg(i + 1, kBadId);
    if (id && *id < 1) c.Fail(kBadId);
    if (!id || *id < 1) return false;
    filter.ids = {static_cast<uint64_t>(*id)};
  } else if (EqualsIgnoreCase(option, "type")) {
    return ParseClientType(c, value, filter);
  } else if (EqualsIgnoreCase(option, "addr")) {
    filter.address = value;
  } else if (EqualsIgnoreCase(option, "laddr")) {
    filter.local_address = value;
  } else if (EqualsIgnoreCase(option, "user")) {
    if (value != c.session().user()) {
      c.Fail("ERR No such user '" + std::string(value) + "'");
      return false;
    }
  } else if (EqualsIgnoreCase(option, "skipme") && EqualsIgnoreCase(value, "yes")) {
    filter.spared_id = c.session().id();
  } else if (EqualsIgnoreCase(option, "skipme") && EqualsIgnoreCase(value, "no")) {
    filter.spared_id = 0;
  } else {
    c.Fail(errors::kSyntax);
    return false;
  }
  return true;
}

}  // namespace

std::optional<ClientFilter> ParseKillFilter(SessionCommand& c) {
  ClientFilter filter;
  if (c.argc() == 3) {  // the old form, which may kill its own connection
    filter.address = c.arg(2);
    return filter;
  }
  filter.spared_id = c.session().id();
  for (size_t i = 2; i < c.argc(); i += 2) {
    if (i + 1 == c.argc()) {
      c.Fail(errors::kSyntax);
      return std::nullopt;
    }
    if (!ParseKillOption(c, i, filter)) return std::nullopt;
  }
  return filter;
}

}  // namespace tidegate
