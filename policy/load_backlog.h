// LoadBacklog: the work that a worker has begun and put aside: commands that are under way in turns
// (storage/long_command.h), and those that are parked until a slot is free. Reading goes on between
// their turns, so how long bytes wait to be read does not show it: a hundred SORTs of 5 ms are read
// at once, and each of them is through after half a second.
//
//   suspended --> PutAside --> a turn --> PutAside --> a turn --> Through, with what it has worked
//
// What a request costs is taken from those of the same command that were put aside before: an
// average in which each counts for an eighth; until one is through, what the first of them have
// worked so far. What clients wait for by their own wish (BLPOP) is no work, and not counted.
// Pure. Owner: one worker. Cost: nothing for a request that is through within its turn.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tidegate {

// Fewer requests than that under way are no overload, however long they are: each of them has its
// turn, and so has a newcomer.
inline constexpr size_t kBacklogRequestsMin = 4;

class LoadBacklog final {
 public:
  // What the requests that are put aside cost together, in ticks; 0: there are few of them.
  uint64_t ticks() const { return requests_ < kBacklogRequestsMin ? 0 : ticks_; }
  // Ticks that a request of the command works, on average; 0: none was ever put aside.
  uint64_t CostOf(uint32_t command) const {
    return command < kinds_.size() ? kinds_[command].cost : 0;
  }

  // One request of a command is put aside for the first time; and has worked so much, then and each
  // time again.
  void Begin(uint32_t command) {
    if (command >= kinds_.size()) kinds_.resize(command + 1);
    Kind& kind = kinds_[command];
    ++kind.requests;
    ++requests_;
    ticks_ += kind.cost;
  }
  void Worked(uint32_t command, uint64_t worked_ticks) {
    const Kind& kind = kinds_[command];
    if (!kind.learned) SetCost(command, std::max(kind.cost, worked_ticks));
  }
  // It is given up; or through, having worked so much.
  void End(uint32_t command) {
    Kind& kind = kinds_[command];
    --kind.requests;
    --requests_;
    ticks_ -= kind.cost;
  }
  void EndThrough(uint32_t command, uint64_t worked_ticks) {
    End(command);
    Kind& kind = kinds_[command];
    const uint64_t cost = kind.cost - kind.cost / kWeight + worked_ticks / kWeight;
    SetCost(command, kind.learned ? cost : worked_ticks);
    kind.learned = true;
  }

 private:
  static constexpr uint64_t kWeight = 8;

  struct Kind {
    uint64_t cost = 0;
    uint64_t requests = 0;  // that are put aside now
    bool learned = false;   // from one that was through
  };

  void SetCost(uint32_t command, uint64_t cost) {
    Kind& kind = kinds_[command];
    ticks_ += kind.requests * (cost - kind.cost);  // may wrap on the way, and is right in the end
    kind.cost = cost;
  }

  std::vector<Kind> kinds_;  // by command
  size_t requests_ = 0;
  uint64_t ticks_ = 0;
};

}  // namespace tidegate
