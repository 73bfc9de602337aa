// SHA-1, for the names that Redis gives to scripts: EVALSHA calls a script by it. Not for secrets;
// and written here because the TLS library has one door, which is not this folder's.
// Source: RFC 3174. Cost: one pass, no allocation but that of the text.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace tidegate {

std::array<uint8_t, 20> Sha1(std::string_view data);

// The same as 40 hexadecimal digits in lower case, as Redis writes it.
std::string Sha1Hex(std::string_view data);

}  // namespace tidegate
