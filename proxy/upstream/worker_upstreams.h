// WorkerUpstreams: what one worker has of upstreams: its side of every cluster, in the order of the
// configuration, and what their sessions share. Owner: the worker; for other threads clusters have
// Figures().
#pragma once

#include <memory>
#include <vector>

#include "proxy/upstream/early_replies.h"
#include "proxy/upstream/route_mirror.h"
#include "proxy/upstream/upstream_cluster.h"
#include "proxy/upstream/upstream_environment.h"

namespace tidegate {

struct WorkerUpstreams {
  uint64_t placement_epoch = 0;  // see UpstreamEnvironment
  EarlyReplyPool early_replies;
  std::vector<std::unique_ptr<UpstreamCluster>> clusters;
  std::vector<std::unique_ptr<RouteMirror>> mirrors;  // in the order of their routes

  // At the end of a turn: sends what the turn placed. False: nothing was to be sent.
  bool Flush() {
    bool sent = false;
    for (const auto& cluster : clusters) sent = cluster->Flush() || sent;
    return sent;
  }
};

}  // namespace tidegate
