#include "proxy/upstream/upstream_connection.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "proxy/event/stream.h"
#include "proxy/upstream/redirections.h"
#include "proxy/upstream/upstream_cluster.h"
#include "storage/command.h"

namespace tidegate {
namespace {

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
  void OnReadEnd() override { owner_->Fail(End::kLost, "it closed the connection"); }
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
      framer_(key.protocol),
      output_(node.environment().blocks),
      rest_(kept_bytes_),
      deadline_(node.environment().loop, [this] { OnDeadline(); }) {
  if (node.cluster().redirections() != nullptr) log_ = std::make_unique<RequestLog>();
}

UpstreamConnection::~UpstreamConnection() {
  DropSocket();
  for (size_t i = queue_begin_; i < queue_.size(); ++i) {
    if (queue_[i].link != nullptr) queue_[i].link->Deliver(queue_[i], "");
  }
}

bool UpstreamConnection::Refuse(std::string_view why) {
  counters_.refused.Add(1);
  refusal_ = "ERR " + node_.Describe(why);
  return false;
}

inline bool UpstreamConnection::HasRoom() {
  if (__builtin_expect(state_ == State::kIdle, 0) && !Begin()) return false;
  const size_t unsent_bytes = output_.empty() ? 0 : output_.size();
  const size_t kept_bytes = log_ == nullptr ? 0 : log_->size_bytes();
  if (in_flight() >= kConnectionInFlightMax ||
      std::max(unsent_bytes, kept_bytes) > kConnectionUnsentBytesMax.count)
    return Refuse("too many requests wait for it");
  return true;
}

inline void UpstreamConnection::Enqueue(const UpstreamRequest& waiting) {
  queue_.push_back(waiting);
  ++unsent_;
  counters_.requests.Add(1);
  counters_.in_flight.Add(1);
}

bool UpstreamConnection::Place(const Request& request, const UpstreamRequest& waiting) {
  if (!HasRoom()) return false;
  Append(request, waiting);
  MarkDirty();
  if (!deadline_armed_) ArmDeadline();
  return true;
}

inline void UpstreamConnection::Append(const Request& request, const UpstreamRequest& waiting) {
  if (log_ == nullptr) {
    Encode(request);
  } else {
    output_.AppendLarge(log_->Add(request.args));
  }
  Enqueue(waiting);
}

bool UpstreamConnection::PlaceUnit(std::span<const Request> requests, UpstreamRequest waiting) {
  if (!HasRoom()) return false;
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

void UpstreamConnection::set_owner(UpstreamConnectionOwner& owner) {
  owner_ = &owner;
  log_.reset();
}

bool UpstreamConnection::PlaceUnasked(const Request& request) {
  if (!HasRoom()) return false;
  Encode(request);
  node_.counters().requests.Add(1);
  MarkDirty();
  return true;
}

bool UpstreamConnection::PlaceEncoded(std::string_view encoded, const UpstreamRequest& waiting,
                                      bool asking) {
  constexpr std::string_view kAsking = "*1\r\n$6\r\nASKING\r\n";
  if (!HasRoom()) return false;
  if (asking) {
    output_.Append(log_->AddEncoded(kAsking));
    Enqueue({.begin_ticks = waiting.begin_ticks, .hops = waiting.hops, .tries = waiting.tries});
  }
  output_.AppendLarge(log_->AddEncoded(encoded));
  Enqueue(waiting);
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
  std::string hello = HandshakeBytes();
  handshake_done_ = 0;
  state_ = State::kHandshake;
  const OutputBuffer::Piece piece{hello.data(), hello.size()};
  // A socket that was just connected has room for it.
  if (socket_->stream().TryWrite({&piece, 1}) != static_cast<ptrdiff_t>(hello.size()))
    return Fail(End::kNotConnected, "it closed the connection");
  socket_->stream().StartReading();
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
  // Also for database 0: a reply to it proves that we may.
  AppendCommand(bytes, {"SELECT", std::to_string(options.database.value_or(key_.database))});
  handshake_ += 'm';
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
  } else if (frame.front() == '-' && letter == 'm') {
    Fail(End::kNotConnected, "it refused us: " + std::string(FirstLine(frame).substr(1)));
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

void UpstreamConnection::MarkDirty() {
  if (dirty_) return;
  dirty_ = true;
  node_.cluster().MarkDirty(*this);
}

void UpstreamConnection::Flush() {
  dirty_ = false;
  if (state_ != State::kReady) return;
  Stream& stream = socket_->stream();
  size_t sent_bytes = 0;
  while (!stream.write_pending() && !output_.empty()) {
    OutputBuffer::Piece pieces[kWritePiecesMax];
    size_t count = output_.Peek(pieces, kWritePiecesMax);
    size_t total = 0;
    for (size_t i = 0; i < count; ++i) total += pieces[i].size;
    const ptrdiff_t sent = stream.TryWrite({pieces, count});
    if (sent < 0) return Fail(End::kLost, "it closed the connection");
    if (sent > 0) unsent_ = 0;
    output_.Consume(static_cast<size_t>(sent));
    counters_.sent_bytes.Add(static_cast<uint64_t>(sent));
    sent_bytes += static_cast<size_t>(sent);
    constexpr size_t kAtOnceMax = 1 << 20;
    if (static_cast<size_t>(sent) == total && sent_bytes < kAtOnceMax) continue;
    if (output_.empty()) return;
    count = output_.Peek(pieces, kWritePiecesMax);
    pending_write_bytes_ = 0;
    for (size_t i = 0; i < count; ++i) pending_write_bytes_ += pieces[i].size;
    unsent_ = 0;
    stream.Write({pieces, count});
  }
}

void UpstreamConnection::OnWritten(bool ok) {
  if (!ok) return Fail(End::kLost, "it closed the connection");
  counters_.sent_bytes.Add(pending_write_bytes_);
  output_.Consume(std::exchange(pending_write_bytes_, 0));
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
  const UpstreamRequest request = PopFront();
  counters_.in_flight.Subtract(1);
  answered_ = true;
  if (__builtin_expect(frame.front() == '-', 0)) {
    if (TakeRedirection(request, frame)) return true;
    counters_.error_replies.Add(1);
    node_.cluster().ErrorReply(node_, frame);
  }
  if (log_ != nullptr) log_->PopFront();
  RecordLatency(request);
  if (__builtin_expect(patience_ms_ != 0, 0)) EndPatience();
  if (request.link != nullptr) request.link->Deliver(request, frame);
  return true;
}

// Not of what a client waits for by its own wish, nor of ASKING, which is nobody's. Replies that
// were read together came together: one look at the clock is enough for them.
inline void UpstreamConnection::RecordLatency(const UpstreamRequest& request) {
  if (request.link == nullptr || (patience_ms_ != 0 && before_patient_ == 0)) return;
  node_.latency().Record(static_cast<uint64_t>(TicksToNanos(read_ticks_ - request.begin_ticks)));
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

bool UpstreamConnection::TakeRedirection(const UpstreamRequest& request, std::string_view error) {
  Redirections* const redirections = node_.cluster().redirections();
  if (redirections == nullptr || request.link == nullptr || log_ == nullptr ||
      request.part() != RequestPart::kWhole)
    return false;
  if (!redirections->Take(*this, request, log_->Front(), error)) return false;
  log_->PopFront();
  counters_.redirections.Add(1);
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
  return request;
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
  counters_.lost.Add(in_flight());
  counters_.in_flight.Subtract(in_flight());
}

void UpstreamConnection::DropSocket() {
  connector_.reset();
  if (socket_ != nullptr) std::exchange(socket_, nullptr)->Drop();
}

void UpstreamConnection::Fail(End end, std::string_view why) {
  const std::string error = node_.Describe(why);
  log::Warning(error);
  CountEnd(end);
  // One that worked until now is worth a try at once.
  if (state_ != State::kReady || end != End::kLost) node_.Failed(why, MonotonicNanos());
  node_.Strike(std::exchange(answered_, false));
  node_.cluster().NodeFailed(node_, why);
  const std::string reply = "-ERR " + error + "\r\n";
  EndRequests(reply);
  if (owner_ != nullptr) owner_->OnLost(reply);
}

void UpstreamConnection::Close() {
  if (state_ == State::kReady) node_.counters().connections.Subtract(1);
  node_.counters().in_flight.Subtract(in_flight());
  if (dirty_) node_.cluster().Unmark(*this);
  dirty_ = false;
  EndRequests("");
}

void UpstreamConnection::EndRequests(std::string_view reply) {
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
  if (log_ != nullptr) log_->Clear();
  for (size_t i = begin; i < waiting.size(); ++i) {
    if (waiting[i].link != nullptr) waiting[i].link->Deliver(waiting[i], reply);
  }
}

}  // namespace tidegate
