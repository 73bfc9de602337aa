#include "proxy/upstream/upstream_cluster.h"

#include <algorithm>

#include "proxy/upstream/upstream_connection.h"

namespace tidegate {
namespace {

std::string PrintNode(const HostPort& node) {
  const bool v6 = node.host.find(':') != std::string::npos;
  return (v6 ? "[" + node.host + "]" : node.host) + ":" + std::to_string(node.port);
}

uint64_t KeyOf(int database, Protocol protocol, uint64_t lane) {
  return static_cast<uint64_t>(database) << 32 | lane << 8 | static_cast<uint64_t>(protocol);
}

}  // namespace

UpstreamCluster::UpstreamCluster(UpstreamEnvironment environment, const ClusterOptions& options)
    : environment_(environment),
      options_(options),
      random_(static_cast<uint32_t>(environment.worker_index + 1) * 2654435761u) {}

UpstreamCluster::~UpstreamCluster() = default;

std::string UpstreamCluster::Describe(std::string_view why) const {
  return "upstream cluster '" + options_.name + "', " + PrintNode(node()) + ": " + std::string(why);
}

std::string UpstreamCluster::Refusal(int database, Protocol protocol) const {
  if (options_.database && database != 0) {
    return "ERR " + Describe(
                        "it has one database, that of its configuration, and clients have it "
                        "as database 0");
  }
  if (protocol == Protocol::kResp3 && options_.protocol == 2)
    return "ERR " + Describe("its protocol is set to 2, and this client speaks 3");
  return "";
}

UpstreamConnection& UpstreamCluster::ConnectionFor(int database, Protocol protocol,
                                                   uint64_t session_id) {
  const uint64_t lane = session_id % static_cast<uint64_t>(options_.connections);
  std::unique_ptr<UpstreamConnection>& place = connections_[KeyOf(database, protocol, lane)];
  if (place == nullptr) {
    place =
        std::make_unique<UpstreamConnection>(*this, options_.database.value_or(database), protocol);
  }
  return *place;
}

bool UpstreamCluster::Flush() {
  if (dirty_.empty()) return false;
  flushing_.swap(dirty_);
  for (UpstreamConnection* connection : flushing_) connection->Flush();
  flushing_.clear();
  return true;
}

bool UpstreamCluster::MayConnect(int64_t now_ns) {
  if (now_ns < retry_ns_) return false;
  const double gained = static_cast<double>(now_ns - refilled_ns_) / 1e9 * kConnectsPerSecond;
  tokens_ = std::min(kConnectsAtOnce, tokens_ + gained);
  refilled_ns_ = now_ns;
  if (tokens_ < 1) return false;
  tokens_ -= 1;
  return true;
}

void UpstreamCluster::Failed(std::string_view why, int64_t now_ns) {
  constexpr int kDoublingsMax = 10;
  last_failure_ = why;
  const int doublings = std::min(failures_++, kDoublingsMax);
  const int64_t pause = std::min(kReconnectPauseNanosMin << doublings, kReconnectPauseNanosMax);
  const double spread = std::uniform_real_distribution<double>(0.8, 1.2)(random_);
  retry_ns_ = now_ns + static_cast<int64_t>(static_cast<double>(pause) * spread);
}

}  // namespace tidegate
