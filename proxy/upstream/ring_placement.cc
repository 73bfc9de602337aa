#include "proxy/upstream/ring_placement.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"

namespace tidegate {
namespace {

// How often a node that would be back is looked at until it is up.
constexpr int64_t kRecheckNanos = 100'000'000;

Result<topology::KetamaRing> MakeRing(const ClusterOptions& options) {
  const auto distribution = topology::ParseDistribution(options.ring.distribution);
  if (!distribution) return Error{"no such distribution: " + options.ring.distribution};
  const auto hash = topology::ParseRingHash(options.ring.hash);
  if (!hash) return Error{"no such hash: " + options.ring.hash};
  std::vector<topology::RingNode> nodes;
  for (const UpstreamNodeOptions& node : options.nodes) {
    const std::string& name = node.name;
    nodes.push_back({name.empty() ? topology::RingName(node.address.host, node.address.port) : name,
                     node.weight});
  }
  return topology::KetamaRing::Create(
      {.distribution = *distribution, .hash = *hash, .hash_tag = options.ring.hash_tag},
      std::move(nodes));
}

}  // namespace

RingPlacement::RingPlacement(EventLoop& loop, const ClusterOptions& options,
                             std::function<void()> on_change,
                             std::function<bool(size_t node)> is_up)
    : options_(options.ring),
      random_nodes_(topology::ParseDistribution(options.ring.distribution) ==
                    topology::Distribution::kRandom),
      on_change_(std::move(on_change)),
      is_up_(std::move(is_up)),
      is_drained_(options.nodes.size(), false),
      back_at_ns_(options.nodes.size(), 0),
      random_(static_cast<uint32_t>(Ticks())),
      timer_(loop, [this] { TakeBack(); }) {
  Result<topology::KetamaRing> ring = MakeRing(options);
  if (ring.ok()) {
    whole_ = std::move(ring).value();
    ring_ = whole_;
  } else {
    problem_ = ring.error().message;
  }
}

size_t RingPlacement::NodeOf(std::string_view key) {
  if (__builtin_expect(random_nodes_, 0)) return ring_->NodeOfHash(random_());
  return ring_->NodeOf(key);
}

void RingPlacement::SetDrained(std::vector<bool> is_drained) {
  if (is_drained == is_drained_ || is_drained.size() != is_drained_.size() || !whole_) return;
  is_drained_ = std::move(is_drained);
  Place();
}

void RingPlacement::Failed(size_t node, int failures) {
  const int limit = options_.eject_after_failures;
  if (limit > 0 && failures >= limit && back_at_ns_[node] == 0 && ring_) Eject(node);
}

void RingPlacement::Eject(size_t node) {
  back_at_ns_[node] = MonotonicNanos() + options_.eject_time.count() * 1'000'000;
  Place();
  Arm();
}

void RingPlacement::TakeBack() {
  const int64_t now_ns = MonotonicNanos();
  bool any_back = false;
  for (size_t node = 0; node < back_at_ns_.size(); ++node) {
    int64_t& back_ns = back_at_ns_[node];
    if (back_ns == 0 || back_ns > now_ns) continue;
    any_back = any_back || is_up_(node);
    back_ns = is_up_(node) ? 0 : now_ns + kRecheckNanos;
  }
  if (any_back) Place();
  Arm();
}

// For who is to be back first.
void RingPlacement::Arm() {
  int64_t next_ns = 0;
  for (const int64_t back_ns : back_at_ns_) {
    if (back_ns != 0) next_ns = next_ns == 0 ? back_ns : std::min(next_ns, back_ns);
  }
  if (next_ns == 0) return;
  const int64_t wait_ns = std::max<int64_t>(next_ns - MonotonicNanos(), 0);
  timer_.StartOnce(static_cast<uint64_t>(wait_ns / 1'000'000) + 1);
}

void RingPlacement::Place() {
  std::vector<bool> is_live;
  for (size_t i = 0; i < back_at_ns_.size(); ++i)
    is_live.push_back(back_at_ns_[i] == 0 && !is_drained_[i]);
  ring_ = whole_->WithLive(is_live);
  on_change_();
}

}  // namespace tidegate
