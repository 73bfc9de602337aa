#include "proxy/admin/clusters_page.h"

#include "proxy/admin/json_writer.h"
#include "proxy/admin/topology_json.h"
#include "proxy/admin/upstream_figures.h"

namespace tidegate {
namespace {

struct Figure {
  std::string_view name;
  WorkerCounter UpstreamCounters::*value;
};

constexpr Figure kFigures[] = {
    {"connections", &UpstreamCounters::connections},
    {"in_flight", &UpstreamCounters::in_flight},
    {"requests", &UpstreamCounters::requests},
    {"error_replies", &UpstreamCounters::error_replies},
    {"redirections", &UpstreamCounters::redirections},
    {"script_reloads", &UpstreamCounters::script_reloads},
    {"refused", &UpstreamCounters::refused},
    {"lost", &UpstreamCounters::lost},
    {"timeouts", &UpstreamCounters::timeouts},
    {"protocol_errors", &UpstreamCounters::garbage},
    {"connects", &UpstreamCounters::connects},
    {"connect_failures", &UpstreamCounters::connect_failures},
    {"breakers_open", &UpstreamCounters::breakers_open},
    {"breaker_opens", &UpstreamCounters::breaker_opens},
    {"retries", &UpstreamCounters::retries},
    {"private_in_use", &UpstreamCounters::private_in_use},
    {"private_idle", &UpstreamCounters::private_idle},
    {"private_waits", &UpstreamCounters::private_waits},
    {"private_exhausted", &UpstreamCounters::private_exhausted},
    {"private_waiting", &UpstreamCounters::private_waiting},
    {"queued_bytes", &UpstreamCounters::held_bytes},
};

void WriteNode(JsonWriter& json, const NodeOfWorkers& node) {
  json.BeginObject().Key("node").Text(node.address);
  for (const Figure& figure : kFigures) json.Key(figure.name).Int(node.Sum(figure.value));
  json.Key("p50_seconds").Real(node.LatencySeconds(0.5));
  json.Key("p99_seconds").Real(node.LatencySeconds(0.99));
  json.EndObject();
}

}  // namespace

std::string ClustersJson(const AdminSources& sources) {
  JsonWriter json;
  json.BeginObject().Key("clusters").BeginArray();
  std::vector<std::shared_ptr<discovery::WatchedCluster>> watched;
  if (sources.discovery != nullptr) watched = sources.discovery->Watched();
  for (const ClusterOfWorkers& cluster : ClustersOf(sources)) {
    json.BeginObject().Key("name").Text(cluster.name).Key("kind").Text(KindName(cluster.kind));
    if (cluster.leaving) json.Key("leaving").Bool(true);
    json.Key("nodes").BeginArray();
    for (const NodeOfWorkers& node : cluster.nodes) WriteNode(json, node);
    json.EndArray();
    for (const auto& one : watched) {
      if (one->number == cluster.number) WriteTopology(json, one->publisher);
    }
    json.EndObject();
  }
  json.EndArray().EndObject();
  return json.Take() + '\n';
}

}  // namespace tidegate
