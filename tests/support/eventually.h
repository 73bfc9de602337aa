// Eventually: waits for something that another thread brings about, up to five seconds, so that a
// test has no sleeps that are too short on a busy machine and too long on all others.
#pragma once

#include <chrono>
#include <functional>
#include <thread>

namespace tidegate {

inline bool Eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 500; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

}  // namespace tidegate
