// RedisClusterWatcher: for the kind `redis_cluster`. A round asks a few nodes, chosen at random
// among those that answer and with those that a report was about, for the slots and the state of
// the cluster; slots_judge.h makes one map of it.
//
// CLUSTER SHARDS is asked where it is known (7.0), else CLUSTER SLOTS, and CLUSTER NODES where the
// user may say nothing else. The nodes of the last good map are asked as well as the configured
// ones, which may all have gone since. Where replicas are read, a second round asks all nodes how
// far they are: what the cluster says of them is only whether they live.
#pragma once

#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "proxy/discovery/cluster_watcher.h"
#include "proxy/discovery/node_set.h"
#include "proxy/discovery/replica_states.h"
#include "proxy/discovery/slots_judge.h"

namespace tidegate::discovery {

// Asked in one round: three are a majority when one of them is cut off; with those of a report
// they may be five.
inline constexpr size_t kAskedAtRandom = 3;
inline constexpr size_t kAskedMax = 5;

class RedisClusterWatcher final : public ClusterWatcher {
 public:
  explicit RedisClusterWatcher(const WatchContext& context);
  void Start() override;
  void OnReports(std::span<const UpstreamReport> reports) override;

 private:
  void Refresh();
  std::vector<topology::NodeAddress> WhomToAsk();
  void OnAnswers(const std::vector<NodeAnswer>& answers);
  void OnReplicas(const std::vector<NodeAnswer>& answers);
  void Settle();
  std::vector<CollectedView> Collect(const std::vector<NodeAnswer>& answers);
  bool HeardOfLastMap() const;
  std::string WhyNotUsable(const topology::ClusterNode& node) const;
  // True: it is another one.
  bool Publish(std::string problem);
  void KeepNodes();

  const WatchContext context_;
  std::vector<topology::NodeAddress> configured_;
  std::minstd_rand random_;
  size_t form_ = 0;                         // of the question for the slots
  std::set<topology::NodeAddress> wanted_;  // that reports were about
  std::string trouble_;                     // of the last round, when a node had some
  bool failed_ = false;                     // the last round had no view
  SlotsJudge judge_;
  std::map<topology::NodeAddress, ReplicaStates> states_;          // of each shard, by its primary
  std::map<topology::NodeAddress, std::string> why_not_readable_;  // replicas that may not be read
  std::set<topology::NodeAddress> readable_;                       // those that may
  std::map<topology::NodeAddress, std::shared_ptr<const CaughtUp>> caught_up_;  // of replicas
  int64_t asked_ns_ = 0;  // when they were asked last
  bool changed_ = false;  // in this round
  bool settled_ = true;
  std::string problem_;
  Refresher refresher_;
  NodeSet nodes_;
};

}  // namespace tidegate::discovery
