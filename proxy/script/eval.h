// EVAL and its relatives on the engine: handlers of data commands, whose keys' slots are locked.
//
//   inline ── a script that reads, for half a millisecond at most
//     │  it wants to write, takes long, or finds a key's slot busy: begun anew
//     v
//   fiber ─── with the script token, as a long command: in turns, its slots kept
//
//   exclusive ─ behind the gate: in EXEC, and scripts that come upon any key (KEYS, SCAN, FLUSHALL)
//
// Until a script has written nobody can tell that it was begun, so it can be begun anew in another
// way. A key that it did not declare has its slot locked when the script first uses it. See
// docs/decisions/0041. Thread: the worker's.
#pragma once

#include "storage/command.h"

namespace tidegate {

// In a transaction and behind the gate nobody else can go on, and there are no turns: a script that
// takes longer there is ended with an error, whatever it has done so far.
inline constexpr int kExclusiveScriptMillisMax = 5000;

ExecStatus CmdEval(CommandContext& context);
ExecStatus CmdEvalReadOnly(CommandContext& context);
ExecStatus CmdEvalSha(CommandContext& context);
ExecStatus CmdEvalShaReadOnly(CommandContext& context);

}  // namespace tidegate
