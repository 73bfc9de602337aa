#include "proxy/upstream/cluster_cache.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/hash.h"
#include "policy/blank_reply.h"
#include "policy/command_access.h"
#include "policy/route_policies.h"
#include "proxy/commands/unnamed_writes.h"
#include "proxy/upstream/upstream_cluster.h"
#include "proxy/upstream/upstream_node.h"
#include "storage/command.h"

namespace tidegate {
namespace {

// Cells of the memory of which keys were read lately, each with 16 bits of one key's hash: a key
// that is read once is not worth a fetch.
constexpr size_t kSeenCells = 4096;

uint64_t IdOf(const CachedRead& read) {
  uint64_t id = read.hash ^ (uint64_t{read.command} << 32 | static_cast<uint32_t>(read.database));
  for (size_t i = 2; i < read.args.size(); ++i)
    id = (id ^ KeyHash(read.args[i])) * 0x9e3779b97f4a7c15ull;
  return id;
}

}  // namespace

StripeIndex StripeWrittenBy(const Request& request, size_t cluster) {
  const Command& command = *request.command;
  if (DataAccessOf(command) != DataAccess::kWrite || command.spec->group == Group::kPubSub)
    return kNoStripe;
  if (WritesUnnamedKeys(request)) return WriteStripes::OfCluster(cluster);
  if (request.keys.empty()) return kNoStripe;
  return request.keys.size() == 1 ? WriteStripes::OfKey(request.keys[0].hash, cluster)
                                  : kSeveralStripes;
}

void AppendStripesWrittenBy(const Request& request, size_t cluster,
                            std::vector<StripeIndex>& written) {
  const StripeIndex stripe = StripeWrittenBy(request, cluster);
  if (stripe == kNoStripe) return;
  if (stripe != kSeveralStripes) return written.push_back(stripe);
  for (const KeyRef& key : request.keys) written.push_back(WriteStripes::OfKey(key.hash, cluster));
}

ClusterCache::ClusterCache(UpstreamCluster& cluster, const Shared& shared)
    : cluster_(cluster),
      shared_(shared),
      joined_reads_(shared.store.mutable_figures()),
      seen_(kSeenCells) {
  shared_.stripes.Join(cluster_.number());
}

ClusterCache::~ClusterCache() {
  shared_.stripes.Leave(cluster_.number());
  connections_.clear();
  shared_.store.DropCluster(cluster_.number());
}

UpstreamNode* ClusterCache::NodeOf(const KeyRef& key) const { return cluster_.PrimaryOfKey(key); }

TrackingConnection* ClusterCache::ConnectionOf(const KeyRef& key) const {
  const auto found = connections_.find(NodeOf(key));
  return found == connections_.end() ? nullptr : found->second.get();
}

bool ClusterCache::AllJoined() const {
  return shared_.stripes.joined(cluster_.number()) >= shared_.workers;
}

CachedRead ClusterCache::ReadOf(const Request& request, int database) const {
  return {.cluster = cluster_.number(),
          .database = database,
          .key = request.keys[0].name,
          .hash = request.keys[0].hash,
          .command = request.command->id,
          .args = request.args};
}

std::string_view ClusterCache::Find(const Request& request, int database, Protocol protocol) {
  TrackingConnection* const connection = ConnectionOf(request.keys[0]);
  if (connection == nullptr || connection->source() == 0 || !AllJoined()) return {};
  const int64_t now_ns = MonotonicNanos();
  const CachedReply* const kept =
      shared_.store.Find(ReadOf(request, database), connection->source(), now_ns);
  if (kept == nullptr || !connection->IsFresh(now_ns)) return {};
  shared_.store.mutable_figures().hits.Add(1);
  return kept->In(protocol);
}

std::optional<JoinedReads::Read> ClusterCache::Joinable(const Request& request, int database,
                                                        Protocol protocol) const {
  if (!AllJoined()) return std::nullopt;
  const CachedRead read = ReadOf(request, database);
  return JoinedReads::Read{.request = request,
                           .database = database,
                           .protocol = protocol,
                           .id = IdOf(read),
                           .stamp = shared_.store.StampOf(read)};
}

void ClusterCache::Missed(const Request& request, int database, const LocalCacheRule& rule) {
  shared_.store.mutable_figures().misses.Add(1);
  const CachedRead read = ReadOf(request, database);
  if (!rule.of_hot_keys()) {
    const auto mine = static_cast<uint16_t>(read.hash >> 48 | 1);
    uint16_t& last = seen_[read.hash >> 16 & (kSeenCells - 1)];
    if (std::exchange(last, mine) != mine) return;
  }
  UpstreamNode* const node = NodeOf(request.keys[0]);
  if (node == nullptr || !AllJoined() || cluster_.options().protocol == 2) return;
  const int64_t now_ns = MonotonicNanos();
  const uint64_t read_id = IdOf(read);
  const WriteStamp stamp = shared_.store.StampOf(read);
  if (!stamp.quiet() || Rests(read_id, now_ns)) return;
  std::unique_ptr<TrackingConnection>& connection = connections_[node];
  if (connection == nullptr) connection = std::make_unique<TrackingConnection>(*this, *node);
  // It is there, and is not given for another reason: replies in front of it, a late node.
  if (shared_.store.Find(read, connection->source(), now_ns) != nullptr) return;
  const bool sent = connection->Fetch({.request = OwnedRequest(request),
                                       .database = database,
                                       .read_id = read_id,
                                       .stamp = stamp,
                                       .sent_ns = now_ns,
                                       .ttl_max_ns = rule.ttl_max_ns(),
                                       .bytes_max = rule.entry_bytes_max(),
                                       .keeps_nothing = rule.keeps_nothing()});
  // One at a time.
  if (sent) Rest(read_id, INT64_MAX);
}

bool ClusterCache::Rests(uint64_t read_id, int64_t now_ns) {
  const auto found = resting_.find(read_id);
  if (found == resting_.end()) return false;
  if (now_ns < found->second) return true;
  resting_.erase(found);
  return false;
}

void ClusterCache::Rest(uint64_t read_id, int64_t until_ns) {
  if (resting_.size() >= kRestingReadsMax) resting_.clear();
  resting_[read_id] = until_ns;
}

// While a slot moves its node does not tell of keys that are not there and are made where it goes.
bool ClusterCache::IsUnwanted(const FetchedReply& fetched) const {
  const bool is_absent = fetched.ttl_ms == kNoKeyTtl;
  if (is_absent && cluster_.options().kind == ClusterKind::kRedisCluster) return true;
  return !fetched.keeps_nothing && (is_absent || MayBeNothing(fetched.reply));
}

void ClusterCache::Fetched(FetchedReply fetched) {
  resting_.erase(fetched.read_id);
  const Request request = fetched.request.view();
  const CachedRead read = ReadOf(request, fetched.database);
  const int64_t now_ns = MonotonicNanos();
  const bool is_reply = !fetched.reply.empty() && fetched.reply.front() != '-';
  const bool is_unwanted = IsUnwanted(fetched);
  if (!is_reply || is_unwanted || fetched.reply.size() > fetched.bytes_max) {
    // A lost connection has its own pause.
    if (!fetched.reply.empty()) {
      const int64_t rest_ns = is_unwanted ? kOvertakenRestNanos : kRefusedRestNanos;
      Rest(fetched.read_id, now_ns + rest_ns);
    }
    shared_.store.mutable_figures().discarded.Add(1);
    return;
  }
  int64_t ttl_ns = fetched.ttl_max_ns;
  // The time to live is as of some moment after it was sent.
  if (fetched.ttl_ms >= 0 && fetched.ttl_ms < ttl_ns / 1'000'000)
    ttl_ns = fetched.ttl_ms * 1'000'000;
  CachedReply reply{.resp3 = std::string(fetched.reply),
                    .resp2 = Resp2Of(fetched.reply),
                    .stamp = fetched.stamp,
                    .source = fetched.source,
                    .expires_ns = fetched.sent_ns + ttl_ns};
  if (shared_.store.Keep(read, std::move(reply))) return;
  shared_.store.mutable_figures().discarded.Add(1);
  const bool overtaken = shared_.store.StampOf(read) != fetched.stamp;
  Rest(fetched.read_id, now_ns + (overtaken ? kOvertakenRestNanos : kRefusedRestNanos));
}

void ClusterCache::Changed(std::string_view key) { shared_.store.DropKey(cluster_.number(), key); }

void ClusterCache::DropAll() {
  shared_.store.DropCluster(cluster_.number());
  resting_.clear();
  has_nodes_to_check_ = !connections_.empty();
}

void ClusterCache::CheckNodes() {
  has_nodes_to_check_ = false;
  const std::vector<UpstreamNode*> primaries = cluster_.AllPrimaries();
  std::erase_if(connections_, [&primaries](const auto& entry) {
    return std::find(primaries.begin(), primaries.end(), entry.first) == primaries.end();
  });
}

std::string ClusterCache::ProblemOf(const KeyRef& key) const {
  if (cluster_.options().protocol == 2) return "the cluster's protocol is set to 2";
  const TrackingConnection* const connection = ConnectionOf(key);
  return connection == nullptr ? "" : connection->problem();
}

}  // namespace tidegate
