#include "proxy/admin/clusters_page.h"

#include "proxy/admin/json_writer.h"
#include "proxy/upstream/upstream_cluster.h"

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
    {"refused", &UpstreamCounters::refused},
    {"lost", &UpstreamCounters::lost},
    {"timeouts", &UpstreamCounters::timeouts},
    {"protocol_errors", &UpstreamCounters::garbage},
    {"connects", &UpstreamCounters::connects},
    {"connect_failures", &UpstreamCounters::connect_failures},
};

}  // namespace

std::string ClustersJson(const AdminSources& sources) {
  JsonWriter json;
  json.BeginObject().Key("clusters").BeginArray();
  const size_t clusters = sources.workers.empty() ? 0 : sources.workers[0].upstreams.size();
  for (size_t i = 0; i < clusters; ++i) {
    const UpstreamCluster& cluster = *sources.workers[0].upstreams[i];
    json.BeginObject().Key("name").Text(cluster.name()).Key("kind").Text("redis");
    json.Key("host").Text(cluster.node().host).Key("port").Int(cluster.node().port);
    for (const Figure& figure : kFigures) {
      uint64_t sum = 0;
      for (const WorkerSource& worker : sources.workers)
        sum += (worker.upstreams[i]->counters().*figure.value).Get();
      json.Key(figure.name).Int(sum);
    }
    json.EndObject();
  }
  json.EndArray().EndObject();
  return json.Take() + '\n';
}

}  // namespace tidegate
