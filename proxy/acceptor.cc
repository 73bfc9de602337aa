#include "proxy/acceptor.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "proxy/event/address.h"
#include "proxy/server.h"
#include "proxy/worker.h"

namespace tidegate {
namespace {

constexpr const char* kTooManyClientsReply = "-ERR max number of clients reached\r\n";

// Redis's words, which clients and their users know.
constexpr const char* kProtectedModeReply =
    "-DENIED Redis is running in protected mode because protected mode is enabled and no password "
    "is set for the default user. In this mode connections are only accepted from the loopback "
    "interface. If you want to connect from external computers to Redis you may adopt one of the "
    "following solutions: 1) Just disable protected mode sending the command 'CONFIG SET "
    "protected-mode no' from the loopback interface by connecting to Redis from the same host the "
    "server is running, however MAKE SURE Redis is not publicly accessible from internet if you do "
    "so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable "
    "the protected mode by editing the Redis configuration file, and setting the protected mode "
    "option to 'no', and then restarting the server. 3) If you started the server manually just "
    "for testing, restart it with the '--protected-mode no' option. 4) Setup a an authentication "
    "password for the default user. NOTE: You only need to do one of the above things in order for "
    "the server to start accepting connections from the outside.\r\n";

Error SystemError(const std::string& what) { return Error{what + ": " + std::strerror(errno)}; }

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

Result<SocketAddress> ParseAddress(const std::string& host, uint16_t port) {
  SocketAddress address;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    address.size = sizeof *v4;
  } else if (inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    address.size = sizeof *v6;
  } else {
    return Error{"'" + host + "' is not an IP address"};
  }
  return address;
}

// A socket that closes itself unless it is released.
class OpenSocket final {
 public:
  explicit OpenSocket(int fd) : fd_(fd) {}
  ~OpenSocket() {
    if (fd_ >= 0) close(fd_);
  }
  OpenSocket(const OpenSocket&) = delete;
  OpenSocket& operator=(const OpenSocket&) = delete;
  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

bool AddressIsMissing() {
  return errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT || errno == EPROTONOSUPPORT;
}

uint16_t BoundPort(int fd) {
  SocketAddress address;
  address.size = sizeof address.storage;
  if (getsockname(fd, address.get(), &address.size) != 0) return 0;
  const bool v4 = address.storage.ss_family == AF_INET;
  return ntohs(v4 ? reinterpret_cast<sockaddr_in*>(&address.storage)->sin_port
                  : reinterpret_cast<sockaddr_in6*>(&address.storage)->sin6_port);
}

}  // namespace

Result<std::unique_ptr<Acceptor>> Acceptor::Open(Server& server, EventLoop& loop,
                                                 const Options& options) {
  std::unique_ptr<Acceptor> acceptor(new Acceptor(server, loop));
  acceptor->clusters_ = ListenerClusters(options);
  for (const ListenerOptions& listener : options.listeners)
    TG_RETURN_IF_ERROR(acceptor->OpenListener(listener, options.tcp_backlog));
  if (acceptor->listeners_.empty()) return Error{"nothing to listen on: set port or unixsocket"};
  return acceptor;
}

Acceptor::~Acceptor() {
  for (const auto& listener : listeners_) {
    listener->watcher.reset();
    close(listener->fd);
    if (listener->is_unix) unlink(listener->unix_path.c_str());
  }
}

Status Acceptor::OpenListener(const ListenerOptions& options, int backlog) {
  if (options.is_unix()) return OpenUnix(options, backlog);
  uint16_t system_port = 0;
  for (const BindAddress& address : options.addresses)
    TG_RETURN_IF_ERROR(OpenTcp(options, address, backlog, system_port));
  return {};
}

Status Acceptor::OpenTcp(const ListenerOptions& options, const BindAddress& bind_address,
                         int backlog, uint16_t& system_port) {
  // With a port that the system picks, all addresses share the first one's.
  const uint16_t port = options.port != 0 ? options.port : system_port;
  Result<SocketAddress> address = ParseAddress(bind_address.host, port);
  if (!address.ok()) return std::move(address).error();
  const std::string what = "listen on " + AddressText(*address->get());
  OpenSocket socket(::socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                             IPPROTO_TCP));
  if (socket.get() < 0) {
    if (bind_address.optional && AddressIsMissing()) return {};
    return SystemError(what);
  }
  const int on = 1;
  setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address->storage.ss_family == AF_INET6)
    setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (bind(socket.get(), address->get(), address->size) != 0) {
    if (bind_address.optional && AddressIsMissing()) return {};
    return SystemError(what);
  }
  if (listen(socket.get(), backlog) != 0) return SystemError(what);
  system_port = BoundPort(socket.get());
  if (tcp_port_ == 0) tcp_port_ = system_port;
  listening_.push_back("tcp " + LocalAddress(socket.get()));
  auto listener = std::make_unique<Listener>();
  listener->fd = socket.Release();
  AddListener(std::move(listener), options);
  return {};
}

Status Acceptor::OpenUnix(const ListenerOptions& options, int backlog) {
  const std::string& path = options.unixsocket;
  const std::string what = "listen on " + path;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return Error{what + ": path is too long"};
  std::memcpy(address.sun_path, path.data(), path.size());
  OpenSocket socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) return SystemError(what);
  unlink(path.c_str());  // of a server that ended without doing so; as Redis
  if (bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return SystemError(what);
  if (options.unixsocketperm != 0 && chmod(path.c_str(), options.unixsocketperm) != 0)
    return SystemError(what);
  if (listen(socket.get(), backlog) != 0) return SystemError(what);
  listening_.push_back("unix " + path);
  auto listener = std::make_unique<Listener>();
  listener->fd = socket.Release();
  listener->is_unix = true;
  listener->unix_path = path;
  AddListener(std::move(listener), options);
  return {};
}

void Acceptor::AddListener(std::unique_ptr<Listener> listener, const ListenerOptions& options) {
  listener->proxy_protocol = options.proxy_protocol;
  if (!options.cluster.empty()) {
    const auto cluster = std::find(clusters_.begin(), clusters_.end(), options.cluster);
    listener->router = 1 + static_cast<size_t>(cluster - clusters_.begin());
  }
  listeners_.push_back(std::move(listener));
}

void Acceptor::Start() {
  for (const auto& listener : listeners_) {
    Listener* const one = listener.get();
    one->watcher = std::make_unique<ReadWatcher>(loop_, one->fd, [this, one] { AcceptAll(*one); });
  }
}

void Acceptor::AcceptAll(Listener& listener) {
  for (int i = 0; i < kAcceptsPerTurnMax; ++i) {
    SocketAddress peer;
    peer.size = sizeof peer.storage;
    const int fd = accept4(listener.fd, peer.get(), &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      Place(listener, fd, *peer.get());
      continue;
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return;
    log::WriteOfKind(LogKind::kAccept, LogSeverity::kWarning,
                     std::string("Accepting client connection: ") + std::strerror(errno));
    return Rest();
  }
}

void Acceptor::Place(const Listener& listener, int fd, const sockaddr& peer) {
  const std::shared_ptr<const Options> options = server_.config().Snapshot();
  Worker* best = nullptr;
  int64_t sessions = 0;
  for (const auto& worker : server_.workers()) {
    sessions += worker->load();
    if (best == nullptr || worker->load() < best->load()) best = worker.get();
  }
  if (sessions >= options->maxclients) return Refuse(fd, kTooManyClientsReply);
  const bool local = listener.is_unix || IsLoopback(peer);
  if (options->protected_mode && options->requirepass.empty() && !local)
    return Refuse(fd, kProtectedModeReply);
  best->PostConnection(
      {.fd = fd,
       .is_unix = listener.is_unix,
       .proxy_protocol = listener.proxy_protocol,
       .router = listener.router,
       .peer_address = listener.is_unix ? listener.unix_path + ":0" : AddressText(peer),
       .unix_path = listener.unix_path});
}

void Acceptor::Refuse(int fd, const std::string& reply) {
  server_.CountRejectedConnection();
  [[maybe_unused]] const ssize_t sent = send(fd, reply.data(), reply.size(), MSG_NOSIGNAL);
  close(fd);
}

void Acceptor::Rest() {
  for (const auto& listener : listeners_) listener->watcher.reset();
  if (!rest_timer_) rest_timer_ = std::make_unique<Timer>(loop_, [this] { Start(); });
  rest_timer_->StartOnce(static_cast<uint64_t>(kAcceptPause.count()));
}

}  // namespace tidegate
