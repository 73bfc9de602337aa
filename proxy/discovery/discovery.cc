#include "proxy/discovery/discovery.h"

#include <pthread.h>

#include <algorithm>
#include <random>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "base/clock.h"
#include "proxy/upstream/upstream_tls.h"

namespace tidegate::discovery {
namespace {

constexpr Bytes kControlReadBufferBytes = 64_KiB;

// After reports were taken, how long others wait, and the same count for nothing.
constexpr uint64_t kReportPauseMillis = 50;

}  // namespace

Discovery::Discovery(std::span<const ClusterOptions> clusters, Publish publish,
                     const UpstreamTls* tls)
    : publish_(std::move(publish)),
      tls_(tls),
      read_buffer_(new char[kControlReadBufferBytes.count]),
      environment_{loop_, {read_buffer_.get(), kControlReadBufferBytes.count}} {
  loop_.OnBeforeWait([](void* loop) { static_cast<EventLoop*>(loop)->EndTurn(); }, &loop_);
  wake_up_ = std::make_unique<WakeUp>(loop_, [this] { OnWakeUp(); });
  report_timer_ = std::make_unique<Timer>(loop_, [this] {
    pausing_ = false;
    for (const auto& cluster : running_) cluster->reports.Forget();
    TakeReports();
  });
  for (const ClusterOptions& options : clusters) {
    if (options.is_upstream()) Add(options);
  }
}

Discovery::~Discovery() {
  Stop();
  for (const auto& cluster : running_) {
    cluster->watcher.reset();
    cluster->probe.reset();
  }
  wake_up_.reset();
  report_timer_.reset();
  loop_.Run();  // until all handles are closed
}

void Discovery::Start() {
  if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
}

void Discovery::Stop() {
  if (!thread_.joinable()) return;
  stopping_.store(true, std::memory_order_release);
  wake_up_->Send();
  thread_.join();
}

std::shared_ptr<WatchedCluster> Discovery::Add(const ClusterOptions& options) {
  std::shared_ptr<WatchedCluster> added;
  {
    const MutexLock lock(mutex_);
    const size_t number = next_number_++;
    added = std::make_shared<WatchedCluster>(
        number, options, [this, number](std::shared_ptr<const UpstreamTopology> topology) {
          publish_(number, std::move(topology));
        });
    watched_.push_back(added);
  }
  WakeUpThread();
  return added;
}

void Discovery::Remove(size_t cluster) {
  {
    const MutexLock lock(mutex_);
    std::erase_if(watched_, [cluster](const auto& one) { return one->number == cluster; });
  }
  WakeUpThread();
}

std::vector<std::shared_ptr<WatchedCluster>> Discovery::Watched() const {
  const MutexLock lock(mutex_);
  return watched_;
}

const TopologyPublisher& Discovery::cluster(size_t number) const {
  const MutexLock lock(mutex_);
  const auto found = std::find_if(watched_.begin(), watched_.end(),
                                  [number](const auto& one) { return one->number == number; });
  TG_CHECK(found != watched_.end());
  return (*found)->publisher;
}

void Discovery::Run() {
  pthread_setname_np(pthread_self(), "discovery");
  FollowList();
  loop_.Run();
}

void Discovery::OnWakeUp() {
  if (stopping_.load(std::memory_order_acquire)) return loop_.Stop();
  FollowList();
  TakeReports();
}

// Watchers live and end here, where their loop is.
void Discovery::FollowList() {
  const std::vector<std::shared_ptr<WatchedCluster>> watched = Watched();
  std::erase_if(running_, [&watched](const auto& cluster) {
    if (std::find(watched.begin(), watched.end(), cluster) != watched.end()) return false;
    cluster->watcher.reset();
    cluster->probe.reset();
    return true;
  });
  for (const auto& cluster : watched) {
    if (cluster->watcher != nullptr) continue;
    const ClusterOptions& options = cluster->options;
    const bool has_tls = tls_ != nullptr;
    const WatchContext context{
        .environment = environment_,
        .options = options,
        .publisher = cluster->publisher,
        .seed = std::random_device()(),
        .tls = has_tls ? tls_->Of(options.tls) : nullptr,
        .sentinel_tls = has_tls ? tls_->Of(options.sentinel_tls()) : nullptr};
    cluster->watcher = MakeWatcher(context);
    running_.push_back(cluster);
    cluster->watcher->Start();
    if (!probe_sink_ || cluster->options.probe_big_keys == 0) continue;
    cluster->probe = std::make_unique<BigKeyProbe>(context, cluster->number, *probe_sink_);
    cluster->probe->Start();
  }
}

// The first at once; in a storm the rest in portions.
void Discovery::TakeReports() {
  if (pausing_) return;
  for (const auto& cluster : running_) {
    const std::vector<UpstreamReport> reports = cluster->reports.Take();
    if (reports.empty()) continue;
    pausing_ = true;
    cluster->publisher.CountReports(reports.size());
    cluster->watcher->OnReports(reports);
  }
  if (pausing_) report_timer_->StartOnce(kReportPauseMillis);
}

void Discovery::WakeUpThread() {
  // Workers may report to the end of their lives, which is after ours.
  if (!stopping_.load(std::memory_order_acquire)) wake_up_->Send();
}

void Discovery::Report(WatchedCluster& cluster, UpstreamReport report) {
  if (cluster.reports.Put(std::move(report))) WakeUpThread();
}

void Discovery::Report(size_t cluster, UpstreamReport report) {
  for (const auto& one : Watched()) {
    if (one->number == cluster) Report(*one, std::move(report));
  }
}

void Discovery::AwaitFirstAnswers(std::chrono::milliseconds time_max) const {
  constexpr std::chrono::milliseconds kStep{2};
  const auto until = std::chrono::steady_clock::now() + time_max;
  const std::vector<std::shared_ptr<WatchedCluster>> watched = Watched();
  const auto was_asked = [](const auto& cluster) { return cluster->publisher.was_asked(); };
  while (!std::all_of(watched.begin(), watched.end(), was_asked) &&
         std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(kStep);
}

}  // namespace tidegate::discovery
