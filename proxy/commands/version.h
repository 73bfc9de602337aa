// The version of Redis that Tidegate tells clients it speaks (HELLO, INFO redis_version): clients
// choose by it which commands they use. 7.2 is whose command set and replies Tidegate aims at.
#pragma once

#include <string_view>

namespace tidegate {

inline constexpr std::string_view kRedisVersion = "7.2.0";

}  // namespace tidegate
