// What becomes of replies in Lua, and of Lua's values as replies. Both ways as Redis's
// script_lua.c.
//
// These run inside Lua's calls: an error of Lua's (no memory) leaves them by longjmp, so they keep
// no object with a destructor. Owner: the interpreter.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/reply_writer.h"
#include "storage/script/lua.h"

namespace tidegate {

// Pushes one encoded reply, of either protocol. An error becomes a table {err = …}.
void PushReply(lua_State* lua, std::string_view encoded);

// Writes the value on top of the stack, and pops it. `script_protocol`: what the script asked for
// (redis.setresp). False: more than `elements_left` elements; nothing useful was written.
bool WriteValue(lua_State* lua, ReplyWriter& reply, Protocol script_protocol,
                size_t& elements_left);

}  // namespace tidegate
