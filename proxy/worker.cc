#include "proxy/worker.h"

#include <pthread.h>

#include <algorithm>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "hotkey/hot_key_detector.h"
#include "policy/judge.h"
#include "policy/load_shedding.h"
#include "policy/local_cache_store.h"
#include "proxy/crash_report.h"
#include "proxy/observe/big_keys.h"
#include "proxy/observe/key_observer.h"
#include "proxy/observe/long_keys.h"
#include "proxy/observe/memory_stats.h"
#include "proxy/server.h"
#include "proxy/session/redaction.h"
#include "proxy/session/route_acts.h"
#include "proxy/session/worker_flights.h"
#include "proxy/upstream/worker_upstreams.h"
#include "storage/engine_thread.h"

namespace tidegate {
namespace {

thread_local Worker* current_worker = nullptr;

// How often a draining worker looks at its sessions.
constexpr uint64_t kDrainStepMillis = 10;

int64_t MonotonicMillis() { return MonotonicNanos() / 1'000'000; }

void WakeSession(void* server, uint64_t ticket) {
  static_cast<Server*>(server)->Wake(static_cast<SessionTicket>(ticket));
}

uint64_t NanosToTicks(int64_t nanos) {
  return static_cast<uint64_t>(static_cast<double>(nanos) / internal::kNanosPerTick);
}

}  // namespace

Worker* Worker::Current() { return current_worker; }

Worker::Worker(Server& server, int index)
    : server_(server),
      index_(index),
      server_monitors_(server.monitors()),
      server_pause_(server.pause()),
      server_saves_(server.save_status()),
      command_stats_(server.command_ids_max()),
      engine_thread_(&server.engine().AddThread(WakeSession, &server)),
      mailbox_(kMailboxPayloadMax),
      key_observer_(std::make_unique<KeyObserver>(MonotonicNanos())),
      discarded_output_(output_blocks_),
      read_buffer_(new char[kSharedReadBufferBytes.count]()),  // zeroed: in memory from the start
      local_cache_(std::make_unique<LocalCacheStore>(server.write_stripes())),
      flights_(std::make_unique<WorkerFlights>(*this)),
      upstreams_(std::make_unique<WorkerUpstreams>()),
      plan_(std::make_unique<UpstreamPlan>()),
      acts_(std::make_unique<RouteActs>(*this)),
      judge_(std::make_unique<Judge>()),
      long_keys_(std::make_unique<LongKeys>()) {
  plan_->routes = {{.match = "*", .cluster = ""}};
  MakeRouters();
  loop_.OnBeforeWait([](void* self) { static_cast<Worker*>(self)->BeforeWait(); }, this);
  tick_ = std::make_unique<Timer>(loop_, [this] { Tick(); });
  epoch_timer_ = std::make_unique<Timer>(loop_, [this] { EndEpoch(); });
  wake_timer_ = std::make_unique<Timer>(loop_, [this] { RunWakeTimes(); });
  pause_timer_ = std::make_unique<Timer>(loop_, [this] { EndPause(); });
  eviction_timer_ = std::make_unique<Timer>(loop_, [this] { StepEviction(); });
  compaction_timer_ = std::make_unique<Timer>(loop_, [this] { StepCompaction(); });
  leaving_timer_ = std::make_unique<Timer>(loop_, [this] { StepLeaving(); });
  hold_timer_ = std::make_unique<Timer>(loop_, [this] { StepHold(); });
  wake_up_ = std::make_unique<WakeUp>(loop_, [this] { DrainMailbox(); });
  RefreshOptions();
}

std::span<const std::unique_ptr<RouteMirror>> Worker::mirrors() const { return acts_->mirrors(); }

std::span<const std::unique_ptr<RouteMove>> Worker::moves() const { return acts_->moves(); }

std::span<const std::unique_ptr<UpstreamCluster>> Worker::upstreams() const {
  return upstreams_->clusters();
}

const EngineCounters& Worker::engine_counters() const { return engine_thread_->counters; }

Worker::~Worker() {
  TG_CHECK(sessions_.empty());
  flights_->Stop();
}

void Worker::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Worker::Run() {
  current_worker = this;
  crash_report::PrepareThread();
  pthread_setname_np(pthread_self(), ("worker-" + std::to_string(index_)).c_str());
  loop_.Run();
  server_.engine().FinishAbandoned(*engine_thread_, UnixMillis());
  server_.WorkerEnded();
  current_worker = nullptr;
}

void Worker::Join() {
  if (thread_.joinable()) thread_.join();
}

// --- posts ---

void Worker::PostMessage(Message message, size_t payload_bytes) {
  switch (mailbox_.Post(std::move(message), payload_bytes)) {
    case Mailbox<Message>::Posted::kFirst:
      wake_up_->Send();
      break;
    case Mailbox<Message>::Posted::kBehind:
      break;
    case Mailbox<Message>::Posted::kFull:
      monitors_overflowed_.store(true, std::memory_order_relaxed);
      break;
  }
}

void Worker::Post(Task task) {
  Message message(MessageKind::kTask);
  message.task = std::move(task);
  PostMessage(std::move(message));
}

void Worker::PostConnection(AcceptedConnection connection) {
  load_.fetch_add(1, std::memory_order_relaxed);
  Message message(MessageKind::kConnection);
  message.connection = std::make_unique<AcceptedConnection>(std::move(connection));
  PostMessage(std::move(message));
}

void Worker::PostWake(uint64_t ticket) {
  Message message(MessageKind::kWake);
  message.ticket = ticket;
  PostMessage(std::move(message));
}

void Worker::PostMonitorLine(std::shared_ptr<const std::string> line) {
  const size_t bytes = line->size();
  Message message(MessageKind::kMonitorLine);
  message.line = std::move(line);
  PostMessage(std::move(message), bytes);
}

void Worker::PostPublished(std::shared_ptr<const PubSubMessage> message) {
  published_bytes_.fetch_add(message->channel.size() + message->payload.size(),
                             std::memory_order_relaxed);
  Message post(MessageKind::kPublished);
  post.published = std::move(message);
  PostMessage(std::move(post));
}

bool Worker::KeepsUp() const {
  return published_bytes_.load(std::memory_order_relaxed) < kPublishedBytesMax.count;
}

void Worker::DrainMailbox() {
  if (monitors_overflowed_.exchange(false, std::memory_order_relaxed)) {
    counters_.mailbox_overflows.Add(1);
    for (Session* monitor : monitor_sessions_) monitor->Kill();
  }
  FollowOptions();
  for (bool took = false;;) {
    if (next_taken_ == taken_.size()) {
      if (took) return;
      taken_.clear();
      next_taken_ = 0;
      mailbox_.Take(taken_);
      took = true;
      continue;
    }
    Deliver(taken_[next_taken_++]);
    // Each of several long commands would take a turn's whole time.
    const bool is_last = took && next_taken_ == taken_.size();
    if (!is_last && loop_.TurnIsLong()) return wake_up_->Send();
  }
}

void Worker::Deliver(Message& message) {
  switch (message.kind) {
    case MessageKind::kWake:
      if (SessionOfTicket(message.ticket) == kJournalTicketSession) {
        ReleaseReplies();
      } else if (Session* session = FindSession(SessionOfTicket(message.ticket))) {
        session->Resume();
      } else {
        server_.engine().StepAbandoned(*engine_thread_, UnixMillis());
      }
      break;
    case MessageKind::kConnection:
      TakeConnection(std::move(*message.connection));
      break;
    case MessageKind::kTask:
      message.task(*this);
      break;
    case MessageKind::kMonitorLine:
      DeliverMonitorLine(*message.line);
      break;
    case MessageKind::kPublished:
      published_bytes_.fetch_sub(
          message.published->channel.size() + message.published->payload.size(),
          std::memory_order_relaxed);
      subscribers_.Deliver(*message.published);
      break;
  }
}

// --- sessions ---

void Worker::TakeConnection(AcceptedConnection connection) {
  const uint64_t id = server_.NextSessionId();
  auto* session = new Session(*this, id, std::move(connection));  // Forget() deletes it
  session->set_place(sessions_.size());
  sessions_.push_back(session);
  sessions_by_id_.emplace(id, session);
  counters_.connections_received.Add(1);
  counters_.sessions.Add(1);
  if (draining_) session->Drain();
}

void Worker::Forget(Session& session) {
  Session* last = sessions_.back();
  sessions_[session.place()] = last;
  last->set_place(session.place());
  sessions_.pop_back();
  sessions_by_id_.erase(session.id());
  counters_.sessions.Subtract(1);
  load_.fetch_sub(1, std::memory_order_relaxed);
  delete &session;
  if (draining_ && sessions_.empty()) ReportEmpty();
}

Session* Worker::FindSession(uint64_t id) const {
  const auto found = sessions_by_id_.find(id);
  return found == sessions_by_id_.end() ? nullptr : found->second;
}

Worker::WakeTime Worker::WakeAfter(uint64_t session_id, std::chrono::milliseconds time) {
  const WakeTime wake{MonotonicMillis() + time.count(), session_id};
  const bool first = wake_times_.empty() || wake < *wake_times_.begin();
  wake_times_.insert(wake);
  if (first) ArmWakeTimer();
  return wake;
}

// A timer that was armed for a time that was taken back finds nothing to do, and arms itself for
// the next one.
void Worker::ArmWakeTimer() {
  if (wake_times_.empty()) return wake_timer_->Stop();
  const int64_t wait_ms = wake_times_.begin()->at_ms - MonotonicMillis();
  wake_timer_->StartOnce(static_cast<uint64_t>(std::max<int64_t>(wait_ms, 0)));
}

void Worker::RunWakeTimes() {
  const int64_t now_ms = MonotonicMillis();
  while (!wake_times_.empty() && wake_times_.begin()->at_ms <= now_ms) {
    const uint64_t id = wake_times_.begin()->session_id;
    wake_times_.erase(wake_times_.begin());
    if (Session* session = FindSession(id)) session->Resume();
  }
  ArmWakeTimer();
}

void Worker::Postpone(Session& session) {
  postponed_.push_back(session.id());
  const int64_t wait_ms = server_pause_.until_unix_ms() - UnixMillis();
  pause_timer_->StartOnce(static_cast<uint64_t>(std::max<int64_t>(wait_ms, 0) + 1));
}

void Worker::EndPause() {
  std::vector<uint64_t> ids;
  ids.swap(postponed_);
  for (const uint64_t id : ids) {
    if (Session* session = FindSession(id)) session->EndPostponement();
  }
}

// --- MONITOR ---

void Worker::AddMonitor(Session& session) {
  monitor_sessions_.push_back(&session);
  counters_.monitors.Add(1);
  server_.monitors().fetch_add(1, std::memory_order_relaxed);
}

void Worker::RemoveMonitor(Session& session) {
  std::erase(monitor_sessions_, &session);
  counters_.monitors.Subtract(1);
  server_.monitors().fetch_sub(1, std::memory_order_relaxed);
}

void Worker::FeedMonitors(const Session& session, const Request& request,
                          std::span<const uint32_t> redacted) {
  if (server_monitors_.load(std::memory_order_relaxed) == 0) return;
  const int64_t now_us = UnixMicros();
  char time[40];
  std::snprintf(time, sizeof time, "+%lld.%06lld ", static_cast<long long>(now_us / 1'000'000),
                static_cast<long long>(now_us % 1'000'000));
  auto line = std::make_shared<std::string>(time);
  *line += "[" + std::to_string(session.client().db) + " ";
  *line += session.is_unix() ? "unix:" + session.unix_path() : session.peer_address();
  *line += "]";
  for (size_t i = 0; i < request.args.size(); ++i) {
    *line += " ";
    AppendQuoted(*line, IsRedacted(request, redacted, i) ? kRedacted : request.args[i]);
  }
  *line += "\r\n";
  for (const auto& worker : server_.workers()) {
    if (worker.get() == this) {
      DeliverMonitorLine(*line);
    } else if (worker->counters().monitors.Get() > 0) {
      worker->PostMonitorLine(line);
    }
  }
}

void Worker::DeliverMonitorLine(const std::string& line) {
  for (Session* monitor : monitor_sessions_) monitor->Push(line);
}

// --- the turn ---

// Sessions go on that have their replies, then what all of them placed is sent. A connection that
// fails in this answers its requests, with which sessions may go on again: after a few rounds that
// is left to the next turn.
void Worker::StepUpstreams() {
  constexpr int kRoundsMax = 4;
  for (int round = 0; round < kRoundsMax; ++round) {
    std::vector<uint64_t> ids;
    ids.swap(going_on_);
    for (const uint64_t id : ids) {
      if (Session* session = FindSession(id)) session->EndUpstreamStop();
    }
    acts_->Step();
    const bool sent = upstreams_->Flush();
    if (!sent && going_on_.empty()) return;
  }
  wake_up_->Send();
}

void Worker::BeforeWait() {
  if (__builtin_expect(!upstreams_->empty() || !going_on_.empty(), 0)) StepUpstreams();
  while (!dirty_.empty()) {
    if (__builtin_expect(holds_replies_, 0) && (GatherReplies() || HoldReplies())) break;
    flushing_.swap(dirty_);
    for (const uint64_t id : flushing_) {
      Session* session = FindSession(id);
      if (session == nullptr) continue;
      session->set_dirty(false);
      session->FlushNow();
    }
    flushing_.clear();
  }
  if (__builtin_expect(!slow_requests_.empty(), 0)) LogSlowRequests();
  FollowOptions();
  if (__builtin_expect(engine_thread_->sizes.has_notes(), 0))
    server_.big_keys().TakeNotes(engine_thread_->sizes.Take(), UnixMillis());
  engine_thread_->client_bytes.store(ClientMemoryBytes(), std::memory_order_relaxed);
  server_.engine().BeginTurn(*engine_thread_);
  const uint64_t busy_ticks = loop_.EndTurn();
  if (busy_ticks == 0) return;
  counters_.loop_turns.Add(1);
  counters_.loop_busy_ticks.Add(busy_ticks);
  counters_.loop_turn_ticks_max.RaiseTo(busy_ticks);
  counters_.loop_turn_work_nanos_max.RaiseTo(static_cast<uint64_t>(loop_.turn_work_nanos()));
  counters_.loop_turns_nanos.Record(static_cast<uint64_t>(TicksToNanos(busy_ticks)));
}

// What the pool of blocks keeps for itself is the worker's own, however many of them are free now:
// a small maxmemory must not be used up by that.
size_t Worker::ClientMemoryBytes() const {
  constexpr size_t kOwnBytes = kPooledOutputBlocksMax * kOutputBlockBytes.count;
  const size_t output_bytes = output_blocks_.held_bytes();
  return (output_bytes > kOwnBytes ? output_bytes - kOwnBytes : 0) + client_bytes_ +
         sessions_.size() * sizeof(Session);
}

void Worker::FollowOptions() {
  if (server_.config().version() != options_version_) RefreshOptions();
}

void Worker::RefreshOptions() {
  options_version_ = server_.config().version();
  options_ = server_.config().Snapshot();
  holds_replies_ =
      server_.persistence() != nullptr && options_->appendfsync == Appendfsync::kAlways;
  WatchRequests();
  if (ticks_per_second_ != options_->hz) {
    ticks_per_second_ = options_->hz;
    tick_due_nanos_ = 0;
    tick_->StartEvery(std::max(1, 1000 / ticks_per_second_));
  }
  FollowBigKeys();
  FollowObserving();
  FollowShedding();
  FollowCacheMemory();
}

void Worker::FollowBigKeys() {
  BigKeys& big_keys = server_.big_keys();
  big_keys.Follow(*options_);
  big_keys_ = options_->big_keys ? &big_keys : nullptr;
  if (!options_->big_keys) return engine_thread_->sizes.Stop();
  const BigKeyLimits limits = LimitsOf(*options_);
  engine_thread_->sizes.Watch({.bytes = limits.bytes, .elements = limits.elements});
}

void Worker::FollowObserving() {
  constexpr uint64_t kEpochMillis = hotkey::kEpochNanos / 1'000'000;
  KeyObserver& observer = *key_observer_;
  observer.set_finds_hot(options_->hot_keys);
  KeyObserver* const wanted = observer.wanted() ? &observer : nullptr;
  if (wanted == observer_) return;
  observer_ = wanted;
  if (observer_ == nullptr) return epoch_timer_->Stop();
  epoch_timer_->StartEvery(kEpochMillis);
}

void Worker::EndEpoch() {
  if (!key_observer_->finds_hot()) return;
  hotkey::AccessRecorder& recorder = key_observer_->recorder();
  recorder.DescribeClients([this](uint64_t client) -> std::optional<hotkey::ClientText> {
    const Session* const session = FindSession(client);
    if (session == nullptr) return std::nullopt;
    return hotkey::ClientText{.address = session->peer_address(),
                              .name = session->name(),
                              .user = std::string(session->user())};
  });
  recorder.EndEpoch(MonotonicNanos());
}

// What the slow log, the latency monitor, the log of slow requests and the access log want to see
// of requests, as one number: the request path has one look at it, whatever is on.
void Worker::WatchRequests() {
  constexpr uint64_t kNever = ~uint64_t{0};
  const auto ticks_of = [](int64_t nanos) { return nanos < 0 ? kNever : NanosToTicks(nanos); };
  const int64_t latency_ms = options_->latency_monitor_threshold.count();
  slow_log_ticks_ = ticks_of(options_->slow_request_log_threshold.count() * 1000);
  notes_sending_ = slow_log_ticks_ != kNever;
  access_sample_ = static_cast<uint64_t>(options_->access_log_sample * 4294967296.0);
  slow_ticks_ = std::min({ticks_of(options_->slowlog_log_slower_than.count() * 1000),
                          ticks_of(latency_ms > 0 ? latency_ms * 1'000'000 : -1), slow_log_ticks_});
  if (access_sample_ > 0) slow_ticks_ = 0;
}

// Above the limit of memory everybody has waited long enough.
void Worker::FollowShedding() {
  const bool off = options_->load_shedding == LoadShedding::kOff;
  const uint64_t limit_bytes = options_->load_shedding_memory.count;
  const bool over = limit_bytes > 0 && memory_for_shedding_ > limit_bytes;
  const int64_t base_ns = std::chrono::nanoseconds(options_->load_shedding_wait).count();
  const uint64_t wait_ticks = over ? 0 : NanosToTicks(LeastShedWaitNanos(base_ns));
  shed_wait_ticks_ = off ? ~uint64_t{0} : wait_ticks;
}

// Ten times a second: memory does not grow by much meanwhile, and it costs three system calls.
void Worker::MeasureMemory() {
  const bool off = options_->load_shedding == LoadShedding::kOff;
  const bool measures = !off && options_->load_shedding_memory.count > 0;
  if (__builtin_expect(!measures && memory_for_shedding_ == 0, 1)) return;
  memory_for_shedding_ = measures ? ReadResidentBytes() : 0;
  FollowShedding();
}

bool Worker::SamplesAccess() {
  return access_sample_ > 0 && engine_thread_->Random() < access_sample_;
}

void Worker::LogSlowRequests() {
  const uint64_t now_ticks = Ticks();
  for (SlowRequest& slow : slow_requests_) {
    slow.record.written_us = TicksToNanos(now_ticks - slow.reply_ticks) / 1000;
    LogSlowRequest(slow.record);
  }
  slow_requests_.clear();
}

// A timer that comes late shows what any client's request waits before it is looked at.
void Worker::MeasureLag() {
  const int64_t now_nanos = MonotonicNanos();
  if (tick_due_nanos_ != 0) {
    const auto late = static_cast<uint64_t>(std::max<int64_t>(now_nanos - tick_due_nanos_, 0));
    counters_.loop_lags_nanos.Record(late);
    counters_.loop_lag_nanos_max.RaiseTo(late);
  }
  tick_due_nanos_ = now_nanos + int64_t{std::max(1, 1000 / ticks_per_second_)} * 1'000'000;
}

void Worker::Tick() {
  MeasureLag();
  MeasureMemory();
  const int64_t now_ms = UnixMillis();
  const auto budget = std::chrono::nanoseconds(kBackgroundSliceMax).count();
  server_.engine().BackgroundStep(*engine_thread_, now_ms, index_,
                                  static_cast<int>(server_.workers().size()), budget);
  if (index_ == 0) {
    server_.TidyPause(now_ms);
    server_.SampleActivity();
    log::TellSuppressed();
    StepCompaction();
  }
  StepEviction();
  StepHousekeeping(now_ms);
}

// In slices with a pause between them, so that the clients of this worker are served meanwhile.
void Worker::StepEviction() {
  constexpr uint64_t kPauseMillis = 1;
  if (server_.engine().EvictInBackground(*engine_thread_, UnixMillis()))
    eviction_timer_->StartOnce(kPauseMillis);
}

// A tenth of this worker's time, as long as there is something to gain.
void Worker::StepCompaction() {
  constexpr uint64_t kPauseMillis = 4;
  if (server_.engine().CompactInBackground(*engine_thread_, UnixMillis()))
    compaction_timer_->StartOnce(kPauseMillis);
}

// Every session once a second, a share of them each tick.
void Worker::StepHousekeeping(int64_t now_ms) {
  const auto per_second = static_cast<size_t>(ticks_per_second_);
  size_t share = (sessions_.size() + per_second - 1) / per_second;
  if (sessions_.empty()) PublishSizes();
  for (; share > 0 && !sessions_.empty(); --share) {
    if (housekeeping_next_ >= sessions_.size()) {
      housekeeping_next_ = 0;
      PublishSizes();
    }
    Session& session = *sessions_[housekeeping_next_++];
    const SessionSizes sizes = session.Sizes();
    round_sizes_.input_bytes = std::max(round_sizes_.input_bytes, sizes.input_bytes);
    round_sizes_.output_bytes = std::max(round_sizes_.output_bytes, sizes.output_bytes);
    session.Housekeeping(now_ms);
  }
}

void Worker::PublishSizes() {
  counters_.session_input_bytes_max.Set(round_sizes_.input_bytes);
  counters_.session_output_bytes_max.Set(round_sizes_.output_bytes);
  round_sizes_ = {};
}

// --- the end ---

void Worker::PostDrain(std::chrono::milliseconds deadline) {
  Post([deadline](Worker& self) {
    self.draining_ = true;
    self.drain_deadline_ms_ = MonotonicMillis() + deadline.count();
    self.tick_ = std::make_unique<Timer>(self.loop_, [&self] { self.StepDrain(); });
    self.tick_->StartEvery(kDrainStepMillis);
    self.StepDrain();
  });
}

void Worker::PostStop() {
  Post([](Worker& self) { self.loop_.Stop(); });
}

void Worker::ReportEmpty() {
  if (!std::exchange(reported_empty_, true)) server_.WorkerIsEmpty();
}

void Worker::StepDrain() {
  if (sessions_.empty()) return ReportEmpty();
  const bool late = MonotonicMillis() >= drain_deadline_ms_;
  for (Session* session : sessions_) {
    if (late) {
      session->Kill();
    } else {
      session->Drain();
    }
  }
}

}  // namespace tidegate
