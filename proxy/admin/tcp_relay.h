// TcpRelay: carries TCP connections from a listening socket to one IPv4 address of this machine.
//
// Why: Debian builds civetweb without IPv6, and it cannot be given a socket. For an IPv6 admin
// address it therefore listens on a free loopback port, and the relay in front of it on the real
// one. With a civetweb that has IPv6 the relay is not used. One thread with poll(2): a handful of
// short connections. Limits: kRelayConnectionsMax at a time (further ones wait in the system's
// backlog), kRelayBufferBytes in each direction, kRelayLifeMax for each.
// Owner: the thread that creates it; the destructor ends the thread and drops what is under way.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

struct pollfd;

namespace tidegate {

inline constexpr size_t kRelayConnectionsMax = 16;
inline constexpr Bytes kRelayBufferBytes = 16_KiB;
inline constexpr std::chrono::seconds kRelayLifeMax{30};

// A file descriptor that is closed with its holder. -1: none.
class FileDescriptor final {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor();
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// A connection that is made or being made; invalid when it was refused at once.
FileDescriptor StartConnecting(const sockaddr_in& address);

class TcpRelay final {
 public:
  // `listener` listens already.
  static Result<std::unique_ptr<TcpRelay>> Create(FileDescriptor listener,
                                                  const sockaddr_in& target);
  ~TcpRelay();
  TcpRelay(const TcpRelay&) = delete;
  TcpRelay& operator=(const TcpRelay&) = delete;

 private:
  // One direction of a connection.
  struct Pipe {
    std::array<char, kRelayBufferBytes.count> buffer;
    size_t begin = 0;
    size_t end = 0;
    bool at_end = false;  // no more to read
    bool closed = false;  // and all of it written

    bool wants_input() const { return begin == end && !at_end; }
    bool wants_output() const { return begin != end; }
  };
  struct Connection {
    FileDescriptor client;
    FileDescriptor target;
    std::chrono::steady_clock::time_point deadline;
    Pipe request;  // client -> target
    Pipe answer;   // target -> client
  };

  TcpRelay(FileDescriptor listener, FileDescriptor stop_event, const sockaddr_in& target);
  void Run();
  // False: the system has no descriptors to spare.
  bool Accept();
  // False: the connection is over.
  static bool Serve(Connection& connection);
  static bool Move(Pipe& pipe, int from, int to);
  void FillPollSet(std::vector<pollfd>& set, bool accepting) const;

  FileDescriptor listener_;
  FileDescriptor stop_event_;
  const sockaddr_in target_;
  std::list<Connection> connections_;  // the thread's
  std::thread thread_;
};

}  // namespace tidegate
