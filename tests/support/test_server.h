// A whole server in the test's process, on sockets that the system picks, and a plain client for
// it. The commands are those of the engine and the few that the test brings.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "config/loader.h"
#include "proxy/server.h"
#include "proxy/worker.h"
#include "tests/support/eventually.h"

namespace tidegate {

class TestServer final {
 public:
  // `adjust` changes the settings before the start, `prepare` the server before it runs.
  explicit TestServer(
      Server::Families families, const std::function<void(Options&)>& adjust = [](Options&) {},
      const std::function<void(Server&)>& prepare = [](Server&) {}) {
    LoadedConfig config;
    config.options.workers = 2;
    config.options.listeners = {{.name = "test", .addresses = {{"127.0.0.1", false}}}};
    adjust(config.options);
    Result<std::unique_ptr<Server>> created = Server::Create(std::move(config), families);
    EXPECT_TRUE(created.ok());
    server_ = std::move(created).value();
    prepare(*server_);
    std::promise<void> ready;
    thread_ = std::thread([this, &ready] { server_->Run([&ready] { ready.set_value(); }); });
    ready.get_future().wait();
  }
  ~TestServer() { Stop(true); }
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  void Stop(bool now) {
    if (!thread_.joinable()) return;
    server_->RequestShutdown({.now = now});
    thread_.join();
  }
  Server& operator*() { return *server_; }
  Server* operator->() { return server_.get(); }
  uint16_t port() const { return server_->tcp_port(); }

 private:
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

class TestClient final {
 public:
  explicit TestClient(uint16_t port, int receive_buffer_bytes = 0) {
    fd_ = socket(AF_INET, SOCK_STREAM, 0);
    if (receive_buffer_bytes > 0)
      setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  ~TestClient() { Close(); }
  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;

  // Nothing is sent or received any more, also by another thread that is about to.
  void Shutdown() { shutdown(fd_, SHUT_RDWR); }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  // Sends all of it.
  void Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
  }
  // Sends what the kernel takes without waiting; returns how much.
  size_t SendNow(std::string_view bytes) {
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent > 0 ? static_cast<size_t>(sent) : 0;
  }
  // Exactly `size` bytes, or what came before the end or the time limit.
  std::string Read(size_t size, int wait_ms = 5000) {
    std::string out;
    while (out.size() < size) {
      pollfd readable{fd_, POLLIN, 0};
      if (poll(&readable, 1, wait_ms) <= 0) break;
      char buffer[65536];
      const ssize_t got = recv(fd_, buffer, std::min(sizeof buffer, size - out.size()), 0);
      if (got <= 0) {
        ended_ = true;
        break;
      }
      out.append(buffer, static_cast<size_t>(got));
    }
    return out;
  }
  // What has come, at least one byte; nothing at the end or after the time limit.
  std::string ReadSome(int wait_ms = 5000) {
    pollfd readable{fd_, POLLIN, 0};
    if (poll(&readable, 1, wait_ms) <= 0) return "";
    char buffer[65536];
    const ssize_t got = recv(fd_, buffer, sizeof buffer, 0);
    ended_ = got <= 0;
    return got > 0 ? std::string(buffer, static_cast<size_t>(got)) : "";
  }
  // Everything until the server closes.
  std::string ReadToEnd(int wait_ms = 5000) { return Read(~size_t{0} >> 1, wait_ms); }
  std::string Ask(std::string_view command, std::string_view expected) {
    Send(command);
    return Read(expected.size());
  }
  // Whether the server has closed, seen by a Read.
  bool ended() const { return ended_; }

 private:
  int fd_ = -1;
  bool ended_ = false;
};

}  // namespace tidegate
