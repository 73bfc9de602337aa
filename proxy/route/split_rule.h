// SplitRule: how a command that concerns several nodes becomes one command for each, and their
// replies one reply.
//
// By keys: MGET a b c is MGET a c at one node and MGET b at another. What is split is not atomic
// any more: other clients can see a part of an MSET, as with every client library that does the
// same. So only commands are split whose parts mean what the whole means; MSETNX and RENAME do not.
// By nodes: DBSIZE is asked of each. If any part fails, its error is the reply, and the others may
// have been executed. Pure. Threads: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "storage/request.h"

namespace tidegate {

enum class SplitRule : uint8_t {
  kSum,        // integers are added up
  kSame,       // what all of them say
  kByKey,      // an array with an element for each key, in the order of the request's keys
  kConcat,     // arrays one behind the other
  kAnyKey,     // any of the replies that is not null
  kUnion,      // arrays, and what is in several of them once
  kSumEach,    // arrays whose integers are added up, each to its like; the rest is the same in all
  kLeastEach,  // the same with the least of them
  kAnyDone,    // the first that is no error
  kOneByOne,   // SCAN: one node after the other, the cursor says which
};

// Of a command with keys at several nodes; none: it cannot be split.
std::optional<SplitRule> SplitByKeys(const Request& request);
// Arguments that belong to each key of it, the key included: 2 for MSET.
size_t ArgumentsPerKey(const Request& request);

// Of a command without keys; none: it is for no cluster of several nodes.
std::optional<SplitRule> SplitByNodes(const Request& request);
// A request without keys that any primary can answer for all: about scripts, or one whose arguments
// name no keys though it wants some, which will be refused.
bool MeansAnyNode(const Request& request);

}  // namespace tidegate
