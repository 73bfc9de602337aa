// Scripting: what the workers share of the scripts that the engine executes, and each worker's own.
//
// Shared are the texts, by their SHA1, so that a script that was loaded once is known on all
// workers; the token that lets one script write at a time; and what is told of a long one. Each
// worker has an interpreter, which it makes when it runs its first script, and compiles scripts
// there when it first runs them. SCRIPT FLUSH makes all interpreters anew.
// Owner: the server's ScriptTexts. Thread: any, but for OfWorker.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/output_buffer.h"
#include "base/text_hash.h"
#include "base/thread_annotations.h"
#include "proxy/script/script_token.h"
#include "proxy/script/script_watch.h"
#include "storage/script_interpreter.h"

namespace tidegate {

// Texts that are kept, and their bytes. Beyond it those go that came first: scripts with values in
// their text come once and never again. Their callers hear of NOSCRIPT.
inline constexpr size_t kCachedScriptsMax = 4096;
inline constexpr Bytes kCachedScriptsBytesMax = 64_MiB;

// Texts whose SHA1 a worker remembers, and bytes of one of them: it is most of what EVAL of a short
// script costs.
inline constexpr size_t kRememberedShasMax = 256;
inline constexpr Bytes kRememberedTextBytesMax = 16_KiB;

// What one worker has. Its thread's.
struct WorkerScripts {
  OutputBlockPool blocks;
  std::unique_ptr<ScriptInterpreter> interpreter;
  uint64_t generation = 0;
  std::unordered_map<std::string, std::string, TextHash, std::equal_to<>> shas;  // by text
  const std::string& ShaOf(std::string_view text);
  // A script that is not through is in the interpreter; who else wants it is woken then.
  bool in_use = false;
  std::vector<uint64_t> waiting;        // tickets
  std::atomic<size_t> memory_bytes{0};  // any thread
};

struct ScriptingFigures {
  size_t scripts = 0;
  size_t text_bytes = 0;
  size_t lua_bytes = 0;
};

class Scripting final {
 public:
  Scripting();
  ~Scripting();
  Scripting(const Scripting&) = delete;
  Scripting& operator=(const Scripting&) = delete;

  // Whether it is there from now on: a text of the whole cache's size is not.
  void Keep(std::string_view sha, std::string_view text) TG_EXCLUDES(mutex_);
  // Null: it is not known. `sha` in lower case.
  std::shared_ptr<const std::string> Find(std::string_view sha) const TG_EXCLUDES(mutex_);
  void Flush() TG_EXCLUDES(mutex_);
  ScriptingFigures Figures() const TG_EXCLUDES(mutex_);

  // With its interpreter, which knows nothing that was flushed. On the worker's thread.
  WorkerScripts& OfWorker(int index);
  ScriptToken& token() { return token_; }
  ScriptWatch& watch() { return watch_; }

 private:
  void Drop(const std::string& sha) TG_REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<const std::string>> texts_ TG_GUARDED_BY(mutex_);
  std::deque<std::string> order_ TG_GUARDED_BY(mutex_);  // of their coming
  size_t text_bytes_ TG_GUARDED_BY(mutex_) = 0;
  // What interpreters may still know: it is another one when something was dropped.
  std::atomic<uint64_t> generation_{1};
  ScriptToken token_;
  ScriptWatch watch_;
  std::vector<std::unique_ptr<WorkerScripts>> workers_;
};

}  // namespace tidegate
