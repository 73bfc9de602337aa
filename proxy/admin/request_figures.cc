#include "proxy/admin/request_figures.h"

#include <algorithm>

#include "storage/engine_thread.h"

namespace tidegate {

namespace {

RouteOfWorkers& RouteAmong(std::vector<RouteOfWorkers>& routes, const RouteFigures& figures) {
  const auto known = std::find_if(routes.begin(), routes.end(), [&](const RouteOfWorkers& route) {
    return route.route == figures.route && route.cluster == figures.cluster;
  });
  if (known != routes.end()) return *known;
  return routes.emplace_back(RouteOfWorkers{.route = figures.route, .cluster = figures.cluster});
}

// A worker that counts no routes has counted this.
void AddAll(RouteOfWorkers& engine, const WorkerSource& worker) {
  engine.requests += worker.counters->commands_processed.Get();
  if (worker.engine != nullptr) {
    engine.hits += static_cast<uint64_t>(worker.engine->keyspace_hits.value());
    engine.misses += static_cast<uint64_t>(worker.engine->keyspace_misses.value());
  }
  for (uint32_t id = 0; id < worker.commands->size(); ++id) {
    const LatencyHistogram* latency =
        worker.commands->of(id).latency.load(std::memory_order_acquire);
    if (latency != nullptr) engine.latency.Add(*latency);
  }
}

}  // namespace

std::array<FineCounts, kRequestClasses> LatencyByClass(const AdminSources& sources) {
  std::array<FineCounts, kRequestClasses> classes;
  for (const Command* command : sources.commands().all()) {
    FineCounts& of_class = classes[static_cast<size_t>(ClassOf(*command->spec))];
    for (const WorkerSource& worker : sources.workers) {
      const LatencyHistogram* latency =
          worker.commands->of(command->id).latency.load(std::memory_order_acquire);
      if (latency != nullptr) of_class.Add(*latency);
    }
  }
  return classes;
}

std::vector<RouteOfWorkers> RoutesOf(const AdminSources& sources) {
  std::vector<RouteOfWorkers> routes;
  routes.push_back({.route = "*", .cluster = std::string(kEngineClusterName)});
  for (const WorkerSource& worker : sources.workers) {
    const bool counts = worker.routes != nullptr && worker.routes->counts();
    if (!counts) AddAll(routes.front(), worker);
    if (worker.routes == nullptr) continue;
    for (const auto& figures : worker.routes->Figures()) {
      RouteOfWorkers& sum = RouteAmong(routes, *figures);
      if (!counts) continue;
      sum.requests += figures->requests.Get();
      sum.hits += figures->hits.Get();
      sum.misses += figures->misses.Get();
      sum.latency.Add(figures->latency);
    }
  }
  if (routes.front().requests == 0 && routes.size() > 1) routes.erase(routes.begin());
  return routes;
}

}  // namespace tidegate
