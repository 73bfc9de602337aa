// What all tools say to people in the same way: complaints, how far they are, and with what status
// the process ends.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>

#include "base/clock.h"
#include "storage/data_files.h"

namespace tidegate {

inline constexpr int kToolWell = 0;
inline constexpr int kToolNotWell = 1;
inline constexpr int kToolUsage = 2;

inline void ToolWarn(const std::string& line) {
  std::fprintf(stderr, "tidegate: %s\n", line.c_str());
}

// A line that is written over, where somebody looks at it.
class ProgressBar final {
 public:
  ProgressBar() : shown_(isatty(STDERR_FILENO) == 1), begin_nanos_(MonotonicNanos()) {}
  ~ProgressBar() {
    if (any_) std::fprintf(stderr, "\r\x1b[K");
  }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void Show(const LoadProgress& progress) {
    constexpr int64_t kEveryNanos = 100'000'000;
    const int64_t now = MonotonicNanos();
    if (!shown_ || now - last_nanos_ < kEveryNanos) return;
    last_nanos_ = now;
    any_ = true;
    constexpr int kWidth = 40;
    const double part = static_cast<double>(progress.bytes) /
                        static_cast<double>(std::max<uint64_t>(progress.bytes_total, 1));
    const int filled = std::clamp(static_cast<int>(part * kWidth), 0, kWidth);
    const double seconds = static_cast<double>(now - begin_nanos_) / 1e9;
    std::fprintf(stderr, "\r[%-*s] %3.0f%%  %.0f MB/s", kWidth,
                 std::string(static_cast<size_t>(filled), '#').c_str(), part * 100,
                 static_cast<double>(progress.bytes) / 1e6 / std::max(seconds, 0.001));
    std::fflush(stderr);
  }

 private:
  const bool shown_;
  const int64_t begin_nanos_;
  int64_t last_nanos_ = 0;
  bool any_ = false;
};

}  // namespace tidegate
