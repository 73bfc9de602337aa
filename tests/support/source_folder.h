// Where the project's files are, for tests that read documentation and shipped configurations. In a
// source of its own, so that all other objects are the same wherever the checkout lies (ccache).
#pragma once

#include <string>

namespace tidegate::testing {

// Absolute, without a slash at its end.
std::string SourceFolder();

}  // namespace tidegate::testing
