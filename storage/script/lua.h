// Lua's own headers, which are C, and small helpers around them. The door to Lua is this folder:
// what the rest of the tree sees of it is script_interpreter.h.
#pragma once

extern "C" {
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
}

#include <string_view>

namespace tidegate {

inline void PushText(lua_State* lua, std::string_view text) {
  lua_pushlstring(lua, text.data() == nullptr ? "" : text.data(), text.size());
}

// Of a value that is a string or a number; valid while it stays on the stack.
inline std::string_view TextAt(lua_State* lua, int index) {
  size_t size = 0;
  const char* data = lua_tolstring(lua, index, &size);
  return {data, data == nullptr ? 0 : size};
}

// Raises an error as Redis's API does: a table {err = "ERR …"}. Does not return.
int RaiseError(lua_State* lua, std::string_view text);
// The same table as a value. `text` begins with '-' when it has a code of its own.
void PushError(lua_State* lua, std::string_view text);

// Libraries of our own (message_pack.cc, struct_pack.cc): each leaves its table on the stack.
int OpenMessagePack(lua_State* lua);
int OpenStruct(lua_State* lua);

}  // namespace tidegate
