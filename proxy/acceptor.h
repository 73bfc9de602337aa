// Acceptor: the listening sockets, and the one place that accepts.
//
// Runs on the main thread's loop and hands each connection to the worker with the fewest sessions.
// Why not SO_REUSEPORT: the kernel spreads by hash, so few pooled connections leave workers idle,
// and unix sockets are not spread at all. What is refused is refused here, with one write: too many
// clients, and clients from elsewhere in protected mode. Out of descriptors: accepting rests for
// kAcceptPause instead of spinning. Owner: the main thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/options.h"
#include "proxy/event/loop.h"

struct sockaddr;

namespace tidegate {

class Server;

// Connections taken in one loop turn; more wait for the next, so that signals are not starved.
// As Redis's MAX_ACCEPTS_PER_CALL.
inline constexpr int kAcceptsPerTurnMax = 1000;

// How long accepting rests when the process is out of descriptors.
inline constexpr std::chrono::milliseconds kAcceptPause{100};

class Acceptor final {
 public:
  // Opens all listeners; nothing is accepted before Start().
  static Result<std::unique_ptr<Acceptor>> Open(Server& server, EventLoop& loop,
                                                const Options& options);
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  void Start();

  // "tcp 127.0.0.1:6379", "unix /run/tidegate.sock".
  const std::vector<std::string>& listening() const { return listening_; }
  // Port of the first TCP socket as bound; 0: none.
  uint16_t tcp_port() const { return tcp_port_; }

 private:
  struct Listener {
    int fd = -1;
    bool is_unix = false;
    bool proxy_protocol = false;
    size_t router = 0;
    std::string unix_path;
    std::unique_ptr<ReadWatcher> watcher;
  };

  Acceptor(Server& server, EventLoop& loop) : server_(server), loop_(loop) {}
  Status OpenListener(const ListenerOptions& options, int backlog);
  void AddListener(std::unique_ptr<Listener> listener, const ListenerOptions& options);
  // `system_port`: what a listener with port 0 got so far, 0: nothing yet.
  Status OpenTcp(const ListenerOptions& options, const BindAddress& address, int backlog,
                 uint16_t& system_port);
  Status OpenUnix(const ListenerOptions& options, int backlog);
  void AcceptAll(Listener& listener);
  void Place(const Listener& listener, int fd, const sockaddr& peer);
  void Refuse(int fd, const std::string& reply);
  void Rest();

  Server& server_;
  EventLoop& loop_;
  std::vector<std::string> clusters_;  // ListenerClusters
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<std::string> listening_;
  std::unique_ptr<Timer> rest_timer_;
  uint16_t tcp_port_ = 0;
};

}  // namespace tidegate
