// What the engine tells about single keys and whole databases to the commands about the server:
// MEMORY USAGE and the parts of DEBUG that look at data.
//
// DEBUG itself is answered by the process (proxy/commands/debug_commands.cc); the commands here are
// what it executes in the engine on the client's behalf, with the slots, turns and suspensions of
// any other command. They are no rows of the command table: a client cannot name them.
#pragma once

#include "storage/command.h"

namespace tidegate {

// MEMORY USAGE key [SAMPLES count]: the bytes that key and value take, or null.
ExecStatus CmdMemoryUsage(CommandContext& ctx);

// DEBUG OBJECT key: one line about the key's entry.
const Command& DebugObjectCommand();

// DEBUG DIGEST-VALUE key …: for each key 40 hexadecimal digits that depend on its type, value and
// having an expiry, zeros for none. Equal in every process, and different from Redis's.
const Command& DebugDigestValueCommand();

// DEBUG DIGEST: 40 hexadecimal digits for all keys of all databases, zeros when there are none.
const Command& DebugDigestCommand();

// DEBUG HTSTATS-KEY key: sizes of a value that is a hash table; an error for any other.
const Command& DebugHtStatsKeyCommand();

// DEBUG POPULATE count [prefix] [size]: makes those of the strings prefix:0 … prefix:count-1 that
// are not there yet, whatever maxmemory says.
const Command& DebugPopulateCommand();

}  // namespace tidegate
