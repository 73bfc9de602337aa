// Which keys are the hottest, for the warm-up after the next start; and how the list is kept on
// disk.
//
//   version (1) | id of the database (4, little-endian) | bytes of the key (4) | key | …
//
// Taken by looking at kHotSamplesPerSlot keys of each slot and database, from a random place on,
// and keeping the kHotKeysMax that were used last, or most often where the eviction policy counts
// that. Not all keys: with a hundred million a look at each would take half a minute of a core, and
// what matters is that most of what is asked for in the first seconds is there. What the list
// leaves out is read when it is asked for. Cost: about 0.1 us for each key that is looked at, with
// a slot locked for some microseconds at a time. Owner: who makes checkpoints.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "storage/cold/cold_start.h"

namespace tidegate {

class Engine;
class EngineThread;

// Its name among what a checkpoint says of itself.
inline constexpr std::string_view kHotKeysName = "hot";

// Keys of the list: read one by one they take a second or two of the start.
inline constexpr size_t kHotKeysMax = 16384;
inline constexpr size_t kHotSamplesPerSlot = 64;

class HotKeySampler final {
 public:
  // Adds a thread to the engine: before its first command.
  explicit HotKeySampler(Engine& engine);

  // The hottest first. By one thread at a time, which may be another one each time. Slots that are
  // busy are passed over; when the engine's gate does not open it ends early.
  std::vector<HotKey> Sample(int64_t now_ms);

 private:
  struct Candidate;
  // Those that are kept so far, the coldest first.
  using Heap = std::vector<Candidate>;

  bool Enter();
  void SampleSlot(uint16_t slot, int64_t now_ms, Heap& heap);
  void Offer(uint32_t database, int64_t heat, std::string_view key, Heap& heap) const;

  Engine& engine_;
  EngineThread& thread_;
};

std::string EncodeHotKeys(const std::vector<HotKey>& keys);
Result<std::vector<HotKey>> ParseHotKeys(std::string_view bytes);

}  // namespace tidegate
