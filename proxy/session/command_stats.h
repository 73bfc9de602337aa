// CommandStats: per-command counters and latency histograms of one worker.
//
// One writer (the worker), any number of readers (INFO, /metrics): plain relaxed loads and stores,
// never a locked instruction. Readers add up the workers. Times are kept in ticks (base/clock.h)
// and converted when read. RESETSTAT does not write here: the reader keeps a base to subtract
// (ServerStats), because a second writer would lose counts.
//
// The histogram is log-linear: 16 buckets for each power of two of nanoseconds, from 64 ns to 68 s,
// so that any percentile is at most 6.25% off. Source: Gil Tene's HdrHistogram, whose layout this
// is.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>

#include "base/check.h"
#include "base/clock.h"
#include "base/worker_counter.h"

namespace tidegate {

class LatencyHistogram final {
 public:
  static constexpr int kSubBucketBits = 4;
  static constexpr int kFirstOctave = 6;  // below 64 ns everything is one bucket
  static constexpr int kLastOctave = 36;  // 2^36 ns = 68.7 s and above: the last bucket
  static constexpr int kBuckets = ((kLastOctave - kFirstOctave) << kSubBucketBits) + 2;

  static int BucketOf(uint64_t nanos) {
    const int octave = 63 - std::countl_zero(nanos | 1);
    if (octave < kFirstOctave) return 0;
    if (octave >= kLastOctave) return kBuckets - 1;
    const auto within =
        static_cast<int>((nanos >> (octave - kSubBucketBits)) & ((1 << kSubBucketBits) - 1));
    return 1 + ((octave - kFirstOctave) << kSubBucketBits) + within;
  }
  // Highest value that falls into the bucket (the last one has none: its lower bound).
  static uint64_t UpperBoundNanos(int bucket) {
    if (bucket <= 0) return (uint64_t{1} << kFirstOctave) - 1;
    if (bucket >= kBuckets - 1) return uint64_t{1} << kLastOctave;
    const int octave = kFirstOctave + ((bucket - 1) >> kSubBucketBits);
    const uint64_t within = static_cast<uint64_t>(bucket - 1) & ((1 << kSubBucketBits) - 1);
    const uint64_t step = uint64_t{1} << (octave - kSubBucketBits);
    return (uint64_t{1} << octave) + (within + 1) * step - 1;
  }

  void Record(uint64_t nanos) { counts_[BucketOf(nanos)].Add(1); }
  // All that another one has.
  void Add(const LatencyHistogram& other) {
    for (int i = 0; i < kBuckets; ++i) counts_[i].Add(other.counts_[i].Get());
  }
  uint64_t CountOf(int bucket) const { return counts_[bucket].Get(); }

 private:
  WorkerCounter counts_[kBuckets];
};

// The same buckets, of bytes. Up to 63 bytes are one of them.
using SizeHistogram = LatencyHistogram;

struct CommandCounters {
  WorkerCounter calls;
  WorkerCounter ticks;     // spent in calls
  WorkerCounter failed;    // calls that answered with an error
  WorkerCounter rejected;  // refused before they were called: arity, NOAUTH
  // Made at the first call, then stays.
  std::atomic<LatencyHistogram*> latency{nullptr};

  int64_t nanos() const { return TicksToNanos(ticks.Get()); }
};

class CommandStats final {
 public:
  // `commands`: all ids are below.
  explicit CommandStats(size_t commands)
      : count_(commands), counters_(std::make_unique<CommandCounters[]>(commands)) {}
  ~CommandStats() {
    for (size_t i = 0; i < count_; ++i) delete counters_[i].latency.load();
  }
  CommandStats(const CommandStats&) = delete;
  CommandStats& operator=(const CommandStats&) = delete;

  // Owner only.
  void Record(uint32_t command_id, uint64_t ticks, bool failed, bool with_latency) {
    CommandCounters& c = counters_[command_id];
    c.calls.Add(1);
    c.ticks.Add(ticks);
    if (__builtin_expect(failed, 0)) c.failed.Add(1);
    if (!with_latency) return;
    LatencyHistogram* latency = c.latency.load(std::memory_order_relaxed);
    if (__builtin_expect(latency == nullptr, 0)) {
      latency = new LatencyHistogram;
      c.latency.store(latency, std::memory_order_release);
    }
    latency->Record(static_cast<uint64_t>(TicksToNanos(ticks)));
  }
  void Reject(uint32_t command_id) { counters_[command_id].rejected.Add(1); }

  // Any thread.
  size_t size() const { return count_; }
  const CommandCounters& of(uint32_t command_id) const { return counters_[command_id]; }

 private:
  const size_t count_;
  std::unique_ptr<CommandCounters[]> counters_;
};

}  // namespace tidegate
