#include "proxy/session/session.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <utility>

#include "base/clock.h"
#include "policy/judge.h"
#include "proxy/event/address.h"
#include "proxy/server.h"
#include "proxy/session/proxy_protocol.h"
#include "proxy/session/session_guards.h"
#include "proxy/session/session_private.h"
#include "proxy/worker.h"
#include "storage/blocking.h"

namespace tidegate {
namespace {

// A wait is looked after at least so often: a clock that was set meanwhile, and times so far away
// that no timer counts to them.
constexpr std::chrono::milliseconds kLongestWake = std::chrono::hours(24);

// When a connection is old enough to be closed politely. Spread, so that the clients of a fleet do
// not all come back at once.
int64_t AgeDeadlineMs(const Options& options, int64_t now_ms, uint64_t id) {
  const int64_t age_ms = options.max_connection_age.count();
  if (age_ms <= 0) return std::numeric_limits<int64_t>::max();
  const int64_t spread_ms = age_ms * options.max_connection_age_jitter_percent / 100;
  if (spread_ms == 0) return now_ms + age_ms;
  std::minstd_rand random(static_cast<uint32_t>(id * 2654435761u + static_cast<uint64_t>(now_ms)));
  random.discard(2);
  return now_ms + age_ms + std::uniform_int_distribution<int64_t>(-spread_ms, spread_ms)(random);
}

bool IsLoopbackAddress(std::string_view address) {
  return address.starts_with("127.") || address.starts_with("[::1]:");
}

}  // namespace

Session::Session(Worker& worker, uint64_t id, AcceptedConnection connection)
    : worker_(worker),
      router_(worker.router(connection.listener)),
      id_(id),
      listener_(connection.listener),
      stream_(*this),
      output_(worker.output_blocks()),
      reply_(output_),
      input_(worker.client_bytes()),
      created_ms_(UnixMillis()),
      last_interaction_ms_(created_ms_),
      age_deadline_ms_(AgeDeadlineMs(worker.options(), created_ms_, id)),
      peer_address_(std::move(connection.peer_address)),
      is_unix_(connection.is_unix),
      authenticated_(worker.options().requirepass.empty()) {
  is_local_ = is_unix_ || IsLoopbackAddress(peer_address_);
  if (is_unix_) local_address_ = connection.unix_path + ":0";
  client_.ticket = MakeTicket(id, worker.index());
  client_.is_cut_off = &Session::IsCutOff;
  client_.cut_off_context = this;
  reply_.ObserveErrors(&Session::ObserveError, this);
  if (connection.proxy_protocol) StopFor(kStopProxyHeader);
  const int64_t keepalive = worker.options().tcp_keepalive.count();
  const Status opened = stream_.Open(
      worker.loop(), connection.fd,
      {.is_unix = is_unix_, .no_delay = true, .keepalive_seconds = static_cast<int>(keepalive)});
  if (!opened.ok()) {
    log::Warning(opened.error().message);
    Close();
  } else {
    stream_.StartReading();
  }
}

Session::~Session() { worker_.client_bytes() -= transaction_.memory_bytes(); }

std::string Session::local_address() const {
  return local_address_.empty() ? LocalAddress(fd()) : local_address_;
}

bool Session::AuthRequired() const {
  return !authenticated_ && !worker_.options().requirepass.empty();
}

SessionSizes Session::Sizes() const {
  SessionSizes sizes;
  sizes.input_bytes = input_.size();
  sizes.input_free_bytes = input_.free_bytes();
  sizes.arguments_bytes = parser_.partial_argument_bytes();
  sizes.output_bytes = output_.size();
  sizes.output_memory_bytes = output_.memory_bytes();
  sizes.output_blocks = output_.blocks();
  sizes.total_bytes = sizeof(Session) + input_.capacity() + sizes.arguments_bytes +
                      sizes.output_memory_bytes + transaction_.memory_bytes() + name_.capacity() +
                      library_name_.capacity() + library_version_.capacity() +
                      peer_address_.capacity();
  return sizes;
}

void Session::set_reply_mode(ReplyMode mode) {
  if (mode == ReplyMode::kSkipNext && reply_mode_ == ReplyMode::kOff) return;
  reply_mode_ = mode;
  skip_armed_ = false;
  RetargetReply();
}

void Session::RetargetReply() {
  reply_.Retarget(reply_mode_ == ReplyMode::kOn ? output_ : worker_.discarded_output());
}

void Session::AdvanceReplyMode() {
  worker_.discarded_output().Clear();
  if (reply_mode_ != ReplyMode::kSkipNext) return;
  if (skip_armed_) return set_reply_mode(ReplyMode::kOn);
  skip_armed_ = true;
}

void Session::set_monitor(bool on) {
  if (monitor_ == on) return;
  monitor_ = on;
  if (on) {
    worker_.AddMonitor(*this);
  } else {
    worker_.RemoveMonitor(*this);
  }
}

std::string Session::FlagLetters() const {
  std::string letters;
  if (monitor_) letters += 'O';
  if (subscribed()) letters += 'P';
  if (transaction_.open()) letters += 'x';
  if (blocked() || postponed() || parked()) letters += 'b';
  if (close_after_reply_) letters += 'c';
  if (kill_) letters += 'A';
  if (client_.watches.dirty()) letters += 'd';
  if (is_unix_) letters += 'U';
  if (no_evict_) letters += 'e';
  if (client_.no_touch) letters += 'T';
  return letters.empty() ? "N" : letters;
}

void Session::Subscribe(SubscriptionKind kind, std::string_view name) {
  if (subscriptions_ == nullptr) subscriptions_ = std::make_unique<SessionSubscriptions>(*this);
  subscriptions_->Add(kind, name);
}

void Session::Unsubscribe(SubscriptionKind kind, std::string_view name) {
  if (subscriptions_ == nullptr) return;
  subscriptions_->Remove(kind, name);
  if (subscriptions_->empty()) subscriptions_.reset();
}

std::vector<std::string> Session::SubscribedNames(SubscriptionKind kind) const {
  if (subscriptions_ == nullptr) return {};
  const auto& names = subscriptions_->names(kind);
  return {names.begin(), names.end()};
}

size_t Session::SubscriptionsOfKind(SubscriptionKind kind) const {
  const size_t upstream = private_ == nullptr ? 0 : private_->count(kind);
  return upstream + (subscriptions_ == nullptr ? 0 : subscriptions_->names(kind).size());
}

size_t Session::CountSubscriptions(SubscriptionKind kind) const {
  return subscriptions_ == nullptr ? 0 : subscriptions_->CountWith(kind);
}

void Session::OpenTransaction() {
  transaction_.Open();
  client_.in_multi = true;
}

void Session::CloseTransaction() {
  worker_.client_bytes() -= transaction_.memory_bytes();
  transaction_.Close();
  client_.in_multi = false;
}

void Session::Reset() {
  CloseTransaction();
  client_.watches.Clear();
  subscriptions_.reset();
  if (private_ != nullptr) {
    private_.reset();
    ForgetUpstreamChoice();
  }
  client_.db = 0;
  client_.no_touch = false;
  no_evict_ = false;
  set_monitor(false);
  set_reply_mode(ReplyMode::kOn);
  reply_.set_protocol(Protocol::kResp2);
  name_.clear();
  authenticated_ = worker_.options().requirepass.empty();
}

void Session::Kill() {
  if (kill_) return;
  kill_ = true;
  stream_.StopReading();  // what comes after the kill must have no effect
  worker_.MarkDirty(*this);
}

void Session::Close() {
  if (stream_.closing()) return;
  if (postponed() || parked()) worker_.mutable_counters().sessions_suspended.Subtract(1);
  if (suspended()) {
    DisarmDeadline();
    worker_.mutable_counters().sessions_suspended.Subtract(1);
    // Also for commands about the process: some execute one of the engine's.
    worker_.server().engine().Cancel(worker_.engine_thread(), client_);
    client_.continuation.reset();
    if (suspended_chain_ != nullptr) suspended_chain_->Abandon(client_.ticket, filter_progress_);
  }
  stops_ = 0;
  LeaveUpstream();
  private_.reset();
  if (guards_ != nullptr) {
    guards_->flights.reset();
    guards_->GiveUp(worker_.judge().backlog());
  }
  set_monitor(false);
  subscriptions_.reset();
  stream_.Close();
}

void Session::EndWait(Stop stop) {
  worker_.mutable_counters().sessions_suspended.Subtract(1);
  stops_ = static_cast<uint8_t>(stops_ & ~stop);
  last_interaction_ms_ = UnixMillis();  // it waited for us: it has not been idle
}

void Session::ArmDeadline() {
  DisarmDeadline();
  const int64_t deadline_ms = client_.blocked->deadline_ms;
  if (deadline_ms == 0) return;
  const std::chrono::milliseconds wait(std::max<int64_t>(deadline_ms - UnixMillis(), 1));
  deadline_wake_ms_ = worker_.WakeAfter(id_, std::min(wait, kLongestWake)).at_ms;
}

void Session::DisarmDeadline() {
  if (deadline_wake_ms_ == 0) return;
  worker_.CancelWake({deadline_wake_ms_, id_});
  deadline_wake_ms_ = 0;
}

bool Session::Unblock(ClientState::Unblock how) {
  if (BlocksUpstream()) return private_->Unblock(how);
  if (!blocked() || !suspended() || closing()) return false;
  if (client_.blocked->state.load(std::memory_order_acquire) != BlockedRequest::kWaiting)
    return false;
  client_.unblock = how;
  Resume();
  return true;
}

// Until its socket is closed a session is found that has left: its wake is that of the long command
// that it has left behind.
void Session::Resume() {
  if (stream_.closing())
    return worker_.server().engine().StepAbandoned(worker_.engine_thread(), UnixMillis());
  if (parked()) return EndPark();
  if (!suspended() || kill_ || stream_.closing()) return;
  if (__builtin_expect((stops_ & kStopSync) != 0, 0)) {
    woken_while_held_ = true;
    return;
  }
  DisarmDeadline();
  EndWait(kStopSuspended);
  resuming_ = true;
  RunKept();
}

void Session::EndPostponement() {
  if (!postponed() || kill_ || stream_.closing()) return;
  EndWait(kStopPostponed);
  RunKept();
}

bool Session::ReadProxyHeader(std::string_view bytes, size_t* consumed) {
  const ProxyHeader header = ParseProxyHeader(bytes);
  switch (header.outcome) {
    case ProxyHeader::Outcome::kNeedInput:
      return false;
    case ProxyHeader::Outcome::kInvalid:
      LogClosing(LogSeverity::kWarning, header.error);
      reply_.Error("ERR " + header.error);
      input_.Clear();
      stops_ = 0;
      close_after_reply_ = true;
      Flush();
      return false;
    case ProxyHeader::Outcome::kDone:
      break;
  }
  if (!header.source.empty()) {
    peer_address_ = header.source;
    is_local_ = is_local_ && IsLoopbackAddress(peer_address_);
    local_address_ = header.destination;
  }
  *consumed = header.bytes;
  return true;
}

void Session::LogClosing(LogSeverity severity, std::string_view why) const {
  if (!log::Enabled(severity)) return;
  log::WriteOfKind(
      LogKind::kClient, severity,
      "Client id=" + std::to_string(id_) + " addr=" + peer_address_ + " " + std::string(why) + ".");
}

void Session::ObserveError(void* session, std::string_view text) {
  auto& self = *static_cast<Session*>(session);
  ++self.errors_;
  self.worker_.server().error_stats().Count(text);
  self.worker_.NoteError(text);
}

}  // namespace tidegate
