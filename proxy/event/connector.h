// Connector: makes a TCP connection to a host and port, without waiting: finds the host's addresses
// (a name is asked for again each time, so that a node may move), tries them one by one, and hands
// on the connected socket or why there is none. Gives up when destroyed. Names are resolved on
// libuv's pool of threads, addresses written as such need none. It has no deadline of its own: the
// owner has one. Owner: the thread of the loop.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "proxy/event/loop.h"

namespace tidegate {

class Connector final {
 public:
  // Called once, from the loop, and never from Start: fd is the connected socket, whose owner is
  // now who was called; or it is -1 and `error` says why. May destroy the connector.
  using Done = std::function<void(int fd, const std::string& error)>;

  Connector(EventLoop& loop, const std::string& host, uint16_t port, Done done);
  ~Connector();
  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;

 private:
  struct Attempt;
  Attempt* attempt_;  // freed when libuv is done with it
};

}  // namespace tidegate
