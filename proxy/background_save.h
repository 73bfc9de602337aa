// BackgroundSave: the thread that writes snapshots while clients go on: for BGSAVE, and by itself
// at the save points ("save 900 1": when there was a change and the last snapshot is 900 s old).
//
// One at a time. What comes of it is in the log and in Server::save_status(). After a failure the
// save points wait some seconds, and with `stop-writes-on-bgsave-error` writes are refused until a
// snapshot succeeds (Redis's -MISCONF). Ends with the server: a snapshot that is under way then is
// given up. Thread: any.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <thread>

#include "base/thread_annotations.h"
#include "storage/cut_walker.h"

namespace tidegate {

class Server;
struct Options;

class BackgroundSave final {
 public:
  // Before the engine's first command. Nothing happens before Begin.
  explicit BackgroundSave(Server& server);
  ~BackgroundSave();
  BackgroundSave(const BackgroundSave&) = delete;
  BackgroundSave& operator=(const BackgroundSave&) = delete;

  // The data is there, and there are clients from here on.
  void Begin();
  // Begins one soon; false while one is under way.
  bool Start();
  // Whether writes are refused, because the last one failed.
  bool RefusesWrites(const Options& options) const;
  bool in_progress() const { return in_progress_.load(std::memory_order_relaxed); }
  // What is under way ends soon, without a file. For who writes the file himself, and then holds
  // file_mutex(), so that no older snapshot takes the place of a newer one.
  void Abandon() { cancelled_.store(true); }
  Mutex& file_mutex() { return file_mutex_; }
  // The same, and ends the thread. Nothing begins after it.
  void Stop();

  // Of the one that is under way: when it began, by the monotonic clock; and how far it is.
  int64_t begin_nanos() const { return begin_nanos_.load(std::memory_order_relaxed); }
  uint32_t slots_walked() const { return walker_.slots_walked(); }

 private:
  void Run();
  bool stopping();
  bool SavePointIsDue();
  void Save();

  Server& server_;
  CutWalker walker_;
  std::atomic<bool> in_progress_{false};
  std::atomic<bool> cancelled_{false};
  std::atomic<int64_t> begin_nanos_{0};
  Mutex file_mutex_;
  int64_t retry_at_nanos_ = 0;  // save points after a failure; the thread's
  Mutex mutex_;
  std::condition_variable_any condition_;
  bool wanted_ TG_GUARDED_BY(mutex_) = false;
  bool stopping_ TG_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace tidegate
