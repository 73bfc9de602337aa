// WarmUp: in which order, and how fast, what is on disk comes into memory when nobody asks for it.
//
// First the keys that were the hottest when the list of them was saved, then all slots. Who walks
// over the keyspace (SCAN, KEYS) moves the walk to where it is, so that it finds the next slots
// loaded. A slot that cannot be read is left out, and tried again in the next round.
//
// Pace: the thread rests for as long as it has worked, up to kRestNanosMax at a time, so that on a
// machine with few cores requests have theirs; nobody rests while somebody waits for everything.
// Owner: the one thread of the loader that warms up; but GoTo, which any may call.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/hash.h"
#include "storage/cold/cold_queue.h"
#include "storage/cold/cold_start.h"

namespace tidegate {

// Work before a rest, which the clock cannot make shorter than some ten microseconds.
inline constexpr int64_t kWorkNanosMin = 200'000;
// The longest rest after a piece of work.
inline constexpr int64_t kRestNanosMax = 5'000'000;
// Between two rounds over slots that could not be read, and two looks whether there is memory.
inline constexpr int64_t kRetryNanos = 1'000'000'000;
// Between two lines in the log.
inline constexpr int64_t kProgressNanos = 5'000'000'000;

class WarmUp final {
 public:
  // By ids on disk.
  WarmUp(std::vector<uint32_t> databases, const std::vector<HotKey>& hot);

  // The next key of the hot list.
  std::optional<ColdTarget> NextKey();
  // The slot that is loaded next, the same one until it is Done or Failed. Nothing: the round is
  // over.
  std::optional<ColdTarget> NextSlot();
  void Done();
  void Failed();
  // Slots were left out in this round; the next one begins.
  bool BeginRound();
  bool through() const { return left_ == 0; }

  // The walk goes on from this slot.
  void GoTo(uint16_t slot) { wanted_slot_.store(slot, std::memory_order_relaxed); }

 private:
  void Leave(bool done);

  const std::vector<uint32_t> databases_;
  std::vector<ColdTarget> hot_;
  size_t next_hot_ = 0;
  std::vector<bool> done_;     // by database and slot
  std::vector<bool> skipped_;  // in this round
  size_t left_;                // not done
  size_t in_round_;            // neither done nor skipped
  size_t at_ = 0;
  bool holds_ = false;  // at_ is being loaded
  std::atomic<int32_t> wanted_slot_{-1};
};

}  // namespace tidegate
