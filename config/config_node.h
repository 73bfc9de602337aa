// A YAML document as plain values: what loader.cc makes of yaml-cpp's nodes, so that no other file
// knows that library and its exceptions. Every node remembers its line for error messages.
#pragma once

#include <string>
#include <vector>

namespace tidegate {

struct ConfigNode {
  enum class Kind : uint8_t { kNothing, kScalar, kList, kMap };

  Kind kind = Kind::kNothing;
  int line = 0;                        // counts from 1
  std::string key = {};                // of an entry of a map
  std::string scalar = {};             // kScalar
  std::vector<ConfigNode> items = {};  // kList, and kMap in the order of the file

  bool is_scalar() const { return kind == Kind::kScalar; }
  bool is_list() const { return kind == Kind::kList; }
  bool is_map() const { return kind == Kind::kMap; }
};

}  // namespace tidegate
