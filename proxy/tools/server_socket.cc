#include "proxy/tools/server_socket.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace tidegate {
namespace {

struct Host {
  std::string name;
  std::string port;
};

Result<Host> SplitAddress(const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == address.size())
    return Error{"'" + address + "' is no HOST:PORT"};
  Host host{address.substr(0, colon), address.substr(colon + 1)};
  if (host.name.size() > 2 && host.name.front() == '[' && host.name.back() == ']')
    host.name = host.name.substr(1, host.name.size() - 2);
  return host;
}

int ConnectTo(const addrinfo* addresses) {
  for (const addrinfo* at = addresses; at != nullptr; at = at->ai_next) {
    const int fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
    if (fd < 0) continue;
    if (connect(fd, at->ai_addr, at->ai_addrlen) == 0) return fd;
    const int why = errno;
    close(fd);
    errno = why;
  }
  return -1;
}

}  // namespace

Result<int> ConnectToServer(const std::string& address) {
  Result<Host> host = SplitAddress(address);
  if (!host.ok()) return std::move(host).error();
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* addresses = nullptr;
  const int found = getaddrinfo(host->name.c_str(), host->port.c_str(), &hints, &addresses);
  if (found != 0) return Error{"connect to " + address + ": " + gai_strerror(found)};
  const int fd = ConnectTo(addresses);
  freeaddrinfo(addresses);
  if (fd < 0) return Error{"connect to " + address + ": " + std::strerror(errno)};
  return fd;
}

}  // namespace tidegate
