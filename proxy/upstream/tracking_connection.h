// TrackingConnection: fetches replies from one node, over a connection on which the node says when
// what it was asked for has changed (CLIENT TRACKING ON OPTIN, RESP3).
//
//   Fetch --> CLIENT CACHING YES, MULTI, SELECT, PTTL key, the read, EXEC     one write
//         <-- reply and its time to live, as of one moment
//         <-- > invalidate [key], or: all                            at any time behind it
//
// Replies and invalidations share the one connection, so an invalidation never comes before what it
// is about. What the node has not told yet is unknown, but bounded: the node answers in order, so
// what it did before it answered a request it has told by then. So kept replies may be given for
// kTrackingLeaseNanos after the last request that was answered was sent; a PING goes out often
// enough. When the connection is lost everything is dropped and nothing given until there is
// another (another source()). A node that does not allow that, or does not know HELLO 3, is asked
// again in a minute, and is no worse for it: its circuit breaker does not hear of that. Owner: one
// worker. Nobody else's requests go over it: for their order it does not exist. Source: Redis's
// documentation of server-assisted client-side caching.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/local_cache_store.h"
#include "proxy/event/loop.h"
#include "proxy/upstream/upstream_connection.h"
#include "storage/owned_request.h"

namespace tidegate {

class ClusterCache;

// How old the last word of a node may be; and how often it is asked for one.
inline constexpr int64_t kTrackingLeaseNanos = 500'000'000;
inline constexpr uint64_t kTrackingPingMillis = 100;
// Without a fetch or a read for so long it is not asked any more, until somebody reads again.
inline constexpr int64_t kTrackingIdleNanos = 15'000'000'000;
// Replies that are on their way; beyond it reads are only forwarded.
inline constexpr size_t kFetchesMax = 64;
// After a loss, doubled each time; and when the node does not allow it.
inline constexpr int64_t kTrackingPauseNanosMin = 50'000'000;
inline constexpr int64_t kTrackingPauseNanosMax = 60'000'000'000;

// What was asked for, and what came.
struct FetchedReply {
  OwnedRequest request;
  int database = 0;
  uint64_t read_id = 0;
  WriteStamp stamp;  // when it was sent
  int64_t sent_ns = 0;
  int64_t ttl_max_ns = 0;
  size_t bytes_max = 0;
  bool keeps_nothing = true;  // also a reply that says that there is nothing
  uint64_t source = 0;
  // Empty: it will not come.
  std::string_view reply = {};
  int64_t ttl_ms = -1;  // as PTTL says it
};

class TrackingConnection final : private UpstreamConnectionOwner, private UpstreamClient {
 public:
  TrackingConnection(ClusterCache& cache, UpstreamNode& node);
  ~TrackingConnection();
  TrackingConnection(const TrackingConnection&) = delete;
  TrackingConnection& operator=(const TrackingConnection&) = delete;

  // Who tells of changes now: another number after each loss. 0: nobody.
  uint64_t source() const { return state_ == State::kTracking ? source_ : 0; }
  // Whether all that happened until a lease ago has been told.
  bool IsFresh(int64_t now_ns);
  // False: not now. It connects, if that is what is missing.
  bool Fetch(FetchedReply fetch);
  // Why there is none; empty: there is one, or could be.
  const std::string& problem() const { return problem_; }

 private:
  enum class State : uint8_t { kNone, kAsking, kTracking };

  bool OnFrame(std::string_view frame) override;
  void OnLost(std::string_view error) override;
  bool OnRefused(std::string_view error) override;
  void OnUpstreamReply(const UpstreamRequest& request, std::string_view reply) override;

  void SetState(State state);
  void Connect();
  void TakeTrackingReply(std::string_view reply);
  void Refused(std::string_view why);
  void EndFetch(std::string_view reply);
  bool Say(std::span<const std::string_view> words);
  void Lose(std::string_view why, int64_t pause_ns);
  void OnPing();
  UpstreamRequest Waiting() const;

  ClusterCache& cache_;
  UpstreamNode& node_;
  UpstreamLink* link_;  // deletes itself when neither side needs it
  State state_ = State::kNone;
  uint64_t source_ = 0;
  int64_t heard_ns_ = 0;  // when the last request that was answered was sent
  int64_t used_ns_ = 0;
  int64_t not_before_ns_ = 0;  // it connects again
  int failures_ = 0;
  bool ping_is_out_ = false;
  bool pings_ = false;
  bool fetch_failed_ = false;  // a part of the one whose replies are coming
  std::deque<FetchedReply> fetches_;
  std::string problem_;
  std::string warned_;  // what the log has of it
  Timer ping_timer_;
  UpstreamConnection connection_;
};

}  // namespace tidegate
