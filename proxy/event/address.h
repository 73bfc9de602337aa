// Socket addresses as Redis prints them: "127.0.0.1:6379", "[::1]:6379", "/run/redis.sock:0". An
// IPv4 client on an IPv6 socket (::ffff:1.2.3.4) prints as IPv4. Pure but for the system calls that
// ask a socket. Threads: any.
#pragma once

#include <string>

struct sockaddr;

namespace tidegate {

// "?:0" for what is not an IP address.
std::string AddressText(const sockaddr& address);
std::string LocalAddress(int fd);
// Whether the peer is on the loopback interface or a unix socket.
bool IsLoopback(const sockaddr& address);

}  // namespace tidegate
