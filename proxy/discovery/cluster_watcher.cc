#include "proxy/discovery/cluster_watcher.h"

#include <utility>

#include "base/clock.h"
#include "proxy/discovery/redis_cluster_watcher.h"
#include "proxy/discovery/replicas_watcher.h"
#include "proxy/discovery/sentinel_watcher.h"
#include "proxy/discovery/static_watcher.h"

namespace tidegate::discovery {

std::unique_ptr<ClusterWatcher> MakeWatcher(const WatchContext& context) {
  switch (context.options.kind) {
    case ClusterKind::kReplicas:
      return std::make_unique<ReplicasWatcher>(context);
    case ClusterKind::kSentinel:
      return std::make_unique<SentinelWatcher>(context);
    case ClusterKind::kRedisCluster:
      return std::make_unique<RedisClusterWatcher>(context);
    case ClusterKind::kRedis:
    case ClusterKind::kRing:
    case ClusterKind::kEngine:
      break;
  }
  return std::make_unique<StaticWatcher>(context);
}

UpstreamTopology InitialTopology(const ClusterOptions& options) {
  UpstreamTopology topology;
  if (options.kind != ClusterKind::kRedis && options.kind != ClusterKind::kRing) {
    topology.problem = "none of its nodes has been asked yet";
    return topology;
  }
  for (const UpstreamNodeOptions& node : options.nodes)
    topology.nodes.push_back({.address = AddressOf(node.address)});
  if (options.kind == ClusterKind::kRedis) topology.primary = 0;
  return topology;
}

topology::NodeAddress AddressOf(const HostPort& place) { return {place.host, place.port}; }

ControlAccess AccessOf(const ClusterOptions& options, const TlsContext* tls) {
  return {options.username, options.password, options.connect_timeout, tls};
}

Refresher::Refresher(EventLoop& loop, std::chrono::milliseconds interval, uint32_t seed,
                     std::function<void()> refresh)
    : pace_(interval, seed), refresh_(std::move(refresh)), timer_(loop, [this] { Begin(); }) {}

void Refresher::Hint() {
  if (pace_.hinted()) return;
  pace_.Hint();
  if (!pace_.running()) Arm();
}

void Refresher::HintUrgently() {
  pace_.HintUrgently();
  if (!pace_.running()) Arm();
}

void Refresher::Ended(RefreshPace::Outcome outcome) {
  pace_.Ended(outcome);
  Arm();
}

void Refresher::Arm() { timer_.StartOnce(pace_.Wait(MonotonicNanos())); }

void Refresher::Begin() {
  pace_.Began(MonotonicNanos());
  refresh_();
}

}  // namespace tidegate::discovery
