// KetamaRing: which node of a ring has a key, exactly as twemproxy decides it, so that Tidegate can
// stand in its place in front of data that is already spread.
//
//   a node of average weight has 160 points on a circle of 2^32; a key belongs to the first point
//   at or after its hash, and behind the last point the circle begins again:
//
//      0 ----b---a-----c--a--[key]----b----c--- 2^32
//                                     ^ the key is b's
//
// A node's points are the four words of MD5("name-0"), MD5("name-1"), …; how many, follows from its
// share of the weight of the nodes that are live, in twemproxy's single-precision arithmetic: a
// point more or less would move keys. Ejecting a node takes its points away and gives its keys to
// the nodes behind them; but with unequal weights the others' shares change too, as there. When no
// node is left, the ring stays as it last was.
// Also twemproxy's other distributions, for configurations taken over: modula (hash modulo weights)
// and random.
// Immutable, shared by workers; changes make a new one. Cost of a lookup: the hash and a binary
// search; of a change: 160 points a node, sorted, 80 us for ten nodes.
// Source: twemproxy 0.5, and libmemcached's weighted ketama before it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "proxy/topology/ring_hash.h"

namespace tidegate::topology {

inline constexpr size_t kRingNodesMax = 4096;
// A host name of 255 bytes and its port.
inline constexpr size_t kRingNameBytesMax = 261;

enum class Distribution : uint8_t { kKetama, kModula, kRandom };
std::optional<Distribution> ParseDistribution(std::string_view name);

struct RingNode {
  // What places the node, not where it is: see RingName. A node that moves keeps its name and keys.
  std::string name;
  uint32_t weight = 1;
};

struct RingOptions {
  Distribution distribution = Distribution::kKetama;
  RingHash hash = RingHash::kFnv1aBits64;
  // Two bytes: only what is between the first of one and the next of the other counts, when that is
  // not empty. None: the whole key.
  std::string hash_tag;
};

// The name of a node that was given none: "host:port", but "host" for memcached's port, and
// "/path:" for a unix socket; all as twemproxy does.
std::string RingName(std::string_view host, uint16_t port);

class KetamaRing final {
 public:
  // All nodes live.
  static Result<KetamaRing> Create(RingOptions options, std::vector<RingNode> nodes);

  // The same ring with these nodes live; `is_live` has one for each node. With none of them live,
  // keys stay where they are in this one.
  KetamaRing WithLive(const std::vector<bool>& is_live) const;

  // Index of the node. Not for kRandom, which has no home for a key: NodeOfHash(random number).
  uint32_t NodeOf(std::string_view key) const { return NodeOfHash(HashOf(key)); }
  uint32_t HashOf(std::string_view key) const;
  uint32_t NodeOfHash(uint32_t hash) const;

  // The part of the key that is hashed.
  std::string_view HashedPart(std::string_view key) const;

  const std::vector<RingNode>& nodes() const { return nodes_; }
  size_t live_nodes() const { return live_nodes_; }
  size_t points() const { return points_.size(); }

 private:
  // kKetama: by hash. Otherwise by the sum of the weights up to and with the node.
  struct Point {
    uint32_t value;
    uint32_t node;
  };

  KetamaRing(RingOptions options, std::vector<RingNode> nodes);
  void Place(const std::vector<bool>& is_live);
  void AddKetamaPoints(uint32_t node, uint64_t live_weight);

  RingOptions options_;
  std::vector<RingNode> nodes_;
  std::vector<Point> points_;  // sorted by value
  size_t live_nodes_ = 0;
};

}  // namespace tidegate::topology
