#include "proxy/background_save.h"

#include <pthread.h>

#include <chrono>
#include <filesystem>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "proxy/commands/version.h"
#include "proxy/server.h"
#include "proxy/snapshot.h"
#include "storage/data_files.h"

namespace tidegate {
namespace {

// How often the save points are looked at.
constexpr std::chrono::milliseconds kSavePointPeriod{100};

// As Redis's CONFIG_BGSAVE_RETRY_DELAY.
constexpr int64_t kRetryDelayNanos = 5'000'000'000;

constexpr double kNanosPerSecond = 1e9;

}  // namespace

BackgroundSave::BackgroundSave(Server& server) : server_(server), walker_(server.engine()) {}

BackgroundSave::~BackgroundSave() { Stop(); }

void BackgroundSave::Begin() {
  thread_ = std::thread([this] { Run(); });
}

void BackgroundSave::Stop() {
  cancelled_.store(true);
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    condition_.notify_one();
  }
  // After SHUTDOWN SAVE the engine stays closed.
  if (server_.shutting_down()) walker_.GiveUp();
  if (thread_.joinable()) thread_.join();
}

bool BackgroundSave::Start() {
  MutexLock lock(mutex_);
  if (wanted_ || in_progress()) return false;
  wanted_ = true;
  in_progress_.store(true, std::memory_order_relaxed);
  begin_nanos_.store(MonotonicNanos(), std::memory_order_relaxed);
  condition_.notify_one();
  return true;
}

bool BackgroundSave::RefusesWrites(const Options& options) const {
  return server_.save_status().background_failed() && options.stop_writes_on_bgsave_error &&
         !options.save_points.empty();
}

void BackgroundSave::Run() {
  pthread_setname_np(pthread_self(), "tg-save");
  for (;;) {
    {
      MutexLock lock(mutex_);
      if (!wanted_ && !stopping_) condition_.wait_for(mutex_, kSavePointPeriod);
      if (stopping_) return;
      if (!wanted_ && !SavePointIsDue()) continue;
      wanted_ = false;
      if (!in_progress()) begin_nanos_.store(MonotonicNanos(), std::memory_order_relaxed);
      in_progress_.store(true, std::memory_order_relaxed);
    }
    Save();
    in_progress_.store(false, std::memory_order_relaxed);
  }
}

bool BackgroundSave::stopping() {
  MutexLock lock(mutex_);
  return stopping_;
}

bool BackgroundSave::SavePointIsDue() {
  if (MonotonicNanos() < retry_at_nanos_ || server_.shutting_down()) return false;
  const auto options = server_.config().Snapshot();
  if (options->save_points.empty()) return false;
  // Whether the disk is well again is found out by trying: with writes refused nothing changes.
  if (server_.save_status().background_failed()) return true;
  const uint64_t changes =
      server_.save_status().ChangesSince(server_.engine().StatsSinceStart().changes);
  const int64_t seconds = UnixMillis() / 1000 - server_.save_status().last_save_unix_s();
  for (const SavePoint& point : options->save_points) {
    if (changes < point.changes || seconds <= point.seconds) continue;
    log::Notice(std::to_string(point.changes) + " changes in " + std::to_string(point.seconds) +
                " seconds. Saving...");
    return true;
  }
  return false;
}

void BackgroundSave::Save() {
  const auto options = server_.config().Snapshot();
  const std::string path = SnapshotPath(*options);
  std::error_code ignored;  // what does not work is said when the file is made
  std::filesystem::create_directories(options->dir, ignored);
  cancelled_.store(stopping());
  server_.save_status().Began();
  log::Notice("Background saving started");
  Result<BackgroundSaveReport> saved =
      SaveRdbInBackground(server_.engine(), walker_, path,
                          {.compress = options->rdbcompression,
                           .check_sum = options->rdbchecksum,
                           .redis_version = std::string(kRedisVersion)},
                          {.cancelled = cancelled_, .file_mutex = file_mutex_});
  const int64_t nanos = MonotonicNanos() - begin_nanos();
  if (cancelled_.load()) return log::Notice("Background saving given up");
  server_.save_status().BackgroundEnded(saved.ok(), nanos / 1'000'000'000);
  if (!saved.ok()) {
    retry_at_nanos_ = MonotonicNanos() + kRetryDelayNanos;
    return log::Warning("Background saving error: " + saved.error().message);
  }
  server_.save_status().Saved(UnixMillis() / 1000, saved->changes);
  log::Notice("Background saving terminated with success: " + std::to_string(saved->file.keys) +
              " keys, " + std::to_string(saved->file.bytes) + " bytes, " +
              FormatFixed(static_cast<double>(nanos) / kNanosPerSecond, 3) + " seconds");
}

}  // namespace tidegate
