// PROXY protocol, version 2: the header a load balancer puts before a client's bytes to say who the
// client is. Only the binary version: version 1 is refused with words that say so, because a text
// line cannot be told from an inline command by every sender that gets it wrong. Commands PROXY
// (addresses follow) and LOCAL (health checks: the connection's own addresses count) over TCP/IPv4,
// TCP/IPv6 and unix; extensions (TLVs) are skipped. Pure. Source: "The PROXY protocol Versions 1 &
// 2", HAProxy.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace tidegate {

// Bytes of addresses and extensions that a header may carry. Real ones have a few hundred.
inline constexpr Bytes kProxyHeaderBodyBytesMax = 4_KiB;

struct ProxyHeader {
  enum class Outcome { kNeedInput, kDone, kInvalid };
  Outcome outcome = Outcome::kNeedInput;
  size_t bytes = 0;         // kDone: length of the whole header
  std::string source;       // the client; empty: the connection's own addresses count
  std::string destination;  // what it connected to
  std::string error;        // kInvalid
};

// `input` is what a connection has sent so far.
ProxyHeader ParseProxyHeader(std::string_view input);

}  // namespace tidegate
