// BackgroundBackup: the thread that makes backups (storage/backup.h), for BACKUP and the admin
// address, while clients go on.
//
// One at a time. A job is shared between the thread and whoever asked, who may have left before it
// is done. What comes of it is in the log and in Facts() too. Only with appendonly: without, there
// is no data directory. One that is under way when the server ends is completed, for links are soon
// made. Thread: any; Begin and Stop are the main thread's.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/result.h"
#include "base/thread_annotations.h"
#include "proxy/observe/backup_facts.h"
#include "storage/backup.h"

namespace tidegate {

class Server;

class BackgroundBackup final {
 public:
  // What became of one: to be read once it is done.
  struct Job {
    std::string wanted;  // the name; empty: any
    std::function<void()> on_done;
    std::atomic<bool> done{false};
    bool bad_name = false;
    Result<BackupReport> report = Error{};
    double seconds = 0;
  };

  explicit BackgroundBackup(Server& server) : server_(server) {}
  ~BackgroundBackup();
  BackgroundBackup(const BackgroundBackup&) = delete;
  BackgroundBackup& operator=(const BackgroundBackup&) = delete;

  void Begin();
  // Begins one soon; `on_done` is called by the thread. Null: one is under way, or the server ends.
  std::shared_ptr<const Job> Start(std::string_view wanted, std::function<void()> on_done);
  // Waits for it. Not on a loop's thread.
  void Await(const Job& job);
  // Ends the thread. Nothing begins after it.
  void Stop();

  BackupFacts Facts() const;

 private:
  void Run();
  void Make(Job& job);

  Server& server_;
  std::atomic<bool> cancelled_{false};
  mutable Mutex mutex_;
  std::condition_variable_any condition_;
  std::shared_ptr<Job> job_ TG_GUARDED_BY(mutex_);  // the one under way
  bool ready_ TG_GUARDED_BY(mutex_) = false;        // between Begin and Stop
  BackupFacts facts_ TG_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace tidegate
