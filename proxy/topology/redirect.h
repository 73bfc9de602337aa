// Errors of a node that are about the topology and not about the request: where else to go, or that
// the same may succeed later. Read from the text of the error, on the data path but only once an
// error has come: nothing is allocated, the host borrows from the text.
//
//   MOVED 3999 127.0.0.1:6381    the slot is that node's: go there, and refresh the topology
//   ASK 3999 127.0.0.1:6381      this once, behind ASKING; the slot is on its way there
//   TRYAGAIN …                   a slot on its way, and keys on both sides
//   CLUSTERDOWN …                the slot has no owner, or the node sees too few others
//   LOADING …, MASTERDOWN …      the node cannot serve now; another may
//   READONLY …                   a write met a replica: it was the primary once
//   REDIRECT 127.0.0.1:6381      the same without a cluster (Valkey, after CLIENT CAPA redirect)
//
// Whether to follow, how often, and with what deadline is the caller's: a MOVED that leads in a
// circle is one of its cases.
// Source: the Redis Cluster specification; Redis 7.0's cluster.c and server.c by their texts.
#pragma once

#include <cstdint>
#include <string_view>

#include "proxy/topology/node_address.h"

namespace tidegate::topology {

struct TopologyError {
  enum class Kind : uint8_t {
    kNone,  // an error of the request
    kMoved,
    kAsk,
    kRedirect,
    kTryAgain,
    kClusterDown,
    kLoading,
    kMasterDown,
    kReadOnly,
    // Begins as a MOVED, an ASK or a REDIRECT and names no place: not to be followed.
    kBroken,
  };

  Kind kind = Kind::kNone;
  uint16_t slot = 0;  // of kMoved and kAsk
  // Of kMoved, kAsk and kRedirect: empty means the host of the node that answered; never "?",
  // which names nobody (kBroken).
  std::string_view host;
  uint16_t port = 0;

  bool has_address() const {
    return kind == Kind::kMoved || kind == Kind::kAsk || kind == Kind::kRedirect;
  }
  // Where it leads, as told by the node that was asked.
  NodeAddress AddressFrom(const NodeAddress& asked) const;
};

// `message`: the error with or without its '-', without the line's end.
TopologyError ParseTopologyError(std::string_view message);

}  // namespace tidegate::topology
