// MD5, for consistent hashing only: rings of twemproxy and libmemcached place their nodes by it, so
// whoever takes such a ring over has to compute the same. Not for secrets; and written here because
// the TLS library has one door, which is not this folder's.
// Source: RFC 1321. Cost: one pass, no allocation.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace tidegate::topology {

std::array<uint8_t, 16> Md5(std::string_view data);

}  // namespace tidegate::topology
