#include "proxy/discovery/control_connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "config/option_value.h"
#include "proxy/event/address.h"
#include "proxy/event/stream.h"

namespace tidegate::discovery {
namespace {

// Bytes of what a server says that a text of ours quotes.
constexpr size_t kQuotedBytesMax = 120;
constexpr int kKeepaliveSeconds = 30;

void AppendCommand(std::string& out, const CommandWords& words) {
  out += "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words)
    out += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
}

topology::NodeAddress PeerOf(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  if (getpeername(fd, any, &size) != 0) return {};
  const std::string text = AddressText(*any);
  const auto parsed = topology::ParseHostAndPort(text);
  if (!parsed) return {};
  return {std::string(parsed->host), parsed->port};
}

}  // namespace

std::string NoAnswerWithin(std::chrono::milliseconds time) {
  return "no answer within " + PrintDuration(time);
}

// The socket of one connection attempt that succeeded. Outlives what it served: libuv closes
// handles later, and a write that is under way needs its bytes until then.
class ControlConnection::Socket final : public StreamOwner {
 public:
  explicit Socket(ControlConnection& owner) : owner_(&owner), stream_(*this) {}

  Stream& stream() { return stream_; }
  void Write(std::string bytes) {
    writing_ = std::move(bytes);
    const OutputBuffer::Piece piece{writing_.data(), writing_.size()};
    stream_.Write({&piece, 1});
  }
  void Drop() {
    owner_ = nullptr;
    stream_.Close();
  }

  std::span<char> ReadBuffer() override { return owner_->environment_.read_buffer; }
  void OnRead(size_t size) override { owner_->OnRead(size); }
  void OnReadEnd() override {
    const std::string why(stream_.error());
    owner_->Fail(why.empty() ? "it closed the connection" : why);
  }
  void OnWritten(bool ok) override {
    ok ? owner_->Send() : owner_->Fail("it closed the connection");
  }
  void OnClosed() override { delete this; }

 private:
  ControlConnection* owner_;
  Stream stream_;
  std::string writing_;
};

ControlConnection::ControlConnection(ControlEnvironment& environment, topology::NodeAddress address,
                                     ControlAccess access)
    : environment_(environment),
      address_(std::move(address)),
      access_(std::move(access)),
      deadline_(environment.loop, [this] { OnDeadline(); }) {}

void ControlConnection::OnDeadline() {
  const bool shaken = socket_ == nullptr || socket_->stream().established();
  Fail(shaken ? NoAnswerWithin(access_.timeout)
              : "TLS: no handshake within " + PrintDuration(access_.timeout));
}

ControlConnection::~ControlConnection() {
  *alive_ = false;
  DropSocket();
}

void ControlConnection::Ask(const std::vector<CommandWords>& commands, OnAnswer on_answer) {
  TG_CHECK(!commands.empty());
  Question question;
  question.replies_wanted = commands.size();
  question.on_answer = std::move(on_answer);
  question.deadline_ns = MonotonicNanos() + std::chrono::nanoseconds(access_.timeout).count();
  for (const CommandWords& command : commands) AppendCommand(unsent_, command);
  questions_.push_back(std::move(question));
  if (state_ == State::kIdle) return Connect();
  if (state_ != State::kReady) return;
  if (questions_.size() == 1) ArmDeadline();
  Send();
}

void ControlConnection::OnMessages(OnMessage on_message, std::function<void()> on_end) {
  on_message_ = std::move(on_message);
  on_end_ = std::move(on_end);
}

void ControlConnection::Connect() {
  state_ = State::kConnecting;
  connector_ = std::make_unique<Connector>(
      environment_.loop, address_.host, address_.port,
      [this](int fd, const std::string& error) { OnConnected(fd, error); });
  deadline_.StartOnce(static_cast<uint64_t>(access_.timeout.count()));
}

void ControlConnection::OnConnected(int fd, const std::string& error) {
  connector_.reset();
  if (fd < 0) return Fail(error);
  socket_ = new Socket(*this);
  const Status opened = socket_->stream().Open(
      environment_.loop, fd, {.no_delay = true, .keepalive_seconds = kKeepaliveSeconds});
  if (!opened.ok()) return Fail(opened.error().message);
  if (access_.tls != nullptr) {
    const Status begun = socket_->stream().StartTls(*access_.tls, address_.host);
    if (!begun.ok()) return Fail(begun.error().message);
  }
  state_ = State::kReady;
  peer_ = PeerOf(fd);
  BeginHandshake();
  socket_->stream().StartReading();
  // The time to connect was one limit, the time to answer is another.
  const int64_t deadline_ns = MonotonicNanos() + std::chrono::nanoseconds(access_.timeout).count();
  for (Question& question : questions_) question.deadline_ns = deadline_ns;
  ArmDeadline();
  Send();
}

// In front of the questions and not awaited: one round trip for all.
void ControlConnection::BeginHandshake() {
  std::string hello;
  handshake_.clear();
  handshake_done_ = 0;
  if (!access_.password.empty()) {
    CommandWords auth = {"AUTH"};
    if (!access_.username.empty()) auth.push_back(access_.username);
    auth.push_back(access_.password);
    AppendCommand(hello, auth);
    handshake_.push_back(true);
  }
  // For people who look at CLIENT LIST there; who may not say it is served all the same.
  AppendCommand(hello, {"CLIENT", "SETNAME", "tidegate-control"});
  handshake_.push_back(false);
  unsent_.insert(0, hello);
}

void ControlConnection::Send() {
  if (unsent_.empty() || socket_->stream().write_pending()) return;
  socket_->Write(std::exchange(unsent_, {}));
}

void ControlConnection::ArmDeadline() {
  if (questions_.empty()) return deadline_.Stop();
  const int64_t left_ms = (questions_.front().deadline_ns - MonotonicNanos()) / 1'000'000 + 1;
  deadline_.StartOnce(static_cast<uint64_t>(std::max<int64_t>(left_ms, 0)));
}

void ControlConnection::OnRead(size_t size) {
  reader_.Feed({environment_.read_buffer.data(), size});
  const std::shared_ptr<bool> alive = alive_;
  Socket* const socket = socket_;
  while (true) {
    Result<std::optional<topology::Reply>> next = reader_.Next();
    if (!next.ok()) return Fail("it sent what is no reply: " + next.error().message);
    if (!next->has_value()) return;
    if (!TakeReply(std::move(**next))) return;
    // The answer's receiver may have done anything, also with the connection.
    if (!*alive || socket_ != socket) return;
  }
}

bool ControlConnection::TakeReply(topology::Reply reply) {
  if (handshake_done_ < handshake_.size()) return TakeHandshakeReply(reply);
  if (on_message_ && TakeMessage(reply)) return true;
  if (questions_.empty()) {
    Fail("it sent a reply that nobody asked for");
    return false;
  }
  Question& question = questions_.front();
  question.replies.push_back(std::move(reply));
  if (question.replies.size() < question.replies_wanted) return true;
  Question done = std::move(question);
  questions_.pop_front();
  ArmDeadline();
  done.on_answer(std::move(done.replies));
  return true;
}

bool ControlConnection::TakeMessage(const topology::Reply& reply) {
  if (reply.kind != topology::Reply::Kind::kArray || reply.items.size() != 3) return false;
  const auto kind = reply.items[0].AsText();
  const auto channel = reply.items[1].AsText();
  const auto message = reply.items[2].AsText();
  if (kind != "message" || !channel || !message) return false;
  on_message_(*channel, *message);
  return true;
}

bool ControlConnection::TakeHandshakeReply(const topology::Reply& reply) {
  const bool matters = handshake_[handshake_done_++];
  if (!reply.is_error() || !matters) return true;
  Fail("it refused us: " + reply.text.substr(0, kQuotedBytesMax));
  return false;
}

void ControlConnection::Fail(const std::string& why) {
  DropSocket();
  std::deque<Question> failed;
  failed.swap(questions_);
  const std::shared_ptr<bool> alive = alive_;
  for (Question& question : failed) {
    question.on_answer(Error{why});
    if (!*alive) return;
  }
  const std::function<void()> on_end = on_end_;  // which may destroy the connection
  if (on_end) on_end();
}

void ControlConnection::DropSocket() {
  deadline_.Stop();
  connector_.reset();
  state_ = State::kIdle;
  unsent_.clear();
  reader_ = {};
  if (socket_ != nullptr) std::exchange(socket_, nullptr)->Drop();
}

}  // namespace tidegate::discovery
