#include "proxy/upstream/upstream_node.h"

#include <algorithm>
#include <utility>

#include "proxy/upstream/private_pool.h"
#include "proxy/upstream/upstream_cluster.h"
#include "proxy/upstream/upstream_connection.h"

namespace tidegate {

UpstreamNode::UpstreamNode(UpstreamCluster& cluster, topology::NodeAddress address)
    : cluster_(cluster),
      address_(std::move(address)),
      figures_(std::make_shared<NodeFigures>(address_.ToText())),
      random_(static_cast<uint32_t>(cluster.environment().worker_index + 1) * 2654435761u +
              address_.port) {}

UpstreamNode::~UpstreamNode() = default;

UpstreamEnvironment& UpstreamNode::environment() const { return cluster_.environment(); }

const ClusterOptions& UpstreamNode::options() const { return cluster_.options(); }

std::string UpstreamNode::Describe(std::string_view why) const {
  return cluster_.Describe(figures_->address + ": " + std::string(why));
}

UpstreamConnection& UpstreamNode::ConnectionFor(const ConnectionKey& key) {
  if (__builtin_expect(found_ != nullptr && key == found_key_, 1)) return *found_;
  std::unique_ptr<UpstreamConnection>& place = connections_[key];
  if (place == nullptr) place = std::make_unique<UpstreamConnection>(*this, key);
  found_key_ = key;
  found_ = place.get();
  return *place;
}

PrivatePool& UpstreamNode::private_pool() {
  if (private_pool_ == nullptr) private_pool_ = std::make_unique<PrivatePool>(*this);
  return *private_pool_;
}

void UpstreamNode::EndPrivate() {
  if (private_pool_ != nullptr) private_pool_->GiveUpAll("it is not part of the cluster any more");
}

void UpstreamNode::DismissWaiting() {
  if (private_pool_ != nullptr) private_pool_->DismissLine();
}

void UpstreamNode::EndAll(std::string_view why) {
  for (const auto& [key, connection] : connections_) {
    if (connection->in_flight() > 0) connection->GiveUp(why);
  }
  if (private_pool_ != nullptr) private_pool_->GiveUpAll(why);
}

bool UpstreamNode::busy() const {
  if (private_pool_ != nullptr && private_pool_->busy()) return true;
  return holders_ > 0 || std::any_of(connections_.begin(), connections_.end(),
                                     [](const auto& entry) { return entry.second->in_flight(); });
}

bool UpstreamNode::MayConnect(int64_t now_ns, bool is_private) {
  if (now_ns < retry_ns_) return false;
  if (is_private) return true;
  const double gained = static_cast<double>(now_ns - refilled_ns_) / 1e9 * kConnectsPerSecond;
  tokens_ = std::min(kConnectsAtOnce, tokens_ + gained);
  refilled_ns_ = now_ns;
  if (tokens_ < 1) return false;
  tokens_ -= 1;
  return true;
}

void UpstreamNode::Failed(std::string_view why, int64_t now_ns) {
  constexpr int kDoublingsMax = 10;
  last_failure_ = why;
  const int doublings = std::min(failures_++, kDoublingsMax);
  const int64_t pause = std::min(kReconnectPauseNanosMin << doublings, kReconnectPauseNanosMax);
  const double spread = std::uniform_real_distribution<double>(0.8, 1.2)(random_);
  retry_ns_ = now_ns + static_cast<int64_t>(static_cast<double>(pause) * spread);
}

}  // namespace tidegate
