// A history of what clients did to versioned objects, and whether it is strictly serializable: as
// if all operations had been executed one after the other, each at some moment between its call and
// its answer. With operations of one object each that is linearizability.
//
// Why versions and not the search of Wing and Gong: each write says which version of its object it
// makes, so that the order of the writes of every object is known. Then nothing has to be guessed:
// the history is right if and only if this graph has no cycle (Adya's serialization graph with an
// order of time), which is found in linear time for any number of clients and objects.
//
//   writer of version v  ->  writer of version v + 1
//   writer of version v  ->  who read version v  ->  writer of version v + 1
//   who was answered     ->  everyone who called after that
//
// Source: Adya, "Weak Consistency", 1999; Herlihy and Wing, "Linearizability", 1990. Plain values;
// single-threaded.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace tidegate::testing {

struct HistoryVersion {
  int object = 0;
  int64_t version = 0;  // 0: as it was before the first operation
};

struct HistoryOperation {
  int64_t called_nanos = 0;
  int64_t answered_nanos = 0;
  std::vector<HistoryVersion> reads;
  std::vector<HistoryVersion> writes;
};

// Empty: it is strictly serializable. Else what is wrong with it.
std::string CheckHistory(std::span<const HistoryOperation> history);

}  // namespace tidegate::testing
