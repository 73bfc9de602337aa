// Fiber: a function with a stack of its own, which can be left in the middle and gone on with.
//
//   Resume() ──> body … Leave() ──┐         on the caller's stack, Resume has returned false
//   Resume() ──────── … end       └── true  the body is through
//
// For commands whose work is one long computation over data structures that know nothing of turns:
// cutting each of them into resumable steps by hand would put a state machine into every loop. Why
// POSIX's ucontext and not C++20 coroutines: a coroutine can be left only in its outermost
// function, so every function on the way would have to be one. Why not threads: two threads would
// need every field of a worker to be shared. A switch is two system calls (signal masks), half a
// microsecond, against a turn of half a millisecond.
//
// A stack is mapped with a guard page below it; whoever makes fibers often keeps some, because a
// mapping may have to wait for page faults of other threads. A fiber must be resumed by one thread
// only, and must be through when it is destroyed: objects on its stack have destructors. Owner: its
// maker.
#pragma once

#include <ucontext.h>

#include <cstddef>
#include <memory>

namespace tidegate {

// Room for what a command's handler may want, and the libraries that it calls.
class FiberStack final {
 public:
  FiberStack();
  ~FiberStack();
  FiberStack(const FiberStack&) = delete;
  FiberStack& operator=(const FiberStack&) = delete;

  char* bottom() const { return bottom_; }

 private:
  char* bottom_;  // lowest address; the guard page is below
};

class Fiber final {
 public:
  using Body = void (*)(void* argument);

  Fiber(std::unique_ptr<FiberStack> stack, Body body, void* argument);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Runs the body from where it was left. True when it is through.
  bool Resume();
  // Called by the body: goes back to who resumed it.
  void Leave();
  bool through() const { return through_; }
  // Once it is through: for the next one.
  std::unique_ptr<FiberStack> TakeStack();

 private:
  static void Main(unsigned high, unsigned low);
  void Run();

  std::unique_ptr<FiberStack> stack_;
  const Body body_;
  void* const argument_;
  ucontext_t own_{};
  ucontext_t caller_{};
  bool through_ = false;
  // What the sanitizers want to be told.
  void* sanitizer_own_ = nullptr;
  void* sanitizer_caller_ = nullptr;
  const void* caller_stack_ = nullptr;
  size_t caller_stack_bytes_ = 0;
};

}  // namespace tidegate
