// ForwardRule: which commands may reach an upstream, and what decides to which.
//
// The command table says who answers when the engine is all there is; with upstreams the question
// is whom a client means. Commands about data mean whoever has the keys, and without keys whoever
// has "everything else": the cluster of the route "*". Commands about a process (INFO, CONFIG,
// CLIENT, DEBUG, SHUTDOWN) mean this one, always: none of them may reach a Redis of somebody else's
// by surprise. What needs a connection of the client's own (WATCH, blocking commands, SUBSCRIBE)
// has rules that say so; scripts, which are looked at on their way, have too. Pure. Threads: any.
#pragma once

#include <cstdint>
#include <string_view>

#include "storage/request.h"

namespace tidegate {

// Channels whose names begin so are this process's own, wherever the others are.
inline constexpr std::string_view kOwnChannelPrefix = "__tidegate__:";

enum class ForwardRule : uint8_t {
  kHere,               // answered by this process
  kByKey,              // by whoever has the keys; without any, as kByCatchAll
  kByCatchAll,         // by the cluster of the route "*"
  kPrivateByKey,       // as kByKey, and an upstream needs a connection for this client alone
  kPrivateByCatchAll,  // as kByCatchAll, the same
  kScriptByKey,        // as kByKey, and it calls a script
  kScriptByCatchAll,   // as kByCatchAll, and it is about scripts
};

// Of a request whose command is known and whose number of arguments is right.
ForwardRule ForwardRuleOf(const Request& request);

// Whether the call comes upon keys that it does not name: SORT with patterns, SCAN.
bool MeetsUnnamedKeys(const Request& request);

// Whether the call may touch another database than the client's. For clusters that have just one.
bool TouchesOtherDatabases(const Request& request);

}  // namespace tidegate
