#include "proxy/upstream/replica_fanout.h"

#include <algorithm>

#include "base/clock.h"
#include "policy/route_policies.h"
#include "proxy/upstream/upstream_node.h"

namespace tidegate {

ReplicaFanout::ReplicaFanout(const Setting& setting, FanoutFigures& figures)
    : setting_(setting),
      figures_(figures),
      floor_ns_(setting.begins_ns),
      random_(static_cast<uint64_t>(MonotonicNanos()) | 1) {
  setting_.stripes.NoteTimes();
}

// xorshift64
uint64_t ReplicaFanout::Random() {
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  return random_;
}

// When the key was last written here as far as is known; INT64_MAX: a write is under way, or not
// every worker says what it writes.
int64_t ReplicaFanout::WrittenNanos(const KeyRef& key) const {
  const WriteStripes& stripes = setting_.stripes;
  if (stripes.joined(setting_.cluster) < setting_.workers) return INT64_MAX;
  int64_t written_ns = floor_ns_;
  for (const StripeIndex index : {WriteStripes::OfKey(key.hash, setting_.cluster),
                                  WriteStripes::OfCluster(setting_.cluster)}) {
    if (!WriteStripes::IsQuiet(stripes.Read(index))) return INT64_MAX;
    written_ns = std::max(written_ns, stripes.EndedNanos(index));
  }
  return written_ns;
}

ReplicaFanout::Readers ReplicaFanout::ReadersOf(const Group& group, const KeyRef& key,
                                                const FanoutRule& rule) const {
  Readers readers;
  const int64_t written_ns = rule.own_writes() ? WrittenNanos(key) : 0;
  for (const Replica& replica : group.replicas) {
    if (readers.count == kFanoutNodesMax - 1) break;
    if (!replica.node->IsGood()) continue;
    if (rule.own_writes()) {
      const int64_t caught_up_ns = replica.caught_up == nullptr ? 0 : replica.caught_up->load();
      if (caught_up_ns <= std::max(written_ns, replica.node->connected_ns())) {
        readers.any_late = true;
        continue;
      }
    }
    readers.nodes[readers.count++] = replica.node;
    readers.any_replica = true;
  }
  const bool primary_is_good = group.primary != nullptr && group.primary->IsGood();
  if (readers.any_replica && rule.primary_too() && primary_is_good)
    readers.nodes[readers.count++] = group.primary;
  if (rule.has_near()) KeepNear(readers, group, rule);
  return readers;
}

// While there is one.
void ReplicaFanout::KeepNear(Readers& readers, const Group& group, const FanoutRule& rule) {
  UpstreamNode** const end = readers.nodes + readers.count;
  UpstreamNode** const far = std::stable_partition(
      readers.nodes, end,
      [&rule](const UpstreamNode* node) { return rule.IsNear(node->address().ToText()); });
  if (far == readers.nodes) return;
  readers.count = static_cast<size_t>(far - readers.nodes);
  readers.any_replica = std::any_of(
      readers.nodes, far, [&group](const UpstreamNode* node) { return node != group.primary; });
}

UpstreamNode* ReplicaFanout::LessBusyOfTwo(const Readers& readers) {
  const size_t first = Random() % readers.count;
  if (readers.count == 1) return readers.nodes[first];
  const size_t second = (first + 1 + Random() % (readers.count - 1)) % readers.count;
  const uint64_t busy = readers.nodes[first]->counters().in_flight.Get();
  return readers.nodes[second]->counters().in_flight.Get() < busy ? readers.nodes[second]
                                                                  : readers.nodes[first];
}

ReplicaFanout::Choice ReplicaFanout::Choose(size_t group, const KeyRef& key,
                                            const FanoutRule& rule) {
  if (group >= groups_.size()) return {};
  const Readers readers = ReadersOf(groups_[group], key, rule);
  const bool observes = rule.mode() == PolicyMode::kObserve;
  if (!readers.any_replica) {
    if (observes) return {};
    return {.figure = readers.any_late    ? &figures_.written_reads
                      : readers.count > 0 ? &figures_.primary_reads
                                          : &figures_.unfit_reads};
  }
  UpstreamNode* const node = LessBusyOfTwo(readers);
  const bool is_primary = node == groups_[group].primary;
  if (observes) return {.figure = is_primary ? nullptr : &figures_.observed};
  if (is_primary) return {.figure = &figures_.primary_reads};
  return {.replica = node, .figure = &figures_.replica_reads};
}

std::string ReplicaFanout::Describe(size_t group, const KeyRef& key, const FanoutRule& rule) const {
  std::string line = "replica_fanout now: ";
  if (group >= groups_.size()) return line + "the primary, no replica is known";
  const Readers readers = ReadersOf(groups_[group], key, rule);
  if (!readers.any_replica) {
    return line + (readers.any_late    ? "the primary, no replica is sure to have the last write"
                   : readers.count > 0 ? "the primary, it is nearest"
                                       : "the primary, no replica may be read");
  }
  for (size_t i = 0; i < readers.count; ++i)
    line += (i == 0 ? "" : ", ") + readers.nodes[i]->address().ToText();
  return line;
}

}  // namespace tidegate
