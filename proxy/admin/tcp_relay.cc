#include "proxy/admin/tcp_relay.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace tidegate {

namespace {

// How often deadlines are looked at while nothing happens.
constexpr int kPollMillis = 1000;

bool WouldBlock(int error) {
  return error == EAGAIN || error == EWOULDBLOCK || error == EINTR || error == EINPROGRESS ||
         error == ENOTCONN;  // still connecting
}

}  // namespace

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) close(fd_);
}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

FileDescriptor StartConnecting(const sockaddr_in& address) {
  FileDescriptor fd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 &&
      errno != EINPROGRESS) {
    return FileDescriptor();
  }
  return fd;
}

Result<std::unique_ptr<TcpRelay>> TcpRelay::Create(FileDescriptor listener,
                                                   const sockaddr_in& target) {
  FileDescriptor stop_event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop_event.valid()) return Error{std::string("eventfd: ") + std::strerror(errno)};
  return std::unique_ptr<TcpRelay>(
      new TcpRelay(std::move(listener), std::move(stop_event), target));
}

TcpRelay::TcpRelay(FileDescriptor listener, FileDescriptor stop_event, const sockaddr_in& target)
    : listener_(std::move(listener)),
      stop_event_(std::move(stop_event)),
      target_(target),
      thread_([this] { Run(); }) {}

TcpRelay::~TcpRelay() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(stop_event_.get(), &one, sizeof(one));
  thread_.join();
}

void TcpRelay::Run() {
  std::vector<pollfd> set;
  bool accepting = true;
  while (true) {
    FillPollSet(set, accepting);
    if (poll(set.data(), set.size(), kPollMillis) < 0 && errno != EINTR) return;
    if (set[0].revents != 0) return;
    const auto now = std::chrono::steady_clock::now();
    connections_.remove_if(
        [now](Connection& connection) { return now > connection.deadline || !Serve(connection); });
    // Without descriptors the listener stays readable: look away for a round.
    const bool out_of_descriptors = accepting && !Accept();
    accepting = !out_of_descriptors && connections_.size() < kRelayConnectionsMax;
  }
}

void TcpRelay::FillPollSet(std::vector<pollfd>& set, bool accepting) const {
  set.clear();
  set.push_back({stop_event_.get(), POLLIN, 0});
  if (accepting) set.push_back({listener_.get(), POLLIN, 0});
  const auto events = [](const Pipe& in, const Pipe& out) {
    return static_cast<short>((in.wants_input() ? POLLIN : 0) | (out.wants_output() ? POLLOUT : 0));
  };
  for (const Connection& connection : connections_) {
    const short client = events(connection.request, connection.answer);
    const short target = events(connection.answer, connection.request);
    // poll reports a hang-up even when asked for nothing; a negative descriptor it passes over.
    set.push_back({client == 0 ? -1 : connection.client.get(), client, 0});
    set.push_back({target == 0 ? -1 : connection.target.get(), target, 0});
  }
}

bool TcpRelay::Accept() {
  FileDescriptor client(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!client.valid()) return WouldBlock(errno) || errno == ECONNABORTED;
  FileDescriptor target = StartConnecting(target_);
  if (!target.valid()) return errno == ECONNREFUSED;
  Connection& connection = connections_.emplace_back();
  connection.client = std::move(client);
  connection.target = std::move(target);
  connection.deadline = std::chrono::steady_clock::now() + kRelayLifeMax;
  return true;
}

bool TcpRelay::Serve(Connection& connection) {
  const int client = connection.client.get();
  const int target = connection.target.get();
  // The answer's end is the connection's: each carries one request.
  return Move(connection.request, client, target) && Move(connection.answer, target, client) &&
         !connection.answer.closed;
}

// Reads and writes as much as goes without waiting. False: the connection broke.
bool TcpRelay::Move(Pipe& pipe, int from, int to) {
  while (!pipe.closed) {
    if (pipe.wants_input()) {
      const ssize_t bytes = recv(from, pipe.buffer.data(), pipe.buffer.size(), 0);
      if (bytes < 0) return WouldBlock(errno);
      pipe.begin = 0;
      pipe.end = static_cast<size_t>(bytes);
      pipe.at_end = bytes == 0;
    }
    while (pipe.wants_output()) {
      const ssize_t bytes =
          send(to, pipe.buffer.data() + pipe.begin, pipe.end - pipe.begin, MSG_NOSIGNAL);
      if (bytes < 0) return WouldBlock(errno);
      pipe.begin += static_cast<size_t>(bytes);
    }
    if (pipe.at_end) {
      shutdown(to, SHUT_WR);
      pipe.closed = true;
    }
  }
  return true;
}

}  // namespace tidegate
