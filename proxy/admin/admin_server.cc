#include "proxy/admin/admin_server.h"

#include <arpa/inet.h>
#include <civetweb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "proxy/admin/admin_pages.h"
#include "proxy/admin/tcp_relay.h"

namespace tidegate {

namespace {

// An address in the system's form. `size` 0: the host is no IP literal.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

SocketAddress Resolve(const HostPort& address) {
  SocketAddress result;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&result.storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&result.storage);
  if (inet_pton(AF_INET, address.host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(address.port);
    result.size = sizeof(*v4);
  } else if (inet_pton(AF_INET6, address.host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(address.port);
    result.size = sizeof(*v6);
  }
  return result;
}

bool IsLoopback(const SocketAddress& address) {
  if (address.storage.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
    return (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
  }
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
  return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

std::string Join(const HostPort& address) {
  const bool v6 = address.host.find(':') != std::string::npos;
  return (v6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

// A socket that listens there, or why there is none, in the system's words.
Result<FileDescriptor> Listen(const SocketAddress& address) {
  FileDescriptor fd(
      socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (!fd.valid() || setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
      bind(fd.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0 ||
      listen(fd.get(), static_cast<int>(kRelayConnectionsMax)) != 0) {
    return Error{std::strerror(errno)};
  }
  return fd;
}

// The port a socket was bound to.
uint16_t PortOf(const FileDescriptor& fd) {
  sockaddr_in6 address{};
  socklen_t size = sizeof(address);
  getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin6_port);
}

std::string_view OrEmpty(const char* text) { return text == nullptr ? "" : text; }

void Send(mg_connection* connection, const AdminReply& reply, bool with_body) {
  std::string text = "HTTP/1.1 " + std::to_string(reply.status) + ' ' +
                     mg_get_response_code_text(connection, reply.status) + "\r\n";
  text += "Content-Type: ";
  text += reply.content_type;
  text += "\r\nContent-Length: " + std::to_string(reply.body.size()) + "\r\nConnection: close\r\n";
  // Browsers then ask for it; any user will do.
  if (reply.status == 401) text += "WWW-Authenticate: Basic realm=\"Tidegate\"\r\n";
  if (reply.status == 405) text += "Allow: " + std::string(reply.allow) + "\r\n";
  text += AdminPages::SecurityHeaders();
  text += "\r\n";
  if (with_body) text += reply.body;
  mg_write(connection, text.data(), text.size());
}

// Keeps signals away from threads started while it lives: they are the main thread's.
class SignalsBlocked final {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

struct AdminServer::Http {
  explicit Http(AdminPages& pages) : pages(pages) { mg_init_library(0); }
  ~Http() {
    relay.reset();
    if (context != nullptr) Stop();
    mg_exit_library();
  }
  Http(const Http&) = delete;
  Http& operator=(const Http&) = delete;

  // The port civetweb listens on.
  Result<uint16_t> Start(const HostPort& address);
  void Stop();
  // Behind the relay everybody comes from the loopback; then who connected is not known.
  bool IsLocal(const char* remote) const {
    const SocketAddress address = Resolve({remote, 0});
    return !is_relayed && address.size != 0 && IsLoopback(address);
  }
  static int OnRequest(mg_connection* connection);
  static int OnError(mg_connection* connection, int status, const char* message);

  AdminPages& pages;
  mg_context* context = nullptr;
  bool is_relayed = false;
  sockaddr_in bound{};              // where it listens, when that is IPv4
  std::unique_ptr<TcpRelay> relay;  // in front of civetweb, for IPv6
};

int AdminServer::Http::OnRequest(mg_connection* connection) {
  const mg_request_info* info = mg_get_request_info(connection);
  const std::string_view method = OrEmpty(info->request_method);
  const auto* http = static_cast<const Http*>(info->user_data);
  const AdminReply reply =
      http->pages.Answer({.method = method,
                          .path = OrEmpty(info->local_uri),
                          .host = OrEmpty(mg_get_header(connection, "Host")),
                          .query = OrEmpty(info->query_string),
                          .origin = OrEmpty(mg_get_header(connection, "Origin")),
                          .authorization = OrEmpty(mg_get_header(connection, "Authorization")),
                          .is_local = http->IsLocal(info->remote_addr)});
  Send(connection, reply, method != "HEAD");
  return reply.status;
}

// What civetweb answers by itself: requests that are no HTTP, or too large.
int AdminServer::Http::OnError(mg_connection* connection, int status, const char* /*message*/) {
  const char* reason = mg_get_response_code_text(connection, status);
  Send(connection,
       {.status = status,
        .content_type = "text/plain; charset=utf-8",
        .body = std::string(reason) + "\n"},
       true);
  return 0;
}

Result<uint16_t> AdminServer::Http::Start(const HostPort& address) {
  const std::string ports = Join(address);
  const std::string threads = std::to_string(kAdminThreads);
  const std::string timeout = std::to_string(kAdminRequestTimeout.count());
  const char* settings[] = {
      "listening_ports", ports.c_str(),       "num_threads", threads.c_str(), "request_timeout_ms",
      timeout.c_str(),   "enable_keep_alive", "no",          nullptr};
  mg_callbacks callbacks{};
  callbacks.begin_request = &OnRequest;
  callbacks.http_error = &OnError;
  // Its messages are about broken clients, or about the start, which the next lines explain better.
  callbacks.log_message = [](const mg_connection*, const char*) { return 1; };
  context = mg_start(&callbacks, this, settings);
  if (context == nullptr) {
    TG_RETURN_IF_ERROR(Listen(Resolve(address)));
    return Error{"the HTTP server did not start"};
  }
  mg_server_port opened{};
  if (mg_get_server_ports(context, 1, &opened) < 1) return Error{"the HTTP server does not listen"};
  const auto port = static_cast<uint16_t>(opened.port);
  const SocketAddress resolved = Resolve({address.host, port});
  std::memcpy(&bound, &resolved.storage, sizeof(bound));
  return port;
}

// civetweb looks at its stop flag every two seconds, or when a connection comes: so one knocks.
void AdminServer::Http::Stop() {
  std::atomic<bool> stopped{false};
  std::thread stopping([&] {
    mg_stop(context);
    stopped.store(true);
  });
  while (!stopped.load()) {
    const FileDescriptor knock = StartConnecting(bound);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  stopping.join();
}

AdminServer::AdminServer() = default;
AdminServer::~AdminServer() = default;

Result<std::unique_ptr<AdminServer>> AdminServer::Create(const HostPort& address,
                                                         AdminSources sources, std::string token) {
  const std::string context = "admin address " + Join(address);
  const SocketAddress resolved = Resolve(address);
  if (resolved.size == 0) return Error{context + ": not an IP address"};

  std::unique_ptr<AdminServer> server(new AdminServer);
  server->is_restricted_ = token.empty() && !IsLoopback(resolved);
  server->pages_ =
      std::make_unique<AdminPages>(std::move(sources), IsLoopback(resolved), std::move(token));
  server->http_ = std::make_unique<Http>(*server->pages_);
  const SignalsBlocked signals_blocked;
  Result<uint16_t> port = server->Open(address);
  if (!port.ok()) return std::move(port).error().WithContext(context);
  server->port_ = *port;
  server->url_ = "http://" + Join({address.host, server->port_}) + "/";
  return server;
}

Result<uint16_t> AdminServer::Open(const HostPort& address) {
  const SocketAddress resolved = Resolve(address);
  if (resolved.storage.ss_family == AF_INET || mg_check_feature(MG_FEATURES_IPV6) != 0) {
    return http_->Start(address);
  }
  Result<FileDescriptor> listener = Listen(resolved);
  if (!listener.ok()) return std::move(listener).error();
  const uint16_t port = PortOf(*listener);
  http_->is_relayed = true;
  TG_RETURN_IF_ERROR(http_->Start({"127.0.0.1", 0}));
  Result<std::unique_ptr<TcpRelay>> relay = TcpRelay::Create(std::move(*listener), http_->bound);
  if (!relay.ok()) return std::move(relay).error();
  http_->relay = std::move(*relay);
  return port;
}

}  // namespace tidegate
