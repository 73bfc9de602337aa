#include "proxy/event/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace tidegate {
namespace {

std::string V4Text(const in_addr& ip, uint16_t port) {
  char text[INET_ADDRSTRLEN];
  inet_ntop(AF_INET, &ip, text, sizeof text);
  return std::string(text) + ":" + std::to_string(ntohs(port));
}

in_addr MappedV4(const in6_addr& ip) {
  in_addr v4{};
  __builtin_memcpy(&v4, ip.s6_addr + 12, sizeof v4);
  return v4;
}

}  // namespace

std::string AddressText(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    return V4Text(v4.sin_addr, v4.sin_port);
  }
  if (address.sa_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) return V4Text(MappedV4(v6.sin6_addr), v6.sin6_port);
    char text[INET6_ADDRSTRLEN];
    inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    return "[" + std::string(text) + "]:" + std::to_string(ntohs(v6.sin6_port));
  }
  return "?:0";
}

std::string LocalAddress(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  if (getsockname(fd, any, &size) != 0) return "?:0";
  return AddressText(*any);
}

bool IsLoopback(const sockaddr& address) {
  constexpr uint32_t kLoopbackNet = 127;
  if (address.sa_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    return ntohl(v4.sin_addr.s_addr) >> 24 == kLoopbackNet;
  }
  if (address.sa_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
      return ntohl(MappedV4(v6.sin6_addr).s_addr) >> 24 == kLoopbackNet;
    return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
  }
  return address.sa_family == AF_UNIX;
}

}  // namespace tidegate
