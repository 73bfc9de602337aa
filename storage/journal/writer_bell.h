// WriterBell: how the journal's writer sleeps, and is woken.
//
// A writer that is at work (or naps for its next group) needs nobody: ringing is one load then. It
// says what it sleeps for before it looks a last time whether there is something to do, and who has
// something for it looks at that after he made it known: one of the two sees the other. An eventfd
// and not a condition variable: those who ring hold slot locks. Threads: one sleeper, any ringer.
#pragma once

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>

#include "base/check.h"
#include "base/clock.h"

namespace tidegate {

class WriterBell final {
 public:
  enum class Sleep : uint8_t {
    kNot,
    kForRecords,  // until there is a record
    kForTurns,    // until somebody wants records synced: a record alone is no reason
  };

  WriterBell() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) { TG_CHECK(fd_ >= 0); }
  ~WriterBell() { close(fd_); }
  WriterBell(const WriterBell&) = delete;
  WriterBell& operator=(const WriterBell&) = delete;

  // --- ringers ---
  void OnRecord() {
    if (__builtin_expect(sleep_.load(std::memory_order_seq_cst) == Sleep::kForRecords, 0)) Ring();
  }
  void Ring() {
    if (sleep_.exchange(Sleep::kNot, std::memory_order_seq_cst) == Sleep::kNot) return;
    rung_nanos_.store(MonotonicNanos(), std::memory_order_relaxed);
    const uint64_t one = 1;
    TG_CHECK(write(fd_, &one, sizeof one) == sizeof one);
  }

  // --- the sleeper ---
  // From here on it can be rung; look once more for work, then Wait(), or GetUp() if there is some.
  void LieDown(Sleep sleep) { sleep_.store(sleep, std::memory_order_seq_cst); }
  void Wait(std::chrono::milliseconds longest) {
    pollfd readable{fd_, POLLIN, 0};
    poll(&readable, 1, static_cast<int>(longest.count()));
    GetUp();
    uint64_t count =
        0;  // nothing to read: nobody rang, or he is about to and the next Wait is short
    static_cast<void>(!read(fd_, &count, sizeof count));
  }
  void GetUp() { sleep_.store(Sleep::kNot, std::memory_order_seq_cst); }
  // When it was last rung; monotonic.
  int64_t rung_nanos() const { return rung_nanos_.load(std::memory_order_relaxed); }

 private:
  const int fd_;
  alignas(64) std::atomic<Sleep> sleep_{Sleep::kNot};
  std::atomic<int64_t> rung_nanos_{0};
};

}  // namespace tidegate
