// FakeCluster: a few nodes that talk as those of a Redis Cluster do, in the test's process, so that
// slots can move, keys be halfway, and connections break whenever a test wants it, thousands of
// times a second.
//
// All nodes share one store, and only who may serve a key may touch it: a request that overtakes
// another on its way to a key is seen by what it reads. Keys of a slot that moves are at the source
// until MoveKey; the source answers ASK for those that are gone or not there, and never makes one;
// the target serves them behind ASKING. Replies go out in pieces of any length, and now and then a
// connection stands still for a moment, so that what is sent later may arrive earlier. One thread
// serves all of it; the control functions are for any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "proxy/upstream/upstream_topology.h"

namespace tidegate {

class FakeCluster final {
 public:
  explicit FakeCluster(int nodes, unsigned seed);
  ~FakeCluster();
  FakeCluster(const FakeCluster&) = delete;
  FakeCluster& operator=(const FakeCluster&) = delete;

  uint16_t port(int node) const { return nodes_[static_cast<size_t>(node)].port; }
  int size() const { return static_cast<int>(nodes_.size()); }

  // Slots are spread evenly at first.
  std::shared_ptr<const UpstreamTopology> Topology(uint64_t version);
  int OwnerOf(uint16_t slot);
  // A slot never comes back to a node that it has left, here: a request that was sent elsewhere
  // from there could meet those that were behind it. At once: who asks the old owner gets MOVED.
  void Give(uint16_t slot, int node);
  void BeginMove(uint16_t slot, int to);
  void MoveKey(const std::string& key);
  // Keys that are not moved yet go with it.
  void EndMove(uint16_t slot);
  // Closes every connection of the node.
  void Break(int node);
  // Requests for this node get MOVED to that one whatever the slot; -1: not.
  void MisleadTo(int node, int to);
  // The next so many commands with keys get TRYAGAIN.
  void TryAgain(int times);
  int redirects();
  int commands();

 private:
  struct Node {
    int listener = -1;
    uint16_t port = 0;
    int mislead_to = -1;
    bool breaks = false;
  };
  struct Connection {
    int fd = -1;
    int node = 0;
    bool asking = false;
    std::string in;
    std::string out;
    std::chrono::steady_clock::time_point stalled_until;
  };

  void Run();
  void Accept(size_t node);
  // False: it has ended.
  bool Serve(Connection& connection, short events);
  void Execute(Connection& connection, const std::vector<std::string>& args);
  std::string ExecuteOnNode(int node, const std::vector<std::string>& args);
  std::string Value(const std::string& key) const;
  std::string ExecuteOnKey(Connection& connection, const std::vector<std::string>& args);
  // Empty: this node serves the key now.
  std::string RedirectionFor(const Connection& connection, const std::string& key, bool asking);
  std::string Address(int node) const;
  bool MayTake(uint16_t slot, int node) const;

  std::vector<Node> nodes_;
  std::vector<Connection> connections_;
  std::mutex mutex_;
  std::vector<int> owner_;
  std::vector<uint32_t> owners_;    // of each slot, all that there were: a bit each
  std::map<uint16_t, int> moving_;  // to whom
  std::set<std::string> moved_;     // keys of slots that move, already at the target
  std::map<std::string, std::string> store_;
  std::mt19937 random_;
  int redirects_ = 0;
  int commands_ = 0;
  int try_again_ = 0;
  bool ends_ = false;
  std::thread thread_;
};

}  // namespace tidegate
