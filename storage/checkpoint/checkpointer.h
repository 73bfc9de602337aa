// Checkpointer: the thread that makes checkpoints, so that the journal stays short and a start soon
// done with it.
//
//   the journal has grown by so much, or somebody asks
//     -> a cut (storage/cut) writes what has changed into sorted files
//     -> they become part of the store in one step
//     -> the journal up to the cut's moment is dropped
//
// One at a time. When it fails, whatever the reason, the last checkpoint and the whole journal
// stand, and the next try has more to write; it comes by itself a few seconds later.
//
// The journal goes on growing while a checkpoint is made. When it grows faster than the disk takes
// the checkpoint, writes have to be slowed down, or a start would have ever more to replay:
// Pressure says by how much. Thread: any.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/thread_annotations.h"
#include "storage/cold/hot_keys.h"
#include "storage/cut_walker.h"

namespace tidegate {

class Store;

// How far the journal is: the newest record, and the bytes of all that were ever written.
struct JournalPosition {
  uint64_t sequence = 0;
  uint64_t bytes = 0;
};

// Of the journal since the last checkpoint, when the next one is due.
struct CheckpointLimits {
  uint64_t records_max = 0;
  Bytes bytes_max{};
};

// Of those limits, how far the journal may grow while a checkpoint is made: from the first on
// writes are slowed down, the more the nearer it comes to the second.
inline constexpr double kUnhurriedGrowth = 0.5;
inline constexpr double kGrowthMax = 1.5;

struct CheckpointStats {
  uint64_t in_progress = 0;
  uint64_t count = 0;  // that succeeded, since the start
  uint64_t failures = 0;
  uint64_t consecutive_failures = 0;
  uint64_t entries = 0;  // written by all of them, with deletions
  uint64_t bytes = 0;    // of their files
  uint64_t last_entries = 0;
  uint64_t last_bytes = 0;
  double last_seconds = -1;      // that it took; -1: none yet
  int64_t begin_nanos = 0;       // of the one under way, by the monotonic clock
  int64_t last_unix_ms = 0;      // of the moment of the one that stands; 0: none
  uint64_t last_sequence = 0;    // which holds everything up to this record
  uint64_t journal_records = 0;  // since then
  uint64_t journal_bytes = 0;
};

class Checkpointer final {
 public:
  // Before the engine's first command. The store outlives it; `position` is called by its thread.
  Checkpointer(Engine& engine, Store& store, std::function<JournalPosition()> position);
  ~Checkpointer();
  Checkpointer(const Checkpointer&) = delete;
  Checkpointer& operator=(const Checkpointer&) = delete;

  // `replayed`: what a start had to replay, in bytes.
  void Begin(const CheckpointLimits& limits, uint64_t replayed_bytes);
  void SetLimits(const CheckpointLimits& limits);
  // Begins one soon; false while one is under way.
  bool Start();
  // The same for who waits for what it makes clean: again and again, and while one fails not before
  // the next try's time. Any thread.
  void Ask();
  bool in_progress() const { return in_progress_.load(std::memory_order_relaxed); }
  // What is under way ends soon, and nothing begins any more. `engine_is_closed`: nor does the
  // engine's gate ever open again. Waits for nothing.
  void Abandon(bool engine_is_closed);
  // The same, and waits until the thread has ended.
  void Stop();

  // Which part of the writes should wait, given how far the journal is: 0 none, 1 all of them.
  double Pressure(const JournalPosition& now) const;

  CheckpointStats Stats() const;

 private:
  void Run();
  bool IsDue() const;
  void Make();
  Status Write(uint64_t& entries, uint64_t& bytes);

  Engine& engine_;
  Store& store_;
  const std::function<JournalPosition()> position_;
  CutWalker walker_;
  HotKeySampler sampler_;
  std::atomic<bool> in_progress_{false};
  std::atomic<bool> cancelled_{false};
  std::atomic<bool> asked_{false};
  std::atomic<uint64_t> records_max_{0};
  std::atomic<uint64_t> bytes_max_{0};
  std::atomic<uint64_t> base_bytes_{0};  // of the journal, at the last checkpoint
  // Of the one under way, from its moment on.
  std::atomic<bool> has_moment_{false};
  std::atomic<uint64_t> moment_sequence_{0};
  std::atomic<uint64_t> moment_bytes_{0};
  // The thread's own.
  uint64_t next_object_serial_ = 1;
  uint32_t attempts_ = 0;
  uint32_t saved_attempt_ = 0;          // the last one that succeeded
  std::vector<uint64_t> dead_objects_;  // that a checkpoint which failed was to delete
  int64_t retry_at_nanos_ = 0;
  int64_t sample_at_nanos_ = 0;  // the hot keys, the next time

  mutable Mutex mutex_;
  std::condition_variable_any condition_;
  bool wanted_ TG_GUARDED_BY(mutex_) = false;
  bool stopping_ TG_GUARDED_BY(mutex_) = false;
  CheckpointStats stats_ TG_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace tidegate
