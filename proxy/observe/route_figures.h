// RouteFigures: what one worker counts about one route, and RouteMeter: a worker's list of them.
//
// A route is its pattern and the cluster it leads to, so one that a reload gives another cluster
// begins anew, and one that comes back goes on. Figures are never removed: counters only rise, and
// who scrapes a route that a reload has just removed must find it. A request carries the number of
// its route until its reply comes. Number 0 is this process itself: what is answered here without
// the question of a route, and everything while there is but the engine.
//
// While the engine is all there is, nothing is counted here: what the worker has counted in all is
// the share of number 0 (proxy/admin/request_figures.h). When there are routes for the first time,
// number 0 takes that over, and counting begins. So routes cost those that have some, and nobody
// else.
//
// Hits and misses: of the engine, as its keyspace counts them; of an upstream, as a reply tells it:
// a null in answer to a read is a miss, each null of an MGET too, everything else is a hit.
// Owner: the worker; any thread reads. Cost: four counters a request.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/thread_annotations.h"
#include "proxy/session/command_stats.h"

namespace tidegate {

struct Command;
struct EngineCounters;

struct RouteFigures {
  RouteFigures(std::string route_pattern, std::string cluster_name)
      : route(std::move(route_pattern)), cluster(std::move(cluster_name)) {}

  const std::string route;
  const std::string cluster;  // "engine": this process
  WorkerCounter requests;
  WorkerCounter hits;
  WorkerCounter misses;
  LatencyHistogram latency;  // while latency-tracking is on
};

inline constexpr std::string_view kEngineClusterName = "engine";

// Figures that a worker keeps. Beyond it, which takes hundreds of reloads that each bring new
// routes, new ones are counted for number 0.
inline constexpr size_t kRouteFiguresMax = 4096;

// Nulls in a reply, and elements that are none, as hits and misses are counted.
struct ReplyHits {
  uint64_t hits = 0;
  uint64_t misses = 0;
};
// `per_element`: of an MGET. An error is neither.
ReplyHits HitsOfReply(std::string_view reply, bool per_element);

class RouteMeter final {
 public:
  using List = std::vector<std::shared_ptr<const RouteFigures>>;

  RouteMeter();
  RouteMeter(const RouteMeter&) = delete;
  RouteMeter& operator=(const RouteMeter&) = delete;

  // The number of a route, which is new or was there before.
  uint16_t NumberOf(std::string_view route, std::string_view cluster) TG_EXCLUDES(mutex_);

  // Whether requests are counted here. Any thread.
  bool counts() const { return counts_.load(std::memory_order_acquire); }
  // They are from now on; before, the worker counted these.
  void BeginCounting(uint64_t requests, const CommandStats& commands, const EngineCounters& engine);

  // A request that was answered here. Of the engine's hits and misses it has what came since the
  // last one, or since Begin.
  void Begin(const EngineCounters& engine);
  void CountHere(uint16_t number, uint64_t ticks, bool with_latency, const EngineCounters& engine);
  // A request that an upstream answered.
  void CountReply(uint16_t number, const Command& command, uint64_t ticks, bool with_latency,
                  std::string_view reply);

  const RouteFigures& at(uint16_t number) const { return *owned_[number]; }

  // Any thread.
  List Figures() const TG_EXCLUDES(mutex_);

 private:
  std::vector<std::shared_ptr<RouteFigures>> owned_;  // the worker's
  std::atomic<bool> counts_{false};
  int64_t hits_seen_ = 0;
  int64_t misses_seen_ = 0;
  mutable Mutex mutex_;
  List published_ TG_GUARDED_BY(mutex_);  // the same for other threads
};

}  // namespace tidegate
