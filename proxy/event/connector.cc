#include "proxy/event/connector.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "base/check.h"

namespace tidegate {

struct Connector::Attempt {
  EventLoop* loop = nullptr;
  Connector* owner = nullptr;  // null: nobody waits any more
  Done done;
  uv_getaddrinfo_t resolve;
  uv_poll_t poll;
  std::vector<std::pair<sockaddr_storage, socklen_t>> addresses;
  size_t next = 0;  // address to try
  int fd = -1;
  std::string error = "the name has no address";

  void Resolve(const std::string& host, uint16_t port);
  void TryNext();
  bool Watch();
  void Watched(int status);
  void StopWatching(bool keep_fd);
  void Finish(int connected_fd);

  static void OnResolved(uv_getaddrinfo_t* request, int status, addrinfo* found) {
    auto* self = static_cast<Attempt*>(request->data);
    self->loop->TurnBegins();
    for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
      sockaddr_storage address{};
      std::memcpy(&address, one->ai_addr, one->ai_addrlen);
      self->addresses.emplace_back(address, one->ai_addrlen);
    }
    uv_freeaddrinfo(found);
    if (status != 0) self->error = std::string("look up its name: ") + uv_strerror(status);
    if (self->owner == nullptr) {
      delete self;
    } else {
      self->TryNext();
    }
  }
};

void Connector::Attempt::Resolve(const std::string& host, uint16_t port) {
  resolve.data = this;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  TG_CHECK(uv_getaddrinfo(loop->native(), &resolve, OnResolved, host.c_str(),
                          std::to_string(port).c_str(), &hints) == 0);
}

// Of the addresses that are left, the first that a connection can be begun to.
void Connector::Attempt::TryNext() {
  for (; next < addresses.size(); ++next) {
    const auto& [address, size] = addresses[next];
    fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
      error = std::string("make a socket: ") + std::strerror(errno);
      continue;
    }
    const int begun = connect(fd, reinterpret_cast<const sockaddr*>(&address), size);
    if (begun == 0 || errno == EINPROGRESS) {
      ++next;
      if (Watch()) return;
    } else {
      error = std::string("connect: ") + std::strerror(errno);
    }
    close(fd);
  }
  Finish(-1);
}

bool Connector::Attempt::Watch() {
  const int status = uv_poll_init(loop->native(), &poll, fd);
  if (status != 0) {
    error = std::string("watch a socket: ") + uv_strerror(status);
    --next;  // the loop of TryNext steps over it
    return false;
  }
  poll.data = this;
  uv_poll_start(&poll, UV_WRITABLE, [](uv_poll_t* handle, int failed, int) {
    static_cast<Attempt*>(handle->data)->Watched(failed);
  });
  return true;
}

void Connector::Attempt::Watched(int status) {
  loop->TurnBegins();
  int failure = 0;
  socklen_t size = sizeof failure;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0) failure = errno;
  if (status == 0 && failure == 0) return StopWatching(true);
  error = std::string("connect: ") +
          (failure != 0 ? std::strerror(failure) : static_cast<const char*>(uv_strerror(status)));
  StopWatching(false);
}

// The handle may be used for the next address once it is closed.
void Connector::Attempt::StopWatching(bool keep_fd) {
  const int watched = fd;
  if (!keep_fd) fd = -1;
  uv_close(reinterpret_cast<uv_handle_t*>(&poll), [](uv_handle_t* handle) {
    auto* self = static_cast<Attempt*>(handle->data);
    if (self->owner == nullptr) {
      if (self->fd >= 0) close(self->fd);
      delete self;
    } else if (self->fd >= 0) {
      self->Finish(self->fd);
    } else {
      self->TryNext();
    }
  });
  if (!keep_fd) close(watched);
}

void Connector::Attempt::Finish(int connected_fd) {
  owner->attempt_ = nullptr;
  const Done call = std::move(done);
  const std::string why = std::move(error);
  delete this;
  call(connected_fd, why);
}

Connector::Connector(EventLoop& loop, const std::string& host, uint16_t port, Done done)
    : attempt_(new Attempt) {
  attempt_->loop = &loop;
  attempt_->owner = this;
  attempt_->done = std::move(done);
  attempt_->Resolve(host, port);
}

Connector::~Connector() {
  if (attempt_ == nullptr) return;
  attempt_->owner = nullptr;
  if (attempt_->next == 0) {
    // When it cannot be taken back any more its callback comes all the same.
    uv_cancel(reinterpret_cast<uv_req_t*>(&attempt_->resolve));
  } else if (uv_is_closing(reinterpret_cast<uv_handle_t*>(&attempt_->poll)) == 0) {
    attempt_->StopWatching(false);
  }
}

}  // namespace tidegate
