#include "proxy/upstream_control.h"

#include <utility>

#include "proxy/upstream/upstream_cluster.h"

namespace tidegate {

class UpstreamControl::Observer final : public UpstreamObserver {
 public:
  Observer(discovery::Discovery& discovery, size_t cluster)
      : discovery_(discovery), cluster_(cluster) {}

  void OnRedirect(uint16_t slot, const topology::NodeAddress& address) override {
    discovery_.Report(cluster_, {.kind = Kind::kMoved, .slot = slot, .target = address});
  }
  void OnNodeFailed(const topology::NodeAddress& address, std::string_view /*why*/) override {
    discovery_.Report(cluster_, {.kind = Kind::kNodeFailed, .node = address});
  }
  void OnReadOnly(const topology::NodeAddress& address) override {
    discovery_.Report(cluster_, {.kind = Kind::kNotPrimary, .node = address});
  }
  void OnNotServing(const topology::NodeAddress& address) override {
    discovery_.Report(cluster_, {.kind = Kind::kNotServing, .node = address});
  }

 private:
  using Kind = discovery::UpstreamReport::Kind;

  discovery::Discovery& discovery_;
  const size_t cluster_;
};

UpstreamControl::UpstreamControl(std::span<const ClusterOptions> clusters, const UpstreamTls& tls,
                                 std::span<const std::unique_ptr<Worker>> workers)
    : workers_(workers),
      discovery_(
          clusters,
          [this](size_t cluster, const std::shared_ptr<const UpstreamTopology>& known) {
            for (const auto& worker : workers_) {
              worker->Post(
                  [cluster, known](Worker& at) { at.upstreams()[cluster]->SetTopology(known); });
            }
          },
          &tls) {
  for (size_t i = 0; i < discovery_.size(); ++i) {
    observers_.push_back(std::make_unique<Observer>(discovery_, i));
    for (const auto& worker : workers_) worker->upstreams()[i]->set_observer(observers_[i].get());
  }
}

void UpstreamControl::Start() {
  discovery_.Start();
  discovery_.AwaitFirstAnswers(kFirstAnswersWait);
}

}  // namespace tidegate
