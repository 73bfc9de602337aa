// RouteKeyScan: finds the keys of one route for its filter (bloom), and sees to it that the filter
// is built anew when it has to be.
//
//   pause --> BeginBuild --> SCAN, SCAN … of the engine, or of each primary of the cluster
//                |           or a file, read by a thread         --> EndBuild --> pause
//                +-- no room left: again, for twice as many
//
// One worker does it for all: at most scan-rate keys a second, in steps of ten milliseconds, with
// one SCAN under way; over the connection that work in the background has. What is found are all
// keys that were there from the beginning to the end. So a walk counts only if the nodes are the
// same at its end, and each of them has answered; else it is begun anew, after a pause that grows.
// Database 0 alone. Names are turned back into those that clients use.
// Owner: worker 0.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "policy/absent_keys.h"
#include "policy/route.h"
#include "proxy/event/loop.h"
#include "proxy/topology/node_address.h"
#include "proxy/upstream/upstream_client.h"
#include "storage/engine.h"
#include "storage/request.h"

namespace tidegate {

class UpstreamCluster;
struct UpstreamLink;
class UpstreamNode;
class Worker;

// Time between two steps, and keys that one SCAN asks for at most: Redis takes a millisecond for so
// many.
inline constexpr uint64_t kKeyScanStepMillis = 10;
inline constexpr int64_t kKeyScanCountMax = 1000;
// What a first filter is made for; then for what there was.
inline constexpr size_t kKeyScanKeysFirst = 500'000;
// After a walk that came to nothing, or whose filter had lost keys soon after; doubled each time.
inline constexpr int64_t kKeyScanPauseNanos = 1'000'000'000;
inline constexpr int64_t kKeyScanPauseNanosMax = 60'000'000'000;

class RouteKeyScan final : private UpstreamClient {
 public:
  // Whose keys: the engine's (null), or a cluster's that outlives this.
  struct Source {
    std::string match;
    KeyPrefixes prefixes;
    UpstreamCluster* cluster = nullptr;
  };
  RouteKeyScan(Worker& worker, std::shared_ptr<AbsentKeys> keys, Source source);
  ~RouteKeyScan();
  RouteKeyScan(const RouteKeyScan&) = delete;
  RouteKeyScan& operator=(const RouteKeyScan&) = delete;

  bool Does(const AbsentKeys* keys, const Route& route) const;

 private:
  enum class Phase : uint8_t { kPause, kScan, kWait, kFile };

  void Step();
  void Begin(int64_t now_ns);
  void Scan();
  void ScanEngine(const Request& request);
  void ScanUpstream(const Request& request);
  void OnUpstreamReply(const UpstreamRequest& request, std::string_view reply) override;
  void TakeReply(std::string_view reply);
  void TakeKey(std::string_view name);
  // Of the cluster, in their order; empty: not all are known.
  std::vector<topology::NodeAddress> Nodes() const;
  void ReadFile();
  void EndFile();
  void End(bool whole);

  Worker& worker_;
  const std::shared_ptr<AbsentKeys> keys_;
  KnownKeys& known_;  // of them
  const Source source_;
  UpstreamLink* link_;  // deletes itself when neither side needs it
  ClientState client_;  // for the engine
  bool suspended_ = false;
  Phase phase_ = Phase::kPause;
  int64_t begun_ns_ = 0;
  int64_t pause_until_ns_ = 0;
  int64_t next_pause_ns_ = kKeyScanPauseNanos;
  size_t keys_wanted_ = kKeyScanKeysFirst;
  std::vector<topology::NodeAddress> nodes_;  // of the walk at hand
  size_t node_ = 0;
  std::string cursor_;
  bool was_told_ = false;  // the log has that it cannot be done
  std::thread reader_;
  std::atomic<bool> reader_stops_{false};
  enum class Outcome : uint8_t { kReading, kWhole, kFull, kFailed };
  std::atomic<Outcome> read_{Outcome::kReading};
  Timer timer_;
};

}  // namespace tidegate
