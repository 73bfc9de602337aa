#include "proxy/admin/drain_page.h"

#include "proxy/admin/json_writer.h"
#include "proxy/topology/node_address.h"

namespace tidegate {
namespace {

constexpr int kNotFound = 404;
constexpr int kConflict = 409;

DrainAnswer Refused(int status, std::string_view why) {
  JsonWriter json;
  json.BeginObject().Key("error").Text(why);
  json.EndObject();
  return {.status = status, .body = json.Take() + '\n'};
}

}  // namespace

std::optional<DrainRequest> ParseDrainPath(std::string_view path) {
  constexpr std::string_view kClusters = "/clusters/";
  constexpr std::string_view kNodes = "/nodes/";
  if (!path.starts_with(kClusters)) return std::nullopt;
  path.remove_prefix(kClusters.size());
  const size_t nodes = path.find(kNodes);
  const size_t last = path.rfind('/');
  if (nodes == std::string_view::npos || last < nodes + kNodes.size()) return std::nullopt;
  const std::string_view action = path.substr(last + 1);
  if (action != "drain" && action != "undrain") return std::nullopt;
  return DrainRequest{.cluster = path.substr(0, nodes),
                      .address = path.substr(nodes + kNodes.size(), last - nodes - kNodes.size()),
                      .drain = action == "drain"};
}

DrainAnswer AnswerDrain(const discovery::Discovery* discovery, const DrainRequest& request) {
  std::shared_ptr<discovery::WatchedCluster> cluster;
  if (discovery != nullptr) {
    for (const auto& one : discovery->Watched()) {
      if (one->options.name == request.cluster) cluster = one;
    }
  }
  if (cluster == nullptr) return Refused(kNotFound, "there is no such upstream cluster");
  const auto place = topology::ParseHostAndPort(request.address);
  if (!place) return Refused(kNotFound, "a node is written as host:port");
  const topology::NodeAddress address{std::string(place->host), place->port};
  if (!request.drain) {
    if (!cluster->publisher.Undrain(address)) return Refused(kNotFound, "it is not drained");
  } else {
    const std::string why =
        cluster->publisher.Drain(address, cluster->options.ring.eject_after_failures > 0);
    if (!why.empty()) return Refused(kConflict, why);
  }
  JsonWriter json;
  json.BeginObject().Key("cluster").Text(cluster->options.name);
  json.Key("node").Text(address.ToText()).Key("drained").Bool(request.drain);
  json.EndObject();
  return {.body = json.Take() + '\n'};
}

}  // namespace tidegate
