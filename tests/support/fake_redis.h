// A server that says what a test wants: it listens on the loopback, reads RESP commands on a thread
// of its own, and answers each with the bytes that the test's function gives. Nothing ("") leaves
// the command without an answer: so it can be a server that accepts and is silent for ever, one
// that stops in the middle of a reply, or one that lies.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace tidegate {

class FakeRedis final {
 public:
  // The words of a command joined by spaces, as "CLUSTER INFO". CLIENT SETNAME is answered +OK.
  using Respond = std::function<std::string(const std::string& command)>;

  explicit FakeRedis(Respond respond) : respond_(std::move(respond)) { Open(0); }
  ~FakeRedis() { Close(); }
  FakeRedis(const FakeRedis&) = delete;
  FakeRedis& operator=(const FakeRedis&) = delete;

  uint16_t port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  // Commands that were answered by the test's function.
  int asked() const { return asked_.load(); }
  int accepted() const { return accepted_.load(); }
  void Set(Respond respond) {
    const std::lock_guard lock(mutex_);
    respond_ = std::move(respond);
  }
  // Dies: nobody listens, connections end. And comes back on the same port.
  void Close() {
    if (!thread_.joinable()) return;
    stopping_.store(true);
    thread_.join();
  }
  void Reopen() { Open(port_); }
  // Sends bytes to all connections, unasked.
  void Push(std::string bytes) {
    const std::lock_guard lock(mutex_);
    push_ = std::move(bytes);
  }

 private:
  struct Connection {
    int fd = -1;
    std::string input;
  };

  void Open(uint16_t port) {
    stopping_.store(false);
    listening_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(listening_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (bind(listening_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        listen(listening_, 64) != 0 ||
        getsockname(listening_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      std::abort();
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Run(); });
  }

  void Run() {
    std::vector<Connection> connections;
    while (!stopping_.load()) {
      std::vector<pollfd> polled = {{listening_, POLLIN, 0}};
      for (const Connection& one : connections) polled.push_back({one.fd, POLLIN, 0});
      constexpr int kStepMillis = 5;
      poll(polled.data(), polled.size(), kStepMillis);
      SendPushed(connections);
      for (size_t i = polled.size() - 1; i >= 1; --i) {
        if (polled[i].revents == 0 || Read(connections[i - 1])) continue;
        close(connections[i - 1].fd);
        connections.erase(connections.begin() + static_cast<ptrdiff_t>(i - 1));
      }
      if (polled[0].revents == 0) continue;
      connections.push_back({accept(listening_, nullptr, nullptr), ""});
      accepted_.fetch_add(1);
    }
    for (const Connection& one : connections) close(one.fd);
    close(listening_);
  }

  void SendPushed(const std::vector<Connection>& connections) {
    const std::lock_guard lock(mutex_);
    if (push_.empty()) return;
    for (const Connection& one : connections)
      send(one.fd, push_.data(), push_.size(), MSG_NOSIGNAL);
    push_.clear();
  }

  bool Read(Connection& connection) {
    char buffer[4096];
    const ssize_t size = recv(connection.fd, buffer, sizeof buffer, 0);
    if (size <= 0) return false;
    connection.input.append(buffer, static_cast<size_t>(size));
    std::string command;
    while (TakeCommand(connection.input, command)) {
      const std::string reply = ReplyTo(command);
      if (reply == kHangUp) return false;
      send(connection.fd, reply.data(), reply.size(), MSG_NOSIGNAL);
    }
    return true;
  }

  std::string ReplyTo(const std::string& command) {
    if (command.starts_with("CLIENT SETNAME")) return "+OK\r\n";
    asked_.fetch_add(1);
    const std::lock_guard lock(mutex_);
    return respond_(command);
  }

  static bool TakeLine(std::string_view& rest, char type, long& number) {
    const size_t end = rest.find("\r\n");
    if (end == std::string_view::npos || rest.front() != type) return false;
    number = std::atol(std::string(rest.substr(1, end - 1)).c_str());
    rest.remove_prefix(end + 2);
    return true;
  }

  static bool TakeCommand(std::string& input, std::string& command) {
    std::string_view rest = input;
    long words = 0;
    if (!TakeLine(rest, '*', words)) return false;
    command.clear();
    for (long i = 0; i < words; ++i) {
      long size = 0;
      if (!TakeLine(rest, '$', size) || rest.size() < static_cast<size_t>(size) + 2) return false;
      command += (i == 0 ? "" : " ") + std::string(rest.substr(0, static_cast<size_t>(size)));
      rest.remove_prefix(static_cast<size_t>(size) + 2);
    }
    input.erase(0, input.size() - rest.size());
    return true;
  }

 public:
  // As a reply: the connection is closed instead.
  static constexpr std::string_view kHangUp = "hang up";

 private:
  std::mutex mutex_;
  Respond respond_;
  std::string push_;
  int listening_ = -1;
  uint16_t port_ = 0;
  std::atomic<int> asked_{0};
  std::atomic<int> accepted_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

// A bulk string.
inline std::string Bulk(std::string_view text) {
  return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
}

}  // namespace tidegate
