// Acceptor: the listening sockets, and the one place that accepts.
//
// Runs on the main thread's loop and hands each connection to the worker with the fewest sessions.
// Why not SO_REUSEPORT: the kernel spreads by hash, so few pooled connections leave workers idle,
// and unix sockets are not spread at all. What is refused is refused here, with one write: too many
// clients, and clients from elsewhere in protected mode. Out of descriptors: accepting rests for
// kAcceptPause instead of spinning.
//
// A reload may add listeners and remove some. What is new is opened first, so that an address that
// cannot be had refuses the whole; it accepts once the plan with its cluster is in force. Sockets
// whose address stays are kept. Of one that goes, who has connected already is let in, and
// connections that exist go on. Owner: the main thread.
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

  // A reload: opens what `options` has and there is not. An error leaves everything as it was.
  Status Prepare(const Options& options);
  // What was prepared last is in force: what is new accepts, what is gone is closed.
  void Commit();
  // It never will be.
  void Abandon() { prepared_.clear(); }

  // "tcp 127.0.0.1:6379", "unix /run/tidegate.sock".
  const std::vector<std::string>& listening() const { return listening_; }
  // Port of the first TCP socket as bound; 0: none.
  uint16_t tcp_port() const { return tcp_port_; }

 private:
  // An open socket.
  struct Listener {
    ~Listener();

    int fd = -1;
    std::string place;  // what tells it apart: see PlaceOf
    std::string text;   // as listening() has it
    uint16_t port = 0;  // of TCP, as bound
    std::string name;
    bool proxy_protocol = false;
    std::string unix_path;  // empty: TCP
    std::unique_ptr<ReadWatcher> watcher;

    bool is_unix() const { return !unix_path.empty(); }
  };
  // What shall be: a socket that was opened for it, or one that there is.
  struct Prepared {
    std::unique_ptr<Listener> fresh;  // null: `place` is open
    std::string place;
    ListenerOptions options;
  };

  Acceptor(Server& server, EventLoop& loop) : server_(server), loop_(loop) {}
  const Listener* FindOpen(const std::string& place) const;
  Status PrepareListener(const ListenerOptions& options, int backlog);
  void TakePrepared(Prepared& prepared, std::vector<std::unique_ptr<Listener>>& next);
  void Watch(Listener& listener);
  void AcceptAll(Listener& listener);
  void Place(const Listener& listener, int fd, const sockaddr& peer);
  void Refuse(int fd, const std::string& reply);
  void Rest();

  // null: the address is not there, and need not be.
  static Result<std::unique_ptr<Listener>> OpenTcp(const BindAddress& address, uint16_t port,
                                                   int backlog);
  static Result<std::unique_ptr<Listener>> OpenUnix(const ListenerOptions& options, int backlog);

  Server& server_;
  EventLoop& loop_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<Prepared> prepared_;
  std::vector<std::string> listening_;
  std::unique_ptr<Timer> rest_timer_;
  uint16_t tcp_port_ = 0;
};

}  // namespace tidegate
