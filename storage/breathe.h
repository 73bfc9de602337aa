// Breathe(): a place at which a long command may let others of its thread go on.
//
// Values call it where they step from one page to the next, whoever walks over them: a page is a
// hundred elements or so, a few microseconds. Outside of a long command it is one load and a
// branch; inside of one it looks at the clock, and once the turn is used up the rest of the command
// waits for the next (see long_command.h). Nothing that is seen by others of the thread may be half
// done around it: the slots of the command are held, so its values may be; allocators, buffers of
// the thread and mutexes may not. Thread: any.
#pragma once

namespace tidegate {

class LongCommand;

namespace internal {
// The long command that this thread executes; null outside of one. Constant-initialized, so that
// reading it takes no guard.
inline constinit thread_local LongCommand* t_long_command = nullptr;
void BreatheLong();
}  // namespace internal

inline void Breathe() {
  if (__builtin_expect(internal::t_long_command != nullptr, 0)) internal::BreatheLong();
}

// For steps that are too short to ask each time: asks every `kEvery` steps.
template <unsigned kEvery>
class BreathingSpaces final {
 public:
  void Step() {
    if (__builtin_expect(++steps_ % kEvery == 0, 0)) Breathe();
  }

 private:
  unsigned steps_ = 0;
};

}  // namespace tidegate
