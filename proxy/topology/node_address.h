// NodeAddress: where a server of somebody's topology is reached, as that topology wrote it. Not a
// socket address: the host may be a name, which is resolved by whoever connects, and again when it
// does not answer. An empty host means that nobody said where the server is. A plain value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

namespace tidegate::topology {

struct NodeAddress {
  std::string host;  // IPv4, IPv6 without brackets, or a name
  uint16_t port = 0;

  bool is_known() const { return !host.empty() && port != 0; }
  // "host:port", with brackets around IPv6; for people and as a key.
  std::string ToText() const;

  friend bool operator==(const NodeAddress&, const NodeAddress&) = default;
  friend bool operator<(const NodeAddress& a, const NodeAddress& b) {
    return std::tie(a.host, a.port) < std::tie(b.host, b.port);
  }
};

// 0 .. 65535; Redis writes 0 for "no such port".
std::optional<uint16_t> ToPort(int64_t number);
std::optional<uint16_t> ParsePort(std::string_view text);

// "host:port" as Redis writes it: the last colon divides, so IPv6 needs no brackets (and may have
// them). The view borrows from `text`; the host may be empty.
struct HostAndPort {
  std::string_view host;
  uint16_t port = 0;
};
std::optional<HostAndPort> ParseHostAndPort(std::string_view text);

// Cuts the text up to the next `separator` off `rest`; what is left when there is none.
std::string_view NextField(std::string_view& rest, char separator);

}  // namespace tidegate::topology
