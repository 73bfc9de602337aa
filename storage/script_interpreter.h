// ScriptInterpreter: Lua 5.1 for one worker, closed up as Redis's is.
//
//   Compile(sha, text) ── once for each script and interpreter
//   Begin(call) ── Run: on a fiber, may be left in the middle ── WriteReply ── End
//                   │
//                   └── redis.call ──> ScriptHost::Call ──> the engine
//
// Scripts share the interpreter and must not see each other: all tables that a script can reach
// without making them are read-only (sandbox.h), what is global is there before it begins, and
// compiled scripts are all that is kept. Lua raises errors by longjmp, so functions that Lua calls
// have no C++ object alive while they call Lua; what they need in between belongs to the
// interpreter.
//
// Limits: memory (kScriptMemoryBytesMax), elements of a reply, the length of a pattern; beyond them
// a script gets an error. Owner: one worker. Cost: the interpreter some 100 KiB; a call of an empty
// script some 0.3 us. Source for behaviour: Redis 7.0's script_lua.c and eval.c.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/output_buffer.h"
#include "base/reply_writer.h"
#include "base/text_hash.h"

struct lua_State;
struct lua_Debug;

namespace tidegate {

// Memory of one interpreter: its libraries, compiled scripts and what the running one makes. A
// script that wants more gets "not enough memory".
inline constexpr Bytes kScriptMemoryBytesMax = 256_MiB;

// Elements of a reply, those of nested tables counted in: a table that contains itself has no end.
inline constexpr size_t kScriptReplyElementsMax = 4'000'000;
// Tables within tables of a reply, so that writing it takes no more stack than a fiber has: deeper
// than that there is an error in a table's place.
inline constexpr size_t kScriptReplyDepthMax = 2000;

// Instructions between two looks at the clock: some 0.2 ms.
inline constexpr int kScriptHookInstructions = 50'000;

// What a script may do, from its first line ("#!lua flags=no-writes"). Without such a line a script
// is of the kind there was before there were flags.
struct ScriptFlags {
  bool declared = false;
  bool no_writes = false;
  bool allow_oom = false;
  bool allow_stale = false;
  bool no_cluster = false;
  bool allow_cross_slot = false;
};

// A script as an interpreter has it.
struct CompiledScript {
  int reference = 0;  // in Lua's registry
  ScriptFlags flags;
  // What was learned of it, for whoever runs it.
  bool writes = false;
  bool is_long = false;
  bool meets_any_key = false;
};

// Reads that line. `body_begin`: where Lua begins; the line break stays, so that lines keep their
// numbers. Empty: all is well, else the error.
std::string ParseScriptFlags(std::string_view text, ScriptFlags& flags, size_t& body_begin);

// What an interpreter wants of whoever runs a script.
class ScriptHost {
 public:
  virtual ~ScriptHost() = default;

  enum class CallResult : uint8_t {
    kReplied,  // the reply is written
    kRefused,  // `error` says why, without a code of its own unless it begins with '-'
    kEnd,      // the script has to end
  };
  // redis.call. May leave the fiber. The views are valid till it returns.
  virtual CallResult Call(std::span<const std::string_view> args, ReplyWriter& reply,
                          std::string& error) = 0;
  // Every so many instructions; may leave the fiber. False: the script has to end.
  virtual bool GoOn() = 0;
  // Why it has to, once it has.
  virtual std::string_view ending() const = 0;
  // Whether a command of that name exists, for acl_check_cmd.
  virtual bool Knows(std::span<const std::string_view> args) = 0;
};

class ScriptInterpreter final {
 public:
  explicit ScriptInterpreter(OutputBlockPool& blocks);
  ~ScriptInterpreter();
  ScriptInterpreter(const ScriptInterpreter&) = delete;
  ScriptInterpreter& operator=(const ScriptInterpreter&) = delete;

  // Null: not compiled here. Valid as long as the interpreter.
  CompiledScript* Find(std::string_view sha);
  // False: `error` says why. The flags are those of its first line.
  bool Compile(std::string_view sha, std::string_view text, std::string& error);
  size_t compiled() const { return scripts_.size(); }

  // What runs next: a script that is compiled. The views are valid until Run has returned.
  struct Call {
    std::string_view sha;
    std::span<const std::string_view> keys;
    std::span<const std::string_view> args;
    ScriptHost* host = nullptr;
  };
  // Runs it to its end, whatever that is; on a fiber, if the host leaves one. No C++ exception and
  // no Lua error gets out.
  void Run(const Call& call);
  // Once, after Run: what it returned, or its error.
  void WriteReply(ReplyWriter& reply);

  // Memory that scripts and libraries have now.
  size_t memory_bytes() const;

 private:
  friend struct ScriptApi;      // the functions of `redis`
  friend struct ScriptSandbox;  // the globals

  static void* Allocate(void* self, void* block, size_t old_bytes, size_t new_bytes);
  static int RunProtected(lua_State* lua);
  static int CompileProtected(lua_State* lua);
  static int ReplyProtected(lua_State* lua);
  static int OnError(lua_State* lua);
  static void OnHook(lua_State* lua, lua_Debug* debug);
  void PushArguments();
  void WriteError(ReplyWriter& reply);

  lua_State* lua_ = nullptr;
  size_t memory_bytes_ = 0;
  std::unordered_map<std::string, CompiledScript, TextHash, std::equal_to<>> scripts_;

  // The call under way.
  Call call_;
  const CompiledScript* script_ = nullptr;
  std::string call_sha_;  // for its error
  bool failed_ = false;
  bool ending_ = false;
  Protocol protocol_ = Protocol::kResp2;  // of what redis.call gives, redis.setresp
  size_t reply_elements_ = 0;
  ReplyWriter* final_reply_ = nullptr;
  // What is being compiled.
  std::string_view chunk_;
  // Of redis.call.
  std::vector<std::string_view> arguments_;
  std::string error_;
  std::string text_;
  OutputBuffer out_;
  ReplyWriter reply_;
  uint64_t random_;
};

}  // namespace tidegate
