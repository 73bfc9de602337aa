// The pages of the program itself: its code and its constants.
// The kernel maps them one by one as they are first touched, which the first requests after a start
// would pay for, each some microseconds and with a disk that is cold some milliseconds; and what a
// request touches would look like memory that its data takes.
#pragma once

#include <cstddef>

namespace tidegate {

// Maps all of them that are read-only: about 4 MiB, shared with other processes of the same program
// and taken back by the kernel first when memory is short. Returns how many bytes; 0 where the
// kernel cannot (before Linux 5.14), which only costs what is said above.
size_t MapProgramPages();

}  // namespace tidegate
