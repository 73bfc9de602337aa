// ScriptTexts: the texts of scripts that clients have sent to upstreams, by their SHA1, so that an
// EVALSHA which meets a node that has not got the script (it was started anew, a failover made it
// the primary, it is a replica) can be sent again with the text.
//
// Kept is what comes in SCRIPT LOAD and EVAL, when it is sent, so also what a node then refuses to
// compile: whoever calls that hears of NOSCRIPT all the same. SCRIPT FLUSH forgets everything.
// Bounded in number and bytes; the one that was used longest ago goes first. A text that is known
// already, the usual case of EVAL, is recognized by a quick hash and a comparison; its SHA1 is
// computed once. One per process, for all clusters: a script is its text, whoever sent it. Any
// thread; the lock is held for a look-up. Cost: nothing for who sends no script.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/bytes.h"
#include "base/thread_annotations.h"

namespace tidegate {

class Scripting;

// Texts that are kept. Applications have tens of scripts; those that put values into the text have
// any number, and need none of them again.
inline constexpr size_t kScriptTextsMax = 1024;
// All of them, and one of them; larger ones are not kept.
inline constexpr Bytes kScriptTextsBytesMax = 16_MiB;
inline constexpr Bytes kScriptTextBytesMax = 1_MiB;

class ScriptTexts final {
 public:
  ScriptTexts();
  ~ScriptTexts();
  ScriptTexts(const ScriptTexts&) = delete;
  ScriptTexts& operator=(const ScriptTexts&) = delete;

  void Keep(std::string_view text) TG_EXCLUDES(mutex_);
  // `sha`: hexadecimal digits of either case. Null: it is not known.
  std::shared_ptr<const std::string> Find(std::string_view sha) TG_EXCLUDES(mutex_);
  void Clear() TG_EXCLUDES(mutex_);

  // Those that the engine executes.
  Scripting& scripting() { return *scripting_; }

  size_t count() const TG_EXCLUDES(mutex_);
  size_t bytes() const TG_EXCLUDES(mutex_);

 private:
  struct Script {
    std::string sha;
    uint64_t hash;
    std::shared_ptr<const std::string> text;
  };
  using Scripts = std::list<Script>;

  // It is known; then it was used just now.
  bool Touch(uint64_t hash, std::string_view text) TG_REQUIRES(mutex_);
  void DropOldest() TG_REQUIRES(mutex_);

  const std::unique_ptr<Scripting> scripting_;
  mutable Mutex mutex_;
  Scripts scripts_ TG_GUARDED_BY(mutex_);  // the one used last in front
  std::unordered_map<std::string, Scripts::iterator> by_sha_ TG_GUARDED_BY(mutex_);
  std::unordered_map<uint64_t, Scripts::iterator> by_hash_ TG_GUARDED_BY(mutex_);
  size_t bytes_ TG_GUARDED_BY(mutex_) = 0;
};

// Of an encoded EVALSHA or EVALSHA_RO: what it calls; empty: it is none.
std::string_view CalledScript(std::string_view encoded);
// The same call as EVAL or EVAL_RO, with the text.
std::string WithScriptText(std::string_view encoded, std::string_view text);

}  // namespace tidegate
