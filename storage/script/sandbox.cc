#include "storage/script/sandbox.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "storage/script_interpreter.h"

extern "C" {
// Debian's lua-cjson and lua-bitop.
int luaopen_cjson(lua_State* lua);
int luaopen_bit(lua_State* lua);
}

namespace tidegate {
namespace {

constexpr const char* kReadOnly = "Attempt to modify a readonly table";

// Bytes of a pattern of string.find and its like. Lua matches by recursion, one C frame for each
// item of the pattern.
constexpr size_t kPatternBytesMax = 8192;

// Names in Lua's registry and in metatables: addresses that no script can make.
constinit char real_globals_key = 0;  // the real globals
constinit char real_key = 0;  // in the metatable of a table that stands for another: that other

void PushKey(lua_State* lua, char* key) { lua_pushlightuserdata(lua, key); }

void PushRegistered(lua_State* lua, char* key) {
  PushKey(lua, key);
  lua_rawget(lua, LUA_REGISTRYINDEX);
}

void Register(lua_State* lua, char* key) {
  PushKey(lua, key);
  lua_insert(lua, -2);
  lua_rawset(lua, LUA_REGISTRYINDEX);
}

// Whether the table stands for another, which is then pushed.
bool PushReal(lua_State* lua, int index) {
  if (lua_type(lua, index) != LUA_TTABLE || lua_getmetatable(lua, index) == 0) return false;
  PushKey(lua, &real_key);
  lua_rawget(lua, -2);
  lua_remove(lua, -2);
  if (lua_istable(lua, -1)) return true;
  lua_pop(lua, 1);
  return false;
}

// Without a place in the script, as Lua's own functions raise it.
int RaiseReadOnly(lua_State* lua) {
  lua_pushstring(lua, kReadOnly);
  return lua_error(lua);
}

int OnWrite(lua_State* lua) { return luaL_error(lua, "%s", kReadOnly); }

int OnMissingGlobal(lua_State* lua) {
  if (lua_isstring(lua, 2) == 0)
    return luaL_error(lua, "Second argument to luaProtectedTableError must be a string or number");
  return luaL_error(lua, "Script attempted to access nonexistent global variable '%s'",
                    lua_tostring(lua, 2));
}

// Puts a table that stands for the one on top in its place.
void Protect(lua_State* lua) {
  lua_newtable(lua);
  lua_createtable(lua, 0, 4);  // the metatable
  lua_pushvalue(lua, -3);
  lua_setfield(lua, -2, "__index");
  lua_pushcfunction(lua, OnWrite);
  lua_setfield(lua, -2, "__newindex");
  PushKey(lua, &real_key);
  lua_pushvalue(lua, -4);
  lua_rawset(lua, -3);
  lua_setmetatable(lua, -2);
  lua_remove(lua, -2);
}

int Next(lua_State* lua) {
  luaL_checktype(lua, 1, LUA_TTABLE);
  lua_settop(lua, 2);
  if (PushReal(lua, 1)) lua_replace(lua, 1);
  if (lua_next(lua, 1) != 0) return 2;
  lua_pushnil(lua);
  return 1;
}

// Upvalue: next.
int Pairs(lua_State* lua) {
  luaL_checktype(lua, 1, LUA_TTABLE);
  lua_pushvalue(lua, lua_upvalueindex(1));
  if (!PushReal(lua, 1)) lua_pushvalue(lua, 1);
  // The real one stays hidden: next finds it again.
  lua_pop(lua, 1);
  lua_pushvalue(lua, 1);
  lua_pushnil(lua);
  return 3;
}

int RawGet(lua_State* lua) {
  luaL_checktype(lua, 1, LUA_TTABLE);
  luaL_checkany(lua, 2);
  lua_settop(lua, 2);
  if (PushReal(lua, 1)) lua_replace(lua, 1);
  lua_rawget(lua, 1);
  return 1;
}

int RawSet(lua_State* lua) {
  luaL_checktype(lua, 1, LUA_TTABLE);
  luaL_checkany(lua, 2);
  luaL_checkany(lua, 3);
  lua_settop(lua, 3);
  if (PushReal(lua, 1)) return RaiseReadOnly(lua);
  lua_rawset(lua, 1);
  return 1;
}

// What stands for something has a metatable that nobody may see: an empty read-only one is shown.
// So has every string.
int GetMetatable(lua_State* lua) {
  luaL_checkany(lua, 1);
  const bool is_shared = lua_type(lua, 1) != LUA_TTABLE && lua_type(lua, 1) != LUA_TUSERDATA;
  if (is_shared || PushReal(lua, 1)) {
    if (lua_getmetatable(lua, 1) == 0) {
      lua_pushnil(lua);
      return 1;
    }
    lua_pop(lua, 1);
    lua_newtable(lua);
    Protect(lua);
    return 1;
  }
  if (lua_getmetatable(lua, 1) == 0) {
    lua_pushnil(lua);
    return 1;
  }
  luaL_getmetafield(lua, 1, "__metatable");
  return 1;  // either the field or the metatable itself
}

int SetMetatable(lua_State* lua) {
  const int type = lua_type(lua, 2);
  luaL_checktype(lua, 1, LUA_TTABLE);
  luaL_argcheck(lua, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table expected");
  if (PushReal(lua, 1)) return RaiseReadOnly(lua);
  if (luaL_getmetafield(lua, 1, "__metatable") != 0)
    return luaL_error(lua, "cannot change a protected metatable");
  lua_settop(lua, 2);
  // One that stands for something would let its owner be taken for it.
  if (PushReal(lua, 2)) lua_replace(lua, 2);
  lua_setmetatable(lua, 1);
  return 1;
}

// Upvalue: Lua's own.
int TableInsert(lua_State* lua) {
  if (PushReal(lua, 1)) return RaiseReadOnly(lua);
  return lua_tocfunction(lua, lua_upvalueindex(1))(lua);
}

// Upvalue: Lua's own, of which the second argument is a pattern.
int MatchPattern(lua_State* lua) {
  if (lua_type(lua, 2) == LUA_TSTRING && lua_objlen(lua, 2) > kPatternBytesMax &&
      lua_toboolean(lua, 4) == 0)
    return luaL_error(lua, "pattern too long");
  return lua_tocfunction(lua, lua_upvalueindex(1))(lua);
}

// A space goes ahead of each chunk, so that it is never taken for bytecode.
struct ChunkPieces {
  bool begun = false;
  const char* text = nullptr;  // null: a function at stack index 1 gives the pieces
  size_t size = 0;
};

const char* ReadPiece(lua_State* lua, void* data, size_t* size) {
  auto& pieces = *static_cast<ChunkPieces*>(data);
  if (!pieces.begun) {
    pieces.begun = true;
    *size = 1;
    return " ";
  }
  if (pieces.text != nullptr) {
    *size = pieces.size;
    pieces.size = 0;
    return pieces.text;
  }
  luaL_checkstack(lua, 2, "too many nested functions");
  lua_pushvalue(lua, 1);
  lua_call(lua, 0, 1);
  if (lua_isnil(lua, -1)) {
    *size = 0;
    return nullptr;
  }
  if (lua_isstring(lua, -1) == 0) luaL_error(lua, "reader function must return a string");
  lua_replace(lua, 3);  // kept while it is read
  return lua_tolstring(lua, 3, size);
}

int Loaded(lua_State* lua, int status) {
  if (status == 0) return 1;
  lua_pushnil(lua);
  lua_insert(lua, -2);
  return 2;
}

int LoadString(lua_State* lua) {
  size_t size = 0;
  const char* text = luaL_checklstring(lua, 1, &size);
  ChunkPieces pieces{.text = text, .size = size};
  return Loaded(lua, lua_load(lua, ReadPiece, &pieces, luaL_optstring(lua, 2, text)));
}

int Load(lua_State* lua) {
  const char* name = luaL_optstring(lua, 2, "=(load)");
  luaL_checktype(lua, 1, LUA_TFUNCTION);
  lua_settop(lua, 3);
  ChunkPieces pieces;
  return Loaded(lua, lua_load(lua, ReadPiece, &pieces, name));
}

// Scripts share the collector: they may ask it and have it work, and not set it.
int CollectGarbage(lua_State* lua) {
  static constexpr const char* kOptions[] = {"stop", "restart",  "collect",    "count",
                                             "step", "setpause", "setstepmul", nullptr};
  constexpr int kCollect = 2;
  constexpr int kCount = 3;
  constexpr int kStep = 4;
  constexpr int kSetPause = 5;
  constexpr int kUnchanged = 200;  // Lua's own pause and step
  const int option = luaL_checkoption(lua, 1, "collect", kOptions);
  const int argument = luaL_optint(lua, 2, 0);
  switch (option) {
    case kCount:
      lua_pushnumber(lua, lua_gc(lua, LUA_GCCOUNT, 0) + lua_gc(lua, LUA_GCCOUNTB, 0) / 1024.0);
      return 1;
    case kStep:
      lua_pushboolean(lua, lua_gc(lua, LUA_GCSTEP, argument));
      return 1;
    case kCollect:
      lua_gc(lua, LUA_GCCOLLECT, 0);
      break;
    default:
      break;
  }
  lua_pushnumber(lua, option >= kSetPause ? kUnchanged : 0);
  return 1;
}

void Open(lua_State* lua, const char* name, lua_CFunction open) {
  lua_pushcfunction(lua, open);
  lua_pushstring(lua, name);
  lua_call(lua, 1, 0);
}

// A library that gives its table back.
void OpenAs(lua_State* lua, const char* name, lua_CFunction open) {
  lua_pushcfunction(lua, open);
  lua_pushstring(lua, name);
  lua_call(lua, 1, 1);
  lua_setglobal(lua, name);
}

void OpenLibraries(lua_State* lua) {
  Open(lua, "", luaopen_base);
  Open(lua, LUA_TABLIBNAME, luaopen_table);
  Open(lua, LUA_STRLIBNAME, luaopen_string);
  Open(lua, LUA_MATHLIBNAME, luaopen_math);
  OpenAs(lua, "cjson", luaopen_cjson);
  OpenAs(lua, "bit", luaopen_bit);
  OpenAs(lua, "cmsgpack", OpenMessagePack);
  OpenAs(lua, "struct", OpenStruct);
}

// Of the table on top: a function of it gets one of ours around it.
void Wrap(lua_State* lua, const char* name, lua_CFunction function) {
  lua_getfield(lua, -1, name);
  lua_pushcclosure(lua, function, 1);
  lua_setfield(lua, -2, name);
}

void Replace(lua_State* lua, const char* name, lua_CFunction function) {
  lua_pushcfunction(lua, function);
  lua_setfield(lua, -2, name);
}

// Of the real globals on top.
void ReplaceBase(lua_State* lua) {
  lua_pushcfunction(lua, Next);
  lua_pushvalue(lua, -1);
  lua_setfield(lua, -3, "next");
  lua_pushcclosure(lua, Pairs, 1);
  lua_setfield(lua, -2, "pairs");
  Replace(lua, "rawget", RawGet);
  Replace(lua, "rawset", RawSet);
  Replace(lua, "getmetatable", GetMetatable);
  Replace(lua, "setmetatable", SetMetatable);
  Replace(lua, "loadstring", LoadString);
  Replace(lua, "collectgarbage", CollectGarbage);
  Replace(lua, "load", Load);
  lua_getfield(lua, -1, "table");
  Wrap(lua, "insert", TableInsert);
  lua_pop(lua, 1);
  lua_getfield(lua, -1, "string");
  for (const char* name : {"find", "match", "gmatch", "gsub"}) Wrap(lua, name, MatchPattern);
  lua_pop(lua, 1);
}

// What there is beside it is taken away. As Redis's lists, without newproxy: its objects may have
// finalizers, which run when nothing watches over them.
constexpr const char* kAllowed[] = {"_G",       "_VERSION",   "assert",         "bit",
                                    "cjson",    "cmsgpack",   "collectgarbage", "coroutine",
                                    "error",    "gcinfo",     "getmetatable",   "ipairs",
                                    "load",     "loadstring", "math",           "next",
                                    "pairs",    "pcall",      "rawequal",       "rawget",
                                    "rawset",   "redis",      "select",         "setmetatable",
                                    "string",   "struct",     "table",          "tonumber",
                                    "tostring", "type",       "unpack",         "xpcall"};

bool IsAllowed(const char* name) {
  return std::any_of(std::begin(kAllowed), std::end(kAllowed),
                     [name](const char* allowed) { return std::strcmp(allowed, name) == 0; });
}

// Of the real globals on top. The tables among them are protected, and what is not allowed is gone.
void ProtectGlobals(lua_State* lua) {
  lua_pushnil(lua);
  while (lua_next(lua, -2) != 0) {
    const bool allowed = lua_type(lua, -2) == LUA_TSTRING && IsAllowed(lua_tostring(lua, -2));
    if (allowed && !lua_istable(lua, -1)) {
      lua_pop(lua, 1);
      continue;
    }
    // To a field that is there a value may be given while the table is walked through.
    lua_pushvalue(lua, -2);
    if (allowed) {
      lua_pushvalue(lua, -2);
      Protect(lua);
    } else {
      lua_pushnil(lua);
    }
    lua_rawset(lua, -5);
    lua_pop(lua, 1);
  }
}

// Methods of strings are found where scripts cannot change them.
void ProtectStrings(lua_State* lua) {
  lua_pushliteral(lua, "");
  if (lua_getmetatable(lua, -1) != 0) {
    lua_getfield(lua, -3, "string");  // as it is shown
    lua_setfield(lua, -2, "__index");
    lua_pop(lua, 1);
  }
  lua_pop(lua, 1);
}

}  // namespace

ScriptInterpreter& InterpreterOf(lua_State* lua) {
  return *static_cast<ScriptInterpreter*>(lua_touserdata(lua, lua_upvalueindex(1)));
}

void ScriptSandbox::Close(lua_State* lua, ScriptInterpreter& interpreter) {
  OpenLibraries(lua);
  PushRedisTable(lua, interpreter);
  lua_setglobal(lua, "redis");
  lua_pushvalue(lua, LUA_GLOBALSINDEX);
  ReplaceBase(lua);
  ReplaceFunctions(lua, interpreter);
  lua_pushnil(lua);
  lua_setfield(lua, -2, "_G");
  ProtectGlobals(lua);
  ProtectStrings(lua);
  lua_newtable(lua);
  lua_pushcfunction(lua, OnMissingGlobal);
  lua_setfield(lua, -2, "__index");
  lua_setmetatable(lua, -2);
  lua_pushvalue(lua, -1);
  Register(lua, &real_globals_key);
  lua_pushvalue(lua, -1);
  Protect(lua);
  lua_pushvalue(lua, -1);
  lua_setfield(lua, -3, "_G");
  lua_replace(lua, LUA_GLOBALSINDEX);
  lua_pop(lua, 1);
}

void ScriptSandbox::SetGlobal(lua_State* lua, const char* name) {
  PushRegistered(lua, &real_globals_key);
  lua_insert(lua, -2);
  lua_pushstring(lua, name);
  lua_insert(lua, -2);
  lua_rawset(lua, -3);
  lua_pop(lua, 1);
}

}  // namespace tidegate
