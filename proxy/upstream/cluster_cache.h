// ClusterCache: what one worker keeps of one cluster's replies, and who tells it when they change.
//
//   session: Find --> a reply ......................................... written, in its turn
//            Find --> nothing --> forwarded as ever, and Missed --> TrackingConnection of the key's
//                                 primary: fetches it once more, tracked --> LocalCacheStore
//
// A reply is kept when no write to its key went through this process meanwhile (WriteStripes), and
// is given while the connection it came over is sure to have heard of all changes: see
// TrackingConnection. It is always the primary's, whatever `read-from` says. Where a node
// does not let keys be tracked nothing is kept of it, and problem() says why.
//
// All that could make what is kept wrong as a whole drops it all: the connection that tells of
// changes is lost, the nodes or slots change, the node was flushed. What writes keys that it does
// not name (scripts, FLUSHALL, SWAPDB) is a write of the whole cluster for WriteStripes.
// Owner: one worker.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/reply_writer.h"
#include "policy/local_cache_store.h"
#include "policy/write_stripes.h"
#include "proxy/upstream/joined_reads.h"
#include "proxy/upstream/tracking_connection.h"
#include "storage/request.h"

namespace tidegate {

class LocalCacheRule;
class UpstreamCluster;
class UpstreamNode;

// How long a read whose reply was not kept is not fetched again: one that was written meanwhile,
// and one that is too large or an error, or does not fit.
inline constexpr int64_t kOvertakenRestNanos = 5'000'000;
inline constexpr int64_t kRefusedRestNanos = 5'000'000'000;
// Reads that rest, or that are fetched now. Beyond it the memory of those that rest is cleared.
inline constexpr size_t kRestingReadsMax = 4096;
// What PTTL says of a key that is not there.
inline constexpr int64_t kNoKeyTtl = -2;

// What of a request makes replies that are kept of the cluster invalid: nothing, its key, its keys
// (kSeveralStripes), or all there is.
StripeIndex StripeWrittenBy(const Request& request, size_t cluster);
// The same, each for itself; behind what is there.
void AppendStripesWrittenBy(const Request& request, size_t cluster,
                            std::vector<StripeIndex>& written);

class ClusterCache final {
 public:
  // What all clusters of the worker share. `workers`: of the process, each of which has to say
  // which keys it writes.
  struct Shared {
    LocalCacheStore& store;
    WriteStripes& stripes;
    size_t workers = 1;
  };
  ClusterCache(UpstreamCluster& cluster, const Shared& shared);
  ~ClusterCache();
  ClusterCache(const ClusterCache&) = delete;
  ClusterCache& operator=(const ClusterCache&) = delete;

  WriteStripes& stripes() { return shared_.stripes; }

  // A read of one key by a client in that database and protocol. Empty: no reply is kept that may
  // be given now. Valid until the next call of anything here.
  std::string_view Find(const Request& request, int database, Protocol protocol);
  // Nothing was found, and the request was forwarded.
  void Missed(const Request& request, int database, const LocalCacheRule& rule);
  // The same read, as others of it may be answered with its reply. None: not now.
  std::optional<JoinedReads::Read> Joinable(const Request& request, int database,
                                            Protocol protocol) const;
  JoinedReads& joined_reads() { return joined_reads_; }
  void CountObserved() { shared_.store.mutable_figures().observed.Add(1); }

  // Nothing that was kept until now is given any more.
  void DropAll();
  // At the end of a turn: connections to nodes that are no primaries any more end.
  bool has_nodes_to_check() const { return has_nodes_to_check_; }
  void CheckNodes();
  // Why nothing is kept of a key of that slot; empty: it may be.
  std::string ProblemOf(const KeyRef& key) const;

  // --- for its connections ---
  uint64_t NextSource() { return shared_.store.NextSource(); }
  LocalCacheFigures& figures() { return shared_.store.mutable_figures(); }
  void Fetched(FetchedReply fetched);
  void Changed(std::string_view key);

 private:
  UpstreamNode* NodeOf(const KeyRef& key) const;
  TrackingConnection* ConnectionOf(const KeyRef& key) const;
  bool AllJoined() const;
  bool IsUnwanted(const FetchedReply& fetched) const;
  bool Rests(uint64_t read_id, int64_t now_ns);
  void Rest(uint64_t read_id, int64_t until_ns);
  CachedRead ReadOf(const Request& request, int database) const;

  UpstreamCluster& cluster_;
  const Shared shared_;
  std::unordered_map<UpstreamNode*, std::unique_ptr<TrackingConnection>> connections_;
  std::unordered_map<uint64_t, int64_t> resting_;  // until when
  JoinedReads joined_reads_;
  std::vector<uint16_t> seen_;  // reads of keys that are not hot, lately
  bool has_nodes_to_check_ = false;
};

}  // namespace tidegate
