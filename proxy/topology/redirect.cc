#include "proxy/topology/redirect.h"

#include <string>

#include "base/hash.h"
#include "base/text.h"

namespace tidegate::topology {
namespace {

using Kind = TopologyError::Kind;

struct Word {
  std::string_view word;
  Kind kind;
};

constexpr Word kWords[] = {
    {"MOVED", Kind::kMoved},       {"ASK", Kind::kAsk},
    {"REDIRECT", Kind::kRedirect}, {"TRYAGAIN", Kind::kTryAgain},
    {"LOADING", Kind::kLoading},   {"CLUSTERDOWN", Kind::kClusterDown},
    {"READONLY", Kind::kReadOnly}, {"MASTERDOWN", Kind::kMasterDown},
};

Kind KindOf(std::string_view word) {
  for (const Word& row : kWords) {
    if (row.word == word) return row.kind;
  }
  return Kind::kNone;
}

}  // namespace

NodeAddress TopologyError::AddressFrom(const NodeAddress& asked) const {
  return {.host = host.empty() ? asked.host : std::string(host), .port = port};
}

TopologyError ParseTopologyError(std::string_view message) {
  TopologyError broken;
  broken.kind = Kind::kBroken;
  if (message.starts_with('-')) message.remove_prefix(1);
  TopologyError error;
  error.kind = KindOf(NextField(message, ' '));
  if (!error.has_address()) return error;
  if (error.kind != Kind::kRedirect) {
    const auto slot = ParseInt64(NextField(message, ' '));
    if (!slot || *slot < 0 || *slot >= kSlotCount) return broken;
    error.slot = static_cast<uint16_t>(*slot);
  }
  const auto address = ParseHostAndPort(NextField(message, ' '));
  if (!address || address->port == 0 || address->host == "?") return broken;
  error.host = address->host;
  error.port = address->port;
  return error;
}

}  // namespace tidegate::topology
