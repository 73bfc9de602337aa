#include "proxy/upstream/upstream_connection.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "policy/command_access.h"
#include "proxy/event/stream.h"
#include "proxy/upstream/redirections.h"
#include "proxy/upstream/script_texts.h"
#include "proxy/upstream/upstream_cluster.h"
#include "storage/command.h"

namespace tidegate {
namespace {

constexpr std::string_view kNoSuchScriptReply =
    "-NOSCRIPT No matching script. Please use EVAL.\r\n";
// Of it, what all versions say; less of it a script may give as an error of its own.
constexpr std::string_view kNoSuchScript = kNoSuchScriptReply.substr(0, 28);

// What Redis says of a text that becomes no script: so no node ever had it.
bool IsOfNoScript(std::string_view error) {
  constexpr std::array<std::string_view, 5> kBeginnings = {
      "-ERR Error compiling script", "-ERR Invalid script shebang",
      "-ERR Unexpected engine in script shebang", "-ERR Unknown lua shebang option",
      "-ERR Unexpected flag in script shebang"};
  return std::any_of(kBeginnings.begin(), kBeginnings.end(),
                     [error](std::string_view begin) { return error.starts_with(begin); });
}

// The queue's front is taken off by moving a mark; beyond so many the room is given back.
constexpr size_t kQueueSlackMax = 4096;

// Bytes of what an upstream says that an error of ours quotes.
constexpr size_t kQuotedBytesMax = 200;

void AppendCommand(std::string& out, std::initializer_list<std::string_view> words) {
  out += "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string_view word : words) {
    out += "$" + std::to_string(word.size()) + "\r\n";
    out.append(word);
    out += "\r\n";
  }
}

// Of a connection that is one session's, where others find out how many there should be: it may
// have what a client may have.
constexpr uint64_t kInFlightMaxOfPrivate = 65536;

// ClusterOptions::max_in_flight of `max-in-flight: auto`.
bool IsAuto(const ClusterOptions& options) { return options.max_in_flight == 0; }

uint64_t InFlightMax(const ClusterOptions& options) {
  return IsAuto(options) ? kConcurrencyStart : static_cast<uint64_t>(options.max_in_flight);
}

std::string_view FirstLine(std::string_view reply) {
  return reply.substr(0, std::min(reply.find('\r'), kQuotedBytesMax));
}

}  // namespace

// The socket of one connection attempt that succeeded. Outlives what it served: libuv closes
// handles later.
class UpstreamConnection::Socket final : public StreamOwner {
 public:
  explicit Socket(UpstreamConnection& owner) : owner_(&owner), stream_(*this) {}

  Stream& stream() { return stream_; }
  void Drop() {
    owner_ = nullptr;
    stream_.Close();
  }

  std::span<char> ReadBuffer() override { return owner_->ReadBuffer(); }
  void OnRead(size_t size) override { owner_->OnRead(size); }
  void OnReadEnd() override { owner_->OnReadEnd(stream_.error()); }
  void OnWritten(bool ok) override { owner_->OnWritten(ok); }
  void OnClosed() override { delete this; }

 private:
  UpstreamConnection* owner_;
  Stream stream_;
};

UpstreamConnection::UpstreamConnection(UpstreamNode& node, const ConnectionKey& key)
    : node_(node),
      counters_(node.counters()),
      key_(key),
      in_flight_max_(InFlightMax(node.options())),
      framer_(key.protocol),
      output_(node.environment().blocks),
      rest_(kept_bytes_),
      deadline_(node.environment().loop, [this] { OnDeadline(); }) {
  if (IsAuto(node.options())) concurrency_ = std::make_unique<ConcurrencyLimit>();
  if (node.cluster().redirections() == nullptr) return;
  keeps_all_ = true;
  log_ = std::make_unique<RequestLog>();
}

UpstreamConnection::~UpstreamConnection() {
  DropSocket();
  EndRequests("", false);
}

bool UpstreamConnection::Refuse(std::string_view why) {
  counters_.refused.Add(1);
  refusal_ = "ERR " + node_.Describe(why);
  return false;
}

size_t UpstreamConnection::HeldBytes() const {
  const size_t unsent_bytes = output_.empty() ? 0 : output_.size();
  return log_ == nullptr ? unsent_bytes : std::max(unsent_bytes, log_->size_bytes());
}

void UpstreamConnection::CountHeldBytes() {
  const size_t bytes = HeldBytes();
  node_.set_held_bytes(node_.held_bytes() - counted_bytes_ + bytes);
  counted_bytes_ = bytes;
}

// What one session says over its own connection belongs together: the breaker lets it be made, or
// not.
inline bool UpstreamConnection::HasRoom(const Command* command) {
  const bool is_under_way = owner_ != nullptr && state_ != State::kIdle;
  if (__builtin_expect(!node_.is_up(), 0) && !is_under_way && !node_.Admits(command))
    return Refuse("down, " + node_.last_failure());
  if (__builtin_expect(state_ == State::kIdle, 0) && !Begin()) return false;
  const size_t held_bytes = node_.held_bytes() - counted_bytes_ + HeldBytes();
  if (held_bytes > kNodeHeldBytesMax.count) return Refuse("too many requests wait for it");
  return __builtin_expect(counters_.in_flight.Get() < in_flight_max_, 1) || HasRoomFor(command);
}

// What is found out is for this connection: who waits in BLPOP at the node, over one of his own,
// takes nothing from it. And it is a guess: writes may have a quarter more than reads, and what is
// about no data (PING, or none of a client's commands) is always sent.
bool UpstreamConnection::HasRoomFor(const Command* command) {
  if (concurrency_ == nullptr) return Refuse("too many requests wait for it");
  if (in_flight() < in_flight_max_) return true;
  const DataAccess access = command == nullptr ? DataAccess::kNone : DataAccessOf(*command);
  if (access == DataAccess::kNone) return true;
  const uint64_t for_writes = in_flight_max_ + in_flight_max_ / 4;
  if (access == DataAccess::kWrite && in_flight() < for_writes) return true;
  counters_.refused.Add(1);
  refusal_ = "OVERLOADED " + node_.Describe("more than " + std::to_string(in_flight_max_) +
                                            " requests wait for it, which it does not answer in "
                                            "time: try again later");
  return false;
}

void UpstreamConnection::FollowConcurrency(int64_t took_ns) {
  if (concurrency_->Replied(took_ns, in_flight() + 1, TicksToNanos(read_ticks_)))
    in_flight_max_ = concurrency_->limit();
}

inline void UpstreamConnection::Enqueue(const UpstreamRequest& waiting) {
  queue_.push_back(waiting);
  ++unsent_;
  counters_.requests.Add(1);
  counters_.in_flight.Add(1);
}

bool UpstreamConnection::Place(const Request& request, const UpstreamRequest& waiting) {
  if (!HasRoom(request.command)) return false;
  Append(request, waiting);
  MarkDirty();
  if (!deadline_armed_) ArmDeadline();
  return true;
}

inline void UpstreamConnection::Append(const Request& request, const UpstreamRequest& waiting) {
  if (__builtin_expect(!Keeps(waiting), 1)) {
    Encode(request);
  } else {
    if (__builtin_expect(log_ == nullptr, 0)) log_ = std::make_unique<RequestLog>();
    output_.AppendLarge(log_->Add(request.args));
  }
  Enqueue(waiting);
}

bool UpstreamConnection::PlaceUnit(std::span<const Request> requests, UpstreamRequest waiting) {
  if (!HasRoom(requests.back().command)) return false;
  for (const Request& request : requests) {
    waiting.command = request.command;
    const bool last = &request == &requests.back();
    waiting.set_part(last ? RequestPart::kUnitEnd : RequestPart::kUnitPart);
    Append(request, waiting);
  }
  MarkDirty();
  if (!deadline_armed_) ArmDeadline();
  return true;
}

// Its requests belong together, and it may wait for as long as its session wants.
void UpstreamConnection::set_owner(UpstreamConnectionOwner& owner) {
  owner_ = &owner;
  if (std::exchange(concurrency_, nullptr) != nullptr) in_flight_max_ = kInFlightMaxOfPrivate;
  if (node_.cluster().options().kind == ClusterKind::kRedisCluster) return;
  keeps_all_ = false;
  log_.reset();
}

bool UpstreamConnection::PlaceUnasked(const Request& request) {
  if (!HasRoom(request.command)) return false;
  Encode(request);
  node_.counters().requests.Add(1);
  MarkDirty();
  return true;
}

bool UpstreamConnection::PlaceEncoded(std::string_view encoded, const UpstreamRequest& waiting,
                                      bool asking) {
  constexpr std::string_view kAsking = "*1\r\n$6\r\nASKING\r\n";
  if (!HasRoom(waiting.command)) return false;
  if (asking) {
    output_.Append(log_->AddEncoded(kAsking));
    Enqueue({.begin_ticks = waiting.begin_ticks, .hops = waiting.hops, .tries = waiting.tries});
  }
  output_.AppendLarge(keeps_all_ ? log_->AddEncoded(encoded) : encoded);
  Enqueue(waiting);
  MarkDirty();
  if (!deadline_armed_) ArmDeadline();
  return true;
}

bool UpstreamConnection::PlacePing() {
  constexpr std::string_view kPing = "*1\r\n$4\r\nPING\r\n";
  if (state_ == State::kIdle && !Begin()) return false;
  output_.Append(keeps_all_ ? log_->AddEncoded(kPing) : kPing);
  Enqueue({.begin_ticks = Ticks()});
  MarkDirty();
  if (!deadline_armed_) ArmDeadline();
  return true;
}

bool UpstreamConnection::HasAnother(const UpstreamLink& link, uint16_t slot) const {
  return std::any_of(queue_.begin() + static_cast<ptrdiff_t>(queue_begin_), queue_.end(),
                     [&link, slot](const UpstreamRequest& waiting) {
                       return waiting.link == &link && waiting.slot == slot;
                     });
}

bool UpstreamConnection::Begin() {
  if (!node_.MayConnect(MonotonicNanos(), owner_ != nullptr))
    return Refuse("down, " + node_.last_failure());
  state_ = State::kConnecting;
  const topology::NodeAddress& address = node_.address();
  connector_ = std::make_unique<Connector>(
      node_.environment().loop, address.host, address.port,
      [this](int fd, const std::string& error) { OnConnected(fd, error); });
  deadline_.StartOnce(static_cast<uint64_t>(node_.options().connect_timeout.count()));
  deadline_armed_ = true;
  return true;
}

void UpstreamConnection::Encode(const Request& request) {
  constexpr size_t kCopiedAtOnceMax = 4096;
  ReplyWriter writer(output_);
  writer.Array(request.args.size());
  for (const std::string_view arg : request.args) {
    if (arg.size() <= kCopiedAtOnceMax) {
      writer.Bulk(arg);
    } else {
      writer.BeginBulk(arg.size());
      writer.BulkPart(arg);
      writer.EndBulk();
    }
  }
}

void UpstreamConnection::OnConnected(int fd, const std::string& error) {
  connector_.reset();
  if (fd < 0) return Fail(End::kNotConnected, error);
  constexpr int kKeepaliveSeconds = 60;
  socket_ = new Socket(*this);
  const Status opened = socket_->stream().Open(
      node_.environment().loop, fd, {.no_delay = true, .keepalive_seconds = kKeepaliveSeconds});
  if (!opened.ok()) return Fail(End::kNotConnected, opened.error().message);
  if (const TlsContext* const tls = node_.cluster().tls()) {
    const Status begun = socket_->stream().StartTls(*tls, node_.address().host);
    if (!begun.ok()) return Fail(End::kNotConnected, begun.error().message);
  }
  hello_ = HandshakeBytes();
  handshake_done_ = 0;
  state_ = State::kHandshake;
  const OutputBuffer::Piece piece{hello_.data(), hello_.size()};
  socket_->stream().Write({&piece, 1});
  socket_->stream().StartReading();
}

void UpstreamConnection::OnReadEnd(std::string_view error) {
  // A copy: it goes with the socket.
  Fail(End::kLost, error.empty() ? "it closed the connection" : std::string(error));
}

// All at once: one round trip, whatever it consists of.
std::string UpstreamConnection::HandshakeBytes() {
  const ClusterOptions& options = node_.options();
  std::string bytes;
  handshake_.clear();
  if (key_.protocol == Protocol::kResp3) {
    if (options.password.empty()) {
      AppendCommand(bytes, {"HELLO", "3"});
    } else {
      const std::string user = options.username.empty() ? "default" : options.username;
      AppendCommand(bytes, {"HELLO", "3", "AUTH", user, options.password});
    }
    handshake_ += 'm';
  } else if (!options.password.empty()) {
    if (options.username.empty()) {
      AppendCommand(bytes, {"AUTH", options.password});
    } else {
      AppendCommand(bytes, {"AUTH", options.username, options.password});
    }
    handshake_ += 'm';
  }
  // For people who look at CLIENT LIST there; a user that may not say it serves all the same.
  AppendCommand(bytes, {"CLIENT", "SETNAME", "tidegate"});
  handshake_ += 'o';
  if (owner_ != nullptr) {  // CLIENT UNBLOCK wants it; where it is not told there are other ways
    AppendCommand(bytes, {"CLIENT", "ID"});
    handshake_ += 'i';
  }
  // Also for database 0: a reply to it proves that we may. So does BUSY, and the database is 0
  // then.
  const int database = options.database.value_or(key_.database);
  AppendCommand(bytes, {"SELECT", std::to_string(database)});
  handshake_ += database == 0 ? 'b' : 'm';
  if (key_.reads_replica && options.kind == ClusterKind::kRedisCluster) {
    AppendCommand(bytes, {"READONLY"});
    handshake_ += 'm';
  }
  return bytes;
}

bool UpstreamConnection::TakeHandshakeReply(std::string_view frame) {
  const char letter = handshake_[handshake_done_++];
  if (letter == 'i') {
    node_client_id_ = frame.front() == ':' ? ParseInt64(FirstLine(frame).substr(1)).value_or(0) : 0;
  } else if (frame.front() == '-' &&
             (letter == 'm' || (letter == 'b' && !frame.starts_with("-BUSY ")))) {
    TakeRefusal(FirstLine(frame));
    return false;
  }
  if (handshake_done_ < handshake_.size()) return true;
  state_ = State::kReady;
  node_.Connected();
  counters_.connects.Add(1);
  counters_.connections.Add(1);
  deadline_.Stop();
  deadline_armed_ = false;
  if (in_flight() > 0) ArmDeadline();
  MarkDirty();
  return true;
}

void UpstreamConnection::TakeRefusal(std::string_view error) {
  const std::string why = "it refused us: " + std::string(error.substr(1));
  if (owner_ == nullptr || !owner_->OnRefused(error)) return Fail(End::kNotConnected, why);
  counters_.in_flight.Subtract(in_flight());
  (void)EndRequests("-ERR " + node_.Describe(why) + "\r\n", false);
}

void UpstreamConnection::MarkDirty() {
  if (dirty_) return;
  dirty_ = true;
  node_.cluster().MarkDirty(*this);
}

void UpstreamConnection::Flush() {
  dirty_ = false;
  if (state_ != State::kReady) return CountHeldBytes();
  node_.Advance(MonotonicNanos());
  Stream& stream = socket_->stream();
  size_t sent_bytes = 0;
  while (!stream.write_pending() && !output_.empty()) {
    OutputBuffer::Piece pieces[kWritePiecesMax];
    size_t count = output_.Peek(pieces, kWritePiecesMax);
    size_t total = 0;
    for (size_t i = 0; i < count; ++i) total += pieces[i].size;
    const ptrdiff_t sent = stream.TryWrite({pieces, count});
    if (sent < 0) return Fail(End::kLost, "it closed the connection");
    if (sent > 0) NoteSent();
    output_.Consume(static_cast<size_t>(sent));
    counters_.sent_bytes.Add(static_cast<uint64_t>(sent));
    sent_bytes += static_cast<size_t>(sent);
    constexpr size_t kAtOnceMax = 1 << 20;
    if (static_cast<size_t>(sent) == total && sent_bytes < kAtOnceMax) continue;
    if (output_.empty()) break;
    count = output_.Peek(pieces, kWritePiecesMax);
    pending_write_bytes_ = 0;
    for (size_t i = 0; i < count; ++i) pending_write_bytes_ += pieces[i].size;
    NoteSent();
    stream.Write({pieces, count});
  }
  CountHeldBytes();
}

inline void UpstreamConnection::NoteSent() {
  const bool* const notes = node_.environment().notes_sending;
  if (__builtin_expect(notes != nullptr && *notes, 0)) {
    const uint64_t now_ticks = Ticks();
    for (size_t i = queue_.size() - unsent_; i < queue_.size(); ++i) queue_[i].NoteSent(now_ticks);
  }
  unsent_ = 0;
}

void UpstreamConnection::OnWritten(bool ok) {
  if (!ok) return Fail(End::kLost, "it closed the connection");
  counters_.sent_bytes.Add(pending_write_bytes_);
  output_.Consume(std::exchange(pending_write_bytes_, 0));
  CountHeldBytes();
  if (!output_.empty()) MarkDirty();
}

std::span<char> UpstreamConnection::ReadBuffer() {
  reading_rest_ = !rest_.empty();
  return reading_rest_ ? rest_.Room(framer_.bytes_wanted()) : node_.environment().read_buffer;
}

void UpstreamConnection::OnRead(size_t size) {
  node_.environment().loop.TurnBegins();
  counters_.received_bytes.Add(size);
  read_ticks_ = Ticks();
  if (reading_rest_) rest_.Added(size);
  const std::string_view bytes =
      reading_rest_ ? rest_.bytes()
                    : std::string_view(node_.environment().read_buffer.data(), size);
  size_t taken = 0;
  if (!TakeFrames(bytes, taken)) return;
  if (log_ != nullptr) CountHeldBytes();
  const size_t begun = bytes.size() - taken;
  const bool large = large_ || std::max(begun, framer_.bytes_wanted()) > kLargeReplyBytes.count;
  if (__builtin_expect(large, 0) && begun > 0) taken += TakeLarge(bytes.substr(taken));
  if (reading_rest_) {
    if (taken > 0) rest_.Consume(taken);
  } else if (taken < bytes.size()) {
    rest_.Append(bytes.substr(taken), framer_.bytes_wanted());
  }
}

bool UpstreamConnection::TakeFrames(std::string_view bytes, size_t& taken) {
  while (taken < bytes.size()) {
    switch (framer_.Next(bytes.substr(taken))) {
      case ReplyFramer::Outcome::kNeedInput:
        return true;
      case ReplyFramer::Outcome::kGarbage:
        Fail(End::kGarbage, "it sent " + std::string(framer_.garbage()));
        return false;
      case ReplyFramer::Outcome::kPush:  // of a shared one for nobody: it subscribes to nothing
        if (owner_ != nullptr) (void)owner_->OnFrame(bytes.substr(taken, framer_.frame_bytes()));
        break;
      case ReplyFramer::Outcome::kReply:
        if (!TakeFrame(bytes.substr(taken, framer_.frame_bytes()))) return false;
        break;
    }
    taken += framer_.frame_bytes();
  }
  return true;
}

bool UpstreamConnection::TakeFrame(std::string_view frame) {
  if (__builtin_expect(state_ != State::kReady, 0)) return TakeHandshakeReply(frame);
  if (__builtin_expect(in_flight() == unsent_, 0)) return TakeUnasked(frame);
  if (__builtin_expect(large_, 0)) {
    large_ = false;
    if (streaming_) return TakeEndOfLarge(frame);
  }
  const UpstreamRequest request = PopFront();
  counters_.in_flight.Subtract(1);
  if (__builtin_expect(frame.front() == '-', 0)) {
    if (TakeError(request, frame)) return true;
  } else {
    node_.Answered();
  }
  if (__builtin_expect(Keeps(request), 0)) log_->PopFront();
  RecordLatency(request);
  if (__builtin_expect(patience_ms_ != 0, 0)) EndPatience();
  if (request.link != nullptr) {
    request.link->answered_by = node_.figures().get();
    request.link->Deliver(request, frame);
  }
  return true;
}

size_t UpstreamConnection::TakeLarge(std::string_view begun) {
  const bool is_reply = state_ == State::kReady && !framer_.in_push() && in_flight() > unsent_;
  if (!is_reply || owner_ != nullptr) return 0;
  const UpstreamRequest& request = queue_[queue_begin_];
  if (request.link == nullptr) return 0;
  if (!std::exchange(large_, true)) {
    counters_.large_replies.Add(1);
    node_.Supersede(*this);
  }
  request.link->lane_requests = kLaneRequests;
  if (request.is_part || request.part() != RequestPart::kWhole) return 0;
  const size_t size = framer_.Passable(begun.size());
  if (size == 0 || !request.link->DeliverPiece(request, begun.substr(0, size), false)) return 0;
  streaming_ = true;
  framer_.Skip(size);
  return size;
}

bool UpstreamConnection::TakeEndOfLarge(std::string_view frame) {
  streaming_ = false;
  const UpstreamRequest request = PopFront();
  counters_.in_flight.Subtract(1);
  node_.Answered();
  if (Keeps(request)) log_->PopFront();
  RecordLatency(request);
  request.link->answered_by = node_.figures().get();
  TG_CHECK(request.link->DeliverPiece(request, frame, true));
  return true;
}

// Not of what a client waits for by its own wish, nor of ASKING, which is nobody's. Replies that
// were read together came together: one look at the clock is enough for them.
inline void UpstreamConnection::RecordLatency(const UpstreamRequest& request) {
  if (request.link == nullptr || (patience_ms_ != 0 && before_patient_ == 0)) return;
  const int64_t took_ns = TicksToNanos(read_ticks_ - request.begin_ticks);
  node_.latency().Record(static_cast<uint64_t>(took_ns));
  if (__builtin_expect(concurrency_ != nullptr, 0)) FollowConcurrency(took_ns);
}

// A request is answered. What comes behind the patient one has not so much time.
void UpstreamConnection::EndPatience() {
  if (before_patient_ > 0) {
    --before_patient_;
    return;
  }
  patience_ms_ = 0;
  deadline_.Stop();
  deadline_armed_ = false;
  if (in_flight() > 0) ArmDeadline();
}

bool UpstreamConnection::TakeUnasked(std::string_view frame) {
  if (owner_ != nullptr && owner_->OnFrame(frame)) return true;
  Fail(End::kGarbage, "it sent a reply that nobody asked for");
  return false;
}

bool UpstreamConnection::TakeError(const UpstreamRequest& request, std::string_view& error) {
  if (node_.cluster().ErrorReply(node_, error)) {
    node_.Failed(CircuitBreaker::Failure::kNotServing, 1,
                 "it says " + std::string(FirstLine(error).substr(1)));
  } else {
    node_.Answered();
  }
  if (TakeRedirection(request, error) || TakeUnknownScript(request, error)) return true;
  counters_.error_replies.Add(1);
  if (request.given_text != 0 && IsOfNoScript(error)) error = kNoSuchScriptReply;
  return false;
}

bool UpstreamConnection::TakeRedirection(const UpstreamRequest& request, std::string_view error) {
  Redirections* const redirections = node_.cluster().redirections();
  if (redirections == nullptr || request.link == nullptr || !keeps_all_ ||
      request.is_private != 0 || request.part() != RequestPart::kWhole)
    return false;
  if (!redirections->Take(*this, request, log_->Front(), error)) return false;
  log_->PopFront();
  return true;
}

// NOSCRIPT: nothing was executed. With the text, if it is known, the node executes it and has the
// script from then on. Not when others of the session for the same keys are behind it: they would
// overtake it, and a client that pipelines has to expect a NOSCRIPT anyway.
bool UpstreamConnection::TakeUnknownScript(UpstreamRequest request, std::string_view error) {
  ScriptTexts* const texts = node_.environment().script_texts;
  if (request.calls_script == 0 || request.link == nullptr || texts == nullptr ||
      !error.starts_with(kNoSuchScript) || HasAnother(*request.link, request.slot))
    return false;
  const auto text = texts->Find(CalledScript(log_->Front()));
  if (text == nullptr) return false;
  const std::string encoded = WithScriptText(log_->Front(), *text);
  log_->PopFront();
  counters_.script_reloads.Add(1);
  if (!request.redirected()) ++request.link->redirected;
  ++request.tries;
  request.calls_script = 0;
  request.given_text = 1;
  if (!PlaceEncoded(encoded, request, false))
    request.link->Deliver(request, "-" + refusal_ + "\r\n");
  return true;
}

UpstreamRequest UpstreamConnection::PopFront() {
  const UpstreamRequest request = queue_[queue_begin_++];
  if (queue_begin_ == queue_.size()) {
    queue_.clear();
    queue_begin_ = 0;
  } else if (queue_begin_ > kQueueSlackMax && queue_begin_ * 2 > queue_.size()) {
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(queue_begin_));
    queue_begin_ = 0;
  }
  if (__builtin_expect(request.stripe != kNoStripe, 0)) PrefetchNext();
  return request;
}

// Writes whose replies came together: while one is handed on, what the next one needs comes near.
void UpstreamConnection::PrefetchNext() const {
  if (in_flight() == 0) return;
  const UpstreamRequest& next = queue_[queue_begin_];
  if (next.stripe != kNoStripe) next.link->stripes->Prefetch(next.stripe);
}

// One timer for all: requests have the same time, so the oldest is the first whose time is up. It
// looks again when that one was answered meanwhile, instead of being set for each. A request that
// was sent here by another node has used some of its time there, for which others that wait here
// must not be cut off: each node has the whole time for it.
int64_t UpstreamConnection::LimitNanosOf(const UpstreamRequest& request) const {
  const int64_t limit_ns = node_.options().request_timeout.count() * 1'000'000;
  return limit_ns * (1 + request.hops + request.tries) +
         (before_patient_ == 0 ? patience_ms_ : 0) * int64_t{1'000'000};
}

void UpstreamConnection::ArmDeadline() {
  if (OldestHasNoDeadline()) return;
  const int64_t limit_ns = LimitNanosOf(queue_[queue_begin_]);
  const int64_t waited_ns = TicksToNanos(Ticks() - queue_[queue_begin_].begin_ticks);
  deadline_armed_ = true;
  deadline_.StartOnce(
      static_cast<uint64_t>(std::max<int64_t>(limit_ns - waited_ns, 0)) / 1'000'000 + 1);
}

void UpstreamConnection::OnDeadline() {
  deadline_armed_ = false;
  if (state_ == State::kHandshake && !socket_->stream().established())
    return Fail(End::kNotConnected, "TLS: no handshake within the connect-timeout");
  if (state_ == State::kConnecting || state_ == State::kHandshake)
    return Fail(End::kNotConnected, "it did not answer within the connect-timeout");
  if (in_flight() == 0) return;
  const int64_t limit_ns = LimitNanosOf(queue_[queue_begin_]);
  if (OldestHasNoDeadline() || TicksToNanos(Ticks() - queue_[queue_begin_].begin_ticks) < limit_ns)
    return ArmDeadline();
  Fail(End::kLate, "no reply within the request-timeout");
}

void UpstreamConnection::CountEnd(End end) {
  if (end == End::kLate) counters_.timeouts.Add(1);
  if (end == End::kGarbage) counters_.garbage.Add(1);
  if (end == End::kNotConnected || state_ != State::kReady) counters_.connect_failures.Add(1);
  if (state_ == State::kReady) counters_.connections.Subtract(1);
  counters_.in_flight.Subtract(in_flight());
}

void UpstreamConnection::DropSocket() {
  connector_.reset();
  if (socket_ != nullptr) std::exchange(socket_, nullptr)->Drop();
}

// One that worked until now is worth a try at once; one that was lost while nobody waited, as nodes
// do it with idle ones, is no failure. Requests over private connections are no measure of those
// that all share.
void UpstreamConnection::NoteFailure(End end, std::string_view why) {
  using Failure = CircuitBreaker::Failure;
  const bool worked = state_ == State::kReady && end == End::kLost;
  if (worked && in_flight() == 0) return;
  const size_t requests = owner_ != nullptr ? 0 : in_flight();
  node_.Failed(worked ? Failure::kBroken : Failure::kSilent, requests, why);
}

void UpstreamConnection::Fail(End end, std::string_view why) {
  const std::string error = node_.Describe(why);
  log::WriteOfKind(LogKind::kUpstream, LogSeverity::kWarning, error);
  CountEnd(end);
  NoteFailure(end, why);
  node_.cluster().NodeFailed(node_, why);
  const std::string reply = "-ERR " + error + "\r\n";
  counters_.lost.Add(EndRequests(reply, true));
  if (owner_ != nullptr) owner_->OnLost(reply);
}

void UpstreamConnection::Close() {
  if (state_ == State::kReady) node_.counters().connections.Subtract(1);
  node_.counters().in_flight.Subtract(in_flight());
  if (dirty_) node_.cluster().Unmark(*this);
  dirty_ = false;
  EndRequests("", false);
}

size_t UpstreamConnection::EndRequests(std::string_view reply, bool elsewhere) {
  const bool were_sent = state_ == State::kReady;
  DropSocket();
  state_ = State::kIdle;
  framer_.Restart();
  rest_.Clear();
  output_.Clear();
  pending_write_bytes_ = 0;
  deadline_.Stop();
  deadline_armed_ = false;
  patience_ms_ = 0;
  unsent_ = 0;
  const std::vector<UpstreamRequest> waiting = std::move(queue_);
  const size_t begin = std::exchange(queue_begin_, 0);
  queue_.clear();
  // Of one that its client has had a part of already, nobody else can give the rest.
  const bool cut = std::exchange(streaming_, false);
  large_ = false;
  Redirections* const redirections =
      elsewhere && keeps_all_ ? node_.cluster().redirections() : nullptr;
  size_t answered = 0;
  for (size_t i = begin; i < waiting.size(); ++i) {
    const bool is_cut = cut && i == begin;
    const bool is_taken = redirections != nullptr && !is_cut &&
                          redirections->TakeLost(*this, waiting[i], log_->Front(), were_sent);
    if (redirections != nullptr) log_->PopFront();
    if (is_taken) continue;
    ++answered;
    if (waiting[i].link == nullptr) continue;
    waiting[i].link->answered_by = node_.figures().get();
    if (is_cut) {
      waiting[i].link->Cut(waiting[i]);
    } else {
      waiting[i].link->Deliver(waiting[i], reply);
    }
  }
  if (log_ != nullptr) log_->Clear();
  CountHeldBytes();
  return answered;
}

}  // namespace tidegate
