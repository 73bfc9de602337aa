#include "storage/script_interpreter.h"

#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "base/text.h"
#include "storage/script/lua.h"
#include "storage/script/sandbox.h"
#include "storage/script/script_values.h"

namespace tidegate {
namespace {

// Lua collects when there is twice as much as after the last time. What scripts share is small, and
// to mark it anew would cost more than all else: so there is a block that nobody touches beside it.
constexpr size_t kBallastBytes = (1_MiB).count;
// Memory above which everything is collected once a script is through.
constexpr size_t kCollectedBytesMin = (16_MiB).count;

// Bytes of a text that an error reply quotes. As Redis.
constexpr size_t kQuotedBytesMax = 100;

// Where the state keeps its interpreter, for functions without an upvalue.
ScriptInterpreter& Owner(lua_State* lua) {
  void* self = nullptr;
  lua_getallocf(lua, &self);
  return *static_cast<ScriptInterpreter*>(self);
}

int CloseSandbox(lua_State* lua) {
  ScriptSandbox::Close(lua, Owner(lua));
  lua_newuserdata(lua, kBallastBytes);
  lua_setfield(lua, LUA_REGISTRYINDEX, "ballast");
  return 0;
}

}  // namespace

ScriptInterpreter::ScriptInterpreter(OutputBlockPool& blocks)
    : out_(blocks), reply_(out_), random_(0x1234abcd330e) {
  lua_ = lua_newstate(&ScriptInterpreter::Allocate, this);
  TG_CHECK(lua_ != nullptr);
  TG_CHECK(lua_cpcall(lua_, CloseSandbox, nullptr) == 0);
  lua_gc(lua_, LUA_GCCOLLECT, 0);
}

ScriptInterpreter::~ScriptInterpreter() { lua_close(lua_); }

void* ScriptInterpreter::Allocate(void* self, void* block, size_t old_bytes, size_t new_bytes) {
  auto& interpreter = *static_cast<ScriptInterpreter*>(self);
  if (new_bytes == 0) {
    interpreter.memory_bytes_ -= old_bytes;
    std::free(block);
    return nullptr;
  }
  const size_t memory_bytes = interpreter.memory_bytes_ - old_bytes + new_bytes;
  // To take less must always succeed.
  if (new_bytes > old_bytes && memory_bytes > kScriptMemoryBytesMax.count) return nullptr;
  void* moved = std::realloc(block, new_bytes);
  if (moved == nullptr) return nullptr;
  interpreter.memory_bytes_ = memory_bytes;
  return moved;
}

size_t ScriptInterpreter::memory_bytes() const { return memory_bytes_ - kBallastBytes; }

CompiledScript* ScriptInterpreter::Find(std::string_view sha) {
  const auto found = scripts_.find(sha);
  return found == scripts_.end() ? nullptr : &found->second;
}

int ScriptInterpreter::CompileProtected(lua_State* lua) {
  ScriptInterpreter& self = Owner(lua);
  // A space ahead, so that it is never taken for bytecode.
  struct Source {
    std::string_view text;
    bool begun = false;
  } source{self.chunk_};
  const auto read = [](lua_State*, void* data, size_t* size) -> const char* {
    auto& from = *static_cast<Source*>(data);
    if (!from.begun) {
      from.begun = true;
      *size = 1;
      return " ";
    }
    *size = from.text.size();
    const char* text = from.text.data();
    from.text = {};
    return text;
  };
  if (lua_load(lua, read, &source, "@user_script") != 0) return lua_error(lua);
  lua_pushinteger(lua, luaL_ref(lua, LUA_REGISTRYINDEX));
  lua_setfield(lua, LUA_REGISTRYINDEX, "compiled");
  return 0;
}

bool ScriptInterpreter::Compile(std::string_view sha, std::string_view text, std::string& error) {
  ScriptFlags flags;
  size_t body_begin = 0;
  error = ParseScriptFlags(text, flags, body_begin);
  if (!error.empty()) return false;
  chunk_ = text.substr(body_begin);
  if (lua_cpcall(lua_, CompileProtected, nullptr) != 0) {
    error = "Error compiling script (new function): " + std::string(TextAt(lua_, -1));
    lua_settop(lua_, 0);
    return false;
  }
  lua_getfield(lua_, LUA_REGISTRYINDEX, "compiled");
  const int reference = static_cast<int>(lua_tointeger(lua_, -1));
  lua_settop(lua_, 0);
  scripts_.insert_or_assign(std::string(sha),
                            CompiledScript{.reference = reference, .flags = flags});
  return true;
}

void ScriptInterpreter::PushArguments() {
  const auto set = [this](const char* name, std::span<const std::string_view> values) {
    lua_createtable(lua_, static_cast<int>(values.size()), 0);
    int i = 0;
    for (const std::string_view value : values) {
      PushText(lua_, value);
      lua_rawseti(lua_, -2, ++i);
    }
    ScriptSandbox::SetGlobal(lua_, name);
  };
  set("KEYS", call_.keys);
  set("ARGV", call_.args);
}

// Leaves its one result on the stack, or raises its error.
int ScriptInterpreter::RunProtected(lua_State* lua) {
  ScriptInterpreter& self = Owner(lua);
  self.PushArguments();
  lua_pushcfunction(lua, OnError);
  lua_rawgeti(lua, LUA_REGISTRYINDEX, self.script_->reference);
  // A former call may have changed it.
  lua_pushvalue(lua, LUA_GLOBALSINDEX);
  lua_setfenv(lua, -2);
  self.failed_ = lua_pcall(lua, 0, 1, -2) != 0;
  lua_setfield(lua, LUA_REGISTRYINDEX, "result");
  return 0;
}

void ScriptInterpreter::Run(const Call& call) {
  call_ = call;
  call_sha_ = call.sha;
  script_ = &scripts_.find(call.sha)->second;
  ending_ = false;
  protocol_ = Protocol::kResp2;
  reply_elements_ = kScriptReplyElementsMax;
  lua_sethook(lua_, OnHook, LUA_MASKCOUNT, kScriptHookInstructions);
  if (lua_cpcall(lua_, RunProtected, nullptr) != 0) {
    // Its own errors are caught; this is one of setting out.
    failed_ = true;
    lua_setfield(lua_, LUA_REGISTRYINDEX, "result");
  }
  lua_sethook(lua_, nullptr, 0, 0);
  lua_settop(lua_, 0);
  out_.Clear();
  call_.host = nullptr;
}

int ScriptInterpreter::ReplyProtected(lua_State* lua) {
  ScriptInterpreter& self = Owner(lua);
  lua_getfield(lua, LUA_REGISTRYINDEX, "result");
  ReplyWriter& reply = *self.final_reply_;
  if (self.failed_) {
    self.WriteError(reply);
    return 0;
  }
  const size_t mark = reply.out().Mark();
  if (WriteValue(lua, reply, self.protocol_, self.reply_elements_)) return 0;
  reply.out().Truncate(mark);
  reply.Error("ERR the reply of the script has too many elements");
  return 0;
}

void ScriptInterpreter::WriteReply(ReplyWriter& reply) {
  final_reply_ = &reply;
  const size_t mark = reply.out().Mark();
  if (lua_cpcall(lua_, ReplyProtected, nullptr) != 0) {
    reply.out().Truncate(mark);
    reply.Error("ERR not enough memory for the reply of the script");
  }
  lua_settop(lua_, 0);
  lua_pushnil(lua_);
  lua_setfield(lua_, LUA_REGISTRYINDEX, "result");
  if (memory_bytes_ > kCollectedBytesMin) lua_gc(lua_, LUA_GCCOLLECT, 0);
}

// The error is on top: a table that OnError has made, or a text of Lua's own (no memory).
void ScriptInterpreter::WriteError(ReplyWriter& reply) {
  std::string& text = error_;
  if (!lua_istable(lua_, -1)) {
    const std::string_view message =
        lua_isstring(lua_, -1) != 0 ? TextAt(lua_, -1) : std::string_view("execution failure");
    text = "ERR Error running script ";
    text += call_sha_;
    text += ", ";
    text += message.substr(0, kQuotedBytesMax);
    return reply.Error(text);
  }
  const auto field = [this](const char* name) {
    lua_pushstring(lua_, name);
    lua_rawget(lua_, -2);
    return lua_isstring(lua_, -1) != 0;
  };
  text = field("err") ? std::string_view(lua_tostring(lua_, -1)) : std::string_view("(null)");
  lua_pop(lua_, 1);
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  const bool has_source = field("source");
  lua_insert(lua_, -2);
  const bool has_line = field("line");
  if (has_source && has_line) {
    text += " script: ";
    text += call_sha_;
    text += ", on ";
    text += TextAt(lua_, -3);
    text += ":";
    text += TextAt(lua_, -1);
    text += ".";
  }
  reply.Error(text);
}

// Where the error was raised, as Redis's handler finds it: of a function in C, its caller.
int ScriptInterpreter::OnError(lua_State* lua) {
  lua_Debug debug{};
  bool known = lua_getstack(lua, 1, &debug) != 0 && lua_getinfo(lua, "Sl", &debug) != 0;
  if (known && std::strcmp(debug.what, "C") == 0) {
    known = lua_getstack(lua, 2, &debug) != 0 && lua_getinfo(lua, "Sl", &debug) != 0;
  }
  if (!lua_istable(lua, 1)) {
    lua_newtable(lua);
    if (lua_isstring(lua, 1) != 0) {
      lua_pushliteral(lua, "ERR ");
      lua_pushvalue(lua, 1);
    } else if (lua_isboolean(lua, 1)) {
      lua_pushliteral(lua, "ERR ");
      lua_pushstring(lua, lua_toboolean(lua, 1) != 0 ? "true" : "false");
    } else if (lua_isnil(lua, 1)) {
      lua_pushliteral(lua, "ERR ");
      lua_pushliteral(lua, "nil");
    } else {
      lua_pushliteral(lua, "ERR ");
      lua_pushfstring(lua, "%s: %p", luaL_typename(lua, 1), lua_topointer(lua, 1));
    }
    lua_concat(lua, 2);
    lua_setfield(lua, -2, "err");
    lua_replace(lua, 1);
    lua_settop(lua, 1);
  }
  if (known) {
    lua_pushstring(lua, debug.source);
    lua_setfield(lua, 1, "source");
    lua_pushinteger(lua, debug.currentline);
    lua_setfield(lua, 1, "line");
  }
  lua_settop(lua, 1);
  return 1;
}

// Once it has to end, each line that it still runs raises the error again: it cannot catch it.
void ScriptInterpreter::OnHook(lua_State* lua, lua_Debug* /*debug*/) {
  ScriptInterpreter& self = Owner(lua);
  if (!self.ending_ && self.call_.host != nullptr && !self.call_.host->GoOn()) self.ending_ = true;
  if (!self.ending_) return;
  lua_sethook(lua, OnHook, LUA_MASKLINE, 0);
  RaiseError(lua, self.call_.host->ending());
}

int RaiseError(lua_State* lua, std::string_view text) {
  PushError(lua, text);
  return lua_error(lua);
}

// As Redis's luaPushErrorBuff.
void PushError(lua_State* lua, std::string_view text) {
  std::string_view code = "ERR";
  std::string_view message = text;
  if (text.starts_with('-')) {
    const size_t space = text.find(' ');
    message = text.substr(space == std::string_view::npos ? 1 : space + 1);
    if (space != std::string_view::npos) code = text.substr(1, space - 1);
  }
  const auto is_line_end = [](char c) { return c == '\r' || c == '\n'; };
  while (!message.empty() && is_line_end(message.front())) message.remove_prefix(1);
  while (!message.empty() && is_line_end(message.back())) message.remove_suffix(1);
  lua_createtable(lua, 0, 4);
  PushText(lua, code);
  lua_pushliteral(lua, " ");
  PushText(lua, message);
  lua_concat(lua, 3);
  lua_setfield(lua, -2, "err");
}

}  // namespace tidegate
