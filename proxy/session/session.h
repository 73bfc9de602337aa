// Session: one client connection and its state, on one worker for life.
//
//   bytes -> shared read buffer -> RequestParser: all complete commands -> Engine::Prefetch
//         -> each: checks, handler or Engine::Execute -> OutputBuffer -> one write
//
// Holds no buffer while idle: reads go to the worker's shared buffer, only an incomplete rest is
// copied to a buffer of the session's own; output blocks go back to the worker's pool once sent.
// A suspended command (kSuspended) stops the session, not the worker: the rest of the input stays,
// and Resume() executes the same command again. Replies are therefore always in order. Unsent
// output beyond kUnsentOutputBytesMax stops execution of further commands until the client reads.
// Requests for upstreams are forwarded many at a time, see session_upstream.cc.
// A session dies in its stream's close callback, never inside its own call stack; Kill() and
// CloseAfterReply() only ask for it. Owner: its worker; other threads name it by its ticket.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/output_buffer.h"
#include "base/reply_writer.h"
#include "config/options.h"
#include "policy/filter_chain.h"
#include "proxy/event/stream.h"
#include "proxy/pubsub/session_subscriptions.h"
#include "proxy/resp/request_parser.h"
#include "proxy/session/client_pause.h"
#include "proxy/session/session_input.h"
#include "proxy/session/transaction_queue.h"
#include "proxy/upstream/upstream_client.h"
#include "storage/engine.h"
#include "storage/request.h"

namespace tidegate {

struct RequestRecord;
struct SessionGuards;
class Server;
class SessionFlights;
class SessionPrivate;
class Router;
class UpstreamCluster;
class Worker;
class ReplyNames;
class RequestBatch;
struct Answer;
struct Placement;
class FanoutRule;
struct Route;
struct UpstreamLink;
struct UpstreamRequest;

// Names a session to any thread: its number and the worker it lives on.
enum class SessionTicket : uint64_t {};

// A ticket is the session's number with the worker's in its low bits.
inline constexpr int kTicketWorkerBits = 6;
static_assert((1 << kTicketWorkerBits) >= kWorkersMax);

constexpr uint64_t MakeTicket(uint64_t session_id, int worker_index) {
  return session_id << kTicketWorkerBits | static_cast<uint64_t>(worker_index);
}
constexpr uint64_t SessionOfTicket(uint64_t ticket) { return ticket >> kTicketWorkerBits; }
constexpr size_t WorkerOfTicket(uint64_t ticket) {
  return ticket & ((uint64_t{1} << kTicketWorkerBits) - 1);
}

// Tickets of this session, which none is, are the worker's own: the journal has synced something.
inline constexpr uint64_t kJournalTicketSession = 0;

// Unsent output above which a session's further pipelined commands wait for the client to read.
inline constexpr Bytes kUnsentOutputBytesMax = 1_MiB;

// Unsent output of a client that has to authenticate first: beyond it the client is closed, so that
// nobody without a password can make us hold memory. As Redis: its fixed reply buffer.
inline constexpr Bytes kUnauthenticatedOutputBytesMax = 16_KiB;

// Bytes that one flush gives to the kernel before the rest is left to the loop: a client that reads
// as fast as we write must not keep the others waiting.
inline constexpr Bytes kFlushedAtOnceMax = 512_KiB;

// Rest of a read up to which the next read goes to the shared buffer behind a copy of it, instead
// of into a buffer of the session's own.
inline constexpr Bytes kCopiedRestBytesMax = 4_KiB;

// Bytes a suspended session goes on reading (so that it sees its client leave) before it stops.
inline constexpr Bytes kSuspendedInputBytesMax = 64_KiB;

// What CLIENT REPLY asked for. kSkipNext: the next command's reply is dropped, then all is as
// before.
enum class ReplyMode : uint8_t { kOn, kOff, kSkipNext };

// Bytes that CLIENT LIST, CLIENT INFO and MEMORY STATS show.
struct SessionSizes {
  size_t input_bytes = 0;          // qbuf: not yet executed
  size_t input_free_bytes = 0;     // qbuf-free
  size_t arguments_bytes = 0;      // argv-mem: of an incomplete or suspended command
  size_t output_bytes = 0;         // not yet sent
  size_t output_memory_bytes = 0;  // omem
  size_t output_blocks = 0;        // oll
  size_t total_bytes = 0;          // tot-mem
};

// A socket as the acceptor hands it to a worker.
struct AcceptedConnection {
  int fd = -1;
  bool is_unix = false;
  bool proxy_protocol = false;  // begins with a PROXY protocol v2 header
  size_t listener = 0;          // PlannedListener's number
  std::string peer_address;     // "127.0.0.1:50412", "[::1]:50412", "/run/socket:0"
  std::string unix_path;        // of a unix socket
};

class Session final : private StreamOwner, private UpstreamClient {
 public:
  // Starts reading at once. Deleted through Worker::Forget when the stream is closed.
  Session(Worker& worker, uint64_t id, AcceptedConnection connection);
  ~Session() override;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // --- who it is; for handlers of this session and visits on its worker ---
  uint64_t id() const { return id_; }
  SessionTicket ticket() const { return static_cast<SessionTicket>(client_.ticket); }
  Worker& worker() const { return worker_; }
  // What its listener's clients have as routes.
  Router& router() const { return router_; }
  // Its number, see PlannedListener.
  size_t listener() const { return listener_; }
  // Whether everything that no other route has goes to a Redis Cluster.
  bool IsInFrontOfCluster() const;
  int fd() const { return stream_.fd(); }
  const std::string& peer_address() const { return peer_address_; }
  std::string local_address() const;
  bool is_unix() const { return is_unix_; }
  // Path of the unix socket it came through.
  std::string unix_path() const { return local_address_.substr(0, local_address_.rfind(':')); }
  // On the loopback interface or a unix socket. A client that a PROXY header names must be there
  // itself, and so must the balancer that says so.
  bool is_local() const { return is_local_; }
  int64_t created_ms() const { return created_ms_; }                    // unix time
  int64_t last_interaction_ms() const { return last_interaction_ms_; }  // unix time
  const Command* last_command() const { return last_command_; }         // null: none yet
  SessionSizes Sizes() const;

  // --- state that commands read and change ---
  ClientState& client() { return client_; }
  const ClientState& client() const { return client_; }
  const std::string& name() const { return name_; }
  void set_name(std::string_view name) { name_ = name; }
  const std::string& library_name() const { return library_name_; }
  void set_library_name(std::string_view name) { library_name_ = name; }
  const std::string& library_version() const { return library_version_; }
  void set_library_version(std::string_view version) { library_version_ = version; }
  Protocol protocol() const { return reply_.protocol(); }
  // From the reply of the current command on.
  void set_protocol(Protocol protocol) { reply_.set_protocol(protocol); }
  bool authenticated() const { return authenticated_; }
  void set_authenticated(bool authenticated) { authenticated_ = authenticated; }
  // Whether commands other than AUTH, HELLO … are refused now.
  bool AuthRequired() const;
  std::string_view user() const { return "default"; }
  bool no_evict() const { return no_evict_; }
  void set_no_evict(bool on) { no_evict_ = on; }
  // CLIENT REPLY OFF and SKIP give no reply to themselves; the handler of ON writes +OK.
  ReplyMode reply_mode() const { return reply_mode_; }
  void set_reply_mode(ReplyMode mode);
  // While it lives, what is written to reply() reaches the client in whatever mode. For what a
  // subscriber is told, which is no reply.
  class Heard final {
   public:
    explicit Heard(Session& session) : session_(session) {
      session.reply_.Retarget(session.output_);
    }
    ~Heard() { session_.RetargetReply(); }
    Heard(const Heard&) = delete;
    Heard& operator=(const Heard&) = delete;

   private:
    Session& session_;
  };
  bool is_monitor() const { return monitor_; }
  // MONITOR: lines follow the reply of this command. RESET takes it back.
  void set_monitor(bool on);
  ClientClass client_class() const {
    return subscribed() ? ClientClass::kPubsub : ClientClass::kNormal;
  }
  // CLIENT LIST's flag letters: 'b' waits in a blocking command or for the end of a pause, 'O'
  // monitor, 'U' unix socket, 'c' closing …, 'N'.
  std::string FlagLetters() const;

  // --- pub/sub ---
  bool subscribed() const { return subscriptions_ != nullptr || SubscribesUpstream(); }
  void Subscribe(SubscriptionKind kind, std::string_view name);
  void Unsubscribe(SubscriptionKind kind, std::string_view name);
  std::vector<std::string> SubscribedNames(SubscriptionKind kind) const;
  // Of this kind alone; and as replies tell it: channels and patterns together.
  size_t SubscriptionsOfKind(SubscriptionKind kind) const;
  size_t CountSubscriptions(SubscriptionKind kind) const;
  // A message, encoded for its protocol. It comes also when CLIENT REPLY is off. A subscriber that
  // does not take its messages in is closed.
  void PushMessage(std::string_view bytes);

  // --- MULTI ---
  TransactionQueue& transaction() { return transaction_; }
  const TransactionQueue& transaction() const { return transaction_; }
  void OpenTransaction();
  void CloseTransaction();
  // Keys that its next command waits for were moved; or not, and why, as an error. It goes on at
  // the end of the turn.
  void KeysMoved(std::string_view error);
  // EXEC has executed the queue: where routes have mirrors, they get its writes.
  void MirrorTransaction();
  // Executes one queued request inside an atomic section of the engine; `kept`: it ran before, and
  // this is its reply.
  void ExecuteQueued(const Request& request, const TransactionQueue::Kept* kept, int64_t now_ms);
  // The suspended part of the current command is through: what follows in it begins anew.
  void ForgetResumption() {
    resuming_ = false;
    client_.continuation.reset();
  }

  // RESET: database 0, RESP2, not authenticated (when a password is set), no name, no monitor,
  // replies on. The handler answers "+RESET".
  void Reset();

  // --- ends ---
  // When what was written so far (and the reply of the current command) is sent. QUIT.
  void CloseAfterReply() { close_after_reply_ = true; }
  // Soon, without waiting for output. CLIENT KILL of another session, limits.
  void Kill();
  bool killed() const { return kill_; }
  bool closing() const { return kill_ || close_after_reply_; }

  // --- suspension ---
  bool suspended() const { return (stops_ & kStopSuspended) != 0; }
  // Its next command waits for the end of CLIENT PAUSE.
  bool postponed() const { return (stops_ & kStopPostponed) != 0; }
  // Its next command waits because a policy says so.
  bool parked() const { return (stops_ & kStopParked) != 0; }
  // Inside a handler: the command was executed before and suspended.
  bool resuming() const { return resuming_; }
  // Executes the suspended command again, then goes on. Does nothing when not suspended.
  void Resume();
  // The end of CLIENT PAUSE.
  void EndPostponement();
  // Waits in a blocking command for what another client brings.
  bool blocked() const { return client_.blocked != nullptr || BlocksUpstream(); }
  // CLIENT UNBLOCK: ends that wait. False: there is none, or it is just being served.
  bool Unblock(ClientState::Unblock how);

  // --- the current command ---
  void RedactArgument(size_t index) { redacted_.push_back(static_cast<uint32_t>(index)); }

  std::span<const uint32_t> redacted_arguments() const { return redacted_; }

  // Out-of-band data (MONITOR lines): appended to the output and sent at the end of the turn.
  void Push(std::string_view bytes);

  // Sends what is there; called at the end of a batch. May close. With appendfsync always it is
  // sent at the end of the turn or later, see worker_hold.cc.
  void Flush();
  // At the end of a turn.
  void FlushNow();

  // Its replies wait until what they tell of is synced, and it executes nothing meanwhile.
  void HoldReplies() { StopFor(kStopSync); }
  bool holds_replies() const { return (stops_ & kStopSync) != 0; }
  void ReleaseReplies();
  // Since its replies were last sent it changed something.
  bool has_unsynced_changes() const { return has_unsynced_changes_; }

  // At the end of a turn in which replies of upstreams came that it waited for.
  void EndUpstreamStop();

  // The reply of a forwarded request that a ReplyHook has held. Once.
  void WriteHeld(uint32_t sequence, std::string_view reply);
  // Its reads that wait until somebody else has loaded their key; null: none ever might have.
  SessionFlights* flights() const;

  // --- a reload has changed the routes; session_reload.cc ---
  // `everything_moved`: the route "*" leads elsewhere.
  void FollowRoutes(bool everything_moved);
  // Lets go of a cluster that is gone, as far as it can by now; `late`: whatever that costs.
  void LeaveCluster(const UpstreamCluster& cluster, bool late);
  bool RefersTo(const UpstreamCluster& cluster) const;
  // Requests, or a transaction, that went to an upstream and are not answered.
  bool HasRequestsUnderWay() const;

  // Once a second: idle timeout, soft output limit, age. May close.
  void Housekeeping(int64_t now_ms);
  // Where it stands in the worker's list.
  size_t place() const { return place_; }
  void set_place(size_t place) { place_ = place; }
  // Whether it is in the worker's list of those to flush.
  bool dirty() const { return dirty_; }
  void set_dirty(bool dirty) { dirty_ = dirty; }

  // The server ends: closes as soon as nothing is unanswered.
  void Drain();

 private:
  friend class SessionPrivate;  // a part of it that few sessions have

  // Why the rest of the input waits. More than one can hold.
  enum Stop : uint8_t {
    kStopSuspended = 1,    // a command returned kSuspended
    kStopPostponed = 2,    // CLIENT PAUSE
    kStopOutput = 4,       // too much unsent output
    kStopProxyHeader = 8,  // the PROXY header has not come yet
    kStopSync = 16,        // its replies wait for the journal
    kStopUpstream = 32,    // the next request has to wait for replies of an upstream
    kStopPrivate = 64,     // an operation of SessionPrivate is under way, or waits for its turn
    kStopParked = 128,     // a rate limit, or somebody else loads its key
  };

  // StreamOwner.
  std::span<char> ReadBuffer() override;
  void OnRead(size_t size) override;
  void OnReadEnd() override;
  void OnWritten(bool ok) override;
  void OnClosed() override;

  // Executes all complete commands of `bytes`, which are input_'s own or the shared buffer's.
  void Run(std::string_view bytes, bool own, int64_t now_ms);
  // One batch of them; adds the bytes it took to `at`. False: the rest must wait, or none is left.
  bool RunBatch(std::string_view bytes, int64_t now_ms, size_t& at);
  // The same for what was kept.
  void RunKept();
  void KeepRest(std::string_view rest, size_t executed, bool own);
  // Executes requests from the front; returns how many are done.
  size_t Execute(std::span<const Request> requests, int64_t now_ms);
  // What became of a request of a batch: it is done and the next one's turn, it is done and nothing
  // may follow it now, or it is not done.
  enum class Step : uint8_t { kNext, kLast, kStay };
  // Where a batch is: when its next request begins, and how much output there was then.
  struct Progress {
    uint64_t ticks = 0;
    size_t output_bytes = 0;
    bool late = false;  // it has waited so long for its worker that load may have to be shed
  };
  // Something else than a command that was executed here has written output since.
  static constexpr size_t kUnknownOutput = SIZE_MAX;
  Step Advance(const Request& request, bool routed, int64_t now_ms, Progress& progress);
  // session_guards.cc. The same where policies have to be asked; and where too many requests wait,
  // nothing: this one is let in.
  Step AdvanceGuarded(const Request& request, int64_t now_ms, Progress& progress);
  Step AdvanceUnasked(const Request& request, int64_t now_ms, Progress& progress);
  std::optional<Step> Shed(const Request& request);
  // session_cache.cc. The same as Forward, but for a read whose reply is kept: that is given.
  std::optional<Step> ForwardCached(const Request& request, Progress& progress);
  Step AnswerFromCache(const Request& request, std::string_view reply, const Route& route,
                       Progress& progress);
  bool MayAnswerFromCache(const Request& request, const Route& route) const;
  bool IsReadHot(const Request& request, const Route& route) const;
  const FanoutRule* FanoutOf(const Request& request, const Route& route) const;
  std::optional<Step> ForwardOnce(const Request& request, const Route& route, Progress& progress);
  bool IsKnownAbsent(SessionGuards& guards, size_t mark);
  Step AdvanceWatched(const Request& request, int64_t now_ms, Progress& progress,
                      SessionGuards& guards);
  SessionGuards& Guards();
  void AskPolicies(const Request& request, int64_t now_ms, SessionGuards& guards);
  Step AnswerForPolicy(const Request& request, const SessionGuards& guards, Progress& progress);
  void Park(int64_t until_ns);
  void EndPark();
  // session_flights.cc. Of the engine: the read at hand found nothing, and waits; what it wrote
  // behind the mark is taken back. And no read of this client may wait for long from now on.
  friend class SessionFlights;
  bool KeepsMiss(const Request& request, size_t mark);
  void HastenReads();
  // Executes it here: as Advance, with nothing left to be asked.
  Step AdvanceHere(const Request& request, bool routed, int64_t now_ms, Progress& progress);
  ExecStatus ExecuteOne(const Request& request, int64_t now_ms);
  // session_observe.cc: what the worker's KeyObserver is told. Of the engine: executes it, by
  // itself or as one of a transaction.
  enum class Alone : bool { kNo, kYes };
  ExecStatus ExecuteObserved(const Request& request, Alone alone);
  // Of upstreams: what is kept with the request until its reply comes; it was sent; its reply.
  void ObserveWaiting(const Request& said, const UpstreamCluster& cluster,
                      UpstreamRequest& waiting) const;
  void ObserveSent(const Request& said, const UpstreamCluster& cluster, UpstreamLink& link,
                   uint32_t sequence);
  void ObserveReply(const UpstreamRequest& request, std::string_view reply);
  void ObserveAnswer(const UpstreamRequest& request, const Answer& answer);
  // The same of a transaction, as long as its queue is there: `sent` says which of its commands
  // went to the cluster.
  void ObserveSentQueue(const UpstreamCluster& cluster, const std::vector<bool>& sent);
  void ObserveQueueReply(const UpstreamCluster& cluster, const std::vector<bool>& sent,
                         std::string_view reply);
  ExecStatus ExecuteFiltered(const Request& request, int64_t now_ms);
  // False: the command was refused or queued, or postponed (then stops_ says so).
  bool Admit(const Request& request, int64_t now_ms);
  void RefuseWith(const Request& request, std::string_view error);
  // session_upstream.cc. Forward: nothing when this process is to answer, now.
  std::optional<Step> Forward(const Request& request, uint64_t ticks);
  friend class SessionForwarder;
  bool IsRefusedInTransaction(const Request& request);
  // Its requests choose their connection anew. Nothing is outstanding.
  void ForgetUpstreamChoice();
  // What every forwarded request brings with it; and every reply.
  void NoteForwarded(const Request& request);
  // session_big_keys.cc. What is kept with a request until its reply comes; it was sent (neither is
  // called while nobody looks for big keys); its reply has come, of which this is the beginning.
  void KeepForSize(const Request& said, const UpstreamCluster& cluster,
                   UpstreamRequest& waiting) const;
  void NoteSizeOfRequest(const Request& said, const UpstreamCluster& cluster, size_t request_bytes);
  void NoteSizeOfReply(const UpstreamRequest& request, std::string_view begin,
                       uint64_t reply_bytes);
  // The first piece of a reply that is handed on as it comes.
  void BeginSizeOfPieces(const UpstreamRequest& request, std::string_view piece);
  // Of EXEC; `sent`: which of the queued commands went there.
  void NoteSizesOfQueue(const UpstreamCluster& cluster, const std::vector<bool>& sent,
                        std::string_view reply);
  // Of the engine: a large request, or its reply.
  void NoteMovedHere(const Request& request, size_t bytes);
  void CountUpstreamReply(const UpstreamRequest& request, uint64_t ticks, std::string_view reply);
  // What needs a connection of its own, comes upon the state of one, or is about scripts. Nothing:
  // it is none of these. `names`: what turns names in the reply back, where a route rewrote the
  // request.
  std::optional<Step> ForwardApart(const Request& request, const Placement& placement,
                                   uint64_t ticks, std::unique_ptr<ReplyNames> names = nullptr);
  // session_routes.cc: the same as Forward where routes do more than to name a cluster.
  std::optional<Step> ForwardByRoute(const Request& request, uint64_t ticks);
  // `sent`: the request as its upstream got it.
  void Mirror(const Request& request, const Request& sent);
  void SkipMirror(const Request& request);
  // session_moves.cc. Nothing: the request's keys are where they should be.
  std::optional<Step> MoveKeys(const Request& request);
  std::optional<Step> MoveKeysOf(const Request& request, std::span<const KeyRef> keys);
  Step RefuseMoved(const Request& request, std::string_view error);
  // Why it cannot be executed while keys are elsewhere; empty: it can.
  std::string RefusalWhileMoving(const Request& request) const;
  UpstreamCluster* PrivateTarget(const Request& request, const Placement& placement) const;
  SessionPrivate& Private();
  bool SubscribesUpstream() const;
  bool BlocksUpstream() const;
  // session_private_exec.cc
  std::string RefusalInTransaction(const Request& request);
  void PlaceTransactionAnew();
  void MoveSubscriptions();
  bool MayBeAnsweredHere(const Request& request) const;
  // True: more replies of upstreams than so many are awaited; then it stops.
  bool WaitsForUpstream(size_t unwritten_at_most);
  // Bytes of replies of upstreams that came before those they follow.
  size_t early_reply_bytes() const;
  void KeepEarlyReply(uint32_t sequence, std::string_view reply);
  void WriteEarlyReplies(bool heard);
  bool awaits_upstream() const;  // session_upstream.h
  void OnUpstreamReply(const UpstreamRequest& request, std::string_view reply) override;
  bool OnUpstreamPiece(const UpstreamRequest& request, std::string_view piece, bool last) override;
  void OnUpstreamCut(const UpstreamRequest& request) override;
  // In its turn; before that it is kept.
  void WriteUpstreamReply(uint32_t sequence, std::string_view reply);
  // A policy has something to do with it: see ReplyHook.
  void OnHookedReply(const UpstreamRequest& request, std::string_view reply);
  void TellHookOfPieces(const UpstreamRequest& request, std::string_view begin);
  // The reply that was awaited next is written, or given up.
  void AfterUpstreamReply(bool heard);
  // What comes between replies, between the pieces of one.
  void HoldPush(std::string_view bytes);
  void LeaveUpstream();
  void Queue(const Request& request);
  bool MayWrite(const Request& request) const;
  bool IsHeld(PauseMode mode, const Request& request) const;
  void Refuse(const Request& request);
  std::string UnknownCommand(const Request& request) const;
  void Suspended(uint64_t begin_ticks);
  // Wakes the blocked session when its time is up, or (taken back) not.
  void ArmDeadline();
  void DisarmDeadline();
  // The engine refused to execute it.
  void EndRefused(const Request& request);
  // Counters, slow log, monitors.
  struct Cost {
    uint64_t ticks = 0;         // without what a client waits for by its own wish
    uint64_t worked_ticks = 0;  // since it was last resumed
    size_t reply_bytes = 0;
    bool failed = false;
  };
  void Finished(const Request& request, Cost cost);
  void Account(const Request& request, const Cost& cost);
  // session_notes.cc. Slow log, latency monitor, log of slow requests, access log.
  void NoteSlow(const Request& request, const Cost& cost);
  // The access log has what was refused, too; the error has just been written. Null: the command
  // is not known.
  void NoteRefused(const Request* request);
  // The same of what an upstream answered: the command, and its first key as far as it was kept.
  void NoteSlowUpstream(const UpstreamRequest& request, uint64_t ticks, std::string_view reply,
                        size_t reply_bytes);
  // All but the command and what is about its arguments.
  RequestRecord RecordOf(uint16_t figures, uint64_t ticks) const;
  bool IsForSlowlog(const Command& command, int64_t micros) const;
  void AddToSlowlog(int64_t micros, std::vector<std::string> arguments, std::string node);
  // After each reply: what CLIENT REPLY asked for.
  void AfterReply() {
    if (__builtin_expect(reply_mode_ != ReplyMode::kOn, 0)) AdvanceReplyMode();
  }
  void AdvanceReplyMode();
  void FailProtocol(std::string_view text);
  bool ReadProxyHeader(std::string_view bytes, size_t* consumed);
  bool InputWithinLimit();
  bool OutputWithinLimits(int64_t now_ms);
  const OutputBufferLimit& OutputLimit() const;
  void SendOutput();
  void GoOnWriting();
  // Executes what waited for the client to read, when it has read enough.
  void EndOutputStop();
  // One batch's requests, noting whether they changed something.
  size_t ExecuteHeld(std::span<const Request> requests, int64_t now_ms);
  // Sends when much is unsent; false: it still is, or the client is gone.
  bool OutputHasRoom();
  // Nothing of it is unanswered or unsent. Asks the kernel: for connections that are to end.
  bool Idle() const;
  // Bytes of output that the kernel has not taken yet.
  size_t UnsentBytes() const;
  bool IsIdleForTooLong(int64_t now_ms);
  void StopFor(Stop reason) { stops_ |= reason; }
  void RetargetReply();
  // ClientState::is_cut_off
  static bool IsCutOff(void* session, const OutputBuffer& reply);
  void EndWait(Stop stop);  // kStopSuspended, kStopPostponed, kStopParked
  void Close();
  void LogClosing(LogSeverity severity, std::string_view why) const;
  static void ObserveError(void* session, std::string_view text);

  Worker& worker_;
  Router& router_;
  const uint64_t id_;
  const size_t listener_;
  Stream stream_;
  ClientState client_;
  OutputBuffer output_;
  ReplyWriter reply_;
  RequestParser parser_;
  SessionInput input_;
  TransactionQueue transaction_;
  std::unique_ptr<SessionSubscriptions> subscriptions_;  // null: none
  FilterProgress filter_progress_;
  FilterChain* suspended_chain_ = nullptr;  // that the suspended request is in
  const Command* last_command_ = nullptr;
  UpstreamLink* upstream_ = nullptr;          // null: nothing was ever forwarded
  std::unique_ptr<SessionPrivate> private_;   // null: it never needed that
  std::unique_ptr<SessionGuards> guards_;     // null: no policy was ever asked
  std::unique_ptr<std::string> held_pushes_;  // null: no reply is being written in pieces
  const int64_t created_ms_;
  int64_t last_interaction_ms_;
  int64_t age_deadline_ms_;
  int64_t soft_limit_since_ms_ = 0;     // 0: below it
  uint64_t suspended_since_ticks_ = 0;  // start of the suspended command
  int64_t deadline_wake_ms_ = 0;        // when the worker wakes it (its clock); 0: not
  size_t pending_write_bytes_ = 0;
  size_t unsent_bytes_seen_ = 0;    // by the last Housekeeping
  size_t shared_prefix_bytes_ = 0;  // of input_, copied before a read into the shared buffer
  size_t place_ = 0;
  uint32_t errors_ = 0;              // error replies so far
  uint32_t upstream_resume_at_ = 0;  // it goes on when no more replies than so many are awaited
  std::string peer_address_;
  std::string local_address_;  // of a unix socket or a PROXY header; else asked for
  std::string name_;
  std::string library_name_;
  std::string library_version_;
  std::vector<uint32_t> redacted_;
  std::string move_error_;  // keys of its next command could not be moved; empty: they can
  const bool is_unix_;
  bool authenticated_ = false;
  bool no_evict_ = false;
  bool monitor_ = false;
  bool close_after_reply_ = false;
  bool kill_ = false;
  bool resuming_ = false;
  bool is_local_ = false;
  bool dirty_ = false;
  bool parsed_as_authenticated_ = true;  // what the batch at hand was parsed as
  bool draining_ = false;
  bool woken_while_held_ = false;  // Resume() was called and must be called again
  bool has_unsynced_changes_ = false;
  bool skip_armed_ = false;  // CLIENT REPLY SKIP was answered: the next reply is the one
  uint8_t stops_ = 0;
  uint16_t figures_ = 0;  // Route::figures of the current request
  ReplyMode reply_mode_ = ReplyMode::kOn;
};

}  // namespace tidegate
