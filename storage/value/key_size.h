// What a key and its value take, and what they consist of: for MEMORY USAGE, DEBUG and reports.
// Needs the slot's lock of the key. Cost of KeyBytes: none to speak of; of ElementsOf: a look at
// each element.
#pragma once

#include <cstddef>
#include <cstdint>

#include "storage/keyspace/entry.h"

namespace tidegate {

class StreamValue;

// Memory of the entry with its value, and of its place in the slot's table.
size_t KeyBytes(const Entry& entry);

// Of a string its bytes, as one element; else how many elements, members, fields or entries there
// are, and the bytes of the largest: of a field with its value.
struct ElementSizes {
  uint64_t count = 0;
  uint64_t largest_bytes = 0;
};
ElementSizes ElementsOf(const Entry& entry, int64_t now_ms);
ElementSizes ElementsOfStream(const StreamValue& stream);

}  // namespace tidegate
