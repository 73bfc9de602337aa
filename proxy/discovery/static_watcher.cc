#include "proxy/discovery/static_watcher.h"

namespace tidegate::discovery {

StaticWatcher::StaticWatcher(const WatchContext& context)
    : context_(context),
      nodes_(context.environment, AccessOf(context.options, context.tls),
             context.options.health_check_interval, [this] { Publish(); }) {}

void StaticWatcher::Start() {
  std::vector<topology::NodeAddress> addresses;
  for (const UpstreamNodeOptions& node : context_.options.nodes)
    addresses.push_back(AddressOf(node.address));
  nodes_.Keep(addresses);
  context_.publisher.Offer(InitialTopology(context_.options));
  context_.publisher.RefreshEnded(true);
}

// Only with health checks: without them nothing would make a node usable again.
void StaticWatcher::OnReports(std::span<const UpstreamReport> reports) {
  if (context_.options.health_check_interval.count() == 0) return;
  for (const UpstreamReport& report : reports) nodes_.CheckNow(report.node);
}

void StaticWatcher::Publish() {
  UpstreamTopology topology = InitialTopology(context_.options);
  for (KnownNode& node : topology.nodes) {
    const NodeHealth* health = nodes_.HealthOf(node.address);
    if (health == nullptr || health->is_usable()) continue;
    node.is_usable = false;
    node.is_answering = false;
    node.why_not = health->why();
  }
  context_.publisher.Offer(std::move(topology));
}

}  // namespace tidegate::discovery
