#include "proxy/session/proxy_protocol.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "proxy/event/address.h"

namespace tidegate {
namespace {

constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::string_view kVersion1 = "PROXY ";
constexpr size_t kHeadBytes = 16;

enum Command : uint8_t { kLocal = 0, kProxy = 1 };
enum Family : uint8_t { kTcp4 = 0x11, kTcp6 = 0x21, kUnixStream = 0x31 };

constexpr size_t kTcp4Bytes = 12;
constexpr size_t kTcp6Bytes = 36;

ProxyHeader Invalid(std::string error) {
  ProxyHeader header;
  header.outcome = ProxyHeader::Outcome::kInvalid;
  header.error = std::move(error);
  return header;
}

uint8_t ByteAt(std::string_view input, size_t at) { return static_cast<uint8_t>(input[at]); }

std::string Address4(const char* ip, const char* port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  std::memcpy(&address.sin_addr, ip, 4);
  std::memcpy(&address.sin_port, port, 2);
  return AddressText(reinterpret_cast<const sockaddr&>(address));
}

std::string Address6(const char* ip, const char* port) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  std::memcpy(&address.sin6_addr, ip, 16);
  std::memcpy(&address.sin6_port, port, 2);
  return AddressText(reinterpret_cast<const sockaddr&>(address));
}

}  // namespace

ProxyHeader ParseProxyHeader(std::string_view input) {
  if (input.starts_with(kVersion1))
    return Invalid("PROXY protocol version 1 is not supported here, send version 2");
  const size_t known = std::min(input.size(), kSignature.size());
  if (input.substr(0, known) != kSignature.substr(0, known) &&
      input.substr(0, known) != kVersion1.substr(0, std::min(known, kVersion1.size())))
    return Invalid("this listener expects a PROXY protocol version 2 header");
  if (input.size() < kHeadBytes) return {};
  const uint8_t version = ByteAt(input, 12) >> 4;
  const uint8_t command = ByteAt(input, 12) & 15;
  const uint8_t family = ByteAt(input, 13);
  const size_t body = static_cast<size_t>(ByteAt(input, 14)) << 8 | ByteAt(input, 15);
  if (version != 2 || command > kProxy) return Invalid("PROXY protocol header of unknown version");
  if (body > kProxyHeaderBodyBytesMax.count) return Invalid("PROXY protocol header is too long");
  if (input.size() < kHeadBytes + body) return {};
  ProxyHeader header;
  header.outcome = ProxyHeader::Outcome::kDone;
  header.bytes = kHeadBytes + body;
  if (command == kLocal) return header;
  const char* p = input.data() + kHeadBytes;
  if (family == kTcp4 && body >= kTcp4Bytes) {
    header.source = Address4(p, p + 8);
    header.destination = Address4(p + 4, p + 10);
  } else if (family == kTcp6 && body >= kTcp6Bytes) {
    header.source = Address6(p, p + 32);
    header.destination = Address6(p + 16, p + 34);
  } else if (family == kTcp4 || family == kTcp6) {
    return Invalid("PROXY protocol header is too short for its addresses");
  } else if (family != kUnixStream && family != 0) {
    return Invalid("PROXY protocol header of a family that is not TCP");
  }
  return header;
}

}  // namespace tidegate
