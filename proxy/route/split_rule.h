// SplitRule: how a command that concerns several nodes becomes one command for each, and their
// replies one reply.
//
// By keys: MGET a b c is MGET a c at one node and MGET b at another. What is split is not atomic
// any more: other clients can see a part of an MSET, as with every client library that does the
// same. So only commands are split whose parts mean what the whole means; MSETNX and RENAME do not.
// By nodes: DBSIZE is asked of each. If any part fails, its error is the reply, and the others may
// have been executed. Pure. Threads: any.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

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
  kWhole,      // not split at all: there is one part, and its reply is looked into
  kOneByOne,   // SCAN: one node after the other, the cursor says which
};

// Of a command with keys at several nodes; none: it cannot be split.
std::optional<SplitRule> SplitByKeys(const Request& request);

// The arguments of one part of such a command, in memory that is used again for the next.
class PartArguments final {
 public:
  // With these keys, by their places in the whole. Valid until the next call.
  Request Of(const Request& whole, std::span<const uint32_t> key_places);

 private:
  std::vector<std::string_view> args_;
  std::vector<KeyRef> keys_;
};

// Of a command without keys; none: it is for no cluster of several nodes.
std::optional<SplitRule> SplitByNodes(const Request& request);
// A request without keys that any primary can answer for all: about scripts, or one whose arguments
// name no keys though it wants some, which will be refused.
bool MeansAnyNode(const Request& request);

}  // namespace tidegate
