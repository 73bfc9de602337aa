// Waiter: a request that waits for something: its thread, and what its thread knows it by. Woken
// through EngineThread::Wake, from any thread, never under a slot's lock.
#pragma once

#include <cstdint>

namespace tidegate {

class EngineThread;

struct Waiter {
  EngineThread* thread = nullptr;
  uint64_t ticket = 0;
  friend bool operator==(const Waiter&, const Waiter&) = default;
};

}  // namespace tidegate
