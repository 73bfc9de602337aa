// Worker: one thread with one event loop, its sessions, its counters and its place in the engine.
//
// Everything a session touches on the request path belongs to its worker, so there is no lock and
// no shared counter there. Other threads talk to a worker in two ways: a post to its mailbox (wake
// this session, take this socket, run this function), or by reading its counters. A post never
// waits and carries ids and owned values, no pointers into another worker's sessions.
// Public members are for the worker's own thread unless they say "any thread".
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/mailbox.h"
#include "base/output_buffer.h"
#include "config/options.h"
#include "proxy/event/loop.h"
#include "proxy/observe/access_log.h"
#include "proxy/observe/route_figures.h"
#include "proxy/observe/save_status.h"
#include "proxy/pubsub/worker_subscribers.h"
#include "proxy/resp/request_batch.h"
#include "proxy/route/router.h"
#include "proxy/session/client_pause.h"
#include "proxy/session/command_stats.h"
#include "proxy/session/session.h"
#include "storage/engine.h"

namespace tidegate {

class KeyObserver;
class BigKeys;
class Judge;
class LocalCacheStore;
class LongKeys;
class RouteActs;
class RouteMirror;
class RouteMove;
class Server;
class UpstreamCluster;
class WorkerFlights;
class WorkerUpstreams;
struct RouteHold;
struct UpstreamPlan;

// Bytes of the buffer all sessions of a worker read into.
inline constexpr Bytes kSharedReadBufferBytes = 64_KiB;

// Bytes of MONITOR lines that may wait for a worker.
inline constexpr Bytes kMailboxPayloadMax = 32_MiB;

// Bytes of published messages that may wait for a worker before publishers on others wait.
inline constexpr Bytes kPublishedBytesMax = 4_MiB;

// With appendfsync always and a quick disk: how long the replies of a turn wait for those of the
// next ones, to share a sync with them, and for how long when none comes.
inline constexpr std::chrono::microseconds kGatherRepliesMax{250};
inline constexpr std::chrono::microseconds kGatherRepliesIdleMax{30};

// Longest slice of background work (expiry) in one loop turn.
inline constexpr std::chrono::microseconds kBackgroundSliceMax{1000};

// Bytes of an error's text that are kept for its kind, the word it begins with.
inline constexpr size_t kErrorKindBytesMax = 32;

// Counters of one worker. Written by it alone, read by any thread.
struct WorkerCounters {
  WorkerCounter connections_received;
  WorkerCounter sessions;            // connected now
  WorkerCounter sessions_suspended;  // of these, waiting in a command or a pause (blocked_clients)
  // What the last round over all sessions found, about a second ago.
  WorkerCounter session_input_bytes_max;   // query buffer of one
  WorkerCounter session_output_bytes_max;  // output buffer of one
  WorkerCounter commands_processed;
  WorkerCounter net_input_bytes;
  WorkerCounter net_output_bytes;
  WorkerCounter input_buffer_closings;  // clients closed for their query buffer
  WorkerCounter output_limit_closings;  // clients closed for their output buffer
  WorkerCounter idle_closings;          // by `timeout`
  WorkerCounter age_closings;           // by max-connection-age
  WorkerCounter protocol_errors;
  WorkerCounter reads_processed;
  WorkerCounter writes_processed;
  WorkerCounter auth_failures;  // AUTH handlers add to it
  WorkerCounter loop_turns;
  WorkerCounter loop_busy_ticks;           // all turns together
  WorkerCounter loop_turn_ticks_max;       // the longest turn since the last ResetPeaks
  WorkerCounter loop_turn_work_nanos_max;  // the same by EventLoop::turn_work_nanos
  WorkerCounter loop_lag_nanos_max;        // the longest of loop_lags_nanos since then
  WorkerCounter monitors;                  // sessions in MONITOR mode
  WorkerCounter mailbox_overflows;         // posts that were dropped because the mailbox was full
  LatencyHistogram loop_turns_nanos;       // busy time of every turn
  LatencyHistogram loop_lags_nanos;        // how late the tick's timer came
  SizeHistogram request_bytes;             // of each request, as it was read
  SizeHistogram reply_bytes;               // of each reply, as it was encoded
};

class Worker final {
 public:
  Worker(Server& server, int index);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  int index() const { return index_; }  // any thread
  Server& server() { return server_; }  // any thread

  // --- any thread ---
  using Task = std::function<void(Worker&)>;
  // Runs the task on this worker's thread, in the order of posting.
  void Post(Task task);
  // Gives a connected socket to this worker.
  void PostConnection(AcceptedConnection connection);
  // Executes the suspended command of a session again; nothing happens when the session is gone.
  void PostWake(uint64_t ticket);
  // MONITOR lines for this worker's monitors. Dropped (and the monitors closed) when too many wait.
  void PostMonitorLine(std::shared_ptr<const std::string> line);
  // A message for this worker's subscribers.
  void PostPublished(std::shared_ptr<const PubSubMessage> message);
  // Whether few messages wait for this worker. Publishers that see it fall behind wait.
  bool KeepsUp() const;
  const WorkerCounters& counters() const { return counters_; }
  const CommandStats& command_stats() const { return command_stats_; }
  const RouteMeter& route_meter() const { return route_meter_; }
  const EngineCounters& engine_counters() const;
  size_t mailbox_messages() const { return mailbox_.size(); }
  // Sessions here and on the way; the acceptor's measure of load.
  int64_t load() const { return load_.load(std::memory_order_relaxed); }

  // --- the worker's thread ---
  WorkerCounters& mutable_counters() { return counters_; }
  CommandStats& mutable_command_stats() { return command_stats_; }
  RouteMeter& mutable_route_meter() { return route_meter_; }
  // Whether requests are counted by route.
  bool counts_routes() const { return counts_routes_; }
  EngineThread& engine_thread() { return *engine_thread_; }
  // Takes new settings when there are any: at the end of a turn, and before commands are read or
  // connections taken in, so that what comes after the reply to CONFIG SET sees its effect on every
  // worker. References from options() end here.
  void FollowOptions();
  // The settings as they were at the last FollowOptions().
  const Options& options() const { return *options_; }
  // Calls fn(Session&) for each session; fn may Kill() them.
  template <typename Fn>
  void ForEachSession(Fn fn) {
    for (Session* session : sessions_) fn(*session);
  }
  // Null when it is gone.
  Session* FindSession(uint64_t id) const;
  // Wakes a suspended session after a time. What is returned takes it back, as long as it has not
  // happened.
  struct WakeTime {
    int64_t at_ms = 0;  // monotonic
    uint64_t session_id = 0;
    friend bool operator<(const WakeTime& a, const WakeTime& b) {
      return a.at_ms != b.at_ms ? a.at_ms < b.at_ms : a.session_id < b.session_id;
    }
  };
  WakeTime WakeAfter(uint64_t session_id, std::chrono::milliseconds time);
  void CancelWake(const WakeTime& time) { wake_times_.erase(time); }

  WorkerSubscribers& subscribers() { return subscribers_; }

  // Told of the keys of requests; null: nobody wants to know.
  KeyObserver* observer() const { return observer_; }
  // Any thread, for its recorder: lives as long as the worker, also while nothing is observed.
  KeyObserver& key_observer() { return *key_observer_; }
  // What is wanted of it has changed: options, or a HOTKEYS session.
  void FollowObserving();
  // Who is told of big keys; null: nobody.
  BigKeys* big_keys() const { return big_keys_; }
  LongKeys& long_keys() { return *long_keys_; }

  // Whether replies are sent at the end of a turn, and only when what they may tell of is synced
  // (appendfsync always).
  bool holds_replies() const { return holds_replies_; }

  // Whether the read at hand has waited so long that its requests may have to be refused; and above
  // load-shedding-memory, any. See policy/load_shedding.h.
  bool MayShed() const { return loop_.read_waited_ticks() >= shed_wait_ticks_; }
  // Resident bytes of the process, as of the last tick, while load-shedding-memory is set; else 0.
  uint64_t memory_for_shedding() const { return memory_for_shedding_; }
  // Of policies, for one request at a time.
  Judge& judge() { return *judge_; }
  // Any thread, for its figures.
  const LocalCacheStore& local_cache() const { return *local_cache_; }
  WorkerFlights& flights() { return *flights_; }

  // For sessions.
  EventLoop& loop() { return loop_; }
  OutputBlockPool& output_blocks() { return output_blocks_; }
  // What sessions hold beside output blocks: input and queued commands. They count it themselves.
  size_t& client_bytes() { return client_bytes_; }
  // Where replies go that nobody may see (CLIENT REPLY OFF).
  OutputBuffer& discarded_output() { return discarded_output_; }
  std::span<char> read_buffer() { return {read_buffer_.get(), kSharedReadBufferBytes.count}; }
  RequestBatch& batch() { return batch_; }
  // By the number of a listener; 0: as the routes say.
  Router& router(size_t listener = 0) { return routers_[listener]; }
  // Flushed (or closed) at the end of this turn.
  void MarkDirty(Session& session) {
    if (session.dirty()) return;
    session.set_dirty(true);
    dirty_.push_back(session.id());
  }
  // Executes what waited for replies of an upstream, at the end of this turn.
  void GoOnAtEndOfTurn(const Session& session) { going_on_.push_back(session.id()); }
  // This worker's side of each upstream cluster.
  std::span<const std::unique_ptr<UpstreamCluster>> upstreams() const;
  // What its routes mirror and move.
  std::span<const std::unique_ptr<RouteMirror>> mirrors() const;
  std::span<const std::unique_ptr<RouteMove>> moves() const;
  // Any thread, for its Figures().
  const RouteActs& route_acts() const { return *acts_; }
  WorkerUpstreams& worker_upstreams() { return *upstreams_; }
  // Any thread, for its Figures().
  const WorkerUpstreams& worker_upstreams() const { return *upstreams_; }
  // Which clusters there are, and which keys go to them, from now on. Between two turns.
  void TakePlan(const UpstreamPlan& plan);
  // All workers have let go of what they had under way by former routes.
  void OpenRoutes(const RouteHold& hold);
  // Its next request waits until then.
  void HoldForRoutes(const Session& session);
  // Executes what CLIENT PAUSE holds back once the pause is over.
  void Postpone(Session& session);
  void EndPause();
  // Whether a command has to look further before it runs: somebody monitors, clients are paused, or
  // a snapshot has failed.
  bool attention() const {
    return server_monitors_.load(std::memory_order_relaxed) != 0 || server_pause_.possible() ||
           server_saves_.background_failed();
  }
  // Commands that took this long are looked at by the slow log and the latency monitor.
  uint64_t slow_ticks() const { return slow_ticks_; }
  // Of these, what becomes a line of the log, at the end of the turn; and whether the request at
  // hand is one that the access log has a line for.
  bool is_slow_for_log(uint64_t ticks) const { return ticks >= slow_log_ticks_; }
  void AddSlowRequest(RequestRecord record) {
    slow_requests_.push_back({.record = std::move(record), .reply_ticks = Ticks()});
  }
  bool SamplesAccess();
  // The text of the last error reply, as far as its kind needs it.
  void NoteError(std::string_view text) { last_error_ = text.substr(0, kErrorKindBytesMax); }
  const std::string& last_error() const { return last_error_; }
  bool latency_tracking() const { return options_->latency_tracking; }
  // Feeds the sessions in MONITOR mode of all workers.
  void FeedMonitors(const Session& session, const Request& request,
                    std::span<const uint32_t> redacted);
  void AddMonitor(Session& session);
  void RemoveMonitor(Session& session);
  // For the crash report: what runs now.
  void set_current_request(const Session* session, const Request* request) {
    current_session_ = session;
    current_request_ = request;
  }
  const Session* current_session() const { return current_session_; }
  const Request* current_request() const { return current_request_; }
  // The worker whose thread this is; null elsewhere.
  static Worker* Current();
  // The session's stream is closed: deletes it.
  void Forget(Session& session);

  // --- life; called by Server on the main thread ---
  void Start();
  // Closes sessions: those without work at once, others when their replies are out, all at the
  // deadline. Tells the server once none is left, and goes on answering other workers' posts: one
  // of their last requests may be for CLIENT LIST.
  void PostDrain(std::chrono::milliseconds deadline);
  // Ends the thread. When no worker has sessions any more.
  void PostStop();
  void Join();

 private:
  enum class MessageKind : uint8_t { kWake, kConnection, kTask, kMonitorLine, kPublished };
  struct Message {
    explicit Message(MessageKind k) : kind(k) {}
    MessageKind kind;
    uint64_t ticket = 0;
    std::unique_ptr<AcceptedConnection> connection;
    Task task;
    std::shared_ptr<const std::string> line;
    std::shared_ptr<const PubSubMessage> published;
  };

  void Run();
  void PostMessage(Message message, size_t payload_bytes = 0);
  void DrainMailbox();
  void Deliver(Message& message);
  void DeliverMonitorLine(const std::string& line);
  void TakeConnection(AcceptedConnection connection);
  void BeforeWait();
  // worker_plan.cc
  void MakeRouters();
  // `everything`: in place of the cluster of the route "*", if it is not empty.
  std::vector<Route> MakeRoutes(const std::string& everything);
  // Which clusters' replies are kept.
  void FollowCaches(bool had_upstreams);
  void FollowFanout(UpstreamCluster& cluster, bool wanted, bool had_upstreams);
  // For each command's id, whether some policy has to be asked about it.
  std::vector<Guarded> GuardedCommands() const;
  RouteMirror* MirrorFor(const RouteOptions& route);
  RouteMove* MoveFor(const RouteOptions& route);
  void BeginHold(std::shared_ptr<RouteHold> hold);
  void StepHold();
  void StepLeaving();
  void StepUpstreams();
  // worker_hold.cc. True: what is to be flushed has to wait, for more of it or for the journal.
  bool GatherReplies();
  bool HoldReplies();
  void ReleaseReplies();
  void LogSlowRequests();
  void WatchRequests();
  void Tick();
  void MeasureLag();
  void StepEviction();
  void StepCompaction();
  size_t ClientMemoryBytes() const;
  void RefreshOptions();
  void EndEpoch();
  void FollowBigKeys();
  void FollowShedding();
  void FollowCacheMemory();
  void MeasureMemory();
  void RunWakeTimes();
  void ArmWakeTimer();
  void StepHousekeeping(int64_t now_ms);
  void PublishSizes();
  void StepDrain();
  void ReportEmpty();

  Server& server_;
  const int index_;
  const std::atomic<int>& server_monitors_;
  const ClientPause& server_pause_;
  const SaveStatus& server_saves_;
  std::atomic<int64_t> load_{0};
  std::atomic<bool> monitors_overflowed_{false};
  WorkerCounters counters_;
  CommandStats command_stats_;
  RouteMeter route_meter_;
  bool counts_routes_ = false;
  EngineThread* engine_thread_;
  std::shared_ptr<const Options> options_;
  uint64_t options_version_ = 0;
  uint64_t slow_ticks_ = 0;
  uint64_t slow_log_ticks_ = ~uint64_t{0};
  uint64_t shed_wait_ticks_ = ~uint64_t{0};  // above it somebody is shed
  uint64_t memory_for_shedding_ = 0;
  uint64_t access_sample_ = 0;  // of 2^32 requests so many have a line in the access log
  bool notes_sending_ = false;  // UpstreamEnvironment::notes_sending
  std::string last_error_;
  // Lines for the log that wait until their replies were sent, at the end of this turn.
  struct SlowRequest {
    RequestRecord record;
    uint64_t reply_ticks = 0;
  };
  std::vector<SlowRequest> slow_requests_;
  bool holds_replies_ = false;
  int ticks_per_second_ = 0;
  int64_t tick_due_nanos_ = 0;  // when the next tick should be; 0: not known
  const Session* current_session_ = nullptr;
  const Request* current_request_ = nullptr;

  Mailbox<Message> mailbox_;
  std::vector<Message> taken_;
  size_t next_taken_ = 0;  // those in front of it are delivered

  const std::unique_ptr<KeyObserver> key_observer_;
  KeyObserver* observer_ = nullptr;  // key_observer_, as long as something is observed

  EventLoop loop_;
  OutputBlockPool output_blocks_;
  OutputBuffer discarded_output_;
  size_t client_bytes_ = 0;
  std::unique_ptr<char[]> read_buffer_;
  RequestBatch batch_;
  const std::unique_ptr<LocalCacheStore> local_cache_;
  const std::unique_ptr<WorkerFlights> flights_;  // upstreams answer it
  std::unique_ptr<WorkerUpstreams> upstreams_;
  const std::unique_ptr<UpstreamPlan> plan_;  // that is in force
  const std::unique_ptr<RouteActs> acts_;
  // Routes are held: see RouteHold.
  struct Hold {
    std::shared_ptr<RouteHold> shared;
    std::vector<uint64_t> under_way;  // sessions that have requests by the former routes
    int64_t deadline_ns = 0;
    bool is_through = false;        // and has said so
    std::vector<uint64_t> waiting;  // sessions whose next request waits
  };
  std::unique_ptr<Hold> hold_;  // null: routes are open
  // As the routes say, then one for each listener. Sessions refer to theirs, so they keep their
  // places.
  std::deque<Router> routers_;
  std::vector<uint64_t> going_on_;
  std::vector<Session*> sessions_;  // each knows its place
  std::unordered_map<uint64_t, Session*> sessions_by_id_;
  std::vector<uint64_t> dirty_;
  std::vector<uint64_t> flushing_;
  std::vector<uint64_t> postponed_;
  // Sessions whose replies wait until this record is synced, turn by turn; then those whose time
  // has come.
  struct HeldReplies {
    uint64_t sequence;
    std::vector<uint64_t> sessions;
  };
  std::deque<HeldReplies> held_;
  // Replies of several turns are gathered for one sync of this worker's own: since when, how many
  // there were at the end of the last turn and since when so many, and how many the last sync had.
  int64_t gather_nanos_ = 0;  // 0: not now
  size_t gathered_ = 0;
  int64_t gathered_nanos_ = 0;
  size_t last_gathered_ = 0;
  std::deque<uint64_t> released_;
  std::vector<Session*> monitor_sessions_;
  WorkerSubscribers subscribers_;
  std::atomic<size_t> published_bytes_{0};  // of messages that wait in the mailbox
  std::set<WakeTime> wake_times_;
  size_t housekeeping_next_ = 0;
  SessionSizes round_sizes_;  // the largest of the round of housekeeping that is under way
  bool draining_ = false;
  bool reported_empty_ = false;
  int64_t drain_deadline_ms_ = 0;

  std::unique_ptr<Timer> tick_;
  std::unique_ptr<Timer> epoch_timer_;
  std::unique_ptr<Timer> wake_timer_;
  std::unique_ptr<Timer> pause_timer_;
  std::unique_ptr<Timer> eviction_timer_;
  std::unique_ptr<Timer> compaction_timer_;
  std::unique_ptr<Timer> leaving_timer_;
  std::unique_ptr<Timer> hold_timer_;
  std::unique_ptr<WakeUp> wake_up_;
  std::thread thread_;

  BigKeys* big_keys_ = nullptr;  // the server's, while the options want it
  const std::unique_ptr<Judge> judge_;
  const std::unique_ptr<LongKeys> long_keys_;
};

}  // namespace tidegate
