// `tidegate import`, `export`, `check` and `rdb-report`: data from one form into another, whether
// it is sound, and what takes the memory, without a running server of ours.
//
// The words of the command line say where from (SOURCE: whatever is there) and where to (--to-…);
// what does the work is storage/data_convert.h. These run on the main thread of a process of their
// own, so they may block. Answers to people go to standard output, complaints to standard error.
#pragma once

#include <cstdio>
#include <optional>
#include <span>
#include <string>

namespace tidegate {

// The status the process ends with: 0 all is well, 1 it is not, 2 the command line makes no sense.
// Nothing: the first argument names no tool. `arguments`: without the program's name.
std::optional<int> RunDataTool(std::span<const std::string> arguments);

}  // namespace tidegate
