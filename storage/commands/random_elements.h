// Drawing elements of a collection at random, shared by HRANDFIELD, SRANDMEMBER and their kind.
// Owner: one command. Cost: a few nanoseconds per decision.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>

#include "storage/breathe.h"
#include "storage/command_context.h"
#include "storage/engine_thread.h"

namespace tidegate {

// Beyond this part of all elements (1/3, as Redis) passing over all of them once costs less than
// drawing again and again until enough different ones came.
inline constexpr uint64_t kDrawnPartMax = 3;

inline uint64_t RandomBits(EngineThread& thread) {
  return uint64_t{thread.Random()} << 32 | thread.Random();
}

// How many to draw, from argument i: negative with repetitions. Nothing when the error is written.
inline std::optional<int64_t> DrawCountArg(CommandContext& context, size_t i) {
  const std::optional<int64_t> count = context.IntegerArg(i);
  if (!count || *count != std::numeric_limits<int64_t>::min()) return count;
  context.Fail(
      "ERR value is out of range, value must between -9223372036854775807 and "
      "9223372036854775807");
  return std::nullopt;
}

// Draws `count` times, or until the reply is longer than its client may let it wait: a handful of
// bytes asks for any number of elements.
template <typename Fn>
void DrawTimes(CommandContext& context, uint64_t count, Fn&& draw) {
  constexpr uint64_t kDrawsPerCheck = 1024;
  BreathingSpaces<64> spaces;
  for (; count > 0; --count) {
    spaces.Step();
    if (count % kDrawsPerCheck == 0 && context.client().IsCutOff(context.reply().out())) return;
    draw();
  }
}

// How many elements drawing so many of `size` looks at, at most.
inline uint64_t DrawLooks(int64_t count, uint64_t size) {
  if (count < 0) return static_cast<uint64_t>(-count);
  const auto wanted = static_cast<uint64_t>(count);
  return wanted > size / kDrawnPartMax ? size : 2 * wanted;
}

// Decides for each of `total` elements in turn whether it is among `wanted` random ones, of which
// every set is as likely. Source: Knuth, TAOCP volume 2, 3.4.2, algorithm S.
class InOrderSample final {
 public:
  InOrderSample(EngineThread& thread, uint64_t total, uint64_t wanted)
      : thread_(thread), left_(total), wanted_(wanted) {}

  bool TakesNext() {
    const bool takes = wanted_ > 0 && RandomBits(thread_) % left_ < wanted_;
    --left_;
    if (takes) --wanted_;
    return takes;
  }

 private:
  EngineThread& thread_;
  uint64_t left_;
  uint64_t wanted_;
};

}  // namespace tidegate
