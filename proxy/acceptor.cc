#include "proxy/acceptor.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "proxy/event/address.h"
#include "proxy/server.h"
#include "proxy/upstream_control.h"
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

// What tells listeners apart. Of one whose port the system picks its name does.
std::string PlaceOf(const ListenerOptions& options, const std::string& host) {
  if (options.is_unix()) return "unix " + options.unixsocket;
  const std::string place = "tcp " + host + " " + std::to_string(options.port);
  return options.port != 0 ? place : place + " " + options.name;
}

}  // namespace

Acceptor::Listener::~Listener() {
  watcher.reset();
  close(fd);
  if (is_unix()) unlink(unix_path.c_str());
}

Result<std::unique_ptr<Acceptor>> Acceptor::Open(Server& server, EventLoop& loop,
                                                 const Options& options) {
  std::unique_ptr<Acceptor> acceptor(new Acceptor(server, loop));
  TG_RETURN_IF_ERROR(acceptor->Prepare(options));
  std::vector<std::unique_ptr<Listener>> opened;
  for (Prepared& prepared : acceptor->prepared_) acceptor->TakePrepared(prepared, opened);
  acceptor->prepared_.clear();
  acceptor->listeners_ = std::move(opened);
  if (acceptor->listeners_.empty()) return Error{"nothing to listen on: set port or unixsocket"};
  return acceptor;
}

Acceptor::~Acceptor() = default;

const Acceptor::Listener* Acceptor::FindOpen(const std::string& place) const {
  for (const auto& listener : listeners_) {
    if (listener->place == place) return listener.get();
  }
  return nullptr;
}

Status Acceptor::Prepare(const Options& options) {
  prepared_.clear();
  for (const ListenerOptions& listener : options.listeners) {
    Status status = PrepareListener(listener, options.tcp_backlog);
    if (status.ok()) continue;
    prepared_.clear();
    return status;
  }
  return {};
}

Status Acceptor::PrepareListener(const ListenerOptions& options, int backlog) {
  const auto prepare = [&](const std::string& host, auto open) -> Result<uint16_t> {
    Prepared next{.fresh = nullptr, .place = PlaceOf(options, host), .options = options};
    const auto same = [&next](const Prepared& other) { return other.place == next.place; };
    if (std::any_of(prepared_.begin(), prepared_.end(), same))
      return Error{"listen on " + next.place + ": two listeners have this address"};
    if (const Listener* const there = FindOpen(next.place)) {
      prepared_.push_back(std::move(next));
      return there->port;
    }
    Result<std::unique_ptr<Listener>> opened = open();
    if (!opened.ok()) return std::move(opened).error();
    if (*opened == nullptr) return uint16_t{0};
    const uint16_t port = (*opened)->port;
    next.fresh = std::move(*opened);
    next.fresh->place = next.place;
    prepared_.push_back(std::move(next));
    return port;
  };
  if (options.is_unix()) {
    Result<uint16_t> opened = prepare("", [&] { return OpenUnix(options, backlog); });
    return opened.ok() ? Status() : std::move(opened).error();
  }
  // With a port that the system picks, all addresses share the first one's.
  uint16_t port = options.port;
  for (const BindAddress& address : options.addresses) {
    Result<uint16_t> opened =
        prepare(address.host, [&] { return OpenTcp(address, port, backlog); });
    if (!opened.ok()) return std::move(opened).error();
    if (port == 0) port = *opened;
  }
  return {};
}

Result<std::unique_ptr<Acceptor::Listener>> Acceptor::OpenTcp(const BindAddress& bind_address,
                                                              uint16_t port, int backlog) {
  Result<SocketAddress> address = ParseAddress(bind_address.host, port);
  if (!address.ok()) return std::move(address).error();
  const std::string what = "listen on " + AddressText(*address->get());
  const bool may_miss = bind_address.optional;
  OpenSocket socket(::socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                             IPPROTO_TCP));
  if (socket.get() < 0) {
    if (may_miss && AddressIsMissing()) return std::unique_ptr<Listener>();
    return SystemError(what);
  }
  const int on = 1;
  setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address->storage.ss_family == AF_INET6)
    setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (bind(socket.get(), address->get(), address->size) != 0) {
    if (may_miss && AddressIsMissing()) return std::unique_ptr<Listener>();
    return SystemError(what);
  }
  if (listen(socket.get(), backlog) != 0) return SystemError(what);
  auto listener = std::make_unique<Listener>();
  listener->port = BoundPort(socket.get());
  listener->text = "tcp " + LocalAddress(socket.get());
  listener->fd = socket.Release();
  return listener;
}

Result<std::unique_ptr<Acceptor::Listener>> Acceptor::OpenUnix(const ListenerOptions& options,
                                                               int backlog) {
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
  auto listener = std::make_unique<Listener>();
  listener->text = "unix " + path;
  listener->unix_path = path;
  listener->fd = socket.Release();
  return listener;
}

void Acceptor::TakePrepared(Prepared& prepared, std::vector<std::unique_ptr<Listener>>& next) {
  const ListenerOptions& options = prepared.options;
  std::unique_ptr<Listener> listener = std::move(prepared.fresh);
  for (auto open = listeners_.begin(); listener == nullptr; ++open) {
    TG_CHECK(open != listeners_.end());
    if (*open == nullptr || (*open)->place != prepared.place) continue;
    listener = std::move(*open);
    if (listener->is_unix() && options.unixsocketperm != 0)
      (void)chmod(listener->unix_path.c_str(), options.unixsocketperm);
  }
  listener->name = options.name;
  listener->proxy_protocol = options.proxy_protocol;
  listening_.push_back(listener->text);
  if (tcp_port_ == 0) tcp_port_ = listener->port;
  next.push_back(std::move(listener));
}

void Acceptor::Commit() {
  if (prepared_.empty()) return;
  // Who has connected to one that goes was told that it is there.
  for (const auto& listener : listeners_) {
    const auto stays = [&listener](const Prepared& one) { return one.place == listener->place; };
    if (std::any_of(prepared_.begin(), prepared_.end(), stays)) continue;
    AcceptAll(*listener);
    log::Notice("Reload: no longer listening on " + listener->text);
  }
  std::vector<std::unique_ptr<Listener>> next;
  listening_.clear();
  tcp_port_ = 0;
  for (Prepared& prepared : prepared_) TakePrepared(prepared, next);
  prepared_.clear();
  listeners_ = std::move(next);
  for (const auto& listener : listeners_) {
    if (listener->watcher != nullptr) continue;
    log::Notice("Reload: listening on " + listener->text);
    Watch(*listener);
  }
}

void Acceptor::Watch(Listener& listener) {
  listener.watcher =
      std::make_unique<ReadWatcher>(loop_, listener.fd, [this, &listener] { AcceptAll(listener); });
}

void Acceptor::Start() {
  for (const auto& listener : listeners_) Watch(*listener);
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
  const bool local = listener.is_unix() || IsLoopback(peer);
  if (options->protected_mode && options->requirepass.empty() && !local)
    return Refuse(fd, kProtectedModeReply);
  best->PostConnection(
      {.fd = fd,
       .is_unix = listener.is_unix(),
       .proxy_protocol = listener.proxy_protocol,
       .listener = server_.upstream_control().NumberOfListener(listener.name),
       .peer_address = listener.is_unix() ? listener.unix_path + ":0" : AddressText(peer),
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
