// TextHash: so that unordered maps by std::string are asked with views, and no string is made for a
// question. Pure. Threads: any.
#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

namespace tidegate {

struct TextHash {
  using is_transparent = void;  // NOLINT(readability-identifier-naming): the library's word
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};

}  // namespace tidegate
