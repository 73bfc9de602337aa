// What others may know of the store's allocator (storage/memory/memory.h): where its memory is
// (ReadSlabMemory), for INFO and /metrics, and how to give back what is unused (MemoryPurge). Any
// thread.
#pragma once

#include "storage/memory/memory.h"
