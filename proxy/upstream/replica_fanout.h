// ReplicaFanout: who of a primary and its replicas answers a read that any of them may answer, on
// one worker, for one cluster.
//
//   a read --> which replicas are sure to have the key's last write? --> of those, and of the
//              primary, two by chance: the one with fewer requests in flight
//
// A client never reads something older than what it wrote through this process: WriteStripes says
// when the last write of the key's stripe was answered, CaughtUp until when a replica has all that
// its primary had executed; the latter has to be the later one. A write in flight keeps reads of
// its stripe at the primary. The same holds for what may change any key of the cluster, and for
// what is not known: when places of keys change, or the connection to a replica is made anew (it
// may have been restarted, with old data), a replica counts for nothing until it was asked again.
// Why not a fixed time: a replica that is slow once is then read too early, and a fast one too
// late.
//
// Two at random instead of the best of all: workers and proxies do not know of each other's
// requests, and would all go to the same node. Owner: its cluster, on one worker. Cost of Choose: a
// few loads for each node; no allocation.
// Source: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "policy/write_stripes.h"
#include "proxy/upstream/upstream_counters.h"
#include "proxy/upstream/upstream_topology.h"
#include "storage/request.h"

namespace tidegate {

class FanoutRule;
class UpstreamNode;

// Nodes of one shard that share its reads; others are not asked. More replicas than that nobody has
// behind one primary.
inline constexpr size_t kFanoutNodesMax = 16;

class ReplicaFanout final {
 public:
  struct Setting {
    WriteStripes& stripes;
    size_t cluster = 0;     // its number
    size_t workers = 1;     // of the process, each of which has to say which keys it writes
    int64_t begins_ns = 0;  // what was answered before that is not known here
  };
  ReplicaFanout(const Setting& setting, FanoutFigures& figures);

  struct Replica {
    UpstreamNode* node = nullptr;
    std::shared_ptr<const CaughtUp> caught_up;  // null: not known, ever
  };
  struct Group {
    UpstreamNode* primary = nullptr;
    std::vector<Replica> replicas;  // that may be read
  };
  // By shard.
  void SetGroups(std::vector<Group> groups) { groups_ = std::move(groups); }
  // Keys are elsewhere, or other nodes are primaries.
  void PlacesChanged(int64_t now_ns) { floor_ns_ = std::max(floor_ns_, now_ns); }

  struct Choice {
    UpstreamNode* replica = nullptr;  // that shall answer; null: the primary
    WorkerCounter* figure = nullptr;  // to be moved once the read is sent; null: none
  };
  // Who shall answer a read of the key.
  Choice Choose(size_t group, const KeyRef& key, const FanoutRule& rule);
  // Where reads of the key may go now, in words for people.
  std::string Describe(size_t group, const KeyRef& key, const FanoutRule& rule) const;

 private:
  // Who may answer.
  struct Readers {
    UpstreamNode* nodes[kFanoutNodesMax] = {};
    size_t count = 0;
    bool any_replica = false;  // of them
    bool any_late = false;     // a replica is not, for what it may not have yet
  };
  Readers ReadersOf(const Group& group, const KeyRef& key, const FanoutRule& rule) const;
  static void KeepNear(Readers& readers, const Group& group, const FanoutRule& rule);
  int64_t WrittenNanos(const KeyRef& key) const;
  UpstreamNode* LessBusyOfTwo(const Readers& readers);
  uint64_t Random();

  const Setting setting_;
  FanoutFigures& figures_;
  std::vector<Group> groups_;
  int64_t floor_ns_;
  uint64_t random_;
};

}  // namespace tidegate
