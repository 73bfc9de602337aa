// Requests that belong to several nodes: one part for each, whose replies become one. Parts go to
// the connections that a request with these keys alone would take, so the order of what a session
// does to a key holds for them as well; and the whole has one number in the session's order.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "proxy/session/session_forwarder.h"
#include "proxy/upstream/merged_reply.h"
#include "proxy/upstream/upstream_connection.h"
#include "storage/command.h"

namespace tidegate {

// As a whole of one part: what that looks into its reply is at hand there.
Session::Step SessionForwarder::ForwardNamed(UpstreamConnection& connection) {
  auto merged = std::make_unique<MergedReply>(SplitRule::kWhole, session_.protocol());
  merged->AddPart(slot_);
  merged->set_names(std::move(names_));
  UpstreamRequest waiting = Waiting(slot_);
  waiting.is_part = 1;
  if (!connection.Place(request_, waiting)) return Refuse(connection.refusal());
  link_.merged.emplace(link_.next_sequence, std::move(merged));
  ++link_.outstanding;
  Placed();
  return Session::Step::kNext;
}

// Whether it is none for a single node, and can be done all the same.
bool SessionForwarder::NeedsSplit(UpstreamCluster& cluster) {
  if (__builtin_expect(request_.keys.size() == 1, 1)) return false;
  if (request_.keys.empty()) return SplitByNodes(request_).has_value();
  if (!SplitByKeys(request_)) return false;
  std::string refusal;
  const UpstreamCluster::Choice first =
      cluster.ChooseForKey(request_, request_.keys[0], session_.id(), refusal);
  return std::any_of(request_.keys.begin() + 1, request_.keys.end(), [&](const KeyRef& key) {
    return cluster.ChooseForKey(request_, key, session_.id(), refusal).slot != first.slot;
  });
}

Session::Step SessionForwarder::ForwardSplit(UpstreamCluster& cluster) {
  const std::string refusal = RefusalOf(cluster);
  if (!refusal.empty()) return Refuse(refusal);
  if (request_.keys.empty()) return ForwardByNodes(cluster, *SplitByNodes(request_));
  return ForwardByKeys(cluster, *SplitByKeys(request_));
}

std::vector<SessionForwarder::Part> SessionForwarder::PartsByKeys(UpstreamCluster& cluster) {
  struct Placed {
    UpstreamCluster::Choice choice;
    uint32_t key;
  };
  std::vector<Placed> placed;
  placed.reserve(request_.keys.size());
  std::string refusal;
  for (uint32_t i = 0; i < request_.keys.size(); ++i)
    placed.push_back({cluster.ChooseForKey(request_, request_.keys[i], session_.id(), refusal), i});
  std::stable_sort(placed.begin(), placed.end(),
                   [](const Placed& a, const Placed& b) { return a.choice.slot < b.choice.slot; });
  std::vector<Part> parts;
  for (const Placed& one : placed) {
    if (parts.empty() || parts.back().choice.slot != one.choice.slot) {
      Part& part = parts.emplace_back();
      part.choice = one.choice;
      if (one.choice.node == nullptr)
        cluster.ChooseForKey(request_, request_.keys[one.key], session_.id(), part.refusal);
    }
    parts.back().keys.push_back(one.key);
  }
  return parts;
}

Session::Step SessionForwarder::ForwardByKeys(UpstreamCluster& cluster, SplitRule rule) {
  const std::vector<Part> parts = PartsByKeys(cluster);
  reads_apart_ = parts.front().choice.reads_apart;
  if (!MayPlace()) return Session::Step::kStay;
  auto merged = std::make_unique<MergedReply>(rule, session_.protocol());
  for (const Part& part : parts) merged->AddPart(part.choice.slot, part.keys);
  link_.merged.emplace(link_.next_sequence, std::move(merged));
  PartArguments arguments;
  link_.outstanding += static_cast<uint32_t>(parts.size());
  const UpstreamRequest waiting = Waiting(0);
  Placed();
  for (const Part& part : parts)
    PlacePart(cluster, part, arguments.Of(request_, part.keys), waiting);
  return Session::Step::kNext;
}

// A part that cannot be sent is answered at once: the whole has an error then.
void SessionForwarder::PlacePart(UpstreamCluster& cluster, const Part& part, const Request& request,
                                 UpstreamRequest waiting) {
  waiting.slot = part.choice.slot;
  waiting.is_part = 1;
  if (part.choice.node == nullptr) return link_.Deliver(waiting, "-" + part.refusal + "\r\n");
  UpstreamConnection& connection =
      part.choice.node->ConnectionFor(KeyFor(cluster, part.choice.reads_replica));
  if (!connection.Place(request, waiting))
    link_.Deliver(waiting, "-" + connection.refusal() + "\r\n");
}

Session::Step SessionForwarder::ForwardByNodes(UpstreamCluster& cluster, SplitRule rule) {
  const std::vector<UpstreamNode*> nodes = cluster.AllPrimaries();
  if (nodes.empty()) {
    const std::string& problem = cluster.topology().problem;
    return Refuse(problem.empty() ? "CLUSTERDOWN Hash slot not served"
                                  : "ERR " + cluster.Describe(problem));
  }
  if (rule == SplitRule::kOneByOne) return ForwardScan(cluster, nodes);
  if (!MayPlace()) return Session::Step::kStay;
  auto merged = std::make_unique<MergedReply>(rule, session_.protocol());
  merged->set_names(std::move(names_));
  for (uint32_t i = 0; i < nodes.size(); ++i) merged->AddPart(static_cast<uint16_t>(i));
  link_.merged.emplace(link_.next_sequence, std::move(merged));
  link_.outstanding += static_cast<uint32_t>(nodes.size());
  const UpstreamRequest waiting = Waiting(0);
  Placed();
  for (uint32_t i = 0; i < nodes.size(); ++i) {
    const Part part{.choice = {.node = nodes[i], .slot = static_cast<uint16_t>(i)}};
    PlacePart(cluster, part, request_, waiting);
  }
  return Session::Step::kNext;
}

// The nodes are walked through one after the other, in the order of their addresses. When the nodes
// change meanwhile, so may that order: as in a Redis Cluster itself, a walk that slots move through
// may miss keys or see them twice.
Session::Step SessionForwarder::ForwardScan(UpstreamCluster& cluster,
                                            const std::vector<UpstreamNode*>& nodes) {
  const auto cursor = ParseUint64(request_.args[1]);
  if (!cursor) return Refuse("ERR invalid cursor");
  const uint64_t place = std::min<uint64_t>(*cursor % kScanNodesMax, nodes.size() - 1);
  if (!MayPlace()) return Session::Step::kStay;
  auto merged = std::make_unique<MergedReply>(SplitRule::kOneByOne, session_.protocol());
  merged->set_names(std::move(names_));
  merged->AddPart(0);
  merged->set_scan(place, nodes.size());
  link_.merged.emplace(link_.next_sequence, std::move(merged));
  ++link_.outstanding;
  const std::string node_cursor = std::to_string(*cursor / kScanNodesMax);
  std::vector<std::string_view> args(request_.args.begin(), request_.args.end());
  args[1] = node_cursor;
  const UpstreamRequest waiting = Waiting(0);
  Placed();
  PlacePart(cluster, {.choice = {.node = nodes[place]}}, {request_.command, args, {}}, waiting);
  return Session::Step::kNext;
}

}  // namespace tidegate
