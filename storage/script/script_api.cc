// The functions of `redis`, and those of Lua's that Redis has others for.
#include <cmath>
#include <cstdio>
#include <cstring>

#include "base/log.h"
#include "base/sha1.h"
#include "storage/script/lua.h"
#include "storage/script/sandbox.h"
#include "storage/script/script_values.h"
#include "storage/script_interpreter.h"

namespace tidegate {

// Access to the interpreter's state for functions that Lua calls. None of them has an object with a
// destructor alive when it calls something of Lua's that may raise an error.
struct ScriptApi {
  static bool Running(lua_State* lua) { return InterpreterOf(lua).call_.host != nullptr; }

  // Numbers become text as Redis writes them: with all their digits. False: one of the values is
  // neither a string nor a number.
  static bool TakeArguments(lua_State* lua) {
    std::vector<std::string_view>& arguments = InterpreterOf(lua).arguments_;
    arguments.clear();
    const int count = lua_gettop(lua);
    for (int i = 1; i <= count; ++i) {
      if (lua_type(lua, i) == LUA_TNUMBER) {
        char digits[64];
        const int size = std::snprintf(digits, sizeof digits, "%.17g", lua_tonumber(lua, i));
        lua_pushlstring(lua, digits, static_cast<size_t>(size));
        lua_replace(lua, i);
      } else if (lua_type(lua, i) != LUA_TSTRING) {
        return false;
      }
      arguments.push_back(TextAt(lua, i));
    }
    return true;
  }

  // What is wrong with the arguments; null: nothing.
  static const char* CheckArguments(lua_State* lua) {
    if (lua_gettop(lua) == 0) return "Please specify at least one argument for this redis lib call";
    if (!TakeArguments(lua)) return "Lua redis lib command arguments must be strings or integers";
    return nullptr;
  }

  static int Fail(lua_State* lua, bool raises) { return raises ? lua_error(lua) : 1; }

  static int CallCommand(lua_State* lua, bool raises) {
    if (!Running(lua))
      return RaiseError(lua, "redis.call/pcall can only be called inside a script invocation");
    if (const char* error = CheckArguments(lua)) {
      PushError(lua, error);
      return Fail(lua, raises);
    }
    ScriptInterpreter& self = InterpreterOf(lua);
    self.out_.Clear();
    self.error_.clear();
    self.reply_.set_protocol(self.protocol_);
    switch (self.call_.host->Call(self.arguments_, self.reply_, self.error_)) {
      case ScriptHost::CallResult::kEnd:
        self.ending_ = true;
        lua_sethook(lua, ScriptInterpreter::OnHook, LUA_MASKLINE, 0);
        return RaiseError(lua, self.call_.host->ending());
      case ScriptHost::CallResult::kRefused:
        PushError(lua, self.error_);
        lua_pushboolean(lua, 1);
        lua_setfield(lua, -2, "ignore_error_stats_update");
        return Fail(lua, raises);
      case ScriptHost::CallResult::kReplied:
        break;
    }
    OutputBuffer::Piece piece{};
    std::string_view encoded;
    if (self.out_.blocks() == 1 && self.out_.Peek(&piece, 1) == 1) {
      encoded = {piece.data, piece.size};
    } else {
      self.text_ = self.out_.CopyFrom(0);
      encoded = self.text_;
    }
    lua_settop(lua, 0);
    const bool failed = encoded.starts_with('-');
    PushReply(lua, encoded);
    if (self.text_.capacity() > kKeptTextBytes) self.text_ = std::string();
    return failed ? Fail(lua, raises) : 1;
  }
  // Of a long reply's copy, as much stays for the next one.
  static constexpr size_t kKeptTextBytes = 64 * 1024;

  static int Call(lua_State* lua) { return CallCommand(lua, true); }
  static int ProtectedCall(lua_State* lua) { return CallCommand(lua, false); }

  static int SetProtocol(lua_State* lua) {
    if (!Running(lua))
      return RaiseError(lua, "redis.setresp can only be called inside a script invocation");
    if (lua_gettop(lua) != 1) return RaiseError(lua, "redis.setresp() requires one argument.");
    const auto version = static_cast<int>(lua_tonumber(lua, 1));
    if (version != 2 && version != 3) return RaiseError(lua, "RESP version must be 2 or 3.");
    InterpreterOf(lua).protocol_ = version == 3 ? Protocol::kResp3 : Protocol::kResp2;
    return 0;
  }

  static int CheckAcl(lua_State* lua) {
    if (!Running(lua))
      return RaiseError(lua, "redis.acl_check_cmd can only be called inside a script invocation");
    if (const char* error = CheckArguments(lua)) return RaiseError(lua, error);
    ScriptInterpreter& self = InterpreterOf(lua);
    if (!self.call_.host->Knows(self.arguments_))
      return RaiseError(lua, "Invalid command passed to redis.acl_check_cmd()");
    lua_pushboolean(lua, 1);
    return 1;
  }

  static int SetRepl(lua_State* lua) {
    if (!Running(lua))
      return RaiseError(lua, "redis.set_repl can only be called inside a script invocation");
    if (lua_gettop(lua) != 1) return RaiseError(lua, "redis.set_repl() requires two arguments.");
    if ((static_cast<int>(lua_tonumber(lua, 1)) & ~kReplAll) != 0) {
      return RaiseError(lua,
                        "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or "
                        "REPL_NONE.");
    }
    return 0;
  }
  static constexpr int kReplAof = 1;
  static constexpr int kReplReplica = 2;
  static constexpr int kReplAll = kReplAof | kReplReplica;

  // redisLrand48: the same numbers from the same seed on every machine.
  static constexpr uint64_t kRandomMask = (uint64_t{1} << 48) - 1;
  static constexpr int32_t kRandomMax = INT32_MAX;
  static int32_t NextRandom(uint64_t& state) {
    state = (state * 0x5deece66d + 0xb) & kRandomMask;
    return static_cast<int32_t>(state >> 17);
  }

  static int Random(lua_State* lua) {
    if (!Running(lua))
      return luaL_error(lua, "math.random can only be called inside a script invocation");
    const double random =
        static_cast<double>(NextRandom(InterpreterOf(lua).random_) % kRandomMax) / kRandomMax;
    switch (lua_gettop(lua)) {
      case 0:
        lua_pushnumber(lua, random);
        return 1;
      case 1: {
        const int upper = luaL_checkint(lua, 1);
        luaL_argcheck(lua, 1 <= upper, 1, "interval is empty");
        lua_pushnumber(lua, std::floor(random * upper) + 1);
        return 1;
      }
      case 2: {
        const int lower = luaL_checkint(lua, 1);
        const int upper = luaL_checkint(lua, 2);
        luaL_argcheck(lua, lower <= upper, 2, "interval is empty");
        const double size = static_cast<double>(upper) - lower + 1;
        lua_pushnumber(lua, std::floor(random * size) + lower);
        return 1;
      }
      default:
        return luaL_error(lua, "wrong number of arguments");
    }
  }

  static int SeedRandom(lua_State* lua) {
    if (!Running(lua))
      return luaL_error(lua, "math.randomseed can only be called inside a script invocation");
    const auto seed = static_cast<uint32_t>(luaL_checkint(lua, 1));
    InterpreterOf(lua).random_ = uint64_t{seed} << 16 | 0x330e;
    return 0;
  }

  // Redis's: an error that is a table becomes its text, as it was before errors were tables. What
  // ends a script is not caught.
  static int CatchErrors(lua_State* lua) {
    luaL_checkany(lua, 1);
    const int status = lua_pcall(lua, lua_gettop(lua) - 1, LUA_MULTRET, 0);
    if (status == 0) {
      lua_pushboolean(lua, 1);
      lua_insert(lua, 1);
      return lua_gettop(lua);
    }
    if (InterpreterOf(lua).ending_) return lua_error(lua);
    if (lua_istable(lua, -1)) {
      lua_getfield(lua, -1, "err");
      if (lua_isstring(lua, -1) != 0) {
        lua_replace(lua, -2);
      } else {
        lua_pop(lua, 1);
      }
    }
    lua_pushboolean(lua, 0);
    lua_insert(lua, -2);
    return 2;
  }
};

namespace {

int Sha1HexOf(lua_State* lua) {
  if (lua_gettop(lua) != 1) return RaiseError(lua, "wrong number of arguments");
  char digits[40];
  {
    const std::string hex = Sha1Hex(TextAt(lua, 1));
    std::memcpy(digits, hex.data(), sizeof digits);
  }
  lua_pushlstring(lua, digits, sizeof digits);
  return 1;
}

bool IsOneString(lua_State* lua) { return lua_gettop(lua) == 1 && lua_type(lua, 1) == LUA_TSTRING; }

int ErrorReply(lua_State* lua) {
  if (!IsOneString(lua)) {
    PushError(lua, "wrong number or type of arguments");
    return 1;
  }
  if (!TextAt(lua, 1).starts_with('-')) {
    lua_pushliteral(lua, "-");
    lua_insert(lua, 1);
    lua_concat(lua, 2);
  }
  const std::string_view text = TextAt(lua, 1);
  PushError(lua, text.substr(0, text.find('\0')));
  return 1;
}

int StatusReply(lua_State* lua) {
  if (!IsOneString(lua)) {
    PushError(lua, "wrong number or type of arguments");
    return 1;
  }
  lua_createtable(lua, 0, 1);
  lua_pushvalue(lua, 1);
  lua_setfield(lua, -2, "ok");
  return 1;
}

int WriteLog(lua_State* lua) {
  const int count = lua_gettop(lua);
  if (count < 2) return RaiseError(lua, "redis.log() requires two arguments or more.");
  if (lua_isnumber(lua, 1) == 0)
    return RaiseError(lua, "First argument must be a number (log level).");
  const auto level = static_cast<int>(lua_tonumber(lua, 1));
  if (level < static_cast<int>(LogSeverity::kDebug) ||
      level > static_cast<int>(LogSeverity::kWarning))
    return RaiseError(lua, "Invalid debug level.");
  lua_pushliteral(lua, "");
  for (int i = 2; i <= count; ++i) {
    if (lua_isstring(lua, i) == 0) continue;
    if (i != 2) lua_pushliteral(lua, " ");
    lua_pushvalue(lua, i);
    lua_concat(lua, i != 2 ? 3 : 2);
  }
  log::WriteOfKind(LogKind::kClient, static_cast<LogSeverity>(level), TextAt(lua, -1));
  return 0;
}

int ReturnTrue(lua_State* lua) {
  lua_pushboolean(lua, 1);
  return 1;
}

int ReturnFalse(lua_State* lua) {
  lua_pushboolean(lua, 0);
  return 1;
}

int ReturnNothing(lua_State* /*lua*/) { return 0; }

// Of the table on top.
void SetNumber(lua_State* lua, const char* name, int value) {
  lua_pushinteger(lua, value);
  lua_setfield(lua, -2, name);
}

void SetFunction(lua_State* lua, const char* name, lua_CFunction function,
                 ScriptInterpreter& interpreter) {
  lua_pushlightuserdata(lua, &interpreter);
  lua_pushcclosure(lua, function, 1);
  lua_setfield(lua, -2, name);
}

// The Redis whose behaviour this is.
constexpr const char* kRedisVersion = "7.0.15";
constexpr int kRedisVersionNumber = 0x0007000f;

}  // namespace

void PushRedisTable(lua_State* lua, ScriptInterpreter& interpreter) {
  lua_newtable(lua);
  SetFunction(lua, "call", ScriptApi::Call, interpreter);
  SetFunction(lua, "pcall", ScriptApi::ProtectedCall, interpreter);
  SetFunction(lua, "setresp", ScriptApi::SetProtocol, interpreter);
  SetFunction(lua, "acl_check_cmd", ScriptApi::CheckAcl, interpreter);
  SetFunction(lua, "set_repl", ScriptApi::SetRepl, interpreter);
  SetFunction(lua, "sha1hex", Sha1HexOf, interpreter);
  SetFunction(lua, "error_reply", ErrorReply, interpreter);
  SetFunction(lua, "status_reply", StatusReply, interpreter);
  SetFunction(lua, "log", WriteLog, interpreter);
  SetFunction(lua, "breakpoint", ReturnFalse, interpreter);
  SetFunction(lua, "debug", ReturnNothing, interpreter);
  SetFunction(lua, "replicate_commands", ReturnTrue, interpreter);
  SetNumber(lua, "LOG_DEBUG", 0);
  SetNumber(lua, "LOG_VERBOSE", 1);
  SetNumber(lua, "LOG_NOTICE", 2);
  SetNumber(lua, "LOG_WARNING", 3);
  SetNumber(lua, "REPL_NONE", 0);
  SetNumber(lua, "REPL_AOF", ScriptApi::kReplAof);
  SetNumber(lua, "REPL_SLAVE", ScriptApi::kReplReplica);
  SetNumber(lua, "REPL_REPLICA", ScriptApi::kReplReplica);
  SetNumber(lua, "REPL_ALL", ScriptApi::kReplAll);
  SetNumber(lua, "REDIS_VERSION_NUM", kRedisVersionNumber);
  lua_pushstring(lua, kRedisVersion);
  lua_setfield(lua, -2, "REDIS_VERSION");
}

void ReplaceFunctions(lua_State* lua, ScriptInterpreter& interpreter) {
  SetFunction(lua, "pcall", ScriptApi::CatchErrors, interpreter);
  lua_getfield(lua, -1, "math");
  SetFunction(lua, "random", ScriptApi::Random, interpreter);
  SetFunction(lua, "randomseed", ScriptApi::SeedRandom, interpreter);
  lua_pop(lua, 1);
}

}  // namespace tidegate
