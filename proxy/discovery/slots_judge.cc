#include "proxy/discovery/slots_judge.h"

#include <algorithm>
#include <utility>

#include "proxy/topology/slot_map_builder.h"

namespace tidegate::discovery {
namespace {

// Redirects that are kept: a slot each, and there are no more slots than this that move in two
// seconds.
constexpr size_t kRedirectsMax = 4096;

std::string ProblemOf(const topology::ClusterAgreement& agreement,
                      std::span<const CollectedView> views) {
  const uint32_t missing = kSlotCount - agreement.map.covered_slots();
  if (missing > 0) return std::to_string(missing) + " slots have no primary";
  const auto failing = std::count_if(views.begin(), views.end(),
                                     [](const CollectedView& view) { return !view.info.is_ok; });
  if (static_cast<size_t>(failing) * 2 > views.size())
    return "its nodes say that the cluster's state is not ok";
  return "";
}

}  // namespace

SlotsJudge::Verdict SlotsJudge::Judge(std::vector<CollectedView> views, bool heard_of_last,
                                      int64_t now_ns) {
  size_t strangers = 0;
  std::string stranger;
  if (map_ != nullptr) {
    strangers = std::erase_if(views, [&](const CollectedView& view) {
      if (KnowsSomeOf(view.view.map)) return false;
      stranger = view.from.ToText();
      return heard_of_last;
    });
  }
  if (views.empty()) {
    if (strangers > 0) return {map_, stranger + " is a node of another cluster", false};
    return {map_, "no node tells its slots", false};
  }
  std::vector<topology::ClusterView> plain;
  for (CollectedView& view : views) plain.push_back(std::move(view.view));
  Result<topology::ClusterAgreement> agreed = AgreeOnCluster(plain);
  if (!agreed.ok()) return {map_, agreed.error().message, false};
  if (agreed->map.covered_slots() == 0 && map_ != nullptr)
    return {map_, "the nodes that were asked know of no slots", false};
  Verdict verdict;
  verdict.problem = ProblemOf(*agreed, views);
  verdict.is_settled = agreed->disputed_slots == 0 && verdict.problem.empty();
  map_ = std::make_shared<const topology::SlotMap>(WithRedirects(std::move(agreed->map), now_ns));
  verdict.map = map_;
  return verdict;
}

bool SlotsJudge::KnowsSomeOf(const topology::SlotMap& map) const {
  for (const topology::ClusterNode& node : map.nodes()) {
    for (const topology::ClusterNode& known : map_->nodes()) {
      if (node.address == known.address || (!node.id.empty() && node.id == known.id)) return true;
    }
  }
  return false;
}

topology::SlotMap SlotsJudge::WithRedirects(topology::SlotMap map, int64_t now_ns) {
  std::erase_if(redirected_, [&](const Redirected& one) {
    const topology::ClusterNode* primary = map.PrimaryOf(one.slot);
    return one.until_ns <= now_ns || (primary != nullptr && primary->address == one.target) ||
           map.FindNode(one.target) == topology::kNoNode;
  });
  if (redirected_.empty()) return map;
  topology::SlotMapBuilder builder(map);
  for (const Redirected& one : redirected_) {
    if (!builder.Redirect(one.slot, one.target).ok()) return map;
  }
  return std::move(builder).Build();
}

bool SlotsJudge::Redirect(uint16_t slot, const topology::NodeAddress& target, int64_t now_ns) {
  if (map_ == nullptr || map_->FindNode(target) == topology::kNoNode) return false;
  for (Redirected& one : redirected_) {
    if (one.slot != slot || one.target != target) continue;
    one.until_ns = now_ns + kRedirectNanos;  // said again
    return false;
  }
  std::erase_if(redirected_, [slot](const Redirected& one) { return one.slot == slot; });
  const topology::ClusterNode* primary = map_->PrimaryOf(slot);
  if (primary != nullptr && primary->address == target) return false;
  if (redirected_.size() >= kRedirectsMax) return false;
  Result<topology::SlotMap> changed = WithRedirect(*map_, slot, target);
  if (!changed.ok()) return false;
  redirected_.push_back({slot, target, now_ns + kRedirectNanos});
  map_ = std::make_shared<const topology::SlotMap>(std::move(changed).value());
  return true;
}

}  // namespace tidegate::discovery
