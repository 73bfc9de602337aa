#include "proxy/discovery/discovery.h"

#include <pthread.h>

#include <algorithm>
#include <random>
#include <utility>

#include "base/bytes.h"
#include "base/clock.h"
#include "proxy/upstream/upstream_tls.h"

namespace tidegate::discovery {
namespace {

constexpr Bytes kControlReadBufferBytes = 64_KiB;

// After reports were taken, how long others wait, and the same count for nothing.
constexpr uint64_t kReportPauseMillis = 50;

}  // namespace

Discovery::Discovery(std::span<const ClusterOptions> clusters, const Publish& publish,
                     const UpstreamTls* tls)
    : tls_(tls),
      read_buffer_(new char[kControlReadBufferBytes.count]),
      environment_{loop_, {read_buffer_.get(), kControlReadBufferBytes.count}} {
  for (const ClusterOptions& options : clusters) {
    if (!options.is_upstream()) continue;
    const size_t index = clusters_.size();
    clusters_.push_back(std::make_unique<Cluster>(
        options, [publish, index](std::shared_ptr<const UpstreamTopology> topology) {
          publish(index, std::move(topology));
        }));
  }
  loop_.OnBeforeWait([](void* loop) { static_cast<EventLoop*>(loop)->EndTurn(); }, &loop_);
  wake_up_ = std::make_unique<WakeUp>(loop_, [this] { OnWakeUp(); });
  report_timer_ = std::make_unique<Timer>(loop_, [this] {
    pausing_ = false;
    for (const auto& cluster : clusters_) cluster->reports.Forget();
    TakeReports();
  });
}

Discovery::~Discovery() {
  Stop();
  for (const auto& cluster : clusters_) cluster->watcher.reset();
  wake_up_.reset();
  report_timer_.reset();
  loop_.Run();  // until all handles are closed
}

void Discovery::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Discovery::Stop() {
  if (!thread_.joinable()) return;
  stopping_.store(true, std::memory_order_release);
  wake_up_->Send();
  thread_.join();
}

void Discovery::Run() {
  pthread_setname_np(pthread_self(), "discovery");
  std::random_device seeds;
  for (const auto& cluster : clusters_) {
    const TlsContext* const tls = tls_ == nullptr ? nullptr : tls_->Of(cluster->options.name);
    cluster->watcher =
        MakeWatcher({environment_, cluster->options, cluster->publisher, seeds(), tls});
    cluster->watcher->Start();
  }
  loop_.Run();
}

void Discovery::OnWakeUp() {
  if (stopping_.load(std::memory_order_acquire)) return loop_.Stop();
  TakeReports();
}

// The first at once; in a storm the rest in portions.
void Discovery::TakeReports() {
  if (pausing_) return;
  for (const auto& cluster : clusters_) {
    const std::vector<UpstreamReport> reports = cluster->reports.Take();
    if (reports.empty()) continue;
    pausing_ = true;
    cluster->publisher.CountReports(reports.size());
    cluster->watcher->OnReports(reports);
  }
  if (pausing_) report_timer_->StartOnce(kReportPauseMillis);
}

void Discovery::Report(size_t cluster, UpstreamReport report) {
  // Workers may report to the end of their lives, which is after ours.
  const bool is_new = clusters_[cluster]->reports.Put(std::move(report));
  if (is_new && !stopping_.load(std::memory_order_acquire)) wake_up_->Send();
}

void Discovery::AwaitFirstAnswers(std::chrono::milliseconds time_max) const {
  constexpr std::chrono::milliseconds kStep{2};
  const auto until = std::chrono::steady_clock::now() + time_max;
  const auto was_asked = [](const auto& cluster) { return cluster->publisher.was_asked(); };
  while (!std::all_of(clusters_.begin(), clusters_.end(), was_asked) &&
         std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(kStep);
}

}  // namespace tidegate::discovery
