// Sandbox: the globals that scripts see, and the lock on them.
//
//   what a script calls _G    a table without entries, whose metatable looks names up in
//   the real globals          which only C code here can reach; the same for redis, string, math …
//
// Redis has a patched Lua in which a table can be marked as read-only. Debian's has not, so each
// table that scripts share is shown as an empty one that stands for it: reading falls through,
// writing is an error with Redis's text, and next, pairs, rawget, rawset, getmetatable and
// setmetatable know about it. What scripts may reach is a list (sandbox.cc), as in Redis; print,
// dofile, loadfile, require, os and io are not on it. Chunks of bytecode are not loaded, since they
// could do anything. Owner: the interpreter. Cost: one more table look-up for each global.
#pragma once

#include "storage/script/lua.h"

namespace tidegate {

class ScriptInterpreter;

struct ScriptSandbox {
  // Opens the libraries in a new state and closes it up. Run protected: errors of Lua's leave it.
  static void Close(lua_State* lua, ScriptInterpreter& interpreter);
  // Sets a global of the real ones to the value on top, and pops it.
  static void SetGlobal(lua_State* lua, const char* name);
};

// The interpreter that a function was made for: its first upvalue.
ScriptInterpreter& InterpreterOf(lua_State* lua);

// Pushes the functions of `redis` as a table (script_api.cc).
void PushRedisTable(lua_State* lua, ScriptInterpreter& interpreter);
// Puts pcall, math.random … in place of Lua's own, in the real globals on top (script_api.cc).
void ReplaceFunctions(lua_State* lua, ScriptInterpreter& interpreter);

}  // namespace tidegate
