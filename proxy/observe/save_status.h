// SaveStatus: what is known of the last snapshot that was written and of the last one that was
// read, for LASTSAVE, INFO persistence and metrics. Written by whoever has the engine for itself,
// read by any thread.
#pragma once

#include <atomic>
#include <cstdint>

#include "storage/data_files.h"

namespace tidegate {

// What metrics say of snapshots.
struct SaveFacts {
  bool in_progress = false;
  uint64_t begun = 0;
  bool failed = false;              // the last one in the background
  int64_t background_seconds = -1;  // that it took; -1: none has ended yet
  int64_t last_save_unix_s = 0;
};

class SaveStatus final {
 public:
  explicit SaveStatus(int64_t start_unix_s) : last_save_unix_s_(start_unix_s) {}

  // `changes`: to the data since the start of the process.
  void Saved(int64_t now_unix_s, uint64_t changes) {
    last_save_unix_s_.store(now_unix_s, std::memory_order_relaxed);
    changes_at_save_.store(changes, std::memory_order_relaxed);
  }
  // A snapshot in the background.
  void BackgroundEnded(bool ok, int64_t seconds) {
    background_failed_.store(!ok, std::memory_order_relaxed);
    background_seconds_.store(seconds, std::memory_order_relaxed);
  }
  bool background_failed() const { return background_failed_.load(std::memory_order_relaxed); }
  // -1: none has ended yet.
  int64_t background_seconds() const { return background_seconds_.load(std::memory_order_relaxed); }
  void Began() { saves_.fetch_add(1, std::memory_order_relaxed); }
  void Loaded(const LoadReport& report, uint64_t changes) {
    keys_loaded_.store(report.keys, std::memory_order_relaxed);
    keys_expired_.store(report.expired, std::memory_order_relaxed);
    changes_at_save_.store(changes, std::memory_order_relaxed);
  }

  int64_t last_save_unix_s() const { return last_save_unix_s_.load(std::memory_order_relaxed); }
  uint64_t saves() const { return saves_.load(std::memory_order_relaxed); }
  uint64_t keys_loaded() const { return keys_loaded_.load(std::memory_order_relaxed); }
  uint64_t keys_expired() const { return keys_expired_.load(std::memory_order_relaxed); }
  SaveFacts Facts(bool in_progress) const {
    return {in_progress, saves(), background_failed(), background_seconds(), last_save_unix_s()};
  }
  // Since the data was last the same as the file.
  uint64_t ChangesSince(uint64_t changes) const {
    const uint64_t at_save = changes_at_save_.load(std::memory_order_relaxed);
    return changes > at_save ? changes - at_save : 0;
  }

 private:
  std::atomic<int64_t> last_save_unix_s_;
  std::atomic<uint64_t> changes_at_save_{0};
  std::atomic<uint64_t> saves_{0};
  std::atomic<bool> background_failed_{false};
  std::atomic<int64_t> background_seconds_{-1};
  std::atomic<uint64_t> keys_loaded_{0};
  std::atomic<uint64_t> keys_expired_{0};
};

}  // namespace tidegate
