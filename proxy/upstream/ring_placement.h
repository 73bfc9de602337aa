// RingPlacement: the ring of a cluster of kind `ring` as one worker sees it: which node has a key,
// and which nodes have left it because they failed.
//
// A node that failed `eject_after_failures` times in a row, or whose circuit breaker is open,
// leaves the ring for `eject_time`, and until the breaker is closed; then it is tried again, and
// one more failure ejects it at once. What twemproxy calls auto_eject_hosts: a cache then misses
// instead of failing, and data would be in two places, so it is off unless configured. Each worker
// decides by what it saw itself. Owner: a cluster, on one worker. Cost of NodeOf: the key's hash
// and a binary search.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "config/upstream_options.h"
#include "proxy/event/loop.h"
#include "proxy/topology/ketama.h"

namespace tidegate {

class RingPlacement final {
 public:
  // `on_change`: keys belong to other nodes than before. `is_up`: whether a node's breaker is
  // closed.
  RingPlacement(EventLoop& loop, const ClusterOptions& options, std::function<void()> on_change,
                std::function<bool(size_t node)> is_up);
  RingPlacement(const RingPlacement&) = delete;
  RingPlacement& operator=(const RingPlacement&) = delete;

  // Why there is no ring, by its configuration; empty: there is one.
  const std::string& problem() const { return problem_; }
  // Index into the options' nodes. Only with a ring.
  size_t NodeOf(std::string_view key);

  // Nodes that shall have no keys, whatever their health. At least one is not among them.
  void SetDrained(std::vector<bool> is_drained);
  // The node failed, for the so manieth time in a row.
  void Failed(size_t node, int failures);
  // Its breaker is open.
  void Down(size_t node) { Failed(node, std::numeric_limits<int>::max()); }

 private:
  void Eject(size_t node);
  void TakeBack();
  void Arm();
  void Place();

  const RingClusterOptions options_;
  const bool random_nodes_;
  const std::function<void()> on_change_;
  const std::function<bool(size_t node)> is_up_;
  std::optional<topology::KetamaRing> whole_;
  std::optional<topology::KetamaRing> ring_;
  std::string problem_;
  std::vector<bool> is_drained_;     // of each node
  std::vector<int64_t> back_at_ns_;  // of each node; 0: it is in the ring
  std::minstd_rand random_;
  Timer timer_;
};

}  // namespace tidegate
