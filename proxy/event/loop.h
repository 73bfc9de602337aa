// EventLoop: one libuv loop with what every thread of ours needs from it, and the thin owners of
// its handles. <uv.h> is seen in this folder only: handles live in opaque storage of the right size
// (checked where it is filled), so that a session costs one allocation and nobody else compiles
// libuv.
//
// A turn: callbacks of I/O, timers, then the end of the turn, then the wait. Busy time of a turn is
// measured from its first callback to the next wait; owners of callbacks say TurnBegins(), which
// costs a load and a branch when the turn has begun already. Sockets that a long turn left unread
// come first in the next one: the kernel reports sockets in the same order every time, so without
// that the last ones of a busy loop would starve. Owner: the thread that calls Run(). Only
// WakeUp::Send may be called from elsewhere.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "base/clock.h"
#include "base/result.h"

struct uv_loop_s;

namespace tidegate {

// Room for handles of libuv 1.44; loop.cc checks it.
inline constexpr size_t kLoopBytes = 856;
inline constexpr size_t kPhaseBytes = 120;

// Busy time of a turn after which no further socket is read in it. libuv alone would read 2 MiB
// from each of a thousand busy sockets before anything else gets its turn; with it no turn is much
// longer than this and one read's commands.
inline constexpr int64_t kTurnBudgetNanos = 500'000;

// Busy time of a turn after which the next one's processor time is measured: well above a turn of a
// worker that keeps up, which should not pay for it.
inline constexpr int64_t kMeasuredTurnNanos = 200'000;

class Stream;

class EventLoop final {
 public:
  EventLoop();
  // All handles must be closed and Run() have returned.
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Until no handle is left, or Stop().
  void Run();
  void Stop();

  // Called at the end of every turn, before the loop waits. I/O callbacks of the turn have run, and
  // so have timers: what they left to do is done here, once.
  using BeforeWaitFn = void (*)(void* context);
  void OnBeforeWait(BeforeWaitFn fn, void* context) {
    before_wait_ = fn;
    before_wait_context_ = context;
  }
  // Busy time of the turn so far, and the end of it; 0 when nothing ran. For OnBeforeWait.
  uint64_t EndTurn() {
    if (turn_begin_ticks_ == 0) return 0;
    const uint64_t busy = Ticks() - turn_begin_ticks_;
    turn_begin_ticks_ = 0;
    const int64_t busy_nanos = TicksToNanos(busy);
    turn_work_nanos_ = busy_nanos;
    if (measured_)
      turn_work_nanos_ = std::min(busy_nanos, ThreadCpuNanos() - turn_begin_cpu_nanos_);
    measured_ = busy_nanos > kMeasuredTurnNanos;
    return busy;
  }

  // What the turn that EndTurn ended took by itself: its busy time, or the processor time in it
  // when that was less, because other threads or processes had the processor meanwhile. Processor
  // time is measured in turns that follow one of more than kMeasuredTurnNanos: it costs a system
  // call.
  int64_t turn_work_nanos() const { return turn_work_nanos_; }

  // The first callback of a turn starts its clock.
  void TurnBegins() {
    if (turn_begin_ticks_ != 0) return;
    if (measured_) turn_begin_cpu_nanos_ = ThreadCpuNanos();
    turn_begin_ticks_ = Ticks();
  }

  // Whether the turn has used its budget: what can wait should wait for the next one.
  bool TurnIsLong() const {
    return turn_begin_ticks_ != 0 && TicksToNanos(Ticks() - turn_begin_ticks_) > kTurnBudgetNanos;
  }

  // How long the stream that is being read has waited for its turn, since it was seen that it has
  // bytes: 0 unless a long turn put it off. The measure of a loop that does not keep up.
  uint64_t read_waited_ticks() const { return read_waited_ticks_; }

  // For Stream: read it first in the next turn, after those that wait already; and forget that.
  // `in_memory`: what it has left is not in the socket, so that no event would tell of it.
  void Defer(Stream& stream, bool in_memory);
  void DropDeferred(Stream& stream);

  uv_loop_s* native() { return reinterpret_cast<uv_loop_s*>(storage_); }

 private:
  friend struct EventLoopCallbacks;

  void ReadDeferred();
  void SetAwake(bool awake);

  alignas(16) std::byte storage_[kLoopBytes];
  alignas(16) std::byte prepare_[kPhaseBytes];
  alignas(16) std::byte idle_[kPhaseBytes];
  BeforeWaitFn before_wait_ = nullptr;
  void* before_wait_context_ = nullptr;
  uint64_t turn_begin_ticks_ = 0;
  uint64_t read_waited_ticks_ = 0;
  int64_t turn_begin_cpu_nanos_ = 0;
  int64_t turn_work_nanos_ = 0;
  bool measured_ = false;  // processor time too
  bool awake_ = false;     // it does not wait: a deferred stream has bytes that no event tells of
  // A list through the streams: however many of them close at once, each leaves it at once.
  Stream* deferred_first_ = nullptr;
  Stream* deferred_last_ = nullptr;
};

// A timer: one shot or repeating. Callbacks run on the loop's thread.
class Timer final {
 public:
  Timer(EventLoop& loop, std::function<void()> callback);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void StartOnce(uint64_t delay_ms) { Start(delay_ms, 0); }
  void StartEvery(uint64_t period_ms) { Start(period_ms, period_ms); }
  void Stop();

 private:
  struct Handle;
  void Start(uint64_t delay_ms, uint64_t repeat_ms);
  Handle* handle_;  // freed by libuv's close callback
};

// Wakes a loop from any thread; several Sends before the callback runs are one.
class WakeUp final {
 public:
  WakeUp(EventLoop& loop, std::function<void()> callback);
  ~WakeUp();
  WakeUp(const WakeUp&) = delete;
  WakeUp& operator=(const WakeUp&) = delete;

  void Send();

 private:
  struct Handle;
  Handle* handle_;
};

// A POSIX signal as a callback of the loop.
class SignalWatcher final {
 public:
  SignalWatcher(EventLoop& loop, int signal, std::function<void()> callback);
  ~SignalWatcher();
  SignalWatcher(const SignalWatcher&) = delete;
  SignalWatcher& operator=(const SignalWatcher&) = delete;

 private:
  struct Handle;
  Handle* handle_;
};

// Readability of a descriptor that somebody else owns and reads.
class ReadWatcher final {
 public:
  ReadWatcher(EventLoop& loop, int fd, std::function<void()> callback);
  ~ReadWatcher();
  ReadWatcher(const ReadWatcher&) = delete;
  ReadWatcher& operator=(const ReadWatcher&) = delete;

 private:
  struct Handle;
  Handle* handle_;
};

}  // namespace tidegate
