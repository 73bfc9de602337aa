// Tidegate's own version, as --version, INFO and the metrics show it. The same as in
// CMakeLists.txt.
#pragma once

#include <string_view>

namespace tidegate {

inline constexpr std::string_view kTidegateVersion = "0.1.0";

}  // namespace tidegate
