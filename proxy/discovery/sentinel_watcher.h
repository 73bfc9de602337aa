// SentinelWatcher: for the kind `sentinel`. A round asks all known sentinels for the primary, its
// replicas and the other sentinels, then all servers they name what they are; sentinel_choice.h
// says who the primary is, replica_states.h what the others are good for.
//
// One sentinel is also subscribed to: what it publishes about this primary makes the next round
// begin at once. Events are hints; what counts is what the rounds find.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "proxy/discovery/cluster_watcher.h"
#include "proxy/discovery/node_set.h"
#include "proxy/discovery/replica_states.h"
#include "proxy/discovery/sentinel_choice.h"
#include "proxy/topology/sentinel_view.h"

namespace tidegate::discovery {

// Sentinels of one primary that are asked; most have three or five.
inline constexpr size_t kSentinelsMax = 32;

// What all sentinels that answered said, together.
struct SentinelsWord {
  std::vector<topology::PrimaryOpinion> opinions;
  std::vector<topology::NodeAddress> servers;    // that are named, sorted
  std::vector<topology::NodeAddress> sentinels;  // others that are named, sorted
  std::vector<topology::NodeAddress> answered;   // who answered, in order
  std::string problem;                           // of one that did not, for when none did
};

// The three questions to a sentinel, and what their answers come to. Whoever was reached under two
// addresses counts once: `peer_of` says where each was reached.
std::vector<CommandWords> SentinelQuestions(const std::string& primary_name);
SentinelsWord ReadSentinels(
    const std::vector<NodeAnswer>& answers,
    const std::function<topology::NodeAddress(const topology::NodeAddress&)>& peer_of);

class SentinelWatcher final : public ClusterWatcher {
 public:
  explicit SentinelWatcher(const WatchContext& context);
  void Start() override;
  void OnReports(std::span<const UpstreamReport> reports) override;

 private:
  void Refresh();
  void OnSentinels(const std::vector<NodeAnswer>& answers);
  void OnServers(const std::vector<NodeAnswer>& answers);
  void Finish(const std::vector<Sight>& sights, SentinelChoice::Choice choice);
  void KeepSentinels();
  void Subscribe();
  void OnEvent(std::string_view channel, std::string_view message);

  const WatchContext context_;
  std::vector<topology::NodeAddress> configured_;
  SentinelsWord word_;
  SentinelChoice choice_;
  ReplicaStates states_;
  int64_t asked_ns_ = 0;  // when the nodes were asked last
  Refresher refresher_;
  NodeSet sentinels_;
  NodeSet servers_;
  std::unique_ptr<ControlConnection> subscription_;
};

}  // namespace tidegate::discovery
