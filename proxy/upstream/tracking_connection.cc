#include "proxy/upstream/tracking_connection.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "proxy/upstream/cluster_cache.h"
#include "proxy/upstream/upstream_cluster.h"
#include "proxy/upstream/upstream_link.h"
#include "proxy/upstream/upstream_node.h"

namespace tidegate {
namespace {

constexpr std::string_view kTrackingOn[] = {"CLIENT", "TRACKING", "ON", "OPTIN"};
constexpr std::string_view kCachingYes[] = {"CLIENT", "CACHING", "YES"};
constexpr std::string_view kMulti[] = {"MULTI"};
constexpr std::string_view kExec[] = {"EXEC"};
constexpr std::string_view kPing[] = {"PING"};

// How nodes begin that do not know HELLO 3 or CLIENT TRACKING, or do not let this user say it.
constexpr std::string_view kUnsupported[] = {"-ERR unknown", "-NOPROTO", "-NOPERM"};

// Bytes of what a node says that are shown.
constexpr size_t kShownBytesMax = 200;

std::string_view TakeLine(std::string_view& bytes) {
  const size_t end = bytes.find("\r\n");
  const std::string_view line = bytes.substr(0, end);
  bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 2);
  return line;
}

std::optional<std::string_view> TakeBulk(std::string_view& bytes) {
  const std::string_view header = TakeLine(bytes);
  if (!header.starts_with('$')) return std::nullopt;
  const std::optional<int64_t> size = ParseInt64(header.substr(1));
  if (!size || *size < 0 || static_cast<uint64_t>(*size) + 2 > bytes.size()) return std::nullopt;
  const std::string_view text = bytes.substr(0, static_cast<size_t>(*size));
  bytes.remove_prefix(text.size() + 2);
  return text;
}

}  // namespace

TrackingConnection::TrackingConnection(ClusterCache& cache, UpstreamNode& node)
    : cache_(cache),
      node_(node),
      link_(new UpstreamLink),
      ping_timer_(node.environment().loop, [this] { OnPing(); }),
      connection_(node, {.protocol = Protocol::kResp3}) {
  link_->client = this;
  connection_.set_owner(*this);
  node_.Hold();
  cache_.figures().connections_down.Add(1);
}

TrackingConnection::~TrackingConnection() {
  SetState(State::kNone);
  cache_.figures().connections_down.Subtract(1);
  link_->Leave();
  connection_.Close();
  node_.Release();
}

bool TrackingConnection::IsFresh(int64_t now_ns) {
  used_ns_ = now_ns;
  return state_ == State::kTracking && now_ns - heard_ns_ <= kTrackingLeaseNanos;
}

UpstreamRequest TrackingConnection::Waiting() const {
  return {.link = link_, .begin_ticks = Ticks(), .is_private = 1};
}

bool TrackingConnection::Say(std::span<const std::string_view> words) {
  if (!connection_.Place({.command = nullptr, .args = words, .keys = {}}, Waiting())) return false;
  ++link_->outstanding;
  return true;
}

void TrackingConnection::SetState(State state) {
  const bool was_tracking = std::exchange(state_, state) == State::kTracking;
  if (was_tracking == (state == State::kTracking)) return;
  LocalCacheFigures& figures = cache_.figures();
  (was_tracking ? figures.connections : figures.connections_down).Subtract(1);
  (was_tracking ? figures.connections_down : figures.connections).Add(1);
}

// The one request that shall find out whether the node works again is a client's.
void TrackingConnection::Connect() {
  const int64_t now_ns = MonotonicNanos();
  if (now_ns < not_before_ns_ || !node_.is_up()) return;
  if (Say(kTrackingOn)) {
    SetState(State::kAsking);
  } else {
    not_before_ns_ = now_ns + kTrackingPauseNanosMin;
  }
}

bool TrackingConnection::Fetch(FetchedReply fetch) {
  used_ns_ = MonotonicNanos();
  if (state_ != State::kTracking) {
    if (state_ == State::kNone) Connect();
    return false;
  }
  if (fetches_.size() >= kFetchesMax) return false;
  const Request read = fetch.request.view();
  const std::string database = std::to_string(fetch.database);
  const std::string_view select[] = {"SELECT", database};
  const std::string_view pttl[] = {"PTTL", read.keys[0].name};
  std::vector<Request> unit;
  const auto add = [&unit](std::span<const std::string_view> words) {
    unit.push_back({.command = nullptr, .args = words, .keys = {}});
  };
  add(kCachingYes);
  add(kMulti);
  add(select);
  add(pttl);
  add(read.args);
  add(kExec);
  // Of a cluster that is one database that one is selected already, whatever it is.
  if (node_.options().database || node_.options().kind == ClusterKind::kRedisCluster)
    unit.erase(unit.begin() + 2);
  if (!connection_.PlaceUnit(unit, Waiting())) return false;
  link_->outstanding += static_cast<uint32_t>(unit.size());
  fetch.source = source_;
  fetches_.push_back(std::move(fetch));
  if (!pings_) ping_timer_.StartOnce(kTrackingPingMillis);
  pings_ = true;
  return true;
}

// --- what comes ---

// [invalidate, [key]] or [invalidate, null]: all.
bool TrackingConnection::OnFrame(std::string_view frame) {
  if (!frame.starts_with('>')) return false;
  (void)TakeLine(frame);
  if (TakeBulk(frame) != "invalidate") return true;
  const std::string_view header = TakeLine(frame);
  if (!header.starts_with('*') || header == "*-1") {
    cache_.DropAll();
    return true;
  }
  while (const std::optional<std::string_view> key = TakeBulk(frame)) cache_.Changed(*key);
  return true;
}

void TrackingConnection::OnUpstreamReply(const UpstreamRequest& request, std::string_view reply) {
  // Lost: OnLost says so next.
  const bool lost = connection_.idle();
  if (!lost) {
    const int64_t sent_ns = MonotonicNanos() - TicksToNanos(Ticks() - request.begin_ticks);
    heard_ns_ = std::max(heard_ns_, sent_ns);
  }
  switch (request.part()) {
    case RequestPart::kUnitPart:
      fetch_failed_ = fetch_failed_ || reply.empty() || reply.front() == '-';
      return;
    case RequestPart::kUnitEnd:
      return EndFetch(lost ? std::string_view() : reply);
    default:
      break;
  }
  if (lost) return;
  if (state_ == State::kAsking) return TakeTrackingReply(reply);
  ping_is_out_ = false;
  // Who may not even say PING may not be heard either.
  if (reply.starts_with('-')) Refused(reply);
}

void TrackingConnection::TakeTrackingReply(std::string_view reply) {
  if (!reply.starts_with("+OK")) return Refused(reply);
  source_ = cache_.NextSource();
  SetState(State::kTracking);
  failures_ = 0;
  problem_.clear();
  warned_.clear();
  used_ns_ = MonotonicNanos();
  if (!pings_) ping_timer_.StartOnce(kTrackingPingMillis);
  pings_ = true;
}

// The socket stays as it is, and is closed by the node or with this.
void TrackingConnection::Refused(std::string_view why) {
  std::string_view rest = why;
  const std::string said(TakeLine(rest).substr(why.starts_with('-') ? 1 : 0, kShownBytesMax));
  const std::string problem = "keys cannot be tracked there: " + said;
  if (problem != std::exchange(warned_, problem))
    log::Warning(node_.Describe("no replies are kept (local_cache): " + problem));
  Lose(problem, kTrackingPauseNanosMax);
}

void TrackingConnection::EndFetch(std::string_view reply) {
  if (fetches_.empty()) return;
  FetchedReply fetch = std::move(fetches_.front());
  fetches_.pop_front();
  const bool failed = std::exchange(fetch_failed_, false) || !reply.starts_with('*');
  if (!reply.empty()) fetch.reply = "-ERR it was not executed\r\n";
  if (!failed) {
    (void)TakeLine(reply);
    if (reply.starts_with("+OK\r\n")) (void)TakeLine(reply);  // SELECT
    const std::string_view ttl = TakeLine(reply);
    if (ttl.starts_with(':')) {
      fetch.ttl_ms = ParseInt64(ttl.substr(1)).value_or(0);
      fetch.reply = reply;
    }
  }
  cache_.Fetched(std::move(fetch));
}

// --- the end ---

void TrackingConnection::Lose(std::string_view why, int64_t pause_ns) {
  const bool was_tracking = state_ == State::kTracking;
  SetState(State::kNone);
  problem_ = why;
  not_before_ns_ = MonotonicNanos() + pause_ns;
  ping_is_out_ = false;
  fetch_failed_ = false;
  fetches_.clear();
  if (was_tracking) cache_.DropAll();
}

void TrackingConnection::OnLost(std::string_view error) {
  constexpr int kDoublingsMax = 11;
  std::string_view line = error;
  std::string why(TakeLine(line).substr(0, kShownBytesMax));
  if (why.starts_with('-')) why.erase(0, 1);
  const int doublings = std::min(failures_++, kDoublingsMax);
  Lose(why, std::min(kTrackingPauseNanosMin << doublings, kTrackingPauseNanosMax));
}

bool TrackingConnection::OnRefused(std::string_view error) {
  const bool unsupported =
      std::any_of(std::begin(kUnsupported), std::end(kUnsupported),
                  [error](std::string_view begin) { return error.starts_with(begin); });
  if (unsupported) Refused(error);
  return unsupported;
}

void TrackingConnection::OnPing() {
  node_.environment().loop.TurnBegins();
  pings_ = false;
  if (state_ != State::kTracking || MonotonicNanos() - used_ns_ > kTrackingIdleNanos) return;
  if (!ping_is_out_) ping_is_out_ = Say(kPing);
  ping_timer_.StartOnce(kTrackingPingMillis);
  pings_ = true;
}

}  // namespace tidegate
