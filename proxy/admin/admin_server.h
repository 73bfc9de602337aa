// AdminServer: the admin HTTP address, by civetweb on threads of its own.
//
// Why civetweb and not a worker's loop: a scrape serializes some hundred lines and may meet a slow
// reader; on a worker both would stand in the way of requests. Its threads only read AdminSources.
// Connections are closed after each answer, so that idle ones cannot hold the few threads, and a
// client gets kAdminRequestTimeout to send its request.
// There is no TLS here (decision 0028): the default address is the loopback's, and who opens it
// further gives a token, and has something that speaks TLS in front where others can listen in.
// Owner: the thread that creates it; Create and the destructor may wait for its threads.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/result.h"
#include "config/options.h"
#include "proxy/admin/admin_sources.h"

namespace tidegate {

class AdminPages;

// Connections that are looked at at the same time. Few would do for the requests; but a connection
// that says nothing holds one until its time is over (a browser opens some ahead), and a probe must
// not wait for that.
inline constexpr int kAdminThreads = 16;
inline constexpr std::chrono::milliseconds kAdminRequestTimeout{2000};

class AdminServer final {
 public:
  // Listens from here on. Port 0 picks a free one. `token`: empty, none is asked for. Error: "admin
  // address 127.0.0.1:9901: Address already in use".
  static Result<std::unique_ptr<AdminServer>> Create(const HostPort& address, AdminSources sources,
                                                     std::string token = {});
  // Stops listening and waits for answers under way.
  ~AdminServer();
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

  uint16_t port() const { return port_; }
  // "http://127.0.0.1:9901/", for the log.
  const std::string& url() const { return url_; }
  // Other machines can connect, and there is no token: they get metrics and health alone.
  bool is_restricted() const { return is_restricted_; }

 private:
  struct Http;  // civetweb's side
  AdminServer();
  // Listens; the port.
  Result<uint16_t> Open(const HostPort& address);

  std::unique_ptr<AdminPages> pages_;
  std::unique_ptr<Http> http_;
  uint16_t port_ = 0;
  std::string url_;
  bool is_restricted_ = false;
};

}  // namespace tidegate
