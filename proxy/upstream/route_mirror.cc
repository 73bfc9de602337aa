#include "proxy/upstream/route_mirror.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/clock.h"
#include "proxy/route/split_rule.h"
#include "proxy/upstream/upstream_cluster.h"
#include "proxy/upstream/upstream_connection.h"
#include "storage/command.h"

namespace tidegate {
namespace {

// Neighbouring slots often are one node's: a percentage takes some of each.
bool IsChosen(uint16_t slot, int percent) {
  const uint32_t mixed = slot * 0x9e3779b1u;  // Knuth's multiplicative hash
  return static_cast<uint64_t>(mixed) * 100 >> 32 < static_cast<uint64_t>(percent);
}

}  // namespace

RouteMirror::RouteMirror(std::shared_ptr<MirrorFigures> figures, UpstreamCluster& cluster,
                         int percent)
    : figures_(std::move(figures)),
      counters_(figures_->counters),
      cluster_(cluster),
      percent_(percent),
      link_(new UpstreamLink) {
  link_->client = this;
}

RouteMirror::~RouteMirror() { link_->Leave(); }

RouteMirror::Choice RouteMirror::ChoiceOf(std::span<const KeyRef> keys) const {
  if (percent_ >= 100) return Choice::kAll;
  const auto chosen = std::count_if(
      keys.begin(), keys.end(), [this](const KeyRef& key) { return IsChosen(key.slot, percent_); });
  if (keys.empty()) return Choice::kSome;
  if (chosen == 0) return Choice::kNone;
  return static_cast<size_t>(chosen) == keys.size() ? Choice::kAll : Choice::kSome;
}

bool RouteMirror::MayPlace(const MirrorOrigin& origin) const {
  return link_->outstanding < kMirrorInFlightMax &&
         cluster_.Refusal(origin.database, Protocol::kResp2).empty();
}

// A lane that no session has.
UpstreamConnection& RouteMirror::ConnectionTo(UpstreamNode& node,
                                              const MirrorOrigin& origin) const {
  return node.ConnectionFor({.database = origin.database,
                             .protocol = Protocol::kResp2,
                             .reads_replica = false,
                             .lane = cluster_.BackgroundLane()});
}

UpstreamRequest RouteMirror::Waiting(const Request& request, uint16_t slot) const {
  return {.link = link_, .command = request.command, .begin_ticks = Ticks(), .slot = slot};
}

void RouteMirror::Place(UpstreamNode* node, uint16_t slot, const Request& request,
                        const MirrorOrigin& origin) {
  if (node == nullptr || !ConnectionTo(*node, origin).Place(request, Waiting(request, slot)))
    return counters_.refused.Add(1);
  ++link_->outstanding;
  counters_.sent.Add(1);
}

void RouteMirror::Send(const Request& request, const MirrorOrigin& origin) {
  if (!MayPlace(origin)) return counters_.refused.Add(1);
  if (cluster_.has_several_primaries()) {
    if (request.keys.empty() && SplitByNodes(request)) return SendToNodes(request, origin);
    if (request.keys.size() > 1 && SplitByKeys(request)) return SendParts(request, origin);
  }
  std::string refusal;
  const UpstreamCluster::Choice choice = cluster_.Choose(request, origin.session_id, refusal);
  if (refusal.starts_with("CROSSSLOT") || refusal.starts_with("ERR keys of one")) return Skip(1);
  Place(choice.node, choice.slot, request, origin);
}

void RouteMirror::SendToNodes(const Request& request, const MirrorOrigin& origin) {
  for (UpstreamNode* node : cluster_.AllPrimaries()) Place(node, 0, request, origin);
}

// One request for each place of keys, as SessionForwarder makes them.
void RouteMirror::SendParts(const Request& request, const MirrorOrigin& origin) {
  std::map<uint16_t, std::pair<UpstreamNode*, std::vector<uint32_t>>> parts;
  std::string refusal;
  for (uint32_t i = 0; i < request.keys.size(); ++i) {
    const UpstreamCluster::Choice choice =
        cluster_.ChooseForKey(request, request.keys[i], origin.session_id, refusal);
    auto& part = parts[choice.slot];
    part.first = choice.node;
    part.second.push_back(i);
  }
  PartArguments arguments;
  for (const auto& [slot, part] : parts)
    Place(part.first, slot, arguments.Of(request, part.second), origin);
}

void RouteMirror::SendUnit(const Request& multi, std::span<const Request> writes,
                           const Request& exec, const MirrorOrigin& origin) {
  if (!MayPlace(origin)) return counters_.refused.Add(writes.size());
  UpstreamNode* node = nullptr;
  for (const Request& write : writes) {
    std::string refusal;
    UpstreamNode* const chosen = cluster_.Choose(write, origin.session_id, refusal).node;
    if (chosen == nullptr || (node != nullptr && chosen != node)) return Skip(writes.size());
    node = chosen;
  }
  if (node == nullptr) return;
  std::vector<Request> unit = {multi};
  unit.insert(unit.end(), writes.begin(), writes.end());
  unit.push_back(exec);
  if (!ConnectionTo(*node, origin).PlaceUnit(unit, Waiting(exec, 0)))
    return counters_.refused.Add(writes.size());
  link_->outstanding += static_cast<uint32_t>(unit.size());
  counters_.sent.Add(writes.size());
}

// Errors of single commands of a unit are in its last reply, and not counted; that it was not
// executed is. An empty reply: the process ends.
void RouteMirror::OnUpstreamReply(const UpstreamRequest& request, std::string_view reply) {
  if (request.part() == RequestPart::kUnitPart) return;
  if (reply.starts_with('-') || reply.starts_with('!')) counters_.errors.Add(1);
}

}  // namespace tidegate
