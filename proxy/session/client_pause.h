// ClientPause: CLIENT PAUSE, seen by all workers.
// Sessions look at it once per batch (one relaxed load); a session whose next command is paused
// keeps its input and is listed with its worker, which runs the list when the pause ends. Threads:
// any may set; Server::EndPause tells the workers.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/thread_annotations.h"
#include "storage/command.h"

namespace tidegate {

enum class PauseMode : uint8_t { kNone, kWrite, kAll };

class ClientPause final {
 public:
  // As Redis: a pause that runs is never shortened or weakened by another, only End ends it.
  void Begin(PauseMode mode, int64_t now_unix_ms, int64_t until_unix_ms) TG_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (mode > this->mode(now_unix_ms)) mode_.store(mode, std::memory_order_relaxed);
    if (until_unix_ms > until_unix_ms_.load(std::memory_order_relaxed))
      until_unix_ms_.store(until_unix_ms, std::memory_order_release);
  }
  void End() TG_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    Clear();
  }
  // Tidies up after a pause whose time is over, so that nobody looks at it any more.
  void EndIfOver(int64_t now_unix_ms) TG_EXCLUDES(mutex_) {
    if (!possible() || until_unix_ms() > now_unix_ms) return;
    MutexLock lock(mutex_);
    if (until_unix_ms() <= now_unix_ms) Clear();
  }

  bool possible() const { return until_unix_ms_.load(std::memory_order_relaxed) != 0; }
  // kNone once the time is over.
  PauseMode mode(int64_t now_unix_ms) const {
    const int64_t until = until_unix_ms_.load(std::memory_order_acquire);
    return until > now_unix_ms ? mode_.load(std::memory_order_relaxed) : PauseMode::kNone;
  }
  int64_t until_unix_ms() const { return until_unix_ms_.load(std::memory_order_relaxed); }

  // Whether a command must wait. As Redis: writes and what may replicate in mode write; in mode all
  // everything.
  static bool Holds(PauseMode mode, const CommandSpec& spec) {
    if (mode == PauseMode::kNone) return false;
    if (mode == PauseMode::kAll) return true;
    return spec.access == Access::kWrite || (spec.flags & kMayReplicate) != 0;
  }

 private:
  void Clear() TG_REQUIRES(mutex_) {
    until_unix_ms_.store(0, std::memory_order_release);
    mode_.store(PauseMode::kNone, std::memory_order_relaxed);
  }

  Mutex mutex_;  // between changes; readers need none
  std::atomic<int64_t> until_unix_ms_{0};
  std::atomic<PauseMode> mode_{PauseMode::kNone};
};

}  // namespace tidegate
