#include "proxy/topology/ketama.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/text.h"
#include "proxy/topology/md5.h"

namespace tidegate::topology {
namespace {

constexpr uint32_t kPointsPerNode = 160;
constexpr uint32_t kPointsPerHash = 4;  // words of an MD5
constexpr uint16_t kMemcachedPort = 11211;

// How many MD5s a node has. The order of operations and their precision are twemproxy's: share of
// the weight first, everything rounded to single precision, the sum in double.
uint32_t HashesOf(uint32_t weight, uint64_t live_weight, size_t live_nodes) {
  const float share = static_cast<float>(weight) / static_cast<float>(live_weight);
  const float hashes = share * static_cast<float>(kPointsPerNode) /
                       static_cast<float>(kPointsPerHash) * static_cast<float>(live_nodes);
  return static_cast<uint32_t>(std::floor(static_cast<float>(hashes + 0.0000000001)));
}

}  // namespace

std::optional<Distribution> ParseDistribution(std::string_view name) {
  if (name == "ketama") return Distribution::kKetama;
  if (name == "modula") return Distribution::kModula;
  if (name == "random") return Distribution::kRandom;
  return std::nullopt;
}

std::string RingName(std::string_view host, uint16_t port) {
  std::string name(host);
  if (host.starts_with('/')) return name + ":";
  if (port != kMemcachedPort) name += ":" + ToText(port);
  return name;
}

Result<KetamaRing> KetamaRing::Create(RingOptions options, std::vector<RingNode> nodes) {
  if (nodes.empty()) return Error{"a ring needs nodes"};
  if (nodes.size() > kRingNodesMax) {
    return Error{"a ring of more than " + ToText(static_cast<int64_t>(kRingNodesMax)) + " nodes"};
  }
  if (!options.hash_tag.empty() && options.hash_tag.size() != 2) {
    return Error{"hash tag '" + options.hash_tag + "' is not two characters"};
  }
  uint64_t weight = 0;
  for (const RingNode& node : nodes) {
    if (node.name.empty() || node.name.size() > kRingNameBytesMax) {
      return Error{"a node's name of " + ToText(static_cast<int64_t>(node.name.size())) + " bytes"};
    }
    if (node.weight == 0) return Error{"node " + node.name + " has no weight"};
    weight += node.weight;
  }
  // As twemproxy counts it; also what makes any point's sum fit.
  if (weight > INT32_MAX) return Error{"the weights of a ring add up to too much"};
  return KetamaRing(std::move(options), std::move(nodes));
}

KetamaRing::KetamaRing(RingOptions options, std::vector<RingNode> nodes)
    : options_(std::move(options)), nodes_(std::move(nodes)) {
  Place(std::vector<bool>(nodes_.size(), true));
}

KetamaRing KetamaRing::WithLive(const std::vector<bool>& is_live) const {
  TG_CHECK(is_live.size() == nodes_.size());
  KetamaRing ring = *this;
  ring.live_nodes_ = static_cast<size_t>(std::count(is_live.begin(), is_live.end(), true));
  if (ring.live_nodes_ > 0) ring.Place(is_live);
  return ring;
}

void KetamaRing::Place(const std::vector<bool>& is_live) {
  points_.clear();
  live_nodes_ = static_cast<size_t>(std::count(is_live.begin(), is_live.end(), true));
  uint64_t live_weight = 0;
  for (size_t i = 0; i < nodes_.size(); ++i) live_weight += is_live[i] ? nodes_[i].weight : 0;
  uint32_t sum = 0;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (!is_live[i]) continue;
    const auto node = static_cast<uint32_t>(i);
    if (options_.distribution == Distribution::kKetama) {
      AddKetamaPoints(node, live_weight);
      continue;
    }
    sum += options_.distribution == Distribution::kModula ? nodes_[i].weight : 1;
    points_.push_back({.value = sum, .node = node});
  }
  // Stable: of equal points the node that is named first has the first, as glibc's qsort, which
  // twemproxy uses, leaves them up to glibc 2.36.
  std::stable_sort(points_.begin(), points_.end(),
                   [](const Point& a, const Point& b) { return a.value < b.value; });
}

void KetamaRing::AddKetamaPoints(uint32_t node, uint64_t live_weight) {
  const uint32_t hashes = HashesOf(nodes_[node].weight, live_weight, live_nodes_);
  for (uint32_t i = 0; i < hashes; ++i) {
    const std::array<uint8_t, 16> digest = Md5(nodes_[node].name + "-" + ToText(i));
    for (uint32_t word = 0; word < kPointsPerHash; ++word) {
      const uint8_t* bytes = digest.data() + word * 4;
      const uint32_t value = static_cast<uint32_t>(bytes[3]) << 24 |
                             static_cast<uint32_t>(bytes[2]) << 16 |
                             static_cast<uint32_t>(bytes[1]) << 8 | bytes[0];
      points_.push_back({.value = value, .node = node});
    }
  }
}

std::string_view KetamaRing::HashedPart(std::string_view key) const {
  if (options_.hash_tag.empty()) return key;
  const size_t open = key.find(options_.hash_tag[0]);
  if (open == std::string_view::npos) return key;
  const size_t close = key.find(options_.hash_tag[1], open + 1);
  if (close == std::string_view::npos || close == open + 1) return key;
  return key.substr(open + 1, close - open - 1);
}

uint32_t KetamaRing::HashOf(std::string_view key) const {
  const std::string_view part = HashedPart(key);
  return part.empty() ? 0 : HashForRing(options_.hash, part);
}

uint32_t KetamaRing::NodeOfHash(uint32_t hash) const {
  if (options_.distribution != Distribution::kKetama) {
    // The node whose run of weights the remainder falls into.
    const uint32_t rest = hash % points_.back().value;
    const auto after = [](uint32_t value, const Point& point) { return value < point.value; };
    return std::upper_bound(points_.begin(), points_.end(), rest, after)->node;
  }
  const auto before = [](const Point& point, uint32_t value) { return point.value < value; };
  const auto at = std::lower_bound(points_.begin(), points_.end(), hash, before);
  return at == points_.end() ? points_.front().node : at->node;
}

}  // namespace tidegate::topology
