// CircuitBreaker: whether a node is worth a request, from what became of those before it: so that a
// dead one costs its clients an error at once and not the time until they know.
//
//              breaker-failures in a row, or breaker-error-percent of the recent requests,
//              or one while its health checks fail
//     closed ───────────────────────────────────────────────────────────> open
//      │   ^                                                               │ 1 s, then 2, 4 … 30,
//      │   └── the PING, then one request are answered ── half-open <──────┘ or a health check
//      │                                                      └── a failure: open again, for longer
//      └ a failure to connect, before it opens: no new connection for 50 ms, then 100, 200 …
//
// Failures are connections that did not come about, that were lost with requests in flight, whose
// reply was late or nonsense; and errors that say that the node cannot serve anybody (BUSY,
// LOADING, MASTERDOWN, CLUSTERDOWN). Connections that fail in the same moment are one failure: 256
// that a restart takes away prove no more than one. A node that answers, with whatever error, is
// asked again each second and not ever less: asking it costs nothing, and a cluster that was down
// must not stay so because of us. Pauses vary by a fifth, so that workers do not come together.
//
// Pure: time is a parameter, and asking the node is its owner's. Owner: a node, on one worker. Cost
// of a reply while closed: an addition and a branch.
// Source: Nygard, "Release It!"; the figures are those of Envoy's outlier detection and of
// mcrouter's TKO, as far as they have them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>

#include "proxy/upstream/recent_requests.h"

namespace tidegate {

// How long it is open for the first time, and at most.
inline constexpr int64_t kBreakerOpenNanosMin = 1'000'000'000;
inline constexpr int64_t kBreakerOpenNanosMax = 30'000'000'000;
// Recent requests below which no share of failures opens it.
inline constexpr uint64_t kBreakerRequestsMin = 50;
// Until the one request that decides is given up on: its client may have gone.
inline constexpr int64_t kBreakerTrialNanosMax = 1'000'000'000;
// Pause after the first failure to connect, and the longest one.
inline constexpr int64_t kReconnectPauseNanosMin = 50'000'000;
inline constexpr int64_t kReconnectPauseNanosMax = 2'000'000'000;

class CircuitBreaker final {
 public:
  enum class State : uint8_t { kClosed, kHalfOpen, kOpen };
  enum class Failure : uint8_t {
    kBroken,      // a connection that worked was lost: one may be made anew at once
    kSilent,      // there was none, or no reply in time, or nonsense
    kNotServing,  // a reply that says so
  };
  struct Limits {
    int failures = 5;        // in a row; 0: they do not open it
    int error_percent = 50;  // of the recent requests; 0: they do not open it
  };

  CircuitBreaker(Limits limits, uint32_t seed) : limits_(limits), random_(seed) {}

  State state() const { return state_; }
  bool closed() const { return state_ == State::kClosed; }
  // Whether it is as good as any other: nothing stands against a request now.
  bool spotless() const { return state_ == State::kClosed && pause_until_ns_ == 0; }
  bool opened_by_replies() const { return opened_by_replies_; }
  int failures_in_a_row() const { return failures_; }
  // The end of the time for which it is open.
  int64_t open_until_ns() const { return open_until_ns_; }
  RecentRequests& recent() { return recent_; }

  // --- may something be asked of the node? ---
  // Not open: whether a connection may be made.
  bool MayConnect(int64_t now_ns) const { return now_ns >= pause_until_ns_; }
  // Whether a request may be sent. Admit takes the right to it, of which there is one when it is
  // half-open.
  bool WouldAdmit(int64_t now_ns) const;
  bool Admit(int64_t now_ns);

  // --- what became of it. True: the state is another now ---
  // A reply.
  bool Answered() {
    recent_.Answered();
    return __builtin_expect(state_ != State::kClosed, 0) && Succeeded();
  }
  // A handshake is done.
  bool Connected() {
    pause_until_ns_ = 0;
    return Succeeded();
  }
  // So many requests have failed, by one event.
  bool Failed(Failure failure, uint64_t requests, int64_t now_ns);
  // The health checks of somebody else, when they change their mind. Their word counts less than
  // a reply that came just now.
  bool HealthFailed(int64_t now_ns);
  void HealthRecovered(int64_t now_ns);

  // --- the way back ---
  // Its time is over: the owner asks the node now, and nobody else until that is answered.
  void BeginAsking();
  // A while has passed since then. If nobody came, that answer is all there is to go by: it closes.
  bool NobodyCame() {
    return state_ == State::kHalfOpen && !asking_ && trial_since_ns_ == 0 && Close();
  }

 private:
  bool Succeeded();
  bool Close();
  bool Open(bool by_replies, int64_t now_ns);
  bool TooManyFailed() const;
  int64_t Spread(int64_t nanos) {
    return static_cast<int64_t>(static_cast<double>(nanos) *
                                std::uniform_real_distribution<double>(0.8, 1.2)(random_));
  }

  const Limits limits_;
  State state_ = State::kClosed;
  bool asking_ = false;  // half-open, and the PING is not answered
  bool is_unhealthy_ = false;
  bool opened_by_replies_ = false;
  int failures_ = 0;              // in a row
  int openings_ = 0;              // since it was closed
  uint64_t answered_before_ = 0;  // when it last failed
  int64_t failed_ns_ = 0;         // when a connection last did
  int64_t pause_until_ns_ = 0;    // for new connections; 0: none
  int64_t open_until_ns_ = 0;
  int64_t trial_since_ns_ = 0;  // of the request that decides; 0: none is under way
  RecentRequests recent_;
  std::minstd_rand random_;
};

}  // namespace tidegate
