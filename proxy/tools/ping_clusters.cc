#include "proxy/tools/ping_clusters.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "proxy/discovery/discovery.h"
#include "proxy/discovery/node_set.h"
#include "proxy/event/loop.h"
#include "proxy/upstream/upstream_tls.h"

namespace tidegate {
namespace {

using discovery::ControlAccess;
using discovery::Discovery;
using topology::NodeAddress;

constexpr std::chrono::milliseconds kTopologyWait{5000};
constexpr Bytes kReadBufferBytes = 16_KiB;

bool IsKnown(const Discovery& found) {
  for (size_t i = 0; i < found.size(); ++i) {
    if (!found.cluster(i).was_asked() || !found.cluster(i).latest()->problem.empty()) return false;
  }
  return true;
}

// The topologies, as far as they are found in time.
std::vector<std::shared_ptr<const UpstreamTopology>> FindTopologies(
    std::span<const ClusterOptions> clusters, const UpstreamTls& tls) {
  Discovery found(
      clusters, [](size_t, const std::shared_ptr<const UpstreamTopology>&) {}, &tls);
  found.Start();
  const auto until = std::chrono::steady_clock::now() + kTopologyWait;
  while (!IsKnown(found) && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  found.Stop();
  std::vector<std::shared_ptr<const UpstreamTopology>> topologies;
  for (size_t i = 0; i < found.size(); ++i) topologies.push_back(found.cluster(i).latest());
  return topologies;
}

std::vector<discovery::NodeAnswer> PingAll(const std::vector<NodeAddress>& addresses,
                                           const ControlAccess& access) {
  std::vector<discovery::NodeAnswer> answers;
  if (addresses.empty()) return answers;
  EventLoop loop;
  loop.OnBeforeWait([](void* self) { static_cast<EventLoop*>(self)->EndTurn(); }, &loop);
  const std::unique_ptr<char[]> buffer(new char[kReadBufferBytes.count]);
  discovery::ControlEnvironment environment{loop, {buffer.get(), kReadBufferBytes.count}};
  auto nodes = std::make_unique<discovery::NodeSet>(environment, access,
                                                    std::chrono::milliseconds(0), [] {});
  nodes->Keep(addresses);
  nodes->AskAll(addresses, {{"PING"}}, [&](std::vector<discovery::NodeAnswer> all) {
    answers = std::move(all);
    nodes.reset();  // its handles close, and the loop ends
  });
  loop.Run();
  return answers;
}

void Report(const ClusterOptions& options, const char* what,
            const std::vector<discovery::NodeAnswer>& answers, PingReport& report) {
  for (const discovery::NodeAnswer& one : answers) {
    const std::string why = one.answer.ok() ? discovery::WhyNotServing(one.answer.value()[0])
                                            : one.answer.error().message;
    report.text += "cluster '" + options.name + "': " + what + " " + one.address.ToText() + ": " +
                   (why.empty() ? "ok" : why) + "\n";
    report.is_good = report.is_good && why.empty();
  }
}

void PingOne(const ClusterOptions& options, const UpstreamTls& tls, const UpstreamTopology& known,
             PingReport& report) {
  std::vector<NodeAddress> configured;
  for (const UpstreamNodeOptions& node : options.nodes)
    configured.push_back(discovery::AddressOf(node.address));
  std::vector<NodeAddress> nodes;
  if (options.kind == ClusterKind::kSentinel) {
    const ControlAccess access{options.sentinel.username, options.sentinel.password,
                               options.connect_timeout, tls.Of(options.sentinel_tls())};
    Report(options, "sentinel", PingAll(configured, access), report);
  } else {
    nodes = configured;
  }
  for (const KnownNode& node : known.nodes) {
    if (node.address.is_known() &&
        std::find(nodes.begin(), nodes.end(), node.address) == nodes.end())
      nodes.push_back(node.address);
  }
  Report(options, "node", PingAll(nodes, discovery::AccessOf(options, tls.Of(options.tls))),
         report);
  if (known.problem.empty()) return;
  report.text += "cluster '" + options.name + "': " + known.problem + "\n";
  report.is_good = false;
}

}  // namespace

PingReport PingClusters(std::span<const ClusterOptions> clusters) {
  PingReport report;
  const Result<std::unique_ptr<UpstreamTls>> read = UpstreamTls::Create(clusters);
  if (!read.ok()) return {false, read.error().message + "\n"};
  const UpstreamTls& tls = *read.value();
  const auto topologies = FindTopologies(clusters, tls);
  size_t index = 0;
  for (const ClusterOptions& options : clusters) {
    if (options.is_upstream()) PingOne(options, tls, *topologies[index++], report);
  }
  return report;
}

}  // namespace tidegate
