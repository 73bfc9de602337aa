// UpstreamObserver: what the data path notices about the nodes of a cluster, for whoever keeps the
// topology. Requests are the fastest health check there is: a redirect, a connection that breaks
// and a write that met a replica are known here long before the next round of questions. Workers
// tell, on their threads, while they answer requests: an implementation notes and returns.
#pragma once

#include <cstdint>
#include <string_view>

#include "proxy/topology/node_address.h"

namespace tidegate {

class UpstreamObserver {
 public:
  virtual ~UpstreamObserver() = default;

  // MOVED: the slot is at that address.
  virtual void OnRedirect(uint16_t slot, const topology::NodeAddress& address) = 0;
  // A connection could not be made, or broke, or was given up.
  virtual void OnNodeFailed(const topology::NodeAddress& address, std::string_view why) = 0;
  // A write met a node that takes none.
  virtual void OnReadOnly(const topology::NodeAddress& address) = 0;
  // It answered that it, or its cluster, cannot serve now (CLUSTERDOWN, LOADING, MASTERDOWN).
  virtual void OnNotServing(const topology::NodeAddress& address) = 0;
};

}  // namespace tidegate
