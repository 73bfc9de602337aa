// What is generated from the option table: the reference page and the shipped configuration. Both
// are committed; a test holds them equal to what these functions say, so the docs cannot rot.
#pragma once

#include <string>

namespace tidegate {

// docs/reference/options.md.
std::string OptionsReference();

// config/tidegate.yaml: the structure with its defaults, every other setting as a comment.
std::string DefaultConfig();

}  // namespace tidegate
