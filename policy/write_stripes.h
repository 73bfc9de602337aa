// WriteStripes: which keys are being written through this process, and how often they were. What
// makes a kept reply (LocalCacheStore) never older than a write that was acknowledged here.
//
//   write:  Begin --> sent ... its reply (or error, or loss) comes --> End --> the client hears it
//   fill:   Read, quiet? --> sent ... reply --> Read the same? then it is kept, with that word
//   hit:    Read the same as the kept one
//
// A fill that overlaps a write is thrown away; what was kept before a write is invalid from the
// moment when the write goes out, on every worker. Keys share stripes by their hash: a write makes
// replies of other keys invalid as well, one of 65,536. What may write any key (FLUSHALL, a script)
// has a stripe of its cluster, which every kept reply of it depends on, too. Databases are not told
// apart, as in Redis's tracking of keys.
//
// Where replicas answer reads (ReplicaFanout) it is noted as well when the last write of a stripe
// ended: a replica that is known to have been behind its primary then is not asked for it.
//
// One for the process, because a client may write over one worker and read over another. Threads:
// any. Cost: a locked addition for a write's Begin and End, a load for a read; where times are
// noted one look at the clock more for each write.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

#include "base/clock.h"

namespace tidegate {

// A place among the stripes. A request has one; kSeveralStripes: a list of them is elsewhere.
using StripeIndex = uint32_t;
inline constexpr StripeIndex kNoStripe = 0;
inline constexpr StripeIndex kSeveralStripes = UINT32_MAX;

class WriteStripes final {
 public:
  // Writes in flight above, a count of beginnings and ends below: a million of the former, and of
  // the latter enough for half a year of a million writes a second to one stripe.
  using Word = uint64_t;
  static constexpr int kInFlightShift = 44;
  static constexpr Word kInFlight = Word{1} << kInFlightShift;
  static constexpr size_t kKeyStripes = 65536;
  static constexpr size_t kClusterStripes = 1024;

  // `cluster`: its number.
  static StripeIndex OfKey(uint64_t hash, size_t cluster) {
    const uint64_t mixed = (hash ^ cluster * 0x9e3779b97f4a7c15ull) * 0xff51afd7ed558ccdull;
    return 1 + static_cast<StripeIndex>(mixed >> 48);
  }
  static StripeIndex OfCluster(size_t cluster) {
    return static_cast<StripeIndex>(1 + kKeyStripes + cluster % kClusterStripes);
  }

  // It will be written soon: the stripes are more than a processor has at hand.
  void Prefetch(StripeIndex index) const {
    if (index != kSeveralStripes) __builtin_prefetch(&words_[index], 1);
  }
  void Begin(StripeIndex index) { words_[index].fetch_add(kInFlight + 1); }
  void End(StripeIndex index) {
    // Before the word: who sees that nothing is in flight sees when that ended.
    if (Times* const times = times_.load(std::memory_order_acquire)) NoteTime((*times)[index]);
    words_[index].fetch_sub(kInFlight - 1);
  }
  Word Read(StripeIndex index) const { return words_[index].load(); }
  // No write is in flight.
  static bool IsQuiet(Word word) { return word < kInFlight; }

  // From now on it is noted when writes end.
  void NoteTimes() {
    std::call_once(times_made_, [this] {
      owned_times_ = std::make_unique<Times>();
      times_.store(owned_times_.get(), std::memory_order_release);
    });
  }
  // When the last write that has ended did so, monotonic; 0: none has since NoteTimes. Look at the
  // word first.
  int64_t EndedNanos(StripeIndex index) const {
    const Times* const times = times_.load(std::memory_order_acquire);
    return times == nullptr ? 0 : (*times)[index].load();
  }

  // A worker says Begin and End for its writes to the cluster from now on, or does so no longer.
  // Replies are kept while all of them do.
  void Join(size_t cluster) { joined_[cluster % kClusterStripes].fetch_add(1); }
  void Leave(size_t cluster) { joined_[cluster % kClusterStripes].fetch_sub(1); }
  size_t joined(size_t cluster) const { return joined_[cluster % kClusterStripes].load(); }

 private:
  static constexpr size_t kStripes = 1 + kKeyStripes + kClusterStripes;
  using Times = std::array<std::atomic<int64_t>, kStripes>;

  // Several threads may end writes of one stripe at once: the latest counts.
  static void NoteTime(std::atomic<int64_t>& time) {
    const int64_t now_ns = MonotonicNanos();
    int64_t known_ns = time.load();
    while (known_ns < now_ns && !time.compare_exchange_weak(known_ns, now_ns)) {
    }
  }

  std::array<std::atomic<Word>, kStripes> words_{};
  std::once_flag times_made_;
  std::unique_ptr<Times> owned_times_;
  std::atomic<Times*> times_{nullptr};
  std::array<std::atomic<uint32_t>, kClusterStripes> joined_{};
};

}  // namespace tidegate
