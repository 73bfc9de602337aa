// UpstreamReport: what a worker has noticed about an upstream that its topology did not tell: the
// hint to ask again. And ReportBox, in which workers leave them for the control thread.
//
// In a failover every request notices the same, a hundred thousand times a second. So a report that
// was left already costs a hash and one relaxed load, until the control thread says that it counts
// anew (Forget, twenty times a second at most); and the box holds so many and no more: what does
// not fit is dropped, because those in it make us ask anyway. Any thread puts; the control thread
// takes.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/thread_annotations.h"
#include "proxy/topology/node_address.h"

namespace tidegate::discovery {

struct UpstreamReport {
  enum class Kind : uint8_t {
    kMoved,       // MOVED: `slot` is at `target`
    kNodeFailed,  // a connection to `node` was lost, was refused or had no reply in time
    kNotPrimary,  // READONLY: `node` is no primary any more
    kNotServing,  // CLUSTERDOWN, LOADING, MASTERDOWN: `node` said so
  };

  Kind kind = Kind::kNodeFailed;
  uint16_t slot = 0;
  topology::NodeAddress node = {};    // that it is about, or that said so
  topology::NodeAddress target = {};  // of kMoved
};

inline constexpr size_t kReportsMax = 256;

class ReportBox final {
 public:
  // Any thread. True: it is new, and the control thread has to be woken.
  bool Put(UpstreamReport report) {
    const uint64_t mark = Mark(report);
    std::atomic<uint64_t>& seen = seen_[mark % kReportsMax];
    if (seen.load(std::memory_order_relaxed) == mark) return false;
    seen.store(mark, std::memory_order_relaxed);
    const MutexLock lock(mutex_);
    if (waiting_.size() >= kReportsMax) return false;
    waiting_.push_back(std::move(report));
    return waiting_.size() == 1;
  }

  // The control thread.
  std::vector<UpstreamReport> Take() {
    const MutexLock lock(mutex_);
    return std::exchange(waiting_, {});
  }
  void Forget() {
    for (std::atomic<uint64_t>& seen : seen_) seen.store(0, std::memory_order_relaxed);
  }

 private:
  // Never 0. Two reports with one mark are taken for the same, which a hint survives.
  static uint64_t Mark(const UpstreamReport& report) {
    const std::hash<std::string_view> hash;
    uint64_t mark = hash(report.node.host) * 31 + hash(report.target.host);
    mark = mark * 0x9e3779b97f4a7c15u + report.node.port * 65536u + report.target.port;
    mark = mark * 0x9e3779b97f4a7c15u + report.slot * 256u + static_cast<uint64_t>(report.kind);
    mark ^= mark >> 29;
    return mark | 1u << 31;
  }

  std::array<std::atomic<uint64_t>, kReportsMax> seen_{};
  Mutex mutex_;
  std::vector<UpstreamReport> waiting_ TG_GUARDED_BY(mutex_);
};

}  // namespace tidegate::discovery
