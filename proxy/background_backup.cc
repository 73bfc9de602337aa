#include "proxy/background_backup.h"

#include <pthread.h>

#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "proxy/server.h"
#include "storage/persistence.h"

namespace tidegate {
namespace {

constexpr double kNanosPerSecond = 1e9;

}  // namespace

BackgroundBackup::~BackgroundBackup() { Stop(); }

void BackgroundBackup::Begin() {
  {
    MutexLock lock(mutex_);
    ready_ = true;
  }
  thread_ = std::thread([this] { Run(); });
}

void BackgroundBackup::Stop() {
  cancelled_.store(true);
  {
    MutexLock lock(mutex_);
    ready_ = false;
    condition_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

std::shared_ptr<const BackgroundBackup::Job> BackgroundBackup::Start(
    std::string_view wanted, std::function<void()> on_done) {
  MutexLock lock(mutex_);
  if (!ready_ || job_ != nullptr) return nullptr;
  job_ = std::make_shared<Job>();
  job_->wanted = wanted;
  job_->on_done = std::move(on_done);
  facts_.in_progress = true;
  facts_.current_begin_nanos = MonotonicNanos();
  condition_.notify_all();
  return job_;
}

void BackgroundBackup::Await(const Job& job) {
  MutexLock lock(mutex_);
  while (!job.done.load(std::memory_order_acquire)) condition_.wait(mutex_);
}

BackupFacts BackgroundBackup::Facts() const {
  MutexLock lock(mutex_);
  return facts_;
}

void BackgroundBackup::Run() {
  pthread_setname_np(pthread_self(), "tg-backup");
  for (;;) {
    std::shared_ptr<Job> job;
    {
      MutexLock lock(mutex_);
      while (ready_ && job_ == nullptr) condition_.wait(mutex_);
      if (job_ == nullptr) return;
      job = job_;
    }
    Make(*job);
    {
      MutexLock lock(mutex_);
      job_ = nullptr;
      job->done.store(true, std::memory_order_release);
      condition_.notify_all();
    }
    job->on_done();
  }
}

void BackgroundBackup::Make(Job& job) {
  Persistence& persistence = *server_.persistence();
  const int64_t begin_nanos = MonotonicNanos();
  Result<std::string> name = persistence.NameOfBackup(job.wanted, UnixMillis());
  job.bad_name = !name.ok();
  job.report = name.ok() ? persistence.MakeBackup(*name, cancelled_) : std::move(name).error();
  job.seconds = static_cast<double>(MonotonicNanos() - begin_nanos) / kNanosPerSecond;
  MutexLock lock(mutex_);
  facts_.in_progress = false;
  if (job.bad_name) return;  // nothing was tried
  facts_.failed = !job.report.ok();
  if (!job.report.ok()) {
    ++facts_.failures;
    return log::Warning("Backup failed: " + job.report.error().message);
  }
  ++facts_.made;
  facts_.last_unix_ms = UnixMillis();
  facts_.last_seconds = job.seconds;
  facts_.last_sequence = job.report->sequence;
  facts_.last_bytes = job.report->bytes;
  log::Notice("Backup " + job.report->path + ": up to record " +
              std::to_string(job.report->sequence) + ", " + std::to_string(job.report->bytes) +
              " bytes, " + FormatFixed(job.seconds, 3) + " seconds");
}

}  // namespace tidegate
