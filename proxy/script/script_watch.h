// ScriptWatch: what the rest of the process sees of the long script that runs now: whether others
// are told so (-BUSY), whether it may still be ended, and who asked for that. The holder of the
// script token writes it, and there is one (script_token.h); any thread reads it.
#pragma once

#include <atomic>
#include <cstdint>

namespace tidegate {

class ScriptWatch final {
 public:
  enum class KillResult : uint8_t { kAsked, kNoneRuns, kHasWritten };

  // By the holder of the token.
  void Begin() { running_.store(true, std::memory_order_release); }
  void SetBusy() { busy_.store(true, std::memory_order_relaxed); }
  void SetWritten() { written_.store(true, std::memory_order_relaxed); }
  bool kill_asked() const { return kill_.load(std::memory_order_relaxed); }
  void End() {
    running_.store(false, std::memory_order_relaxed);
    busy_.store(false, std::memory_order_relaxed);
    written_.store(false, std::memory_order_relaxed);
    kill_.store(false, std::memory_order_relaxed);
  }

  // Any thread. It has run for longer than busy-reply-threshold.
  bool busy() const { return busy_.load(std::memory_order_relaxed); }
  KillResult Kill() {
    if (!running_.load(std::memory_order_acquire)) return KillResult::kNoneRuns;
    if (written_.load(std::memory_order_relaxed)) return KillResult::kHasWritten;
    kill_.store(true, std::memory_order_relaxed);
    return KillResult::kAsked;
  }

 private:
  std::atomic<bool> running_{false};
  std::atomic<bool> busy_{false};
  std::atomic<bool> written_{false};
  std::atomic<bool> kill_{false};
};

}  // namespace tidegate
