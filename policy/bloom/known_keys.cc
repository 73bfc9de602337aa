#include "policy/bloom/known_keys.h"

#include <algorithm>
#include <cmath>

namespace tidegate {

KnownKeys::KnownKeys() = default;

// Full is told outside of the lane: Lose() comes before lanes in the order of locks.
void KnownKeys::Add(uint64_t hash) {
  bool full = false;
  {
    Lane& lane = LaneOf(hash);
    const MutexLock lock(lane.mutex);
    if (lane.current != nullptr && lane.current->Add(hash))
      full = lane.current->size() > lane.current->capacity();
    if (lane.next != nullptr) lane.next->Add(hash);
  }
  if (__builtin_expect(full, 0) && !full_.exchange(true)) Lose();
}

KnownKeys::Answer KnownKeys::Ask(uint64_t hash, uint16_t cluster) const {
  if (!complete()) return Answer::kUnknown;
  const uint32_t of = cluster_.load(std::memory_order_relaxed);
  if (of != cluster && of != kEveryCluster) return Answer::kUnknown;
  const Lane& lane = LaneOf(hash);
  const MutexLock lock(lane.mutex);
  if (lane.current == nullptr) return Answer::kUnknown;
  return lane.current->MayHave(hash) ? Answer::kMayExist : Answer::kAbsent;
}

void KnownKeys::Lose() {
  const MutexLock lock(build_mutex_);
  ++losses_;
  complete_.store(false, std::memory_order_release);
}

void KnownKeys::BeginBuild(size_t keys) {
  const size_t wanted = std::clamp(keys, kBloomKeysMin, kBloomKeysMax);
  const auto made_for = static_cast<size_t>(static_cast<double>(wanted) * kBloomRoom);
  const MutexLock lock(build_mutex_);
  losses_at_begin_ = losses_;
  deleted_.store(0, std::memory_order_relaxed);
  SetNext(std::make_shared<BlockedBloom>(made_for));
}

void KnownKeys::AddFound(uint64_t hash) {
  Lane& lane = LaneOf(hash);
  const MutexLock lock(lane.mutex);
  if (lane.next != nullptr) lane.next->Add(hash);
}

std::shared_ptr<BlockedBloom> KnownKeys::Next() const {
  const MutexLock lock(lanes_[0].mutex);
  return lanes_[0].next;
}

void KnownKeys::SetNext(const std::shared_ptr<BlockedBloom>& next) {
  for (Lane& lane : lanes_) {
    const MutexLock lock(lane.mutex);
    lane.next = next;
  }
}

bool KnownKeys::build_is_full() const {
  const std::shared_ptr<BlockedBloom> next = Next();
  return next != nullptr && next->size() > next->capacity();
}

bool KnownKeys::EndBuild(uint32_t cluster) {
  const MutexLock lock(build_mutex_);
  const std::shared_ptr<BlockedBloom> next = Next();
  const bool whole =
      next != nullptr && losses_ == losses_at_begin_ && next->size() <= next->capacity();
  if (!whole) {
    SetNext(nullptr);
    return false;
  }
  // Who asks meanwhile gets the answer of the one or of the other, and both are right; but not if
  // it is about another cluster.
  if (cluster != cluster_.load(std::memory_order_relaxed))
    complete_.store(false, std::memory_order_release);
  for (Lane& lane : lanes_) {
    const MutexLock lane_lock(lane.mutex);
    lane.current = next;
    lane.next = nullptr;
  }
  cluster_.store(cluster, std::memory_order_relaxed);
  capacity_.store(next->capacity(), std::memory_order_relaxed);
  full_.store(false);
  builds_.fetch_add(1, std::memory_order_relaxed);
  complete_.store(true, std::memory_order_release);
  return true;
}

void KnownKeys::DropBuild() {
  const MutexLock lock(build_mutex_);
  SetNext(nullptr);
}

bool KnownKeys::WantsBuild() const {
  if (!complete()) return true;
  const uint64_t deleted = deleted_.load(std::memory_order_relaxed);
  return deleted >= kBloomDeadMin &&
         static_cast<double>(deleted) > kBloomDeadMax * static_cast<double>(current_size());
}

size_t KnownKeys::current_size() const {
  const MutexLock lock(lanes_[0].mutex);
  return lanes_[0].current == nullptr ? 0 : lanes_[0].current->size();
}

double KnownKeys::false_positive_rate() const {
  return complete() ? BloomErrorRate(current_size(), capacity()) : 1.0;
}

// Lines are filled as chance has it: the mean over Poisson's distribution of what a line errs that
// has so many keys.
double BloomErrorRate(size_t keys, size_t capacity) {
  if (keys == 0 || capacity == 0) return 0;
  constexpr double kBits = 512;
  const double lines = std::ceil(static_cast<double>(capacity * kBloomBitsPerKey) / kBits);
  const double mean = static_cast<double>(keys) / lines;
  const int most = static_cast<int>(mean + 12 * std::sqrt(mean) + 12);
  double chance = std::exp(-mean);
  double rate = 0;
  for (int n = 0; n <= most; ++n) {
    const double is_set = 1 - std::pow(1 - 1 / kBits, n * kBloomProbes);
    rate += chance * std::pow(is_set, kBloomProbes);
    chance *= mean / (n + 1);
  }
  return rate;
}

}  // namespace tidegate
