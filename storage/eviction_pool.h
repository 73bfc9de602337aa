// EvictionPool: the best candidates for eviction that one thread has come across.
//
// A few samples say little about the whole keyspace; those worth keeping from many rounds say much.
// As in Redis, whose pool of 16 makes its approximated LRU nearly exact. Candidates are names, no
// pointers: by the time one is taken its key may be gone or in use again, so whoever takes it looks
// once more. Sorted, the next to go last. Owner: one thread. Cost: moves of at most 16 small
// structs; no allocation for short keys.
//
// EvictionState is all that eviction keeps per thread, EvictionLimit what it keeps per engine.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace tidegate {

enum class EvictionPolicy : uint8_t;

class EvictionPool final {
 public:
  static constexpr size_t kCandidatesMax = 16;

  struct Candidate {
    int64_t score = 0;  // the higher, the sooner it goes
    int db = 0;
    uint16_t slot = 0;
    std::string key;
  };

  bool empty() const { return size_ == 0; }
  void Clear() { size_ = 0; }

  // Keeps it, unless the pool is full of better ones.
  void Offer(int64_t score, int db, uint16_t slot, std::string_view key) {
    if (size_ == kCandidatesMax) {
      if (score <= candidates_[0].score) return;
      std::rotate(candidates_.begin(), candidates_.begin() + 1, candidates_.end());
      --size_;
    }
    Candidate& fresh = candidates_[size_];
    fresh.score = score;
    fresh.db = db;
    fresh.slot = slot;
    fresh.key.assign(key);
    for (size_t i = size_; i > 0 && candidates_[i - 1].score > score; --i)
      std::swap(candidates_[i - 1], candidates_[i]);
    ++size_;
  }

  // The best one, which then is no longer in the pool. Valid until the next Offer; null: empty.
  const Candidate* TakeBest() { return size_ == 0 ? nullptr : &candidates_[--size_]; }

 private:
  std::array<Candidate, kCandidatesMax> candidates_;
  size_t size_ = 0;
};

// Longest time that eviction takes of one turn of a thread's loop, however many commands of the
// turn need memory.
inline constexpr int64_t kEvictionTurnNanos = 1'500'000;

struct EvictionState {
  EvictionPool pool;
  EvictionPolicy policy{};  // what the pool was filled for
  // Where sampling goes on: it walks through the keyspace.
  uint32_t slot = 0;
  int db = 0;
  uint32_t position = 0;
  int64_t turn_nanos_left = kEvictionTurnNanos;
  // Of a tier (tier.h). The last search found nothing that may leave, so that requests wait until
  // more checkpoints have ended than had then.
  bool starves = false;
  uint64_t checkpoints_ended = 0;
  int64_t searched_nanos = 0;
};

// How far above maxmemory the engine was at least since the limit is what it is: after it was
// lowered, writes go on while eviction catches up, but no further away from it. Any thread; a lost
// update is made good by the next.
struct EvictionLimit {
  std::atomic<uint64_t> limit_bytes{0};
  std::atomic<uint64_t> excess_bytes{0};
  // Time over the limit: of the past, and since when now (monotonic; 0: within it).
  std::atomic<int64_t> exceeded_nanos{0};
  std::atomic<int64_t> exceeded_since_nanos{0};

  void Exceeded(int64_t now_nanos) {
    int64_t within = 0;
    exceeded_since_nanos.compare_exchange_strong(within, now_nanos, std::memory_order_relaxed);
  }
  void Within(int64_t now_nanos) {
    if (exceeded_since_nanos.load(std::memory_order_relaxed) == 0) return;
    const int64_t since = exceeded_since_nanos.exchange(0, std::memory_order_relaxed);
    if (since != 0) exceeded_nanos.fetch_add(now_nanos - since, std::memory_order_relaxed);
  }
};

}  // namespace tidegate
