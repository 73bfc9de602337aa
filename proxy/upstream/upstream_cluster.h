// UpstreamCluster: a named set of nodes of somebody else's, as one worker sees it: which of them a
// request goes to.
//
//   topology (who is there, who is primary) --SetTopology--> nodes by address --Choose--> a node
//
// Nodes are told apart by their addresses: what is known of them changes with each topology, their
// connections stay. Clusters of kind `redis` and `ring` make their topology from the configuration
// and keep it, and are told which nodes answer; that of others is found out by somebody else and
// handed in at the end of a turn. Reads that several nodes may answer go to one that does.
// Owner: one worker; Figures() is for any thread. Cost of Choose: see upstream_cluster.cc, no
// search and no allocation.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/reply_writer.h"
#include "config/options.h"
#include "proxy/upstream/upstream_counters.h"
#include "proxy/upstream/upstream_environment.h"
#include "proxy/upstream/upstream_node.h"
#include "proxy/upstream/upstream_observer.h"
#include "proxy/upstream/upstream_topology.h"
#include "storage/request.h"

namespace tidegate {

class ClusterCache;
class PrivateConnection;
class Redirections;
class ReplicaFanout;
class RingPlacement;
class TlsContext;
class UpstreamConnection;

// Reads that a replica may answer. A cursor of SCAN and its kind means a place in the tables of the
// node that gave it, so those stay with the primary.
bool IsReadOfReplicas(const Command& command);

class UpstreamCluster final {
 public:
  // `number`: what all threads know it by, see Discovery.
  UpstreamCluster(UpstreamEnvironment environment, const ClusterOptions& options,
                  size_t number = 0);
  ~UpstreamCluster();
  UpstreamCluster(const UpstreamCluster&) = delete;
  UpstreamCluster& operator=(const UpstreamCluster&) = delete;

  const ClusterOptions& options() const { return options_; }
  const std::string& name() const { return options_.name; }
  size_t number() const { return number_; }

  // Not between a Choose and the use of what it gave: call it at the end of a turn. One that is
  // older than what is known is ignored.
  void SetTopology(std::shared_ptr<const UpstreamTopology> topology);
  const UpstreamTopology& topology() const { return *topology_; }
  // Told what the data path notices; null: nobody is.
  void set_observer(std::shared_ptr<UpstreamObserver> observer) { observer_ = std::move(observer); }

  // Why a request of a client in this database and protocol cannot go there; empty: it can.
  std::string Refusal(int database, Protocol protocol) const;
  struct Choice {
    UpstreamNode* node = nullptr;
    bool reads_replica = false;  // the connection has to be one for reading a replica
    bool reads_apart = false;    // a write of the same key may go to another node
    // Of the keys, of a redis_cluster; of a ring the node's place in it.
    uint16_t slot = 0;
  };
  // The node that answers a request of that session; null: none, and `refusal` says why.
  Choice Choose(const Request& request, uint64_t session_id, std::string& refusal);
  // The same for one key of a request that may have several. Keys with the same `slot` may stay
  // together.
  Choice ChooseForKey(const Request& request, const KeyRef& key, uint64_t session_id,
                      std::string& refusal);
  // Who together has all keys, in the order of their addresses.
  std::vector<UpstreamNode*> AllPrimaries() const;
  // Whether requests may have to be split.
  bool has_several_primaries() const {
    return options_.kind == ClusterKind::kRedisCluster || options_.kind == ClusterKind::kRing;
  }
  // Whether Choose gives the same for every request of a session, until the topology changes.
  bool has_one_node() const { return options_.kind == ClusterKind::kRedis; }
  // Of kRedisCluster that of the slot, else that of all. Null: there is none.
  UpstreamNode* PrimaryOf(uint16_t slot) const { return GroupOf(slot).primary; }
  // Who else may answer a read of that slot than this node, and can; null: nobody.
  UpstreamNode* ReaderBeside(const UpstreamNode& node, uint16_t slot) const;
  // Why PrimaryOf gave nobody: an error's text.
  std::string NobodyServes() const;
  // The same for a write with the request's keys, whatever it is.
  UpstreamNode* ChooseWriter(const Request& request, uint64_t session_id, std::string& refusal);
  // The node where who subscribes to the channel hears what is published there.
  UpstreamNode* ChooseForChannel(std::string_view channel, std::string& refusal);
  // The lane of a session's connections, the same at each node.
  uint32_t LaneOf(uint64_t session_id) const {
    return static_cast<uint32_t>(session_id % static_cast<uint64_t>(options_.connections));
  }
  // Lanes of their own: what is sent for others than sessions (mirrored writes, keys that move),
  // and what may not wait behind requests (SCRIPT KILL).
  uint32_t BackgroundLane() const { return static_cast<uint32_t>(options_.connections); }
  uint32_t PassingLane() const { return static_cast<uint32_t>(options_.connections) + 1; }
  // The node at that address, which is made when it is not known.
  UpstreamNode& NodeAt(const topology::NodeAddress& address);

  // What is kept of its replies; null: nothing is, and no write has to say so. Between two turns.
  ClusterCache* cache() const { return cache_.get(); }
  void set_cache(std::unique_ptr<ClusterCache> cache);
  // Which replicas answer reads, where a route says so; null: none does. Between two turns.
  ReplicaFanout* fanout() const { return fanout_.get(); }
  void set_fanout(std::unique_ptr<ReplicaFanout> fanout);
  // The number of the shard that has the slot; 0 where there is one, or none is known.
  size_t GroupNumberOf(uint16_t slot) const;
  // The node that has that key; null: none, now.
  UpstreamNode* PrimaryOfKey(const KeyRef& key) const;

  // At the end of a turn: sends what the turn placed. False: nothing was to be sent.
  bool Flush();

  // --- when a reload has removed it ---
  // Clients that wait in line for a private connection ask elsewhere. Not from a callback.
  void Leave();
  // Something is in flight, or somebody has a connection of it: it may not go.
  bool busy() const;
  // Ends whatever is left, as if it were lost. Not from a callback.
  void EndAll(std::string_view why);

  // Any thread: the nodes there are, each with its counters on this worker.
  ClusterFigures::Nodes Figures() const { return figures_->nodes(); }
  const std::shared_ptr<ClusterFigures>& figures() const { return figures_; }

  // --- for its nodes and their connections ---
  UpstreamEnvironment& environment() { return environment_; }
  // Null: nodes are spoken to without TLS.
  const TlsContext* tls() const { return tls_; }
  // "upstream cluster 'cache', " and what.
  std::string Describe(std::string_view what) const;
  void MarkDirty(UpstreamConnection& connection) { dirty_.push_back(&connection); }
  // One that ends.
  void Unmark(UpstreamConnection& connection) { std::erase(dirty_, &connection); }
  // Connections end while their callbacks run: these are destroyed at the end of the turn.
  void Bury(std::unique_ptr<PrivateConnection> connection);
  void NodeFailed(UpstreamNode& node, std::string_view why);
  void BreakerChanged(UpstreamNode& node);
  // Null: replies of its nodes are handed on as they are.
  Redirections* redirections() { return redirections_.get(); }
  // MOVED: the slot is at that address.
  void Redirected(uint16_t slot, const topology::NodeAddress& address);
  // An error reply came. True: the node says by it that it serves nobody now.
  bool ErrorReply(const UpstreamNode& node, std::string_view error);

 private:
  void TellFanout();
  std::vector<std::vector<size_t>> ReplicasOfGroups() const;
  // Who serves a slot, or everything.
  struct NodeGroup {
    UpstreamNode* primary = nullptr;     // null: none is known
    std::vector<UpstreamNode*> readers;  // to choose from for reads; never empty with a primary

    friend bool operator==(const NodeGroup&, const NodeGroup&) = default;
  };

  void TakeNodes();
  std::vector<NodeGroup> MakeGroups() const;
  void AddReaders(NodeGroup& group, const std::vector<size_t>& replicas) const;
  bool PlacesAlike(const UpstreamTopology& before, const std::vector<NodeGroup>& groups) const;
  const NodeGroup& GroupOf(uint16_t slot) const;
  void TakeHealth(const UpstreamTopology& topology);
  size_t PlaceOf(const UpstreamNode& node) const;
  static UpstreamNode* ReaderOf(const NodeGroup& group, uint64_t session_id);
  Choice ChooseOf(const NodeGroup& group, const Request& request, uint64_t session_id,
                  std::string& refusal) const;
  Choice ChooseBySlot(uint16_t slot, const Request& request, uint64_t session_id,
                      std::string& refusal) const;
  Choice ChooseAny(const Request& request, uint64_t session_id, std::string& refusal);
  Choice ChooseOnRing(std::string_view key, std::string& refusal) const;
  void RemoveRetired();
  void PublishFigures();

  UpstreamEnvironment environment_;
  const size_t number_;
  const ClusterOptions options_;
  const TlsContext* const tls_;
  const std::shared_ptr<ClusterFigures> figures_;
  std::shared_ptr<UpstreamObserver> observer_;
  std::shared_ptr<const UpstreamTopology> topology_;
  std::vector<std::unique_ptr<UpstreamNode>> nodes_;
  std::vector<std::unique_ptr<UpstreamNode>> retired_;  // not in the topology any more
  const NodeGroup nobody_;
  std::vector<NodeGroup> groups_;               // of kRedisCluster by shard; of others one
  std::unique_ptr<RingPlacement> ring_;         // of kRing
  std::unique_ptr<Redirections> redirections_;  // where nodes have roles
  std::unique_ptr<ClusterCache> cache_;
  std::unique_ptr<ReplicaFanout> fanout_;
  std::vector<std::unique_ptr<PrivateConnection>> buried_;
  std::vector<UpstreamConnection*> dirty_;
  std::vector<UpstreamConnection*> flushing_;
};

}  // namespace tidegate
